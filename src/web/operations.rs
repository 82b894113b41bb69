//! For the operator's machines: is it up, can it work, how is it doing.

use std::time::Duration;

use axum::Json;
use axum::Router;
use axum::extract::FromRequestParts;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header;
use axum::http::request::Parts;
use axum::response::IntoResponse;
use axum::response::Response;
use axum::routing::get;
use serde_json::json;

use super::Web;
use super::api;
use super::guard::Operator;
use super::readiness::readiness_of;
use crate::domain::api_token::Scope;
use crate::telemetry;

pub(super) fn routes() -> Router<Web> {
    Router::new()
        .route("/healthz", get(health))
        .route("/readyz", get(ready))
        .route("/metrics", get(show_metrics))
}

/// The process is up.
async fn health() -> Json<serde_json::Value> {
    Json(json!({ "status": "up" }))
}

/// Upper bound on what `/metrics` reads from the database.
const READ_MAX: Duration = Duration::from_secs(5);

/// The database answers and the ledger can be written.
async fn ready(State(web): State<Web>) -> Response {
    match readiness_of(&web).await {
        Ok(body) => Json(body).into_response(),
        Err(sentence) => {
            let body = Json(json!({ "status": "not_ready", "error": sentence }));
            (
                StatusCode::SERVICE_UNAVAILABLE,
                [(header::CACHE_CONTROL, "no-store")],
                body,
            )
                .into_response()
        }
    }
}

/// Guards the figures: an operator's machine asks, or a program with the scope metrics:read.
struct MayMeasure;

impl FromRequestParts<Web> for MayMeasure {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, web: &Web) -> Result<Self, Response> {
        if parts.headers.contains_key(header::AUTHORIZATION) {
            let bearer = api::bearer(web, parts).await?;
            if bearer.may(Scope::MetricsRead) {
                return Ok(Self);
            }
        }
        let operator = Operator::from_request_parts(parts, web).await;
        operator
            .map(|Operator| Self)
            .map_err(IntoResponse::into_response)
    }
}

/// Prometheus' text format. Deliveries are read from the database at each scrape, for a command sends too, in a process of its own.
async fn show_metrics(_: MayMeasure, State(web): State<Web>) -> impl IntoResponse {
    let figures = telemetry::metrics_handle();
    match tokio::time::timeout(READ_MAX, web.app.measure_deliveries()).await {
        Ok(Ok(())) => {}
        Ok(Err(failure)) => tracing::warn!(
            cause = failure.cause(),
            "/metrics shows deliveries as they were last read: {failure}"
        ),
        Err(_) => {
            web.app.show_no_database();
            tracing::warn!(
                "/metrics shows deliveries as they were last read: the database does not answer"
            );
        }
    }
    (
        [(
            header::CONTENT_TYPE,
            "text/plain; version=0.0.4; charset=utf-8",
        )],
        figures.render(),
    )
}
