//! Facts about mail that waits: what is due, when anything last went out, and what the processes say that send.

use chrono::TimeDelta;

use super::Storage;
use super::StorageError;
use super::clock::clock;
use crate::domain::Timestamp;
use crate::domain::delivery::MailClass;
use crate::domain::from_millis;
use crate::domain::progress::MinuteStats;
use crate::domain::slot::Slot;
use crate::domain::waiting::DueMail;
use crate::domain::waiting::Wait;

/// A process that was silent for this long does not send any more: it says that it does every few seconds.
pub const GONE_AFTER: TimeDelta = TimeDelta::seconds(45);
/// Rows of processes that are gone are kept for this long.
const KEPT: TimeDelta = TimeDelta::hours(1);

/// A process that sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deliverer {
    /// Its name.
    pub process: String,
    /// Reasons why its mail waits.
    pub waits: Vec<Wait>,
    /// State of each relay there (JSON).
    pub relays: String,
    /// Time by which its clock is ahead of the database's, where that was measured.
    pub ahead: Option<TimeDelta>,
}

impl Storage {
    /// Writes down that a process sends, and what it says of itself.
    pub async fn note_deliverer(
        &self,
        deliverer: &Deliverer,
        now: Timestamp,
    ) -> Result<(), StorageError> {
        let waits = serde_json::to_string(&deliverer.waits)
            .map_err(|error| StorageError::Stored(error.to_string()))?;
        let mut tx = self.begin().await?;
        let seen_at = clock(&mut tx, now).await?;
        execute!(
            tx,
            "insert into delivery_processes (process, seen_at, waits, clock_skew_ms, relays) values ($1, $2, $3, $4, $5)
             on conflict (process) do update set seen_at = excluded.seen_at, waits = excluded.waits, clock_skew_ms = excluded.clock_skew_ms,
               relays = excluded.relays",
            &deliverer.process,
            seen_at.timestamp_millis(),
            waits,
            deliverer.ahead.map(|ahead| ahead.num_milliseconds()),
            &deliverer.relays
        )?;
        execute!(
            tx,
            "delete from delivery_processes where seen_at < $1",
            (seen_at - KEPT).timestamp_millis()
        )?;
        Ok(tx.commit().await?)
    }

    /// Takes out a process that sends no more.
    pub async fn forget_deliverer(&self, process: &str) -> Result<(), StorageError> {
        let mut tx = self.begin().await?;
        execute!(
            tx,
            "delete from delivery_processes where process = $1",
            process
        )?;
        Ok(tx.commit().await?)
    }

    /// The processes that send and are alive.
    pub async fn deliverers(&self, now: Timestamp) -> Result<Vec<Deliverer>, StorageError> {
        let mut reader = self.read().await?;
        let since = clock(&mut reader, now).await? - GONE_AFTER;
        let rows: Vec<(String, String, Option<i64>, String)> = all!(
            reader,
            "select process, waits, clock_skew_ms, relays from delivery_processes where seen_at >= $1 order by process",
            since.timestamp_millis()
        )?;
        let read = |(process, waits, ahead, relays): (String, String, Option<i64>, String)| {
            let waits = serde_json::from_str(&waits)?;
            Ok(Deliverer {
                process,
                waits,
                relays,
                ahead: ahead.map(TimeDelta::milliseconds),
            })
        };
        rows.into_iter().map(read).collect()
    }

    /// Mail that is due, by class: since when, and when mail of that class last came to an end. What a sender has in its hands counts
    /// too. Each paused digest stands by itself, whatever else goes out.
    pub async fn due_mail(&self, now: Timestamp) -> Result<Vec<DueMail>, StorageError> {
        let mut reader = self.read().await?;
        let (transactional, digest): (Option<i64>, Option<i64>) = one!(
            reader,
            "select
               (select min(due_at) from delivery_batches where class = 'transactional' and due_at <= $1),
               (select min(due_at) from (
                  select (select min(c.due_at) from delivery_batches c where c.mailing_id = g.id and c.sender_id is null) as due_at
                  from digests g where g.state = 'sending'
                  union all
                  select c.due_at from senders s join delivery_batches c on c.sender_id = s.id join digests g on g.id = c.mailing_id
                  where c.class = 'digest' and g.state = 'sending'
                ) due where due_at <= $1)",
            now.timestamp_millis()
        )?;
        let paused: Vec<(i64, Option<i64>, Option<i64>)> = all!(
            reader,
            "select g.id, (select min(c.due_at) from delivery_batches c where c.mailing_id = g.id and c.sender_id is null) as due_at,
               (select max(m.minute) from digest_send_stats m where m.mailing_id = g.id) as minute
             from digests g where g.state = 'paused' order by g.id"
        )?;
        drop(reader);
        let mut found = Vec::new();
        for (digest, due_at, minute) in paused {
            let Some(since) = due_at.map(from_millis).filter(|due| *due <= now) else {
                continue;
            };
            // Its own mail came to an end no later than any, nor than the end of its last minute.
            let any = self.progress_at(MailClass::Digest).await?;
            let progress_at = any
                .zip(minute)
                .map(|(any, minute)| any.min(MinuteStats::numbered(minute + 1).at));
            found.push(DueMail {
                class: MailClass::Digest,
                since,
                progress_at,
                paused: Slot::from_id(digest),
            });
        }
        for (class, since) in [
            (MailClass::Transactional, transactional),
            (MailClass::Digest, digest),
        ] {
            if let Some(since) = since.map(from_millis) {
                found.push(DueMail {
                    class,
                    since,
                    progress_at: self.progress_at(class).await?,
                    paused: None,
                });
            }
        }
        Ok(found)
    }

    /// Returns when mail of a class last came to an end, by any process: taken, or refused for good.
    pub async fn progress_at(&self, class: MailClass) -> Result<Option<Timestamp>, StorageError> {
        let mut reader = self.read().await?;
        let (at,): (Option<i64>,) = one!(
            reader,
            "select max(last_at) from attempt_totals where kind = $1 and outcome in ('sent', 'failed', 'bounced')",
            class.as_str()
        )?;
        Ok(at.map(from_millis))
    }

    /// Returns since when a digest is being published of which no delivery is due yet.
    pub async fn publishing_since(&self) -> Result<Option<Timestamp>, StorageError> {
        let mut reader = self.read().await?;
        let (since,): (Option<i64>,) = one!(
            reader,
            "select min(g.published_at) from publish_progress p join digests g on g.id = p.mailing_id where g.state = 'sending'"
        )?;
        Ok(since.map(from_millis))
    }
}
