//! MailerSend (developers.mailersend.com/api/v1/webhooks.html): HMAC-SHA256 of the body in hexadecimal, by the webhook's signing secret,
//! in the field `Signature`. No time is signed: the same request again is known by its bytes.

use serde_json::Value;

use super::Posted;
use super::Untrusted;
use super::signature::body_signed;
use super::text;
use super::verdict::AddressVerdict;
use super::verdict::did;
use super::verdict::domains;
use super::verdict::event;
use super::verdict::failed;
use super::verdict::is_telling;
use crate::domain::Timestamp;
use crate::domain::inbound::Classification;
use crate::domain::inbound::CorrelationIds;
use crate::domain::inbound::Reason;
use crate::domain::secret::Secret;
use crate::domain::webhook::WebhookEvent;

/// MailerSend asks an address before it saves it, signed with a secret that its documentation prints: anybody can, so that nothing but
/// this one kind, which says nothing, is believed for it.
const TEST_SECRET: &str = "test_Am3L1GuOIc4blLUuHqAPxxwkZaJyEk8G";
const TEST_KIND: &str = "webhook.test";

/// `keys`: signing secrets.
pub fn identify(keys: &[Secret], posted: Posted<'_>, _now: Timestamp) -> Result<String, Untrusted> {
    let proven = body_signed(keys, posted, "signature");
    let is_test = || {
        serde_json::from_slice::<Value>(posted.body)
            .is_ok_and(|value| text(&value, "/type") == TEST_KIND)
    };
    match proven {
        Err(Untrusted::Forged) if is_test() => {
            body_signed(&[TEST_SECRET.into()], posted, "signature")
        }
        proven => proven,
    }
}

/// One event. What the receiving server said stands in `morph`, as a sentence of MailerSend's or its own.
pub fn read(value: &Value) -> Vec<WebhookEvent> {
    let of = |place| text(value, place);
    let address = of("/data/email/recipient/email");
    let reason = of("/data/morph/reason");
    let words = match of("/data/morph/readable_reason") {
        readable if !is_telling(reason) && is_telling(readable) => readable,
        // "Unknown reason" is no word of a server.
        _ if reason == "Unknown reason" => "",
        _ => reason,
    };
    let kind = of("/type");
    let said = |class| failed(&format!("mailersend {kind}"), address, class, words, "");
    let finding = match kind {
        "activity.hard_bounced" => said(AddressVerdict::Permanent),
        "activity.soft_bounced" => said(AddressVerdict::Passing(Reason::Other)),
        "activity.spam_complaint" => did("mailersend", address, Classification::Complaint, kind),
        "activity.unsubscribed" => did("mailersend", address, Classification::Unsubscribe, kind),
        // Sent, delivered, deferred, opened, clicked.
        _ => return Vec::new(),
    };
    let domains = domains([of("/data/email/from")]);
    vec![event(
        of("/data/id"),
        value,
        finding,
        CorrelationIds::default(),
        domains,
    )]
}
