//! Upkeep of a growing database, so that it stays as quick as it was: fresh statistics, and old rows that go in small steps.

use std::sync::PoisonError;

use chrono::TimeDelta;

use crate::app::App;
use crate::app::Failure;
use crate::app::delta;
use crate::domain::Timestamp;

/// Interval at which statistics are gathered on SQLite.
const STATISTICS_EVERY: TimeDelta = TimeDelta::hours(1);
/// Time that mail that matches nothing is kept for another look.
const UNMATCHED_KEPT: TimeDelta = TimeDelta::days(30);
/// Mails that are looked at again in each tick.
const LOOKS_MAX: i64 = 200;
/// Rows of the audit log that one transaction chains.
const CHAINED_MAX: i64 = 200;
/// Transactions for each tick: the rest goes with the next.
const STEPS_MAX: usize = 40;

impl App {
    /// Forgets mail that came back longer ago than `inbound.keep`, looks again at what matched nothing so far, and gathers statistics once an hour.
    pub(in crate::app) async fn keep_up(&self, now: Timestamp) -> Result<(), Failure> {
        let before = now - delta(self.settings.inbound.keep);
        for _ in 0..STEPS_MAX {
            if self.storage.forget_inbound(before).await? == 0 {
                break;
            }
        }
        let before = now - delta(self.settings.inbound.keep_raw);
        for _ in 0..STEPS_MAX {
            if self.storage.forget_raw_reports(before).await? == 0 {
                break;
            }
        }
        for _ in 0..STEPS_MAX {
            if self.storage.forget_unmatched(now - UNMATCHED_KEPT).await? == 0 {
                break;
            }
        }
        let before = now - delta(self.settings.webhooks_out.keep);
        self.keep_events(before, STEPS_MAX).await?;
        self.keep_jobs(now).await?;
        self.forget_answers(now).await?;
        self.match_again(LOOKS_MAX).await?;
        if self.are_statistics_due(now) {
            self.storage.refresh_statistics().await?;
        }
        Ok(())
    }

    /// Chains the audit log's new rows.
    pub(in crate::app) async fn chain_audit(&self) -> Result<(), Failure> {
        for _ in 0..STEPS_MAX {
            if self.storage.chain_audit(CHAINED_MAX).await? == 0 {
                break;
            }
        }
        Ok(())
    }

    fn are_statistics_due(&self, now: Timestamp) -> bool {
        let mut last = self
            .statistics_at
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let is_due = last.is_none_or(|last| now - last >= STATISTICS_EVERY || now < last);
        if is_due {
            *last = Some(now);
        }
        is_due
    }
}
