//! The feed of events: their numbers, in one order, and the endpoints that take them.

use crate::domain::Timestamp;
use crate::domain::event::Event;
use crate::domain::event::EventKind;
use crate::domain::event::EventPattern;
use crate::domain::from_millis;
use crate::storage::Storage;
use crate::storage::StorageError;
use crate::storage::Tx;
use crate::storage::stored;

/// Events that one transaction numbers.
const NUMBERED_AT_ONCE: i64 = 500;
/// Events that one transaction forgets.
const FORGOTTEN_AT_ONCE: i64 = 200;

/// A row of the feed.
#[derive(sqlx::FromRow)]
pub(in crate::storage) struct EventRow {
    id: String,
    seq: Option<i64>,
    kind: String,
    at: i64,
    data: String,
    subscriber_id: Option<i64>,
    email: Option<String>,
}

impl EventRow {
    pub(in crate::storage) fn event(self) -> Result<Event, StorageError> {
        Ok(Event {
            id: self.id,
            seq: self.seq,
            kind: stored(self.kind.parse())?,
            at: from_millis(self.at),
            data: stored(serde_json::from_str(&self.data))?,
            subscriber: self.subscriber_id,
            email: self.email,
        })
    }
}

impl Storage {
    /// Gives the next events their numbers, in the order of time and id, and queues them for the endpoints that take them; answers how
    /// many. Two processes that do it at once do it one after the other.
    pub async fn fan_out_events(&self, now: Timestamp) -> Result<u64, StorageError> {
        let mut reader = self.read().await?;
        let waiting: Option<(String,)> =
            optional!(reader, "select id from events where seq is null limit 1")?;
        drop(reader);
        if waiting.is_none() {
            return Ok(0);
        }
        repeated!(self.fan_out_once(now))
    }

    async fn fan_out_once(&self, now: Timestamp) -> Result<u64, StorageError> {
        let mut tx = self.begin().await?;
        // The lease: PostgreSQL keeps the row locked to the end of the transaction, SQLite lets one transaction write.
        let (from,): (i64,) = one!(
            tx,
            "update event_head set seq = seq where id = 1 returning seq"
        )?;
        let numbered = execute!(
            tx,
            "update events set seq = n.place from (
               select id, $1 + row_number() over (order by at, id) as place from events where seq is null order by at, id limit $2) n
             where events.id = n.id and events.seq is null",
            from,
            NUMBERED_AT_ONCE
        )?;
        if numbered == 0 {
            return Ok(0);
        }
        let to = from + numbered as i64;
        queue_for_endpoints(&mut tx, from, to, now).await?;
        execute!(tx, "update event_head set seq = $1 where id = 1", to)?;
        tx.commit().await?;
        Ok(numbered)
    }

    /// Events of the feed after a place, oldest first; of some kinds, where any are named.
    pub async fn events_after(
        &self,
        after: i64,
        kinds: &[EventKind],
        limit: i64,
    ) -> Result<Vec<Event>, StorageError> {
        let mut reader = self.read().await?;
        if kinds.is_empty() {
            let rows: Vec<EventRow> = all!(
                reader,
                "select id, seq, kind, at, data, subscriber_id, email from events where seq > $1 order by seq limit $2",
                after,
                limit
            )?;
            return rows.into_iter().map(EventRow::event).collect();
        }
        let mut found = Vec::new();
        for kind in kinds {
            let rows: Vec<EventRow> = all!(
                reader,
                "select id, seq, kind, at, data, subscriber_id, email from events where kind = $1 and seq > $2 order by seq limit $3",
                kind.as_str(),
                after,
                limit
            )?;
            for row in rows {
                found.push(row.event()?);
            }
        }
        found.sort_by_key(|event| event.seq);
        found.truncate(usize::try_from(limit).unwrap_or_default());
        Ok(found)
    }

    /// The event with that id.
    pub async fn event(&self, id: &str) -> Result<Option<Event>, StorageError> {
        let mut reader = self.read().await?;
        let row: Option<EventRow> = optional!(
            reader,
            "select id, seq, kind, at, data, subscriber_id, email from events where id = $1",
            id
        )?;
        row.map(EventRow::event).transpose()
    }

    /// The last number given.
    pub async fn last_event(&self) -> Result<i64, StorageError> {
        let mut reader = self.read().await?;
        let (seq,): (i64,) = one!(reader, "select seq from event_head where id = 1")?;
        Ok(seq)
    }

    /// Forgets events of before that time with all that was kept of sending them, at most 200; answers how many.
    pub async fn forget_events(&self, before: Timestamp) -> Result<u64, StorageError> {
        let mut reader = self.read().await?;
        let old: Option<(String,)> = optional!(
            reader,
            "select id from events where at < $1 limit 1",
            before.timestamp_millis()
        )?;
        drop(reader);
        if old.is_none() {
            return Ok(0);
        }
        let mut tx = self.begin().await?;
        let old: Vec<(String,)> = all!(
            tx,
            "select id from events where at < $1 order by at limit $2",
            before.timestamp_millis(),
            FORGOTTEN_AT_ONCE
        )?;
        let mut gone = 0;
        for (id,) in old {
            gone += execute!(tx, "delete from events where id = $1", id)?;
        }
        tx.commit().await?;
        Ok(gone)
    }
}

/// Queues events, by their numbers, for each endpoint that takes their kind and was there already.
async fn queue_for_endpoints(
    tx: &mut Tx,
    from: i64,
    to: i64,
    now: Timestamp,
) -> Result<(), StorageError> {
    let endpoints: Vec<(i64, String, i64)> = all!(
        tx,
        "select id, kinds, created_at from webhook_endpoints where disabled_at is null"
    )?;
    if endpoints.is_empty() {
        return Ok(());
    }
    let kinds: Vec<(String,)> = all!(
        tx,
        "select distinct kind from events where seq > $1 and seq <= $2",
        from,
        to
    )?;
    for (endpoint, patterns, created_at) in endpoints {
        let patterns: Vec<EventPattern> = stored(serde_json::from_str(&patterns))?;
        for (kind,) in &kinds {
            let taken: EventKind = stored(kind.parse())?;
            if !patterns.iter().any(|pattern| pattern.takes(taken)) {
                continue;
            }
            execute!(
                tx,
                "insert into webhook_deliveries (event_id, endpoint_id, seq, state, due_at)
                 select id, $1, seq, 'queued', $2 from events
                 where seq > $3 and seq <= $4 and kind = $5 and at >= $6 and endpoint_id is null
                 on conflict (event_id, endpoint_id) do nothing",
                endpoint,
                now.timestamp_millis(),
                from,
                to,
                kind.as_str(),
                created_at
            )?;
        }
    }
    Ok(())
}
