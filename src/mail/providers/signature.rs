//! Signatures with a shared secret, and how old a request may be.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use chrono::TimeDelta;
use data_encoding::HEXLOWER_PERMISSIVE;
use hmac::Hmac;
use hmac::KeyInit;
use hmac::Mac;
use sha2::Digest;
use sha2::Sha256;

use super::Posted;
use super::Untrusted;
use crate::domain::Timestamp;
use crate::domain::secret::Secret;

/// Upper bound on a provider's clock ahead of ours.
const AHEAD: TimeDelta = TimeDelta::minutes(5);

/// Returns whether one of the keys made that HMAC-SHA256 of the parts, one after another. Takes as long whatever is wrong with it.
pub fn is_signed<'k>(
    mut keys: impl Iterator<Item = &'k [u8]>,
    parts: &[&[u8]],
    signature: &[u8],
) -> bool {
    keys.any(|key| {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
            return false;
        };
        parts.iter().for_each(|part| mac.update(part));
        mac.verify_slice(signature).is_ok()
    })
}

/// Proves a request whose field `name` holds the HMAC-SHA256 of its body in hexadecimal; returns its id, the hash of the body.
pub fn body_signed(keys: &[Secret], posted: Posted<'_>, name: &str) -> Result<String, Untrusted> {
    let signature = HEXLOWER_PERMISSIVE
        .decode(posted.header(name)?.as_bytes())
        .map_err(|_| Untrusted::Forged)?;
    let keys = keys.iter().map(|key| key.expose().as_bytes());
    match is_signed(keys, &[posted.body], &signature) {
        true => Ok(hex_digest(&[posted.body])),
        false => Err(Untrusted::Forged),
    }
}

/// Returns whether two secrets are the same, without telling by the time it takes how much of them is.
pub fn is_same(given: &[u8], secret: &[u8]) -> bool {
    verify_slices_are_equal(&Sha256::digest(given), &Sha256::digest(secret)).is_ok()
}

/// Refuses what was signed more than `back` ago, or in the future.
pub fn check_age(signed_at: Timestamp, back: TimeDelta, now: Timestamp) -> Result<(), Untrusted> {
    let age = now - signed_at;
    if age > back || age < -AHEAD {
        Err(Untrusted::Stale)
    } else {
        Ok(())
    }
}

/// Seconds since 1970, in digits and nothing else.
pub fn seconds(text: &str) -> Option<Timestamp> {
    let plain = !text.is_empty() && text.len() <= 12 && text.bytes().all(|b| b.is_ascii_digit());
    plain
        .then(|| text.parse().ok())
        .flatten()
        .and_then(|seconds| Timestamp::from_timestamp(seconds, 0))
}

/// SHA-256 as 64 hexadecimal digits.
pub fn hex_digest(parts: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    parts.iter().for_each(|part| hash.update(part));
    hash.finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
