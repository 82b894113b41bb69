//! The grammar of an SPF record (RFC 7208 section 12), whole: receivers call one wrong term a permanent error, wherever it stands,
//! while the library that evaluates records forgives slips.

use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;

use ipnet::IpNet;

/// Result for a client that a term matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::mail) enum Qualifier {
    Pass,
    Fail,
    SoftFail,
    Neutral,
}

/// Lengths of the prefixes that an address is compared by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::mail) struct Prefixes {
    v4: u8,
    v6: u8,
}

impl Prefixes {
    /// Returns whether two addresses have the same prefix.
    pub(in crate::mail) fn covers(self, named: IpAddr, client: IpAddr) -> bool {
        let length = if named.is_ipv4() { self.v4 } else { self.v6 };
        IpNet::new(named, length).is_ok_and(|net| net.contains(&client))
    }
}

/// A mechanism. `None` as a domain is the record's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::mail) enum SpfMechanism {
    /// `all`
    All,
    /// `ip4:`, `ip6:`
    Network(IpNet),
    /// `include:`: another record, which must be there.
    Include(String),
    /// `a`
    Address(Option<String>, Prefixes),
    /// `mx`
    Exchange(Option<String>, Prefixes),
    /// `exists:`
    Exists(String),
    /// `ptr`: counted and not followed, since what it finds depends on who asks.
    Pointer,
}

/// A mechanism with its qualifier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::mail) struct Directive {
    pub qualifier: Qualifier,
    pub mechanism: SpfMechanism,
}

/// A record that follows the grammar.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::mail) struct Record {
    /// In the order in which they are evaluated; none behind `all`.
    pub directives: Vec<Directive>,
    /// Another record in place of this one, which must be there.
    pub redirect: Option<String>,
}

/// Returns whether a TXT record is one of SPF: the version alone, or followed by a space (RFC 7208 4.5).
pub(in crate::mail) fn is_spf(text: &str) -> bool {
    let version = text
        .as_bytes()
        .get(..6)
        .is_some_and(|head| head.eq_ignore_ascii_case(b"v=spf1"));
    version && matches!(text.as_bytes().get(6), None | Some(b' '))
}

impl Record {
    /// Reads a record; an error says which term receivers refuse, and why.
    pub(in crate::mail) fn parse(text: &str) -> Result<Self, String> {
        let mut directives = Vec::new();
        let (mut redirect, mut has_all, mut has_exp) = (None, false, false);
        // Only a space parts terms: a tab or a line break makes the term it stands in unreadable.
        for term in text
            .get(6..)
            .unwrap_or_default()
            .split(' ')
            .filter(|term| !term.is_empty())
        {
            let fault = |why: &str| Err(format!("{term:?}: {why}"));
            match Term::parse(term) {
                Err(why) => return fault(&why),
                Ok(Term::Redirect(_)) if redirect.is_some() => {
                    return fault("redirect stands twice");
                }
                Ok(Term::Redirect(domain)) => redirect = Some(domain),
                Ok(Term::Explanation) if std::mem::replace(&mut has_exp, true) => {
                    return fault("exp stands twice");
                }
                Ok(Term::Matches(directive)) if !has_all => {
                    has_all = directive.mechanism == SpfMechanism::All;
                    directives.push(directive);
                }
                Ok(Term::Matches(_) | Term::Explanation | Term::Quiet) => {}
            }
        }
        // RFC 7208 6.1: a redirect beside "all" is passed over.
        Ok(Self {
            directives,
            redirect: redirect.filter(|_| !has_all),
        })
    }
}

enum Term {
    Matches(Directive),
    Redirect(String),
    Explanation,
    /// A modifier that nobody knows.
    Quiet,
}

