//! `digest`: pick, preview, send, and the life of a digest.

pub(super) mod draft;
mod failed;
mod results;
mod resume;
mod review;
pub(super) mod send;

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use serde_json::json;

use super::output::Output;
use super::output::parse_digest;
use super::output::parse_moment;
use super::output::say;
use super::progress;
use crate::app::App;
use crate::app::Failure;
use crate::app::issue::approving::ApprovalOrder;
use crate::app::issue::digests::DigestStatus;
use crate::app::issue::edition::Edition;
use crate::app::issue::edition::Outlook;
use crate::app::views::AuditView;
use crate::app::views::DigestStatusView;
use crate::app::views::DigestView;
use crate::cli::digest::draft::CorrectArguments;
use crate::cli::digest::draft::EditArguments;
use crate::cli::digest::send::SendArguments;
use crate::domain::Timestamp;
use crate::domain::actor::Actor;
use crate::domain::pick::Pick;
use crate::domain::slot::Slot;

/// Doubts that an audit lists; all are counted.
const LISTED: i64 = 1_000;

#[derive(Debug, clap::Subcommand)]
pub enum DigestCommand {
    /// Show the draft's picks, or without a draft what would be picked, with score and reasons; changes nothing
    Pick {
        /// As of this time instead of now (RFC 3339)
        #[arg(long, alias = "at", value_parser = parse_moment, value_name = "TIME")]
        as_of: Option<Timestamp>,
    },
    /// Write digest.html, digest.txt and digest.eml as one reader would get them; changes nothing
    Preview {
        /// As of this time instead of now (RFC 3339)
        #[arg(long, alias = "at", value_parser = parse_moment, value_name = "TIME")]
        as_of: Option<Timestamp>,
        /// This digest
        #[arg(long, value_parser = parse_digest)]
        id: Option<Slot>,
        /// The folder to write into
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
    /// Create this week's digest now; it is still sent at the scheduled time. With SLOT: print the subject, text and revision of that digest
    Draft {
        /// Print this digest's subject, text and revision instead
        #[arg(value_parser = parse_digest)]
        slot: Option<Slot>,
    },
    Edit(EditArguments),
    Correct(CorrectArguments),
    Send(SendArguments),
    /// All digests, newest first
    List,
    /// One digest: its comparisons, subject, time and readers, its deliveries counted by state
    Show {
        #[arg(value_parser = parse_digest)]
        id: Slot,
        /// List the subscribers whose delivery failed, each with the last reply
        #[arg(long)]
        failed: bool,
        /// List the subscribers who unsubscribed because of it, each with the reason
        #[arg(long, conflicts_with = "failed")]
        left: bool,
    },
    /// Results of a digest that went out: minutes, domains, relays, who left, votes, and the digests before it
    Results {
        #[arg(value_parser = parse_digest)]
        id: Slot,
    },
    /// Print every delivery of a digest as CSV
    Ledger {
        #[arg(value_parser = parse_digest)]
        id: Slot,
    },
    /// Approve a draft: it goes out at its time
    Approve {
        #[arg(value_parser = parse_digest)]
        id: Slot,
        /// Approve only this revision, which `digest draft SLOT` prints
        #[arg(long, value_name = "N")]
        revision: Option<i64>,
        /// Approve although desk.two_people asks for a second person; the reason is kept
        #[arg(long = "override", value_name = "REASON")]
        overrides: Option<String>,
    },
    /// Make a digest a draft again, with a note that says what to change
    SendBack {
        #[arg(value_parser = parse_digest)]
        id: Slot,
        /// Note that says what to change
        #[arg(long, value_name = "TEXT")]
        note: String,
    },
    /// Leave a week without a digest
    Skip {
        /// Week, like 2026-W48 [default: this one]
        #[arg(value_parser = parse_digest)]
        id: Option<Slot>,
        /// Why; the desk shows it
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Print the notes and decisions of a digest before it went out
    Notes {
        #[arg(value_parser = parse_digest)]
        id: Slot,
        /// Add a note
        #[arg(long, value_name = "TEXT")]
        add: Option<String>,
    },
    /// Print a link by which people without an account look at a digest for seven days and remark on it
    ReviewLink {
        #[arg(value_parser = parse_digest)]
        id: Slot,
    },
    /// Print the addresses that get test copies together, or save others in their place
    TestGroup {
        /// The new group, at most ten
        addresses: Vec<String>,
        /// Empty the group
        #[arg(long, conflicts_with = "addresses")]
        clear: bool,
    },
    /// Withdraw an approval: the digest becomes a draft again and is not sent until it is approved
    Withdraw {
        #[arg(value_parser = parse_digest)]
        id: Slot,
    },
    /// Pause sending; `digest resume` continues it
    Pause {
        #[arg(value_parser = parse_digest)]
        id: Slot,
    },
    /// Resume sending a paused digest
    Resume(resume::ResumeArguments),
    /// Cancel a digest; undelivered mails will not be sent
    Cancel {
        #[arg(value_parser = parse_digest)]
        id: Slot,
    },
    /// Check the ledger for contradictions and list uncertain deliveries
    Audit {
        /// That digest [default: all]
        #[arg(value_parser = parse_digest)]
        id: Option<Slot>,
    },
}

impl DigestCommand {
    pub(super) async fn run(self, app: Arc<App>, output: Output) -> Result<ExitCode, Failure> {
        match self {
            Self::Pick { as_of } => pick(&app, as_of.unwrap_or_else(|| app.now()), output).await?,
            Self::Preview { as_of, id, out } => {
                review::preview(&app, id, as_of.unwrap_or_else(|| app.now()), &out, output).await?
            }
            Self::Draft { slot } => return draft::draft(&app, slot, output).await,
            Self::Edit(edit) => return edit.run(&app, output).await,
            Self::Correct(correct) => correct.run(&app, output).await?,
            Self::Send(send) => return send.run(app, output).await,
            Self::List => list(&app, output).await?,
            Self::Show {
                id, failed: true, ..
            } => failed::print(&app, id, output).await?,
            Self::Show { id, left: true, .. } => results::left(&app, id, output).await?,
            Self::Results { id } => results::print(&app, id, output).await?,
            Self::Ledger { id } => results::ledger(&app, id).await?,
            Self::Show { id, .. } => return draft::print(&app, id, output).await,
            Self::Approve {
                id,
                revision,
                overrides,
            } => {
                let order = ApprovalOrder {
                    revision,
                    overrides,
                };
                let status = app.approve_revision(&Actor::cli(), id, &order).await?;
                show(&app, &status, None, output)?;
            }
            Self::SendBack { id, note } => {
                let status = app.send_back(&Actor::cli(), id, &note).await?;
                show(&app, &status, None, output)?;
            }
            Self::Skip { id, reason } => {
                let slot = id.unwrap_or_else(|| app.slot_at(app.now()));
                let status = app.skip_week(&Actor::cli(), slot, &reason).await?;
                show(&app, &status, None, output)?;
            }
            Self::Notes { id, add } => review::notes(&app, id, add, output).await?,
            Self::ReviewLink { id } => review::review_link(&app, id, output).await?,
            Self::TestGroup { addresses, clear } => {
                review::test_group(&app, &addresses, clear, output).await?
            }
            Self::Withdraw { id } => {
                let status = app.withdraw_digest(&Actor::cli(), id).await?;
                show(&app, &status, None, output)?;
            }
            Self::Pause { id } => {
                let status = app.pause_digest(&Actor::cli(), id).await?;
                show(&app, &status, None, output)?;
            }
            Self::Resume(resume) => resume.run(&app, output).await?,
            Self::Cancel { id } => {
                let status = app.cancel_digest(&Actor::cli(), id).await?;
                show(&app, &status, None, output)?;
            }
            Self::Audit { id } => return audit(&app, id, output).await,
        }
        Ok(ExitCode::SUCCESS)
    }
}

async fn pick(app: &App, at: Timestamp, output: Output) -> Result<(), Failure> {
    let slot = app.slot_at(at);
    let edition = app.edition(slot, at).await?;
    let state = edition.digest.as_ref().map(|digest| digest.state);
    let picks = edition.picks();
    output.print(
        &json!({ "slot": slot, "state": state, "picks": picks, "left_out": edition.left_out }),
        || {
            let what = state.map_or_else(
                || "would be picked".into(),
                |state| format!("the digest is {state}"),
            );
            format!(
                "{slot}: {} picks ({what})\n{}",
                picks.len(),
                listed(&edition)
            )
        },
    )
}

fn reasons_of(pick: &Pick) -> String {
    let reasons: Vec<String> = pick.reasons.iter().map(ToString::to_string).collect();
    reasons.join("; ")
}

/// The comparisons of a digest and why, then what it leaves out.
fn listed(edition: &Edition) -> String {
    let mut text = String::new();
    for (number, pick) in edition.picks().iter().enumerate() {
        let _ = writeln!(
            text,
            "{}. {}  ({:.1} points)\n   {}",
            number + 1,
            pick.comparison,
            pick.score,
            reasons_of(pick)
        );
    }
    for left in &edition.left_out {
        let _ = writeln!(text, "not in it: {}, for {}", left.comparison, left.why);
    }
    text
}

async fn list(app: &App, output: Output) -> Result<(), Failure> {
    let digests = app.storage.digests().await?;
    let missed = app.missed_digests().await?;
    let rows: Vec<_> = digests.iter().map(DigestView::from).collect();
    if rows.is_empty() && missed.is_empty() && !output.json {
        say("There is no digest yet.");
    }
    output.print(&json!({ "digests": rows, "missed": missed }), || {
        let missed = missed
            .iter()
            .map(|missed| format!("missed: {}\n", app.missed_in_words(missed)));
        digests
            .iter()
            .fold(missed.collect(), |mut text: String, digest| {
                let _ = writeln!(
                    text,
                    "{}  {:<9}  {} recipients, due {}",
                    digest.slot,
                    digest.state,
                    digest.recipients,
                    app.local_time(digest.send_at)
                );
                text
            })
    })
}

/// Prints a digest, with what it carries where `outlook` is given.
pub(super) fn show(
    app: &App,
    status: &DigestStatus,
    outlook: Option<&Outlook>,
    output: Output,
) -> Result<(), Failure> {
    let json = json!(DigestStatusView::new(status, outlook));
    output.print(&json, || {
        let (digest, tally) = (&status.digest, &status.tally);
        let mut text = format!(
            "{}: {}, {} recipients\n",
            digest.slot, digest.state, digest.recipients
        );
        let _ = writeln!(
            text,
            "queued {}, sending {}, sent {}, failed {}, uncertain {}, skipped {}",
            tally.queued, tally.sending, tally.sent, tally.failed, tally.uncertain, tally.skipped
        );
        if let Some(outlook) = outlook {
            let _ = writeln!(
                text,
                "subject: {}",
                outlook
                    .subject
                    .as_deref()
                    .unwrap_or("none, for it carries nothing")
            );
            if let Some(readers) = outlook.readers {
                let _ = writeln!(
                    text,
                    "goes out {} to {readers} readers",
                    app.local_time(digest.send_at)
                );
            }
            text += &listed(&outlook.edition);
        }
        text += &progress::lines(app, status);
        for (reply, count) in &status.failures {
            let _ = writeln!(text, "failed {count} times: {reply}");
        }
        for (reason, count) in &status.skips {
            let _ = writeln!(text, "skipped {count} times: {}", reason.describe());
        }
        for held in &status.held {
            let _ = writeln!(text, "held: {} (`verdicts bounces list`)", held.summary());
        }
        if let Some(stall) = &status.stall {
            let _ = writeln!(text, "waiting: {}", app.stall_in_words(stall));
        }
        if let Some(missed) = &status.missed {
            let _ = writeln!(text, "missed: {}", app.missed_in_words(missed));
        }
        for trouble in &status.troubles {
            let _ = writeln!(text, "trouble: {trouble}");
        }
        text
    })
}

async fn audit(app: &App, id: Option<Slot>, output: Output) -> Result<ExitCode, Failure> {
    let slots: Vec<Slot> = match id {
        Some(slot) => vec![slot],
        None => app
            .storage
            .digests()
            .await?
            .into_iter()
            .filter(|digest| digest.published_at.is_some())
            .map(|digest| digest.slot)
            .collect(),
    };
    let mut audits = Vec::new();
    for slot in slots {
        let audit = app.storage.audit(slot, LISTED).await?;
        audits.push(audit.ok_or_else(|| {
            Failure::not_found(format!(
                "There is no digest {slot}; `verdicts digest list` shows all."
            ))
        })?);
    }
    if audits.is_empty() && !output.json {
        say("No digest was published yet: there is nothing to check.");
    }
    let holds = audits.iter().all(|audit| audit.faults.is_empty());
    let digests: Vec<_> = audits
        .iter()
        .map(|audit| AuditView::new(app, audit))
        .collect();
    output.print(&json!({ "holds": holds, "digests": digests }), || {
        let mut text = String::new();
        for audit in &audits {
            let verdict = if audit.faults.is_empty() { "all promises hold" } else { "PROMISES BROKEN" };
            let _ = writeln!(text, "{}: {verdict}; {} recipients, {} once in doubt", audit.slot, audit.recipients, audit.doubts.len());
            if audit.is_publishing {
                let _ = writeln!(text, "  it is being published: more deliveries are made by any `serve`, or by `digest send`");
            }
            for fault in &audit.faults {
                let _ = writeln!(text, "  fault: {fault}");
            }
            for doubt in &audit.doubts {
                let at = app.local_time(doubt.uncertain_at);
                let _ = writeln!(
                    text,
                    "  in doubt at {at}: subscriber {}, now {}, {} attempts",
                    app.subscriber_name(doubt.subscriber),
                    doubt.state,
                    doubt.attempts
                );
            }
        }
        text
    })?;
    Ok(if holds {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
