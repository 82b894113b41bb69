//! A relay: one way out, its terms, and what a process remembers of it between send runs.

use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use chrono::TimeDelta;
use tokio::time::Instant;

use crate::app::App;
use crate::app::Failure;
use crate::app::delivery::breaker::Breaker;
use crate::app::delivery::breaker::Permit;
use crate::config;
use crate::domain::Timestamp;
use crate::domain::delivery::MailClass;
use crate::domain::limits::ConcurrencyLimit;
use crate::domain::limits::WarmUp;
use crate::domain::limits::allowance;
use crate::domain::limits::day_of;
use crate::domain::limits::digest_share;
use crate::domain::limits::start_of;
use crate::domain::waiting::Wait;
use crate::domain::waiting::WaitReason;
use crate::mail::Transport;

/// One of `[[mail.relays]]`, or the one that `mail.transport` names.
pub(crate) struct Relay {
    /// Its name in the ledger.
    pub name: String,
    pub transport: Transport,
    /// Its share, against the weights of the others.
    pub weight: u32,
    /// The most connections to it.
    pub connections: usize,
    /// Mails a second; 0: no limit.
    pub rate_per_second: u32,
    per_day: u64,
    warm_up: WarmUp,
    /// Per cent of a day's allowance that digests leave to transactional mail.
    transactional_share: u32,
    memory: Mutex<RelayMemory>,
    /// Fault that was found with it, and when.
    fault: Mutex<Option<(Timestamp, String)>>,
    /// Its last reply, and when it came.
    pub(super) last_reply: Mutex<Option<(Timestamp, String)>>,
    /// Time of the last request to try it that was heeded, and whether the send run still has to.
    trial: Mutex<(Option<Timestamp>, bool)>,
}

/// Memory of a relay: a send run begins with it and keeps it up to date.
#[derive(Debug, Clone)]
pub(crate) struct RelayMemory {
    pub breaker: Breaker,
    /// Number of connections that it bears (AIMD).
    pub limit: ConcurrencyLimit,
    /// The day (UTC) for which nothing is left of its allowance, by class (see [`class_index`]).
    pub spent_on: [Option<i64>; 2],
    /// By class: the relay announced a `SIZE` that is smaller than a mail of it.
    pub too_large: [Option<TooLarge>; 2],
    /// True if what opened the breaker was a reply of the relay that says that it is for now (4xx).
    pub asks_for_patience: bool,
}

/// A mail that is larger than its relay takes.
#[derive(Debug, Clone)]
pub(crate) struct TooLarge {
    /// Nothing of its class is tried before.
    pub until: Instant,
    /// In words, with both sizes.
    pub trouble: String,
}

/// A class's place where each has its own.
pub(crate) fn class_index(class: MailClass) -> usize {
    match class {
        MailClass::Transactional => 0,
        MailClass::Digest => 1,
    }
}

impl Relay {
    pub fn new(settings: &config::RelaySettings, transport: Transport) -> Self {
        let memory = RelayMemory::new(settings.connections, settings.pause);
        Self {
            name: settings.name.clone(),
            transport,
            weight: settings.weight,
            connections: settings.connections,
            rate_per_second: settings.rate_per_second,
            per_day: settings.per_day,
            warm_up: settings.warm_up,
            transactional_share: settings.transactional_share,
            memory: Mutex::new(memory),
            fault: Mutex::new(None),
            last_reply: Mutex::new(None),
            trial: Mutex::new((None, false)),
        }
    }

    /// Returns what was learned of it.
    pub fn memory(&self) -> RelayMemory {
        self.remembered().clone()
    }

    /// Keeps what a send run learned.
    pub fn remember(&self, memory: RelayMemory) {
        *self.remembered() = memory;
    }

    /// Returns whether it may be given only a number of mails a day.
    pub fn is_limited_by_day(&self) -> bool {
        self.per_day > 0 || self.warm_up.start > 0
    }

    /// Returns whether mail of that class could go out over it now: the breaker lets at least a probe through, and the day has room.
    pub fn may_send(&self, class: MailClass, now: Timestamp) -> bool {
        let memory = self.remembered();
        memory.spent_on[class_index(class)] != Some(day_of(now))
            && memory.too_large(class, Instant::now()).is_none()
            && !matches!(memory.breaker.permit(Instant::now()), Permit::Nothing(_))
    }

    /// Returns whether it is paused because it said itself that it takes nothing for now (4xx).
    pub fn asks_for_patience(&self) -> bool {
        self.remembered().is_asked_for_patience()
    }

