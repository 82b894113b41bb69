//! Dispatcher: decides which relay starts a connection, who gets the next mail, and when to claim, commit, probe, take back and close.
//!
//! A state machine without I/O: [`Dispatcher::handle`] takes an event and leaves commands, which the [send run](super::send_run) carries out.
//! A seeded simulation drives it in virtual time (`simulation.rs`). Nothing in it waits, so nothing in it can be held up by a slow part: a
//! worker that is silent is simply one of whom no event comes.
//!
//! A worker is one connection. As the dispatcher sees it:
//!
//! | state | meaning | leaves it for |
//! | --- | --- | --- |
//! | connecting | its greeting may take minutes; nobody waits for it | requesting, with its first request; gone, when no connection can be made, or at a stop |
//! | requesting | its result and what it wants to begin are being committed | sending, waiting or leaving, with the reply |
//! | waiting | it has a connection and no mail | handed, when there is a mail for its relay; leaving, after nine tenths of `mail.idle`, when the relay bears fewer connections, is paused, or at a stop |
//! | handed | it prepares a mail that is claimed and not begun | requesting, to begin it; gone, when its connection is of no more use: the mail goes back |
//! | sending | one mail of it is begun; one more may be at hand | requesting, with the result; gone, when it is cut or breaks down: the mail is in doubt |
//! | leaving | it has nothing and says QUIT | gone |
//!
//! A mail that is sending for long holds its own row and its connection and nothing else: after [`SLOW_AFTER`] the mail at hand behind it
//! is given to others, and its batch is split so that the rest goes back. One that is still before its final dot is taken back after a
//! while where another connection works (once for each mail: a server may take minutes for a recipient). At a stop what has no dot is
//! taken back after [`STOP_GRACE`], and what has one is waited for until [`DRAIN`].
//!
//! A connection that has gone slow, far below its own earlier pace and its neighbours', is closed after its mail; see `pace.rs`.
//!
//! Relays are strangers: each has its breaker, its number of connections (AIMD), its pace, its day; see `relays.rs`.

mod assign;
mod endings;
mod protocol;
mod rate_limiter;
mod relays;
mod results;
#[cfg(test)]
mod simulation;
mod sweep;
#[cfg(test)]
mod tests;
mod view;

use std::collections::BTreeMap;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

pub use self::protocol::Begin;
pub use self::protocol::CommitGroup;
pub use self::protocol::DispatcherCommand;
pub use self::protocol::DispatcherEvent;
pub use self::protocol::DispatcherSettings;
pub use self::protocol::MailResult;
pub use self::protocol::Now;
pub use self::protocol::Unconnected;
pub use self::protocol::WorkerEnd;
pub use self::protocol::WorkerId;
pub use self::protocol::WorkerReply;
pub use self::protocol::WorkerRequest;
use self::rate_limiter::RateLimiter;
use self::relays::RelayEntry;
pub use self::relays::RelayTerms;
use super::balancer::RelayBalancer;
use super::prefetcher::HELD_MAX;
use super::prefetcher::Prefetcher;
use super::queue::Queue;
use super::queue::class_of;
use crate::app::delivery::breaker::BreakerChange;
use crate::app::delivery::relay::RelayMemory;
use crate::domain::Timestamp;
use crate::domain::delivery::BatchKey;
use crate::domain::delivery::DeliveryKey;
use crate::domain::limits::day_of;
use crate::domain::next_state::Verdict;
use crate::storage::ledger::Job;

/// A mail that takes longer holds up neither the mail at hand behind it nor its batch.
pub const SLOW_AFTER: Duration = Duration::from_secs(2);
/// On a connection whose last mail took longer, no mail is put at hand: it would wait for nothing that is gained.
const AHEAD_BELOW: Duration = Duration::from_millis(500);
/// While a commit takes longer than this, nobody knows whose mails take long.
const SLOW_COMMIT: Duration = Duration::from_millis(200);
/// At a stop, what has no final dot may end by itself for so long; then it is taken back.
pub const STOP_GRACE: Duration = Duration::from_secs(2);
/// At a stop, the answer to a final dot is waited for so long; then the mail is in doubt.
pub const DRAIN: Duration = Duration::from_secs(30);
/// After so many mails of one mailing in a row that might not be begun, all that is claimed of it goes back: it was paused or cancelled.
const REFUSED_MAX: u32 = 5;

