//! Relays as a publisher looks at them: state in each process that sends, today's use, warm-up, the last reply; and a trial by hand.

use std::sync::PoisonError;

use serde::Deserialize;
use serde::Serialize;
use tokio::time::Instant;

use super::relay::Relay;
use crate::app::App;
use crate::app::Failure;
use crate::domain::Timestamp;
use crate::domain::actor::Actor;
use crate::domain::limits::day_of;

/// A process's relay, as it is written down every few seconds. Names here are in the database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelayInProcess {
    /// Its name.
    pub name: String,
    /// Connections that are made.
    pub connections: usize,
    /// Those of them that have a mail out.
    pub sending: usize,
    /// Fault that opened its breaker, while that is not closed.
    pub trouble: Option<String>,
    /// Time until which it rests.
    pub until: Option<Timestamp>,
    /// Its last reply, without addresses, and when it came.
    pub last_reply: Option<(Timestamp, String)>,
}

/// A relay, of all processes. Names here are promised to scripts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RelayReport {
    /// Its name.
    pub name: String,
    /// Mails that it was given today (UTC).
    pub used_today: u64,
    /// Mails that it may be given today; none: any number.
    pub limit_today: Option<u64>,
    /// Day of its warm-up with the number of days; none: there is none, or it is over.
    pub warm_up_day: Option<(i64, u32)>,
    /// Its state in each process that sends.
    pub processes: Vec<RelayInProcess>,
    /// Time when somebody last asked that it be tried.
    pub asked_at: Option<Timestamp>,
}

impl RelayReport {
    /// Fault that opened its breaker in some process.
    pub fn trouble(&self) -> Option<&RelayInProcess> {
        self.processes
            .iter()
            .find(|process| process.trouble.is_some())
    }

    /// Its newest reply in any process.
    pub fn last_reply(&self) -> Option<&(Timestamp, String)> {
        self.processes
            .iter()
            .filter_map(|process| process.last_reply.as_ref())
            .max_by_key(|(at, _)| *at)
    }
}

impl Relay {
    /// Keeps what it answered: each refusal, and of mails that it took about one a second.
    pub fn note_reply(&self, reply: &str, is_taken: bool, now: Timestamp) {
        let mut last = self
            .last_reply
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let is_recent = last
            .as_ref()
            .is_some_and(|(at, _)| (now - *at).num_milliseconds().abs() < 1_000);
        if !is_taken || !is_recent {
            *last = Some((now, without_addresses(reply)));
        }
    }

    /// Its state in this process.
    fn in_process(&self, app: &App) -> RelayInProcess {
        let snapshot = app.sending.get();
        let relay = snapshot
            .as_ref()
            .and_then(|snapshot| snapshot.relays.iter().find(|relay| relay.name == self.name));
        let breaker = self.memory().breaker;
        let last_reply = self
            .last_reply
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        RelayInProcess {
            name: self.name.clone(),
            connections: relay.map_or(0, |relay| relay.connected),
            sending: relay.map_or(0, |relay| relay.sending),
            trouble: breaker.trouble().map(without_addresses),
            until: breaker
                .rests_until(Instant::now())
                .map(|left| app.now() + left),
            last_reply,
        }
    }
}

/// A reply without the addresses in it, and no longer than a line.
fn without_addresses(reply: &str) -> String {
    let words = reply
        .split_whitespace()
        .map(|word| match word.contains('@') {
            true => "<...>",
            false => word,
        });
    words
        .collect::<Vec<_>>()
        .join(" ")
        .chars()
        .take(300)
        .collect()
}

impl App {
    /// The relays of this process, for others to read.
    pub(in crate::app) fn relays_in_process(&self) -> String {
        let relays: Vec<RelayInProcess> = self
            .relays
            .iter()
            .map(|relay| relay.in_process(self))
            .collect();
        serde_json::to_string(&relays).unwrap_or_else(|_| "[]".into())
    }

    /// The relays of the settings, with what all processes say of them.
    pub async fn relay_reports(&self) -> Result<Vec<RelayReport>, Failure> {
        let now = self.now();
        let deliverers = self.storage.deliverers(now).await?;
        let said: Vec<RelayInProcess> = deliverers
            .iter()
            .filter_map(|process| serde_json::from_str::<Vec<RelayInProcess>>(&process.relays).ok())
            .flatten()
            .collect();
        let today = day_of(now);
        let mut reports = Vec::new();
        for relay in &self.relays {
            let used = self.storage.relay_use(&relay.name, today).await?;
            reports.push(RelayReport {
                name: relay.name.clone(),
                used_today: used.begun,
                limit_today: relay.allowed(used.first_day, today),
                warm_up_day: relay.warm_up_day(used.first_day, today),
                processes: said
                    .iter()
                    .filter(|process| process.name == relay.name)
                    .cloned()
                    .collect(),
                asked_at: self.storage.relay_trial(&relay.name).await?,
            });
        }
        Ok(reports)
    }

    /// Asks each process that sends to try a relay now whose breaker is open: one mail goes out, and if the relay takes it, so do the others.
    ///
    /// # Errors
    /// A sentence if the settings name no such relay.
    pub async fn try_relay(&self, actor: &Actor, name: &str) -> Result<(), Failure> {
        if !self.relays.iter().any(|relay| relay.name == name) {
            let names: Vec<&str> = self
                .relays
                .iter()
                .map(|relay| relay.name.as_str())
                .collect();
            return Err(Failure::not_found(format!(
                "There is no relay {name}; the settings name {}.",
                names.join(", ")
            )));
        }
        self.storage
            .ask_relay_trial(actor, name, self.now())
            .await?;
        self.heed_trials().await?;
        self.wake_senders();
        Ok(())
    }

    /// Ends the pause of each relay that somebody asked to be tried since the last look.
    pub(in crate::app) async fn heed_trials(&self) -> Result<(), Failure> {
        for relay in &self.relays {
            if relay.memory().breaker.trouble().is_none() {
                continue;
            }
            if let Some(asked) = self.storage.relay_trial(&relay.name).await?
                && relay.heed_trial(asked)
            {
                tracing::info!(
                    relay = relay.name,
                    "somebody asks that the relay be tried now"
                );
            }
        }
        Ok(())
    }
}
