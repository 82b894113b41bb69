//! Sender of a mail, or the address for answers: a display name and an address.

use crate::domain::address::EmailAddress;
use crate::domain::address::is_noncharacter;

/// Value of `From` and `Reply-To` (RFC 5322 3.4): `Ship or Skip <news@example.org>`, or the bare address.
#[derive(Clone, PartialEq, Eq)]
pub struct Mailbox {
    name: String,
    address: String,
}

impl Mailbox {
    /// Reads `Name <address>`, `"Name" <address>` or `address`.
    ///
    /// Unlike a reader's, our own address may have a host without a dot (`news@localhost`: a machine that sends to itself),
    /// and must be ASCII before the @: with another one each mail would need SMTPUTF8 from each server on its way.
    /// The error is a sentence for the operator.
    pub fn parse(text: &str) -> Result<Self, InvalidMailbox> {
        if text.chars().any(|c| c.is_control() || is_noncharacter(c)) {
            return Err(InvalidMailbox("A sender holds no control characters."));
        }
        let (name, address) = match text
            .trim()
            .strip_suffix('>')
            .and_then(|text| text.rsplit_once('<'))
        {
            Some((name, address)) => (unquoted(name.trim()), address),
            None => (String::new(), text.trim()),
        };
        Ok(Self {
            name,
            address: parse_address(address).ok_or(EXPECTED)?,
        })
    }

    /// The display name, without quotes; empty when there is none.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The address, ASCII throughout.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Returns what stands behind its @.
    pub fn domain(&self) -> &str {
        self.address
            .rsplit_once('@')
            .map_or("localhost", |(_, host)| host)
    }
}

const EXPECTED: InvalidMailbox =
    InvalidMailbox("A sender looks like: Ship or Skip <news@example.org>.");

fn parse_address(text: &str) -> Option<String> {
    let dotless = text
        .rsplit_once('@')
        .is_some_and(|(_, host)| !host.contains('.'));
    // The one rule our own address is spared is the dot: it is judged as if it had one.
    let suffix = if dotless { ".invalid" } else { "" };
    let address = EmailAddress::parse(&format!("{text}{suffix}"))
        .ok()
        .filter(|address| !address.needs_smtputf8())?;
    address.as_str().strip_suffix(suffix).map(String::from)
}

fn unquoted(name: &str) -> String {
    let Some(inner) = name
        .strip_prefix('"')
        .and_then(|name| name.strip_suffix('"'))
    else {
        return name.into();
    };
    let mut chars = inner.chars();
    std::iter::from_fn(|| {
        chars
            .next()
            .and_then(|c| if c == '\\' { chars.next() } else { Some(c) })
    })
    .collect()
}

/// Reason why a text is not a sender, as a sentence for the operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidMailbox(&'static str);

#[cfg(test)]
mod tests {
    use super::Mailbox;

    #[test]
    fn a_sender_is_a_name_and_an_address() {
        let read = |text| {
            Mailbox::parse(text)
                .map(|mailbox| (mailbox.name, mailbox.address))
                .ok()
        };
        let pair = |name: &str, address: &str| Some((name.to_string(), address.to_string()));
        assert_eq!(
            read("Ship or Skip <news@localhost>"),
            pair("Ship or Skip", "news@localhost")
        );
        assert_eq!(
            read(r#" "Ship, \"or\" Skip" <news@example.org> "#),
            pair(r#"Ship, "or" Skip"#, "news@example.org")
        );
        assert_eq!(
            read("Grüße <news@bücher.example>"),
            pair("Grüße", "news@xn--bcher-kva.example")
        );
        assert_eq!(read("news@localhost"), pair("", "news@localhost"));
        assert_eq!(read("<news@localhost>"), pair("", "news@localhost"));
        for bad in [
            "",
            "news",
            "News <news>",
            "News <news@>",
            "grüße@example.org",
            "a@b@localhost",
            "News\r\n <news@localhost>",
            "N <a@b> x",
        ] {
            assert_eq!(read(bad), None, "{bad:?} is no sender");
        }
    }
}
