//! The dispatcher as seen from outside.

use std::time::Duration;

use chrono::TimeDelta;
use tokio::time::Instant;

use super::Dispatcher;
use super::Now;
use super::WorkerId;
use super::WorkerPosition;
use super::relays::RelayEntry as Relay;
use crate::app::delivery::breaker::Permit;
use crate::app::delivery::relay::RelayMemory;
use crate::app::delivery::status::MailStage;
use crate::app::delivery::status::OpenMail;
use crate::app::delivery::status::RelaySnapshot;
use crate::app::delivery::status::RelayState;
use crate::app::delivery::status::SendSnapshot;
use crate::domain::Timestamp;
use crate::domain::delivery::MailClass;
use crate::domain::limits::day_of;

/// A run that has had nothing to do for so long is given up.
const GIVE_UP_AFTER: Duration = Duration::from_secs(1);
/// A relay whose mails have all been out for so long answers none of them.
const SILENT: Duration = Duration::from_secs(5);
/// Time passes for what has no time of its own.
const TICK: Duration = Duration::from_secs(1);

impl Dispatcher {
    /// Returns how many workers may bring a result soon.
    pub fn busy(&self) -> usize {
        self.workers
            .values()
            .filter(|worker| matches!(worker.at, WorkerPosition::Handed | WorkerPosition::Sending))
            .count()
    }

    /// Ends a relay's pause: its breaker lets a probe through at once.
    pub fn try_relay_now(&mut self, relay: usize, now: Now) {
        if let Some(relay) = self.relays.get_mut(relay) {
            relay.memory.breaker.try_now(now.instant);
            relay.connect_at = relay.connect_at.min(now.instant);
        }
    }

    /// Returns what was learned of each relay.
    pub fn memories(&self) -> impl Iterator<Item = &RelayMemory> {
        self.relays.iter().map(|relay| &relay.memory)
    }

    /// Returns whether there is nothing to do, as far as is known: nothing claimed, nothing out, and nothing due that a relay could take.
    pub fn is_idle(&self, now: Now) -> bool {
        let may_claim = self
            .relays
            .iter()
            .any(|relay| relay.is_able(MailClass::Digest, now.instant, day_of(now.wall)));
        self.queue.len() == 0
            && self.prefetcher.is_idle(may_claim)
            && self.workers.values().all(|worker| {
                worker.begun.is_none()
                    && worker.ahead.is_none()
                    && worker.at != WorkerPosition::Requesting
            })
    }

    /// Returns whether the run may be given up: there was nothing to do for a while, and nothing troubles a relay that others should see.
    pub fn is_over(&self, now: Now) -> bool {
        let today = day_of(now.wall);
        let is_well = |relay: &Relay| relay.is_able(MailClass::Digest, now.instant, today);
        self.workers.is_empty()
            && self.is_idle(now)
            && now.instant - self.active_at >= GIVE_UP_AFTER
            && self.relays.iter().all(is_well)
    }

    /// Returns when time alone brings something to do.
    pub fn next_moment(&self, now: Instant) -> Instant {
        let mut next = now + TICK;
        let mut sooner =
            |moment: Option<Instant>| next = moment.map_or(next, |moment| next.min(moment));
        sooner((!self.workers.is_empty()).then_some(self.next_sweep));
        sooner(self.prefetcher.next_look());
        sooner(self.queue.next_timer());
        for relay in &self.relays {
            if self.queue.ready() > 0 {
                sooner(relay.next_token(now));
                sooner((relay.connect_at > now).then_some(relay.connect_at));
                // A relay of greater weight may have fallen silent.
                sooner(
                    (!relay.waiting.is_empty() && relay.next_token(now).is_none())
                        .then_some(now + Duration::from_millis(20)),
                );
            }
            if let Permit::Nothing(until) = relay.permit(now) {
                sooner(Some(until));
            }
        }
        next.max(now + Duration::from_millis(1))
    }

