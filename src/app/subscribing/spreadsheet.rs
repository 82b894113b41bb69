//! Subscriber files: CSV in, row by row, and out.

use std::borrow::Cow;
use std::io::Read;
use std::io::Write;

use csv::ByteRecord;
use encoding_rs::Encoding;
use encoding_rs::UTF_16BE;
use encoding_rs::UTF_16LE;
use encoding_rs_io::DecodeReaderBytesBuilder;

use crate::app::subscribing::columns::Columns;
use crate::app::subscribing::columns::Decode;
use crate::app::subscribing::columns::Mapping;
use crate::app::subscribing::columns::ParsedRow;
use crate::app::subscribing::columns::REFUSED_COLUMNS;

/// A row that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct UnreadableRow {
    /// Its line in the file, from 1.
    pub line: u64,
    /// Reason, and what was expected.
    pub reason: String,
}

/// A file of subscribers, read one row at a time: memory does not grow with it.
pub struct Spreadsheet<'a> {
    reader: csv::Reader<PlainLines<Box<dyn Read + Send + 'a>>>,
    columns: Columns,
    record: ByteRecord,
    decode: Decode,
    is_utf16: bool,
    /// Lines in front of the header that are none of the table.
    skipped: u64,
}

impl<'a> Spreadsheet<'a> {
    /// Reads the header. Commas, semicolons, tabs or bars separate; UTF-8, UTF-16 and Windows-1252 are read; a byte order mark is no
    /// part of it, nor is a first line like `sep=;`.
    ///
    /// # Errors
    /// A sentence: what is missing in the header, or which column must be explained.
    pub fn open(source: impl Read + Send + 'a, mapping: &Mapping) -> Result<Self, String> {
        let opened = OpenedSheet::of(source)?;
        let columns = Columns::of(opened.names, mapping)?;
        Ok(Self {
            reader: opened.reader,
            columns,
            record: ByteRecord::new(),
            decode: opened.decode,
            is_utf16: opened.is_utf16,
            skipped: opened.skipped,
        })
    }

    /// The names of its columns, whatever they hold.
    ///
    /// # Errors
    /// A sentence: the header cannot be read.
    pub fn header(source: impl Read + Send + 'a) -> Result<Vec<String>, String> {
        Ok(OpenedSheet::of(source)?.names)
    }

    /// The next row, or why it is refused; `None` at the end. An error of reading ends everything.
    pub fn next_row(&mut self) -> Option<Result<Result<ParsedRow, UnreadableRow>, String>> {
        match self.reader.read_byte_record(&mut self.record) {
            Ok(false) => None,
            Ok(true) => Some(Ok(self
                .columns
                .row(&self.record, &mut self.decode)
                .map_err(|reason| UnreadableRow {
                    line: self.line(),
                    reason,
                }))),
            Err(error) => Some(Err(error.to_string())),
        }
    }

    /// The line on which the present row begins: where the reader stands, less the lines of this row. Before the row it had not
    /// passed empty lines yet.
    fn line(&self) -> u64 {
        let inside = self
            .record
            .as_slice()
            .iter()
            .filter(|b| **b == b'\n')
            .count() as u64;
        (self.reader.position().line() + self.skipped).saturating_sub(1 + inside)
    }

    /// Returns what its columns hold.
    pub fn columns(&self) -> &Columns {
        &self.columns
    }

    /// Returns how its bytes were read, for people.
    pub fn encoding(&self) -> &'static str {
        match self.is_utf16 {
            true => "UTF-16",
            false if self.decode.was_windows_1252() => "Windows-1252",
            false => "UTF-8",
        }
    }

    /// The header of a file of refused rows: this one's, then the line and the reason.
    pub fn write_header(&self, file: &mut csv::Writer<impl Write>) -> csv::Result<()> {
        let own = self
            .columns
            .header()
            .iter()
            .map(String::as_str)
            .filter(|name| !REFUSED_COLUMNS.contains(name));
        file.write_record(own.chain(REFUSED_COLUMNS))
    }

    /// The present row, as it stands, with the line and the reason. Fields beyond the header come last.
    pub fn write_refused(
        &self,
        file: &mut csv::Writer<impl Write>,
        refused: &UnreadableRow,
    ) -> csv::Result<()> {
        let (header, mut decode) = (self.columns.header(), self.decode);
        let mut text = |field: &[u8]| match decode.text(field) {
            Ok(text) => text.into_owned(),
            Err(_) => String::from_utf8_lossy(field).into_owned(),
        };
        let own = header
            .iter()
            .enumerate()
            .filter(|(_, name)| !REFUSED_COLUMNS.contains(&name.as_str()));
        for (at, _) in own {
            file.write_field(text(self.record.get(at).unwrap_or_default()))?;
        }
        file.write_field(refused.line.to_string())?;
        file.write_field(&refused.reason)?;
        for field in self.record.iter().skip(header.len()) {
            file.write_field(text(field))?;
        }
        file.write_record(None::<&[u8]>)
    }
}

