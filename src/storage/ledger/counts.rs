//! Counts of a digest's deliveries by state, kept instead of counted.
//!
//! A batch that comes to its end adds its counts to its digest's, a free one carries its own, and only the rows of batches that
//! senders hold are counted: a few thousand for each sender, however large the digest. Refused: a counter that each commit
//! raises, for all senders would wait for one row. `digest audit` holds the sums against the rows.

use std::collections::BTreeMap;

use crate::domain::Timestamp;
use crate::domain::delivery::BatchKey;
use crate::domain::delivery::SkipReason;
use crate::domain::from_millis;
use crate::storage::Queryable;
use crate::storage::Storage;
use crate::storage::StorageError;
use crate::storage::Tx;
use crate::storage::ledger::Tally;

/// Deliveries by state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, sqlx::FromRow)]
pub(in crate::storage) struct StateCounts {
    pub queued: i64,
    pub sending: i64,
    pub sent: i64,
    pub failed: i64,
    pub skipped: i64,
    pub uncertain: i64,
}

/// The columns of [`StateCounts`], counted from the rows `d` of deliveries.
macro_rules! counted {
    () => {
        "count(case when d.state = 'queued' then 1 end) as queued, count(case when d.state = 'sending' then 1 end) as sending,
         count(case when d.state = 'sent' then 1 end) as sent, count(case when d.state = 'failed' then 1 end) as failed,
         count(case when d.state = 'skipped' then 1 end) as skipped,
         count(case when d.state = 'uncertain' then 1 end) as uncertain"
    };
}

/// The columns of [`StateCounts`] of the digest $1 in one statement, and so of one moment: for the audit, which reads all of it anyway.
macro_rules! kept {
    () => {
        concat!(
            "select cast(coalesce(sum(queued), 0) as bigint) as queued, cast(coalesce(sum(sending), 0) as bigint) as sending,
               cast(coalesce(sum(sent), 0) as bigint) as sent, cast(coalesce(sum(failed), 0) as bigint) as failed,
               cast(coalesce(sum(skipped), 0) as bigint) as skipped, cast(coalesce(sum(uncertain), 0) as bigint) as uncertain
             from (
               select 0 as queued, 0 as sending, sent, failed, skipped, uncertain from digest_counts where mailing_id = $1
               union all
               select queued, 0, sent, failed, skipped, uncertain from delivery_batches where mailing_id = $1 and sender_id is null
               union all
               select ",
            $crate::storage::ledger::counts::counted!(),
            " from delivery_batches c cross join deliveries d where c.mailing_id = $1 and c.sender_id is not null
                 and d.mailing_id = $1 and d.subscriber_id between c.first_id and c.last_id
             ) parts"
        )
    };
}

/// Tells whether the digest `digests` reached anybody: a mail of it was handed to a relay at some time.
macro_rules! reached {
    () => {
        "(exists (select 1 from digest_counts n where n.mailing_id = digests.id and n.sent + n.uncertain > 0)
          or (select max(case when c.sent + c.uncertain > 0 or (c.sender_id is not null and exists
                (select 1 from deliveries d where d.mailing_id = c.mailing_id and d.subscriber_id between c.first_id and c.last_id
                 and d.state in ('sending', 'sent', 'uncertain'))) then 1 else 0 end)
              from delivery_batches c where c.mailing_id = digests.id) = 1)"
    };
}

pub(in crate::storage) use counted;
pub(in crate::storage) use kept;
pub(in crate::storage) use reached;

impl StateCounts {
    /// Deliveries that are in some final state.
    pub fn ended(&self) -> i64 {
        self.sent + self.failed + self.skipped + self.uncertain
    }

    /// The same, to be taken away.
    pub fn negated(&self) -> Self {
        Self {
            queued: -self.queued,
            sending: -self.sending,
            sent: -self.sent,
            failed: -self.failed,
            skipped: -self.skipped,
            uncertain: -self.uncertain,
        }
    }

    fn add(&mut self, more: &Self) {
        self.queued += more.queued;
        self.sending += more.sending;
        self.sent += more.sent;
        self.failed += more.failed;
        self.skipped += more.skipped;
        self.uncertain += more.uncertain;
    }

