//! The deliveries of a digest that failed, one by one.

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
}
