//! Events on their way to webhook endpoints: what is due, how each attempt ended, and what is sent once more.

use crate::domain::Timestamp;
use crate::domain::actor::Actor;
use crate::domain::audit::AuditAction;
use crate::domain::event::Event;
use crate::domain::event::EventKind;
use crate::domain::from_millis;
use crate::domain::webhook_endpoint::WebhookDeliveryState;
use crate::domain::webhook_endpoint::WebhookEndpoint;
use crate::storage::Storage;
use crate::storage::StorageError;
use crate::storage::Tx;
use crate::storage::events;
use crate::storage::events::feed::EventRow;
use crate::storage::ids;
use crate::storage::stored;

/// Events that one call replays at most.
pub const REPLAYED_MAX: i64 = 10_000;

/// An event that is to be sent now.
#[derive(Debug, Clone)]
pub struct DueWebhook {
    /// The event.
    pub event: Event,
    /// Attempts before this one.
    pub attempts: u32,
    /// The actor who asked for a replay, if it is one.
    pub replayed_by: Option<String>,
}

/// How an attempt ended.
#[derive(Debug, Clone)]
pub struct WebhookAttempt {
    /// Id of the event.
    pub event: String,
    /// Time when it began.
    pub at: Timestamp,
    /// Duration.
    pub millis: i64,
    /// Status of the answer.
    pub status: Option<u16>,
    /// Reason why there was no answer, or why it is none.
    pub error: Option<String>,
    /// First KiB of the answer.
    pub answer: Option<String>,
    /// The actor who asked for a replay, if it was one.
    pub replayed_by: Option<String>,
}

/// What an attempt changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttemptEffect {
    /// The endpoint took the event.
    Sent,
    /// It is tried again then.
    Again(Timestamp),
    /// It is given up.
    GivenUp,
    /// Nothing: a replay or a test.
    None,
}

#[derive(sqlx::FromRow)]
struct DueRow {
    #[sqlx(flatten)]
    event: EventRow,
    attempts: i64,
    due_at: i64,
}

#[derive(sqlx::FromRow)]
struct ReplayRow {
    #[sqlx(flatten)]
    event: EventRow,
    replayed_by: String,
}

impl Storage {
    /// Endpoints for which something is due now.
    pub async fn webhooks_due(&self, now: Timestamp) -> Result<Vec<i64>, StorageError> {
        let mut reader = self.read().await?;
        let rows: Vec<(i64,)> = all!(
            reader,
            "select e.id from webhook_endpoints e
             where e.disabled_at is null and coalesce(e.not_before, 0) <= $1
               and case when e.ordered = 1
                 then (select d.due_at from webhook_deliveries d where d.endpoint_id = e.id and d.finished_at is null order by d.seq limit 1) <= $1
                 else exists (select 1 from webhook_deliveries d where d.endpoint_id = e.id and d.finished_at is null and d.due_at <= $1) end",
            now.timestamp_millis()
        )?;
        let mut due: Vec<i64> = rows.into_iter().map(|(id,)| id).collect();
        // From one endpoint to the next by the index, however many replays each has.
        let mut after = i64::MIN;
        loop {
            let next: Option<(i64,)> = optional!(
                reader,
                "select endpoint_id from webhook_replays where endpoint_id > $1 order by endpoint_id limit 1",
                after
            )?;
            let Some((id,)) = next else { break };
            after = id;
            if !due.contains(&id) {
                due.push(id);
            }
        }
        Ok(due)
    }