/// A file whose header was read.
struct OpenedSheet<'a> {
    reader: csv::Reader<PlainLines<Box<dyn Read + Send + 'a>>>,
    names: Vec<String>,
    decode: Decode,
    is_utf16: bool,
    skipped: u64,
}

impl<'a> OpenedSheet<'a> {
    fn of(source: impl Read + Send + 'a) -> Result<Self, String> {
        let unreadable = |error: std::io::Error| format!("it cannot be read: {error}");
        let (source, encoding) = as_utf8(source).map_err(unreadable)?;
        let (head, rest) = peeked(source).map_err(unreadable)?;
        let has_mark = head.starts_with(b"\xEF\xBB\xBF");
        let text = if has_mark { &head[3..] } else { &head[..] };
        let (named, line) = separator_line(text);
        let body = text[line..].to_vec();
        let delimiter = named.unwrap_or_else(|| separator_of(&body));
        let whole: Box<dyn Read + Send + 'a> = Box::new(std::io::Cursor::new(body).chain(rest));
        let skipped = u64::from(line > 0);
        let lines = PlainLines::new(whole, delimiter, 1 + skipped);
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(delimiter)
            .flexible(true)
            .buffer_capacity(BUFFER)
            .from_reader(lines);
        let header = reader
            .byte_headers()
            .map_err(|error| format!("its header cannot be read: {error}"))?;
        let mut decode = if has_mark || encoding.is_some() {
            Decode::utf8()
        } else {
            Decode::default()
        };
        let names = header
            .iter()
            .map(|name| Ok(decode.text(name)?.trim().to_owned()))
            .collect::<Result<Vec<String>, String>>()?;
        Ok(Self {
            reader,
            names,
            decode,
            is_utf16: encoding.is_some(),
            skipped,
        })
    }
}

/// Bytes read at once.
const BUFFER: usize = 64 << 10;

/// The source as UTF-8 where it is UTF-16: by its mark, or because every second byte of its first letters is empty.
fn as_utf8<'a>(
    source: impl Read + Send + 'a,
) -> std::io::Result<(Box<dyn Read + Send + 'a>, Option<&'static Encoding>)> {
    let (head, rest) = peeked(source)?;
    let encoding = match head.as_slice() {
        [0xff, 0xfe, ..] => Some(UTF_16LE),
        [0xfe, 0xff, ..] => Some(UTF_16BE),
        [a, 0, b, 0, ..] if *a != 0 && *b != 0 => Some(UTF_16LE),
        [0, a, 0, b, ..] if *a != 0 && *b != 0 => Some(UTF_16BE),
        _ => None,
    };
    let whole = std::io::Cursor::new(head).chain(rest);
    Ok(match encoding {
        Some(_) => (
            Box::new(
                DecodeReaderBytesBuilder::new()
                    .encoding(encoding)
                    .strip_bom(true)
                    .build(whole),
            ),
            encoding,
        ),
        None => (Box::new(whole), None),
    })
}

/// The first bytes of a source, and the rest of it.
fn peeked<R: Read>(mut source: R) -> std::io::Result<(Vec<u8>, R)> {
    let mut head = vec![0; 8 << 10];
    let length = fill(&mut source, &mut head)?;
    head.truncate(length);
    Ok((head, source))
}

/// The separator that a first line like `sep=;` names, for spreadsheet programs, and the length of that line with its end.
fn separator_line(text: &[u8]) -> (Option<u8>, usize) {
    let end = text
        .iter()
        .position(|b| matches!(b, b'\n' | b'\r'))
        .unwrap_or(text.len());
    let line = text[..end]
        .strip_prefix(b"\"")
        .map_or(&text[..end], |line| {
            line.strip_suffix(b"\"").unwrap_or(line)
        });
    let named = match line {
        [s, e, p, b'=', separator]
            if [s, e, p].map(|b| b.to_ascii_lowercase()) == *b"sep" && separator.is_ascii() =>
        {
            *separator
        }
        _ => return (None, 0),
    };
    let ending = if text[end..].starts_with(b"\r\n") {
        2
    } else {
        usize::from(end < text.len())
    };
    (Some(named), end + ending)
}

