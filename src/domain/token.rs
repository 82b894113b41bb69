//! Tokens: the secret part of a link in a mail, good for one purpose and one subscriber, and stored nowhere.
//!
//! A token is `base64url(purpose, subscriber, expiry, mac)`: 1 + 8 + 4 + 16 bytes, 39 characters. The mac is
//! HMAC-SHA-256 (RFC 2104) over the rest, cut to 128 bits (RFC 2104 section 5 allows half the hash at the least).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::Hmac;
use hmac::KeyInit;
use hmac::Mac;
use sha2::Sha256;

use super::Timestamp;

const BODY: usize = 13;
const MAC: usize = 16;

/// What a token lets its bearer do, and nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Turn a pending sign-up into a subscription.
    Confirm = 1,
    /// End a subscription.
    Unsubscribe = 2,
    /// Choose: vote, save tools for later, say what to get. It stands in every digest, and digests are forwarded, so it
    /// never leads to what is known of a person.
    Read = 3,
    /// See, change or erase what is known of the subscriber: good for a short time, and sent to their address alone.
    Account = 4,
    /// Make the new address theirs: its number is that of the change, not of the subscriber.
    Move = 5,
}

/// What a signed token says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token {
    /// The one thing it is good for.
    pub purpose: Purpose,
    /// The one subscriber it is good for.
    pub subscriber: i64,
    /// Until when; `None`: for ever. Kept in whole minutes, rounded up.
    pub expires_at: Option<Timestamp>,
}

impl Token {
    /// Whether its time is over.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|end| end <= now)
    }
}

/// The secrets that sign: the first signs, all of them check, so that one can be rotated in while old links live on.
#[derive(Clone)]
pub struct Secrets(Vec<Hmac<Sha256>>);

impl Secrets {
    /// Takes the texts of `site.secret`, newest first. An empty list is refused: nothing could be signed.
    pub fn new(texts: &[String]) -> Option<Self> {
        let keys: Option<Vec<_>> = texts.iter().map(|text| Hmac::new_from_slice(text.as_bytes()).ok()).collect();
        keys.filter(|keys| !keys.is_empty()).map(Self)
    }

    /// The text of a token, to stand in a link.
    pub fn sign(&self, token: &Token) -> String {
        let mut bytes = [0; BODY + MAC];
        bytes[0] = token.purpose as u8;
        bytes[1..9].copy_from_slice(&token.subscriber.to_be_bytes());
        bytes[9..13].copy_from_slice(&minutes(token.expires_at).to_be_bytes());
        let tag = self.tag(b"token", &bytes[..BODY]);
        bytes[BODY..].copy_from_slice(&tag[..MAC]);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads a token meant for `purpose`; `None` when it is forged, cut short, or meant for something else. An expired
    /// one is returned: its bearer held a true link, which is worth a better answer than "not found".
    pub fn read(&self, purpose: Purpose, text: &str) -> Option<Token> {
        let mut bytes = [0; BODY + MAC];
        let length = URL_SAFE_NO_PAD.decode_slice(text, &mut bytes).ok()?;
        let (body, tag) = bytes.split_at(BODY);
        if length != BODY + MAC || !self.is_genuine(b"token", body, tag) || body[0] != purpose as u8 {
            return None;
        }
        let subscriber = i64::from_be_bytes(body[1..9].try_into().ok()?);
        let expiry = u32::from_be_bytes(body[9..13].try_into().ok()?);
        let expires_at = (expiry > 0).then(|| super::from_millis(i64::from(expiry) * 60_000));
        Some(Token { purpose, subscriber, expires_at })
    }

    /// The newest secret's mac over `body`, made for the use that `word` names.
    pub(super) fn tag(&self, word: &[u8], body: &[u8]) -> [u8; 32] {
        mac(&self.0[0], word, body).finalize().into_bytes().into()
    }

    /// Whether `tag` begins the mac of one of the secrets, newest or not.
    pub(super) fn is_genuine(&self, word: &[u8], body: &[u8], tag: &[u8]) -> bool {
        // Constant time for each key (`verify_truncated_left`), and all keys are tried whatever the first says.
        self.0.iter().fold(false, |found, key| mac(key, word, body).verify_truncated_left(tag).is_ok() | found)
    }

    /// The keyed hashes of an address, one for each secret, newest first: what stays of somebody who was erased.
    /// Hex, 32 characters (128 bits).
    pub fn address_hashes(&self, address: &super::address::EmailAddress) -> Vec<String> {
        let hash = |key| hex(&mac(key, b"suppressed", address.key().as_bytes()).finalize().into_bytes()[..16]);
        self.0.iter().map(hash).collect()
    }

    /// The keyed hash of a network, as [`super::subscriber::network_of`] cuts it: enough to count those who come from there.
    pub fn network_hash(&self, network: &str) -> String {
        hex(&mac(&self.0[0], b"network", network.as_bytes()).finalize().into_bytes()[..16])
    }

    /// The keyed hash under which something is counted: `what` tells counters of one text apart. Counters begin anew with a new
    /// secret.
    pub fn count_hash(&self, what: &str, text: &str) -> String {
        hex(&mac(&self.0[0], b"count", format!("{what}\0{text}").as_bytes()).finalize().into_bytes()[..16])
    }

    /// A name for each secret that gives nothing of it away, newest first: to tell which one made a hash.
    pub fn key_names(&self) -> Vec<String> {
        self.0.iter().map(|key| hex(&mac(key, b"name", b"").finalize().into_bytes()[..4])).collect()
    }
}

/// Shows nothing of the secrets, for debug output ends up in logs.
impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Secrets({} kept)", self.0.len())
    }
}

