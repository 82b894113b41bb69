//! `catalog`: check, import, export, remove.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use super::output::Output;
use crate::app::App;
use crate::app::Failure;
use crate::app::catalogue;
use crate::domain::actor::Actor;
use crate::domain::catalogue::Slug;
use crate::storage::catalogue_import::Difference;
use crate::storage::catalogue_import::ImportMode;
use crate::storage::catalogue_import::Imported;
use crate::storage::catalogue_import::ImportedCounts;

#[derive(Debug, clap::Subcommand)]
pub enum CatalogCommand {
    /// Show what an import would add, change and remove, without writing anything
    Check {
        /// A file (.toml, .json), a folder of them, or - for JSON
        path: PathBuf,
        /// As for `catalog import --replace`
        #[arg(long)]
        replace: bool,
    },
    /// Import a catalogue, all or nothing; what it does not mention stays
    Import {
        /// A file (.toml, .json), a folder of them, or - for JSON
        path: PathBuf,
        /// Shift all dates by the same amount so that the newest is now (for samples)
        #[arg(long)]
        dates_to_now: bool,
        /// Also remove tools, reviews and comparisons that the file does not contain
        #[arg(long)]
        replace: bool,
    },
    /// Export the whole catalogue
    Export {
        /// A file (.toml, .json), a folder, or - for JSON
        path: PathBuf,
    },
    /// Remove a comparison, or a tool with its reviews, its votes and the comparisons that name it
    Remove {
        /// Its slug
        slug: Slug,
    },
    /// Take the invented tools of the sample out, with every comparison that names one
    DropSample,
}

impl CatalogCommand {
    /// Returns whether the command fills an installation, which it may make first.
    pub(super) fn is_import(&self) -> bool {
        matches!(self, Self::Import { .. })
    }

    pub(super) async fn run(self, app: Arc<App>, output: Output) -> Result<ExitCode, Failure> {
        match self {
            Self::Check { path, replace } => {
                let done = app
                    .check_catalogue(&catalogue::read(&path)?, replace)
                    .await?;
                output.print(&serde_json::json!(done), || {
                    format!(
                        "An import would do this:\n{}{}",
                        counts(&done),
                        named(&done, |_| true)
                    )
                })?;
            }
            Self::Import {
                path,
                dates_to_now,
                replace,
            } => {
                let mut read = catalogue::read(&path)?;
                if dates_to_now {
                    read.move_dates_to(app.now());
                }
                let done = app
                    .import_catalogue_as(
                        &Actor::cli(),
                        &read,
                        ImportMode {
                            replace,
                            dry_run: false,
                        },
                    )
                    .await?;
                output.print(&serde_json::json!(done), || {
                    format!(
                        "{}{}",
                        counts(&done),
                        named(&done, |d| d.change == "removed")
                    )
                })?;
            }
            Self::Remove { slug } => {
                let done = app.remove_from_catalogue(&Actor::cli(), &slug).await?;
                output.print(&serde_json::json!(done), || named(&done, |_| true))?;
            }
            Self::Export { path } => {
                let whole = app.export_catalogue().await?;
                catalogue::write(&whole, &path)?;
                // With `-` the document itself is the answer.
                if path.as_os_str() != "-" {
                    let (tools, comparisons) = (whole.tools.len(), whole.comparisons.len());
                    output.print(
                        &serde_json::json!({ "tools": tools, "comparisons": comparisons }),
                        || {
                            format!(
                                "{tools} tools and {comparisons} comparisons in {}\n",
                                path.display()
                            )
                        },
                    )?;
                }
            }
            Self::DropSample => {
                let (tools, comparisons) = app.drop_sample(&Actor::cli()).await?;
                output.print(&serde_json::json!({ "tools": tools, "comparisons": comparisons }), || {
                    format!("{tools} invented tools and {comparisons} comparisons with them taken out.\n")
                })?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn counts(done: &Imported) -> String {
    format!(
        "{}{}{}",
        line("Tools", done.tools),
        line("Reviews", done.reviews),
        line("Comparisons", done.comparisons)
    )
}

fn line(what: &str, counts: ImportedCounts) -> String {
    let ImportedCounts {
        added,
        changed,
        unchanged,
        removed,
    } = counts;
    format!(
        "{what:<12} {added} added, {changed} changed, {unchanged} unchanged, {removed} removed\n"
    )
}

/// A line for each of the differences that are wanted.
fn named(done: &Imported, is_wanted: impl Fn(&Difference) -> bool) -> String {
    done.differences
        .iter()
        .filter(|d| is_wanted(d))
        .map(|d| format!("{} {} {}\n", d.change, d.kind, d.name))
        .collect()
}