/// Returns what separates the fields of a header: whichever of the usual ones it has most of, outside of quotes.
fn separator_of(text: &[u8]) -> u8 {
    let header = text
        .split(|b| matches!(b, b'\n' | b'\r'))
        .find(|line| !line.is_empty())
        .unwrap_or_default();
    let mut is_quoted = false;
    let outside: Vec<u8> = header
        .iter()
        .copied()
        .filter(|byte| {
            is_quoted ^= *byte == b'"';
            !is_quoted
        })
        .collect();
    let count = |separator: u8| outside.iter().filter(|b| **b == separator).count();
    [b',', b';', b'\t', b'|']
        .into_iter()
        .max_by_key(|s| (count(*s), *s == b','))
        .unwrap_or(b',')
}

/// A text as a cell that no spreadsheet takes for a formula (OWASP, "CSV Injection"): an apostrophe before what would begin one
/// makes it text there. [`taken`] takes it off again, so that what is exported is imported as it was.
pub fn defused(text: &str) -> Cow<'_, str> {
    if begins_a_formula(text) {
        format!("'{text}").into()
    } else {
        text.into()
    }
}

/// The text of a cell that [`defused`] wrote.
pub fn taken(cell: &str) -> &str {
    cell.strip_prefix('\'')
        .filter(|text| begins_a_formula(text))
        .unwrap_or(cell)
}

/// Apostrophes before it count too: else one of a text's own would be taken for ours.
fn begins_a_formula(text: &str) -> bool {
    text.trim_start_matches('\'')
        .starts_with(['=', '+', '-', '@', '\t', '\r'])
}

/// The longest row, in bytes: more is a quote that was opened and never closed.
const LONGEST_ROW: usize = 64 << 10;

/// A file whose lines all end in a line feed, whatever they ended in, so that lines can be counted; and in which no row is
/// longer than [`LONGEST_ROW`], so that one stray quote does not swallow all rows behind it.
struct PlainLines<R> {
    source: R,
    delimiter: u8,
    after_return: bool,
    last: u8,
    place: CsvPosition,
    row_length: usize,
    line: u64,
    row_line: u64,
}

/// Position of the next byte in a row.
#[derive(Clone, Copy, PartialEq)]
enum CsvPosition {
    FieldStart,
    Plain,
    Quoted,
    /// Behind a quote in a quoted field: its end, or half of a doubled one.
    QuoteInQuoted,
}

impl<R: Read> PlainLines<R> {
    fn new(source: R, delimiter: u8, line: u64) -> Self {
        Self {
            source,
            delimiter,
            after_return: false,
            last: b'\n',
            place: CsvPosition::FieldStart,
            row_length: 0,
            line,
            row_line: line,
        }
    }

    fn note(&mut self, byte: u8) {
        self.row_length += 1;
        self.place = match (self.place, byte) {
            (CsvPosition::FieldStart | CsvPosition::QuoteInQuoted, b'"') => CsvPosition::Quoted,
            (CsvPosition::Quoted, b'"') => CsvPosition::QuoteInQuoted,
            (CsvPosition::Quoted, _) => CsvPosition::Quoted,
            (_, b'\n') => {
                (self.row_length, self.row_line) = (0, self.line + 1);
                CsvPosition::FieldStart
            }
            (_, byte) if byte == self.delimiter => CsvPosition::FieldStart,
            _ => CsvPosition::Plain,
        };
        self.line += u64::from(byte == b'\n');
    }

    fn check(&self, at_end: bool) -> std::io::Result<()> {
        if self.row_length <= LONGEST_ROW && !(at_end && self.place == CsvPosition::Quoted) {
            return Ok(());
        }
        let what = if self.place == CsvPosition::Quoted {
            "opens a quote that is never closed"
        } else {
            "is longer than 64 KB"
        };
        Err(std::io::Error::other(format!(
            "the row in line {} {what}",
            self.row_line
        )))
    }
}

impl<R: Read> Read for PlainLines<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        loop {
            let length = self.source.read(buffer)?;
            if length == 0 {
                self.check(true)?;
                // The last line may lack its end.
                let missing = self.last != b'\n' && !buffer.is_empty();
                if missing {
                    (buffer[0], self.last) = (b'\n', b'\n');
                }
                return Ok(usize::from(missing));
            }
            let mut kept = 0;
            for at in 0..length {
                let byte = buffer[at];
                let second_half = byte == b'\n' && self.after_return;
                self.after_return = byte == b'\r';
                if !second_half {
                    self.last = if byte == b'\r' { b'\n' } else { byte };
                    self.note(self.last);
                    buffer[kept] = self.last;
                    kept += 1;
                }
                self.check(false)?;
            }
            if kept > 0 {
                return Ok(kept);
            }
        }
    }
}

/// Reads until `buffer` is full or the source ends.
fn fill(source: &mut impl Read, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut length = 0;
    while length < buffer.len() {
        match source.read(&mut buffer[length..]) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(length)
}

#[cfg(test)]
#[path = "spreadsheet_tests.rs"]
mod tests;
