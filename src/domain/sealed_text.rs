//! Texts that are kept encrypted: an answer that holds a secret.
//!
//! HMAC-SHA-256 as a pseudorandom function in counter mode, then a tag over nonce and text (encrypt-then-MAC, as in [`super::seal`]).

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use hmac::Hmac;
use hmac::KeyInit;
use hmac::Mac;
use sha2::Sha256;

/// Length of a nonce, in bytes.
pub const NONCE: usize = 16;
/// Length of the tag.
const TAG: usize = 16;

fn mac(key: &[u8], word: &[u8], parts: &[&[u8]]) -> Option<Hmac<Sha256>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    mac.update(word);
    parts.iter().for_each(|part| mac.update(part));
    Some(mac)
}

/// Applies the key stream: twice is nothing.
fn stream(key: &[u8], nonce: &[u8], text: &mut [u8]) -> Option<()> {
    for (number, block) in (0u64..).zip(text.chunks_mut(32)) {
        let pad = mac(key, b"stream\0", &[nonce, &number.to_be_bytes()])?
            .finalize()
            .into_bytes();
        block
            .iter_mut()
            .zip(pad)
            .for_each(|(byte, pad)| *byte ^= pad);
    }
    Some(())
}

/// Encrypts a text under a key. A nonce is used once.
pub fn seal_text(key: &[u8], nonce: [u8; NONCE], text: &str) -> Option<String> {
    let mut sealed = nonce.to_vec();
    sealed.extend_from_slice(text.as_bytes());
    stream(key, &nonce, &mut sealed[NONCE..])?;
    let tag = mac(key, b"tag\0", &[&sealed])?.finalize().into_bytes();
    sealed.extend_from_slice(&tag[..TAG]);
    Some(STANDARD_NO_PAD.encode(sealed))
}

/// Decrypts a text; `None` where this key did not seal it.
pub fn open_text(key: &[u8], sealed: &str) -> Option<String> {
    let mut bytes = STANDARD_NO_PAD.decode(sealed).ok()?;
    let at = bytes.len().checked_sub(TAG)?;
    let tag = bytes.split_off(at);
    mac(key, b"tag\0", &[&bytes])?
        .verify_truncated_left(&tag)
        .ok()?;
    let (nonce, text) = bytes.split_at_mut_checked(NONCE)?;
    stream(key, nonce, text)?;
    String::from_utf8(text.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_opens_with_its_key_alone_and_whole() {
        let text = "a long answer with a secret \u{1f980}".repeat(9);
        let sealed = seal_text(b"key", [7; NONCE], &text).expect("sealed");
        assert_eq!(open_text(b"key", &sealed), Some(text));
        assert_eq!(open_text(b"other", &sealed), None);
        assert_eq!(open_text(b"key", &sealed[2..]), None);
        assert_eq!(open_text(b"key", ""), None);
        let empty = seal_text(b"key", [7; NONCE], "").expect("sealed");
        assert_eq!(open_text(b"key", &empty), Some(String::new()));
    }
}
