//! Writing the catalogue: import, all or nothing, and taking tools, comparisons or the sample out.

use std::collections::HashMap;
use std::collections::HashSet;

use crate::domain::Timestamp;
use crate::domain::actor::Actor;
use crate::domain::audit::AuditAction;
use crate::domain::catalogue::Comparison;
use crate::domain::catalogue::Slug;
use crate::domain::catalogue::Tool;
use crate::domain::catalogue::category_key;
use crate::storage::Storage;
use crate::storage::StorageError;
use crate::storage::Tx;
use crate::storage::audit_log::ChangeSubject;
use crate::storage::catalogue::ComparisonRow;
use crate::storage::catalogue::comparison_from;
use crate::storage::catalogue::tools_by_slug;
use crate::storage::changes::note_panel;

/// Counts of an import for things of one kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct ImportedCounts {
    /// New here.
    pub added: u64,
    /// Known, and different now.
    pub changed: u64,
    /// Known, and the same.
    pub unchanged: u64,
    /// Known, and taken out.
    pub removed: u64,
}

/// Treatment of what a document does not mention, and whether anything is written.
#[derive(Debug, Clone, Copy, Default)]
pub struct ImportMode {
    /// The document is the whole catalogue: what it does not mention is taken out.
    pub replace: bool,
    /// Only tell what would be done.
    pub dry_run: bool,
}

/// One thing that an import adds, changes or removes.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Difference {
    /// `added`, `changed` or `removed`.
    pub change: &'static str,
    /// `tool`, `review` or `comparison`.
    pub kind: &'static str,
    /// Its slug; of a review the tool's and the reviewer.
    pub name: String,
}

/// Counts of an import.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Imported {
    /// Tools.
    pub tools: ImportedCounts,
    /// Their reviews.
    pub reviews: ImportedCounts,
    /// Comparisons.
    pub comparisons: ImportedCounts,
    /// All but the unchanged, by name.
    pub differences: Vec<Difference>,
}

impl Imported {
    /// The numbers alone, for the audit log.
    fn counted(&self) -> serde_json::Value {
        serde_json::json!({ "tools": self.tools, "reviews": self.reviews, "comparisons": self.comparisons })
    }

    fn note(&mut self, kind: &'static str, change: &'static str, name: String) {
        let counts = match kind {
            "tool" => &mut self.tools,
            "review" => &mut self.reviews,
            _ => &mut self.comparisons,
        };
        match change {
            "added" => counts.added += 1,
            "changed" => counts.changed += 1,
            "removed" => counts.removed += 1,
            _ => {
                counts.unchanged += 1;
                return;
            }
        }
        self.differences.push(Difference { change, kind, name });
    }
}

