//! Tokens: the secret part of a link in a mail, good for one purpose and one subscriber, and stored nowhere.
//!
//! A token is `base64url(block, tag)`: purpose, subscriber and expiry encrypted in one block ([`super::seal`]), 16 bytes, and 104
//! bits of its tag: 39 characters that show nothing. (NIST SP 800-107 5.3.3: 64 bits are enough for a tag that can only be tried
//! against the server.) The tokens of release 0.1.0 were as long and showed the subscriber's number, `base64url(purpose, subscriber,
//! expiry, mac)`; those that are out stay good.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::Mac;
use sha2::Sha256;

use super::Timestamp;
use super::seal::BLOCK;
use super::seal::Seal;
use super::seal::SealKey;
use super::secret::Secret;

/// Characters of a token.
pub const TOKEN_LENGTH: usize = 39;

const BYTES: usize = 29;
/// Purpose, subscriber and expiry.
const BODY: usize = 13;

/// The one thing that a token lets its bearer do.
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
    /// Look at one revision of an issue, and remark on it: its number is that of the week and the revision, not of a subscriber.
    Review = 6,
}

impl Purpose {
    const ALL: [Self; 6] = [
        Self::Confirm,
        Self::Unsubscribe,
        Self::Read,
        Self::Account,
        Self::Move,
        Self::Review,
    ];
}

/// Content of a signed token.
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
    /// Returns whether its time is over.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|end| end <= now)
    }

    fn body(&self) -> [u8; BODY] {
        let mut body = [0; BODY];
        body[0] = self.purpose as u8;
        body[1..9].copy_from_slice(&self.subscriber.to_be_bytes());
        body[9..].copy_from_slice(&minutes(self.expires_at).to_be_bytes());
        body
    }

    fn from_body(body: &[u8; BODY]) -> Option<Self> {
        let purpose = Purpose::ALL
            .into_iter()
            .find(|purpose| *purpose as u8 == body[0])?;
        let subscriber = i64::from_be_bytes(body[1..9].try_into().ok()?);
        let expiry = u32::from_be_bytes(body[9..].try_into().ok()?);
        let expires_at = (expiry > 0).then(|| super::from_millis(i64::from(expiry) * 60_000));
        Some(Self {
            purpose,
            subscriber,
            expires_at,
        })
    }
}

/// The token at the start of a text that a mail program or a person put something behind: a slash, a full stop, a bracket, a quote.
/// A token has one length, so that nothing behind it can be taken for a part of it. `=` is no such thing: it pads base64, so that it
/// would be another way to write the token.
pub fn leading(text: &str) -> Option<&str> {
    let (token, rest) = text.split_at_checked(TOKEN_LENGTH)?;
    let is_of_token = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let is_apart = rest.is_empty()
        || !rest.starts_with(is_of_token)
        || !rest.contains(|c: char| c.is_alphanumeric());
    (token.chars().all(is_of_token) && is_apart && !rest.starts_with('=')).then_some(token)
}

/// The secrets that sign: the first signs, all of them check, so that one can be rotated in while old links live on.
#[derive(Clone)]
pub struct Secrets(Vec<SealKey>);

impl Secrets {
    /// Takes the texts of `site.secret`, newest first. An empty list is refused: nothing could be signed.
    pub fn new(texts: &[Secret]) -> Option<Self> {
        let keys: Option<Vec<_>> = texts
            .iter()
            .map(|text| SealKey::new(text.expose()))
            .collect();
        keys.filter(|keys| !keys.is_empty()).map(Self)
    }

    /// The text of a token, to stand in a link.
    pub fn sign(&self, token: &Token) -> String {
        let mut plain = [0; BLOCK];
        plain[..BODY].copy_from_slice(&token.body());
        URL_SAFE_NO_PAD.encode(self.seal::<BYTES>(Seal::Token, plain))
    }

