//! Seals: how an id of a row stands in a link, an address, a Message-ID or an answer outside this process.
//!
//! An id fills one block of AES-128 (FIPS 197): a permutation of 2^128 values that looks random to whoever lacks the key, so that
//! neighbouring ids have nothing in common and none can be counted. What acts carries a tag over the block as well: encrypt-then-MAC
//! (Bellare and Namprempre 2000), HMAC-SHA-256 (RFC 2104) cut to the length that its place allows, never under 80 bits. The same
//! id under the same secret always has the same text, for a link stays good and a mail that is sent again keeps its Message-ID.
//! Each use has keys of its own, drawn from the secret by HMAC, so that a text made for one place is worth nothing in another.

use aes::Aes128;
use aes::Block;
use aes::cipher::BlockCipherDecrypt;
use aes::cipher::BlockCipherEncrypt;
use hmac::Hmac;
use hmac::KeyInit;
use hmac::Mac;
use sha2::Sha256;

/// The bytes that are encrypted.
pub(super) const BLOCK: usize = 16;

/// A place where sealed ids stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seal {
    /// The secret part of a link.
    Token,
    /// A delivery's own return path.
    ReturnPath,
    /// A delivery's Message-ID.
    MessageId,
    /// The address to which a delivery's reader writes to leave.
    Leaving,
    /// A name in answers and logs; nothing acts on it, so it has no tag.
    Name,
}

impl Seal {
    const ALL: [Self; 5] = [
        Self::Token,
        Self::ReturnPath,
        Self::MessageId,
        Self::Leaving,
        Self::Name,
    ];

    const fn word(self) -> &'static [u8] {
        match self {
            Self::Token => b"sealed token",
            Self::ReturnPath => b"sealed return path",
            Self::MessageId => b"sealed message id",
            Self::Leaving => b"sealed leaving",
            Self::Name => b"sealed name",
        }
    }
}

/// One secret, with the keys drawn from it.
#[derive(Clone)]
pub(super) struct SealKey {
    mac: Hmac<Sha256>,
    ciphers: [Aes128; Seal::ALL.len()],
}

impl SealKey {
    pub(super) fn new(secret: &str) -> Option<Self> {
        let mac = Hmac::new_from_slice(secret.as_bytes()).ok()?;
        let cipher = |seal: Seal| {
            let mut drawn = [0; BLOCK];
            drawn.copy_from_slice(
                &tag(&mac, b"cipher", seal.word()).finalize().into_bytes()[..BLOCK],
            );
            Aes128::new(&drawn.into())
        };
        let ciphers = Seal::ALL.map(cipher);
        Some(Self { mac, ciphers })
    }

    /// The mac over `body`, made for the use that `word` names.
    pub(super) fn tag(&self, word: &[u8], body: &[u8]) -> Hmac<Sha256> {
        tag(&self.mac, word, body)
    }

    /// Encrypts a block.
    pub(super) fn hide(&self, seal: Seal, plain: [u8; BLOCK]) -> [u8; BLOCK] {
        let mut block = Block::from(plain);
        self.ciphers[seal as usize].encrypt_block(&mut block);
        block.into()
    }

    /// Decrypts a block that has no tag: of a block that this key did not encrypt it makes noise.
    pub(super) fn reveal(&self, seal: Seal, sealed: [u8; BLOCK]) -> [u8; BLOCK] {
        let mut block = Block::from(sealed);
        self.ciphers[seal as usize].decrypt_block(&mut block);
        block.into()
    }

    /// Encrypts a block and puts as much of its tag behind it as `N` has room for.
    pub(super) fn seal<const N: usize>(&self, seal: Seal, plain: [u8; BLOCK]) -> [u8; N] {
        let mut sealed = [0; N];
        let (body, rest) = sealed.split_at_mut(BLOCK);
        body.copy_from_slice(&self.hide(seal, plain));
        let tag = self.tag(seal.word(), body).finalize().into_bytes();
        rest.copy_from_slice(&tag[..rest.len()]);
        sealed
    }

    /// Returns what was sealed; `None` where this key did not do it. The tag is compared in constant time.
    pub(super) fn open<const N: usize>(&self, seal: Seal, sealed: &[u8; N]) -> Option<[u8; BLOCK]> {
        let (body, tag) = sealed.split_first_chunk::<BLOCK>()?;
        self.tag(seal.word(), body)
            .verify_truncated_left(tag)
            .ok()?;
        let mut block = Block::from(*body);
        self.ciphers[seal as usize].decrypt_block(&mut block);
        Some(block.into())
    }
}

/// Each use of a secret has a word of its own in front, so that a hash made for one is worthless for another.
fn tag(key: &Hmac<Sha256>, word: &[u8], body: &[u8]) -> Hmac<Sha256> {
    let mut mac = key.clone();
    mac.update(word);
    mac.update(&[0]);
    mac.update(body);
    mac
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbouring_ids_have_nothing_in_common_and_each_use_has_texts_of_its_own() {
        let key = SealKey::new("a secret").expect("any secret");
        let plain = |n: u8| std::array::from_fn(|at| if at == 15 { n } else { 0 });
        let sealed: Vec<[u8; 26]> = (0..=255)
            .map(|n| key.seal(Seal::MessageId, plain(n)))
            .collect();
        for pair in sealed.windows(2) {
            let same = pair[0].iter().zip(&pair[1]).filter(|(a, b)| a == b).count();
            assert!(same < 6, "{same} of 26 bytes are the same");
        }
        assert_eq!(key.open(Seal::MessageId, &sealed[7]), Some(plain(7)));
        for other in [Seal::Token, Seal::ReturnPath, Seal::Name] {
            assert_eq!(key.open(other, &sealed[7]), None);
            assert_ne!(
                key.hide(other, plain(7)),
                key.hide(Seal::MessageId, plain(7))
            );
        }
    }
}
