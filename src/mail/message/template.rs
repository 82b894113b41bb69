//! A mail, encoded once and filled per reader: encoding 40 KB costs a thousand times what copying them does.

use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::Datelike;
use chrono::Timelike;

use crate::domain::Timestamp;
use crate::domain::address::EmailAddress;
use crate::domain::rendered_mail::Rendered;
use crate::domain::rendered_mail::SINCE_LENGTH;
use crate::domain::verp::VERP_LENGTH;
use crate::mail::message::base64_body::Base64Body;
use crate::mail::message::header;
use crate::mail::message::mailbox::Mailbox;
use crate::mail::message::quoted;
use crate::mail::message::template_builder::Placeholder;
use crate::mail::message::template_builder::TOKEN_LENGTH;
use crate::mail::message::template_builder::TemplateBuilder;

/// Header fields besides the subject and those that [`Recipient`] adds.
pub struct TemplateHeaders {
    /// Sender.
    pub from: Mailbox,
    /// Address for answers, when not that of `from`.
    pub reply_to: Option<Mailbox>,
    /// More header lines, in this order: `List-Unsubscribe` and the like. A value may hold the holes of [`crate::domain::rendered_mail`]. A control
    /// character counts as a space; a word longer than 900 octets cannot stand in a header (RFC 5322 2.1.1) and is encoded.
    pub extra: Vec<(&'static str, String)>,
}

/// Parts that differ from reader to reader.
pub struct Recipient<'a> {
    /// To whom; before the @ it may be UTF-8 and goes out as such (RFC 6532).
    pub to: &'a EmailAddress,
    /// Text that fills each [`crate::domain::rendered_mail::TOKEN_PLACEHOLDER`]: [`crate::mail::TOKEN_LENGTH`] of base64url's characters. A text with
    /// others in it is no token, and leaves the holes empty.
    pub token: &'a str,
    /// Text that fills each [`crate::domain::rendered_mail::READER_HOLE`], by the same rule.
    pub reader: &'a str,
    /// The day since when they get the newsletter, as it is read ("17 November 2026"): ASCII letters, digits and spaces, at
    /// most [`crate::domain::rendered_mail::SINCE_LENGTH`]; anything else leaves its holes empty.
    pub since: &'a str,
    /// This delivery's own part of the address that the letter names ([`crate::domain::verp`]), or nothing.
    pub verp: &'a str,
    /// The `Message-ID`, without its angle brackets. A mail sent again keeps it.
    pub message_id: &'a str,
    /// The `Date`, in whole seconds.
    pub date: Timestamp,
}

/// A mail ready to be filled: header and both bodies as they go out, with holes.
pub struct MessageTemplate(TemplateBuilder);

/// RFC 2045 6.7: `=_` cannot occur in a quoted-printable body, so one boundary is safe for any text.
const BOUNDARY: &str = "=_verdicts";

impl MessageTemplate {
    /// Encodes a mail: `multipart/alternative` (RFC 2046 5.1.4) with the text first and the HTML last, both in UTF-8 and
    /// quoted-printable. Base64, which spam filters dislike and no person can read in a log, only where it is shorter; not 8bit, which a
    /// relay may rewrite and so break a DKIM signature.
    pub fn new(mail: &Rendered, headers: &TemplateHeaders) -> Self {
        let mut draft = TemplateBuilder::default();
        header::mailbox(&mut draft, "From", &headers.from);
        draft.push("To: ").hole(Placeholder::To).push("\r\n");
        header::text(&mut draft, "Subject", &mail.subject);
        draft.push("Date: ").hole(Placeholder::Date).push("\r\n");
        draft
            .push("Message-ID: <")
            .hole(Placeholder::MessageId)
            .push(">\r\n");
        if let Some(reply_to) = &headers.reply_to {
            header::mailbox(&mut draft, "Reply-To", reply_to);
        }
        for (name, value) in &headers.extra {
            header::value(&mut draft, name, value);
        }
        draft
            .push("MIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary=\"")
            .push(BOUNDARY)
            .push("\"\r\n");
        for (subtype, body) in [("plain", &mail.text), ("html", &mail.html)] {
            draft
                .push("\r\n--")
                .push(BOUNDARY)
                .push("\r\nContent-Type: text/")
                .push(subtype)
                .push("; charset=utf-8\r\n");
            match Base64Body::of(body) {
                None => {
                    draft.push("Content-Transfer-Encoding: quoted-printable\r\n\r\n");
                    quoted::printable(&mut draft, body);
                }
                Some(encoded) => {
                    draft.push("Content-Transfer-Encoding: base64\r\n\r\n");
                    encoded.write(&mut draft);
                }
            }
        }
        draft.push("\r\n--").push(BOUNDARY).push("--\r\n");
        Self(draft)
    }

