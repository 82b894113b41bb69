//! The desk: hands out what is due, and commits all results in groups.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Progress;
use super::claims::Claims;
use super::commits::Commits;
use super::commits::Group;
use super::groups::Groups;
use super::lease::Lease;
use super::queue::Queue;
use super::shares::Shares;
use crate::app::App;
use crate::app::Failure;
use crate::app::breaker::Standing;
use crate::app::delta;
use crate::domain::delivery::ChunkKey;
use crate::domain::delivery::DeliveryKey;
use crate::domain::slot::Slot;
use crate::storage::StorageError;
use crate::storage::ledger::Job;
use crate::storage::steps::Done;

/// Taken at once from a relay's allowance for the day.
const DAY_SHARE: u64 = 50;
/// Who waits for a mail whose turn has not come is looked at again after that.
const ASK_AGAIN: Duration = Duration::from_millis(20);

/// As many connections are a large crew: with 10 half of it was better by a tenth, with 20 all of it.
const LARGE_CREW: usize = 16;

/// A round is no longer than this,
const LONGEST_ROUND: Duration = Duration::from_secs(30);
/// or this, if it could use more connections.
const SHORT_HANDED: Duration = Duration::from_secs(2);

/// What a worker brings and wants, at once.
pub struct Turn {
    /// What became of its last mail, and of which chunk that was.
    pub done: Option<(Done, ChunkKey)>,
    /// Over which relay it sends.
    pub relay: usize,
    /// The mail whose text goes out next, if it may.
    pub begin: Option<(DeliveryKey, ChunkKey)>,
    /// Whether it wants another one to be at hand.
    pub wants: bool,
    /// Where the answer goes, once all of this is committed.
    pub answer: oneshot::Sender<Answer>,
}

/// What a worker may do now.
pub struct Answer {
    /// The mail that it wanted to begin is marked as being sent; nobody else will send it.
    pub may_go: bool,
    /// The one after that: claimed, not begun.
    pub next: Option<Job>,
}

/// One round's desk.
pub struct Desk {
    app: Arc<App>,
    sender: i64,
    stop: CancellationToken,
    lost: CancellationToken,
    queue: Queue,
    shares: Shares,
    /// Workers that have nothing out and wait for a mail that their relay and its domain may have.
    asking: Vec<Turn>,
    claims: Claims,
    commits: Commits,
    opened: Instant,
    crew: usize,
    /// While a relay is probed, a single mail goes out over it.
    probing: Vec<Option<usize>>,
}

impl Desk {
    /// Claims the first chunk.
    pub async fn open(
        app: Arc<App>,
        lease: &Lease,
        only: Option<Slot>,
        stop: CancellationToken,
        progress: Arc<Progress>,
    ) -> Result<Self, Failure> {
        let mut desk = Self {
            sender: lease.sender,
            stop,
            lost: lease.lost.clone(),
            commits: Commits::new(app.clone(), lease.sender, lease.lost.clone(), progress),
            queue: Queue::new(app.settings.mail.domain_limits()),
            shares: Shares::new(app.relays.iter().map(|relay| (relay.weight, relay.is_limited_by_day()))),
            asking: Vec::new(),
            claims: Claims::new(app.clone(), lease.sender, only.map(Slot::id)),
            opened: Instant::now(),
            crew: 0,
            probing: app.relays.iter().map(|relay| (relay.breaker.standing() == Standing::Probing).then_some(1)).collect(),
            app,
        };
        while desk.queue.len() == 0 && desk.claims.may_bring() {
            desk.claims.look_ahead(0);
            let jobs = desk.claims.arrived().await?;
            desk.take_in(jobs).await?;
        }
        Ok(desk)
    }

    /// Mails at hand.
    pub fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// Serves a crew of so many workers until the last one has gone.
    pub async fn run(mut self, mut groups: Groups<Turn>, crew: usize) {
        self.crew = crew;
        let mut turns = Vec::new();
        loop {
            let enough = self.worth_a_commit(crew.saturating_sub(self.asking.len()));
            let goes_on = tokio::select! {
                goes_on = groups.next(&mut turns, enough), if self.commits.is_free() => goes_on,
                written = self.commits.written() => {
                    written.into_iter().for_each(|group| self.answer(group));
                    true
                }
                claimed = self.claims.arrived() => {
                    self.arrive(claimed).await;
                    true
                }
                () = tokio::time::sleep(ASK_AGAIN), if !self.asking.is_empty() => true,
            };
            if !goes_on {
                break;
            }
            if self.commits.is_free() && !turns.is_empty() {
                self.serve(std::mem::take(&mut turns)).await;
            }
            self.look_ahead();
            self.answer_those_who_ask();
        }
        self.commits.end().await;
        self.claims.end().await;
        for (at, relay) in self.app.relays.iter().enumerate() {
            let left = self.shares.budget(at).and_then(|budget| budget.take()).unwrap_or(0);
            self.app.give_back_to_day(relay, left).await;
        }
    }

