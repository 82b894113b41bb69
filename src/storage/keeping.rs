//! Rows that were kept for long enough: found and deleted in small steps, each its own transaction, so that no writer waits for long.
//!
//! Refused: one `delete ... where at < ...`. On a table of ten million rows it holds SQLite's only writer for minutes, and on PostgreSQL it
//! leaves that many dead rows at once.

use super::Storage;
use super::StorageError;
use super::ids;
use super::stored;
use crate::domain::Timestamp;
use crate::domain::address::EmailAddress;
use crate::domain::from_millis;
use crate::domain::slot::Slot;
use crate::domain::subscriber::SubscriberState;

/// Rows of one step.
const STEP: i64 = 500;
/// Name of the run in its table.
const RUN: &str = "keep";

/// Oldest rows of what grows, for `doctor`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OldestRows {
    /// When the last run came to its end.
    pub finished_at: Option<Timestamp>,
    /// First digest whose deliveries are all there, and when it was over.
    pub deliveries: Option<(Slot, Timestamp)>,
    /// Deliveries of digests that are kept.
    pub deliveries_count: u64,
    /// Oldest row of the audit log.
    pub audit: Option<Timestamp>,
    /// Oldest record of consent with a network.
    pub networks: Option<Timestamp>,
}

impl Storage {
    /// Takes the nightly run until `until`, where nobody has it and none came to its end since `night`.
    pub async fn begin_keeping(
        &self,
        night: Timestamp,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<bool, StorageError> {
        let mut tx = self.begin().await?;
        let taken = execute!(
            tx,
            "insert into maintenance_runs (name, held_until) values ($1, $4)
             on conflict (name) do update set held_until = excluded.held_until
             where maintenance_runs.held_until <= $3 and (maintenance_runs.finished_at is null or maintenance_runs.finished_at < $2)",
            RUN,
            night.timestamp_millis(),
            now.timestamp_millis(),
            until.timestamp_millis()
        )?;
        tx.commit().await?;
        Ok(taken > 0)
    }

    /// Gives the run back: at its end, or to go on with it in a minute.
    pub async fn end_keeping(&self, finished_at: Option<Timestamp>) -> Result<(), StorageError> {
        let mut tx = self.begin().await?;
        execute!(
            tx,
            "update maintenance_runs set held_until = 0, finished_at = coalesce($2, finished_at) where name = $1",
            RUN,
            finished_at.map(|at| at.timestamp_millis())
        )?;
        Ok(tx.commit().await?)
    }

    /// Takes the networks out of records of consent from before a time, some at a time; returns how many.
    pub async fn forget_networks(&self, before: Timestamp) -> Result<u64, StorageError> {
        let mut tx = self.begin().await?;
        let rows: Vec<(i64, i64)> = all!(
            tx,
            "select subscriber_id, requested_at from consents where network is not null and requested_at < $1
             order by requested_at limit $2",
            before.timestamp_millis(),
            STEP
        )?;
        for (subscriber, requested_at) in &rows {
            execute!(
                tx,
                "update consents set network = null where subscriber_id = $1 and requested_at = $2",
                subscriber,
                requested_at
            )?;
        }
        tx.commit().await?;
        Ok(rows.len() as u64)
    }

    /// Deletes deliveries of the oldest digest that was over before a time, some at a time; returns how many steps were needed: 0 where
    /// there is none. Only of a digest of which nothing is left to do and whose results are counted. What was ever in doubt stays: an extra
    /// copy can only be among these rows, and the ledger goes on naming them.
    pub async fn forget_deliveries(
        &self,
        before: Timestamp,
        now: Timestamp,
    ) -> Result<u64, StorageError> {
        let mut tx = self.begin().await?;
        let oldest: Option<(i64,)> = optional!(
            tx,
            "select id from digests where state in ('sent', 'cancelled') and finished_at < $1 and forgotten_at is null
             and not exists (select 1 from delivery_batches b where b.mailing_id = digests.id)
             and not exists (select 1 from publish_progress p where p.mailing_id = digests.id)
             and exists (select 1 from digest_roll_ups r where r.mailing_id = digests.id and r.done_at is not null and r.finished_at = digests.finished_at)
             order by id limit 1",
            before.timestamp_millis()
        )?;
        let Some((digest,)) = oldest else {
            return Ok(0);
        };
        execute!(
            tx,
            "update digests set forgetting_at = $2 where id = $1 and forgetting_at is null",
            digest,
            now.timestamp_millis()
        )?;
        let rows: Vec<(i64,)> = all!(
            tx,
            "select subscriber_id from deliveries where mailing_id = $1 and uncertain_at is null and finished_at is not null
             order by subscriber_id limit $2",
            digest,
            STEP
        )?;
        for (subscriber,) in &rows {
            execute!(
                tx,
                "delete from deliveries where mailing_id = $1 and subscriber_id = $2",
                digest,
                subscriber
            )?;
        }
        if rows.is_empty() {
            execute!(
                tx,
                "update digests set forgotten_at = $2 where id = $1",
                digest,
                now.timestamp_millis()
            )?;
        }
        tx.commit().await?;
        Ok(1)
    }

    /// Deletes transactional mails that were made and ended before a time, some at a time; returns how many.
    pub async fn forget_transactional(&self, before: Timestamp) -> Result<u64, StorageError> {
        let mut tx = self.begin().await?;
        // The number of a transactional mail rises with the time at which it was made, and is larger than any digest's.
        let rows: Vec<(i64, i64)> = all!(
            tx,
            "select mailing_id, subscriber_id from deliveries where mailing_id > $1 and mailing_id < $2
             and finished_at < $3 and uncertain_at is null order by mailing_id limit $4",
            Slot::LARGEST_ID,
            ids::first_of(before),
            before.timestamp_millis(),
            STEP
        )?;
        for (mailing, subscriber) in &rows {
            execute!(
                tx,
                "delete from deliveries where mailing_id = $1 and subscriber_id = $2",
                mailing,
                subscriber
            )?;
            execute!(
                tx,
                "delete from transactional_mails where mailing_id = $1",
                mailing
            )?;
        }
        tx.commit().await?;
        Ok(rows.len() as u64)
    }

    /// Deletes the oldest rows of the audit log from before a time, some at a time, and keeps where the chain now begins; returns how many.
    /// A row that is younger ends the step, whatever the clock said to those behind it.
    pub async fn forget_audit(&self, before: Timestamp) -> Result<u64, StorageError> {
        let mut tx = self.begin().await?;
        // As in chaining, this row is the lease.
        let (from,): (i64,) = one!(
            tx,
            "update audit_head set from_seq = from_seq where id = 1 returning from_seq"
        )?;
        let rows: Vec<(i64, i64, String)> = all!(
            tx,
            "select seq, at, hash from audit where seq > $1 order by seq limit $2",
            from,
            STEP
        )?;
        let old = rows
            .into_iter()
            .take_while(|(_, at, _)| *at < before.timestamp_millis());
        let mut gone = 0;
        let mut last = None;
        for (seq, _, hash) in old {
            gone += execute!(tx, "delete from audit where seq = $1", seq)?;
            last = Some((seq, hash));
        }
        if let Some((seq, hash)) = last {
            execute!(
                tx,
                "update audit_head set from_seq = $1, from_hash = $2 where id = 1",
                seq,
                hash
            )?;
        }
        tx.commit().await?;
        Ok(gone)
    }

    /// Of the next readers by number, those who left before a time and did not ask to join again; and the last number that was looked at.
    /// By the key alone: an index for it would cost each change of somebody's state, and by default nobody is looked for.
    pub async fn ended_after(
        &self,
        after: i64,
        before: Timestamp,
    ) -> Result<(Vec<EmailAddress>, Option<i64>), StorageError> {
        let mut reader = self.read().await?;
        let rows: Vec<(i64, String, String, i64, Option<i64>)> = all!(
            reader,
            "select id, email, state, state_at, requested_at from subscribers where id > $1 order by id limit $2",
            after,
            STEP
        )?;
        let last = rows.last().map(|(id, ..)| *id);
        let mut ended = Vec::new();
        for (_, email, state, at, asked_at) in rows {
            let state: SubscriberState = stored(state.parse())?;
            let has_left = matches!(
                state,
                SubscriberState::Unsubscribed
                    | SubscriberState::Bounced
                    | SubscriberState::Complained
            );
            if has_left && at < before.timestamp_millis() && asked_at.is_none() {
                ended.push(
                    EmailAddress::parse(&email)
                        .map_err(|error| StorageError::Stored(format!("an address: {error}")))?,
                );
            }
        }
        Ok((ended, last))
    }

    /// Reads the oldest rows of what grows.
    pub async fn oldest_rows(&self) -> Result<OldestRows, StorageError> {
        let mut reader = self.read().await?;
        let run: Option<(Option<i64>,)> = optional!(
            reader,
            "select finished_at from maintenance_runs where name = $1",
            RUN
        )?;
        let digest: Option<(i64, i64)> = optional!(
            reader,
            "select id, finished_at from digests where finished_at is not null and forgetting_at is null order by id limit 1"
        )?;
        let (deliveries,): (i64,) = one!(
            reader,
            "select cast(coalesce(sum(recipients), 0) as bigint) from digests where forgetting_at is null"
        )?;
        let audit: Option<(i64,)> =
            optional!(reader, "select at from audit order by at, id limit 1")?;
        let network: Option<(i64,)> = optional!(
            reader,
            "select requested_at from consents where network is not null order by requested_at limit 1"
        )?;
        let time = |row: Option<(i64,)>| row.map(|(at,)| from_millis(at));
        Ok(OldestRows {
            finished_at: run.and_then(|(at,)| at).map(from_millis),
            deliveries: digest.and_then(|(id, at)| Some((Slot::from_id(id)?, from_millis(at)))),
            deliveries_count: deliveries.unsigned_abs(),
            audit: time(audit),
            networks: time(network),
        })
    }
}
