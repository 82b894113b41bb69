//! `doctor`: looks at everything that must be right before a real send, and says how to mend what is not.

use std::time::Duration;

use tokio::time::Instant;
use tokio::time::timeout_at;

use crate::app::App;
use crate::app::Failure;
use crate::app::check_result::CheckResult;
use crate::app::check_result::Severity;
use crate::app::check_result::advice;
use crate::app::check_result::fault;
use crate::app::check_result::good;
use crate::app::delivery::process_name;
use crate::app::delivery::waiting::SKEW_MAX;
use crate::app::delivery::waiting::off_by;
use crate::config::relations;
use crate::domain::digest::DigestContent;
use crate::domain::pick_reason::PickReason;
use crate::domain::slot::Slot;
use crate::domain::subscriber::SubscriberState;
use crate::domain::webhook::Provider;
use crate::render::email;

/// Upper bound on `doctor`, with the opening of the database: somebody waits for it.
pub const DOCTOR_MAX: Duration = Duration::from_millis(9_500);
/// Upper bound on its looks at the network, which are all taken at once; each has limits of its own within it.
const NETWORK_MAX: Duration = Duration::from_secs(9);

/// Findings of a look, or that it was not over in time.
async fn in_time(
    ends_at: Instant,
    what: &'static str,
    look: impl Future<Output = Vec<CheckResult>>,
) -> Vec<CheckResult> {
    let late = |_| {
        vec![advice(
            what,
            "could not be looked at: names were not resolved, or hosts did not answer, in the time that was left",
        )]
    };
    timeout_at(ends_at, look).await.unwrap_or_else(late)
}

impl App {
    /// Looks at the database, the secret, the templates, and at all that a send looks at before it begins.
    pub async fn examine(&self) -> Vec<CheckResult> {
        self.examine_within(DOCTOR_MAX).await
    }

    /// The same within that time, whatever name servers and other hosts do: what was not answered by then is called that.
    pub async fn examine_within(&self, limit: Duration) -> Vec<CheckResult> {
        let ends_at = Instant::now() + limit;
        let mut findings = vec![good(
            "settings",
            "every key is known, every value fits, and the time limits fit one another",
        )];
        findings.extend(
            relations::advice(&self.settings)
                .into_iter()
                .map(|words| advice("settings", words)),
        );
        let database = self.examine_database().await;
        let usable = database.level == Severity::Good;
        findings.push(database);
        findings.extend(self.examine_session().await);
        if usable {
            findings.push(self.examine_catalogue().await);
            findings.push(self.examine_list().await);
            findings.push(self.examine_bounces().await);
            findings.push(self.examine_kept().await);
            findings.extend(self.examine_backup().await);
            findings.push(self.examine_stall().await);
            findings.extend(self.examine_schedule().await);
            findings.extend(self.examine_clocks().await);
        }
        findings.push(self.examine_secret(usable).await);
        findings.extend(self.examine_proxies(usable).await);
        findings.push(self.examine_templates());
        findings.push(self.examine_time_zones());
        findings.extend(self.examine_compiled_data());
        let now = self.now();
        let slot = self.slot_at(now);
        // That nothing can be picked stands under "catalogue".
        let next = if usable {
            self.preview(slot, now).await.ok()
        } else {
            None
        };
        // All ask the network, and none waits for another.
        let rendered = next.as_ref().map(|preview| &preview.rendered);
        let ends_at = ends_at.min(Instant::now() + NETWORK_MAX);
        let (sending, returns, addresses, providers) = tokio::join!(
            in_time(ends_at, "sending", self.examine_sending(slot, rendered)),
            in_time(ends_at, "inbox", async {
                self.examine_returns().await.into_iter().collect()
            }),
            in_time(ends_at, "addresses", self.examine_addresses()),
            in_time(ends_at, "providers", self.examine_providers()),
        );
        findings.extend(sending);
        if usable && let Ok(edition) = self.edition(slot, now).await {
            let subject = rendered.map_or("", |mail| mail.subject.as_str());
            findings.extend(self.examine_text(&edition.content, subject).await);
            findings.push(
                self.examine_links(&edition.content, &edition.left_out)
                    .await,
            );
        }
        findings.extend(self.examine_webhooks());
        findings.extend(returns.into_iter().chain(addresses).chain(providers));
        if usable {
            findings.extend(self.examine_unmatched().await);
        }
        findings
    }

    /// Providers with whom users of the desk sign in.
    async fn examine_providers(&self) -> Vec<CheckResult> {
        let looks = self.look_at_providers().await;
        let finding = |(name, look): (String, Result<String, String>)| match look {
            Ok(words) => good("providers", format!("{name} {words}")),
            Err(why) => fault(
                "providers",
                format!("{name} cannot be used to sign in (desk.oidc): {why}"),
            ),
        };
        looks.into_iter().map(finding).collect()
    }

