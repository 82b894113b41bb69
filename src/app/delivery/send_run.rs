//! A send run: one lease, one dispatcher, and the workers' connections; lasts for as long as there is something to do.
//!
//! It does what the [dispatcher](super::dispatcher) decides: starts workers, commits groups, claims, reserves. It waits for no worker; what
//! happens first is handled first.
//!
//! | it ends | then |
//! | --- | --- |
//! | when there was nothing to do for a while | the lease is given up |
//! | when it is told to | nothing new begins; what is out ends, is taken back, or after [`DRAIN`] is in doubt |
//! | when the lease is lost | all connections are cut at once: others have its work, and a fresh run begins |

mod errands;

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::mpsc;
use tokio::sync::oneshot;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::task::Id;
use tokio::task::JoinError;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::SendProgress;
use super::dispatcher::CommitGroup;
use super::dispatcher::DRAIN;
use super::dispatcher::Dispatcher;
use super::dispatcher::DispatcherCommand;
use super::dispatcher::DispatcherEvent;
use super::dispatcher::DispatcherSettings;
use super::dispatcher::Now;
use super::dispatcher::RelayTerms;
use super::dispatcher::WorkerEnd;
use super::dispatcher::WorkerId;
use super::dispatcher::WorkerReply;
use super::group_committer::GroupCommitter;
use super::group_sizer::CommitGroupSizer;
use super::lease::Lease;
use super::status::MailStage;
use super::worker::StageCell;
use super::worker::WorkerMessage;
use crate::app::App;
use crate::domain::delivery::MailClass;
use crate::mail::WriteDeadline;
use crate::storage::ledger::Job;

/// Number of workers from which they are many: with 10, groups of half of them were better by a tenth, with 20 groups of all.
const MANY_WORKERS: usize = 16;
/// The snapshot for others is made anew so often.
const PUBLISH_EVERY: Duration = Duration::from_millis(200);
/// After [`DRAIN`], the ledger has so long to take the last results.
const LAST_COMMITS: Duration = Duration::from_secs(10);

/// Between a run and whoever started it.
#[derive(Debug)]
pub struct RunControl {
    /// Cancelled when it is to end in order.
    pub stop: CancellationToken,
    /// Notified when somebody may have put mail into the ledger.
    pub wake: Notify,
    /// True if it has nothing to do at the moment.
    pub is_idle: watch::Sender<bool>,
}

type ClaimOutcome = Option<(Vec<Job>, bool)>;
type Reserved = (usize, MailClass, i64, Result<Option<u64>, ()>);

pub struct SendRun {
    app: Arc<App>,
    sender: i64,
    lost: CancellationToken,
    fence: WriteDeadline,
    only: Option<i64>,
    control: Arc<RunControl>,
    dispatcher: Dispatcher,
    committer: GroupCommitter,
    /// Groups that wait for the one under way.
    pending: VecDeque<CommitGroup>,
    /// The claim in progress; there is at most one.
    claims: JoinSet<ClaimOutcome>,
    reservations: JoinSet<Option<Reserved>>,
    workers: JoinSet<WorkerEnd>,
    seats: BTreeMap<WorkerId, WorkerHandle>,
    ids: HashMap<Id, WorkerId>,
    requests: mpsc::Sender<WorkerMessage>,
    commands: Vec<DispatcherCommand>,
    published_at: Option<Instant>,
    stopped_at: Option<Instant>,
}

/// A worker, as its run holds it.
struct WorkerHandle {
    reply: Option<oneshot::Sender<WorkerReply>>,
    abandon: CancellationToken,
    stage: Arc<StageCell>,
    task: AbortHandle,
}

