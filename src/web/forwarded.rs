//! The client behind proxies: `X-Forwarded-For` in every form that proxies write, and `Forwarded` (RFC 7239).
//!
//! Each proxy appends the address that it was asked from, so the chain is read from the right, as long as the address that vouches
//! for the next one is trusted. What stands further left anybody can write.

use std::net::IpAddr;

use axum::http::HeaderMap;

/// Headers by which a proxy says that it asks for somebody else.
const NAMES: [&str; 3] = ["x-forwarded-for", "forwarded", "x-real-ip"];

/// Returns whether a proxy asks for somebody else.
pub fn is_forwarded(headers: &HeaderMap) -> bool {
    NAMES.iter().any(|name| headers.contains_key(*name))
}

/// Returns the last address that a trusted proxy vouches for; `peer` where there is none.
///
/// A proxy writes one of the two headers and may pass the other one on as its client made it up (nginx does so with `Forwarded`).
/// Where both are there and disagree, nobody can know which one the proxy wrote, and the proxy itself counts as the client.
pub fn client(peer: IpAddr, headers: &HeaderMap, is_trusted: impl Fn(IpAddr) -> bool) -> IpAddr {
    let chain = |name: &str, read: fn(&str) -> Vec<Option<IpAddr>>| {
        // A value that is no text is a hop that cannot be read, and ends the chain there.
        let lines: Vec<_> = headers
            .get_all(name)
            .iter()
            .map(|line| String::from_utf8_lossy(line.as_bytes()))
            .collect();
        let hops: Vec<_> = lines.iter().flat_map(|line| read(line)).collect();
        (!lines.is_empty()).then(|| walk(peer, &hops, &is_trusted))
    };
    match (
        chain("x-forwarded-for", x_forwarded_for),
        chain("forwarded", forwarded),
    ) {
        (Some(one), Some(other)) if one != other => peer,
        (Some(client), _) | (None, Some(client)) => client,
        (None, None) => peer,
    }
}

fn walk(peer: IpAddr, hops: &[Option<IpAddr>], is_trusted: impl Fn(IpAddr) -> bool) -> IpAddr {
    let mut client = peer;
    for hop in hops.iter().rev() {
        if !is_trusted(client) {
            break;
        }
        let Some(hop) = hop else { break };
        client = hop.to_canonical();
    }
    client
}

/// The hops of one `X-Forwarded-For` line; `None` for what is no address. Empty elements are no elements (RFC 9110, 5.6.1).
fn x_forwarded_for(line: &str) -> Vec<Option<IpAddr>> {
    line.split(',')
        .map(str::trim)
        .filter(|hop| !hop.is_empty())
        .map(node)
        .collect()
}

/// The hops of one `Forwarded` line: the `for` of each element. One without it, or with a name in its place (`unknown`, `_hidden`),
/// is a hop whose address is not told.
fn forwarded(line: &str) -> Vec<Option<IpAddr>> {
    let Some(elements) = split(line, ',') else {
        return vec![None];
    };
    let elements = elements
        .into_iter()
        .filter(|element| !element.trim().is_empty());
    let hop = |element: &str| {
        let pairs = split(element, ';')?;
        let mut found = pairs.iter().filter_map(|pair| pair.split_once('='));
        let (_, value) = found.find(|(name, _)| name.trim().eq_ignore_ascii_case("for"))?;
        node(value)
    };
    elements.map(hop).collect()
}