    /// Events to be sent to an endpoint now, at most `count`; replays once nothing else is due. To an ordered one strictly in the order of
    /// the feed: nothing overtakes an event that waits to be tried again.
    pub async fn due_webhooks(
        &self,
        endpoint: &WebhookEndpoint,
        count: i64,
        now: Timestamp,
    ) -> Result<Vec<DueWebhook>, StorageError> {
        let mut reader = self.read().await?;
        let is_open = endpoint.disabled.is_none() && endpoint.not_before.is_none_or(|at| at <= now);
        let millis = now.timestamp_millis();
        let rows: Vec<DueRow> = match (is_open, endpoint.draft.ordered) {
            (false, _) => Vec::new(),
            (true, false) => all!(
                reader,
                "select e.id, e.seq, e.kind, e.at, e.data, e.subscriber_id, e.email, d.attempts, d.due_at
                 from webhook_deliveries d join events e on e.id = d.event_id
                 where d.endpoint_id = $1 and d.finished_at is null and d.due_at <= $2 order by d.due_at limit $3",
                endpoint.id,
                millis,
                count
            )?,
            (true, true) => all!(
                reader,
                "select e.id, e.seq, e.kind, e.at, e.data, e.subscriber_id, e.email, d.attempts, d.due_at
                 from webhook_deliveries d join events e on e.id = d.event_id
                 where d.endpoint_id = $1 and d.finished_at is null order by d.seq limit $2",
                endpoint.id,
                count
            )?,
        };
        let mut due = Vec::new();
        for row in rows.into_iter().take_while(|row| row.due_at <= millis) {
            due.push(DueWebhook {
                event: row.event.event()?,
                attempts: u32::try_from(row.attempts).unwrap_or_default(),
                replayed_by: None,
            });
        }
        if !due.is_empty() {
            return Ok(due);
        }
        let rows: Vec<ReplayRow> = all!(
            reader,
            "select e.id, e.seq, e.kind, e.at, e.data, e.subscriber_id, e.email, r.replayed_by
             from webhook_replays r join events e on e.id = r.event_id where r.endpoint_id = $1 order by r.seq limit $2",
            endpoint.id,
            count
        )?;
        let replay = |row: ReplayRow| {
            Ok(DueWebhook {
                event: row.event.event()?,
                attempts: 0,
                replayed_by: Some(row.replayed_by),
            })
        };
        rows.into_iter().map(replay).collect()
    }

