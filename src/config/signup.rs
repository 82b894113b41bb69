//! `[signup]`: how people join.

use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;

use super::ConfigError;
use super::days;
use super::fault;
use super::within;

/// `[signup]`
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignUp {
    /// An unconfirmed sign-up is forgotten after this.
    #[serde(with = "humantime_serde")]
    pub confirm_within: Duration,
    /// Sign-ups an hour from one client (IPv4 address, IPv6 /64).
    pub per_client: u32,
}

impl Default for SignUp {
    fn default() -> Self {
        Self { confirm_within: days(3), per_client: 30 }
    }
}

impl SignUp {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        if self.per_client == 0 {
            return fault("signup.per_client", "expected at least 1");
        }
        within("signup.confirm_within", self.confirm_within, Duration::from_secs(1))
    }
}