impl SendRun {
    /// With the results of workers in the second part.
    pub fn new(
        app: Arc<App>,
        lease: &Lease,
        only: Option<i64>,
        control: Arc<RunControl>,
        progress: Arc<SendProgress>,
    ) -> (Self, CommitGroupSizer<WorkerMessage>) {
        let mail = &app.settings.mail;
        let settings = DispatcherSettings {
            idle: mail.idle,
            poll: mail.poll,
            domains: mail.domain_limits(),
        };
        let terms = app.relays.iter().map(|relay| {
            let terms = RelayTerms {
                name: relay.name.clone(),
                weight: relay.weight,
                connections: relay.connections,
                rate_per_second: relay.rate_per_second,
                is_limited_by_day: relay.is_limited_by_day(),
                has_login: relay.transport.has_login(),
            };
            (terms, relay.memory())
        });
        let dispatcher = Dispatcher::new(settings, terms.collect(), now(&app));
        let connections: usize = app.relays.iter().map(|relay| relay.connections).sum();
        let (requests, received) = mpsc::channel(connections.max(1));
        let run = Self {
            committer: GroupCommitter::new(app.clone(), lease, progress),
            sender: lease.sender,
            lost: lease.lost.clone(),
            fence: lease.fence.clone(),
            only,
            control,
            dispatcher,
            pending: VecDeque::new(),
            claims: JoinSet::new(),
            reservations: JoinSet::new(),
            workers: JoinSet::new(),
            seats: BTreeMap::new(),
            ids: HashMap::new(),
            requests,
            commands: Vec::new(),
            published_at: None,
            stopped_at: None,
            app,
        };
        (run, CommitGroupSizer::new(received))
    }

    /// Sends until there is nothing to do, it is told to end, or the lease is lost.
    pub async fn work(mut self, mut sizer: CommitGroupSizer<WorkerMessage>) {
        let mut gathered = Vec::new();
        self.handle(DispatcherEvent::Wake);
        while !self.lost.is_cancelled() && !self.is_done() {
            let enough = self.worth_a_commit();
            let is_free = self.committer.is_free() && self.pending.is_empty();
            let next = self.dispatcher.next_moment(Instant::now());
            let control = self.control.clone();
            let event = tokio::select! {
                _ = sizer.next(&mut gathered, enough), if is_free => self.seated(&mut gathered),
                Some((group, may_go)) = self.committer.written() => DispatcherEvent::Committed(group, may_go),
                Some(claimed) = self.claims.join_next() => claimed_event(claimed),
                Some(reserved) = self.reservations.join_next() => reserved_event(reserved),
                Some(ended) = self.workers.join_next_with_id() => self.ended(ended),
                () = self.lost.cancelled() => break,
                () = control.stop.cancelled(), if self.stopped_at.is_none() => {
                    self.stopped_at = Some(Instant::now());
                    DispatcherEvent::Stop
                }
                () = control.wake.notified() => DispatcherEvent::Wake,
                () = tokio::time::sleep_until(next) => DispatcherEvent::Tick,
            };
            if matches!(event, DispatcherEvent::Committed(..)) {
                self.commit_next();
            }
            self.handle(event);
        }
        self.close().await;
    }

    /// Returns how many requests make a group that is worth a commit. On PostgreSQL, where a group takes a quarter of a millisecond
    /// whatever is in it, all; the lines have texts to carry meanwhile. On SQLite half of a few workers: the other half keeps the lines
    /// busy meanwhile. Half of many keeps them busy enough to be in the way of the commit: there, too, all.
    fn worth_a_commit(&self) -> usize {
        let busy = self.dispatcher.busy();
        if self.app.storage.is_postgres() || busy >= MANY_WORKERS {
            busy
        } else {
            busy / 2
        }
    }

    fn is_done(&self) -> bool {
        let is_written = self.committer.is_free() && self.pending.is_empty();
        let has_ended = self.dispatcher.has_ended() || self.dispatcher.is_over(now(&self.app));
        has_ended && is_written
            || self
                .stopped_at
                .is_some_and(|at| at.elapsed() > DRAIN + LAST_COMMITS)
    }

    fn handle(&mut self, event: DispatcherEvent) {
        let now = now(&self.app);
        for (at, relay) in self.app.relays.iter().enumerate() {
            if relay.take_trial() {
                self.dispatcher.try_relay_now(at, now);
            }
        }
        let mut commands = std::mem::take(&mut self.commands);
        self.dispatcher.handle(event, now, &mut commands);
        let mut is_news = false;
        for command in commands.drain(..) {
            is_news |= matches!(
                command,
                DispatcherCommand::Changed { .. }
                    | DispatcherCommand::SlowedDown { .. }
                    | DispatcherCommand::Reserve { .. }
            );
            self.carry_out(command);
        }
        self.commands = commands;
        let is_idle =
            self.dispatcher.is_idle(now) && self.committer.is_free() && self.pending.is_empty();
        let has_changed = *self.control.is_idle.borrow() != is_idle;
        if is_news
            || has_changed
            || self
                .published_at
                .is_none_or(|at| now.instant - at >= PUBLISH_EVERY)
        {
            self.publish(now);
            self.control.is_idle.send_replace(is_idle);
        }
    }

