//! `[schedule]`: when digests are made and sent.

use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;

use super::ConfigError;
use super::days;
use super::within;

/// `[schedule]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// Cron: when the week's comparisons are picked.
    pub pick: String,
    /// Cron: when the digest is sent.
    pub send: String,
    /// A time missed by less than this is made up.
    #[serde(with = "humantime_serde")]
    pub catch_up: Duration,
    /// Whether a person must approve a digest.
    pub approval: Approval,
}

/// `schedule.approval`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Approval {
    /// A picked digest is approved at once.
    Auto,
    /// It waits for `digest approve`.
    Required,
}

impl Default for Schedule {
    fn default() -> Self {
        Self { pick: "0 8 * * TUE".into(), send: "0 9 * * TUE".into(), catch_up: days(2), approval: Approval::Auto }
    }
}

impl Schedule {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        within("schedule.catch_up", self.catch_up, Duration::ZERO)
    }
}
