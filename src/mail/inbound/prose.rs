//! What a mail system says in sentences: the human part of a report, and the many reports that are nothing else.
//!
//! No two systems write alike, but all name the address they failed on, at the start of a line or in a line that speaks of
//! failure, with the reason beside or below it; and most give back the mail's header, which tells whose addresses are ours.

use super::addresses;
use super::addresses::Found;
use super::addresses::same;
use super::diagnosis::Diagnosis;
use super::diagnosis::diagnose;
use super::diagnosis::reply_code;
use super::mime::Headers;
use super::mime::Parts;
use super::phrases;
use super::short;
use crate::domain::inbound::Finding;
use crate::domain::inbound::Meaning;

/// Recipients that are read from one text, and lines that belong to each.
const RECIPIENTS: usize = 200;
const CONTEXT: usize = 14;
/// Lines of a report that are looked at, bytes of one, and addresses in it.
const LINES: usize = 2_000;
const LONGEST_LINE: usize = 2_000;
const IN_A_LINE: usize = 20;

/// The human part of a mail, and the headers of the mails that it gives back.
pub struct Prose {
    pub text: String,
    pub originals: Vec<Headers>,
}

impl Prose {
    /// Separates what is said from what is given back.
    pub fn of(mail: &Parts) -> Self {
        let own =
            |kind: &'static str| mail.parts.iter().filter(move |part| !part.enclosed && part.kind == kind).map(|part| part.text.as_str());
        let mut said: Vec<&str> = own("text/plain").filter(|text| !text.trim().is_empty()).collect();
        if said.is_empty() {
            said = own("text/html").collect();
        }
        if said.is_empty() {
            said = mail
                .parts
                .iter()
                .filter(|part| !part.enclosed && !part.kind.ends_with("delivery-status"))
                .map(|part| part.text.as_str())
                .collect();
        }
        let whole = said.join("\n");
        let heads = mail.parts.iter().filter(|part| part.enclosed && !part.text.is_empty() && !part.kind.ends_with("delivery-status"));
        let mut originals: Vec<Headers> = heads
            .map(|part| Headers::read(part.text.trim_start().as_bytes()).0)
            .filter(|head| head.has("from") || head.has("to") || head.has("message-id"))
            .collect();
        let text = match original_in(&whole) {
            Some((said, given_back)) => {
                originals.extend(head_in(given_back));
                said.to_owned()
            }
            None => whole,
        };
        Self { text, originals }
    }

    /// The recipients of what was given back, less `own` addresses.
    pub fn original_recipients(&self, own: &[String]) -> Vec<String> {
        let fields =
            self.originals.iter().take(1).flat_map(|head| ["x-original-to", "to", "cc"].into_iter().flat_map(|name| head.all(name)));
        let mut to: Vec<String> = Vec::new();
        for found in fields.flat_map(addresses::find).take(5 * RECIPIENTS) {
            if !own.iter().any(|known| same(known, found.address)) && !to.iter().any(|known| same(known, found.address)) {
                to.push(found.address.to_owned());
            }
        }
        to.truncate(RECIPIENTS);
        to
    }

    /// What the text says of that address: its line and those below it. Of none, or where it is not named, all of it.
    pub fn about(&self, address: Option<&str>) -> String {
        let lines: Vec<&str> = self.text.lines().take(LINES).collect();
        let address = address.map(str::to_lowercase);
        let named = |line: &str| address.as_ref().is_some_and(|address| line[..floor(line, LONGEST_LINE)].to_lowercase().contains(address));
        let mut words = String::new();
        for (at, line) in lines.iter().enumerate() {
            if words.len() < 4_000 && named(line) {
                let line = &line[..floor(line, LONGEST_LINE)];
                let below = lines[at + 1..].iter().take(CONTEXT).take_while(|line| !begins_with_address(line) || named(line));
                words = below.fold(words + line, |words, line| words + "\n" + line) + "\n";
            }
        }
        if words.is_empty() || diagnose(&words, None).says_nothing() { self.text.chars().take(8_000).collect() } else { words }
    }

    /// Who was not reached, and why. `own` are the addresses that belong to us or to the reporting system, `failed` those that a
    /// header field names as failed.
    pub fn failures(&self, own: &[String], failed: &[String]) -> Vec<Finding> {
        let original = self.original_recipients(own);
        let mut addresses = if failed.is_empty() { self.failed_addresses(own, &original) } else { failed.to_vec() };
        if addresses.is_empty() {
            // Somebody who writes to themselves is both.
            addresses = self.failed_addresses(&[], &original);
        }
        let finding = |address: String| {
            let words = self.about(Some(&address));
            let Diagnosis { meaning, reason, status } = diagnose(&words, None);
            let line = telling_line(&words).unwrap_or(&words);
            Finding { address: Some(address), meaning, reason: Some(reason), status, line: short(line) }
        };
        addresses.into_iter().take(RECIPIENTS).map(finding).collect()
    }

