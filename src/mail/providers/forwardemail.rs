//! Forward Email (forwardemail.net/faq#do-you-support-bounce-webhooks): HMAC-SHA256 of the body in hexadecimal, by the webhook signature
//! payload verification key of the domain, in the field `X-Webhook-Signature`. No time is signed: the same request again is known by
//! its bytes.

use serde_json::Value;

use super::Posted;
use super::Untrusted;
use super::signature::body_signed;
use super::text;
use super::verdict::AddressVerdict;
use super::verdict::domains;
use super::verdict::event;
use super::verdict::failed;
use super::verdict::message_id;
use crate::domain::Timestamp;
use crate::domain::inbound::CorrelationIds;
use crate::domain::inbound::Reason;
use crate::domain::secret::Secret;
use crate::domain::webhook::WebhookEvent;

/// `keys`: verification keys.
pub fn identify(keys: &[Secret], posted: Posted<'_>, _now: Timestamp) -> Result<String, Untrusted> {
    body_signed(keys, posted, "x-webhook-signature")
}

/// One bounce. It tells of no complaints and of nobody who left.
pub fn read(value: &Value) -> Vec<WebhookEvent> {
    let of = |place| text(value, place);
    let (action, category) = (of("/bounce/action"), of("/bounce/category"));
    let class = match (action, category) {
        // It tries again.
        ("defer" | "slowdown", _) => return Vec::new(),
        (_, "spam" | "virus" | "policy" | "dmarc" | "dkim" | "spf" | "authfail" | "envelope") => {
            AddressVerdict::Passing(Reason::Policy)
        }
        (_, "block" | "blocklist" | "blacklist") => AddressVerdict::Passing(Reason::Blocked),
        (_, "network" | "protocol" | "dns") => AddressVerdict::Passing(Reason::Network),
        (_, "capacity") => AddressVerdict::Passing(Reason::Full),
        ("reject", _) => AddressVerdict::Permanent,
        // No bounce of its form.
        _ => return Vec::new(),
    };
    let words = [of("/response"), of("/bounce/message"), of("/message")];
    let words = words.into_iter().find(|words| !words.is_empty());
    let finding = failed(
        &format!("forwardemail {category}"),
        of("/recipient"),
        class,
        words.unwrap_or_default(),
        "",
    );
    let headers = value.pointer("/headers").and_then(Value::as_object);
    let header = |wanted: &str| {
        let mut headers = headers.into_iter().flatten();
        let found = headers.find(|(name, _)| name.eq_ignore_ascii_case(wanted));
        found
            .and_then(|(_, value)| value.as_str())
            .unwrap_or_default()
    };
    let clues = CorrelationIds {
        message_ids: message_id(header("message-id")).into_iter().collect(),
        ..CorrelationIds::default()
    };
    let id = match of("/email_id") {
        "" => String::new(),
        id => format!("{id} {}", of("/recipient")),
    };
    vec![event(&id, value, finding, clues, domains([header("from")]))]
}
