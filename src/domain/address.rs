//! Mail addresses, parsed strictly.

use std::fmt;
use std::str::FromStr;

/// The longest address that fits a mail path: RFC 5321, 4.5.3.1.3 (256 octets with the angle brackets).
const MAX_ADDRESS: usize = 254;

/// One mailbox as RFC 5321 4.1.2 and RFC 6531 write it: no display name, no comment, no address literal.
///
/// The domain is kept in its ASCII form (A-labels, RFC 5890) and must have a dot (RFC 5321 2.3.5 wants names that
/// resolve everywhere). Case is kept as typed; [`EmailAddress::key`] is what is compared.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct EmailAddress(String);

impl EmailAddress {
    /// Parses one address. The error is a sentence for the person who typed it.
    pub fn parse(text: &str) -> Result<Self, InvalidAddress> {
        let (local, domain) = text.rsplit_once('@').ok_or(InvalidAddress("An address has an @ in it, like ada@example.org."))?;
        if text.chars().any(|c| c.is_control() || is_noncharacter(c)) {
            return Err(InvalidAddress("An address holds no control characters."));
        }
        let ascii = idna::domain_to_ascii_strict(domain).map_err(|_| BAD_DOMAIN)?;
        // A domain that was ASCII already keeps its case, which the conversion would lower.
        let domain = if ascii.eq_ignore_ascii_case(domain) { domain } else { ascii.as_str() };
        if !has_resolvable_shape(domain) {
            return Err(BAD_DOMAIN);
        }
        let address = format!("{local}@{domain}");
        if address.len() > MAX_ADDRESS {
            return Err(InvalidAddress("An address has at most 254 characters."));
        }
        // Part by part: as a whole the crate takes a "<" in a quoted local part for the end of a display name.
        match email_address::EmailAddress::is_valid_local_part(local) {
            true => Ok(Self(address)),
            false => Err(InvalidAddress("That is not a mail address; one looks like ada@example.org.")),
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

    /// Whether sending to it needs SMTPUTF8 (RFC 6531): the part before the @ is not ASCII.
    pub fn needs_smtputf8(&self) -> bool {
        !self.0.is_ascii()
    }

    /// What a log line may show: `a***@e***.org`.
    pub fn masked(&self) -> String {
        mask(&self.0)
    }
}

/// Masks anything that may be an address, for logs: the first letters and the last label stay.
pub fn mask(text: &str) -> String {
    let Some((local, domain)) = text.rsplit_once('@') else { return "***".into() };
    let first = |part: &str| part.chars().next().map(String::from).unwrap_or_default();
    match domain.rsplit_once('.') {
        Some((name, last)) => format!("{}***@{}***.{last}", first(local), first(name)),
        None => format!("{}***@{domain}", first(local)),
    }
}

const BAD_DOMAIN: InvalidAddress = InvalidAddress("The part behind the @ is not a mail domain; one looks like example.org.");

/// A domain that mail can go to, as lower-case A-labels: the form in which domains are compared.
pub fn mail_domain(text: &str) -> Option<String> {
    idna::domain_to_ascii_strict(text).ok().filter(|domain| has_resolvable_shape(domain))
}

fn has_resolvable_shape(domain: &str) -> bool {
    let labels: Vec<&str> = domain.split('.').collect();
    let last_is_a_name = labels.last().is_some_and(|l| l.bytes().any(|b| b.is_ascii_alphabetic()));
    labels.len() >= 2 && last_is_a_name && domain.len() <= 253 && labels.iter().all(|l| (1..=63).contains(&l.len()))
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

/// Why a text is not an address, as a sentence for the person who typed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidAddress(&'static str);

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
            assert!(EmailAddress::parse(bad).is_err(), "{bad:?} is not an address");
        }
    }

    #[test]
    fn a_domain_becomes_a_labels_and_case_is_kept_but_not_compared() {
        let address = EmailAddress::parse("Ada@BÜCHER.example").expect("an address");
        assert_eq!(address.as_str(), "Ada@xn--bcher-kva.example");
        assert_eq!(EmailAddress::parse("Ada@Example.ORG").expect("an address").as_str(), "Ada@Example.ORG");
        assert_eq!(address.key(), EmailAddress::parse("ada@xn--bcher-kva.EXAMPLE").expect("an address").key());
    }

    #[test]
    fn a_log_never_shows_a_whole_address() {
        assert_eq!(format!("{:?}", EmailAddress::parse("ada@mail.example.org").expect("an address")), "EmailAddress(a***@m***.org)");
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
