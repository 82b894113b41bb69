//! `inbound`: mails that came back.

use std::io::Read;
use std::path::Path;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use serde_json::json;

use super::output::Output;
use super::output::say;
use super::output::write_out;
use super::turns::TurnLock;
use crate::app::App;
use crate::app::Failure;
use crate::app::returns::inbound::Returned;
use crate::config::Settings;
use crate::domain::inbound_channel::InboundChannel;
use crate::storage::inbound::InboundResult;

/// Time that a command waits for its turn, and while the database server has no connection left: a mail server starts a pipe for each mail, a
/// hundred at once after an outage, and each would give its mail back.
const WAIT: Duration = Duration::from_secs(180);
/// Connections to the database: it does one thing after the other.
pub(super) const CONNECTIONS: u32 = 2;
/// Mails that matched nothing so far, of which so many are looked at again by each command that acts.
const LOOKS: i64 = 20;

/// Arguments of `inbound`.
#[derive(Debug, clap::Args)]
pub struct InboundArguments {
    /// Files that hold a raw mail each, or - for standard input
    #[arg(default_value = "-", value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Keep each mail and act on it: a mail that is kept already does nothing
    #[arg(long)]
    apply: bool,
}

impl InboundArguments {
    /// Reads each mail and, with `--apply`, acts on it. `open` opens the database.
    pub(super) async fn run(
        self,
        open: impl AsyncFn() -> Result<Arc<App>, Failure>,
        settings: &Settings,
        output: Output,
    ) -> Result<ExitCode, Failure> {
        let (began, mut opened, mut turn) = (Instant::now(), None, None);
        let mut mails = Vec::new();
        for file in &self.files {
            let raw = raw_mail(file, settings.inbound.size_max())?;
            if self.apply && turn.is_none() {
                turn = Some(TurnLock::at(&settings.database.url.shown(), WAIT).await);
            }
            let (returned, taken) = loop {
                match self.one(&open, &mut opened, &raw).await {
                    Err(failure) if failure.is_crowded() && began.elapsed() < WAIT => {
                        opened = None;
                        // Not all at the same moment again.
                        tokio::time::sleep(Duration::from_millis(
                            200 + u64::from(rand::random::<u8>()) * 4,
                        ))
                        .await;
                    }
                    done => break done?,
                }
            };
            if output.json {
                mails.push(as_json(file, &returned, taken));
            } else {
                let text: String = returned
                    .lines()
                    .map(|(address, meaning)| format!("{address}\t{meaning}\n"))
                    .collect();
                self.print(|| write_out(text.as_bytes()))?;
            }
        }
        if output.json {
            self.print(|| output.print(&json!({ "mails": mails }), String::new))?;
        }
        if let (true, Some(app)) = (self.apply, opened)
            && let Err(failure) = app.match_again(LOOKS).await
        {
            tracing::warn!(
                cause = failure.cause(),
                "mail that matched nothing could not be looked at again: {failure}"
            );
        }
        Ok(ExitCode::SUCCESS)
    }

    async fn one(
        &self,
        open: &impl AsyncFn() -> Result<Arc<App>, Failure>,
        opened: &mut Option<Arc<App>>,
        raw: &[u8],
    ) -> Result<(Returned, Option<InboundResult>), Failure> {
        let app = match opened {
            Some(app) => app.clone(),
            None => opened.insert(open().await?).clone(),
        };
        if self.apply {
            let (returned, taken) = app.take_inbound(raw, InboundChannel::Command).await?;
            return Ok((returned, Some(taken)));
        }
        Ok((app.read_inbound(raw).await?, None))
    }

    /// Prints; after a mail was acted on, an output that takes nothing is no reason to have the mail handed over again.
    fn print(&self, print: impl FnOnce() -> Result<(), Failure>) -> Result<(), Failure> {
        match print() {
            Err(failure) if self.apply => say(failure),
            printed => printed?,
        }
        Ok(())
    }
}

/// Reads a mail, of a larger one the first `size_max` bytes: what a pipe does not read to its end is a fault to some mail servers.
fn raw_mail(file: &Path, size_max: usize) -> Result<Vec<u8>, Failure> {
    let fault = |error: std::io::Error| {
        Failure::invalid(format!("{} cannot be read: {error}.", file.display()))
    };
    let mut raw = Vec::new();
    let mut source: Box<dyn Read> = match file == Path::new("-") {
        true => Box::new(std::io::stdin().lock()),
        false => Box::new(std::fs::File::open(file).map_err(fault)?),
    };
    source
        .by_ref()
        .take(size_max as u64)
        .read_to_end(&mut raw)
        .map_err(fault)?;
    let rest = std::io::copy(&mut source, &mut std::io::sink()).map_err(fault)?;
    if rest > 0 {
        tracing::warn!(file = %file.display(), bytes = raw.len() as u64 + rest, "a mail is larger than inbound.size_max_mb: its beginning is read");
    }
    Ok(raw)
}

fn as_json(file: &Path, returned: &Returned, taken: Option<InboundResult>) -> serde_json::Value {
    let recipient = |finding: &crate::domain::inbound::RecipientReport| {
        json!({
            "address": finding.address,
            "meaning": finding.meaning,
            "class": finding.class,
            "reason": finding.reason,
            "status": finding.status.map(|status| status.to_string()),
            "line": finding.line,
        })
    };
    let taken = taken.map(|taken| match taken {
        InboundResult::Before => "known",
        InboundResult::Kept => "kept",
        InboundResult::Ended => "ended",
        InboundResult::Waits => "waits",
        InboundResult::Asked => "asked",
        InboundResult::Confirmed => "confirmed",
        InboundResult::LinkSent => "link_sent",
    });
    json!({
        "file": file.display().to_string(),
        "subscriber": returned.whose.as_ref().map(|whose| whose.email.as_str()),
        "applied": taken,
        "recipients": returned.reading.findings.iter().map(recipient).collect::<Vec<_>>(),
    })
}
