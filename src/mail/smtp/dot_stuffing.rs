//! Dot-stuffing (RFC 5321 4.5.2), by a vectorised search: lettre's goes byte by byte, at 150 us for 50 KB.

use memchr::memmem;

/// A mail's text as it goes over the line: each line's leading dot doubled. Without any, which is how our own mails are
/// made, that is the text itself; else it is written into `room`.
pub(in crate::mail) fn dot_stuffed<'a>(message: &'a [u8], room: &'a mut Vec<u8>) -> &'a [u8] {
    let mut dots = memmem::find_iter(message, b"\r\n.")
        .map(|at| at + "\r\n".len())
        .peekable();
    let leads = message.starts_with(b".");
    if !leads && dots.peek().is_none() {
        return message;
    }
    room.clear();
    if leads {
        room.push(b'.');
    }
    let mut done = 0;
    for dot in dots {
        room.extend_from_slice(&message[done..dot]);
        room.push(b'.');
        done = dot;
    }
    room.extend_from_slice(&message[done..]);
    room
}

/// Returns what ends a text: the final dot, behind the line end that the text brought or did not.
pub(in crate::mail) fn end_of(message: &[u8]) -> &'static [u8] {
    if message.ends_with(b"\r\n") {
        b".\r\n"
    } else {
        b"\r\n.\r\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sent(message: &str) -> String {
        let mut room = Vec::new();
        let mut sent = dot_stuffed(message.as_bytes(), &mut room).to_vec();
        sent.extend_from_slice(end_of(message.as_bytes()));
        String::from_utf8(sent).expect("UTF-8")
    }

    #[test]
    fn a_leading_dot_is_doubled_and_the_last_line_ends_once() {
        assert_eq!(sent(".a\r\n..b\r\nc.\r\n"), "..a\r\n...b\r\nc.\r\n.\r\n");
        assert_eq!(
            sent("\r\n.\r\nMAIL FROM:<eve@example.org>"),
            "\r\n..\r\nMAIL FROM:<eve@example.org>\r\n.\r\n"
        );
        assert_eq!(sent(""), "\r\n.\r\n");
    }

    proptest! {
        #[test]
        fn a_server_reads_what_was_written(lines in prop::collection::vec("[.a]{0,4}", 1..8)) {
            let sent = sent(&lines.join("\r\n"));
            let (body, end) = sent.split_at(sent.len() - 3);
            prop_assert_eq!(end, ".\r\n");
            let read: Vec<&str> = body.split_terminator("\r\n").map(|line| line.strip_prefix('.').unwrap_or(line)).collect();
            prop_assert!(body.split("\r\n").all(|line| line != "."), "no text ends the mail early");
            let expected: &[String] = if lines.last().is_some_and(String::is_empty) && lines.len() > 1 { &lines[..lines.len() - 1] } else { &lines };
            prop_assert_eq!(read, expected);
        }
    }
}
