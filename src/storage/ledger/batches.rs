//! Batches: which stretches of the ledger have something left to do, and who has them.
//!
//! The ledger says what became of each delivery, and nothing in it moves until a delivery is begun. What waits stands here: a
//! digest is one batch when it is published, and whoever claims cuts off its front as much as they can bear. A batch that comes
//! back with retries in it waits until the first of them is due. So a million deliveries wait in a few rows, and beginning and
//! ending one touches no index. Refused: a mark on each claimed delivery, which cost as much again as beginning and ending it.

use crate::domain::Timestamp;
use crate::domain::delivery::BatchKey;
use crate::domain::delivery::UncertainPolicy;
use crate::storage::Storage;
use crate::storage::StorageError;
use crate::storage::Tx;
use crate::storage::ledger::Job;
use crate::storage::ledger::counts::StateCounts;
use crate::storage::ledger::counts::counted;
use crate::storage::ledger::counts::recount;
use crate::storage::ledger::jobs_of;
use crate::storage::ledger::returned_batches::release;
use crate::storage::ledger::skip;

/// A stretch of a mailing's deliveries: readers `first..=key.last`.
#[derive(Debug, Clone, Copy)]
pub(in crate::storage) struct DeliveryBatch {
    pub key: BatchKey,
    pub first: i64,
}

/// `mailing_id, first_id, last_id, is_split`
pub(in crate::storage) type BatchRow = (i64, i64, i64, i64);

/// A batch that may be claimed.
#[derive(sqlx::FromRow)]
struct FreeBatch {
    first_id: i64,
    last_id: i64,
    is_split: i64,
    /// Deliveries in it that are final.
    ended: i64,
}

/// Confirmations claimed at once, at the most.
const URGENT: i64 = 100;
/// Maximum number of batches examined for one claim: with many time zones or many skipped readers, little in each batch is due.
const BATCHES_MAX: usize = 16;

/// One text for both databases but for the lock. On PostgreSQL the front of a digest is waited for: to skip it would mean that
/// there is nothing to do. SQLite has one writer and no such words.
macro_rules! next_chunk {
    ($lock:literal) => {
        concat!(
            "select first_id, last_id, is_split, sent + failed + skipped + uncertain as ended from delivery_batches
             where mailing_id = $1 and class = 'digest' and sender_id is null and due_at <= $2 order by due_at, last_id limit 1",
            $lock
        )
    };
}

/// The same, of the batches with retries that are due.
macro_rules! next_retries {
    ($lock:literal) => {
        concat!(
            "select first_id, last_id, is_split, sent + failed + skipped + uncertain as ended from delivery_batches
             where mailing_id = $1 and sender_id is null and retry_at <= $2 order by retry_at, last_id limit 1",
            $lock
        )
    };
}

