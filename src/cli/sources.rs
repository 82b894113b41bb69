//! `sources`: places from which tools and comparisons come in by themselves.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use serde_json::json;

use super::output::Output;
use super::output::say;
use crate::app::App;
use crate::app::Failure;
use crate::app::sources::EVERY_DEFAULT;
use crate::app::sources::LookReport;
use crate::app::sources::SourceWish;
use crate::app::sources::TestPullView;
use crate::domain::actor::Actor;
use crate::domain::source::SourceKind;
use crate::domain::source::SourceMapping;
use crate::domain::source::SourceMode;
use crate::storage::sources::ContentSource;

#[derive(Debug, clap::Subcommand)]
pub enum SourcesCommand {
    /// List sources, with the state of each
    List,
    /// Add a source, if it can be read
    Add {
        /// Name
        name: String,
        /// Kind of source
        #[arg(long, value_parser = parse_kind, value_name = "feed|page|catalogue|folder")]
        kind: SourceKind,
        /// Address, or the path of a folder
        url: String,
        #[command(flatten)]
        options: SourceOptions,
    },
    /// Change a source, if it can be read afterwards; what is not named stays
    Edit {
        /// Name
        name: String,
        /// New name
        #[arg(long, value_name = "NAME")]
        rename: Option<String>,
        /// Kind of source
        #[arg(long, value_parser = parse_kind, value_name = "feed|page|catalogue|folder")]
        kind: Option<SourceKind>,
        /// Address, or the path of a folder
        #[arg(long)]
        url: Option<String>,
        #[command(flatten)]
        options: SourceOptions,
    },
    /// Remove a source and its proposals; what was accepted stays in the catalogue
    Remove {
        /// Name
        name: String,
    },
    /// Read a source now
    Pull {
        /// Name
        name: String,
    },
    /// Let a source publish nothing by itself; it is still read, and what it brings waits
    Pause {
        /// Name
        name: String,
    },
    /// End a pause
    Resume {
        /// Name
        name: String,
    },
}

#[derive(Debug, clap::Args)]
pub struct SourceOptions {
    /// What to do with what it brings: `review` waits for a decision, `publish` publishes what has nothing in its way
    #[arg(long, value_parser = parse_mode, value_name = "review|publish")]
    mode: Option<SourceMode>,
    /// Time between two looks, from 30m to 1d [default: 1h; a folder: 1m]
    #[arg(long, value_parser = humantime::parse_duration, value_name = "TIME")]
    every: Option<Duration>,
    /// File (.toml or .json) that says how to read it: category, ship_from, reviewers, select, follow (docs/sources.md)
    #[arg(long, value_name = "FILE")]
    mapping: Option<PathBuf>,
    /// Read it, show what is in it, and save nothing
    #[arg(long, conflicts_with = "force")]
    dry_run: bool,
    /// Save it although it cannot be read now
    #[arg(long)]
    force: bool,
}

fn parse_kind(text: &str) -> Result<SourceKind, String> {
    text.parse()
        .map_err(|error: crate::domain::UnknownName| error.to_string())
}

fn parse_mode(text: &str) -> Result<SourceMode, String> {
    text.parse()
        .map_err(|error: crate::domain::UnknownName| error.to_string())
}

