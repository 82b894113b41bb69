//! The grammar of an SPF record (RFC 7208 section 12), whole: receivers call one wrong term a permanent error, wherever it stands,
//! while the library that evaluates records forgives slips.

use std::net::Ipv4Addr;
use std::net::Ipv6Addr;

/// A term that costs a look-up, as far as [`super::spf`] follows it. `None` as a domain is the record's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Lookup {
    /// `include:`: another record, which must be there.
    Include(String),
    /// `redirect=`: another record in place of this one, which must be there.
    Redirect(String),
    /// `a`.
    Address(Option<String>),
    /// `mx`.
    Exchange(Option<String>),
    /// `exists:`.
    Exists(String),
    /// `ptr`: counted and not followed, since what it finds depends on who asks.
    Pointer,
}

/// A record that follows the grammar.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Record {
    /// Terms that ask DNS, in the order in which they are evaluated; none behind `all`.
    pub lookups: Vec<Lookup>,
}

/// Returns whether a TXT record is one of SPF: the version alone, or followed by a space (RFC 7208 4.5).
pub(super) fn is_spf(text: &str) -> bool {
    let version = text.as_bytes().get(..6).is_some_and(|head| head.eq_ignore_ascii_case(b"v=spf1"));
    version && matches!(text.as_bytes().get(6), None | Some(b' '))
}

impl Record {
    /// Reads a record; an error says which term receivers refuse, and why.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut lookups = Vec::new();
        let (mut redirect, mut has_all, mut has_exp) = (None, false, false);
        // Only a space parts terms: a tab or a line break makes the term it stands in unreadable.
        for term in text.get(6..).unwrap_or_default().split(' ').filter(|term| !term.is_empty()) {
            let fault = |why: &str| Err(format!("{term:?}: {why}"));
            match Term::parse(term) {
                Err(why) => return fault(&why),
                Ok(Term::Redirect(_)) if redirect.is_some() => return fault("redirect stands twice"),
                Ok(Term::Redirect(domain)) => redirect = Some(domain),
                Ok(Term::Explanation) if std::mem::replace(&mut has_exp, true) => return fault("exp stands twice"),
                Ok(Term::All) => has_all = true,
                Ok(Term::Asks(lookup)) if !has_all => lookups.push(lookup),
                Ok(Term::Asks(_) | Term::Explanation | Term::Quiet) => {}
            }
        }
        // RFC 7208 6.1: a redirect beside "all" is passed over.
        lookups.extend(redirect.filter(|_| !has_all).map(Lookup::Redirect));
        Ok(Self { lookups })
    }
}

enum Term {
    All,
    Asks(Lookup),
    Redirect(String),
    Explanation,
    /// `ip4`, `ip6`, or a modifier that nobody knows: asks nothing.
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
        let bare = term.strip_prefix(['+', '-', '~', '?']).unwrap_or(term);
        let end = bare.find([':', '/']).unwrap_or(bare.len());
        let (name, rest) = bare.split_at(end);
        let argument = rest.strip_prefix(':');
        match name.to_ascii_lowercase().as_str() {
            "all" if rest.is_empty() => Ok(Self::All),
            "all" => Err("all takes nothing".into()),
            "include" => Ok(Self::Asks(Lookup::Include(domain_spec(argument.ok_or("include: and a domain are expected")?)?))),
            "exists" => Ok(Self::Asks(Lookup::Exists(domain_spec(argument.ok_or("exists: and a domain are expected")?)?))),
            "a" => Ok(Self::Asks(Lookup::Address(domain_and_prefixes(rest)?))),
            "mx" => Ok(Self::Asks(Lookup::Exchange(domain_and_prefixes(rest)?))),
            "ptr" => match (argument, rest.is_empty()) {
                (Some(domain), _) => domain_spec(domain).map(|_| Self::Asks(Lookup::Pointer)),
                (None, true) => Ok(Self::Asks(Lookup::Pointer)),
                (None, false) => Err("ptr takes a domain alone".into()),
            },
            "ip4" => network(argument, 32, |text| text.parse::<Ipv4Addr>().is_ok()).map(|()| Self::Quiet),
            "ip6" => network(argument, 128, |text| text.parse::<Ipv6Addr>().is_ok()).map(|()| Self::Quiet),
            _ => Err("SPF has no such term".into()),
        }
    }

    fn modifier(name: &str, value: &str) -> Result<Self, String> {
        match name.to_ascii_lowercase().as_str() {
            "redirect" => domain_spec(value).map(Self::Redirect),
            "exp" => domain_spec(value).map(|_| Self::Explanation),
            _ if !name.starts_with(|c: char| c.is_ascii_alphabetic()) => Err("a modifier's name begins with a letter".into()),
            _ => macro_string(value).map(|_| Self::Quiet),
        }
    }
}

