//! Sources: places from which tools and comparisons come in.

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::Uri;
use axum::response::Response;
use chrono::TimeDelta;
use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use super::super::Web;
use super::super::answer::Problem;
use super::super::guard::PathSegment;
use super::access::Caller;
use super::answers;
use super::answers::Page;
use super::extract::Body;
use super::extract::NoParameters;
use super::extract::Patch;
use super::extract::Query;
use super::extract::invalid_at;
use super::operation::Need;
use super::operation::Operation;
use crate::app::Failure;
use crate::app::sources::EVERY_DEFAULT;
use crate::app::sources::SourceWish;
use crate::app::sources::TestEntryView;
use crate::domain::Timestamp;
use crate::domain::api_token::Scope;
use crate::domain::source::EntryRemark;
use crate::domain::source::SourceMapping;
use crate::storage::sources::ContentSource;

/// Operations of this file.
pub fn operations() -> Vec<Operation> {
    let read = Need::Scope(Scope::SourcesRead);
    vec![
        Operation::get("/sources", read, list)
            .named("listSources", "List sources")
            .asks::<NoParameters>()
            .pages::<SourceItem>("Sources, by name."),
        Operation::post("/sources", Scope::SourcesWrite, create)
            .named("createSource", "Add a source, if it can be read")
            .asks::<SourceQuery>()
            .takes::<NewSource>()
            .answers::<SourceItem>(201, "The source, which is read within a minute.")
            .with_header("Location", "Address of the source.")
            .answers::<TestPull>(200, "With dry_run: what is in it. Nothing is saved.")
            .problems(&[409]),
        Operation::get("/sources/{source}", read, show)
            .named("getSource", "Show a source")
            .asks::<NoParameters>()
            .answers::<SourceItem>(200, "The source."),
        Operation::patch("/sources/{source}", Scope::SourcesWrite, change)
            .named("patchSource", "Change a part of a source, if it can be read afterwards")
            .explained("A merge patch (RFC 7396). With paused it is read all the same, and publishes nothing by itself.")
            .asks::<SourceQuery>()
            .merges::<SourcePatch>()
            .answers::<SourceItem>(200, "The source.")
            .answers::<TestPull>(200, "With dry_run: what is in it. Nothing is saved.")
            .problems(&[409]),
        Operation::delete("/sources/{source}", Scope::SourcesWrite, remove)
            .named("deleteSource", "Remove a source and its proposals")
            .explained("What was accepted from it stays in the catalogue.")
            .asks::<NoParameters>()
            .answers_nothing(204, "It is removed."),
        Operation::post("/sources/{source}/pull", Scope::SourcesWrite, pull)
            .named("pullSource", "Read a source now")
            .answers::<PullResult>(200, "What came of it.")
            .problems(&[409]),
    ]
}

/// How a source is written.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SourceQuery {
    /// Only read it and tell what is in it.
    #[schema(nullable = false)]
    dry_run: Option<bool>,
    /// Save it although it cannot be read now.
    #[schema(nullable = false)]
    force: Option<bool>,
}

/// A source that is added.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewSource {
    /// Name, one for each source.
    #[schema(min_length = 1, max_length = 80, pattern = "line")]
    name: String,
    /// feed, page, catalogue or folder.
    #[schema(max_length = 20, pattern = "line")]
    kind: String,
    /// Address, or the path of a folder that sources.folders names.
    #[schema(min_length = 1, max_length = 2000, pattern = "line")]
    url: String,
    /// review: what it brings waits for a decision. publish: what has nothing in its way is published at once.
    #[schema(nullable = false, max_length = 20, pattern = "line")]
    mode: Option<String>,
    /// Seconds between two looks, from 1800 to 86400.
    #[schema(nullable = false, minimum = 1800, maximum = 86400)]
    every_seconds: Option<i64>,
    /// Interpretation: category, ship_from, reviewers, select, follow.
    #[schema(nullable = false, value_type = Option<Object>)]
    mapping: Option<serde_json::Value>,
}

/// Fields of a source that are changed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SourcePatch {
    /// Name.
    #[schema(nullable = false, min_length = 1, max_length = 80, pattern = "line")]
    name: Option<String>,
    /// Address, or the path of a folder.
    #[schema(nullable = false, min_length = 1, max_length = 2000, pattern = "line")]
    url: Option<String>,
    /// review or publish.
    #[schema(nullable = false, max_length = 20, pattern = "line")]
    mode: Option<String>,
    /// Seconds between two looks.
    #[schema(nullable = false, minimum = 1800, maximum = 86400)]
    every_seconds: Option<i64>,
    /// Interpretation, whole.
    #[schema(nullable = false, value_type = Option<Object>)]
    mapping: Option<serde_json::Value>,
    /// True: it is read, and publishes nothing by itself.
    #[schema(nullable = false)]
    paused: Option<bool>,
}

