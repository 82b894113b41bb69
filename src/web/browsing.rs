//! Lists of the catalogue, the search, the latest digest, and the site map.

use axum::Router;
use axum::extract::Query;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::Html;
use axum::response::IntoResponse;
use axum::routing::get;
use serde::Deserialize;

use super::Web;
use super::answer::Page;
use super::answer::Problem;
use crate::domain::Timestamp;
use crate::domain::catalogue::Slug;
use crate::domain::catalogue::category_key;
use crate::render::page;
use crate::render::page::ListPart;
use crate::storage::browsing::WORDS_MAX;

/// Comparisons on a page of their list.
const COMPARISONS: usize = 24;
/// Tools on a page of their list.
const TOOLS: usize = 50;
/// Tools that a search shows.
const FOUND: usize = 20;
/// Comparisons that a search shows.
const FOUND_COMPARISONS: usize = 6;
/// Characters of a search that are read.
const ASKED_MAX: usize = 100;

pub(super) fn routes() -> Router<Web> {
    Router::new()
        .route("/comparisons", get(comparisons))
        .route("/tools", get(tools))
        .route("/search", get(search))
        .route("/digests/latest", get(latest_digest))
        .route("/sitemap.xml", get(site_map))
}

/// Part of a list: of one category, after an entry.
#[derive(Debug, Deserialize)]
struct BrowsingQuery {
    #[serde(default)]
    category: String,
    #[serde(default)]
    after: String,
}

/// A part of a list whose names exist.
struct ListScope {
    categories: Vec<String>,
    category: Option<String>,
    after: Option<Slug>,
}

impl ListScope {
    async fn of(web: &Web, part: &BrowsingQuery) -> Result<Self, Problem> {
        let categories = web.app.storage.categories(web.app.now()).await?;
        let category = match part.category.as_str() {
            "" => None,
            asked => Some(
                categories
                    .iter()
                    .find(|known| category_key(known) == category_key(asked))
                    .cloned()
                    .ok_or_else(Problem::not_found)?,
            ),
        };
        let after = match part.after.as_str() {
            "" => None,
            slug => Some(slug.parse().map_err(|_| Problem::not_found())?),
        };
        Ok(Self {
            categories,
            category,
            after,
        })
    }

    fn shown<'a>(&'a self, next: Option<&'a Slug>) -> ListPart<'a> {
        ListPart {
            categories: &self.categories,
            category: self.category.as_deref(),
            is_later: self.after.is_some(),
            next,
        }
    }
}

async fn comparisons(State(web): State<Web>, Query(part): Query<BrowsingQuery>) -> Page {
    let wanted = ListScope::of(&web, &part).await?;
    // One more than are shown says whether there is another page.
    let count = COMPARISONS as i64 + 1;
    let found = web
        .app
        .storage
        .list_comparisons(
            wanted.category.as_deref(),
            wanted.after.as_ref(),
            count,
            web.app.now(),
        )
        .await?;
    let mut found = found.ok_or_else(Problem::not_found)?;
    let has_more = found.len() > COMPARISONS;
    found.truncate(COMPARISONS);
    let next = found.last().filter(|_| has_more);
    let shown = wanted.shown(next.map(|last| &last.comparison.slug));
    Ok(Html(page::comparisons(&web.app.site, &found, shown)?))
}

async fn tools(State(web): State<Web>, Query(part): Query<BrowsingQuery>) -> Page {
    let wanted = ListScope::of(&web, &part).await?;
    let count = TOOLS as i64 + 1;
    let mut found = web
        .app
        .storage
        .list_tools(
            wanted.category.as_deref(),
            wanted.after.as_ref(),
            count,
            web.app.now(),
        )
        .await?;
    let has_more = found.len() > TOOLS;
    found.truncate(TOOLS);
    let next = found.last().filter(|_| has_more);
    let shown = wanted.shown(next.map(|last| &last.tool.slug));
    Ok(Html(page::tools(&web.app.site, &found, shown)?))
}

#[derive(Debug, Deserialize)]
struct SearchQuery {
    #[serde(default)]
    q: String,
}

async fn search(State(web): State<Web>, Query(asked): Query<SearchQuery>) -> Page {
    let asked: String = asked.q.chars().take(ASKED_MAX).collect();
    let asked = asked.trim();
    let words: Vec<String> = asked
        .split_whitespace()
        .take(WORDS_MAX)
        .map(str::to_owned)
        .collect();
    if words.is_empty() || asked.contains('\0') {
        return Ok(Html(page::search(&web.app.site, "", &[], false, &[])?));
    }
    let (storage, now) = (&web.app.storage, web.app.now());
    let mut found = storage.search_tools(&words, FOUND as i64 + 1, now).await?;
    let more = found.len() > FOUND;
    found.truncate(FOUND);
    let tools: Vec<&Slug> = found.iter().map(|found| &found.tool.slug).collect();
    let comparisons = storage
        .comparisons_of_any(&tools, FOUND_COMPARISONS, now)
        .await?;
    Ok(Html(page::search(
        &web.app.site,
        asked,
        &found,
        more,
        &comparisons,
    )?))
}

/// Leads to the newest digest; it changes every week, so no cache keeps it.
async fn latest_digest(State(web): State<Web>) -> Result<impl IntoResponse, Problem> {
    let latest = web.app.storage.latest_slot().await?;
    let path = latest.map_or_else(|| "/digests".to_owned(), |slot| format!("/digests/{slot}"));
    let headers = [
        (header::LOCATION, path),
        (header::CACHE_CONTROL, "no-cache".to_owned()),
    ];
    Ok((StatusCode::FOUND, headers))
}

async fn site_map(State(web): State<Web>) -> Result<impl IntoResponse, Problem> {
    let map = web.app.storage.site_map(web.app.now()).await?;
    let fixed = ["/", "/comparisons", "/tools", "/digests"];
    let mut paths: Vec<(String, Option<Timestamp>)> =
        fixed.map(|path| (path.to_owned(), None)).into();
    let dated = |kind: &str, name: String, at| (format!("/{kind}/{name}"), Some(at));
    paths.extend(
        map.digests
            .into_iter()
            .map(|(slot, at)| dated("digests", slot.to_string(), at)),
    );
    paths.extend(
        map.comparisons
            .into_iter()
            .map(|(slug, at)| dated("comparisons", slug, at)),
    );
    paths.extend(
        map.tools
            .into_iter()
            .map(|(slug, at)| dated("tools", slug, at)),
    );
    let text = page::site_map(&web.app.site, &paths)?;
    Ok((
        [(header::CONTENT_TYPE, "application/xml; charset=utf-8")],
        text,
    ))
}
