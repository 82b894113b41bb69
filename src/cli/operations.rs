//! `migrate`, `doctor`.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::sync::Arc;

use tokio::time::Instant;
use tokio::time::timeout;

use super::output::Output;
use crate::app::App;
use crate::app::Failure;
use crate::app::check_result::CheckResult;
use crate::app::check_result::Severity;
use crate::app::checks::doctor::DOCTOR_MAX;

pub async fn migrate(app: Arc<App>, output: Output) -> Result<ExitCode, Failure> {
    app.migrate().await?;
    output.print(&serde_json::json!({ "status": "up_to_date" }), || {
        "The database is up to date.\n".into()
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Looks at everything; a database that cannot be opened at all, or not in the time that all may take, is the one finding then.
pub async fn doctor(
    open: impl Future<Output = Result<Arc<App>, Failure>>,
    database: &str,
    output: Output,
) -> Result<ExitCode, Failure> {
    let began = Instant::now();
    let findings = match timeout(DOCTOR_MAX, open).await {
        Ok(Ok(app)) => {
            app.examine_within(DOCTOR_MAX.saturating_sub(began.elapsed()))
                .await
        }
        Ok(Err(failure)) => vec![CheckResult::new(
            "start",
            Severity::Fault,
            failure.to_string(),
        )],
        Err(_) => {
            let words = format!(
                "the database {database} was not reached within {DOCTOR_MAX:?}: look whether its host's name is resolved and its server answers"
            );
            vec![CheckResult::new("start", Severity::Fault, words)]
        }
    };
    let healthy = findings
        .iter()
        .all(|finding| finding.level != Severity::Fault);
    output.print(
        &serde_json::json!({ "healthy": healthy, "findings": findings }),
        || {
            findings.iter().fold(String::new(), |mut text, finding| {
                let mark = match finding.level {
                    Severity::Good => "good  ",
                    Severity::Advice => "advice",
                    Severity::Fault => "FAULT ",
                };
                let _ = writeln!(text, "{mark}  {:<15} {}", finding.what, finding.words);
                text
            })
        },
    )?;
    Ok(if healthy {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Prints facts, findings and settings for whoever helps.
pub async fn support(app: &App, output: Output) -> Result<ExitCode, Failure> {
    let findings = app.examine_within(DOCTOR_MAX).await;
    let text = app.support_text(&findings).await?;
    let document = serde_json::json!({
        "facts": app.diagnostics().await?,
        "findings": findings,
        "settings": app.setting_views().await?,
    });
    output.print(&document, || text)?;
    Ok(ExitCode::SUCCESS)
}
