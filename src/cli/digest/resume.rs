//! `digest resume`: a paused digest goes on; one that is sent goes once more to those it failed for; after a restoration, what is not known
//! is accepted.

use std::sync::Arc;

use super::super::backup;
use super::super::output::Output;
use super::super::output::parse_digest;
use super::results;
use super::show;
use crate::app::App;
use crate::app::Failure;
use crate::app::issue::preflight::Preflight;
use crate::domain::actor::Actor;
use crate::domain::slot::Slot;

/// Arguments of `digest resume`.
#[derive(Debug, clap::Args)]
pub struct ResumeArguments {
    #[arg(value_parser = parse_digest, required_unless_present = "accept_gap")]
    id: Option<Slot>,
    /// After a restoration from a backup: accept that nothing is known of the time since the backup, so that digests go out again
    #[arg(long, conflicts_with = "failed")]
    accept_gap: bool,
    /// Resume even if the preflight check fails
    #[arg(long)]
    force: bool,
    /// Send a digest that is sent once more to those whose delivery was given up after retries
    #[arg(long, conflicts_with = "force")]
    failed: bool,
}

impl ResumeArguments {
    pub(super) async fn run(self, app: &Arc<App>, output: Output) -> Result<(), Failure> {
        if self.accept_gap {
            backup::accept_gap(app).await?;
        }
        let Some(id) = self.id else { return Ok(()) };
        if self.failed {
            return results::retry(app, id, output).await;
        }
        let preflight = match self.force {
            true => Preflight::Forced,
            false => Preflight::Heeded,
        };
        let status = app.resume_digest(&Actor::cli(), id, preflight).await?;
        show(app, &status, None, output)
    }
}
