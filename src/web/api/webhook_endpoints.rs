//! Webhook endpoints: addresses that are told what happened, and the log of what was sent to them.

use axum::extract::FromRequestParts;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::Uri;
use axum::http::request::Parts;
use axum::response::Response;

use super::super::Web;
use super::super::answer::Problem;
use super::super::guard::PathSegment;
use super::super::guard::TwoSegments;
use super::access::Caller;
use super::answers;
use super::answers::Page;
use super::extract::Body;
use super::extract::NoParameters;
use super::extract::Patch;
use super::extract::Query;
use super::idempotency::KeptInstead;
use super::operation::Need;
use super::operation::Operation;
use super::patterns;
use super::webhook_shapes::DeliveriesQuery;
use super::webhook_shapes::NewWebhookEndpoint;
use super::webhook_shapes::ReplayRequest;
use super::webhook_shapes::Replayed;
use super::webhook_shapes::WebhookAttemptItem;
use super::webhook_shapes::WebhookDelivery;
use super::webhook_shapes::WebhookDeliveryItem;
use super::webhook_shapes::WebhookEndpointItem;
use super::webhook_shapes::WebhookEndpointPatch;
use super::webhook_shapes::WebhookEndpointWithSecret;
use super::webhook_shapes::WebhookTest;
use super::webhook_shapes::view;
use crate::app::Failure;
use crate::app::FailureKind;
use crate::app::webhooks_out::ReplayRange;
use crate::app::webhooks_out::TypedEndpoint;
use crate::app::webhooks_out::views::WebhookAttemptView;
use crate::domain::actor::Actor;
use crate::domain::api_token::Scope;
use crate::domain::secret::Secret;
use crate::domain::webhook_endpoint::WebhookDeliveryState;
use crate::domain::webhook_endpoint::WebhookEndpoint as Kept;

/// Operations of this file.
pub fn operations() -> Vec<Operation> {
    let read = Need::Scope(Scope::WebhooksRead);
    let write = Scope::WebhooksWrite;
    vec![
        Operation::get("/webhook-endpoints", read, list)
            .named("listWebhookEndpoints", "List webhook endpoints")
            .asks::<NoParameters>()
            .pages::<WebhookEndpointItem>("All endpoints. Their secrets are in no answer but those that make one."),
        Operation::post("/webhook-endpoints", write, create)
            .named("createWebhookEndpoint", "Add a webhook endpoint")
            .explained("The secret is shown this once. A repeat under the same Idempotency-Key shows none: rotate it then.")
            .asks::<NoParameters>()
            .takes::<NewWebhookEndpoint>()
            .answers::<WebhookEndpointWithSecret>(201, "The endpoint, with its secret.")
            .with_header("Location", "Address of the endpoint.")
            .problems(&[409]),
        Operation::get("/webhook-endpoints/{id}", read, show)
            .named("getWebhookEndpoint", "Show a webhook endpoint")
            .asks::<NoParameters>()
            .answers::<WebhookEndpointItem>(200, "The endpoint.")
            .with_header("ETag", "Version of the endpoint."),
        Operation::patch("/webhook-endpoints/{id}", write, change)
            .named("patchWebhookEndpoint", "Change a part of a webhook endpoint")
            .explained("A merge patch (RFC 7396). If-Match holds it to the version that was read.")
            .asks::<NoParameters>()
            .merges::<WebhookEndpointPatch>()
            .answers::<WebhookEndpointItem>(200, "The endpoint.")
            .with_header("ETag", "Version of the endpoint.")
            .problems(&[409, 412]),
        Operation::delete("/webhook-endpoints/{id}", write, remove)
            .named("deleteWebhookEndpoint", "Remove a webhook endpoint and its log")
            .asks::<NoParameters>()
            .answers_nothing(204, "It is removed."),
        Operation::post("/webhook-endpoints/{id}/test", write, test)
            .named("testWebhookEndpoint", "Send a test to a webhook endpoint now")
            .asks::<NoParameters>()
            .answers::<WebhookTest>(200, "The attempt, whether the endpoint took it or not."),
        Operation::post("/webhook-endpoints/{id}/rotate", write, rotate)
            .named("rotateWebhookSecret", "Give a webhook endpoint another secret")
            .explained("The one of before signs beside it for 24 hours. A repeat under the same Idempotency-Key shows no secret.")
            .asks::<NoParameters>()
            .answers::<WebhookEndpointWithSecret>(200, "The endpoint, with its new secret."),
        Operation::post("/webhook-endpoints/{id}/enable", write, enable)
            .named("enableWebhookEndpoint", "Send events to a disabled webhook endpoint again")
            .asks::<NoParameters>()
            .answers::<WebhookEndpointItem>(200, "The endpoint."),
        Operation::get("/webhook-endpoints/{id}/deliveries", read, deliveries)
            .named("listWebhookDeliveries", "List what was sent to a webhook endpoint, newest events first")
            .asks::<DeliveriesQuery>()
            .pages::<WebhookDelivery>("Events on their way, or at their end."),
        Operation::get("/webhook-endpoints/{id}/deliveries/{event}", read, delivery)
            .named("getWebhookDelivery", "Show the body and each answer of one event")
            .asks::<NoParameters>()
            .answers::<WebhookDeliveryItem>(200, "The event, its body, and the attempts, newest first."),
        Operation::post("/webhook-endpoints/{id}/replay", write, replay)
            .named("replayWebhooks", "Send events to a webhook endpoint once more")
            .explained("One by its id, or all of a stretch of time that the endpoint takes, up to 10,000; also while it is disabled.")
            .asks::<NoParameters>()
            .takes::<ReplayRequest>()
            .answers::<Replayed>(202, "They are queued.")
            .problems(&[409]),
    ]
}

