//! `doctor`: looks at everything that must be right before a real send, and says how to mend what is not.

use super::App;
use super::Failure;
use crate::domain::digest::Content;
use crate::domain::slot::Slot;
use crate::domain::subscriber::SubscriberState;
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

fn good(what: &'static str, words: impl Into<String>) -> Finding {
    Finding { what, level: Level::Good, words: words.into() }
}

fn advice(what: &'static str, words: impl Into<String>) -> Finding {
    Finding { what, level: Level::Advice, words: words.into() }
}

fn fault(what: &'static str, words: impl Into<String>) -> Finding {
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
        findings.push(self.examine_transport().await);
        findings.push(self.examine_base_url());
        findings.push(self.examine_sender());
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
            let mail = email::digest(&self.site, &Content { slot, items: items.collect() })?;
            email::confirmation(&self.site, "3 days")?;
            Ok(mail.html.len())
        };
        match rendered() {
            Ok(size) => good("templates", format!("all mails render ({size} bytes of HTML for one comparison)")),
            Err(failure) => fault("templates", failure.to_string()),
        }
    }

    async fn examine_transport(&self) -> Finding {
        let described = self.transport.describe();
        match self.transport.connect().await {
            Ok(connection) => {
                connection.close().await;
                match self.transport.mailbox() {
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

    fn examine_base_url(&self) -> Finding {
        let base = self.settings.base_url();
        let local = matches!(self.settings.host(), "localhost" | "127.0.0.1" | "[::1]");
        match (self.settings.site.base_url.scheme() == "https", local, self.transport.mailbox().is_some()) {
            (true, false, _) => good("base_url", format!("links begin with {base}")),
            (_, true, false) => fault(
                "base_url",
                format!("links begin with {base}, which no reader can open; set site.base_url to the public https address"),
            ),
            (_, true, true) => advice("base_url", format!("links begin with {base}: fine on this machine only")),
            _ => fault("base_url", format!("{base} is not https: one-click unsubscribe (RFC 8058) needs it, and so do readers")),
        }
    }

    fn examine_sender(&self) -> Finding {
        let host = self.message_id_host();
        match (host.contains('.'), self.transport.mailbox().is_some()) {
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
