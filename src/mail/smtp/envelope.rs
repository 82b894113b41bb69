//! Envelope of a mail: sender and recipient, which are not what its header says (RFC 5321 2.3.1).

use crate::domain::address::EmailAddress;

/// One mail's envelope.
#[derive(Clone, Copy)]
pub struct Envelope<'a> {
    /// The return path: where bounces go. Empty for the null sender (RFC 5321 4.5.5).
    pub from: &'a str,
    /// The one recipient: one per mail, for each mail has its reader's own links.
    pub to: &'a EmailAddress,
    /// The mail's name when it is kept in a folder: one delivery, one name, so that sending it twice keeps it once.
    pub file: &'a str,
}

/// More of an answer than this many bytes helps nobody, and it is stored per delivery.
const LONGEST_REPLY: usize = 500;

impl Envelope<'_> {
    /// A server's words as they may be stored and logged: one line, at most 500 bytes, the recipient's address masked, for
    /// servers love to repeat it and it would outlive an erasure in the ledger.
    pub(in crate::mail) fn tidied(&self, reply: &str) -> String {
        // Most replies are one line that names nobody: they are looked at and copied once.
        if reply.len() <= LONGEST_REPLY && !reply.contains('@') && !reply.contains(char::is_control)
        {
            return reply.to_owned();
        }
        let line: String = reply
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        let mut text = String::with_capacity(line.len());
        let mut done = 0;
        // Lower-casing ASCII moves no byte, so a place in one text is the same place in the other.
        for (at, found) in line
            .to_ascii_lowercase()
            .match_indices(&self.to.as_str().to_ascii_lowercase())
        {
            text += &line[done..at];
            text += &self.to.masked();
            done = at + found.len();
        }
        text += &line[done..];
        text.truncate(text.floor_char_boundary(LONGEST_REPLY));
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_kept_without_the_address_it_repeats() {
        let to = EmailAddress::parse("Bob@example.org").expect("an address");
        let envelope = Envelope {
            from: "",
            to: &to,
            file: "1",
        };
        let reply = "550 5.1.1 <bob@example.org>: no such\r\nuser BOB@Example.ORG";
        assert_eq!(
            envelope.tidied(reply),
            "550 5.1.1 <B***@e***.org>: no such  user B***@e***.org"
        );
        assert_eq!(envelope.tidied(&"ü".repeat(400)).len(), LONGEST_REPLY);
    }
}
