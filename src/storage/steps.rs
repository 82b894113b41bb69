//! Steps of deliveries: results and beginnings, in one commit for all connections.
//!
//! What happens a thousand times a second, a mail begun and a mail sent, is one trip to the database for all connections;
//! the rest, a row at a time. The two databases differ in the open here, for each has another way to do it in one trip:
//! SQLite a text of several statements, PostgreSQL one statement of several parts. What the parts say stands once.

use std::collections::HashSet;
use std::fmt::Write as _;

use super::Pools;
use super::Storage;
use super::StorageError;
use super::Tx;
use super::writer::Writer;
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

/// An attempt that is about to begin.
#[derive(Debug, Clone)]
pub struct Next<'a> {
    /// Which.
    pub key: DeliveryKey,
    /// By which relay.
    pub relay: &'a str,
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
    /// still go out (nobody else's, the digest not paused, the subscriber not gone). Answers, for each of `next`, whether it may;
    /// one that may not is left as it was, and whoever claims its chunk next finds out why. `None`: this sender was given up for dead; others have its work, and nothing was written.
    ///
    /// The same step with the same `now` may be repeated when it is not known whether it was committed.
    pub async fn step(&self, sender: i64, done: &[Done], next: &[Next<'_>], now: Timestamp) -> Result<Option<Vec<bool>>, StorageError> {
        let (sent, other): (Vec<&Done>, Vec<&Done>) = done.iter().partition(|done| done.step == Step::Sent);
        if !other.is_empty() && !self.finish_others(sender, &other, now).await? {
            return Ok(None);
        }
        let trip = Trip { sender, sent: &sent, next, now: now.timestamp_millis() };
        let rows = match &self.pools {
            Pools::Sqlite { writer, .. } => trip.on_sqlite(writer).await?,
            Pools::Postgres(pool) => trip.on_postgres(&mut *pool.acquire().await?, true).await?,
            Pools::Pooled(pooled) => {
                let mut tx = pooled.begin().await?;
                let rows = trip.on_postgres(&mut tx, false).await?;
                tx.commit().await?;
                rows
            }
        };
        // The first row says that the sender is still entered.
        if !rows.contains(&(sender, sender)) {
            return Ok(None);
        }
        let begun: HashSet<DeliveryKey> = rows.into_iter().map(|(mailing, subscriber)| DeliveryKey { mailing, subscriber }).collect();
        Ok(Some(next.iter().map(|next| begun.contains(&next.key)).collect()))
    }

    /// Results other than `sent`. `false` if the sender was given up for dead.
    async fn finish_others(&self, sender: i64, done: &[&Done], now: Timestamp) -> Result<bool, StorageError> {
        let mut tx = self.begin().await?;
        if !super::senders::is_entered(&mut tx, sender).await? {
            return Ok(false);
        }
        for done in done {
            finish(&mut tx, sender, done, now).await?;
        }
        tx.commit().await?;
        Ok(true)
    }
}

/// One trip to the database: what was sent, what goes out next.
struct Trip<'a> {
    sender: i64,
    sent: &'a [&'a Done],
    next: &'a [Next<'a>],
    now: i64,
}

/// Binds a trip's values in the order in which its text numbers them, and reads its rows.
macro_rules! run {
    ($trip:expr, $text:expr, $connection:expr, $keeps:expr) => {{
        let trip = $trip;
        let mut query = sqlx::query_as(sqlx::AssertSqlSafe($text)).persistent($keeps).bind(trip.sender).bind(trip.now);
        for at in 0..padded(trip.sent.len()) {
            let (key, reply) = trip.sent.get(at).map_or((NOBODY, ""), |done| (done.key, done.reply.as_str()));
            query = query.bind(key.mailing).bind(key.subscriber).bind(reply);
        }
        for at in 0..padded(trip.next.len()) {
            let (key, relay) = trip.next.get(at).map_or((NOBODY, ""), |next| (next.key, next.relay));
            query = query.bind(key.mailing).bind(key.subscriber).bind(relay);
        }
        query.fetch_all($connection).await
    }};
}

