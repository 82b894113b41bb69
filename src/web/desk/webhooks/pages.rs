//! Pages of webhook endpoints.

use axum::response::Html;
use axum::response::IntoResponse;
use axum::response::Response;

use super::HERE;
use super::LogQuery;
use crate::app::users::signing_in::SignedIn;
use crate::app::webhooks_out::TypedEndpoint;
use crate::app::webhooks_out::views::WebhookDeliveryView;
use crate::domain::event::EventKind;
use crate::domain::secret::Secret;
use crate::domain::webhook_endpoint::DisabledReason;
use crate::domain::webhook_endpoint::WebhookDeliveryState;
use crate::domain::webhook_endpoint::WebhookEndpoint;
use crate::render::desk;
use crate::render::desk::EndpointDeliveryLine;
use crate::render::desk::EndpointForm;
use crate::render::desk::EndpointLine;
use crate::render::desk::EndpointPageView;
use crate::render::desk::GateForm;
use crate::web::Web;
use crate::web::answer::Page;
use crate::web::answer::Problem;
use crate::web::desk::answers;

/// Events of the log on one page.
const LISTED: usize = 50;

fn kinds() -> Vec<&'static str> {
    EventKind::ALL.iter().map(|kind| kind.as_str()).collect()
}

pub(super) fn path(web: &Web, endpoint: &WebhookEndpoint) -> String {
    format!("{HERE}/{}", web.app.webhook_name(endpoint.id))
}

/// State in words, and as a class.
fn state(endpoint: &WebhookEndpoint) -> (String, &'static str) {
    match (endpoint.disabled, endpoint.failing_since) {
        (Some(_), _) => ("disabled".into(), "none"),
        (None, Some(_)) => ("failing".into(), "bad"),
        (None, None) => ("enabled".into(), "good"),
    }
}

pub(super) fn form(
    action: String,
    button: &'static str,
    typed: TypedEndpoint,
    problem: Option<(String, String)>,
) -> EndpointForm {
    EndpointForm {
        action,
        button,
        name: typed.name,
        url: typed.url,
        kinds: typed.kinds.join(" "),
        ordered: typed.ordered,
        personal: typed.personal,
        ed25519: typed.ed25519,
        problem,
    }
}

pub(super) async fn list_page(
    web: &Web,
    who: &SignedIn,
    typed: TypedEndpoint,
    problem: Option<(String, String)>,
) -> Result<String, Problem> {
    let endpoints = web.app.storage.webhook_endpoints().await?;
    let lines = endpoints.iter().map(|endpoint| {
        let (state, mood) = state(endpoint);
        let url = url::Url::parse(&endpoint.draft.url).ok();
        let kinds: Vec<&str> = endpoint
            .draft
            .kinds
            .iter()
            .map(|kind| kind.as_str())
            .collect();
        EndpointLine {
            path: path(web, endpoint),
            name: endpoint.draft.name.clone(),
            host: url
                .and_then(|url| Some(url.host_str()?.to_owned()))
                .unwrap_or_default(),
            kinds: kinds.join(", "),
            state,
            mood,
        }
    });
    let frame = answers::frame(web, who, "Webhooks", HERE);
    let form = form(HERE.into(), "Add it", typed, problem);
    Ok(desk::webhook_endpoints(
        frame,
        lines.collect(),
        form,
        kinds(),
    )?)
}

/// A secret is shown once, so that it is kept nowhere for a page after this one.
pub(super) fn secret_page(
    web: &Web,
    who: &SignedIn,
    (endpoint, secret): &(WebhookEndpoint, Secret),
) -> Result<Response, Problem> {
    let frame = answers::frame(web, who, "A secret", HERE);
    let named = (endpoint.draft.name.as_str(), path(web, endpoint));
    let key = web.app.webhook_public_key(endpoint);
    let page = desk::webhook_secret(frame, (named.0, &named.1), secret.expose(), key.as_deref())?;
    Ok(Html(page).into_response())
}

/// Content of an endpoint's page beside what is stored.
pub(super) struct ShownEndpoint {
    /// Part of the log.
    pub asked: LogQuery,
    pub form: EndpointForm,
    /// Stretch of time to send again, as it was typed, and what is wrong with it.
    pub range: (String, String, Option<String>),
}

impl ShownEndpoint {
    /// The whole log, that form, and no stretch of time.
    pub fn with(form: EndpointForm) -> Self {
        Self {
            asked: LogQuery::default(),
            form,
            range: (String::new(), String::new(), None),
        }
    }
}

