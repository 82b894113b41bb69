//! The public pages.

use axum::Router;
use axum::extract::RawQuery;
use axum::extract::State;
use axum::http::header;
use axum::response::Html;
use axum::response::IntoResponse;
use axum::routing::get;

use super::Web;
use super::answer::Page;
use super::answer::Problem;
use super::choices::visit;
use super::cookies::Holder;
use super::guard::PathSegment;
use super::problem_types;
use crate::domain::Timestamp;
use crate::domain::catalogue::Slug;
use crate::domain::digest::DigestContent;
use crate::domain::slot::Slot;
use crate::render::Site;
use crate::render::page;
use crate::render::page::DigestEntry;
use crate::render::page::SignUpForm;

/// Comparisons on the front page.
const LATEST: i64 = 12;
/// Comparisons on a tool's page.
const OF_A_TOOL: i64 = 30;
/// Digests on a page of the archive.
const ARCHIVE: usize = 20;
/// Digests in the feed.
const FEED: i64 = 20;

pub(super) const EMPTY: SignUpForm<'static> = SignUpForm {
    email: "",
    problem: None,
};

pub(super) fn routes(site: &Site) -> Router<Web> {
    Router::new()
        .route("/", get(front))
        .route("/comparisons/{slug}", get(comparison))
        .route("/tools/{slug}", get(tool))
        .route("/digests", get(digests))
        .route("/digests/{slot}", get(digest))
        .route("/feed.xml", get(feed))
        .route(&page::script().path, get(script))
        .merge(look_routes(site))
        .route("/robots.txt", get(robots))
        .route("/problems/{code}", get(problem))
}

/// Routes that every listener has: the look of pages, for the desk shows one too. Logo and colours of the publisher where there are any.
pub(super) fn look_routes(site: &Site) -> Router<Web> {
    let mut routes = Router::new()
        .route("/favicon.ico", get(icon))
        .route(&page::stylesheet().path, get(stylesheet));
    if let Some(logo) = &site.face.logo {
        routes = routes.route(&logo.path, get(logo_file));
    }
    if let Some(style) = &site.face.style {
        routes = routes.route(&style.path, get(face_style));
    }
    routes
}

async fn front(State(web): State<Web>) -> Page {
    front_with(&web, &EMPTY).await
}

/// The front page with what was typed into its form, and what was wrong with it.
pub(super) async fn front_with(web: &Web, form: &SignUpForm<'_>) -> Page {
    let latest = web.app.storage.latest(LATEST, web.app.now()).await?;
    Ok(Html(page::front(&web.app.site, &latest, form)?))
}

async fn comparison(
    State(web): State<Web>,
    holder: Holder,
    PathSegment(slug): PathSegment,
) -> Page {
    let Ok(slug) = slug.parse() else {
        return Err(Problem::not_found());
    };
    let now = web.app.now();
    let (matchup, related) = match web.app.read_comparison(&slug, now).await? {
        Some(found) => found,
        // A mail that was sent leads here, whatever became of the catalogue since.
        None => match web.app.sent_comparison(&slug).await? {
            Some(matchup) => (matchup, Vec::new()),
            None => return Err(Problem::not_found()),
        },
    };
    let tools = [&matchup.comparison.left, &matchup.comparison.right];
    let visit = visit(&web, &holder, &tools).await?;
    Ok(Html(web.app.comparison_page(&matchup, &related, &visit)?))
}

async fn tool(State(web): State<Web>, holder: Holder, PathSegment(slug): PathSegment) -> Page {
    let Ok(slug): Result<Slug, _> = slug.parse() else {
        return Err(Problem::not_found());
    };
    let now = web.app.now();
    let Some(contender) = web.app.storage.contender(&slug, now).await? else {
        return Err(Problem::not_found());
    };
    let comparisons = web
        .app
        .storage
        .comparisons_of(&slug, OF_A_TOOL, now)
        .await?;
    let history = web.app.storage.panel_history(&slug).await?;
    let visit = visit(&web, &holder, &[&slug]).await?;
    Ok(Html(page::tool(
        &web.app.site,
        &contender,
        &history,
        &comparisons,
        &visit,
        &EMPTY,
        now,
    )?))
}

