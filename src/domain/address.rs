//! Mail addresses, parsed strictly into the one spelling of a mailbox.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;
use unicode_normalization::is_nfc;

/// The longest address that fits a mail path: RFC 5321, 4.5.3.1.3 (256 octets with the angle brackets).
const MAX_ADDRESS: usize = 254;
/// The longest local part, in octets: RFC 5321, 4.5.3.1.1.
const MAX_LOCAL: usize = 64;

/// Domains that no mail server can ever have: RFC 6761 (invalid, localhost, test), RFC 6762 (local), RFC 7686 (onion), RFC 8375
/// (home.arpa), RFC 9476 (alt). `example` is reserved too and stays allowed: it is made for documentation and trying out.
const UNREACHABLE: [&str; 7] = [
    "invalid",
    "localhost",
    "test",
    "local",
    "onion",
    "alt",
    "home.arpa",
];

/// One mailbox as RFC 5321 4.1.2 and RFC 6531 write it: no display name, no comment, no address literal.
///
/// The domain is kept in its ASCII form (A-labels, RFC 5890) and must have a dot (RFC 5321 2.3.5 wants names that
/// resolve everywhere). The local part is kept in Unicode's form NFC (RFC 6532, 3.1) and without needless quotes (RFC 5321 4.1.2:
/// all quoted forms of one local part are equivalent). Case is kept as typed; [`EmailAddress::key`] is what is compared.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct EmailAddress(String);

impl EmailAddress {
    /// Parses one address. The error is a sentence for the person who typed it.
    pub fn parse(text: &str) -> Result<Self, InvalidAddress> {
        let (local, domain) = text.rsplit_once('@').ok_or(InvalidAddress(
            "An address has an @ in it, like ada@example.org.",
        ))?;
        if text.chars().any(|c| c.is_control() || is_noncharacter(c)) {
            return Err(InvalidAddress("An address holds no control characters."));
        }
        let ascii = idna::domain_to_ascii_strict(domain).map_err(|_| BAD_DOMAIN)?;
        // A domain that was ASCII already keeps its case, which the conversion would lower.
        let domain = if ascii.eq_ignore_ascii_case(domain) {
            domain
        } else {
            ascii.as_str()
        };
        if !has_resolvable_shape(domain) {
            return Err(BAD_DOMAIN);
        }
        let local = canonical_local(local).ok_or(InvalidAddress(
            "That is not a mail address; one looks like ada@example.org.",
        ))?;
        let address = format!("{local}@{domain}");
        if address.len() > MAX_ADDRESS {
            return Err(InvalidAddress("An address has at most 254 characters."));
        }
        Ok(Self(address))
    }

    /// Parses an address that mail is to go to from now on: [`EmailAddress::parse`], and a domain that mail can reach. What is
    /// stored already is read with `parse`, so that it can still be shown and erased.
    pub fn parse_new(text: &str) -> Result<Self, InvalidAddress> {
        let address = Self::parse(text)?;
        let domain = address.domain();
        let is_below = |reserved: &&str| match domain.len().checked_sub(reserved.len()) {
            Some(at) => {
                domain.as_bytes()[at..].eq_ignore_ascii_case(reserved.as_bytes())
                    && (at == 0 || domain.as_bytes()[at - 1] == b'.')
            }
            None => false,
        };
        match UNREACHABLE.iter().any(is_below) {
            true => Err(InvalidAddress(
                "No mail can reach that domain: its ending is reserved. Use an address that gets mail from the internet.",
            )),
            false => Ok(address),
        }
    }

    /// The address as it goes into an envelope.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The form in which addresses are compared: lower case throughout. RFC 5321 2.4 would let a server tell case
    /// apart before the @; none in use does, and two subscriptions for one person would be the price.
    pub fn key(&self) -> String {
        self.0.to_lowercase()
    }

    /// The part behind the last @.
    pub fn domain(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(_, domain)| domain)
    }

    /// Returns whether sending to it needs SMTPUTF8 (RFC 6531): the part before the @ is not ASCII.
    pub fn needs_smtputf8(&self) -> bool {
        !self.0.is_ascii()
    }

    /// Returns what a log line may show: `a***@e***.org`.
    pub fn masked(&self) -> String {
        mask(&self.0)
    }
}

/// Masks anything that may be an address, for logs: the first letters and the last label stay.
pub fn mask(text: &str) -> String {
    let Some((local, domain)) = text.rsplit_once('@') else {
        return "***".into();
    };
    let first = |part: &str| part.chars().next().map(String::from).unwrap_or_default();
    match domain.rsplit_once('.') {
        Some((name, last)) => format!("{}***@{}***.{last}", first(local), first(name)),
        None => format!("{}***@{domain}", first(local)),
    }
}

