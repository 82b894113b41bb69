//! Proof by a secret that the provider presents, for those that sign nothing: basic authentication from the webhook's address, a bearer
//! token, or the last part of the address itself (`/webhooks/azure/<secret>`).
//!
//! The secret proves who sent a request, not when: the same request again is known by its bytes, for as long as that is kept, and each
//! event by its number for ever.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::Posted;
use super::Untrusted;
use super::hex_digest;
use super::signature::is_same;
use crate::domain::Timestamp;
use crate::domain::secret::Secret;

/// `keys`: secrets; one with a colon is `user:password`, as it stands in the webhook's address.
pub fn identify(keys: &[Secret], posted: Posted<'_>, _now: Timestamp) -> Result<String, Untrusted> {
    let given = match posted.path_secret {
        Some(secret) => secret.as_bytes().to_vec(),
        None => authorization(posted.header("authorization")?)?,
    };
    // Each key is compared, so that the time does not tell which one is near.
    let is_known = keys.iter().fold(false, |known, key| {
        known | is_same(&given, key.expose().as_bytes())
    });
    match is_known {
        true => Ok(hex_digest(&[posted.body])),
        false => Err(Untrusted::Forged),
    }
}

/// The credentials in an `Authorization` field (RFC 7617, RFC 6750).
fn authorization(field: &str) -> Result<Vec<u8>, Untrusted> {
    let (scheme, given) = field.split_once(' ').ok_or(Untrusted::Unsigned)?;
    let given = given.trim();
    if scheme.eq_ignore_ascii_case("basic") {
        STANDARD.decode(given).map_err(|_| Untrusted::Forged)
    } else if scheme.eq_ignore_ascii_case("bearer") {
        Ok(given.as_bytes().to_vec())
    } else {
        Err(Untrusted::Unsigned)
    }
}
