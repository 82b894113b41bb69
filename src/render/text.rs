//! Words made to fit: cleaned, cut, wrapped.

use crate::domain::address::is_noncharacter;
use crate::domain::rendered_mail::SINCE_HOLE;
use crate::domain::rendered_mail::SINCE_LENGTH;

/// Number of characters beyond a cut that decide whether a word or a sentence ends there.
const AHEAD: usize = 8;

/// One line without what could break out of it: white space is folded; control characters, noncharacters (they mark the
/// holes of a mail) and characters that turn the direction of the text after them are dropped.
pub fn clean(text: &str) -> String {
    clean_start(text, usize::MAX)
}

/// The same of the first `most` characters: what is cut short anyway need not be read to its end.
fn clean_start(text: &str, most: usize) -> String {
    let turns = |c: char| matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}');
    let (mut line, mut length) = (String::new(), 0);
    for c in text.chars() {
        let folded = if c.is_whitespace() { ' ' } else { c };
        let dropped = if folded == ' ' {
            line.is_empty() || line.ends_with(' ')
        } else {
            c.is_control() || is_noncharacter(c) || turns(c)
        };
        if dropped {
            continue;
        }
        line.push(folded);
        length += 1;
        if length == most {
            break;
        }
    }
    line.truncate(line.trim_end().len());
    line
}

/// At most `max` characters of it, cut between words and marked with an ellipsis.
pub fn shorten(text: &str, max: usize) -> String {
    let line = clean_start(text, max.saturating_add(AHEAD));
    let Some((end, _)) = line.char_indices().nth(max) else {
        return line;
    };
    let last = line
        .char_indices()
        .nth(max.saturating_sub(1))
        .map_or(end, |(at, _)| at);
    let head = &line[..last];
    // A word boundary in the second half is worth having; a text without one is cut where it stands.
    let inside = !line[last..].starts_with(' ');
    let cut = head
        .rfind(' ')
        .filter(|at| inside && at * 2 > head.len())
        .unwrap_or(head.len());
    format!(
        "{}…",
        head[..cut].trim_end_matches([' ', ',', ';', ':', '-', '–', '—'])
    )
}

/// Columns of a text in a mail as it is sent: in quoted-printable (RFC 2045 6.7) a letter of another alphabet's takes three for each byte. What is
/// written in such letters throughout is sent in base64, where lines are cut anyway.
fn columns_sent(text: &str) -> usize {
    let width = |c: char| match c {
        '=' => 3,
        '\u{80}'..='\u{24F}' | '\u{2010}'..='\u{20BF}' => 3 * c.len_utf8(),
        _ => columns(c.encode_utf8(&mut [0; 4])),
    };
    text.chars().map(width).sum()
}

/// Returns how many columns the text takes in a mail shown with letters of one width. East Asian letters and emoji take two.
pub fn columns(text: &str) -> usize {
    let wide = |c: char| {
        matches!(u32::from(c), 0x1100..=0x115F | 0x2E80..=0xA4CF | 0xAC00..=0xD7A3 | 0xF900..=0xFAFF | 0xFE30..=0xFE6F | 0xFF00..=0xFF60
            | 0xFFE0..=0xFFE6 | 0x1F300..=0x1FAFF | 0x20000..=0x3FFFD)
    };
    let width = |c: char| match c {
        SINCE_HOLE => SINCE_LENGTH,
        _ if wide(c) => 2,
        _ => 1,
    };
    text.chars().map(width).sum()
}

/// The text in lines of at most `width` columns as they are sent. A word longer than a line is broken, unless it is a link.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let (mut line, mut used) = (String::new(), 0);
    for word in text.split_whitespace() {
        if used > 0 && used + 1 + columns_sent(word) > width {
            lines.push(std::mem::take(&mut line));
            used = 0;
        }
        if used > 0 {
            line.push(' ');
            used += 1;
        }
        let is_link = ["https://", "http://"]
            .iter()
            .any(|start| word.contains(start));
        for c in word.chars() {
            let wide = columns_sent(c.encode_utf8(&mut [0; 4]));
            if !is_link && used + wide > width {
                lines.push(std::mem::take(&mut line));
                used = 0;
            }
            line.push(c);
            used += wide;
        }
    }
    if !line.is_empty() || lines.is_empty() {
        lines.push(line);
    }
    lines
}