/// A page of the archive: the newest digests, or those before a slot (`?before=2026-W40`).
async fn digests(State(web): State<Web>, RawQuery(query): RawQuery) -> Page {
    let before: Option<Slot> = match query
        .as_deref()
        .and_then(|query| query.strip_prefix("before="))
        .map(str::parse)
    {
        Some(Ok(slot)) => Some(slot),
        Some(Err(_)) => return Err(Problem::not_found()),
        None => None,
    };
    // One more than are shown says whether there is another page.
    let archive = web
        .app
        .storage
        .archive_before(before, ARCHIVE as i64 + 1)
        .await?;
    let entries: Vec<DigestEntry> = archive
        .iter()
        .take(ARCHIVE)
        .map(|(content, published_at)| entry(content, *published_at))
        .collect();
    let older = entries
        .last()
        .filter(|_| archive.len() > ARCHIVE)
        .map(|last| last.slot);
    Ok(Html(page::digests(&web.app.site, &entries, older)?))
}

async fn digest(State(web): State<Web>, PathSegment(slot): PathSegment) -> Page {
    let Ok(slot) = slot.parse::<Slot>() else {
        return Err(Problem::not_found());
    };
    let Some((content, published_at)) = web.app.storage.frozen_content(slot).await? else {
        return Err(Problem::not_found());
    };
    Ok(Html(page::digest(
        &web.app.site,
        &content,
        published_at,
        web.app.storage.neighbours(slot).await?,
        &EMPTY,
    )?))
}

async fn feed(State(web): State<Web>) -> Result<impl IntoResponse, Problem> {
    let archive = web.app.storage.archive(FEED).await?;
    let updated = match archive.first() {
        Some((_, published_at)) => *published_at,
        None => web.app.storage.created_at().await?,
    };
    let entries: Vec<(DigestEntry, DigestContent)> = archive
        .into_iter()
        .map(|(content, at)| (entry(&content, at), content))
        .collect();
    let text = page::feed(&web.app.site, &entries, updated)?;
    Ok((
        [(header::CONTENT_TYPE, "application/atom+xml; charset=utf-8")],
        text,
    ))
}

fn entry(content: &DigestContent, published_at: Timestamp) -> DigestEntry {
    DigestEntry {
        slot: content.slot,
        published_at,
        titles: content
            .items
            .iter()
            .map(|item| item.matchup.title())
            .collect(),
        sample: content.is_sample(),
    }
}

async fn stylesheet() -> impl IntoResponse {
    immutable("text/css; charset=utf-8", page::stylesheet().text)
}

async fn script() -> impl IntoResponse {
    immutable("text/javascript; charset=utf-8", page::script().text)
}

async fn logo_file(State(web): State<Web>) -> Result<impl IntoResponse, Problem> {
    let logo = web
        .app
        .site
        .face
        .logo
        .as_ref()
        .ok_or_else(Problem::not_found)?;
    Ok(immutable(logo.kind, logo.bytes.clone()))
}

async fn face_style(State(web): State<Web>) -> Result<impl IntoResponse, Problem> {
    let style = web
        .app
        .site
        .face
        .style
        .as_ref()
        .ok_or_else(Problem::not_found)?;
    Ok(immutable("text/css; charset=utf-8", style.text.clone()))
}

/// A file whose address holds its hash, so that it may be kept for ever.
pub(super) fn immutable(kind: &'static str, body: impl IntoResponse) -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
    ];
    (headers, body)
}

/// Browsers ask for it by this name and read it by its type.
async fn icon() -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, "image/svg+xml"),
        (header::CACHE_CONTROL, "public, max-age=604800"),
    ];
    (headers, page::ICON)
}

async fn robots(State(web): State<Web>) -> String {
    let fixed = "User-agent: *\nDisallow: /confirm/\nDisallow: /unsubscribe/\nDisallow: /mailbox\nDisallow: /vote/\nDisallow: /choose/\nDisallow: /save/\nDisallow: /saved\nDisallow: /preferences/\nDisallow: /monthly/\nDisallow: /account/\nDisallow: /move/\nDisallow: /desk\nDisallow: /search\n";
    format!("{fixed}Sitemap: {}/sitemap.xml\n", web.app.site.base_url)
}

/// Explains a code of problem documents.
async fn problem(State(web): State<Web>, PathSegment(name): PathSegment) -> Page {
    let (status, meaning) = problem_types::meaning(&name).ok_or_else(Problem::not_found)?;
    let heading = format!("Problem: {name}");
    let sentence = format!("Status {}. {meaning}", status.as_u16());
    Ok(Html(page::notice_page(
        &web.app.site,
        &heading,
        &[&sentence],
    )?))
}
