//! Subscriber files: CSV in, row by row, and out.

use std::borrow::Cow;
use std::io::Read;

use csv::ByteRecord;

use super::dialects::Columns;
use crate::domain::Timestamp;
use crate::domain::address::EmailAddress;
use crate::domain::subscriber::SubscriberState;
use crate::domain::zone::ZoneName;

/// A row that could be read.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// `email`
    pub email: EmailAddress,
    /// `name`
    pub name: Option<String>,
    /// `confirmed_at`
    pub confirmed_at: Option<Timestamp>,
    /// `source`
    pub source: Option<String>,
    /// `state`: how somebody stood where the file comes from.
    pub state: Option<SubscriberState>,
    /// `timezone`, where it is an IANA name.
    pub timezone: Option<ZoneName>,
}

/// A row that could not.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Refused {
    /// Its line in the file, from 1.
    pub line: u64,
    /// Why, and what was expected.
    pub reason: String,
}

/// A file of subscribers, read one row at a time: memory does not grow with it.
pub struct Spreadsheet<R> {
    reader: csv::Reader<R>,
    columns: Columns,
    record: ByteRecord,
}

impl<R: Read> Spreadsheet<R> {
    /// Reads the header. Commas, semicolons or tabs separate; a byte order mark is no part of it.
    ///
    /// # Errors
    /// A sentence: what is missing in the header.
    pub fn open(mut source: R) -> Result<Spreadsheet<impl Read>, String> {
        let mut head = vec![0; 8 << 10];
        let length = fill(&mut source, &mut head).map_err(|error| format!("it cannot be read: {error}"))?;
        head.truncate(length);
        if head.starts_with(b"\xEF\xBB\xBF") {
            head.drain(..3);
        }
        let first_line = head.split(|b| matches!(b, b'\n' | b'\r')).next().unwrap_or_default();
        let count = |separator: u8| first_line.iter().filter(|b| **b == separator).count();
        let delimiter = [b',', b';', b'\t'].into_iter().max_by_key(|s| (count(*s), *s == b',')).unwrap_or(b',');
        let whole = PlainLines::new(std::io::Cursor::new(head).chain(source), delimiter);
        let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).flexible(true).from_reader(whole);
        let header = reader.byte_headers().map_err(|error| format!("its header cannot be read: {error}"))?;
        let columns = Columns::of(header)?;
        Ok(Spreadsheet { reader, columns, record: ByteRecord::new() })
    }

    /// The next row, or why it is refused; `None` at the end. An error of reading ends everything.
    pub fn next_row(&mut self) -> Option<Result<Result<Row, Refused>, String>> {
        match self.reader.read_byte_record(&mut self.record) {
            Ok(false) => None,
            Ok(true) => {
                // Where the reader stands now, less the lines of this row: before the row it had not passed empty lines yet.
                let inside = self.record.as_slice().iter().filter(|b| **b == b'\n').count() as u64;
                let line = self.reader.position().line().saturating_sub(1 + inside);
                Some(Ok(self.columns.row(&self.record).map_err(|reason| Refused { line, reason })))
            }
            Err(error) => Some(Err(error.to_string())),
        }
    }
}

/// A text as a cell that no spreadsheet takes for a formula (OWASP, "CSV Injection"): an apostrophe before what would begin one
/// makes it text there. [`taken`] takes it off again, so that what is exported is imported as it was.
pub fn defused(text: &str) -> Cow<'_, str> {
    if begins_a_formula(text) { format!("'{text}").into() } else { text.into() }
}

/// The text of a cell that [`defused`] wrote.
pub fn taken(cell: &str) -> &str {
    cell.strip_prefix('\'').filter(|text| begins_a_formula(text)).unwrap_or(cell)
}

/// Apostrophes before it count too: else one of a text's own would be taken for ours.
fn begins_a_formula(text: &str) -> bool {
    text.trim_start_matches('\'').starts_with(['=', '+', '-', '@', '\t', '\r'])
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
    place: Place,
    row_length: usize,
    line: u64,
    row_line: u64,
}

/// Where in a row the next byte stands.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    FieldStart,
    Plain,
    Quoted,
    /// Behind a quote in a quoted field: its end, or half of a doubled one.
    QuoteInQuoted,
}

impl<R: Read> PlainLines<R> {
    fn new(source: R, delimiter: u8) -> Self {
        Self { source, delimiter, after_return: false, last: b'\n', place: Place::FieldStart, row_length: 0, line: 1, row_line: 1 }
    }

    fn note(&mut self, byte: u8) {
        self.row_length += 1;
        self.place = match (self.place, byte) {
            (Place::FieldStart | Place::QuoteInQuoted, b'"') => Place::Quoted,
            (Place::Quoted, b'"') => Place::QuoteInQuoted,
            (Place::Quoted, _) => Place::Quoted,
            (_, b'\n') => {
                (self.row_length, self.row_line) = (0, self.line + 1);
                Place::FieldStart
            }
            (_, byte) if byte == self.delimiter => Place::FieldStart,
            _ => Place::Plain,
        };
        self.line += u64::from(byte == b'\n');
    }

