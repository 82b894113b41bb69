//! Events that go into the dispatcher, and commands that come out of it.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::app::delivery::breaker::BreakerChange;
use crate::app::delivery::prefetcher::ClaimRequest;
use crate::domain::Timestamp;
use crate::domain::delivery::BatchKey;
use crate::domain::delivery::DeliveryKey;
use crate::domain::delivery::MailClass;
use crate::domain::limits::DomainLimits;
use crate::domain::next_state::Verdict;
use crate::storage::ledger::Job;
use crate::storage::ledger::updates::Finished;

/// A worker's number; none is used twice in a run.
pub type WorkerId = u64;

/// A moment by both clocks.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    pub instant: Instant,
    pub wall: Timestamp,
}

/// Something that happened.
#[derive(Debug)]
pub enum DispatcherEvent {
    /// Workers bring results and want mails.
    Requests(Vec<WorkerRequest>),
    /// A group is written; for each of its mails to begin, whether it may go.
    Committed(CommitGroup, Vec<bool>),
    /// A claim is over; `None`: it failed.
    Claimed {
        jobs: Option<Vec<Job>>,
        may_be_more: bool,
    },
    /// A worker is gone.
    Ended(WorkerId, WorkerEnd),
    /// Places that were reserved in a relay's day; `None`: it has no limit today. An error: not known.
    Reserved {
        relay: usize,
        class: MailClass,
        day: i64,
        taken: Result<Option<u64>, ()>,
    },
    /// Somebody may have put mail into the ledger.
    Wake,
    /// Time has passed.
    Tick,
    /// The process, or whoever started the run, wants it to end in order.
    Stop,
}

/// A worker's result and its wish for more, in one.
#[derive(Debug)]
pub struct WorkerRequest {
    pub worker: WorkerId,
    /// Result of the mail that it had begun.
    pub result: Option<MailResult>,
    /// True if it wants to begin the mail that it has at hand.
    pub begins: bool,
    /// True if its connection bears a mail beyond that.
    pub wants: bool,
}

/// Result of a mail, for the ledger and for its relay.
#[derive(Debug)]
pub struct MailResult {
    pub done: Finished,
    pub verdict: Verdict,
}

/// End of a worker.
#[derive(Debug)]
pub enum WorkerEnd {
    /// In order, with nothing begun.
    Closed,
    /// It never had a connection.
    Unconnected(Unconnected),
    /// The mail that it had at hand is larger than the relay takes, and goes back.
    TooLarge { class: MailClass, trouble: String },
    /// It was cut off, or broke down.
    Aborted,
}

/// Reason why there is no connection.
#[derive(Debug)]
pub struct Unconnected {
    /// In words.
    pub trouble: String,
    /// True if the relay has enough of us.
    pub is_throttle: bool,
    /// True if our login, or our demand for TLS, was not met.
    pub is_ours: bool,
    /// True if the relay itself says that it is for now.
    pub is_for_now: bool,
}

/// Results and beginnings that are committed together.
#[derive(Debug, Default)]
pub struct CommitGroup {
    /// Workers that wait for it.
    pub workers: Vec<WorkerId>,
    pub done: Vec<Finished>,
    /// The batch of each result.
    pub batches: Vec<BatchKey>,
    pub begins: Vec<Begin>,
}

/// A mail to be marked as being sent.
#[derive(Debug, Clone, Copy)]
pub struct Begin {
    pub worker: WorkerId,
    pub key: DeliveryKey,
    /// [`Job::version`]
    pub version: i64,
    pub relay: usize,
}

/// The dispatcher's reply to a worker. Without a mail begun or at hand it closes its connection.
#[derive(Debug)]
pub struct WorkerReply {
    /// The mail that it wanted to begin is marked as being sent; nobody else will send it.
    pub may_go: bool,
    /// The one after that: claimed, not begun.
    pub next: Option<Arc<Job>>,
}

/// Work for the send run.
#[derive(Debug)]
pub enum DispatcherCommand {
    Start(WorkerId, usize),
    Reply(WorkerId, WorkerReply),
    Commit(CommitGroup),
    Claim(ClaimRequest),
    Reserve {
        relay: usize,
        class: MailClass,
        day: i64,
    },
    Release {
        relay: usize,
        day: i64,
        count: u64,
    },
    /// Take the mail back, if its final dot is not out.
    Abandon(WorkerId),
    /// Cut the connection off.
    Abort(WorkerId),
    /// A worker that had begun this mail is gone: it is in doubt, or (`false`) surely not sent.
    Settle {
        job: Arc<Job>,
        batch: BatchKey,
        is_in_doubt: bool,
    },
    /// A relay's breaker has changed.
    Changed {
        relay: usize,
        change: BreakerChange,
        trouble: String,
    },
    /// A relay bears fewer connections now.
    SlowedDown {
        relay: usize,
        connections: usize,
        reply: String,
    },
}

/// Settings that the dispatcher keeps to.
#[derive(Debug, Clone)]
pub struct DispatcherSettings {
    /// `mail.idle`
    pub idle: Duration,
    /// `mail.poll`
    pub poll: Duration,
    /// `mail.per_domain`
    pub domains: DomainLimits,
}
