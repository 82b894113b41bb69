//! `relays` and `dns`: the ways out, and what DNS says of the sender.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::sync::Arc;

use serde_json::json;

use super::output::Output;
use crate::app::App;
use crate::app::Failure;
use crate::app::delivery::relay_report::RelayReport;
use crate::domain::actor::Actor;

#[derive(Debug, clap::Subcommand)]
pub enum RelaysCommand {
    /// Show each relay: its state in each process that sends, today's use, warm-up and last reply
    List,
    /// Try a relay now whose breaker is open, instead of waiting until its pause is over
    Try {
        /// As `relays list` names it
        name: String,
    },
}

impl RelaysCommand {
    pub(super) async fn run(self, app: Arc<App>, output: Output) -> Result<ExitCode, Failure> {
        match self {
            Self::List => {
                let relays = app.relay_reports().await?;
                output.print(&json!({ "relays": relays }), || {
                    relays.iter().map(|relay| in_words(&app, relay)).collect()
                })?;
            }
            Self::Try { name } => {
                app.try_relay(&Actor::cli(), &name).await?;
                output.print(&json!({ "relay": name, "status": "asked" }), || {
                    format!("{name}: processes that send try it within seconds.\n")
                })?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn in_words(app: &App, relay: &RelayReport) -> String {
    let mut text = format!("{}: {} today", relay.name, relay.used_today);
    if let Some(limit) = relay.limit_today {
        let _ = write!(text, " of {limit}");
    }
    if let Some((day, days)) = relay.warm_up_day {
        let _ = write!(text, ", day {day} of {days} of its warm-up");
    }
    text.push('\n');
    for process in &relay.processes {
        let _ = writeln!(
            text,
            "  {} connections, {} with a mail out",
            process.connections, process.sending
        );
        if let Some(trouble) = &process.trouble {
            let until = process
                .until
                .map(|until| format!(" until {}", app.local_time(until)))
                .unwrap_or_default();
            let _ = writeln!(text, "  paused{until}: {trouble}");
        }
    }
    if let Some((at, reply)) = relay.last_reply() {
        let _ = writeln!(text, "  last reply {}: {reply}", app.local_time(*at));
    }
    text
}

/// `dns`: what DNS said when it was last asked, and the records to publish.
pub(super) async fn dns(app: &App, asks_now: bool, output: Output) -> Result<ExitCode, Failure> {
    if asks_now {
        app.look_at_dns(app.now()).await?;
    }
    let (checks, records) = (app.dns_checks().await?, app.dns_records());
    let rows: Vec<_> = checks
        .iter()
        .map(|check| {
            json!({ "what": check.what, "level": check.level, "words": check.words, "since": check.since, "checked_at": check.checked_at })
        })
        .collect();
    output.print(&json!({ "checks": rows, "records": records }), || {
        let mut text = String::new();
        if checks.is_empty() {
            text.push_str("DNS was not asked yet: `serve` does, each hour; --now asks now.\n");
        }
        for check in &checks {
            let since = app.local_time(check.since);
            let _ = writeln!(
                text,
                "{:<7} {:<12} since {since}: {}",
                check.level, check.what, check.words
            );
        }
        for record in &records {
            let _ = writeln!(text, "{} {} \"{}\"", record.name, record.kind, record.value);
        }
        text
    })?;
    Ok(ExitCode::SUCCESS)
}