impl Trip<'_> {
    /// A transaction in one text.
    async fn on_sqlite(&self, writer: &Writer) -> sqlx::Result<Vec<(i64, i64)>> {
        let (done, next) = (self.done_rows(), self.next_rows());
        let mut text = String::from("begin immediate; select id, id from senders where id = $1");
        if !self.sent.is_empty() {
            let _ = write!(text, "; with {done} {FINISH} from done where {FINISH_WHERE} and exists (select 1 from senders where id = $1)");
        }
        if !self.next.is_empty() {
            let _ = write!(
                text,
                "; with {next} {BEGIN} from next where {BEGIN_WHERE} and exists (select 1 from senders where id = $1)
                 returning mailing_id, subscriber_id"
            );
        }
        text += "; commit";
        let mut turn = writer.whole_text().await?;
        let rows = run!(self, text, turn.connection(), true)?;
        turn.went_through();
        Ok(rows)
    }

    /// One statement. Its parts see the same moment and touch different rows; the lock on the sender's row makes whoever gives
    /// this sender up for dead wait: first one, then the other, and the sweep of the second sees all.
    async fn on_postgres(&self, connection: &mut sqlx::PgConnection, keeps: bool) -> sqlx::Result<Vec<(i64, i64)>> {
        let (done, next) = (self.done_rows(), self.next_rows());
        let mut text = String::from("with fence as (select id from senders where id = $1 for share)");
        if !self.sent.is_empty() {
            let _ = write!(text, ", {done}, finished as ({FINISH} from done, fence where {FINISH_WHERE})");
        }
        if !self.next.is_empty() {
            let _ = write!(
                text,
                ", {next}, begun as ({BEGIN} from next, fence where {BEGIN_WHERE} returning mailing_id, subscriber_id)
                 select id, id from fence union all select mailing_id, subscriber_id from begun"
            );
        } else {
            text += " select id, id from fence";
        }
        // Every moment is bound, though a text without results has no use for it.
        text += " where $2 > 0";
        run!(self, text, connection, keeps)
    }

    fn done_rows(&self) -> String {
        format!("done (mailing, subscriber, reply) as (values {})", numbered(FIRST, padded(self.sent.len())))
    }

    fn next_rows(&self) -> String {
        let first = FIRST + 3 * padded(self.sent.len());
        format!("next (mailing, subscriber, relay) as (values {})", numbered(first, padded(self.next.len())))
    }
}

/// The first number after those of the sender and the moment.
const FIRST: usize = 3;

/// A row that meets no delivery.
const NOBODY: DeliveryKey = DeliveryKey { mailing: -1, subscriber: -1 };

/// The `where` is the fence: a sender that was given up for dead changes nothing.
const FINISH: &str = "update deliveries set state = 'sent', reply = done.reply, sender_id = null, finished_at = $2";
const FINISH_WHERE: &str = "mailing_id = done.mailing and subscriber_id = done.subscriber and state = 'sending' and sender_id = $1";

const BEGIN: &str = "update deliveries set state = 'sending', sender_id = $1, attempts = attempts + 1, started_at = $2, first_at = coalesce(first_at, $2),
   relay = next.relay";
/// A join rather than a list: SQLite then looks each row up by its key, not through all that this sender holds.
const BEGIN_WHERE: &str = "mailing_id = next.mailing and subscriber_id = next.subscriber and finished_at is null
   and (state in ('queued', 'uncertain') or (state = 'sending' and sender_id = $1 and started_at = $2))
   and ((kind = 'confirmation'
         and (exists (select 1 from subscribers s where s.id = deliveries.subscriber_id
                and ((deliveries.notice is null and s.requested_at is not null) or (deliveries.notice is not null and s.state = 'active')))
              or exists (select 1 from notices n where n.mailing_id = deliveries.mailing_id)))
      or (kind = 'digest'
         and exists (select 1 from subscribers s where s.id = deliveries.subscriber_id and s.state = 'active')
         and exists (select 1 from digests d where d.id = deliveries.mailing_id and d.state = 'sending')))";

/// So many rows for so many values: a power of two, so that a few prepared statements serve every number of connections.
fn padded(count: usize) -> usize {
    if count == 0 { 0 } else { count.next_power_of_two() }
}

/// `($3, $4, $5), ($6, $7, $8)`
fn numbered(first: usize, rows: usize) -> String {
    let row = |at: usize| format!("(${}, ${}, ${})", first + 3 * at, first + 3 * at + 1, first + 3 * at + 2);
    (0..rows).map(row).collect::<Vec<_>>().join(", ")
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