    /// Whether a line begins with an address that is not among `own`.
    pub fn begins_a_line_with_an_address(&self, own: &[String]) -> bool {
        let lines = self.text.lines().take(LINES).filter(|line| begins_with_address(line));
        lines.flat_map(addresses::find).any(|found| !is_own(found.address, own))
    }

    fn failed_addresses(&self, own: &[String], original: &[String]) -> Vec<String> {
        let mut named: Vec<(String, u8)> = Vec::new();
        for line in self.text.lines().take(LINES).filter(|line| line.contains('@')) {
            let line = &line[..floor(line, LONGEST_LINE)];
            let lower = line.trim_start().to_lowercase();
            if NO_RECIPIENT.iter().any(|name| lower.starts_with(name)) {
                continue;
            }
            for found in addresses::find(line).into_iter().take(IN_A_LINE) {
                if is_own(found.address, own) || named.len() >= 4 * RECIPIENTS {
                    continue;
                }
                let weight = weight_of(line, &lower, found);
                match named.iter_mut().find(|(known, _)| same(known, found.address)) {
                    Some((_, known)) => *known = weight.max(*known),
                    None => named.push((found.address.to_owned(), weight)),
                }
            }
        }
        let best = named.iter().map(|(_, weight)| *weight).max().unwrap_or(0);
        let was_addressed = |address: &str| original.iter().any(|known| same(known, address));
        let any_addressed = named.iter().any(|(address, _)| was_addressed(address));
        let keep = |(address, weight): &(String, u8)| match best {
            // A strong sign stands by itself; a weaker one only if the mail had not gone to others that are named too.
            3 => *weight == 3 || (was_addressed(address) && *weight == 2),
            _ => *weight == best && (!any_addressed || was_addressed(address)),
        };
        let kept: Vec<String> = named.iter().filter(|pair| keep(pair)).map(|(address, _)| address.clone()).collect();
        if kept.is_empty() || (best == 0 && !any_addressed && !original.is_empty()) { original.to_vec() } else { kept }
    }
}

/// Fields quoted in a report that name anybody but its recipient.
const NO_RECIPIENT: &[&str] = &[
    "from:",
    "sender:",
    "return-path:",
    "date:",
    "message-id:",
    "message id:",
    "received:",
    "reply-to:",
    "subject:",
    "x-",
    "references:",
    "in-reply-to:",
    "reporting-mta",
    "mail from",
    ">>> mail",
    "from address",
    "sender address",
    "envelope-from",
    "contact:",
    "von:",
    "de:",
    "absender:",
    "expéditeur",
    "remitente",
    "remetente",
    "mittente",
    "差出人",
    "送信者",
    "発信者",
    "发件人",
    "寄件者",
    "보낸 사람",
];

/// How sure it is that an address in a line is one that was not reached: 3 it begins the line, 2 the line speaks of failure, 1
/// neither, 0 the line tells whom to ask for help.
fn weight_of(line: &str, lower: &str, found: Found<'_>) -> u8 {
    let before =
        line[..found.at].trim_matches(|c: char| c.is_whitespace() || "<>\"'([*-•·:;=>{|\u{3000}「＜【〈".contains(c)).to_lowercase();
    if before.is_empty() || FIELDS.iter().any(|name| before.ends_with(name)) {
        return 3;
    }
    if HELP.iter().any(|word| lower.contains(word)) {
        return 0;
    }
    if phrases::is_failure_notice(lower) || reply_code(lower).is_some() || SPEAKS_OF.iter().any(|word| lower.contains(word)) {
        2
    } else {
        1
    }
}

const FIELDS: &[&str] = &[
    "recipient",
    "recipients",
    "final-recipient",
    "original-recipient",
    "rfc822",
    "rcpt to",
    "failed recipient",
    "failed recipients",
    "recipient address",
    "recipient(s)",
    "address",
    "unknown user",
    "user unknown",
    "invalid user",
    "undeliverable to",
    "could not be delivered to",
    "couldn't be delivered to",
    "not delivered to",
    "unable to deliver to",
    "delivery to",
    "deliver to",
    "failed to",
    "empfänger",
    "empfängeradresse",
    "destinataire",
    "destinatario",
    "destinatário",
    "宛先",
    "あて先",
    "收件人",
    "받는 사람",
    "получатель",
    "envelope-to",
];

