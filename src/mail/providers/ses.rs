//! Amazon SES: feedback notifications (docs.aws.amazon.com/ses/latest/dg/notification-contents.html) and published events
//! (docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-sns-contents.html), which differ in one name.

use serde_json::Value;

use super::list;
use super::text;
use super::verdict::AddressVerdict;
use super::verdict::did;
use super::verdict::domains;
use super::verdict::event;
use super::verdict::failed;
use super::verdict::message_id;
use crate::domain::inbound::Classification;
use crate::domain::inbound::CorrelationIds;
use crate::domain::inbound::Reason;
use crate::domain::inbound::RecipientReport;
use crate::domain::webhook::WebhookEvent;

/// Bounces, complaints, and those who leave by the link of SES's own lists.
pub fn read(value: &Value) -> Vec<WebhookEvent> {
    let of = |place| text(value, place);
    let kind = match of("/notificationType") {
        "" => of("/eventType"),
        kind => kind,
    };
    let findings: Vec<RecipientReport> = match kind {
        "Bounce" => list(value, "/bounce/bouncedRecipients")
            .iter()
            .map(|to| bounced(value, to))
            .collect(),
        "Complaint" => complained(value),
        "Subscription"
            if value.pointer("/subscription/newTopicPreferences/unsubscribeAll")
                == Some(&Value::Bool(true)) =>
        {
            // A mail of ours has one recipient.
            let [to] = list(value, "/mail/destination") else {
                return Vec::new();
            };
            vec![did(
                "ses",
                to.as_str().unwrap_or_default(),
                Classification::Unsubscribe,
                "unsubscribeAll",
            )]
        }
        // Sent, delivered, delayed, opened, clicked; refused or not rendered by SES, which is between it and us.
        _ => return Vec::new(),
    };
    let id = [
        of("/bounce/feedbackId"),
        of("/complaint/feedbackId"),
        of("/mail/messageId"),
    ]
    .into_iter()
    .find(|id| !id.is_empty());
    let (clues, from) = (clues(value), domains([of("/mail/source")]));
    let event = |finding: RecipientReport| {
        let address = finding.address.clone().unwrap_or_default();
        event(
            &format!("{kind} {} {address}", id.unwrap_or_default()),
            value,
            finding,
            clues.clone(),
            from.clone(),
        )
    };
    findings.into_iter().map(event).collect()
}

fn bounced(value: &Value, to: &Value) -> RecipientReport {
    let (class, sub_class) = (
        text(value, "/bounce/bounceType"),
        text(value, "/bounce/bounceSubType"),
    );
    let address = text(to, "/emailAddress");
    match bounce_class(class, sub_class) {
        Some(bounce) => {
            let said = format!("ses {class}/{sub_class}");
            failed(
                &said,
                address,
                bounce,
                text(to, "/diagnosticCode"),
                text(to, "/status"),
            )
        }
        None => did("ses", address, Classification::Unsubscribe, sub_class),
    }
}

/// By the table of types in SES's documentation; `None`: the reader had left by SES's own link.
pub fn bounce_class(class: &str, sub_class: &str) -> Option<AddressVerdict> {
    Some(match (class, sub_class) {
        (_, "UnsubscribedRecipient") => return None,
        ("Permanent", "NoEmail") => AddressVerdict::NoMailbox,
        // SES did not try, for the address had bounced, with us or with another of its customers, or was put on the list by
        // hand. What the receiving server would say now is not known.
        ("Permanent", "Suppressed" | "OnAccountSuppressionList") => {
            AddressVerdict::Passing(Reason::Other)
        }
        ("Permanent", _) => AddressVerdict::Permanent,
        (_, "MailboxFull") => AddressVerdict::Passing(Reason::Full),
        (_, "MessageTooLarge") => AddressVerdict::Passing(Reason::TooBig),
        (_, "ContentRejected" | "AttachmentRejected") => AddressVerdict::Passing(Reason::Policy),
        _ => AddressVerdict::Passing(Reason::Other),
    })
}

fn complained(value: &Value) -> Vec<RecipientReport> {
    let kind = text(value, "/complaint/complaintFeedbackType");
    // "This is not spam", and reports on forged mail, are no complaints of a reader.
    if matches!(kind, "not-spam" | "auth-failure") {
        return Vec::new();
    }
    // Of a provider that names nobody SES lists everybody at it who got the mail. One of ours goes to one reader; of several
    // nobody knows who it was.
    let [only] = list(value, "/complaint/complainedRecipients") else {
        return Vec::new();
    };
    let words = format!(
        "complaint {kind} {}",
        text(value, "/complaint/complaintSubType")
    );
    vec![did(
        "ses",
        text(only, "/emailAddress"),
        Classification::Complaint,
        words.trim_end(),
    )]
}

/// The envelope's sender, and the headers of the mail where SES is set to include them. It gives the mail a Message-ID of its
/// own on the way out; ours stands there as it was.
fn clues(value: &Value) -> CorrelationIds {
    let header = |name: &'static str| {
        let of_name = move |header: &&Value| text(header, "/name").eq_ignore_ascii_case(name);
        list(value, "/mail/headers")
            .iter()
            .filter(of_name)
            .map(|header| text(header, "/value"))
    };
    let ids = header("message-id")
        .chain([text(value, "/mail/commonHeaders/messageId")])
        .filter_map(message_id);
    let source = Some(text(value, "/mail/source")).filter(|source| !source.is_empty());
    CorrelationIds {
        addressed: source.map(String::from).into_iter().collect(),
        message_ids: ids.take(10).collect(),
        ..CorrelationIds::default()
    }
}
