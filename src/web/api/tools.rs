//! Tools and their reviews.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::http::Uri;
use axum::response::Response;
use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use super::super::Web;
use super::super::answer::Problem;
use super::super::guard::PathSegment;
use super::super::guard::TwoSegments;
use super::access::Caller;
use super::answers;
use super::answers::Page;
use super::catalogue_bodies::NewTool;
use super::catalogue_bodies::ReviewBody;
use super::catalogue_bodies::ToolFields;
use super::catalogue_bodies::ToolPatch;
use super::catalogue_bodies::read_review;
use super::catalogue_shapes::ChangeShape;
use super::catalogue_shapes::ToolShape;
use super::extract::Body;
use super::extract::NoParameters;
use super::extract::Patch;
use super::extract::Query;
use super::extract::invalid_at;
use super::operation::Need;
use super::operation::Operation;
use super::patterns;
use crate::app::Failure;
use crate::app::catalogue::listing::ListRequest;
use crate::app::tokens::TokenBearer;
use crate::domain;
use crate::domain::Timestamp;
use crate::domain::api_token::Scope;
use crate::domain::catalogue::Reviewer;
use crate::domain::catalogue::Slug;
use crate::domain::catalogue_change::EntryKind;
use crate::domain::catalogue_change::tool_changes;
use crate::storage::catalogue_edit::EntrySaved;
use crate::storage::catalogue_edit::SaveOver;
use crate::storage::catalogue_edit::ToolSaved;
use crate::storage::catalogue_edit::Versioned;

/// Operations of this file.
pub fn operations() -> Vec<Operation> {
    let read = Need::Scope(Scope::CatalogueRead);
    vec![
        Operation::get("/tools", read, list)
            .named("listTools", "List tools, the newest first")
            .asks::<ToolsQuery>()
            .pages::<ToolShape>("Tools, drafts before all."),
        Operation::post("/tools", Scope::CatalogueWrite, create)
            .named("createTool", "Add a tool")
            .explained("One that is there already is a conflict: PUT writes over it.")
            .asks::<WriteQuery>()
            .takes::<NewTool>()
            .answers::<ToolShape>(201, "The tool.")
            .with_header("Location", "Address of the tool.")
            .with_header("ETag", "Version of the tool.")
            .answers::<ChangeShape>(200, "With dry_run: what would change.")
            .problems(&[409]),
        Operation::get("/tools/{slug}", read, show)
            .named("getTool", "Show a tool")
            .asks::<NoParameters>()
            .answers::<ToolShape>(200, "The tool.")
            .with_header("ETag", "Version of the tool."),
        Operation::put("/tools/{slug}", Scope::CatalogueWrite, replace)
            .named("putTool", "Write a tool, whether it is there or not")
            .explained("If-Match holds it to the version that was read.")
            .asks::<WriteQuery>()
            .takes::<ToolFields>()
            .answers::<ToolShape>(200, "The tool.")
            .with_header("ETag", "Version of the tool.")
            .answers::<ChangeShape>(200, "With dry_run: what would change.")
            .answers::<ToolShape>(201, "The tool, which is new.")
            .with_header("Location", "Address of the tool.")
            .problems(&[409, 412]),
        Operation::patch("/tools/{slug}", Scope::CatalogueWrite, change)
            .named("patchTool", "Change a part of a tool")
            .explained("A merge patch (RFC 7396). If-Match holds it to the version that was read.")
            .asks::<WriteQuery>()
            .merges::<ToolPatch>()
            .answers::<ToolShape>(200, "The tool.")
            .with_header("ETag", "Version of the tool.")
            .answers::<ChangeShape>(200, "With dry_run: what would change.")
            .problems(&[409, 412]),
        Operation::delete("/tools/{slug}", Scope::CatalogueWrite, remove)
            .named("deleteTool", "Remove a tool with its reviews and votes")
            .explained("A tool that a comparison names, or that was sent, is a conflict.")
            .asks::<NoParameters>()
            .answers_nothing(204, "It is removed.")
            .problems(&[409, 412]),
        Operation::put(
            "/tools/{slug}/reviews/{reviewer}",
            Scope::CatalogueWrite,
            review,
        )
        .named(
            "putReview",
            "Write a reviewer's score, verdict and take on a tool",
        )
        .explained("A verdict of the panel that changes stands in its history.")
        .asks::<WriteQuery>()
        .takes::<ReviewBody>()
        .answers::<ToolShape>(200, "The tool.")
        .with_header("ETag", "Version of the tool.")
        .answers::<ChangeShape>(200, "With dry_run: what would change.")
        .problems(&[409, 412]),
        Operation::get(
            "/tools/{slug}/panel-history",
            Need::Scope(Scope::VotesRead),
            history,
        )
        .named("getPanelHistory", "Show how a tool's panel stood over time")
        .asks::<NoParameters>()
        .pages::<PanelEntry>("Changes, the oldest first."),
    ]
}

