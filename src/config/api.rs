//! `[api]`: how often a program may ask.

use serde::Deserialize;
use serde::Serialize;

use super::ConfigError;
use super::fault;

/// Largest value of either limit.
const LIMIT_MAX: u32 = 1_000_000;

/// `[api]`
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiSettings {
    /// Requests a minute that one token may make.
    pub requests_per_minute: u32,
    /// Requests that it may make at once.
    pub burst: u32,
}

impl Default for ApiSettings {
    fn default() -> Self {
        Self {
            requests_per_minute: 600,
            burst: 60,
        }
    }
}

impl ApiSettings {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        for (key, value) in [
            ("api.requests_per_minute", self.requests_per_minute),
            ("api.burst", self.burst),
        ] {
            if !(1..=LIMIT_MAX).contains(&value) {
                return fault(key, "expected from 1 to 1000000");
            }
        }
        Ok(())
    }
}
