//! Delivering: from the ledger over connections that we hold to the relays, and back into the ledger.
//!
//! A process has one [`sender`]. While something is due it keeps a [`send_run`] under a [`lease`]: a [`dispatcher`] decides, [`worker`]s
//! hold a connection each, and all results meet in group commits. The crash promise lives there: a worker ends its next message only
//! after its last result is committed. Nothing waits for a slow part: a worker that hangs holds its one mail and its connection.
//!
//! Reading order: [`dispatcher`] with [`queue`], [`prefetcher`] and [`balancer`], which decide and do nothing; [`send_run`], which does and
//! decides nothing; [`worker`]; [`group_sizer`] and [`group_committer`]; [`sender`]; [`status`].

mod balancer;
pub mod breaker;
mod dispatcher;
mod group_committer;
mod group_sizer;
mod lease;
mod notify_listener;
mod prefetcher;
mod prepared_message;
pub(in crate::app) mod process;
mod queue;
pub(super) mod relay;
pub mod relay_report;
mod send_run;
mod send_stats;
mod sender;
mod sends;
mod signing;
mod status;
pub mod template_cache;
#[cfg(test)]
mod test_jobs;
mod thread;
pub mod waiting;
mod worker;

pub(crate) use process::name as process_name;
pub use send_stats::SendStats;
pub use sends::Sends;
pub use signing::Signing;
pub use status::MailStage;
pub use status::OpenMail;
pub use status::RelaySnapshot;
pub use status::RelayState;
pub use status::SendSnapshot;
pub use status::SendStatus;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::app::App;
use crate::app::Failure;
use crate::app::FailureKind;
use crate::app::pulse::IDLE_MAX;
use crate::app::pulse::WORK_MAX;
use crate::domain::slot::Slot;
use sender::Sender;

/// A digest that is sent by a command is looked at so often, besides when the run has nothing to do.
const LOOK: Duration = Duration::from_millis(200);
/// At a stop, a look at the database that is under way may take so long.
const LAST_LOOK: Duration = Duration::from_secs(5);
/// Upper bound on how long a command waits for a relay that says that it takes nothing for now, since it took the last mail: longer than
/// greylisting (5 minutes by most defaults). Twice `mail.pause.max` where that is longer.
const PATIENCE: Duration = Duration::from_secs(15 * 60);

/// Counts of what this process did, for progress bars.
#[derive(Debug, Default)]
pub struct SendProgress {
    /// Taken by the relay.
    pub sent: AtomicU64,
    /// Final, and not delivered.
    pub failed: AtomicU64,
    /// To be tried again.
    pub later: AtomicU64,
    /// In doubt.
    pub doubted: AtomicU64,
}

/// State of a digest's delivery when a send run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SendEnding {
    /// Every delivery is final.
    Final,
    /// The rest waits for a later retry.
    Waits,
    /// It was paused or cancelled meanwhile.
    Halted,
    /// The breaker is open: the relay or our settings are at fault.
    Trouble(String),
    /// The process was told to stop.
    Stopped,
}

/// Outages of the database during a send.
#[derive(Default)]
struct Outages {
    /// True once the ledger was read: before, whoever sends is told at once that there is no database.
    has_begun: bool,
    since: Option<Instant>,
}

impl Outages {
    fn is_over(&mut self) {
        (self.has_begun, self.since) = (true, None);
    }

    /// Returns whether a failure is waited out: the database was there, and has not been away for [`PATIENCE`] yet.
    fn may_pass(&mut self, failure: &Failure) -> bool {
        self.has_begun
            && matches!(failure.kind(), FailureKind::Unavailable(_))
            && self.since.get_or_insert_with(Instant::now).elapsed() < PATIENCE
    }
}

