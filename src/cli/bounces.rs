//! `bounces`: hard refusals that the brake holds.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::sync::Arc;

use serde_json::json;

use super::output::Output;
use super::output::bar;
use super::output::say;
use crate::app::App;
use crate::app::Failure;
use crate::domain::actor::Actor;
use crate::domain::brake::Decision;

#[derive(Debug, clap::Subcommand)]
pub enum BouncesCommand {
    /// Show the hard refusals that are held, most readers first
    List,
    /// Confirm the held refusals of a domain or relay: end the subscriptions of their readers
    Accept {
        /// As `bounces list` names it
        #[arg(value_name = "DOMAIN|RELAY")]
        name: String,
    },
    /// Dismiss the held refusals of a domain or relay and keep the subscriptions
    Dismiss {
        /// As `bounces list` names it
        #[arg(value_name = "DOMAIN|RELAY")]
        name: String,
    },
}

impl BouncesCommand {
    pub(super) async fn run(self, app: Arc<App>, output: Output) -> Result<ExitCode, Failure> {
        match self {
            Self::List => list(&app, output).await?,
            Self::Accept { name } => decide(&app, &name, Decision::Accepted, output).await?,
            Self::Dismiss { name } => decide(&app, &name, Decision::Dismissed, output).await?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

async fn list(app: &App, output: Output) -> Result<(), Failure> {
    app.judge_all_refusals().await?;
    let held = app.held_refusals(None).await?;
    let unjudged = app.storage.unjudged_readers().await?;
    if held.is_empty() && !output.json {
        say("No refusals are held.");
    }
    if unjudged > 0 && !output.json {
        say(format_args!(
            "{unjudged} more wait to be judged: until their send is over, or for bounces.brake_wait."
        ));
    }
    output.print(&json!({ "held": held, "unjudged": unjudged }), || {
        held.iter().fold(String::new(), |mut text, held| {
            let _ = writeln!(text, "{}", held.summary());
            text
        })
    })
}

async fn decide(app: &App, name: &str, decision: Decision, output: Output) -> Result<(), Failure> {
    let what = if decision == Decision::Accepted {
        "Ending"
    } else {
        "Dismissing"
    };
    let mut shown = None;
    let decided = app
        .decide_on(&Actor::cli(), name, decision, |total, done| {
            let bar = shown.get_or_insert_with(|| bar(total, what));
            bar.set_position(done);
        })
        .await;
    if let Some(bar) = shown {
        bar.finish_and_clear();
    }
    let decided = decided?;
    output.print(&json!(decided), || {
        let (readers, name) = (decided.readers, &decided.name);
        match decision {
            Decision::Accepted => format!("{name}: {readers} subscriptions ended; their addresses are on the suppression list.\n"),
            Decision::Dismissed => format!("{name}: the refusals of {readers} readers are dropped; their subscriptions go on.\n"),
        }
    })
}
