//! Webhook endpoints, for owners: the list, one endpoint with its log, one event of it, tests, secrets, replays.

mod pages;

use axum::extract::FromRequestParts;
use axum::extract::Path;
use axum::extract::Query;
use axum::extract::State;
use axum::extract::rejection::QueryRejection;
use axum::http::request::Parts;
use axum::response::Html;
use axum::response::Response;
use serde::Deserialize;

use crate::app::Failure;
use crate::app::FailureKind;
use crate::app::webhooks_out::ReplayRange;
use crate::app::webhooks_out::TypedEndpoint;
use crate::app::webhooks_out::views::WebhookAttemptView;
use crate::domain::Timestamp;
use crate::domain::to_millis;
use crate::domain::user::AccessLevel;
use crate::domain::user::Area;
use crate::domain::webhook_endpoint::WebhookEndpoint;
use crate::render::desk;
use crate::render::desk::EndpointAttemptLine;
use crate::render::desk::EndpointEventView;
use crate::web::Web;
use crate::web::answer::Page;
use crate::web::answer::Problem;
use crate::web::choices::FormFields;
use crate::web::desk::access::Demand;
use crate::web::desk::access::Me;
use crate::web::desk::access::Route;
use crate::web::desk::answers;
use crate::web::guard::PathSegment;
use pages::ShownEndpoint;
use pages::endpoint_page;
use pages::form;
use pages::list_page;
use pages::mood;
use pages::path;
use pages::question;
use pages::secret_page;

const HERE: &str = "/desk/webhooks";

/// The routes, each with what it demands: whoever makes, changes or removes an endpoint, or sees a secret, has signed in not long ago.
pub(super) fn table() -> Vec<Route> {
    let owner = Demand::level(Area::Settings, AccessLevel::Write);
    let recent = Demand::recent(Area::Settings, AccessLevel::Write);
    vec![
        Route::get(HERE, owner, list),
        Route::post(HERE, recent, add),
        Route::get("/desk/webhooks/{name}", owner, show),
        Route::post("/desk/webhooks/{name}", recent, change),
        Route::get("/desk/webhooks/{name}/rotate", owner, look_at_rotation),
        Route::post("/desk/webhooks/{name}/rotate", recent, rotate),
        Route::get("/desk/webhooks/{name}/remove", owner, look_at_removal),
        Route::post("/desk/webhooks/{name}/remove", recent, remove),
        Route::post("/desk/webhooks/{name}/test", owner, test),
        Route::post("/desk/webhooks/{name}/enable", owner, enable),
        Route::post("/desk/webhooks/{name}/disable", owner, disable),
        Route::post("/desk/webhooks/{name}/replay", owner, replay),
        Route::get("/desk/webhooks/{name}/events/{event}", owner, event),
        Route::post(
            "/desk/webhooks/{name}/events/{event}/replay",
            owner,
            replay_event,
        ),
    ]
}

/// An endpoint as its form sends it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct EndpointFields {
    name: String,
    url: String,
    kinds: String,
    ordered: Option<String>,
    personal: Option<String>,
    ed25519: Option<String>,
}