/// Conditions of the list.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ToolsQuery {
    /// Category, exactly.
    #[schema(nullable = false, max_length = 60, pattern = "any_line")]
    category: Option<String>,
    /// Part of the name.
    #[schema(nullable = false, max_length = 100, pattern = "any_line")]
    q: Option<String>,
    /// Only what was changed at this time or later.
    #[schema(nullable = false, format = DateTime)]
    updated_since: Option<String>,
    /// Tools on a page.
    #[schema(nullable = false, minimum = 1, maximum = 200)]
    limit: Option<i64>,
    /// Place behind which the page begins.
    #[schema(nullable = false, max_length = 400)]
    after: Option<String>,
}

/// How a tool is written.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct WriteQuery {
    /// Only tell what would change.
    #[schema(nullable = false)]
    dry_run: Option<bool>,
    /// False if a verdict that changes was written down wrong before: readers who saved the tool are not told, and its history is
    /// corrected.
    #[schema(nullable = false)]
    tell_readers: Option<bool>,
}

/// How the panel stood from a time on.
#[derive(Debug, Serialize, ToSchema)]
struct PanelEntry {
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// Reviewers who said ship.
    #[schema(value_type = i64, minimum = 0)]
    ships: u32,
    /// Reviewers who said skip.
    #[schema(value_type = i64, minimum = 0)]
    skips: u32,
    /// Sum of their scores.
    #[schema(value_type = i64, minimum = 0)]
    points: u32,
}

/// The slug of a path; what is none names nothing.
pub fn slug(text: &str) -> Result<Slug, Problem> {
    text.parse().map_err(|_| Problem::not_found())
}

/// The slug behind which a page begins.
pub fn slug_after(after: Option<&str>) -> Result<Option<Slug>, Problem> {
    let place = answers::place(after)?;
    place
        .map(|place| place.parse().map_err(|_| answers::no_place()))
        .transpose()
}

async fn list(
    State(web): State<Web>,
    Query(asked): Query<ToolsQuery>,
    uri: Uri,
) -> Result<Response, Problem> {
    let after = slug_after(asked.after.as_deref())?;
    let request = ListRequest {
        search: asked.q.unwrap_or_default(),
        category: asked.category.unwrap_or_default(),
        updated_since: asked.updated_since.as_deref().and_then(patterns::timestamp),
        ..ListRequest::default()
    };
    let limit = answers::limit(asked.limit);
    let page = web
        .app
        .listed_tools(&request, after.as_ref(), limit)
        .await?;
    let now = web.app.now();
    Ok(Page {
        rows: page
            .rows
            .iter()
            .map(|row| ToolShape::listed(row, now))
            .collect(),
        next: page.next.map(|slug| slug.to_string()),
        count: None,
    }
    .answer(&uri))
}

