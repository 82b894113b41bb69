//! `doctor`: looks at everything that must be right before a real send, and says how to mend what is not.

use super::App;
use super::Failure;
use super::preflight::is_near;
use crate::domain::digest::Content;
use crate::domain::slot::Slot;
use crate::domain::subscriber::SubscriberState;
use crate::mail::Fence;
use crate::mail::Limits;
use crate::mail::Timeouts;
use crate::mail::Transport;
use crate::render::email;

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be.
    Good,
    /// Works, and could be better.
    Advice,
    /// Must be mended before a real send.
    Fault,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Finding {
    /// What was looked at.
    pub what: &'static str,
    /// How much it matters.
    pub level: Level,
    /// What was found and, if it is not good, what to do.
    pub words: String,
}

pub(super) fn good(what: &'static str, words: impl Into<String>) -> Finding {
    Finding { what, level: Level::Good, words: words.into() }
}

pub(super) fn advice(what: &'static str, words: impl Into<String>) -> Finding {
    Finding { what, level: Level::Advice, words: words.into() }
}

pub(super) fn fault(what: &'static str, words: impl Into<String>) -> Finding {
    Finding { what, level: Level::Fault, words: words.into() }
}

impl App {
    /// Looks at the database, the secret, the transport, the addresses and the templates.
    pub async fn examine(&self) -> Vec<Finding> {
        let mut findings = vec![good("settings", "every key is known and every value fits")];
        let database = self.examine_database().await;
        let usable = database.level == Level::Good;
        findings.push(database);
        if usable {
            findings.push(self.examine_catalogue().await);
            findings.push(self.examine_list().await);
        }
        findings.push(self.examine_secret(usable).await);
        findings.push(self.examine_templates());
        findings.extend(self.examine_next_digest(usable).await);
        findings.extend(self.examine_relays().await);
        findings.push(self.examine_base_url());
        findings.push(self.examine_sender());
        findings.extend(self.examine_standing().await);
        findings.push(self.examine_postal_address());
        findings
    }

    async fn examine_database(&self) -> Finding {
        match self.storage.is_up_to_date().await {
            Ok(true) => good("database", format!("{} answers, its tables are up to date", self.settings.database_for_log())),
            Ok(false) if !self.storage.is_postgres() => {
                advice("database", "its tables are missing or old; `verdicts serve` brings them up to date")
            }
            Ok(false) => fault("database", "its tables are missing or too old; run `verdicts migrate`"),
            Err(error) => fault("database", error.advice()),
        }
    }

    async fn examine_catalogue(&self) -> Finding {
        let now = self.now();
        match self.pick_for(self.slot_at(now), now).await {
            Ok(picks) if picks.is_empty() => {
                advice("catalogue", "nothing could be picked now; import comparisons with `verdicts catalog import`")
            }
            Ok(picks) => match self.storage.latest(1, now).await {
                Ok(latest) if latest.iter().any(|m| m.is_sample()) => {
                    advice("catalogue", "it is the sample with its invented tools; `verdicts catalog drop-sample` takes it out")
                }
                _ => good("catalogue", format!("{} comparisons could be picked now", picks.len())),
            },
            Err(failure) => fault("catalogue", failure.to_string()),
        }
    }

    async fn examine_list(&self) -> Finding {
        match self.storage.count_subscribers().await {
            Ok(counts) => {
                let active = counts.iter().find(|(state, _)| *state == SubscriberState::Active).map_or(0, |(_, count)| *count);
                if active == 0 {
                    advice("subscribers", "nobody is on the list yet")
                } else {
                    good("subscribers", format!("{active} are on the list"))
                }
            }
            Err(error) => fault("subscribers", error.advice()),
        }
    }

    async fn examine_secret(&self, database_usable: bool) -> Finding {
        let keys = self.secrets.key_names();
        let used = if database_usable { self.storage.suppression_keys().await.unwrap_or_default() } else { Vec::new() };
        let lost: u64 = used.iter().filter(|(name, _)| !keys.contains(name)).map(|(_, count)| count).sum();
        if lost > 0 {
            return fault(
                "secret",
                format!("{lost} suppressed addresses were hashed with a secret that is gone; put it back at the end of site.secret"),
            );
        }
        match (self.settings.site.secret.is_empty(), self.storage.is_postgres()) {
            (true, true) => {
                advice("secret", "it is kept in the database, so whoever reads a backup can sign links; set VERDICTS_SITE__SECRET instead")
            }
            (true, false) => good("secret", "it is kept in a file beside the database; keep that file in your backups"),
            (false, _) => good("secret", format!("{} set", keys.len())),
        }
    }

    /// Renders the mails as they are in this program: a digest of the sample, and the confirmation.
    fn examine_templates(&self) -> Finding {
        let rendered = || -> Result<usize, Failure> {
            let sample = super::catalogue::sample()?;
            let slot = Slot::of(self.now(), self.settings.site.timezone);
            let items = sample.comparisons.iter().take(1).filter_map(|comparison| {
                let side = |slug: &crate::domain::catalogue::Slug| {
                    let tool = sample.tools.iter().find(|tool| tool.slug == *slug)?.clone();
                    Some(crate::domain::catalogue::Contender { tool, votes: Default::default(), visitors: Default::default() })
                };
                let matchup = crate::domain::catalogue::Matchup {
                    left: side(&comparison.left)?,
                    right: side(&comparison.right)?,
                    comparison: comparison.clone(),
                };
                Some(crate::domain::digest::Item { matchup, score: 100.0, reasons: vec!["new this week".into()] })
            });
            let mail = email::digest(&self.site, &Content { slot, items: items.collect(), opening: Default::default() })?.mail;
            email::confirmation(&self.site, "3 days")?;
            Ok(mail.html.len())
        };
        match rendered() {
            Ok(size) => good("templates", format!("all mails render ({size} bytes of HTML for one comparison)")),
            Err(failure) => fault("templates", failure.to_string()),
        }
    }

