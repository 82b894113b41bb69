//! Reports as they came: the text behind what came back for a subscriber.

use super::Storage;
use super::StorageError;
use super::Tx;
use crate::domain::Timestamp;
use crate::domain::from_millis;

/// Bytes of a report that are kept.
const KEPT_MAX: usize = 256 << 10;
/// Reports that are kept of one subscriber.
const OF_ONE: i64 = 20;
/// Reports that one transaction forgets.
const FORGOTTEN_AT_ONCE: i64 = 100;

/// A report as it came.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct RawReport {
    /// Name of what came back.
    #[serde(skip)]
    pub fingerprint: String,
    /// Time when it came.
    pub at: Timestamp,
    /// Its text.
    pub text: String,
    /// True if it was longer.
    pub is_cut: bool,
}

type ReportRow = (String, i64, String, i64);

fn report((fingerprint, at, text, is_cut): ReportRow) -> RawReport {
    RawReport {
        fingerprint,
        at: from_millis(at),
        text,
        is_cut: is_cut != 0,
    }
}

impl Storage {
    /// The reports that are kept of a subscriber, oldest first.
    pub async fn raw_reports(&self, subscriber: i64) -> Result<Vec<RawReport>, StorageError> {
        let mut reader = self.read().await?;
        let rows: Vec<ReportRow> = all!(
            reader,
            "select fingerprint, received_at, raw, is_cut from inbound_reports where subscriber_id = $1 order by received_at limit $2",
            subscriber,
            OF_ONE
        )?;
        Ok(rows.into_iter().map(report).collect())
    }

    /// One of them.
    pub async fn raw_report(
        &self,
        subscriber: i64,
        fingerprint: &str,
    ) -> Result<Option<RawReport>, StorageError> {
        let mut reader = self.read().await?;
        let row: Option<ReportRow> = optional!(
            reader,
            "select fingerprint, received_at, raw, is_cut from inbound_reports where fingerprint = $1 and subscriber_id = $2",
            fingerprint,
            subscriber
        )?;
        Ok(row.map(report))
    }

    /// Forgets reports that came before that time, at most 100 in one transaction; returns how many.
    pub async fn forget_raw_reports(&self, before: Timestamp) -> Result<u64, StorageError> {
        let mut tx = self.begin().await?;
        let old: Vec<(String,)> = all!(
            tx,
            "select fingerprint from inbound_reports where received_at < $1 order by received_at limit $2",
            before.timestamp_millis(),
            FORGOTTEN_AT_ONCE
        )?;
        let mut gone = 0;
        // One by one: given the list, PostgreSQL reads the whole table.
        for (fingerprint,) in old {
            gone += execute!(
                tx,
                "delete from inbound_reports where fingerprint = $1",
                fingerprint
            )?;
        }
        tx.commit().await?;
        Ok(gone)
    }
}

/// Keeps what came for a subscriber, unless there are enough of theirs: somebody else can send them.
pub(super) async fn keep(
    tx: &mut Tx,
    fingerprint: &str,
    subscriber: i64,
    raw: &[u8],
    now: Timestamp,
) -> Result<(), StorageError> {
    let (count,): (i64,) = one!(
        tx,
        "select count(*) from inbound_reports where subscriber_id = $1",
        subscriber
    )?;
    if count >= OF_ONE {
        return Ok(());
    }
    let kept = &raw[..raw.len().min(KEPT_MAX)];
    // PostgreSQL keeps no NUL in a text.
    let text = String::from_utf8_lossy(kept).replace('\0', "\u{fffd}");
    execute!(
        tx,
        "insert into inbound_reports (fingerprint, subscriber_id, received_at, raw, is_cut) values ($1, $2, $3, $4, $5)
         on conflict (fingerprint) do nothing",
        fingerprint,
        subscriber,
        now.timestamp_millis(),
        text,
        i64::from(raw.len() > KEPT_MAX)
    )?;
    Ok(())
}