/// All that wait at once; what another is just taking is theirs.
macro_rules! claim_urgent {
    ($lock:literal) => {
        concat!(
            "update delivery_batches set sender_id = $1, is_split = 1 where (mailing_id, last_id) in
               (select mailing_id, last_id from delivery_batches where class = 'transactional' and sender_id is null and due_at <= $2
                order by due_at limit $3",
            $lock,
            ") returning mailing_id, first_id, last_id, is_split"
        )
    };
}

/// Result of a claim.
#[derive(Debug, Default)]
pub struct ClaimResult {
    /// Deliveries that are due.
    pub jobs: Vec<Job>,
    /// True if it stopped before it had seen all that is due.
    pub may_be_more: bool,
}

impl Storage {
    /// Gives back the batches in `ended`, of which this sender has nothing left to do, and claims what is due, for a sender that is
    /// still entered: confirmations first, then about `room` deliveries of the digests that are being sent; with `only`, of that
    /// mailing alone. Retries that are due come before mail that was never tried; each has half of the room, and what the one
    /// does not fill, the other has. What must not go out any more becomes `skipped` here.
    pub async fn claim(
        &self,
        sender: i64,
        ended: &[BatchKey],
        only: Option<i64>,
        room: usize,
        now: Timestamp,
    ) -> Result<ClaimResult, StorageError> {
        let mut tx = self.begin().await?;
        if !crate::storage::ledger::senders::holds_lease(&mut tx, sender).await? {
            return Ok(ClaimResult::default());
        }
        for key in ended {
            release(&mut tx, sender, *key, now).await?;
        }
        let mut urgent: Vec<BatchRow> = Vec::new();
        if only.is_none() {
            let sql = if tx.is_postgres() {
                claim_urgent!(" for update skip locked")
            } else {
                claim_urgent!("")
            };
            urgent = all!(tx, sql, sender, now.timestamp_millis(), URGENT)?;
        }
        let digests: Vec<(i64,)> = all!(
            tx,
            "select id from digests where state = 'sending' order by id"
        )?;
        tx.commit().await?;
        let mut jobs = Vec::new();
        for row in urgent {
            jobs.extend(
                self.open_chunk(sender, DeliveryBatch::from(row), now)
                    .await?,
            );
        }
        let digests: Vec<i64> = digests
            .into_iter()
            .map(|(id,)| id)
            .filter(|id| only.is_none_or(|only| only == *id))
            .collect();
        let (mut chunks, mut may_be_more) = (0..BATCHES_MAX, false);
        for wanted in [ClaimScope::Retries, ClaimScope::All] {
            let limit = match wanted {
                ClaimScope::Retries => room.div_ceil(2),
                // Batches of retries come whole: however many those were, half of the room is left to the others.
                ClaimScope::All => room.max(jobs.len() + room / 2),
            };
            for id in &digests {
                loop {
                    let room = limit.saturating_sub(jobs.len());
                    if room == 0 || chunks.next().is_none() {
                        // The second pass meets all that the first one left.
                        may_be_more |= wanted == ClaimScope::All;
                        break;
                    }
                    let Some(chunk) = self.claim_chunk(sender, *id, wanted, room, now).await?
                    else {
                        break;
                    };
                    jobs.extend(self.open_chunk(sender, chunk, now).await?);
                }
            }
        }
        Ok(ClaimResult { jobs, may_be_more })
    }

    /// Takes the next batch of a digest that is due, cut to `room` deliveries.
    async fn claim_chunk(
        &self,
        sender: i64,
        digest: i64,
        wanted: ClaimScope,
        room: usize,
        now: Timestamp,
    ) -> Result<Option<DeliveryBatch>, StorageError> {
        let mut tx = self.begin().await?;
        if !crate::storage::ledger::senders::holds_lease(&mut tx, sender).await? {
            return Ok(None);
        }
        let mut found = next_free(&mut tx, digest, wanted, now).await?;
        if found.is_none() && tx.is_postgres() {
            // Whoever was waited for took all of that one; there may be another.
            found = next_free(&mut tx, digest, wanted, now).await?;
        }
        let Some(free) = found else { return Ok(None) };
        let whole = DeliveryBatch {
            key: BatchKey {
                mailing: digest,
                last: free.last_id,
            },
            first: free.first_id,
        };
        let cut = match (free.is_split, free.ended) {
            (0, 0) => fresh_cut_of(&mut tx, whole, room as i64).await?,
            (0, _) => cut_of(&mut tx, whole, room as i64).await?,
            _ => None,
        };
        let chunk = match cut {
            Some((last, front)) => {
                execute!(
                    tx,
                    "insert into delivery_batches (mailing_id, first_id, last_id, class, due_at, sender_id, is_split, last_due_at)
                     select mailing_id, first_id, $3, class, due_at, $4, 1, last_due_at from delivery_batches where mailing_id = $1 and last_id = $2",
                    digest,
                    whole.key.last,
                    last,
                    sender
                )?;
                shorten(&mut tx, whole.key, last, &front).await?;
                DeliveryBatch {
                    key: BatchKey {
                        mailing: digest,
                        last,
                    },
                    ..whole
                }
            }
            None => {
                execute!(
                    tx,
                    "update delivery_batches set sender_id = $3, is_split = 1 where mailing_id = $1 and last_id = $2",
                    digest,
                    whole.key.last,
                    sender
                )?;
                whole
            }
        };
        tx.commit().await?;
        Ok(Some(chunk))
    }

    /// Returns what is due in a batch that this sender has. Read outside the transaction that claimed it: nobody else begins anything in
    /// it, and whoever writes meanwhile need not wait.
    pub(in crate::storage) async fn open_chunk(
        &self,
        sender: i64,
        chunk: DeliveryBatch,
        now: Timestamp,
    ) -> Result<Vec<Job>, StorageError> {
        let (jobs, skipped) = jobs_of(&mut self.read().await?, chunk, now).await?;
        if jobs.is_empty() || !skipped.is_empty() {
            let mut tx = self.begin().await?;
            if !crate::storage::ledger::senders::holds_lease(&mut tx, sender).await? {
                return Ok(Vec::new());
            }
            skip(&mut tx, &skipped, now).await?;
            if jobs.is_empty() {
                release(&mut tx, sender, chunk.key, now).await?;
            }
            tx.commit().await?;
        }
        Ok(jobs)
    }

    /// Returns when the next delivery of a mailing that waits is looked at.
    pub async fn next_due(&self, mailing: i64) -> Result<Option<Timestamp>, StorageError> {
        let mut reader = self.read().await?;
        let (due,): (Option<i64>,) = one!(
            reader,
            "select min(due_at) from delivery_batches where mailing_id = $1 and sender_id is null",
            mailing
        )?;
        Ok(due.map(crate::domain::from_millis))
    }

    /// Returns whether some sender has deliveries of a mailing.
    pub async fn is_held(&self, mailing: i64) -> Result<bool, StorageError> {
        let mut reader = self.read().await?;
        let found: Option<(i64,)> = optional!(
            reader,
            "select last_id from delivery_batches where mailing_id = $1 and sender_id is not null limit 1",
            mailing
        )?;
        Ok(found.is_some())
    }

    /// Returns whether something waits to be claimed.
    pub async fn has_due(&self, now: Timestamp) -> Result<bool, StorageError> {
        let mut reader = self.read().await?;
        let found: Option<(i64,)> = optional!(
            reader,
            "select cast(1 as bigint) where exists
               (select 1 from delivery_batches where class = 'transactional' and sender_id is null and due_at <= $1)
             or exists
               (select 1 from digests g where g.state = 'sending'
                and (select min(c.due_at) from delivery_batches c where c.mailing_id = g.id and c.sender_id is null) <= $1)",
            now.timestamp_millis()
        )?;
        Ok(found.is_some())
    }

    /// Returns how many confirmation mails wait: for the readiness page and the figures.
    pub async fn waiting_confirmations(&self) -> Result<u64, StorageError> {
        let mut reader = self.read().await?;
        let (count,): (i64,) = one!(
            reader,
            "select count(*) from delivery_batches c join deliveries d on d.mailing_id = c.mailing_id and d.subscriber_id = c.last_id
             where c.class = 'transactional' and d.finished_at is null"
        )?;
        Ok(count as u64)
    }
}

impl From<BatchRow> for DeliveryBatch {
    fn from((mailing, first, last, _): BatchRow) -> Self {
        Self {
            key: BatchKey { mailing, last },
            first,
        }
    }
}

/// Batches of a digest that a claim takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ClaimScope {
    /// Those with retries that are due.
    Retries,
    /// Any with something that is due.
    All,
}

