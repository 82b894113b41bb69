//! Tools, reviews and comparisons, with the votes on them.

mod rows;

use std::collections::HashMap;

use sqlx::AssertSqlSafe;

use super::Queryable;
use super::Storage;
use super::StorageError;
use super::stored;
use crate::domain::Timestamp;
use crate::domain::catalogue::Comparison;
use crate::domain::catalogue::Panel;
use crate::domain::catalogue::RatedComparison;
use crate::domain::catalogue::RatedTool;
use crate::domain::catalogue::Review;
use crate::domain::catalogue::Slug;
use crate::domain::catalogue::Tool;
use crate::domain::catalogue::Votes;
use crate::domain::from_millis;
use crate::domain::pick::Candidate;
use crate::domain::pick::CandidateTool;
use rows::CandidateRow;
pub(super) use rows::ComparisonRow;
use rows::ReviewRow;
use rows::ToolRow;
pub(super) use rows::comparison_from;
use rows::review_from;
use rows::tool_from;
use rows::votes_from;

/// For each tool that a comparison of the time from $1 to $2 names: how many said *ship*, and how many spoke.
macro_rules! sums {
    ($table:literal) => {
        concat!(
            "select tool, cast(sum(case when verdict = 'ship' then 1 else 0 end) as bigint), count(*) from ",
            $table,
            " where tool in (select left_tool from comparisons where published_at >= $1 and published_at <= $2
                             union select right_tool from comparisons where published_at >= $1 and published_at <= $2)
              group by tool"
        )
    };
}

impl Storage {
    /// The whole catalogue, in the order of its slugs.
    pub async fn export_catalogue(&self) -> Result<(Vec<Tool>, Vec<Comparison>), StorageError> {
        let mut reader = self.read().await?;
        let slugs: Vec<(String,)> = all!(reader, "select slug from tools order by slug")?;
        let mut tools = Vec::with_capacity(slugs.len());
        for chunk in slugs.chunks(IN_LIST) {
            let slugs: Vec<Slug> = stored(chunk.iter().map(|(slug,)| slug.parse()).collect())?;
            let mut found = tools_by_slug(&mut reader, &slugs.iter().collect::<Vec<_>>()).await?;
            tools.extend(slugs.iter().filter_map(|slug| found.remove(slug)));
        }
        let rows: Vec<ComparisonRow> = all!(
            reader,
            "select slug, left_tool, right_tool, published_at, sample from comparisons order by slug"
        )?;
        Ok((
            tools,
            stored(rows.into_iter().map(comparison_from).collect())?,
        ))
    }

    /// Returns whether there is neither a tool nor a comparison.
    pub async fn is_catalogue_empty(&self) -> Result<bool, StorageError> {
        let mut reader = self.read().await?;
        let found: Option<(i64,)> =
            optional!(reader, "select cast(1 as bigint) from tools limit 1")?;
        Ok(found.is_none())
    }

    /// Returns what may be picked: the comparisons published from `since` up to `now`, without the texts.
    pub async fn candidates(
        &self,
        since: Timestamp,
        now: Timestamp,
    ) -> Result<Vec<Candidate>, StorageError> {
        let (since, now) = (since.timestamp_millis(), now.timestamp_millis());
        let mut reader = self.read().await?;
        let rows: Vec<CandidateRow> = all!(
            reader,
            "select c.slug, c.published_at, l.slug as left_tool, l.name as left_name, l.category as left_category,
                    r.slug as right_tool, r.name as right_name, r.category as right_category
             from comparisons c join tools l on l.slug = c.left_tool join tools r on r.slug = c.right_tool
             where c.published_at >= $1 and c.published_at <= $2 and l.published_at <= $2 and r.published_at <= $2",
            since,
            now
        )?;
        let panels: Vec<(String, i64, i64)> = all!(reader, sums!("reviews"), since, now)?;
        let votes: Vec<(String, i64, i64)> = all!(reader, sums!("votes"), since, now)?;
        let panels: HashMap<String, Panel> = panels
            .into_iter()
            .map(|(tool, ships, all)| {
                (
                    tool,
                    Panel {
                        ships: ships as u32,
                        skips: (all - ships) as u32,
                    },
                )
            })
            .collect();
        let votes = votes_from(votes);
        let entrant = |tool: String, name, category| -> Result<CandidateTool, StorageError> {
            let (panel, votes) = (
                panels.get(&tool).copied().unwrap_or_default(),
                votes.get(&tool).copied().unwrap_or_default(),
            );
            Ok(CandidateTool {
                tool: tool.parse()?,
                name,
                category,
                panel,
                votes,
            })
        };
        let candidate = |row: CandidateRow| {
            Ok(Candidate {
                comparison: row.slug.parse()?,
                published_at: from_millis(row.published_at),
                left: entrant(row.left_tool, row.left_name, row.left_category)?,
                right: entrant(row.right_tool, row.right_name, row.right_category)?,
            })
        };
        rows.into_iter().map(candidate).collect()
    }

