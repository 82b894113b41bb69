//! Variable envelope return paths: what comes back for a delivery comes to an address of its own.
//!
//! `mail.return_path = "bounces+{verp}@example.org"`: the mark is filled with `base32(block, tag)`: mailing and subscriber encrypted
//! in one block ([`super::seal`]), 16 bytes, and 10 bytes of its tag, 42 characters of RFC 4648's alphabet in lower case. Not base64:
//! RFC 5321 2.4 tells servers to keep the case of what stands before the @, and not all do. The tag has 80 bits, the least that RFC
//! 2104 section 5 allows: so nobody can make up a bounce for somebody else. A Message-ID names its delivery in the same form with
//! keys of its own: many see it, so it must not give the address away to which a "yes" is sent. So does the address to which a reader writes to
//! leave: whatever comes there is that wish, while bounces and vacation notices come to the return path. Release 0.1.0 wrote the numbers
//! unencrypted in the return path; those addresses are still read. Its Message-ID had no tag, and proves nothing.

use std::borrow::Cow;

use data_encoding::BASE32_NOPAD;

use super::delivery::DeliveryKey;
use super::seal::BLOCK;
use super::seal::Seal;
use super::token::Secrets;

/// Mark in `mail.return_path` for each delivery's own part.
pub const MARK: &str = "{verp}";

/// The characters that fill the mark: what [`Secrets::sign_delivery`] makes.
pub const VERP_LENGTH: usize = 42;

const BYTES: usize = 26;
/// RFC 5321 4.5.3.1.1.
const LONGEST_LOCAL_PART: usize = 64;

/// The envelope's sender, to which bounces go: one address for all mail, or with [`MARK`] one for each delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReturnPath {
    head: String,
    /// Text behind the mark, to the end; none without a mark.
    tail: Option<String>,
}

impl ReturnPath {
    /// Takes an address that is one already, the mark counted as letters.
    pub fn new(address: &str) -> Result<Self, InvalidReturnPath> {
        let Some((head, tail)) = address.split_once(MARK) else {
            return Ok(Self {
                head: address.into(),
                tail: None,
            });
        };
        let Some((rest, _)) = tail.rsplit_once('@').filter(|_| !tail.contains(MARK)) else {
            return Err(InvalidReturnPath::Place);
        };
        if head.len() + VERP_LENGTH + rest.len() > LONGEST_LOCAL_PART {
            return Err(InvalidReturnPath::Length);
        }
        Ok(Self {
            head: head.into(),
            tail: Some(tail.into()),
        })
    }

    /// Returns whether each delivery has an address of its own, which is to say that somebody reads what comes back.
    pub fn is_per_delivery(&self) -> bool {
        self.tail.is_some()
    }

    /// The address with `verp` in the place of the mark; without a mark, the address.
    pub fn with(&self, verp: &str) -> Cow<'_, str> {
        match &self.tail {
            Some(tail) => format!("{}{verp}{tail}", self.head).into(),
            None => Cow::Borrowed(&self.head),
        }
    }

    /// Returns what fills the mark for a delivery; nothing without a mark.
    pub fn verp(&self, secrets: &Secrets, key: DeliveryKey) -> String {
        if self.is_per_delivery() {
            secrets.sign_delivery(key)
        } else {
            String::new()
        }
    }

    /// Makes the text that fills the mark in the address to which a delivery's reader writes to leave; nothing without a mark.
    pub fn leaving_verp(&self, secrets: &Secrets, key: DeliveryKey) -> String {
        if self.is_per_delivery() {
            secrets.sign_leaving(key)
        } else {
            String::new()
        }
    }

    /// Returns whether mail to `address` comes back to us by this path, whatever fills the mark.
    pub fn is_one(&self, address: &str) -> bool {
        let Some(tail) = &self.tail else {
            return address.eq_ignore_ascii_case(&self.head);
        };
        let fits = address.len() >= self.head.len() + tail.len()
            && address.is_char_boundary(self.head.len());
        let ends = |end: &str| {
            address
                .get(address.len() - end.len()..)
                .is_some_and(|part| part.eq_ignore_ascii_case(end))
        };
        fits && address[..self.head.len()].eq_ignore_ascii_case(&self.head) && ends(tail)
    }

    /// The delivery that `address` was made for; `None` when it is forged, or none of ours. The host is not looked at: a
    /// server may know itself by another name, and the mac is what counts.
    pub fn delivery(&self, secrets: &Secrets, address: &str) -> Option<DeliveryKey> {
        self.verp_in(address)
            .and_then(|verp| secrets.read_delivery(verp))
    }

    /// Returns whether `address` is a return path as release 0.1.0 made it: its List-Unsubscribe named that address, too.
    pub fn is_also_for_leaving(&self, secrets: &Secrets, address: &str) -> bool {
        self.verp_in(address)
            .is_some_and(|verp| secrets.read_plain_delivery(verp).is_some())
    }

    /// The delivery whose reader leaves by a mail to `address`; `None` when it is forged, or no such address of ours.
    pub fn leaving(&self, secrets: &Secrets, address: &str) -> Option<DeliveryKey> {
        self.verp_in(address)
            .and_then(|verp| secrets.read_leaving(verp))
    }

    /// Returns the text that fills the mark in an address that was made by this path.
    fn verp_in<'a>(&self, address: &'a str) -> Option<&'a str> {
        let (rest, _) = self.tail.as_deref()?.rsplit_once('@')?;
        let (local, _) = address.rsplit_once('@')?;
        let start = local
            .get(..self.head.len())
            .filter(|start| start.eq_ignore_ascii_case(&self.head))?;
        let verp = local.get(start.len()..start.len() + VERP_LENGTH)?;
        let end = &local[start.len() + verp.len()..];
        end.eq_ignore_ascii_case(rest).then_some(verp)
    }
}

