//! `[inbound]`: where mail that comes back is taken in.

use std::net::SocketAddr;
use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;

use super::ConfigError;
use super::SecretUrl;
use super::days;
use super::fault;
use super::within;
use crate::domain::address::EmailAddress;

/// `[inbound]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InboundSettings {
    /// Address on which the role `inbound` listens for LMTP: a loopback address with a port, or `unix:PATH`; empty: nowhere.
    pub lmtp: String,
    /// Rights of the socket at `unix:PATH`, in octal: whoever may write to it may hand mail over.
    pub lmtp_mode: String,
    /// Megabytes of a mail that are read, whatever its door; what lies behind is attachments.
    pub size_max_mb: u32,
    /// The mailbox that the role `inbound` watches: `imaps://user:password@host/INBOX`.
    pub imap: Option<SecretUrl>,
    /// Interval at which a mailbox is looked at, besides whenever its server tells of new mail.
    #[serde(with = "humantime_serde")]
    pub imap_every: Duration,
    /// Fate of a mail there that is done: `seen`, `delete` or `move:FOLDER`.
    pub imap_after: String,
    /// The address that people write to who want to join; whatever they write there. A subject like `subscribe` does it anywhere.
    pub subscribe_address: Option<String>,
    /// Time that it is kept which mails came back.
    #[serde(with = "humantime_serde")]
    pub keep: Duration,
    /// Time for which the mails themselves are kept that came back about a subscriber, for the desk to show.
    #[serde(with = "humantime_serde")]
    pub keep_raw: Duration,
    /// Sign-ups by mail in an hour, all together: anybody can write in somebody else's name. 0: none.
    pub sign_ups_per_hour: u32,
    /// The same of the addresses at one domain.
    pub sign_ups_per_domain: u32,
    /// Mails in an hour that were not understood and are answered with a link, all together. 0: none.
    pub answers_per_hour: u32,
    /// Receivers whose `Authentication-Results` are believed: the names by which they sign them (RFC 8601).
    pub authentication_results: Vec<String>,
}

impl Default for InboundSettings {
    fn default() -> Self {
        Self {
            lmtp: "127.0.0.1:2424".into(),
            lmtp_mode: "660".into(),
            size_max_mb: 25,
            imap: None,
            imap_every: Duration::from_secs(60),
            imap_after: "seen".into(),
            subscribe_address: None,
            keep: days(400),
            keep_raw: days(90),
            sign_ups_per_hour: 200,
            sign_ups_per_domain: 50,
            answers_per_hour: 200,
            authentication_results: Vec::new(),
        }
    }
}

impl InboundSettings {
    /// `lmtp_mode` as a number.
    pub fn lmtp_mode(&self) -> Option<u32> {
        u32::from_str_radix(&self.lmtp_mode, 8)
            .ok()
            .filter(|mode| (0o600..=0o777).contains(mode))
    }

    /// Bytes of a mail that are read.
    pub fn size_max(&self) -> usize {
        (self.size_max_mb as usize) << 20
    }

    /// LMTP knows no login: whoever reaches it can hand mail over.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let local = self
            .lmtp
            .parse::<SocketAddr>()
            .is_ok_and(|address| address.ip().is_loopback());
        let file = self
            .lmtp
            .strip_prefix("unix:")
            .is_some_and(|path| !path.is_empty());
        if !local && !file && !self.lmtp.is_empty() {
            return fault(
                "inbound.lmtp",
                "expected a loopback address with a port, like 127.0.0.1:2424, or unix:PATH",
            );
        }
        if self.lmtp_mode().is_none() {
            return fault(
                "inbound.lmtp_mode",
                "expected rights in octal, from 600 to 777, like 660",
            );
        }
        if !(1..=100).contains(&self.size_max_mb) {
            return fault("inbound.size_max_mb", "expected 1 to 100");
        }
        if self
            .subscribe_address
            .as_deref()
            .is_some_and(|address| EmailAddress::parse(address).is_err())
        {
            return fault(
                "inbound.subscribe_address",
                "expected a mail address, like subscribe@example.org",
            );
        }
        let is_name = |name: &String| {
            !name.is_empty()
                && !name.contains(|c: char| c.is_whitespace() || matches!(c, ';' | '(' | ')' | '@'))
        };
        if !self.authentication_results.iter().all(is_name) {
            return fault(
                "inbound.authentication_results",
                "expected the names that begin your server's fields, like [\"mx.example.org\"]",
            );
        }
        // What counts toward `bounces.soft` for somebody who reads monthly lies that far apart.
        within("inbound.keep", self.keep, days(180))?;
        within(
            "inbound.imap_every",
            self.imap_every,
            Duration::from_secs(5),
        )
    }
}
