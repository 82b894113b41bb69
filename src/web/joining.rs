//! Joining: the form, and the button in the mail.

use std::net::IpAddr;

use axum::Json;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::Html;
use axum::response::IntoResponse;
use axum::response::Redirect;
use axum::response::Response;
use axum::routing::get;
use axum::routing::post;
use serde::Deserialize;

use super::Web;
use super::answer::Page;
use super::answer::Problem;
use super::answer::wants_json;
use super::embedding;
use super::embedding::FormOrigin;
use super::guard::MayAsk;
use super::guard::PathSegment;
use super::pages::front_with;
use crate::app::subscribing::sign_up::ConfirmLink;
use crate::app::subscribing::sign_up::Origin;
use crate::domain::actor::Actor;
use crate::domain::address::EmailAddress;
use crate::domain::subscriber::timezone;
use crate::render::page;
use crate::render::page::SignUpForm;
use crate::storage::subscribers::SignedUp;

/// The longest name that is kept, in characters.
const LONGEST_NAME: usize = 100;

pub(super) fn routes(origins: &[String]) -> Router<Web> {
    // Browsers ask with OPTIONS what a page of another site may do; the layer answers.
    let subscribe = post(subscribe)
        .get(to_form)
        .options(async || StatusCode::NO_CONTENT)
        .layer(embedding::permissions(origins));
    Router::new()
        .route("/subscribe", subscribe)
        .route("/check-inbox", get(check_inbox))
}

/// Those behind a token.
pub(super) fn private_routes() -> Router<Web> {
    Router::new().route("/confirm/{token}", get(show_confirmation).post(confirm))
}

/// Fields of a sign-up, typed or sent by a program. `website` is a field that people do not see: what fills it in is no person.
#[derive(Debug, Default, Deserialize)]
#[serde(default, expecting = "an object")]
struct SignUpRequest {
    email: String,
    name: String,
    timezone: String,
    website: String,
}

/// A refused form's answer stays in the address bar, and is asked for again by a reload.
async fn to_form() -> Redirect {
    Redirect::to("/#sign-up")
}

async fn subscribe(
    State(web): State<Web>,
    MayAsk(client): MayAsk,
    standing: FormOrigin,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let json = wants_json(&headers);
    let body = body.map_err(|rejection| too_large(&rejection))?;
    let asked = read(&headers, &body)?;
    if standing == FormOrigin::Unknown {
        let sentence = "The form that you used stands on a site that we do not know. Sign up with this one instead.";
        return if json {
            Err(Problem::new(
                StatusCode::FORBIDDEN,
                "Not from there",
                sentence,
            ))
        } else {
            form_again(&web, StatusCode::FORBIDDEN, &asked.email, sentence).await
        };
    }
    if !asked.website.is_empty() {
        return Ok(check_your_inbox(json));
    }
    let email = match EmailAddress::parse_new(asked.email.trim()) {
        Ok(email) => email,
        Err(error) if json => {
            return Err(Problem::invalid_field(
                "Not an address",
                "email",
                error.to_string(),
            ));
        }
        Err(error) => {
            return form_again(
                &web,
                StatusCode::UNPROCESSABLE_ENTITY,
                &asked.email,
                &error.to_string(),
            )
            .await;
        }
    };
    let shown = page::consent_sentence(&web.app.site);
    let source = standing.source(if json { "api" } else { "web form" });
    let name = asked.name.trim();
    let name = (!name.is_empty()
        && name.chars().count() <= LONGEST_NAME
        && !name.chars().any(char::is_control))
    .then_some(name);
    let origin = Origin {
        source: &source,
        shown: &shown,
        timezone: timezone(&asked.timezone),
        client: Some(client),
        is_quiet: false,
    };
    match web
        .app
        .sign_up(&Actor::reader(), &email, name, origin)
        .await?
    {
        SignedUp::TooMany(wait) => Err(Problem::too_many(
            "sign-ups",
            wait.to_std().unwrap_or_default(),
        )),
        _ => Ok(check_your_inbox(json)),
    }
}

/// Sign-up that another service's call asks for.
pub(super) struct Wish<'a> {
    /// Address as it was sent.
    pub email: &'a str,
    /// Field that it was sent in.
    pub field: &'static str,
    /// Name; one that cannot be kept is left out.
    pub name: &'a str,
    /// Source for the consent record.
    pub source: &'a str,
}

