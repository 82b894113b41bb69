//! Webhook endpoints and their log, as people and programs see them.

use serde::Serialize;

use crate::app::App;
use crate::app::Failure;
use crate::domain::Timestamp;
use crate::domain::event::EventDocument;
use crate::domain::event::EventKind;
use crate::domain::webhook_endpoint::DisabledReason;
use crate::domain::webhook_endpoint::WebhookDeliveryState;
use crate::domain::webhook_endpoint::WebhookEndpoint;
use crate::storage::webhooks_out::deliveries::WebhookAttempt;
use crate::storage::webhooks_out::log::WebhookDeliveryRow;

/// Attempts that are shown of one event.
const ATTEMPTS_SHOWN: i64 = 50;

/// A webhook endpoint. Its secret is in no view.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WebhookEndpointView {
    /// Opaque id.
    pub id: String,
    /// Name, for people.
    pub name: String,
    /// Address.
    pub url: String,
    /// Kinds of events that it takes.
    pub kinds: Vec<String>,
    /// True if events come strictly in their order.
    pub ordered: bool,
    /// True if events carry addresses.
    pub personal: bool,
    /// Public key of the ed25519 signatures, if it wants them.
    pub public_key: Option<String>,
    /// Time when it was made.
    pub created_at: Timestamp,
    /// Time when it was disabled.
    pub disabled_at: Option<Timestamp>,
    /// Reason why it is disabled.
    pub disabled_reason: Option<DisabledReason>,
    /// Time since which nothing succeeded.
    pub failing_since: Option<Timestamp>,
    /// Time until which the secret of before the last rotation signs too.
    pub rotating_until: Option<Timestamp>,
}

/// An event in the log of an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WebhookDeliveryView {
    /// Id of the event.
    pub event: String,
    /// Kind of the event.
    #[serde(rename = "type")]
    pub kind: EventKind,
    /// Time of the event.
    pub at: Timestamp,
    /// `queued`, `held` (the endpoint is disabled), `sent`, `failed`, or `asked` (a test, or a replay of what was never sent by itself).
    pub state: &'static str,
    /// Attempts so far, replays and tests not counted.
    pub attempts: u32,
    /// Time of the next attempt.
    pub next_at: Option<Timestamp>,
}

/// An attempt to send an event to an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WebhookAttemptView {
    /// Time when it began.
    pub at: Timestamp,
    /// Duration in milliseconds.
    pub millis: i64,
    /// Status of the answer.
    pub status: Option<u16>,
    /// Reason why there was no answer, or why it is no success.
    pub error: Option<String>,
    /// First KiB of the answer.
    pub answer: Option<String>,
    /// The actor who asked for it, where it was a replay.
    pub replayed_by: Option<String>,
}

impl From<WebhookAttempt> for WebhookAttemptView {
    fn from(attempt: WebhookAttempt) -> Self {
        Self {
            at: attempt.at,
            millis: attempt.millis,
            status: attempt.status,
            error: attempt.error,
            answer: attempt.answer,
            replayed_by: attempt.replayed_by,
        }
    }
}

impl WebhookAttemptView {
    /// Returns whether the endpoint took the event.
    pub fn is_success(&self) -> bool {
        self.status
            .is_some_and(|status| (200..300).contains(&status))
    }

    /// The result, in words.
    pub fn result(&self) -> String {
        match (self.status, &self.error) {
            (Some(status), Some(error)) => format!("{status}: {error}"),
            (Some(status), None) => status.to_string(),
            (None, Some(error)) => error.clone(),
            (None, None) => "no answer".into(),
        }
    }
}

/// One event in the log of an endpoint: what was sent, and each answer.
#[derive(Debug, Clone, Serialize)]
pub struct WebhookDeliveryDetail {
    /// The entry.
    pub delivery: WebhookDeliveryView,
    /// Body, byte for byte.
    pub body: String,
    /// Attempts, newest first.
    pub attempts: Vec<WebhookAttemptView>,
}

impl App {
    /// An endpoint as people and programs see it.
    pub fn webhook_view(&self, endpoint: &WebhookEndpoint) -> WebhookEndpointView {
        let draft = &endpoint.draft;
        WebhookEndpointView {
            id: self.webhook_name(endpoint.id),
            name: draft.name.clone(),
            url: draft.url.clone(),
            kinds: draft
                .kinds
                .iter()
                .map(|kind| kind.as_str().to_owned())
                .collect(),
            ordered: draft.ordered,
            personal: draft.personal,
            public_key: self.webhook_public_key(endpoint),
            created_at: endpoint.created_at,
            disabled_at: endpoint.disabled.map(|(at, _)| at),
            disabled_reason: endpoint.disabled.map(|(_, why)| why),
            failing_since: endpoint.failing_since,
            rotating_until: endpoint.rotating_until.filter(|until| *until > self.now()),
        }
    }

    /// All endpoints.
    pub async fn webhook_views(&self) -> Result<Vec<WebhookEndpointView>, Failure> {
        let all = self.storage.webhook_endpoints().await?;
        Ok(all
            .iter()
            .map(|endpoint| self.webhook_view(endpoint))
            .collect())
    }

    /// A page of the log of an endpoint, newest events first, and the place from which the next one goes on.
    pub async fn webhook_log(
        &self,
        endpoint: &WebhookEndpoint,
        state: Option<WebhookDeliveryState>,
        before: Option<i64>,
        limit: usize,
    ) -> Result<(Vec<WebhookDeliveryView>, Option<i64>), Failure> {
        let most = i64::try_from(limit).unwrap_or(i64::MAX - 1);
        let mut rows = self
            .storage
            .webhook_log(endpoint.id, state, before, most + 1)
            .await?;
        let has_older = rows.len() > limit;
        rows.truncate(limit);
        let older = rows.last().map(|row| row.seq).filter(|_| has_older);
        let views = rows.into_iter().map(|row| delivery_view(endpoint, row));
        Ok((views.collect(), older))
    }

    /// One event of the log of an endpoint, with its body and its attempts.
    ///
    /// # Errors
    /// Not found, where the log has none such.
    pub async fn webhook_delivery(
        &self,
        endpoint: &WebhookEndpoint,
        event: &str,
    ) -> Result<WebhookDeliveryDetail, Failure> {
        let row = self.storage.webhook_log_entry(endpoint.id, event).await?;
        let kept = self.storage.event(event).await?;
        let (Some(row), Some(kept)) = (row, kept) else {
            return Err(Failure::not_found(format!(
                "The log of this endpoint has no event {event:?}; it is kept for webhooks_out.keep."
            )));
        };
        let attempts = self
            .storage
            .webhook_attempts(endpoint.id, event, ATTEMPTS_SHOWN)
            .await?;
        Ok(WebhookDeliveryDetail {
            delivery: delivery_view(endpoint, row),
            body: body(&self.event_view(kept, endpoint.draft.personal)),
            attempts: attempts.into_iter().map(WebhookAttemptView::from).collect(),
        })
    }
}

/// The body of a request that tells an event.
pub(super) fn body(view: &EventDocument) -> String {
    serde_json::to_string(view).unwrap_or_default()
}

fn delivery_view(endpoint: &WebhookEndpoint, row: WebhookDeliveryRow) -> WebhookDeliveryView {
    let state = match row.state {
        WebhookDeliveryState::Queued if endpoint.disabled.is_some() => "held",
        state => state.as_str(),
    };
    WebhookDeliveryView {
        event: row.event,
        kind: row.kind,
        at: row.at,
        state,
        attempts: row.attempts,
        next_at: row.due_at.filter(|_| endpoint.disabled.is_none()),
    }
}
