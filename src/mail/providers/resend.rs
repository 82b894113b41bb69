//! Resend (resend.com/docs/webhooks/verify-webhooks-requests), which signs as Svix does (docs.svix.com/receiving/
//! verifying-payloads/how-manual): HMAC-SHA256 in base64 of id, timestamp and body, joined by dots.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::TimeDelta;
use serde_json::Value;

use super::Posted;
use super::Untrusted;
use super::list;
use super::ses::bounce_class;
use super::signature::check_age;
use super::signature::is_signed;
use super::signature::seconds;
use super::text;
use super::verdict::did;
use super::verdict::domains;
use super::verdict::event;
use super::verdict::failed;
use super::verdict::is_telling;
use super::verdict::message_id;
use crate::domain::Timestamp;
use crate::domain::inbound::Classification;
use crate::domain::inbound::CorrelationIds;
use crate::domain::refusal::reply_code;
use crate::domain::secret::Secret;
use crate::domain::webhook::WebhookEvent;

/// Each attempt is signed anew, so that the five minutes of Svix's own libraries are enough.
const BACK: TimeDelta = TimeDelta::minutes(5);
/// While a secret is changed for another there are two signatures.
const SIGNATURES: usize = 10;

/// `keys`: signing secrets, `whsec_` and base64.
pub fn identify(keys: &[Secret], posted: Posted<'_>, now: Timestamp) -> Result<String, Untrusted> {
    let (id, signed_at) = (posted.header("svix-id")?, posted.header("svix-timestamp")?);
    let signatures = posted.header("svix-signature")?;
    let keys: Vec<Vec<u8>> = keys.iter().filter_map(|key| secret(key.expose())).collect();
    let parts = [id.as_bytes(), b".", signed_at.as_bytes(), b".", posted.body];
    let versions = signatures
        .split(' ')
        .filter_map(|signature| signature.strip_prefix("v1,"))
        .take(SIGNATURES);
    let mut given = versions.filter_map(|signature| STANDARD.decode(signature).ok());
    if id.contains('.')
        || !given.any(|signature| is_signed(keys.iter().map(Vec::as_slice), &parts, &signature))
    {
        return Err(Untrusted::Forged);
    }
    check_age(seconds(signed_at).ok_or(Untrusted::Forged)?, BACK, now)?;
    Ok(id.to_owned())
}

fn secret(key: &str) -> Option<Vec<u8>> {
    STANDARD
        .decode(key.strip_prefix("whsec_").unwrap_or(key))
        .ok()
        .filter(|key| !key.is_empty())
}

/// One event (resend.com/docs/webhooks/event-types). Resend sends by way of SES, and its bounces are classed as there.
pub fn read(value: &Value) -> Vec<WebhookEvent> {
    let of = |place| text(value, place);
    let kind = of("/type");
    let [address] = list(value, "/data/to") else {
        return Vec::new();
    };
    let address = address.as_str().unwrap_or_default();
    let finding = match kind {
        "email.bounced" => {
            let (class, sub_class) = (of("/data/bounce/type"), of("/data/bounce/subType"));
            match bounce_class(class, sub_class) {
                Some(bounce) => failed(
                    &format!("resend {class}/{sub_class}"),
                    address,
                    bounce,
                    &words(value),
                    "",
                ),
                None => did("resend", address, Classification::Unsubscribe, sub_class),
            }
        }
        "email.complained" => did("resend", address, Classification::Complaint, kind),
        // Sent, delivered, delayed, opened, clicked; failed and suppressed, which are between Resend and us.
        _ => return Vec::new(),
    };
    let id = match of("/data/email_id") {
        "" => String::new(),
        email => format!("{kind} {email}"),
    };
    let headers = list(value, "/data/headers")
        .iter()
        .filter(|header| text(header, "/name").eq_ignore_ascii_case("message-id"));
    let ids = headers
        .map(|header| text(header, "/value"))
        .chain([of("/data/message_id")])
        .filter_map(message_id);
    let clues = CorrelationIds {
        message_ids: ids.collect(),
        ..CorrelationIds::default()
    };
    vec![event(
        &id,
        value,
        finding,
        clues,
        domains([of("/data/from")]),
    )]
}

/// Returns what the receiving server said. Where that is not given, Resend's message may be it, or a sentence of its own about the class
/// of the bounce, which tells no more than the class.
fn words(value: &Value) -> String {
    let codes = list(value, "/data/bounce/diagnosticCode")
        .iter()
        .filter_map(Value::as_str);
    let words = codes.collect::<Vec<_>>().join(" ");
    let message = text(value, "/data/bounce/message");
    if words.is_empty() && (reply_code(message).is_some() || is_telling(message)) {
        message.to_owned()
    } else {
        words
    }
}
