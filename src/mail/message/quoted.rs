//! Bodies as quoted-printable (RFC 2045 6.7), with holes that stay whole.

use crate::mail::message::template_builder::Placeholder;
use crate::mail::message::template_builder::TemplateBuilder;
use crate::mail::message::template_builder::width;

/// A line may have 76 columns; the last is kept for the `=` of a soft line break.
const ROOM: usize = 75;

/// Writes a text, whatever its line ends are, with CRLF between its lines and none after the last.
pub(in crate::mail) fn printable(draft: &mut TemplateBuilder, text: &str) {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    for (number, line) in text.split('\n').enumerate() {
        if number > 0 {
            draft.push("\r\n");
        }
        write_line(draft, line);
    }
}

fn write_line(draft: &mut TemplateBuilder, line: &str) {
    let mut column = 0;
    for (at, c) in line.char_indices() {
        let rest = &line[at + c.len_utf8()..];
        let mut is_literal = is_literal(c, rest.is_empty());
        let needed = if is_literal {
            width(c)
        } else {
            3 * c.len_utf8()
        };
        if column + needed > ROOM {
            draft.push("=\r\n");
            column = 0;
        }
        // Mailbox files (mbox) put a ">" before a line that begins so, which would break a signature. And a leading dot is doubled
        // on the line (RFC 5321 4.5.2), for which the whole mail would be copied.
        is_literal &= column > 0 || !(c == '.' || c == 'F' && rest.starts_with("rom "));
        if is_literal {
            draft.push_char(c);
            column += needed;
        } else {
            c.encode_utf8(&mut [0; 4]).bytes().for_each(|byte| {
                draft.push(&format!("={byte:02X}"));
            });
            column += 3 * c.len_utf8();
        }
    }
}

fn is_literal(c: char, ends_the_line: bool) -> bool {
    match c {
        // Servers strip white space at the end of a line.
        ' ' | '\t' => !ends_the_line,
        '=' => false,
        _ => Placeholder::of(c).is_some() || c.is_ascii_graphic(),
    }
}
