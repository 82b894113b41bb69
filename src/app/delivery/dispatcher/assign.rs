//! Assignment of mails to workers and of new connections to relays.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Dispatcher;
use super::DispatcherCommand;
use super::Holding;
use super::Now;
use super::WorkerEntry;
use super::WorkerId;
use super::WorkerPosition;
use super::relays::RelayEntry;
use crate::app::delivery::balancer::Capacity;
use crate::app::delivery::breaker::Permit;
use crate::app::delivery::dispatcher::rate_limiter::RateLimiter;
use crate::app::delivery::prefetcher::Claims;
use crate::app::delivery::queue::class_of;
use crate::domain::delivery::MailClass;
use crate::domain::limits::day_of;
use crate::storage::ledger::Job;

/// A connection that is being made for so long is not counted on: another one may start beside it.
const CONNECT_PATIENCE: Duration = Duration::from_secs(5);
/// The same for one that tries a login. Longer, for servers delay their answer to a wrong password (Dovecot up to 15 s), and each further
/// try brings the account nearer to its lock.
const LOGIN_PATIENCE: Duration = Duration::from_secs(20);
/// A relay that took a mail within this time is known to work.
const PROVEN: Duration = Duration::from_secs(60);
/// A relay that took a mail within this time has a connection free soon.
const PIPELINE_MARGIN: Duration = Duration::from_secs(1);

impl Dispatcher {
    /// Does all that can be done now.
    pub(super) fn dispatch(&mut self, now: Now) {
        if now.instant >= self.next_sweep {
            self.sweep(now);
        }
        if self.stopping.is_some() {
            return;
        }
        let today = day_of(now.wall);
        self.return_unused(false, today);
        let able = |class| {
            self.relays
                .iter()
                .any(|relay| relay.is_able(class, now.instant, today))
        };
        let (transactional, digest) = (able(MailClass::Transactional), able(MailClass::Digest));
        if !digest {
            self.give_back(transactional, now.instant);
        }
        self.queue.advance(now.instant);
        self.hand_to_waiting(now);
        self.reserve(now.instant, today);
        self.start_workers(now, today);
        let claims = match (digest, transactional) {
            (true, _) => Claims::All,
            (false, true) => Claims::Transactional,
            (false, false) => Claims::Nothing,
        };
        if let Some(request) =
            self.prefetcher
                .next(self.queue.ready(), self.queue.held(), claims, now.instant)
        {
            self.commands.push(DispatcherCommand::Claim(request));
        }
        if self.queue.len() > 0 || !self.workers.is_empty() {
            self.active_at = now.instant;
        }
    }

    /// Nobody can take digest mail (or any): what is claimed goes back, so that other processes may have it.
    fn give_back(&mut self, keep_transactional: bool, now: Instant) {
        if self.queue.len() == 0 || keep_transactional && self.queue.len() == self.queue.urgent() {
            return;
        }
        for job in self.queue.remove_all(now) {
            match keep_transactional && class_of(&job) == MailClass::Transactional {
                true => self.queue.push(job, now),
                false => self.prefetcher.has_ended(job.batch),
            }
        }
    }

    /// Returns whether a worker may begin or be given mail, as far as its relay and a stop are concerned.
    pub(super) fn may_send(&self, id: WorkerId, now: Instant) -> bool {
        let Some(worker) = self.workers.get(&id) else {
            return false;
        };
        self.stopping.is_none()
            && match self.relays[worker.relay].permit(now) {
                Permit::All => true,
                Permit::Probing => worker.is_probe,
                Permit::Probe | Permit::Nothing(_) => false,
            }
    }

    /// Returns whether a worker is to close its connection rather than wait for a mail.
    pub(super) fn must_leave(&self, id: WorkerId, now: Instant) -> bool {
        let Some(worker) = self.workers.get(&id) else {
            return true;
        };
        let relay = &self.relays[worker.relay];
        !worker.wants
            || worker.pace.is_expired()
            || relay.live > relay.memory.limit.connections() && !worker.is_probe
            || !self.may_send(id, now)
    }