    /// As long as a filled copy may be at the most, in bytes: what `SIZE` (RFC 1870) tells a server beforehand.
    pub fn longest(&self) -> usize {
        // One hole holds an address (RFC 5321 4.5.3.1.3), the others what our tokens, dates and ids need.
        self.0.bytes().len() + 256 + 80 * self.0.holes().len()
    }

    /// Writes the mail for one reader into `out`, whose old content goes and whose room is used again.
    pub fn fill(&self, recipient: &Recipient<'_>, out: &mut Vec<u8>) {
        // Looked at once, copied into each hole.
        let token = only(recipient.token, TOKEN_LENGTH, b"-_");
        let reader = only(recipient.reader, TOKEN_LENGTH, b"-_");
        let since = only(recipient.since, SINCE_LENGTH, b" ");
        let verp = only(recipient.verp, VERP_LENGTH, b"");
        out.clear();
        let mut done = 0;
        for &(at, hole) in self.0.holes() {
            out.extend_from_slice(&self.0.bytes()[done..at]);
            done = at;
            match hole {
                Placeholder::To => out.extend_from_slice(recipient.to.as_str().as_bytes()),
                Placeholder::Date => write_date(out, recipient.date),
                Placeholder::MessageId => out.extend(
                    recipient
                        .message_id
                        .bytes()
                        .filter(|b| b.is_ascii_graphic() && !b"<>".contains(b)),
                ),
                Placeholder::Token => out.extend_from_slice(token),
                Placeholder::Reader => out.extend_from_slice(reader),
                Placeholder::Since => out.extend_from_slice(since),
                Placeholder::Verp => out.extend_from_slice(verp),
                Placeholder::TokenBase64 => write_base64(out, token),
                Placeholder::ReaderBase64 => write_base64(out, reader),
                Placeholder::SinceBase64 => write_base64(out, &padded(since)),
            }
        }
        out.extend_from_slice(&self.0.bytes()[done..]);
    }
}

/// The bytes of a text that fits its holes: no longer than the room kept, and of letters, digits and `others` alone. Any
/// other would need an encoding, and breaks out of the line that was laid out for it.
fn only<'a>(text: &'a str, room: usize, others: &[u8]) -> &'a [u8] {
    let fits = text.len() <= room
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || others.contains(&b));
    if fits { text.as_bytes() } else { b"" }
}

/// A day with spaces before it, so that three divides its length: they stand behind a space, and are seen as one in HTML.
fn padded(since: &[u8]) -> [u8; SINCE_LENGTH.next_multiple_of(3)] {
    let mut padded = [b' '; SINCE_LENGTH.next_multiple_of(3)];
    let start = padded.len().saturating_sub(since.len());
    padded[start..].copy_from_slice(since);
    padded
}

fn write_base64(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(STANDARD.encode(bytes).as_bytes());
}

/// RFC 5322 3.3. By hand, because chrono's own formatting allocates, and this is all of it.
fn write_date(out: &mut Vec<u8>, date: Timestamp) {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let (weekday, month) = (date.weekday(), MONTHS[date.month0() as usize]);
    let (day, year, hour, minute, second) = (
        date.day(),
        date.year(),
        date.hour(),
        date.minute(),
        date.second(),
    );
    // Writing into a Vec cannot fail.
    let _ = write!(
        out,
        "{weekday}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} +0000"
    );
}

#[cfg(test)]
#[path = "template_tests.rs"]
mod tests;