    /// The moment, for others to look at. `stage_of` tells how far a worker's mail has come.
    pub fn snapshot(&self, now: Now, stage_of: impl Fn(WorkerId) -> MailStage) -> SendSnapshot {
        let sending = self
            .workers
            .iter()
            .filter(|(_, worker)| worker.at == WorkerPosition::Sending);
        let oldest = sending
            .min_by_key(|(_, worker)| worker.since)
            .map(|(id, worker)| OpenMail {
                relay: self.relays[worker.relay].terms.name.clone(),
                stage: stage_of(*id),
                since: wall(now, worker.since),
            });
        SendSnapshot {
            at: now.wall,
            relays: (0..self.relays.len())
                .map(|relay| self.relay_snapshot(relay, now))
                .collect(),
            ready: self.queue.ready(),
            held_by_domain: self.queue.held(),
            transactional: self.queue.urgent(),
            oldest,
            last_sent_at: self.last_sent,
        }
    }

    fn relay_snapshot(&self, at: usize, now: Now) -> RelaySnapshot {
        let relay = &self.relays[at];
        let of_relay = || self.workers.values().filter(|worker| worker.relay == at);
        let connecting = of_relay()
            .filter(|worker| worker.at == WorkerPosition::Connecting)
            .count();
        let sending = of_relay()
            .filter(|worker| worker.at == WorkerPosition::Sending)
            .count();
        let is_silent = sending > 0
            && relay.waiting.is_empty()
            && of_relay().all(|worker| {
                worker.at == WorkerPosition::Connecting
                    || worker.at == WorkerPosition::Sending && now.instant - worker.since >= SILENT
            });
        let too_large = relay.memory.too_large(MailClass::Digest, now.instant);
        let is_spent = !relay.is_able(MailClass::Digest, now.instant, day_of(now.wall));
        let (state, until) = match relay.permit(now.instant) {
            Permit::Nothing(until) => (RelayState::Paused, Some(wall(now, until))),
            Permit::Probe | Permit::Probing => (RelayState::Probing, None),
            Permit::All if too_large.is_some() => (
                RelayState::MailTooLarge,
                too_large.map(|known| wall(now, known.until)),
            ),
            Permit::All if is_spent => (RelayState::DaySpent, day_end(now.wall)),
            Permit::All if is_silent => (RelayState::Silent, None),
            Permit::All if relay.live > 0 && connecting == relay.live => {
                (RelayState::Connecting, None)
            }
            Permit::All if self.queue.ready() > 0 && relay.next_token(now.instant).is_some() => (
                RelayState::Paced,
                relay.next_token(now.instant).map(|at| wall(now, at)),
            ),
            Permit::All if sending > 0 || self.queue.ready() > 0 => (RelayState::Sending, None),
            Permit::All => (RelayState::Idle, None),
        };
        let reason = match state {
            RelayState::Paused | RelayState::Probing => {
                relay.memory.breaker.trouble().map(str::to_owned)
            }
            RelayState::MailTooLarge => too_large.map(|too_large| too_large.trouble.clone()),
            RelayState::DaySpent => {
                Some("the day's allowance is spent; it goes on tomorrow (UTC)".into())
            }
            RelayState::Silent => Some("it has taken mails and answers none of them".into()),
            RelayState::Connecting => Some("no connection has got through its greeting yet".into()),
            RelayState::Paced => Some("rate_per_second".into()),
            RelayState::Idle | RelayState::Sending => None,
        };
        let connected = relay.live - connecting;
        RelaySnapshot {
            name: relay.terms.name.clone(),
            state,
            reason,
            until,
            connecting,
            connected,
            sending,
        }
    }
}

/// The same moment by the wall clock.
fn wall(now: Now, at: Instant) -> Timestamp {
    let ago = TimeDelta::from_std(now.instant.saturating_duration_since(at)).unwrap_or_default();
    let ahead = TimeDelta::from_std(at.saturating_duration_since(now.instant)).unwrap_or_default();
    now.wall - ago + ahead
}

/// The next midnight (UTC).
fn day_end(now: Timestamp) -> Option<Timestamp> {
    Some(now.date_naive().succ_opt()?.and_hms_opt(0, 0, 0)?.and_utc())
}
