//! Amazon SES's notices of bounces and complaints, where an SNS topic sends them by mail: JSON in a text
//! (docs.aws.amazon.com/ses/latest/dg/notification-contents.html).

use serde_json::Value;

use super::diagnosis::diagnose;
use super::mime::MimeParts;
use super::short;
use crate::domain::inbound::Classification;
use crate::domain::inbound::CorrelationIds;
use crate::domain::inbound::EnhancedStatus;
use crate::domain::inbound::Reason;
use crate::domain::inbound::RecipientReport;

/// Recipients of one notice that are read.
const RECIPIENTS: usize = 50;

/// The notice in a mail; `None` if it has none. The topic may send it bare, or as the `Message` of SNS's own envelope.
pub fn notice(mail: &MimeParts) -> Option<Value> {
    let part = mail
        .parts
        .iter()
        .find(|part| !part.enclosed && part.kind == "text/plain")?;
    let text = part.text.trim_start();
    if !text.starts_with('{') {
        return None;
    }
    let first = serde_json::Deserializer::from_str(text)
        .into_iter::<Value>()
        .next()?
        .ok()?;
    let value = match first.get("Message").and_then(Value::as_str) {
        Some(message) => serde_json::from_str(message).ok()?,
        None => first,
    };
    (!kind_of(&value).is_empty() && value.get("mail").is_some()).then_some(value)
}

/// The findings of a notice: none of what it says of mails that were sent, delivered or opened.
pub fn findings(notice: &Value) -> Vec<RecipientReport> {
    let to = |list: &str| {
        notice
            .pointer(list)
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default()
    };
    let found: Vec<RecipientReport> = match kind_of(notice) {
        "Bounce" => to("/bounce/bouncedRecipients")
            .iter()
            .take(RECIPIENTS)
            .map(|to| bounced(notice, to))
            .collect(),
        "Complaint" => match to("/complaint/complainedRecipients").as_slice() {
            // A provider that names nobody: all who may have been it are listed, and nobody knows who was.
            [only]
                if !matches!(
                    text(notice, "/complaint/complaintFeedbackType"),
                    "not-spam" | "auth-failure"
                ) =>
            {
                vec![finding(only, Classification::Complaint, "SES: Complaint")]
            }
            _ => Vec::new(),
        },
        _ => Vec::new(),
    };
    if found.is_empty() {
        vec![finding(
            &Value::Null,
            Classification::None,
            &format!("SES: {}", kind_of(notice)),
        )]
    } else {
        found
    }
}

/// Adds what the notice tells of the mail that it is about: its envelope's sender, and its Message-ID where SES includes headers.
pub fn add_clues(notice: &Value, clues: &mut CorrelationIds) {
    let source = text(notice, "/mail/source");
    clues
        .addressed
        .extend(super::addresses::first(source).map(String::from));
    let headers = notice
        .pointer("/mail/headers")
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default();
    let ids = headers
        .iter()
        .take(200)
        .filter(|header| text(header, "/name").eq_ignore_ascii_case("message-id"));
    let ids = ids
        .map(|header| text(header, "/value"))
        .chain([text(notice, "/mail/commonHeaders/messageId")]);
    let ids = ids
        .map(|id| id.trim_matches(['<', '>', ' ']))
        .filter(|id| id.contains('@') && id.len() < 300);
    clues.message_ids.extend(ids.take(10).map(String::from));
}

fn bounced(notice: &Value, to: &Value) -> RecipientReport {
    let (kind, sub_kind) = (
        text(notice, "/bounce/bounceType"),
        text(notice, "/bounce/bounceSubType"),
    );
    let said = text(to, "/diagnosticCode");
    let diagnosis = diagnose(said, EnhancedStatus::parse(text(to, "/status")));
    let line = if said.is_empty() {
        format!("SES: {kind} {sub_kind}")
    } else {
        said.to_owned()
    };
    let soft = |reason: Reason| RecipientReport {
        class: Some(reason.soft_class()),
        reason: Some(reason),
        ..finding(to, Classification::Soft, &line)
    };
    match (kind, sub_kind) {
        (_, "UnsubscribedRecipient") => finding(to, Classification::Unsubscribe, &line),
        // SES did not try: it remembers an older bounce, perhaps of another customer's mail.
        (_, "Suppressed" | "OnAccountSuppressionList") => soft(Reason::Other),
        ("Permanent", "NoEmail") | ("Permanent", "General" | "")
            if said.is_empty() || sub_kind == "NoEmail" =>
        {
            RecipientReport {
                reason: Some(Reason::NoMailbox),
                status: diagnosis.status,
                ..finding(to, Classification::Hard, &line)
            }
        }
        (_, "MailboxFull") => soft(Reason::Full),
        ("Permanent", _) => {
            let (class, reason) = (diagnosis.class(), Some(diagnosis.reason));
            RecipientReport {
                class,
                reason,
                status: diagnosis.status,
                ..finding(to, diagnosis.meaning, &line)
            }
        }
        _ if diagnosis.meaning == Classification::Soft => soft(diagnosis.reason),
        _ => soft(Reason::Other),
    }
}

fn finding(to: &Value, meaning: Classification, line: &str) -> RecipientReport {
    let address = super::addresses::of_field(text(to, "/emailAddress"));
    RecipientReport {
        address,
        meaning,
        class: None,
        reason: None,
        status: None,
        line: short(line),
    }
}

fn kind_of(notice: &Value) -> &str {
    match text(notice, "/notificationType") {
        "" => text(notice, "/eventType"),
        kind => kind,
    }
}

fn text<'a>(value: &'a Value, place: &str) -> &'a str {
    value
        .pointer(place)
        .and_then(Value::as_str)
        .unwrap_or_default()
}
