//! A raw mail taken apart, whatever state it is in: at most so many parts, so deep, so much text.
//!
//! The tree is walked here and not by mail-parser, which takes apart as many parts within parts as there are and gives them
//! back one inside the other: a mail made for it overflows the stack. Its decoders and its charsets do the rest.

use std::borrow::Cow;

use mail_parser::HeaderName;
use mail_parser::HeaderValue;
use mail_parser::MessageParser;
use mail_parser::decoders::base64::base64_decode;
use mail_parser::decoders::charsets::map::charset_decoder;
use mail_parser::decoders::html::html_to_text;
use mail_parser::decoders::quoted_printable::quoted_printable_decode;
use memchr::memchr;
use memchr::memmem;

use super::headers::HeaderFields;

/// Parts within parts.
const DEPTH: usize = 12;
/// Parts in all.
const PARTS: usize = 100;
/// Bytes of one part's text, before it is decoded, and of all parts together.
const TEXT: usize = 256 << 10;
const ALL_TEXT: usize = 1 << 20;

/// One part of a mail that is no container of others.
#[derive(Debug, Default)]
pub struct MimePart {
    pub headers: HeaderFields,
    /// Its type, like `text/plain`, in lower case.
    pub kind: String,
    /// Its text; empty for what is none. Of a mail that is enclosed, its header.
    pub text: String,
    /// Of a part in HTML, the HTML.
    pub html: Option<String>,
    /// True if it is, or belongs to, a mail that this one gives back or encloses.
    pub enclosed: bool,
}

/// A mail taken apart.
#[derive(Debug, Default)]
pub struct MimeParts {
    pub headers: HeaderFields,
    /// The type of the whole, with the parameter `report-type`: `multipart/report; delivery-status`.
    pub kind: String,
    pub parts: Vec<MimePart>,
}

impl MimePart {
    /// Returns true for a file beside the mail, which its author did not write as text (RFC 2183).
    pub fn is_attached(&self) -> bool {
        self.headers
            .lower("content-disposition")
            .starts_with("attachment")
    }
}

/// A `Content-Type`, taken apart.
#[derive(Default)]
struct ContentType {
    name: String,
    boundary: Option<String>,
    charset: Option<String>,
    report: Option<String>,
}

impl ContentType {
    fn of(headers: &HeaderFields, default: &str) -> Self {
        let Some(value) = headers.get("content-type") else {
            return Self {
                name: default.into(),
                ..Self::default()
            };
        };
        // Some gateways fold before a parameter and leave out its semicolon: `text/plain charset=us-ascii`.
        let (name, parameters) = value.split_once([';', ' ']).unwrap_or((value, ""));
        let block = format!(
            "Content-Type: {name}; {}\n\n",
            parameters.trim_start_matches([';', ' '])
        );
        let parser = MessageParser::new().header_content_type(HeaderName::ContentType);
        let read = parser.parse_headers(&block);
        let found =
            read.as_ref()
                .and_then(|message| match message.header(HeaderName::ContentType) {
                    Some(HeaderValue::ContentType(found)) => Some(found),
                    _ => None,
                });
        let Some(found) = found else {
            return Self {
                name: default.into(),
                ..Self::default()
            };
        };
        let attribute = |name| found.attribute(name).map(String::from);
        let name = format!("{}/{}", found.ctype(), found.subtype().unwrap_or_default())
            .to_ascii_lowercase();
        Self {
            name,
            boundary: attribute("boundary"),
            charset: attribute("charset"),
            report: attribute("report-type"),
        }
    }
}

/// A stretch of the mail that is still to be looked at.
struct PendingRange<'a> {
    bytes: Cow<'a, [u8]>,
    depth: usize,
    enclosed: bool,
    default_kind: &'static str,
}

