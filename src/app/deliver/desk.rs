//! The desk: hands out what is due, and commits all results in groups.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Progress;
use super::lease::Lease;
use crate::app::App;
use crate::app::Failure;
use crate::domain::delivery::DeliveryKey;
use crate::domain::delivery::DeliveryKind;
use crate::domain::slot::Slot;
use crate::storage::ledger::Job;
use crate::storage::steps::Done;
use crate::storage::steps::Step;

/// So long at most until a fresh confirmation mail overtakes what was claimed before it.
const CLAIM_AGAIN: Duration = Duration::from_millis(250);
/// Claimed at once for each connection: enough to keep it busy, little enough that one process does not hoard.
const CHUNK: usize = 20;

/// A round is no longer than this,
const LONGEST_ROUND: Duration = Duration::from_secs(30);
/// or this, if it could use more connections.
const SHORT_HANDED: Duration = Duration::from_secs(2);

/// What a worker brings and wants, at once.
pub struct Request {
    /// What became of its last message.
    pub done: Option<Done>,
    /// Where the next one goes; `None` in the answer when there is none.
    pub wants: Option<oneshot::Sender<Option<Job>>>,
}

type Wish = oneshot::Sender<Option<Job>>;

/// One round's desk.
pub struct Desk {
    app: Arc<App>,
    sender: i64,
    only: Option<Slot>,
    stop: CancellationToken,
    lost: CancellationToken,
    progress: Arc<Progress>,
    urgent: VecDeque<Job>,
    bulk: VecDeque<Job>,
    claimed_at: Instant,
    opened: Instant,
    crew: usize,
    /// While the breaker probes, a single message goes out.
    allowed: Option<usize>,
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
            app,
            sender: lease.sender,
            only,
            stop,
            lost: lease.lost.clone(),
            progress,
            urgent: VecDeque::new(),
            bulk: VecDeque::new(),
            claimed_at: Instant::now(),
            opened: Instant::now(),
            crew: 0,
            allowed: None,
        };
        desk.claim().await?;
        Ok(desk)
    }

    /// Messages at hand.
    pub fn waiting(&self) -> usize {
        self.urgent.len() + self.bulk.len()
    }

    /// Serves a crew of so many workers until the last one has gone.
    pub async fn run(mut self, mut inbox: mpsc::Receiver<Request>, crew: usize, probing: bool) {
        self.crew = crew;
        self.allowed = probing.then_some(1);
        let mut batch = Vec::new();
        while inbox.recv_many(&mut batch, 256).await > 0 {
            let mut done = Vec::with_capacity(batch.len());
            let mut wishes = VecDeque::with_capacity(batch.len());
            for request in batch.drain(..) {
                done.extend(request.done);
                wishes.extend(request.wants);
            }
            self.serve(done, wishes).await;
        }
    }

    /// Commits `done` together with what goes out next; whoever gets nothing is told so.
    async fn serve(&mut self, mut done: Vec<Done>, mut wishes: VecDeque<Wish>) {
        loop {
            if !wishes.is_empty() && !self.must_stop() {
                self.refill(wishes.len()).await;
            }
            let next = self.take(wishes.len());
            if done.is_empty() && next.is_empty() {
                break;
            }
            let keys: Vec<DeliveryKey> = next.iter().map(|job| job.key).collect();
            let may_go = self.commit(&done, &keys).await;
            done.clear();
            for (job, may_go) in next.into_iter().zip(may_go) {
                if !may_go {
                    continue;
                }
                let Some(wish) = wishes.pop_front() else { break };
                if let Err(Some(job)) = wish.send(Some(job)) {
                    // The worker is gone and never saw it: nothing went out, so there is nothing to doubt.
                    done.push(Done { key: job.key, step: Step::Again(self.app.now()), reply: "not sent: stopped".into() });
                }
            }
        }
        for wish in wishes {
            let _ = wish.send(None);
        }
    }

    fn must_stop(&self) -> bool {
        self.stop.is_cancelled() || self.lost.is_cancelled() || self.allowed == Some(0) || self.app.breaker.is_open() || self.is_over()
    }

    /// A round ends after a while, and soon when there is work for more connections than it has: the next one connects
    /// anew what was lost, and looks after the dead.
    fn is_over(&self) -> bool {
        let age = self.opened.elapsed();
        let short_handed = self.crew < self.app.settings.mail.connections && self.waiting() > self.crew;
        age > LONGEST_ROUND || (short_handed && age > SHORT_HANDED)
    }

    async fn refill(&mut self, wanted: usize) {
        if self.waiting() >= wanted && self.claimed_at.elapsed() < CLAIM_AGAIN {
            return;
        }
        if let Err(failure) = self.claim().await {
            tracing::warn!(cause = failure.cause(), "nothing can be claimed: {failure}");
        }
    }

    async fn claim(&mut self) -> Result<(), Failure> {
        let room = (CHUNK * self.app.settings.mail.connections).saturating_sub(self.bulk.len()).max(CHUNK);
        self.claimed_at = Instant::now();
        for job in self.app.storage.claim(self.sender, self.only.map(Slot::id), room, self.app.now()).await? {
            match job.kind {
                DeliveryKind::Confirmation => self.urgent.push_back(job),
                DeliveryKind::Digest => self.bulk.push_back(job),
            }
        }
        Ok(())
    }

    fn take(&mut self, count: usize) -> Vec<Job> {
        if self.must_stop() {
            return Vec::new();
        }
        let count = self.allowed.map_or(count, |allowed| count.min(allowed));
        let jobs: Vec<Job> = std::iter::from_fn(|| self.urgent.pop_front().or_else(|| self.bulk.pop_front())).take(count).collect();
        self.allowed = self.allowed.map(|allowed| allowed - jobs.len());
        jobs
    }

    /// Commits, and waits as long as it takes: a result that is not written would become a second copy. Only a lost lease
    /// ends the waiting, for then others have marked these messages as in doubt already.
    async fn commit(&self, done: &[Done], next: &[DeliveryKey]) -> Vec<bool> {
        let mut pause = Duration::from_millis(50);
        let now = self.app.now();
        loop {
            match self.app.storage.step(self.sender, done, next, now).await {
                Ok(Some(may_go)) => {
                    done.iter().for_each(|done| self.count(&done.step));
                    return may_go;
                }
                Ok(None) => {
                    self.lost.cancel();
                    return vec![false; next.len()];
                }
                Err(error) => tracing::warn!(%error, results = done.len(), "the ledger cannot be written; trying again"),
            }
            tokio::select! {
                () = self.lost.cancelled() => return vec![false; next.len()],
                () = tokio::time::sleep(pause) => {}
            }
            pause = (pause * 2).min(Duration::from_secs(2));
        }
    }

    fn count(&self, step: &Step) {
        let (counter, name) = match step {
            Step::Sent => (&self.progress.sent, "sent"),
            Step::Again(_) => (&self.progress.later, "later"),
            Step::Failed => (&self.progress.failed, "failed"),
            Step::Bounced { .. } => (&self.progress.failed, "bounced"),
            Step::Doubted(_) => (&self.progress.doubted, "uncertain"),
        };
        counter.fetch_add(1, Relaxed);
        metrics::counter!("verdicts_deliveries_total", "outcome" => name).increment(1);
    }
}
