//! The brake: hard refusals of one send that are alike are judged together, and held where they are too many to be right.
//!
//! A [lot](crate::storage::refusal_groups) is open while refusals of its kind may still come: until the send is over where they came in the dialogue, or for
//! `bounces.brake_wait` where they came as reports. Then it is held, or its subscriptions end. Each step is a short transaction, and
//! what is left of a lot stands in its rows: a process that is killed leaves nothing half done, and any other goes on.

use super::Storage;
use super::StorageError;
use super::Tx;
use super::audit_log::ChangeAuthor;
use super::history::history_of_digest;
use super::refusals::LotKey;
use super::refusals::end;
use crate::domain::Timestamp;
use crate::domain::actor::Actor;
use crate::domain::brake::Brake;
use crate::domain::brake::RefusalGroupState;
use crate::domain::brake::RefusalOutcome;
use crate::domain::delivery::DeliveryKey;
use crate::domain::from_millis;
use crate::domain::history::HistoryEvent;
use crate::domain::history::ReleaseReason;
use crate::domain::slot::Slot;
use crate::storage::refusal_groups::Stopped;
use crate::storage::refusal_groups::has_untried;
use crate::storage::refusal_groups::hold_domains;
use crate::storage::refusal_groups::hold_relays;
use crate::storage::refusal_groups::send_is_over;

/// Readers whose subscriptions one transaction ends, and lots that it looks into: a sign-up waits for no more than that.
const BATCH: i64 = 100;

/// Counts of one step of [`Storage::end_judged`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Worked {
    /// Subscriptions that ended.
    pub ended: u64,
    /// Refusals that were dismissed.
    pub dismissed: u64,
    /// True if there is more to do.
    pub is_more: bool,
}

/// One text but for the lock: on PostgreSQL two processes work on different lots.
macro_rules! decided_lots {
    ($lock:literal) => {
        concat!(
            "select mailing_id, pattern, domain, relay, state from refusal_groups where state in ('ending', 'dropping')
             order by state, mailing_id limit $1",
            $lock
        )
    };
}

impl Storage {
    /// Returns whether lots are due, or decided and not carried out.
    pub async fn has_refusals_to_judge(&self, now: Timestamp) -> Result<bool, StorageError> {
        let mut reader = self.read().await?;
        let found: Option<(i64,)> = optional!(
            reader,
            "select cast(1 as bigint) where (select min(due_at) from refusal_groups where due_at is not null) <= $1
             or exists (select 1 from refusal_groups where state in ('ending', 'dropping'))",
            now.timestamp_millis()
        )?;
        Ok(found.is_some())
    }

    /// Makes a digest's lots due once each of its mails was tried: what is left of it waits for a retry, and its share is known. Done
    /// by who sends it from first to last; others wait for the end of the send, or for `bounces.brake_wait`.
    pub async fn judge_if_all_tried(
        &self,
        digest: i64,
        now: Timestamp,
    ) -> Result<(), StorageError> {
        let mut tx = self.begin().await?;
        if !has_untried(&mut tx, digest).await? {
            send_is_over(&mut tx, digest, now).await?;
        }
        Ok(tx.commit().await?)
    }

    /// Judges one group of lots that is due: those of one send with like words. Answers what is held from now on; `None`: nothing is due.
    pub async fn judge(
        &self,
        brake: Brake,
        now: Timestamp,
    ) -> Result<Option<Vec<Stopped>>, StorageError> {
        repeated!(self.judge_once(brake, now))
    }