/// Reason why an address cannot be a return path, as a sentence for the operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidReturnPath {
    /// The mark stands twice, or in the domain.
    #[error("{{verp}} stands once, before the @, like bounces+{{verp}}@example.org.")]
    Place,
    /// Filled in, it would be no address.
    #[error(
        "with {{verp}} filled in, the part before the @ is longer than 64 characters; 22 are left beside it."
    )]
    Length,
}

impl Secrets {
    /// The text that stands for a delivery in a return path: [`VERP_LENGTH`] characters.
    pub fn sign_delivery(&self, key: DeliveryKey) -> String {
        self.sealed_delivery(Seal::ReturnPath, key)
    }

    /// Reads such a text in any case; `None` when no secret of ours made it.
    pub fn read_delivery(&self, text: &str) -> Option<DeliveryKey> {
        self.open(Seal::ReturnPath, &bytes_of(text)?)
            .and_then(key_in)
            .or_else(|| self.read_plain_delivery(text))
    }

    /// Reads a text of release 0.1.0, which showed its numbers.
    fn read_plain_delivery(&self, text: &str) -> Option<DeliveryKey> {
        let bytes = bytes_of(text)?;
        let (block, tag) = bytes.split_first_chunk::<BLOCK>()?;
        self.is_genuine(b"return path", block, tag)
            .then(|| key_in(*block))?
    }

    /// The text that stands for a delivery before the @ of its Message-ID: [`VERP_LENGTH`] characters.
    pub fn name_delivery(&self, key: DeliveryKey) -> String {
        self.sealed_delivery(Seal::MessageId, key)
    }

    /// Reads such a text in any case; `None` when no secret of ours made it.
    pub fn named_delivery(&self, text: &str) -> Option<DeliveryKey> {
        self.open(Seal::MessageId, &bytes_of(text)?)
            .and_then(key_in)
    }

    /// The text that fills the mark in the address to which a delivery's reader writes to leave: [`VERP_LENGTH`] characters.
    pub fn sign_leaving(&self, key: DeliveryKey) -> String {
        self.sealed_delivery(Seal::Leaving, key)
    }

    /// Reads such a text in any case; `None` when no secret of ours made it.
    pub fn read_leaving(&self, text: &str) -> Option<DeliveryKey> {
        self.open(Seal::Leaving, &bytes_of(text)?).and_then(key_in)
    }

    fn sealed_delivery(&self, seal: Seal, key: DeliveryKey) -> String {
        let mut plain = [0; BLOCK];
        plain[..8].copy_from_slice(&key.mailing.to_be_bytes());
        plain[8..].copy_from_slice(&key.subscriber.to_be_bytes());
        let mut text = BASE32_NOPAD.encode(&self.seal::<BYTES>(seal, plain));
        text.make_ascii_lowercase();
        text
    }
}

fn bytes_of(text: &str) -> Option<[u8; BYTES]> {
    BASE32_NOPAD
        .decode(text.to_ascii_uppercase().as_bytes())
        .ok()?
        .try_into()
        .ok()
}

