//! History: what happened to a subscriber, written with each change; and the event that tells other programs.

use super::StorageError;
use super::Tx;
use super::events;
use crate::domain::Timestamp;
use crate::domain::event::EventKind;
use crate::domain::history::HistoryEvent;
use crate::domain::slot::Slot;

/// Writes down what happened to a subscriber.
pub(super) async fn history(
    tx: &mut Tx,
    subscriber: i64,
    at: Timestamp,
    event: &HistoryEvent,
) -> Result<(), StorageError> {
    history_of_digest(tx, subscriber, None, at, event).await
}

/// Writes down what happened to a subscriber, about that digest.
pub(super) async fn history_of_digest(
    tx: &mut Tx,
    subscriber: i64,
    digest: Option<Slot>,
    at: Timestamp,
    event: &HistoryEvent,
) -> Result<(), StorageError> {
    let (code, parameters) = event.to_stored();
    execute!(
        tx,
        "insert into history (subscriber_id, at, code, parameters, digest_id) values ($1, $2, $3, $4, $5)
         on conflict (subscriber_id, at, code, parameters) do nothing",
        subscriber,
        at.timestamp_millis(),
        code,
        parameters,
        digest.map(Slot::id)
    )?;
    for kind in EventKind::of_history(event) {
        let data = serde_json::json!({ "digest": digest });
        events::record(tx, kind, Some(subscriber), &data, at).await?;
    }
    Ok(())
}

/// The newest digest that a subscriber got. A few of the newest digests are taken, and each delivery is looked up by its key, four times
/// as many each time: usually the first is it. Refused: a join, of which PostgreSQL without statistics reads the whole index; a condition
/// on all digests, for which it looks up every one before it sorts (0.4 ms with 52 digests of 200,000); an index over the ledger by
/// subscriber, which would cost each publishing as much again.
pub(super) async fn newest_digest(
    tx: &mut Tx,
    subscriber: i64,
) -> Result<Option<i64>, StorageError> {
    let (mut before, mut count) = (i64::MAX, 2);
    loop {
        let rows: Vec<(i64, Option<String>)> = all!(
            tx,
            "select g.id,
               (select d.state from deliveries d where d.mailing_id = g.id and d.subscriber_id = $1 and d.kind = 'digest') as state
             from (select id from digests where id < $2 order by id desc limit $3) g order by g.id desc",
            subscriber,
            before,
            count
        )?;
        if let Some((id, _)) = rows
            .iter()
            .find(|(_, state)| state.as_deref() == Some("sent"))
        {
            return Ok(Some(*id));
        }
        match rows.last() {
            Some((id, _)) if rows.len() as i64 == count => (before, count) = (*id, count * 4),
            _ => return Ok(None),
        }
    }
}
