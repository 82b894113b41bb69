//! People on the list.

use super::zone::ZoneName;

use super::named;

named! {
    /// State of a subscription. `pending -> active -> unsubscribed`; a bad address or a complaint ends it for ever.
    SubscriberState {
        /// Signed up, not confirmed yet.
        Pending => "pending",
        /// Gets the digest.
        Active => "active",
        /// Left; may come back by signing up.
        Unsubscribed => "unsubscribed",
        /// Their server says that there is no such mailbox.
        Bounced => "bounced",
        /// Called our mail spam.
        Complained => "complained",
    }
}

named! {
    /// Reason why an address is on the suppression list: it never gets mail again, whatever is imported.
    Suppression {
        /// Erased on request; only the keyed hash of the address is left.
        Erased => "erased",
        /// A bad address.
        Bounced => "bounced",
        /// A complaint.
        Complained => "complained",
        /// Put there by an operator.
        Manual => "manual",
    }
}

/// Somebody on the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscriber {
    /// Their number here.
    pub id: i64,
    /// As typed; the domain in ASCII.
    pub email: String,
    /// Their name, if they gave one.
    pub name: Option<String>,
    /// State of the subscription.
    pub state: SubscriberState,
    /// Their time zone, if they said.
    pub timezone: Option<ZoneName>,
}

/// Reads an IANA name like `Europe/Berlin`; of anything else nothing is known, which is no fault: mail goes by the site's clock.
pub fn timezone(text: &str) -> Option<ZoneName> {
    ZoneName::parse(text)
}

/// Consent, and its proof (GDPR Art. 7(1): the sender must be able to show it).
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Consent {
    /// Time at which they asked.
    pub requested_at: super::Timestamp,
    /// The words that they were shown, or that the operator gives for an import.
    pub shown: String,
    /// Place: `web form`, `api`, `import`, ...
    pub source: String,
    /// The network that the request came from: an IPv4 address cut to /24, IPv6 to /48.
    pub network: Option<String>,
    /// Time at which the address was confirmed.
    pub confirmed_at: Option<super::Timestamp>,
}

/// Cuts a client's address to its network, so that the consent record points at a place and not at a person.
pub fn network_of(address: std::net::IpAddr) -> String {
    match super::network::unfolded(address) {
        std::net::IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            format!("{a}.{b}.{c}.0/24")
        }
        std::net::IpAddr::V6(v6) => {
            let [a, b, c, ..] = v6.segments();
            format!("{}/48", std::net::Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0))
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_consent_record_keeps_a_network_and_no_person() {
        let cut = |text: &str| super::network_of(text.parse().expect("an address"));
        assert_eq!(cut("203.0.113.77"), "203.0.113.0/24");
        assert_eq!(cut("::ffff:203.0.113.77"), "203.0.113.0/24");
        assert_eq!(cut("64:ff9b::203.0.113.77"), "203.0.113.0/24");
        assert_eq!(cut("2001:db8:1:2:3:4:5:6"), "2001:db8:1::/48");
    }
}