/// A mail in a worker's hands.
#[derive(Debug, Clone)]
struct Holding {
    job: Arc<Job>,
    batch: BatchKey,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WorkerPosition {
    Connecting,
    Requesting,
    Waiting,
    Handed,
    Sending,
    Leaving,
}

#[derive(Debug)]
struct WorkerEntry {
    relay: usize,
    at: WorkerPosition,
    since: Instant,
    wants: bool,
    /// True if its request is to begin the mail at hand.
    begins: bool,
    begun: Option<Holding>,
    ahead: Option<Holding>,
    is_probe: bool,
    /// True if its last mail took long.
    is_slow: bool,
    /// Pace of its connection.
    pace: RateLimiter,
    is_abandoned: bool,
}

/// See the head of this file.
pub struct Dispatcher {
    settings: DispatcherSettings,
    relays: Vec<RelayEntry>,
    balancer: RelayBalancer,
    queue: Queue,
    prefetcher: Prefetcher,
    /// Few, and asked for some twenty times a mail: in a tree of one or two nodes nothing is hashed.
    workers: BTreeMap<WorkerId, WorkerEntry>,
    last_worker: WorkerId,
    commands: Vec<DispatcherCommand>,
    stopping: Option<Instant>,
    /// Start of the commit under way, and the duration of the last one.
    committing: Option<Instant>,
    last_commit: Duration,
    next_sweep: Instant,
    /// Last time when there was something to do.
    active_at: Instant,
    last_sent: Option<Timestamp>,
    /// Mails that were taken back once and are not again.
    taken_back: HashSet<DeliveryKey>,
    /// The mailing whose mails may not begin, and how many of them in a row.
    refused: (i64, u32),
}

impl Dispatcher {
    pub fn new(
        settings: DispatcherSettings,
        relays: Vec<(RelayTerms, RelayMemory)>,
        now: Now,
    ) -> Self {
        let connections = relays.iter().map(|(terms, _)| terms.connections).sum();
        Self {
            balancer: RelayBalancer::new(relays.iter().map(|(terms, _)| terms.weight)),
            relays: relays
                .into_iter()
                .map(|(terms, memory)| RelayEntry::new(terms, memory, now.instant))
                .collect(),
            queue: Queue::new(settings.domains.clone()),
            prefetcher: Prefetcher::new(connections, settings.poll),
            workers: BTreeMap::new(),
            last_worker: 0,
            commands: Vec::new(),
            stopping: None,
            committing: None,
            last_commit: Duration::ZERO,
            next_sweep: now.instant,
            active_at: now.instant,
            last_sent: None,
            taken_back: HashSet::new(),
            refused: (0, 0),
            settings,
        }
    }

    /// Takes an event in; what is to be done is added to `commands`.
    pub fn handle(
        &mut self,
        event: DispatcherEvent,
        now: Now,
        commands: &mut Vec<DispatcherCommand>,
    ) {
        match event {
            DispatcherEvent::Requests(requests) => self.take_requests(requests, now),
            DispatcherEvent::Committed(group, may_go) => {
                self.committed(now.instant);
                self.answer(group, &may_go, now);
            }
            DispatcherEvent::Claimed { jobs, may_be_more } => {
                self.take_in(jobs, may_be_more, now.instant)
            }
            DispatcherEvent::Ended(worker, end) => self.worker_ended(worker, end, now),
            DispatcherEvent::Reserved {
                relay,
                class,
                day,
                taken,
            } => self.relays[relay].reserved(class, day, taken, now.instant),
            DispatcherEvent::Wake => self.prefetcher.wake(),
            DispatcherEvent::Tick => {}
            DispatcherEvent::Stop => self.stop(now.instant),
        }
        self.dispatch(now);
        commands.append(&mut self.commands);
    }

    fn take_requests(&mut self, requests: Vec<WorkerRequest>, now: Now) {
        let mut group = CommitGroup::default();
        for request in requests {
            let id = request.worker;
            let Some(worker) = self.workers.get_mut(&id) else {
                continue;
            };
            let relay = worker.relay;
            if worker.at == WorkerPosition::Connecting {
                let change = self.relays[relay].connected(now.instant);
                self.changed(relay, change);
            }
            let begun = self
                .workers
                .get_mut(&id)
                .and_then(|worker| worker.begun.take());
            match (request.result, begun) {
                (Some(result), Some(held)) => {
                    self.take_result(id, &held, result.verdict, now);
                    group.done.push(result.done);
                    group.batches.push(held.batch);
                }
                (None, Some(held)) => self.settle(held, true, now.instant),
                (_, None) => {}
            }
            self.balancer.seen(relay, now.instant);
            let may_begin = request.begins && self.may_send(id, now.instant);
            let Some(worker) = self.workers.get_mut(&id) else {
                continue;
            };
            worker.at = WorkerPosition::Requesting;
            worker.wants = request.wants;
            worker.begins = request.begins;
            let mut fits = None;
            if let Some(held) = worker.ahead.as_ref().filter(|_| may_begin) {
                group.begins.push(Begin {
                    worker: id,
                    key: held.job.key,
                    version: held.job.version,
                    relay,
                });
                fits = self.relays[relay].took_size(class_of(&held.job), now.instant);
            }
            self.changed(relay, fits);
            group.workers.push(id);
        }
        match group.done.is_empty() && group.begins.is_empty() {
            true => self.answer(group, &[], now),
            false => {
                self.committing = Some(now.instant);
                self.commands.push(DispatcherCommand::Commit(group));
            }
        }
    }

