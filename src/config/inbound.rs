//! `[inbound]`: where mail that comes back is taken in.

use std::net::SocketAddr;
use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;

use super::ConfigError;
use super::days;
use super::fault;
use super::within;
use crate::domain::address::EmailAddress;

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
    /// The address that people write to who want to join; whatever they write there. A subject like `subscribe` does it anywhere.
    pub subscribe_address: Option<String>,
    /// How long it is kept which mails came back.
    #[serde(with = "humantime_serde")]
    pub keep: Duration,
    /// Sign-ups by mail in an hour, all together: anybody can write in somebody else's name. 0: none.
    pub sign_ups_per_hour: u32,
    /// The same of the addresses at one domain.
    pub sign_ups_per_domain: u32,
}

impl Default for Inbound {
    fn default() -> Self {
        Self {
            lmtp: "127.0.0.1:2424".into(),
            imap: None,
            imap_every: Duration::from_secs(60),
            imap_after: "seen".into(),
            subscribe_address: None,
            keep: days(400),
            sign_ups_per_hour: 200,
            sign_ups_per_domain: 50,
        }
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
        if self.subscribe_address.as_deref().is_some_and(|address| EmailAddress::parse(address).is_err()) {
            return fault("inbound.subscribe_address", "expected a mail address, like subscribe@example.org");
        }
        // What counts toward `bounces.soft` for somebody who reads monthly lies that far apart.
        within("inbound.keep", self.keep, days(180))?;
        within("inbound.imap_every", self.imap_every, Duration::from_secs(5))
    }
}
