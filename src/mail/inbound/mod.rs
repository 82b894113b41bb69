//! Mail that came back, read: what it means for whom. [`read`] takes any bytes, and answers in bounded time and memory.
//!
//! In reading order: `mime` takes a mail apart; `manner` tells who speaks; `report` reads delivery reports (RFC 3464), `feedback`
//! complaints (RFC 5965), `prose` what systems say in sentences, `originals` what they give back in them, `who` whom they failed
//! on, with `addresses`; `diagnosis` tells hard from soft by the words of `phrases`; `request` hears those who want to join or leave;
//! `clues` gathers what may tell whose mail it is.

pub(super) mod addresses;
mod clues;
pub(super) mod diagnosis;
mod feedback;
mod manner;
mod mime;
mod originals;
mod phrases;
mod prose;
mod report;
mod request;
mod who;

use sha2::Digest;
use sha2::Sha256;

use crate::domain::inbound::Clues;
use crate::domain::inbound::Finding;
use crate::domain::inbound::Meaning;
use crate::domain::inbound::Reading;
use manner::Manner;
use mime::Headers;
use mime::Parts;
use prose::Prose;

/// Bytes of a mail that are read; what lies behind is attachments.
const LONGEST: usize = 32 << 20;

/// Reads a mail as it came (RFC 5322): from a byte to 25 MB, lines ended by CR, LF or both, however broken.
pub fn read(raw: &[u8]) -> Reading {
    let mail = mime::take_apart(&raw[..raw.len().min(LONGEST)]);
    let manner = Manner::of(&mail);
    let prose = Prose::of(&mail);
    let clues = clues::of(&mail, &prose, manner.author.clone());
    let findings = findings(&mail, &manner, &prose, &clues);
    let fingerprint = fingerprint(&mail, &findings);
    let agrees = request::agrees(&prose.text);
    Reading { findings, clues, answerable: manner.is_answerable(), agrees, fingerprint }
}

