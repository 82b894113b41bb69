//! `[keep]`: how long the tables that grow keep their rows. `0s`: for ever.

use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;

use super::ConfigError;
use super::days;
use super::within;

/// `[keep]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeepSettings {
    /// Networks that sign-ups came from, in the records of consent; the records themselves stay.
    #[serde(with = "humantime_serde")]
    pub networks: Duration,
    /// Rows of the ledger, from when their digest was over, or a transactional mail was final. The digest itself and its counts stay.
    #[serde(with = "humantime_serde")]
    pub deliveries: Duration,
    /// Rows of the audit log.
    #[serde(with = "humantime_serde")]
    pub audit: Duration,
    /// Readers, from when they left: then they are erased. Zero by default, for whoever is erased cannot sign up again.
    #[serde(with = "humantime_serde")]
    pub ended: Duration,
}

impl Default for KeepSettings {
    fn default() -> Self {
        Self {
            networks: days(365),
            deliveries: days(730),
            audit: days(1_826),
            ended: Duration::ZERO,
        }
    }
}

impl KeepSettings {
    /// A time, or `None` for ever.
    pub fn bounded(time: Duration) -> Option<Duration> {
        (!time.is_zero()).then_some(time)
    }

    /// The ledger is what says that somebody had a mail already, and counts refusals toward `bounces.hard` and `bounces.soft`: reports
    /// come for weeks, and somebody who reads monthly has five digests in five months.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let limits = [
            ("keep.networks", self.networks, days(1)),
            ("keep.deliveries", self.deliveries, days(400)),
            ("keep.audit", self.audit, days(30)),
            ("keep.ended", self.ended, days(30)),
        ];
        for (key, value, least) in limits {
            if let Some(value) = Self::bounded(value) {
                within(key, value, least)?;
            }
        }
        Ok(())
    }
}
