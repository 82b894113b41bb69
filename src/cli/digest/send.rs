//! `digest send`: asks, publishes and delivers.

use std::io::BufRead;
use std::io::IsTerminal;
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

use serde_json::json;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::app::App;
use crate::app::Failure;
use crate::app::delivery::SendEnding;
use crate::app::delivery::SendProgress;
use crate::app::issue::digests::DigestStatus;
use crate::app::issue::digests::SendResult;
use crate::app::issue::edition::LeftOut;
use crate::app::issue::preflight::Preflight;
use crate::app::issue::sending::SendNews;
use crate::app::issue::sending::SendOrder;
use crate::cli::digest::show;
use crate::cli::output::Hangup;
use crate::cli::output::Output;
use crate::cli::output::parse_digest;
use crate::cli::output::say;
use crate::cli::output::stop_signal;
use crate::cli::progress;
use crate::cli::stopping;
use crate::domain::actor::Actor;
use crate::domain::address::EmailAddress;
use crate::domain::digest::DigestState;
use crate::domain::slot::Slot;

/// Send a digest to all its readers now: pick (if the week has no digest), publish and deliver
///
/// On a terminal it asks first. It ends when every delivery is final or waits for a later retry, which it says. If a relay
/// defers all mail (4xx), it waits until 15 minutes, or twice mail.pause.max if that is longer, after the last accepted mail. Run the command again to continue; mails that were already sent are not sent again. SIGTERM, ctrl-C and SIGHUP (a closed terminal) end it in order.
#[derive(Debug, clap::Args)]
pub struct SendArguments {
    /// Week, like 2026-W48 [default: this one]
    #[arg(value_parser = parse_digest)]
    slot: Option<Slot>,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// Send even if the preflight check fails, or the week comes before one that was sent
    #[arg(long)]
    force: bool,
    /// Send although the week is not the present one
    #[arg(long)]
    other_week: bool,
    /// Send test copies to these addresses and nothing to readers; changes nothing
    #[arg(long, value_name = "ADDRESS", num_args = 1..)]
    to: Vec<EmailAddress>,
    /// Send test copies to the saved test group (`digest test-group`)
    #[arg(long)]
    to_group: bool,
    /// Leave out `[Test]` before the subject of test copies
    #[arg(long)]
    unmarked: bool,
    /// Refused with a sentence: everywhere else it means "later", and here it meant "now".
    #[arg(long, hide = true, value_name = "TIME", num_args = 0..=1, default_missing_value = "", value_parser = no_time)]
    at: Option<String>,
}

fn no_time(_: &str) -> Result<String, String> {
    Err("`digest send` sends now and takes no time. `digest pick --as-of TIME` and `digest preview --as-of TIME` look at another time; \
         `digest edit SLOT --send-at TIME` has a digest sent then"
        .into())
}

impl SendArguments {
    pub(in crate::cli) async fn run(
        self,
        app: Arc<App>,
        output: Output,
    ) -> Result<ExitCode, Failure> {
        if !self.to.is_empty() || self.to_group {
            return self.send_copies(&app, output).await;
        }
        let preflight = if self.force {
            Preflight::Forced
        } else {
            Preflight::Heeded
        };
        let order = SendOrder {
            slot: self.slot,
            other_week: self.other_week,
            preflight,
        };
        let plan = app.plan_send(&order).await?;
        let mut left_out = LeftOutSaid::default();
        // Asked before signals are taken: ctrl-C here just ends it.
        if !self.yes && std::io::stdin().is_terminal() {
            let readers = app.count_audience(&plan).await?;
            left_out.say(&app.left_out_of(&plan).await?);
            if readers > 0 && !agrees(plan.slot, readers) {
                say("Nothing was sent.");
                return Ok(ExitCode::FAILURE);
            }
        }
        let stop = stop_signal(Hangup::Ends);
        let sending = send(&app, order, plan.slot, left_out, &stop, output);
        stopping::in_time(&app, &stop, sending).await
    }

