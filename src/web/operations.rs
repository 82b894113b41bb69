//! For the operator's machines: is it up, can it work, how is it doing.

use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::IntoResponse;
use axum::response::Response;
use axum::routing::get;

use super::Web;
use crate::telemetry;

pub(super) fn routes() -> Router<Web> {
    Router::new().route("/healthz", get(health)).route("/readyz", get(ready)).route("/metrics", get(figures))
}

/// The process is up.
async fn health() -> Json<serde_json::Value> {
    Json(serde_json::json!({ "status": "up" }))
}

/// The database answers and the ledger can be read.
async fn ready(State(web): State<Web>) -> Response {
    let state = match (web.app.storage.is_up_to_date().await, web.app.storage.waiting_confirmations().await) {
        (Ok(true), Ok(waiting)) => Ok(waiting),
        (Ok(false), _) => Err("The database's tables are missing or too old; run `verdicts migrate`.".to_owned()),
        (Err(error), _) | (_, Err(error)) => {
            Err(if error.is_unreachable() { "The database does not answer.".into() } else { error.advice() })
        }
    };
    match state {
        Ok(waiting) => Json(serde_json::json!({ "status": "ready", "waiting_confirmations": waiting })).into_response(),
        Err(sentence) => {
            let body = Json(serde_json::json!({ "status": "not_ready", "error": sentence }));
            (StatusCode::SERVICE_UNAVAILABLE, [(header::CACHE_CONTROL, "no-store")], body).into_response()
        }
    }
}

/// Prometheus' text format.
async fn figures() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], telemetry::figures().render())
}
