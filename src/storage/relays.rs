//! Mails that each relay was given on each day, by all processes that share the database.

use super::Storage;
use super::StorageError;
use super::Tx;
use super::audit_log::ChangeSubject;
use crate::domain::Timestamp;
use crate::domain::actor::Actor;
use crate::domain::audit::AuditAction;
use crate::domain::from_millis;

/// A relay's use so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RelayUse {
    /// The first day on which it was given anything.
    pub first_day: Option<i64>,
    /// Messages begun with it on the day asked for.
    pub begun: u64,
}

impl Storage {
    /// Returns how the relay of that name was used so far, and on `day` (see `domain::limits::day_of`).
    pub async fn relay_use(&self, relay: &str, day: i64) -> Result<RelayUse, StorageError> {
        let mut reader = self.read().await?;
        let (first_day, begun): (Option<i64>, Option<i64>) = one!(
            reader,
            "select (select day from relay_daily_usage where relay = $1 and reserved > 0 order by day limit 1),
                    (select reserved from relay_daily_usage where relay = $1 and day = $2)",
            relay,
            day
        )?;
        Ok(RelayUse {
            first_day,
            begun: begun.unwrap_or(0) as u64,
        })
    }

    /// Adds to what a relay was given on a day.
    pub async fn note_begun(&self, relay: &str, day: i64, count: u64) -> Result<(), StorageError> {
        let mut tx = self.begin().await?;
        note_begun(&mut tx, relay, day, count).await?;
        Ok(tx.commit().await?)
    }

    /// Takes up to `wanted` messages out of the `allowed` ones of a day; answers how many there were left to take. However
    /// many processes take at once, all together get no more than is allowed: the count is raised before anything goes out.
    pub async fn reserve_quota(
        &self,
        relay: &str,
        day: i64,
        wanted: u64,
        allowed: u64,
    ) -> Result<u64, StorageError> {
        let mut tx = self.begin().await?;
        // An update even where there is nothing to change: it takes the row's lock on PostgreSQL.
        let (begun,): (i64,) = one!(
            tx,
            "insert into relay_daily_usage (relay, day, reserved) values ($1, $2, 0)
             on conflict (relay, day) do update set reserved = relay_daily_usage.reserved returning reserved",
            relay,
            day
        )?;
        let taken = wanted.min(allowed.saturating_sub(begun as u64));
        if taken > 0 {
            note_begun(&mut tx, relay, day, taken).await?;
            tx.commit().await?;
        }
        Ok(taken)
    }

    /// Gives back what was taken from a day and not begun.
    pub async fn release_quota(
        &self,
        relay: &str,
        day: i64,
        count: u64,
    ) -> Result<(), StorageError> {
        let mut tx = self.begin().await?;
        execute!(
            tx,
            "update relay_daily_usage set reserved = case when reserved > $3 then reserved - $3 else 0 end where relay = $1 and day = $2",
            relay,
            day,
            count as i64
        )?;
        Ok(tx.commit().await?)
    }

    /// Asks all processes that send to try a relay now.
    pub async fn ask_relay_trial(
        &self,
        actor: &Actor,
        relay: &str,
        now: Timestamp,
    ) -> Result<(), StorageError> {
        let mut tx = self.begin().await?;
        execute!(
            tx,
            "insert into relay_trials (relay, asked_at) values ($1, $2) on conflict (relay) do update set asked_at = excluded.asked_at",
            relay,
            now.timestamp_millis()
        )?;
        let subject = Some(ChangeSubject::Relay(relay));
        let detail = serde_json::json!({});
        self.author(actor)
            .note(&mut tx, AuditAction::RelayTried, subject, &detail, now)
            .await?;
        Ok(tx.commit().await?)
    }

    /// Returns when somebody last asked that a relay be tried.
    pub async fn relay_trial(&self, relay: &str) -> Result<Option<Timestamp>, StorageError> {
        let mut reader = self.read().await?;
        let row: Option<(i64,)> = optional!(
            reader,
            "select asked_at from relay_trials where relay = $1",
            relay
        )?;
        Ok(row.map(|(at,)| from_millis(at)))
    }
}

/// Adds to what a relay was given on a day, in a transaction that does more.
pub(super) async fn note_begun(
    tx: &mut Tx,
    relay: &str,
    day: i64,
    count: u64,
) -> Result<(), StorageError> {
    execute!(
        tx,
        "insert into relay_daily_usage (relay, day, reserved) values ($1, $2, $3)
         on conflict (relay, day) do update set reserved = relay_daily_usage.reserved + excluded.reserved",
        relay,
        day,
        count as i64
    )?;
    Ok(())
}
