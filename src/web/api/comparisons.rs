//! Comparisons: two tools side by side.

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
use super::access::Caller;
use super::answers;
use super::answers::Page;
use super::catalogue_bodies::wished_date;
use super::catalogue_shapes::ChangeShape;
use super::catalogue_shapes::date;
use super::extract::Body;
use super::extract::NoParameters;
use super::extract::Patch;
use super::extract::Query;
use super::extract::invalid_at;
use super::operation::Need;
use super::operation::Operation;
use super::patterns;
use super::tools::slug;
use super::tools::slug_after;
use crate::app::Failure;
use crate::app::catalogue::listing::ListRequest;
use crate::app::catalogue::listing::appears_at;
use crate::app::tokens::TokenBearer;
use crate::domain;
use crate::domain::Timestamp;
use crate::domain::api_token::Scope;
use crate::domain::catalogue::Slug;
use crate::domain::catalogue_change::EntryKind;
use crate::domain::catalogue_change::comparison_changes;
use crate::domain::publication::PublicationState;
use crate::domain::slot::Slot;
use crate::storage::catalogue_edit::ComparisonSaved;
use crate::storage::catalogue_edit::EntrySaved;
use crate::storage::catalogue_edit::SaveOver;
use crate::storage::catalogue_edit::Versioned;
use crate::storage::catalogue_list::ListedComparison;

/// Operations of this file.
pub fn operations() -> Vec<Operation> {
    let read = Need::Scope(Scope::CatalogueRead);
    vec![
        Operation::get("/comparisons", read, list)
            .named("listComparisons", "List comparisons, the newest first")
            .asks::<ComparisonsQuery>()
            .pages::<ComparisonShape>("Comparisons, drafts before all."),
        Operation::post("/comparisons", Scope::CatalogueWrite, create)
            .named("createComparison", "Add a comparison")
            .explained("Its tools must be there, and compared by no other.")
            .asks::<DryRun>()
            .takes::<NewComparison>()
            .answers::<ComparisonShape>(201, "The comparison.")
            .with_header("Location", "Address of the comparison.")
            .with_header("ETag", "Version of the comparison.")
            .answers::<ChangeShape>(200, "With dry_run: what would change.")
            .problems(&[409]),
        Operation::get("/comparisons/{slug}", read, show)
            .named("getComparison", "Show a comparison")
            .asks::<NoParameters>()
            .answers::<ComparisonShape>(200, "The comparison.")
            .with_header("ETag", "Version of the comparison."),
        Operation::put("/comparisons/{slug}", Scope::CatalogueWrite, replace)
            .named(
                "putComparison",
                "Write a comparison, whether it is there or not",
            )
            .explained("If-Match holds it to the version that was read.")
            .asks::<DryRun>()
            .takes::<ComparisonFields>()
            .answers::<ComparisonShape>(200, "The comparison.")
            .with_header("ETag", "Version of the comparison.")
            .answers::<ChangeShape>(200, "With dry_run: what would change.")
            .answers::<ComparisonShape>(201, "The comparison, which is new.")
            .with_header("Location", "Address of the comparison.")
            .problems(&[409, 412]),
        Operation::patch("/comparisons/{slug}", Scope::CatalogueWrite, change)
            .named("patchComparison", "Change a part of a comparison")
            .explained("A merge patch (RFC 7396). If-Match holds it to the version that was read.")
            .asks::<DryRun>()
            .merges::<ComparisonPatch>()
            .answers::<ComparisonShape>(200, "The comparison.")
            .with_header("ETag", "Version of the comparison.")
            .answers::<ChangeShape>(200, "With dry_run: what would change.")
            .problems(&[409, 412]),
        Operation::delete("/comparisons/{slug}", Scope::CatalogueWrite, remove)
            .named("deleteComparison", "Remove a comparison")
            .explained("One that was sent is a conflict.")
            .asks::<NoParameters>()
            .answers_nothing(204, "It is removed.")
            .problems(&[409, 412]),
    ]
}

/// Conditions of the list.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ComparisonsQuery {
    /// Category of one of its tools, exactly.
    #[schema(nullable = false, max_length = 60, pattern = "any_line")]
    category: Option<String>,
    /// Part of the name of one of its tools.
    #[schema(nullable = false, max_length = 100, pattern = "any_line")]
    q: Option<String>,
    /// Only what was changed at this time or later.
    #[schema(nullable = false, format = DateTime)]
    updated_since: Option<String>,
    /// Comparisons on a page.
    #[schema(nullable = false, minimum = 1, maximum = 200)]
    limit: Option<i64>,
    /// Place behind which the page begins.
    #[schema(nullable = false, max_length = 400)]
    after: Option<String>,
}

/// Whether anything is written.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct DryRun {
    /// Only tell what would change.
    #[schema(nullable = false)]
    dry_run: Option<bool>,
}

