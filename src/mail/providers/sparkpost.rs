//! SparkPost, now Bird (developers.sparkpost.com/api/webhooks): no signature. Its webhooks present basic authentication or an OAuth
//! token, which may be a fixed one.

use serde_json::Value;

use super::each;
use super::text;
use super::verdict::AddressVerdict;
use super::verdict::did;
use super::verdict::domains;
use super::verdict::event;
use super::verdict::failed;
use crate::domain::inbound::Classification;
use crate::domain::inbound::CorrelationIds;
use crate::domain::inbound::Reason;
use crate::domain::inbound::RecipientReport;
use crate::domain::webhook::WebhookEvent;

/// A batch: each entry holds one event under `msys` and its class. `[{"msys": {}}]` is SparkPost's test of the address.
pub fn read(value: &Value) -> Vec<WebhookEvent> {
    let inner = |entry: &'_ Value| {
        let classes = entry.pointer("/msys").and_then(Value::as_object);
        classes.map(|classes| classes.values().filter_map(one).collect::<Vec<_>>())
    };
    each(value).filter_map(inner).flatten().collect()
}

fn one(value: &Value) -> Option<WebhookEvent> {
    let of = |place| text(value, place);
    let finding = finding(value)?;
    let sender = match of("/msg_from") {
        "" => of("/mailfrom"),
        sender => sender,
    };
    let clues = CorrelationIds {
        addressed: Some(sender.to_owned())
            .filter(|sender| !sender.is_empty())
            .into_iter()
            .collect(),
        ..CorrelationIds::default()
    };
    let domains = domains([sender, of("/friendly_from")]);
    Some(event(of("/event_id"), value, finding, clues, domains))
}

fn finding(value: &Value) -> Option<RecipientReport> {
    let of = |place| text(value, place);
    let address = match of("/raw_rcpt_to") {
        "" => of("/rcpt_to"),
        address => address,
    };
    let (kind, class) = (of("/type"), of("/bounce_class"));
    // `reason` has the recipient's address taken out.
    let words = match of("/raw_reason") {
        "" => of("/reason"),
        words => words,
    };
    let said = |verdict| {
        let name = format!("sparkpost {kind} {class}");
        failed(name.trim_end(), address, verdict, words, "")
    };
    Some(match kind {
        "bounce" | "out_of_band" if class == "90" => {
            did("sparkpost", address, Classification::Unsubscribe, kind)
        }
        "bounce" | "out_of_band" => said(bounce(class)?),
        // SparkPost did not try: its suppression list, or a policy of the account.
        "policy_rejection" => said(AddressVerdict::Passing(Reason::Blocked)),
        "spam_complaint" => match of("/fbtype") {
            "not-spam" | "auth-failure" => return None,
            _ => did("sparkpost", address, Classification::Complaint, kind),
        },
        "list_unsubscribe" | "link_unsubscribe" => {
            did("sparkpost", address, Classification::Unsubscribe, kind)
        }
        _ => return None,
    })
}

/// By the bounce classification codes (support.sparkpost.com/docs/deliverability/bounce-classification-codes); automatic answers are
/// none.
fn bounce(class: &str) -> Option<AddressVerdict> {
    Some(match class {
        // Invalid Recipient.
        "10" => AddressVerdict::NoMailbox,
        // Generic Bounce: No RCPT; Undetermined and Generic Bounce say nothing themselves.
        "30" | "1" | "40" | "" => AddressVerdict::Permanent,
        "22" => AddressVerdict::Passing(Reason::Full),
        "23" => AddressVerdict::Passing(Reason::TooBig),
        // DNS Failure, Timeout.
        "21" | "24" => AddressVerdict::Passing(Reason::Network),
        // Spam Content, Prohibited Attachment.
        "52" | "53" => AddressVerdict::Passing(Reason::Policy),
        // Admin Failure, Smart Send Suppression, Mail Block, Spam Block, Relaying Denied.
        "25" | "26" | "50" | "51" | "54" => AddressVerdict::Passing(Reason::Blocked),
        // Auto-Reply, Subscribe, Challenge-Response.
        "60" | "80" | "100" => return None,
        // Soft Bounce, Transient Failure.
        _ => AddressVerdict::Passing(Reason::Other),
    })
}
