//! A mail's body on the wire: undoes the dots, finds the end, and finds fault.

use std::io::BufRead;

use super::script::LONGEST_MAIL;

/// Longest line in bytes with its CRLF (RFC 5321, 4.5.3.1.6); a stuffed dot is not counted.
const LONGEST_LINE: usize = 1000;

/// A body as far as it was read. Memory stays under [`LONGEST_MAIL`] and one read, whatever is sent.
pub struct Body {
    data: Vec<u8>,
    /// Where in `data` the line being read starts.
    line: usize,
    /// Whether the line before ended as it should: only then is a dot the end or a stuffed one. A server that takes
    /// `\n.\r\n` for the end lets a second mail be smuggled in.
    after_crlf: bool,
    fault: Option<&'static str>,
}

impl Body {
    pub fn new() -> Body {
        Body {
            data: Vec::new(),
            line: 0,
            after_crlf: true,
            fault: None,
        }
    }

    /// Reads on, at most to the end of the body. Returns how much of the input belongs to it and whether it is whole.
    pub fn read(&mut self, input: &[u8]) -> (usize, bool) {
        let mut rest = input;
        while !rest.is_empty() {
            // The standard library's search is optimised in a debug build too; a loop here would not be.
            rest.read_until(b'\n', &mut self.data)
                .expect("a slice can be read");
            if self.data.last() != Some(&b'\n') {
                self.cut_endless_line();
            } else if self.end_line() {
                return (input.len() - rest.len(), true);
            }
        }
        (input.len(), false)
    }

    /// The mail, or the reply that refuses it.
    pub fn finish(self) -> Result<Vec<u8>, &'static str> {
        self.fault.map_or(Ok(self.data), Err)
    }

    /// Returns whether the line was the final dot.
    fn end_line(&mut self) -> bool {
        let line = &self.data[self.line..];
        if self.after_crlf && line == b".\r\n" {
            self.data.truncate(self.line);
            return true;
        }
        if self.after_crlf && line.starts_with(b".") {
            self.data.remove(self.line);
        }
        let line = &self.data[self.line..];
        self.after_crlf = line.ends_with(b"\r\n");
        if line.len() > LONGEST_LINE {
            self.blame("554 5.6.0 a line is longer than 998 octets");
        }
        if !self.after_crlf {
            self.blame("550 5.5.2 bare <LF> received");
        }
        if self.data.len() > LONGEST_MAIL {
            self.blame("552 5.3.4 message too big");
        }
        if self.fault.is_some() {
            self.data.clear();
        }
        self.line = self.data.len();
        false
    }

    /// Keeps enough of a line without end to be found too long when it ends.
    fn cut_endless_line(&mut self) {
        self.data.truncate(self.line + LONGEST_LINE + 1);
    }

    fn blame(&mut self, reply: &'static str) {
        self.fault.get_or_insert(reply);
    }
}
