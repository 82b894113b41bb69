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
use serde_json::json;

use super::Web;
use super::guard::Operator;
use crate::app::issue::missed::MissedDigest;
use crate::domain::waiting::Wait;
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

/// Upper bound on a look of `/readyz` at the database, shorter than what probes mostly wait for.
const LOOK_MAX: Duration = Duration::from_secs(3);
/// Upper bound on what `/metrics` reads from the database.
const READ_MAX: Duration = Duration::from_secs(5);

/// An answer is given again for so long: anybody may ask, and each look writes.
const REMEMBERED: Duration = Duration::from_secs(1);

/// The last look at the database, and when it was; whoever asks meanwhile waits for the one that is under way.
#[derive(Default)]
pub struct Readiness(
    tokio::sync::Mutex<Option<(tokio::time::Instant, Result<serde_json::Value, String>)>>,
);

/// The database answers and the ledger can be written.
async fn ready(State(web): State<Web>) -> Response {
    let mut last = web.readiness.0.lock().await;
    let state = match last.take().filter(|(at, _)| at.elapsed() < REMEMBERED) {
        Some((at, state)) => {
            *last = Some((at, state.clone()));
            state
        }
        None => {
            let state = readiness(&web).await;
            *last = Some((tokio::time::Instant::now(), state.clone()));
            state
        }
    };
    drop(last);
    match state {
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

async fn readiness(web: &Web) -> Result<serde_json::Value, String> {
    let began = tokio::time::Instant::now();
    let in_time = |at_most: Duration| {
        (began + at_most).saturating_duration_since(tokio::time::Instant::now())
    };
    let read = tokio::time::timeout(LOOK_MAX, web.app.storage.is_up_to_date());
    let written = tokio::time::timeout(LOOK_MAX, web.app.storage.can_write());
    match tokio::join!(read, written) {
        (Ok(Ok(true)), Ok(Ok(()))) => Ok(tokio::time::timeout(in_time(LOOK_MAX), how_it_goes(web))
            .await
            .unwrap_or_else(|_| ready_body())),
        (Err(_), _) => {
            tracing::warn!("the database does not answer within {LOOK_MAX:?}");
            Err(SILENT.to_owned())
        }
        (Ok(Ok(true)), Err(_)) => Err("The database takes no writes at the moment.".to_owned()),
        (Ok(Ok(false)), _) => {
            Err("The database's tables are missing or too old; run `verdicts migrate`.".into())
        }
        (Ok(Err(error)), _) | (_, Ok(Err(error))) => {
            tracing::warn!(%error, "the database is not usable");
            let is_silent = error.is_unreachable() && !error.is_standby();
            Err(if is_silent {
                SILENT.to_owned()
            } else {
                error.advice()
            })
        }
    }
}

const SILENT: &str = "The database does not answer, or its file is not there.";

fn ready_body() -> serde_json::Value {
    json!({ "status": "ready" })
}

/// `ready`, or `degraded` with what mail waits for and which digests were missed. Anybody may ask: no name of a relay, no word of a server.
async fn how_it_goes(web: &Web) -> serde_json::Value {
    let stall = web.app.stall().await.ok().flatten();
    let missed = web.app.missed_digests().await.unwrap_or_default();
    let missed: Vec<_> = missed
        .iter()
        .filter(|missed| !missed.is_superseded)
        .collect();
    if stall.is_none() && missed.is_empty() {
        return ready_body();
    }
    let mut body = json!({ "status": "degraded" });
    if let Some(stall) = stall {
        let wait = |wait: &Wait| json!({ "reason": wait.reason, "words": wait.summary(), "until": wait.until });
        body["waiting_since"] = json!(stall.since);
        body["waiting_for"] = stall.waits.iter().map(wait).collect();
    }
    if !missed.is_empty() {
        let missed_digest = |missed: &&MissedDigest| json!({ "slot": missed.slot, "due_at": missed.due_at, "command": missed.command });
        body["missed"] = missed.iter().map(missed_digest).collect();
    }
    body
}

/// Prometheus' text format. Deliveries are read from the database at each scrape, for a command sends too, in a process of its own.
async fn show_metrics(_: Operator, State(web): State<Web>) -> impl IntoResponse {
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