impl EndpointFields {
    fn typed(self) -> TypedEndpoint {
        TypedEndpoint {
            name: self.name,
            url: self.url,
            kinds: self
                .kinds
                .split([' ', ',', '\t'])
                .filter(|kind| !kind.is_empty())
                .map(str::to_owned)
                .collect(),
            ordered: self.ordered.is_some(),
            personal: self.personal.is_some(),
            ed25519: self.ed25519.is_some(),
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct LogQuery {
    /// State of the log's events, none for all.
    state: Option<String>,
    /// Place from which it goes on.
    before: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RangeFields {
    from: String,
    to: String,
}

/// The field at fault and the fault, of a failure that lies with the input.
fn fault(failure: Failure) -> Result<(String, String), Problem> {
    let field = match failure.kind() {
        FailureKind::Invalid(faults) => faults.first().map(|fault| fault.field.to_string()),
        _ => None,
    };
    let words = answers::refusal(failure)?;
    Ok((field.unwrap_or_default(), words))
}

async fn list(State(web): State<Web>, Me(who): Me) -> Page {
    Ok(Html(
        list_page(&web, &who, TypedEndpoint::default(), None).await?,
    ))
}

async fn add(
    State(web): State<Web>,
    Me(who): Me,
    FormFields(asked): FormFields<EndpointFields>,
) -> Result<Response, Problem> {
    let typed = asked.typed();
    match web
        .app
        .add_webhook_endpoint(&web.app.actor_of(&who), &typed)
        .await
    {
        Ok(made) => secret_page(&web, &who, &made),
        Err(failure) => {
            let page = list_page(&web, &who, typed, Some(fault(failure)?)).await?;
            Ok(answers::refused(page))
        }
    }
}

/// The endpoint that the path names.
struct NamedEndpoint(WebhookEndpoint);

impl FromRequestParts<Web> for NamedEndpoint {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, web: &Web) -> Result<Self, Problem> {
        let PathSegment(name) = PathSegment::from_request_parts(parts, web).await?;
        Ok(Self(web.app.webhook_endpoint(&name).await?))
    }
}

async fn show(
    State(web): State<Web>,
    Me(who): Me,
    NamedEndpoint(endpoint): NamedEndpoint,
    asked: Result<Query<LogQuery>, QueryRejection>,
) -> Page {
    let typed = TypedEndpoint::from(&endpoint.draft);
    let page = ShownEndpoint {
        asked: asked.map(|Query(asked)| asked).unwrap_or_default(),
        ..ShownEndpoint::with(form(path(&web, &endpoint), "Save", typed, None))
    };
    Ok(Html(endpoint_page(&web, &who, &endpoint, page).await?))
}

async fn change(
    State(web): State<Web>,
    Me(who): Me,
    NamedEndpoint(endpoint): NamedEndpoint,
    FormFields(asked): FormFields<EndpointFields>,
) -> Result<Response, Problem> {
    let typed = asked.typed();
    let by = web.app.actor_of(&who);
    let here = path(&web, &endpoint);
    match web
        .app
        .change_webhook_endpoint(&by, &endpoint, &typed)
        .await
    {
        Ok(_) => answers::done(&web, &who, "The endpoint is changed.", &here).await,
        Err(failure) => {
            let page = ShownEndpoint::with(form(here, "Save", typed, Some(fault(failure)?)));
            Ok(answers::refused(
                endpoint_page(&web, &who, &endpoint, page).await?,
            ))
        }
    }
}

async fn look_at_rotation(
    State(web): State<Web>,
    Me(who): Me,
    NamedEndpoint(endpoint): NamedEndpoint,
) -> Page {
    let sentence = "The secret of before signs beside it for 24 hours, so that nothing is lost while the endpoint changes over.";
    question(
        &web,
        &who,
        &endpoint,
        ("Make another secret for", sentence, "rotate", "Make it"),
    )
}

async fn look_at_removal(
    State(web): State<Web>,
    Me(who): Me,
    NamedEndpoint(endpoint): NamedEndpoint,
) -> Page {
    let sentence = "It gets nothing more, and the log of what was sent to it goes with it.";
    question(
        &web,
        &who,
        &endpoint,
        ("Remove", sentence, "remove", "Remove it"),
    )
}

async fn rotate(
    State(web): State<Web>,
    Me(who): Me,
    NamedEndpoint(endpoint): NamedEndpoint,
) -> Result<Response, Problem> {
    let made = web
        .app
        .rotate_webhook_secret(&web.app.actor_of(&who), &endpoint)
        .await?;
    secret_page(&web, &who, &made)
}

async fn remove(
    State(web): State<Web>,
    Me(who): Me,
    NamedEndpoint(endpoint): NamedEndpoint,
) -> Result<Response, Problem> {
    web.app
        .remove_webhook_endpoint(&web.app.actor_of(&who), &endpoint)
        .await?;
    answers::done(&web, &who, "The endpoint is removed.", HERE).await
}

async fn test(
    State(web): State<Web>,
    Me(who): Me,
    NamedEndpoint(endpoint): NamedEndpoint,
) -> Result<Response, Problem> {
    let attempt = web
        .app
        .test_webhook(&web.app.actor_of(&who), &endpoint)
        .await?;
    let place = format!("{}/events/{}", path(&web, &endpoint), attempt.event);
    let view = WebhookAttemptView::from(attempt);
    let said = match view.is_success() {
        true => format!("The endpoint took the test: {}.", view.result()),
        false => format!("The endpoint did not take the test: {}.", view.result()),
    };
    answers::done(&web, &who, &said, &place).await
}

async fn enable(
    State(web): State<Web>,
    Me(who): Me,
    NamedEndpoint(endpoint): NamedEndpoint,
) -> Result<Response, Problem> {
    web.app
        .enable_webhook_endpoint(&web.app.actor_of(&who), &endpoint)
        .await?;
    let said = "The endpoint is enabled. What happened meanwhile can be sent to it below.";
    answers::done(&web, &who, said, &path(&web, &endpoint)).await
}

async fn disable(
    State(web): State<Web>,
    Me(who): Me,
    NamedEndpoint(endpoint): NamedEndpoint,
) -> Result<Response, Problem> {
    web.app
        .disable_webhook_endpoint(&web.app.actor_of(&who), &endpoint)
        .await?;
    answers::done(
        &web,
        &who,
        "The endpoint is disabled.",
        &path(&web, &endpoint),
    )
    .await
}

async fn replay(
    State(web): State<Web>,
    Me(who): Me,
    NamedEndpoint(endpoint): NamedEndpoint,
    FormFields(asked): FormFields<RangeFields>,
) -> Result<Response, Problem> {
    let read = |text: &str| -> Option<Timestamp> { text.trim().parse().ok().map(to_millis) };
    let to = match asked.to.trim() {
        "" => Some(web.app.now()),
        text => read(text),
    };
    let queued = match read(&asked.from).zip(to) {
        Some((from, to)) => {
            let range = ReplayRange::Between(from, to);
            let by = web.app.actor_of(&who);
            match web.app.replay_webhooks(&by, &endpoint, &range).await {
                Ok(queued) => Ok(queued),
                Err(failure) => Err(answers::refusal(failure)?),
            }
        }
        None => Err("Expected times like 2026-11-24T09:00:00Z.".into()),
    };
    let here = path(&web, &endpoint);
    match queued {
        Ok(queued) => {
            let said = format!("{queued} events are queued to be sent again.");
            answers::done(&web, &who, &said, &here).await
        }
        Err(words) => {
            let typed = TypedEndpoint::from(&endpoint.draft);
            let page = ShownEndpoint {
                range: (asked.from, asked.to, Some(words)),
                ..ShownEndpoint::with(form(here, "Save", typed, None))
            };
            Ok(answers::refused(
                endpoint_page(&web, &who, &endpoint, page).await?,
            ))
        }
    }
}

/// The two open parts of the path.
struct EventPath(String, String);

impl FromRequestParts<Web> for EventPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, web: &Web) -> Result<Self, Problem> {
        let path = Path::<(String, String)>::from_request_parts(parts, web).await;
        path.map(|Path((name, event))| Self(name, event))
            .map_err(|_| Problem::not_found())
    }
}

async fn event(State(web): State<Web>, Me(who): Me, EventPath(name, event): EventPath) -> Page {
    let endpoint = web.app.webhook_endpoint(&name).await?;
    let detail = web.app.webhook_delivery(&endpoint, &event).await?;
    let here = path(&web, &endpoint);
    let attempts = detail
        .attempts
        .into_iter()
        .map(|attempt| EndpointAttemptLine {
            at: answers::format_time(&web, attempt.at),
            result: attempt.result(),
            is_success: attempt.is_success(),
            millis: format!("{} ms", attempt.millis),
            replayed_by: attempt.replayed_by,
            answer: attempt.answer.filter(|answer| !answer.is_empty()),
        });
    let row = detail.delivery;
    let view = EndpointEventView {
        path: format!("{here}/events/{}", row.event),
        endpoint_path: here,
        endpoint: endpoint.draft.name.clone(),
        kind: row.kind.as_str(),
        state: row.state,
        mood: mood(row.state),
        at: answers::format_time(&web, row.at),
        body: detail.body,
        attempts: attempts.collect(),
        event: row.event,
    };
    let frame = answers::frame(&web, &who, "An event", HERE);
    Ok(Html(desk::webhook_event(frame, view)?))
}

async fn replay_event(
    State(web): State<Web>,
    Me(who): Me,
    EventPath(name, event): EventPath,
) -> Result<Response, Problem> {
    let endpoint = web.app.webhook_endpoint(&name).await?;
    let by = web.app.actor_of(&who);
    let here = format!("{}/events/{event}", path(&web, &endpoint));
    web.app
        .replay_webhooks(&by, &endpoint, &ReplayRange::One(event))
        .await?;
    answers::done(&web, &who, "It is queued to be sent again.", &here).await
}