    async fn examine_database(&self) -> CheckResult {
        match self.storage.is_up_to_date().await {
            Ok(true) => good(
                "database",
                format!(
                    "{} answers, its tables are up to date",
                    self.settings.database.url.shown()
                ),
            ),
            Ok(false) if !self.storage.is_postgres() => advice(
                "database",
                "its tables are missing or old; `verdicts serve` brings them up to date",
            ),
            Ok(false) => fault(
                "database",
                "its tables are missing or too old; run `verdicts migrate`",
            ),
            Err(error) => fault("database", error.advice()),
        }
    }

    /// On PostgreSQL, what a session works with, whatever the server's defaults are.
    async fn examine_session(&self) -> Option<CheckResult> {
        let facts = self.storage.session_facts().await.ok().flatten()?;
        let words = format!("{}, {}", facts.encoding, facts.isolation);
        Some(match facts.schema {
            Some(schema) => good("session", format!("{words}, tables in the schema {schema}")),
            None => fault(
                "session",
                format!(
                    "{words}, and search_path names no schema that exists: alter role ... set search_path to one that does"
                ),
            ),
        })
    }

    async fn examine_catalogue(&self) -> CheckResult {
        let now = self.now();
        match self.picks_at(now).await {
            Ok(picks) if picks.is_empty() => advice(
                "catalogue",
                "nothing could be picked now; import comparisons with `verdicts catalog import`",
            ),
            Ok(picks) => match self.storage.latest(1, now).await {
                Ok(latest) if latest.iter().any(|m| m.is_sample()) => advice(
                    "catalogue",
                    "it is the sample with its invented tools; `verdicts catalog drop-sample` takes it out",
                ),
                _ => good(
                    "catalogue",
                    format!("{} comparisons could be picked now", picks.len()),
                ),
            },
            Err(failure) => fault("catalogue", failure.to_string()),
        }
    }

    async fn examine_list(&self) -> CheckResult {
        match self.storage.count_subscribers().await {
            Ok(counts) => {
                let active = counts
                    .iter()
                    .find(|(state, _)| *state == SubscriberState::Active)
                    .map_or(0, |(_, count)| *count);
                if active == 0 {
                    advice("subscribers", "nobody is on the list yet")
                } else {
                    good("subscribers", format!("{active} are on the list"))
                }
            }
            Err(error) => fault("subscribers", error.advice()),
        }
    }

    /// Returns what the brake holds.
    async fn examine_bounces(&self) -> CheckResult {
        match self.held_refusals(None).await {
            Ok(held) => match held.first() {
                None => good("bounces", "no hard refusals are held"),
                Some(most) => {
                    let more = if held.len() > 1 {
                        format!(" (and {} more)", held.len() - 1)
                    } else {
                        String::new()
                    };
                    let to_do =
                        "look at them with `verdicts bounces list`, then accept or dismiss them";
                    advice(
                        "bounces",
                        format!("hard refusals are held, {to_do}: {}{more}", most.summary()),
                    )
                }
            },
            Err(failure) => fault("bounces", failure.to_string()),
        }
    }

    /// Checks whether mail that is due goes out.
    async fn examine_stall(&self) -> CheckResult {
        match self.stall().await {
            Ok(None) => good("sending", "no mail waits that is due"),
            Ok(Some(stall)) => advice("sending", self.stall_in_words(&stall)),
            Err(failure) => fault("sending", failure.to_string()),
        }
    }

    /// Digests that were missed, and times of the schedule that nothing comes of.
    async fn examine_schedule(&self) -> Vec<CheckResult> {
        let missed = match self.missed_digests().await {
            Ok(missed) => missed,
            Err(failure) => return vec![fault("schedule", failure.to_string())],
        };
        let missed = missed
            .iter()
            .map(|missed| advice("schedule", self.missed_in_words(missed)));
        let mut findings: Vec<CheckResult> = missed
            .chain(
                self.unused_times()
                    .into_iter()
                    .map(|words| advice("schedule", words)),
            )
            .collect();
        if findings.is_empty() {
            findings.push(good("schedule", "no digest was missed"));
        }
        findings
    }

    /// On PostgreSQL, how far clocks are off: this machine's, and those of the processes that send.
    async fn examine_clocks(&self) -> Option<CheckResult> {
        let own = self
            .storage
            .clock_skew(|| self.now())
            .await
            .ok()
            .flatten()?;
        let mut off = Vec::new();
        if own.ahead.abs() - own.error > SKEW_MAX {
            off.push(off_by("this machine's clock", own.ahead));
        }
        let others = self
            .storage
            .deliverers(self.now())
            .await
            .unwrap_or_default();
        let others = others
            .iter()
            .filter(|other| other.process != process_name());
        off.extend(
            others
                .filter_map(|other| other.ahead)
                .filter(|ahead| ahead.abs() > SKEW_MAX)
                .map(|ahead| off_by("the clock of a process that sends", ahead)),
        );
        Some(match off.is_empty() {
            true => good(
                "clock",
                format!(
                    "agrees with the database's to {} ms",
                    own.ahead.abs().max(own.error).num_milliseconds()
                ),
            ),
            false => advice("clock", off.join("; ")),
        })
    }

