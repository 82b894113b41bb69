//! Statistics of the tables' sizes, for the databases' planners.
//!
//! Every statement is served by an index with and without it (`tests/promises/plans.rs`); fresh statistics choose the better of two.

use super::Pools;
use super::Storage;
use super::StorageError;

impl Storage {
    /// Gathers statistics where they are missing or old: on SQLite, which never does so by itself. PostgreSQL does. Bounded by
    /// `analysis_limit`, however large the tables: some milliseconds of the writer.
    pub async fn refresh_statistics(&self) -> Result<(), StorageError> {
        let Pools::Sqlite { writer, .. } = &self.pools else {
            return Ok(());
        };
        let mut turn = writer.statement().await?;
        // 0x02: analyze; 0x10000: also tables that this connection has not read lately.
        sqlx::query("pragma optimize = 0x10002")
            .execute(turn.connection())
            .await?;
        Ok(())
    }

    /// Has the database look at how much there is of a mailing that was just written. PostgreSQL: until its own round comes by, a
    /// minute later, it takes the ledger for as small as it was, and reads all that is left of a digest for each chunk of it.
    pub async fn analyze_mailing(&self, mailing: i64) {
        let counted = if self.is_postgres() {
            self.analyze(mailing).await
        } else {
            self.refresh_statistics().await
        };
        if let Err(error) = counted {
            tracing::warn!(%error, mailing, "statistics could not be gathered; the first minute may be slow");
        }
    }

    async fn analyze(&self, mailing: i64) -> Result<(), StorageError> {
        let mut tx = self.begin().await?;
        // The ledger, or the part of it that this mailing lies in (docs/partitions.sql).
        let found: Option<(String,)> = optional!(
            tx,
            "select cast(cast(tableoid as regclass) as text) from deliveries where mailing_id = $1 limit 1",
            mailing
        )?;
        let Some((table,)) = found else { return Ok(()) };
        // Passed over where the server's own round is there just now.
        execute!(
            tx,
            sqlx::AssertSqlSafe(format!("analyze (skip_locked) {table}"))
        )?;
        Ok(tx.commit().await?)
    }
}