/// The hash of a visitor's cookie: nobody who reads the database can vote in their place. Hex, 32 characters.
pub fn cookie_hash(cookie: &str) -> String {
    use sha2::Digest as _;
    hex(&Sha256::digest(cookie.as_bytes())[..16])
}

/// Each use of a secret has a word of its own in front, so that a hash made for one is worthless for another.
fn mac(key: &Hmac<Sha256>, word: &[u8], body: &[u8]) -> Hmac<Sha256> {
    let mut mac = key.clone();
    mac.update(word);
    mac.update(&[0]);
    mac.update(body);
    mac
}

fn minutes(expiry: Option<Timestamp>) -> u32 {
    expiry.map_or(0, |end| u32::try_from(end.timestamp().max(1).div_euclid(60) + 1).unwrap_or(u32::MAX))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn secrets(texts: &[&str]) -> Secrets {
        Secrets::new(&texts.iter().map(ToString::to_string).collect::<Vec<_>>()).expect("at least one")
    }

    #[test]
    fn a_token_made_with_an_older_secret_is_still_good_until_that_secret_goes() {
        let token = Token { purpose: Purpose::Unsubscribe, subscriber: 7, expires_at: None };
        let old_link = secrets(&["old"]).sign(&token);
        assert_eq!(secrets(&["new", "old"]).read(Purpose::Unsubscribe, &old_link), Some(token));
        assert_eq!(secrets(&["new"]).read(Purpose::Unsubscribe, &old_link), None);
    }

    #[test]
    fn a_token_expires_at_the_earliest_when_it_says() {
        let end: Timestamp = "2026-11-22T10:00:30Z".parse().expect("a moment");
        let link = secrets(&["s"]).sign(&Token { purpose: Purpose::Confirm, subscriber: 7, expires_at: Some(end) });
        let token = secrets(&["s"]).read(Purpose::Confirm, &link).expect("genuine");
        assert!(!token.is_expired(end) && token.is_expired(end + chrono::TimeDelta::minutes(1)));
    }

    proptest! {
        #[test]
        fn a_token_says_what_was_signed_and_only_for_its_purpose(subscriber: i64, secret in "\\PC{1,40}") {
            let keys = secrets(&[&secret]);
            let token = Token { purpose: Purpose::Confirm, subscriber, expires_at: None };
            let link = keys.sign(&token);
            prop_assert_eq!(keys.read(Purpose::Confirm, &link), Some(token));
            prop_assert_eq!(keys.read(Purpose::Unsubscribe, &link), None);
        }

        #[test]
        fn one_changed_or_lost_character_makes_a_token_worthless(subscriber: i64, at in 0usize..39, other in "[A-Za-z0-9_-]") {
            let keys = secrets(&["s"]);
            let link = keys.sign(&Token { purpose: Purpose::Confirm, subscriber, expires_at: None });
            prop_assert_eq!(keys.read(Purpose::Confirm, &link[..at]), None);
            let forged = format!("{}{other}{}", &link[..at], &link[at + 1..]);
            prop_assume!(forged != link);
            prop_assert_eq!(keys.read(Purpose::Confirm, &forged), None);
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,200}") {
            prop_assert_eq!(secrets(&["s"]).read(Purpose::Confirm, &text), None);
        }
    }
}
