//! Deliveries that wait for a time that no retry is put off to: a clock that ran ahead wrote it.

use super::Storage;
use super::StorageError;
use crate::domain::Timestamp;

/// Batches of one look; what is left is found by the next.
const BATCHES: i64 = 1_000;

impl Storage {
    /// Makes due now what waits beyond `limit`. Answers how many deliveries.
    pub async fn bring_forward(
        &self,
        limit: Timestamp,
        now: Timestamp,
    ) -> Result<u64, StorageError> {
        let (limit, now) = (limit.timestamp_millis(), now.timestamp_millis());
        let mut reader = self.read().await?;
        let mut chunks: Vec<(i64, i64, i64)> = all!(
            reader,
            "select mailing_id, first_id, last_id from delivery_batches where class = 'transactional' and sender_id is null and due_at > $1 limit $2",
            limit,
            BATCHES
        )?;
        let of_digests: Vec<(i64, i64, i64)> = all!(
            reader,
            "select c.mailing_id, c.first_id, c.last_id from digests g cross join delivery_batches c
             where c.mailing_id = g.id and g.state in ('sending', 'paused') and c.sender_id is null and c.due_at > $1 limit $2",
            limit,
            BATCHES
        )?;
        drop(reader);
        chunks.extend(of_digests);
        let mut brought = 0;
        for (mailing, first, last) in chunks {
            let mut tx = self.begin().await?;
            let is_free = execute!(
                tx,
                "update delivery_batches set due_at = $3, last_due_at = case when last_due_at > $4 then $3 else last_due_at end,
                   retry_at = case when retry_at > $4 then $3 else retry_at end
                 where mailing_id = $1 and last_id = $2 and sender_id is null and due_at > $4",
                mailing,
                last,
                now,
                limit
            )?;
            if is_free > 0 {
                brought += execute!(
                    tx,
                    "update deliveries set due_at = $4
                     where mailing_id = $1 and subscriber_id between $2 and $3 and finished_at is null and due_at > $5",
                    mailing,
                    first,
                    last,
                    now,
                    limit
                )?;
            }
            tx.commit().await?;
        }
        Ok(brought)
    }
}