    async fn judge_once(
        &self,
        brake: Brake,
        now: Timestamp,
    ) -> Result<Option<Vec<Stopped>>, StorageError> {
        let mut tx = self.begin().await?;
        let due: Option<(i64, String)> = optional!(
            tx,
            "select mailing_id, pattern from refusal_groups where due_at <= $1 order by due_at limit 1",
            now.timestamp_millis()
        )?;
        let Some((send, words)) = due else {
            return Ok(None);
        };
        let mut stopped = hold_domains(&mut tx, send, &words, brake, now).await?;
        stopped.extend(hold_relays(&mut tx, send, &words, brake, now).await?);
        // Few so far, of a digest whose mails are not all tried: there may be more.
        let wait = has_untried(&mut tx, send)
            .await?
            .then(|| now + brake.wait.max(chrono::TimeDelta::seconds(1)));
        execute!(
            tx,
            "update refusal_groups set due_at = cast($4 as bigint), held_by = case when cast($4 as bigint) is null then null else held_by end,
               state = case when cast($4 as bigint) is null and state in ('open', 'held') then 'ending' else state end
             where mailing_id = $1 and pattern = $2 and due_at <= $3",
            send,
            &words,
            now.timestamp_millis(),
            wait.map(|at| at.timestamp_millis())
        )?;
        tx.commit().await?;
        Ok(Some(stopped))
    }

    /// Ends the subscriptions of lots that were judged or accepted, or drops the refusals of those that were dismissed, a batch at a time.
    pub async fn end_judged(&self, now: Timestamp) -> Result<Worked, StorageError> {
        repeated!(self.end_judged_once(now))
    }

    async fn end_judged_once(&self, now: Timestamp) -> Result<Worked, StorageError> {
        let mut tx = self.begin().await?;
        let sql = if tx.is_postgres() {
            decided_lots!(" for update skip locked")
        } else {
            decided_lots!("")
        };
        let lots: Vec<(i64, String, String, String, String)> = all!(tx, sql, BATCH)?;
        let system = Actor::system();
        let author = self.author(&system);
        let (mut worked, mut room) = (
            Worked {
                is_more: !lots.is_empty(),
                ..Worked::default()
            },
            BATCH,
        );
        for (send, words, domain, relay, state) in lots {
            let lot = LotKey {
                send,
                words,
                domain,
                relay,
            };
            let members = waiting(&mut tx, &lot, 0, room).await?;
            let is_done = (members.len() as i64) < room;
            room -= members.len() as i64;
            for member in members {
                if state == RefusalGroupState::Ending.as_str() {
                    worked.ended += u64::from(member.end(&mut tx, send, author, now).await?);
                } else {
                    member
                        .close(
                            &mut tx,
                            send,
                            RefusalOutcome::Dismissed,
                            ReleaseReason::Dismissed,
                            now,
                        )
                        .await?;
                    worked.dismissed += 1;
                }
            }
            if !is_done {
                break;
            }
            execute!(
                tx,
                "update refusal_groups set state = 'done' where mailing_id = $1 and pattern = $2 and domain = $3 and relay = $4",
                send,
                &lot.words,
                &lot.domain,
                &lot.relay
            )?;
        }
        tx.commit().await?;
        Ok(worked)
    }

    /// Lets go of held refusals whose readers a later digest has reached, a batch of one lot at a time; `None`: there is nothing left to
    /// look at. A digest counts once it is sent, and `wait` after that where refusals come as reports. Answers how many readers were let go.
    pub async fn release_reached(
        &self,
        wait: chrono::TimeDelta,
        now: Timestamp,
    ) -> Result<Option<u64>, StorageError> {
        let mut reader = self.read().await?;
        let found: Option<(i64, String, String, String, i64, i64)> = optional!(
            reader,
            "select h.mailing_id, h.pattern, h.domain, h.relay, h.checked_after, h.later from
               (select b.mailing_id, b.pattern, b.domain, b.relay, b.checked_id, b.checked_after,
                  (select max(d.id) from digests d where d.state = 'sent' and d.published_at > b.opened_at
                     and d.finished_at <= case when b.report_count = 0 then cast($1 as bigint) else cast($2 as bigint) end) as later
                from refusal_groups b where b.state = 'held') h
             where h.later > h.checked_id limit 1",
            now.timestamp_millis(),
            (now - wait).timestamp_millis()
        )?;
        drop(reader);
        let Some((send, words, domain, relay, after, later)) = found else {
            return Ok(None);
        };
        let lot = LotKey {
            send,
            words,
            domain,
            relay,
        };
        let mut tx = self.begin().await?;
        let members = waiting(&mut tx, &lot, after, BATCH).await?;
        let last = members
            .last()
            .map(|member| member.subscriber)
            .filter(|_| members.len() as i64 == BATCH);
        let mut released = 0;
        for member in members {
            let key = DeliveryKey {
                mailing: later,
                subscriber: member.subscriber,
            };
            let why = match later_of(&mut tx, key).await? {
                Later::Arrived => ReleaseReason::Arrived,
                Later::Left => ReleaseReason::Left,
                Later::Unknown => continue,
            };
            member
                .close(&mut tx, send, RefusalOutcome::Released, why, now)
                .await?;
            released += 1;
        }
        let is_empty = waiting(&mut tx, &lot, 0, 1).await?.is_empty();
        execute!(
            tx,
            "update refusal_groups set checked_id = case when $5 = 0 then $6 else checked_id end, checked_after = $5,
               state = case when $7 = 1 then 'done' else state end
             where mailing_id = $1 and pattern = $2 and domain = $3 and relay = $4 and state = 'held'",
            send,
            &lot.words,
            &lot.domain,
            &lot.relay,
            last.unwrap_or(0),
            later,
            i64::from(is_empty)
        )?;
        tx.commit().await?;
        Ok(Some(released))
    }
}

