//! What the words of a refusal mean.
//!
//! A receiving server's own words count for more than the status field that a relay made of them, and what is said in words
//! for more than a general code. *Hard* only where it is certain: no reader shall leave the list for a full mailbox, a rule
//! against spam, or a fault of ours.

use super::phrases::Cause;
use super::phrases::Causes;
use super::phrases::plain;
use crate::domain::inbound::Meaning;
use crate::domain::inbound::Reason;
use crate::domain::inbound::SoftClass;
use crate::domain::inbound::Status;

/// Bytes of a refusal that are looked at.
const LONGEST: usize = 8 << 10;

/// Hard or soft, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Diagnosis {
    pub meaning: Meaning,
    pub reason: Reason,
    pub status: Option<Status>,
}

impl Diagnosis {
    /// The class of a soft failure.
    pub fn class(&self) -> Option<SoftClass> {
        (self.meaning == Meaning::Soft).then(|| self.reason.soft_class())
    }

    /// Whether nothing was learnt, so that other words about the same address are worth a look.
    pub fn says_nothing(&self) -> bool {
        self.meaning == Meaning::Soft && self.reason == Reason::Other
    }
}

/// Reads a refusal. `field` is the status that stands beside it in a report.
pub fn diagnose(words: &str, field: Option<Status>) -> Diagnosis {
    let words = &words[..floor(words, LONGEST)];
    let text = plain(&without_names(words));
    let causes = Causes::of(&text);
    let has = |cause| causes.has(cause);
    let (code, said) = (reply_code(words), enhanced(words));
    let status = said.filter(|said| said.class != 2).or(field);
    let class = said.map(|said| said.class).filter(|class| *class != 2).or(code.map(|code| code / 100)).or(field.map(|field| field.class));
    let is = |subject, details: &[u16]| status.is_some_and(|s| s.subject == subject && (details.is_empty() || details.contains(&s.detail)));
    let certain = said.is_some_and(Status::is_bad_address);
    let soft = |reason| Diagnosis { meaning: Meaning::Soft, reason, status };
    let hard = |reason| Diagnosis { meaning: Meaning::Hard, reason, status };
    let by_policy = || match () {
        () if has(Cause::Spam) && !has(Cause::Blocked) => Reason::Policy,
        () if has(Cause::Blocked) => Reason::Blocked,
        () => Reason::Policy,
    };
    // Microsoft's directory-based edge blocking: the recipient is not in the directory.
    let not_in_directory =
        said.is_some_and(|s| (s.class, s.subject, s.detail) == (5, 4, 1)) && text.contains("recipient address rejected: access denied");
    match () {
        () if has(Cause::Rate) && !(certain && has(Cause::NoMailbox)) => soft(Reason::Rate),
        () if has(Cause::Sender) => soft(Reason::Policy),
        () if has(Cause::Nobody)
            && said.is_some_and(|said| (said.class, said.subject, said.detail) == (5, 7, 1))
            && !has(Cause::Policy)
            && !has(Cause::Blocked)
            && !has(Cause::Spam) =>
        {
            hard(Reason::NoMailbox)
        }
        () if said.is_some_and(|said| said.subject == 7) => soft(by_policy()),
        () if is(2, &[2]) || (has(Cause::Full) && !(certain && has(Cause::NoMailbox))) => soft(Reason::Full),
        () if is(3, &[4]) || is(2, &[3]) || has(Cause::TooBig) => soft(Reason::TooBig),
        () if class == Some(4) => soft(passing(causes)),
        () if not_in_directory || (certain && has(Cause::NoMailbox)) => hard(Reason::NoMailbox),
        () if has(Cause::Spam) => soft(by_policy()),
        () if has(Cause::NoHost) && has(Cause::Passing) => soft(Reason::Network),
        () if has(Cause::NoHost) => hard(Reason::NoHost),
        () if has(Cause::NoMailbox) => hard(Reason::NoMailbox),
        () if certain => hard(if is(1, &[2]) { Reason::NoHost } else { Reason::NoMailbox }),
        () if has(Cause::Blocked) || has(Cause::Policy) || is(7, &[]) => soft(by_policy()),
        () if status.is_some_and(Status::is_bad_address) => hard(if is(1, &[2, 10]) { Reason::NoHost } else { Reason::NoMailbox }),
        () if code == Some(556) => hard(Reason::NoHost),
        () if code == Some(552) => soft(Reason::Full),
        () => soft(passing(causes)),
    }
}

