//! Mailgun (documentation.mailgun.com/docs/mailgun/user-manual/webhooks/securing-webhooks): HMAC-SHA256 in hexadecimal of
//! timestamp and token, by the account's HTTP webhook signing key; all three stand in the body.
//!
//! The signature is not over the body. Whoever has seen one request could sign another with it, but for the token: it is good
//! for one body, and remembered for longer than the timestamp is.

use chrono::TimeDelta;
use data_encoding::HEXLOWER_PERMISSIVE;
use serde::Deserialize;
use serde_json::Value;

use super::Posted;
use super::Untrusted;
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

/// It tries again for eight hours.
const BACK: TimeDelta = TimeDelta::hours(9);

#[derive(Deserialize)]
struct Body {
    signature: Signature,
}

#[derive(Deserialize)]
struct Signature {
    timestamp: String,
    token: String,
    signature: String,
}

/// `keys`: signing keys.
pub fn identify(keys: &[Secret], posted: Posted<'_>, now: Timestamp) -> Result<String, Untrusted> {
    let Body {
        signature:
            Signature {
                timestamp,
                token,
                signature,
            },
    } = serde_json::from_slice(posted.body).map_err(|_| Untrusted::Unsigned)?;
    let signature = HEXLOWER_PERMISSIVE
        .decode(signature.as_bytes())
        .map_err(|_| Untrusted::Forged)?;
    let parts = [timestamp.as_bytes(), token.as_bytes()];
    // Fifty characters of the hexadecimal alphabet. Without a length, digits could move from the one to the other.
    if token.len() != 50
        || !is_signed(
            keys.iter().map(|key| key.expose().as_bytes()),
            &parts,
            &signature,
        )
    {
        return Err(Untrusted::Forged);
    }
    check_age(seconds(&timestamp).ok_or(Untrusted::Forged)?, BACK, now)?;
    Ok(token)
}

/// One event in `event-data` (documentation.mailgun.com/docs/mailgun/user-manual/events/event-structure).
pub fn read(value: &Value) -> Vec<WebhookEvent> {
    let Some(value) = value.pointer("/event-data") else {
        return Vec::new();
    };
    let of = |place| text(value, place);
    let (address, reason) = (of("/recipient"), of("/reason"));
    let finding = match (of("/event"), of("/severity"), reason) {
        // Mailgun did not try: the reader had complained, or left by Mailgun's link.
        ("failed", "permanent", "suppress-complaint") => {
            did("mailgun", address, Classification::Complaint, reason)
        }
        ("failed", "permanent", "suppress-unsubscribe") => {
            did("mailgun", address, Classification::Unsubscribe, reason)
        }
        // A temporary failure is a delay: Mailgun tries again, and says how it ended.
        ("failed", "permanent", _) => {
            let class = match reason {
                // It bounced before, for whatever reason; the receiving server was not asked now.
                "suppress-bounce" => AddressVerdict::Passing(Reason::Other),
                // Tried for too long.
                "old" => AddressVerdict::Passing(Reason::Expired),
                "espblock" => AddressVerdict::Passing(Reason::Blocked),
                _ => AddressVerdict::Permanent,
            };
            let status = of("/delivery-status/enhanced-code");
            let words = match (
                of("/delivery-status/message"),
                of("/delivery-status/description"),
            ) {
                ("", words) | (words, "") => words.to_owned(),
                (message, description) if message.contains(description) => message.to_owned(),
                (message, description) => format!("{message} {description}"),
            };
            let code = value
                .pointer("/delivery-status/code")
                .and_then(Value::as_u64)
                .filter(|code| (400..600).contains(code));
            let words = match code {
                Some(code) if !words.is_empty() && !words.starts_with(&code.to_string()) => {
                    format!("{code} {words}")
                }
                _ => words,
            };
            failed(&format!("mailgun {reason}"), address, class, &words, status)
        }
        ("complained", ..) => did("mailgun", address, Classification::Complaint, "complained"),
        ("unsubscribed", ..) => did(
            "mailgun",
            address,
            Classification::Unsubscribe,
            "unsubscribed",
        ),
        _ => return Vec::new(),
    };
    let (id, sender) = (of("/message/headers/message-id"), of("/envelope/sender"));
    let clues = CorrelationIds {
        message_ids: message_id(id).into_iter().collect(),
        addressed: Some(sender.to_owned())
            .filter(|sender| !sender.is_empty())
            .into_iter()
            .collect(),
        ..CorrelationIds::default()
    };
    vec![event(
        of("/id"),
        value,
        finding,
        clues,
        domains([sender, of("/message/headers/from")]),
    )]
}
