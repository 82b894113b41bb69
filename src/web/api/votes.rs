//! Readers' votes, one by one.

use axum::extract::State;
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
use super::extract::Query;
use super::operation::Need;
use super::operation::Operation;
use super::patterns;
use crate::domain::Timestamp;
use crate::domain::api_token::Scope;
use crate::domain::from_millis;
use crate::storage::votes::CastVote;
use crate::storage::votes::VotePlace;

/// Operations of this file.
pub fn operations() -> Vec<Operation> {
    vec![
        Operation::get("/votes", Need::Scope(Scope::VotesRead), list)
            .named("listVotes", "List readers' votes, the oldest first")
            .explained("A vote that is changed comes again at its new time. Who voted is there with the scope subscribers:read alone.")
            .asks::<VotesQuery>()
            .pages::<CastVoteEntry>("Votes."),
    ]
}

/// Conditions of the list.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct VotesQuery {
    /// Only votes of this time or later.
    #[schema(nullable = false, format = DateTime)]
    since: Option<String>,
    /// Votes on a page.
    #[schema(nullable = false, minimum = 1, maximum = 200)]
    limit: Option<i64>,
    /// Place behind which the page begins.
    #[schema(nullable = false, max_length = 400)]
    after: Option<String>,
}

/// A vote.
#[derive(Debug, Serialize, ToSchema)]
struct CastVoteEntry {
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// Slug of the tool.
    tool: String,
    /// ship or skip.
    verdict: String,
    /// Id of the reader; null without the scope subscribers:read.
    subscriber: Option<String>,
}

/// The place behind a vote: its time, its reader and its tool.
fn place(web: &Web, text: &str) -> Option<VotePlace> {
    let mut parts = text.splitn(3, '.');
    Some(VotePlace {
        at: from_millis(parts.next()?.parse().ok()?),
        subscriber: web.app.subscriber_named(parts.next()?)?,
        tool: parts.next()?.to_owned(),
    })
}

async fn list(
    State(web): State<Web>,
    Caller(bearer): Caller,
    Query(asked): Query<VotesQuery>,
    uri: Uri,
) -> Result<Response, Problem> {
    let after = match answers::place(asked.after.as_deref())? {
        Some(text) => Some(place(&web, &text).ok_or_else(answers::no_place)?),
        None => None,
    };
    let since = asked.since.as_deref().and_then(patterns::timestamp);
    let limit = answers::limit(asked.limit);
    let votes = web
        .app
        .storage
        .votes_since(since, after.as_ref(), limit as i64 + 1)
        .await?;
    let name = |vote: &CastVote| web.app.subscriber_name(vote.place.subscriber);
    let place = |last: &CastVote| {
        let at = last.place.at.timestamp_millis();
        format!("{at}.{}.{}", name(last), last.place.tool)
    };
    let shows_readers = bearer.may(Scope::SubscribersRead);
    let entry = |vote: CastVote| CastVoteEntry {
        at: vote.place.at,
        tool: vote.place.tool.clone(),
        verdict: vote.verdict.to_string(),
        subscriber: shows_readers.then(|| name(&vote)),
    };
    Ok(Page::cut(votes, limit, place, entry).answer(&uri))
}