/// The next free batch of a digest, locked on PostgreSQL.
async fn next_free(
    tx: &mut Tx,
    digest: i64,
    wanted: ClaimScope,
    now: Timestamp,
) -> Result<Option<FreeBatch>, StorageError> {
    if wanted == ClaimScope::Retries {
        let sql = if tx.is_postgres() {
            next_retries!(" for update")
        } else {
            next_retries!("")
        };
        return Ok(optional!(tx, sql, digest, now.timestamp_millis())?);
    }
    let sql = if tx.is_postgres() {
        next_chunk!(" for update")
    } else {
        next_chunk!("")
    };
    Ok(optional!(tx, sql, digest, now.timestamp_millis())?)
}

/// After whom to cut so that `room` deliveries lie before, and how those stand; `None`: there are no more than that.
pub(in crate::storage) async fn cut_of(
    tx: &mut Tx,
    chunk: DeliveryBatch,
    room: i64,
) -> Result<Option<(i64, StateCounts)>, StorageError> {
    let front: BatchFront = one!(
        tx,
        concat!(
            "select count(*) as rows_in_it, max(d.subscriber_id) as last_id, ",
            counted!(),
            " from (select subscriber_id, state, attempts from deliveries where mailing_id = $1 and subscriber_id between $2 and $3
                    order by subscriber_id limit $4) d"
        ),
        chunk.key.mailing,
        chunk.first,
        chunk.key.last,
        room
    )?;
    Ok(front
        .last_id
        .filter(|last| front.rows_in_it == room && *last < chunk.key.last)
        .map(|last| (last, front.counts)))
}

