//! `inbound`: mails that came back.

use std::io::Read;
use std::path::Path;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use serde_json::json;

use super::output::Output;
use super::output::write_out;
use crate::app::App;
use crate::app::Failure;
use crate::app::inbound::Returned;
use crate::storage::inbound::Taken;

/// The largest mail that is read, in bytes.
const LARGEST: u64 = 64 << 20;

/// Read mails that came back: bounces, complaints, automatic answers, those who join or leave by mail
///
/// Prints a line for each recipient found: the address (- if none is known), a tab, and hard, soft, complaint, auto, unsubscribe,
/// subscribe or none.
#[derive(Debug, clap::Args)]
pub struct Inbound {
    /// Files that hold a raw mail each, or - for standard input
    #[arg(default_value = "-", value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Keep each mail and act on it: a mail that is kept already does nothing
    #[arg(long)]
    apply: bool,
}

impl Inbound {
    pub(super) async fn run(self, app: Arc<App>, output: Output) -> Result<ExitCode, Failure> {
        let mut mails = Vec::new();
        for file in &self.files {
            let raw = raw_mail(file)?;
            let (returned, taken) = if self.apply {
                let (returned, taken) = app.take_inbound(&raw, "command").await?;
                (returned, Some(taken))
            } else {
                (app.read_inbound(&raw).await?, None)
            };
            if output.json {
                mails.push(as_json(file, &returned, taken));
            } else {
                let text: String = returned.lines().map(|(address, meaning)| format!("{address}\t{meaning}\n")).collect();
                write_out(text.as_bytes())?;
            }
        }
        if output.json {
            output.print(&json!({ "mails": mails }), String::new)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn raw_mail(file: &Path) -> Result<Vec<u8>, Failure> {
    let fault = |error: std::io::Error| Failure::because(format!("{} cannot be read: {error}.", file.display()));
    let mut raw = Vec::new();
    if file == Path::new("-") {
        std::io::stdin().lock().take(LARGEST).read_to_end(&mut raw).map_err(fault)?;
    } else {
        std::fs::File::open(file).map_err(fault)?.take(LARGEST).read_to_end(&mut raw).map_err(fault)?;
    }
    Ok(raw)
}

fn as_json(file: &Path, returned: &Returned, taken: Option<Taken>) -> serde_json::Value {
    let recipient = |finding: &crate::domain::inbound::Finding| {
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
        Taken::Before => "known",
        Taken::Kept => "kept",
        Taken::Ended => "ended",
        Taken::Waits => "waits",
        Taken::Asked => "asked",
        Taken::Confirmed => "confirmed",
    });
    json!({
        "file": file.display().to_string(),
        "subscriber": returned.whose.as_ref().map(|whose| whose.email.as_str()),
        "applied": taken,
        "recipients": returned.reading.findings.iter().map(recipient).collect::<Vec<_>>(),
    })
}