impl Term {
    fn parse(term: &str) -> Result<Self, String> {
        let named = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        // A modifier has "=" behind its name; a mechanism has ":" or "/" there, or nothing.
        if let Some((name, value)) = term.split_once('=')
            && name.chars().all(named)
        {
            return Self::modifier(name, value);
        }
        let (qualifier, bare) = match term.split_at_checked(1) {
            Some(("+", rest)) => (Qualifier::Pass, rest),
            Some(("-", rest)) => (Qualifier::Fail, rest),
            Some(("~", rest)) => (Qualifier::SoftFail, rest),
            Some(("?", rest)) => (Qualifier::Neutral, rest),
            _ => (Qualifier::Pass, term),
        };
        let end = bare.find([':', '/']).unwrap_or(bare.len());
        let (name, rest) = bare.split_at(end);
        let argument = rest.strip_prefix(':');
        let mechanism = match name.to_ascii_lowercase().as_str() {
            "all" if rest.is_empty() => SpfMechanism::All,
            "all" => return Err("all takes nothing".into()),
            "include" => SpfMechanism::Include(domain_spec(
                argument.ok_or("include: and a domain are expected")?,
            )?),
            "exists" => SpfMechanism::Exists(domain_spec(
                argument.ok_or("exists: and a domain are expected")?,
            )?),
            "a" => domain_and_prefixes(rest)
                .map(|(domain, prefixes)| SpfMechanism::Address(domain, prefixes))?,
            "mx" => domain_and_prefixes(rest)
                .map(|(domain, prefixes)| SpfMechanism::Exchange(domain, prefixes))?,
            "ptr" => match (argument, rest.is_empty()) {
                (Some(domain), _) => domain_spec(domain).map(|_| SpfMechanism::Pointer)?,
                (None, true) => SpfMechanism::Pointer,
                (None, false) => return Err("ptr takes a domain alone".into()),
            },
            "ip4" => SpfMechanism::Network(network::<Ipv4Addr>(argument, 32)?),
            "ip6" => SpfMechanism::Network(network::<Ipv6Addr>(argument, 128)?),
            _ => return Err("SPF has no such term".into()),
        };
        Ok(Self::Matches(Directive {
            qualifier,
            mechanism,
        }))
    }

    fn modifier(name: &str, value: &str) -> Result<Self, String> {
        match name.to_ascii_lowercase().as_str() {
            "redirect" => domain_spec(value).map(Self::Redirect),
            "exp" => domain_spec(value).map(|_| Self::Explanation),
            _ if !name.starts_with(|c: char| c.is_ascii_alphabetic()) => {
                Err("a modifier's name begins with a letter".into())
            }
            _ => macro_string(value).map(|_| Self::Quiet),
        }
    }
}

/// `:domain` and `/24`, `//64` or both, each of which may be left out.
fn domain_and_prefixes(rest: &str) -> Result<(Option<String>, Prefixes), String> {
    let (domain, prefixes) = match rest.strip_prefix(':') {
        None => (None, rest),
        // A slash inside a macro (%{d/}) belongs to it.
        Some(argument) => {
            let end = prefix_start(argument);
            (Some(domain_spec(&argument[..end])?), &argument[end..])
        }
    };
    let (v4, v6) = match prefixes.split_once("//") {
        Some((v4, v6)) => (v4, Some(v6)),
        None => (prefixes, None),
    };
    let v4 = if v4.is_empty() {
        32
    } else {
        prefix(v4.strip_prefix('/').unwrap_or_default(), 32)?
    };
    let v6 = v6.map_or(Ok(128), |v6| prefix(v6, 128))?;
    Ok((domain, Prefixes { v4, v6 }))
}

/// The place of the first slash that is not inside a macro.
fn prefix_start(text: &str) -> usize {
    let mut in_macro = false;
    for (at, c) in text.char_indices() {
        match c {
            '{' => in_macro = true,
            '}' => in_macro = false,
            '/' if !in_macro => return at,
            _ => {}
        }
    }
    text.len()
}

fn network<A: std::str::FromStr + Into<IpAddr>>(
    argument: Option<&str>,
    bits: u8,
) -> Result<IpNet, String> {
    let argument = argument.ok_or("an address is expected behind the colon")?;
    let (text, length) = argument
        .split_once('/')
        .map_or((argument, None), |(address, length)| {
            (address, Some(length))
        });
    let address: A = text
        .parse()
        .map_err(|_| format!("{text:?} is no address of that kind"))?;
    let length = length.map_or(Ok(bits), |length| prefix(length, bits))?;
    IpNet::new(address.into(), length).map_err(|error| error.to_string())
}

/// A prefix length: no leading zero, at most `bits`.
fn prefix(text: &str, bits: u8) -> Result<u8, String> {
    let plain = text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    let length = text
        .parse::<u8>()
        .ok()
        .filter(|length| plain && *length <= bits);
    length.ok_or_else(|| format!("/{text} is no prefix of at most {bits} bits"))
}

/// A domain, which may hold macros and ends in a top-level label or a macro.
fn domain_spec(text: &str) -> Result<String, String> {
    let ends_in_macro = macro_string(text)?;
    let last = text
        .strip_suffix('.')
        .unwrap_or(text)
        .rsplit_once('.')
        .map(|(_, last)| last);
    if !ends_in_macro && !last.is_some_and(is_top_label) {
        return Err(format!("{text:?} is no whole domain"));
    }
    Ok(text.to_owned())
}