    /// The digest that would go out now, or the sample's.
    async fn examine_next_digest(&self, database_usable: bool) -> Option<Finding> {
        if !database_usable {
            return None;
        }
        let now = self.now();
        let slot = self.slot_at(now);
        let rendered = match self.preview(slot, now).await {
            Ok(preview) => preview.rendered,
            // That nothing can be picked stands under "catalogue".
            Err(_) => return None,
        };
        Some(self.examine_digest(slot, &rendered, now).unwrap_or_else(|failure| fault("digest", failure.to_string())))
    }

    /// Each relay: whether it answers, takes our login, and keeps mail from strangers' eyes.
    async fn examine_relays(&self) -> Vec<Finding> {
        if self.transport().mailbox().is_some() {
            return vec![self.examine_transport(self.transport()).await];
        }
        let mut findings = Vec::new();
        for relay in self.settings.mail.relays_in_force() {
            findings.push(match self.transport_of(&relay.transport) {
                Ok(transport) => self.examine_transport(&transport).await,
                Err(failure) => fault("transport", failure.to_string()),
            });
            findings.extend(self.examine_encryption(&relay.transport).await);
        }
        findings
    }

    async fn examine_transport(&self, transport: &Transport) -> Finding {
        let described = transport.describe();
        match transport.connect(Fence::open()).await {
            Ok(connection) => {
                connection.close().await;
                match transport.mailbox() {
                    Some(_) => advice(
                        "transport",
                        format!("{described}: mails stay on this machine; set mail.transport to an SMTP server to really send"),
                    ),
                    None => good("transport", format!("{described} answers")),
                }
            }
            Err(problem) => fault("transport", problem.to_string()),
        }
    }

    fn transport_of(&self, relay: &str) -> Result<Transport, Failure> {
        let mail = &self.settings.mail;
        let limits = &mail.timeouts;
        let timeouts = Timeouts { connect: limits.connect, command: limits.command, data: limits.data, finish: limits.finish };
        let hello = mail.hello.as_deref().unwrap_or_else(|| self.settings.host());
        let limits = Limits { mails: 1, idle: limits.command };
        Transport::parse(relay, hello, timeouts, limits).map_err(|error| Failure::because(error.to_string()))
    }

    /// Over a line that others can read, and without a demand for TLS: whether the demand could be made.
    async fn examine_encryption(&self, transport: &str) -> Option<Finding> {
        let mut url = url::Url::parse(transport).ok()?;
        let demands = |url: &url::Url| url.query_pairs().any(|(key, value)| key == "tls" && value == "required" || key == "tls_ca");
        if url.scheme() == "smtps" || demands(&url) || url.host_str().is_none_or(is_near) {
            return None;
        }
        let port = url.port().unwrap_or(25);
        url.query_pairs_mut().clear().append_pair("tls", "required");
        // Without a port of its own it would be another one.
        let _ = url.set_port(Some(port));
        let words = match self.transport_of(url.as_str()).ok()?.connect(Fence::open()).await {
            Ok(connection) => {
                connection.close().await;
                "the server offers STARTTLS with a certificate that is trusted, and it is not asked for: set tls=required".into()
            }
            Err(problem) if problem.is_tls() => format!("mails may be read on their way to the server: {problem}"),
            Err(_) => return None,
        };
        Some(advice("tls", words))
    }

    pub(super) fn examine_base_url(&self) -> Finding {
        let base = self.settings.base_url();
        let local = matches!(self.settings.host(), "localhost" | "127.0.0.1" | "[::1]");
        match (self.settings.site.base_url.scheme() == "https", local, self.transport().mailbox().is_some()) {
            (true, false, _) => good("base_url", format!("links begin with {base}")),
            (_, true, false) => fault(
                "base_url",
                format!("links begin with {base}, which no reader can open; set site.base_url to the public https address"),
            ),
            (_, true, true) => advice("base_url", format!("links begin with {base}: fine on this machine only")),
            _ => fault("base_url", format!("{base} is not https: one-click unsubscribe (RFC 8058) needs it, and so do readers")),
        }
    }

    pub(super) fn examine_sender(&self) -> Finding {
        let host = self.message_id_host();
        if self.is_example() && self.transport().mailbox().is_none() {
            let words = format!("mail.from is {}, a name for examples; set it to an address of your domain", self.from.address());
            return if self.relays_are_near() { advice("sender", words) } else { fault("sender", words) };
        }
        match (host.contains('.'), self.transport().mailbox().is_some()) {
            (true, _) => good("sender", format!("mail comes from {}", self.from.address())),
            (false, true) => {
                advice("sender", format!("mail comes from {}; set mail.from to an address of your domain", self.from.address()))
            }
            (false, false) => fault(
                "sender",
                format!("mail.from is {}, which no server accepts; set it to an address of your domain", self.from.address()),
            ),
        }
    }

    fn examine_postal_address(&self) -> Finding {
        match &self.settings.mail.postal_address {
            Some(_) => good("postal_address", "is printed in every digest"),
            None => advice("postal_address", "is not set; many countries ask newsletters for one (mail.postal_address)"),
        }
    }
}
