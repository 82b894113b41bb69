//! The log of what was sent to webhook endpoints, for people.

use super::deliveries::WebhookAttempt;
use crate::domain::Timestamp;
use crate::domain::event::EventKind;
use crate::domain::from_millis;
use crate::domain::webhook_endpoint::WebhookDeliveryState;
use crate::storage::Storage;
use crate::storage::StorageError;
use crate::storage::stored;

/// An event on its way to an endpoint, or at its end, for people.
#[derive(Debug, Clone)]
pub struct WebhookDeliveryRow {
    /// Id of the event.
    pub event: String,
    /// Place of the event in the feed.
    pub seq: i64,
    /// Kind of the event.
    pub kind: EventKind,
    /// Time of the event.
    pub at: Timestamp,
    /// State.
    pub state: WebhookDeliveryState,
    /// Attempts so far.
    pub attempts: u32,
    /// Time of the next attempt, while it is open.
    pub due_at: Option<Timestamp>,
}

#[derive(sqlx::FromRow)]
struct DeliveryLogRow {
    event_id: String,
    seq: i64,
    kind: String,
    at: i64,
    state: String,
    attempts: i64,
    due_at: i64,
    finished_at: Option<i64>,
}

impl DeliveryLogRow {
    fn read(self) -> Result<WebhookDeliveryRow, StorageError> {
        Ok(WebhookDeliveryRow {
            event: self.event_id,
            seq: self.seq,
            kind: stored(self.kind.parse())?,
            at: from_millis(self.at),
            state: stored(self.state.parse())?,
            attempts: u32::try_from(self.attempts).unwrap_or_default(),
            due_at: self.finished_at.is_none().then(|| from_millis(self.due_at)),
        })
    }
}

#[derive(sqlx::FromRow)]
struct AttemptRow {
    event_id: String,
    at: i64,
    millis: i64,
    status: Option<i64>,
    error: Option<String>,
    answer: Option<String>,
    replayed_by: Option<String>,
}

/// Deliveries of the log that meet `$condition`.
macro_rules! log_rows {
    ($condition:literal) => {
        concat!(
            "select d.event_id, d.seq, e.kind, e.at, d.state, d.attempts, d.due_at, d.finished_at
             from webhook_deliveries d join events e on e.id = d.event_id ",
            $condition
        )
    };
}

impl Storage {
    /// The log of an endpoint, newest events first: those before a place, of one state where it is given.
    pub async fn webhook_log(
        &self,
        endpoint: i64,
        state: Option<WebhookDeliveryState>,
        before: Option<i64>,
        limit: i64,
    ) -> Result<Vec<WebhookDeliveryRow>, StorageError> {
        let mut reader = self.read().await?;
        let before = before.unwrap_or(i64::MAX);
        let rows: Vec<DeliveryLogRow> = match state {
            None => all!(
                reader,
                log_rows!("where d.endpoint_id = $1 and d.seq < $2 order by d.seq desc limit $3"),
                endpoint,
                before,
                limit
            )?,
            Some(state) => all!(
                reader,
                log_rows!(
                    "where d.endpoint_id = $1 and d.state = $4 and d.seq < $2 order by d.seq desc limit $3"
                ),
                endpoint,
                before,
                limit,
                state.as_str()
            )?,
        };
        rows.into_iter().map(DeliveryLogRow::read).collect()
    }

    /// An event of the log of an endpoint.
    pub async fn webhook_log_entry(
        &self,
        endpoint: i64,
        event: &str,
    ) -> Result<Option<WebhookDeliveryRow>, StorageError> {
        let mut reader = self.read().await?;
        let row: Option<DeliveryLogRow> = optional!(
            reader,
            log_rows!("where d.endpoint_id = $1 and d.event_id = $2"),
            endpoint,
            event
        )?;
        row.map(DeliveryLogRow::read).transpose()
    }

    /// Attempts to send an event to an endpoint, newest first.
    pub async fn webhook_attempts(
        &self,
        endpoint: i64,
        event: &str,
        limit: i64,
    ) -> Result<Vec<WebhookAttempt>, StorageError> {
        let mut reader = self.read().await?;
        let rows: Vec<AttemptRow> = all!(
            reader,
            "select event_id, at, millis, status, error, answer, replayed_by from webhook_attempts
             where event_id = $1 and endpoint_id = $2 order by id desc limit $3",
            event,
            endpoint,
            limit
        )?;
        let read = |row: AttemptRow| WebhookAttempt {
            event: row.event_id,
            at: from_millis(row.at),
            millis: row.millis,
            status: row.status.and_then(|status| u16::try_from(status).ok()),
            error: row.error,
            answer: row.answer,
            replayed_by: row.replayed_by,
        };
        Ok(rows.into_iter().map(read).collect())
    }
}
