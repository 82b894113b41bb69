//! The feed of events, for programs that cannot take webhooks.

use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use super::super::Web;
use super::super::answer::Problem;
use super::answers;
use super::answers::Page;
use super::extract::Query;
use super::extract::invalid_at;
use super::operation::Need;
use super::operation::Operation;
use super::webhook_endpoints::place;
use crate::domain::Timestamp;
use crate::domain::api_token::Scope;
use crate::domain::event::EventKind;

/// Operations of this file.
pub fn operations() -> Vec<Operation> {
    vec![
        Operation::get("/events", Need::Scope(Scope::WebhooksRead), list)
            .named("listEvents", "List events, oldest first")
            .explained(
                "`next` stands on every page that has events, the last one too: ask with it later for what is new. Events carry no addresses.",
            )
            .asks::<EventsQuery>()
            .pages::<EventItem>("Events in the order of the feed."),
    ]
}

/// Conditions of the feed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct EventsQuery {
    /// Place behind which the page begins: `next` of the page before.
    #[schema(nullable = false, max_length = 200, pattern = "line")]
    after: Option<String>,
    /// Kinds of events, divided by commas.
    #[schema(nullable = false, max_length = 1000, pattern = "line")]
    kind: Option<String>,
    /// Rows of the page.
    #[schema(nullable = false, minimum = 1, maximum = 200)]
    limit: Option<i64>,
}

/// An event.
#[derive(Debug, Serialize, ToSchema)]
struct EventItem {
    /// Kind.
    r#type: String,
    /// Time of the change.
    #[schema(value_type = String, format = DateTime)]
    timestamp: Timestamp,
    /// Id: the same in the feed, in each request and in each replay.
    id: String,
    /// What happened, in ids, codes and counts.
    #[schema(value_type = Object)]
    data: serde_json::Value,
}

async fn list(
    State(web): State<Web>,
    Query(asked): Query<EventsQuery>,
    uri: Uri,
) -> Result<Response, Problem> {
    let after = place(&web, asked.after.as_deref())?;
    let kinds: Vec<EventKind> = match asked.kind.as_deref() {
        None => Vec::new(),
        Some(text) => {
            let kinds: Result<Vec<EventKind>, _> = text.split(',').map(str::parse).collect();
            kinds.map_err(|error| invalid_at("?kind", "invalid", format!("{error}.")))?
        }
    };
    let limit = answers::limit(asked.limit);
    let (events, last) = web.app.event_feed(after, &kinds, limit).await?;
    let row = |event: crate::domain::event::EventDocument| EventItem {
        r#type: event.kind.to_string(),
        timestamp: event.timestamp,
        id: event.id,
        data: serde_json::Value::Object(event.data),
    };
    Ok(Page {
        rows: events.into_iter().map(row).collect(),
        next: last.map(|seq| web.app.event_place(seq)),
        count: None,
    }
    .answer(&uri))
}
