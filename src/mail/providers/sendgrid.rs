//! Twilio SendGrid's Signed Event Webhook
//! (twilio.com/docs/sendgrid/for-developers/tracking-events/getting-started-event-webhook-security-features): ECDSA on P-256
//! with SHA-256, over the timestamp and the body as it came, in base64 of DER.

use aws_lc_rs::signature::ECDSA_P256_SHA256_ASN1;
use aws_lc_rs::signature::UnparsedPublicKey;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::TimeDelta;
use serde_json::Value;

use super::Posted;
use super::Untrusted;
use super::hex_digest;
use super::signature::check_age;
use super::signature::seconds;
use super::text;
use super::verdict::AddressVerdict;
use super::verdict::did;
use super::verdict::event;
use super::verdict::failed;
use super::verdict::message_id;
use crate::domain::Timestamp;
use crate::domain::inbound::Classification;
use crate::domain::inbound::CorrelationIds;
use crate::domain::inbound::Reason;
use crate::domain::secret::Secret;
use crate::domain::webhook::WebhookEvent;

/// It tries again for a day, and does not say whether it then signs anew. The body is signed with the time, and each event
/// acts once, so that a wide window lets nobody do anything.
const BACK: TimeDelta = TimeDelta::hours(25);

/// `keys`: public keys as its pages show them, base64 of SubjectPublicKeyInfo.
pub fn identify(keys: &[Secret], posted: Posted<'_>, now: Timestamp) -> Result<String, Untrusted> {
    let signature = posted.header("x-twilio-email-event-webhook-signature")?;
    let signed_at = posted.header("x-twilio-email-event-webhook-timestamp")?;
    let signature = STANDARD.decode(signature).map_err(|_| Untrusted::Forged)?;
    let message = [signed_at.as_bytes(), posted.body].concat();
    let made_by = |key: &Secret| {
        let der = STANDARD.decode(key.expose()).unwrap_or_default();
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, der)
            .verify(&message, &signature)
            .is_ok()
    };
    if !keys.iter().any(made_by) {
        return Err(Untrusted::Forged);
    }
    check_age(seconds(signed_at).ok_or(Untrusted::Forged)?, BACK, now)?;
    // Not the signature: from one of this kind anybody can make another that is right too.
    Ok(hex_digest(&[&message]))
}

/// A list of events (twilio.com/docs/sendgrid/for-developers/tracking-events/event).
pub fn read(value: &Value) -> Vec<WebhookEvent> {
    value
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default()
        .iter()
        .filter_map(one)
        .collect()
}

fn one(value: &Value) -> Option<WebhookEvent> {
    let of = |place| text(value, place);
    let (address, reason, class) = (of("/email"), of("/reason"), of("/bounce_classification"));
    let finding = match of("/event") {
        "bounce" => {
            let said = format!("sendgrid {} {class}", of("/type"));
            failed(
                said.trim_end(),
                address,
                bounce(of("/type"), class),
                reason,
                of("/status"),
            )
        }
        "dropped" => dropped(address, reason)?,
        "spamreport" => did("sendgrid", address, Classification::Complaint, "spamreport"),
        "unsubscribe" | "group_unsubscribe" => did(
            "sendgrid",
            address,
            Classification::Unsubscribe,
            of("/event"),
        ),
        // A delay is no failure; what arrived, was opened or clicked is none either.
        _ => return None,
    };
    // SendGrid often puts an id of its own there (`@geopod-ismtpd-..`, `@ismtpd-..`, `@sendgrid.net`: django-anymail #108), so the
    // host of the id does not tell whose mail it was; and it names no sender.
    let clues = CorrelationIds {
        message_ids: message_id(of("/smtp-id")).into_iter().collect(),
        ..CorrelationIds::default()
    };
    Some(event(of("/sg_event_id"), value, finding, clues, Vec::new()))
}

/// `type` is `bounce` for an address that SendGrid then suppresses, `blocked` for a refusal of this mail alone.
fn bounce(kind: &str, class: &str) -> AddressVerdict {
    match (kind, class) {
        (_, "Invalid Address") if kind != "blocked" => AddressVerdict::NoMailbox,
        (_, "Reputation") => AddressVerdict::Passing(Reason::Blocked),
        (_, "Content") => AddressVerdict::Passing(Reason::Policy),
        (_, "Frequency or Volume Too High") => AddressVerdict::Passing(Reason::Rate),
        (_, "Technical") => AddressVerdict::Passing(Reason::Network),
        // A full one, or one that is switched off for now.
        (_, "Mailbox Unavailable") => AddressVerdict::Passing(Reason::Other),
        ("blocked", _) => AddressVerdict::Passing(Reason::Blocked),
        _ => AddressVerdict::Permanent,
    }
}

/// SendGrid did not even try, and says why.
fn dropped(address: &str, reason: &str) -> Option<crate::domain::inbound::RecipientReport> {
    Some(match reason {
        "Spam Reporting Address" => did(
            "sendgrid dropped",
            address,
            Classification::Complaint,
            reason,
        ),
        "Unsubscribed Address" => did(
            "sendgrid dropped",
            address,
            Classification::Unsubscribe,
            reason,
        ),
        // An address that does not parse.
        "Invalid" => failed(
            "sendgrid dropped",
            address,
            AddressVerdict::NoMailbox,
            "",
            "",
        ),
        // It bounced before, for whatever reason: the receiving server was not asked now.
        "Bounced Address" => failed(
            "sendgrid dropped",
            address,
            AddressVerdict::Passing(Reason::Other),
            reason,
            "",
        ),
        // Spam content, package quota, an invalid header: between SendGrid and us.
        _ => return None,
    })
}