/// Why a mail did not arrive for now.
fn passing(causes: Causes) -> Reason {
    let order = [
        (Cause::Spam, Reason::Policy),
        (Cause::Blocked, Reason::Blocked),
        (Cause::Expired, Reason::Expired),
        (Cause::Network, Reason::Network),
        (Cause::NoHost, Reason::Network),
        (Cause::Policy, Reason::Policy),
    ];
    order.into_iter().find(|(cause, _)| causes.has(*cause)).map_or(Reason::Other, |(_, reason)| reason)
}

/// The text without names of hosts, addresses and pages: `antispam.example.org` tells nothing of spam.
fn without_names(words: &str) -> String {
    let is_name = |word: &str| {
        let word = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
        let last = word.rsplit('.').next().unwrap_or_default();
        let host = word.contains('.')
            && (2..=6).contains(&last.len())
            && last.bytes().all(|b| b.is_ascii_lowercase())
            && word.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_".contains(&b));
        host || word.contains("://") || (word.contains('@') && word.len() > 1)
    };
    let mut kept = String::with_capacity(words.len());
    // sendmail sets three dots right behind the address.
    let words = words.replace("...", " ");
    for word in words.split([' ', '\t', '\n', '\r', '<', '>', '[', ']', '(', ')', '"', '\u{a0}', ',', '=']) {
        if !is_name(word) {
            // A continued reply repeats its codes in front of each line, amid the sentence.
            kept.push_str(word);
            kept.push(' ');
        }
    }
    without_repeated_codes(&kept)
}

/// Takes `550-5.1.1` and the like out of a reply of several lines, so that its sentences are whole.
fn without_repeated_codes(words: &str) -> String {
    let is_code = |word: &str| {
        let (code, rest) = word.split_at(floor(word, 3));
        let digits = code.len() == 3 && code.bytes().all(|b| b.is_ascii_digit());
        (digits && (rest.is_empty() || rest == "-" || rest.strip_prefix(['-', ':']).is_some_and(|rest| Status::parse(rest).is_some())))
            || Status::parse(word).is_some()
    };
    words.split_whitespace().filter(|word| !is_code(word)).collect::<Vec<_>>().join(" ")
}

fn floor(text: &str, most: usize) -> usize {
    let mut end = text.len().min(most);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    end
}

/// The reply code of the receiving server: the first number from 400 to 599 that stands where such a code stands.
pub fn reply_code(words: &str) -> Option<u16> {
    digits_at(words).find_map(|(at, digits)| {
        let before = words[..at].chars().next_back();
        let after = words[at + digits.len()..].chars().next();
        let stands = before.is_none_or(|c| c.is_whitespace() || ";:(\"'<>#-[=,".contains(c))
            && after.is_none_or(|c| c.is_whitespace() || "-:;\"')#,.]".contains(c));
        // Part of a longer number, a time or a version: none of those.
        let alone = !(after == Some('.') && words[at + digits.len() + 1..].starts_with(|c: char| c.is_ascii_digit()));
        let code: u16 = digits.parse().ok()?;
        (stands && alone && digits.len() == 3 && (400..=599).contains(&code)).then_some(code)
    })
}

