//! The catalogue's lists: conditions as they are asked for, and rows as programs and terminals get them.

use std::fmt;

use chrono::TimeDelta;
use serde::Serialize;

use crate::app::App;
use crate::app::Failure;
use crate::domain::Timestamp;
use crate::domain::catalogue::RatedTool;
use crate::domain::catalogue::Slug;
use crate::domain::publication::PublicationState;
use crate::domain::publication::is_draft;
use crate::domain::slot::Slot;
use crate::storage::catalogue_list::CatalogueFilter;
use crate::storage::catalogue_list::ListPlace;
use crate::storage::catalogue_list::ListedComparison;
use crate::storage::catalogue_list::ListedTool;

/// Days without a change after which an entry is stale.
pub const STALE_DAYS: i64 = 90;

/// Rows that are read at once.
const PAGE: usize = 200;

/// Conditions as somebody asks for them; an empty text asks for nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListRequest {
    /// Part of a name.
    pub search: String,
    /// Category.
    pub category: String,
    /// Never in a digest.
    pub never_sent: bool,
    /// Not changed for [`STALE_DAYS`].
    pub stale: bool,
    /// A reviewer has not spoken.
    pub missing_reviewer: bool,
    /// Changed at this time or later.
    pub updated_since: Option<Timestamp>,
}

impl ListRequest {
    fn filter(&self, now: Timestamp) -> CatalogueFilter {
        let text = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        CatalogueFilter {
            search: text(&self.search),
            category: text(&self.category),
            never_sent: self.never_sent,
            stale_since: self.stale.then(|| now - TimeDelta::days(STALE_DAYS)),
            missing_reviewer: self.missing_reviewer,
            updated_since: self.updated_since,
        }
    }
}

/// A page of a list, and whether there is more behind it.
#[derive(Debug)]
pub struct ListPage<T> {
    /// Rows.
    pub rows: Vec<T>,
    /// Slug of the last row, if there is more.
    pub next: Option<Slug>,
}

impl<T> ListPage<T> {
    /// One more row than are shown says whether there is another page.
    fn of(mut rows: Vec<T>, count: usize, slug: impl Fn(&T) -> Slug) -> Self {
        let has_more = rows.len() > count;
        rows.truncate(count);
        let next = rows.last().filter(|_| has_more).map(slug);
        Self { rows, next }
    }
}

/// A tool of the list.
#[derive(Debug, Clone, Serialize)]
pub struct ListedToolView {
    slug: Slug,
    name: String,
    category: String,
    state: PublicationState,
    published_at: Option<Timestamp>,
    updated_at: Option<Timestamp>,
    ships: u32,
    skips: u32,
    lowest_score: Option<u8>,
    highest_score: Option<u8>,
    reader_ships: u64,
    reader_skips: u64,
    last_sent: Option<Slot>,
}

/// A comparison of the list.
#[derive(Debug, Clone, Serialize)]
pub struct ListedComparisonView {
    slug: Slug,
    left: Slug,
    right: Slug,
    state: PublicationState,
    published_at: Option<Timestamp>,
    last_sent: Option<Slot>,
}

/// Lowest and highest score of a tool's reviews.
pub fn score_spread(tool: &RatedTool) -> Option<(u8, u8)> {
    let scores = || tool.tool.reviews.iter().map(|review| review.score.points());
    scores().min().zip(scores().max())
}

impl ListedToolView {
    fn new(listed: &ListedTool, now: Timestamp) -> Self {
        let (tool, spread) = (&listed.rated.tool, score_spread(&listed.rated));
        let panel = tool.panel();
        Self {
            slug: tool.slug.clone(),
            name: tool.name.clone(),
            category: tool.category.clone(),
            state: PublicationState::at(tool.published_at, now),
            published_at: Some(tool.published_at).filter(|at| !is_draft(*at)),
            updated_at: listed.updated_at,
            ships: panel.ships,
            skips: panel.skips,
            lowest_score: spread.map(|(low, _)| low),
            highest_score: spread.map(|(_, high)| high),
            reader_ships: listed.rated.votes.ships,
            reader_skips: listed.rated.votes.skips,
            last_sent: listed.last_sent,
        }
    }
}

