//! Commits: what a group of workers brings and begins, written down in one trip to the ledger, one group after the other.
//!
//! Refused: two at once on PostgreSQL, whose commits wait for the disk together. Groups are smaller then, and on two cores what a
//! group costs the server outweighs what is won by waiting less: 9,000 mails a second with ten connections instead of 10,500.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::Progress;
use super::desk::Turn;
use crate::app::App;
use crate::domain::Timestamp;
use crate::domain::delivery::ChunkKey;
use crate::storage::steps::Done;
use crate::storage::steps::Next;
use crate::storage::steps::Step;

/// A round's commits.
pub struct Commits {
    writer: Arc<Writer>,
    /// One at the most.
    under_way: JoinSet<Group>,
}

/// What is written together.
pub struct Group {
    /// Who waits for it. Their results are in `done`.
    pub turns: Vec<Turn>,
    /// Of which chunks the results are.
    pub chunks: Vec<ChunkKey>,
    done: Vec<Done>,
    /// Whether anything may begin.
    begins: bool,
    /// Whether each turn's mail may go.
    pub may_go: Vec<bool>,
}

struct Writer {
    app: Arc<App>,
    sender: i64,
    lost: CancellationToken,
    progress: Arc<Progress>,
}

impl Group {
    pub fn of(mut turns: Vec<Turn>, begins: bool) -> Self {
        let (done, chunks) = turns.iter_mut().filter_map(|turn| turn.done.take()).unzip();
        Self { may_go: vec![false; turns.len()], turns, chunks, done, begins }
    }

    /// The results.
    pub fn done(&self) -> &[Done] {
        &self.done
    }
}

impl Commits {
    pub fn new(app: Arc<App>, sender: i64, lost: CancellationToken, progress: Arc<Progress>) -> Self {
        Self { writer: Arc::new(Writer { app, sender, lost, progress }), under_way: JoinSet::new() }
    }

    /// Whether the next one can start.
    pub fn is_free(&self) -> bool {
        self.under_way.is_empty()
    }

    pub fn start(&mut self, mut group: Group) {
        let writer = self.writer.clone();
        self.under_way.spawn(async move {
            writer.write(&mut group).await;
            group
        });
    }

    /// The one under way, once it is written; for ever pending without one. May be dropped half-way.
    pub async fn written(&mut self) -> Option<Group> {
        match self.under_way.join_next().await {
            Some(Ok(group)) => Some(group),
            Some(Err(error)) => {
                tracing::error!(%error, "a commit ended badly; its messages are in doubt now");
                None
            }
            None => std::future::pending().await,
        }
    }

    /// Waits for the one under way, whoever may be there to hear of it.
    pub async fn end(mut self) {
        while self.under_way.join_next().await.is_some() {}
    }
}

impl Writer {
    /// Commits, and waits as long as it takes: a result that is not written would become a second copy. Only a lost lease
    /// ends the waiting, for then others have marked these messages as in doubt already.
    async fn write(&self, group: &mut Group) {
        let mut pause = Duration::from_millis(50);
        let now = self.app.now();
        let relays = &self.app.relays;
        let begin = |(at, turn): (usize, &Turn)| Some((at, Next { key: turn.begin?.0, relay: &relays[turn.relay].name }));
        let wanted = group.turns.iter().enumerate().filter(|_| group.begins).filter_map(begin);
        let (places, next): (Vec<usize>, Vec<Next<'_>>) = wanted.unzip();
        if group.done.is_empty() && next.is_empty() {
            return;
        }
        loop {
            match self.app.storage.step(self.sender, &group.done, &next, now).await {
                Ok(Some(may_go)) => {
                    group.done.iter().for_each(|done| self.count(done, now));
                    places.into_iter().zip(may_go).for_each(|(at, may_go)| group.may_go[at] = may_go);
                    return;
                }
                Ok(None) => return self.lost.cancel(),
                Err(error) => tracing::warn!(%error, results = group.done.len(), "the ledger cannot be written; trying again"),
            }
            tokio::select! {
                () = self.lost.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
            pause = (pause * 2).min(Duration::from_secs(2));
        }
    }

    fn count(&self, done: &Done, now: Timestamp) {
        self.app.minutes.count(done.key.mailing, &done.step, now);
        let counter = match &done.step {
            Step::Sent => &self.progress.sent,
            Step::Again(_) => &self.progress.later,
            Step::Failed => &self.progress.failed,
            Step::Refused(refusal) => {
                metrics::counter!("verdicts_refusals_total", "class" => refusal.class.as_str()).increment(1);
                &self.progress.failed
            }
            Step::Doubted(_) => &self.progress.doubted,
        };
        counter.fetch_add(1, Relaxed);
    }
}
