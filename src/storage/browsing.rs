//! Lists of the catalogue for visitors: a page at a time, by category, by words. The catalogue is read as it is now, so that an import
//! shows at once in every process.

use super::Queryable;
use super::Storage;
use super::StorageError;
use super::catalogue::ComparisonRow;
use super::catalogue::assemble;
use super::catalogue::contenders;
use super::catalogue::placeholders;
use super::catalogue::rows_in;
use super::digests::archived;
use super::stored;
use crate::domain::Timestamp;
use crate::domain::catalogue::RatedComparison;
use crate::domain::catalogue::RatedTool;
use crate::domain::catalogue::Slug;
use crate::domain::from_millis;
use crate::domain::slot::Slot;
use crate::storage::ledger::counts::reached;

/// Addresses in one site map (sitemaps.org, "Sitemap index files": at most 50,000).
const SITE_MAP_MAX: i64 = 50_000;

/// Public addresses of the site, each with the time of its last change.
#[derive(Debug, Clone, Default)]
pub struct SiteMap {
    /// Digests, newest first.
    pub digests: Vec<(Slot, Timestamp)>,
    /// Comparisons, newest first.
    pub comparisons: Vec<(String, Timestamp)>,
    /// Tools, newest first.
    pub tools: Vec<(String, Timestamp)>,
}

impl Storage {
    /// Returns up to `count` comparisons, newest first: those after the comparison `after`, of `category` where one is given. `None`
    /// if there is no comparison `after`.
    pub async fn list_comparisons(
        &self,
        category: Option<&str>,
        after: Option<&Slug>,
        count: i64,
        now: Timestamp,
    ) -> Result<Option<Vec<RatedComparison>>, StorageError> {
        let mut reader = self.read().await?;
        let place = match after {
            None => (i64::MAX, String::new()),
            Some(slug) => {
                let found: Option<(i64,)> = optional!(
                    reader,
                    "select published_at from comparisons where slug = $1",
                    slug.as_str()
                )?;
                let Some((at,)) = found else { return Ok(None) };
                (at, slug.to_string())
            }
        };
        // Both tools must be published, or the comparison has no page.
        let rows: Vec<ComparisonRow> = all!(
            reader,
            "select c.slug, c.left_tool, c.right_tool, c.published_at, c.sample
             from comparisons c join tools l on l.slug = c.left_tool join tools r on r.slug = c.right_tool
             where c.published_at <= $1 and l.published_at <= $1 and r.published_at <= $1
               and (c.published_at < $2 or c.published_at = $2 and c.slug > $3)
               and ($4 = '' or l.category = $4 or r.category = $4)
             order by c.published_at desc, c.slug limit $5",
            now.timestamp_millis(),
            place.0,
            place.1.as_str(),
            category.unwrap_or_default(),
            count
        )?;
        Ok(Some(assemble(&mut reader, rows, now).await?))
    }

    /// Returns up to `count` tools in the order of their slugs: those after `after`, of `category` where one is given.
    pub async fn list_tools(
        &self,
        category: Option<&str>,
        after: Option<&Slug>,
        count: i64,
        now: Timestamp,
    ) -> Result<Vec<RatedTool>, StorageError> {
        let mut reader = self.read().await?;
        let rows: Vec<(String,)> = all!(
            reader,
            "select slug from tools where published_at <= $1 and slug > $2 and ($3 = '' or category = $3) order by slug limit $4",
            now.timestamp_millis(),
            after.map_or("", Slug::as_str),
            category.unwrap_or_default(),
            count
        )?;
        in_order(&mut reader, rows).await
    }

