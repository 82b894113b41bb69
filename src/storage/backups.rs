//! Copies of the database while it is in use, and a copy that is put back: what was on its way in it is in doubt, and held.

use std::path::Path;

use sqlx::Connection as _;
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteConnectOptions;

use super::Pools;
use super::Storage;
use super::StorageError;
use super::audit_log::ChangeSubject;
use super::ledger::counts::count_range;
use super::ledger::counts::keep;
use super::opening::make_private_file;
use crate::domain::Timestamp;
use crate::domain::actor::Actor;
use crate::domain::audit::AuditAction;
use crate::domain::from_millis;

/// Reply of a delivery that was on its way in a backup.
const RESTORED: &str = "in doubt: it was on its way in a backup, and may have gone out after it";

/// A restoration that nobody has accepted yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// Time of the backup.
    pub since: Timestamp,
    /// Time of the restoration.
    pub until: Timestamp,
    /// Deliveries in doubt.
    pub uncertain: u64,
}

impl Storage {
    /// Writes a copy of a SQLite database into a new file, as of one moment, while others read and write. Sorts that do not fit into the
    /// cache go to disk. The backup API of SQLite copies page by page and begins anew with each write by another process, so that it never
    /// ends during a send.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub async fn copy_sqlite(&self, file: &Path) -> Result<(), StorageError> {
        let Pools::Sqlite { writer, .. } = &self.pools else {
            return Err(StorageError::Address);
        };
        make_private_file(file).map_err(|error| StorageError::Folder(file.to_path_buf(), error))?;
        let options: SqliteConnectOptions = writer.options();
        let mut connection =
            SqliteConnection::connect_with(&options.pragma("temp_store", "file")).await?;
        // Into an empty file, which SQLite takes for a new database: its rights are set already.
        sqlx::query("vacuum into $1")
            .bind(file.to_string_lossy().into_owned())
            .execute(&mut connection)
            .await?;
        Ok(connection.close().await?)
    }

    /// Brings what stands in the write-ahead log of a SQLite file that nobody has open into the file itself, which may then be moved alone.
    ///
    /// # Errors
    /// When somebody has it open, or it cannot be written.
    pub async fn fold_log(file: &Path) -> Result<(), StorageError> {
        let options = SqliteConnectOptions::new().filename(file);
        let mut connection = SqliteConnection::connect_with(&options).await?;
        let (busy, _, _): (i64, i64, i64) = sqlx::query_as("pragma wal_checkpoint(truncate)")
            .fetch_one(&mut connection)
            .await?;
        connection.close().await?;
        match busy {
            0 => Ok(()),
            _ => Err(StorageError::Stored(format!(
                "{} is in use",
                file.display()
            ))),
        }
    }

    /// Returns whether a database on a PostgreSQL server has no tables of any kind.
    pub async fn is_empty_server(&self) -> Result<bool, StorageError> {
        let mut reader = self.read().await?;
        let (count,): (i64,) = one!(
            reader,
            "select count(*) from pg_class where relkind in ('r', 'p', 'v', 'm') and relnamespace = to_regnamespace(current_schema())"
        )?;
        Ok(count == 0)
    }

    /// Version of a PostgreSQL server, as a number: 150004 is 15.4.
    pub async fn server_version(&self) -> Result<i64, StorageError> {
        let mut reader = self.read().await?;
        let (version,): (i64,) = one!(
            reader,
            "select cast(current_setting('server_version_num') as bigint)"
        )?;
        Ok(version)
    }

    /// Holds what was on its way in a copy that was put back, and notes the span of which nothing is known. Every open delivery is in
    /// doubt from now on and ends so; digests that were being sent are paused. Doing it again does nothing more.
    pub async fn hold_restored(
        &self,
        backup_at: Timestamp,
        now: Timestamp,
    ) -> Result<u64, StorageError> {
        let mut held = 0;
        while let Some(count) = self.hold_batch(now).await? {
            held += count;
        }
        let mut tx = self.begin().await?;
        execute!(
            tx,
            "update digests set state = 'paused' where state = 'sending'"
        )?;
        execute!(tx, "delete from senders")?;
        execute!(tx, "delete from delivery_processes")?;
        // To the people who run it nothing is sent twice either.
        execute!(
            tx,
            "update user_mails set state = 'uncertain', lease_until = null, finished_at = $1 where finished_at is null",
            now.timestamp_millis()
        )?;
        execute!(
            tx,
            "insert into restorations (restored_at, backup_at, uncertain) values ($1, $2, $3) on conflict (restored_at) do nothing",
            now.timestamp_millis(),
            backup_at.timestamp_millis(),
            held as i64
        )?;
        tx.commit().await?;
        Ok(held)
    }

    /// Ends one batch: what is open in it is in doubt, and the batch is counted. `None`: there is none left.
    async fn hold_batch(&self, now: Timestamp) -> Result<Option<u64>, StorageError> {
        let mut tx = self.begin().await?;
        let batch: Option<(i64, i64, i64)> = optional!(
            tx,
            "select mailing_id, first_id, last_id from delivery_batches order by mailing_id, last_id limit 1"
        )?;
        let Some((mailing, first, last)) = batch else {
            return Ok(None);
        };
        let held = execute!(
            tx,
            "update deliveries set state = 'uncertain', uncertain_at = coalesce(uncertain_at, $4), sender_id = null, finished_at = $4, reply = $5
             where mailing_id = $1 and subscriber_id between $2 and $3 and finished_at is null",
            mailing,
            first,
            last,
            now.timestamp_millis(),
            RESTORED
        )?;
        let counts = count_range(&mut tx, mailing, first, last).await?;
        execute!(
            tx,
            "delete from delivery_batches where mailing_id = $1 and last_id = $2",
            mailing,
            last
        )?;
        keep(&mut tx, mailing, &counts).await?;
        tx.commit().await?;
        Ok(Some(held))
    }

    /// Returns the span of which nothing is known, until somebody accepts it.
    pub async fn gap(&self) -> Result<Option<Gap>, StorageError> {
        let mut reader = self.read().await?;
        let row: Option<(i64, i64, i64)> = optional!(
            reader,
            "select backup_at, restored_at, uncertain from restorations where accepted_at is null order by restored_at desc limit 1"
        )?;
        Ok(row.map(|(since, until, uncertain)| Gap {
            since: from_millis(since),
            until: from_millis(until),
            uncertain: uncertain.unsigned_abs(),
        }))
    }

    /// Accepts it; `false`: there was none.
    pub async fn accept_gap(&self, actor: &Actor, now: Timestamp) -> Result<bool, StorageError> {
        let mut tx = self.begin().await?;
        let accepted = execute!(
            tx,
            "update restorations set accepted_at = $1 where accepted_at is null",
            now.timestamp_millis()
        )?;
        if accepted > 0 {
            let subject: Option<ChangeSubject<'_>> = None;
            self.author(actor)
                .note(
                    &mut tx,
                    AuditAction::GapAccepted,
                    subject,
                    &serde_json::json!({}),
                    now,
                )
                .await?;
        }
        tx.commit().await?;
        Ok(accepted > 0)
    }
}