    async fn send_copies(&self, app: &App, output: Output) -> Result<ExitCode, Failure> {
        let mut addresses = self.to.clone();
        if self.to_group {
            let group = app.test_group().await?;
            if group.is_empty() {
                return Err(Failure::invalid(
                    "The test group is empty; `verdicts digest test-group ADDRESS...` saves one.",
                ));
            }
            addresses.extend(group);
        }
        let mut copies = Vec::new();
        for to in &addresses {
            let reply = app.send_test_copy(self.slot, to, !self.unmarked).await?;
            if !output.json {
                output.print(&json!(null), || format!("A test copy went to {to}.\n"))?;
            }
            copies.push(json!({ "to": to.as_str(), "reply": reply }));
        }
        if output.json {
            // The first one beside the list, as when there was but one.
            let (to, reply) = (copies[0]["to"].clone(), copies[0]["reply"].clone());
            output.print(
                &json!({ "to": to, "reply": reply, "copies": copies }),
                String::new,
            )?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Picks that do not go out, of which somebody was told.
#[derive(Default)]
struct LeftOutSaid(Vec<LeftOut>);

impl LeftOutSaid {
    /// Tells of those of which nobody was told yet.
    fn say(&mut self, left_out: &[LeftOut]) {
        for left in left_out {
            if !self.0.contains(left) {
                say(format_args!(
                    "Not in it: {}, for {}.",
                    left.comparison, left.why
                ));
                self.0.push(left.clone());
            }
        }
    }
}

/// Asks whoever sits at the terminal; anything but a yes is a no.
fn agrees(slot: Slot, readers: u64) -> bool {
    let readers = if readers == 1 {
        "1 reader".into()
    } else {
        format!("{readers} readers")
    };
    let mut stderr = std::io::stderr().lock();
    let _ = write!(stderr, "Send {slot} to {readers} now? [y/N] ").and_then(|()| stderr.flush());
    let mut answer = String::new();
    let _ = std::io::stdin().lock().read_line(&mut answer);
    matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

async fn send(
    app: &Arc<App>,
    order: SendOrder,
    slot: Slot,
    mut left_out: LeftOutSaid,
    stop: &CancellationToken,
    output: Output,
) -> Result<ExitCode, Failure> {
    let done = Arc::new(SendProgress::default());
    let mut watcher = None;
    let watch = |total| {
        AbortOnDropHandle::new(tokio::spawn(progress::watch(
            app.clone(),
            slot,
            done.clone(),
            total,
        )))
    };
    let news = |news| match news {
        SendNews::LeftOut(fresh) => left_out.say(&fresh),
        SendNews::Begins(total) => watcher = Some(watch(total)),
    };
    // The week that was asked about, should it change meanwhile.
    let order = SendOrder {
        slot: Some(slot),
        other_week: true,
        ..order
    };
    let sent = app
        .send_digest(&Actor::cli(), order, stop, &done, news)
        .await;
    drop(watcher);
    let (status, words, done) = match sent? {
        SendResult::Delivered(status, ending) => {
            let (words, done) = in_words(app, &status, &ending);
            (status, words, done)
        }
        SendResult::Not(status, words) => {
            let done = matches!(
                status.digest.state,
                DigestState::Sent | DigestState::Skipped | DigestState::Approved
            );
            (status, Some(words), done)
        }
    };
    show(app, &status, None, output)?;
    if let Some(words) = words {
        say(words);
    }
    Ok(if done {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Returns what to say beyond the figures, and whether the command did what it should.
fn in_words(app: &App, status: &DigestStatus, ending: &SendEnding) -> (Option<String>, bool) {
    let slot = status.digest.slot;
    let waiting = status.tally.queued + status.tally.uncertain;
    match ending {
        SendEnding::Final if status.tally.uncertain > 0 => {
            let words = format!(
                "{} of its mails are in doubt: nobody knows whether the relay took them, and they are not sent again. `verdicts digest audit \
                 {slot}` names them.",
                status.tally.uncertain
            );
            (Some(words), true)
        }
        SendEnding::Final => (None, true),
        SendEnding::Waits => {
            let next = status
                .next_due
                .map(|next| app.local_time(next))
                .unwrap_or_default();
            (
                Some(format!(
                    "{waiting} deliveries wait for a later try, the next at {next}. A running `serve` makes it; or send again then."
                )),
                true,
            )
        }
        SendEnding::Halted => (
            Some(format!(
                "{slot} is {} now; what is left waits.",
                status.digest.state
            )),
            false,
        ),
        SendEnding::Trouble(trouble) => {
            let failed = status.tally.failed;
            let failed = if failed > 0 {
                format!(", {failed} failed for good")
            } else {
                String::new()
            };
            (
                Some(format!(
                    "Sending is paused; {waiting} deliveries wait{failed}. The reason: {trouble}"
                )),
                false,
            )
        }
        SendEnding::Stopped => (
            Some(format!(
                "Stopped; {waiting} deliveries wait. Send again to go on."
            )),
            false,
        ),
    }
}
