//! Roll-ups: the outcomes of a digest's deliveries by recipient domain and by relay, counted once it is over. In ranges, each a short
//! transaction, so that ten million deliveries hold nobody up and a process that ends in between loses nothing.

use super::Storage;
use super::StorageError;
use super::Tx;
use super::events;
use super::ledger::counts::counts_of;
use crate::domain::Timestamp;
use crate::domain::event::EventKind;
use crate::domain::slot::Slot;

/// Deliveries of one range.
const RANGE: i64 = 20_000;
/// Domains that are kept apart once all are counted; the others are one row.
const DOMAINS_KEPT: i64 = 100;

/// A digest that is over and not counted to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenRollUp {
    /// The digest.
    pub slot: Slot,
    /// End of the send that is counted.
    finished_at: i64,
    /// Subscriber up to whom deliveries are counted; `None`: the count has not begun, or began before the digest was sent to some once more.
    after: Option<i64>,
}

/// Result of one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RollUpStep {
    /// A range was counted.
    Counted,
    /// All are counted: what the ledger's audit says is still to be noted.
    Complete,
    /// Another process is at it.
    Elsewhere,
}

/// The outcomes of the deliveries `d`.
macro_rules! outcomes {
    () => {
        "count(case when d.state = 'sent' then 1 end), count(case when d.state = 'failed' then 1 end),
         count(case when d.state = 'uncertain' then 1 end), count(case when d.state = 'skipped' then 1 end)"
    };
}

/// Adds up what is counted of two ranges.
macro_rules! added {
    () => {
        " on conflict (mailing_id, dimension, name) do update set sent = digest_outcomes.sent + excluded.sent,
            failed = digest_outcomes.failed + excluded.failed, uncertain = digest_outcomes.uncertain + excluded.uncertain,
            skipped = digest_outcomes.skipped + excluded.skipped"
    };
}