/// A source.
#[derive(Debug, Serialize, ToSchema)]
struct SourceItem {
    id: String,
    name: String,
    /// feed, page, catalogue or folder.
    kind: String,
    url: String,
    /// review or publish.
    mode: String,
    #[schema(minimum = 0)]
    every_seconds: i64,
    /// Interpretation.
    #[schema(value_type = Object)]
    mapping: serde_json::Value,
    #[schema(value_type = String, format = DateTime)]
    next_at: Timestamp,
    /// Time of the last look that did not fail.
    #[schema(value_type = Option<String>, format = DateTime)]
    last_ok_at: Option<Timestamp>,
    /// Looks in a row that failed.
    #[schema(value_type = i64, minimum = 0)]
    failures: u32,
    /// Reason of the last.
    last_error: Option<String>,
    /// Something to know of the last look.
    last_note: Option<String>,
    /// Time since which it publishes nothing by itself.
    #[schema(value_type = Option<String>, format = DateTime)]
    paused_at: Option<Timestamp>,
}

/// What a source holds now.
#[derive(Debug, Serialize, ToSchema)]
struct TestPull {
    entries: Vec<TestEntry>,
}

/// An entry of a source.
#[derive(Debug, Serialize, ToSchema)]
struct TestEntry {
    title: String,
    /// Slugs of its tools.
    tools: Vec<String>,
    /// Slugs of its comparisons.
    comparisons: Vec<String>,
    /// Differences to the catalogue.
    #[schema(value_type = i64, minimum = 0)]
    differences: usize,
    remarks: Vec<RemarkItem>,
}

/// A remark about an entry.
#[derive(Debug, Serialize, ToSchema)]
pub struct RemarkItem {
    /// question: it can be accepted once it is answered. fault: it cannot be accepted. note: something to know.
    kind: String,
    /// Field that it is about; empty: the whole.
    field: String,
    detail: String,
}

/// Result of a look.
#[derive(Debug, Serialize, ToSchema)]
struct PullResult {
    /// True if the source had nothing new to say.
    unchanged: bool,
    /// Proposals that are new or changed.
    #[schema(value_type = i64, minimum = 0)]
    proposed: u64,
    /// Proposals that were published at once.
    #[schema(value_type = i64, minimum = 0)]
    published: u64,
    /// Something to know.
    note: Option<String>,
    /// Reason why it could not be read.
    error: Option<String>,
}

impl From<&EntryRemark> for RemarkItem {
    fn from(remark: &EntryRemark) -> Self {
        Self {
            kind: remark.kind.to_string(),
            field: remark.field.clone(),
            detail: remark.detail.clone(),
        }
    }
}

impl From<&TestEntryView> for TestEntry {
    fn from(entry: &TestEntryView) -> Self {
        Self {
            title: entry.title.clone(),
            tools: entry.tools.clone(),
            comparisons: entry.comparisons.clone(),
            differences: entry.differences,
            remarks: entry.remarks.iter().map(RemarkItem::from).collect(),
        }
    }
}

impl SourceItem {
    fn new(web: &Web, source: &ContentSource) -> Self {
        let view = web.app.source_view(source);
        Self {
            id: view.id,
            name: view.name,
            kind: view.kind.to_string(),
            url: view.url,
            mode: view.mode.to_string(),
            every_seconds: view.every_seconds,
            mapping: serde_json::to_value(&view.mapping).unwrap_or_default(),
            next_at: view.next_at,
            last_ok_at: view.last_ok_at,
            failures: view.failures,
            last_error: view.last_error,
            last_note: view.last_note,
            paused_at: view.paused_at,
        }
    }
}

/// A value of a field that is one of a few.
fn chosen<T: std::str::FromStr>(field: &str, text: &str) -> Result<T, Problem>
where
    T::Err: std::fmt::Display,
{
    text.parse()
        .map_err(|error: T::Err| invalid_at(&format!("#/{field}"), "invalid", format!("{error}.")))
}

fn mapping(value: Option<serde_json::Value>) -> Result<Option<SourceMapping>, Problem> {
    let Some(value) = value else { return Ok(None) };
    serde_json::from_value(value)
        .map(Some)
        .map_err(|error| invalid_at("#/mapping", "invalid", format!("{error}.")))
}

