//! The header of a mail or of one of its parts.

use mail_parser::HeaderName;
use mail_parser::MessageParser;
use memchr::memchr;
use memchr::memmem;

/// Bytes of one header block that are looked at, of one field, and fields.
const HEADER: usize = 256 << 10;

const FIELD: usize = 16 << 10;

const FIELDS: usize = 400;

/// The fields of a header, decoded (RFC 2047), names in lower case.
#[derive(Debug, Clone, Default)]
pub struct HeaderFields(Vec<(String, String)>);

impl HeaderFields {
    /// The first field of that name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// All fields of that name.
    pub fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(move |(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// The value, or nothing, in lower case.
    pub fn lower(&self, name: &str) -> String {
        self.get(name).unwrap_or_default().to_lowercase()
    }

    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Returns whether these are fields of a mail that was under way, and not of a part of one.
    pub fn is_of_mail(&self) -> bool {
        self.has("from")
            && (self.has("received") || self.has("message-id") || self.has("return-path"))
    }

    /// Reads the fields of a block of text, and says where the block ends.
    pub fn read(text: &[u8]) -> (Self, usize) {
        let mut fields: Vec<(String, Vec<u8>)> = Vec::new();
        let mut at = 0;
        while at < text.len() {
            let end = memchr(b'\n', &text[at..]).map_or(text.len(), |length| at + length);
            let line = &text[at..end];
            let next = (end + 1).min(text.len());
            if line.is_empty() {
                at = next;
                break;
            }
            let folded = matches!(line[0], b' ' | b'\t');
            let colon = memchr(b':', line).filter(|colon| is_field_name(&line[..*colon]));
            match (folded, colon) {
                (true, _) => {
                    if let Some((_, value)) = fields.last_mut()
                        && value.len() < FIELD
                    {
                        value.extend_from_slice(&line[..line.len().min(FIELD)]);
                    }
                }
                (false, Some(colon)) => {
                    if fields.len() < FIELDS && at < HEADER {
                        let name = String::from_utf8_lossy(&line[..colon])
                            .trim_end()
                            .to_ascii_lowercase();
                        fields.push((
                            name,
                            line[colon + 1..].iter().copied().take(FIELD).collect(),
                        ));
                    }
                }
                // A file in mbox form begins with a line of its own; any other line that is no field begins the text.
                (false, None) if line.starts_with(b"From ") || line.starts_with(b">From ") => {}
                (false, None) if fields.is_empty() && at > 0 => {}
                (false, None) => break,
            }
            at = next;
        }
        (
            Self(
                fields
                    .into_iter()
                    .map(|(name, value)| (name, decoded_field(&value)))
                    .collect(),
            ),
            at,
        )
    }
}

fn is_field_name(name: &[u8]) -> bool {
    let name = name.trim_ascii_end();
    (1..=80).contains(&name.len()) && name.iter().all(|b| b.is_ascii_graphic())
}

/// A field's value as text: encoded words read, runs of white space made one space.
fn decoded_field(value: &[u8]) -> String {
    let decoded = if memmem::find(value, b"=?").is_some() {
        let mut block = b"Subject: ".to_vec();
        block.extend(value.iter().map(|b| if *b == b'\n' { b' ' } else { *b }));
        block.extend_from_slice(b"\n\n");
        let parser = MessageParser::new().header_text(HeaderName::Subject);
        let read = parser
            .parse_headers(&block)
            .and_then(|message| message.subject().map(String::from));
        read.unwrap_or_else(|| String::from_utf8_lossy(value).into_owned())
    } else {
        String::from_utf8_lossy(value).into_owned()
    };
    decoded.split_whitespace().collect::<Vec<_>>().join(" ")
}