    /// Returns whether a worker that has a mail out is given the next one ahead of its result.
    pub(super) fn may_pipeline_next(&self, id: WorkerId, now: Instant) -> bool {
        let Some(worker) = self.workers.get(&id) else {
            return false;
        };
        let relay = &self.relays[worker.relay];
        !worker.is_slow
            && !relay.is_paced()
            && relay.permit(now) == Permit::All
            && !self.must_leave(id, now)
    }

    /// Takes the next mail for a worker, if its relay may have one now.
    pub(super) fn hand_out(&mut self, id: WorkerId, now: Now) -> Option<Arc<Job>> {
        let relay = self.workers.get(&id)?.relay;
        let job = self.take(relay, now)?;
        let worker = self.workers.get_mut(&id)?;
        worker.ahead = Some(Holding {
            batch: job.batch,
            job: job.clone(),
        });
        Some(job)
    }

    fn take(&mut self, relay: usize, now: Now) -> Option<Arc<Job>> {
        let today = day_of(now.wall);
        if self.queue.ready() == 0 || !self.relays[relay].has_token(now.instant) {
            return None;
        }
        let capacity = |at: usize| self.capacity(at, now.instant, today);
        if self.balancer.must_wait(relay, now.instant, capacity) {
            return None;
        }
        let leaves_urgent = self.leaves_urgent(relay, now.instant, today);
        let state = &self.relays[relay];
        let may_go = |class| {
            state.takes(class, now.instant, today)
                && !(leaves_urgent && class == MailClass::Transactional)
        };
        let job = self.queue.pop(now.instant, may_go)?;
        self.relays[relay].record_handed(class_of(&job), now.instant);
        self.balancer.record_sent(relay);
        Some(job)
    }

    /// A person waits for a transactional mail: a relay that has not shown that it works leaves it to one that has, and takes one soon.
    fn leaves_urgent(&self, relay: usize, now: Instant, today: i64) -> bool {
        let took_within =
            |relay: &RelayEntry, time: Duration| relay.good_at.is_some_and(|at| now - at < time);
        let takes_soon = |relay: &RelayEntry| {
            took_within(relay, PROVEN)
                && relay.permit(now) == Permit::All
                && relay.takes(MailClass::Transactional, now, today)
                && (!relay.waiting.is_empty() || took_within(relay, PIPELINE_MARGIN))
        };
        !took_within(&self.relays[relay], PROVEN) && self.relays.iter().any(takes_soon)
    }

    fn capacity(&self, relay: usize, now: Instant, today: i64) -> Capacity {
        let state = &self.relays[relay];
        let is_able = state.permit(now) == Permit::All
            && !state.is_paced()
            && state.takes(MailClass::Digest, now, today);
        Capacity {
            is_able,
            connections: state.live,
        }
    }

    /// Gives mails to workers that wait: of the relays that work to the one that is behind its share.
    fn hand_to_waiting(&mut self, now: Now) {
        let mut open: Vec<usize> = (0..self.relays.len())
            .filter(|relay| !self.relays[*relay].waiting.is_empty())
            .collect();
        while !open.is_empty() && self.queue.ready() > 0 {
            let rank = |relay: usize| {
                (
                    self.relays[relay].memory.breaker.failures() > 0,
                    self.balancer.pass(relay),
                )
            };
            let best = (0..open.len()).min_by(|a, b| {
                let (a, b) = (rank(open[*a]), rank(open[*b]));
                a.0.cmp(&b.0).then(a.1.total_cmp(&b.1))
            });
            let Some(place) = best else { return };
            let relay = open[place];
            let handed = match self.relays[relay].waiting.back().copied() {
                Some(id) if self.may_send(id, now.instant) => {
                    self.hand_out(id, now).map(|job| (id, job))
                }
                _ => None,
            };
            match handed {
                Some((id, job)) => {
                    self.relays[relay].waiting.pop_back();
                    if let Some(worker) = self.workers.get_mut(&id) {
                        worker.at = WorkerPosition::Handed;
                        worker.since = now.instant;
                    }
                    self.reply(id, false, Some(job));
                }
                None => {
                    open.swap_remove(place);
                }
            }
        }
    }

