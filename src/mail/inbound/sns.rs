//! Amazon SES's notices of bounces and complaints, where an SNS topic sends them by mail: JSON in a text
//! (docs.aws.amazon.com/ses/latest/dg/notification-contents.html).

use serde_json::Value;

use super::diagnosis::diagnose;
use super::mime::Parts;
use super::short;
use crate::domain::inbound::Clues;
use crate::domain::inbound::Finding;
use crate::domain::inbound::Meaning;
use crate::domain::inbound::Reason;
use crate::domain::inbound::Status;

/// Recipients of one notice that are read.
const RECIPIENTS: usize = 50;

/// The notice in a mail; `None` if it has none. The topic may send it bare, or as the `Message` of SNS's own envelope.
pub fn notice(mail: &Parts) -> Option<Value> {
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
pub fn findings(notice: &Value) -> Vec<Finding> {
    let to = |list: &str| {
        notice
            .pointer(list)
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default()
    };
    let found: Vec<Finding> = match kind_of(notice) {
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
                vec![finding(only, Meaning::Complaint, "SES: Complaint")]
            }
            _ => Vec::new(),
        },
        _ => Vec::new(),
    };
    if found.is_empty() {
        vec![finding(
            &Value::Null,
            Meaning::None,
            &format!("SES: {}", kind_of(notice)),
        )]
    } else {
        found
    }
}

/// Adds what the notice tells of the mail that it is about: its envelope's sender, and its Message-ID where SES includes headers.
pub fn add_clues(notice: &Value, clues: &mut Clues) {
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

fn bounced(notice: &Value, to: &Value) -> Finding {
    let (kind, sub_kind) = (
        text(notice, "/bounce/bounceType"),
        text(notice, "/bounce/bounceSubType"),
    );
    let said = text(to, "/diagnosticCode");
    let diagnosis = diagnose(said, Status::parse(text(to, "/status")));
    let line = if said.is_empty() {
        format!("SES: {kind} {sub_kind}")
    } else {
        said.to_owned()
    };
    let soft = |reason: Reason| Finding {
        class: Some(reason.soft_class()),
        reason: Some(reason),
        ..finding(to, Meaning::Soft, &line)
    };
    match (kind, sub_kind) {
        (_, "UnsubscribedRecipient") => finding(to, Meaning::Unsubscribe, &line),
        // SES did not try: it remembers an older bounce, perhaps of another customer's mail.
        (_, "Suppressed" | "OnAccountSuppressionList") => soft(Reason::Other),
        ("Permanent", "NoEmail") | ("Permanent", "General" | "")
            if said.is_empty() || sub_kind == "NoEmail" =>
        {
            Finding {
                reason: Some(Reason::NoMailbox),
                status: diagnosis.status,
                ..finding(to, Meaning::Hard, &line)
            }
        }
        (_, "MailboxFull") => soft(Reason::Full),
        ("Permanent", _) => {
            let (class, reason) = (diagnosis.class(), Some(diagnosis.reason));
            Finding {
                class,
                reason,
                status: diagnosis.status,
                ..finding(to, diagnosis.meaning, &line)
            }
        }
        _ if diagnosis.meaning == Meaning::Soft => soft(diagnosis.reason),
        _ => soft(Reason::Other),
    }
}

fn finding(to: &Value, meaning: Meaning, line: &str) -> Finding {
    let address = super::addresses::of_field(text(to, "/emailAddress"));
    Finding {
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
