//! Delivery reports in the form of RFC 3464 and RFC 6533: fields, a group for each recipient.

use super::addresses::is_well_formed;
use super::addresses::of_field;
use super::diagnosis::Diagnosis;
use super::diagnosis::diagnose;
use super::mime::MimeParts;
use crate::domain::inbound::Classification;
use crate::domain::inbound::EnhancedStatus;
use crate::domain::inbound::RecipientReport;
use crate::mail::inbound::free_text::FreeText;

/// Recipients of one report that are read.
const RECIPIENTS: usize = 500;

/// Part of a report about one recipient.
#[derive(Debug, Default)]
struct FieldGroup {
    original: String,
    last: String,
    actual: String,
    action: String,
    status: String,
    words: String,
}

/// The findings of the reports in a mail; empty if it has none that names a recipient or says what became of one.
pub fn findings(mail: &MimeParts, prose: &FreeText) -> Vec<RecipientReport> {
    let is_report = |kind: &str| {
        matches!(
            kind,
            "message/delivery-status" | "message/global-delivery-status"
        )
    };
    // A report within a mail that is given back tells of something else, unless there is no other: somebody passes it on.
    let at = |enclosed: bool| {
        mail.parts
            .iter()
            .filter(move |part| part.enclosed == enclosed && is_report(&part.kind))
            .map(|part| part.text.as_str())
    };
    let mut texts: Vec<&str> = at(false).collect();
    if texts.is_empty() {
        texts = at(true).collect();
    }
    if texts.is_empty() {
        // A gateway that makes plain text of everything leaves the fields as they were.
        let plain = mail.parts.iter().filter(|part| {
            !part.enclosed && part.text.contains("inal-Recipient:") && part.text.contains("Status:")
        });
        texts.extend(plain.map(|part| part.text.as_str()).take(1));
    }
    let groups = texts.into_iter().flat_map(groups).take(RECIPIENTS);
    groups.filter_map(|group| finding(&group, prose)).collect()
}

/// The sender's address as the reporting server knew it.
pub fn sender(mail: &MimeParts) -> Option<String> {
    let fields = mail
        .parts
        .iter()
        .filter(|part| part.kind.ends_with("delivery-status"))
        .flat_map(|part| part.text.lines());
    fields
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.trim().eq_ignore_ascii_case("x-postfix-sender"))
        .and_then(|(_, value)| of_field(value))
}

fn groups(text: &str) -> Vec<FieldGroup> {
    let mut groups: Vec<FieldGroup> = Vec::new();
    let mut group = FieldGroup::default();
    let mut field = String::new();
    let mut close = |group: &mut FieldGroup| {
        let group = std::mem::take(group);
        if !group.last.is_empty() || !group.original.is_empty() || !group.action.is_empty() {
            groups.push(group);
        }
    };
    for line in text.lines() {
        let named = line.split_once(':').filter(|(name, _)| {
            let name = name.trim_end();
            !line.starts_with([' ', '\t'])
                && !name.is_empty()
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
                && !name.bytes().all(|b| b.is_ascii_digit() || b == b'-')
        });
        let Some((name, value)) = named else {
            if line.trim().is_empty() {
                // Some put an empty line within a group; a group without a recipient goes on.
                if !group.last.is_empty() || !group.original.is_empty() {
                    close(&mut group);
                }
                field.clear();
            } else if let Some(value) = group.field(&field).filter(|value| value.len() < 4_000) {
                value.push('\n');
                value.push_str(line.trim());
            }
            continue;
        };
        field = name.trim().to_ascii_lowercase();
        if field == "final-recipient" && !group.last.is_empty() {
            close(&mut group);
        }
        if let Some(kept) = group.field(&field) {
            if !kept.is_empty() {
                kept.push('\n');
            }
            kept.push_str(value.trim());
        }
    }
    close(&mut group);
    groups
}

impl FieldGroup {
    fn field(&mut self, name: &str) -> Option<&mut String> {
        match name {
            "original-recipient" => Some(&mut self.original),
            "final-recipient" => Some(&mut self.last),
            "x-actual-recipient" => Some(&mut self.actual),
            "action" => Some(&mut self.action),
            "status" => Some(&mut self.status),
            "diagnostic-code" | "x-supplementary-info" | "x-smtp-server-diagnostic" | "x-notes" => {
                Some(&mut self.words)
            }
            _ => None,
        }
    }
}

/// The address that we wrote to: what it was forwarded to is nobody on the list. Some servers take the quotes off in one of the fields
/// and not in the other.
fn address_of(group: &FieldGroup) -> Option<String> {
    let fields = || {
        [&group.original, &group.last, &group.actual]
            .into_iter()
            .filter_map(|field| of_field(field))
    };
    fields()
        .find(|address| is_well_formed(address))
        .or_else(|| fields().next())
}

fn finding(group: &FieldGroup, prose: &FreeText) -> Option<RecipientReport> {
    let address = address_of(group);
    let (code, comment) = group
        .status
        .trim()
        .split_once([' ', '\t', '(', '\n'])
        .unwrap_or((group.status.trim(), ""));
    let status = EnhancedStatus::parse(code);
    let action = group.action.trim().to_ascii_lowercase();
    let is = |word: &str| action.starts_with(word);
    let succeeded = is("deliver")
        || is("relay")
        || is("expand")
        || status.is_some_and(|status| status.class == 2);
    let words = format!("{} {comment}", group.words).trim().to_owned();
    if succeeded || is("delayed") {
        let line = format!("{action} {words}");
        return Some(RecipientReport {
            address,
            meaning: Classification::None,
            class: None,
            reason: None,
            status,
            line: super::short(&line),
        });
    }
    if !is("fail") && status.is_none() && words.is_empty() && address.is_none() {
        return None;
    }
    let mut diagnosis = diagnose(&words, status);
    let mut line = if words.is_empty() {
        group.status.clone()
    } else {
        words
    };
    if diagnosis.says_nothing() {
        // A relay's own sentences tell of usual causes: they count where the fields hold nothing, else only beside the recipient.
        let more = match group.words.is_empty() && comment.is_empty() {
            true => prose.about(address.as_deref(), &[]),
            false => address
                .as_deref()
                .map(|address| prose.beside(address, &[]))
                .unwrap_or_default(),
        };
        let second = diagnose(&more, status);
        if !second.says_nothing() {
            (diagnosis, line) = (second, more);
        }
    }
    let Diagnosis {
        meaning,
        reason,
        status,
        ..
    } = diagnosis;
    Some(RecipientReport {
        address,
        meaning,
        class: diagnosis.class(),
        reason: Some(reason),
        status,
        line: super::short(&line),
    })
}