/// A reader whose refusal waits to be judged or decided.
#[derive(sqlx::FromRow)]
struct Member {
    subscriber: i64,
    at: i64,
    reply: String,
    address_hash: String,
    key_name: String,
}

impl Member {
    async fn end(
        &self,
        tx: &mut Tx,
        send: i64,
        author: ChangeAuthor<'_>,
        now: Timestamp,
    ) -> Result<bool, StorageError> {
        let key = DeliveryKey {
            mailing: send,
            subscriber: self.subscriber,
        };
        end(
            tx,
            key,
            &self.reply,
            (&self.address_hash, &self.key_name),
            Some(from_millis(self.at)),
            author,
            now,
        )
        .await
    }

    async fn close(
        &self,
        tx: &mut Tx,
        send: i64,
        outcome: RefusalOutcome,
        why: ReleaseReason,
        now: Timestamp,
    ) -> Result<(), StorageError> {
        execute!(
            tx,
            "update refusals set outcome = $3 where subscriber_id = $1 and mailing_id = $2 and outcome = 'waiting'",
            self.subscriber,
            send,
            outcome.as_str()
        )?;
        let event = HistoryEvent::RefusalReleased { why };
        history_of_digest(tx, self.subscriber, Slot::from_id(send), now, &event).await
    }
}

/// The next `count` readers of a lot after the one numbered `after`.
async fn waiting(
    tx: &mut Tx,
    lot: &LotKey,
    after: i64,
    count: i64,
) -> Result<Vec<Member>, StorageError> {
    Ok(all!(
        tx,
        "select subscriber_id as subscriber, at, reply, address_hash, key_name from refusals
         where mailing_id = $1 and pattern = $2 and domain = $3 and relay = $4 and outcome = 'waiting' and subscriber_id > $5
         order by subscriber_id limit $6",
        lot.send,
        &lot.words,
        &lot.domain,
        &lot.relay,
        after,
        count
    )?)
}

/// Evidence of a later digest about a reader.
enum Later {
    /// It was accepted, and has not come back.
    Arrived,
    /// They get no more of them.
    Left,
    /// They were not sent it, or it was refused as well.
    Unknown,
}

async fn later_of(tx: &mut Tx, key: DeliveryKey) -> Result<Later, StorageError> {
    let (arrived, left): (i64, i64) = one!(
        tx,
        "select (select count(*) from deliveries l where l.mailing_id = $1 and l.subscriber_id = $2 and l.state = 'sent'
             and not exists (select 1 from refusals r where r.subscriber_id = $2 and r.mailing_id = $1)),
           (select count(*) from subscribers s where s.id = $2 and s.state in ('unsubscribed', 'bounced', 'complained'))",
        key.mailing,
        key.subscriber
    )?;
    Ok(if left > 0 {
        Later::Left
    } else if arrived > 0 {
        Later::Arrived
    } else {
        Later::Unknown
    })
}