    /// Returns what keeps mail from going out over it, in plain words.
    pub fn trouble(&self, now: Timestamp) -> Option<String> {
        let memory = self.remembered();
        let is_spent = memory.spent_on[class_index(MailClass::Digest)] == Some(day_of(now));
        let spent = || {
            is_spent.then(|| "the day's allowance is spent; it goes on tomorrow (UTC)".to_owned())
        };
        let too_large = || {
            memory
                .too_large(MailClass::Digest, Instant::now())
                .map(|known| known.trouble.clone())
        };
        memory
            .breaker
            .trouble()
            .map(str::to_owned)
            .or_else(too_large)
            .or_else(spent)
    }

    /// Returns what mail of a class waits for at this relay, as far as is known between send runs.
    pub fn wait(&self, class: MailClass, now: Timestamp) -> Option<Wait> {
        let memory = self.remembered();
        let relay = Some(self.name.clone());
        if memory.spent_on[class_index(class)] == Some(day_of(now)) {
            let until = Some(start_of(day_of(now) + 1));
            return Some(Wait {
                relay,
                class: Some(class),
                until,
                ..Wait::new(WaitReason::DaySpent)
            });
        }
        let instant = Instant::now();
        let wall = |at: Instant| {
            at.checked_duration_since(instant)
                .and_then(|pause| TimeDelta::from_std(pause).ok())
                .map(|pause| now + pause)
        };
        // Its time may be over: then it is just being tried again.
        if let Some(TooLarge { until, trouble }) = &memory.too_large[class_index(class)] {
            let (until, detail) = (wall(*until), Some(trouble.clone()));
            return Some(Wait {
                relay,
                class: Some(class),
                detail,
                until,
                ..Wait::new(WaitReason::MailTooLarge)
            });
        }
        let detail = memory.breaker.trouble().map(str::to_owned);
        let until = match memory.breaker.permit(instant) {
            Permit::All => return None,
            Permit::Nothing(until) => wall(until),
            Permit::Probe | Permit::Probing => None,
        };
        Some(Wait {
            relay,
            detail,
            until,
            ..Wait::new(WaitReason::RelayPaused)
        })
    }

    /// Returns how many mails of a class all processes together may give it on a day of which its first one was `first_day`; `None`: any number.
    fn allowance(&self, class: MailClass, first_day: Option<i64>, day: i64) -> Option<u64> {
        let allowed = allowance(self.warm_up, self.per_day, first_day, day)?;
        Some(if class == MailClass::Digest {
            digest_share(allowed, self.transactional_share)
        } else {
            allowed
        })
    }

    /// Returns what was found wrong with it after `since`.
    pub fn known_fault(&self, since: Timestamp) -> Option<String> {
        self.fault
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .as_ref()
            .filter(|(at, _)| *at > since)
            .map(|(_, words)| words.clone())
    }

    /// Mails that it may be given on a day, if that is limited; `first_day`: of its use.
    pub fn allowed(&self, first_day: Option<i64>, today: i64) -> Option<u64> {
        allowance(self.warm_up, self.per_day, first_day, today)
    }

    /// Day of its warm-up on `today`, from 1 on, and how many there are; `None`: there is none, or it is over.
    pub fn warm_up_day(&self, first_day: Option<i64>, today: i64) -> Option<(i64, u32)> {
        let day = today.saturating_sub(first_day.unwrap_or(today)).max(0) + 1;
        (self.warm_up.start > 0 && day <= i64::from(self.warm_up.days))
            .then_some((day, self.warm_up.days))
    }

    /// Ends its pause, if the request to try it is a new one.
    pub fn heed_trial(&self, asked_at: Timestamp) -> bool {
        let mut trial = self.trial.lock().unwrap_or_else(PoisonError::into_inner);
        if trial.0.is_some_and(|heeded| heeded >= asked_at) {
            return false;
        }
        *trial = (Some(asked_at), true);
        self.remembered().breaker.try_now(Instant::now());
        true
    }

    /// Returns whether a send run that is under way has to try it now; said once.
    pub fn take_trial(&self) -> bool {
        let mut trial = self.trial.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut trial.1)
    }

    /// Something is wrong with it that stays so until somebody mends it.
    pub fn note_fault(&self, words: String, now: Timestamp) {
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, words));
    }

    fn remembered(&self) -> MutexGuard<'_, RelayMemory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RelayMemory {
    /// Memory of a relay that was not tried yet, with its most connections.
    pub fn new(connections: usize, pause: config::PauseSettings) -> Self {
        Self {
            breaker: Breaker::new(pause),
            limit: ConcurrencyLimit::new(connections),
            spent_on: [None; 2],
            too_large: [None, None],
            asks_for_patience: false,
        }
    }

    /// Returns whether it is paused because it said itself that it takes nothing for now (4xx).
    pub fn is_asked_for_patience(&self) -> bool {
        self.asks_for_patience && self.breaker.trouble().is_some()
    }

    /// Returns why no mail of a class is tried now, if one of it was larger than the relay takes.
    pub fn too_large(&self, class: MailClass, now: Instant) -> Option<&TooLarge> {
        self.too_large[class_index(class)]
            .as_ref()
            .filter(|known| known.until > now)
    }
}

