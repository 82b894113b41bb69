//! Statistics of this process, minute by minute and in all, added up here and written every few seconds.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::domain::Timestamp;
use crate::domain::delivery::AttemptOutcome;
use crate::domain::delivery::MailClass;
use crate::domain::inbound::RefusalClass;
use crate::domain::progress::MinuteStats;
use crate::domain::progress::minute_of;
use crate::domain::slot::Slot;
use crate::storage::ledger::updates::DeliveryUpdate;

/// A killed process loses the figures of so long at most; the ledger loses nothing.
const WRITE_EVERY: Duration = Duration::from_secs(2);

/// Statistics that are not written yet.
#[derive(Debug, Default)]
pub struct SendStats(Mutex<UnwrittenStats>);

#[derive(Debug, Default)]
struct UnwrittenStats {
    /// By digest and minute.
    minutes: BTreeMap<(i64, i64), MinuteStats>,
    /// By kind of mail and outcome.
    totals: BTreeMap<(MailClass, AttemptOutcome), u64>,
}

impl SendStats {
    /// Counts what became of a mail. Transactional mails have no minutes: nobody draws them.
    pub fn count(&self, mailing: i64, step: &DeliveryUpdate, now: Timestamp) {
        let class = if Slot::from_id(mailing).is_some() {
            MailClass::Digest
        } else {
            MailClass::Transactional
        };
        let outcome = match step {
            DeliveryUpdate::Sent => AttemptOutcome::Sent,
            DeliveryUpdate::Again(_) => AttemptOutcome::Later,
            DeliveryUpdate::Refused(refusal) if refusal.class == RefusalClass::Hard => {
                AttemptOutcome::Bounced
            }
            DeliveryUpdate::Failed | DeliveryUpdate::Refused(_) => AttemptOutcome::Failed,
            DeliveryUpdate::Doubted(_) => AttemptOutcome::Uncertain,
        };
        let number = minute_of(now);
        let mut open = self.open();
        *open.totals.entry((class, outcome)).or_default() += 1;
        if class == MailClass::Transactional {
            return;
        }
        let minute = open
            .minutes
            .entry((mailing, number))
            .or_insert_with(|| MinuteStats::numbered(number));
        *match step {
            DeliveryUpdate::Sent => &mut minute.sent,
            DeliveryUpdate::Failed | DeliveryUpdate::Refused(_) => &mut minute.failed,
            DeliveryUpdate::Again(_) => &mut minute.later,
            DeliveryUpdate::Doubted(_) => &mut minute.uncertain,
        } += 1;
    }

    async fn write(&self, app: &App) {
        let UnwrittenStats { minutes, totals } = std::mem::take(&mut *self.open());
        if totals.is_empty() {
            return;
        }
        let rows: Vec<(i64, MinuteStats)> = minutes
            .iter()
            .map(|((digest, _), minute)| (*digest, *minute))
            .collect();
        let sums: Vec<_> = totals.iter().map(|(pair, count)| (*pair, *count)).collect();
        if let Err(error) = app.storage.add_minutes(&rows, &sums, app.now()).await {
            tracing::debug!(%error, "a send's minutes are not written yet");
            let mut open = self.open();
            for ((digest, number), minute) in minutes {
                open.minutes
                    .entry((digest, number))
                    .or_insert_with(|| MinuteStats::numbered(number))
                    .add(&minute);
            }
            for (pair, count) in totals {
                *open.totals.entry(pair).or_default() += count;
            }
        }
    }

    fn open(&self) -> MutexGuard<'_, UnwrittenStats> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes the minutes while a send run lasts, beside it: no mail waits for a figure.
pub struct StatsWrite {
    ended: CancellationToken,
    task: JoinHandle<()>,
}

impl StatsWrite {
    pub fn start(app: Arc<App>) -> Self {
        let ended = CancellationToken::new();
        let over = ended.clone();
        let task = tokio::spawn(async move {
            while tokio::time::timeout(WRITE_EVERY, over.cancelled())
                .await
                .is_err()
            {
                app.minutes.write(&app).await;
                app.sends.write_if_due(&app).await;
            }
            app.minutes.write(&app).await;
            app.sends.write(&app).await;
        });
        Self { ended, task }
    }

    /// Writes what is left.
    pub async fn end(self) {
        self.ended.cancel();
        if self.task.await.is_err() {
            tracing::error!(
                "the last statistics of this send run are lost; the ledger is complete"
            );
        }
    }
}
