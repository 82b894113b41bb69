//! Steps of deliveries: results and beginnings, in one commit for all connections.
//!
//! What happens a thousand times a second, a mail begun and a mail sent, is one statement for all connections, and its answer a
//! number: so many rows were written. Who was not among them is asked only where that is too few. The rest goes a row at a time.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use crate::domain::Timestamp;
use crate::domain::actor::Actor;
use crate::domain::delivery::DeliveryKey;
use crate::domain::delivery::DeliveryState;
use crate::domain::event::EventKind;
use crate::domain::slot::Slot;
use crate::storage::Pools;
use crate::storage::Storage;
use crate::storage::StorageError;
use crate::storage::Tx;
use crate::storage::audit_log::ChangeAuthor;
use crate::storage::bounded::BoundedConnection;
use crate::storage::events;
use crate::storage::ledger::counts::Reasons;
use crate::storage::ledger::counts::note_failures;
use crate::storage::refusal_groups::add_to_lots;
use crate::storage::refusals::Added;
use crate::storage::refusals::Channel;
use crate::storage::refusals::StoredRefusal;
use crate::storage::refusals::record;
use crate::storage::writer::SharedWriter;

/// A finished attempt.
#[derive(Debug, Clone)]
pub struct Finished {
    /// Which.
    pub key: DeliveryKey,
    /// Its update.
    pub step: DeliveryUpdate,
    /// The server's words.
    pub reply: String,
}

/// An attempt that is about to begin.
#[derive(Debug, Clone)]
pub struct Start<'a> {
    /// Which.
    pub key: DeliveryKey,
    /// Number of the digest's corrections that its mail was made from.
    pub version: i64,
    /// By which relay.
    pub relay: &'a str,
}

/// Update of a delivery after an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeliveryUpdate {
    /// Delivered.
    Sent,
    /// Once more, at that moment.
    Again(Timestamp),
    /// Final.
    Failed,
    /// Final, and refused: it counts for the reader by its class, and may end the subscription.
    Refused(Box<StoredRefusal>),
    /// Taken or not, nobody knows: sent again at that moment, or held for a person. The second time it is held: nobody gets a third copy.
    Doubted(Option<Timestamp>),
}

impl DeliveryUpdate {
    /// Returns whether the attempt was the last one, with a result that is known.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Sent | Self::Failed | Self::Refused(_))
    }

    /// For logs.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Again(_) => "again later",
            Self::Failed => "failed",
            Self::Refused(_) => "refused",
            Self::Doubted(Some(_)) => "in doubt, again later",
            Self::Doubted(None) => "in doubt, held",
        }
    }
}

impl Storage {
    /// One group commit for all connections: writes the results in `done`, and marks as `sending` those of `next` that may
    /// still go out (nobody else's, the digest not paused, the subscriber not gone). Answers, for each of `next`, whether it may;
    /// one that may not is left as it was, and whoever claims its batch next finds out why. `None`: this sender was given up for
    /// dead; others have its work, and nothing was written.
    ///
    /// The same step with the same `now` may be repeated when it is not known whether it was committed.
    pub async fn step(
        &self,
        sender: i64,
        done: &[Finished],
        next: &[Start<'_>],
        now: Timestamp,
    ) -> Result<Option<Vec<bool>>, StorageError> {
        let (sent, other): (Vec<&Finished>, Vec<&Finished>) = done
            .iter()
            .partition(|done| done.step == DeliveryUpdate::Sent);
        if !other.is_empty() && !self.finish_others(sender, &other, now).await? {
            return Ok(None);
        }
        let trip = UpdateBatch {
            sender,
            sent: &sent,
            next,
            now: now.timestamp_millis(),
        };
        if trip.rows() == 0 {
            return Ok(Some(Vec::new()));
        }
        let written = match &self.pools {
            Pools::Sqlite { writer, .. } => trip.on_sqlite(writer).await?,
            Pools::Postgres { server, kept } => {
                let mut connection = kept.take(server).await?;
                let written = trip.on_postgres(&mut connection, true).await?;
                kept.keep(connection);
                written
            }
            Pools::Pooled(pooled) => {
                let mut tx = pooled.begin().await?;
                let written = trip.on_postgres(&mut tx, false).await?;
                tx.commit().await?;
                written
            }
        };
        if written == trip.rows() as u64 {
            return Ok(Some(vec![true; next.len()]));
        }
        self.begun(sender, next, now).await
    }

    /// Returns which of `next` a step of that moment has begun; `None` if the sender is not entered (any more).
    async fn begun(
        &self,
        sender: i64,
        next: &[Start<'_>],
        now: Timestamp,
    ) -> Result<Option<Vec<bool>>, StorageError> {
        let mut tx = self.begin().await?;
        if !crate::storage::ledger::senders::holds_lease(&mut tx, sender).await? {
            return Ok(None);
        }
        let mut begun = Vec::with_capacity(next.len());
        for next in next {
            let row: Option<(i64,)> = optional!(
                tx,
                "select mailing_id from deliveries
                 where mailing_id = $1 and subscriber_id = $2 and state = 'sending' and sender_id = $3 and started_at = $4",
                next.key.mailing,
                next.key.subscriber,
                sender,
                now.timestamp_millis()
            )?;
            begun.push(row.is_some());
        }
        tx.commit().await?;
        Ok(Some(begun))
    }

    /// Results other than `sent`. `false` if the sender was given up for dead.
    async fn finish_others(
        &self,
        sender: i64,
        done: &[&Finished],
        now: Timestamp,
    ) -> Result<bool, StorageError> {
        let mut tx = self.begin().await?;
        if !crate::storage::ledger::senders::holds_lease(&mut tx, sender).await? {
            return Ok(false);
        }
        let (mut reasons, mut added) = (Reasons::new(), Vec::new());
        let system = Actor::system();
        let author = self.author(&system);
        for done in done {
            let written = finish(&mut tx, sender, done, &mut added, author, now).await?;
            if written
                && matches!(
                    done.step,
                    DeliveryUpdate::Failed | DeliveryUpdate::Refused(_)
                )
            {
                *reasons
                    .entry((done.key.mailing, done.reply.clone()))
                    .or_default() += 1;
                let data = serde_json::json!({ "digest": Slot::from_id(done.key.mailing) });
                let subscriber = Some(done.key.subscriber);
                events::record(&mut tx, EventKind::DeliveryFailed, subscriber, &data, now).await?;
            }
        }
        note_failures(&mut tx, &reasons).await?;
        add_to_lots(&mut tx, added, now).await?;
        tx.commit().await?;
        Ok(true)
    }
}

/// One trip to the database: what was sent, what goes out next.
struct UpdateBatch<'a> {
    sender: i64,
    sent: &'a [&'a Finished],
    next: &'a [Start<'a>],
    now: i64,
}