impl fmt::Display for ListedToolView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sent = self.last_sent.map(|slot| slot.to_string());
        let scores = match (self.lowest_score, self.highest_score) {
            (Some(low), Some(high)) => format!("{low} to {high}"),
            _ => "no reviews".into(),
        };
        writeln!(
            f,
            "{:<9}  {}  {} ship, {} skip  {scores}  {}",
            self.state,
            self.slug,
            self.ships,
            self.skips,
            sent.as_deref().unwrap_or("never sent")
        )
    }
}

impl ListedComparisonView {
    fn new(listed: &ListedComparison, now: Timestamp) -> Self {
        let (comparison, at) = (&listed.comparison, appears_at(listed));
        Self {
            slug: comparison.slug.clone(),
            left: comparison.left.clone(),
            right: comparison.right.clone(),
            state: PublicationState::at(at, now),
            published_at: Some(comparison.published_at).filter(|at| !is_draft(*at)),
            last_sent: listed.last_sent,
        }
    }
}

impl fmt::Display for ListedComparisonView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sent = self.last_sent.map(|slot| slot.to_string());
        let sent = sent.as_deref().unwrap_or("never sent");
        writeln!(f, "{:<9}  {}  {sent}", self.state, self.slug)
    }
}

/// Time from which a comparison is on the site: once it and both its tools are.
pub fn appears_at(listed: &ListedComparison) -> Timestamp {
    let tools = listed.tools.iter().map(|tool| tool.tool.published_at);
    tools.fold(listed.comparison.published_at, Timestamp::max)
}

impl App {
    /// A page of `count` tools behind the tool `after`; from the start if that is gone.
    pub async fn listed_tools(
        &self,
        asked: &ListRequest,
        after: Option<&Slug>,
        count: usize,
    ) -> Result<ListPage<ListedTool>, Failure> {
        let place: Option<ListPlace> = match after {
            Some(slug) => self.storage.tool_place(slug).await?,
            None => None,
        };
        let filter = asked.filter(self.now());
        let limit = count as i64 + 1;
        let rows = self
            .storage
            .list_catalogue_tools(&filter, place.as_ref(), limit)
            .await?;
        Ok(ListPage::of(rows, count, |row| row.rated.tool.slug.clone()))
    }

    /// The same of comparisons.
    pub async fn listed_comparisons(
        &self,
        asked: &ListRequest,
        after: Option<&Slug>,
        count: usize,
    ) -> Result<ListPage<ListedComparison>, Failure> {
        let place: Option<ListPlace> = match after {
            Some(slug) => self.storage.comparison_place(slug).await?,
            None => None,
        };
        let filter = asked.filter(self.now());
        let limit = count as i64 + 1;
        let rows = self
            .storage
            .list_catalogue_comparisons(&filter, place.as_ref(), limit)
            .await?;
        Ok(ListPage::of(rows, count, |row| row.comparison.slug.clone()))
    }

    /// Every tool that meets the conditions.
    pub async fn all_listed_tools(
        &self,
        asked: &ListRequest,
    ) -> Result<Vec<ListedToolView>, Failure> {
        let (mut all, mut after, now) = (Vec::new(), None, self.now());
        loop {
            let page = self.listed_tools(asked, after.as_ref(), PAGE).await?;
            all.extend(page.rows.iter().map(|row| ListedToolView::new(row, now)));
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(all),
            }
        }
    }

    /// Every comparison that meets the conditions.
    pub async fn all_listed_comparisons(
        &self,
        asked: &ListRequest,
    ) -> Result<Vec<ListedComparisonView>, Failure> {
        let (mut all, mut after, now) = (Vec::new(), None, self.now());
        loop {
            let page = self.listed_comparisons(asked, after.as_ref(), PAGE).await?;
            all.extend(
                page.rows
                    .iter()
                    .map(|row| ListedComparisonView::new(row, now)),
            );
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(all),
            }
        }
    }
}