    /// Reads a token meant for `purpose`; `None` when it is forged, cut short, or meant for something else. An expired
    /// one is returned: its bearer held a true link, which is worth a better answer than "not found".
    pub fn read(&self, purpose: Purpose, text: &str) -> Option<Token> {
        let mut bytes = [0; BYTES];
        let length = URL_SAFE_NO_PAD
            .decode_slice(text, &mut bytes)
            .ok()
            .filter(|length| *length == BYTES)?;
        let opened = self
            .open(Seal::Token, &bytes)
            .and_then(|plain| plain.first_chunk::<BODY>().copied());
        let body = opened.or_else(|| {
            let (body, tag) = bytes[..length].split_first_chunk::<BODY>()?;
            self.is_genuine(b"token", body, tag).then_some(*body)
        })?;
        Token::from_body(&body).filter(|token| token.purpose == purpose)
    }

    /// Seals a block with the newest secret.
    pub(super) fn seal<const N: usize>(&self, seal: Seal, plain: [u8; BLOCK]) -> [u8; N] {
        self.0[0].seal(seal, plain)
    }

    /// Opens what one of the secrets sealed. All keys are tried whatever the first says.
    pub(super) fn open<const N: usize>(&self, seal: Seal, sealed: &[u8; N]) -> Option<[u8; BLOCK]> {
        self.0
            .iter()
            .fold(None, |found, key| key.open(seal, sealed).or(found))
    }

    /// The name of a subscriber in answers and logs: 26 characters of base32 that do not show the number, the same as long as the
    /// newest secret is.
    pub fn subscriber_name(&self, subscriber: i64) -> String {
        self.name(b's', subscriber)
    }

    /// The same for a mail that is no digest.
    pub fn mailing_name(&self, mailing: i64) -> String {
        self.name(b'm', mailing)
    }

    /// The same for a user of the desk.
    pub fn user_name(&self, user: i64) -> String {
        self.name(b'u', user)
    }

    /// The subscriber whom [`Secrets::subscriber_name`] gave that name under any of the secrets; `None` for any other text. A name
    /// says whom a page is about, and gives no right to see it.
    pub fn subscriber_named(&self, text: &str) -> Option<i64> {
        self.id_named(b's', text)
    }

    /// The name of a notice for users, by which a list goes on.
    pub fn notice_name(&self, notice: i64) -> String {
        self.name(b'n', notice)
    }

    /// The notice that [`Secrets::notice_name`] names so.
    pub fn notice_named(&self, text: &str) -> Option<i64> {
        self.id_named(b'n', text)
    }

    /// The name of a job of the desk.
    pub fn job_name(&self, job: i64) -> String {
        self.name(b'j', job)
    }

    /// The job that [`Secrets::job_name`] gave that name; `None` for any other text.
    pub fn job_named(&self, text: &str) -> Option<i64> {
        self.id_named(b'j', text)
    }

    /// The name of a source.
    pub fn source_name(&self, source: i64) -> String {
        self.name(b'q', source)
    }

    /// The source that [`Secrets::source_name`] gave that name; `None` for any other text.
    pub fn source_named(&self, text: &str) -> Option<i64> {
        self.id_named(b'q', text)
    }

    /// The name of what a source brought.
    pub fn proposal_name(&self, proposal: i64) -> String {
        self.name(b'p', proposal)
    }

    /// The proposal that [`Secrets::proposal_name`] gave that name; `None` for any other text.
    pub fn proposal_named(&self, text: &str) -> Option<i64> {
        self.id_named(b'p', text)
    }

    /// The same for a row of the audit log: the place from which a page goes on.
    pub fn audit_name(&self, row: i64) -> String {
        self.name(b'a', row)
    }

    /// The row that [`Secrets::audit_name`] gave that name; `None` for any other text.
    pub fn audit_named(&self, text: &str) -> Option<i64> {
        self.id_named(b'a', text)
    }

    /// The name of a webhook endpoint.
    pub fn webhook_endpoint_name(&self, endpoint: i64) -> String {
        self.name(b'w', endpoint)
    }

    /// The endpoint that [`Secrets::webhook_endpoint_name`] gave that name; `None` for any other text.
    pub fn webhook_endpoint_named(&self, text: &str) -> Option<i64> {
        self.id_named(b'w', text)
    }

    /// The place in the feed of events from which a page goes on.
    pub fn event_place(&self, seq: i64) -> String {
        self.name(b'e', seq)
    }