/// A comparison that is added.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewComparison {
    /// Name in addresses; not given: left-vs-right.
    #[schema(nullable = false, max_length = 100, pattern = "slug")]
    slug: Option<String>,
    /// Slug of the tool on the left.
    #[schema(max_length = 100, pattern = "slug")]
    left: String,
    /// Slug of the tool on the right.
    #[schema(max_length = 100, pattern = "slug")]
    right: String,
    /// Time from which it is on the site; null, or not given, for a draft.
    #[schema(format = DateTime)]
    published_at: Option<String>,
}

/// A comparison that is written, beside its slug.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ComparisonFields {
    /// Slug of the tool on the left.
    #[schema(max_length = 100, pattern = "slug")]
    left: String,
    /// Slug of the tool on the right.
    #[schema(max_length = 100, pattern = "slug")]
    right: String,
    /// Time from which it is on the site; null, or not given, for a draft.
    #[schema(format = DateTime)]
    published_at: Option<String>,
}

/// A part of a comparison that is changed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ComparisonPatch {
    #[schema(nullable = false, max_length = 100, pattern = "slug")]
    left: Option<String>,
    #[schema(nullable = false, max_length = 100, pattern = "slug")]
    right: Option<String>,
    /// Null makes it a draft.
    #[schema(format = DateTime)]
    published_at: Option<String>,
}

/// A comparison.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Comparison)]
struct ComparisonShape {
    /// Name in addresses.
    slug: String,
    /// Slug of the tool on the left.
    left: String,
    /// Slug of the tool on the right.
    right: String,
    /// Time from which it is on the site, once its tools are; null for a draft.
    #[schema(value_type = Option<String>, format = DateTime)]
    published_at: Option<Timestamp>,
    /// live, scheduled or draft; of a comparison by itself without regard to its tools.
    state: String,
    /// True if it belongs to the sample that a first start brings.
    sample: bool,
    /// The last digest that it was published in.
    last_sent: Option<String>,
}

impl ComparisonShape {
    fn new(
        comparison: &domain::catalogue::Comparison,
        appears_at: Timestamp,
        last_sent: Option<Slot>,
        now: Timestamp,
    ) -> Self {
        Self {
            slug: comparison.slug.to_string(),
            left: comparison.left.to_string(),
            right: comparison.right.to_string(),
            published_at: date(comparison.published_at),
            state: PublicationState::at(appears_at, now).to_string(),
            sample: comparison.sample,
            last_sent: last_sent.map(|slot| slot.to_string()),
        }
    }
}

async fn list(
    State(web): State<Web>,
    Query(asked): Query<ComparisonsQuery>,
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
        .listed_comparisons(&request, after.as_ref(), limit)
        .await?;
    let (now, rows) = (web.app.now(), page.rows.iter());
    let row = |row: &ListedComparison| {
        ComparisonShape::new(&row.comparison, appears_at(row), row.last_sent, now)
    };
    Ok(Page {
        rows: rows.map(row).collect(),
        next: page.next.map(|slug| slug.to_string()),
        count: None,
    }
    .answer(&uri))
}

async fn known(
    web: &Web,
    slug: &Slug,
) -> Result<Versioned<domain::catalogue::Comparison>, Problem> {
    let known = web.app.storage.stored_comparison(slug).await?;
    known.ok_or_else(|| Failure::not_found(format!("There is no comparison {slug}.")).into())
}

fn tag(known: &Versioned<domain::catalogue::Comparison>) -> String {
    format!("\"v{}\"", known.version)
}

async fn shown(web: &Web, slug: &Slug, status: StatusCode) -> Result<Response, Problem> {
    let known = known(web, slug).await?;
    let last_sent = web.app.storage.last_sent_with(slug).await?;
    let (entry, now) = (&known.entry, web.app.now());
    let view = ComparisonShape::new(entry, entry.published_at, last_sent, now);
    Ok(answers::with_etag(
        &tag(&known),
        answers::json(status, &view)?,
    ))
}

async fn show(
    State(web): State<Web>,
    PathSegment(name): PathSegment,
    Query(NoParameters {}): Query<NoParameters>,
) -> Result<Response, Problem> {
    shown(&web, &slug(&name)?, StatusCode::OK).await
}

/// The slug of a field.
fn tool_of(field: &'static str, text: &str) -> Result<Slug, Problem> {
    text.parse()
        .map_err(|_| invalid_at(&format!("#/{field}"), "pattern", "That is no slug."))
}

/// A comparison as it was written.
fn written(
    slug: Slug,
    (left, right): (&str, &str),
    published_at: Option<Option<&str>>,
    known: Option<&domain::catalogue::Comparison>,
) -> Result<domain::catalogue::Comparison, Problem> {
    let (left, right) = (tool_of("left", left)?, tool_of("right", right)?);
    if left == right {
        let words = "A comparison is of two different tools.";
        return Err(Failure::conflict(words).into());
    }
    Ok(domain::catalogue::Comparison {
        slug,
        left,
        right,
        published_at: wished_date(published_at, known.map(|known| known.published_at))?,
        sample: known.is_some_and(|known| known.sample),
    })
}