impl SourcesCommand {
    pub(super) async fn run(self, app: Arc<App>, output: Output) -> Result<ExitCode, Failure> {
        match self {
            Self::List => list(&app, output).await?,
            Self::Add {
                name,
                kind,
                url,
                options,
            } => {
                let wish = SourceWish {
                    name,
                    kind,
                    url: absolute(kind, url),
                    mapping: SourceMapping::default(),
                    mode: SourceMode::Review,
                    every: EVERY_DEFAULT,
                };
                save(&app, None, wish, options, output).await?;
            }
            Self::Edit {
                name,
                rename,
                kind,
                url,
                options,
            } => {
                let source = app.source_called(&name).await?;
                let known = SourceWish::from(&source.draft);
                let kind = kind.unwrap_or(known.kind);
                let wish = SourceWish {
                    name: rename.unwrap_or(known.name),
                    kind,
                    url: url.map_or(known.url, |url| absolute(kind, url)),
                    // A folder's minute is no interval for a host.
                    every: if known.kind == kind {
                        known.every
                    } else {
                        EVERY_DEFAULT
                    },
                    ..known
                };
                save(&app, Some(&source), wish, options, output).await?;
            }
            Self::Remove { name } => {
                let source = app.source_called(&name).await?;
                app.remove_source(&Actor::cli(), source.id).await?;
                done(
                    &name,
                    "is removed; what was accepted from it stays in the catalogue",
                    output,
                )?;
            }
            Self::Pull { name } => pull(&app, &name, output).await?,
            Self::Pause { name } => pause(&app, &name, true, output).await?,
            Self::Resume { name } => pause(&app, &name, false, output).await?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// A folder's path from the root, whatever folder the command runs in.
fn absolute(kind: SourceKind, url: String) -> String {
    match kind {
        SourceKind::Folder => {
            std::path::absolute(&url).map_or(url, |path| path.display().to_string())
        }
        _ => url,
    }
}

fn done(name: &str, what: &str, output: Output) -> Result<(), Failure> {
    output.print(&json!({ "source": name }), || format!("{name} {what}.\n"))
}

async fn list(app: &App, output: Output) -> Result<(), Failure> {
    let sources = app.storage.sources().await?;
    let open = app.storage.open_proposals().await?;
    if sources.is_empty() && !output.json {
        say("There is no source. `verdicts sources add` adds one.");
    }
    let views: Vec<_> = sources
        .iter()
        .map(|source| app.source_view(source))
        .collect();
    output.print(&json!({ "sources": views }), || {
        sources.iter().fold(String::new(), |mut text, source| {
            let waiting = open
                .iter()
                .find(|(id, _)| *id == source.id)
                .map_or(0, |(_, count)| *count);
            let _ = writeln!(text, "{}", line(source, waiting));
            text
        })
    })
}

fn line(source: &ContentSource, waiting: i64) -> String {
    let draft = &source.draft;
    let state = match (&source.last_error, source.paused_at) {
        (Some(error), _) => format!("failed {} times: {error}", source.failures),
        (None, Some(_)) => "paused".to_owned(),
        (None, None) => source.last_note.clone().unwrap_or_else(|| "good".into()),
    };
    format!(
        "{}  {}  {}  {}  {waiting} to decide on  {state}",
        draft.name, draft.kind, draft.mode, draft.url
    )
}

fn read_mapping(path: &std::path::Path) -> Result<SourceMapping, Failure> {
    let refused =
        |error: &dyn std::fmt::Display| Failure::invalid(format!("{}: {error}.", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| refused(&error))?;
    match path.extension().is_some_and(|ending| ending == "json") {
        true => serde_json::from_str(&text).map_err(|error| refused(&error)),
        false => toml::from_str(&text).map_err(|error| refused(&error.message())),
    }
}

async fn save(
    app: &App,
    known: Option<&ContentSource>,
    mut wish: SourceWish,
    options: SourceOptions,
    output: Output,
) -> Result<(), Failure> {
    if let Some(path) = &options.mapping {
        wish.mapping = read_mapping(path)?;
    }
    wish.mode = options.mode.unwrap_or(wish.mode);
    if let Some(every) = options.every {
        wish.every = TimeDelta::from_std(every).unwrap_or(TimeDelta::MAX);
    }
    let tried = match options.force {
        true => None,
        false => Some(app.try_source(&wish).await?),
    };
    if options.dry_run {
        let tried = tried.unwrap_or_default();
        return output.print(&json!(tried), || shown(&tried));
    }
    let actor = Actor::cli();
    let saved = match known {
        Some(known) => app.change_source(&actor, known.id, &wish).await?,
        None => app.add_source(&actor, &wish).await?,
    };
    output.print(
        &json!({ "source": app.source_view(&saved), "tried": tried }),
        || {
            let tried = tried.as_ref().map(|tried| format!(" {}", tried.summary()));
            format!(
                "{} is saved.{}\n",
                saved.draft.name,
                tried.unwrap_or_default()
            )
        },
    )
}

fn shown(tried: &TestPullView) -> String {
    let mut text = format!("{}\n", tried.summary());
    for entry in &tried.entries {
        let _ = writeln!(text, "{}: {} differences", entry.title, entry.differences);
        for remark in &entry.remarks {
            let _ = writeln!(text, "  {}: {}", remark.kind, remark.detail);
        }
    }
    text
}

async fn pull(app: &App, name: &str, output: Output) -> Result<(), Failure> {
    let source = app.source_called(name).await?;
    let report = app.pull_source(source.id).await?.ok_or_else(|| {
        Failure::conflict(format!(
            "{name} is read by another process at this moment, or its host is asked."
        ))
    })?;
    if let Some(error) = &report.error {
        return Err(Failure::invalid(format!(
            "{name} could not be read. {error}"
        )));
    }
    output.print(&json!(report), || said(name, &report))
}

fn said(name: &str, report: &LookReport) -> String {
    let note = report
        .note
        .as_deref()
        .map(|note| format!(" {note}"))
        .unwrap_or_default();
    match report.unchanged {
        true => format!(
            "{name} is as it was; {} published.{note}\n",
            report.published
        ),
        false => format!(
            "{name}: {} new or changed, {} published.{note}\n",
            report.proposed, report.published
        ),
    }
}

async fn pause(app: &App, name: &str, pauses: bool, output: Output) -> Result<(), Failure> {
    let source = app.source_called(name).await?;
    let changed = app.pause_source(&Actor::cli(), source.id, pauses).await?;
    let what = match (pauses, changed) {
        (true, true) => "is paused: it is read, and publishes nothing by itself",
        (true, false) => "was paused already",
        (false, true) => "is no longer paused",
        (false, false) => "was not paused",
    };
    done(name, what, output)
}
