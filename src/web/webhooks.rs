//! Webhooks of mail providers. Nobody else has a reason to come here, so that answers are short and say little.

use axum::Json;
use axum::Router;
use axum::body::Bytes;
use axum::extract::DefaultBodyLimit;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::HeaderValue;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::response::Response;
use axum::routing::post;

use super::Web;
use super::answer::Problem;
use super::guard::PathSegment;
use super::guard::TwoSegments;
use crate::app::returns::webhooks::Received;
use crate::domain::webhook::Provider;
use crate::mail::providers::Posted;

/// The largest body that is read, in bytes: SendGrid sends up to a thousand events at once, Postmark a mail whole.
const LARGEST: usize = 2 << 20;

pub(super) fn routes() -> Router<Web> {
    Router::new()
        .route("/webhooks/{provider}", post(take_at_name))
        .route(
            "/webhooks/{provider}/{secret}",
            post(take_at_secret).options(allow_cloud_events),
        )
        .layer(DefaultBodyLimit::max(LARGEST))
}

async fn take_at_name(
    State(web): State<Web>,
    PathSegment(provider): PathSegment,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    take(&web, &provider, None, &headers, &body).await
}

/// For a provider that signs nothing and sends no credentials: the address is the secret. No log has it, since requests are not logged
/// by their path.
async fn take_at_secret(
    State(web): State<Web>,
    TwoSegments(provider, secret): TwoSegments,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    take(&web, &provider, Some(&secret), &headers, &body).await
}

/// 200 once what it says is kept, 204 where it says nothing that matters here, 401 where nothing proves who sent it: each
/// provider tries again after that, so that a key which is wrong in the settings costs nothing if it is put right in time.
async fn take(
    web: &Web,
    provider: &str,
    path_secret: Option<&str>,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Response, Problem> {
    let Ok(provider) = provider.parse::<Provider>() else {
        return Err(Problem::not_found());
    };
    let headers: Vec<(&str, &str)> = headers
        .iter()
        .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)))
        .collect();
    let posted = Posted {
        headers: &headers,
        path_secret,
        body,
    };
    match web.app.take_webhook(provider, posted).await? {
        Received::Closed => Err(Problem::not_found()),
        Received::Refused(_) | Received::Used => Ok(StatusCode::UNAUTHORIZED.into_response()),
        Received::Nothing => Ok(StatusCode::NO_CONTENT.into_response()),
        Received::Validation(code) => {
            Ok(Json(serde_json::json!({ "validationResponse": code })).into_response())
        }
        Received::Kept => Ok(StatusCode::OK.into_response()),
    }
}

/// The handshake of Event Grid's CloudEvents (the CloudEvents project's rules for webhooks, 4): an origin asks whether it may post. It
/// is allowed wherever there is a door, since each request proves itself by the secret.
async fn allow_cloud_events(
    State(web): State<Web>,
    TwoSegments(provider, _): TwoSegments,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let is_open = |provider| !web.app.settings.webhooks_in.keys(provider).is_empty();
    let is_open = provider.parse::<Provider>().is_ok_and(is_open);
    match headers.get("webhook-request-origin") {
        Some(origin) if is_open => {
            let allowed = [
                ("webhook-allowed-origin", origin.clone()),
                ("webhook-allowed-rate", HeaderValue::from_static("*")),
            ];
            Ok(allowed.into_response())
        }
        _ => Err(Problem::not_found()),
    }
}
