//! The lists of tools and comparisons: conditions in the address, a page at a time.

use axum::extract::RawQuery;
use axum::extract::State;
use axum::http::header;
use axum::response::Html;
use axum::response::IntoResponse;
use axum::response::Redirect;
use axum::response::Response;

use super::super::Web;
use super::super::answer::Problem;
use super::access::Me;
use super::answers;
use crate::app::Failure;
use crate::app::catalogue::document::Format;
use crate::app::catalogue::listing::ListRequest;
use crate::app::catalogue::listing::STALE_DAYS;
use crate::app::catalogue::listing::appears_at;
use crate::app::catalogue::listing::score_spread;
use crate::domain::Timestamp;
use crate::domain::catalogue::Reviewer;
use crate::domain::catalogue::Slug;
use crate::domain::catalogue::Tool;
use crate::domain::publication::PublicationState;
use crate::domain::publication::is_draft;
use crate::domain::slot::Slot;
use crate::domain::user::AccessLevel;
use crate::domain::user::Area;
use crate::domain::user::User;
use crate::render::desk;
use crate::render::desk::CatalogueFilterView;
use crate::render::desk::CatalogueList;
use crate::render::desk::ComparisonLine;
use crate::render::desk::ToolLine;
use crate::storage::catalogue_list::ListedComparison;
use crate::storage::catalogue_list::ListedTool;

pub(super) const TOOLS: &str = "/desk/tools";
pub(super) const COMPARISONS: &str = "/desk/comparisons";

/// Rows on a page.
const ROWS: usize = 50;
/// Longest text that is looked for.
const SEARCH_MAX: usize = 100;

/// Conditions as the address has them.
#[derive(Default)]
struct CatalogueQuery {
    asked: ListRequest,
    after: Option<Slug>,
    has_empty: bool,
}

impl CatalogueQuery {
    fn read(query: Option<&str>) -> Self {
        let mut given = Self::default();
        for (key, value) in url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            let value = value.trim();
            // NUL is no character of a text on PostgreSQL.
            let text = || value.replace('\0', "").chars().take(SEARCH_MAX).collect();
            match key.as_ref() {
                _ if value.is_empty() => given.has_empty = true,
                "after" => given.after = value.parse().ok(),
                "search" => given.asked.search = text(),
                "category" => given.asked.category = text(),
                "never_sent" => given.asked.never_sent = true,
                "stale" => given.asked.stale = true,
                "missing_reviewer" => given.asked.missing_reviewer = true,
                _ => {}
            }
        }
        given
    }

    fn path(&self, list: &str, after: Option<&Slug>) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        let asked = &self.asked;
        for (key, value) in [("search", &asked.search), ("category", &asked.category)] {
            if !value.is_empty() {
                query.append_pair(key, value);
            }
        }
        for (key, is_on) in [
            ("never_sent", asked.never_sent),
            ("stale", asked.stale),
            ("missing_reviewer", asked.missing_reviewer),
        ] {
            if is_on {
                query.append_pair(key, "yes");
            }
        }
        if let Some(after) = after {
            query.append_pair("after", after.as_str());
        }
        match query.finish() {
            query if query.is_empty() => list.to_owned(),
            query => format!("{list}?{query}"),
        }
    }

    async fn filter(&self, web: &Web, path: &'static str) -> Result<CatalogueFilterView, Problem> {
        let asked = &self.asked;
        let categories = web.app.storage.all_categories().await?;
        Ok(CatalogueFilterView {
            path,
            search: asked.search.clone(),
            categories: categories
                .into_iter()
                .map(|category| (category.clone(), category == asked.category))
                .collect(),
            checks: [
                ("never_sent", "Never sent", asked.never_sent),
                ("stale", STALE_WORDS, asked.stale),
                (
                    "missing_reviewer",
                    "A reviewer is missing",
                    asked.missing_reviewer,
                ),
            ],
            is_on: *asked != ListRequest::default(),
        })
    }
}

const STALE_WORDS: &str = "Not changed for 90 days";
const _: () = assert!(STALE_DAYS == 90, "the words say it too");

/// A state's colour, which never stands alone: its word is in it.
pub(super) fn mood(state: PublicationState) -> &'static str {
    match state {
        PublicationState::Live => "good",
        PublicationState::Scheduled => "under-way",
        PublicationState::Draft => "none",
    }
}

/// The day of a publication.
pub(super) fn day(web: &Web, published_at: Timestamp) -> String {
    match is_draft(published_at) {
        true => "no date".into(),
        false => web.app.site.day(published_at),
    }
}

pub(super) async fn tools(
    State(web): State<Web>,
    Me(who): Me,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let given = CatalogueQuery::read(query.as_deref());
    if given.has_empty {
        return Ok(Redirect::to(&given.path(TOOLS, given.after.as_ref())).into_response());
    }
    let page = web
        .app
        .listed_tools(&given.asked, given.after.as_ref(), ROWS)
        .await?;
    let view = CatalogueList {
        filter: given.filter(&web, TOOLS).await?,
        may_change: who.user.role.may(Area::Catalogue, AccessLevel::Write),
        rows: page
            .rows
            .iter()
            .map(|row| tool_line(&web, &who.user, row))
            .collect(),
        first_page: given.after.is_some().then(|| given.path(TOOLS, None)),
        next_page: page.next.map(|next| given.path(TOOLS, Some(&next))),
    };
    let frame = answers::frame(&web, &who, "Tools", TOOLS);
    Ok(Html(desk::catalogue_tools(frame, view)?).into_response())
}

