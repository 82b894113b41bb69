//! The order in which addresses are tried.

use std::net::SocketAddr;

/// Puts the good address first and the bad ones last; those between keep the resolver's order (RFC 6724), but that IPv6 and IPv4
/// take turns (RFC 8305, section 4), so that a network without one of them costs one attempt and not all of that family.
pub(super) fn ordered(
    found: &[SocketAddr],
    good: Option<SocketAddr>,
    bad: &[SocketAddr],
) -> Vec<SocketAddr> {
    let first_is_v6 = found.first().is_some_and(SocketAddr::is_ipv6);
    let of = |is_first: bool| {
        found
            .iter()
            .copied()
            .filter(move |address| (address.is_ipv6() == first_is_v6) == is_first)
    };
    let (mut firsts, mut seconds) = (of(true), of(false));
    let mut ordered: Vec<SocketAddr> = Vec::with_capacity(found.len());
    loop {
        let pair = [firsts.next(), seconds.next()];
        if pair == [None, None] {
            break;
        }
        for address in pair.into_iter().flatten() {
            if !ordered.contains(&address) {
                ordered.push(address);
            }
        }
    }
    ordered.sort_by_key(|address| match bad.iter().position(|bad| bad == address) {
        _ if Some(*address) == good => 0,
        None => 1,
        Some(place) => 2 + place,
    });
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(hosts: &[&str]) -> Vec<SocketAddr> {
        hosts
            .iter()
            .map(|host| SocketAddr::new(host.parse().expect("an address"), 25))
            .collect()
    }

    #[test]
    fn families_take_turns_the_good_one_is_first_and_the_bad_ones_last() {
        let found = addresses(&[
            "2001:db8::1",
            "2001:db8::2",
            "2001:db8::3",
            "192.0.2.1",
            "192.0.2.2",
            "192.0.2.1",
        ]);
        let turns = addresses(&[
            "2001:db8::1",
            "192.0.2.1",
            "2001:db8::2",
            "192.0.2.2",
            "2001:db8::3",
        ]);
        assert_eq!(ordered(&found, None, &[]), turns);
        let bad = addresses(&["2001:db8::2", "2001:db8::1"]);
        let known = addresses(&[
            "192.0.2.2",
            "192.0.2.1",
            "2001:db8::3",
            "2001:db8::2",
            "2001:db8::1",
        ]);
        assert_eq!(ordered(&found, Some(known[0]), &bad), known);
        let v4_first = addresses(&["192.0.2.1", "2001:db8::1"]);
        assert_eq!(ordered(&v4_first, None, &[]), v4_first);
        let gone = addresses(&["198.51.100.9"])[0];
        assert_eq!(
            ordered(&v4_first, Some(gone), &[]),
            v4_first,
            "an address that DNS names no more is not tried"
        );
        assert_eq!(ordered(&[], None, &[]), []);
    }
}
