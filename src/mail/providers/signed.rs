//! Our own plain webhook: for a script over a mail server's log, or a provider that has no door of its own here. HMAC-SHA256 in
//! hexadecimal of timestamp, a dot and the body.
//!
//! ```text
//! POST /webhooks/signed
//! X-Verdicts-Timestamp: 1764144000
//! X-Verdicts-Signature: hex(hmac-sha256(secret, "1764144000." + body))
//!
//! {"id": "4711", "type": "bounce", "email": "ada@example.org", "diagnostic": "550 5.1.1 no such user"}
//! ```

use chrono::TimeDelta;
use data_encoding::HEXLOWER_PERMISSIVE;
use serde_json::Value;

use super::Posted;
use super::Untrusted;
use super::each;
use super::hex_digest;
use super::signature::check_age;
use super::signature::is_signed;
use super::signature::seconds;
use super::text;
use super::verdict::AddressVerdict;
use super::verdict::did;
use super::verdict::domains;
use super::verdict::event;
use super::verdict::failed;
use super::verdict::message_id;
use crate::domain::Timestamp;
use crate::domain::inbound::Classification;
use crate::domain::inbound::CorrelationIds;
use crate::domain::inbound::Reason;
use crate::domain::secret::Secret;
use crate::domain::webhook::WebhookEvent;

const BACK: TimeDelta = TimeDelta::minutes(5);

/// `keys`: secrets.
pub fn identify(keys: &[Secret], posted: Posted<'_>, now: Timestamp) -> Result<String, Untrusted> {
    let signed_at = posted.header("x-verdicts-timestamp")?;
    let signature = posted.header("x-verdicts-signature")?;
    let signature = HEXLOWER_PERMISSIVE
        .decode(signature.as_bytes())
        .map_err(|_| Untrusted::Forged)?;
    if !is_signed(
        keys.iter().map(|key| key.expose().as_bytes()),
        &[signed_at.as_bytes(), b".", posted.body],
        &signature,
    ) {
        return Err(Untrusted::Forged);
    }
    check_age(seconds(signed_at).ok_or(Untrusted::Forged)?, BACK, now)?;
    Ok(hex_digest(&[signed_at.as_bytes(), b".", posted.body]))
}

/// One event, or a list of them: `type` is `bounce` (the `diagnostic` decides what kind of; without one it is hard), `soft`,
/// `complaint` or `unsubscribe`. `message_id` and `sender` (the envelope's) say which mail it was.
pub fn read(value: &Value) -> Vec<WebhookEvent> {
    each(value).filter_map(read_one).collect()
}

fn read_one(value: &Value) -> Option<WebhookEvent> {
    let of = |place| text(value, place);
    let (kind, address) = (of("/type"), of("/email"));
    let finding = match kind {
        "bounce" => failed(
            "webhook",
            address,
            AddressVerdict::Permanent,
            of("/diagnostic"),
            of("/status"),
        ),
        "soft" => failed(
            "webhook",
            address,
            AddressVerdict::Passing(Reason::Other),
            of("/diagnostic"),
            of("/status"),
        ),
        "complaint" => did("webhook", address, Classification::Complaint, kind),
        "unsubscribe" => did("webhook", address, Classification::Unsubscribe, kind),
        _ => return None,
    };
    let (id, sender) = (of("/message_id"), of("/sender"));
    let clues = CorrelationIds {
        message_ids: message_id(id).into_iter().collect(),
        addressed: Some(sender.to_owned())
            .filter(|sender| !sender.is_empty())
            .into_iter()
            .collect(),
        ..CorrelationIds::default()
    };
    Some(event(of("/id"), value, finding, clues, domains([sender])))
}
