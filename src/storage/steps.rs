//! Steps of deliveries: results and beginnings, in one commit for all connections.
//!
//! What happens a thousand times a second, a mail begun and a mail sent, is one statement for all connections each; the
//! rest, a row at a time.

use std::collections::HashSet;

use sqlx::QueryBuilder;

use super::Storage;
use super::StorageError;
use super::Tx;
use crate::domain::Timestamp;
use crate::domain::delivery::DeliveryKey;
use crate::domain::delivery::DeliveryState;

/// A finished attempt.
#[derive(Debug, Clone)]
pub struct Done {
    /// Which.
    pub key: DeliveryKey,
    /// What becomes of it.
    pub step: Step,
    /// The server's words.
    pub reply: String,
}

/// What becomes of a delivery after an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Delivered.
    Sent,
    /// Once more, at that moment.
    Again(Timestamp),
    /// Final.
    Failed,
    /// Final, and the address is bad: the subscriber is `bounced`, its keyed hash goes on the suppression list.
    Bounced {
        /// The keyed hash of the address.
        hash: String,
        /// With which secret.
        key_name: String,
    },
    /// Taken or not, nobody knows: sent again at that moment, or held for a person.
    Doubted(Option<Timestamp>),
}

impl Step {
    /// For logs.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Again(_) => "again later",
            Self::Failed => "failed",
            Self::Bounced { .. } => "bounced",
            Self::Doubted(Some(_)) => "in doubt, again later",
            Self::Doubted(None) => "in doubt, held",
        }
    }
}

impl Storage {
    /// One group commit for all connections: writes the results in `done`, and marks as `sending` those of `next` that may
    /// still go out (still ours, the digest not paused, the subscriber not gone). Answers, for each of `next`, whether it may;
    /// one that may not is given back. `None`: this sender was given up for dead; others have its work, and nothing was written.
    ///
    /// The same step with the same `now` may be repeated when it is not known whether it was committed.
    pub async fn step(&self, sender: i64, done: &[Done], next: &[DeliveryKey], now: Timestamp) -> Result<Option<Vec<bool>>, StorageError> {
        let mut tx = self.begin().await?;
        if !super::senders::is_entered(&mut tx, sender).await? {
            return Ok(None);
        }
        let (sent, other): (Vec<&Done>, Vec<&Done>) = done.iter().partition(|done| done.step == Step::Sent);
        if !sent.is_empty() {
            finish_sent(&mut tx, sender, &sent, now).await?;
        }
        for done in other {
            finish(&mut tx, sender, done, now).await?;
        }
        let begun = if next.is_empty() { HashSet::new() } else { begin(&mut tx, sender, next, now).await? };
        for key in next.iter().filter(|key| !begun.contains(key)) {
            give_back(&mut tx, sender, key).await?;
        }
        tx.commit().await?;
        Ok(Some(next.iter().map(|key| begun.contains(key)).collect()))
    }
}

/// Writes down what was delivered. The `where` is the fence: a sender that was given up for dead changes nothing.
async fn finish_sent(tx: &mut Tx, sender: i64, sent: &[&Done], now: Timestamp) -> Result<(), StorageError> {
    on!(tx, c => {
        let mut query = QueryBuilder::new("with done (mailing, subscriber, reply) as (");
        query.push_values(sent, |mut row, done| {
            row.push_bind(done.key.mailing).push_bind(done.key.subscriber).push_bind(done.reply.as_str());
        });
        query.push(") update deliveries set state = 'sent', reply = done.reply, sender_id = null, finished_at = ");
        query.push_bind(now.timestamp_millis());
        query.push(" from done where mailing_id = done.mailing and subscriber_id = done.subscriber and state = 'sending' and sender_id = ");
        query.push_bind(sender);
        query.build().execute(&mut *c).await.map(|_| ())
    })?;
    Ok(())
}

