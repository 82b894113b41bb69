//! Reasons that readers give after they unsubscribed.

use super::Storage;
use super::StorageError;
use crate::domain::Timestamp;
use crate::domain::reader::UnsubscribeReason;

impl Storage {
    /// Keeps the reason of somebody who is unsubscribed, in place of one that they gave before. `false`: they are not unsubscribed, or
    /// not known any more; nothing was kept.
    pub async fn keep_unsubscribe_reason(
        &self,
        subscriber: i64,
        reason: UnsubscribeReason,
        now: Timestamp,
    ) -> Result<bool, StorageError> {
        let mut tx = self.begin().await?;
        let kept = execute!(
            tx,
            "insert into unsubscribe_reasons (subscriber_id, reason, given_at)
             select id, $2, $3 from subscribers where id = $1 and state = 'unsubscribed'
             on conflict (subscriber_id) do update set reason = excluded.reason, given_at = excluded.given_at",
            subscriber,
            reason.code(),
            now.timestamp_millis()
        )?;
        tx.commit().await?;
        Ok(kept > 0)
    }
}
