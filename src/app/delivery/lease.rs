//! A sender's lease: renewed while it works, given up when the database says that others have its work.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::process;
use crate::app::App;
use crate::app::Failure;
use crate::app::delta;
use crate::mail::WriteDeadline;

/// An entered sender. Drop it without [`Lease::leave`] and the lease runs out by itself.
pub struct Lease {
    /// The sender's number in the ledger.
    pub sender: i64,
    /// Cancelled when the lease is lost: nothing more may be sent.
    pub lost: CancellationToken,
    /// Over when the lease is: nothing is written to a server any more, whoever has not heard of it yet.
    pub fence: WriteDeadline,
    /// Told by whoever writes results.
    pub commits: Arc<CommitWatch>,
    heart: JoinHandle<()>,
}

impl Lease {
    /// Enters a sender and keeps its lease fresh.
    pub async fn enter(app: &Arc<App>) -> Result<Self, Failure> {
        let (now, asked) = (app.now(), Instant::now());
        let sender = app
            .storage
            .register_sender(&process::name(), delta(app.settings.mail.lease), now)
            .await?;
        let lost = CancellationToken::new();
        let fence = WriteDeadline::until(asked + reach(app));
        let commits = Arc::new(CommitWatch::default());
        let heart = tokio::spawn(renew_loop(
            app.clone(),
            sender,
            lost.clone(),
            fence.clone(),
            commits.clone(),
        ));
        Ok(Self {
            sender,
            lost,
            fence,
            commits,
            heart,
        })
    }

    /// Gives back what was claimed and not begun.
    pub async fn leave(self, app: &App) {
        self.heart.abort();
        if let Err(error) = app.storage.leave_sender(self.sender, app.now()).await {
            tracing::warn!(%error, "the lease could not be given back; it runs out by itself");
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.heart.abort();
    }
}

/// Returns how long after the last sign of life this process may still write to a server: a tenth less than others wait for it, for
/// their clocks are not ours.
fn reach(app: &App) -> Duration {
    app.settings.mail.lease.mul_f64(0.9)
}

/// Start of the group commit that is under way, for whoever renews the lease.
#[derive(Debug, Default)]
pub struct CommitWatch(Mutex<Option<Instant>>);

impl CommitWatch {
    /// Notes that a group is about to be written.
    pub fn started(&self) {
        *self.lock() = Some(Instant::now());
    }

    /// Notes that it is written, or given up.
    pub fn ended(&self) {
        *self.lock() = None;
    }

    fn waits_since(&self) -> Option<Instant> {
        *self.lock()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Longest pause before a renewal that failed is tried again.
const AGAIN_MAX: Duration = Duration::from_secs(1);

/// Renews the lease three times in its length, while results can be written: a sender whose commits hang while its lease is renewed over
/// another connection would keep its work from those who can reach the database. Once it could not be renewed for its whole length it
/// is lost, whatever the database may say later: a process that slept must not go on as if nothing were.
async fn renew_loop(
    app: Arc<App>,
    sender: i64,
    lost: CancellationToken,
    fence: WriteDeadline,
    commits: Arc<CommitWatch>,
) {
    let length = app.settings.mail.lease;
    let (mut renewed, mut pause, mut is_said) = (Instant::now(), length / 3, false);
    while renewed.elapsed() < length {
        tokio::time::sleep(pause.min(length.saturating_sub(renewed.elapsed()))).await;
        // Until it is renewed: the database may be back at any moment, and nothing goes out before.
        pause = (length / 30).min(AGAIN_MAX);
        if let Some(since) = commits
            .waits_since()
            .filter(|since| since.elapsed() > length / 2)
        {
            if !std::mem::replace(&mut is_said, true) {
                tracing::warn!(
                    sender,
                    waits_s = since.elapsed().as_secs(),
                    "a ledger commit takes longer than half of mail.lease; not renewing the lease until it ends"
                );
            }
            continue;
        }
        let asked = Instant::now();
        let trouble = app.trouble();
        let renewing =
            app.storage
                .renew_sender(sender, delta(length), trouble.as_deref(), app.now());
        match tokio::time::timeout_at(renewed + length, renewing).await {
            Ok(Ok(true)) => {
                (renewed, pause, is_said) = (asked, length / 3, false);
                fence.move_to(asked + reach(&app));
            }
            Ok(Ok(false)) | Err(_) => break,
            Ok(Err(error)) if is_said => {
                tracing::debug!(%error, "the lease could not be renewed yet")
            }
            Ok(Err(error)) => {
                is_said = true;
                tracing::warn!(%error, "the lease could not be renewed; trying again");
            }
        }
    }
    tracing::warn!(
        sender,
        "lease lost; other senders take over this sender's deliveries"
    );
    lost.cancel();
}