/// Writes down any other result, behind the same fence.
async fn finish(tx: &mut Tx, sender: i64, done: &Done, now: Timestamp) -> Result<(), StorageError> {
    let millis = now.timestamp_millis();
    let (state, due_at, finished_at, uncertain_at) = match &done.step {
        Step::Sent => (DeliveryState::Sent, None, Some(millis), None),
        Step::Again(at) => (DeliveryState::Queued, Some(at.timestamp_millis()), None, None),
        Step::Failed | Step::Bounced { .. } => (DeliveryState::Failed, None, Some(millis), None),
        Step::Doubted(Some(at)) => (DeliveryState::Uncertain, Some(at.timestamp_millis()), None, Some(millis)),
        Step::Doubted(None) => (DeliveryState::Uncertain, None, Some(millis), Some(millis)),
    };
    let written = execute!(
        tx,
        "update deliveries set state = $4, due_at = coalesce($5, due_at), finished_at = $6, uncertain_at = coalesce($7, uncertain_at),
           reply = $8, sender_id = null
         where mailing_id = $1 and subscriber_id = $2 and sender_id = $3 and state = 'sending'",
        done.key.mailing,
        done.key.subscriber,
        sender,
        state.as_str(),
        due_at,
        finished_at,
        uncertain_at,
        done.reply.as_str()
    )?;
    if let (1, Step::Bounced { hash, key_name }) = (written, &done.step) {
        let bounced = execute!(
            tx,
            "update subscribers set state = 'bounced', state_at = $2, requested_at = null
             where id = $1 and state in ('pending', 'active', 'unsubscribed')",
            done.key.subscriber,
            millis
        )?;
        if bounced > 0 {
            super::subscribers::history(tx, done.key.subscriber, now, &format!("bounced: {}", done.reply)).await?;
            super::people::suppress(tx, hash, key_name, "bounced", now).await?;
        }
    }
    Ok(())
}

/// Marks as `sending` what may go out; answers which.
async fn begin(tx: &mut Tx, sender: i64, next: &[DeliveryKey], now: Timestamp) -> Result<HashSet<DeliveryKey>, StorageError> {
    let begun: Vec<(i64, i64)> = on!(tx, c => {
        let mut query = QueryBuilder::new("with next (mailing, subscriber) as (");
        query.push_values(next, |mut row, key| {
            row.push_bind(key.mailing).push_bind(key.subscriber);
        });
        query.push(") update deliveries set state = 'sending', attempts = attempts + 1, started_at = ");
        query.push_bind(now.timestamp_millis()).push(", first_at = coalesce(first_at, ").push_bind(now.timestamp_millis()).push(")");
        // A join rather than a list: SQLite then looks each row up by its key, not through all that this sender holds.
        query.push(" from next where mailing_id = next.mailing and subscriber_id = next.subscriber and sender_id = ");
        query.push_bind(sender).push(" and (state = 'queued' or (state = 'sending' and started_at = ").push_bind(now.timestamp_millis()).push("))");
        query.push(
            " and ((kind = 'confirmation'
                   and exists (select 1 from subscribers s where s.id = deliveries.subscriber_id and s.requested_at is not null))
                or (kind = 'digest'
                   and exists (select 1 from subscribers s where s.id = deliveries.subscriber_id and s.state = 'active')
                   and exists (select 1 from digests d where d.id = deliveries.mailing_id and d.state = 'sending')))
              returning mailing_id, subscriber_id",
        );
        query.build_query_as().fetch_all(&mut *c).await
    })?;
    Ok(begun.into_iter().map(|(mailing, subscriber)| DeliveryKey { mailing, subscriber }).collect())
}

async fn give_back(tx: &mut Tx, sender: i64, key: &DeliveryKey) -> Result<(), StorageError> {
    execute!(
        tx,
        "update deliveries set sender_id = null where mailing_id = $1 and subscriber_id = $2 and sender_id = $3 and state = 'queued'",
        key.mailing,
        key.subscriber,
        sender
    )?;
    Ok(())
}
