//! `bounces`: refused mails by domain and reason, and hard refusals that the brake holds.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::sync::Arc;

use serde_json::json;

use super::output::Output;
use super::output::bar;
use super::output::say;
use super::output::write_out;
use crate::app::App;
use crate::app::Failure;
use crate::app::deliverability::ReturnedSend;
use crate::domain::actor::Actor;
use crate::domain::brake::Decision;

#[derive(Debug, clap::Subcommand)]
pub enum BouncesCommand {
    /// Show the hard refusals that are held, most readers first
    List,
    /// Count refused mails by recipient domain and reason
    Count {
        /// Of this digest, or `others` for mails of the last 30 days that are no digest's
        #[arg(value_parser = parse_send, value_name = "SLOT|others")]
        send: ReturnedSend,
    },
    /// List refused mails, each with its reply
    Refused {
        /// Of this digest, or `others` for mails of the last 30 days that are no digest's
        #[arg(value_parser = parse_send, value_name = "SLOT|others")]
        send: ReturnedSend,
        /// Of this recipient domain
        #[arg(long)]
        domain: Option<String>,
    },
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
            Self::Count { send } => count(&app, send, output).await?,
            Self::Refused { send, domain } => {
                refused(&app, send, domain.as_deref(), output).await?
            }
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

/// Refused mails that are read at once.
const PAGE: usize = 1_000;

fn parse_send(text: &str) -> Result<ReturnedSend, String> {
    match text {
        "others" => Ok(ReturnedSend::Others),
        text => text
            .parse()
            .map(ReturnedSend::Issue)
            .map_err(|_| "expected a week like 2026-W48, or others".into()),
    }
}

async fn count(app: &App, send: ReturnedSend, output: Output) -> Result<(), Failure> {
    let counts = app.returned_counts(send).await?;
    if counts.is_empty() && !output.json {
        say("Nothing of it was refused.");
    }
    output.print(&json!({ "refused": counts }), || {
        counts.iter().fold(String::new(), |mut text, count| {
            let status = count.status.as_deref().unwrap_or("-");
            let reason = count.reason.describe();
            let _ = writeln!(
                text,
                "{:>8}  {}  {reason} ({status}): {}",
                count.count, count.domain, count.example
            );
            text
        })
    })
}

/// Prints page by page: a list of any length in little memory.
async fn refused(
    app: &App,
    send: ReturnedSend,
    domain: Option<&str>,
    output: Output,
) -> Result<(), Failure> {
    let (mut after, mut first) = (None, true);
    if output.json {
        write_out(b"{\"refused\":[")?;
    }
    loop {
        let page = app
            .returned_mails(send, domain, after.as_ref(), PAGE)
            .await?;
        let Some(last) = page.last() else { break };
        let mut text = String::new();
        for mail in &page {
            if output.json {
                text.push_str(if first { "\n" } else { ",\n" });
                let row = json!({
                    "subscriber": app.subscriber_name(mail.subscriber),
                    "email": mail.email,
                    "domain": mail.domain,
                    "at": mail.at,
                    "class": mail.class,
                    "outcome": mail.outcome,
                    "reply": mail.reply,
                });
                text.push_str(&row.to_string());
            } else {
                let _ = writeln!(text, "{}  {}  {}", mail.email, mail.class, mail.reply);
            }
            first = false;
        }
        after = Some((last.send, last.domain.clone(), last.subscriber));
        write_out(text.as_bytes())?;
    }
    match output.json {
        true => write_out(b"]}\n"),
        false => Ok(()),
    }
}