pub(super) async fn endpoint_page(
    web: &Web,
    who: &SignedIn,
    endpoint: &WebhookEndpoint,
    shown: ShownEndpoint,
) -> Result<String, Problem> {
    let here = path(web, endpoint);
    let chosen: Option<WebhookDeliveryState> = shown
        .asked
        .state
        .as_deref()
        .and_then(|state| state.parse().ok());
    let before = shown.asked.before.as_deref();
    let before = before.and_then(|name| web.app.event_placed(name));
    let (log, older) = web
        .app
        .webhook_log(endpoint, chosen, before, LISTED)
        .await?;
    let states = WebhookDeliveryState::ALL.iter().copied();
    let next_page = older.map(|seq| {
        let state = chosen.map_or("", WebhookDeliveryState::as_str);
        format!("{here}?state={state}&before={}", web.app.event_place(seq))
    });
    let (state, mood) = state(endpoint);
    let view = EndpointPageView {
        name: endpoint.draft.name.clone(),
        state,
        mood,
        facts: facts(web, endpoint),
        trouble: trouble(web, endpoint),
        is_disabled: endpoint.disabled.is_some(),
        states: states
            .map(|state| (state.as_str(), chosen == Some(state)))
            .collect(),
        log: log.iter().map(|row| line(web, &here, row)).collect(),
        next_page,
        form: shown.form,
        range: shown.range,
        path: here,
    };
    let frame = answers::frame(web, who, "A webhook endpoint", HERE);
    Ok(desk::webhook_endpoint(frame, view, kinds())?)
}

fn facts(web: &Web, endpoint: &WebhookEndpoint) -> Vec<(&'static str, String)> {
    let view = web.app.webhook_view(endpoint);
    let yes = |is_so: bool| if is_so { "yes" } else { "no" }.to_owned();
    let mut facts = vec![
        ("Address", view.url),
        ("Events", view.kinds.join(", ")),
        ("In order", yes(view.ordered)),
        ("With addresses", yes(view.personal)),
        ("Made", answers::format_time(web, view.created_at)),
    ];
    if let Some(key) = view.public_key {
        facts.push(("Public key", key));
    }
    if let Some(until) = view.rotating_until {
        let until = answers::format_time(web, until);
        facts.push(("Secret of before", format!("signs too until {until}")));
    }
    facts
}

fn trouble(web: &Web, endpoint: &WebhookEndpoint) -> Option<String> {
    match (endpoint.disabled, endpoint.failing_since) {
        (Some((at, why)), _) => {
            let at = answers::format_time(web, at);
            Some(match why {
                DisabledReason::Gone => {
                    format!("Disabled {at}: it answered 410, which says that it wants no more.")
                }
                DisabledReason::Failing => {
                    format!("Disabled {at}: nothing reached it for five days.")
                }
                DisabledReason::Operator => format!("Disabled {at} by hand."),
            })
        }
        (None, Some(since)) => {
            let since = answers::format_time(web, since);
            Some(format!(
                "Nothing reached it since {since}. After five days it is disabled."
            ))
        }
        (None, None) => None,
    }
}

/// Class of a state.
pub(super) fn mood(state: &str) -> &'static str {
    match state {
        "sent" => "good",
        "failed" => "bad",
        "queued" => "wait",
        _ => "none",
    }
}

fn line(web: &Web, here: &str, row: &WebhookDeliveryView) -> EndpointDeliveryLine {
    EndpointDeliveryLine {
        path: format!("{here}/events/{}", row.event),
        at: answers::format_time(web, row.at),
        kind: row.kind.as_str(),
        state: row.state,
        mood: mood(row.state),
        attempts: row.attempts,
        next_at: row.next_at.map(|at| answers::format_time(web, at)),
    }
}

pub(super) fn question(
    web: &Web,
    who: &SignedIn,
    endpoint: &WebhookEndpoint,
    (asked, sentence, change, button): (&str, &str, &str, &str),
) -> Page {
    let here = path(web, endpoint);
    let heading = format!("{asked} {}?", endpoint.draft.name);
    let form = GateForm {
        heading: heading.clone(),
        sentences: vec![sentence.into()],
        action: format!("{here}/{change}"),
        button: button.into(),
        is_grave: change == "remove",
        link: Some((here, "No, back to the endpoint")),
        ..GateForm::default()
    };
    Ok(Html(desk::form(
        answers::frame(web, who, &heading, HERE),
        form,
    )?))
}