    /// The place that [`Secrets::event_place`] names so; `None` for any other text.
    pub fn event_placed(&self, text: &str) -> Option<i64> {
        self.id_named(b'e', text)
    }

    fn id_named(&self, kind: u8, text: &str) -> Option<i64> {
        let bytes = data_encoding::BASE32_NOPAD
            .decode(text.to_ascii_uppercase().as_bytes())
            .ok()?;
        let sealed: [u8; BLOCK] = bytes.try_into().ok()?;
        // A block that another key sealed opens to noise: that its first eight bytes are these by chance is one in 2^64.
        let opened = self.0.iter().map(|key| key.reveal(Seal::Name, sealed));
        let plain = opened
            .into_iter()
            .find(|plain| plain[..8] == [kind, 0, 0, 0, 0, 0, 0, 0])?;
        Some(i64::from_be_bytes(*plain.last_chunk()?))
    }

    fn name(&self, kind: u8, id: i64) -> String {
        let mut plain = [0; BLOCK];
        plain[0] = kind;
        plain[8..].copy_from_slice(&id.to_be_bytes());
        let mut text = data_encoding::BASE32_NOPAD.encode(&self.0[0].hide(Seal::Name, plain));
        text.make_ascii_lowercase();
        text
    }

    /// Returns whether `tag` begins the mac over `body` of one of the secrets, newest or not, made for the use that `word` names.
    pub(super) fn is_genuine(&self, word: &[u8], body: &[u8], tag: &[u8]) -> bool {
        // Constant time for each key (`verify_truncated_left`), and all keys are tried whatever the first says.
        self.0.iter().fold(false, |found, key| {
            key.tag(word, body).verify_truncated_left(tag).is_ok() | found
        })
    }

    /// The keyed hashes of an address, one for each secret, newest first: what stays of somebody who was erased.
    /// Hex, 32 characters (128 bits).
    pub fn address_hashes(&self, address: &super::address::EmailAddress) -> Vec<String> {
        let hash = |key: &SealKey| {
            hex(&key
                .tag(b"suppressed", address.key().as_bytes())
                .finalize()
                .into_bytes()[..16])
        };
        self.0.iter().map(hash).collect()
    }

    /// The keyed hash of a network, as [`super::subscriber::network_of`] cuts it: enough to count those who come from there.
    pub fn network_hash(&self, network: &str) -> String {
        hex(&self.0[0]
            .tag(b"network", network.as_bytes())
            .finalize()
            .into_bytes()[..16])
    }

    /// The keyed hash under which something is counted: `what` tells counters of one text apart. Counters begin anew with a new
    /// secret.
    pub fn count_hash(&self, what: &str, text: &str) -> String {
        hex(&self.0[0]
            .tag(b"count", format!("{what}\0{text}").as_bytes())
            .finalize()
            .into_bytes()[..16])
    }

    /// The keys that are drawn from a seed for a use, one for each secret, newest first: whoever has the seed alone has no key.
    pub fn keys_of(&self, what: &str, seed: &str) -> Vec<[u8; 20]> {
        let cut = |long: [u8; 32]| {
            let mut drawn = [0; 20];
            drawn.copy_from_slice(&long[..20]);
            drawn
        };
        self.long_keys_of(what, seed).into_iter().map(cut).collect()
    }

    /// The same with 256 bits.
    pub fn long_keys_of(&self, what: &str, seed: &str) -> Vec<[u8; 32]> {
        let text = format!("{what}\0{seed}");
        let drawn = |key: &SealKey| key.tag(b"drawn", text.as_bytes()).finalize().into_bytes();
        self.0.iter().map(|key| drawn(key).into()).collect()
    }

    /// A name for each secret that gives nothing of it away, newest first: to tell which one made a hash.
    pub fn key_names(&self) -> Vec<String> {
        self.0
            .iter()
            .map(|key| hex(&key.tag(b"name", b"").finalize().into_bytes()[..4]))
            .collect()
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

fn minutes(expiry: Option<Timestamp>) -> u32 {
    expiry.map_or(0, |end| {
        u32::try_from(end.timestamp().max(1).div_euclid(60) + 1).unwrap_or(u32::MAX)
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
#[path = "token_tests.rs"]
mod tests;
