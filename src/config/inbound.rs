//! `[inbound]`: where mail that comes back is taken in.

use std::net::SocketAddr;

use serde::Deserialize;
use serde::Serialize;

use super::ConfigError;
use super::fault;

/// `[inbound]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inbound {
    /// Where the role `inbound` listens for LMTP: a loopback address with a port, or `unix:PATH`.
    pub lmtp: String,
}

impl Default for Inbound {
    fn default() -> Self {
        Self { lmtp: "127.0.0.1:2424".into() }
    }
}

impl Inbound {
    /// LMTP knows no login: whoever reaches it can hand mail over.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let local = self.lmtp.parse::<SocketAddr>().is_ok_and(|address| address.ip().is_loopback());
        let file = self.lmtp.strip_prefix("unix:").is_some_and(|path| !path.is_empty());
        if !local && !file {
            return fault("inbound.lmtp", "expected a loopback address with a port, like 127.0.0.1:2424, or unix:PATH");
        }
        Ok(())
    }
}
