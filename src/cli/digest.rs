//! `digest`: pick, preview, send, and the life of a digest.

use std::fmt::Write as _;
use std::path::Path;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use serde_json::json;

use super::output::Output;
use super::output::moment;
use super::output::parse_digest;
use super::output::parse_moment;
use super::output::say;
use super::output::stop_signal;
use super::progress;
use crate::app::App;
use crate::app::Failure;
use crate::app::deliver::Ending;
use crate::app::deliver::Progress;
use crate::app::digests::Sent;
use crate::app::digests::Status;
use crate::app::preflight::Preflight;
use crate::domain::Timestamp;
use crate::domain::address::EmailAddress;
use crate::domain::digest::Digest;
use crate::domain::digest::DigestState;
use crate::domain::slot::Slot;

/// Doubts that an audit lists; all are counted.
const LISTED: i64 = 1_000;

#[derive(Debug, clap::Subcommand)]
pub enum DigestCommand {
    /// What would be picked, in order, with score and reasons; changes nothing
    Pick {
        /// At that moment instead of now (RFC 3339)
        #[arg(long, value_parser = parse_moment, value_name = "TIME")]
        at: Option<Timestamp>,
    },
    /// Write digest.html, digest.txt and digest.eml as one reader would get them; changes nothing
    Preview {
        /// At that moment instead of now (RFC 3339)
        #[arg(long, value_parser = parse_moment, value_name = "TIME")]
        at: Option<Timestamp>,
        /// That digest
        #[arg(long, value_parser = parse_digest)]
        id: Option<Slot>,
        /// The folder to write into
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
    /// Pick (if the week has no digest), publish and deliver; run twice it sends nobody anything twice
    Send {
        /// As of that moment instead of now (RFC 3339)
        #[arg(long, value_parser = parse_moment, value_name = "TIME")]
        at: Option<Timestamp>,
        /// Only a test copy to this address; changes nothing
        #[arg(long, value_name = "ADDRESS")]
        to: Option<EmailAddress>,
        /// Even where the look before it finds what mail servers refuse or hide mail for
        #[arg(long)]
        force: bool,
    },
    /// All digests, newest first
    List,
    /// One digest, its deliveries counted by state
    Show {
        #[arg(value_parser = parse_digest)]
        id: Slot,
    },
    /// Approve a draft: it goes out at its time
    Approve {
        #[arg(value_parser = parse_digest)]
        id: Slot,
    },
    /// Stop sending for now
    Pause {
        #[arg(value_parser = parse_digest)]
        id: Slot,
    },
    /// Go on sending
    Resume {
        #[arg(value_parser = parse_digest)]
        id: Slot,
        /// Even where the look before it finds what mail servers refuse or hide mail for
        #[arg(long)]
        force: bool,
    },
    /// Give a digest up: what has not gone out never will
    Cancel {
        #[arg(value_parser = parse_digest)]
        id: Slot,
    },
    /// Check the ledger's promises and name what is in doubt
    Audit {
        /// That digest [default: all]
        #[arg(value_parser = parse_digest)]
        id: Option<Slot>,
    },
}

impl DigestCommand {
    pub(super) async fn run(self, app: Arc<App>, output: Output) -> Result<ExitCode, Failure> {
        let at = |at: Option<Timestamp>| at.unwrap_or_else(|| app.now());
        match self {
            Self::Pick { at: given } => pick(&app, at(given), output).await?,
            Self::Preview { at: given, id, out } => {
                let at = at(given);
                preview(&app, id.unwrap_or_else(|| app.slot_at(at)), at, &out, output).await?;
            }
            Self::Send { at: given, to: Some(to), .. } => {
                let reply = app.send_test_copy(at(given), &to).await?;
                output.print(&json!({ "to": to.as_str(), "reply": reply }), || format!("A test copy went to {to}.\n"))?;
            }
            Self::Send { at: given, to: None, force } => {
                return send(&app, at(given), preflight(force), output).await;
            }
            Self::List => list(&app, output).await?,
            Self::Show { id } => show(&app.status(id).await?, output)?,
            Self::Approve { id } => show(&app.approve_digest(id).await?, output)?,
            Self::Pause { id } => show(&app.pause_digest(id).await?, output)?,
            Self::Resume { id, force } => show(&app.resume_digest(id, preflight(force)).await?, output)?,
            Self::Cancel { id } => show(&app.cancel_digest(id).await?, output)?,
            Self::Audit { id } => return audit(&app, id, output).await,
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn preflight(force: bool) -> Preflight {
    if force { Preflight::Forced } else { Preflight::Heeded }
}

async fn pick(app: &App, at: Timestamp, output: Output) -> Result<(), Failure> {
    let slot = app.slot_at(at);
    let picks = app.pick_for(slot, at).await?;
    output.print(&json!({ "slot": slot, "picks": picks }), || {
        let mut text = format!("{slot}: {} picks\n", picks.len());
        for (number, pick) in picks.iter().enumerate() {
            let _ = writeln!(text, "{}. {}  ({:.1} points)\n   {}", number + 1, pick.comparison, pick.score, pick.reasons.join("; "));
        }
        text
    })
}

async fn preview(app: &App, slot: Slot, at: Timestamp, out: &Path, output: Output) -> Result<(), Failure> {
    let preview = app.preview(slot, at).await?;
    let fault = |error: std::io::Error| Failure::because(format!("{} cannot be written: {error}.", out.display()));
    std::fs::create_dir_all(out).map_err(fault)?;
    let files: [(&str, &[u8]); 3] = [
        ("digest.html", preview.rendered.html.as_bytes()),
        ("digest.txt", preview.rendered.text.as_bytes()),
        ("digest.eml", &preview.message),
    ];
    for (name, bytes) in files {
        std::fs::write(out.join(name), bytes).map_err(fault)?;
    }
    let sizes =
        json!({ "slot": slot, "subject": preview.rendered.subject, "items": preview.items, "html_bytes": preview.rendered.html.len() });
    output.print(&sizes, || {
        let (html, subject) = (preview.rendered.html.len(), &preview.rendered.subject);
        format!("{slot}: {subject}\n{} comparisons, {html} bytes of HTML, in {}\n", preview.items, out.display())
    })
}

async fn send(app: &Arc<App>, at: Timestamp, preflight: Preflight, output: Output) -> Result<ExitCode, Failure> {
    let stop = stop_signal();
    let done = Arc::new(Progress::default());
    let mut watcher = None;
    let started = |total| watcher = Some(tokio::spawn(progress::watch(app.clone(), app.slot_at(at), done.clone(), total)));
    let sent = app.send_digest(at, preflight, &stop, &done, started).await;
    if let Some(watcher) = watcher {
        watcher.abort();
    }
    let (status, words, done) = match sent? {
        Sent::Delivered(status, ending) => {
            let (words, done) = in_words(&status, &ending);
            (status, words, done)
        }
        Sent::Not(status, words) => {
            let done = matches!(status.digest.state, DigestState::Sent | DigestState::Skipped | DigestState::Approved);
            (status, Some(words), done)
        }
    };
    show(&status, output)?;
    if let Some(words) = words {
        say(words);
    }
    Ok(if done { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What to say beyond the figures, and whether the command did what it should.
fn in_words(status: &Status, ending: &Ending) -> (Option<String>, bool) {
    let slot = status.digest.slot;
    let waiting = status.tally.queued + status.tally.uncertain;
    match ending {
        Ending::Final => (None, true),
        Ending::Waits => {
            let next = status.next_due.map(moment).unwrap_or_default();
            (
                Some(format!(
                    "{waiting} deliveries wait for a later try, the next at {next}. A running `serve` makes it; or send again then."
                )),
                true,
            )
        }
        Ending::Halted => (Some(format!("{slot} is {} now; what is left waits.", status.digest.state)), false),
        Ending::Trouble(trouble) => {
            let failed = status.tally.failed.saturating_sub(status.withheld);
            let failed = if failed > 0 { format!(", {failed} failed for good") } else { String::new() };
            (Some(format!("Sending is paused; {waiting} deliveries wait{failed}. The reason: {trouble}")), false)
        }
        Ending::Stopped => (Some(format!("Stopped; {waiting} deliveries wait. Send again to go on.")), false),
    }
}

async fn list(app: &App, output: Output) -> Result<(), Failure> {
    let digests = app.storage.digests().await?;
    let rows: Vec<_> = digests.iter().map(digest_json).collect();
    if rows.is_empty() && !output.json {
        say("There is no digest yet.");
    }
    output.print(&json!({ "digests": rows }), || {
        digests.iter().fold(String::new(), |mut text, digest| {
            let id = digest.slot.id();
            let _ = writeln!(
                text,
                "{id}  {}  {:<9}  {} recipients, due {}",
                digest.slot,
                digest.state,
                digest.recipients,
                moment(digest.send_at)
            );
            text
        })
    })
}

fn digest_json(digest: &Digest) -> serde_json::Value {
    json!({
        "id": digest.slot.id().to_string(),
        "slot": digest.slot,
        "state": digest.state,
        "recipients": digest.recipients,
        "send_at": moment(digest.send_at),
        "published_at": digest.published_at.map(moment),
        "finished_at": digest.finished_at.map(moment),
    })
}

fn show(status: &Status, output: Output) -> Result<(), Failure> {
    let mut json = digest_json(&status.digest);
    json["deliveries"] = json!(status.tally);
    json["withheld"] = json!(status.withheld);
    json["next_due"] = json!(status.next_due.map(moment));
    json["failures"] = status.failures.iter().map(|(reply, count)| json!({ "reply": reply, "count": count })).collect();
    json["troubles"] = json!(status.troubles);
    progress::add_to(&mut json, status);
    output.print(&json, || {
        let (digest, tally) = (&status.digest, &status.tally);
        let mut text = format!("{} ({}): {}, {} recipients\n", digest.slot, digest.slot.id(), digest.state, digest.recipients);
        let _ = writeln!(
            text,
            "queued {}, sending {}, sent {}, failed {}{}, uncertain {}",
            tally.queued,
            tally.sending,
            tally.sent,
            tally.failed,
            if status.withheld > 0 { format!(" ({} of them withheld, never tried)", status.withheld) } else { String::new() },
            tally.uncertain
        );
        text += &progress::lines(status);
        for (reply, count) in &status.failures {
            let _ = match reply.strip_prefix("not sent: ") {
                Some(why) => writeln!(text, "not sent {count} times: {why}"),
                None => writeln!(text, "failed {count} times: {reply}"),
            };
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
        None => app.storage.digests().await?.into_iter().filter(|digest| digest.published_at.is_some()).map(|digest| digest.slot).collect(),
    };
    let mut audits = Vec::new();
    for slot in slots {
        let audit = app.storage.audit(slot, LISTED).await?;
        audits.push(audit.ok_or_else(|| Failure::because(format!("There is no digest {slot}; `verdicts digest list` shows all.")))?);
    }
    if audits.is_empty() && !output.json {
        say("No digest was published yet: there is nothing to check.");
    }
    let holds = audits.iter().all(|audit| audit.faults.is_empty());
    output.print(&json!({ "holds": holds, "digests": audits }), || {
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
                let at = moment(doubt.uncertain_at);
                let _ =
                    writeln!(text, "  in doubt at {at}: subscriber {}, now {}, {} attempts", doubt.subscriber, doubt.state, doubt.attempts);
            }
        }
        text
    })?;
    Ok(if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
