//! Webhooks of mail providers. Nobody else has a reason to come here, so that answers are short and say little.

use axum::Router;
use axum::body::Bytes;
use axum::extract::DefaultBodyLimit;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::routing::post;

use super::Web;
use super::answer::Problem;
use super::guard::PathSegment;
use crate::app::returns::webhooks::Received;
use crate::domain::webhook::Provider;
use crate::mail::providers::Posted;

/// The largest body that is read, in bytes: SendGrid sends up to a thousand events at once, Postmark a mail whole.
const LARGEST: usize = 2 << 20;

pub(super) fn routes() -> Router<Web> {
    Router::new()
        .route("/webhooks/{provider}", post(take))
        .layer(DefaultBodyLimit::max(LARGEST))
}

/// 200 once what it says is kept, 204 where it says nothing that matters here, 401 where nothing proves who sent it: each
/// provider tries again after that, so that a key which is wrong in the settings costs nothing if it is put right in time.
async fn take(
    State(web): State<Web>,
    PathSegment(provider): PathSegment,
    headers: HeaderMap,
    body: Bytes,
) -> Result<StatusCode, Problem> {
    let Ok(provider) = provider.parse::<Provider>() else {
        return Err(Problem::not_found());
    };
    let headers: Vec<(&str, &str)> = headers
        .iter()
        .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)))
        .collect();
    let received = web
        .app
        .take_webhook(
            provider,
            Posted {
                headers: &headers,
                body: &body,
            },
        )
        .await?;
    match received {
        Received::Closed => Err(Problem::not_found()),
        Received::Refused(_) | Received::Used => Ok(StatusCode::UNAUTHORIZED),
        Received::Nothing => Ok(StatusCode::NO_CONTENT),
        Received::Kept => Ok(StatusCode::OK),
    }
}