/// The counts of a range by domain. The part behind the @ is found by another function on each database.
macro_rules! by_domain {
    ($position:literal) => {
        concat!(
            "insert into digest_outcomes (mailing_id, dimension, name, sent, failed, uncertain, skipped)
             select $1, 'domain', coalesce(substr(s.email_key, ",
            $position,
            " + 1), ''), ",
            outcomes!(),
            " from deliveries d left join subscribers s on s.id = d.subscriber_id
             where d.mailing_id = $1 and d.subscriber_id > $2 and d.subscriber_id <= $3 group by 3",
            added!()
        )
    };
}

impl Storage {
    /// Tells of each tenth of a digest's deliveries that has become final since the last look.
    pub async fn tell_progress(&self, now: Timestamp) -> Result<(), StorageError> {
        let mut reader = self.read().await?;
        let sending: Vec<(i64, i64, i64)> = all!(
            reader,
            "select id, recipients, tenths_told from digests where state = 'sending' and recipients > 0
             and not exists (select 1 from publish_progress where mailing_id = digests.id)"
        )?;
        for (id, recipients, told) in sending {
            let counts = counts_of(&mut reader, id).await?;
            let tenths = counts.ended() * 10 / recipients;
            // The last one is told as digest.sent.
            if tenths <= told || tenths >= 10 {
                continue;
            }
            let mut tx = self.begin().await?;
            let moved = execute!(
                tx,
                "update digests set tenths_told = $2 where id = $1 and tenths_told < $2",
                id,
                tenths
            )?;
            if moved > 0 {
                let data = serde_json::json!({
                    "digest": Slot::from_id(id),
                    "percent": tenths * 10,
                    "recipients": recipients,
                    "sent": counts.sent,
                    "failed": counts.failed,
                    "uncertain": counts.uncertain,
                    "skipped": counts.skipped,
                });
                events::record(&mut tx, EventKind::DigestProgress, None, &data, now).await?;
            }
            tx.commit().await?;
        }
        Ok(())
    }

    /// The newest digest that is over and not counted, if any.
    pub async fn next_roll_up(&self) -> Result<Option<OpenRollUp>, StorageError> {
        let mut reader = self.read().await?;
        let row: Option<(i64, i64, Option<i64>)> = optional!(
            reader,
            "select g.id, g.finished_at, case when r.finished_at = g.finished_at then r.after_id end
             from digests g left join digest_roll_ups r on r.mailing_id = g.id
             where g.state in ('sent', 'cancelled') and g.published_at is not null and g.finished_at is not null
               and not exists (select 1 from delivery_batches where mailing_id = g.id)
               and (r.done_at is null or r.finished_at <> g.finished_at) order by g.id desc limit 1"
        )?;
        Ok(row.and_then(|(id, finished_at, after)| {
            Some(OpenRollUp {
                slot: Slot::from_id(id)?,
                finished_at,
                after,
            })
        }))
    }

    /// Counts the next range of a digest.
    pub async fn roll_up_range(&self, open: &OpenRollUp) -> Result<RollUpStep, StorageError> {
        let id = open.slot.id();
        let mut tx = self.begin().await?;
        let Some(after) = open.after else {
            return begin(tx, open).await;
        };
        let (last,): (Option<i64>,) = one!(
            tx,
            "select max(subscriber_id) from (select subscriber_id from deliveries where mailing_id = $1 and subscriber_id > $2
               order by subscriber_id limit $3) following",
            id,
            after,
            RANGE
        )?;
        let Some(last) = last else {
            keep_largest(&mut tx, id).await?;
            tx.commit().await?;
            return Ok(RollUpStep::Complete);
        };
        // Whoever moves the place counts the range: two processes that do it at once count it once.
        let is_ours = execute!(
            tx,
            "update digest_roll_ups set after_id = $4 where mailing_id = $1 and finished_at = $2 and after_id = $3 and done_at is null",
            id,
            open.finished_at,
            after,
            last
        )? > 0;
        if !is_ours {
            return Ok(RollUpStep::Elsewhere);
        }
        let sql = if tx.is_postgres() {
            by_domain!("strpos(s.email_key, '@')")
        } else {
            by_domain!("instr(s.email_key, '@')")
        };
        execute!(tx, sql, id, after, last)?;
        execute!(
            tx,
            concat!(
                "insert into digest_outcomes (mailing_id, dimension, name, sent, failed, uncertain, skipped)
                 select $1, 'relay', coalesce(d.relay, ''), ",
                outcomes!(),
                " from deliveries d where d.mailing_id = $1 and d.subscriber_id > $2 and d.subscriber_id <= $3 group by 3",
                added!()
            ),
            id,
            after,
            last
        )?;
        tx.commit().await?;
        Ok(RollUpStep::Counted)
    }

    /// Notes that a digest is counted, with what the audit of its ledger found.
    pub async fn finish_roll_up(
        &self,
        open: &OpenRollUp,
        faults: &[String],
        now: Timestamp,
    ) -> Result<(), StorageError> {
        let faults = serde_json::to_string(faults)
            .map_err(|error| StorageError::Stored(error.to_string()))?;
        let mut tx = self.begin().await?;
        execute!(
            tx,
            "update digest_roll_ups set done_at = $3, faults = $4 where mailing_id = $1 and finished_at = $2",
            open.slot.id(),
            open.finished_at,
            now.timestamp_millis(),
            faults
        )?;
        Ok(tx.commit().await?)
    }
}

/// Begins a count, or begins it anew.
async fn begin(mut tx: Tx, open: &OpenRollUp) -> Result<RollUpStep, StorageError> {
    let id = open.slot.id();
    let begun = execute!(
        tx,
        "insert into digest_roll_ups (mailing_id, finished_at, after_id) values ($1, $2, $3)
         on conflict (mailing_id) do update set finished_at = excluded.finished_at, after_id = excluded.after_id, done_at = null, faults = null
           where digest_roll_ups.finished_at <> excluded.finished_at",
        id,
        open.finished_at,
        i64::MIN
    )?;
    if begun == 0 {
        return Ok(RollUpStep::Elsewhere);
    }
    execute!(tx, "delete from digest_outcomes where mailing_id = $1", id)?;
    tx.commit().await?;
    Ok(RollUpStep::Counted)
}

/// Folds all but the largest domains into one row.
async fn keep_largest(tx: &mut Tx, id: i64) -> Result<(), StorageError> {
    execute!(
        tx,
        concat!(
            "insert into digest_outcomes (mailing_id, dimension, name, sent, failed, uncertain, skipped)
             select $1, 'domain', '', cast(sum(o.sent) as bigint), cast(sum(o.failed) as bigint), cast(sum(o.uncertain) as bigint),
               cast(sum(o.skipped) as bigint)
             from digest_outcomes o where o.mailing_id = $1 and o.dimension = 'domain' and o.name <> '' and o.name not in
               (select name from digest_outcomes where mailing_id = $1 and dimension = 'domain' and name <> ''
                order by sent + failed + uncertain + skipped desc, name limit $2)
             group by o.mailing_id",
            added!()
        ),
        id,
        DOMAINS_KEPT
    )?;
    execute!(
        tx,
        "delete from digest_outcomes where mailing_id = $1 and dimension = 'domain' and name <> '' and name not in
           (select name from digest_outcomes where mailing_id = $1 and dimension = 'domain' and name <> ''
            order by sent + failed + uncertain + skipped desc, name limit $2)",
        id,
        DOMAINS_KEPT
    )?;
    Ok(())
}
