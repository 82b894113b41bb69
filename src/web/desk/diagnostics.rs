//! Diagnostics: facts about the installation, its checks, and a text of both without secrets.

use std::time::Duration;

use axum::extract::State;
use axum::response::Html;

use super::super::Web;
use super::super::answer::Page;
use super::access::Me;
use super::answers;
use crate::app::check_result::CheckResult;
use crate::app::check_result::Severity;
use crate::app::users::signing_in::SignedIn;
use crate::render::desk;
use crate::render::desk::FindingLine;

pub(super) const DIAGNOSTICS: &str = "/desk/diagnostics";

/// Time that the checks may take: less than a request.
const CHECKS_MAX: Duration = Duration::from_secs(20);

pub(super) async fn look(State(web): State<Web>, Me(who): Me) -> Page {
    page(&web, &who, Vec::new(), None).await
}

/// Runs the checks. By a button: they ask other servers.
pub(super) async fn check(State(web): State<Web>, Me(who): Me) -> Page {
    let findings = web.app.examine_within(CHECKS_MAX).await;
    let support = web.app.support_text(&findings).await?;
    page(&web, &who, findings, Some(support)).await
}

async fn page(
    web: &Web,
    who: &SignedIn,
    findings: Vec<CheckResult>,
    support: Option<String>,
) -> Page {
    let facts = web.app.diagnostics().await?;
    let line = |finding: CheckResult| {
        let (word, mood) = match finding.level {
            Severity::Good => ("Good", "good"),
            Severity::Advice => ("Better", "warn"),
            Severity::Fault => ("Fault", "bad"),
        };
        FindingLine {
            word,
            mood,
            what: finding.what,
            words: finding.words,
        }
    };
    let frame = answers::frame(web, who, "Diagnostics", DIAGNOSTICS);
    Ok(Html(desk::diagnostics(
        frame,
        facts.lines(),
        facts.now.timestamp_millis(),
        findings.into_iter().map(line).collect(),
        support,
    )?))
}
