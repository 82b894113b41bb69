//! Senders: each holds a row and renews it, and what it held is given to others when it dies.

use chrono::TimeDelta;

use crate::domain::Timestamp;
use crate::domain::delivery::BatchKey;
use crate::domain::delivery::UncertainPolicy;
use crate::storage::Pools;
use crate::storage::Storage;
use crate::storage::StorageError;
use crate::storage::Tx;
use crate::storage::clock::clock;
use crate::storage::ids;

impl Storage {
    /// Enters a new sender of the process named `process`, which may be silent for `lease`; answers its number.
    pub async fn register_sender(
        &self,
        process: &str,
        lease: TimeDelta,
        now: Timestamp,
    ) -> Result<i64, StorageError> {
        let mut tx = self.begin().await?;
        let id = ids::fresh(now);
        let expires_at = clock(&mut tx, now).await? + lease;
        execute!(
            tx,
            "insert into senders (id, process, started_at, expires_at) values ($1, $2, $3, $4)",
            id,
            process,
            now.timestamp_millis(),
            expires_at.timestamp_millis()
        )?;
        tx.commit().await?;
        Ok(id)
    }

    /// Says that the sender lives and may be silent for `lease` again, and what troubles it. `false`: it was given up, others have its
    /// work; it must stop.
    pub async fn renew_sender(
        &self,
        id: i64,
        lease: TimeDelta,
        trouble: Option<&str>,
        now: Timestamp,
    ) -> Result<bool, StorageError> {
        let mut tx = self.begin().await?;
        let expires_at = clock(&mut tx, now).await? + lease;
        let renewed = execute!(
            tx,
            "update senders set expires_at = $2, trouble = $3 where id = $1",
            id,
            expires_at.timestamp_millis(),
            trouble
        )?;
        tx.commit().await?;
        Ok(renewed > 0)
    }

    /// The senders that are entered, with their processes: those alive, and those not known to be dead yet.
    pub async fn senders(&self) -> Result<Vec<(i64, String)>, StorageError> {
        let mut reader = self.read().await?;
        Ok(all!(reader, "select id, process from senders order by id")?)
    }

    /// Takes a sender out and gives back the batches that it has. One that still has a message out stays entered: it expires, and the
    /// message is found to be in doubt. One that was given up for dead has nothing left to give back.
    pub async fn leave_sender(&self, id: i64, now: Timestamp) -> Result<(), StorageError> {
        if let Pools::Postgres { kept, .. } = &self.pools {
            kept.release();
        }
        let mut tx = self.begin().await?;
        // For update, not for share: a claim of this sender that is under way ends first.
        let sql = if tx.is_postgres() {
            "select id from senders where id = $1 for update"
        } else {
            "select id from senders where id = $1"
        };
        let entered: Option<(i64,)> = optional!(tx, sql, id)?;
        if entered.is_none() {
            // It was given up for dead, and whoever did that has its batches.
            return Ok(());
        }
        if crate::storage::ledger::returned_batches::release_all(&mut tx, id, now).await? {
            execute!(tx, "delete from senders where id = $1", id)?;
        }
        Ok(tx.commit().await?)
    }

    /// Returns what troubles the senders that are alive.
    pub async fn troubles(&self, now: Timestamp) -> Result<Vec<String>, StorageError> {
        let mut reader = self.read().await?;
        let millis = clock(&mut reader, now).await?.timestamp_millis();
        let rows: Vec<(String,)> = all!(
            reader,
            "select distinct trouble from senders where trouble is not null and expires_at > $1 order by trouble",
            millis
        )?;
        Ok(rows.into_iter().map(|(trouble,)| trouble).collect())
    }

    /// Gives the work of senders that are silent too long, or known to be `dead`, to others: what they had begun becomes `uncertain`,
    /// and by `policy` is sent again or held. Answers how many became uncertain.
    pub async fn recover(
        &self,
        dead: &[i64],
        policy: UncertainPolicy,
        now: Timestamp,
    ) -> Result<u64, StorageError> {
        let mut tx = self.begin().await?;
        let millis = clock(&mut tx, now).await?.timestamp_millis();
        execute!(tx, "delete from senders where expires_at < $1", millis)?;
        for id in dead {
            execute!(tx, "delete from senders where id = $1", id)?;
        }
        // Whatever is held by a sender that is not entered (any more), whoever took it out.
        let mut orphans: Vec<(i64, i64, i64, i64)> = all!(
            tx,
            "select mailing_id, first_id, last_id, sender_id from delivery_batches where sender_id is not null
             and not exists (select 1 from senders s where s.id = delivery_batches.sender_id)"
        )?;
        // One order for all processes.
        orphans.sort_unstable();
        let mut doubted = 0;
        for (mailing, first, last, sender) in orphans {
            doubted += doubt(&mut tx, (mailing, first, last), policy, now).await?;
            crate::storage::ledger::returned_batches::release(
                &mut tx,
                sender,
                BatchKey { mailing, last },
                now,
            )
            .await?;
        }
        tx.commit().await?;
        // What came back in the very moment in which its digest was cancelled: neither saw the other.
        while self.end_cancelled_range(now).await? {}
        Ok(doubted)
    }
}

/// Marks as in doubt each mail of a range that is out with a sender that holds no lease; answers how many. A second doubt is held.
pub(in crate::storage) async fn doubt(
    tx: &mut Tx,
    stretch: (i64, i64, i64),
    policy: UncertainPolicy,
    now: Timestamp,
) -> Result<u64, StorageError> {
    let millis = now.timestamp_millis();
    let held_since = (policy == UncertainPolicy::Hold).then_some(millis);
    let (mailing, first, last) = stretch;
    Ok(execute!(
        tx,
        "update deliveries set state = 'uncertain', uncertain_at = coalesce(uncertain_at, $1), due_at = $1, sender_id = null,
           finished_at = case when uncertain_at is null then $2 else $1 end,
           reply = 'in doubt: the sender died while this mail was out'
         where mailing_id = $3 and subscriber_id between $4 and $5 and state = 'sending'
         and not exists (select 1 from senders s where s.id = deliveries.sender_id)",
        millis,
        held_since,
        mailing,
        first,
        last
    )?)
}

/// Returns whether the sender is still entered. On PostgreSQL it takes the row's lock, so that nobody gives a sender up for dead
/// while it claims or finishes: first one, then the other, and the sweep of the second sees all. SQLite has one writer.
pub(in crate::storage) async fn holds_lease(
    tx: &mut Tx,
    sender: i64,
) -> Result<bool, StorageError> {
    let sql = if tx.is_postgres() {
        "select id from senders where id = $1 for share"
    } else {
        "select id from senders where id = $1"
    };
    let found: Option<(i64,)> = optional!(tx, sql, sender)?;
    Ok(found.is_some())
}
