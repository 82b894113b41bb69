//! For the operator's machines: is it up, can it work, how is it doing.

use std::time::Duration;

use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::IntoResponse;
use axum::response::Response;
use axum::routing::get;

use super::Web;
use super::guard::Operator;
use crate::telemetry;

pub(super) fn routes() -> Router<Web> {
    Router::new().route("/healthz", get(health)).route("/readyz", get(ready)).route("/metrics", get(figures))
}

/// The process is up.
async fn health() -> Json<serde_json::Value> {
    Json(serde_json::json!({ "status": "up" }))
}

/// The ledger that cannot be written for so long is not usable.
const WRITABLE: Duration = Duration::from_secs(5);

/// The database answers and the ledger can be written.
async fn ready(State(web): State<Web>) -> Response {
    let written = tokio::time::timeout(WRITABLE, web.app.storage.can_write()).await;
    let state = match (web.app.storage.is_up_to_date().await, written) {
        (Ok(true), Ok(Ok(()))) => Ok(()),
        (Ok(true), Err(_)) => Err("The database takes no writes at the moment.".to_owned()),
        (Ok(false), _) => Err("The database's tables are missing or too old; run `verdicts migrate`.".into()),
        (Err(error), _) | (_, Ok(Err(error))) => {
            Err(if error.is_unreachable() { "The database does not answer.".into() } else { error.advice() })
        }
    };
    match state {
        Ok(()) => Json(serde_json::json!({ "status": "ready" })).into_response(),
        Err(sentence) => {
            let body = Json(serde_json::json!({ "status": "not_ready", "error": sentence }));
            (StatusCode::SERVICE_UNAVAILABLE, [(header::CACHE_CONTROL, "no-store")], body).into_response()
        }
    }
}

/// Prometheus' text format. Deliveries are read from the database at each scrape, for a command sends too, in a process of its own.
async fn figures(_: Operator, State(web): State<Web>) -> impl IntoResponse {
    match tokio::time::timeout(WRITABLE, web.app.measure_deliveries()).await {
        Ok(Ok(())) => {}
        Ok(Err(failure)) => tracing::warn!(cause = failure.cause(), "/metrics shows deliveries as they were last read: {failure}"),
        Err(_) => tracing::warn!("/metrics shows deliveries as they were last read: the database does not answer"),
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], telemetry::figures().render())
}