impl Storage {
    /// Writes tools and comparisons, all or nothing; what is the same already is left alone, and what they do not mention stays
    /// unless `mode` replaces it. Returns `Err` inside with sentences, one for each comparison that names a tool that would not be there.
    pub async fn import_catalogue(
        &self,
        actor: &Actor,
        tools: &[Tool],
        comparisons: &[Comparison],
        mode: ImportMode,
        now: Timestamp,
    ) -> Result<Result<Imported, Vec<String>>, StorageError> {
        let mut tx = self.begin().await?;
        let mut done = Imported::default();
        let slugs: Vec<&Slug> = tools
            .iter()
            .map(|tool| &tool.slug)
            .chain(comparisons.iter().flat_map(|c| [&c.left, &c.right]))
            .collect();
        let known = tools_by_slug(&mut tx, &slugs).await?;
        let given: HashSet<&Slug> = tools.iter().map(|tool| &tool.slug).collect();
        let is_there =
            |slug: &Slug| given.contains(slug) || (!mode.replace && known.contains_key(slug));
        let missing = |c: &Comparison| {
            let tool = [&c.left, &c.right]
                .into_iter()
                .find(|tool| !is_there(tool))?;
            Some(format!("comparison {}: there is no tool {tool}", c.slug))
        };
        let faults: Vec<String> = comparisons.iter().filter_map(missing).collect();
        if !faults.is_empty() {
            return Ok(Err(faults));
        }
        let spellings = spellings(&mut tx, tools, mode.replace).await?;
        for tool in tools {
            let before = known.get(&tool.slug);
            let mut whole = match before {
                Some(before) if !mode.replace => tool.completed_by(before),
                _ => tool.clone(),
            };
            if let Some(first) = spellings.get(&category_key(&whole.category)) {
                whole.category.clone_from(first);
            }
            write_tool(&mut tx, &whole, before, &mut done).await?;
            note_panel(&mut tx, &whole, now).await?;
        }
        for comparison in comparisons {
            write_comparison(&mut tx, comparison, &mut done).await?;
        }
        if mode.replace {
            let kept: HashSet<&str> = comparisons.iter().map(|c| c.slug.as_str()).collect();
            let all: Vec<(String,)> = all!(tx, "select slug from comparisons order by slug")?;
            for (slug,) in all.iter().filter(|(slug,)| !kept.contains(slug.as_str())) {
                remove_comparison(&mut tx, slug, &mut done).await?;
            }
            let kept: HashSet<&str> = given.iter().map(|slug| slug.as_str()).collect();
            let all: Vec<(String,)> = all!(tx, "select slug from tools order by slug")?;
            for (slug,) in all.iter().filter(|(slug,)| !kept.contains(slug.as_str())) {
                remove_tool(&mut tx, slug, &mut done).await?;
            }
        }
        if !mode.dry_run {
            if !done.differences.is_empty() {
                let detail = done.counted();
                self.author(actor)
                    .note(&mut tx, AuditAction::CatalogueImported, None, &detail, now)
                    .await?;
            }
            tx.commit().await?;
        }
        Ok(Ok(done))
    }

    /// Takes the comparison with that slug out, or the tool with its reviews, its votes and the comparisons that name it; of two
    /// with one slug the comparison. `None` if there is neither. Published digests stay as they are.
    pub async fn remove_from_catalogue(
        &self,
        actor: &Actor,
        slug: &Slug,
        now: Timestamp,
    ) -> Result<Option<Imported>, StorageError> {
        let mut tx = self.begin().await?;
        let mut done = Imported::default();
        remove_comparison(&mut tx, slug.as_str(), &mut done).await?;
        if done.differences.is_empty() {
            let named: Vec<(String,)> = all!(
                tx,
                "select slug from comparisons where left_tool = $1 or right_tool = $1 order by slug",
                slug.as_str()
            )?;
            for (comparison,) in &named {
                remove_comparison(&mut tx, comparison, &mut done).await?;
            }
            remove_tool(&mut tx, slug.as_str(), &mut done).await?;
        }
        if done.differences.is_empty() {
            return Ok(None);
        }
        let subject = Some(ChangeSubject::Catalogue(slug.as_str()));
        let detail = done.counted();
        self.author(actor)
            .note(
                &mut tx,
                AuditAction::CatalogueRemoved,
                subject,
                &detail,
                now,
            )
            .await?;
        tx.commit().await?;
        Ok(Some(done))
    }