    pub fn tally(&self) -> Tally {
        Tally {
            queued: self.queued.max(0) as u64,
            sending: self.sending.max(0) as u64,
            sent: self.sent.max(0) as u64,
            failed: self.failed.max(0) as u64,
            skipped: self.skipped.max(0) as u64,
            uncertain: self.uncertain.max(0) as u64,
        }
    }
}

impl Storage {
    /// Returns how the deliveries of a digest stand.
    pub async fn tally(&self, mailing: i64) -> Result<Tally, StorageError> {
        Ok(counts_of(&mut self.read().await?, mailing).await?.tally())
    }

    /// Returns why deliveries of a digest were skipped, and how many for each reason, most frequent first.
    pub async fn skips(&self, mailing: i64) -> Result<Vec<(SkipReason, u64)>, StorageError> {
        let mut reader = self.read().await?;
        let rows: Vec<(String, i64)> = all!(
            reader,
            "select reason, times from digest_skips where mailing_id = $1 order by times desc, reason",
            mailing
        )?;
        let read = |(reason, times): (String, i64)| Ok((reason.parse()?, times as u64));
        rows.into_iter().map(read).collect()
    }

    /// Returns why deliveries of a digest failed, most frequent first: the server's words (or ours), and how often.
    pub async fn failures(
        &self,
        mailing: i64,
        count: i64,
    ) -> Result<Vec<(String, u64)>, StorageError> {
        let mut reader = self.read().await?;
        let rows: Vec<(String, i64)> = all!(
            reader,
            "select reply, times from failure_reasons where mailing_id = $1 order by times desc, reply limit $2",
            mailing,
            count
        )?;
        Ok(rows
            .into_iter()
            .map(|(reply, times)| (reply, times as u64))
            .collect())
    }

    /// Returns when the last delivery of a digest that is not final is due, at the latest.
    pub async fn last_due(&self, mailing: i64) -> Result<Option<Timestamp>, StorageError> {
        let mut reader = self.read().await?;
        let (due,): (Option<i64>,) = one!(
            reader,
            "select max(last_due_at) from delivery_batches where mailing_id = $1",
            mailing
        )?;
        Ok(due.map(from_millis))
    }
}

/// Returns how a digest's deliveries stand: what is kept, and then the rows of each batch that a sender holds. Each delivery is counted once,
/// some a moment later than others.
pub(in crate::storage) async fn counts_of(
    conn: &mut impl Queryable,
    mailing: i64,
) -> Result<StateCounts, StorageError> {
    // Both in one statement: a batch is either free or held.
    let parts: Vec<BatchCountsRow> = all!(
        conn,
        "select cast(0 as bigint) as first_id, cast(-1 as bigint) as last_id, cast(coalesce(sum(queued), 0) as bigint) as queued,
           cast(coalesce(sum(sent), 0) as bigint) as sent, cast(coalesce(sum(failed), 0) as bigint) as failed,
           cast(coalesce(sum(skipped), 0) as bigint) as skipped, cast(coalesce(sum(uncertain), 0) as bigint) as uncertain
         from (
           select 0 as queued, sent, failed, skipped, uncertain from digest_counts where mailing_id = $1
           union all
           select queued, sent, failed, skipped, uncertain from delivery_batches where mailing_id = $1 and sender_id is null
         ) free
         union all
         select first_id, last_id, 0, 0, 0, 0, 0 from delivery_batches where mailing_id = $1 and sender_id is not null",
        mailing
    )?;
    let mut all = StateCounts::default();
    for part in parts {
        let counts = match part.first_id <= part.last_id {
            true => count_range(conn, mailing, part.first_id, part.last_id).await?,
            false => StateCounts {
                queued: part.queued,
                sending: 0,
                sent: part.sent,
                failed: part.failed,
                skipped: part.skipped,
                uncertain: part.uncertain,
            },
        };
        all.add(&counts);
    }
    Ok(all)
}

#[derive(sqlx::FromRow)]
struct BatchCountsRow {
    first_id: i64,
    last_id: i64,
    queued: i64,
    sent: i64,
    failed: i64,
    skipped: i64,
    uncertain: i64,
}

/// Counts a range of a mailing's deliveries from its rows.
pub(in crate::storage) async fn count_range(
    conn: &mut impl Queryable,
    mailing: i64,
    first: i64,
    last: i64,
) -> Result<StateCounts, StorageError> {
    let sql = concat!(
        "select ",
        counted!(),
        " from deliveries d where d.mailing_id = $1 and d.subscriber_id between $2 and $3"
    );
    Ok(one!(conn, sql, mailing, first, last)?)
}

