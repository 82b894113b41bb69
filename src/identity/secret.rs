//! Secrets that are shown once and kept as hashes: tokens of sessions and links, recovery codes.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::Digest;
use sha2::Sha256;

/// A fresh token: 256 bits of the system's randomness, 43 characters of base64url.
pub fn token() -> String {
    URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>())
}

/// SHA-256 of a token or a code in hex, which is all that is kept of it. A plain hash is enough, for what is hashed has 80 bits of randomness or more.
pub fn sha256(text: &str) -> String {
    data_encoding::HEXLOWER.encode(&Sha256::digest(text.as_bytes()))
}

/// Recovery codes that a user gets at once.
pub const RECOVERY_CODES: usize = 10;

/// Fresh recovery codes: 80 bits each, like `k3mf-7qpd-wz4h-n2ca`.
pub fn recovery_codes() -> Vec<String> {
    let code = |_| {
        let text = data_encoding::BASE32_NOPAD
            .encode(&rand::random::<[u8; 10]>())
            .to_lowercase();
        let groups = [&text[..4], &text[4..8], &text[8..12], &text[12..]];
        groups.join("-")
    };
    (0..RECOVERY_CODES).map(code).collect()
}

/// A recovery code as it is hashed, from what somebody typed; `None` where it cannot be one. Case, spaces and hyphens do not count.
pub fn recovery_code(typed: &str) -> Option<String> {
    let text: String = typed
        .chars()
        .filter(|c| !c.is_whitespace() && *c != '-')
        .collect::<String>()
        .to_ascii_lowercase();
    let is_code = text.len() == 16
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || (b'2'..=b'7').contains(&byte));
    is_code.then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recovery_code_is_known_again_however_it_is_typed() {
        let codes = recovery_codes();
        let different: std::collections::HashSet<_> = codes.iter().collect();
        assert_eq!(different.len(), RECOVERY_CODES);
        let plain = recovery_code(&codes[0]).expect("a code");
        for typed in [
            codes[0].to_uppercase(),
            format!(" {} ", codes[0]),
            codes[0].replace('-', " "),
            plain.clone(),
        ] {
            assert_eq!(recovery_code(&typed), Some(plain.clone()), "{typed:?}");
        }
        for not in ["", "123456", "k3mf-7qpd-wz4h-n2c1", &plain[1..]] {
            assert_eq!(recovery_code(not), None, "{not:?}");
        }
    }

    #[test]
    fn a_token_is_long_and_never_the_same() {
        let (one, other) = (token(), token());
        assert_eq!((one.len(), one == other), (43, false));
        assert_eq!(sha256("a").len(), 64);
    }
}
