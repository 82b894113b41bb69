//! Shapes of webhook endpoints, and of what was sent to them.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde::Serialize;
use utoipa::PartialSchema;
use utoipa::ToSchema;
use utoipa::openapi::ObjectBuilder;
use utoipa::openapi::RefOr;
use utoipa::openapi::Schema;
use utoipa::openapi::schema::Type;

use super::super::Web;
use crate::app::webhooks_out::views::WebhookAttemptView;
use crate::app::webhooks_out::views::WebhookDeliveryView;
use crate::domain;
use crate::domain::Timestamp;
use crate::domain::event::EventKind;
use crate::domain::webhook_endpoint::WebhookDeliveryState;

/// Kinds of events that an endpoint takes: one of those that there are.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub struct KindPattern(pub String);

impl PartialSchema for KindPattern {
    fn schema() -> RefOr<Schema> {
        let kinds = || EventKind::ALL.iter();
        let areas: BTreeSet<String> = kinds().map(|kind| format!("{}.*", kind.area())).collect();
        let all = std::iter::once("*".to_owned()).chain(areas);
        let all = all.chain(kinds().map(|kind| kind.as_str().to_owned()));
        ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some("A kind of events, an area of kinds, or * for all."))
            .enum_values(Some(all))
            .into()
    }
}

impl ToSchema for KindPattern {}

/// State of an event on its way to an endpoint.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// It waits for its time, or to be tried again.
    Queued,
    /// The endpoint took it.
    Sent,
    /// It was given up.
    Failed,
    /// It was never sent by itself: a test or a replay.
    Asked,
}

impl From<DeliveryState> for WebhookDeliveryState {
    fn from(state: DeliveryState) -> Self {
        match state {
            DeliveryState::Queued => Self::Queued,
            DeliveryState::Sent => Self::Sent,
            DeliveryState::Failed => Self::Failed,
            DeliveryState::Asked => Self::Asked,
        }
    }
}

/// A webhook endpoint that is added.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewWebhookEndpoint {
    /// Name, for people.
    #[schema(max_length = 100, pattern = "line")]
    pub name: String,
    /// Address that events are posted to.
    #[schema(max_length = 2000, pattern = "endpoint")]
    pub url: String,
    /// Kinds of events, like `digest.sent`; an area like `digest.*`; `*` for all.
    #[schema(min_items = 1, max_items = 60)]
    pub kinds: Vec<KindPattern>,
    /// True: strictly in the order of the feed, one at a time.
    #[schema(nullable = false)]
    pub ordered: Option<bool>,
    /// True: events about subscribers carry their addresses.
    #[schema(nullable = false)]
    pub personal: Option<bool>,
    /// True: requests are signed by ed25519 too.
    #[schema(nullable = false)]
    pub ed25519: Option<bool>,
}

/// A part of a webhook endpoint that is changed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookEndpointPatch {
    #[schema(nullable = false, max_length = 100, pattern = "line")]
    pub name: Option<String>,
    #[schema(nullable = false, max_length = 2000, pattern = "endpoint")]
    pub url: Option<String>,
    #[schema(nullable = false, min_items = 1, max_items = 60)]
    pub kinds: Option<Vec<KindPattern>>,
    #[schema(nullable = false)]
    pub ordered: Option<bool>,
    #[schema(nullable = false)]
    pub personal: Option<bool>,
    #[schema(nullable = false)]
    pub ed25519: Option<bool>,
    /// False disables it.
    #[schema(nullable = false)]
    pub enabled: Option<bool>,
}

