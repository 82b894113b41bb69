//! `[bounces]`: when what comes back ends a subscription.

use serde::Deserialize;
use serde::Serialize;

use super::ConfigError;
use super::fault;

/// `[bounces]`
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bounces {
    /// So many of the newest digests came back because there is no such mailbox: the subscription ends. 0: never.
    pub hard: u32,
    /// So many of the newest digests came back for any reason: the subscription ends. 0: never.
    pub soft: u32,
}

impl Default for Bounces {
    fn default() -> Self {
        Self { hard: 1, soft: 5 }
    }
}

impl Bounces {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        if self.hard > 100 || self.soft > 100 {
            return fault("bounces.hard, bounces.soft", "expected 0 to 100");
        }
        Ok(())
    }
}