    /// Keeps where each reply goes; the rest is the dispatcher's.
    fn seated(&mut self, gathered: &mut Vec<WorkerMessage>) -> DispatcherEvent {
        let requests = gathered.drain(..).map(|WorkerMessage { request, reply }| {
            if let Some(seat) = self.seats.get_mut(&request.worker) {
                seat.reply = Some(reply);
            }
            request
        });
        DispatcherEvent::Requests(requests.collect())
    }

    fn ended(&mut self, ended: Result<(Id, WorkerEnd), JoinError>) -> DispatcherEvent {
        let (task, end) = match ended {
            Ok((task, end)) => (task, end),
            Err(error) => {
                if !error.is_cancelled() {
                    tracing::error!(%error, "a worker task panicked");
                }
                (error.id(), WorkerEnd::Aborted)
            }
        };
        let Some(id) = self.ids.remove(&task) else {
            return DispatcherEvent::Tick;
        };
        self.seats.remove(&id);
        DispatcherEvent::Ended(id, end)
    }

    fn publish(&mut self, now: Now) {
        self.published_at = Some(now.instant);
        for (relay, memory) in self.app.relays.iter().zip(self.dispatcher.memories()) {
            relay.remember(memory.clone());
        }
        let stage_of = |id| {
            self.seats
                .get(&id)
                .map_or(MailStage::Waiting, |seat: &WorkerHandle| seat.stage.get())
        };
        self.app
            .sending
            .set(Some(self.dispatcher.snapshot(now, stage_of)));
    }

    /// Cuts what is left off, and waits for what the database was asked, so that it is given back with the lease.
    async fn close(mut self) {
        self.workers.shutdown().await;
        let asked = async {
            while self.claims.join_next().await.is_some() {}
            self.give_back_days().await;
        };
        let _ = tokio::time::timeout(LAST_COMMITS, asked).await;
        self.publish(now(&self.app));
        self.app.sending.clear();
        self.control.is_idle.send_replace(true);
    }
}

impl SendRun {
    /// Gives back what is left of the relays' days, and what a reservation brings that was still under way.
    async fn give_back_days(&mut self) {
        let mut commands = Vec::new();
        self.dispatcher
            .handle(DispatcherEvent::Stop, now(&self.app), &mut commands);
        while let Some(reserved) = self.reservations.join_next().await {
            self.dispatcher
                .handle(reserved_event(reserved), now(&self.app), &mut commands);
        }
        self.dispatcher
            .give_back_days(now(&self.app), &mut commands);
        commands
            .into_iter()
            .filter(|command| matches!(command, DispatcherCommand::Release { .. }))
            .for_each(|command| self.carry_out(command));
        while self.reservations.join_next().await.is_some() {}
    }
}

fn now(app: &App) -> Now {
    Now {
        instant: Instant::now(),
        wall: app.now(),
    }
}

fn claimed_event(claimed: Result<ClaimOutcome, JoinError>) -> DispatcherEvent {
    // One that broke down found nothing; what it may have claimed goes back with the lease.
    match claimed.ok().flatten() {
        Some((jobs, may_be_more)) => DispatcherEvent::Claimed {
            jobs: Some(jobs),
            may_be_more,
        },
        None => DispatcherEvent::Claimed {
            jobs: None,
            may_be_more: false,
        },
    }
}

fn reserved_event(reserved: Result<Option<Reserved>, JoinError>) -> DispatcherEvent {
    match reserved {
        Ok(Some((relay, class, day, taken))) => DispatcherEvent::Reserved {
            relay,
            class,
            day,
            taken,
        },
        _ => DispatcherEvent::Tick,
    }
}
