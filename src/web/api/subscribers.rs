//! Subscribers: the list, one of them, and what is done with them.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::http::Uri;
use axum::response::Response;
use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use super::super::Web;
use super::super::answer::Problem;
use super::super::guard::PathSegment;
use super::access::Caller;
use super::answers;
use super::answers::Count;
use super::answers::Page;
use super::extract::Body;
use super::extract::NoParameters;
use super::extract::Patch;
use super::extract::Query;
use super::extract::invalid_at;
use super::idempotency::AnswerAbout;
use super::operation::Need;
use super::operation::Operation;
use super::patterns;
use super::subscriber_shapes::SubscriberDetailsShape;
use super::subscriber_shapes::SubscriberShape;
use super::subscriber_shapes::SubscriberState;
use crate::app::Failure;
use crate::app::subscribing::operator::SubscriberRecord;
use crate::app::tokens::TokenBearer;
use crate::domain::Timestamp;
use crate::domain::address::EmailAddress;
use crate::domain::api_token::Scope;
use crate::domain::subscriber_filter::SubscriberFilter;
use crate::storage::email_changes::EmailChangeRequested;
use crate::storage::operator::Resent;

/// Operations of this file.
pub fn operations() -> Vec<Operation> {
    let read = Need::Scope(Scope::SubscribersRead);
    vec![
        Operation::get("/subscribers", read, list)
            .named("listSubscribers", "List subscribers, the newest first")
            .explained("A page may hold fewer entries than asked for, and still have a next one, where what is looked for is rare.")
            .asks::<SubscribersQuery>()
            .pages::<SubscriberShape>("Subscribers; the count goes up to 10,000.")
            .problems(&[404]),
        Operation::get("/subscribers/{subscriber}", read, show)
            .named("getSubscriber", "Show a subscriber")
            .asks::<NoParameters>()
            .answers::<SubscriberDetailsShape>(200, "The subscriber.")
            .with_header("ETag", "Version of what is shown."),
        Operation::patch("/subscribers/{subscriber}", Scope::SubscribersWrite, change)
            .named("patchSubscriber", "Change what is kept of a subscriber")
            .explained("A new address counts once it is confirmed by the mail that asks there.")
            .asks::<NoParameters>()
            .merges::<SubscriberPatch>()
            .answers::<SubscriberDetailsShape>(200, "The subscriber.")
            .with_header("ETag", "Version of what is shown.")
            .problems(&[409, 412]),
        Operation::delete("/subscribers/{subscriber}", Scope::SubscribersErase, erase)
            .named("eraseSubscriber", "Erase a subscriber")
            .explained("A keyed hash stays on the suppression list, so that no import brings them back.")
            .asks::<NoParameters>()
            .answers::<Erased>(202, "They are erased."),
        Operation::post("/subscribers/{subscriber}/pause", Scope::SubscribersWrite, pause)
            .named("pauseSubscriber", "Pause mail to a subscriber, or end their pause")
            .asks::<NoParameters>()
            .takes::<PauseBody>()
            .answers::<SubscriberDetailsShape>(200, "The subscriber.")
            .problems(&[409]),
        Operation::post("/subscribers/{subscriber}/unsubscribe", Scope::SubscribersWrite, unsubscribe)
            .named("unsubscribeSubscriber", "End a subscription")
            .asks::<NoParameters>()
            .answers::<SubscriberDetailsShape>(200, "The subscriber.")
            .problems(&[409]),
        Operation::post("/subscribers/{subscriber}/resend-confirmation", Scope::SubscribersWrite, resend)
            .named("resendConfirmation", "Send the confirmation mail once more")
            .asks::<NoParameters>()
            .answers::<SubscriberDetailsShape>(200, "The subscriber; the mail is queued.")
            .problems(&[409]),
    ]
}

/// Conditions of the list; all must hold.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SubscribersQuery {
    /// Start of the address or of the name; @example.org for a domain.
    #[schema(nullable = false, max_length = 100, pattern = "any_line")]
    q: Option<String>,
    #[schema(nullable = false)]
    state: Option<SubscriberState>,
    /// Slug of a saved filter.
    #[schema(nullable = false, max_length = 200, pattern = "any_line")]
    segment: Option<String>,
    /// Only those whose state changed at this time or later.
    #[schema(nullable = false, format = DateTime)]
    updated_since: Option<String>,
    /// Subscribers on a page.
    #[schema(nullable = false, minimum = 1, maximum = 200)]
    limit: Option<i64>,
    /// Place behind which the page begins.
    #[schema(nullable = false, max_length = 400)]
    after: Option<String>,
}

