//! Batches that come back: what is left in them waits for its time, and what a cancelled digest had queued ends.

use crate::domain::Timestamp;
use crate::domain::delivery::BatchKey;
use crate::domain::delivery::SkipReason;
use crate::storage::Storage;
use crate::storage::StorageError;
use crate::storage::Tx;
use crate::storage::ledger::batches::BatchRow;
use crate::storage::ledger::batches::DeliveryBatch;
use crate::storage::ledger::batches::cut_of;
use crate::storage::ledger::batches::shorten;
use crate::storage::ledger::counts::Skips;
use crate::storage::ledger::counts::StateCounts;
use crate::storage::ledger::counts::count_range;
use crate::storage::ledger::counts::counted;
use crate::storage::ledger::counts::keep;
use crate::storage::ledger::counts::note_chunk;
use crate::storage::ledger::counts::note_skips;

/// A batch with retries waits until a quarter of them is due, but no longer than this, in milliseconds: each look reads all of it.
const LONGEST_GATHERING: i64 = 2_000;
/// Wait for what other senders have under way in a batch, in milliseconds.
const PATIENCE: i64 = 1_000;

/// Gives back a batch that `sender` has: for later if something in it waits, for good if not. One in which a mail of that sender is
/// still out stays its own: `false`. The caller holds the lock of the sender's row (PostgreSQL), or two who give the same batch back would
/// both count it.
pub(in crate::storage) async fn release(
    tx: &mut Tx,
    sender: i64,
    key: BatchKey,
    now: Timestamp,
) -> Result<bool, StorageError> {
    let found: Option<(i64,)> = optional!(
        tx,
        "select first_id from delivery_batches where mailing_id = $1 and last_id = $2 and sender_id = $3",
        key.mailing,
        key.last,
        sender
    )?;
    let Some((first,)) = found else {
        return Ok(true);
    };
    end_cancelled(tx, key.mailing, first, key.last, now).await?;
    let left = left_in(tx, sender, key, first).await?;
    if left.out > 0 {
        return Ok(false);
    }
    match left.due(now) {
        Some(due) => {
            execute!(
                tx,
                "update delivery_batches set sender_id = null, due_at = $4, last_due_at = $5, retry_at = $6
                 where mailing_id = $1 and last_id = $2 and sender_id = $3",
                key.mailing,
                key.last,
                sender,
                due,
                left.last_due.unwrap_or(due),
                left.retry_at()
            )?;
            note_chunk(tx, key, &left.counts).await?;
        }
        None => {
            execute!(
                tx,
                "delete from delivery_batches where mailing_id = $1 and last_id = $2 and sender_id = $3",
                key.mailing,
                key.last,
                sender
            )?;
            keep(tx, key.mailing, &left.counts).await?;
        }
    }
    Ok(true)
}

/// Counts what is in a batch that `sender` has. Usually all of it is sent: then two numbers tell, and its rows are read no further.
async fn left_in(
    tx: &mut Tx,
    sender: i64,
    key: BatchKey,
    first: i64,
) -> Result<Left, StorageError> {
    let (rows, sent): (i64, i64) = one!(
        tx,
        "select count(*), count(case when state = 'sent' then 1 end) from deliveries
         where mailing_id = $1 and subscriber_id between $2 and $3",
        key.mailing,
        first,
        key.last
    )?;
    if rows == sent {
        return Ok(Left {
            counts: StateCounts {
                sent,
                ..StateCounts::default()
            },
            ..Left::default()
        });
    }
    let left = one!(
        tx,
        concat!(
            "select count(case when d.state = 'sending' and d.sender_id = $4 then 1 end) as out,
               min(case when d.finished_at is null and d.state <> 'sending' and d.attempts = 0 then d.due_at end) as fresh,
               min(case when d.finished_at is null and d.state <> 'sending' and d.attempts > 0 then d.due_at end) as soonest,
               max(case when d.finished_at is null and d.state <> 'sending' and d.attempts > 0 then d.due_at end) as latest,
               max(case when d.finished_at is null then d.due_at end) as last_due, ",
            counted!(),
            " from deliveries d where d.mailing_id = $1 and d.subscriber_id between $2 and $3"
        ),
        key.mailing,
        first,
        key.last,
        sender
    )?;
    Ok(left)
}

