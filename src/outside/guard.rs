//! Guard of the hosts that may be asked. An address that somebody else hands out must not lead into our own network (server-side request forgery);
//! what is looked at is the address that a connection has, so that no name server changes its mind in between.

use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;

/// Host that the settings name, if any: it may be private.
#[derive(Debug, Clone, Default)]
pub struct NamedHost(pub Option<String>);

impl NamedHost {
    /// Returns whether `host` may be asked at the address `ip`.
    ///
    /// # Errors
    /// The reason why not.
    pub fn check(&self, scheme: &str, host: &str, ip: IpAddr) -> Result<(), String> {
        let is_named = self.0.as_deref() == Some(host);
        match (scheme, is_named) {
            ("https", true) => Ok(()),
            ("https", false) if is_public(ip) => Ok(()),
            ("https", false) => Err(format!("{host} is at a private address")),
            ("http", true) if !is_public(ip) => Ok(()),
            ("http", true) => Err(format!(
                "{host} is at a public address, which is asked by https alone"
            )),
            _ => Err(format!("{host} is asked by https alone")),
        }
    }
}

/// Returns whether an address is one that the Internet routes (IANA's special-purpose registries).
pub fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => is_public_v6(ip),
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    let is_special = ip.is_private()
        || ip.is_loopback()
        || ip.is_link_local()
        || ip.is_documentation()
        || a == 0
        || a >= 224
        // Shared by providers (RFC 6598), protocol assignments, benchmarks (RFC 2544).
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 198 && (18..20).contains(&b));
    !is_special
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    if let Some(inner) = ip.to_ipv4_mapped() {
        return is_public_v4(inner);
    }
    let parts = ip.segments();
    let v4 = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Ipv4Addr::new(a, b, c, d)
    };
    match parts {
        // NAT64 (RFC 6052) and 6to4 (RFC 3056) have an address of IPv4 in them.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => is_public_v4(v4(high, low)),
        [0x2002, high, low, ..] => is_public_v4(v4(high, low)),
        // Teredo, benchmarks, ORCHID, documentation.
        [0x2001, second, ..] if second < 0x200 || second == 0xdb8 => false,
        [0x3fff, second, ..] if second < 0x1000 => false,
        // Global unicast (RFC 4291, 2.4) is all that is given out.
        [first, ..] => (0x2000..0x4000).contains(&first),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn special_addresses_are_not_public() {
        for public in [
            "1.1.1.1",
            "100.63.0.1",
            "100.128.0.1",
            "172.15.0.1",
            "192.0.1.1",
            "198.20.0.1",
            "2a00:1450::1",
            "64:ff9b::808:808",
            "2002:808:808::1",
            "::ffff:8.8.8.8",
        ] {
            assert!(is_public(ip(public)), "{public}");
        }
        for private in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "127.0.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "192.0.0.8",
            "192.0.2.1",
            "192.168.0.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "fc00::1",
            "fd00::1",
            "fe80::1",
            "ff02::1",
            "2001:db8::1",
            "2001::1",
            "3fff::1",
            "::ffff:127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "2002:7f00:1::1",
            "::127.0.0.1",
        ] {
            assert!(!is_public(ip(private)), "{private}");
        }
    }

    #[test]
    fn only_a_named_host_may_be_private() {
        let named = NamedHost(Some("id.example".into()));
        for (scheme, host, address, is_good) in [
            ("https", "id.example", "10.0.0.1", true),
            ("http", "id.example", "10.0.0.1", true),
            ("https", "id.example", "1.1.1.1", true),
            ("http", "id.example", "1.1.1.1", false),
            ("https", "other.example", "1.1.1.1", true),
            ("https", "other.example", "10.0.0.1", false),
            ("http", "other.example", "1.1.1.1", false),
            ("http", "other.example", "127.0.0.1", false),
            ("ftp", "id.example", "10.0.0.1", false),
        ] {
            let checked = named.check(scheme, host, ip(address));
            assert_eq!(
                checked.is_ok(),
                is_good,
                "{scheme} {host} {address}: {checked:?}"
            );
        }
        assert!(
            NamedHost::default()
                .check("https", "a.example", ip("::1"))
                .is_err()
        );
    }
}
