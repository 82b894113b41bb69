//! Retrying what was given up: deliveries that were put off until `mail.retry.max_age` was over go back to the queue. Those that were
//! refused for good stay as they are.

use super::Storage;
use super::StorageError;
use super::Tx;
use super::audit_log::ChangeSubject;
use crate::domain::Timestamp;
use crate::domain::actor::Actor;
use crate::domain::audit::AuditAction;
use crate::domain::delivery::BatchKey;
use crate::domain::slot::Slot;
use crate::storage::ledger::counts::count_range;
use crate::storage::ledger::counts::keep;
use crate::storage::ledger::counts::note_chunk;
use crate::storage::notifications::notify;

/// Deliveries that one transaction looks at.
const RANGE: i64 = 20_000;

/// Result of looking at a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetriedRange {
    /// Last subscriber that was looked at.
    pub last: i64,
    /// Deliveries that were queued.
    pub queued: u64,
}

/// The deliveries `d` of the range that were given up. The words are those of `domain::next_state::GIVEN_UP`.
macro_rules! given_up {
    () => {
        "mailing_id = $1 and subscriber_id > $2 and subscriber_id <= $3 and state = 'failed' and reply like 'given up after %'"
    };
}

impl Storage {
    /// Counts the deliveries of a digest that were given up, from the reasons that are kept: those of rare replies may be missing.
    pub async fn given_up(&self, slot: Slot) -> Result<u64, StorageError> {
        let mut reader = self.read().await?;
        let (count,): (Option<i64>,) = one!(
            reader,
            "select cast(sum(times) as bigint) from failure_reasons where mailing_id = $1 and reply like 'given up after %'",
            slot.id()
        )?;
        Ok(count.unwrap_or(0) as u64)
    }

    /// Queues what was given up among the next deliveries of a digest that is sent, or that this brought back to sending. `None`: there
    /// are no further deliveries, or the digest is neither.
    pub async fn retry_range(
        &self,
        actor: &Actor,
        slot: Slot,
        after: i64,
        now: Timestamp,
    ) -> Result<Option<RetriedRange>, StorageError> {
        repeated!(self.retry_range_once(actor, slot, after, now))
    }

    async fn retry_range_once(
        &self,
        actor: &Actor,
        slot: Slot,
        after: i64,
        now: Timestamp,
    ) -> Result<Option<RetriedRange>, StorageError> {
        let id = slot.id();
        let mut tx = self.begin().await?;
        // Takes the digest's row: it can be neither finished nor cancelled meanwhile.
        let is_open = execute!(
            tx,
            "update digests set state = state where id = $1 and state in ('sent', 'sending')
               and not exists (select 1 from publish_progress where mailing_id = $1)",
            id
        )? > 0;
        let (first, last): (Option<i64>, Option<i64>) = one!(
            tx,
            "select min(subscriber_id), max(subscriber_id) from (select subscriber_id from deliveries where mailing_id = $1 and subscriber_id > $2
               order by subscriber_id limit $3) following",
            id,
            after,
            RANGE
        )?;
        let (true, Some(first), Some(last)) = (is_open, first, last) else {
            return Ok(None);
        };
        let queued = queue(&mut tx, id, (after, first, last), now).await?;
        if queued > 0 {
            execute!(
                tx,
                "update digests set state = 'sending', finished_at = null where id = $1",
                id
            )?;
            let detail = serde_json::json!({ "deliveries": queued });
            let subject = Some(ChangeSubject::Digest(slot));
            self.author(actor)
                .note(&mut tx, AuditAction::DigestRetried, subject, &detail, now)
                .await?;
            notify(&mut tx).await?;
            tx.commit().await?;
        }
        Ok(Some(RetriedRange { last, queued }))
    }
}

/// Queues what was given up in a range, as one batch; none of it where a batch lies in the range already.
async fn queue(
    tx: &mut Tx,
    id: i64,
    (after, first, last): (i64, i64, i64),
    now: Timestamp,
) -> Result<u64, StorageError> {
    let other: Option<(i64,)> = optional!(
        tx,
        "select last_id from delivery_batches where mailing_id = $1 and last_id >= $2 and first_id <= $3 limit 1",
        id,
        first,
        last
    )?;
    if other.is_some() {
        return Ok(0);
    }
    let replies: Vec<(String, i64)> = all!(
        tx,
        concat!(
            "select substr(reply, 1, 300) as start, count(*) from deliveries where ",
            given_up!(),
            " group by substr(reply, 1, 300) order by start"
        ),
        id,
        after,
        last
    )?;
    if replies.is_empty() {
        return Ok(0);
    }
    forget_reasons(tx, id, &replies).await?;
    let before = count_range(tx, id, first, last).await?;
    // The waits begin anew; the attempts stay what they were.
    let queued = execute!(
        tx,
        concat!(
            "update deliveries set state = 'queued', finished_at = null, due_at = $4, waited_ms = null where ",
            given_up!()
        ),
        id,
        after,
        last,
        now.timestamp_millis()
    )?;
    execute!(
        tx,
        "insert into delivery_batches (mailing_id, first_id, last_id, class, due_at, is_split, last_due_at)
         values ($1, $2, $3, 'digest', $4, 0, $4)",
        id,
        first,
        last,
        now.timestamp_millis()
    )?;
    let after = count_range(tx, id, first, last).await?;
    note_chunk(tx, BatchKey { mailing: id, last }, &after).await?;
    keep(tx, id, &before.negated()).await?;
    Ok(queued)
}

/// Takes the replies of deliveries that are queued again out of the reasons why deliveries failed.
async fn forget_reasons(
    tx: &mut Tx,
    id: i64,
    replies: &[(String, i64)],
) -> Result<(), StorageError> {
    for (reply, times) in replies {
        execute!(
            tx,
            "update failure_reasons set times = times - $3 where mailing_id = $1 and reply = case
               when exists (select 1 from failure_reasons r where r.mailing_id = $1 and r.reply = $2) then $2 else 'other answers' end",
            id,
            reply.as_str(),
            times
        )?;
    }
    execute!(
        tx,
        "delete from failure_reasons where mailing_id = $1 and times <= 0",
        id
    )?;
    Ok(())
}
