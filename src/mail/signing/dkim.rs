//! DKIM (RFC 6376, RFC 8463): domains that vouch for each mail.
//!
//! mail-auth's own signer is not used, though its canonical forms are (`canonical`): it reads the clock by itself, hashes
//! the body once per key, and cannot name a header once more than it is there. See `benches/signing.rs` for both.

use std::path::Path;
use std::sync::Arc;

use aws_lc_rs::error::Unspecified;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use memchr::memchr_iter;
use memchr::memmem;

use crate::domain::Timestamp;
use crate::mail::signing::canonical::relaxed_body_hash;
use crate::mail::signing::canonical::relaxed_field;
use crate::mail::signing::signing_key::Algorithm;
use crate::mail::signing::signing_key::LONGEST_SIGNATURE;
use crate::mail::signing::signing_key::SigningKey;

/// Fields that a signature covers. Each is named once more than the mail has it (RFC 6376 5.4.2), so that none can be added on the
/// way: a second `From` or `Subject` that a reader's program might show, or a `List-Unsubscribe` of somebody else's.
const OVERSIGNED: [&str; 15] = [
    "from",
    "to",
    "cc",
    "sender",
    "in-reply-to",
    "references",
    "subject",
    "date",
    "message-id",
    "reply-to",
    "mime-version",
    "content-type",
    "list-unsubscribe",
    "list-unsubscribe-post",
    "feedback-id",
];

/// Covered where they are there; a second one says nothing that a program acts on.
const COVERED: [&str; 3] = ["list-id", "list-archive", "list-help"];

/// Each of them is in a mail of ours once at most.
const MOST_FIELDS: usize = 2 * (OVERSIGNED.len() + COVERED.len());

/// Length of our lines (RFC 5322 2.1.1).
const LINE: usize = 78;

/// The keys that sign each mail: none, one, or several, say RSA and Ed25519, or the old and the new while they change.
/// Cheap to clone, and for all threads.
#[derive(Clone, Default)]
pub struct Signers(Arc<[Signer]>);

struct Signer {
    domain: String,
    selector: String,
    key: SigningKey,
}

/// A key, as its public half stands in DNS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRecord {
    /// Kind of key.
    pub algorithm: Algorithm,
    /// The domain that vouches.
    pub domain: String,
    /// Name of the record: `SELECTOR._domainkey.DOMAIN`.
    pub name: String,
    /// Its content.
    pub value: String,
}

impl KeyRecord {
    /// The value in the pieces of at most 255 bytes that a TXT record has (RFC 1035 3.3.14).
    pub fn strings(&self) -> Vec<&str> {
        // It is ASCII throughout.
        self.value
            .as_bytes()
            .chunks(255)
            .filter_map(|piece| std::str::from_utf8(piece).ok())
            .collect()
    }
}

impl Signers {
    /// Reads the keys in `domain`, `selector`, `key_file`. The error is a sentence that names the file or the name.
    pub fn open<'a>(
        keys: impl IntoIterator<Item = (&'a str, &'a str, &'a Path)>,
    ) -> Result<Self, String> {
        let signer = |(domain, selector, file): (&str, &str, &Path)| {
            let (domain, selector) = names(domain, selector)?;
            let key = SigningKey::read(file)
                .map_err(|why| format!("the key file {} {why}", file.display()))?;
            Ok(Signer {
                domain,
                selector,
                key,
            })
        };
        keys.into_iter()
            .map(signer)
            .collect::<Result<Arc<[Signer]>, String>>()
            .map(Self)
    }

    /// Returns whether no mail is signed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns what DNS has to say of each key.
    pub fn records(&self) -> Vec<KeyRecord> {
        self.0
            .iter()
            .filter_map(|signer| record(&signer.domain, &signer.selector, &signer.key).ok())
            .collect()
    }

