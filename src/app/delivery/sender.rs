//! The sender of a process: begins a [send run](super::send_run) when something is due, and looks after what others left behind.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::SendProgress;
use super::lease::Lease;
use super::process;
use super::send_run::RunControl;
use super::send_run::SendRun;
use super::thread;
use crate::app::App;
use crate::app::Failure;
use crate::app::delivery::send_stats;
use crate::app::returns::bounces::STEPS;
use crate::domain::delivery::MailClass;
use crate::domain::slot::Slot;

/// Senders that died, and digests that are done, are looked for so often.
const UPKEEP_EVERY: Duration = Duration::from_secs(1);

pub struct Sender {
    app: Arc<App>,
    only: Option<Slot>,
    progress: Arc<SendProgress>,
    run: Option<SenderRun>,
    looked_at: Option<Instant>,
}

struct SenderRun {
    control: Arc<RunControl>,
    task: AbortOnDropHandle<Result<(), Failure>>,
}

impl Sender {
    /// One that sends what is due; with `only`, of that digest.
    pub fn new(app: Arc<App>, only: Option<Slot>, progress: Arc<SendProgress>) -> Self {
        Self {
            app,
            only,
            progress,
            run: None,
            looked_at: None,
        }
    }

    /// Looks after the dead and the done, and begins a run where something is due and none is there.
    pub async fn look(&mut self) -> Result<(), Failure> {
        if self
            .looked_at
            .is_none_or(|last| last.elapsed() >= UPKEEP_EVERY)
        {
            self.app.take_over_from_the_dead().await?;
            self.app.judge_refusals(STEPS).await?;
            self.looked_at = Some(Instant::now());
        }
        if self.run.as_ref().is_some_and(|run| run.task.is_finished()) {
            self.end().await?;
        }
        let now = self.app.now();
        let may_send = self.app.relays.iter().any(|relay| {
            MailClass::ALL
                .iter()
                .any(|class| relay.may_send(*class, now))
        });
        if self.run.is_none() && may_send && self.app.storage.has_due(now).await? {
            self.run = Some(self.begin());
        }
        if self.only.is_some() || self.app.storage.is_sending().await? {
            self.app.storage.tell_progress(now).await?;
            for slot in self.app.storage.finish_digests(self.app.now()).await? {
                tracing::info!(%slot, "digest sent: every delivery is final");
            }
        }
        Ok(())
    }

    fn begin(&self) -> SenderRun {
        let control = Arc::new(RunControl {
            stop: CancellationToken::new(),
            wake: Notify::new(),
            is_idle: watch::Sender::new(false),
        });
        let work = send(
            self.app.clone(),
            self.only.map(Slot::id),
            control.clone(),
            self.progress.clone(),
        );
        SenderRun {
            task: AbortOnDropHandle::new(tokio::spawn(work)),
            control,
        }
    }

    /// Somebody may have put mail into the ledger.
    pub fn wake(&self) {
        if let Some(run) = &self.run {
            run.control.wake.notify_one();
        }
    }

    /// Returns whether a run is at work.
    pub fn is_sending(&self) -> bool {
        self.run.as_ref().is_some_and(|run| !run.task.is_finished())
    }

    /// Returns whether nothing is being sent, nor claimed.
    pub fn is_idle(&self) -> bool {
        self.run
            .as_ref()
            .is_none_or(|run| *run.control.is_idle.borrow())
    }

    /// Waits until the run at hand has nothing to do any more, or has ended; for ever without one.
    pub async fn gone_idle(&self) {
        let Some(run) = &self.run else {
            return std::future::pending().await;
        };
        let mut is_idle = run.control.is_idle.subscribe();
        if is_idle.wait_for(|is_idle| !is_idle).await.is_ok() {
            let _ = is_idle.wait_for(|is_idle| *is_idle).await;
        }
    }

    /// Ends the run at hand in order: what is out comes to its end.
    pub async fn end(&mut self) -> Result<(), Failure> {
        let Some(run) = self.run.take() else {
            return Ok(());
        };
        run.control.stop.cancel();
        let ended = run.task.await;
        self.app.sending.clear();
        ended.unwrap_or_else(|error| {
            Err(Failure::internal(format!(
                "Delivering broke down; what was out is in doubt now: {error}."
            )))
        })
    }
}

/// A whole run, from its lease's beginning to its end.
async fn send(
    app: Arc<App>,
    only: Option<i64>,
    control: Arc<RunControl>,
    progress: Arc<SendProgress>,
) -> Result<(), Failure> {
    let lease = Lease::enter(&app).await?;
    let (run, sizer) = SendRun::new(app.clone(), &lease, only, control, progress);
    let minutes = send_stats::StatsWrite::start(app.clone());
    let sent = if app.storage.is_postgres() {
        // Its connections belong to the runtime that opened them, and outlive a run.
        run.work(sizer).await;
        Ok(())
    } else {
        thread::on_its_own(run.work(sizer)).await
    };
    minutes.end().await;
    lease.leave(&app).await;
    sent
}

impl App {
    /// Gives back to the ledger what senders held that no longer live.
    async fn take_over_from_the_dead(&self) -> Result<(), Failure> {
        let senders = self.storage.senders().await?;
        let dead: Vec<i64> = senders
            .iter()
            .filter(|(_, process)| process::is_gone(process))
            .map(|(id, _)| *id)
            .collect();
        let doubted = self
            .storage
            .recover(&dead, self.settings.mail.in_doubt, self.now())
            .await?;
        if doubted > 0 {
            tracing::warn!(
                doubted,
                "a sender died and left uncertain deliveries; see `digest audit`"
            );
        }
        Ok(())
    }
}