/// An endpoint by its id; a name is none here.
async fn known(web: &Web, id: &str) -> Result<Kept, Problem> {
    match web.app.webhook_endpoint_by_id(id).await? {
        Some(endpoint) => Ok(endpoint),
        None => Err(Failure::not_found(format!("There is no webhook endpoint {id}.")).into()),
    }
}

/// An endpoint that exists, and who acts on it: a request without a query.
struct EndpointAct {
    actor: Actor,
    endpoint: Kept,
}

impl FromRequestParts<Web> for EndpointAct {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, web: &Web) -> Result<Self, Problem> {
        let Caller(bearer) = Caller::from_request_parts(parts, web).await?;
        let PathSegment(id) = PathSegment::from_request_parts(parts, web).await?;
        let Query(NoParameters {}) = Query::from_request_parts(parts, web).await?;
        Ok(Self {
            actor: bearer.actor(),
            endpoint: known(web, &id).await?,
        })
    }
}

fn shown(web: &Web, endpoint: &Kept) -> Result<Response, Problem> {
    let view = view(web, endpoint);
    Ok(answers::with_etag(
        &answers::etag(&view),
        answers::ok(&view)?,
    ))
}

/// An endpoint with its secret; what is kept for a repeat of the request is the same without.
fn with_secret(
    web: &Web,
    status: StatusCode,
    (endpoint, secret): &(Kept, Secret),
) -> Result<Response, Problem> {
    let shown = |secret: Option<&str>| WebhookEndpointWithSecret {
        endpoint: view(web, endpoint),
        secret: secret.map(str::to_owned),
    };
    let mut response = answers::json(status, &shown(Some(secret.expose())))?;
    let kept = serde_json::to_vec(&shown(None)).unwrap_or_default();
    response.extensions_mut().insert(KeptInstead(kept));
    Ok(response)
}

async fn list(
    State(web): State<Web>,
    Query(NoParameters {}): Query<NoParameters>,
    uri: Uri,
) -> Result<Response, Problem> {
    let all = web
        .app
        .storage
        .webhook_endpoints()
        .await
        .map_err(Failure::from)?;
    let rows = all.iter().map(|endpoint| view(&web, endpoint));
    Ok(Page::whole(rows.collect()).answer(&uri))
}

async fn create(
    State(web): State<Web>,
    Caller(bearer): Caller,
    Query(NoParameters {}): Query<NoParameters>,
    Body(new): Body<NewWebhookEndpoint>,
) -> Result<Response, Problem> {
    let typed = TypedEndpoint {
        name: new.name,
        url: new.url,
        kinds: new.kinds.into_iter().map(|kind| kind.0).collect(),
        ordered: new.ordered.unwrap_or_default(),
        personal: new.personal.unwrap_or_default(),
        ed25519: new.ed25519.unwrap_or_default(),
    };
    let made = web.app.add_webhook_endpoint(&bearer.actor(), &typed).await;
    let made = made.map_err(by_rule)?;
    let path = format!("/webhook-endpoints/{}", web.app.webhook_name(made.0.id));
    answers::with_location(&path, with_secret(&web, StatusCode::CREATED, &made)?)
}

async fn show(
    State(web): State<Web>,
    PathSegment(id): PathSegment,
    Query(NoParameters {}): Query<NoParameters>,
) -> Result<Response, Problem> {
    shown(&web, &known(&web, &id).await?)
}