/// The form of an entry, or its page on the site for users who may not change it.
fn place(user: &User, list: &str, slug: &Slug) -> String {
    match user.role.may(Area::Catalogue, AccessLevel::Write) {
        true => format!("{list}/{slug}/edit"),
        false => format!("{}/{slug}", list.trim_start_matches("/desk")),
    }
}

fn tool_line(web: &Web, user: &User, listed: &ListedTool) -> ToolLine {
    let tool = &listed.rated.tool;
    let state = PublicationState::at(tool.published_at, web.app.now());
    ToolLine {
        href: place(user, TOOLS, &tool.slug),
        name: tool.name.clone(),
        slug: tool.slug.to_string(),
        category: tool.category.clone(),
        panel: tool.panel(),
        missing: missing(tool),
        spread: score_spread(&listed.rated),
        community: match listed.rated.votes.total() {
            0 => "no votes".into(),
            _ => format!(
                "{} ship, {} skip",
                desk::grouped(listed.rated.votes.ships),
                desk::grouped(listed.rated.votes.skips)
            ),
        },
        published: day(web, tool.published_at),
        last: listed.last_sent.map(|slot| slot.to_string()),
        state: state.as_str(),
        mood: mood(state),
        is_sample: tool.sample,
    }
}

/// Reviewers who have not spoken, where another has.
fn missing(tool: &Tool) -> Option<String> {
    let silent: Vec<&str> = Reviewer::ALL
        .iter()
        .filter(|reviewer| tool.review_by(**reviewer).is_none())
        .map(|reviewer| reviewer.as_str())
        .collect();
    match silent.len() {
        0 => None,
        all if all == Reviewer::ALL.len() => None,
        1 => Some(format!("{} is missing", silent[0])),
        _ => Some(format!("{} are missing", silent.join(", "))),
    }
}

pub(super) async fn comparisons(
    State(web): State<Web>,
    Me(who): Me,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let given = CatalogueQuery::read(query.as_deref());
    if given.has_empty {
        return Ok(Redirect::to(&given.path(COMPARISONS, given.after.as_ref())).into_response());
    }
    let page = web
        .app
        .listed_comparisons(&given.asked, given.after.as_ref(), ROWS)
        .await?;
    let rows = page
        .rows
        .iter()
        .map(|row| comparison_line(&web, &who.user, row));
    let view = CatalogueList {
        filter: given.filter(&web, COMPARISONS).await?,
        may_change: who.user.role.may(Area::Catalogue, AccessLevel::Write),
        rows: rows.collect(),
        first_page: given.after.is_some().then(|| given.path(COMPARISONS, None)),
        next_page: page.next.map(|next| given.path(COMPARISONS, Some(&next))),
    };
    let frame = answers::frame(&web, &who, "Comparisons", COMPARISONS);
    Ok(Html(desk::catalogue_comparisons(frame, view)?).into_response())
}

fn comparison_line(web: &Web, user: &User, listed: &ListedComparison) -> ComparisonLine {
    let (comparison, now) = (&listed.comparison, web.app.now());
    let [left, right] = &listed.tools;
    let state = PublicationState::at(appears_at(listed), now);
    let categories = [&left.tool.category, &right.tool.category];
    // Its own date has come, and one of its tools is not on the site.
    let holds_back = listed
        .tools
        .iter()
        .find(|tool| comparison.published_at <= now && tool.tool.published_at > now);
    ComparisonLine {
        href: place(user, COMPARISONS, &comparison.slug),
        title: format!("{} vs {}", left.tool.name, right.tool.name),
        slug: comparison.slug.to_string(),
        category: match categories {
            [left, right] if left == right => left.clone(),
            [left, right] => format!("{left}, {right}"),
        },
        published: day(web, comparison.published_at),
        last: listed.last_sent.as_ref().map(Slot::to_string),
        state: state.as_str(),
        mood: mood(state),
        waits: holds_back.map(|tool| format!("waits for {}", tool.tool.name)),
    }
}

/// The whole catalogue as a file that can be imported again.
pub(super) async fn export(State(web): State<Web>) -> Result<Response, Problem> {
    let catalogue = web.app.export_catalogue().await?;
    let text = catalogue.write(Format::Toml).map_err(|error| {
        Failure::internal("The catalogue could not be written.").with_cause(error)
    })?;
    let headers = [
        (header::CONTENT_TYPE, "application/toml"),
        (
            header::CONTENT_DISPOSITION,
            "attachment; filename=\"catalogue.toml\"",
        ),
    ];
    Ok((headers, text).into_response())
}