/// Binds a trip's values in the order in which its text numbers them; answers how many rows it wrote.
macro_rules! run {
    ($trip:expr, $dialect:expr, $connection:expr, $keeps:expr) => {{
        let trip = $trip;
        let mut query = sqlx::query(sqlx::AssertSqlSafe(text_of($dialect, padded(trip.rows()))))
            .persistent($keeps);
        for done in trip.sent {
            query = query
                .bind(done.key.mailing)
                .bind(done.key.subscriber)
                .bind(0_i64)
                .bind(done.reply.as_str());
        }
        for next in trip.next {
            query = query
                .bind(next.key.mailing)
                .bind(next.key.subscriber)
                .bind(1 + next.version)
                .bind(next.relay);
        }
        for _ in trip.rows()..padded(trip.rows()) {
            query = query
                .bind(PADDING_KEY.mailing)
                .bind(PADDING_KEY.subscriber)
                .bind(0_i64)
                .bind("");
        }
        query
            .bind(trip.sender)
            .bind(trip.now)
            .execute($connection)
            .await
            .map(|done| done.rows_affected())
    }};
}

impl UpdateBatch<'_> {
    fn rows(&self) -> usize {
        self.sent.len() + self.next.len()
    }

    /// One statement, and so a transaction of its own, which takes SQLite's lock as `begin immediate` does.
    async fn on_sqlite(&self, writer: &SharedWriter) -> sqlx::Result<u64> {
        let mut turn = writer.statement().await?;
        run!(self, Dialect::Sqlite, turn.connection(), true)
    }

    /// The same.
    async fn on_postgres(
        &self,
        connection: &mut BoundedConnection,
        keeps: bool,
    ) -> sqlx::Result<u64> {
        call!(connection, c => run!(self, Dialect::Postgres, c, keeps))
    }
}

/// Dialect of SQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dialect {
    Sqlite,
    Postgres,
}

/// A row that meets no delivery.
const PADDING_KEY: DeliveryKey = DeliveryKey {
    mailing: -1,
    subscriber: -1,
};

/// The statement for so many rows. It is kept: there are half as many sizes as connections.
fn text_of(dialect: Dialect, rows: usize) -> Arc<str> {
    static TEXTS: Mutex<Vec<(Dialect, usize, Arc<str>)>> = Mutex::new(Vec::new());
    let mut texts = TEXTS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((.., text)) = texts
        .iter()
        .find(|(of, size, _)| (*of, *size) == (dialect, rows))
    {
        return text.clone();
    }
    let text: Arc<str> = statement(dialect, rows).into();
    texts.push((dialect, rows, text.clone()));
    text
}