/// Takes a mail apart, in the order in which it is read. Lines may end in CR, LF or CRLF.
pub fn take_apart(raw: &[u8]) -> MimeParts {
    let whole = with_plain_lines(raw);
    let whole = whole.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&whole);
    let start = whole
        .iter()
        .position(|b| !b.is_ascii_whitespace())
        .unwrap_or(whole.len());
    let mut found = MimeParts::default();
    let (mut left, mut left_html) = (ALL_TEXT, ALL_TEXT);
    let mut tasks = vec![PendingRange {
        bytes: Cow::Borrowed(&whole[start..]),
        depth: 0,
        enclosed: false,
        default_kind: "text/plain",
    }];
    while let Some(task) = tasks.pop() {
        if found.parts.len() >= PARTS {
            break;
        }
        let (headers, body_at) = HeaderFields::read(&task.bytes);
        let kind = ContentType::of(&headers, task.default_kind);
        if task.depth == 0 {
            found.headers = headers.clone();
            found.kind = kind.report.as_ref().map_or(kind.name.clone(), |report| {
                format!("{}; {}", kind.name, report.to_ascii_lowercase())
            });
        }
        if let (true, Some(boundary)) = (
            kind.name.starts_with("multipart/") && task.depth < DEPTH,
            &kind.boundary,
        ) {
            let default_kind = if kind.name == "multipart/digest" {
                "message/rfc822"
            } else {
                "text/plain"
            };
            let ranges = between(&task.bytes[body_at..], boundary.as_bytes(), PARTS);
            if !ranges.is_empty() {
                let inner = |range: std::ops::Range<usize>| PendingRange {
                    bytes: sub(&task.bytes, body_at + range.start..body_at + range.end),
                    depth: task.depth + 1,
                    enclosed: task.enclosed,
                    default_kind,
                };
                tasks.extend(ranges.into_iter().map(inner).rev());
                continue;
            }
        }
        let body = &task.bytes[body_at..];
        // A part with a mail's own header is that mail, given back without the line that says so.
        let is_mail = task.depth > 0
            && !task.enclosed
            && kind.name.starts_with("text/")
            && headers.is_of_mail();
        let part = MimePart {
            kind: kind.name.clone(),
            enclosed: task.enclosed || is_mail,
            headers,
            ..MimePart::default()
        };
        match kind.name.as_str() {
            _ if is_mail => {
                let head = String::from_utf8_lossy(&task.bytes[..body_at.min(TEXT)]).into_owned();
                found.parts.push(MimePart {
                    text: cut(head, &mut left),
                    ..part
                });
            }
            "message/rfc822" | "message/global" if task.depth < DEPTH => {
                let inner = transfer_decoded(&part.headers, body, usize::MAX);
                let head = &inner[..HeaderFields::read(&inner).1.min(TEXT)];
                let text = cut(String::from_utf8_lossy(head).into_owned(), &mut left);
                let task = PendingRange {
                    bytes: Cow::Owned(inner.into_owned()),
                    depth: task.depth + 1,
                    enclosed: true,
                    default_kind: "text/plain",
                };
                found.parts.push(MimePart {
                    text,
                    enclosed: true,
                    ..part
                });
                tasks.push(task);
            }
            "text/rfc822-headers" | "message/rfc822-headers" | "message/global-headers" => {
                let text = text_of(&part.headers, &kind, body);
                found.parts.push(MimePart {
                    text: cut(text, &mut left),
                    enclosed: true,
                    ..part
                });
            }
            "text/html" => {
                let html = text_of(&part.headers, &kind, body);
                let text = html_to_text(&html);
                found.parts.push(MimePart {
                    text: cut(text, &mut left),
                    html: Some(cut(html, &mut left_html)),
                    ..part
                });
            }
            name if name.starts_with("text/")
                || name.starts_with("message/")
                || name.starts_with("multipart/") =>
            {
                let text = text_of(&part.headers, &kind, body);
                found.parts.push(MimePart {
                    text: cut(text, &mut left),
                    ..part
                });
            }
            _ => found.parts.push(part),
        }
    }
    found
}

fn sub<'a>(bytes: &Cow<'a, [u8]>, range: std::ops::Range<usize>) -> Cow<'a, [u8]> {
    match bytes {
        Cow::Borrowed(bytes) => Cow::Borrowed(&bytes[range]),
        Cow::Owned(bytes) => Cow::Owned(bytes[range].to_vec()),
    }
}

