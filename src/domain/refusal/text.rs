//! A refusal's text taken apart: codes, the stage of the dialogue, the innermost reply, words and links.

use std::net::IpAddr;

use super::RefusalStage;
use super::rules::Causes;
use super::rules::floor;
use super::rules::without_noise;
use crate::domain::inbound::EnhancedStatus;

/// Bytes of a text that are looked at.
const LONGEST: usize = 8 << 10;

/// A text, taken apart.
#[derive(Debug)]
pub struct NormalizedText {
    /// The words, without names, in [`plain`] form.
    pub words: String,
    /// Words and links of the text.
    pub causes: Causes,
    /// The reply code.
    pub code: Option<u16>,
    /// The enhanced status code, unless it tells of success.
    pub status: Option<EnhancedStatus>,
    /// True if an IP address or a link stands in it.
    pub names_a_place: bool,
}

impl NormalizedText {
    /// Takes a text apart.
    pub fn read(text: &str) -> Self {
        let text = &text[..floor(text, LONGEST)];
        let mut causes = Causes::default();
        let mut names_a_place = false;
        for word in text.split(|c: char| c.is_whitespace() || "<>\"()".contains(c)) {
            let word = word
                .trim_matches(|c: char| !c.is_alphanumeric())
                .to_lowercase();
            if word.contains("://") || word.starts_with("www.") {
                causes.add_link(&word);
                names_a_place = true;
            }
            names_a_place |= word.parse::<IpAddr>().is_ok() && word.len() > 6;
        }
        let words = without_noise(plain(&without_names(text)));
        for sentence in words
            .split_inclusive(". ")
            .flat_map(|part| part.split(['!', '?', '。', '！']))
        {
            causes.add(sentence);
        }
        Self {
            words,
            causes,
            code: reply_code(text),
            status: enhanced(text).filter(|status| status.class != 2),
            names_a_place,
        }
    }

    /// Returns whether hardly a word stands beside the codes.
    pub fn is_bare(&self) -> bool {
        self.words.split_whitespace().count() <= 4 && self.words.len() <= 60 && !self.names_a_place
    }
}

/// The innermost reply of a text in which one server quotes another: `5.1.0 - Unknown address error 550-'5.7.1 ...'` (Cisco
/// ESA), `host ... said: 550 ...` (Postfix), `... the remote server responded: 550 ...` (Google), `LED=550 ...` (Exchange).
pub fn innermost(text: &str) -> &str {
    let opens = |at: &usize| {
        let before = text[..*at].trim_end_matches([' ', '\n', '\'', '"', '(']);
        before.len() < *at && (text[before.len()..*at].contains(['\'', '"', '(']))
            || before.ends_with([':', ';', '=', '>', '\''])
            || [
                "error", "problem", "host", "expired", "returned", "with", "address",
            ]
            .iter()
            .any(|word| before.ends_with(word))
    };
    let has_words = |at: &usize| {
        text[*at + 3..]
            .chars()
            .filter(|c| c.is_alphabetic())
            .count()
            > 2
    };
    let codes = code_places(text).map(|(at, _)| at).filter(|at| *at > 0);
    codes
        .filter(opens)
        .filter(has_words)
        .last()
        .map_or(text, |at| &text[at..])
}

/// The stage that a report names: `(in reply to MAIL FROM command)`, `after RCPT TO:<...>`, `>>> DATA`.
pub fn stage_in(text: &str) -> Option<RefusalStage> {
    const SAID: [(&str, RefusalStage); 20] = [
        ("in reply to mail from", RefusalStage::Sender),
        ("in response to mail from", RefusalStage::Sender),
        ("after mail from", RefusalStage::Sender),
        ("after pipelined mail from", RefusalStage::Sender),
        ("during mail from", RefusalStage::Sender),
        ("at mail from", RefusalStage::Sender),
        ("initial server greeting", RefusalStage::Session),
        ("after initial connection", RefusalStage::Session),
        ("in reply to helo", RefusalStage::Session),
        ("in reply to ehlo", RefusalStage::Session),
        ("after helo", RefusalStage::Session),
        ("after ehlo", RefusalStage::Session),
        ("refused to talk to me", RefusalStage::Session),
        ("in reply to rcpt to", RefusalStage::Recipient),
        ("in response to rcpt to", RefusalStage::Recipient),
        ("after rcpt to", RefusalStage::Recipient),
        ("after pipelined rcpt to", RefusalStage::Recipient),
        ("in reply to end of data", RefusalStage::Text),
        ("after end of data", RefusalStage::Text),
        ("in reply to data", RefusalStage::Data),
    ];
    let text = plain(&text[..floor(text, LONGEST)]);
    SAID.iter()
        .find(|(words, _)| text.contains(words))
        .map(|(_, stage)| *stage)
}