/// A mail begun, where `begins` is 1 and the number of corrections that it was made from; or one sent, where it is 0. A mail that was never
/// begun must be made from all corrections of its digest; one that was keeps what it was begun with. A step that is repeated counts an attempt once.
///
/// The fence: a sender that was given up for dead changes nothing, and what is not waiting is not begun. On PostgreSQL the lock on
/// the sender's row makes whoever gives it up for dead wait: first one, then the other, and the sweep of the second sees all. A
/// join rather than a list: SQLite then looks each row up by its key.
///
/// On SQLite a row's values have no names: sqlx asks for the name of each value, and SQLite looks through all that there are.
fn statement(dialect: Dialect, rows: usize) -> String {
    let (sender, moment) = (format!("${}", 4 * rows + 1), format!("${}", 4 * rows + 2));
    let values: Vec<String> = (0..rows)
        .map(|row| match dialect {
            Dialect::Sqlite => "(?, ?, ?, ?)".to_owned(),
            Dialect::Postgres => format!(
                "(${}, ${}, ${}, ${})",
                4 * row + 1,
                4 * row + 2,
                4 * row + 3,
                4 * row + 4
            ),
        })
        .collect();
    let values = values.join(", ");
    let (locked, fence, is_entered) = match dialect {
        Dialect::Sqlite => (
            String::new(),
            "",
            format!(" and exists (select 1 from senders where id = {sender})"),
        ),
        Dialect::Postgres => (
            format!(", fence as (select id from senders where id = {sender} for share)"),
            ", fence",
            String::new(),
        ),
    };
    format!(
        "with step (mailing, subscriber, begins, words) as (values {values}){locked}
         update deliveries set
           state = case when step.begins > 0 then 'sending' else 'sent' end,
           sender_id = case when step.begins > 0 then {sender} end,
           attempts = attempts + case when step.begins > 0 and state <> 'sending' then 1 else 0 end,
           started_at = case when step.begins > 0 then {moment} else started_at end,
           first_at = case when step.begins > 0 then coalesce(first_at, {moment}) else first_at end,
           version = case when step.begins > 1 and first_at is null then step.begins - 1 else version end,
           finished_at = case when step.begins > 0 then null else {moment} end,
           relay = case when step.begins > 0 then step.words else relay end,
           reply = case when step.begins > 0 then reply else step.words end
         from step{fence}
         where mailing_id = step.mailing and subscriber_id = step.subscriber{is_entered}
           and ((step.begins = 0 and state = 'sending' and sender_id = {sender})
             or (step.begins > 0 and finished_at is null
               and (state in ('queued', 'uncertain') or (state = 'sending' and sender_id = {sender} and started_at = {moment}))
               and ((kind <> 'digest'
                     and exists (select 1 from subscribers s where s.id = deliveries.subscriber_id
                       and case when kind in ('confirmation', 'confirmation_reminder') then s.requested_at is not null
                             when kind in ('welcome', 'already_subscribed') then s.state = 'active' else true end))
                  or (kind = 'digest'
                     and exists (select 1 from subscribers s where s.id = deliveries.subscriber_id and s.state = 'active')
                     and exists (select 1 from digests d where d.id = deliveries.mailing_id and d.state = 'sending'
                       and (first_at is not null or d.corrections = step.begins - 1))))))"
    )
}

/// Returns the number of rows for so many values: a multiple of four, so that twenty connections need ten prepared statements and not forty.
fn padded(count: usize) -> usize {
    count.next_multiple_of(4)
}

/// Writes down any other result, behind the same fence; one in doubt for the second time is held. `false`: it is not this sender's any more.
async fn finish(
    tx: &mut Tx,
    sender: i64,
    done: &Finished,
    added: &mut Vec<Added>,
    author: ChangeAuthor<'_>,
    now: Timestamp,
) -> Result<bool, StorageError> {
    let millis = now.timestamp_millis();
    let (state, due_at, finished_at, uncertain_at) = match &done.step {
        DeliveryUpdate::Sent => (DeliveryState::Sent, None, Some(millis), None),
        DeliveryUpdate::Again(at) => (
            DeliveryState::Queued,
            Some(at.timestamp_millis()),
            None,
            None,
        ),
        DeliveryUpdate::Failed | DeliveryUpdate::Refused(_) => {
            (DeliveryState::Failed, None, Some(millis), None)
        }
        DeliveryUpdate::Doubted(Some(at)) => (
            DeliveryState::Uncertain,
            Some(at.timestamp_millis()),
            None,
            Some(millis),
        ),
        DeliveryUpdate::Doubted(None) => {
            (DeliveryState::Uncertain, None, Some(millis), Some(millis))
        }
    };
    let written = execute!(
        tx,
        "update deliveries set state = $4, due_at = coalesce($5, due_at),
           finished_at = case when $4 = 'uncertain' and uncertain_at is not null then coalesce(cast($6 as bigint), $10) else $6 end,
           uncertain_at = coalesce(uncertain_at, $7),
           reply = $8, sender_id = null, waited_ms = coalesce(waited_ms, 0) + $9
         where mailing_id = $1 and subscriber_id = $2 and sender_id = $3 and state = 'sending'",
        done.key.mailing,
        done.key.subscriber,
        sender,
        state.as_str(),
        due_at,
        finished_at,
        uncertain_at,
        done.reply.as_str(),
        due_at.map_or(0, |due| (due - millis).max(0)),
        millis
    )?;
    if let (1, DeliveryUpdate::Refused(refusal)) = (written, &done.step) {
        record(tx, done.key, refusal, Channel::Dialogue, added, author, now).await?;
    }
    Ok(written > 0)
}