/// A webhook endpoint.
#[derive(Debug, Serialize, ToSchema)]
pub struct WebhookEndpointItem {
    /// Opaque id.
    pub id: String,
    /// Name, for people.
    pub name: String,
    /// Address that events are posted to.
    pub url: String,
    /// Kinds of events that it takes.
    pub kinds: Vec<String>,
    /// True if events come strictly in their order.
    pub ordered: bool,
    /// True if events about subscribers carry their addresses.
    pub personal: bool,
    /// Public key of its ed25519 signatures, if it wants them.
    public_key: Option<String>,
    /// True while events are sent to it.
    pub enabled: bool,
    /// gone (it answered 410), failing (for five days), or operator.
    pub disabled_reason: Option<String>,
    /// Time at which it was disabled.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub disabled_at: Option<Timestamp>,
    /// Time since which nothing succeeded.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub failing_since: Option<Timestamp>,
    /// Time until which the secret of before the last rotation signs too.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub rotating_until: Option<Timestamp>,
    /// Time when it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

/// A webhook endpoint with its secret.
#[derive(Debug, Serialize, ToSchema)]
pub struct WebhookEndpointWithSecret {
    /// The endpoint.
    pub endpoint: WebhookEndpointItem,
    /// `whsec_` and base64; null where the answer is given again.
    pub secret: Option<String>,
}

/// An attempt to send an event.
#[derive(Debug, Serialize, ToSchema)]
pub struct WebhookAttemptItem {
    /// Time when it began.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Duration in milliseconds.
    #[schema(minimum = 0)]
    pub millis: i64,
    /// Status of the answer; null where there was none.
    pub status: Option<u16>,
    /// Reason why there was no answer, or why it is no success.
    pub error: Option<String>,
    /// First KiB of the answer.
    pub answer: Option<String>,
    /// The actor who asked for it, where it was a replay.
    pub replayed_by: Option<String>,
}

/// A test of a webhook endpoint.
#[derive(Debug, Serialize, ToSchema)]
pub struct WebhookTest {
    /// Id of the event.
    pub event: String,
    /// True if the endpoint took it.
    pub taken: bool,
    /// The attempt.
    pub attempt: WebhookAttemptItem,
}

/// Conditions of the log.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DeliveriesQuery {
    /// State of the events.
    #[schema(nullable = false)]
    pub state: Option<DeliveryState>,
    /// Place behind which the page begins: `next` of the page before.
    #[schema(nullable = false, max_length = 200, pattern = "line")]
    pub after: Option<String>,
    /// Rows of the page.
    #[schema(nullable = false, minimum = 1, maximum = 200)]
    pub limit: Option<i64>,
}

/// An event in the log of a webhook endpoint.
#[derive(Debug, Serialize, ToSchema)]
pub struct WebhookDelivery {
    /// Id of the event.
    pub event: String,
    /// Kind of the event.
    pub r#type: String,
    /// Time of the event.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// queued, held (the endpoint is disabled), sent, failed, or asked (a test, or a replay of what was never sent by itself).
    pub state: String,
    /// Attempts so far, replays and tests not counted.
    pub attempts: u32,
    /// Time of the next attempt.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub next_at: Option<Timestamp>,
}

/// One event of the log: what was sent, and each answer.
#[derive(Debug, Serialize, ToSchema)]
pub struct WebhookDeliveryItem {
    /// The event.
    pub delivery: WebhookDelivery,
    /// Body, byte for byte.
    pub body: String,
    /// Attempts, newest first.
    pub attempts: Vec<WebhookAttemptItem>,
}

/// Events to be sent once more: either one, or a stretch of time.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReplayRequest {
    /// Id of one event.
    #[schema(nullable = false, max_length = 100, pattern = "line")]
    pub event: Option<String>,
    /// Start of a stretch of time.
    #[schema(nullable = false, format = DateTime)]
    pub from: Option<String>,
    /// Its end; now, if it is not given.
    #[schema(nullable = false, format = DateTime)]
    pub to: Option<String>,
}

/// Result of a replay.
#[derive(Debug, Serialize, ToSchema)]
pub struct Replayed {
    /// Events that are queued.
    #[schema(minimum = 0)]
    pub queued: i64,
}

pub fn view(
    web: &Web,
    endpoint: &domain::webhook_endpoint::WebhookEndpoint,
) -> WebhookEndpointItem {
    let view = web.app.webhook_view(endpoint);
    WebhookEndpointItem {
        id: view.id,
        name: view.name,
        url: view.url,
        kinds: view.kinds,
        ordered: view.ordered,
        personal: view.personal,
        public_key: view.public_key,
        enabled: view.disabled_at.is_none(),
        disabled_reason: view.disabled_reason.map(|why| why.to_string()),
        disabled_at: view.disabled_at,
        failing_since: view.failing_since,
        rotating_until: view.rotating_until,
        created_at: view.created_at,
    }
}

impl From<WebhookAttemptView> for WebhookAttemptItem {
    fn from(view: WebhookAttemptView) -> Self {
        Self {
            at: view.at,
            millis: view.millis,
            status: view.status,
            error: view.error,
            answer: view.answer,
            replayed_by: view.replayed_by,
        }
    }
}

impl From<WebhookDeliveryView> for WebhookDelivery {
    fn from(view: WebhookDeliveryView) -> Self {
        Self {
            event: view.event,
            r#type: view.kind.to_string(),
            at: view.at,
            state: view.state.to_owned(),
            attempts: view.attempts,
            next_at: view.next_at,
        }
    }
}
