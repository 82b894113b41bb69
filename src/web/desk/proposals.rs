//! What sources brought: the list, and one beside the catalogue, to accept or reject.

use std::collections::BTreeMap;

use axum::extract::RawQuery;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Html;
use axum::response::IntoResponse;
use axum::response::Response;
use serde::Deserialize;

use super::super::Web;
use super::super::answer::Page;
use super::super::answer::Problem;
use super::super::choices::FormFields;
use super::super::guard::PathSegment;
use super::access::Me;
use super::answers;
use super::catalogue_import::difference_line;
use super::sources::SOURCES;
use crate::app::FailureKind;
use crate::app::sources::Answers;
use crate::app::users::signing_in::SignedIn;
use crate::domain::source::EntryRemark;
use crate::domain::source::ProposalState;
use crate::domain::source::RemarkKind;
use crate::domain::user::AccessLevel;
use crate::domain::user::Area;
use crate::render::desk;
use crate::render::desk::ProposalLine;
use crate::render::desk::ProposalPageView;
use crate::render::desk::ProposalsView;
use crate::render::desk::QuestionField;
use crate::render::desk::RemarkLine;
use crate::storage::proposals::Proposal;
use crate::storage::proposals::ProposalFilter;

pub(super) const PROPOSALS: &str = "/desk/proposals";
/// Rows on a page.
const ROWS: usize = 50;
/// Differences that are shown.
const SHOWN: usize = 100;

pub(super) fn remark_line(remark: &EntryRemark) -> RemarkLine {
    RemarkLine {
        kind: remark.kind.as_str(),
        mood: match remark.kind {
            RemarkKind::Question => "under-way",
            RemarkKind::Fault => "bad",
            RemarkKind::Note => "none",
        },
        detail: remark.detail.clone(),
    }
}

fn mood(state: ProposalState) -> &'static str {
    match state {
        ProposalState::New | ProposalState::Changed => "under-way",
        ProposalState::Accepted => "good",
        ProposalState::Rejected => "bad",
        ProposalState::Skipped => "none",
    }
}

/// Conditions as the address has them.
#[derive(Default)]
struct ProposalQuery {
    state: Option<ProposalState>,
    source: String,
    before: String,
}

impl ProposalQuery {
    fn read(query: Option<&str>) -> Self {
        let mut given = Self::default();
        for (key, value) in url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            match key.as_ref() {
                "state" => given.state = value.parse().ok(),
                "source" => given.source = value.into_owned(),
                "before" => given.before = value.into_owned(),
                _ => {}
            }
        }
        given
    }

    fn path(&self, before: &str) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        if let Some(state) = self.state {
            query.append_pair("state", state.as_str());
        }
        for (key, value) in [("source", self.source.as_str()), ("before", before)] {
            if !value.is_empty() {
                query.append_pair(key, value);
            }
        }
        format!("{PROPOSALS}?{}", query.finish())
    }
}

pub(super) async fn list(State(web): State<Web>, Me(who): Me, RawQuery(query): RawQuery) -> Page {
    let given = ProposalQuery::read(query.as_deref());
    let source = match given.source.as_str() {
        "" => None,
        id => Some(web.app.source_called(id).await?),
    };
    let filter = ProposalFilter {
        state: given.state,
        source_id: source.as_ref().map(|source| source.id),
        before: web.app.proposal_place(&given.before),
    };
    let mut found = web.app.storage.proposals(filter, ROWS as i64 + 1).await?;
    let has_more = found.len() > ROWS;
    found.truncate(ROWS);
    let last = found
        .last()
        .map(|last| web.app.proposal_name(last.id))
        .filter(|_| has_more);
    let mut states = vec![("", "Waiting for a decision", given.state.is_none())];
    let words = |state: ProposalState| match state {
        ProposalState::New => "New",
        ProposalState::Changed => "Changed",
        ProposalState::Accepted => "Accepted",
        ProposalState::Rejected => "Rejected",
        ProposalState::Skipped => "Skipped: the catalogue had it",
    };
    states.extend(
        ProposalState::ALL
            .iter()
            .map(|state| (state.as_str(), words(*state), given.state == Some(*state))),
    );
    let view = ProposalsView {
        rows: found.iter().map(|proposal| line(&web, proposal)).collect(),
        states,
        source: source.map(|source| source.draft.name),
        source_id: given.source.clone(),
        next: last.map(|last| given.path(&last)),
        may_decide: who.user.role.may(Area::Catalogue, AccessLevel::Write),
        is_open: given.state.is_none_or(ProposalState::is_open),
    };
    let frame = answers::frame(&web, &who, "Proposals", PROPOSALS);
    Ok(Html(desk::proposals(frame, view)?))
}

fn line(web: &Web, proposal: &Proposal) -> ProposalLine {
    let count = |kind: RemarkKind| {
        proposal
            .entry
            .remarks
            .iter()
            .filter(|remark| remark.kind == kind)
            .count()
    };
    let remarks: Vec<String> = RemarkKind::ALL
        .iter()
        .map(|kind| (count(*kind), kind.as_str()))
        .filter(|(count, _)| *count > 0)
        .map(|(count, kind)| format!("{count} {kind}{}", if count == 1 { "" } else { "s" }))
        .collect();
    ProposalLine {
        href: format!("{PROPOSALS}/{}", web.app.proposal_name(proposal.id)),
        title: proposal.entry.title.clone(),
        source: proposal.source.clone(),
        state: proposal.state.as_str(),
        mood: mood(proposal.state),
        at: answers::format_time(web, proposal.changed_at),
        remarks: remarks.join(", "),
    }
}

