//! `[mail]`: how mail leaves.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use serde::Deserialize;
use serde::Serialize;

use super::ConfigError;
use super::SecretUrl;
use super::days;
use super::fault;
use super::one_or_many;
use super::relays::ListedRelaySettings;
use super::relays::PerDomain;
use super::within;
use crate::domain::delivery::UncertainPolicy;
use crate::domain::limits::WarmUp;

/// `[mail]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MailSettings {
    /// `mailbox:DIR`, `smtp://...` or `smtps://...`.
    pub transport: SecretUrl,
    /// Networks from which the folder of captured mails is shown at `/mailbox`: whoever reads there can confirm for anybody.
    #[serde(deserialize_with = "one_or_many")]
    pub mailbox_networks: Vec<IpNet>,
    /// Sender of mails: `Name <address>`.
    pub from: String,
    /// Address for answers.
    pub reply_to: Option<String>,
    /// The envelope's sender, where bounces go; without it the address of `from`.
    pub return_path: Option<String>,
    /// Pattern of a digest's subject ([`crate::domain::subject::SubjectPattern`]).
    pub subject: String,
    /// Printed in every digest, as the law asks of newsletters in many places.
    pub postal_address: Option<String>,
    /// `List-Id` (RFC 2919); without it made of the host of `site.base_url`.
    pub list_id: Option<String>,
    /// Keys that sign each mail (DKIM), in this order.
    pub dkim: Vec<DkimKey>,
    /// Name servers that are asked how this sender stands, in this order; without any those of this machine.
    #[serde(deserialize_with = "one_or_many")]
    pub resolver: Vec<SocketAddr>,
    /// Name in EHLO; without it the host of `site.base_url`.
    pub hello: Option<String>,
    /// Connections of this process.
    pub connections: usize,
    /// Mails on one connection before it is closed and another opened.
    pub messages_per_connection: u32,
    /// Let a mail's envelope travel with the end of the mail before it, to relays that are seen to bear it.
    pub envelope_ahead: bool,
    /// A connection that had nothing to do for so long is given up.
    #[serde(with = "humantime_serde")]
    pub idle: Duration,
    /// Mails a second of this process; 0: no limit.
    pub rate_per_second: u32,
    /// Mails a day (UTC) of all processes together; 0: no limit.
    pub per_day: u64,
    /// Fewer a day at first.
    pub warm_up: WarmUp,
    /// Per cent of a day's mails that digests leave to transactional mail.
    pub transactional_share: u32,
    /// Several ways out, in place of `transport`.
    pub relays: Vec<ListedRelaySettings>,
    /// Limits for some recipient domains.
    pub per_domain: Vec<PerDomain>,
    /// Times of retries.
    pub retry: RetrySettings,
    /// Pauses of a relay that failed.
    pub pause: PauseSettings,
    /// Fate of a mail of which nobody can know whether it was taken.
    pub in_doubt: UncertainPolicy,
    /// Time that a sender may be silent before others take over its work.
    #[serde(with = "humantime_serde")]
    pub lease: Duration,
    /// The longest wait until mail is seen that nobody told this process of: a retry that became due, or what another process
    /// put into the ledger.
    #[serde(with = "humantime_serde")]
    pub poll: Duration,
    /// Time limits of the steps of a conversation.
    pub timeouts: TimeoutSettings,
}

/// One of `mail.dkim`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DkimKey {
    /// The domain that vouches for the mail; DMARC wants it to be that of `from`, or one that it belongs to.
    pub domain: String,
    /// Under which name the public half stands in that domain's DNS: `SELECTOR._domainkey.DOMAIN`.
    pub selector: String,
    /// The private half, in PEM.
    pub key_file: PathBuf,
}

/// `[mail.retry]`
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetrySettings {
    /// Wait before the second attempt; doubled each time.
    #[serde(with = "humantime_serde")]
    pub first: Duration,
    /// After that a mail counts as failed.
    #[serde(with = "humantime_serde")]
    pub max_age: Duration,
}

/// `[mail.pause]`: sending over a relay pauses so long after failures that are not about a recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PauseSettings {
    /// The first pause; doubled each time that it fails again.
    #[serde(with = "humantime_serde")]
    pub first: Duration,
    /// The longest pause.
    #[serde(with = "humantime_serde")]
    pub max: Duration,
}

/// `[mail.timeouts]`: RFC 5321 4.5.3.2 asks for 5 minutes a command, 3 a block of data and 10 for the last dot.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimeoutSettings {
    /// TCP and TLS handshakes.
    #[serde(with = "humantime_serde")]
    pub connect: Duration,
    /// All steps until a connection is ready for mail.
    #[serde(with = "humantime_serde")]
    pub greeting: Duration,
    /// The banner, and a command's answer.
    #[serde(with = "humantime_serde")]
    pub command: Duration,
    /// Writing the body.
    #[serde(with = "humantime_serde")]
    pub data: Duration,
    /// The answer to the last dot.
    #[serde(with = "humantime_serde")]
    pub finish: Duration,
}