/// The tool, as it is stored.
async fn known(web: &Web, slug: &Slug) -> Result<Versioned<domain::catalogue::Tool>, Problem> {
    let known = web.app.storage.stored_tool(slug).await?;
    known.ok_or_else(|| Failure::not_found(format!("There is no tool {slug}.")).into())
}

fn tag<T>(known: &Versioned<T>) -> String {
    format!("\"v{}\"", known.version)
}

/// The answer that shows a tool.
async fn shown(web: &Web, slug: &Slug, status: StatusCode) -> Result<Response, Problem> {
    let known = known(web, slug).await?;
    let rated = web.app.storage.contender(slug, Timestamp::MAX_UTC).await?;
    let uses = web.app.storage.tool_uses(slug).await?;
    let tool = ToolShape::stored(&known, rated.as_ref(), uses.last_sent, web.app.now());
    Ok(answers::with_etag(
        &tag(&known),
        answers::json(status, &tool)?,
    ))
}

async fn show(
    State(web): State<Web>,
    PathSegment(name): PathSegment,
    Query(NoParameters {}): Query<NoParameters>,
) -> Result<Response, Problem> {
    shown(&web, &slug(&name)?, StatusCode::OK).await
}

/// A tool that somebody writes.
struct Write<'a> {
    web: &'a Web,
    bearer: &'a TokenBearer,
    query: &'a WriteQuery,
    headers: &'a HeaderMap,
}

impl Write<'_> {
    /// Saves it over what is there, if anything.
    async fn save(
        self,
        tool: domain::catalogue::Tool,
        known: Option<Versioned<domain::catalogue::Tool>>,
    ) -> Result<Response, Problem> {
        let Self {
            web,
            bearer,
            query,
            headers,
        } = self;
        let present = known.as_ref().map_or_else(String::new, tag);
        answers::check_match(headers, &present, false)?;
        if query.dry_run == Some(true) {
            let before = known.as_ref().map(|known| &known.entry);
            return answers::ok(&ChangeShape::new(
                before.is_some(),
                tool_changes(before, Some(&tool)),
            ));
        }
        let over = match &known {
            Some(known) => SaveOver::Version(known.version),
            None => SaveOver::Nothing,
        };
        let tells = Some(query.tell_readers.unwrap_or(true));
        let saved = web
            .app
            .save_tool_entry(&bearer.actor(), &tool, over, tells)
            .await?;
        match saved {
            ToolSaved::Plain(EntrySaved::Done | EntrySaved::Unchanged) if known.is_none() => {
                let response = shown(web, &tool.slug, StatusCode::CREATED).await?;
                answers::with_location(&format!("/tools/{}", tool.slug), response)
            }
            ToolSaved::Plain(EntrySaved::Done | EntrySaved::Unchanged) => {
                shown(web, &tool.slug, StatusCode::OK).await
            }
            ToolSaved::Plain(EntrySaved::SlugTaken) => {
                let words = format!("There is a tool {} already.", tool.slug);
                Err(Failure::conflict(words).into())
            }
            ToolSaved::Plain(EntrySaved::Conflict(_)) | ToolSaved::VerdictChanges { .. } => {
                let words = "The tool was changed meanwhile. Read it anew, and decide again.";
                Err(Failure::conflict(words).into())
            }
        }
    }
}

async fn create(
    State(web): State<Web>,
    Caller(bearer): Caller,
    Query(query): Query<WriteQuery>,
    headers: HeaderMap,
    Body(new): Body<NewTool>,
) -> Result<Response, Problem> {
    let slug: Slug = new
        .slug
        .parse()
        .map_err(|_| invalid_at("#/slug", "pattern", "That is no slug."))?;
    if query.dry_run == Some(true) && web.app.storage.stored_tool(&slug).await?.is_some() {
        return Err(Failure::conflict(format!("There is a tool {slug} already.")).into());
    }
    let tool = new.fields().tool(slug, None)?;
    let write = Write {
        web: &web,
        bearer: &bearer,
        query: &query,
        headers: &headers,
    };
    write.save(tool, None).await
}