/// Line feeds only; a mail that has them already is not copied.
fn with_plain_lines(raw: &[u8]) -> Cow<'_, [u8]> {
    if memchr(b'\r', raw).is_none() {
        return Cow::Borrowed(raw);
    }
    let mut plain = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = memchr(b'\r', rest) {
        plain.extend_from_slice(&rest[..at]);
        plain.push(b'\n');
        // A doubled return before the line feed is what some gateways make of one.
        let after = &rest[at + 1..];
        rest = after
            .strip_prefix(b"\r\n")
            .or_else(|| after.strip_prefix(b"\n"))
            .unwrap_or(after);
    }
    plain.extend_from_slice(rest);
    Cow::Owned(plain)
}

/// The stretches between the lines that begin with two hyphens and the boundary; the last may lack its end.
fn between(body: &[u8], boundary: &[u8], most: usize) -> Vec<std::ops::Range<usize>> {
    let mut mark = b"--".to_vec();
    mark.extend_from_slice(boundary.trim_ascii_end());
    let mut ranges = Vec::new();
    let mut open: Option<usize> = None;
    for at in memmem::find_iter(body, &mark) {
        let after = &body[at + mark.len()..];
        let closes = after.starts_with(b"--");
        // A longer boundary may begin like this one.
        let is_whole = closes
            || after
                .iter()
                .find(|b| !matches!(b, b' ' | b'\t'))
                .is_none_or(|b| *b == b'\n');
        if (at > 0 && body[at - 1] != b'\n') || !is_whole || boundary.is_empty() {
            continue;
        }
        if let Some(start) = open.take() {
            ranges.push(start..at.saturating_sub(1).max(start));
        }
        if closes || ranges.len() >= most {
            return ranges;
        }
        open = Some(memchr(b'\n', after).map_or(body.len(), |length| at + mark.len() + length + 1));
    }
    if let Some(start) = open
        && start < body.len()
    {
        ranges.push(start..body.len());
    }
    ranges
}

fn transfer_decoded<'a>(headers: &HeaderFields, body: &'a [u8], most: usize) -> Cow<'a, [u8]> {
    let body = &body[..body.len().min(most)];
    let decoded = match headers.lower("content-transfer-encoding").trim() {
        "base64" => {
            let plain: Vec<u8> = body
                .iter()
                .copied()
                .filter(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/'))
                .collect();
            base64_decode(&plain[..plain.len() / 4 * 4]).map(|mut bytes| {
                let rest = &plain[plain.len() / 4 * 4..];
                if rest.len() > 1 {
                    let mut padded = rest.to_vec();
                    padded.resize(4, b'=');
                    bytes.extend(base64_decode(&padded).unwrap_or_default());
                }
                if memchr(b'\r', &bytes).is_some() {
                    with_plain_lines(&bytes).into_owned()
                } else {
                    bytes
                }
            })
        }
        "quoted-printable" => quoted_printable_decode(body),
        _ => None,
    };
    decoded.map_or(Cow::Borrowed(body), Cow::Owned)
}

fn text_of(headers: &HeaderFields, kind: &ContentType, body: &[u8]) -> String {
    let bytes = transfer_decoded(headers, body, TEXT);
    let charset = kind
        .charset
        .as_deref()
        .filter(|name| !name.eq_ignore_ascii_case("utf-8"));
    // Japanese seven-bit text needs no name to be known.
    let charset = charset.or_else(|| memmem::find(&bytes, b"\x1b$").map(|_| "iso-2022-jp"));
    match (
        std::str::from_utf8(&bytes),
        charset.and_then(|name| charset_decoder(name.as_bytes())),
    ) {
        (_, Some(decode)) => decode(&bytes),
        (Ok(text), None) => text.to_owned(),
        // Eight bits without a name: Latin-1 more often than not, and then no letter is lost.
        (Err(_), None) => bytes.iter().map(|b| char::from(*b)).collect(),
    }
}

fn cut(mut text: String, left: &mut usize) -> String {
    let mut end = text.len().min(*left);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    *left -= end;
    text
}