/// The same of a batch in which every delivery waits: its rows are passed over, not read. Reading them for each claim cost 1 to 2 us a
/// mail while SQLite's one writer waited.
async fn fresh_cut_of(
    tx: &mut Tx,
    chunk: DeliveryBatch,
    room: i64,
) -> Result<Option<(i64, StateCounts)>, StorageError> {
    let found: Option<(i64,)> = optional!(
        tx,
        "select subscriber_id from deliveries where mailing_id = $1 and subscriber_id between $2 and $3
         order by subscriber_id limit 1 offset $4",
        chunk.key.mailing,
        chunk.first,
        chunk.key.last,
        room - 1
    )?;
    let front = StateCounts {
        queued: room,
        ..StateCounts::default()
    };
    Ok(found
        .map(|(last,)| (last, front))
        .filter(|(last, _)| *last < chunk.key.last))
}

/// The first deliveries of a batch.
#[derive(sqlx::FromRow)]
struct BatchFront {
    rows_in_it: i64,
    last_id: Option<i64>,
    #[sqlx(flatten)]
    counts: StateCounts,
}

/// Takes the front of a free batch, up to the reader `last`, out of it.
pub(in crate::storage) async fn shorten(
    tx: &mut Tx,
    key: BatchKey,
    last: i64,
    front: &StateCounts,
) -> Result<(), StorageError> {
    execute!(
        tx,
        "update delivery_batches set first_id = $3, queued = queued - $4, sent = sent - $5, failed = failed - $6, skipped = skipped - $7,
           uncertain = uncertain - $8 where mailing_id = $1 and last_id = $2",
        key.mailing,
        key.last,
        last + 1,
        front.queued + front.sending,
        front.sent,
        front.failed,
        front.skipped,
        front.uncertain
    )?;
    Ok(())
}

/// Puts a digest with open deliveries in no batch into the queue, as one batch of all that it has; `false`: nothing is open. Nothing
/// makes such a one: a guard, so that a fault here would cost time and no mail.
pub(in crate::storage) async fn queue_again(
    tx: &mut Tx,
    mailing: i64,
    now: Timestamp,
) -> Result<bool, StorageError> {
    crate::storage::ledger::senders::doubt(
        tx,
        (mailing, i64::MIN, i64::MAX),
        UncertainPolicy::Resend,
        now,
    )
    .await?;
    let found: (i64, Option<i64>, Option<i64>, Option<i64>) = one!(
        tx,
        "select count(case when finished_at is null then 1 end), min(subscriber_id), max(subscriber_id), max(due_at)
         from deliveries where mailing_id = $1",
        mailing
    )?;
    let (1.., Some(first), Some(last), last_due) = found else {
        return Ok(false);
    };
    execute!(
        tx,
        "insert into delivery_batches (mailing_id, first_id, last_id, class, due_at, is_split, last_due_at) values ($1, $2, $3, 'digest', $4, 0, $5)
         on conflict (mailing_id, last_id) do nothing",
        mailing,
        first,
        last,
        now.timestamp_millis(),
        last_due
    )?;
    recount(tx, mailing, first, last).await?;
    Ok(true)
}
