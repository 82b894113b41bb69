//! Guards: who asks, and how often. Guards are extractors.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Mutex;
use std::time::Duration;
use std::time::Instant;

use axum::extract::ConnectInfo;
use axum::extract::FromRequestParts;
use axum::extract::Path;
use axum::extract::Request;
use axum::http::request::Parts;
use governor::DefaultKeyedRateLimiter;
use governor::Quota;
use governor::clock::Clock;
use governor::clock::DefaultClock;

use super::Web;
use super::answer::Problem;
use super::forwarded;
use super::forwarded::is_forwarded;
use crate::domain::network::household;

/// Networks kept in mind at once before those that have their full allowance again are forgotten.
const MANY: usize = 10_000;

/// Allowance of one client for an hour.
pub struct Allowance {
    limiter: DefaultKeyedRateLimiter<IpAddr>,
    tidied: Mutex<Instant>,
}

impl Allowance {
    /// Makes an allowance of so many an hour, all at once if need be.
    pub fn new(per_hour: u32) -> Self {
        let per_hour = NonZeroU32::new(per_hour).unwrap_or(NonZeroU32::MIN);
        Self {
            limiter: DefaultKeyedRateLimiter::keyed(Quota::per_hour(per_hour)),
            tidied: Mutex::new(Instant::now()),
        }
    }

    /// Takes one; the error is how long to wait for the next.
    pub fn take(&self, client: IpAddr) -> Result<(), Duration> {
        if self.limiter.len() > MANY {
            self.tidy();
        }
        self.limiter
            .check_key(&household(client))
            .map_err(|refused| refused.wait_time_from(DefaultClock::default().now()))
    }
}

impl Allowance {
    /// Forgets who has a full allowance again; at most once a minute, for it looks at everybody.
    fn tidy(&self) {
        let mut tidied = self
            .tidied
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if tidied.elapsed() > Duration::from_secs(60) {
            *tidied = Instant::now();
            self.limiter.retain_recent();
        }
    }
}

/// The part of the path that a route leaves open, as text.
pub struct PathSegment(pub String);

impl FromRequestParts<Web> for PathSegment {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, web: &Web) -> Result<Self, Problem> {
        let path = Path::<String>::from_request_parts(parts, web).await;
        path.map(|Path(text)| Self(text))
            .map_err(|_| Problem::not_found())
    }
}

/// Two parts of the path that a route leaves open, as text.
pub struct TwoSegments(pub String, pub String);

impl FromRequestParts<Web> for TwoSegments {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, web: &Web) -> Result<Self, Problem> {
        let path = Path::<(String, String)>::from_request_parts(parts, web).await;
        path.map(|Path((first, second))| Self(first, second))
            .map_err(|_| Problem::not_found())
    }
}

/// The address of whoever asks, behind the proxies that the settings trust.
pub struct Client(pub IpAddr);

impl FromRequestParts<Web> for Client {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, web: &Web) -> Result<Self, Problem> {
        let peer = parts
            .extensions
            .get::<ConnectInfo<SocketAddr>>()
            .map_or(IpAddr::from([0, 0, 0, 0]), |info| info.0.ip());
        let peer = peer.to_canonical();
        if !web.trusts(peer) && is_forwarded(&parts.headers) {
            web.strangers.note(web, peer);
        }
        Ok(Self(forwarded::client(peer, &parts.headers, |address| {
            web.trusts(address)
        })))
    }
}

impl Client {
    /// The client for whom a trusted proxy asks; `None` where nobody stands between.
    pub fn behind_proxy(request: &Request, web: &Web) -> Option<IpAddr> {
        let peer = request
            .extensions()
            .get::<ConnectInfo<SocketAddr>>()?
            .0
            .ip()
            .to_canonical();
        let client = forwarded::client(peer, request.headers(), |address| web.trusts(address));
        (client != peer).then_some(client)
    }
}

/// Addresses that were seen to forward requests and that the settings do not trust: each is said once.
#[derive(Default)]
pub struct UntrustedProxies(Mutex<BTreeSet<IpAddr>>);

/// Upper bound on addresses that are said: anybody can send such a header.
const PROXIES_SAID: usize = 8;

