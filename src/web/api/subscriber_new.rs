//! Adding subscribers, one or many.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use super::super::Web;
use super::super::answer::Problem;
use super::access::Caller;
use super::answers;
use super::extract::Body;
use super::extract::NoParameters;
use super::extract::Query;
use super::extract::invalid_at;
use super::operation::Operation;
use super::subscriber_shapes::SubscriberDetailsShape;
use super::subscribers::shown;
use crate::app::Failure;
use crate::app::subscribing::sign_up::Origin;
use crate::app::tokens::TokenBearer;
use crate::domain;
use crate::domain::address::EmailAddress;
use crate::domain::api_token::Scope;
use crate::storage::subscribers::SignedUp;

/// Operations of this file.
pub fn operations() -> Vec<Operation> {
    vec![
        Operation::post("/subscribers", Scope::SubscribersWrite, create)
            .named("createSubscriber", "Add a subscriber")
            .explained(
                "They get a confirmation mail, and nothing else before they have confirmed. Somebody who is on the suppression list or left is never \
                 brought back by a program: 409 subscriber_suppressed.",
            )
            .asks::<NoParameters>()
            .takes::<NewSubscriber>()
            .answers::<SubscriberDetailsShape>(201, "The subscriber.")
            .with_header("Location", "Address of the subscriber.")
            .answers::<SubscriberDetailsShape>(200, "The subscriber, who was there: on_conflict is merge.")
            .problems(&[409, 429]),
        Operation::post("/subscribers/batch", Scope::SubscribersWrite, batch)
            .named("createSubscribers", "Add up to 1,000 subscribers")
            .explained("Each by itself, with an answer for each; more are an import.")
            .asks::<NoParameters>()
            .takes::<NewSubscribers>()
            .answers::<BatchResult>(200, "What became of each, in the order of the list."),
    ]
}

/// Somebody who is added.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewSubscriber {
    #[schema(max_length = 100, pattern = "email")]
    email: String,
    /// What they agreed to, in your words.
    #[schema(max_length = 500, pattern = "line")]
    consent: String,
    #[schema(max_length = 100, pattern = "line")]
    name: Option<String>,
    /// False: no confirmation mail goes out now; resend-confirmation sends it.
    #[schema(nullable = false)]
    confirm: Option<bool>,
    #[schema(nullable = false)]
    on_conflict: Option<OnConflict>,
}

/// What happens where somebody has the address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum OnConflict {
    Refuse,
    Merge,
}

/// People who are added.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewSubscribers {
    #[schema(min_items = 1, max_items = 1000)]
    subscribers: Vec<NewSubscriber>,
}

/// What became of each.
#[derive(Debug, Serialize, ToSchema)]
struct BatchResult {
    results: Vec<BatchEntry>,
}

/// What became of one.
#[derive(Debug, Serialize, ToSchema)]
struct BatchEntry {
    /// created, merged or refused.
    status: &'static str,
    /// Id of the subscriber; null where it was refused.
    id: Option<String>,
    /// Code of the refusal, as of a problem document.
    code: Option<String>,
    /// Sentence of the refusal.
    detail: Option<String>,
}

fn narrow(code: &'static str, words: &str) -> Problem {
    Problem::new(StatusCode::CONFLICT, "Not possible", words).with_code(code)
}

fn suppressed() -> Problem {
    narrow(
        "subscriber_suppressed",
        "The address is on the suppression list, or its owner left. Only its owner brings it back, by signing up.",
    )
}

/// Adds somebody; returns their row, and true if they are new.
async fn add(web: &Web, bearer: &TokenBearer, new: &NewSubscriber) -> Result<(i64, bool), Problem> {
    let email = EmailAddress::parse_new(&new.email)
        .map_err(|error| invalid_at("#/email", "pattern", error.to_string()))?;
    let known = web.app.storage.subscriber_at(&email).await?;
    match known {
        None => {}
        Some((id, _)) => {
            let state = web.app.person(&email).await?.subscriber.state;
            if !matches!(
                state,
                domain::subscriber::SubscriberState::Active
                    | domain::subscriber::SubscriberState::Pending
            ) {
                return Err(suppressed());
            }
            if new.on_conflict != Some(OnConflict::Merge) {
                return Err(narrow(
                    "subscriber_exists",
                    "There is a subscriber with this address. Send \"on_conflict\": \"merge\" to change what is kept of them.",
                ));
            }
            if let Some(name) = &new.name {
                web.app.set_name(id, Some(name)).await?;
            }
            return Ok((id, false));
        }
    }
    let origin = Origin {
        source: "api",
        shown: &new.consent,
        timezone: None,
        client: None,
        is_quiet: new.confirm == Some(false),
    };
    let signed_up = web
        .app
        .sign_up(&bearer.actor(), &email, new.name.as_deref(), origin)
        .await?;
    match signed_up {
        SignedUp::Suppressed => Err(suppressed()),
        SignedUp::MailboxLimit | SignedUp::TooMany(_) => {
            let words = "That mailbox had as many mails as it gets in a day, or answered none of the last ones. Try again later.";
            let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "Too many mails", words);
            Err(problem.with_retry_after(std::time::Duration::from_secs(3600)))
        }
        SignedUp::ConfirmationQueued
        | SignedUp::Added
        | SignedUp::AskedRecently
        | SignedUp::ReminderQueued
        | SignedUp::AlreadyActive => {
            let known = web.app.storage.subscriber_at(&email).await?;
            let (id, _) = known.ok_or_else(|| Failure::not_found("They are gone already."))?;
            Ok((id, true))
        }
    }
}

async fn create(
    State(web): State<Web>,
    Caller(bearer): Caller,
    Query(NoParameters {}): Query<NoParameters>,
    Body(new): Body<NewSubscriber>,
) -> Result<Response, Problem> {
    let (id, is_new) = add(&web, &bearer, &new).await?;
    if !is_new {
        return shown(&web, id, StatusCode::OK).await;
    }
    let response = shown(&web, id, StatusCode::CREATED).await?;
    let name = web.app.subscriber_name(id);
    answers::with_location(&format!("/subscribers/{name}"), response)
}

async fn batch(
    State(web): State<Web>,
    Caller(bearer): Caller,
    Query(NoParameters {}): Query<NoParameters>,
    Body(new): Body<NewSubscribers>,
) -> Result<Response, Problem> {
    let mut results = Vec::with_capacity(new.subscribers.len());
    for new in &new.subscribers {
        results.push(match add(&web, &bearer, new).await {
            Ok((id, is_new)) => BatchEntry {
                status: if is_new { "created" } else { "merged" },
                id: Some(web.app.subscriber_name(id)),
                code: None,
                detail: None,
            },
            Err(problem) if problem.is_ours() => return Err(problem),
            Err(problem) => BatchEntry {
                status: "refused",
                id: None,
                code: Some(problem.word().to_owned()),
                detail: Some(problem.sentence().to_owned()),
            },
        });
    }
    answers::ok(&BatchResult { results })
}
