//! Replies as text: whole UTF-8 characters, whatever a server sends and wherever a read cuts it.

/// Whole characters out of the bytes of a reply; one that a read cut waits for its rest.
///
/// Replies are ASCII (RFC 5321 4.2), or UTF-8 where SMTPUTF8 is offered (RFC 6531 3.7.4.2), and many servers say why they refuse a
/// mail in their own language in any case. lettre takes a reply that is not UTF-8 for a broken connection: an old server that says
/// "250 angekommen, schöne Grüße" in Latin-1 would leave each mail in doubt. Such a byte becomes a question mark.
#[derive(Debug, Default)]
pub struct Whole {
    cut: Vec<u8>,
}

impl Whole {
    /// Bytes that wait for the rest of their character: 3 at most.
    pub fn waiting(&self) -> usize {
        self.cut.len()
    }

    /// The characters that are whole with these bytes; none at all is the end of the line, and what waits will not be whole.
    pub fn take(&mut self, fresh: &[u8]) -> Vec<u8> {
        let mut bytes = std::mem::take(&mut self.cut);
        let ends = fresh.is_empty();
        bytes.extend_from_slice(fresh);
        let mut done = 0;
        while let Err(error) = std::str::from_utf8(&bytes[done..]) {
            let bad = done + error.valid_up_to();
            let length = match error.error_len() {
                Some(length) => length,
                None if ends => bytes.len() - bad,
                None => {
                    self.cut = bytes.split_off(bad);
                    break;
                }
            };
            bytes[bad..bad + length].fill(b'?');
            done = bad + length;
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_that_a_read_cuts_is_made_whole() {
        let text = "550 Empfänger unbekannt 用户不存在".as_bytes();
        for cut in 0..text.len() {
            let mut whole = Whole::default();
            let mut taken = if cut == 0 {
                Vec::new()
            } else {
                whole.take(&text[..cut])
            };
            taken.extend(whole.take(&text[cut..]));
            assert_eq!(
                (taken.as_slice(), whole.waiting()),
                (text, 0),
                "cut at {cut}"
            );
        }
    }

    #[test]
    fn what_is_no_utf8_becomes_a_question_mark() {
        let mut whole = Whole::default();
        assert_eq!(
            whole.take(b"250 sch\xf6ne Gr\xfc\xdfe\r\n"),
            b"250 sch?ne Gr??e\r\n"
        );
        assert_eq!(
            (whole.take(b"ok \xe7\x94"), whole.waiting()),
            (b"ok ".to_vec(), 2)
        );
        assert_eq!(whole.take(b""), b"??");
    }
}
