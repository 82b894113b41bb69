//! `catalog`: check, import, list, export, remove.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use super::output::Output;
use crate::app::App;
use crate::app::Failure;
use crate::app::catalogue;
use crate::app::catalogue::listing::ListRequest;
use crate::domain::actor::Actor;
use crate::domain::catalogue::Slug;
use crate::domain::catalogue_change::EntryKind;
use crate::storage::catalogue_import::Difference;
use crate::storage::catalogue_import::ImportMode;
use crate::storage::catalogue_import::Imported;
use crate::storage::catalogue_import::ImportedCounts;

#[derive(Debug, clap::Subcommand)]
pub enum CatalogCommand {
    /// Show what an import would add, change and remove, without writing anything
    Check {
        /// A file (.toml, .json), a folder or a zip file of them, or - for JSON
        path: PathBuf,
        /// As for `catalog import --replace`
        #[arg(long)]
        replace: bool,
    },
    /// Import a catalogue, all or nothing; what it does not mention stays
    Import {
        /// A file (.toml, .json), a folder or a zip file of them, or - for JSON
        path: PathBuf,
        /// Shift all dates by the same amount so that the newest is now (for samples)
        #[arg(long)]
        dates_to_now: bool,
        /// Also remove tools, reviews and comparisons that the file does not contain
        #[arg(long)]
        replace: bool,
        /// Record changed verdicts as corrections: readers who saved a tool are not told
        #[arg(long)]
        corrections: bool,
    },
    /// List tools, newest first, with their panel, votes, and the last digest they were in
    List {
        /// List comparisons instead
        #[arg(long)]
        comparisons: bool,
        #[command(flatten)]
        conditions: ListConditions,
    },
    /// Export the whole catalogue
    Export {
        /// A file (.toml, .json), a folder, or - for JSON
        path: PathBuf,
    },
    /// Remove a comparison, or a tool with its reviews, its votes and the comparisons that name it
    ///
    /// Digests that were published stay readable, and so does a comparison that was sent.
    Remove {
        /// Its slug
        slug: Slug,
        /// Remove the entry of this kind, where a tool and a comparison have the same slug
        #[arg(long, value_name = "KIND")]
        kind: Option<EntryKind>,
    },
    /// Take the invented tools of the sample out, with every comparison that names one
    DropSample,
}

/// Conditions of `catalog list`; all must hold.
#[derive(Debug, clap::Args)]
pub struct ListConditions {
    /// Only names that contain this
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    /// Only this category
    #[arg(long)]
    category: Option<String>,
    /// Only what was never in a digest
    #[arg(long)]
    never_sent: bool,
    /// Only what was not changed for 90 days
    #[arg(long)]
    stale: bool,
    /// Only tools on which a reviewer has not spoken
    #[arg(long)]
    missing_reviewer: bool,
}

impl ListConditions {
    fn asked(self) -> ListRequest {
        ListRequest {
            search: self.search.unwrap_or_default(),
            category: self.category.unwrap_or_default(),
            never_sent: self.never_sent,
            stale: self.stale,
            missing_reviewer: self.missing_reviewer,
            updated_since: None,
        }
    }
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
                corrections,
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
                            corrections,
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
            Self::List {
                comparisons,
                conditions,
            } => list(&app, conditions.asked(), comparisons, output).await?,
            Self::Remove { slug, kind } => {
                let done = app
                    .remove_from_catalogue(&Actor::cli(), &slug, kind)
                    .await?;
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

/// Lists all that meets the conditions, a page of the database at a time.
async fn list(
    app: &App,
    asked: ListRequest,
    comparisons: bool,
    output: Output,
) -> Result<(), Failure> {
    if comparisons {
        let rows = app.all_listed_comparisons(&asked).await?;
        return output.print(&serde_json::json!({ "comparisons": rows }), || {
            rows.iter().map(ToString::to_string).collect()
        });
    }
    let rows = app.all_listed_tools(&asked).await?;
    output.print(&serde_json::json!({ "tools": rows }), || {
        rows.iter().map(ToString::to_string).collect()
    })
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
