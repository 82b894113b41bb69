//! The database's clock, by which leases are judged.
//!
//! Machines that share a database have clocks of their own. A lease that one writes and another judges by its own clock ends as early
//! as that clock is ahead, and the mails of a living sender go out twice. So leases are written and judged by one clock alone:
//! PostgreSQL's. It is asked for as a value, beside the statements that use it, and stands in none of them: SQLite has no such
//! function, and there all processes share the machine's clock anyway.

use std::time::Instant;

use chrono::TimeDelta;

use super::Queryable;
use super::Storage;
use super::StorageError;
use crate::domain::Timestamp;
use crate::domain::from_millis;

/// Difference of this process's clock from the database's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Skew {
    /// Ours less the database's: positive where ours is ahead.
    pub ahead: TimeDelta,
    /// Upper bound on the error: half of the time that the question took.
    pub error: TimeDelta,
}

impl Storage {
    /// Measures how far the clock `ours` is from the database's. `None` on SQLite, which reads the machine's.
    pub async fn clock_skew(
        &self,
        ours: impl Fn() -> Timestamp,
    ) -> Result<Option<Skew>, StorageError> {
        if !self.is_postgres() {
            return Ok(None);
        }
        let mut reader = self.read().await?;
        // The first question may have to connect, and prepares the statement.
        clock(&mut reader, ours()).await?;
        let (before, asked) = (ours(), Instant::now());
        let theirs = clock(&mut reader, before).await?;
        let half = TimeDelta::from_std(asked.elapsed() / 2).unwrap_or_default();
        Ok(Some(Skew {
            ahead: before + half - theirs,
            error: half,
        }))
    }
}

/// The moment by the clock that leases are judged by: the database's on PostgreSQL, `ours` on SQLite.
pub(super) async fn clock(
    conn: &mut impl Queryable,
    ours: Timestamp,
) -> Result<Timestamp, StorageError> {
    if !conn.is_postgres() {
        return Ok(ours);
    }
    let (millis,): (i64,) = one!(
        conn,
        "select cast(extract(epoch from clock_timestamp()) * 1000 as bigint)"
    )?;
    Ok(from_millis(millis))
}
