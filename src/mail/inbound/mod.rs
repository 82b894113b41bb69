//! Mail that came back, read: what it means for whom. [`read`] takes any bytes, and answers in bounded time and memory.
//!
//! In reading order: `mime` takes a mail apart; `sender_kind` tells who speaks; `report` reads delivery reports (RFC 3464), `feedback`
//! complaints (RFC 5965), `receipt` receipts and refusals by a reader's filter (RFC 8098, 5429), `sns` Amazon's notices, `notice` and `free_text` what systems say in sentences, `originals` what they give back in them, `failed_recipients` whom they failed
//! on, with `addresses`; `diagnosis` tells hard from soft by the words of `phrases`; `answer` finds a person's own lines and says what they mean, `request` hears by
//! it those who join, leave or say yes; `substitute` knows a mailbox server's note in place of a mail; `correlation` gathers what may tell whose mail it is,
//! `authentication` what a receiver has found of its author.

pub(super) mod addresses;
mod answer;
mod authentication;
mod correlation;
pub(super) mod diagnosis;
mod failed_recipients;
mod feedback;
mod free_text;
mod headers;
mod mime;
mod notice;
mod originals;
mod own;
mod phrases;
mod receipt;
mod report;
mod request;
mod sender_kind;
mod sns;
mod substitute;

use sha2::Digest;
use sha2::Sha256;

use crate::domain::inbound::Classification;
use crate::domain::inbound::ParsedReport;
use crate::domain::inbound::RecipientReport;
use crate::domain::inbound::severity;
use free_text::FreeText;
use mime::MimeParts;
use notice::TextReport;
use request::AuthorRequest;
pub use request::answered_subject;
use sender_kind::SenderClassification;
pub use substitute::is_substitute;

/// Reads a mail as it came (RFC 5322): from a byte to `inbound.size_max_mb`, which each door holds it to, lines ended by CR, LF or both,
/// however broken.
pub fn read(raw: &[u8]) -> ParsedReport {
    let mail = mime::take_apart(raw);
    let manner = SenderClassification::of(&mail);
    let prose = FreeText::of(&mail);
    let request = AuthorRequest::of(&mail, &manner);
    let mut clues = correlation::of(&mail, &prose, &request.own.lines, manner.author.clone());
    let notice = sns::notice(&mail);
    let findings = match &notice {
        Some(notice) => {
            sns::add_clues(notice, &mut clues);
            sns::findings(notice)
        }
        None if substitute::is_note(&mail) => {
            vec![RecipientReport {
                address: None,
                meaning: Classification::None,
                class: None,
                reason: None,
                status: None,
                line: short(&manner.subject),
            }]
        }
        None => findings(&mail, &manner, &prose, &request),
    };
    let fingerprint = fingerprint(&mail, &findings);
    let in_words = notice.is_none() && request.meaning() == Some(Classification::Unsubscribe);
    ParsedReport {
        findings,
        clues,
        answerable: manner.is_answerable(),
        agrees: request.agrees(),
        may_agree: request.may_agree(),
        in_words,
        speaks_of_leaving: request.speaks_of_leaving(),
        fingerprint,
    }
}

/// Made of what its author wrote, not of what servers add on the way.
fn fingerprint(mail: &MimeParts, findings: &[RecipientReport]) -> String {
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
    hash.finalize()[..16]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn findings(
    mail: &MimeParts,
    manner: &SenderClassification,
    prose: &FreeText,
    request: &AuthorRequest,
) -> Vec<RecipientReport> {
    let (own, failed) = (
        own::addresses(mail, prose, manner),
        own::failed_recipients(&mail.headers),
    );
    if let Some(complaints) = feedback::findings(mail, &prose.original_recipients(&own)) {
        return complaints;
    }
    if let Some(receipt) = receipt::finding(mail, manner, prose) {
        return vec![receipt];
    }
    let said = phrases::plain(&prose.text);
    let begin = head_of(&said, 1_500);
    // Nobody who passes a mail on makes the whole of it a report.
    let passes_on =
        manner.passes_on() && !mail.kind.starts_with("multipart/report; delivery-status");
    if !passes_on {
        let reported = report::findings(mail, prose);
        // "Prove that you are human" comes as a report too, from whoever asks it and not from a mail system.
        let asks = !manner.daemon
            && phrases::is_challenge(begin)
            && reported
                .iter()
                .all(|finding| finding.meaning == Classification::Soft);
        if let ([only], true) = (reported.as_slice(), asks) {
            return vec![RecipientReport {
                meaning: Classification::Auto,
                class: None,
                reason: None,
                ..only.clone()
            }];
        }
        if !reported.is_empty() {
            return named(reported, prose, &own, &failed);
        }
    }
    // A mail system is nobody on the list, nor is the program that runs another list.
    let author = manner
        .author
        .clone()
        .filter(|_| !manner.daemon && !manner.list_program);
    let one = |meaning| {
        vec![RecipientReport {
            address: author.clone(),
            meaning,
            class: None,
            reason: None,
            status: None,
            line: short(&manner.subject),
        }]
    };
    if request.is_by_program() {
        return one(Classification::Unsubscribe);
    }
    let notice = TextReport {
        mail,
        manner,
        prose,
        own: &own,
        failed: &failed,
        said: &said,
    };
    // Of an answer only what is not quoted tells whether a person or a machine wrote it.
    let unquoted = phrases::plain(&request.own.unquoted);
    let begin = if request.own.quotes {
        head_of(&unquoted, 1_500)
    } else {
        begin
    };
    if let Some(found) = (!passes_on && !phrases::is_challenge(begin))
        .then(|| notice.findings())
        .flatten()
    {
        return found;
    }
    let is_challenge = phrases::is_challenge(begin) || phrases::is_challenge(&manner.own_subject);
    if is_challenge
        || notice.is_away()
        || manner.automatic
        || manner.generated
        || phrases::is_auto_notice(begin)
    {
        return one(Classification::Auto);
    }
    one(request.meaning().unwrap_or(Classification::None))
}

/// A report that blanks its recipient may name it elsewhere; where only one is missing, the mail's own recipient is it.
fn named(
    mut reported: Vec<RecipientReport>,
    prose: &FreeText,
    own: &[String],
    failed: &[String],
) -> Vec<RecipientReport> {
    if let [only] = reported.as_mut_slice()
        && only.address.is_none()
    {
        let said = prose.failures(own, failed);
        if let [other, ..] = said.as_slice() {
            only.address.clone_from(&other.address);
        }
    }
    // The same recipient several times is an alias with as many targets: gone only if each of them is, and reached if one is.
    let mut kept: Vec<RecipientReport> = Vec::new();
    for finding in reported {
        let known = kept
            .iter_mut()
            .find(|known| match (&known.address, &finding.address) {
                (Some(a), Some(b)) => addresses::same(a, b),
                (None, None) => true,
                _ => false,
            });
        match known {
            Some(known)
                if severity(finding.meaning, finding.class)
                    < severity(known.meaning, known.class) =>
            {
                *known = finding
            }
            Some(_) => {}
            None => kept.push(finding),
        }
    }
    kept
}

/// The first characters of a text.
fn head_of(text: &str, characters: usize) -> &str {
    &text[..text
        .char_indices()
        .nth(characters)
        .map_or(text.len(), |(at, _)| at)]
}

/// A text on one line, for a record or a log: at most 500 characters.
pub(super) fn short(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().filter(|c| !c.is_control()).take(500).collect()
}