/// The form in which phrases are compared: lower case, one space between words, plain apostrophes.
pub fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !plain.is_empty() {
            plain.push(' ');
        }
        plain.extend(
            word.chars()
                .map(|c| {
                    if matches!(c, '’' | '‘' | '`' | '´') {
                        '\''
                    } else {
                        c
                    }
                })
                .flat_map(char::to_lowercase),
        );
    }
    plain
}

/// The text without names of hosts, addresses and pages: `antispam.example.org` tells nothing of spam.
fn without_names(words: &str) -> String {
    let is_name = |word: &str| {
        let word = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
        let last = word.rsplit('.').next().unwrap_or_default();
        let host = word.contains('.')
            && (2..=7).contains(&last.len())
            && last.bytes().all(|b| b.is_ascii_lowercase())
            && word
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b".-_".contains(&b));
        host || word.contains("://")
            || word.starts_with("www.")
            || (word.contains('@') && word.len() > 1)
    };
    let mut kept = String::with_capacity(words.len());
    // sendmail sets three dots right behind the address.
    let words = words.replace("...", " ");
    for word in words.split([
        ' ', '\t', '\n', '\r', '<', '>', '[', ']', '(', ')', '"', '\u{a0}', ',', '=',
    ]) {
        if !is_name(word) {
            kept.push_str(word);
            kept.push(' ');
        } else if word.ends_with(['.', ':']) {
            // What follows is another sentence.
            kept.push_str(if word.ends_with('.') { ". " } else { ": " });
        }
    }
    without_codes(&kept)
}

/// Takes `550-5.1.1` and the like out of a reply: one of several lines repeats them in front of each, amid a sentence.
fn without_codes(words: &str) -> String {
    let is_code = |word: &str| {
        let (code, rest) = word.split_at(floor(word, 3));
        let digits = code.len() == 3 && code.bytes().all(|b| b.is_ascii_digit());
        (digits
            && (rest.is_empty()
                || rest == "-"
                || rest
                    .strip_prefix(['-', ':'])
                    .is_some_and(|rest| EnhancedStatus::parse(rest).is_some())))
            || EnhancedStatus::parse(word.trim_start_matches('#')).is_some()
    };
    words
        .split_whitespace()
        .filter(|word| !is_code(word))
        .collect::<Vec<_>>()
        .join(" ")
}

/// The reply code of the receiving server: the first number from 400 to 599 that stands where such a code stands.
pub fn reply_code(words: &str) -> Option<u16> {
    code_places(words).next().map(|(_, code)| code)
}

fn code_places(words: &str) -> impl Iterator<Item = (usize, u16)> {
    digits_at(words).filter_map(|(at, digits)| {
        let before = words[..at].chars().next_back();
        let after = words[at + digits.len()..].chars().next();
        let stands = before.is_none_or(|c| c.is_whitespace() || ";:(\"'<>#-[=,".contains(c))
            && after.is_none_or(|c| c.is_whitespace() || "-:;\"')#,.]".contains(c));
        // Part of a longer number, a time or a version: none of those.
        let alone = !(after == Some('.')
            && words[at + digits.len() + 1..].starts_with(|c: char| c.is_ascii_digit()));
        let code: u16 = digits.parse().ok()?;
        (stands && alone && digits.len() == 3 && (400..=599).contains(&code)).then_some((at, code))
    })
}

