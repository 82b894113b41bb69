//! `catalog`: check, import, export.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use super::output::Output;
use crate::app::App;
use crate::app::Failure;
use crate::app::catalogue;
use crate::storage::stocking::Counts;

#[derive(Debug, clap::Subcommand)]
pub enum Catalog {
    /// Check a catalogue without writing anything
    Check {
        /// A file (.toml, .json), a folder of them, or - for JSON
        path: PathBuf,
    },
    /// Import a catalogue, all or nothing; doing it twice is doing it once
    Import {
        /// A file (.toml, .json), a folder of them, or - for JSON
        path: PathBuf,
        /// Move all dates alike so that the newest is now: for samples
        #[arg(long)]
        dates_to_now: bool,
    },
    /// Export the whole catalogue
    Export {
        /// A file (.toml, .json), a folder, or - for JSON
        path: PathBuf,
    },
    /// Take the invented tools of the sample out, with every comparison that names one
    DropSample,
}

impl Catalog {
    /// Whether the command fills an installation, which it may make first.
    pub(super) fn is_import(&self) -> bool {
        matches!(self, Self::Import { .. })
    }

    pub(super) async fn run(self, app: Arc<App>, output: Output) -> Result<ExitCode, Failure> {
        match self {
            Self::Check { path } => {
                let read = catalogue::read(&path)?;
                app.check_catalogue(&read).await?;
                let (tools, comparisons) = (read.tools.len(), read.comparisons.len());
                let reviews: usize = read.tools.iter().map(|tool| tool.reviews.len()).sum();
                output.print(&serde_json::json!({ "tools": tools, "reviews": reviews, "comparisons": comparisons }), || {
                    format!("Good: {tools} tools, {reviews} reviews, {comparisons} comparisons.\n")
                })?;
            }
            Self::Import { path, dates_to_now } => {
                let mut read = catalogue::read(&path)?;
                if dates_to_now {
                    read.move_dates_to(app.now());
                }
                let done = app.import_catalogue(&read).await?;
                output.print(&serde_json::json!(done), || {
                    format!("{}{}{}", line("Tools", done.tools), line("Reviews", done.reviews), line("Comparisons", done.comparisons))
                })?;
            }
            Self::Export { path } => {
                let whole = app.export_catalogue().await?;
                catalogue::write(&whole, &path)?;
                // With `-` the document itself is the answer.
                if path.as_os_str() != "-" {
                    let (tools, comparisons) = (whole.tools.len(), whole.comparisons.len());
                    output.print(&serde_json::json!({ "tools": tools, "comparisons": comparisons }), || {
                        format!("{tools} tools and {comparisons} comparisons in {}\n", path.display())
                    })?;
                }
            }
            Self::DropSample => {
                let (tools, comparisons) = app.storage.drop_sample().await?;
                output.print(&serde_json::json!({ "tools": tools, "comparisons": comparisons }), || {
                    format!("{tools} invented tools and {comparisons} comparisons with them taken out.\n")
                })?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn line(what: &str, counts: Counts) -> String {
    format!("{what:<12} {} added, {} changed, {} unchanged\n", counts.added, counts.changed, counts.unchanged)
}
