//! Client addresses: which network one belongs to, so that many addresses of one holder count as one client.

use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;

/// Returns the IPv4 address that a translated or tunnelled IPv6 address stands for, else the address itself: mapped (RFC 4291
/// 2.5.5.2), NAT64 (RFC 6052 and RFC 8215, with the /96 that translators use), 6to4 (RFC 3056) and Teredo (RFC 4380). All IPv4
/// clients behind a translator share its /96, and would otherwise share one allowance.
///
/// For counting only: anybody on an IPv6 network can make up a source address that embeds a private IPv4 address, so trust never
/// follows from the result.
pub fn unfolded(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address.to_canonical() else {
        return address.to_canonical();
    };
    let v4 =
        |high: u16, low: u16| IpAddr::V4(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)));
    match v6.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x64, 0xff9b, 1, _, _, _, high, low] => {
            v4(high, low)
        }
        [0x2002, high, low, ..] => v4(high, low),
        [0x2001, 0, .., high, low] => v4(!high, !low),
        _ => IpAddr::V6(v6),
    }
}

/// Returns the network that counts as one client: an IPv4 address, or an IPv6 /64, of which one host has 2^64 addresses.
pub fn household(address: IpAddr) -> IpAddr {
    cut_v6(address, 4)
}

/// Returns the /48 of an IPv6 address, which providers give to one site with its 65,536 networks; `None` for IPv4.
pub fn site(address: IpAddr) -> Option<IpAddr> {
    Some(cut_v6(address, 3)).filter(IpAddr::is_ipv6)
}

/// Returns an address with the first `groups` groups of 16 bits kept, if it is IPv6.
fn cut_v6(address: IpAddr, groups: usize) -> IpAddr {
    match unfolded(address) {
        IpAddr::V6(v6) => {
            let mut segments = v6.segments();
            segments[groups..].fill(0);
            Ipv6Addr::from(segments).into()
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn an_embedded_ipv4_address_is_the_client() {
        for (given, embedded) in [
            ("::ffff:203.0.113.7", "203.0.113.7"),
            ("64:ff9b::203.0.113.7", "203.0.113.7"),
            ("64:ff9b:1:fffe::203.0.113.7", "203.0.113.7"),
            ("2002:cb00:7107:1::5", "203.0.113.7"),
            ("2001:0:4136:e378:8000:63bf:34ff:8ef8", "203.0.113.7"),
            ("203.0.113.7", "203.0.113.7"),
            ("2001:db8::7", "2001:db8::7"),
            ("::1", "::1"),
        ] {
            assert_eq!(
                super::unfolded(address(given)),
                address(embedded),
                "{given}"
            );
        }
    }

    #[test]
    fn one_host_and_one_site_each_have_one_network() {
        assert_eq!(
            super::household(address("2001:db8:1:2:3:4:5:6")),
            address("2001:db8:1:2::")
        );
        assert_eq!(
            super::site(address("2001:db8:1:2:3:4:5:6")),
            Some(address("2001:db8:1::"))
        );
        assert_eq!(
            (
                super::household(address("203.0.113.7")),
                super::site(address("64:ff9b::203.0.113.7"))
            ),
            (address("203.0.113.7"), None)
        );
    }
}