    /// Returns up to `count` tools in whose name, tagline or category all `words` stand, those with the first word in their name before
    /// the others. Letters of the Latin alphabet match in either case.
    pub async fn search_tools(
        &self,
        words: &[String],
        count: i64,
        now: Timestamp,
    ) -> Result<Vec<RatedTool>, StorageError> {
        let patterns: Vec<String> = (0..WORDS_MAX)
            .map(|at| words.get(at).map_or("%".into(), |word| pattern(word)))
            .collect();
        let mut reader = self.read().await?;
        let rows: Vec<(String,)> = all!(
            reader,
            "select slug from (select slug, lower(name) as name, lower(name || ' ' || tagline || ' ' || category) as text
                               from tools where published_at <= $1) as known
             where text like $2 escape '!' and text like $3 escape '!' and text like $4 escape '!' and text like $5 escape '!'
             order by case when name like $2 escape '!' then 0 else 1 end, slug limit $6",
            now.timestamp_millis(),
            patterns[0].as_str(),
            patterns[1].as_str(),
            patterns[2].as_str(),
            patterns[3].as_str(),
            count
        )?;
        in_order(&mut reader, rows).await
    }

    /// Returns up to `count` comparisons in which one of at most 100 tools takes part, newest first.
    pub async fn comparisons_of_any(
        &self,
        tools: &[&Slug],
        count: usize,
        now: Timestamp,
    ) -> Result<Vec<RatedComparison>, StorageError> {
        if tools.is_empty() {
            // PostgreSQL knows no empty list.
            return Ok(Vec::new());
        }
        let list = placeholders(tools.len());
        let at = now.timestamp_millis();
        let sql = format!(
            "select slug, left_tool, right_tool, published_at, sample from comparisons
             where published_at <= {at} and (left_tool in ({list}) or right_tool in ({list}))
             order by published_at desc, slug limit {count}"
        );
        let mut reader = self.read().await?;
        let rows = rows_in::<ComparisonRow>(&mut reader, sql, tools).await?;
        assemble(&mut reader, rows, now).await
    }

    /// Returns the published digests before and after a slot, without those that were cancelled before anybody got them.
    pub async fn neighbours(
        &self,
        slot: Slot,
    ) -> Result<(Option<Slot>, Option<Slot>), StorageError> {
        let mut reader = self.read().await?;
        let earlier: Option<(i64,)> = optional!(
            reader,
            concat!(
                "select id from digests where id < $1 and ",
                archived!(),
                " order by id desc limit 1"
            ),
            slot.id()
        )?;
        let later: Option<(i64,)> = optional!(
            reader,
            concat!(
                "select id from digests where id > $1 and ",
                archived!(),
                " order by id limit 1"
            ),
            slot.id()
        )?;
        let slot_of = |row: Option<(i64,)>| row.and_then(|(id,)| Slot::from_id(id));
        Ok((slot_of(earlier), slot_of(later)))
    }

    /// Returns the newest published digest.
    pub async fn latest_slot(&self) -> Result<Option<Slot>, StorageError> {
        let mut reader = self.read().await?;
        let row: Option<(i64,)> = optional!(
            reader,
            concat!(
                "select id from digests where ",
                archived!(),
                " order by id desc limit 1"
            )
        )?;
        Ok(row.and_then(|(id,)| Slot::from_id(id)))
    }

    /// Returns what a site map lists: the newest 50,000 addresses in all.
    pub async fn site_map(&self, now: Timestamp) -> Result<SiteMap, StorageError> {
        let mut reader = self.read().await?;
        let digests: Vec<(i64, i64)> = all!(
            reader,
            concat!(
                "select id, published_at from digests where ",
                archived!(),
                " order by id desc limit $1"
            ),
            SITE_MAP_MAX / 10
        )?;
        let comparisons: Vec<(String, i64)> = all!(
            reader,
            "select c.slug, c.published_at from comparisons c join tools l on l.slug = c.left_tool join tools r on r.slug = c.right_tool
             where c.published_at <= $1 and l.published_at <= $1 and r.published_at <= $1
             order by c.published_at desc, c.slug limit $2",
            now.timestamp_millis(),
            SITE_MAP_MAX / 2
        )?;
        let tools: Vec<(String, i64)> = all!(
            reader,
            "select slug, published_at from tools where published_at <= $1 order by published_at desc, slug limit $2",
            now.timestamp_millis(),
            SITE_MAP_MAX / 10 * 3
        )?;
        let dated = |rows: Vec<(String, i64)>| {
            rows.into_iter()
                .map(|(slug, at)| (slug, from_millis(at)))
                .collect()
        };
        Ok(SiteMap {
            digests: digests
                .into_iter()
                .filter_map(|(id, at)| Some((Slot::from_id(id)?, from_millis(at))))
                .collect(),
            comparisons: dated(comparisons),
            tools: dated(tools),
        })
    }
}

/// Words of a search that are looked at.
pub const WORDS_MAX: usize = 4;

/// A `like` pattern for a word anywhere in a text.
pub(super) fn pattern(word: &str) -> String {
    let mut pattern = String::from("%");
    for c in word.to_lowercase().chars() {
        if matches!(c, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}

async fn in_order(
    conn: &mut impl Queryable,
    rows: Vec<(String,)>,
) -> Result<Vec<RatedTool>, StorageError> {
    let slugs: Vec<Slug> = stored(rows.iter().map(|(slug,)| slug.parse()).collect())?;
    let mut found = contenders(conn, &slugs.iter().collect::<Vec<_>>()).await?;
    Ok(slugs.iter().filter_map(|slug| found.remove(slug)).collect())
}