/// Adds what stood in a batch that came to its end. Not of transactional mails, which have no row.
pub(in crate::storage) async fn keep(
    tx: &mut Tx,
    mailing: i64,
    counts: &StateCounts,
) -> Result<(), StorageError> {
    execute!(
        tx,
        "update digest_counts set sent = sent + $2, failed = failed + $3, skipped = skipped + $4, uncertain = uncertain + $5
         where mailing_id = $1",
        mailing,
        counts.sent,
        counts.failed,
        counts.skipped,
        counts.uncertain
    )?;
    Ok(())
}

/// Writes how the deliveries of a batch stand.
pub(in crate::storage) async fn note_chunk(
    tx: &mut Tx,
    key: BatchKey,
    counts: &StateCounts,
) -> Result<(), StorageError> {
    execute!(
        tx,
        "update delivery_batches set queued = $3, sent = $4, failed = $5, skipped = $6, uncertain = $7 where mailing_id = $1 and last_id = $2",
        key.mailing,
        key.last,
        counts.queued + counts.sending,
        counts.sent,
        counts.failed,
        counts.skipped,
        counts.uncertain
    )?;
    Ok(())
}

/// Counts a digest anew from its rows: all of them into one batch, from `first` to `last`.
pub(in crate::storage) async fn recount(
    tx: &mut Tx,
    mailing: i64,
    first: i64,
    last: i64,
) -> Result<(), StorageError> {
    let counts = count_range(tx, mailing, first, last).await?;
    execute!(
        tx,
        "update digest_counts set sent = 0, failed = 0, skipped = 0, uncertain = 0 where mailing_id = $1",
        mailing
    )?;
    note_chunk(tx, BatchKey { mailing, last }, &counts).await
}

/// Reason why deliveries failed: how often, by mailing and reply. In their order, so that two who write at once do not wait for each
/// other in a circle.
pub(in crate::storage) type Reasons = BTreeMap<(i64, String), i64>;

/// Different replies that are counted apart for one digest; servers that put an id into each would fill the table.
const REASONS_MAX: i64 = 200;
const OTHERS: &str = "other answers";
/// Characters of a reply that tell it from others.
const REPLY_MAX: usize = 300;

/// Counts why deliveries of digests failed.
pub(in crate::storage) async fn note_failures(
    tx: &mut Tx,
    reasons: &Reasons,
) -> Result<(), StorageError> {
    for ((mailing, reply), times) in reasons {
        let reply: String = reply.chars().take(REPLY_MAX).collect();
        let counted = execute!(
            tx,
            "insert into failure_reasons (mailing_id, reply, times) select id, $2, $3 from digests where id = $1
               and (exists (select 1 from failure_reasons r where r.mailing_id = $1 and r.reply = $2)
                 or (select count(*) from failure_reasons r where r.mailing_id = $1) < $4)
             on conflict (mailing_id, reply) do update set times = failure_reasons.times + excluded.times",
            mailing,
            reply,
            times,
            REASONS_MAX
        )?;
        if counted == 0 {
            execute!(
                tx,
                "insert into failure_reasons (mailing_id, reply, times) select id, $2, $3 from digests where id = $1
                 on conflict (mailing_id, reply) do update set times = failure_reasons.times + excluded.times",
                mailing,
                OTHERS,
                times
            )?;
        }
    }
    Ok(())
}

/// Reason why deliveries were skipped: how often, by mailing and reason, in one order for all who write.
pub(in crate::storage) type Skips = BTreeMap<(i64, SkipReason), i64>;

/// Counts why deliveries of digests were skipped.
pub(in crate::storage) async fn note_skips(
    tx: &mut Tx,
    reasons: &Skips,
) -> Result<(), StorageError> {
    for ((mailing, reason), times) in reasons {
        execute!(
            tx,
            "insert into digest_skips (mailing_id, reason, times) values ($1, $2, $3)
             on conflict (mailing_id, reason) do update set times = digest_skips.times + excluded.times",
            mailing,
            reason.as_str(),
            times
        )?;
    }
    Ok(())
}
