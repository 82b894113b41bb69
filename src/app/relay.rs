//! A relay: one way out, and how much it bears.

use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use super::App;
use super::Failure;
use super::breaker::Breaker;
use super::breaker::Standing;
use super::pace::Pace;
use crate::config;
use crate::domain::Timestamp;
use crate::domain::delivery::Outcome;
use crate::domain::limits::WarmUp;
use crate::domain::limits::Window;
use crate::domain::limits::allowance;
use crate::domain::limits::day_of;
use crate::mail::Transport;

/// What a process knows of one of `[[mail.relays]]`, or of the one that `mail.transport` names.
pub(crate) struct Relay {
    /// How it is called in the ledger.
    pub name: String,
    pub transport: Transport,
    /// Its share, against the weights of the others.
    pub weight: u32,
    /// The most connections to it.
    pub connections: usize,
    pub pace: Pace,
    pub breaker: Breaker,
    per_day: u64,
    warm_up: WarmUp,
    state: Mutex<State>,
}

struct State {
    window: Window,
    /// The day for which nothing is left of its allowance.
    spent: Option<i64>,
    /// What was found wrong with it, and when.
    fault: Option<(Timestamp, String)>,
}

impl Relay {
    pub fn new(settings: &config::Relay, transport: Transport) -> Self {
        Self {
            name: settings.name.clone(),
            transport,
            weight: settings.weight,
            connections: settings.connections,
            pace: Pace::new(settings.rate_per_second),
            breaker: Breaker::default(),
            per_day: settings.per_day,
            warm_up: settings.warm_up,
            state: Mutex::new(State { window: Window::new(settings.connections), spent: None, fault: None }),
        }
    }

    /// How many connections it bears at the moment.
    pub fn window(&self) -> usize {
        self.state().window.connections()
    }

    /// How many connections a round may open to it now: none while the breaker is open or its day's allowance is spent, one
    /// to try whether it takes mail again.
    pub fn crew(&self, now: Timestamp) -> usize {
        match self.breaker.standing() {
            _ if self.is_spent(now) => 0,
            Standing::Open(_) => 0,
            Standing::Probing => 1,
            Standing::Closed => self.window(),
        }
    }

    /// Takes note of what became of a mail. One that was throttled is slowed down for; where the last connection left is
    /// throttled too, the breaker rests it for a while.
    pub fn note(&self, outcome: &Outcome, now: Timestamp) {
        match outcome {
            Outcome::Accepted { .. } => self.state().window.on_accepted(),
            Outcome::Throttled { reply } => return self.slow_down(reply, now),
            _ => {}
        }
        self.breaker.note(outcome);
    }

    /// The far end says that this is too much.
    pub fn slow_down(&self, reply: &str, now: Timestamp) {
        let mut state = self.state();
        let before = state.window.connections();
        if !state.window.on_throttled(now) {
            return;
        }
        let connections = state.window.connections();
        drop(state);
        tracing::info!(relay = self.name, reply, connections, "throttled: over to fewer connections");
        if before == 1 {
            self.breaker.rest(reply);
        }
    }

    /// Whether it may be given only so many mails a day.
    pub fn is_limited_by_day(&self) -> bool {
        self.per_day > 0 || self.warm_up.start > 0
    }

    /// Whether it takes no more today.
    pub fn is_spent(&self, now: Timestamp) -> bool {
        self.state().spent == Some(day_of(now))
    }

    /// What was found wrong with it after `since`.
    pub fn known_fault(&self, since: Timestamp) -> Option<String> {
        self.state().fault.as_ref().filter(|(at, _)| *at > since).map(|(_, words)| words.clone())
    }

    /// Something is wrong with it that stays so until somebody mends it.
    pub fn note_fault(&self, words: String, now: Timestamp) {
        self.state().fault = Some((now, words));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl App {
    /// Takes up to `wanted` mails out of what a relay may be given today; `None` where there is no limit.
    pub(crate) async fn take_from_day(&self, relay: &Relay, wanted: u64) -> Result<Option<u64>, Failure> {
        if !relay.is_limited_by_day() {
            return Ok(None);
        }
        let today = day_of(self.now());
        let used = self.storage.relay_use(&relay.name, today).await?;
        let Some(allowed) = allowance(relay.warm_up, relay.per_day, used.first_day, today) else { return Ok(None) };
        let taken = self.storage.take_from_day(&relay.name, today, wanted, allowed).await?;
        if taken == 0 {
            relay.state().spent = Some(today);
            tracing::info!(relay = relay.name, allowed, "the day's allowance is spent: it goes on tomorrow (UTC)");
        }
        Ok(Some(taken))
    }

    /// Gives back what was taken from a relay's day and not used.
    pub(crate) async fn give_back_to_day(&self, relay: &Relay, count: u64) {
        if count > 0
            && let Err(error) = self.storage.give_back_to_day(&relay.name, day_of(self.now()), count).await
        {
            tracing::warn!(%error, relay = relay.name, count, "mails of the day's allowance are lost");
        }
    }

    /// What keeps mail from going out, in plain words; empty as long as one relay takes some.
    pub(crate) fn trouble(&self) -> Option<String> {
        let now = self.now();
        if self.relays.iter().any(|relay| !relay.is_spent(now) && relay.breaker.trouble().is_none()) {
            return None;
        }
        let named = |relay: &Relay| {
            let words = relay.breaker.trouble().unwrap_or_else(|| "the day's allowance is spent; it goes on tomorrow (UTC)".into());
            if self.relays.len() == 1 { words } else { format!("{}: {words}", relay.name) }
        };
        Some(self.relays.iter().map(|relay| named(relay)).collect::<Vec<_>>().join("; "))
    }
}