    /// Writes the header fields that sign a mail into `out`, whose old content goes and whose room is used again: a
    /// `DKIM-Signature` of each key, to stand before the mail. With no key it is empty.
    ///
    /// `message` is header and body as they go out, CRLF line ends, before dot-stuffing; `now` becomes `t=`.
    ///
    /// Over 40 KB it costs 273 us of one core with RSA-2048, 37 with Ed25519, 284 with both, where OpenSSL takes 242 for
    /// the RSA operation alone (`cargo bench --bench signing`): the body is hashed once for all keys. It keeps the thread
    /// that long and waits for nothing; what it allocates is 2 KB, and what the keys' arithmetic does.
    ///
    /// A key that fails, which means that memory is corrupt or gone, leaves its signature out and is logged.
    pub fn sign(&self, message: &[u8], now: Timestamp, out: &mut Vec<u8>) {
        out.clear();
        if self.is_empty() {
            return;
        }
        let (head, body) = match memmem::find(message, b"\r\n\r\n") {
            Some(at) => (&message[..at + 2], &message[at + 4..]),
            None => (message, &b""[..]),
        };
        let body_hash = STANDARD.encode(relaxed_body_hash(body));
        let fields = SignedFields::of(head);
        let mut covered = Vec::with_capacity(2048);
        fields.cover(&mut covered);
        let common = covered.len();
        for signer in self.0.iter() {
            let before = out.len();
            signer.write_unsigned(&fields, &body_hash, now, out);
            covered.truncate(common);
            relaxed_field(&out[before..], &mut covered);
            if signer.write_signature(&covered, out).is_err() {
                tracing::error!(
                    domain = signer.domain,
                    selector = signer.selector,
                    "a DKIM key failed to sign: the mail goes out without"
                );
                out.truncate(before);
            }
        }
    }

    /// As long as the fields may be that sign a mail, in bytes.
    pub fn longest(&self) -> usize {
        self.0.len() * 1536
    }

    /// [`Signers::sign`], and puts the signatures before the mail.
    pub fn seal(&self, message: &mut Vec<u8>, now: Timestamp) {
        let mut signatures = Vec::new();
        self.sign(message, now, &mut signatures);
        message.splice(0..0, signatures);
    }
}

impl Signer {
    /// The whole field up to its signature, which is empty in what is signed (RFC 6376 3.7).
    fn write_unsigned(
        &self,
        fields: &SignedFields<'_>,
        body_hash: &str,
        now: Timestamp,
        out: &mut Vec<u8>,
    ) {
        let Self {
            domain,
            selector,
            key,
        } = self;
        let (algorithm, now) = (key.algorithm().tag(), now.timestamp());
        let start = format!(
            "DKIM-Signature: v=1; a={algorithm}; c=relaxed/relaxed;\r\n\td={domain}; s={selector}; t={now};\r\n\th="
        );
        out.extend_from_slice(start.as_bytes());
        let mut column = 3;
        for (number, name) in fields.names().enumerate() {
            if number > 0 {
                out.push(b':');
                column += 1;
            }
            if column + name.len() + 1 > LINE {
                out.extend_from_slice(b"\r\n\t");
                column = 1;
            }
            out.extend_from_slice(name.as_bytes());
            column += name.len();
        }
        out.extend_from_slice(b";\r\n\tbh=");
        out.extend_from_slice(body_hash.as_bytes());
        out.extend_from_slice(b";\r\n\tb=");
    }

    fn write_signature(&self, covered: &[u8], out: &mut Vec<u8>) -> Result<(), Unspecified> {
        let mut room = [0; LONGEST_SIGNATURE];
        let length = self.key.sign(covered, &mut room)?;
        let mut text = [0; LONGEST_SIGNATURE.div_ceil(3) * 4];
        let length = STANDARD
            .encode_slice(&room[..length], &mut text)
            .map_err(|_| Unspecified)?;
        for (number, line) in text[..length].chunks(LINE - 4).enumerate() {
            if number > 0 {
                out.extend_from_slice(b"\r\n\t");
            }
            out.extend_from_slice(line);
        }
        out.extend_from_slice(b"\r\n");
        Ok(())
    }
}