/// Made of what its author wrote, not of what servers add on the way.
fn fingerprint(mail: &Parts, findings: &[Finding]) -> String {
    let mut hash = Sha256::new();
    for name in ["message-id", "date", "from", "to", "subject"] {
        hash.update(mail.headers.get(name).unwrap_or_default());
        hash.update([0]);
    }
    for part in &mail.parts {
        hash.update(&part.kind);
        hash.update([0]);
        hash.update(&part.text);
        hash.update([0]);
    }
    for finding in findings {
        hash.update(format!("{:?} {}\0", finding.address, finding.meaning));
    }
    hash.finalize()[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}

fn findings(mail: &Parts, manner: &Manner, prose: &Prose, clues: &Clues) -> Vec<Finding> {
    let own = own_addresses(mail, prose, manner);
    let one = |meaning, line: &str| {
        vec![Finding { address: manner.author.clone(), meaning, class: None, reason: None, status: None, line: short(line) }]
    };
    if let Some(complaints) = feedback::findings(mail, &prose.original_recipients(&own)) {
        return complaints;
    }
    let failed = failed_recipients(&mail.headers);
    if let Some(receipt) = mail.parts.iter().find(|part| !part.enclosed && part.kind == "message/disposition-notification") {
        // A receipt (RFC 8098) tells that a mail was shown or deleted; some servers say with one that they refused it.
        let refused = manner.daemon && phrases::is_failure_subject(&manner.subject);
        let of = Headers::read(receipt.text.trim_start().as_bytes()).0;
        let failed: Vec<String> = of.all("final-recipient").filter_map(addresses::of_field).collect();
        return if refused { prose.failures(&own, &failed) } else { one(Meaning::Auto, &manner.subject) };
    }
    let said = phrases::plain(&prose.text);
    let begin = head_of(&said, 1_500);
    // Nobody who passes a mail on makes the whole of it a report.
    let passes_on = manner.passes_on() && !mail.kind.starts_with("multipart/report; delivery-status");
    if !passes_on {
        let reported = report::findings(mail, |address| prose.about(address, &[]));
        // "Prove that you are human" comes as a report too, from whoever asks it and not from a mail system.
        let asks = !manner.daemon && phrases::is_challenge(begin) && reported.iter().all(|finding| finding.meaning == Meaning::Soft);
        if let ([only], true) = (reported.as_slice(), asks) {
            return vec![Finding { meaning: Meaning::Auto, class: None, reason: None, ..only.clone() }];
        }
        if !reported.is_empty() {
            return named(reported, prose, &own, &failed);
        }
    }
    // A mail program that leaves for its reader says that it is a machine (Apple Mail does), and asks in one word.
    if manner.automatic && !manner.daemon && !manner.nobody && request::in_words(&manner.subject, "") == Some(Meaning::Unsubscribe) {
        return one(Meaning::Unsubscribe, &manner.subject);
    }
    if let Some(meaning) = request::to_an_address(&clues.addressed)
        .filter(|_| !manner.daemon && !manner.automatic && !phrases::is_auto_subject(&manner.subject))
    {
        return one(meaning, &manner.subject);
    }
    let by_subject = phrases::is_failure_subject(&manner.subject) || phrases::is_delay_subject(&manner.subject);
    let away = phrases::is_auto_subject(&manner.subject) && !by_subject;
    // Some say nothing but that there is no such user, and leave it open who says so.
    let by_text = phrases::is_failure_notice(&said)
        || diagnosis::reply_code(&prose.text).is_some()
        || (manner.daemon && manner.author.is_none() && diagnosis::diagnose(&said, None).meaning == Meaning::Hard);
    let reports = mail.kind.starts_with("multipart/report") || !failed.is_empty();
    let system = manner.daemon || manner.nobody || reports;
    // Without a mail system's name on it, a report begins a line with the address it failed on, and answers nothing.
    let answers = mail.headers.has("in-reply-to") || mail.headers.has("references");
    // What came over a list is one only if it says so before anything else.
    let opens_with_failure = phrases::is_failure_subject(head_of(&manner.subject, 24)) && phrases::is_failure_notice(head_of(&said, 160));
    let is_report = match system {
        true => (by_subject || by_text) && (manner.daemon || reports || by_subject),
        false => {
            by_subject && by_text && (!manner.bulk || opens_with_failure) && !answers && who::Named::in_text(&prose.text, &own).is_certain()
        }
    };
    let is_failure = is_report && !passes_on && !away && !phrases::is_challenge(begin);
    if is_failure {
        let late = phrases::is_delay_notice(&said) && !phrases::is_certain_failure(&said) || phrases::is_delay_subject(&manner.subject);
        let found = if late { prose::late(prose, &own, &failed) } else { prose.failures(&own, &failed) };
        if !found.is_empty() {
            return found;
        }
        if system {
            // A report that names nobody: what it means is known, and the clues may tell for whom.
            let said = diagnosis::diagnose(&prose.about(None, &[]), None);
            let finding = Finding {
                address: None,
                meaning: said.meaning,
                class: said.class(),
                reason: Some(said.reason),
                status: said.status,
                line: short(&prose.text),
            };
            return vec![if late { Finding { meaning: Meaning::None, class: None, reason: None, ..finding } } else { finding }];
        }
    }
    if phrases::is_challenge(begin)
        || phrases::is_challenge(&manner.subject)
        || away
        || manner.automatic
        || manner.generated
        || phrases::is_auto_notice(begin)
    {
        return one(Meaning::Auto, &manner.subject);
    }
    if let Some(meaning) = request::in_words(&manner.subject, &prose.text).filter(|_| !manner.is_machine() && !manner.bulk) {
        return one(meaning, &manner.subject);
    }
    one(Meaning::None, &manner.subject)
}

/// A report that blanks its recipient may name it elsewhere; where only one is missing, the mail's own recipient is it.
fn named(mut reported: Vec<Finding>, prose: &Prose, own: &[String], failed: &[String]) -> Vec<Finding> {
    if let [only] = reported.as_mut_slice()
        && only.address.is_none()
    {
        let said = prose.failures(own, failed);
        if let [other, ..] = said.as_slice() {
            only.address.clone_from(&other.address);
        }
    }
    // The same recipient twice, in a report and in one within it, is one.
    let mut kept: Vec<Finding> = Vec::new();
    for finding in reported {
        let known = kept.iter_mut().find(|known| match (&known.address, &finding.address) {
            (Some(a), Some(b)) => addresses::same(a, b),
            (None, None) => true,
            _ => false,
        });
        match known {
            Some(known) if known.meaning == Meaning::None => *known = finding,
            Some(_) => {}
            None => kept.push(finding),
        }
    }
    kept
}

/// `X-Failed-Recipients`, as Exim and Gmail write it.
fn failed_recipients(head: &Headers) -> Vec<String> {
    head.all("x-failed-recipients").flat_map(addresses::find).map(|found| found.address.to_owned()).take(200).collect()
}

/// Addresses that name us or the reporting system, in the mail's own header and in those it gives back.
fn own_addresses(mail: &Parts, prose: &Prose, manner: &Manner) -> Vec<String> {
    let mut own = manner::addressed(&mail.headers);
    own.extend(manner.author.clone());
    own.extend(report::sender(mail));
    let of = |head: &Headers, names: &[&str]| {
        names.iter().flat_map(|name| head.all(name)).flat_map(addresses::find).map(|found| found.address.to_owned()).collect::<Vec<_>>()
    };
    own.extend(of(&mail.headers, &["reply-to", "sender", "return-path", "errors-to"]));
    for head in &prose.originals {
        own.extend(of(
            head,
            &[
                "from",
                "sender",
                "return-path",
                "reply-to",
                "errors-to",
                "list-unsubscribe",
                "list-post",
                "list-id",
                "message-id",
                "x-sender",
                "x-beenthere",
            ],
        ));
    }
    own.truncate(500);
    own
}

/// The first characters of a text.
fn head_of(text: &str, characters: usize) -> &str {
    &text[..text.char_indices().nth(characters).map_or(text.len(), |(at, _)| at)]
}

/// A text on one line, for a record or a log: at most 500 characters.
pub(super) fn short(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().filter(|c| !c.is_control()).take(500).collect()
}
