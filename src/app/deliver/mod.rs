//! Delivering: from the ledger over connections that we hold to the relay, and back into the ledger.
//!
//! A [`round`](App::round) enters a sender under a [`lease`], starts a few [`worker`]s with a connection each, and lets a
//! [`desk`] hand out what is due until nothing is. All results meet at the desk, in group commits. The crash promise lives
//! there: a worker gets its next message only after its last result is committed.

mod claims;
mod commits;
mod desk;
mod groups;
mod hearing;
mod lease;
mod minutes;
mod outgoing;
mod process;
mod queue;
mod sends;
mod shares;
mod signing;
mod thread;
mod worker;

pub use minutes::Minutes;
pub use sends::Sends;
pub(crate) use sends::domain_of;
pub use signing::Signing;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::App;
use super::Failure;
use super::bounces::STEPS;
use crate::domain::slot::Slot;
use crate::mail::Fence;

/// How often those who died are looked for.
const LOOK: Duration = Duration::from_secs(1);
/// How long messages that are out may take to end once the process is told to stop.
const DRAIN: Duration = Duration::from_secs(30);

/// What this process did in a round, for progress bars.
#[derive(Debug, Default)]
pub struct Progress {
    /// Taken by the relay.
    pub sent: AtomicU64,
    /// Final, and not delivered.
    pub failed: AtomicU64,
    /// To be tried again.
    pub later: AtomicU64,
    /// In doubt.
    pub doubted: AtomicU64,
}

/// How delivering a digest ended for now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// Every delivery is final.
    Final,
    /// What is left waits for a later retry.
    Waits,
    /// It was paused or cancelled meanwhile.
    Halted,
    /// The breaker is open: the relay or our settings are at fault.
    Trouble(String),
    /// The process was told to stop.
    Stopped,
}

impl App {
    /// Delivers whatever becomes due, until told to stop; then finishes what is out.
    pub async fn deliver_until(self: &Arc<Self>, stop: &CancellationToken) {
        let progress = Arc::new(Progress::default());
        let mut looked_for_dead = None;
        let app = self.clone();
        let _hearing = AbortOnDropHandle::new(tokio::spawn(async move { app.hear().await }));
        let _publishing = self.publish_beside(stop);
        while !stop.is_cancelled() {
            if let Err(failure) = self.deliver_due(None, stop, &progress, &mut looked_for_dead).await {
                tracing::warn!(cause = failure.cause(), "delivering waits: {failure}");
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.doorbell.notified() => {}
                // The ledger is the truth, the bell a courtesy.
                () = tokio::time::sleep(self.settings.mail.poll) => {}
            }
        }
    }

    /// Delivers one published digest until every delivery is final or waits for a later retry.
    pub async fn deliver_digest(
        self: &Arc<Self>,
        slot: Slot,
        stop: &CancellationToken,
        progress: &Arc<Progress>,
    ) -> Result<Ending, Failure> {
        let mut looked_for_dead = None;
        let _publishing = self.publish_beside(stop);
        loop {
            self.deliver_due(Some(slot), stop, progress, &mut looked_for_dead).await?;
            if let Some(ending) = self.ending(slot).await? {
                self.publishing_ended().await;
                if ending == Ending::Waits {
                    self.storage.judge_if_all_tried(slot.id(), self.now()).await?;
                }
                self.judge_all_refusals().await?;
                return Ok(ending);
            }
            if stop.is_cancelled() {
                return Ok(Ending::Stopped);
            }
            // What is left is in the hands of another process; or just became due.
            tokio::time::sleep(LOOK / 5).await;
        }
    }

    /// Makes the deliveries of digests that are being published, beside the sending; ends when it is dropped.
    fn publish_beside(self: &Arc<Self>, stop: &CancellationToken) -> AbortOnDropHandle<()> {
        let (app, stop) = (self.clone(), stop.clone());
        AbortOnDropHandle::new(tokio::spawn(async move { app.publish_until(&stop).await }))
    }

    async fn ending(&self, slot: Slot) -> Result<Option<Ending>, Failure> {
        use crate::domain::digest::DigestState;
        let Some(digest) = self.storage.digest(slot).await? else { return Ok(Some(Ending::Final)) };
        if digest.state != DigestState::Sending {
            return Ok(Some(if digest.state == DigestState::Sent { Ending::Final } else { Ending::Halted }));
        }
        if self.storage.is_publishing(Some(slot.id())).await? {
            return Ok(None);
        }
        if let Some(trouble) = self.trouble() {
            return Ok(Some(Ending::Trouble(trouble)));
        }
        let all_later =
            !self.storage.is_held(slot.id()).await? && self.storage.next_due(slot.id()).await?.is_some_and(|due| due > self.now());
        Ok(all_later.then_some(Ending::Waits))
    }