/// The fields of a header that a signature covers: each with its name's place in [`OVERSIGNED`] and then [`COVERED`].
struct SignedFields<'a> {
    found: [(usize, &'a [u8]); MOST_FIELDS],
    count: usize,
}

impl<'a> SignedFields<'a> {
    fn of(head: &'a [u8]) -> Self {
        let mut fields = Self {
            found: [(0, b""); MOST_FIELDS],
            count: 0,
        };
        let mut start = 0;
        for end in memchr_iter(b'\n', head) {
            if matches!(head.get(end + 1), Some(b' ' | b'\t')) {
                continue;
            }
            let field = head[start..end].trim_ascii_end();
            start = end + 1;
            if let Some(name) = names_of_all().position(|name| is_named(field, name))
                && let Some(room) = fields.found.get_mut(fields.count)
            {
                *room = (name, field);
                fields.count += 1;
            }
        }
        fields
    }

    /// Those with this name, the last first (RFC 6376 5.4.2).
    fn named(&self, name: usize) -> impl Iterator<Item = &'a [u8]> {
        self.found[..self.count]
            .iter()
            .rev()
            .filter(move |(found, _)| *found == name)
            .map(|(_, field)| *field)
    }

    /// Returns what stands in `h=`.
    fn names(&self) -> impl Iterator<Item = &'static str> {
        names_of_all().enumerate().flat_map(|(number, name)| {
            let once_more = usize::from(number < OVERSIGNED.len());
            std::iter::repeat_n(name, self.named(number).count() + once_more)
        })
    }

    /// Adds the bytes that are signed of them; those that are not there are nothing (RFC 6376 3.5, `h=`).
    fn cover(&self, out: &mut Vec<u8>) {
        for field in names_of_all()
            .enumerate()
            .flat_map(|(number, _)| self.named(number))
        {
            relaxed_field(field, out);
            out.extend_from_slice(b"\r\n");
        }
    }
}

fn names_of_all() -> impl Iterator<Item = &'static str> {
    OVERSIGNED.into_iter().chain(COVERED)
}

fn is_named(field: &[u8], name: &str) -> bool {
    field.get(name.len()) == Some(&b':')
        && field[..name.len()].eq_ignore_ascii_case(name.as_bytes())
}

/// Makes a key: its file in PEM (PKCS#8), and what DNS has to say of it. The error is a sentence.
pub fn make_key(
    algorithm: Algorithm,
    domain: &str,
    selector: &str,
) -> Result<(String, KeyRecord), String> {
    let (domain, selector) = names(domain, selector)?;
    let made = SigningKey::generate(algorithm)
        .and_then(|(key, pem)| Ok((pem, record(&domain, &selector, &key)?)));
    made.map_err(|_| "no key could be made: the system gives no randomness".into())
}

fn record(domain: &str, selector: &str, key: &SigningKey) -> Result<KeyRecord, Unspecified> {
    let name = format!("{selector}._domainkey.{domain}");
    Ok(KeyRecord {
        algorithm: key.algorithm(),
        domain: domain.into(),
        name,
        value: key.record()?,
    })
}

/// Domain and selector as DNS writes them.
fn names(domain: &str, selector: &str) -> Result<(String, String), String> {
    let is_name = |name: &String| {
        let is_label = |label: &str| {
            matches!(label.len(), 1..=63)
                && label
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        };
        name.len() <= 253 && name.split('.').all(is_label)
    };
    let domain = idna::domain_to_ascii(domain)
        .ok()
        .filter(is_name)
        .ok_or_else(|| format!("{domain:?} is not a domain"))?;
    let expected =
        || format!("{selector:?} is not a selector: a word of letters and digits, like rsa202611");
    let selector = Some(selector.to_ascii_lowercase())
        .filter(is_name)
        .ok_or_else(expected)?;
    Ok((domain, selector))
}

#[cfg(test)]
#[path = "dkim_tests.rs"]
mod tests;