/// The enhanced status code in the words: the one behind a reply code, or behind a `#`, or the first.
pub fn enhanced(words: &str) -> Option<Status> {
    let mut first = None;
    for (at, _) in digits_at(words) {
        let before = words[..at].chars().next_back();
        let length = words[at..].bytes().take_while(|b| b.is_ascii_digit() || *b == b'.').count();
        let text = words[at..at + length].trim_end_matches('.');
        let after = words[at + length..].chars().next();
        let stands = before.is_none_or(|c| c.is_whitespace() || ";:(\"'<#-[,=".contains(c)) && after.is_none_or(|c| !c.is_alphanumeric());
        let Some(status) = Status::parse(text).filter(|_| stands) else { continue };
        let head = words[..at].trim_end_matches([' ', '-', ':']);
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
    let starts = (0..bytes.len())
        .filter(move |at| bytes[*at].is_ascii_digit() && (*at == 0 || !(bytes[*at - 1].is_ascii_digit() || bytes[*at - 1] == b'.')));
    starts.map(move |at| (at, &words[at..at + bytes[at..].iter().take_while(|b| b.is_ascii_digit()).count()]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(words: &str) -> String {
        let diagnosis = diagnose(words, None);
        format!("{} {}", diagnosis.meaning, diagnosis.reason)
    }

    #[test]
    fn the_servers_words_decide() {
        #[rustfmt::skip]
        let table = [
            ("550 5.1.1 <ada@example.org>: Recipient address rejected: User unknown in local recipient table", "hard no_mailbox"),
            ("550-5.1.1 The email account that you tried to reach does not\n550-5.1.1 exist. Please try double-checking", "hard no_mailbox"),
            ("host antispam.example.org[192.0.2.1] said: 550 no such user here", "hard no_mailbox"),
            ("550 5.2.1 The user you are trying to contact is receiving mail at a rate that", "soft rate"),
            ("550 5.2.1 mailbox disabled", "hard no_mailbox"),
            ("450 4.1.1 <ada@example.org>: Recipient address rejected: User unknown", "soft other"),
            ("550 5.7.1 user unknown or blocked by policy", "soft blocked"),
            ("550 5.1.1 <us@example.com>: Sender address rejected: User unknown", "soft policy"),
            ("550 <us@example.com>: Sender address rejected: User unknown", "soft policy"),
            ("552 5.2.2 Mailbox full", "soft full"),
            ("554 delivery error: dd This user doesn't have a yahoo.com account", "hard no_mailbox"),
            ("550 5.4.1 [ada@example.org]: Recipient address rejected: Access denied.", "hard no_mailbox"),
            ("554 5.7.1 <ada@example.org>: Recipient address rejected: Access denied", "soft policy"),
            ("Host or domain name not found. Name service error for name=example.org type=A: Host not found", "hard no_host"),
            ("Name service error for name=example.org type=MX: Host not found, try again", "soft network"),
            ("550 Requested action not taken: mailbox unavailable", "hard no_mailbox"),
            ("550 ada@example.org...User unknown", "hard no_mailbox"), ("550 5.7.1 No such user", "hard no_mailbox"),
            ("550 5.7.1 No such user, see our policy", "soft policy"), ("550 recipient is a deactivated mailbox", "hard no_mailbox"),
            ("553 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)", "soft policy"),
            ("Name service error for name=example.org type=MX: Malformed name server reply", "soft network"),
            ("550 rejected", "soft other"), ("554 no", "soft other"), ("", "soft other"), ("452 4.3.1 out of memory", "soft other"),
            ("connect to example.org[192.0.2.1]:25: Connection timed out", "soft network"),
            ("554 5.7.1 Service unavailable; Client host [192.0.2.9] blocked using zen.spamhaus.org", "soft blocked"),
        ];
        for (words, expected) in table {
            assert_eq!(said(words), expected, "{words}");
        }
    }

    #[test]
    fn a_code_is_one_only_where_codes_stand() {
        let status = |words| enhanced(words).map(|status| status.to_string());
        assert_eq!(status("mx 5.6.7.8 said: 550 5.1.1 no"), Some("5.1.1".into()));
        assert_eq!(status("Sorry, no mailbox here. (#5.1.1)"), Some("5.1.1".into()));
        assert_eq!(status("#< #5.1.1 SMTP; 550 5.2.2 full>"), Some("5.1.1".into()));
        assert_eq!((status("version 5.1.1a"), status("10.5.1.1"), status("")), (None, None, None));
        assert_eq!((reply_code("said: 550 no"), reply_code("smtp;550-5.1.1 x"), reply_code("at 10.550.1.2")), (Some(550), Some(550), None));
        assert_eq!((reply_code("port 2550"), reply_code("550MB"), reply_code("(554)")), (None, None, Some(554)));
    }
}