    /// How many of so many workers make a group that is worth a commit. On PostgreSQL, where a group takes a quarter of a millisecond
    /// whatever is in it, all; the lines have texts to carry meanwhile. On SQLite half of a small crew: the other half keeps the lines
    /// busy meanwhile. Half of a large one keeps them busy enough to be in the way of the commit: there, too, all.
    fn worth_a_commit(&self, crew: usize) -> usize {
        if self.app.storage.is_postgres() || crew >= LARGE_CREW { crew } else { crew / 2 }
    }

    /// Begins to commit what the workers bring together with what they begin.
    async fn serve(&mut self, turns: Vec<Turn>) {
        self.fill_budgets(&turns).await;
        let group = Group::of(turns, !self.must_stop());
        group.done().iter().for_each(|done| self.queue.is_back(done.key));
        self.commits.start(group);
    }

    /// Tells all in a group that is written what they may do.
    fn answer(&mut self, group: Group) {
        group.chunks.into_iter().for_each(|chunk| self.claims.has_ended(chunk));
        for (turn, may_go) in group.turns.into_iter().zip(group.may_go) {
            if let (Some((key, chunk)), false) = (turn.begin, may_go) {
                self.queue.is_back(key);
                self.claims.has_ended(chunk);
            }
            self.shares.note(turn.relay);
            match turn.begin {
                None if turn.wants => self.asking.push(turn),
                // A worker that is gone never saw it: it stays claimed and goes back with the lease.
                _ => {
                    let next = if turn.wants { self.take(turn.relay) } else { None };
                    let _ = turn.answer.send(Answer { may_go, next });
                }
            }
        }
    }

    /// Who asks is given a mail, or told that there is none; or waits, while there is one whose turn has not come.
    fn answer_those_who_ask(&mut self) {
        for turn in std::mem::take(&mut self.asking) {
            let next = self.take(turn.relay);
            let may_come = next.is_none() && (self.queue.len() > 0 || self.claims.may_bring()) && !self.is_closed_to(turn.relay);
            if may_come {
                self.asking.push(turn);
            } else {
                let _ = turn.answer.send(Answer { may_go: false, next });
            }
        }
    }

    fn is_closed_to(&mut self, relay: usize) -> bool {
        self.must_stop()
            || self.app.relays[relay].breaker.is_open()
            || self.probing[relay] == Some(0)
            || self.shares.budget(relay).is_some_and(|budget| *budget == Some(0))
    }

    /// Takes what the turns may need out of the days' allowances, a chunk at a time.
    async fn fill_budgets(&mut self, turns: &[Turn]) {
        for at in 0..self.app.relays.len() {
            let Some(budget) = self.shares.budget(at).filter(|budget| **budget == Some(0)) else { continue };
            let relay = self.app.relays[at].clone();
            if !turns.iter().any(|turn| turn.wants && turn.relay == at) || relay.is_spent(self.app.now()) {
                continue;
            }
            match self.app.take_from_day(&relay, DAY_SHARE).await {
                Ok(taken) => *budget = taken,
                Err(failure) => tracing::warn!(cause = failure.cause(), relay = relay.name, "its day's allowance is not known: {failure}"),
            }
        }
    }

    fn must_stop(&self) -> bool {
        self.stop.is_cancelled() || self.lost.is_cancelled() || self.is_over()
    }

    /// A round ends after a while, and soon when there is work for more connections than it has: the next one connects
    /// anew what was lost, and looks after the dead.
    fn is_over(&self) -> bool {
        let age = self.opened.elapsed();
        let most: usize = self.app.relays.iter().map(|relay| relay.connections).sum();
        let short_handed = self.crew < most && self.queue.ready() > self.crew;
        age > LONGEST_ROUND || (short_handed && age > SHORT_HANDED)
    }

    fn look_ahead(&mut self) {
        if !self.must_stop() {
            self.claims.look_ahead(self.queue.ready());
        }
    }

    async fn arrive(&mut self, claimed: Result<Vec<Job>, StorageError>) {
        let taken_in = match claimed {
            Ok(jobs) => self.take_in(jobs).await,
            Err(error) => Err(error.into()),
        };
        if let Err(failure) = taken_in {
            tracing::warn!(cause = failure.cause(), "nothing can be claimed: {failure}");
        }
    }

    /// Queues what was claimed; what is too much for its domain's limit goes back for later.
    async fn take_in(&mut self, jobs: Vec<Job>) -> Result<(), Failure> {
        for job in jobs {
            self.queue.push(job);
        }
        while let Some((jobs, wait)) = self.queue.too_many() {
            let keys: Vec<DeliveryKey> = jobs.iter().map(|job| job.key).collect();
            self.app.storage.put_off(self.sender, &keys, self.app.now() + delta(wait)).await?;
            jobs.iter().for_each(|job| self.claims.has_ended(job.chunk));
        }
        Ok(())
    }

    fn take(&mut self, relay: usize) -> Option<Job> {
        if self.is_closed_to(relay) || !self.shares.may_take(relay) {
            return None;
        }
        let job = self.queue.pop()?;
        self.shares.took(relay);
        self.probing[relay] = self.probing[relay].map(|allowed| allowed - 1);
        Some(job)
    }
}
