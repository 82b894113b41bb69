//! Outcomes of digests' mails minute by minute: for progress, and so that a send can be drawn long after.
//!
//! Senders add up and write every few seconds, so a process that is killed takes its last ones with it. The truth about a
//! send are its deliveries; these figures only tell how it went.

use crate::domain::Timestamp;
use crate::domain::delivery::AttemptOutcome;
use crate::domain::delivery::MailClass;
use crate::domain::progress::MinuteStats;
use crate::domain::progress::minute_of;
use crate::storage::Storage;
use crate::storage::StorageError;
use crate::storage::Tx;
use crate::storage::ledger::Tally;
use crate::storage::ledger::counts::counts_of;

#[derive(sqlx::FromRow)]
struct MinuteRow {
    minute: i64,
    sent: i64,
    failed: i64,
    skipped: i64,
    deferred: i64,
    uncertain: i64,
}

impl Storage {
    /// Adds to the minutes of digests and to the totals of all mail; several processes add up. Both in one order, so that two
    /// processes never wait for each other in a circle.
    pub async fn add_minutes(
        &self,
        minutes: &[(i64, MinuteStats)],
        totals: &[((MailClass, AttemptOutcome), u64)],
        now: Timestamp,
    ) -> Result<(), StorageError> {
        let mut tx = self.begin().await?;
        for (digest, minute) in minutes {
            add(&mut tx, *digest, minute).await?;
        }
        for ((class, outcome), count) in totals {
            execute!(
                tx,
                "insert into attempt_totals (kind, outcome, total, last_at) values ($1, $2, $3, $4)
                 on conflict (kind, outcome) do update set total = attempt_totals.total + excluded.total, last_at = excluded.last_at",
                class.as_str(),
                outcome.as_str(),
                *count as i64,
                now.timestamp_millis()
            )?;
        }
        Ok(tx.commit().await?)
    }

    /// Delivery attempts since the database was made, by kind of mail and outcome, of all processes; pairs that never occurred are
    /// left out.
    pub async fn attempt_totals(
        &self,
    ) -> Result<Vec<(MailClass, AttemptOutcome, u64)>, StorageError> {
        let mut reader = self.read().await?;
        let rows: Vec<(String, String, i64)> = all!(
            reader,
            "select kind, outcome, total from attempt_totals order by kind, outcome"
        )?;
        let read = |(kind, outcome, total): (String, String, i64)| {
            Ok((kind.parse()?, outcome.parse()?, total as u64))
        };
        rows.into_iter().map(read).collect()
    }

    /// Deliveries of the digests that are being sent or paused, by state: kept counts, and the rows of batches that senders hold.
    pub async fn open_deliveries(&self) -> Result<Tally, StorageError> {
        let mut reader = self.read().await?;
        let open: Vec<(i64,)> = all!(
            reader,
            "select id from digests where state in ('sending', 'paused') order by id"
        )?;
        let mut sum = Tally::default();
        for (id,) in open {
            sum.add(&counts_of(&mut reader, id).await?.tally());
        }
        Ok(sum)
    }

    /// The minutes of a digest in which something became of its mails, oldest first: as many as a send lasts.
    pub async fn minutes(&self, digest: i64) -> Result<Vec<MinuteStats>, StorageError> {
        let mut reader = self.read().await?;
        let rows: Vec<MinuteRow> = all!(
            reader,
            "select minute, sent, failed, skipped, deferred, uncertain from digest_send_stats where mailing_id = $1 order by minute",
            digest
        )?;
        let minute = |row: MinuteRow| MinuteStats {
            sent: row.sent as u64,
            failed: row.failed as u64,
            skipped: row.skipped as u64,
            later: row.deferred as u64,
            uncertain: row.uncertain as u64,
            ..MinuteStats::numbered(row.minute)
        };
        Ok(rows.into_iter().map(minute).collect())
    }

    /// Returns how many deliveries of a digest have ended so far, by its minutes.
    pub async fn ended_by_minutes(&self, digest: i64) -> Result<u64, StorageError> {
        let mut reader = self.read().await?;
        let (ended,): (Option<i64>,) = one!(
            reader,
            "select cast(sum(sent + failed + skipped) as bigint) from digest_send_stats where mailing_id = $1",
            digest
        )?;
        Ok(ended.unwrap_or(0) as u64)
    }
}

/// Adds to a minute of a digest, in a transaction that may do more.
pub(in crate::storage) async fn add(
    tx: &mut Tx,
    digest: i64,
    minute: &MinuteStats,
) -> Result<(), StorageError> {
    execute!(
        tx,
        "insert into digest_send_stats (mailing_id, minute, sent, failed, deferred, uncertain, skipped) values ($1, $2, $3, $4, $5, $6, $7)
         on conflict (mailing_id, minute) do update set sent = digest_send_stats.sent + excluded.sent,
           failed = digest_send_stats.failed + excluded.failed, deferred = digest_send_stats.deferred + excluded.deferred,
           uncertain = digest_send_stats.uncertain + excluded.uncertain, skipped = digest_send_stats.skipped + excluded.skipped",
        digest,
        minute_of(minute.at),
        minute.sent as i64,
        minute.failed as i64,
        minute.later as i64,
        minute.uncertain as i64,
        minute.skipped as i64
    )?;
    Ok(())
}
