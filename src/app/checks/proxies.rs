//! Proxies in front of the service: whether it can tell its clients apart.

use std::net::IpAddr;

use chrono::TimeDelta;

use crate::app::App;
use crate::app::check_result::CheckResult;
use crate::app::check_result::advice;
use crate::app::check_result::good;
use crate::domain::subscriber::network_of;

/// The kind of observation that names an untrusted proxy.
const UNTRUSTED: &str = "untrusted_proxy";
/// Time that `doctor` speaks of one.
const REMEMBERED: TimeDelta = TimeDelta::days(7);

impl App {
    /// Notes that `peer`, which no setting trusts, forwards requests for others: a line in the log, and for `doctor`.
    pub async fn note_untrusted_proxy(&self, peer: IpAddr) {
        let name = name_of(peer);
        tracing::warn!(
            proxy = name,
            "requests come forwarded (X-Forwarded-For, Forwarded) from an address that site.trusted_proxies does not name: all who come \
             that way count as one client and share its limits; if it is your proxy, add it to site.trusted_proxies"
        );
        if let Err(error) = self
            .storage
            .observe(UNTRUSTED, &peer.to_string(), self.now())
            .await
        {
            tracing::debug!(%error, "an untrusted proxy was not noted for `doctor`");
        }
    }

    /// Returns whether clients behind a proxy are told apart.
    pub(in crate::app) async fn examine_proxies(
        &self,
        database_usable: bool,
    ) -> Option<CheckResult> {
        let trusted = &self.settings.site.trusted_proxies;
        let seen = if database_usable {
            self.storage.observation(UNTRUSTED).await.ok().flatten()
        } else {
            None
        };
        let seen = seen
            .filter(|(_, at)| *at > self.now() - REMEMBERED)
            .and_then(|(peer, _)| peer.parse::<IpAddr>().ok());
        if let Some(peer) = seen.filter(|peer| !trusted.iter().any(|net| net.contains(peer))) {
            return Some(advice(
                "proxy",
                format!(
                    "requests came forwarded from {}, which site.trusted_proxies does not name: all who come that way count as one \
                     client; if it is your proxy, add it",
                    name_of(peer)
                ),
            ));
        }
        if trusted.is_empty() && self.settings.site.base_url.scheme() == "https" {
            let words = "site.base_url is https, so a proxy stands in front, and site.trusted_proxies names none: all readers count as \
                         one client and share its limits; name the proxy's address";
            return Some(advice("proxy", words));
        }
        (!trusted.is_empty()).then(|| {
            let named: Vec<String> = trusted.iter().map(ToString::to_string).collect();
            good(
                "proxy",
                format!("clients are told apart behind {}", named.join(", ")),
            )
        })
    }
}

/// A proxy of one's own whole; of any other address, which may be a client that made the header up, the network alone.
fn name_of(peer: IpAddr) -> String {
    let is_own = match peer {
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_private() || v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
    };
    if is_own {
        peer.to_string()
    } else {
        network_of(peer)
    }
}