const HELP: &[&str] = &[
    "contact",
    "postmaster",
    "assistance",
    "mailto:",
    "support",
    "question",
    "for help",
    "further help",
    "please forward",
    "please send",
    "administrator",
    "abuse",
    "report this",
    "kontakt",
    "contacter",
    "contacte",
    "on behalf of",
    "sent by",
    "message from",
    "mail from",
    "your address",
];

const SPEAKS_OF: &[&str] = &[
    "rcpt",
    "recipient",
    "user",
    "mailbox",
    "account",
    "failed",
    "reject",
    "refused",
    "invalid",
    "deliver",
    "empfänger",
    "destinat",
    "quota",
    "宛先",
    "アドレス",
    "收件人",
];

fn begins_with_address(line: &str) -> bool {
    let line = &line[..floor(line, 200)];
    addresses::find(line)
        .first()
        .is_some_and(|found| line[..found.at].trim_matches(|c: char| c.is_whitespace() || "<\"'([*-•".contains(c)).is_empty())
}

fn is_own(address: &str, own: &[String]) -> bool {
    let local = address.split('@').next().unwrap_or_default().to_ascii_lowercase();
    matches!(local.as_str(), "postmaster" | "mailer-daemon" | "abuse" | "mailerdaemon" | "hostmaster")
        || own.iter().any(|known| same(known, address))
}

/// The line in which the reason stands: the first with a reply code, or the first that says something.
fn telling_line(words: &str) -> Option<&str> {
    let with_code = words.lines().find(|line| reply_code(line).is_some());
    with_code.or_else(|| words.lines().find(|line| !diagnose(line, None).says_nothing()))
}

fn floor(text: &str, most: usize) -> usize {
    let mut end = text.len().min(most);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    end
}

/// Where the given-back mail begins in a text: what is said before, and the rest.
fn original_in(text: &str) -> Option<(&str, &str)> {
    let mut at = 0;
    for line in text.split_inclusive('\n').take(LINES) {
        let lower = line[..floor(line, LONGEST_LINE)].trim().to_lowercase();
        let is_head = ["received: from", "received: by", "return-path:", "received: (qmail"].iter().any(|start| lower.starts_with(start));
        let is_line = lower.len() < 200 && BEGINS.iter().any(|words| lower.contains(words));
        if (is_head || is_line) && text[..at].trim().len() > 20 {
            let rest = if is_head { &text[at..] } else { &text[at + line.len()..] };
            return Some((&text[..at], rest));
        }
        at += line.len();
    }
    None
}

const BEGINS: &[&str] = &[
    "below this line is a copy",
    "is a copy of the message",
    "copy of the original message",
    "undelivered message follows",
    "original message follows",
    "original message headers",
    "original message header",
    "--- original message",
    "---original message",
    "-- original message --",
    "unsent message follows",
    "unsent message below",
    "message header follows",
    "message headers follow",
    "message body follows",
    "header of the original message",
    "headers of the original message",
    "--- returned message",
    "---returned message",
    "start of original",
    "begin original",
    "--- forwarded message",
    "---forwarded message",
    "original mail header",
    "message contents follow",
    "included is a copy",
    "first lines of the message",
    "your message follows",
    "the message follows",
    "message text follows",
    "text of your message",
    "original message text",
    "---- header",
    "message header:",
    "message headers:",
    "received headers",
    "kopfzeilen der",
    "ursprüngliche nachricht",
    "ursprünglichen nachricht:",
    "originalnachricht",
    "kopie der nachricht",
    "es folgt der kopf",
    "message d'origine",
    "message original",
    "en-têtes d",
    "mensaje original",
    "encabezados de",
    "mensagem original",
    "cabeçalhos da",
    "messaggio originale",
    "intestazioni",
    "oorspronkelijk bericht",
    "oorspronkelijke bericht",
    "исходное сообщение",
    "оригинал сообщения",
    "заголовки",
    "元のメッセージ",
    "原文",
    "原始邮件",
    "原邮件",
    "邮件原文",
    "原始郵件",
    "원본 메일",
    "원본 메시지",
];

/// The first header within a text that was given back as text.
fn head_in(text: &str) -> Option<Headers> {
    let mut at = 0;
    for line in text.split_inclusive('\n').take(60) {
        let named =
            line.split_once(':').is_some_and(|(name, _)| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'));
        if named && !line.to_ascii_lowercase().starts_with("http") {
            let head = Headers::read(&text.as_bytes()[at..]).0;
            return (head.has("to") || head.has("message-id") || head.has("from")).then_some(head);
        }
        at += line.len();
    }
    None
}

/// A notice that a mail is late: whom it was for.
pub fn late(prose: &Prose, own: &[String], failed: &[String]) -> Vec<Finding> {
    let findings = prose.failures(own, failed).into_iter();
    findings.map(|finding| Finding { meaning: Meaning::None, reason: None, ..finding }).collect()
}