/// Saves a comparison over what is there, if anything.
async fn save(
    web: &Web,
    bearer: &TokenBearer,
    (query, headers): (&DryRun, &HeaderMap),
    comparison: domain::catalogue::Comparison,
    known: Option<Versioned<domain::catalogue::Comparison>>,
) -> Result<Response, Problem> {
    let present = known.as_ref().map_or_else(String::new, tag);
    answers::check_match(headers, &present, false)?;
    let before = known.as_ref().map(|known| &known.entry);
    if query.dry_run == Some(true) {
        let fields = comparison_changes(before, Some(&comparison));
        return answers::ok(&ChangeShape::new(before.is_some(), fields));
    }
    let over = match &known {
        Some(known) => SaveOver::Version(known.version),
        None => SaveOver::Nothing,
    };
    let saved = web
        .app
        .save_comparison_entry(&bearer.actor(), &comparison, over)
        .await?;
    let slug = &comparison.slug;
    let conflict = |words: String| Err(Failure::conflict(words).into());
    match saved {
        ComparisonSaved::Plain(EntrySaved::Done | EntrySaved::Unchanged) => match known {
            Some(_) => shown(web, slug, StatusCode::OK).await,
            None => {
                let response = shown(web, slug, StatusCode::CREATED).await?;
                answers::with_location(&format!("/comparisons/{slug}"), response)
            }
        },
        ComparisonSaved::Plain(EntrySaved::SlugTaken) => {
            conflict(format!("There is a comparison {slug} already."))
        }
        ComparisonSaved::Plain(EntrySaved::Conflict(_)) => conflict(
            "The comparison was changed meanwhile. Read it anew, and decide again.".to_owned(),
        ),
        ComparisonSaved::SamePair(other) => {
            conflict(format!("{other} compares these two tools already."))
        }
        ComparisonSaved::NoTool => conflict(format!(
            "There must be two tools, {} and {}.",
            comparison.left, comparison.right
        )),
        ComparisonSaved::WasSent(slot) => conflict(format!(
            "{slug} was sent in {slot} with other tools, and keeps them."
        )),
    }
}

async fn create(
    State(web): State<Web>,
    Caller(bearer): Caller,
    Query(query): Query<DryRun>,
    headers: HeaderMap,
    Body(new): Body<NewComparison>,
) -> Result<Response, Problem> {
    let name = new
        .slug
        .unwrap_or_else(|| format!("{}-vs-{}", new.left, new.right));
    let slug: Slug = name.parse().map_err(|_| {
        let words = format!("{name} is too long for a slug: give a shorter one.");
        Problem::from(Failure::conflict(words))
    })?;
    if query.dry_run == Some(true) && web.app.storage.stored_comparison(&slug).await?.is_some() {
        return Err(Failure::conflict(format!("There is a comparison {slug} already.")).into());
    }
    let date = Some(new.published_at.as_deref());
    let comparison = written(slug, (&new.left, &new.right), date, None)?;
    save(&web, &bearer, (&query, &headers), comparison, None).await
}

async fn replace(
    State(web): State<Web>,
    Caller(bearer): Caller,
    PathSegment(name): PathSegment,
    Query(query): Query<DryRun>,
    headers: HeaderMap,
    Body(fields): Body<ComparisonFields>,
) -> Result<Response, Problem> {
    let slug = slug(&name)?;
    let known = web.app.storage.stored_comparison(&slug).await?;
    let date = Some(fields.published_at.as_deref());
    let entry = known.as_ref().map(|known| &known.entry);
    let comparison = written(slug, (&fields.left, &fields.right), date, entry)?;
    save(&web, &bearer, (&query, &headers), comparison, known).await
}

async fn change(
    State(web): State<Web>,
    Caller(bearer): Caller,
    PathSegment(name): PathSegment,
    Query(query): Query<DryRun>,
    headers: HeaderMap,
    patch: Patch<ComparisonPatch>,
) -> Result<Response, Problem> {
    let known = known(&web, &slug(&name)?).await?;
    let is_dated = patch.fields.contains_key("published_at");
    let given = patch.read()?;
    let entry = &known.entry;
    let left = given.left.as_deref().unwrap_or(entry.left.as_str());
    let right = given.right.as_deref().unwrap_or(entry.right.as_str());
    let date = is_dated.then_some(given.published_at.as_deref());
    let comparison = written(entry.slug.clone(), (left, right), date, Some(entry))?;
    save(&web, &bearer, (&query, &headers), comparison, Some(known)).await
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
    if let Some(slot) = web.app.storage.last_sent_with(slug).await? {
        let words = format!("{slug} was sent in {slot}, and its page stays.");
        return Err(Failure::conflict(words).into());
    }
    web.app
        .remove_from_catalogue(&bearer.actor(), slug, Some(EntryKind::Comparison))
        .await?;
    Ok(answers::nothing())
}