    async fn examine_secret(&self, database_usable: bool) -> CheckResult {
        let keys = self.secrets.key_names();
        let used = if database_usable {
            self.storage.suppression_keys().await.unwrap_or_default()
        } else {
            Vec::new()
        };
        let lost: u64 = used
            .iter()
            .filter(|(name, _)| !keys.contains(name))
            .map(|(_, count)| count)
            .sum();
        if lost > 0 {
            return fault(
                "secret",
                format!(
                    "{lost} suppressed addresses were hashed with a secret that is gone; put it back at the end of site.secret"
                ),
            );
        }
        match (
            self.settings.site.secret.is_empty(),
            self.storage.is_postgres(),
        ) {
            (true, true) => advice(
                "secret",
                "it is kept in the database, so whoever reads a backup can sign links; set VERDICTS_SITE__SECRET instead",
            ),
            (true, false) => good(
                "secret",
                "it is kept in a file beside the database; keep that file in your backups",
            ),
            (false, _) => good("secret", format!("{} set", keys.len())),
        }
    }

    /// Renders the mails as they are in this program: a digest of the sample, and the confirmation.
    fn examine_templates(&self) -> CheckResult {
        let rendered = || -> Result<usize, Failure> {
            let sample = crate::app::catalogue::sample()?;
            let slot = Slot::of(self.now(), &self.site.timezone);
            let items = sample.comparisons.iter().take(1).filter_map(|comparison| {
                let side = |slug: &crate::domain::catalogue::Slug| {
                    let tool = sample.tools.iter().find(|tool| tool.slug == *slug)?.clone();
                    Some(crate::domain::catalogue::RatedTool {
                        tool,
                        votes: Default::default(),
                        visitors: Default::default(),
                    })
                };
                let matchup = crate::domain::catalogue::RatedComparison {
                    left: side(&comparison.left)?,
                    right: side(&comparison.right)?,
                    comparison: comparison.clone(),
                };
                Some(crate::domain::digest::DigestItem {
                    matchup,
                    score: 100.0,
                    reasons: vec![PickReason::NewThisWeek],
                })
            });
            let mail = email::digest(
                &self.site,
                &DigestContent {
                    slot,
                    items: items.collect(),
                    opening: Default::default(),
                    text: Default::default(),
                    corrections: Vec::new(),
                },
            )?
            .mail;
            email::confirmation(&self.site, "3 days", false)?;
            Ok(mail.html.len())
        };
        match rendered() {
            Ok(size) => good(
                "templates",
                format!("all mails render ({size} bytes of HTML for one comparison)"),
            ),
            Err(failure) => fault("templates", failure.to_string()),
        }
    }

    /// Those that are open: the address to give the provider.
    fn examine_webhooks(&self) -> Vec<CheckResult> {
        let keys = |provider: Provider| self.settings.webhooks_in.keys(provider).len();
        let open = Provider::ALL.iter().filter(|provider| keys(**provider) > 0);
        let said = |provider: &Provider| {
            let address = format!("{}/webhooks/{provider}", self.settings.base_url());
            match self.settings.site.base_url.scheme() {
                "https" => good(
                    "webhooks",
                    format!(
                        "{provider} tells of bounces at {address} (keys: {})",
                        keys(*provider)
                    ),
                ),
                _ => advice(
                    "webhooks",
                    format!(
                        "{provider} tells of bounces at {address}, which is not https: it can be read on its way"
                    ),
                ),
            }
        };
        open.map(said).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limits_of_the_looks_fit_into_ten_seconds() {
        let looks = [
            crate::mail::STANDING_MAX * 2,
            crate::app::returns::mailbox::LOOK,
            crate::app::checks::relay_checks::LONGEST_LOOK,
        ];
        assert!(looks.iter().all(|look| *look < NETWORK_MAX), "{looks:?}");
        assert!(NETWORK_MAX < DOCTOR_MAX && DOCTOR_MAX < Duration::from_secs(10));
    }

    #[tokio::test(start_paused = true)]
    async fn a_look_that_never_ends_is_named() {
        let began = Instant::now();
        let found = in_time(began + DOCTOR_MAX, "sending", std::future::pending()).await;
        assert!(
            found[0].words.contains("could not be looked at") && found[0].level == Severity::Advice
        );
        assert_eq!(began.elapsed(), DOCTOR_MAX);
    }
}