    /// One look: takes over from the dead, runs a round if something is due, and marks digests that are done.
    async fn deliver_due(
        self: &Arc<Self>,
        only: Option<Slot>,
        stop: &CancellationToken,
        progress: &Arc<Progress>,
        looked_for_dead: &mut Option<tokio::time::Instant>,
    ) -> Result<(), Failure> {
        if looked_for_dead.is_none_or(|last| last.elapsed() >= LOOK) {
            self.take_over_from_the_dead().await?;
            self.judge_refusals(STEPS).await?;
            *looked_for_dead = Some(tokio::time::Instant::now());
        }
        if self.relays.iter().any(|relay| relay.crew(self.now()) > 0) && self.storage.has_due(self.now()).await? {
            self.round(only, stop, progress).await?;
        }
        if only.is_some() || self.storage.is_sending().await? {
            for slot in self.storage.finish_digests(self.now()).await? {
                tracing::info!(%slot, "digest sent: every delivery is final");
            }
        }
        Ok(())
    }

    /// Gives back to the ledger what senders held that no longer live.
    async fn take_over_from_the_dead(&self) -> Result<(), Failure> {
        let senders = self.storage.senders().await?;
        let dead: Vec<i64> = senders.iter().filter(|(_, process)| process::is_gone(process)).map(|(id, _)| *id).collect();
        let doubted = self.storage.recover(&dead, self.settings.mail.in_doubt, self.now()).await?;
        if doubted > 0 {
            tracing::warn!(doubted, "a sender died: these deliveries are in doubt, see `digest audit`");
        }
        Ok(())
    }

    /// Sends what is due over as many connections as the relays bear, until nothing is left or it must stop.
    async fn round(self: &Arc<Self>, only: Option<Slot>, stop: &CancellationToken, progress: &Arc<Progress>) -> Result<(), Failure> {
        let lease = lease::Lease::enter(self).await?;
        let desk = desk::Desk::open(self.clone(), &lease, only, stop.clone(), progress.clone()).await?;
        let minutes = minutes::Writing::start(self.clone());
        let work = self.clone().send_all(desk, lease.fence.clone(), stop.clone());
        let sent = if self.storage.is_postgres() {
            // Its connections belong to the runtime that opened them, and outlive a round.
            work.await;
            Ok(())
        } else {
            thread::on_its_own(work).await
        };
        minutes.end().await;
        lease.leave(self).await;
        sent
    }

    /// Starts a crew for each relay, and lets it work until the desk has nothing left for it.
    async fn send_all(self: Arc<Self>, desk: desk::Desk, fence: Fence, stop: CancellationToken) {
        let crews: Vec<usize> = self.relays.iter().map(|relay| relay.crew(self.now()).min(desk.waiting())).collect();
        let (turns, results) = mpsc::channel(crews.iter().sum::<usize>().max(1));
        let desk = tokio::spawn(desk.run(groups::Groups::of(results), crews.iter().sum()));
        let mut crew = JoinSet::new();
        for (at, relay) in self.relays.iter().enumerate() {
            for place in 0..crews[at] {
                let (relay, desk, fence) = (relay.clone(), turns.clone(), fence.clone());
                let worker = worker::Worker { app: self.clone(), relay, place: (at, place), desk, fence };
                crew.spawn(async move { (at, worker.work().await) });
            }
        }
        drop(turns);
        let mut unconnected = vec![Vec::new(); self.relays.len()];
        let all_ended = async {
            while let Some(ended) = crew.join_next().await {
                if let Ok((at, Err(trouble))) = ended {
                    unconnected[at].push(trouble);
                }
            }
        };
        tokio::select! {
            () = all_ended => {}
            () = drain(&stop) => tracing::warn!("stopping: messages that did not end in {} s are in doubt now", DRAIN.as_secs()),
        }
        for (at, troubles) in unconnected.iter().enumerate() {
            if let Some(trouble) = troubles.first().filter(|_| troubles.len() == crews[at]) {
                self.relays[at].breaker.note_no_connection(trouble, true);
            }
        }
        crew.shutdown().await;
        if desk.await.is_err() {
            tracing::error!("the desk ended badly; its messages are in doubt now");
        }
    }
}

async fn drain(stop: &CancellationToken) {
    stop.cancelled().await;
    tokio::time::sleep(DRAIN).await;
}