    fn changed(&mut self, relay: usize, change: Option<BreakerChange>) {
        if let Some(change) = change {
            if matches!(change, BreakerChange::Opened(_)) {
                let waiting: Vec<WorkerId> = self.relays[relay].waiting.drain(..).collect();
                waiting.into_iter().for_each(|id| self.leave(id));
            }
            let trouble = self.relays[relay]
                .memory
                .breaker
                .trouble()
                .unwrap_or_default()
                .to_owned();
            self.commands.push(DispatcherCommand::Changed {
                relay,
                change,
                trouble,
            });
        }
    }

    fn committed(&mut self, now: Instant) {
        self.last_commit = self
            .committing
            .take()
            .map_or(Duration::ZERO, |since| now - since);
        if self.last_commit > SLOW_COMMIT {
            // First come the results that have waited for it.
            self.next_sweep = self.next_sweep.max(now + SLOW_COMMIT);
        }
    }

    /// Tells all in a group that is written what they may do.
    fn answer(&mut self, group: CommitGroup, may_go: &[bool], now: Now) {
        group
            .batches
            .iter()
            .for_each(|batch| self.prefetcher.has_ended(*batch));
        let mut begins = group.begins.iter().zip(may_go).peekable();
        for id in group.workers {
            let begun = begins
                .next_if(|(begin, _)| begin.worker == id)
                .map(|(_, may_go)| *may_go);
            let Some(worker) = self.workers.get_mut(&id) else {
                continue;
            };
            let held = worker.ahead.take();
            worker.since = now.instant;
            match (begun, held) {
                (Some(true), held) => {
                    worker.begun = held;
                    worker.at = WorkerPosition::Sending;
                    worker.is_abandoned = false;
                    self.refused.1 = 0;
                    let next = if self.may_pipeline_next(id, now.instant) {
                        self.hand_out(id, now)
                    } else {
                        None
                    };
                    self.reply(id, true, next);
                }
                // Its connection has this mail's envelope already, and can only be given up.
                (Some(false), Some(held)) => {
                    let relay = worker.relay;
                    self.relays[relay].record_unused(class_of(&held.job), day_of(now.wall));
                    self.refuse(&held, now.instant);
                    self.leave(id);
                }
                (None, Some(held)) => {
                    let relay = worker.relay;
                    self.put_back(relay, held, now);
                    self.leave(id);
                }
                // The mail that it wanted to begin was given to others.
                _ if worker.begins || self.must_leave(id, now.instant) => self.leave(id),
                _ => self.wait(id),
            }
        }
    }

    /// A mail that a worker has at hand goes back, not begun.
    fn put_back(&mut self, relay: usize, held: Holding, now: Now) {
        self.relays[relay].record_unused(class_of(&held.job), day_of(now.wall));
        self.queue.put_back(held.job, now.instant);
    }

    /// A mail must not be begun; the ledger knows why. Where that happens time and again, the mailing was stopped.
    fn refuse(&mut self, held: &Holding, now: Instant) {
        self.queue.is_back(held.job.key, now);
        self.prefetcher.has_ended(held.batch);
        let mailing = held.job.key.mailing;
        self.refused = if self.refused.0 == mailing {
            (mailing, self.refused.1 + 1)
        } else {
            (mailing, 1)
        };
        if self.refused.1 >= REFUSED_MAX {
            self.refused.1 = 0;
            let gone = self.queue.remove_mailing(mailing, now);
            gone.iter()
                .for_each(|job| self.prefetcher.has_ended(job.batch));
        }
    }

    fn reply(&mut self, id: WorkerId, may_go: bool, next: Option<Arc<Job>>) {
        self.commands
            .push(DispatcherCommand::Reply(id, WorkerReply { may_go, next }));
    }

    /// The worker is to close its connection.
    fn leave(&mut self, id: WorkerId) {
        if let Some(worker) = self.workers.get_mut(&id) {
            worker.at = WorkerPosition::Leaving;
            self.reply(id, false, None);
        }
    }

    fn wait(&mut self, id: WorkerId) {
        if let Some(worker) = self.workers.get_mut(&id) {
            worker.at = WorkerPosition::Waiting;
            self.relays[worker.relay].waiting.push_back(id);
        }
    }

    fn take_in(&mut self, jobs: Option<Vec<Job>>, may_be_more: bool, now: Instant) {
        let batches: Option<Vec<BatchKey>> = jobs
            .as_ref()
            .map(|jobs| jobs.iter().map(|job| job.batch).collect());
        self.prefetcher
            .arrived(batches.as_deref(), may_be_more, now);
        for job in jobs.unwrap_or_default() {
            self.queue.push(Arc::new(job), now);
        }
        let mut batches = batches.unwrap_or_default();
        batches.dedup();
        // The newest first: what came before is nearer to its turn.
        while self.queue.held() > HELD_MAX {
            let Some(batch) = batches.pop() else { return };
            let gone = self.queue.remove_held_of(batch, now);
            if gone > 0 {
                self.prefetcher.park(batch, gone);
            }
        }
    }
}