fn key_in(block: [u8; BLOCK]) -> Option<DeliveryKey> {
    let number =
        |range: std::ops::Range<usize>| block[range].try_into().map(i64::from_be_bytes).ok();
    Some(DeliveryKey {
        mailing: number(0..8)?,
        subscriber: number(8..16)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KEY: DeliveryKey = DeliveryKey {
        mailing: 202_648,
        subscriber: i64::MAX,
    };

    fn secrets(texts: &[&str]) -> Secrets {
        Secrets::new(&texts.iter().map(|text| (*text).into()).collect::<Vec<_>>())
            .expect("at least one")
    }

    #[test]
    fn a_delivery_has_an_address_of_its_own_which_is_read_back_in_any_case_and_with_an_older_secret()
     {
        let path = ReturnPath::new("bounces+{verp}@example.org").expect("a return path");
        let old = secrets(&["old"]);
        let address = path.with(&path.verp(&old, KEY)).into_owned();
        assert_eq!(address.len(), "bounces+@example.org".len() + VERP_LENGTH);
        assert!(
            crate::domain::address::EmailAddress::parse(&address).is_ok(),
            "{address}"
        );
        let new = secrets(&["new", "old"]);
        for seen in [
            &address,
            &address.to_uppercase(),
            &address.replace("example.org", "mx1.example.net"),
        ] {
            assert_eq!(path.delivery(&new, seen), Some(KEY), "{seen}");
        }
        assert_eq!(path.delivery(&secrets(&["new"]), &address), None);
        for other in [
            "bounces@example.org",
            "",
            "@",
            "bounces+@example.org",
            "bounces+käsekäsekäsekäsekäsekäsekäsekäsekäsekäsekä@x.org",
        ] {
            assert_eq!(path.delivery(&new, other), None, "{other}");
        }
    }

    #[test]
    fn an_address_from_before_ids_were_hidden_is_still_read() {
        // As release 0.1.0 made it with the secret "old".
        let (keys, text) = (
            secrets(&["new", "old"]),
            "aaaaaaaaamlzq7777777777776fiqlemehjid7a4xu",
        );
        assert_eq!(
            (keys.read_delivery(text), keys.named_delivery(text)),
            (Some(KEY), None)
        );
        let path = ReturnPath::new("b+{verp}@example.org").expect("a return path");
        let is_for_leaving = |verp: &str| path.is_also_for_leaving(&keys, &path.with(verp));
        assert_eq!(
            (
                is_for_leaving(text),
                is_for_leaving(&keys.sign_delivery(KEY))
            ),
            (true, false)
        );
        assert_eq!(secrets(&["new"]).read_delivery(text), None);
    }

    #[test]
    fn an_address_to_leave_by_is_no_return_path() {
        let (path, keys) = (
            ReturnPath::new("b+{verp}@example.org").expect("a return path"),
            secrets(&["s"]),
        );
        let (leaving, bounces) = (
            path.with(&keys.sign_leaving(KEY)).into_owned(),
            path.with(&keys.sign_delivery(KEY)).into_owned(),
        );
        assert_eq!(
            (
                path.leaving(&keys, &leaving),
                path.delivery(&keys, &leaving)
            ),
            (Some(KEY), None)
        );
        assert_eq!(
            (
                path.leaving(&keys, &bounces),
                path.delivery(&keys, &bounces)
            ),
            (None, Some(KEY))
        );
        assert_eq!(path.leaving(&secrets(&["other"]), &leaving), None);
    }

    #[test]
    fn a_message_id_and_a_return_path_are_not_worth_each_other() {
        let keys = secrets(&["s"]);
        let (id, path) = (keys.name_delivery(KEY), keys.sign_delivery(KEY));
        assert_eq!(
            (
                keys.named_delivery(&id),
                keys.named_delivery(&id.to_uppercase())
            ),
            (Some(KEY), Some(KEY))
        );
        assert_eq!(
            (keys.named_delivery(&path), keys.read_delivery(&id)),
            (None, None)
        );
    }

    #[test]
    fn a_return_path_without_the_mark_is_one_address_for_all() {
        let path = ReturnPath::new("bounces+all@example.org").expect("a return path");
        assert_eq!(
            (path.verp(&secrets(&["s"]), KEY).as_str(), &*path.with("")),
            ("", "bounces+all@example.org")
        );
        assert_eq!(
            path.delivery(&secrets(&["s"]), "bounces+all@example.org"),
            None
        );
    }

    #[test]
    fn the_mark_stands_once_where_there_is_room_for_it() {
        for (text, fault) in [
            ("b@{verp}.example.org", InvalidReturnPath::Place),
            ("{verp}+{verp}@example.org", InvalidReturnPath::Place),
            (
                "a-name-of-twenty-three-+{verp}@example.org",
                InvalidReturnPath::Length,
            ),
        ] {
            assert_eq!(ReturnPath::new(text), Err(fault), "{text}");
        }
        assert!(ReturnPath::new("a-name-of-22-letters-+{verp}@example.org").is_ok());
        assert!(ReturnPath::new("{verp}@bounces.example.org").is_ok());
    }

    proptest! {
        #[test]
        fn one_changed_character_makes_it_worthless(mailing: i64, subscriber: i64, at in 0usize..VERP_LENGTH, other in "[a-z2-7]") {
            let keys = secrets(&["s"]);
            let key = DeliveryKey { mailing, subscriber };
            let text = keys.sign_delivery(key);
            prop_assert_eq!(text.len(), VERP_LENGTH);
            prop_assert_eq!(keys.read_delivery(&text), Some(key));
            let forged = format!("{}{other}{}", &text[..at], &text[at + 1..]);
            prop_assume!(forged != text);
            prop_assert_eq!(keys.read_delivery(&forged), None);
        }

        #[test]
        fn any_address_is_read_or_refused(text in "\\PC{0,200}") {
            let path = ReturnPath::new("b+{verp}@example.org").expect("a return path");
            prop_assert_eq!(path.delivery(&secrets(&["s"]), &text), None);
        }
    }
}