/// RFC 7208 section 7.1, `toplabel`: letters, digits and inner hyphens, not digits alone.
fn is_top_label(label: &str) -> bool {
    let plain = label
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let is_number = label.bytes().all(|b| b.is_ascii_digit());
    plain && !label.is_empty() && !is_number && !label.starts_with('-') && !label.ends_with('-')
}

/// Checks the macros of a text (RFC 7208 section 7.1); tells whether it ends in one that is expanded.
fn macro_string(text: &str) -> Result<bool, String> {
    let mut rest = text;
    let mut ends_in_macro = false;
    while let Some(c) = rest.chars().next() {
        ends_in_macro = false;
        if c != '%' {
            if !('\u{21}'..='\u{7e}').contains(&c) {
                return Err("holds a character that is not printable ASCII".into());
            }
            rest = &rest[1..];
            continue;
        }
        match rest.as_bytes().get(1) {
            Some(b'%' | b'_' | b'-') => rest = &rest[2..],
            Some(b'{') => {
                let (inside, behind) = rest[2..].split_once('}').ok_or("a macro has no end")?;
                check_macro(inside)?;
                (rest, ends_in_macro) = (behind, true);
            }
            _ => return Err("a % stands alone".into()),
        }
    }
    Ok(ends_in_macro)
}

/// `letter [digits] [r] [delimiters]`. c, r and t are for explanations only.
fn check_macro(inside: &str) -> Result<(), String> {
    let fault = || format!("%{{{inside}}} is no macro");
    let mut rest = inside
        .strip_prefix(|c: char| "slodiphvSLODIPHV".contains(c))
        .ok_or_else(fault)?;
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    if digits > 0 && rest[..digits].bytes().all(|b| b == b'0') {
        return Err(fault());
    }
    rest = &rest[digits..];
    rest = rest.strip_prefix(['r', 'R']).unwrap_or(rest);
    if rest.chars().all(|c| ".-+,/_=".contains(c)) {
        Ok(())
    } else {
        Err(fault())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Records with what pyspf 2.0.14 and RFC 7208 make of their syntax, one a line: `good` or `bad`, a tab, the record.
    const JUDGED: &str = include_str!("../../../tests/dns/spf-syntax.tsv");

    #[test]
    fn a_record_is_good_or_bad_as_others_judge_it() {
        let lines: Vec<_> = JUDGED
            .lines()
            .filter(|line| !line.starts_with('#'))
            .collect();
        assert!(lines.len() > 60, "the table is there");
        for line in lines {
            let (verdict, record) = line.split_once('\t').expect("two columns");
            let record = record.replace("\\t", "\t");
            let read = Record::parse(&record);
            assert_eq!(read.is_ok(), verdict == "good", "{record:?}: {read:?}");
        }
    }

    #[test]
    fn terms_behind_all_ask_nothing_and_a_redirect_beside_it_counts_for_nothing() {
        let read = |text| Record::parse(text).expect("good");
        let any = Prefixes { v4: 32, v6: 128 };
        let term = |qualifier, mechanism| Directive {
            qualifier,
            mechanism,
        };
        let record = read("v=spf1 a ~all mx redirect=other.example");
        let expected = [
            term(Qualifier::Pass, SpfMechanism::Address(None, any)),
            term(Qualifier::SoftFail, SpfMechanism::All),
        ];
        assert_eq!(
            (record.directives.as_slice(), record.redirect),
            (expected.as_slice(), None)
        );
        let record = read("v=spf1 redirect=other.example -mx:m.example/24//64");
        let expected = [term(
            Qualifier::Fail,
            SpfMechanism::Exchange(Some("m.example".into()), Prefixes { v4: 24, v6: 64 }),
        )];
        assert_eq!(
            (record.directives.as_slice(), record.redirect.as_deref()),
            (expected.as_slice(), Some("other.example"))
        );
    }

    #[test]
    fn prefixes_compare_addresses() {
        let covers = |v4, v6, named: &str, client: &str| {
            Prefixes { v4, v6 }.covers(
                named.parse().expect("an address"),
                client.parse().expect("an address"),
            )
        };
        assert!(
            covers(24, 128, "192.0.2.1", "192.0.2.200")
                && covers(32, 32, "2001:db8::1", "2001:db8:1::")
        );
        assert!(
            !covers(32, 128, "192.0.2.1", "192.0.2.200")
                && !covers(0, 0, "192.0.2.1", "2001:db8::1")
        );
    }
}