impl UntrustedProxies {
    fn note(&self, web: &Web, peer: IpAddr) {
        let mut known = self
            .0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if known.len() < PROXIES_SAID && known.insert(peer) {
            let app = web.app.clone();
            tokio::spawn(async move { app.note_untrusted_proxy(peer).await });
        }
    }
}

/// A client that may try to sign up, or to have a mail sent. What is refused for its form counts here, and only here: a person with
/// a typo keeps the whole of `signup.per_client`, which is counted in the database where a request is accepted.
pub struct MayAsk(pub IpAddr);

impl FromRequestParts<Web> for MayAsk {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, web: &Web) -> Result<Self, Problem> {
        let Client(client) = Client::from_request_parts(parts, web).await?;
        web.attempts
            .take(client)
            .map_err(|wait| Problem::too_many("sign-ups", wait))?;
        Ok(Self(client))
    }
}

/// A client that may vote or save once more.
pub struct MayChoose(pub IpAddr);

impl FromRequestParts<Web> for MayChoose {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, web: &Web) -> Result<Self, Problem> {
        let Client(client) = Client::from_request_parts(parts, web).await?;
        web.choices
            .take(client)
            .map_err(|wait| Problem::too_many("votes", wait))?;
        Ok(Self(client))
    }
}

/// Guards the figures: a machine of one's own network asks, and no proxy for somebody. They rise by one when a mail goes
/// out, which would tell whether an address that was just typed in is new here.
pub struct Operator;

impl FromRequestParts<Web> for Operator {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Web) -> Result<Self, Problem> {
        let peer = parts
            .extensions
            .get::<ConnectInfo<SocketAddr>>()
            .map(|info| info.0.ip().to_canonical());
        let own = peer.is_some_and(|peer| match peer {
            IpAddr::V4(v4) => v4.is_loopback() || v4.is_private() || v4.is_link_local(),
            IpAddr::V6(v6) => {
                v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local()
            }
        });
        if own && !is_forwarded(&parts.headers) {
            Ok(Self)
        } else {
            Err(Problem::not_found())
        }
    }
}

/// Guards the mailbox page: a mailbox transport, asked from one of `mail.mailbox_networks` by the name localhost or by an address in them. The name
/// keeps out pages of other sites whose name was made to point here.
pub struct LocalMailbox;

impl FromRequestParts<Web> for LocalMailbox {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, web: &Web) -> Result<Self, Problem> {
        let host = parts
            .headers
            .get(axum::http::header::HOST)
            .and_then(|host| host.to_str().ok())
            .unwrap_or_default();
        let name =
            host.rsplit_once(':').map_or(
                host,
                |(name, port)| if port.ends_with(']') { host } else { name },
            );
        let name = name.trim_matches(['[', ']']);
        let peer = parts
            .extensions
            .get::<ConnectInfo<SocketAddr>>()
            .map(|info| info.0.ip().to_canonical());
        let mail = &web.app.settings.mail;
        let near = peer.is_some_and(|peer| mail.shows_mailbox_to(peer));
        let named = name.eq_ignore_ascii_case("localhost")
            || name
                .parse::<IpAddr>()
                .is_ok_and(|ip| mail.shows_mailbox_to(ip));
        if near && named && !is_forwarded(&parts.headers) && web.app.mailbox().is_some() {
            Ok(Self)
        } else {
            Err(Problem::not_found())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_allowance_is_used_up_and_one_network_is_one_client() {
        let allowance = Allowance::new(2);
        let client = |text: &str| text.parse::<IpAddr>().expect("an address");
        assert!(
            allowance.take(client("2001:db8::1")).is_ok()
                && allowance.take(client("2001:db8::2")).is_ok()
        );
        assert!(
            allowance
                .take(client("2001:db8::3"))
                .is_err_and(|wait| wait > Duration::from_secs(60))
        );
        assert!(allowance.take(client("2001:db8:0:1::1")).is_ok());
        assert!(
            allowance.take(client("64:ff9b::192.0.2.1")).is_ok()
                && allowance.take(client("64:ff9b::192.0.2.2")).is_ok()
        );
        assert!(
            allowance.take(client("192.0.2.1")).is_ok()
                && allowance.take(client("64:ff9b::192.0.2.1")).is_err(),
            "NAT64"
        );
    }
}
