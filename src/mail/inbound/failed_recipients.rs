//! Search for the address, among those in a report's sentences, that was not reached: one that begins a line, or stands in a line
//! that speaks of failure.

use crate::mail::inbound::addresses;
use crate::mail::inbound::addresses::FoundAddress;
use crate::mail::inbound::addresses::same;
use crate::mail::inbound::diagnosis::reply_code;
use crate::mail::inbound::free_text::LINES;
use crate::mail::inbound::free_text::LONGEST_LINE;
use crate::mail::inbound::free_text::RECIPIENTS;
use crate::mail::inbound::free_text::floor;
use crate::mail::inbound::phrases;

/// Addresses in one line that are looked at.
const IN_A_LINE: usize = 20;
/// The weight of an address that was surely not reached.
const CERTAIN: u8 = 3;

/// The addresses that a text names, each with how sure it is that it was not reached (see [`weight_of`]).
pub struct FailedRecipients(Vec<(String, u8)>);

impl FailedRecipients {
    /// All in a text, less `own` addresses and those of whoever keeps the system.
    pub fn in_text(text: &str, own: &[String]) -> Self {
        let mut named: Vec<(String, u8)> = Vec::new();
        for line in text.lines().take(LINES).filter(|line| line.contains('@')) {
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
                match named
                    .iter_mut()
                    .find(|(known, _)| same(known, found.address))
                {
                    Some((_, known)) => *known = weight.max(*known),
                    None => named.push((found.address.to_owned(), weight)),
                }
            }
        }
        Self(named)
    }

    /// True if one of them was surely not reached.
    pub fn is_certain(&self) -> bool {
        self.best() == CERTAIN
    }

    fn best(&self) -> u8 {
        self.0.iter().map(|(_, weight)| *weight).max().unwrap_or(0)
    }

    /// Those that were not reached, of a mail that had gone to `gone_to`; `original`, its addressees, where the text tells nothing.
    pub fn not_reached(&self, gone_to: &[String], original: &[String]) -> Vec<String> {
        let best = self.best();
        let was_addressed = |address: &str| gone_to.iter().any(|known| same(known, address));
        let any_addressed = self.0.iter().any(|(address, _)| was_addressed(address));
        let keep = |(address, weight): &(String, u8)| match best {
            // A strong sign stands by itself; a weaker one only if the mail had not gone to others that are named too.
            CERTAIN => *weight == CERTAIN || (was_addressed(address) && *weight == 2),
            _ => *weight == best && (!any_addressed || was_addressed(address)),
        };
        let kept: Vec<String> = self
            .0
            .iter()
            .filter(|pair| keep(pair))
            .map(|(address, _)| address.clone())
            .collect();
        if kept.is_empty() || (best == 0 && !any_addressed && !original.is_empty()) {
            original.to_vec()
        } else {
            kept
        }
    }
}

/// Names without a host, in the lines below one that speaks of failure and ends in a colon or a rule, as systems write them
/// that know their own users only.
pub fn bare_names(text: &str) -> impl Iterator<Item = &str> {
    let announces = |line: &str| {
        let lower = line.trim().to_lowercase();
        lower.ends_with(':')
            && lower.len() > 20
            && (phrases::is_failure_notice(&lower)
                || SPEAKS_OF.iter().any(|word| lower.contains(word)))
    };
    let is_name = |line: &&str| {
        let name = line.trim();
        (2..=64).contains(&name.len())
            && name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"._+-".contains(&b))
            && name.bytes().any(|b| b.is_ascii_alphabetic())
    };
    let lines = text
        .lines()
        .take(LINES)
        .map(|line| &line[..floor(line, LONGEST_LINE)]);
    let below = lines
        .skip_while(move |line| !announces(line))
        .skip(1)
        .skip_while(|line| line.trim().is_empty());
    below.take_while(is_name).map(str::trim).take(IN_A_LINE)
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

/// Returns how sure it is that an address in a line is one that was not reached: 3 it begins the line, 2 the line speaks of failure, 1
/// neither, 0 the line tells whom to ask for help.
fn weight_of(line: &str, lower: &str, found: FoundAddress<'_>) -> u8 {
    let before = line[..found.at]
        .trim_matches(|c: char| {
            c.is_whitespace() || "<>\"'([*-•·:;=>{|\u{3000}「＜【〈".contains(c)
        })
        .to_lowercase();
    if before.is_empty() || FIELDS.iter().any(|name| before.ends_with(name)) {
        return 3;
    }
    // The addressee of the mail that came back, as it was told: it may have gone to others that it was passed on to.
    if ADDRESSEE.iter().any(|name| lower.starts_with(name)) {
        return 1;
    }
    if HELP
        .iter()
        .chain(ELSEWHERE)
        .any(|word| lower.contains(word))
    {
        return 0;
    }
    if phrases::is_failure_notice(lower)
        || reply_code(lower).is_some()
        || SPEAKS_OF.iter().any(|word| lower.contains(word))
    {
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
    "expanded from",
    "deliver message to",
    "deliver mail to",
    "message was not delivered to",
];

const ADDRESSEE: &[&str] = &[
    "to:",
    "to :",
    "an:",
    "à:",
    "à :",
    "para:",
    "a:",
    "aan:",
    "till:",
    "til:",
    "do:",
    "кому:",
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

/// Words beside an address that the recipient has moved to, or that may be used instead (RFC 5321, 3.4: 251 and 551).
const ELSEWHERE: &[&str] = &[
    "please try",
    "try instead",
    "has moved",
    "moved to",
    "new address",
    "new e-mail",
    "new email",
    "instead",
    "forwarding address",
    "please use",
    "write to",
    "schreiben sie",
    "écrivez",
    "écrire à",
    "escriba a",
    "escreva para",
    "scrivere a",
    "did you mean",
    "neue adresse",
    "jetzt unter",
    "stattdessen",
    "nouvelle adresse",
    "nueva dirección",
    "novo endereço",
    "nuovo indirizzo",
    "nieuw adres",
    "новый адрес",
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

pub fn begins_with_address(line: &str) -> bool {
    let line = &line[..floor(line, 200)];
    addresses::find(line).first().is_some_and(|found| {
        line[..found.at]
            .trim_matches(|c: char| c.is_whitespace() || "<\"'([*-•".contains(c))
            .is_empty()
    })
}

pub fn is_own(address: &str, own: &[String]) -> bool {
    let local = address
        .split('@')
        .next()
        .unwrap_or_default()
        .to_ascii_lowercase();
    matches!(
        local.as_str(),
        "postmaster" | "mailer-daemon" | "abuse" | "mailerdaemon" | "hostmaster"
    ) || own.iter().any(|known| same(known, address))
}