    fn check(&self, at_end: bool) -> std::io::Result<()> {
        if self.row_length <= LONGEST_ROW && !(at_end && self.place == Place::Quoted) {
            return Ok(());
        }
        let what = if self.place == Place::Quoted { "opens a quote that is never closed" } else { "is longer than 64 KB" };
        Err(std::io::Error::other(format!("the row in line {} {what}", self.row_line)))
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
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rows(text: impl AsRef<[u8]>) -> Vec<Result<Row, Refused>> {
        let bytes = text.as_ref().to_vec();
        let mut sheet = Spreadsheet::open(std::io::Cursor::new(bytes)).expect("a header");
        std::iter::from_fn(|| sheet.next_row()).map(|row| row.expect("readable")).collect()
    }

    #[test]
    fn a_plain_file_is_read_whatever_program_wrote_it() {
        let plain = "email,name,confirmed_at,source\nada@example.org,\"Lovelace, Ada\",2026-01-02T03:04:05Z,fair\n";
        let excel = "\u{feff}email;name;confirmed_at;source\r\nada@example.org;\"Lovelace, Ada\";2026-01-02T03:04:05Z;fair\r\n";
        let row = rows(plain).remove(0).expect("good");
        assert_eq!(
            (row.email.as_str(), row.name.as_deref(), row.source.as_deref()),
            ("ada@example.org", Some("Lovelace, Ada"), Some("fair"))
        );
        assert_eq!(rows(excel), [Ok(row)]);
    }

    #[test]
    fn a_broken_row_is_refused_with_its_line_and_the_rest_is_read() {
        let read = rows(b"email,name,state\nada@example.org,Ada,active\nnonsense,x,\nbob@example.org\neve@example.org,\xff,\nmax@example.org,M,gone\n,x,\nzoe@example.org,,unsubscribed\n");
        let faults: Vec<(u64, &str)> = read.iter().filter_map(|row| row.as_ref().err()).map(|r| (r.line, r.reason.as_str())).collect();
        assert_eq!(read.iter().filter(|row| row.is_ok()).count(), 2);
        assert_eq!(faults.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [3, 4, 5, 6, 7]);
        assert!(faults[1].1.contains("expected 3 fields") && faults[2].1.contains("UTF-8") && faults[3].1.contains("pending, active"));
    }

    #[test]
    fn a_file_without_addresses_is_refused_as_a_whole() {
        assert!(Spreadsheet::open("name,mail\n".as_bytes()).err().expect("refused").contains("a column \"email\""));
        assert!(Spreadsheet::open("".as_bytes()).is_err());
    }

    #[test]
    fn a_quote_that_is_never_closed_ends_the_whole_and_one_inside_a_field_is_a_letter() {
        let faults = |text: &str| {
            let mut sheet = Spreadsheet::open(std::io::Cursor::new(text.to_owned())).expect("a header");
            std::iter::from_fn(|| sheet.next_row()).find_map(Result::err)
        };
        let rest = "r@example.org,R\n".repeat(9_000);
        assert!(faults(&format!("email,name\na@example.org,A\n\"b@example.org,B\n{rest}")).is_some_and(|fault| fault.contains("line 3")));
        assert!(faults("email,name\n\"b@example.org,B\n").is_some_and(|fault| fault.contains("line 2 opens a quote")));
        assert_eq!(faults(&format!("email,name\na@example.org,5\" pipe\n{rest}")), None);
        assert_eq!(faults("email,name\na@example.org,\"A \"\"B\"\"\nC\"\n"), None);
    }

    #[test]
    fn what_a_spreadsheet_would_compute_is_written_as_text() {
        for formula in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "'=1", "=cmd|'/C'!A0@example.org"] {
            assert!(defused(formula).starts_with('\''), "{formula:?}");
        }
        for plain in ["Ada", "O'Neil", "'t Hooft", "", "1 + 1"] {
            assert_eq!(defused(plain), plain);
        }
    }

    proptest! {
        #[test]
        fn what_was_defused_is_taken_back_as_it_was(text in "['=+@a-]{0,5}.{0,3}") {
            let cell = defused(&text).into_owned();
            prop_assert_eq!(taken(&cell), text.as_str());
            prop_assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r']));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..400), header: bool) {
            let mut file = if header { b"email,name,confirmed_at\n".to_vec() } else { Vec::new() };
            file.extend(&bytes);
            if let Ok(mut sheet) = Spreadsheet::open(file.as_slice()) {
                while sheet.next_row().is_some_and(|row| row.is_ok()) {}
            }
        }
    }
}
