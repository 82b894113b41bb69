//! `[votes]`: how readers and visitors vote on tools.

use serde::Deserialize;
use serde::Serialize;

use super::ConfigError;
use super::fault;

/// `[votes]`
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VoteSettings {
    /// Votes and saved tools an hour from one client (IPv4 address, IPv6 /64).
    pub per_client: u32,
    /// Visitors' votes on one tool that count from one network (IPv4 /24, IPv6 /48).
    pub per_network: u32,
}

impl Default for VoteSettings {
    fn default() -> Self {
        Self {
            per_client: 120,
            per_network: 5,
        }
    }
}

impl VoteSettings {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        if self.per_client == 0 {
            return fault("votes.per_client", "expected at least 1");
        }
        Ok(())
    }
}
