//! Mail that came back and matched nothing: kept for a while, and looked at again with another secret or return path.

use super::Storage;
use super::StorageError;
use super::Tx;
use crate::domain::Timestamp;
use crate::domain::inbound_channel::InboundChannel;

/// Rows that are kept: anybody can write a report.
const ROWS_MAX: i64 = 10_000;

/// A mail that matched nothing, as it is kept.
#[derive(Debug, Clone, Copy)]
pub struct Unmatched<'a> {
    /// The parsed mail, as JSON.
    pub reading: &'a str,
    /// The key of the one address that it is about, if it is about one.
    pub email_key: Option<&'a str>,
    /// Secrets and return path that it was looked at with.
    pub tried_with: &'a str,
}

/// One that may match now.
#[derive(Debug, Clone)]
pub struct Untried {
    /// The mail's fingerprint.
    pub fingerprint: String,
    /// The way that it came.
    pub channel: InboundChannel,
    /// The parsed mail, as JSON.
    pub reading: String,
}

impl Storage {
    /// Mails that were not looked at with these secrets and this return path yet, oldest first.
    pub async fn unmatched_untried(
        &self,
        tried_with: &str,
        max: i64,
    ) -> Result<Vec<Untried>, StorageError> {
        let mut reader = self.read().await?;
        // Two ranges: an index serves no "is not".
        let mut rows: Vec<(String, String, String)> = all!(
            reader,
            "select fingerprint, channel, report from inbound_unmatched where tried_with < $1 order by tried_with, received_at limit $2",
            tried_with,
            max
        )?;
        let rest: Vec<(String, String, String)> = all!(
            reader,
            "select fingerprint, channel, report from inbound_unmatched where tried_with > $1 order by tried_with, received_at limit $2",
            tried_with,
            max - rows.len() as i64
        )?;
        rows.extend(rest);
        let untried = |(fingerprint, channel, reading): (String, String, String)| {
            Ok(Untried {
                fingerprint,
                channel: channel.parse()?,
                reading,
            })
        };
        rows.into_iter().map(untried).collect()
    }

    /// Returns whether a mail is among those that matched nothing.
    pub async fn is_unmatched(&self, fingerprint: &str) -> Result<bool, StorageError> {
        let mut reader = self.read().await?;
        let row: Option<(String,)> = optional!(
            reader,
            "select channel from inbound_unmatched where fingerprint = $1",
            fingerprint
        )?;
        Ok(row.is_some())
    }

    /// Notes that a mail does not match with these either.
    pub async fn note_trial(
        &self,
        fingerprint: &str,
        tried_with: &str,
    ) -> Result<(), StorageError> {
        let mut tx = self.begin().await?;
        execute!(
            tx,
            "update inbound_unmatched set tried_with = $2 where fingerprint = $1",
            fingerprint,
            tried_with
        )?;
        Ok(tx.commit().await?)
    }

    /// The number of mails that match nothing.
    pub async fn count_unmatched(&self) -> Result<u64, StorageError> {
        let mut reader = self.read().await?;
        let (count,): (i64,) = one!(reader, "select count(*) from inbound_unmatched")?;
        Ok(count as u64)
    }

    /// Forgets those that came before a moment, and the oldest of too many, at most 500 in one transaction; returns how many.
    pub async fn forget_unmatched(&self, before: Timestamp) -> Result<u64, StorageError> {
        let mut tx = self.begin().await?;
        let newest_too_many: Option<(i64,)> = optional!(
            tx,
            "select received_at from inbound_unmatched order by received_at desc limit 1 offset $1",
            ROWS_MAX
        )?;
        let before = newest_too_many.map_or(before.timestamp_millis(), |(at,)| {
            before.timestamp_millis().max(at + 1)
        });
        let old: Vec<(String,)> = all!(
            tx,
            "select fingerprint from inbound_unmatched where received_at < $1 order by received_at limit 500",
            before
        )?;
        let mut gone = 0;
        for (fingerprint,) in old {
            gone += forget(&mut tx, &fingerprint).await?;
        }
        tx.commit().await?;
        Ok(gone)
    }
}

/// Takes a mail off those that matched nothing; returns how many rows that were.
pub(super) async fn forget(tx: &mut Tx, fingerprint: &str) -> Result<u64, StorageError> {
    Ok(execute!(
        tx,
        "delete from inbound_unmatched where fingerprint = $1",
        fingerprint
    )?)
}

/// Keeps a mail that matched nothing.
pub(super) async fn keep(
    tx: &mut Tx,
    fingerprint: &str,
    channel: InboundChannel,
    mail: &Unmatched<'_>,
    now: Timestamp,
) -> Result<(), StorageError> {
    execute!(
        tx,
        "insert into inbound_unmatched (fingerprint, received_at, channel, report, email_key, tried_with) values ($1, $2, $3, $4, $5, $6)
         on conflict (fingerprint) do nothing",
        fingerprint,
        now.timestamp_millis(),
        channel.as_str(),
        mail.reading,
        mail.email_key,
        mail.tried_with
    )?;
    Ok(())
}

/// Forgets what matched nothing and names an address that is erased.
pub(super) async fn erase(tx: &mut Tx, email_key: &str) -> Result<(), StorageError> {
    execute!(
        tx,
        "delete from inbound_unmatched where email_key = $1",
        email_key
    )?;
    Ok(())
}
