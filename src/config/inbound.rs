//! `[inbound]`: where mail that comes back is taken in.

use std::net::SocketAddr;
use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;

use super::ConfigError;
use super::fault;
use super::within;

/// `[inbound]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inbound {
    /// Where the role `inbound` listens for LMTP: a loopback address with a port, or `unix:PATH`; empty: nowhere.
    pub lmtp: String,
    /// The mailbox that the role `inbound` watches: `imaps://user:password@host/INBOX`.
    pub imap: Option<String>,
    /// How often a mailbox is looked at whose server does not tell of new mail by itself.
    #[serde(with = "humantime_serde")]
    pub imap_every: Duration,
    /// What becomes of a mail there that is done: `seen`, `delete` or `move:FOLDER`.
    pub imap_after: String,
}

impl Default for Inbound {
    fn default() -> Self {
        Self { lmtp: "127.0.0.1:2424".into(), imap: None, imap_every: Duration::from_secs(60), imap_after: "seen".into() }
    }
}

impl Inbound {
    /// LMTP knows no login: whoever reaches it can hand mail over.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let local = self.lmtp.parse::<SocketAddr>().is_ok_and(|address| address.ip().is_loopback());
        let file = self.lmtp.strip_prefix("unix:").is_some_and(|path| !path.is_empty());
        if !local && !file && !self.lmtp.is_empty() {
            return fault("inbound.lmtp", "expected a loopback address with a port, like 127.0.0.1:2424, or unix:PATH");
        }
        within("inbound.imap_every", self.imap_every, Duration::from_secs(5))
    }
}
