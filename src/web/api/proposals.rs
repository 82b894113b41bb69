//! Proposals: what sources brought, to accept or reject.

use std::collections::BTreeMap;

use axum::extract::State;
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
use super::answers::Page;
use super::catalogue_shapes::ChangedFieldShape;
use super::extract::Body;
use super::extract::NoParameters;
use super::extract::Query;
use super::extract::invalid_at;
use super::operation::Need;
use super::operation::Operation;
use super::sources::RemarkItem;
use crate::app::FailureKind;
use crate::app::sources::Answers;
use crate::domain::Timestamp;
use crate::domain::api_token::Scope;
use crate::domain::catalogue::Verdict;
use crate::domain::source::ProposalState;
use crate::storage::catalogue_import::Difference;
use crate::storage::proposals::Proposal;
use crate::storage::proposals::ProposalFilter;

/// Operations of this file.
pub fn operations() -> Vec<Operation> {
    let read = Need::Scope(Scope::SourcesRead);
    vec![
        Operation::get("/proposals", read, list)
            .named("listProposals", "List proposals, newest first")
            .explained("Without a state, those that wait for a decision.")
            .asks::<ProposalsQuery>()
            .pages::<ProposalItem>("Proposals."),
        Operation::get("/proposals/{proposal}", read, show)
            .named(
                "getProposal",
                "Show a proposal, and its differences to the catalogue",
            )
            .asks::<NoParameters>()
            .answers::<ProposalItem>(200, "The proposal."),
        Operation::post("/proposals/{proposal}/accept", Scope::SourcesWrite, accept)
            .named("acceptProposal", "Take a proposal into the catalogue")
            .takes::<Acceptance>()
            .answers::<ProposalItem>(200, "The proposal, which is accepted.")
            .problems(&[409]),
        Operation::post("/proposals/{proposal}/reject", Scope::SourcesWrite, reject)
            .named("rejectProposal", "Refuse a proposal")
            .explained("It comes back only if its source changes it.")
            .takes::<Rejection>()
            .answers::<ProposalItem>(200, "The proposal, which is rejected.")
            .problems(&[409]),
    ]
}

/// Conditions of the list.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ProposalsQuery {
    /// new, changed, accepted, rejected or skipped.
    #[schema(nullable = false, max_length = 20, pattern = "line")]
    state: Option<String>,
    /// Source, by its id.
    #[schema(nullable = false, max_length = 40, pattern = "id")]
    source: Option<String>,
    /// Proposals on a page.
    #[schema(nullable = false, minimum = 1, maximum = 200)]
    limit: Option<i64>,
    /// Place behind which the page begins.
    #[schema(nullable = false, max_length = 400)]
    after: Option<String>,
}

/// How a proposal is accepted.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Acceptance {
    /// Version that was looked at; another one is a conflict.
    #[schema(nullable = false, minimum = 1, maximum = 1000000000)]
    version: Option<i64>,
    /// ship or skip for each of the proposal's questions, like {"example-tool Builder": "ship"}.
    #[schema(nullable = false, value_type = Option<Object>)]
    verdicts: Option<serde_json::Value>,
}

/// How a proposal is refused.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Rejection {
    /// Version that was looked at; another one is a conflict.
    #[schema(nullable = false, minimum = 1, maximum = 1000000000)]
    version: Option<i64>,
}

/// A proposal.
#[derive(Debug, Serialize, ToSchema)]
struct ProposalItem {
    id: String,
    /// Name of its source.
    source: String,
    title: String,
    /// Address of its page.
    url: Option<String>,
    /// new, changed, accepted, rejected or skipped.
    state: String,
    /// Counts its changes.
    #[schema(minimum = 1)]
    version: i64,
    #[schema(value_type = String, format = DateTime)]
    seen_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    changed_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    decided_at: Option<Timestamp>,
    remarks: Vec<RemarkItem>,
    /// Verdicts that have to be chosen; in a list, none.
    questions: Vec<String>,
    /// Differences to the catalogue; in a list, none.
    differences: Vec<ProposedChange>,
}

/// Something that a proposal adds or changes.
#[derive(Debug, Serialize, ToSchema)]
struct ProposedChange {
    /// added or changed.
    change: String,
    /// tool, review or comparison.
    kind: String,
    /// Slug; of a review the tool's and the reviewer.
    name: String,
    fields: Vec<ChangedFieldShape>,
}

