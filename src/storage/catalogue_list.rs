//! The catalogue as the desk and `catalog list` list it: newest first, drafts before all, with what was sent and what is missing.

use super::Storage;
use super::StorageError;
use super::browsing::pattern;
use super::catalogue::ComparisonRow;
use super::catalogue::comparison_from;
use super::catalogue::contenders;
use super::stored;
use crate::domain::Timestamp;
use crate::domain::catalogue::Comparison;
use crate::domain::catalogue::RatedTool;
use crate::domain::catalogue::Slug;
use crate::domain::from_millis;
use crate::domain::slot::Slot;

/// Conditions of a list; all must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CatalogueFilter {
    /// Part of the tool's name; of a comparison, of one of its tools.
    pub search: Option<String>,
    /// Category; of a comparison, of one of its tools.
    pub category: Option<String>,
    /// Never in a published digest.
    pub never_sent: bool,
    /// Neither published nor changed since this time.
    pub stale_since: Option<Timestamp>,
    /// A reviewer of the panel has not spoken.
    pub missing_reviewer: bool,
    /// Changed at this time or later.
    pub updated_since: Option<Timestamp>,
}

/// A tool of the list.
#[derive(Debug, Clone, PartialEq)]
pub struct ListedTool {
    /// The tool with its votes.
    pub rated: RatedTool,
    /// The last digest that a comparison of it was published in.
    pub last_sent: Option<Slot>,
    /// Time of its last change; none since changes are kept.
    pub updated_at: Option<Timestamp>,
}

/// A comparison of the list.
#[derive(Debug, Clone, PartialEq)]
pub struct ListedComparison {
    /// The comparison.
    pub comparison: Comparison,
    /// Its tools, left first.
    pub tools: [RatedTool; 2],
    /// The last digest that it was published in.
    pub last_sent: Option<Slot>,
}

/// Things that hang on a tool.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ToolUses {
    /// Comparisons that name it.
    pub comparisons: u64,
    /// Readers' votes.
    pub votes: u64,
    /// Readers who saved it.
    pub saves: u64,
    /// The last digest that a comparison of it was published in.
    pub last_sent: Option<Slot>,
}

/// Place of a list behind which a page begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListPlace {
    /// Date of publication of the last entry before,
    pub published_at: Timestamp,
    /// and its slug.
    pub slug: Slug,
}

/// Members of the panel.
const PANEL: i64 = 5;

