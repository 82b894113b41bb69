//! `[bounces]`: when refusals end a subscription, and how many of them one send may end.

use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;

use super::ConfigError;
use super::fault;
use super::within;

/// `[bounces]`
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BounceSettings {
    /// Digests in a row that were refused because there is no such mailbox, after which a subscription ends. 0: never.
    pub hard: u32,
    /// Digests in a row that were refused for a reason that lies with the recipient, after which a subscription ends. 0: never.
    pub soft: u32,
    /// Hard refusals with like words at one domain in one send from which they are held for a person. 0: no brake.
    pub brake_count: u32,
    /// Per cent of the mails to that domain (by that relay) from which they are held.
    pub brake_share: u32,
    /// Domains that refuse alike by one relay from which the relay's refusals are held.
    pub brake_domains: u32,
    /// Time that reports are gathered before they are judged.
    #[serde(with = "humantime_serde")]
    pub brake_wait: Duration,
}

impl Default for BounceSettings {
    fn default() -> Self {
        Self {
            hard: 1,
            soft: 5,
            brake_count: 10,
            brake_share: 10,
            brake_domains: 50,
            brake_wait: Duration::from_secs(3_600),
        }
    }
}

impl BounceSettings {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        if self.hard > 100 || self.soft > 100 {
            return fault("bounces.hard, bounces.soft", "expected 0 to 100");
        }
        if !(1..=100).contains(&self.brake_share) {
            return fault("bounces.brake_share", "expected 1 to 100 (per cent)");
        }
        if self.brake_domains == 0 {
            return fault(
                "bounces.brake_domains",
                "expected 1 or more; bounces.brake_count = 0 turns the brake off",
            );
        }
        within("bounces.brake_wait", self.brake_wait, Duration::ZERO)
    }
}
