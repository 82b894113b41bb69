//! `audit`: what operators, users, programs, the schedule and returning mail changed.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::sync::Arc;

use serde_json::Value;
use serde_json::json;

use super::output::Output;
use super::output::say;
use crate::app::App;
use crate::app::Failure;
use crate::app::audit_log::AuditSubject;
use crate::domain::audit::AuditAction;
use crate::storage::audit_log::AuditEntry;
use crate::storage::audit_log::ChainFault;

#[derive(Debug, clap::Subcommand)]
pub enum AuditCommand {
    /// Show who changed what, newest first
    List {
        /// Only this action, like digest.approved
        #[arg(long, value_name = "ACTION")]
        what: Option<AuditAction>,
        /// Only what was done to this: KIND:NAME, like digest:2026-W47, or a subscriber's address
        #[arg(long, value_name = "SUBJECT")]
        subject: Option<AuditSubject>,
        /// Number of rows
        #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(i64).range(1..=1_000_000))]
        limit: i64,
    },
    /// Check that no row was changed or removed since it was chained; fails if one was
    Verify,
}

impl AuditCommand {
    pub(super) async fn run(self, app: Arc<App>, output: Output) -> Result<ExitCode, Failure> {
        match self {
            Self::List {
                what,
                subject,
                limit,
            } => {
                let entries = app.audit_log(what, subject.as_ref(), limit).await?;
                if entries.is_empty() && !output.json {
                    say("No such change is logged.");
                }
                let rows: Vec<Value> = entries.iter().map(as_json).collect();
                output.print(&json!({ "rows": rows }), || {
                    entries.iter().map(|entry| line(&app, entry)).collect()
                })?;
                Ok(ExitCode::SUCCESS)
            }
            Self::Verify => verify(&app, output).await,
        }
    }
}

/// The row without its number, which is for the database alone.
fn as_json(entry: &AuditEntry) -> Value {
    let AuditEntry { row, link } = entry;
    let detail: Value = serde_json::from_str(&row.detail).unwrap_or_default();
    json!({
        "at": row.at,
        "actor_kind": row.actor_kind,
        "actor": row.actor,
        "network": row.network,
        "what": row.what,
        "subject_kind": row.subject_kind,
        "subject": row.subject,
        "detail": detail,
        "seq": link.as_ref().map(|link| link.seq),
        "previous_hash": link.as_ref().map(|link| &link.previous_hash),
        "hash": link.as_ref().map(|link| &link.hash),
    })
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
        ChainFault::Missing(seq) => ("missing", seq, format!("row {seq} is missing")),
        ChainFault::Changed(seq) => (
            "changed",
            seq,
            format!("row {seq} was changed, or one before it was replaced"),
        ),
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
