//! Readiness: whether the service can work, as `/readyz` and the API tell it.

use std::time::Duration;

use serde_json::json;

use super::Web;
use crate::app::issue::missed::MissedDigest;
use crate::domain::waiting::Wait;

/// Upper bound on a look of `/readyz` at the database, shorter than what probes mostly wait for.
const LOOK_MAX: Duration = Duration::from_secs(3);
/// An answer is given again for so long: anybody may ask, and each look writes.
const REMEMBERED: Duration = Duration::from_secs(1);

/// The last look at the database, and when it was; whoever asks meanwhile waits for the one that is under way.
#[derive(Default)]
pub struct Readiness(
    tokio::sync::Mutex<Option<(tokio::time::Instant, Result<serde_json::Value, String>)>>,
);

/// State of the service at a look that is a second old at most; `Err` says why it does not work.
pub(super) async fn readiness_of(web: &Web) -> Result<serde_json::Value, String> {
    let mut last = web.readiness.0.lock().await;
    match last.take().filter(|(at, _)| at.elapsed() < REMEMBERED) {
        Some((at, state)) => {
            *last = Some((at, state.clone()));
            state
        }
        None => {
            let state = readiness(web).await;
            *last = Some((tokio::time::Instant::now(), state.clone()));
            state
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