impl From<Difference> for ProposedChange {
    fn from(difference: Difference) -> Self {
        Self {
            change: difference.change.to_owned(),
            kind: difference.kind.to_owned(),
            name: difference.name,
            fields: difference
                .fields
                .into_iter()
                .map(ChangedFieldShape::from)
                .collect(),
        }
    }
}

impl ProposalItem {
    fn listed(web: &Web, proposal: &Proposal) -> Self {
        let view = web.app.proposal_line(proposal);
        Self {
            id: view.id,
            source: view.source,
            title: view.title,
            url: view.url,
            state: view.state.to_string(),
            version: view.version,
            seen_at: view.seen_at,
            changed_at: view.changed_at,
            decided_at: view.decided_at,
            remarks: view.remarks.iter().map(RemarkItem::from).collect(),
            questions: Vec::new(),
            differences: Vec::new(),
        }
    }
}

async fn list(
    State(web): State<Web>,
    Query(asked): Query<ProposalsQuery>,
    uri: Uri,
) -> Result<Response, Problem> {
    let state = asked.state.as_deref().map(|state| {
        state
            .parse::<ProposalState>()
            .map_err(|error| invalid_at("?state", "invalid", format!("{error}.")))
    });
    let source_id = match &asked.source {
        // A filter that means nothing is a fault of the query: the list itself is there.
        Some(source) => match web.app.source_called(source).await {
            Ok(source) => Some(source.id),
            Err(failure) if *failure.kind() == FailureKind::NotFound => {
                return Err(invalid_at("?source", "invalid", failure.to_string()));
            }
            Err(failure) => return Err(failure.into()),
        },
        None => None,
    };
    let before = match answers::place(asked.after.as_deref())? {
        Some(name) => Some(
            web.app
                .proposal_place(&name)
                .ok_or_else(answers::no_place)?,
        ),
        None => None,
    };
    let filter = ProposalFilter {
        state: state.transpose()?,
        source_id,
        before,
    };
    let limit = answers::limit(asked.limit);
    let found = web.app.storage.proposals(filter, limit as i64 + 1).await?;
    let page = Page::cut(
        found,
        limit,
        |last| web.app.proposal_name(last.id),
        |proposal| ProposalItem::listed(&web, &proposal),
    );
    Ok(page.answer(&uri))
}

/// The answer that shows a proposal as it is now.
async fn shown(web: &Web, name: &str) -> Result<Response, Problem> {
    let proposal = web.app.proposal_named(name).await?;
    let judged = web.app.judge_proposal(&proposal, &Answers::new()).await?;
    answers::ok(&ProposalItem {
        remarks: judged.remarks.iter().map(RemarkItem::from).collect(),
        questions: judged.questions.clone(),
        differences: judged
            .differences()
            .into_iter()
            .map(ProposedChange::from)
            .collect(),
        ..ProposalItem::listed(web, &proposal)
    })
}

async fn show(
    State(web): State<Web>,
    PathSegment(name): PathSegment,
    Query(NoParameters {}): Query<NoParameters>,
) -> Result<Response, Problem> {
    shown(&web, &name).await
}

async fn accept(
    State(web): State<Web>,
    Caller(bearer): Caller,
    PathSegment(name): PathSegment,
    Body(asked): Body<Acceptance>,
) -> Result<Response, Problem> {
    let proposal = web.app.proposal_named(&name).await?;
    let verdicts: BTreeMap<String, Verdict> = match asked.verdicts {
        Some(value) => serde_json::from_value(value)
            .map_err(|error| invalid_at("#/verdicts", "invalid", format!("{error}.")))?,
        None => BTreeMap::new(),
    };
    web.app
        .accept_proposal(&bearer.actor(), &proposal, asked.version, &verdicts)
        .await?;
    shown(&web, &name).await
}

async fn reject(
    State(web): State<Web>,
    Caller(bearer): Caller,
    PathSegment(name): PathSegment,
    Body(asked): Body<Rejection>,
) -> Result<Response, Problem> {
    let proposal = web.app.proposal_named(&name).await?;
    web.app
        .reject_proposal(&bearer.actor(), &proposal, asked.version)
        .await?;
    shown(&web, &name).await
}