impl Default for MailSettings {
    fn default() -> Self {
        Self {
            transport: "mailbox:data/mailbox".into(),
            mailbox_networks: loopback_networks(),
            from: "Ship or Skip <newsletter@localhost>".into(),
            reply_to: None,
            return_path: None,
            subject: crate::domain::subject::AUTO.into(),
            postal_address: None,
            list_id: None,
            dkim: Vec::new(),
            resolver: Vec::new(),
            hello: None,
            connections: 10,
            messages_per_connection: 1000,
            envelope_ahead: true,
            idle: Duration::from_secs(30),
            rate_per_second: 0,
            per_day: 0,
            warm_up: WarmUp::default(),
            transactional_share: 5,
            relays: Vec::new(),
            per_domain: Vec::new(),
            retry: RetrySettings::default(),
            pause: PauseSettings::default(),
            in_doubt: UncertainPolicy::Resend,
            lease: Duration::from_secs(60),
            poll: Duration::from_secs(1),
            timeouts: TimeoutSettings::default(),
        }
    }
}

impl Default for RetrySettings {
    fn default() -> Self {
        Self {
            first: Duration::from_secs(5 * 60),
            max_age: days(4),
        }
    }
}

impl Default for PauseSettings {
    fn default() -> Self {
        Self {
            first: Duration::from_secs(5),
            max: Duration::from_secs(600),
        }
    }
}

impl Default for TimeoutSettings {
    fn default() -> Self {
        let minutes = |n: u64| Duration::from_secs(60 * n);
        Self {
            connect: Duration::from_secs(30),
            greeting: minutes(10),
            command: minutes(5),
            data: minutes(3),
            finish: minutes(10),
        }
    }
}

/// This machine alone.
fn loopback_networks() -> Vec<IpNet> {
    let networks = ["127.0.0.0/8", "::1/128"].iter();
    networks.filter_map(|text| text.parse().ok()).collect()
}

impl MailSettings {
    /// Returns true if captured mails may be shown where the service listens: on this machine, or where networks are named.
    pub fn shows_mailbox(&self, listen: std::net::IpAddr) -> bool {
        listen.is_loopback() || self.mailbox_networks != loopback_networks()
    }

    /// Returns true if captured mails may be shown to somebody who asks from there.
    pub fn shows_mailbox_to(&self, peer: std::net::IpAddr) -> bool {
        self.mailbox_networks
            .iter()
            .any(|network| network.contains(&peer))
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let is_list_id = |id: &String| {
            id.contains('.')
                && id
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b".-_".contains(&b))
        };
        if self.list_id.as_ref().is_some_and(|id| !is_list_id(id)) {
            return fault(
                "mail.list_id",
                "expected a name like weekly.news.example.org (RFC 2919)",
            );
        }
        if let Err(error) = self
            .subject
            .parse::<crate::domain::subject::SubjectPattern>()
        {
            return fault("mail.subject", &error.to_string());
        }
        if !(1..=200).contains(&self.connections) {
            return fault("mail.connections", "expected 1 to 200");
        }
        if self.messages_per_connection == 0 {
            return fault("mail.messages_per_connection", "expected at least 1");
        }
        if self.transactional_share > 90 {
            return fault("mail.transactional_share", "expected 0 to 90 (per cent)");
        }
        self.check_relays()?;
        let instant = Duration::from_millis(1);
        within("mail.idle", self.idle, instant)?;
        within("mail.retry.first", self.retry.first, instant)?;
        within("mail.retry.max_age", self.retry.max_age, instant)?;
        let hundredth = Duration::from_millis(10);
        if !(hundredth..=Duration::from_secs(3_600)).contains(&self.pause.first) {
            return fault("mail.pause.first", "expected 10ms to 1h");
        }
        if !(self.pause.first..=days(1)).contains(&self.pause.max) {
            return fault(
                "mail.pause.max",
                "expected mail.pause.first or more, and at most 1 day",
            );
        }
        within("mail.lease", self.lease, Duration::from_secs(1))?;
        if !(Duration::from_millis(50)..=Duration::from_secs(60)).contains(&self.poll) {
            return fault("mail.poll", "expected 50ms to 1m");
        }
        within("mail.timeouts.connect", self.timeouts.connect, instant)?;
        within("mail.timeouts.greeting", self.timeouts.greeting, instant)?;
        within("mail.timeouts.command", self.timeouts.command, instant)?;
        within("mail.timeouts.data", self.timeouts.data, instant)?;
        within("mail.timeouts.finish", self.timeouts.finish, instant)
    }
}
