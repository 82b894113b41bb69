//! `[webhooks_out]`: webhook endpoints that events are sent to.

use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;

use super::ConfigError;
use super::days;
use super::one_or_many;
use super::within;

/// `[webhooks_out]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhooksOutSettings {
    /// Private hosts, addresses and networks that endpoints may be at; over http too.
    #[serde(deserialize_with = "one_or_many")]
    pub allow_private: Vec<String>,
    /// Time for which events and the log of what was sent are kept.
    #[serde(with = "humantime_serde")]
    pub keep: Duration,
    /// Time for one request.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
}

impl Default for WebhooksOutSettings {
    fn default() -> Self {
        Self {
            allow_private: Vec::new(),
            keep: days(30),
            timeout: Duration::from_secs(20),
        }
    }
}

impl WebhooksOutSettings {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        // Shorter, and an event would be forgotten before its last attempt.
        within("webhooks_out.keep", self.keep, days(4))?;
        within("webhooks_out.timeout", self.timeout, Duration::from_secs(1))?;
        if self.timeout > Duration::from_secs(60) {
            return super::fault("webhooks_out.timeout", "expected at most 60s");
        }
        Ok(())
    }
}
