//! Quotas on mails that a stranger can cause, counted for all processes together.
//!
//! Locks are taken in one order, so that no two transactions wait for each other: the asker's quotas, the subscriber's row, the
//! mailbox's quotas; within each list by key.

use chrono::TimeDelta;

use super::Storage;
use super::StorageError;
use super::Tx;
use crate::domain::Timestamp;
use crate::domain::from_millis;
use crate::domain::quota::Quota;

/// The quotas that one request to mail somebody is held against.
#[derive(Debug, Clone, Default)]
pub struct MailQuotas {
    /// Counted for each request, whatever comes of it: the client's, the account's.
    pub asker: Vec<Quota>,
    /// Counted for each mail that is queued: the recipient's.
    pub recipient: Vec<Quota>,
    /// Counted for each mail that asks for an answer, until one comes.
    pub unanswered: Vec<Quota>,
}

/// Rows deleted in one transaction.
const STEP: i64 = 500;
/// Steps at once: more than come together in a minute.
const STEPS: usize = 20;

impl Storage {
    /// Takes one of each quota, or none of any; the inner error is how long to wait.
    pub async fn take_quotas(
        &self,
        quotas: &[Quota],
        now: Timestamp,
    ) -> Result<Result<(), TimeDelta>, StorageError> {
        repeated!(self.take_quotas_once(quotas, now))
    }

    async fn take_quotas_once(
        &self,
        quotas: &[Quota],
        now: Timestamp,
    ) -> Result<Result<(), TimeDelta>, StorageError> {
        let mut tx = self.begin().await?;
        let taken = take(&mut tx, quotas.iter().map(|quota| (quota, true)), now).await?;
        if taken.is_ok() {
            tx.commit().await?;
        }
        Ok(taken)
    }

    /// Gives quotas back whole: the person answered.
    pub async fn give_back_quotas(&self, quotas: &[Quota]) -> Result<(), StorageError> {
        let mut tx = self.begin().await?;
        for quota in quotas {
            execute!(tx, "delete from mail_quotas where key = $1", &quota.key)?;
        }
        Ok(tx.commit().await?)
    }

    /// Deletes quotas whose time is over, in short transactions.
    pub async fn forget_quotas(&self, now: Timestamp) -> Result<u64, StorageError> {
        let mut forgotten = 0;
        for _ in 0..STEPS {
            let mut tx = self.begin().await?;
            // Rows that a request holds at the moment are passed over: waiting for one while holding others could wait for ever.
            let sql = if tx.is_postgres() {
                "delete from mail_quotas where key in
                 (select key from mail_quotas where used_until < $1 order by used_until limit $2 for update skip locked)"
            } else {
                "delete from mail_quotas where key in (select key from mail_quotas where used_until < $1 order by used_until limit $2)"
            };
            let gone = execute!(tx, sql, now.timestamp_millis(), STEP)?;
            tx.commit().await?;
            forgotten += gone;
            if gone < STEP as u64 {
                break;
            }
        }
        Ok(forgotten)
    }
}

/// Takes one of each quota that counts, or none; the inner error is the longest wait. A quota that does not count is read and
/// written all the same: the time that this takes must not tell whether a mail goes out.
pub(super) async fn take<'a>(
    tx: &mut Tx,
    quotas: impl Iterator<Item = (&'a Quota, bool)>,
    now: Timestamp,
) -> Result<Result<(), TimeDelta>, StorageError> {
    let mut quotas: Vec<_> = quotas.collect();
    quotas.sort_unstable_by(|(one, _), (other, _)| one.key.cmp(&other.key));
    let (mut used, mut wait) = (Vec::with_capacity(quotas.len()), None);
    for (quota, counts) in quotas {
        // The conflicting update takes the row's lock on PostgreSQL.
        let (until,): (i64,) = one!(
            tx,
            "insert into mail_quotas (key, used_until) values ($1, $2)
             on conflict (key) do update set used_until = mail_quotas.used_until returning used_until",
            &quota.key,
            now.timestamp_millis()
        )?;
        let taken = if counts {
            quota.take(Some(from_millis(until)), now)
        } else {
            Ok(from_millis(until))
        };
        match taken {
            Ok(next) => used.push((&quota.key, until, next.timestamp_millis())),
            Err(longer) => wait = wait.max(Some(longer)),
        }
    }
    for (key, before, next) in used {
        let until = if wait.is_some() { before } else { next };
        execute!(
            tx,
            "update mail_quotas set used_until = $2 where key = $1",
            key,
            until
        )?;
    }
    Ok(wait.map_or(Ok(()), Err))
}