    fn reserve(&mut self, now: Instant, today: i64) {
        let (urgent, all) = (self.queue.urgent(), self.queue.len());
        if all == 0 {
            return;
        }
        for (at, relay) in self
            .relays
            .iter_mut()
            .enumerate()
            .filter(|(_, relay)| relay.terms.is_limited_by_day)
        {
            let wanted = [
                (MailClass::Transactional, urgent > 0),
                (MailClass::Digest, all > urgent),
            ];
            for class in wanted
                .into_iter()
                .filter(|(_, is_wanted)| *is_wanted)
                .map(|(class, _)| class)
            {
                if relay.reserves(class, now, today) {
                    self.commands.push(DispatcherCommand::Reserve {
                        relay: at,
                        class,
                        day: today,
                    });
                }
            }
        }
    }

    pub(super) fn return_unused(&mut self, all: bool, today: i64) {
        for (at, relay) in self
            .relays
            .iter_mut()
            .enumerate()
            .filter(|(_, relay)| relay.terms.is_limited_by_day)
        {
            while let Some((day, count)) = relay.unused(all, today) {
                self.commands.push(DispatcherCommand::Release {
                    relay: at,
                    day,
                    count,
                });
            }
        }
    }

    /// Starts connections where mail waits for one, for each relay as if the others were not there: who is connected first takes the mail.
    fn start_workers(&mut self, now: Now, today: i64) {
        if self.queue.ready() == 0 {
            return;
        }
        for relay in 0..self.relays.len() {
            let state = &self.relays[relay];
            let ready = match [MailClass::Transactional, MailClass::Digest]
                .map(|class| state.is_able(class, now.instant, today))
            {
                [_, true] => self.queue.ready(),
                [true, false] => self.queue.urgent(),
                [false, false] => 0,
            };
            if ready == 0 || now.instant < state.connect_at {
                continue;
            }
            let most = state
                .memory
                .limit
                .connections()
                .min(state.terms.connections);
            let (limit, is_probe) = match state.permit(now.instant) {
                // One, and one more beside each that has been at it for long.
                Permit::All if state.tries_login() => (
                    most.min(1 + state.live - self.connecting(relay, LOGIN_PATIENCE, now.instant)),
                    false,
                ),
                Permit::All => (most, false),
                Permit::Probe => (state.live + 1, true),
                Permit::Probing | Permit::Nothing(_) => continue,
            };
            let demand = match (is_probe, state.is_paced()) {
                (false, false) => ready,
                // A pace has one token at a time.
                _ => usize::from(state.has_token(now.instant)),
            };
            let free = limit.saturating_sub(state.live);
            if free == 0 {
                continue;
            }
            let idle = if is_probe {
                0
            } else {
                state.waiting.len() + self.connecting(relay, CONNECT_PATIENCE, now.instant)
            };
            for _ in 0..demand.saturating_sub(idle).min(free) {
                self.start_worker(relay, is_probe, now.instant);
            }
        }
    }

    /// Counts connections that are being made since less than `patience`.
    fn connecting(&self, relay: usize, patience: Duration, now: Instant) -> usize {
        let counts = |worker: &&WorkerEntry| {
            worker.relay == relay
                && worker.at == WorkerPosition::Connecting
                && now - worker.since < patience
        };
        self.workers.values().filter(counts).count()
    }

    fn start_worker(&mut self, relay: usize, is_probe: bool, now: Instant) {
        self.last_worker += 1;
        let worker = WorkerEntry {
            relay,
            at: WorkerPosition::Connecting,
            since: now,
            wants: true,
            begins: false,
            begun: None,
            ahead: None,
            is_probe,
            is_slow: false,
            pace: RateLimiter::default(),
            is_abandoned: false,
        };
        self.workers.insert(self.last_worker, worker);
        let state = &mut self.relays[relay];
        state.live += 1;
        if is_probe {
            state.memory.breaker.probe_started();
        }
        self.commands
            .push(DispatcherCommand::Start(self.last_worker, relay));
    }
}