/// A part of a subscriber that is changed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(
    dead_code,
    reason = "the shape of a merge patch, which is read field by field"
)]
struct SubscriberPatch {
    /// Null takes it away.
    #[schema(max_length = 100, pattern = "line")]
    name: Option<String>,
    /// A mail asks there; it counts once confirmed.
    #[schema(nullable = false, max_length = 100, pattern = "email")]
    email: Option<String>,
    /// Time until which no digest goes to them; null ends a pause.
    #[schema(format = DateTime)]
    paused_until: Option<String>,
}

/// A pause.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PauseBody {
    /// Time until which no digest goes to them; null ends the pause.
    #[schema(format = DateTime, required = true)]
    until: Option<String>,
}

/// Somebody who is erased.
#[derive(Debug, Serialize, ToSchema)]
struct Erased {
    /// Always true.
    erased: bool,
}

/// The row of whom a path names, by id or address.
pub async fn id_of(web: &Web, name: &str) -> Result<i64, Problem> {
    let none = || Failure::not_found("There is no such subscriber.");
    if name.contains('@') {
        let email = EmailAddress::parse(name).map_err(|_| none())?;
        let known = web.app.storage.subscriber_at(&email).await?;
        return known.map(|(id, _)| id).ok_or_else(|| none().into());
    }
    web.app.subscriber_named(name).ok_or_else(|| none().into())
}

/// Everything that is kept of whom a path names.
pub async fn record_of(web: &Web, name: &str) -> Result<SubscriberRecord, Problem> {
    let id = id_of(web, name).await?;
    let record = web.app.subscriber_record(id).await?;
    record.ok_or_else(|| Failure::not_found("There is no such subscriber.").into())
}

/// The answer that shows a subscriber.
pub async fn shown(web: &Web, id: i64, status: StatusCode) -> Result<Response, Problem> {
    let record = web.app.subscriber_record(id).await?;
    let record = record.ok_or_else(|| Failure::not_found("There is no such subscriber."))?;
    let view = SubscriberDetailsShape::new(&web.app, &record);
    let etag = answers::etag(&view);
    let mut response = answers::with_etag(&etag, answers::json(status, &view)?);
    response.extensions_mut().insert(AnswerAbout(id));
    Ok(response)
}

async fn filter(web: &Web, asked: &SubscribersQuery) -> Result<SubscriberFilter, Problem> {
    let saved = match &asked.segment {
        Some(slug) => web.app.segment(slug).await?.filter,
        None => SubscriberFilter::default(),
    };
    let mut pairs: Vec<(String, String)> = saved
        .pairs()
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect();
    let state = asked.state.map(|state| state.name().to_owned());
    // All conditions must hold, and each stands there once: the query's own come last and win.
    for (key, value) in [("search", asked.q.clone()), ("state", state)] {
        if let Some(value) = value {
            pairs.push((key.to_owned(), value));
        }
    }
    let pairs = pairs
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()));
    SubscriberFilter::of(pairs).map_err(|faults| {
        let words: Vec<String> = faults.into_iter().map(|fault| fault.sentence).collect();
        invalid_at("?q", "invalid", words.join(" "))
    })
}

async fn list(
    State(web): State<Web>,
    Query(asked): Query<SubscribersQuery>,
    uri: Uri,
) -> Result<Response, Problem> {
    let filter = filter(&web, &asked).await?;
    let mut query = web.app.list_query(&filter);
    let since = asked.updated_since.as_deref().and_then(patterns::timestamp);
    query.updated_since = since.map(|since| since.timestamp_millis());
    let after = answers::place(asked.after.as_deref())?;
    let limit = answers::limit(asked.limit);
    let page = web
        .app
        .subscriber_page_of(&query, after.as_deref(), limit)
        .await?;
    let counted = web.app.count_page_of(&query).await?;
    let count = Count {
        value: i64::try_from(counted.count).unwrap_or(i64::MAX),
        exact: !counted.is_cut,
    };
    let rows = page.rows.iter();
    Ok(Page {
        rows: rows
            .map(|row| SubscriberShape::new(&web.app, &row.listed))
            .collect(),
        next: page.next,
        count: Some(count),
    }
    .answer(&uri))
}

async fn show(
    State(web): State<Web>,
    PathSegment(name): PathSegment,
    Query(NoParameters {}): Query<NoParameters>,
) -> Result<Response, Problem> {
    let id = id_of(&web, &name).await?;
    shown(&web, id, StatusCode::OK).await
}

fn over() -> Problem {
    Failure::conflict("The subscription is over or not confirmed: nothing was changed.").into()
}