/// `:domain` and `/24`, `//64` or both, each of which may be left out.
fn domain_and_prefixes(rest: &str) -> Result<Option<String>, String> {
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
    if !v4.is_empty() {
        prefix(v4.strip_prefix('/').unwrap_or_default(), 32)?;
    }
    v6.map_or(Ok(()), |v6| prefix(v6, 128))?;
    Ok(domain)
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

fn network(argument: Option<&str>, bits: u8, is_address: impl Fn(&str) -> bool) -> Result<(), String> {
    let argument = argument.ok_or("an address is expected behind the colon")?;
    let (address, length) = argument.split_once('/').map_or((argument, None), |(address, length)| (address, Some(length)));
    if !is_address(address) {
        return Err(format!("{address:?} is no address of that kind"));
    }
    length.map_or(Ok(()), |length| prefix(length, bits))
}

/// A prefix length: no leading zero, at most `bits`.
fn prefix(text: &str, bits: u8) -> Result<(), String> {
    let plain = text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    let fits = plain && text.parse::<u8>().is_ok_and(|length| length <= bits);
    if fits { Ok(()) } else { Err(format!("/{text} is no prefix of at most {bits} bits")) }
}

/// A domain, which may hold macros and ends in a top-level label or a macro.
fn domain_spec(text: &str) -> Result<String, String> {
    let ends_in_macro = macro_string(text)?;
    let last = text.strip_suffix('.').unwrap_or(text).rsplit_once('.').map(|(_, last)| last);
    if !ends_in_macro && !last.is_some_and(is_top_label) {
        return Err(format!("{text:?} is no whole domain"));
    }
    Ok(text.to_owned())
}

/// RFC 7208 section 7.1, `toplabel`: letters, digits and inner hyphens, not digits alone.
fn is_top_label(label: &str) -> bool {
    let plain = label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
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
    let mut rest = inside.strip_prefix(|c: char| "slodiphvSLODIPHV".contains(c)).ok_or_else(fault)?;
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    if digits > 0 && rest[..digits].bytes().all(|b| b == b'0') {
        return Err(fault());
    }
    rest = &rest[digits..];
    rest = rest.strip_prefix(['r', 'R']).unwrap_or(rest);
    if rest.chars().all(|c| ".-+,/_=".contains(c)) { Ok(()) } else { Err(fault()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Records with what pyspf 2.0.14 and RFC 7208 make of their syntax, one a line: `good` or `bad`, a tab, the record.
    const JUDGED: &str = include_str!("../../tests/dns/spf-syntax.tsv");

    #[test]
    fn a_record_is_good_or_bad_as_others_judge_it() {
        let lines: Vec<_> = JUDGED.lines().filter(|line| !line.starts_with('#')).collect();
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
        let lookups = |text| Record::parse(text).expect("good").lookups;
        assert_eq!(lookups("v=spf1 a -all mx redirect=other.example"), [Lookup::Address(None)]);
        assert_eq!(lookups("v=spf1 redirect=other.example mx"), [Lookup::Exchange(None), Lookup::Redirect("other.example".into())]);
    }
}