/// Splits a text at a separator outside quotation marks; `None` where they do not close.
fn split(text: &str, separator: char) -> Option<Vec<&str>> {
    let (mut parts, mut start, mut is_quoted, mut is_escaped) = (Vec::new(), 0, false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' if is_quoted => is_escaped = true,
            '"' => is_quoted = !is_quoted,
            _ if c == separator && !is_quoted => {
                parts.push(&text[start..at]);
                start = at + c.len_utf8();
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    (!is_quoted).then_some(parts)
}

/// Reads an address with or without quotation marks, brackets, a zone and a port (RFC 7239, 6).
fn node(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let text = text
        .strip_prefix('"')
        .and_then(|inner| inner.strip_suffix('"'))
        .unwrap_or(text)
        .trim();
    let text = match text.strip_prefix('[') {
        Some(inner) => {
            let (address, rest) = inner.split_once(']')?;
            if !(rest.is_empty() || rest.starts_with(':')) {
                return None;
            }
            address
        }
        // One colon parts an IPv4 address from its port; more are an IPv6 address without brackets, which has none.
        None => text
            .split_once(':')
            .filter(|(_, port)| !port.contains(':'))
            .map_or(text, |(address, _)| address),
    };
    let text = text.split_once('%').map_or(text, |(address, _)| address);
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderName;

    use super::*;

    /// The client, asked through 10.0.0.1, with 10.0.0.0/8 and fd00::/8 trusted.
    fn asked(lines: &[(&'static str, &str)]) -> String {
        let mut headers = HeaderMap::new();
        for (name, line) in lines {
            headers.append(
                HeaderName::from_static(name),
                axum::http::HeaderValue::from_bytes(line.as_bytes()).expect("a value"),
            );
        }
        let is_trusted = |address: IpAddr| match address {
            IpAddr::V4(v4) => v4.octets()[0] == 10,
            IpAddr::V6(v6) => v6.segments()[0] == 0xfd00,
        };
        client(
            "10.0.0.1".parse().expect("an address"),
            &headers,
            is_trusted,
        )
        .to_string()
    }

    #[test]
    fn every_form_of_an_address_is_read() {
        for (line, expected) in [
            ("198.51.100.7", "198.51.100.7"),
            ("  198.51.100.7\t", "198.51.100.7"),
            ("198.51.100.7:4711", "198.51.100.7"),
            ("\"198.51.100.7:4711\"", "198.51.100.7"),
            ("2001:db8::7", "2001:db8::7"),
            ("[2001:db8::7]", "2001:db8::7"),
            ("[2001:db8::7]:4711", "2001:db8::7"),
            ("[2001:db8::7%eth0]:4711", "2001:db8::7"),
            ("\"[2001:db8::7]:4711\"", "2001:db8::7"),
            ("::ffff:198.51.100.7", "198.51.100.7"),
            ("[::ffff:198.51.100.7]:80", "198.51.100.7"),
            (
                "192.0.2.1, 198.51.100.7:1, 10.0.0.2:2, [fd00::1]:3",
                "198.51.100.7",
            ),
            ("192.0.2.1,198.51.100.7, ,", "198.51.100.7"),
            ("nonsense", "10.0.0.1"),
            ("192.0.2.1, unknown", "10.0.0.1"),
            ("192.0.2.1, [2001:db8::7", "10.0.0.1"),
            ("192.0.2.1, [2001:db8::7]x", "10.0.0.1"),
            ("192.0.2.1, \u{fc}", "10.0.0.1"),
            ("", "10.0.0.1"),
        ] {
            assert_eq!(asked(&[("x-forwarded-for", line)]), expected, "{line:?}");
        }
    }

    #[test]
    fn forwarded_is_read_as_its_rfc_writes_it() {
        for (line, expected) in [
            ("for=198.51.100.7", "198.51.100.7"),
            (
                "For=\"198.51.100.7:4711\"; proto=https;by=203.0.113.43",
                "198.51.100.7",
            ),
            ("proto=http; FOR=\"[2001:db8::7]:4711\"", "2001:db8::7"),
            ("for=\"[2001:db8::7]\"", "2001:db8::7"),
            (
                "for=192.0.2.1, for=198.51.100.7, for=10.0.0.2",
                "198.51.100.7",
            ),
            (
                "for=192.0.2.1;ext=\"a,for=203.0.113.1\", for=198.51.100.7;ext=\"\\\", for=203.0.113.2\"",
                "198.51.100.7",
            ),
            ("for=198.51.100.7;ext=\"a;for=203.0.113.1\"", "198.51.100.7"),
            ("for=192.0.2.1, for=unknown", "10.0.0.1"),
            ("for=192.0.2.1, for=_hidden", "10.0.0.1"),
            ("for=192.0.2.1, for=\"_hidden:_port\"", "10.0.0.1"),
            ("for=192.0.2.1, proto=https", "10.0.0.1"),
            ("for=192.0.2.1, for=\"198.51.100.7", "10.0.0.1"),
            ("for=\"198.51.100.7:_port\"", "198.51.100.7"),
        ] {
            assert_eq!(asked(&[("forwarded", line)]), expected, "{line:?}");
        }
    }

    #[test]
    fn several_headers_are_one_list_and_two_that_disagree_tell_nothing() {
        let x = "x-forwarded-for";
        assert_eq!(
            asked(&[
                (x, "192.0.2.1"),
                (x, "198.51.100.7, 10.0.0.3"),
                (x, "10.0.0.2")
            ]),
            "198.51.100.7"
        );
        assert_eq!(
            asked(&[
                ("forwarded", "for=192.0.2.1"),
                ("forwarded", "for=198.51.100.7")
            ]),
            "198.51.100.7"
        );
        assert_eq!(
            asked(&[
                (x, "198.51.100.7"),
                ("forwarded", "for=\"198.51.100.7:80\"")
            ]),
            "198.51.100.7"
        );
        assert_eq!(
            asked(&[(x, "198.51.100.7"), ("forwarded", "for=203.0.113.9")]),
            "10.0.0.1"
        );
    }
}
