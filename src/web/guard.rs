//! Who asks, and how often: guards are extractors.

use std::net::IpAddr;
use std::net::Ipv6Addr;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Mutex;
use std::time::Duration;
use std::time::Instant;

use axum::extract::ConnectInfo;
use axum::extract::FromRequestParts;
use axum::extract::Path;
use axum::http::HeaderMap;
use axum::http::request::Parts;
use governor::DefaultKeyedRateLimiter;
use governor::Quota;
use governor::clock::Clock;
use governor::clock::DefaultClock;

use super::Web;
use super::answer::Problem;
use crate::config::Settings;

/// Networks kept in mind at once before those that have their full allowance again are forgotten.
const MANY: usize = 10_000;

/// So many of something an hour from one client.
pub struct Allowance {
    limiter: DefaultKeyedRateLimiter<IpAddr>,
    tidied: Mutex<Instant>,
}

impl Allowance {
    /// So many an hour, all at once if need be.
    pub fn new(per_hour: u32) -> Self {
        let per_hour = NonZeroU32::new(per_hour).unwrap_or(NonZeroU32::MIN);
        Self { limiter: DefaultKeyedRateLimiter::keyed(Quota::per_hour(per_hour)), tidied: Mutex::new(Instant::now()) }
    }

    /// Takes one; the error is how long to wait for the next.
    pub fn take(&self, client: IpAddr) -> Result<(), Duration> {
        if self.limiter.len() > MANY {
            self.tidy();
        }
        self.limiter.check_key(&network(client)).map_err(|refused| refused.wait_time_from(DefaultClock::default().now()))
    }
}

impl Allowance {
    /// Forgets who has a full allowance again; at most once a minute, for it looks at everybody.
    fn tidy(&self) {
        let mut tidied = self.tidied.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if tidied.elapsed() > Duration::from_secs(60) {
            *tidied = Instant::now();
            self.limiter.retain_recent();
        }
    }
}

/// A household's share of the address space: one IPv4 address, or an IPv6 /64, of which anybody has 2^64 addresses.
fn network(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        v4 => v4,
    }
}

/// The part of the path that a route leaves open, as text.
pub struct Segment(pub String);

impl FromRequestParts<Web> for Segment {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, web: &Web) -> Result<Self, Problem> {
        let path = Path::<String>::from_request_parts(parts, web).await;
        path.map(|Path(text)| Self(text)).map_err(|_| Problem::not_found())
    }
}

/// The address of whoever asks, behind the proxies that the settings trust.
pub struct Client(pub IpAddr);

impl FromRequestParts<Web> for Client {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, web: &Web) -> Result<Self, Problem> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map_or(IpAddr::from([0, 0, 0, 0]), |info| info.0.ip());
        Ok(Self(behind_proxies(peer.to_canonical(), &parts.headers, &web.app.settings)))
    }
}

/// A client that has not used up its sign-ups.
pub struct Allowed(pub IpAddr);

impl FromRequestParts<Web> for Allowed {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, web: &Web) -> Result<Self, Problem> {
        let Client(client) = Client::from_request_parts(parts, web).await?;
        web.allowance.take(client).map_err(|wait| Problem::too_many("sign-ups", wait))?;
        Ok(Self(client))
    }
}

/// A client that may vote or save once more.
pub struct MayChoose(pub IpAddr);

impl FromRequestParts<Web> for MayChoose {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, web: &Web) -> Result<Self, Problem> {
        let Client(client) = Client::from_request_parts(parts, web).await?;
        web.choices.take(client).map_err(|wait| Problem::too_many("votes", wait))?;
        Ok(Self(client))
    }
}

/// The last address that a trusted proxy vouches for; what stands further left anybody can write.
fn behind_proxies(peer: IpAddr, headers: &HeaderMap, settings: &Settings) -> IpAddr {
    let trusted = |address: IpAddr| settings.site.trusted_proxies.iter().any(|net| net.contains(&address));
    let mut client = peer;
    let lines: Vec<&str> = headers.get_all("x-forwarded-for").iter().filter_map(|line| line.to_str().ok()).collect();
    for hop in lines.iter().flat_map(|line| line.split(',')).rev() {
        if !trusted(client) {
            break;
        }
        let Ok(hop) = hop.trim().parse::<IpAddr>() else { break };
        client = hop.to_canonical();
    }
    client
}

/// Guards the figures: a machine of one's own network asks, and no proxy for somebody. They rise by one when a mail goes
/// out, which would tell whether an address that was just typed in is new here.
pub struct Operator;

impl FromRequestParts<Web> for Operator {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Web) -> Result<Self, Problem> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip().to_canonical());
        let own = peer.is_some_and(|peer| match peer {
            IpAddr::V4(v4) => v4.is_loopback() || v4.is_private() || v4.is_link_local(),
            IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
        });
        if own && !is_forwarded(&parts.headers) { Ok(Self) } else { Err(Problem::not_found()) }
    }
}

/// Whether a proxy asks for somebody else.
fn is_forwarded(headers: &HeaderMap) -> bool {
    ["x-forwarded-for", "forwarded", "x-real-ip"].iter().any(|name| headers.contains_key(*name))
}

/// Guards the mailbox page: a mailbox transport on a loopback address, asked for by a loopback name. The name keeps out
/// pages of other sites whose name was made to point here.
pub struct LocalMailbox;

impl FromRequestParts<Web> for LocalMailbox {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, web: &Web) -> Result<Self, Problem> {
        let host = parts.headers.get(axum::http::header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        let name = host.rsplit_once(':').map_or(host, |(name, port)| if port.ends_with(']') { host } else { name });
        let name = name.trim_matches(['[', ']']);
        let local = name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
        if local && !is_forwarded(&parts.headers) && web.app.mailbox().is_some() { Ok(Self) } else { Err(Problem::not_found()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_trusted_proxies_say_who_asks() {
        let mut settings = Settings::default();
        settings.site.trusted_proxies = vec!["10.0.0.0/8".parse().expect("a network")];
        let asked = |peer: &str, header: &str| {
            let mut headers = HeaderMap::new();
            headers.append("x-forwarded-for", header.parse().expect("a value"));
            behind_proxies(peer.parse().expect("an address"), &headers, &settings).to_string()
        };
        assert_eq!(asked("203.0.113.9", "198.51.100.7"), "203.0.113.9");
        assert_eq!(asked("10.0.0.1", "198.51.100.7"), "198.51.100.7");
        assert_eq!(asked("10.0.0.1", "1.2.3.4, 198.51.100.7, 10.0.0.2"), "198.51.100.7");
        assert_eq!(asked("10.0.0.1", "nonsense"), "10.0.0.1");
    }

    #[test]
    fn an_allowance_is_used_up_and_one_network_is_one_client() {
        let allowance = Allowance::new(2);
        let client = |text: &str| text.parse::<IpAddr>().expect("an address");
        assert!(allowance.take(client("2001:db8::1")).is_ok() && allowance.take(client("2001:db8::2")).is_ok());
        assert!(allowance.take(client("2001:db8::3")).is_err_and(|wait| wait > Duration::from_secs(60)));
        assert!(allowance.take(client("2001:db8:0:1::1")).is_ok());
    }
}