async fn replace(
    State(web): State<Web>,
    Caller(bearer): Caller,
    PathSegment(name): PathSegment,
    Query(query): Query<WriteQuery>,
    headers: HeaderMap,
    Body(fields): Body<ToolFields>,
) -> Result<Response, Problem> {
    let slug = slug(&name)?;
    let known = web.app.storage.stored_tool(&slug).await?;
    let tool = fields.tool(slug, known.as_ref().map(|known| &known.entry))?;
    let write = Write {
        web: &web,
        bearer: &bearer,
        query: &query,
        headers: &headers,
    };
    write.save(tool, known).await
}

async fn change(
    State(web): State<Web>,
    Caller(bearer): Caller,
    PathSegment(name): PathSegment,
    Query(query): Query<WriteQuery>,
    headers: HeaderMap,
    patch: Patch<ToolPatch>,
) -> Result<Response, Problem> {
    let known = known(&web, &slug(&name)?).await?;
    let is_dated = patch.fields.get("published_at").is_some();
    let fields: ToolFields = patch.applied(&ToolFields::of(&known.entry))?;
    let fields = match is_dated {
        true => fields.with_date(),
        false => fields,
    };
    let tool = fields.tool(known.entry.slug.clone(), Some(&known.entry))?;
    let write = Write {
        web: &web,
        bearer: &bearer,
        query: &query,
        headers: &headers,
    };
    write.save(tool, Some(known)).await
}

async fn remove(
    State(web): State<Web>,
    Caller(bearer): Caller,
    PathSegment(name): PathSegment,
    Query(NoParameters {}): Query<NoParameters>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let known = known(&web, &slug(&name)?).await?;
    answers::check_match(&headers, &tag(&known), false)?;
    let slug = &known.entry.slug;
    let uses = web.app.storage.tool_uses(slug).await?;
    if uses.comparisons > 0 || uses.last_sent.is_some() {
        let words = format!(
            "Comparisons name {slug}, or it was sent. Remove those first, or make it a draft: \"published_at\": null."
        );
        return Err(Failure::conflict(words).into());
    }
    web.app
        .remove_from_catalogue(&bearer.actor(), slug, Some(EntryKind::Tool))
        .await?;
    Ok(answers::nothing())
}

async fn review(
    State(web): State<Web>,
    Caller(bearer): Caller,
    TwoSegments(name, reviewer): TwoSegments,
    Query(query): Query<WriteQuery>,
    headers: HeaderMap,
    Body(body): Body<ReviewBody>,
) -> Result<Response, Problem> {
    let known = known(&web, &slug(&name)?).await?;
    let reviewer: Reviewer = reviewer.parse().map_err(|_| Problem::not_found())?;
    let mut tool = known.entry.clone();
    let review = read_review(reviewer, body, "#")?;
    tool.reviews.retain(|known| known.reviewer != reviewer);
    tool.reviews.push(review);
    tool.reviews.sort_by_key(|review| review.reviewer);
    let write = Write {
        web: &web,
        bearer: &bearer,
        query: &query,
        headers: &headers,
    };
    write.save(tool, Some(known)).await
}

async fn history(
    State(web): State<Web>,
    PathSegment(name): PathSegment,
    Query(NoParameters {}): Query<NoParameters>,
    uri: Uri,
) -> Result<Response, Problem> {
    let known = known(&web, &slug(&name)?).await?;
    let points = web.app.storage.panel_history(&known.entry.slug).await?;
    let entry = |point: &domain::reader::PanelPoint| PanelEntry {
        at: point.at,
        ships: point.panel.ships,
        skips: point.panel.skips,
        points: point.points,
    };
    Ok(Page::whole(points.iter().map(entry).collect()).answer(&uri))
}