    /// Writes attempts down with what they change, all at once; answers since when nothing succeeded. `wait_until`: the endpoint asked to be
    /// left alone until then.
    pub async fn record_webhook_attempts(
        &self,
        endpoint: i64,
        ended: &[(WebhookAttempt, AttemptEffect)],
        wait_until: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, StorageError> {
        repeated!(self.record_attempts_once(endpoint, ended, wait_until, now))
    }

    async fn record_attempts_once(
        &self,
        endpoint: i64,
        ended: &[(WebhookAttempt, AttemptEffect)],
        wait_until: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, StorageError> {
        let mut tx = self.begin().await?;
        for (attempt, effect) in ended {
            write_attempt(&mut tx, endpoint, attempt, *effect, now).await?;
        }
        let has =
            |wanted: fn(&AttemptEffect) -> bool| ended.iter().any(|(_, effect)| wanted(effect));
        let succeeded = has(|effect| *effect == AttemptEffect::Sent);
        let failed =
            has(|effect| matches!(effect, AttemptEffect::Again(_) | AttemptEffect::GivenUp));
        let failing: Option<(Option<i64>,)> = match (succeeded, failed) {
            (true, _) => optional!(
                tx,
                "update webhook_endpoints set failing_since = null, not_before = coalesce($2, not_before) where id = $1
                   and (failing_since is not null or $2 > 0) returning failing_since",
                endpoint,
                wait_until.map(|at| at.timestamp_millis())
            )?,
            (false, true) => optional!(
                tx,
                "update webhook_endpoints set failing_since = coalesce(failing_since, $2), not_before = coalesce($3, not_before)
                 where id = $1 returning failing_since",
                endpoint,
                now.timestamp_millis(),
                wait_until.map(|at| at.timestamp_millis())
            )?,
            (false, false) => None,
        };
        tx.commit().await?;
        Ok(failing.and_then(|(since,)| since).map(from_millis))
    }

    /// Writes a test for an endpoint down; the event is its alone.
    pub async fn begin_webhook_test(
        &self,
        actor: &Actor,
        endpoint: i64,
        data: &serde_json::Value,
        now: Timestamp,
    ) -> Result<Option<Event>, StorageError> {
        let mut tx = self.begin().await?;
        let id = events::record_for(&mut tx, EventKind::WebhookTest, endpoint, data, now).await?;
        // Its place in the feed comes later; in the log of the endpoint it stands last.
        let queued = execute!(
            tx,
            "insert into webhook_deliveries (event_id, endpoint_id, seq, state, due_at, finished_at)
             select $1, id, (select seq + 1 from event_head where id = 1), 'asked', $3, $3 from webhook_endpoints where id = $2",
            &id,
            endpoint,
            now.timestamp_millis()
        )?;
        if queued == 0 {
            return Ok(None);
        }
        let detail = serde_json::json!({});
        self.note_endpoint(
            &mut tx,
            actor,
            endpoint,
            AuditAction::WebhookTested,
            &detail,
            now,
        )
        .await?;
        tx.commit().await?;
        self.event(&id).await
    }

    /// Queues events to be sent to an endpoint once more; answers how many. With the id of one event, that one; else those of a stretch of
    /// time that it takes, at most [`REPLAYED_MAX`].
    pub async fn replay_webhooks(
        &self,
        actor: &Actor,
        endpoint: &WebhookEndpoint,
        (event, from, to): (Option<&str>, Timestamp, Timestamp),
        now: Timestamp,
    ) -> Result<u64, StorageError> {
        let mut tx = self.begin().await?;
        let rows: Vec<(String, i64, String)> = match event {
            Some(event) => all!(
                tx,
                "select id, seq, kind from events where id = $1 and seq is not null and (endpoint_id is null or endpoint_id = $2)",
                event,
                endpoint.id
            )?,
            None => all!(
                tx,
                "select id, seq, kind from events where at >= $1 and at <= $2 and seq is not null and endpoint_id is null order by at limit $3",
                from.timestamp_millis(),
                to.timestamp_millis(),
                REPLAYED_MAX
            )?,
        };
        let mut queued = 0;
        for (id, seq, kind) in rows {
            let kind: EventKind = stored(kind.parse())?;
            let is_taken = endpoint
                .draft
                .kinds
                .iter()
                .any(|pattern| pattern.takes(kind));
            if event.is_none() && !is_taken {
                continue;
            }
            execute!(
                tx,
                "insert into webhook_deliveries (event_id, endpoint_id, seq, state, due_at, finished_at)
                 values ($1, $2, $3, 'asked', $4, $4) on conflict (event_id, endpoint_id) do nothing",
                &id,
                endpoint.id,
                seq,
                now.timestamp_millis()
            )?;
            queued += execute!(
                tx,
                "insert into webhook_replays (endpoint_id, event_id, seq, replayed_by, asked_at) values ($1, $2, $3, $4, $5)
                 on conflict (endpoint_id, seq) do nothing",
                endpoint.id,
                &id,
                seq,
                actor.key(),
                now.timestamp_millis()
            )?;
        }
        if queued > 0 {
            let detail = serde_json::json!({ "events": queued });
            self.note_endpoint(
                &mut tx,
                actor,
                endpoint.id,
                AuditAction::WebhookReplayed,
                &detail,
                now,
            )
            .await?;
        }
        tx.commit().await?;
        Ok(queued)
    }
}

/// Writes one attempt, and what it changes. An event that was forgotten meanwhile, with its reader or by age, has no log either.
async fn write_attempt(
    tx: &mut Tx,
    endpoint: i64,
    attempt: &WebhookAttempt,
    effect: AttemptEffect,
    now: Timestamp,
) -> Result<(), StorageError> {
    let event = attempt.event.as_str();
    let (state, due_at) = match effect {
        AttemptEffect::Sent => (Some(WebhookDeliveryState::Sent), None),
        AttemptEffect::GivenUp => (Some(WebhookDeliveryState::Failed), None),
        AttemptEffect::Again(at) => (Some(WebhookDeliveryState::Queued), Some(at)),
        AttemptEffect::None => (None, None),
    };
    if let Some(state) = state {
        execute!(
            tx,
            "update webhook_deliveries set state = $3, attempts = attempts + 1, due_at = coalesce($4, due_at),
               finished_at = case when cast($4 as bigint) is null then cast($5 as bigint) else null end
             where event_id = $1 and endpoint_id = $2",
            event,
            endpoint,
            state.as_str(),
            due_at.map(|at| at.timestamp_millis()),
            now.timestamp_millis()
        )?;
    }
    execute!(
        tx,
        "insert into webhook_attempts (id, event_id, endpoint_id, at, millis, status, error, answer, replayed_by)
         select $3, event_id, endpoint_id, $4, $5, $6, $7, $8, $9 from webhook_deliveries where event_id = $1 and endpoint_id = $2",
        event,
        endpoint,
        ids::fresh(now),
        attempt.at.timestamp_millis(),
        attempt.millis,
        attempt.status.map(i64::from),
        attempt.error.as_deref(),
        attempt.answer.as_deref(),
        attempt.replayed_by.as_deref()
    )?;
    if attempt.replayed_by.is_some() {
        execute!(
            tx,
            "delete from webhook_replays where event_id = $1 and endpoint_id = $2",
            event,
            endpoint
        )?;
    }
    Ok(())
}