/// The one spelling of a local part: NFC, quoted only where RFC 5321 demands it. `None` if it is none.
fn canonical_local(local: &str) -> Option<Cow<'_, str>> {
    let composed: Cow<'_, str> = if local.is_ascii() || is_nfc(local) {
        local.into()
    } else {
        local.nfc().collect::<String>().into()
    };
    if composed.len() > MAX_LOCAL {
        return None;
    }
    let Some(quoted) = composed
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
    else {
        return is_local_part(&composed).then_some(composed);
    };
    let mut content = String::with_capacity(quoted.len());
    let mut letters = quoted.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '"' => return None,
            '\\' => content.push(letters.next()?),
            _ => content.push(letter),
        }
    }
    if !content.starts_with('"') && is_local_part(&content) {
        return Some(content.into());
    }
    let needed = format!("\"{}\"", content.replace('\\', "\\\\").replace('"', "\\\""));
    is_local_part(&needed).then_some(needed.into())
}

/// Judges by the grammar of RFC 5321. The library knows no combining marks, so letters and marks beyond ASCII, which RFC 6531
/// allows, stand in it as one ASCII letter each.
fn is_local_part(local: &str) -> bool {
    if local.is_ascii() {
        return email_address::EmailAddress::is_valid_local_part(local);
    }
    let mut after_letter = false;
    let plain: String = local
        .chars()
        .map(|c| {
            // A mark needs a letter before it; the two joiners (U+200C, U+200D) are part of words in Indic and Arabic scripts.
            let joins = is_combining_mark(c) || matches!(c, '\u{200c}' | '\u{200d}');
            let belongs =
                !c.is_ascii() && (c.is_alphanumeric() || joins) && (after_letter || !joins);
            after_letter = belongs || (c.is_alphanumeric() && !joins);
            if belongs { 'a' } else { c }
        })
        .collect();
    // What was neither must be ASCII: no space, direction mark or replacement character of another script.
    plain.is_ascii() && email_address::EmailAddress::is_valid_local_part(&plain)
}

const BAD_DOMAIN: InvalidAddress =
    InvalidAddress("The part behind the @ is not a mail domain; one looks like example.org.");

/// A domain that mail can go to, as lower-case A-labels: the form in which domains are compared.
pub fn mail_domain(text: &str) -> Option<String> {
    idna::domain_to_ascii_strict(text)
        .ok()
        .filter(|domain| has_resolvable_shape(domain))
}

fn has_resolvable_shape(domain: &str) -> bool {
    let labels: Vec<&str> = domain.split('.').collect();
    let last_is_a_name = labels
        .last()
        .is_some_and(|l| l.bytes().any(|b| b.is_ascii_alphabetic()));
    labels.len() >= 2
        && last_is_a_name
        && domain.len() <= 253
        && labels.iter().all(|l| (1..=63).contains(&l.len()))
}

/// Unicode's noncharacters (U+FDD0..U+FDEF and the last two of each plane) are for a program's inner use; here they
/// mark the slots of a rendered mail, so no text from outside may hold one.
pub fn is_noncharacter(c: char) -> bool {
    ('\u{FDD0}'..='\u{FDEF}').contains(&c) || (c as u32) & 0xFFFE == 0xFFFE
}

impl fmt::Display for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Debug output ends up in logs, so it is masked.
impl fmt::Debug for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EmailAddress({})", self.masked())
    }
}

impl FromStr for EmailAddress {
    type Err = InvalidAddress;
    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        Self::parse(text)
    }
}

/// Reason why a text is not an address, as a sentence for the person who typed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidAddress(&'static str);

