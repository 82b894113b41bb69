//! The audit log and the diagnostics.

use askama::Template;

use super::DeskFrame;
use crate::render::RenderError;

/// A row of the audit log.
pub struct AuditLine {
    /// Time.
    pub at: String,
    /// Name of the actor.
    pub actor: String,
    /// Address of the log of all that this actor did.
    pub actor_href: String,
    /// Network.
    pub network: String,
    /// Action.
    pub what: String,
    /// Subject: words, and the address of the log of all that was done to it.
    pub subject: Option<(String, String)>,
    /// Particulars: names and values.
    pub detail: Vec<(String, String)>,
    /// Place in the chain.
    pub seq: Option<i64>,
}

/// Content of the page of the audit log.
pub struct AuditPageView {
    /// Rows.
    pub rows: Vec<AuditLine>,
    /// Actions to choose from, and whether each is chosen.
    pub actions: Vec<(&'static str, bool)>,
    /// Actors to choose from: value, words, whether it is chosen.
    pub actors: Vec<(String, String, bool)>,
    /// Subject as it was typed.
    pub subject: String,
    /// Fault of the subject.
    pub problem: Option<String>,
    /// State of the chain.
    pub chain: String,
    /// Address of the first page, from any other.
    pub first_page: Option<String>,
    /// Address of the next page.
    pub next_page: Option<String>,
    /// Address of the same rows as lines of JSON.
    pub export: String,
}

#[derive(Template)]
#[template(path = "desk/audit.html", whitespace = "minimize")]
struct AuditPage<'a> {
    frame: DeskFrame<'a>,
    view: AuditPageView,
}

/// A page of the audit log.
pub fn audit(frame: DeskFrame<'_>, view: AuditPageView) -> Result<String, RenderError> {
    Ok(AuditPage { frame, view }.render()?)
}

/// A finding of the checks.
pub struct FindingLine {
    /// Severity in a word,
    pub word: &'static str,
    /// and as a class.
    pub mood: &'static str,
    /// Subject of the check.
    pub what: &'static str,
    /// Result.
    pub words: String,
}

#[derive(Template)]
#[template(path = "desk/diagnostics.html", whitespace = "minimize")]
struct DiagnosticsPage<'a> {
    frame: DeskFrame<'a>,
    facts: Vec<(&'static str, String)>,
    now_ms: i64,
    findings: Vec<FindingLine>,
    support: Option<String>,
}

/// The diagnostics. `support`: the text to hand to others, once it was asked for, with the findings.
pub fn diagnostics(
    frame: DeskFrame<'_>,
    facts: Vec<(&'static str, String)>,
    now_ms: i64,
    findings: Vec<FindingLine>,
    support: Option<String>,
) -> Result<String, RenderError> {
    Ok(DiagnosticsPage {
        frame,
        facts,
        now_ms,
        findings,
        support,
    }
    .render()?)
}
