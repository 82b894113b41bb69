//! Jobs and their leases.

use super::Storage;
use super::StorageError;
use super::ids;
use super::stored;
use crate::domain::Timestamp;
use crate::domain::actor::Actor;
use crate::domain::from_millis;
use crate::domain::job::JobKind;
use crate::domain::job::JobState;

/// A job.
#[derive(Debug, Clone)]
pub struct BackgroundJob {
    /// Number of its row.
    pub id: i64,
    /// Kind.
    pub kind: JobKind,
    /// State.
    pub state: JobState,
    /// The user who started it, by the opaque id.
    pub made_by: String,
    /// Input.
    pub input: serde_json::Value,
    /// Progress,
    pub done: u64,
    /// of how much, if that is known.
    pub total: Option<u64>,
    /// Result.
    pub result: serde_json::Value,
    /// Time when it was started.
    pub created_at: Timestamp,
    /// Time when it ended.
    pub finished_at: Option<Timestamp>,
}

#[derive(sqlx::FromRow)]
struct BackgroundJobRow {
    id: i64,
    kind: String,
    state: String,
    made_by: String,
    input: String,
    done: i64,
    total: Option<i64>,
    result: Option<String>,
    created_at: i64,
    finished_at: Option<i64>,
}

impl BackgroundJobRow {
    fn job(self) -> Result<BackgroundJob, StorageError> {
        Ok(BackgroundJob {
            id: self.id,
            kind: stored(self.kind.parse())?,
            state: stored(self.state.parse())?,
            made_by: self.made_by,
            input: stored(serde_json::from_str(&self.input))?,
            done: self.done.unsigned_abs(),
            total: self.total.map(i64::unsigned_abs),
            result: match self.result {
                Some(text) => stored(serde_json::from_str(&text))?,
                None => serde_json::Value::Null,
            },
            created_at: from_millis(self.created_at),
            finished_at: self.finished_at.map(from_millis),
        })
    }
}

/// Jobs that one transaction forgets.
const FORGOTTEN_AT_ONCE: i64 = 100;

impl Storage {
    /// Writes a job down as running, held until then; returns its id.
    pub async fn create_job(
        &self,
        actor: &Actor,
        kind: JobKind,
        input: &serde_json::Value,
        held_until: Timestamp,
        now: Timestamp,
    ) -> Result<i64, StorageError> {
        let (mut tx, id) = (self.begin().await?, ids::fresh(now));
        execute!(
            tx,
            "insert into jobs (id, kind, state, made_by, input, created_at, held_until) values ($1, $2, 'running', $3, $4, $5, $6)",
            id,
            kind.as_str(),
            actor.id(),
            input.to_string(),
            now.timestamp_millis(),
            held_until.timestamp_millis()
        )?;
        tx.commit().await?;
        Ok(id)
    }

    /// Renews a job's lease and writes down how far it is; `false`: it is to stop.
    pub async fn renew_job(
        &self,
        id: i64,
        done: u64,
        total: Option<u64>,
        held_until: Timestamp,
    ) -> Result<bool, StorageError> {
        let mut tx = self.begin().await?;
        let renewed = execute!(
            tx,
            "update jobs set done = $2, total = $3, held_until = $4 where id = $1 and state = 'running'",
            id,
            done as i64,
            total.map(|total| total as i64),
            held_until.timestamp_millis()
        )?;
        tx.commit().await?;
        Ok(renewed > 0)
    }

    /// Asks a running job of another process to stop; `false` if it runs no more.
    pub async fn cancel_job(&self, id: i64, now: Timestamp) -> Result<bool, StorageError> {
        let mut tx = self.begin().await?;
        let cancelled = execute!(
            tx,
            "update jobs set state = 'cancelled', finished_at = $2 where id = $1 and state = 'running'",
            id,
            now.timestamp_millis()
        )?;
        tx.commit().await?;
        Ok(cancelled > 0)
    }

    /// Writes down how a job ended: the process that did it knows, whatever was said of its lease meanwhile.
    pub async fn finish_job(
        &self,
        id: i64,
        state: JobState,
        done: u64,
        result: &serde_json::Value,
        now: Timestamp,
    ) -> Result<(), StorageError> {
        let mut tx = self.begin().await?;
        execute!(
            tx,
            "update jobs set state = $2, done = $3, result = $4, finished_at = $5 where id = $1",
            id,
            state.as_str(),
            done as i64,
            result.to_string(),
            now.timestamp_millis()
        )?;
        Ok(tx.commit().await?)
    }

    /// Ends the jobs whose process renews their lease no more; returns how many.
    pub async fn end_broken_jobs(&self, now: Timestamp) -> Result<u64, StorageError> {
        let mut reader = self.read().await?;
        let broken: Option<(i64,)> = optional!(
            reader,
            "select id from jobs where finished_at is null and held_until < $1 limit 1",
            now.timestamp_millis()
        )?;
        drop(reader);
        if broken.is_none() {
            return Ok(0);
        }
        let mut tx = self.begin().await?;
        let ended = execute!(
            tx,
            "update jobs set state = 'failed', finished_at = $1, result = '{\"broken_off\":true}' where finished_at is null and held_until < $1",
            now.timestamp_millis()
        )?;
        tx.commit().await?;
        Ok(ended)
    }

    /// Forgets jobs that were started before that time, at most 100; returns how many.
    pub async fn forget_jobs(&self, before: Timestamp) -> Result<u64, StorageError> {
        let mut tx = self.begin().await?;
        let old: Vec<(i64,)> = all!(
            tx,
            "select id from jobs where created_at < $1 order by created_at limit $2",
            before.timestamp_millis(),
            FORGOTTEN_AT_ONCE
        )?;
        let mut gone = 0;
        for (id,) in old {
            gone += execute!(tx, "delete from jobs where id = $1", id)?;
        }
        tx.commit().await?;
        Ok(gone)
    }

    /// A job.
    pub async fn job(&self, id: i64) -> Result<Option<BackgroundJob>, StorageError> {
        let mut reader = self.read().await?;
        let row: Option<BackgroundJobRow> = optional!(
            reader,
            "select id, kind, state, made_by, input, done, total, result, created_at, finished_at from jobs where id = $1",
            id
        )?;
        row.map(BackgroundJobRow::job).transpose()
    }

    /// The newest jobs that were started before the job with that number.
    pub async fn jobs(
        &self,
        before: Option<i64>,
        count: i64,
    ) -> Result<Vec<BackgroundJob>, StorageError> {
        let mut reader = self.read().await?;
        let rows: Vec<BackgroundJobRow> = all!(
            reader,
            "select id, kind, state, made_by, input, done, total, result, created_at, finished_at from jobs
             where id < $1 order by id desc limit $2",
            before.unwrap_or(i64::MAX),
            count
        )?;
        rows.into_iter().map(BackgroundJobRow::job).collect()
    }
}
