//! Mails in a mailbox elsewhere that could not be handled: set aside, so that one does not hold up the others, and tried again later.

use super::Storage;
use super::StorageError;
use super::stored;
use crate::domain::Timestamp;
use crate::domain::from_millis;
use crate::domain::inbound::MailboxStep;

/// Rows of one mailbox that are read and kept; a mailbox with more has another fault.
pub const SET_ASIDE_MAX: i64 = 1_000;
/// Pause before the second try; each further one is four times as long, up to [`PAUSE_MAX_MS`].
const PAUSE_MS: i64 = 60_000;
const PAUSE_MAX_MS: i64 = 6 * 3_600_000;

/// The mail of a mailbox, and why it is set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetAside {
    /// The folder's UIDVALIDITY and the mail's UID.
    pub key: (u32, u32),
    /// The step that failed.
    pub step: MailboxStep,
    /// Reason, in words of ours.
    pub reason: String,
    /// Number of attempts.
    pub tries: u64,
    /// Time when it is tried again.
    pub next_at: Timestamp,
}

impl Storage {
    /// Sets a mail aside, or notes one more try; returns how many there were.
    pub async fn set_aside(
        &self,
        mailbox: &str,
        key: (u32, u32),
        step: MailboxStep,
        reason: &str,
        now: Timestamp,
    ) -> Result<u64, StorageError> {
        let mut tx = self.begin().await?;
        let (now, (validity, uid)) = (now.timestamp_millis(), (i64::from(key.0), i64::from(key.1)));
        let known: Option<(i64,)> = optional!(
            tx,
            "select tries from mailbox_retries where mailbox = $1 and validity = $2 and uid = $3",
            mailbox,
            validity,
            uid
        )?;
        let tries = known.map_or(0, |(tries,)| tries) + 1;
        let pause = PAUSE_MS
            .saturating_mul(1 << (2 * (tries - 1).min(10)))
            .min(PAUSE_MAX_MS);
        execute!(
            tx,
            "insert into mailbox_retries (mailbox, validity, uid, step, reason, tries, first_at, next_at) values ($1, $2, $3, $4, $5, 1, $6, $7)
             on conflict (mailbox, validity, uid) do update set step = $4, reason = $5, tries = $8, next_at = $7",
            mailbox,
            validity,
            uid,
            step.as_str(),
            reason,
            now,
            now + pause,
            tries
        )?;
        tx.commit().await?;
        Ok(tries as u64)
    }

    /// Returns what is set aside of a mailbox; the longest-waiting first.
    pub async fn mails_set_aside(&self, mailbox: &str) -> Result<Vec<SetAside>, StorageError> {
        let mut reader = self.read().await?;
        let rows: Vec<(i64, i64, String, String, i64, i64)> = all!(
            reader,
            "select validity, uid, step, reason, tries, next_at from mailbox_retries where mailbox = $1 order by validity, uid limit $2",
            mailbox,
            SET_ASIDE_MAX
        )?;
        let read = |(validity, uid, step, reason, tries, next_at): (
            i64,
            i64,
            String,
            String,
            i64,
            i64,
        )| {
            Ok(SetAside {
                key: (validity as u32, uid as u32),
                step: stored(step.parse())?,
                reason,
                tries: tries as u64,
                next_at: from_millis(next_at),
            })
        };
        rows.into_iter().map(read).collect()
    }

    /// The number of mails that are set aside in all mailboxes.
    pub async fn count_set_aside(&self) -> Result<u64, StorageError> {
        let mut reader = self.read().await?;
        let (count,): (i64,) = one!(reader, "select count(*) from mailbox_retries")?;
        Ok(count as u64)
    }

    /// Takes a mail back that was handled at last, or is gone.
    pub async fn take_back(&self, mailbox: &str, key: (u32, u32)) -> Result<(), StorageError> {
        let mut tx = self.begin().await?;
        execute!(
            tx,
            "delete from mailbox_retries where mailbox = $1 and validity = $2 and uid = $3",
            mailbox,
            i64::from(key.0),
            i64::from(key.1)
        )?;
        Ok(tx.commit().await?)
    }
}