    /// Takes the invented tools and their comparisons out; answers how many there were of each. Digests that were
    /// published stay as they are, for they carry their own content.
    pub async fn drop_sample(
        &self,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<(u64, u64), StorageError> {
        let mut tx = self.begin().await?;
        let comparisons = execute!(
            tx,
            "delete from comparisons where sample = 1 or left_tool in (select slug from tools where sample = 1)
             or right_tool in (select slug from tools where sample = 1)"
        )?;
        let tools = execute!(tx, "delete from tools where sample = 1")?;
        if tools + comparisons > 0 {
            let detail = serde_json::json!({ "tools": tools, "comparisons": comparisons });
            self.author(actor)
                .note(&mut tx, AuditAction::SampleDropped, None, &detail, now)
                .await?;
        }
        tx.commit().await?;
        Ok((tools, comparisons))
    }
}

/// Returns how each category is spelled: as the tools do that the document leaves alone, or as its first one does.
async fn spellings(
    tx: &mut Tx,
    tools: &[Tool],
    replace: bool,
) -> Result<HashMap<String, String>, StorageError> {
    let given: HashSet<&str> = tools.iter().map(|tool| tool.slug.as_str()).collect();
    let known: Vec<(String, String)> = all!(
        tx,
        "select slug, category from tools order by published_at, slug"
    )?;
    let mut spellings = HashMap::new();
    let left = known
        .into_iter()
        .filter(|(slug, _)| !replace && !given.contains(slug.as_str()))
        .map(|(_, category)| category);
    for category in left.chain(tools.iter().map(|tool| tool.category.clone())) {
        spellings.entry(category_key(&category)).or_insert(category);
    }
    Ok(spellings)
}

async fn remove_comparison(
    tx: &mut Tx,
    slug: &str,
    done: &mut Imported,
) -> Result<(), StorageError> {
    if execute!(tx, "delete from comparisons where slug = $1", slug)? > 0 {
        done.note("comparison", "removed", slug.into());
    }
    Ok(())
}

/// No comparison may name it any more.
async fn remove_tool(tx: &mut Tx, slug: &str, done: &mut Imported) -> Result<(), StorageError> {
    let reviews: Vec<(String,)> = all!(
        tx,
        "select reviewer from reviews where tool = $1 order by position",
        slug
    )?;
    if execute!(tx, "delete from tools where slug = $1", slug)? > 0 {
        done.note("tool", "removed", slug.into());
        reviews
            .into_iter()
            .for_each(|(reviewer,)| done.note("review", "removed", format!("{slug} {reviewer}")));
    }
    Ok(())
}

async fn write_tool(
    tx: &mut Tx,
    tool: &Tool,
    known: Option<&Tool>,
    done: &mut Imported,
) -> Result<(), StorageError> {
    for review in &tool.reviews {
        let change = match known.and_then(|known| known.review_by(review.reviewer)) {
            Some(old) if old == review => "unchanged",
            Some(_) => "changed",
            None => "added",
        };
        done.note(
            "review",
            change,
            format!("{} {}", tool.slug, review.reviewer),
        );
    }
    for gone in known
        .iter()
        .flat_map(|known| &known.reviews)
        .filter(|old| tool.review_by(old.reviewer).is_none())
    {
        done.note(
            "review",
            "removed",
            format!("{} {}", tool.slug, gone.reviewer),
        );
    }
    let change = match known {
        Some(known) if known == tool => "unchanged",
        Some(_) => "changed",
        None => "added",
    };
    done.note("tool", change, tool.slug.to_string());
    if change == "unchanged" {
        return Ok(());
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
    execute!(
        tx,
        "delete from reviews where tool = $1",
        tool.slug.as_str()
    )?;
    for (position, review) in tool.reviews.iter().enumerate() {
        execute!(
            tx,
            "insert into reviews (tool, position, reviewer, score, verdict, take, quote) values ($1, $2, $3, $4, $5, $6, $7)",
            tool.slug.as_str(),
            position as i64,
            review.reviewer.as_str(),
            i64::from(review.score),
            review.verdict.as_str(),
            &review.take,
            review.quote.as_deref()
        )?;
    }
    Ok(())
}

async fn write_comparison(
    tx: &mut Tx,
    comparison: &Comparison,
    done: &mut Imported,
) -> Result<(), StorageError> {
    let old: Option<ComparisonRow> = optional!(
        tx,
        "select slug, left_tool, right_tool, published_at, sample from comparisons where slug = $1",
        comparison.slug.as_str()
    )?;
    let change = match old.map(comparison_from) {
        Some(Ok(old)) if old == *comparison => "unchanged",
        Some(_) => "changed",
        None => "added",
    };
    done.note("comparison", change, comparison.slug.to_string());
    if change == "unchanged" {
        return Ok(());
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
