//! Limits of time: connections that are idle or too many, mails that take long, and the end.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use super::DRAIN;
use super::Dispatcher;
use super::DispatcherCommand;
use super::Holding;
use super::Now;
use super::SLOW_AFTER;
use super::SLOW_COMMIT;
use super::STOP_GRACE;
use super::WorkerId;
use super::WorkerPosition;
use crate::app::delivery::breaker::Permit;
use crate::app::delivery::queue::class_of;
use crate::domain::delivery::BatchKey;
use crate::domain::delivery::MailClass;
use crate::domain::limits::day_of;

/// Slow workers are looked for so often.
const SWEEP: Duration = Duration::from_millis(100);
/// A mail without its final dot is taken back after so long where another connection works: a person waits for a transactional one.
const TAKE_BACK: Duration = Duration::from_secs(10);
const TAKE_BACK_TRANSACTIONAL: Duration = Duration::from_secs(5);
/// Mails remembered as taken back; after so many none is any more.
const TAKEN_BACK_MAX: usize = 10_000;

impl Dispatcher {
    pub(super) fn sweep(&mut self, now: Now) {
        self.next_sweep = now.instant + SWEEP;
        self.dismiss_waiting(now.instant);
        if let Some(since) = self.stopping {
            return self.end_sending(now.instant - since);
        }
        if self
            .committing
            .is_none_or(|since| now.instant - since <= SLOW_COMMIT)
        {
            self.recall_handed_ahead(now);
            self.split_batches(now.instant);
            self.take_back_stuck(now.instant);
        }
    }

    /// Closes connections that were idle long enough, or are more than the relay bears.
    fn dismiss_waiting(&mut self, now: Instant) {
        // A little before the connection itself finds that it is too old.
        let idle = self.settings.idle.mul_f64(0.9);
        let mut gone = Vec::new();
        for relay in &self.relays {
            let surplus = relay.live.saturating_sub(relay.memory.limit.connections());
            for (place, id) in relay.waiting.iter().enumerate() {
                if place < surplus
                    || self
                        .workers
                        .get(id)
                        .is_none_or(|worker| now - worker.since >= idle)
                {
                    gone.push(*id);
                }
            }
        }
        for id in gone {
            self.relays
                .iter_mut()
                .for_each(|relay| relay.waiting.retain(|waiting| *waiting != id));
            self.leave(id);
        }
    }

    /// The mail at hand behind one that takes long is given to others; when its turn comes its worker is told that it may not go.
    fn recall_handed_ahead(&mut self, now: Now) {
        let mut recalled = Vec::new();
        for worker in self.workers.values_mut().filter(|worker| {
            worker.at == WorkerPosition::Sending && now.instant - worker.since >= SLOW_AFTER
        }) {
            worker.is_slow = true;
            recalled.extend(worker.ahead.take().map(|held| (worker.relay, held)));
        }
        recalled
            .into_iter()
            .for_each(|(relay, held)| self.put_back(relay, held, now));
    }

    /// Mails that take long are made batches of their own, so that the rest of theirs goes back.
    fn split_batches(&mut self, now: Instant) {
        let mut slow: HashMap<BatchKey, Vec<i64>> = HashMap::new();
        for worker in self.workers.values().filter(|worker| {
            worker.at == WorkerPosition::Sending && now - worker.since >= SLOW_AFTER
        }) {
            if let Some(held) = &worker.begun {
                slow.entry(held.batch)
                    .or_default()
                    .push(held.job.key.subscriber);
            }
        }
        for (batch, mut kept) in slow {
            kept.sort_unstable();
            if !self.prefetcher.split(batch, kept) {
                continue;
            }
            for held in self
                .workers
                .values_mut()
                .filter_map(|worker| worker.begun.as_mut())
                .filter(|held| held.batch == batch)
            {
                held.batch.last = held.job.key.subscriber;
            }
        }
    }

    /// Takes mails back that wait long for an answer before their final dot, where another connection works.
    fn take_back_stuck(&mut self, now: Instant) {
        let is_waiting = self.relays.iter().any(|relay| !relay.waiting.is_empty());
        let mut stuck: Vec<WorkerId> = Vec::new();
        for (id, worker) in &self.workers {
            let Some(held) = worker
                .begun
                .as_ref()
                .filter(|_| worker.at == WorkerPosition::Sending && !worker.is_abandoned)
            else {
                continue;
            };
            let is_transactional = class_of(&held.job) == MailClass::Transactional;
            let limit = if is_transactional {
                TAKE_BACK_TRANSACTIONAL
            } else {
                TAKE_BACK
            };
            let has_other =
                is_waiting || is_transactional && self.works_beside(worker.relay, now, limit);
            if now - worker.since >= limit
                && has_other
                && !worker.is_probe
                && self.may_take_back(held)
            {
                stuck.push(*id);
            }
        }
        for id in stuck {
            let Some(worker) = self.workers.get_mut(&id) else {
                continue;
            };
            worker.is_abandoned = true;
            if let Some(held) = &worker.begun {
                self.taken_back.insert(held.job.key);
            }
            self.commands.push(DispatcherCommand::Abandon(id));
        }
    }

    fn may_take_back(&self, held: &Holding) -> bool {
        self.taken_back.len() < TAKEN_BACK_MAX && !self.taken_back.contains(&held.job.key)
    }

    /// Returns whether a stuck mail has somewhere else to go: another usable relay, or this one if it accepted a mail within `since`.
    fn works_beside(&self, relay: usize, now: Instant, since: Duration) -> bool {
        self.relays.iter().enumerate().any(|(at, other)| {
            other.permit(now) == Permit::All
                && (at != relay || other.good_at.is_some_and(|good| now - good < since))
        })
    }

    /// Ends the run in order: nothing new begins, what is out comes to its end.
    pub(super) fn stop(&mut self, now: Instant) {
        if self.stopping.is_some() {
            return;
        }
        self.stopping = Some(now);
        // What is claimed and not begun goes back with the lease.
        self.queue.remove_all(now);
        let waiting: Vec<WorkerId> = self
            .relays
            .iter_mut()
            .flat_map(|relay| relay.waiting.drain(..))
            .collect();
        waiting.into_iter().for_each(|id| self.leave(id));
        let connecting = self
            .workers
            .iter()
            .filter(|(_, worker)| worker.at == WorkerPosition::Connecting)
            .map(|(id, _)| *id);
        self.commands
            .extend(connecting.map(DispatcherCommand::Abort));
    }

    fn end_sending(&mut self, since_stop: Duration) {
        if since_stop >= DRAIN {
            self.commands
                .extend(self.workers.keys().map(|id| DispatcherCommand::Abort(*id)));
        } else if since_stop >= STOP_GRACE {
            for (id, worker) in self
                .workers
                .iter_mut()
                .filter(|(_, worker)| !worker.is_abandoned)
            {
                worker.is_abandoned = true;
                self.commands.push(DispatcherCommand::Abandon(*id));
            }
        }
    }

    /// The run is over: what was reserved of the relays' days and not used goes back.
    pub fn give_back_days(&mut self, now: Now, commands: &mut Vec<DispatcherCommand>) {
        self.return_unused(true, day_of(now.wall));
        commands.append(&mut self.commands);
    }

    /// Returns whether it was stopped and nothing is out any more.
    pub fn has_ended(&self) -> bool {
        self.stopping.is_some() && self.workers.is_empty()
    }
}
