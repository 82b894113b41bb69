//! Sign-up calls of other services, for forms and programs that were written for them: listmonk's public subscription and Buttondown's
//! `POST /v1/subscribers`. Both are compatibility only: what they sign up gets our confirmation mail, and every valid address gets the
//! same answer, known, new or suppressed.

use axum::Json;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::response::Response;
use axum::routing::post;
use serde::Deserialize;
use serde_json::json;

use super::Web;
use super::answer::Problem;
use super::api;
use super::guard::MayAsk;
use super::joining::Wish;
use super::joining::sign_up;

pub(super) fn routes() -> Router<Web> {
    Router::new()
        .route("/api/public/subscription", post(listmonk))
        .route("/v1/subscribers", post(buttondown))
}

/// What listmonk's public API takes; `list_uuids` is not looked at: there is one list.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ListmonkRequest {
    email: String,
    name: String,
}

/// What Buttondown takes; `type` and whatever else it knows is not looked at.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ButtondownRequest {
    email_address: String,
    /// Name before their version of 2024.
    email: String,
}

fn read<T: for<'de> Deserialize<'de>>(body: &[u8]) -> Result<T, Problem> {
    let fields = api::parse_object(body)?;
    serde_json::from_value(fields.into()).map_err(|error| {
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        Problem::new(status, "Not understood", format!("{error}."))
    })
}

async fn listmonk(
    State(web): State<Web>,
    MayAsk(client): MayAsk,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let asked: ListmonkRequest = match api::media_type(&headers).as_deref() {
        Some("application/x-www-form-urlencoded") => {
            let mut asked = ListmonkRequest::default();
            for (key, value) in url::form_urlencoded::parse(&body) {
                match &*key {
                    "email" => asked.email = value.into_owned(),
                    "name" => asked.name = value.into_owned(),
                    _ => {}
                }
            }
            asked
        }
        _ => read(&body)?,
    };
    let wish = Wish {
        email: &asked.email,
        field: "email",
        name: &asked.name,
        source: "listmonk api",
    };
    sign_up(&web, client, wish).await?;
    Ok(Json(json!({ "data": { "has_optin": true } })).into_response())
}

async fn buttondown(
    State(web): State<Web>,
    MayAsk(client): MayAsk,
    body: Bytes,
) -> Result<Response, Problem> {
    let asked: ButtondownRequest = read(&body)?;
    let (email, field) = match asked.email_address.is_empty() {
        true => (asked.email, "email"),
        false => (asked.email_address, "email_address"),
    };
    let wish = Wish {
        email: &email,
        field,
        name: "",
        source: "buttondown api",
    };
    sign_up(&web, client, wish).await?;
    let body = json!({ "email_address": email, "type": "unactivated" });
    Ok((StatusCode::CREATED, Json(body)).into_response())
}
