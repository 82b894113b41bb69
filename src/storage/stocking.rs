//! Writing the catalogue: import, all or nothing, and taking the sample out.

use std::collections::HashSet;

use super::Storage;
use super::StorageError;
use super::Tx;
use super::catalogue::ComparisonRow;
use super::catalogue::comparison_from;
use super::catalogue::tools_by_slug;
use super::changes::note_panel;
use crate::domain::Timestamp;
use crate::domain::catalogue::Comparison;
use crate::domain::catalogue::Slug;
use crate::domain::catalogue::Tool;

/// What an import did with things of one kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    /// New here.
    pub added: u64,
    /// Known, and different now.
    pub changed: u64,
    /// Known, and the same.
    pub unchanged: u64,
}

/// What an import did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Imported {
    /// Tools.
    pub tools: Counts,
    /// Their reviews.
    pub reviews: Counts,
    /// Comparisons.
    pub comparisons: Counts,
}

impl Storage {
    /// Writes tools and comparisons, all or nothing; what is the same already is left alone. Returns `Err` inside with a
    /// sentence when a comparison names a tool that is neither in `tools` nor in the database.
    pub async fn import_catalogue(
        &self,
        tools: &[Tool],
        comparisons: &[Comparison],
        now: Timestamp,
    ) -> Result<Result<Imported, String>, StorageError> {
        let mut tx = self.begin().await?;
        let mut done = Imported::default();
        let slugs: Vec<&Slug> = tools.iter().map(|tool| &tool.slug).chain(comparisons.iter().flat_map(|c| [&c.left, &c.right])).collect();
        let mut known = tools_by_slug(&mut tx, &slugs).await?;
        for tool in tools {
            write_tool(&mut tx, tool, known.remove(&tool.slug).as_ref(), &mut done).await?;
            note_panel(&mut tx, tool, now).await?;
        }
        let given: HashSet<&Slug> = tools.iter().map(|tool| &tool.slug).collect();
        for comparison in comparisons {
            if let Some(missing) = [&comparison.left, &comparison.right].into_iter().find(|t| !given.contains(t) && !known.contains_key(t))
            {
                return Ok(Err(format!("comparison {}: there is no tool {missing}", comparison.slug)));
            }
            write_comparison(&mut tx, comparison, &mut done).await?;
        }
        tx.commit().await?;
        Ok(Ok(done))
    }

    /// Takes the invented tools and their comparisons out; answers how many there were of each. Digests that were
    /// published stay as they are, for they carry their own content.
    pub async fn drop_sample(&self) -> Result<(u64, u64), StorageError> {
        let mut tx = self.begin().await?;
        let comparisons = execute!(
            tx,
            "delete from comparisons where sample = 1 or left_tool in (select slug from tools where sample = 1)
             or right_tool in (select slug from tools where sample = 1)"
        )?;
        let tools = execute!(tx, "delete from tools where sample = 1")?;
        tx.commit().await?;
        Ok((tools, comparisons))
    }
}

async fn write_tool(tx: &mut Tx, tool: &Tool, known: Option<&Tool>, done: &mut Imported) -> Result<(), StorageError> {
    for review in &tool.reviews {
        match known.map(|known| known.review_by(review.reviewer)) {
            Some(Some(old)) if old == review => done.reviews.unchanged += 1,
            Some(Some(_)) => done.reviews.changed += 1,
            _ => done.reviews.added += 1,
        }
    }
    match known {
        Some(known) if known == tool => {
            done.tools.unchanged += 1;
            return Ok(());
        }
        Some(_) => done.tools.changed += 1,
        None => done.tools.added += 1,
    }
    execute!(
        tx,
        "insert into tools (slug, name, category, tagline, description, url, pricing, entry_price, published_at, sample)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
         on conflict (slug) do update set name = excluded.name, category = excluded.category, tagline = excluded.tagline,
           description = excluded.description, url = excluded.url, pricing = excluded.pricing,
           entry_price = excluded.entry_price, published_at = excluded.published_at, sample = excluded.sample",
        tool.slug.as_str(),
        &tool.name,
        &tool.category,
        &tool.tagline,
        &tool.description,
        tool.url.as_deref(),
        &tool.pricing,
        &tool.entry_price,
        tool.published_at.timestamp_millis(),
        i64::from(tool.sample)
    )?;
    execute!(tx, "delete from reviews where tool = $1", tool.slug.as_str())?;
    for (position, review) in tool.reviews.iter().enumerate() {
        execute!(
            tx,
            "insert into reviews (tool, position, reviewer, score, verdict, take) values ($1, $2, $3, $4, $5, $6)",
            tool.slug.as_str(),
            position as i64,
            review.reviewer.as_str(),
            i64::from(review.score),
            review.verdict.as_str(),
            &review.take
        )?;
    }
    Ok(())
}

async fn write_comparison(tx: &mut Tx, comparison: &Comparison, done: &mut Imported) -> Result<(), StorageError> {
    let old: Option<ComparisonRow> = optional!(
        tx,
        "select slug, left_tool, right_tool, published_at, sample from comparisons where slug = $1",
        comparison.slug.as_str()
    )?;
    match old.map(comparison_from) {
        Some(Ok(old)) if old == *comparison => {
            done.comparisons.unchanged += 1;
            return Ok(());
        }
        Some(_) => done.comparisons.changed += 1,
        None => done.comparisons.added += 1,
    }
    execute!(
        tx,
        "insert into comparisons (slug, left_tool, right_tool, published_at, sample) values ($1, $2, $3, $4, $5)
         on conflict (slug) do update set left_tool = excluded.left_tool, right_tool = excluded.right_tool,
           published_at = excluded.published_at, sample = excluded.sample",
        comparison.slug.as_str(),
        comparison.left.as_str(),
        comparison.right.as_str(),
        comparison.published_at.timestamp_millis(),
        i64::from(comparison.sample)
    )?;
    Ok(())
}