/// A pause; `None` ends one.
async fn set_pause(
    web: &Web,
    bearer: &TokenBearer,
    id: i64,
    until: Option<&str>,
) -> Result<(), Problem> {
    let until: Option<Timestamp> = until.and_then(patterns::timestamp);
    if let Some(until) = until
        && let Err(failure) = web.app.check_pause(until)
    {
        // The bounds of a pause move with the clock: no schema can say them.
        return Err(Failure::conflict(failure.to_string()).into());
    }
    match web
        .app
        .pause_by_operator(&bearer.actor(), id, until)
        .await?
    {
        true => Ok(()),
        false => Err(over()),
    }
}

async fn change(
    State(web): State<Web>,
    Caller(bearer): Caller,
    PathSegment(name): PathSegment,
    Query(NoParameters {}): Query<NoParameters>,
    headers: HeaderMap,
    patch: Patch<SubscriberPatch>,
) -> Result<Response, Problem> {
    let record = record_of(&web, &name).await?;
    let id = record.person.subscriber.id;
    let present = answers::etag(&SubscriberDetailsShape::new(&web.app, &record));
    answers::check_match(&headers, &present, false)?;
    if let Some(until) = patch.fields.get("paused_until") {
        set_pause(&web, &bearer, id, until.as_str()).await?;
    }
    if let Some(email) = patch.fields.get("email").and_then(|email| email.as_str()) {
        let email = EmailAddress::parse_new(email)
            .map_err(|error| invalid_at("#/email", "pattern", error.to_string()))?;
        match web.app.change_address(&bearer.actor(), id, &email).await? {
            EmailChangeRequested::Queued => {}
            EmailChangeRequested::Over => return Err(over()),
            EmailChangeRequested::Taken => {
                let words = "The new address is on the list, or on the suppression list: nothing was changed.";
                return Err(Failure::conflict(words).into());
            }
            EmailChangeRequested::MailboxLimit | EmailChangeRequested::TooMany(_) => {
                let words = "The new address gets no mail now: it had as many as one mailbox gets in a day.";
                return Err(Failure::conflict(words).into());
            }
        }
    }
    if let Some(name) = patch.fields.get("name")
        && !web.app.set_name(id, name.as_str()).await?
    {
        return Err(over());
    }
    shown(&web, id, StatusCode::OK).await
}

async fn erase(
    State(web): State<Web>,
    Caller(bearer): Caller,
    PathSegment(name): PathSegment,
    Query(NoParameters {}): Query<NoParameters>,
) -> Result<Response, Problem> {
    let record = record_of(&web, &name).await?;
    let email = EmailAddress::parse(&record.person.subscriber.email)
        .map_err(|error| Failure::internal(error.to_string()))?;
    web.app.erase_subscriber(&bearer.actor(), &email).await?;
    answers::json(StatusCode::ACCEPTED, &Erased { erased: true })
}

async fn pause(
    State(web): State<Web>,
    Caller(bearer): Caller,
    PathSegment(name): PathSegment,
    Query(NoParameters {}): Query<NoParameters>,
    Body(body): Body<PauseBody>,
) -> Result<Response, Problem> {
    let id = record_of(&web, &name).await?.person.subscriber.id;
    set_pause(&web, &bearer, id, body.until.as_deref()).await?;
    shown(&web, id, StatusCode::OK).await
}

async fn unsubscribe(
    State(web): State<Web>,
    Caller(bearer): Caller,
    PathSegment(name): PathSegment,
    Query(NoParameters {}): Query<NoParameters>,
) -> Result<Response, Problem> {
    let id = record_of(&web, &name).await?.person.subscriber.id;
    match web.app.unsubscribe_by_operator(&bearer.actor(), id).await? {
        true => shown(&web, id, StatusCode::OK).await,
        false => Err(Failure::conflict("The subscription was over: nothing was changed.").into()),
    }
}

async fn resend(
    State(web): State<Web>,
    Caller(bearer): Caller,
    PathSegment(name): PathSegment,
    Query(NoParameters {}): Query<NoParameters>,
) -> Result<Response, Problem> {
    let id = record_of(&web, &name).await?.person.subscriber.id;
    match web.app.resend_confirmation(&bearer.actor(), id).await? {
        Resent::Queued => shown(&web, id, StatusCode::OK).await,
        Resent::NotWaiting => Err(Failure::conflict(
            "No sign-up of theirs waits for a confirmation: nothing was sent.",
        )
        .into()),
        Resent::Limited => Err(Failure::conflict(format!(
            "Nothing was sent: one such mail goes there in {}, and so many a day.",
            web.app.quiet_in_words()
        ))
        .into()),
    }
}
