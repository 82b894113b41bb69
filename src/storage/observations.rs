//! Observations of a running service that `doctor`, another process, should say.

use super::Storage;
use super::StorageError;
use crate::domain::Timestamp;
use crate::domain::from_millis;

impl Storage {
    /// Keeps an observation in place of the last one of its kind.
    pub async fn observe(
        &self,
        what: &str,
        detail: &str,
        now: Timestamp,
    ) -> Result<(), StorageError> {
        let mut tx = self.begin().await?;
        execute!(
            tx,
            "insert into observations (code, seen_at, detail) values ($1, $2, $3)
             on conflict (code) do update set seen_at = excluded.seen_at, detail = excluded.detail",
            what,
            now.timestamp_millis(),
            detail
        )?;
        Ok(tx.commit().await?)
    }

    /// Returns the last observation of a kind, and when it was made.
    pub async fn observation(
        &self,
        what: &str,
    ) -> Result<Option<(String, Timestamp)>, StorageError> {
        let mut reader = self.read().await?;
        let row: Option<(String, i64)> = optional!(
            reader,
            "select detail, seen_at from observations where code = $1",
            what
        )?;
        Ok(row.map(|(detail, at)| (detail, from_millis(at))))
    }
}