async fn page(
    web: &Web,
    who: &SignedIn,
    proposal: &Proposal,
    problem: Option<String>,
) -> Result<String, Problem> {
    let judged = web.app.judge_proposal(proposal, &Answers::new()).await?;
    let differences = judged.differences();
    let more = differences.len().saturating_sub(SHOWN);
    let may_decide = who.user.role.may(Area::Catalogue, AccessLevel::Write);
    let seen = format!(
        "First seen on {}.",
        answers::format_time(web, proposal.seen_at)
    );
    let changed = (proposal.version > 1).then(|| {
        format!(
            "Changed on {}.",
            answers::format_time(web, proposal.changed_at)
        )
    });
    let decided = proposal
        .decided_at
        .filter(|_| !proposal.state.is_open())
        .map(|at| format!("Decided on {}.", answers::format_time(web, at)));
    let view = ProposalPageView {
        path: format!("{PROPOSALS}/{}", web.app.proposal_name(proposal.id)),
        title: proposal.entry.title.clone(),
        source: proposal.source.clone(),
        source_path: match may_decide {
            true => format!("{SOURCES}/{}", web.app.source_name(proposal.source_id)),
            false => format!(
                "{PROPOSALS}?source={}",
                web.app.source_name(proposal.source_id)
            ),
        },
        url: proposal.entry.url.clone(),
        state: proposal.state.as_str(),
        mood: mood(proposal.state),
        facts: [Some(seen), changed, decided]
            .into_iter()
            .flatten()
            .collect(),
        remarks: judged.remarks.iter().map(remark_line).collect(),
        differences: differences
            .iter()
            .take(SHOWN)
            .map(difference_line)
            .collect(),
        more: (more > 0).then(|| format!("And {} more.", desk::grouped(more as u64))),
        questions: judged
            .questions
            .iter()
            .map(|key| QuestionField {
                key: key.clone(),
                label: format!("Verdict: {key}"),
            })
            .collect(),
        version: proposal.version,
        is_open: proposal.state.is_open() && may_decide,
        has_fault: judged.has_fault(),
        problem,
    };
    Ok(desk::proposal(
        answers::frame(web, who, &proposal.entry.title, PROPOSALS),
        view,
    )?)
}

pub(super) async fn look(
    State(web): State<Web>,
    Me(who): Me,
    PathSegment(name): PathSegment,
) -> Page {
    let proposal = web.app.proposal_named(&name).await?;
    Ok(Html(page(&web, &who, &proposal, None).await?))
}

/// A decision; verdicts that were chosen stand under `slug Reviewer`.
struct DecisionForm {
    what: String,
    version: i64,
    answers: BTreeMap<String, String>,
}

pub(super) async fn decide(
    State(web): State<Web>,
    Me(who): Me,
    PathSegment(name): PathSegment,
    FormFields(form): FormFields<BTreeMap<String, String>>,
) -> Result<Response, Problem> {
    let form = DecisionForm::read(form).ok_or_else(Problem::not_found)?;
    let proposal = web.app.proposal_named(&name).await?;
    let actor = web.app.actor_of(&who);
    let done = match form.what.as_str() {
        "accept" => {
            let answers = form.answers.iter();
            let answers =
                answers.filter_map(|(key, value)| Some((key.clone(), value.parse().ok()?)));
            let accepted = web
                .app
                .accept_proposal(&actor, &proposal, Some(form.version), &answers.collect())
                .await;
            accepted.map(|_| "Accepted: it is in the catalogue.")
        }
        _ => {
            let rejected = web
                .app
                .reject_proposal(&actor, &proposal, Some(form.version))
                .await;
            rejected.map(|()| "Rejected. It comes back only if its source changes it.")
        }
    };
    match done {
        Ok(said) => answers::done(&web, &who, said, PROPOSALS).await,
        Err(failure) => {
            let is_stale = matches!(failure.kind(), FailureKind::Conflict);
            let problem = answers::refusal(failure)?;
            // As it is now.
            let proposal = web.app.proposal_named(&name).await?;
            let page = page(&web, &who, &proposal, Some(problem)).await?;
            Ok(match is_stale {
                true => (StatusCode::CONFLICT, Html(page)).into_response(),
                false => answers::refused(page),
            })
        }
    }
}

impl DecisionForm {
    fn read(mut fields: BTreeMap<String, String>) -> Option<Self> {
        Some(Self {
            what: fields.remove("what")?,
            version: fields.remove("version")?.parse().ok()?,
            answers: fields,
        })
    }
}

/// Which proposals are accepted at once.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct AllForm {
    source: String,
}

pub(super) async fn accept_all(
    State(web): State<Web>,
    Me(who): Me,
    FormFields(form): FormFields<AllForm>,
) -> Result<Response, Problem> {
    let source = match form.source.as_str() {
        "" => None,
        id => Some(web.app.source_called(id).await?.id),
    };
    let actor = web.app.actor_of(&who);
    let done = web.app.accept_all_good(&actor, source).await?;
    let said = format!(
        "{} accepted; {} left, which need a person.",
        desk::grouped(done.accepted),
        desk::grouped(done.left)
    );
    answers::done(&web, &who, &said, PROPOSALS).await
}