async fn list(
    State(web): State<Web>,
    Query(NoParameters {}): Query<NoParameters>,
    uri: Uri,
) -> Result<Response, Problem> {
    let sources = web.app.storage.sources().await?;
    let rows = sources.iter().map(|source| SourceItem::new(&web, source));
    Ok(Page::whole(rows.collect()).answer(&uri))
}

async fn show(
    State(web): State<Web>,
    PathSegment(name): PathSegment,
    Query(NoParameters {}): Query<NoParameters>,
) -> Result<Response, Problem> {
    let source = web.app.source_called(&name).await?;
    answers::ok(&SourceItem::new(&web, &source))
}

/// Reads a source that is to be saved; an answer where that is all that was asked for.
async fn tried(
    web: &Web,
    query: &SourceQuery,
    wish: &SourceWish,
) -> Result<Option<Response>, Problem> {
    let only_tries = query.dry_run == Some(true);
    if query.force == Some(true) && !only_tries {
        return Ok(None);
    }
    let found = web.app.try_source(wish).await?;
    match only_tries {
        true => {
            let entries = found.entries.iter().map(TestEntry::from).collect();
            Ok(Some(answers::ok(&TestPull { entries })?))
        }
        false => Ok(None),
    }
}

async fn create(
    State(web): State<Web>,
    Caller(bearer): Caller,
    Query(query): Query<SourceQuery>,
    Body(new): Body<NewSource>,
) -> Result<Response, Problem> {
    let wish = SourceWish {
        name: new.name,
        kind: chosen("kind", &new.kind)?,
        url: new.url,
        mapping: mapping(new.mapping)?.unwrap_or_default(),
        mode: chosen("mode", new.mode.as_deref().unwrap_or("review"))?,
        every: new.every_seconds.map_or(EVERY_DEFAULT, TimeDelta::seconds),
    };
    if let Some(answer) = tried(&web, &query, &wish).await? {
        return Ok(answer);
    }
    let source = web.app.add_source(&bearer.actor(), &wish).await?;
    let item = SourceItem::new(&web, &source);
    let response = answers::json(StatusCode::CREATED, &item)?;
    answers::with_location(&format!("/sources/{}", item.id), response)
}

async fn change(
    State(web): State<Web>,
    Caller(bearer): Caller,
    PathSegment(name): PathSegment,
    Query(query): Query<SourceQuery>,
    patch: Patch<SourcePatch>,
) -> Result<Response, Problem> {
    let source = web.app.source_called(&name).await?;
    let patch: SourcePatch = patch.read()?;
    let known = SourceWish::from(&source.draft);
    let is_changed = patch.name.is_some()
        || patch.url.is_some()
        || patch.mode.is_some()
        || patch.every_seconds.is_some()
        || patch.mapping.is_some();
    let wish = SourceWish {
        name: patch.name.unwrap_or(known.name),
        kind: known.kind,
        url: patch.url.unwrap_or(known.url),
        mapping: mapping(patch.mapping)?.unwrap_or(known.mapping),
        mode: match &patch.mode {
            Some(mode) => chosen("mode", mode)?,
            None => known.mode,
        },
        every: patch.every_seconds.map_or(known.every, TimeDelta::seconds),
    };
    if is_changed || query.dry_run == Some(true) {
        if let Some(answer) = tried(&web, &query, &wish).await? {
            return Ok(answer);
        }
        web.app
            .change_source(&bearer.actor(), source.id, &wish)
            .await?;
    }
    if let Some(pauses) = patch.paused {
        web.app
            .pause_source(&bearer.actor(), source.id, pauses)
            .await?;
    }
    let source = web
        .app
        .source_called(&web.app.source_name(source.id))
        .await?;
    answers::ok(&SourceItem::new(&web, &source))
}

async fn remove(
    State(web): State<Web>,
    Caller(bearer): Caller,
    PathSegment(name): PathSegment,
    Query(NoParameters {}): Query<NoParameters>,
) -> Result<Response, Problem> {
    let source = web.app.source_called(&name).await?;
    web.app.remove_source(&bearer.actor(), source.id).await?;
    Ok(answers::nothing())
}

async fn pull(State(web): State<Web>, PathSegment(name): PathSegment) -> Result<Response, Problem> {
    let source = web.app.source_called(&name).await?;
    let report = web.app.pull_source(source.id).await?.ok_or_else(|| {
        Failure::conflict("It is read by another process at this moment, or its host is asked.")
    })?;
    answers::ok(&PullResult {
        unchanged: report.unchanged,
        proposed: report.proposed,
        published: report.published,
        note: report.note,
        error: report.error,
    })
}
