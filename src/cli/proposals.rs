//! `proposals`: what sources brought, to accept or reject.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::sync::Arc;

use serde_json::json;

use super::output::Output;
use super::output::say;
use crate::app::App;
use crate::app::Failure;
use crate::app::sources::Answers;
use crate::app::sources::JudgedEntry;
use crate::domain::actor::Actor;
use crate::domain::catalogue::Verdict;
use crate::domain::source::ProposalState;
use crate::storage::proposals::Proposal;
use crate::storage::proposals::ProposalFilter;

/// Proposals that a list names; `--before` goes on.
const LISTED: i64 = 100;

#[derive(Debug, clap::Subcommand)]
pub enum ProposalsCommand {
    /// List proposals that wait for a decision, newest first
    List {
        /// Those in this state instead
        #[arg(long, value_parser = parse_state, value_name = "new|changed|accepted|rejected|skipped")]
        state: Option<ProposalState>,
        /// Of this source
        #[arg(long, value_name = "NAME")]
        source: Option<String>,
        /// Those after this one in the list
        #[arg(long, value_name = "ID")]
        before: Option<String>,
    },
    /// Show a proposal, and the difference to the catalogue
    Show {
        /// As `proposals list` names it
        id: String,
    },
    /// Take proposals into the catalogue
    Accept {
        /// As `proposals list` names them
        #[arg(
            required_unless_present = "all",
            conflicts_with = "all",
            value_name = "ID"
        )]
        ids: Vec<String>,
        /// Accept each that has nothing in its way
        #[arg(long)]
        all: bool,
        /// With --all: of this source
        #[arg(long, value_name = "NAME", requires = "all")]
        source: Option<String>,
        /// Verdict where the source says none, like `example-tool Builder=ship`
        #[arg(long = "verdict", value_parser = parse_answer, value_name = "SLUG REVIEWER=ship|skip")]
        verdicts: Vec<(String, Verdict)>,
    },
    /// Refuse proposals; they come back only if their source changes them
    Reject {
        /// As `proposals list` names them
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
    },
}

fn parse_state(text: &str) -> Result<ProposalState, String> {
    text.parse()
        .map_err(|error: crate::domain::UnknownName| error.to_string())
}

fn parse_answer(text: &str) -> Result<(String, Verdict), String> {
    let expected = || {
        "expected a tool, a reviewer and a verdict, like \"example-tool Builder=ship\"".to_owned()
    };
    let (question, verdict) = text.split_once('=').ok_or_else(expected)?;
    let verdict = verdict.trim().parse().map_err(|_| expected())?;
    Ok((question.trim().to_owned(), verdict))
}

impl ProposalsCommand {
    pub(super) async fn run(self, app: Arc<App>, output: Output) -> Result<ExitCode, Failure> {
        match self {
            Self::List {
                state,
                source,
                before,
            } => list(&app, state, source, before, output).await?,
            Self::Show { id } => show(&app, &id, output).await?,
            Self::Accept {
                ids,
                all,
                source,
                verdicts,
            } => {
                let source = source_id(&app, source).await?;
                match all {
                    true => accept_all(&app, source, output).await?,
                    false => accept(&app, &ids, verdicts.into_iter().collect(), output).await?,
                }
            }
            Self::Reject { ids } => reject(&app, &ids, output).await?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

async fn source_id(app: &App, name: Option<String>) -> Result<Option<i64>, Failure> {
    match name {
        Some(name) => Ok(Some(app.source_called(&name).await?.id)),
        None => Ok(None),
    }
}

async fn list(
    app: &App,
    state: Option<ProposalState>,
    source: Option<String>,
    before: Option<String>,
    output: Output,
) -> Result<(), Failure> {
    let before = match before {
        Some(id) => Some(app.proposal_named(&id).await?.id),
        None => None,
    };
    let filter = ProposalFilter {
        state,
        source_id: source_id(app, source).await?,
        before,
    };
    let found = app.storage.proposals(filter, LISTED).await?;
    if found.is_empty() && !output.json {
        say("No proposal is there.");
    }
    let views: Vec<_> = found
        .iter()
        .map(|proposal| app.proposal_line(proposal))
        .collect();
    output.print(&json!({ "proposals": views }), || {
        found.iter().fold(String::new(), |mut text, proposal| {
            let remarks = match proposal.entry.remarks.len() {
                0 => String::new(),
                1 => "  (1 remark)".to_owned(),
                count => format!("  ({count} remarks)"),
            };
            let _ = writeln!(
                text,
                "{}  {}  {}  {}{remarks}",
                app.proposal_name(proposal.id),
                proposal.state,
                proposal.source,
                proposal.entry.title
            );
            text
        })
    })
}

async fn show(app: &App, id: &str, output: Output) -> Result<(), Failure> {
    let proposal = app.proposal_named(id).await?;
    let judged = app.judge_proposal(&proposal, &Answers::new()).await?;
    output.print(&json!(app.proposal_view(&proposal, &judged)), || {
        shown(&proposal, &judged)
    })
}

fn shown(proposal: &Proposal, judged: &JudgedEntry) -> String {
    let mut text = format!(
        "{}  {}  {}\n",
        proposal.state, proposal.source, proposal.entry.title
    );
    if let Some(url) = &proposal.entry.url {
        let _ = writeln!(text, "{url}");
    }
    for remark in &judged.remarks {
        let _ = writeln!(text, "{}: {}", remark.kind, remark.detail);
    }
    for difference in &judged.differences() {
        let _ = writeln!(
            text,
            "{} {} {}",
            difference.change, difference.kind, difference.name
        );
        for field in &difference.fields {
            let _ = writeln!(
                text,
                "  {}\n  - {}\n  + {}",
                field.field, field.before, field.after
            );
        }
    }
    if judged.difference.differences.is_empty() && !judged.has_fault() {
        text.push_str("The catalogue has it as it is.\n");
    }
    text
}

async fn accept_all(app: &App, source: Option<i64>, output: Output) -> Result<(), Failure> {
    let done = app.accept_all_good(&Actor::cli(), source).await?;
    output.print(&json!(done), || {
        format!(
            "{} accepted; {} are left, which need a person.\n",
            done.accepted, done.left
        )
    })
}

async fn accept(
    app: &App,
    ids: &[String],
    answers: Answers,
    output: Output,
) -> Result<(), Failure> {
    let mut accepted = Vec::new();
    for id in ids {
        let proposal = app.proposal_named(id).await?;
        let imported = app
            .accept_proposal(&Actor::cli(), &proposal, None, &answers)
            .await?;
        accepted.push((proposal, imported));
    }
    let views: Vec<_> = accepted
        .iter()
        .map(|(proposal, imported)| json!({ "id": app.proposal_name(proposal.id), "imported": imported }))
        .collect();
    output.print(&json!({ "accepted": views }), || {
        accepted
            .iter()
            .fold(String::new(), |mut text, (proposal, imported)| {
                let (added, changed) = (
                    imported.tools.added + imported.comparisons.added,
                    imported.tools.changed + imported.comparisons.changed,
                );
                let _ = writeln!(
                    text,
                    "{}: accepted; {added} added, {changed} changed.",
                    proposal.entry.title
                );
                text
            })
    })
}

async fn reject(app: &App, ids: &[String], output: Output) -> Result<(), Failure> {
    for id in ids {
        let proposal = app.proposal_named(id).await?;
        app.reject_proposal(&Actor::cli(), &proposal, None).await?;
    }
    output.print(&json!({ "rejected": ids }), || {
        format!("{} rejected.\n", ids.len())
    })
}