impl Storage {
    /// Up to `count` tools behind `after`, newest first.
    pub async fn list_catalogue_tools(
        &self,
        filter: &CatalogueFilter,
        after: Option<&ListPlace>,
        count: i64,
    ) -> Result<Vec<ListedTool>, StorageError> {
        let (at, slug) = start(after);
        let mut reader = self.read().await?;
        let rows: Vec<(String, i64, Option<i64>)> = all!(
            reader,
            "select slug, updated_at, last from (
               select t.slug, t.updated_at, t.published_at, t.category, t.name,
                 (select max(p.digest_id) from comparisons c join picks p on p.comparison = c.slug join digests g on g.id = p.digest_id
                  where (c.left_tool = t.slug or c.right_tool = t.slug) and g.published_at is not null) as last,
                 (select count(*) from reviews r where r.tool = t.slug) as spoke
               from tools t) as listed
             where (published_at < $1 or published_at = $1 and slug > $2)
               and ($3 = '' or category = $3) and ($4 = 0 or last is null)
               and ($5 = 0 or published_at < $5 and updated_at < $5) and ($6 = 0 or spoke < $6) and lower(name) like $8 escape '!'
               and ($9 = 0 or updated_at >= $9)
             order by published_at desc, slug limit $7",
            at,
            slug,
            filter.category.as_deref().unwrap_or_default(),
            i64::from(filter.never_sent),
            filter.stale_since.map_or(0, |at| at.timestamp_millis()),
            if filter.missing_reviewer { PANEL } else { 0 },
            count,
            filter.search.as_deref().map_or("%".into(), pattern),
            filter.updated_since.map_or(0, |at| at.timestamp_millis())
        )?;
        let slugs: Vec<Slug> = stored(rows.iter().map(|(slug, ..)| slug.parse()).collect())?;
        let mut tools = contenders(&mut reader, &slugs.iter().collect::<Vec<_>>()).await?;
        let listed = rows.into_iter().zip(&slugs).filter_map(|(row, slug)| {
            let (_, updated_at, last) = row;
            Some(ListedTool {
                rated: tools.remove(slug)?,
                last_sent: last.and_then(Slot::from_id),
                updated_at: (updated_at > 0).then(|| from_millis(updated_at)),
            })
        });
        Ok(listed.collect())
    }

    /// Up to `count` comparisons behind `after`, newest first.
    pub async fn list_catalogue_comparisons(
        &self,
        filter: &CatalogueFilter,
        after: Option<&ListPlace>,
        count: i64,
    ) -> Result<Vec<ListedComparison>, StorageError> {
        let (at, slug) = start(after);
        let mut reader = self.read().await?;
        let rows: Vec<ComparisonRow> = all!(
            reader,
            "select c.slug, c.left_tool, c.right_tool, c.published_at, c.sample from comparisons c
             join tools l on l.slug = c.left_tool join tools r on r.slug = c.right_tool
             where (c.published_at < $1 or c.published_at = $1 and c.slug > $2)
               and ($3 = '' or l.category = $3 or r.category = $3)
               and ($4 = 0 or not exists (select 1 from picks p join digests g on g.id = p.digest_id
                                          where p.comparison = c.slug and g.published_at is not null))
               and ($5 = 0 or c.published_at < $5 and c.updated_at < $5)
               and ($6 = 0 or (select count(*) from reviews where tool = l.slug) < $6 or (select count(*) from reviews where tool = r.slug) < $6)
               and (lower(l.name) like $8 escape '!' or lower(r.name) like $8 escape '!')
               and ($9 = 0 or c.updated_at >= $9)
             order by c.published_at desc, c.slug limit $7",
            at,
            slug,
            filter.category.as_deref().unwrap_or_default(),
            i64::from(filter.never_sent),
            filter.stale_since.map_or(0, |at| at.timestamp_millis()),
            if filter.missing_reviewer { PANEL } else { 0 },
            count,
            filter.search.as_deref().map_or("%".into(), pattern),
            filter.updated_since.map_or(0, |at| at.timestamp_millis())
        )?;
        let comparisons: Vec<Comparison> = stored(rows.into_iter().map(comparison_from).collect())?;
        let slugs: Vec<&Slug> = comparisons
            .iter()
            .flat_map(|comparison| [&comparison.left, &comparison.right])
            .collect();
        let tools = contenders(&mut reader, &slugs).await?;
        let mut listed = Vec::with_capacity(comparisons.len());
        for comparison in comparisons {
            let (last,): (Option<i64>,) = one!(
                reader,
                "select max(p.digest_id) from picks p join digests g on g.id = p.digest_id
                 where p.comparison = $1 and g.published_at is not null",
                comparison.slug.as_str()
            )?;
            let side = |slug: &Slug| tools.get(slug).cloned();
            if let (Some(left), Some(right)) = (side(&comparison.left), side(&comparison.right)) {
                listed.push(ListedComparison {
                    tools: [left, right],
                    last_sent: last.and_then(Slot::from_id),
                    comparison,
                });
            }
        }
        Ok(listed)
    }

    /// Date of publication of the tool with that slug, from which a page of the list goes on.
    pub async fn tool_place(&self, slug: &Slug) -> Result<Option<ListPlace>, StorageError> {
        let mut reader = self.read().await?;
        let row: Option<(i64,)> = optional!(
            reader,
            "select published_at from tools where slug = $1",
            slug.as_str()
        )?;
        Ok(place(row, slug))
    }

    /// The same of a comparison.
    pub async fn comparison_place(&self, slug: &Slug) -> Result<Option<ListPlace>, StorageError> {
        let mut reader = self.read().await?;
        let row: Option<(i64,)> = optional!(
            reader,
            "select published_at from comparisons where slug = $1",
            slug.as_str()
        )?;
        Ok(place(row, slug))
    }

    /// Returns what hangs on a tool.
    pub async fn tool_uses(&self, slug: &Slug) -> Result<ToolUses, StorageError> {
        let mut reader = self.read().await?;
        let (comparisons, votes, saves, last): (i64, i64, i64, Option<i64>) = one!(
            reader,
            "select (select count(*) from comparisons where left_tool = $1 or right_tool = $1),
               (select count(*) from votes where tool = $1), (select count(*) from bookmarks where tool = $1),
               (select max(p.digest_id) from comparisons c join picks p on p.comparison = c.slug join digests g on g.id = p.digest_id
                where (c.left_tool = $1 or c.right_tool = $1) and g.published_at is not null)",
            slug.as_str()
        )?;
        Ok(ToolUses {
            comparisons: comparisons.unsigned_abs(),
            votes: votes.unsigned_abs(),
            saves: saves.unsigned_abs(),
            last_sent: last.and_then(Slot::from_id),
        })
    }

    /// Every tool's slug and name, in the order of names: what a form offers to compare.
    pub async fn tool_names(&self) -> Result<Vec<(Slug, String)>, StorageError> {
        let mut reader = self.read().await?;
        let rows: Vec<(String, String)> = all!(
            reader,
            "select slug, name from tools order by lower(name), slug"
        )?;
        let names = rows
            .into_iter()
            .map(|(slug, name)| Ok((slug.parse()?, name)));
        names.collect()
    }

    /// Every category, drafts' among them.
    pub async fn all_categories(&self) -> Result<Vec<String>, StorageError> {
        let mut reader = self.read().await?;
        let rows: Vec<(String,)> = all!(
            reader,
            "select distinct category from tools where category <> '' order by category limit 200"
        )?;
        Ok(rows.into_iter().map(|(category,)| category).collect())
    }
}

fn start(after: Option<&ListPlace>) -> (i64, &str) {
    after.map_or((i64::MAX, ""), |place| {
        (place.published_at.timestamp_millis(), place.slug.as_str())
    })
}

fn place(row: Option<(i64,)>, slug: &Slug) -> Option<ListPlace> {
    row.map(|(at,)| ListPlace {
        published_at: from_millis(at),
        slug: slug.clone(),
    })
}
