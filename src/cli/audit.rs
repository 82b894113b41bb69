//! `audit`: what operators, users, programs, the schedule and returning mail changed.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::sync::Arc;

use serde_json::json;

use super::output::Output;
use super::output::say;
use super::output::write_out;
use crate::app::App;
use crate::app::Failure;
use crate::app::audit_log::AuditActor;
use crate::app::audit_log::AuditRequest;
use crate::app::audit_log::AuditRowView;
use crate::app::audit_log::AuditSubject;
use crate::app::audit_log::as_lines;
use crate::app::audit_log::fault_in_words;
use crate::domain::audit::AuditAction;
use crate::storage::audit_log::AuditEntry;
use crate::storage::audit_log::ChainFault;

#[derive(Debug, clap::Subcommand)]
pub enum AuditCommand {
    /// Show who changed what, newest first
    List {
        #[command(flatten)]
        rows: RowsAsked,
        /// Number of rows
        #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(i64).range(1..=1_000_000))]
        limit: i64,
    },
    /// Print every row as a line of JSON, newest first
    Export {
        #[command(flatten)]
        rows: RowsAsked,
    },
    /// Check that no row was changed or removed since it was chained; fails if one was
    Verify,
}

/// Conditions on rows; all must hold.
#[derive(Debug, clap::Args)]
pub struct RowsAsked {
    /// Only this action, like digest.approved
    #[arg(long, value_name = "ACTION")]
    what: Option<AuditAction>,
    /// Only what was done to this: KIND:NAME, like digest:2026-W47, or a subscriber's address
    #[arg(long, value_name = "SUBJECT")]
    subject: Option<AuditSubject>,
    /// Only what this one did: KIND:ID as the rows have them, or a kind of which there is one, like cli
    #[arg(long, value_name = "ACTOR")]
    actor: Option<AuditActor>,
}

impl From<RowsAsked> for AuditRequest {
    fn from(rows: RowsAsked) -> Self {
        Self {
            what: rows.what,
            subject: rows.subject,
            actor: rows.actor,
        }
    }
}

/// Rows that an export reads at a time.
const PAGE: i64 = 500;

impl AuditCommand {
    pub(super) async fn run(self, app: Arc<App>, output: Output) -> Result<ExitCode, Failure> {
        match self {
            Self::List { rows, limit } => {
                let entries = app.audit_log(&rows.into(), None, limit).await?;
                if entries.is_empty() && !output.json {
                    say("No such change is logged.");
                }
                let rows: Vec<AuditRowView<'_>> = entries.iter().map(AuditRowView::from).collect();
                output.print(&json!({ "rows": rows }), || {
                    entries.iter().map(|entry| line(&app, entry)).collect()
                })?;
                Ok(ExitCode::SUCCESS)
            }
            Self::Export { rows } => export(&app, &rows.into()).await,
            Self::Verify => verify(&app, output).await,
        }
    }
}

async fn export(app: &App, asked: &AuditRequest) -> Result<ExitCode, Failure> {
    let mut before = None;
    loop {
        let entries = app.audit_log(asked, before, PAGE).await?;
        write_out(as_lines(&entries).as_bytes())?;
        match entries.last() {
            Some(last) => before = Some(last.row.id),
            None => return Ok(ExitCode::SUCCESS),
        }
    }
}

fn line(app: &App, entry: &AuditEntry) -> String {
    let row = &entry.row;
    let mut text = format!("{}  {}", app.local_time(row.at), row.actor_kind);
    if row.actor != row.actor_kind {
        let _ = write!(text, " {}", row.actor);
    }
    let _ = write!(text, "  {}", row.what);
    if let (Some(kind), Some(subject)) = (&row.subject_kind, &row.subject) {
        let _ = write!(text, "  {kind}:{subject}");
    }
    if row.detail != "{}" {
        let _ = write!(text, "  {}", row.detail);
    }
    text.push('\n');
    text
}

async fn verify(app: &App, output: Output) -> Result<ExitCode, Failure> {
    let check = app.check_audit().await?;
    let fault = check.fault.map(|fault| match fault {
        ChainFault::Missing(seq) => ("missing", seq, fault_in_words(fault)),
        ChainFault::Changed(seq) => ("changed", seq, fault_in_words(fault)),
    });
    let document = json!({
        "holds": fault.is_none(),
        "rows": check.rows,
        "unchained": check.unchained,
        "fault": fault.as_ref().map(|(kind, seq, _)| json!({ "kind": kind, "seq": seq })),
    });
    output.print(&document, || match &fault {
        None => format!(
            "The audit log is whole: {} rows are chained, {} wait for the next minute of `serve`.\n",
            check.rows, check.unchained
        ),
        Some((_, _, words)) => format!("FAULT: {words}; the {} rows before it hold.\n", check.rows),
    })?;
    Ok(if fault.is_none() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
