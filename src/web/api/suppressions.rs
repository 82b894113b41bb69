//! The suppression list: addresses that never get mail, as keyed hashes.

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::Uri;
use axum::response::Response;
use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use super::super::Web;
use super::super::answer::Problem;
use super::access::Caller;
use super::answers;
use super::answers::Page;
use super::extract::Body;
use super::extract::NoParameters;
use super::extract::Query;
use super::extract::invalid_at;
use super::operation::Need;
use super::operation::Operation;
use crate::app::Failure;
use crate::domain::Timestamp;
use crate::domain::address::EmailAddress;
use crate::domain::api_token::Scope;
use crate::storage::suppressions::SuppressionEntry;

/// Operations of this file.
pub fn operations() -> Vec<Operation> {
    vec![
        Operation::get("/suppressions", Need::Scope(Scope::SuppressionsRead), list)
            .named("listSuppressions", "List the suppression list, the newest first")
            .explained("With email: the entry of that address, if there is one.")
            .asks::<SuppressionsQuery>()
            .pages::<SuppressionShape>("Entries."),
        Operation::post("/suppressions", Scope::SuppressionsWrite, add)
            .named("createSuppression", "Put an address on the suppression list")
            .explained("A subscription of it ends.")
            .asks::<NoParameters>()
            .takes::<NewSuppression>()
            .answers::<SuppressionShape>(201, "The entry.")
            .answers::<SuppressionShape>(200, "The entry, which was there."),
        Operation::delete("/suppressions", Scope::SuppressionsWrite, remove)
            .named("deleteSuppression", "Take an address off the suppression list")
            .explained("Its owner then may sign up again; nobody is subscribed by it. Somebody who was erased stays on the list.")
            .asks::<RemovalQuery>()
            .answers_nothing(204, "It is off the list.")
            .problems(&[404, 409]),
    ]
}

/// Conditions of the list.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SuppressionsQuery {
    /// Address that is looked for.
    #[schema(nullable = false, max_length = 100, pattern = "email")]
    email: Option<String>,
    /// Entries on a page.
    #[schema(nullable = false, minimum = 1, maximum = 200)]
    limit: Option<i64>,
    /// Place behind which the page begins.
    #[schema(nullable = false, max_length = 400)]
    after: Option<String>,
}

/// An address that is put on the list.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewSuppression {
    #[schema(max_length = 100, pattern = "email")]
    email: String,
    /// Reason, which is kept.
    #[schema(max_length = 200, pattern = "line")]
    note: String,
}

/// An address that is taken off the list.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RemovalQuery {
    #[schema(max_length = 100, pattern = "email")]
    email: String,
    /// Reason, which is kept.
    #[schema(max_length = 200, pattern = "line")]
    note: String,
}

/// An entry.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Suppression)]
struct SuppressionShape {
    /// Keyed hash of the address.
    hash: String,
    /// erased, bounced, complained or manual.
    reason: String,
    #[schema(value_type = String, format = DateTime)]
    since: Timestamp,
    note: Option<String>,
}

impl From<SuppressionEntry> for SuppressionShape {
    fn from(entry: SuppressionEntry) -> Self {
        Self {
            hash: entry.hash,
            reason: entry.reason.to_string(),
            since: entry.since,
            note: entry.note,
        }
    }
}

/// An address that somebody wrote.
fn address(text: &str, at: &str) -> Result<EmailAddress, Problem> {
    EmailAddress::parse_new(text).map_err(|error| invalid_at(at, "pattern", error.to_string()))
}

async fn list(
    State(web): State<Web>,
    Query(asked): Query<SuppressionsQuery>,
    uri: Uri,
) -> Result<Response, Problem> {
    if let Some(email) = &asked.email {
        let entry = web
            .app
            .suppression_of_address(&address(email, "?email")?)
            .await?;
        let rows: Vec<SuppressionShape> = entry.into_iter().map(SuppressionShape::from).collect();
        return Ok(Page::whole(rows).answer(&uri));
    }
    let place = answers::place(asked.after.as_deref())?;
    let place = match &place {
        Some(place) => {
            let parts = place.split_once('.');
            let parsed = parts.and_then(|(at, hash)| Some((at.parse().ok()?, hash)));
            Some(parsed.ok_or_else(answers::no_place)?)
        }
        None => None,
    };
    let limit = answers::limit(asked.limit);
    let entries = web
        .app
        .storage
        .suppressions(place, limit as i64 + 1)
        .await?;
    let page = Page::cut(
        entries,
        limit,
        |last| format!("{}.{}", last.since.timestamp_millis(), last.hash),
        SuppressionShape::from,
    );
    Ok(page.answer(&uri))
}

async fn add(
    State(web): State<Web>,
    Caller(bearer): Caller,
    Query(NoParameters {}): Query<NoParameters>,
    Body(new): Body<NewSuppression>,
) -> Result<Response, Problem> {
    let email = address(&new.email, "#/email")?;
    let is_new = web
        .app
        .suppress_address(&bearer.actor(), &email, &new.note)
        .await?;
    let entry = web.app.suppression_of_address(&email).await?;
    let entry = entry.ok_or_else(|| Failure::conflict("It was taken off meanwhile."))?;
    let status = match is_new {
        true => StatusCode::CREATED,
        false => StatusCode::OK,
    };
    answers::json(status, &SuppressionShape::from(entry))
}

async fn remove(
    State(web): State<Web>,
    Caller(bearer): Caller,
    Query(asked): Query<RemovalQuery>,
) -> Result<Response, Problem> {
    let email = address(&asked.email, "?email")?;
    web.app
        .lift_suppression(&bearer.actor(), &email, &asked.note)
        .await?;
    Ok(answers::nothing())
}