    /// The comparison with that slug, if it was published by `now`.
    pub async fn matchup(
        &self,
        slug: &Slug,
        now: Timestamp,
    ) -> Result<Option<RatedComparison>, StorageError> {
        Ok(self.matchups(std::slice::from_ref(slug), now).await?.pop())
    }

    /// Those of the comparisons that were published by `now`, in the order of `slugs`: a bounded number of them.
    pub async fn matchups(
        &self,
        slugs: &[Slug],
        now: Timestamp,
    ) -> Result<Vec<RatedComparison>, StorageError> {
        let mut reader = self.read().await?;
        let mut found = Vec::with_capacity(slugs.len());
        for slug in slugs {
            let row: Option<ComparisonRow> = optional!(
                reader,
                "select slug, left_tool, right_tool, published_at, sample from comparisons where slug = $1 and published_at <= $2",
                slug.as_str(),
                now.timestamp_millis()
            )?;
            found.extend(row);
        }
        assemble(&mut reader, found, now).await
    }

    /// The newest comparisons, newest first.
    pub async fn latest(
        &self,
        count: i64,
        now: Timestamp,
    ) -> Result<Vec<RatedComparison>, StorageError> {
        let mut reader = self.read().await?;
        let rows: Vec<ComparisonRow> = all!(
            reader,
            "select slug, left_tool, right_tool, published_at, sample from comparisons where published_at <= $1
             order by published_at desc, slug limit $2",
            now.timestamp_millis(),
            count
        )?;
        assemble(&mut reader, rows, now).await
    }

    /// The newest comparisons in which a tool takes part, newest first.
    pub async fn comparisons_of(
        &self,
        tool: &Slug,
        count: i64,
        now: Timestamp,
    ) -> Result<Vec<RatedComparison>, StorageError> {
        let mut reader = self.read().await?;
        let rows: Vec<ComparisonRow> = all!(
            reader,
            "select slug, left_tool, right_tool, published_at, sample from comparisons
             where published_at <= $1 and (left_tool = $2 or right_tool = $2) order by published_at desc, slug limit $3",
            now.timestamp_millis(),
            tool.as_str(),
            count
        )?;
        assemble(&mut reader, rows, now).await
    }

    /// A comparison, and what to read after it: the newest in which one of its tools takes part, then the newest of their
    /// categories. All of them are put together at once, for no page is asked for more often: six queries.
    pub async fn matchup_with_related(
        &self,
        slug: &Slug,
        count: i64,
        now: Timestamp,
    ) -> Result<Option<(RatedComparison, Vec<RatedComparison>)>, StorageError> {
        let mut reader = self.read().await?;
        let found: Option<ComparisonRow> = optional!(
            reader,
            "select slug, left_tool, right_tool, published_at, sample from comparisons where slug = $1 and published_at <= $2",
            slug.as_str(),
            now.timestamp_millis()
        )?;
        let Some(found) = found else { return Ok(None) };
        let mut rows: Vec<ComparisonRow> = all!(
            reader,
            "with kin as (select slug from tools where category in (select category from tools where slug in ($3, $4) and category <> ''))
             select slug, left_tool, right_tool, published_at, sample from
               (select slug, left_tool, right_tool, published_at, sample,
                  case when left_tool in ($3, $4) or right_tool in ($3, $4) then 0 else 1 end as distance
                from comparisons where published_at <= $1 and slug <> $2) others
             where distance = 0 or left_tool in (select slug from kin) or right_tool in (select slug from kin)
             order by distance, published_at desc, slug limit $5",
            now.timestamp_millis(),
            slug.as_str(),
            found.left_tool.as_str(),
            found.right_tool.as_str(),
            count
        )?;
        rows.insert(0, found);
        let mut matchups = assemble(&mut reader, rows, now).await?;
        // It is left out itself where one of its tools is not published.
        let is_there = matchups
            .first()
            .is_some_and(|first| first.comparison.slug == *slug);
        Ok(is_there.then(|| (matchups.remove(0), matchups)))
    }

    /// The tool with that slug, if it was published by `now`.
    pub async fn contender(
        &self,
        slug: &Slug,
        now: Timestamp,
    ) -> Result<Option<RatedTool>, StorageError> {
        let mut reader = self.read().await?;
        let found = contenders(&mut reader, &[slug]).await?.remove(slug);
        Ok(found.filter(|contender| contender.tool.published_at <= now))
    }
}

/// Placeholders in one list: SQLite takes 32,766 and PostgreSQL 65,535; this keeps statements short.
const IN_LIST: usize = 500;

