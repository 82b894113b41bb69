//! Signatures of requests, as Standard Webhooks 1.0.0 has them: over id, timestamp and body, by HMAC-SHA256 (`v1`) and, if wanted, by
//! ed25519 (`v1a`) beside it; never by `v1a` alone, which most libraries cannot verify.

use aws_lc_rs::signature::Ed25519KeyPair;
use aws_lc_rs::signature::KeyPair;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::Hmac;
use hmac::KeyInit;
use hmac::Mac;
use sha2::Sha256;

use crate::domain::secret::Secret;

/// A secret as its owner keeps it: `whsec_` and base64. What signs is the bytes, not this text.
pub fn secret_text(secret: &[u8; 32]) -> Secret {
    format!("whsec_{}", STANDARD.encode(secret)).into()
}

/// The public key of an ed25519 seed: `whpk_` and base64.
pub fn public_key_text(seed: &[u8; 32]) -> Option<String> {
    let pair = Ed25519KeyPair::from_seed_unchecked(seed).ok()?;
    Some(format!(
        "whpk_{}",
        STANDARD.encode(pair.public_key().as_ref())
    ))
}

/// The header `webhook-signature`: one signature for each secret and each key, divided by one space.
pub fn signatures(
    secrets: &[impl AsRef<[u8]>],
    keys: &[[u8; 32]],
    (id, timestamp): (&str, i64),
    body: &[u8],
) -> String {
    let mut signed = format!("{id}.{timestamp}.").into_bytes();
    signed.extend_from_slice(body);
    let by_secret = secrets.iter().filter_map(|secret| {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_ref()).ok()?;
        mac.update(&signed);
        Some(format!(
            "v1,{}",
            STANDARD.encode(mac.finalize().into_bytes())
        ))
    });
    let by_key = keys.iter().filter_map(|seed| {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).ok()?;
        Some(format!(
            "v1a,{}",
            STANDARD.encode(pair.sign(&signed).as_ref())
        ))
    });
    by_secret.chain(by_key).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification's reference libraries.
    #[test]
    fn the_known_example_is_signed_as_the_libraries_do() {
        let secret: [u8; 24] = STANDARD
            .decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
            .expect("base64")
            .try_into()
            .expect("24 bytes");
        let signed = ("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330);
        let header = signatures(&[secret], &[], signed, br#"{"test": 2432232314}"#);
        assert_eq!(header, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn each_secret_and_each_key_signs_once() {
        let header = signatures(&[[1; 32], [2; 32]], &[[3; 32]], ("evt_1", 7), b"{}");
        let parts: Vec<&str> = header.split(' ').collect();
        assert_eq!(parts.len(), 3);
        assert!(
            parts[0].starts_with("v1,") && parts[2].starts_with("v1a,"),
            "{header}"
        );
        assert_ne!(parts[0], parts[1]);
        assert!(secret_text(&[0; 32]).expose().starts_with("whsec_AAAA"));
        assert!(public_key_text(&[3; 32]).is_some_and(|text| text.starts_with("whpk_")));
    }
}