/// Returns the domain of an address, in lower case.
pub fn domain_of(email: &str) -> String {
    email
        .rsplit_once('@')
        .map_or(email, |(_, domain)| domain)
        .to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::EmailAddress;
    use proptest::prelude::*;

    #[test]
    fn the_standard_decides_what_an_address_is() {
        for good in [
            "ada@example.org",
            "Ada.Lovelace+news@Mail.Example.ORG",
            "\"odd one\"@example.org",
            "\"a,b: <c>@\"@example.org",
            "o'neil@example.co",
            "grüße@example.org",
        ] {
            assert!(EmailAddress::parse(good).is_ok(), "{good} is an address");
        }
        let long_local = format!("{}@example.org", "a".repeat(65));
        let long_domain = format!("a@{}.org", "b".repeat(64));
        for bad in [
            "",
            "ada",
            "@example.org",
            "ada@",
            "ada@example",
            "ada@@example.org",
            "ada@exa mple.org",
            "a b@example.org",
            ".ada@example.org",
            "ada.@example.org",
            "a..b@example.org",
            "ada@-example.org",
            "ada@example..org",
            "ada@[127.0.0.1]",
            "ada@127.0.0.1",
            "Ada <ada@example.org>",
            "ada@example.org\r\nBcc: eve@example.org",
            "a\u{fdd0}@example.org",
            &long_local,
            &long_domain,
        ] {
            assert!(
                EmailAddress::parse(bad).is_err(),
                "{bad:?} is not an address"
            );
        }
    }

    #[test]
    fn a_domain_becomes_a_labels_and_case_is_kept_but_not_compared() {
        let address = EmailAddress::parse("Ada@BÜCHER.example").expect("an address");
        assert_eq!(address.as_str(), "Ada@xn--bcher-kva.example");
        assert_eq!(
            EmailAddress::parse("Ada@Example.ORG")
                .expect("an address")
                .as_str(),
            "Ada@Example.ORG"
        );
        assert_eq!(
            address.key(),
            EmailAddress::parse("ada@xn--bcher-kva.EXAMPLE")
                .expect("an address")
                .key()
        );
    }

    #[test]
    fn a_mailbox_has_one_spelling() {
        let key = |text: &str| EmailAddress::parse(text).expect("an address").key();
        for (other, plain) in [
            ("\"gone\"@example.org", "gone@example.org"),
            ("\"g\\o\\ne\"@example.org", "gone@example.org"),
            ("\"Ada.L\"@EXAMPLE.org", "ada.l@example.org"),
            ("\"a\\ b\"@example.org", "\"a b\"@example.org"),
            ("rene\u{301}@example.org", "ren\u{e9}@example.org"),
            ("\"rene\u{301}\"@example.org", "REN\u{c9}@example.org"),
            ("ada@B\u{fc}cher.example", "ada@xn--bcher-kva.example"),
            ("ada@bu\u{308}cher.example", "ada@XN--BCHER-KVA.example"),
            ("ada@\u{ff45}xample.org", "ada@example.org"),
        ] {
            assert_eq!(key(other), key(plain), "{other}");
        }
        assert_eq!(
            EmailAddress::parse("\"odd one\"@example.org")
                .expect("an address")
                .as_str(),
            "\"odd one\"@example.org"
        );
        assert_eq!(
            EmailAddress::parse("\"a..b\"@example.org")
                .expect("an address")
                .as_str(),
            "\"a..b\"@example.org"
        );
    }

    #[test]
    fn marks_are_letters_and_nothing_invisible_is() {
        for good in [
            "संपर्क@example.org",
            "தமிழ்@example.org",
            "ติดต่อ@example.org",
            "ទំនាក់ទំនង@example.org",
            "re\u{301}my@example.org",
            "нет.й@example.org",
        ] {
            assert!(
                EmailAddress::parse(good).is_ok_and(|address| address.needs_smtputf8()),
                "{good} is an address"
            );
        }
        for bad in [
            "a\u{200b}da@example.org",
            "\u{301}ada@example.org",
            "a\u{202e}da@example.org",
            "a\u{feff}@example.org",
            "a\u{fffd}@example.org",
            "ada\u{a0}b@example.org",
        ] {
            assert!(
                EmailAddress::parse(bad).is_err(),
                "{bad:?} is not an address"
            );
        }
    }

    #[test]
    fn a_domain_that_no_mail_reaches_is_refused_at_the_door_and_can_be_looked_up() {
        for bad in [
            "a@b.invalid",
            "a@x.localhost",
            "a@box.LOCAL",
            "a@v2.onion",
            "a@b.test",
            "a@home.arpa",
            "a@x.home.arpa",
            "a@x.alt",
        ] {
            assert!(
                EmailAddress::parse_new(bad)
                    .is_err_and(|error| error.to_string().contains("reserved")),
                "{bad}"
            );
            assert!(EmailAddress::parse(bad).is_ok(), "{bad}");
        }
        for good in [
            "a@test.example",
            "a@local.example.org",
            "a@mylocal.example",
            "a@b.contest.example",
        ] {
            assert!(EmailAddress::parse_new(good).is_ok(), "{good}");
        }
        assert!(EmailAddress::parse_new("a@mylocal.xlocal").is_ok());
    }

    #[test]
    fn a_log_never_shows_a_whole_address() {
        assert_eq!(
            format!(
                "{:?}",
                EmailAddress::parse("ada@mail.example.org").expect("an address")
            ),
            "EmailAddress(a***@m***.org)"
        );
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_or_refused_and_what_is_parsed_parses_again(text in "\\PC{0,80}|[a-zA-Z0-9.\"@ü-]{1,40}@[a-zA-Z0-9.ü-]{1,40}") {
            if let Ok(address) = EmailAddress::parse(&text) {
                prop_assert!(!address.as_str().contains(['\r', '\n', '\0']));
                prop_assert!(address.domain().is_ascii());
                prop_assert_eq!(EmailAddress::parse(address.as_str()).expect("parses again"), address);
            }
        }
    }
}