/// Puts both tools beside each comparison: three queries, however many comparisons. One of a tool that is not published by
/// `now` is left out: it would lead to a page that is not there.
pub(super) async fn assemble(
    conn: &mut impl Queryable,
    rows: Vec<ComparisonRow>,
    now: Timestamp,
) -> Result<Vec<RatedComparison>, StorageError> {
    let comparisons: Vec<Comparison> = stored(rows.into_iter().map(comparison_from).collect())?;
    let slugs: Vec<&Slug> = comparisons
        .iter()
        .flat_map(|c| [&c.left, &c.right])
        .collect();
    let sides = contenders(conn, &slugs).await?;
    let side = |slug: &Slug| {
        sides
            .get(slug)
            .filter(|side| side.tool.published_at <= now)
            .cloned()
    };
    let matchup = |c: Comparison| {
        Some(RatedComparison {
            left: side(&c.left)?,
            right: side(&c.right)?,
            comparison: c,
        })
    };
    Ok(comparisons.into_iter().filter_map(matchup).collect())
}

pub(super) async fn contenders(
    conn: &mut impl Queryable,
    slugs: &[&Slug],
) -> Result<HashMap<Slug, RatedTool>, StorageError> {
    let tools = tools_by_slug(conn, slugs).await?;
    let readers = votes_in(conn, "votes", slugs).await?;
    let visitors = votes_in(conn, "visitor_votes", slugs).await?;
    let of = |votes: &HashMap<String, Votes>, tool: &Tool| {
        votes.get(tool.slug.as_str()).copied().unwrap_or_default()
    };
    let contender = |tool: Tool| RatedTool {
        votes: of(&readers, &tool),
        visitors: of(&visitors, &tool),
        tool,
    };
    Ok(tools
        .into_iter()
        .map(|(slug, tool)| (slug, contender(tool)))
        .collect())
}

/// The votes on each of the tools that `table` holds.
async fn votes_in(
    conn: &mut impl Queryable,
    table: &'static str,
    slugs: &[&Slug],
) -> Result<HashMap<String, Votes>, StorageError> {
    let mut votes = HashMap::new();
    for chunk in slugs.chunks(IN_LIST) {
        let sql = format!(
            "select tool, cast(sum(case when verdict = 'ship' then 1 else 0 end) as bigint), count(*) from {table}
             where tool in ({}) group by tool",
            placeholders(chunk.len())
        );
        votes.extend(votes_from(rows_in(conn, sql, chunk).await?));
    }
    Ok(votes)
}

pub(super) async fn tools_by_slug(
    conn: &mut impl Queryable,
    slugs: &[&Slug],
) -> Result<HashMap<Slug, Tool>, StorageError> {
    let mut tools = HashMap::with_capacity(slugs.len());
    for chunk in slugs.chunks(IN_LIST) {
        let list = placeholders(chunk.len());
        let sql = format!(
            "select tool, reviewer, score, verdict, take, quote from reviews where tool in ({list}) order by tool, position"
        );
        let mut reviews: HashMap<String, Vec<Review>> = HashMap::new();
        for row in rows_in::<ReviewRow>(conn, sql, chunk).await? {
            let tool = row.tool.clone();
            reviews
                .entry(tool)
                .or_default()
                .push(stored(review_from(row))?);
        }
        let sql = format!(
            "select slug, name, category, tagline, description, url, pricing, entry_price, published_at, sample
             from tools where slug in ({list})"
        );
        for row in rows_in::<ToolRow>(conn, sql, chunk).await? {
            let reviews = reviews.remove(&row.slug).unwrap_or_default();
            let tool = stored(tool_from(row, reviews))?;
            tools.insert(tool.slug.clone(), tool);
        }
    }
    Ok(tools)
}

/// Runs a query whose only values are the slugs of a list. `sql` is made of literals and [`placeholders`] alone.
pub(super) async fn rows_in<T>(
    conn: &mut impl Queryable,
    sql: String,
    slugs: &[&Slug],
) -> Result<Vec<T>, StorageError>
where
    T: Send
        + Unpin
        + for<'r> sqlx::FromRow<'r, sqlx::sqlite::SqliteRow>
        + for<'r> sqlx::FromRow<'r, sqlx::postgres::PgRow>,
{
    Ok(on!(conn, c, keeps => {
        let mut query = sqlx::query_as(AssertSqlSafe(sql)).persistent(keeps);
        for slug in slugs {
            query = query.bind(slug.as_str());
        }
        query.fetch_all(&mut *c).await
    })?)
}

/// `$1, $2, ...`
pub(super) fn placeholders(count: usize) -> String {
    (1..=count)
        .map(|n| format!("${n}"))
        .collect::<Vec<_>>()
        .join(", ")
}
