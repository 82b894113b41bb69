//! Macros in SPF records (RFC 7208, section 7): `%{i}._spf.%{d2}`. Their grammar is checked when a record is read.

use std::net::IpAddr;

/// The longest name in DNS.
const NAME_MAX: usize = 253;

/// Values of macros in one evaluation.
pub(in crate::mail) struct Macros {
    pub client: IpAddr,
    /// The envelope's sender.
    pub sender: String,
    pub helo: String,
}

impl Macros {
    /// The name that a domain stands for in the record of `own`.
    pub(in crate::mail) fn expand(&self, text: &str, own: &str) -> String {
        let mut out = String::new();
        let mut rest = text;
        while let Some(at) = rest.find('%') {
            out.push_str(&rest[..at]);
            rest = &rest[at..];
            if let Some((inside, behind)) = rest
                .strip_prefix("%{")
                .and_then(|rest| rest.split_once('}'))
            {
                out.push_str(&self.value(inside, own));
                rest = behind;
                continue;
            }
            let (letter, behind) = rest.split_at_checked(2).unwrap_or((rest, ""));
            out.push_str(match letter {
                "%%" => "%",
                "%_" => " ",
                "%-" => "%20",
                _ => "",
            });
            rest = behind;
        }
        out.push_str(rest);
        // RFC 7208 7.3: a name that is too long loses labels from its left.
        while out.len() > NAME_MAX {
            let Some((_, shorter)) = out.split_once('.') else {
                break;
            };
            out = shorter.to_owned();
        }
        out
    }

    /// `letter [digits] [r] [delimiters]`
    fn value(&self, inside: &str, own: &str) -> String {
        let (local, domain) = self
            .sender
            .rsplit_once('@')
            .unwrap_or(("postmaster", &self.sender));
        let (letter, transform) = inside.split_at_checked(1).unwrap_or((inside, ""));
        let value = match letter.to_ascii_lowercase().as_str() {
            "s" => self.sender.clone(),
            "l" => local.into(),
            "o" => domain.into(),
            "d" => own.into(),
            "i" => dotted(self.client),
            "v" => if self.client.is_ipv4() {
                "in-addr"
            } else {
                "ip6"
            }
            .into(),
            "h" => self.helo.clone(),
            // RFC 7208 7.3: whoever does not look up the client's name says so.
            _ => "unknown".into(),
        };
        let digits = transform.bytes().take_while(u8::is_ascii_digit).count();
        let (number, rest) = transform.split_at(digits);
        let (is_reversed, delimiters) = rest
            .strip_prefix(['r', 'R'])
            .map_or((false, rest), |rest| (true, rest));
        let delimiters = if delimiters.is_empty() {
            "."
        } else {
            delimiters
        };
        let mut parts: Vec<&str> = value.split(|letter| delimiters.contains(letter)).collect();
        if is_reversed {
            parts.reverse();
        }
        let kept = number
            .parse::<usize>()
            .unwrap_or(parts.len())
            .min(parts.len());
        parts[parts.len() - kept..].join(".")
    }
}

/// An IPv4 address as ever; of an IPv6 address each nibble.
fn dotted(address: IpAddr) -> String {
    match address {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => {
            let nibbles = ip
                .octets()
                .into_iter()
                .flat_map(|byte| [byte >> 4, byte & 15]);
            nibbles
                .map(|nibble| format!("{nibble:x}"))
                .collect::<Vec<_>>()
                .join(".")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_rfc_come_out() {
        let macros = |client: &str| Macros {
            client: client.parse().expect("an address"),
            sender: "strong-bad@email.example.com".into(),
            helo: "mx.example.org".into(),
        };
        // RFC 7208 7.4.
        for (text, expected) in [
            ("%{s}", "strong-bad@email.example.com"),
            ("%{o}", "email.example.com"),
            ("%{d4}", "email.example.com"),
            ("%{d2}", "example.com"),
            ("%{dr}", "com.example.email"),
            ("%{d2r}", "example.email"),
            ("%{l-}", "strong.bad"),
            ("%{l1r-}", "strong"),
            (
                "%{ir}.%{v}._spf.%{d2}",
                "3.2.0.192.in-addr._spf.example.com",
            ),
            ("%{lr-}.lp._spf.%{d2}", "bad.strong.lp._spf.example.com"),
            ("%%x%_", "%x "),
        ] {
            assert_eq!(
                macros("192.0.2.3").expand(text, "email.example.com"),
                expected,
                "{text}"
            );
        }
        let long = macros("2001:db8::cb01").expand("%{ir}.%{v}._spf.%{d2}", "email.example.com");
        assert_eq!(
            long,
            "1.0.b.c.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6._spf.example.com"
        );
    }
}