/// Signs somebody up who asks by a program that was written for another service. Whatever comes of it, the caller answers alike.
pub(super) async fn sign_up(web: &Web, client: IpAddr, wish: Wish<'_>) -> Result<(), Problem> {
    let email = EmailAddress::parse_new(wish.email.trim())
        .map_err(|error| Problem::invalid_field("Not an address", wish.field, error.to_string()))?;
    let shown = page::consent_sentence(&web.app.site);
    let name = wish.name.trim();
    let is_name = !name.is_empty()
        && name.chars().count() <= LONGEST_NAME
        && !name.chars().any(char::is_control);
    let origin = Origin {
        source: wish.source,
        shown: &shown,
        timezone: None,
        client: Some(client),
        is_quiet: false,
    };
    let signed_up = web
        .app
        .sign_up(&Actor::reader(), &email, is_name.then_some(name), origin)
        .await?;
    match signed_up {
        SignedUp::TooMany(wait) => Err(Problem::too_many(
            "sign-ups",
            wait.to_std().unwrap_or_default(),
        )),
        _ => Ok(()),
    }
}

/// Our own form with what was typed, and what is wrong.
async fn form_again(
    web: &Web,
    status: StatusCode,
    email: &str,
    problem: &str,
) -> Result<Response, Problem> {
    let page = front_with(
        web,
        &SignUpForm {
            email,
            problem: Some(problem),
        },
    )
    .await?;
    Ok((status, [(header::CACHE_CONTROL, "no-store")], page).into_response())
}

/// The one answer to any valid address, known, new or suppressed.
fn check_your_inbox(json: bool) -> Response {
    match json {
        true => (
            StatusCode::ACCEPTED,
            Json(serde_json::json!({ "status": "check_inbox" })),
        )
            .into_response(),
        false => Redirect::to("/check-inbox").into_response(),
    }
}

fn read(headers: &HeaderMap, body: &[u8]) -> Result<SignUpRequest, Problem> {
    let kind = headers
        .get(header::CONTENT_TYPE)
        .map_or("", |value| value.to_str().unwrap_or("not readable"));
    let kind = kind
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    match kind.as_str() {
        "application/json" => read_object(body).map_err(|error| {
            let sentence = format!("That is not the JSON expected here ({error}); send {{\"email\": \"ada@example.org\"}}.");
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "Not understood", sentence)
        }),
        "" | "application/x-www-form-urlencoded" => {
            let mut asked = SignUpRequest::default();
            for (key, value) in url::form_urlencoded::parse(body) {
                match &*key {
                    "email" => asked.email = value.into_owned(),
                    "name" => asked.name = value.into_owned(),
                    "timezone" => asked.timezone = value.into_owned(),
                    "website" => asked.website = value.into_owned(),
                    _ => {}
                }
            }
            Ok(asked)
        }
        _ => Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "Not understood", "Send a form (urlencoded) or JSON.")),
    }
}

/// Reads an object, and nothing but an object: serde fills a struct from an array too, by position.
fn read_object(body: &[u8]) -> serde_json::Result<SignUpRequest> {
    if body.trim_ascii_start().first() == Some(&b'[') {
        return Err(serde::de::Error::custom(
            "a list where an object is expected",
        ));
    }
    serde_json::from_slice(body)
}

fn too_large(rejection: &BytesRejection) -> Problem {
    match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "Too large",
            "That is more than a sign-up needs. Send just the address.",
        ),
        status => Problem::new(
            status,
            "Not understood",
            "The request broke off. Try again.",
        ),
    }
}

async fn check_inbox(State(web): State<Web>) -> Page {
    let later = web.app.mail_is_held().await?;
    Ok(Html(page::check_inbox(
        &web.app.site,
        &web.app.quiet_in_words(),
        later.as_deref(),
    )?))
}

/// Shows the button and changes nothing: scanners follow links.
async fn show_confirmation(
    State(web): State<Web>,
    PathSegment(token): PathSegment,
) -> Result<Response, Problem> {
    answer(
        &web,
        web.app.look_at_confirm_link(&token),
        page::confirm(&web.app.site, &token)?,
    )
}

async fn confirm(
    State(web): State<Web>,
    PathSegment(token): PathSegment,
) -> Result<Response, Problem> {
    answer(
        &web,
        web.app.confirm(&token).await?,
        page::confirmed(&web.app.site)?,
    )
}

fn answer(web: &Web, link: ConfirmLink, good: String) -> Result<Response, Problem> {
    Ok(match link {
        ConfirmLink::Good => Html(good).into_response(),
        ConfirmLink::Over => {
            let form = SignUpForm {
                email: "",
                problem: None,
            };
            (
                StatusCode::GONE,
                Html(page::link_expired(&web.app.site, &form)?),
            )
                .into_response()
        }
        ConfirmLink::Forged => Problem::bad_link().into_response(),
    })
}
