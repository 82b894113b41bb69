//! Notes that a mailbox server hands out in place of a mail that it cannot open. Such a note speaks of the server's own store: it is
//! nobody's bounce, and the mail itself may be there again later.

use super::mime;
use super::mime::MimeParts;

/// Subject and a piece of the text of each, in small letters: both must be there.
const NOTES: [(&str, &str); 3] = [
    // courier-imap 5.0, imap/fetch.c: a file that cannot be opened.
    (
        "message unavailable",
        "this message is no longer available on the server",
    ),
    // Exchange 2003 to 2019, IMAP and POP: content conversion failed.
    (
        "retrieval using the imap4 protocol failed for the following message",
        "the server couldn't retrieve the following message",
    ),
    (
        "retrieval using the pop3 protocol failed for the following message",
        "the server couldn't retrieve the following message",
    ),
];
/// Longer than any of them.
const LENGTH_MAX: usize = 16 << 10;

/// Returns whether a mail is such a note.
pub fn is_substitute(raw: &[u8]) -> bool {
    raw.len() <= LENGTH_MAX && is_note(&mime::take_apart(raw))
}

/// The same of a mail that was taken apart.
pub(super) fn is_note(mail: &MimeParts) -> bool {
    let subject = mail
        .headers
        .get("subject")
        .unwrap_or_default()
        .trim()
        .to_lowercase();
    let fitting = NOTES
        .iter()
        .filter(|(start, _)| subject.starts_with(start))
        .map(|(_, words)| words);
    let length: usize = mail.parts.iter().map(|part| part.text.len()).sum();
    if length > LENGTH_MAX {
        return false;
    }
    let text: String = mail
        .parts
        .iter()
        .map(|part| part.text.to_lowercase().replace('\u{2019}', "'"))
        .collect();
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    fitting.into_iter().any(|words| text.contains(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_servers_note_in_place_of_a_mail_is_known() {
        let courier = "From: System Administrator <root@localhost>\nSubject: message unavailable\n\n\
                       This message is no longer available on the server.\n";
        let exchange = "From: Microsoft Exchange Server\nSubject: Retrieval using the IMAP4 protocol failed for the following message: 12\n\n\
                        The server couldn't retrieve the following message:\n\nSubject: \"Undelivered mail\"\n";
        assert!(is_substitute(courier.as_bytes()) && is_substitute(exchange.as_bytes()));
        let bounce = "From: MAILER-DAEMON\nSubject: Undelivered Mail\n\nada@example.org: this message is no longer available on the server.\n";
        assert!(!is_substitute(bounce.as_bytes()) && !is_substitute(b""));
    }
}