async fn change(
    State(web): State<Web>,
    Caller(bearer): Caller,
    PathSegment(id): PathSegment,
    Query(NoParameters {}): Query<NoParameters>,
    headers: axum::http::HeaderMap,
    patch: Patch<WebhookEndpointPatch>,
) -> Result<Response, Problem> {
    let endpoint = known(&web, &id).await?;
    answers::check_match(&headers, &answers::etag(&view(&web, &endpoint)), false)?;
    let (given, by) = (patch.read()?, bearer.actor());
    let before = TypedEndpoint::from(&endpoint.draft);
    let typed = TypedEndpoint {
        name: given.name.unwrap_or_else(|| before.name.clone()),
        url: given.url.unwrap_or_else(|| before.url.clone()),
        kinds: match given.kinds {
            Some(kinds) => kinds.into_iter().map(|kind| kind.0).collect(),
            None => before.kinds.clone(),
        },
        ordered: given.ordered.unwrap_or(before.ordered),
        personal: given.personal.unwrap_or(before.personal),
        ed25519: given.ed25519.unwrap_or(before.ed25519),
    };
    if typed != before {
        let changed = web
            .app
            .change_webhook_endpoint(&by, &endpoint, &typed)
            .await;
        changed.map_err(by_rule)?;
    }
    match given.enabled {
        Some(true) => web.app.enable_webhook_endpoint(&by, &endpoint).await?,
        Some(false) => web.app.disable_webhook_endpoint(&by, &endpoint).await?,
        None => false,
    };
    shown(&web, &known(&web, &id).await?)
}

async fn remove(State(web): State<Web>, act: EndpointAct) -> Result<Response, Problem> {
    web.app
        .remove_webhook_endpoint(&act.actor, &act.endpoint)
        .await?;
    Ok(answers::nothing())
}

async fn test(State(web): State<Web>, act: EndpointAct) -> Result<Response, Problem> {
    let attempt = web.app.test_webhook(&act.actor, &act.endpoint).await?;
    let event = attempt.event.clone();
    let view = WebhookAttemptView::from(attempt);
    answers::ok(&WebhookTest {
        event,
        taken: view.is_success(),
        attempt: view.into(),
    })
}

async fn rotate(State(web): State<Web>, act: EndpointAct) -> Result<Response, Problem> {
    let made = web
        .app
        .rotate_webhook_secret(&act.actor, &act.endpoint)
        .await?;
    with_secret(&web, StatusCode::OK, &made)
}

async fn enable(State(web): State<Web>, act: EndpointAct) -> Result<Response, Problem> {
    web.app
        .enable_webhook_endpoint(&act.actor, &act.endpoint)
        .await?;
    let enabled = web.app.storage.webhook_endpoint(act.endpoint.id).await?;
    shown(&web, &enabled.ok_or_else(Problem::not_found)?)
}

async fn deliveries(
    State(web): State<Web>,
    PathSegment(id): PathSegment,
    Query(asked): Query<DeliveriesQuery>,
    uri: Uri,
) -> Result<Response, Problem> {
    let endpoint = known(&web, &id).await?;
    let state = asked.state.map(WebhookDeliveryState::from);
    let before = place(&web, asked.after.as_deref())?;
    let limit = answers::limit(asked.limit);
    let (log, older) = web.app.webhook_log(&endpoint, state, before, limit).await?;
    Ok(Page {
        rows: log.into_iter().map(WebhookDelivery::from).collect(),
        next: older.map(|seq| web.app.event_place(seq)),
        count: None,
    }
    .answer(&uri))
}

/// An address that is well formed and may not be asked, by the settings of this installation, is a conflict with them.
fn by_rule(failure: Failure) -> Failure {
    match failure.kind() {
        FailureKind::Invalid(_) => Failure::conflict(failure.to_string()),
        _ => failure,
    }
}

/// Place in the order of events, as a page named it.
pub fn place(web: &Web, after: Option<&str>) -> Result<Option<i64>, Problem> {
    match answers::place(after)? {
        None => Ok(None),
        Some(name) => match web.app.event_placed(&name) {
            Some(seq) => Ok(Some(seq)),
            None => Err(answers::no_place()),
        },
    }
}

async fn delivery(
    State(web): State<Web>,
    TwoSegments(id, event): TwoSegments,
    Query(NoParameters {}): Query<NoParameters>,
) -> Result<Response, Problem> {
    let endpoint = known(&web, &id).await?;
    let detail = web.app.webhook_delivery(&endpoint, &event).await?;
    answers::ok(&WebhookDeliveryItem {
        delivery: detail.delivery.into(),
        body: detail.body,
        attempts: detail
            .attempts
            .into_iter()
            .map(WebhookAttemptItem::from)
            .collect(),
    })
}

async fn replay(
    State(web): State<Web>,
    act: EndpointAct,
    Body(asked): Body<ReplayRequest>,
) -> Result<Response, Problem> {
    let time = |text: Option<&str>| text.and_then(patterns::timestamp);
    let range = match (
        asked.event,
        time(asked.from.as_deref()),
        time(asked.to.as_deref()),
    ) {
        (Some(event), None, None) => ReplayRange::One(event),
        (None, Some(from), to) => ReplayRange::Between(from, to.unwrap_or_else(|| web.app.now())),
        _ => {
            let words =
                "Give either the id of an event, or a stretch of time that begins with \"from\".";
            return Err(Failure::conflict(words).into());
        }
    };
    let queued = web
        .app
        .replay_webhooks(&act.actor, &act.endpoint, &range)
        .await?;
    let queued = i64::try_from(queued).unwrap_or(i64::MAX);
    answers::json(StatusCode::ACCEPTED, &Replayed { queued })
}
