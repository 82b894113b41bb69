//! The deliveries of a digest one by one: those that failed, and all of them.

use super::Storage;
use super::StorageError;
use crate::domain::Timestamp;
use crate::domain::from_millis;
use crate::domain::slot::Slot;

/// A delivery that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedDelivery {
    /// The subscriber.
    pub subscriber: i64,
    /// Their address; `None` once they are erased.
    pub email: Option<String>,
    /// Number of attempts.
    pub attempts: i64,
    /// Time of the last one.
    pub finished_at: Option<Timestamp>,
    /// Reply to it.
    pub reply: Option<String>,
}

/// A row of a digest's ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerRow {
    /// The subscriber.
    pub subscriber: i64,
    /// Their address; `None` once they are erased.
    pub email: Option<String>,
    /// State.
    pub state: String,
    /// Reason why it was skipped.
    pub skip_reason: Option<String>,
    /// Number of attempts.
    pub attempts: i64,
    /// Time when it was queued.
    pub queued_at: Timestamp,
    /// Start of the last attempt.
    pub started_at: Option<Timestamp>,
    /// Time when it became final.
    pub finished_at: Option<Timestamp>,
    /// Relay of the last attempt.
    pub relay: Option<String>,
    /// Reply to it.
    pub reply: Option<String>,
}

#[derive(sqlx::FromRow)]
struct StoredLedgerRow {
    subscriber_id: i64,
    email: Option<String>,
    state: String,
    skip_reason: Option<String>,
    attempts: i64,
    queued_at: i64,
    started_at: Option<i64>,
    finished_at: Option<i64>,
    relay: Option<String>,
    reply: Option<String>,
}

type FailedDeliveryRow = (i64, Option<String>, i64, Option<i64>, Option<String>);

impl Storage {
    /// The next `count` of them behind the subscriber numbered `after`.
    pub async fn failed_deliveries(
        &self,
        slot: Slot,
        after: i64,
        count: i64,
    ) -> Result<Vec<FailedDelivery>, StorageError> {
        let mut reader = self.read().await?.for_report().await?;
        let rows: Vec<FailedDeliveryRow> = all!(
            reader,
            "select d.subscriber_id, (select s.email from subscribers s where s.id = d.subscriber_id), d.attempts, d.finished_at, d.reply
             from deliveries d where d.mailing_id = $1 and d.subscriber_id > $2 and d.state = 'failed' order by d.subscriber_id limit $3",
            slot.id(),
            after,
            count
        )?;
        let failed =
            |(subscriber, email, attempts, finished_at, reply): FailedDeliveryRow| FailedDelivery {
                subscriber,
                email,
                attempts,
                finished_at: finished_at.map(from_millis),
                reply,
            };
        Ok(rows.into_iter().map(failed).collect())
    }

    /// The next `count` rows of a digest's ledger behind the subscriber numbered `after`.
    pub async fn ledger_rows(
        &self,
        slot: Slot,
        after: i64,
        count: i64,
    ) -> Result<Vec<LedgerRow>, StorageError> {
        let mut reader = self.read().await?;
        let rows: Vec<StoredLedgerRow> = all!(
            reader,
            "select d.subscriber_id, (select s.email from subscribers s where s.id = d.subscriber_id) as email, d.state, d.skip_reason, d.attempts,
               d.queued_at, d.started_at, d.finished_at, d.relay, d.reply
             from deliveries d where d.mailing_id = $1 and d.subscriber_id > $2 order by d.subscriber_id limit $3",
            slot.id(),
            after,
            count
        )?;
        let row = |row: StoredLedgerRow| LedgerRow {
            subscriber: row.subscriber_id,
            email: row.email,
            state: row.state,
            skip_reason: row.skip_reason,
            attempts: row.attempts,
            queued_at: from_millis(row.queued_at),
            started_at: row.started_at.map(from_millis),
            finished_at: row.finished_at.map(from_millis),
            relay: row.relay,
            reply: row.reply,
        };
        Ok(rows.into_iter().map(row).collect())
    }
}
