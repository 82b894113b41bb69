//! Complaints: feedback reports (RFC 5965), and the older forms that some providers keep to.

use super::addresses;
use super::headers::HeaderFields;
use super::mime::MimeParts;
use super::short;
use crate::domain::inbound::Classification;
use crate::domain::inbound::RecipientReport;

/// The findings of a feedback report; `None` if the mail is none. `author_to` are the recipients of the mail complained of.
pub fn findings(mail: &MimeParts, author_to: &[String]) -> Option<Vec<RecipientReport>> {
    let report = mail
        .parts
        .iter()
        .find(|part| !part.enclosed && part.kind == "message/feedback-report");
    let as_text = || {
        mail.parts.iter().find(|part| {
            !part.enclosed
                && has_field(&part.text, "feedback-type")
                && has_field(&part.text, "user-agent")
        })
    };
    let fields = match report
        .map(|part| part.text.as_str())
        .or_else(|| as_text().map(|part| from_field(&part.text)))
    {
        Some(text) => HeaderFields::read(text.trim_start().as_bytes()).0,
        None if mail.kind.ends_with("feedback-report") => HeaderFields::default(),
        None => {
            return is_older_form(mail).then(|| {
                about_each(
                    &recipients(&HeaderFields::default(), mail, author_to),
                    Classification::Complaint,
                    "complaint",
                )
            });
        }
    };
    let kind = fields.lower("feedback-type");
    let kind = kind.split([';', ' ']).next().unwrap_or_default();
    let to = recipients(&fields, mail, author_to);
    // The drafts before RFC 5965 had a type for readers who leave by their provider's button; providers still send it.
    if kind.starts_with("opt-out") || kind.starts_with("unsubscribe") {
        return Some(about_each(
            &to,
            Classification::Unsubscribe,
            &format!("Feedback-Type: {kind}"),
        ));
    }
    // Reports on forged mail (RFC 6591), and "this is not spam", are no complaints of a reader.
    if matches!(kind, "auth-failure" | "not-spam" | "dmarc" | "dkim") {
        let line = short(&format!("Feedback-Type: {kind}"));
        return Some(vec![RecipientReport {
            address: to.into_iter().next(),
            meaning: Classification::None,
            class: None,
            reason: None,
            status: None,
            line,
        }]);
    }
    Some(about_each(
        &to,
        Classification::Complaint,
        &format!(
            "Feedback-Type: {}",
            if kind.is_empty() { "abuse" } else { kind }
        ),
    ))
}

/// One finding of that meaning for each recipient; one without an address where none is known.
fn about_each(to: &[String], meaning: Classification, line: &str) -> Vec<RecipientReport> {
    let finding = |address| RecipientReport {
        address,
        meaning,
        class: None,
        reason: None,
        status: None,
        line: short(line),
    };
    match to {
        [] => vec![finding(None)],
        to => to
            .iter()
            .map(|address| finding(Some(address.clone())))
            .collect(),
    }
}

/// Recipients of the mail complained of: as the report says, as the provider's own field says, or as it was addressed.
fn recipients(fields: &HeaderFields, mail: &MimeParts, author_to: &[String]) -> Vec<String> {
    let names = [
        "original-rcpt-to",
        "original-recipient",
        "final-recipient",
        "removal-recipient",
        "x-original-rcpt-to",
        "redacted-address",
    ];
    let mut found: Vec<String> = names
        .iter()
        .flat_map(|name| fields.all(name))
        .filter_map(addresses::of_field)
        .collect();
    if found.is_empty() {
        let heads = mail
            .parts
            .iter()
            .filter(|part| part.enclosed)
            .map(|part| HeaderFields::read(part.text.as_bytes()).0);
        let own = |head: &HeaderFields| {
            let value = head
                .get("x-hmxmroriginalrecipient")
                .or_else(|| head.get("x-rcpt-to"))
                .and_then(addresses::of_field);
            value.into_iter().collect::<Vec<_>>()
        };
        found = heads.flat_map(|head| own(&head)).collect();
    }
    if found.is_empty() {
        found = author_to.to_vec();
    }
    found.retain(|address| !is_blanked(address));
    let mut seen: Vec<String> = Vec::new();
    found.retain(|address| {
        let new = !seen.iter().any(|known| addresses::same(known, address));
        seen.extend(new.then(|| address.clone()));
        new
    });
    found
}

/// `redacted@...` and the like stand for an address that the provider keeps to itself.
fn is_blanked(address: &str) -> bool {
    let lower = address.to_ascii_lowercase();
    [
        "redact",
        "undisclosed",
        "anonymi",
        "xxxxx",
        "removed@",
        "hidden@",
        "privacy@",
    ]
    .iter()
    .any(|word| lower.contains(word))
}

/// Hotmail's and AOL's programmes before RFC 5965: the mail itself, sent on by an address that does nothing else.
fn is_older_form(mail: &MimeParts) -> bool {
    let (from, subject) = (mail.headers.lower("from"), mail.headers.lower("subject"));
    let encloses = mail.parts.iter().any(|part| part.kind == "message/rfc822");
    let from_a_loop = [
        "staff@hotmail.com",
        "scomp@",
        "feedbackloop",
        "feedback-loop",
        "fbl@",
        "fbl-",
        "complaints@",
        "abuse-report",
        "arf@",
        "feedback@arf",
        "jmrp",
    ];
    let says = [
        "complaint about message from",
        "email feedback report",
        "abuse report",
        "spam complaint",
        "fbl report",
        "feedback loop",
    ];
    encloses
        && (from_a_loop.iter().any(|word| from.contains(word))
            || says.iter().any(|word| subject.contains(word))
            || mail.headers.lower("x-loop") == "scomp")
}

fn has_field(text: &str, name: &str) -> bool {
    text.lines().any(|line| {
        line.split_once(':')
            .is_some_and(|(known, _)| known.trim().eq_ignore_ascii_case(name))
    })
}

/// The text from its first field on: what a person wrote above it is none.
fn from_field(text: &str) -> &str {
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        if line.split_once(':').is_some_and(|(name, _)| {
            name.trim().eq_ignore_ascii_case("feedback-type")
                || name.trim().eq_ignore_ascii_case("user-agent")
        }) {
            return &text[at..];
        }
        at += line.len();
    }
    text
}
