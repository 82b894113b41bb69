//! What is kept of one subscriber: history, mails, votes, and all of it.

use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::super::Web;
use super::super::answer::Problem;
use super::super::guard::PathSegment;
use super::access::Caller;
use super::answers;
use super::answers::Page;
use super::extract::NoParameters;
use super::extract::Query;
use super::operation::Need;
use super::operation::Operation;
use super::subscribers::record_of;
use crate::app::Failure;
use crate::domain::Timestamp;
use crate::domain::api_token::Scope;
use crate::domain::history::HistoryEntry;
use crate::storage::personal_data::SentMail;
use crate::storage::personal_data::Vote;

/// Operations of this file.
pub fn operations() -> Vec<Operation> {
    let read = Need::Scope(Scope::SubscribersRead);
    vec![
        Operation::get("/subscribers/{subscriber}/history", read, history)
            .named("getSubscriberHistory", "Show what happened to a subscriber, the oldest first")
            .asks::<NoParameters>()
            .pages::<HistoryEntryShape>("All of it."),
        Operation::get("/subscribers/{subscriber}/deliveries", read, deliveries)
            .named("getSubscriberDeliveries", "Show every mail to a subscriber, the oldest first")
            .asks::<NoParameters>()
            .pages::<SubscriberMailShape>("Digests and other mails."),
        Operation::get("/subscribers/{subscriber}/votes", read, votes)
            .named("getSubscriberVotes", "Show a subscriber's votes on tools")
            .asks::<NoParameters>()
            .pages::<SubscriberVote>("Votes."),
        Operation::get(
            "/subscribers/{subscriber}/export",
            Need::Scope(Scope::SubscribersExport),
            export,
        )
        .named("exportSubscriber", "Take out everything that is kept of a subscriber")
        .explained("What they get themselves as a copy of their data (GDPR Art. 15 and 20). It is written into the audit log.")
        .asks::<NoParameters>()
        .answers::<SubscriberCopy>(200, "The copy."),
    ]
}

/// One thing that happened.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = HistoryLine)]
struct HistoryEntryShape {
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// In words.
    what: String,
}

/// A mail to a subscriber.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SubscriberMail)]
struct SubscriberMailShape {
    /// digest, or what other mail it is.
    kind: String,
    /// Week of a digest.
    slot: Option<String>,
    state: String,
    /// Reason why it was not sent on purpose.
    skip_reason: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    queued_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    finished_at: Option<Timestamp>,
    #[schema(minimum = 0)]
    attempts: i64,
    relay: Option<String>,
    /// The mail server's reply.
    reply: Option<String>,
}

/// A vote.
#[derive(Debug, Serialize, ToSchema)]
struct SubscriberVote {
    /// Slug of the tool.
    tool: String,
    /// ship or skip.
    verdict: String,
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
}

/// Everything that is kept of a subscriber.
#[derive(Debug, Serialize, ToSchema)]
#[allow(dead_code, reason = "the shape of a copy, whose other fields are many")]
struct SubscriberCopy {
    email: String,
}

async fn history(
    State(web): State<Web>,
    PathSegment(name): PathSegment,
    Query(NoParameters {}): Query<NoParameters>,
    uri: Uri,
) -> Result<Response, Problem> {
    let record = record_of(&web, &name).await?;
    let line = |entry: &HistoryEntry| HistoryEntryShape {
        at: entry.at,
        what: entry.event.to_string(),
    };
    let rows = record.person.history.iter().map(line).collect();
    Ok(Page::whole(rows).answer(&uri))
}

async fn deliveries(
    State(web): State<Web>,
    PathSegment(name): PathSegment,
    Query(NoParameters {}): Query<NoParameters>,
    uri: Uri,
) -> Result<Response, Problem> {
    let record = record_of(&web, &name).await?;
    let mail = |mail: SentMail| SubscriberMailShape {
        kind: mail.kind,
        slot: mail.slot.map(|slot| slot.to_string()),
        state: mail.state,
        skip_reason: mail.skip_reason,
        queued_at: mail.at,
        finished_at: mail.finished_at,
        attempts: mail.attempts,
        relay: mail.relay,
        reply: mail.reply,
    };
    let rows = record.data.mails.into_iter().map(mail).collect();
    Ok(Page::whole(rows).answer(&uri))
}

async fn votes(
    State(web): State<Web>,
    PathSegment(name): PathSegment,
    Query(NoParameters {}): Query<NoParameters>,
    uri: Uri,
) -> Result<Response, Problem> {
    let record = record_of(&web, &name).await?;
    let vote = |vote: Vote| SubscriberVote {
        tool: vote.tool,
        verdict: vote.verdict,
        at: vote.at,
    };
    let rows = record.data.votes.into_iter().map(vote).collect();
    Ok(Page::whole(rows).answer(&uri))
}

async fn export(
    State(web): State<Web>,
    Caller(bearer): Caller,
    PathSegment(name): PathSegment,
    Query(NoParameters {}): Query<NoParameters>,
) -> Result<Response, Problem> {
    let id = record_of(&web, &name).await?.person.subscriber.id;
    let copy = web.app.export_subscriber(&bearer.actor(), id).await?;
    let copy = copy.ok_or_else(|| Failure::not_found("There is no such subscriber."))?;
    answers::ok(&copy)
}