impl App {
    /// Delivers whatever becomes due, until told to stop; then finishes what is out.
    pub async fn deliver_until(self: &Arc<Self>, stop: &CancellationToken) {
        let mut sender = Sender::new(self.clone(), None, Arc::new(SendProgress::default()));
        let app = self.clone();
        let _hearing = AbortOnDropHandle::new(tokio::spawn(async move { app.hear().await }));
        let _publishing = self.publish_beside(stop);
        let saying = self.say_that_it_sends(None);
        while !stop.is_cancelled() {
            self.pulse.beat("deliver", WORK_MAX);
            let looked = tokio::select! {
                looked = sender.look() => looked,
                // A database that does not answer is not waited for: the next process looks again.
                () = stopped_for(stop, LAST_LOOK) => break,
            };
            if let Err(failure) = looked {
                tracing::warn!(
                    cause = failure.cause(),
                    "checking for due mail failed; retrying after mail.poll: {failure}"
                );
            }
            self.pulse
                .beat("deliver", IDLE_MAX + self.settings.mail.poll);
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.doorbell.notified() => sender.wake(),
                // The ledger is the truth, the bell a courtesy.
                () = tokio::time::sleep(self.settings.mail.poll) => {}
            }
        }
        self.pulse.end("deliver");
        drop(saying);
        if let Err(failure) = sender.end().await {
            tracing::warn!(cause = failure.cause(), "{failure}");
        }
        self.say_no_more().await;
    }

    /// Delivers one published digest until every delivery is final or waits for a later retry.
    pub async fn deliver_digest(
        self: &Arc<Self>,
        slot: Slot,
        stop: &CancellationToken,
        progress: &Arc<SendProgress>,
    ) -> Result<SendEnding, Failure> {
        let (_publishing, saying) = (
            self.publish_beside(stop),
            self.say_that_it_sends(Some(slot)),
        );
        let mut sender = Sender::new(self.clone(), Some(slot), progress.clone());
        let delivered = self.deliver_by(&mut sender, slot, stop, progress).await;
        // However it came to its end, what is out comes to its own.
        let ended = sender.end().await;
        drop(saying);
        self.say_no_more().await;
        let ending = delivered.and_then(|ending| ended.map(|()| ending))?;
        if ending == SendEnding::Stopped {
            return Ok(ending);
        }
        self.publishing_ended().await;
        // What came back at the end may have been the last.
        let ending = self.ending(slot).await?.unwrap_or(ending);
        if ending == SendEnding::Waits {
            self.storage
                .judge_if_all_tried(slot.id(), self.now())
                .await?;
        }
        self.judge_all_refusals().await?;
        Ok(ending)
    }

    async fn deliver_by(
        self: &Arc<Self>,
        sender: &mut Sender,
        slot: Slot,
        stop: &CancellationToken,
        progress: &SendProgress,
    ) -> Result<SendEnding, Failure> {
        let mut last_sent = (0, Instant::now());
        let mut outage = Outages::default();
        loop {
            let looked = tokio::select! {
                looked = sender.look() => looked,
                () = stopped_for(stop, LAST_LOOK) => return Ok(SendEnding::Stopped),
            };
            let ending = match looked {
                Ok(()) if sender.is_idle() => self.ending(slot).await,
                looked => looked.map(|()| None),
            };
            match ending {
                Ok(Some(ending))
                    if !(matches!(ending, SendEnding::Trouble(_))
                        && self.has_patience(progress, &mut last_sent)) =>
                {
                    return Ok(ending);
                }
                Ok(_) => outage.is_over(),
                // A run that is at work waits for the database by itself.
                Err(failure) if sender.is_sending() || outage.may_pass(&failure) => {
                    tracing::warn!(
                        cause = failure.cause(),
                        "checking the ledger failed; the send continues: {failure}"
                    )
                }
                Err(failure) => return Err(failure),
            }
            tokio::select! {
                () = stop.cancelled() => return Ok(SendEnding::Stopped),
                () = sender.gone_idle() => {}
                // What is left is in the hands of another process; or just became due.
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    /// Returns whether a pause is waited for rather than reported: the relay itself says that it is for now (a limit per minute, too many
    /// logins, a queue that is full), and took a mail, or was first tried, within [`PATIENCE`].
    fn has_patience(&self, progress: &SendProgress, last_sent: &mut (u64, Instant)) -> bool {
        let sent = progress.sent.load(Relaxed);
        if sent > last_sent.0 {
            *last_sent = (sent, Instant::now());
        }
        self.is_asked_for_patience()
            && last_sent.1.elapsed() < PATIENCE.max(self.settings.mail.pause.max * 2)
    }

    /// Makes the deliveries of digests that are being published, beside the sending; ends when it is dropped.
    fn publish_beside(self: &Arc<Self>, stop: &CancellationToken) -> AbortOnDropHandle<()> {
        let (app, stop) = (self.clone(), stop.clone());
        AbortOnDropHandle::new(tokio::spawn(async move { app.publish_until(&stop).await }))
    }

    async fn ending(&self, slot: Slot) -> Result<Option<SendEnding>, Failure> {
        use crate::domain::digest::DigestState;
        let Some(digest) = self.storage.digest(slot).await? else {
            return Ok(Some(SendEnding::Final));
        };
        if digest.state != DigestState::Sending {
            return Ok(Some(if digest.state == DigestState::Sent {
                SendEnding::Final
            } else {
                SendEnding::Halted
            }));
        }
        if self.storage.is_publishing(Some(slot.id())).await? {
            return Ok(None);
        }
        if let Some(trouble) = self.blocked() {
            return Ok(Some(SendEnding::Trouble(trouble)));
        }
        let all_later = !self.storage.is_held(slot.id()).await?
            && self
                .storage
                .next_due(slot.id())
                .await?
                .is_some_and(|due| due > self.now());
        Ok(all_later.then_some(SendEnding::Waits))
    }
}

async fn stopped_for(stop: &CancellationToken, time: Duration) {
    stop.cancelled().await;
    tokio::time::sleep(time).await;
}