/// Ends what is queued in a range of a mailing whose digest was cancelled: it has nowhere to go.
async fn end_cancelled(
    tx: &mut Tx,
    mailing: i64,
    first: i64,
    last: i64,
    now: Timestamp,
) -> Result<(), StorageError> {
    let ended = execute!(
        tx,
        "update deliveries set state = 'skipped', skip_reason = $5, finished_at = $4
         where mailing_id = $1 and subscriber_id between $2 and $3 and finished_at is null and state in ('queued', 'uncertain')
           and exists (select 1 from digests where id = $1 and state = 'cancelled')",
        mailing,
        first,
        last,
        now.timestamp_millis(),
        SkipReason::Cancelled.as_str()
    )?;
    if ended > 0 {
        let reasons = Skips::from([((mailing, SkipReason::Cancelled), ended as i64)]);
        note_skips(tx, &reasons).await?;
    }
    Ok(())
}

/// The first free batch of a digest. On PostgreSQL one that another process is just ending is passed over.
macro_rules! first_free {
    ($lock:literal) => {
        concat!(
            "select mailing_id, first_id, last_id, is_split from delivery_batches where mailing_id = $1 and sender_id is null
             order by last_id limit 1",
            $lock
        )
    };
}

/// Deliveries of a cancelled digest that end in one transaction.
const ENDED_AT_ONCE: i64 = 5_000;

impl Storage {
    /// Ends the next queued deliveries of cancelled digests, a bounded number in one transaction; `false`: there are none.
    pub async fn end_cancelled_range(&self, now: Timestamp) -> Result<bool, StorageError> {
        let unended: Vec<(i64,)> = all!(
            self.read().await?,
            "select g.id from digests g join digest_counts n on n.mailing_id = g.id
             where g.state = 'cancelled' and n.sent + n.failed + n.skipped + n.uncertain < g.recipients order by g.id"
        )?;
        for (digest,) in unended {
            if self.end_range_of(digest, now).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn end_range_of(&self, digest: i64, now: Timestamp) -> Result<bool, StorageError> {
        let mut tx = self.begin().await?;
        let sql = if tx.is_postgres() {
            first_free!(" for update skip locked")
        } else {
            first_free!("")
        };
        let found: Option<BatchRow> = optional!(tx, sql, digest)?;
        let Some(chunk) = found.map(DeliveryBatch::from) else {
            return Ok(false);
        };
        let (key, cut) = (chunk.key, cut_of(&mut tx, chunk, ENDED_AT_ONCE).await?);
        let last = cut.map_or(key.last, |(last, _)| last);
        end_cancelled(&mut tx, key.mailing, chunk.first, last, now).await?;
        let counts = count_range(&mut tx, key.mailing, chunk.first, last).await?;
        if counts.sending > 0 {
            // Still with a relay: it is looked at again when that is known to be over.
            return Ok(false);
        }
        match cut {
            Some((last, before)) => shorten(&mut tx, key, last, &before).await?,
            None => {
                execute!(
                    tx,
                    "delete from delivery_batches where mailing_id = $1 and last_id = $2 and sender_id is null",
                    key.mailing,
                    key.last
                )?;
            }
        }
        keep(&mut tx, key.mailing, &counts).await?;
        tx.commit().await?;
        Ok(true)
    }
}

/// Deliveries of a batch.
#[derive(Default, sqlx::FromRow)]
struct Left {
    /// In the hands of whoever gives it back.
    out: i64,
    /// Due time of the first that was never tried; then of the first and the last of the others.
    fresh: Option<i64>,
    soonest: Option<i64>,
    latest: Option<i64>,
    /// Time when the last that is open is due.
    last_due: Option<i64>,
    #[sqlx(flatten)]
    counts: StateCounts,
}

impl Left {
    /// Returns when the batch is to be looked at again, if ever.
    fn due(&self, now: Timestamp) -> Option<i64> {
        let others = (self.counts.sending > 0).then_some(now.timestamp_millis() + PATIENCE);
        [self.fresh, self.retry_at()]
            .into_iter()
            .flatten()
            .min()
            .or(others)
    }

    /// Returns when its retries are to be made, if there are any.
    fn retry_at(&self) -> Option<i64> {
        self.soonest
            .zip(self.latest)
            .map(|(soonest, latest)| soonest + ((latest - soonest) / 4).min(LONGEST_GATHERING))
    }
}

/// Gives back all that `sender` has. `false`: some of it is still out.
pub(in crate::storage) async fn release_all(
    tx: &mut Tx,
    sender: i64,
    now: Timestamp,
) -> Result<bool, StorageError> {
    let rows: Vec<(i64, i64)> = all!(
        tx,
        "select mailing_id, last_id from delivery_batches where sender_id = $1 order by mailing_id, last_id",
        sender
    )?;
    let mut all_back = true;
    for (mailing, last) in rows {
        all_back &= release(tx, sender, BatchKey { mailing, last }, now).await?;
    }
    Ok(all_back)
}