/// The enhanced status code in the words: the one behind a reply code, or behind a `#`, or the first.
pub fn enhanced(words: &str) -> Option<EnhancedStatus> {
    let mut first = None;
    for (at, _) in digits_at(words) {
        let before = words[..at].chars().next_back();
        let length = words[at..]
            .bytes()
            .take_while(|b| b.is_ascii_digit() || *b == b'.')
            .count();
        let text = words[at..at + length].trim_end_matches('.');
        let after = words[at + length..].chars().next();
        let stands = before.is_none_or(|c| c.is_whitespace() || ";:(\"'<#-[,=".contains(c))
            && after.is_none_or(|c| !c.is_alphanumeric());
        let Some(status) = EnhancedStatus::parse(text).filter(|_| stands) else {
            continue;
        };
        let head = words[..at].trim_end_matches([' ', '-', ':', '\'']);
        let behind_code = head.len() >= 3 && head.is_char_boundary(head.len() - 3) && {
            let code = &head[head.len() - 3..];
            code.bytes().all(|b| b.is_ascii_digit()) && matches!(code.as_bytes()[0], b'4' | b'5')
        };
        if behind_code || before == Some('#') {
            return Some(status);
        }
        first = first.or(Some(status));
    }
    first
}

/// Every run of digits, with its place.
fn digits_at(words: &str) -> impl Iterator<Item = (usize, &str)> {
    let bytes = words.as_bytes();
    let starts = (0..bytes.len()).filter(move |at| {
        bytes[*at].is_ascii_digit()
            && (*at == 0 || !(bytes[*at - 1].is_ascii_digit() || bytes[*at - 1] == b'.'))
    });
    starts.map(move |at| {
        (
            at,
            &words[at..at
                + bytes[at..]
                    .iter()
                    .take_while(|b| b.is_ascii_digit())
                    .count()],
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_one_only_where_codes_stand() {
        let status = |words| enhanced(words).map(|status| status.to_string());
        assert_eq!(
            status("mx 5.6.7.8 said: 550 5.1.1 no"),
            Some("5.1.1".into())
        );
        assert_eq!(
            status("Sorry, no mailbox here. (#5.1.1)"),
            Some("5.1.1".into())
        );
        assert_eq!(
            status("#< #5.1.1 SMTP; 550 5.2.2 full>"),
            Some("5.1.1".into())
        );
        assert_eq!(
            (status("version 5.1.1a"), status("10.5.1.1"), status("")),
            (None, None, None)
        );
        assert_eq!(
            (
                reply_code("said: 550 no"),
                reply_code("smtp;550-5.1.1 x"),
                reply_code("at 10.550.1.2")
            ),
            (Some(550), Some(550), None)
        );
        assert_eq!(
            (
                reply_code("port 2550"),
                reply_code("550MB"),
                reply_code("(554)")
            ),
            (None, None, Some(554))
        );
    }

    #[test]
    fn the_innermost_reply_is_found() {
        let table = [
            (
                "5.1.0 - Unknown address error 550-'5.7.1 blocked'",
                "550-'5.7.1 blocked'",
            ),
            (
                "host mx said: 550 5.1.1 no such user",
                "550 5.1.1 no such user",
            ),
            (
                "554 5.4.0 Previous failure: 452 4.2.2 mailbox full",
                "452 4.2.2 mailbox full",
            ),
            (
                "550-5.1.1 no such\n550-5.1.1 user",
                "550-5.1.1 no such\n550-5.1.1 user",
            ),
            (
                "550 5.1.1 unknown (in reply to RCPT TO command)",
                "550 5.1.1 unknown (in reply to RCPT TO command)",
            ),
        ];
        for (text, expected) in table {
            assert_eq!(innermost(text), expected);
        }
    }

    #[test]
    fn the_stage_is_read_from_the_words() {
        assert_eq!(
            stage_in("said: 550 no (in reply to MAIL FROM command)"),
            Some(RefusalStage::Sender)
        );
        assert_eq!(
            stage_in("SMTP error from remote mail server after RCPT TO:<a@b.example>: 550 no"),
            Some(RefusalStage::Recipient)
        );
        assert_eq!(stage_in("550 no such user"), None);
    }
}
