//! Postal (docs.postalserver.io/developer/webhooks): RSA over the body by the installation's signing key, SHA-256 in
//! `X-Postal-Signature-256` since 3.0, before that SHA-1 in `X-Postal-Signature`. The public key is what `postal default-dkim-record`
//! prints as `p=`.

use aws_lc_rs::signature::RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY;
use aws_lc_rs::signature::RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY;
use aws_lc_rs::signature::RsaParameters;
use aws_lc_rs::signature::UnparsedPublicKey;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::Posted;
use super::Untrusted;
use super::hex_digest;
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

const SHA256: &str = "x-postal-signature-256";
const SHA1: &str = "x-postal-signature";

/// `keys`: public keys, base64 of SubjectPublicKeyInfo. Of a request with the newer signature the older one is not looked at: else it
/// would be worth no more than SHA-1. Keys of 1,024 bits are taken, since that is what `postal initialize` makes.
pub fn identify(keys: &[Secret], posted: Posted<'_>, _now: Timestamp) -> Result<String, Untrusted> {
    let is_newer = posted.headers.iter().any(|(name, _)| *name == SHA256);
    let (name, algorithm): (&str, &RsaParameters) = match is_newer {
        true => (SHA256, &RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY),
        false => (SHA1, &RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY),
    };
    let signature = STANDARD
        .decode(posted.header(name)?)
        .map_err(|_| Untrusted::Forged)?;
    let made_by = |key: &Secret| {
        let der = STANDARD.decode(key.expose()).unwrap_or_default();
        UnparsedPublicKey::new(algorithm, der)
            .verify(posted.body, &signature)
            .is_ok()
    };
    match keys.iter().any(made_by) {
        true => Ok(hex_digest(&[posted.body])),
        false => Err(Untrusted::Forged),
    }
}

/// One event. Postal knows of no complaints and of nobody who left.
pub fn read(value: &Value) -> Vec<WebhookEvent> {
    let of = |place| text(value, place);
    let (place, output) = match of("/event") {
        "MessageDeliveryFailed" => ("/payload/message", of("/payload/output")),
        // A report came back to Postal, which tells that it did, not what it says.
        "MessageBounced" => ("/payload/original_message", ""),
        // Sent; delayed, which Postal tries again; held, which is between Postal and us; opened and clicked.
        _ => return Vec::new(),
    };
    let Some(message) = value.pointer(place) else {
        return Vec::new();
    };
    // Without a server's words Postal gave up by itself: too many attempts, or nobody was there to ask.
    let class = match output.trim().is_empty() {
        false => AddressVerdict::Permanent,
        true => AddressVerdict::Passing(Reason::Other),
    };
    let finding = failed(
        &format!("postal {}", of("/event")),
        text(message, "/to"),
        class,
        output,
        "",
    );
    let clues = CorrelationIds {
        message_ids: message_id(text(message, "/message_id"))
            .into_iter()
            .collect(),
        ..CorrelationIds::default()
    };
    let domains = domains([text(message, "/from")]);
    vec![event(of("/uuid"), value, finding, clues, domains)]
}
