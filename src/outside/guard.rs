//! Guard of the hosts that may be asked. An address that somebody else hands out must not lead into our own network (server-side request forgery);
//! what is looked at is the address that a connection has, so that no name server changes its mind in between.

use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;

use ipnet::IpNet;

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

/// Private hosts and networks that the settings let programs of ours be asked at (`webhooks_out.allow_private`).
#[derive(Debug, Clone, Default)]
pub struct PrivateHosts {
    hosts: Vec<String>,
    networks: Vec<IpNet>,
}

impl PrivateHosts {
    /// Reads host names, addresses and networks like `10.0.0.0/8`.
    ///
    /// # Errors
    /// The text that is none of them.
    pub fn parse(texts: &[String]) -> Result<Self, String> {
        let mut known = Self::default();
        for text in texts {
            let bare = text.trim().trim_matches(['[', ']']);
            if let Ok(ip) = bare.parse::<IpAddr>() {
                known.networks.push(ip.into());
            } else if let Ok(network) = bare.parse::<IpNet>() {
                known.networks.push(network);
            } else if !bare.is_empty() && !bare.contains(['/', ':', '@', ' ', '*']) {
                known.hosts.push(bare.to_ascii_lowercase());
            } else {
                return Err(text.clone());
            }
        }
        Ok(known)
    }

    /// Returns whether `host` may be asked at the address `ip`.
    ///
    /// # Errors
    /// The reason why not.
    pub fn check(&self, scheme: &str, host: &str, ip: IpAddr) -> Result<(), String> {
        // A mapped address leads where the one inside it leads.
        let canonical = ip.to_canonical();
        let is_named = self.hosts.iter().any(|known| known == host)
            || self
                .networks
                .iter()
                .any(|network| network.contains(&canonical));
        match (scheme, is_public(ip), is_named) {
            ("https", true, _) | ("https" | "http", false, true) => Ok(()),
            ("https" | "http", false, false) => Err(format!(
                "{host} is at a private address, which webhooks_out.allow_private does not name"
            )),
            _ => Err(format!(
                "{host} is at a public address, which is asked by https alone"
            )),
        }
    }
}

/// Rule of a client for where it may ask.
#[derive(Debug, Clone)]
pub enum Guard {
    /// Public hosts, and one that the settings name.
    Named(NamedHost),
    /// Public hosts, and private ones that the settings list.
    Listed(PrivateHosts),
}

impl Guard {
    /// Returns whether `host` may be asked at the address `ip`.
    ///
    /// # Errors
    /// The reason why not.
    pub fn check(&self, scheme: &str, host: &str, ip: IpAddr) -> Result<(), String> {
        match self {
            Self::Named(named) => named.check(scheme, host, ip),
            Self::Listed(listed) => listed.check(scheme, host, ip),
        }
    }

    /// Returns whether any host may be asked without TLS.
    pub fn allows_http(&self) -> bool {
        match self {
            Self::Named(named) => named.0.is_some(),
            Self::Listed(listed) => !listed.hosts.is_empty() || !listed.networks.is_empty(),
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
    fn a_private_host_is_asked_only_where_the_settings_list_it() {
        let texts = ["hooks.internal", "10.1.0.0/16", "127.0.0.2", "[fd00::1]"].map(str::to_owned);
        let listed = PrivateHosts::parse(&texts).expect("hosts");
        for (scheme, host, address, is_good) in [
            ("https", "a.example", "1.1.1.1", true),
            ("http", "a.example", "1.1.1.1", false),
            ("http", "hooks.internal", "10.9.9.9", true),
            ("http", "hooks.internal", "1.1.1.1", false),
            ("https", "hooks.internal", "169.254.169.254", true),
            ("http", "a.example", "10.1.2.3", true),
            ("https", "a.example", "10.2.2.3", false),
            ("http", "a.example", "127.0.0.2", true),
            ("http", "a.example", "::ffff:127.0.0.2", true),
            ("http", "a.example", "127.0.0.1", false),
            ("https", "a.example", "::ffff:127.0.0.1", false),
            ("https", "a.example", "fd00::1", true),
            ("https", "a.example", "fd00::2", false),
            ("ftp", "hooks.internal", "1.1.1.1", false),
        ] {
            let checked = listed.check(scheme, host, ip(address));
            assert_eq!(
                checked.is_ok(),
                is_good,
                "{scheme} {host} {address}: {checked:?}"
            );
        }
        for wrong in ["", "http://a", "10.0.0.0/33", "*", "a b"] {
            assert!(PrivateHosts::parse(&[wrong.to_owned()]).is_err(), "{wrong}");
        }
        assert!(!Guard::Listed(PrivateHosts::default()).allows_http());
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
