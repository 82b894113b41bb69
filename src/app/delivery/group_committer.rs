//! Group committer: writes what a group of workers brings and begins in one trip to the ledger, one group after the other.
//!
//! Refused: two at once on PostgreSQL, whose commits wait for the disk together. Groups are smaller then, and on two cores what a
//! group costs the server outweighs what is won by waiting less: 9,000 mails a second with ten connections instead of 10,500.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::SendProgress;
use super::dispatcher::CommitGroup;
use super::lease::CommitWatch;
use super::lease::Lease;
use crate::app::App;
use crate::domain::Timestamp;
use crate::storage::ledger::updates::DeliveryUpdate;
use crate::storage::ledger::updates::Finished;
use crate::storage::ledger::updates::Start;

/// Writes groups for one sender.
pub struct GroupCommitter {
    writer: Arc<GroupWriter>,
    /// One at the most.
    under_way: JoinSet<(CommitGroup, Vec<bool>)>,
}

struct GroupWriter {
    app: Arc<App>,
    sender: i64,
    lost: CancellationToken,
    commits: Arc<CommitWatch>,
    progress: Arc<SendProgress>,
}

impl GroupCommitter {
    pub fn new(app: Arc<App>, lease: &Lease, progress: Arc<SendProgress>) -> Self {
        let (sender, lost, commits) = (lease.sender, lease.lost.clone(), lease.commits.clone());
        Self {
            writer: Arc::new(GroupWriter {
                app,
                sender,
                lost,
                commits,
                progress,
            }),
            under_way: JoinSet::new(),
        }
    }

    /// Returns whether the next one can start.
    pub fn is_free(&self) -> bool {
        self.under_way.is_empty()
    }

    pub fn start(&mut self, group: CommitGroup) {
        let writer = self.writer.clone();
        self.under_way.spawn(async move {
            writer.commits.started();
            let may_go = writer.write(&group).await;
            writer.commits.ended();
            (group, may_go)
        });
    }

    /// The group under way, once it is written, and whether each of its mails may go; for ever pending without one. May be dropped half-way.
    pub async fn written(&mut self) -> Option<(CommitGroup, Vec<bool>)> {
        match self.under_way.join_next().await {
            Some(Ok(written)) => Some(written),
            Some(Err(error)) => {
                tracing::error!(%error, "the commit task failed; giving up this sender's lease, mails in flight become uncertain");
                self.writer.lost.cancel();
                None
            }
            None => std::future::pending().await,
        }
    }
}

impl GroupWriter {
    /// Commits, and waits as long as it takes: a result that is not written would become a second copy. Only a lost lease
    /// ends the waiting, for then others have marked these messages as in doubt already.
    async fn write(&self, group: &CommitGroup) -> Vec<bool> {
        let mut pause = Duration::from_millis(50);
        let now = self.app.now();
        let relays = &self.app.relays;
        let next: Vec<Start<'_>> = group
            .begins
            .iter()
            .map(|begin| Start {
                key: begin.key,
                version: begin.version,
                relay: &relays[begin.relay].name,
            })
            .collect();
        loop {
            match self
                .app
                .storage
                .step(self.sender, &group.done, &next, now)
                .await
            {
                Ok(Some(may_go)) => {
                    group.done.iter().for_each(|done| self.count(done, now));
                    return may_go;
                }
                Ok(None) => {
                    self.lost.cancel();
                    return vec![false; next.len()];
                }
                Err(error) => {
                    tracing::warn!(%error, results = group.done.len(), "the ledger cannot be written; trying again")
                }
            }
            tokio::select! {
                () = self.lost.cancelled() => return vec![false; next.len()],
                () = tokio::time::sleep(pause) => {}
            }
            pause = (pause * 2).min(Duration::from_secs(2));
        }
    }

    fn count(&self, done: &Finished, now: Timestamp) {
        self.app.minutes.count(done.key.mailing, &done.step, now);
        let counter = match &done.step {
            DeliveryUpdate::Sent => &self.progress.sent,
            DeliveryUpdate::Again(_) => &self.progress.later,
            DeliveryUpdate::Failed => &self.progress.failed,
            DeliveryUpdate::Refused(refusal) => {
                metrics::counter!("verdicts_refusals_total", "class" => refusal.class.as_str())
                    .increment(1);
                &self.progress.failed
            }
            DeliveryUpdate::Doubted(_) => &self.progress.doubted,
        };
        counter.fetch_add(1, Relaxed);
    }
}
