//! `[schedule]`: when digests are made and sent.

use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;

use super::ConfigError;
use super::days;
use super::fault;
use super::within;

/// `[schedule]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScheduleSettings {
    /// Cron: when the week's comparisons are picked.
    pub pick: String,
    /// Cron: when the digest is sent.
    pub send: String,
    /// A time missed by less than this is made up.
    #[serde(with = "humantime_serde")]
    pub catch_up: Duration,
    /// Over how long a digest's mails become due, each reader at their own point of it.
    #[serde(with = "humantime_serde")]
    pub spread: Duration,
    /// At the time of `send` by the reader's own clock, where their zone is known.
    pub local_time: bool,
    /// Upper bound on the readers of one transaction while a digest is published.
    pub publish_range: u32,
    /// Approval of a picked digest: automatic, or by a person.
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

impl Default for ScheduleSettings {
    fn default() -> Self {
        Self {
            pick: "0 8 * * TUE".into(),
            send: "0 9 * * TUE".into(),
            catch_up: days(2),
            spread: Duration::ZERO,
            local_time: false,
            publish_range: 20_000,
            approval: Approval::Auto,
        }
    }
}

impl ScheduleSettings {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        within("schedule.catch_up", self.catch_up, Duration::ZERO)?;
        // A longer one would reach into the next digest.
        if self.spread > days(7) {
            return fault("schedule.spread", "expected at most 7d");
        }
        if !(1..=20_000).contains(&self.publish_range) {
            return fault("schedule.publish_range", "expected 1 to 20000");
        }
        Ok(())
    }
}
