//! The outbox of events: written in the transaction of the change. [`feed`] gives them their order afterwards.
//!
//! Two places write nearly all of them: the audit log, for what the publisher's side does, and `history`, for what happens to a subscriber.

pub mod feed;

use serde_json::Map;
use serde_json::Value;

use crate::domain::Timestamp;
use crate::domain::audit::AuditAction;
use crate::domain::audit::SubjectKind;
use crate::domain::event::EventKind;
use crate::storage::Storage;
use crate::storage::StorageError;
use crate::storage::Tx;
use crate::storage::ids;

/// Fresh id: the time first, so that ids of one process rise, then 80 bits of the system's randomness, so that nobody guesses one.
fn fresh_id(now: Timestamp) -> String {
    let mut bytes = [0; 18];
    bytes[..8].copy_from_slice(&ids::fresh(now).to_be_bytes());
    bytes[8..].copy_from_slice(&rand::random::<[u8; 10]>());
    // This alphabet keeps the order of the bytes.
    let text = data_encoding::BASE32HEX_NOPAD.encode(&bytes);
    format!("evt_{}", text.to_ascii_lowercase())
}

/// Writes an event into the transaction of its change. One about a reader is written only while an endpoint takes its kind, or
/// `events.keep_all` is set; their address with it only where that endpoint takes personal events.
pub(in crate::storage) async fn record(
    tx: &mut Tx,
    kind: EventKind,
    subscriber: Option<i64>,
    data: &Value,
    now: Timestamp,
) -> Result<(), StorageError> {
    let area = format!("{}.*", kind.area());
    execute!(
        tx,
        "insert into events (id, kind, at, data, subscriber_id, email)
         select $1, $2, $3, $4, (select s.id from subscribers s where s.id = $5),
           (select s.email from subscribers s where s.id = $5 and exists (
             select 1 from webhook_patterns p join webhook_endpoints e on e.id = p.endpoint_id
             where p.pattern in ($2, $6, '*') and e.disabled_at is null and e.personal = 1))
         where cast($7 as bigint) = 0
           or exists (select 1 from event_head where id = 1 and keep_all = 1)
           or exists (select 1 from webhook_patterns p join webhook_endpoints e on e.id = p.endpoint_id
                      where p.pattern in ($2, $6, '*') and e.disabled_at is null)",
        fresh_id(now),
        kind.as_str(),
        now.timestamp_millis(),
        data.to_string(),
        subscriber,
        &area,
        i64::from(kind.is_on_demand())
    )?;
    Ok(())
}

/// Writes the event of a tool or a comparison that was added or changed; of a changed comparison there is none.
pub(in crate::storage) async fn record_entry(
    tx: &mut Tx,
    is_tool: bool,
    is_new: bool,
    slug: &str,
    now: Timestamp,
) -> Result<(), StorageError> {
    let (kind, what) = match (is_tool, is_new) {
        (true, true) => (EventKind::ToolCreated, "tool"),
        (true, false) => (EventKind::ToolUpdated, "tool"),
        (false, true) => (EventKind::ComparisonCreated, "comparison"),
        (false, false) => return Ok(()),
    };
    record(tx, kind, None, &serde_json::json!({ what: slug }), now).await
}

/// Writes an event for one endpoint alone; returns its id.
pub(in crate::storage) async fn record_for(
    tx: &mut Tx,
    kind: EventKind,
    endpoint: i64,
    data: &Value,
    now: Timestamp,
) -> Result<String, StorageError> {
    let id = fresh_id(now);
    execute!(
        tx,
        "insert into events (id, kind, at, data, endpoint_id) values ($1, $2, $3, $4, $5)",
        &id,
        kind.as_str(),
        now.timestamp_millis(),
        data.to_string(),
        endpoint
    )?;
    Ok(id)
}

impl Storage {
    /// Writes an event of a change that is not in the database.
    pub async fn record_event(
        &self,
        kind: EventKind,
        data: &Value,
        now: Timestamp,
    ) -> Result<(), StorageError> {
        let mut tx = self.begin().await?;
        record(&mut tx, kind, None, data, now).await?;
        Ok(tx.commit().await?)
    }

    /// Sets whether events about readers are written although no endpoint takes them.
    pub async fn keep_all_events(&self, keeps_all: bool) -> Result<(), StorageError> {
        let mut reader = self.read().await?;
        let known: Option<(i64,)> =
            optional!(reader, "select keep_all from event_head where id = 1")?;
        drop(reader);
        if known.is_none_or(|(known,)| known == i64::from(keeps_all)) {
            return Ok(());
        }
        let mut tx = self.begin().await?;
        execute!(
            tx,
            "update event_head set keep_all = $1 where id = 1",
            i64::from(keeps_all)
        )?;
        Ok(tx.commit().await?)
    }
}

/// Writes the event of an action of the audit log, if it is told to other programs: its particulars, the digest, and the kind of who did it.
pub(in crate::storage) async fn record_action(
    tx: &mut Tx,
    what: AuditAction,
    subject: Option<&(SubjectKind, String)>,
    (detail, by): (&Value, &str),
    now: Timestamp,
) -> Result<(), StorageError> {
    if what == AuditAction::SubscriberErased {
        // By name: the row is gone, and with it every event about them.
        let data = serde_json::json!({ "subscriber": subject.map(|(_, name)| name) });
        return record(tx, EventKind::SubscriberErased, None, &data, now).await;
    }
    let Some(kind) = EventKind::of_action(what) else {
        return Ok(());
    };
    let mut data = match detail {
        Value::Object(fields) => fields.clone(),
        _ => Map::new(),
    };
    if let Some((SubjectKind::Digest, slot)) = subject {
        data.insert("digest".into(), slot.as_str().into());
    }
    data.insert("by".into(), by.into());
    record(tx, kind, None, &Value::Object(data), now).await
}