/// The last day of a send that takes more than one, for its relays' allowances are spent before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastDay {
    /// Its beginning.
    pub from: Timestamp,
    /// Number of mails that are left for it.
    pub mails: u64,
}

/// Days that are looked ahead.
const DAYS_MAX: i64 = 3_650;

impl App {
    /// Returns when the allowances of the days let the last of so many digest mails go out; `None`: today, as far as they matter.
    pub(crate) async fn last_day_of(&self, mails: u64) -> Result<Option<LastDay>, Failure> {
        let today = day_of(self.now());
        let mut used = Vec::new();
        for relay in &self.relays {
            used.push((relay, self.storage.relay_use(&relay.name, today).await?));
        }
        let mut left = mails;
        for day in today..today + DAYS_MAX {
            let mut room = Some(0_u64);
            for (relay, used) in &used {
                let begun = if day == today { used.begun } else { 0 };
                let allowed =
                    relay.allowance(MailClass::Digest, used.first_day.or(Some(today)), day);
                room = room
                    .zip(allowed)
                    .map(|(room, allowed)| room + allowed.saturating_sub(begun));
            }
            if room.is_none_or(|room| room >= left) {
                return Ok((day > today).then_some(LastDay {
                    from: start_of(day),
                    mails: left,
                }));
            }
            left -= room.unwrap_or(0);
        }
        Ok(None)
    }

    /// Returns whether each relay's allowance for today is spent: then nothing goes out before midnight (UTC).
    pub(crate) async fn is_day_spent(&self) -> Result<bool, Failure> {
        let today = day_of(self.now());
        for relay in &self.relays {
            if !relay.is_limited_by_day() {
                return Ok(false);
            }
            let used = self.storage.relay_use(&relay.name, today).await?;
            let allowed = relay.allowance(MailClass::Transactional, used.first_day, today);
            if allowed.is_none_or(|allowed| used.begun < allowed) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Takes up to `wanted` mails of a class out of what a relay may be given today; `None` where there is no limit. The last of a day's
    /// allowance is for transactional mail alone (`mail.transactional_share`): whoever signs up then does not wait for midnight.
    pub(crate) async fn reserve_quota(
        &self,
        relay: &Relay,
        class: MailClass,
        wanted: u64,
    ) -> Result<Option<u64>, Failure> {
        let today = day_of(self.now());
        let used = self.storage.relay_use(&relay.name, today).await?;
        let Some(allowed) = relay.allowance(class, used.first_day, today) else {
            return Ok(None);
        };
        let taken = self
            .storage
            .reserve_quota(&relay.name, today, wanted, allowed)
            .await?;
        if taken == 0 {
            tracing::info!(relay = relay.name, %class, allowed, "daily limit of the relay reached for this class of mail; sending resumes at midnight UTC");
        }
        Ok(Some(taken))
    }

    /// Gives back what was reserved of a relay's day and not used.
    pub(crate) async fn release_quota(&self, relay: &Relay, day: i64, count: u64) {
        if count > 0
            && let Err(error) = self.storage.release_quota(&relay.name, day, count).await
        {
            tracing::warn!(%error, relay = relay.name, count, "returning unused daily quota failed; the relay can send that many fewer mails today");
        }
    }

    /// Returns what keeps digests from going out for now, in plain words, where no relay can even be tried.
    pub(crate) fn blocked(&self) -> Option<String> {
        let may_send = self
            .relays
            .iter()
            .any(|relay| relay.may_send(MailClass::Digest, self.now()));
        self.trouble().filter(|_| !may_send)
    }

    /// Returns whether some relay that keeps mail back says itself that it is for now: whoever waits gets through.
    pub(crate) fn is_asked_for_patience(&self) -> bool {
        self.relays.iter().any(|relay| relay.asks_for_patience())
    }

    /// Returns what keeps mail from going out, in plain words; empty as long as one relay takes some.
    pub(crate) fn trouble(&self) -> Option<String> {
        let now = self.now();
        let troubles: Option<Vec<(&str, String)>> = self
            .relays
            .iter()
            .map(|relay| relay.trouble(now).map(|words| (relay.name.as_str(), words)))
            .collect();
        let named = |(name, words): &(&str, String)| {
            if self.relays.len() == 1 {
                words.clone()
            } else {
                format!("{name}: {words}")
            }
        };
        troubles.map(|troubles| troubles.iter().map(named).collect::<Vec<_>>().join("; "))
    }
}
