//! Importing a catalogue, all or nothing.

use std::collections::HashMap;
use std::collections::HashSet;

use crate::domain::Timestamp;
use crate::domain::actor::Actor;
use crate::domain::audit::AuditAction;
use crate::domain::catalogue::Comparison;
use crate::domain::catalogue::Slug;
use crate::domain::catalogue::Tool;
use crate::domain::catalogue::category_key;
use crate::domain::catalogue_change::FieldChange;
use crate::domain::catalogue_change::comparison_changes;
use crate::domain::catalogue_change::own_changes;
use crate::domain::catalogue_change::review_changes;
use crate::storage::Storage;
use crate::storage::StorageError;
use crate::storage::Tx;
use crate::storage::catalogue::ComparisonRow;
use crate::storage::catalogue::comparison_from;
use crate::storage::catalogue::tools_by_slug;
use crate::storage::changes::correct_panel;
use crate::storage::changes::note_panel;
use crate::storage::events;

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
    /// A panel whose verdict differs was written down wrong: its history is corrected, and readers who saved the tool are not told.
    pub corrections: bool,
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
    /// The fields that differ, of what is changed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<FieldChange>,
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

/// Changed things whose fields the audit log keeps of one import.
const LOGGED_MAX: usize = 100;

impl Imported {
    /// The numbers, and what changed by field, for the audit log.
    pub(super) fn logged(&self) -> serde_json::Value {
        let fields = |difference: &Difference| {
            let fields = difference.fields.iter();
            let fields: serde_json::Map<_, _> = fields
                .map(|change| (change.field.clone(), change.logged()))
                .collect();
            serde_json::json!({ "change": difference.change, "kind": difference.kind, "name": difference.name, "fields": fields })
        };
        let changes: Vec<serde_json::Value> = self
            .differences
            .iter()
            .take(LOGGED_MAX)
            .map(fields)
            .collect();
        serde_json::json!({
            "tools": self.tools,
            "reviews": self.reviews,
            "comparisons": self.comparisons,
            "differences": changes,
            "more": self.differences.len().saturating_sub(LOGGED_MAX),
        })
    }

    pub(super) fn note(&mut self, kind: &'static str, change: &'static str, name: String) {
        self.note_changed(kind, change, name, Vec::new());
    }

    fn note_changed(
        &mut self,
        kind: &'static str,
        change: &'static str,
        name: String,
        fields: Vec<FieldChange>,
    ) {
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
        self.differences.push(Difference {
            change,
            kind,
            name,
            fields,
        });
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
        let imported = self
            .import_within(&mut tx, actor, (tools, comparisons), mode, now)
            .await?;
        if imported.is_ok() && !mode.dry_run {
            tx.commit().await?;
        }
        Ok(imported)
    }

    /// The same within a transaction that the caller commits, unless it is only to tell.
    pub(super) async fn import_within(
        &self,
        tx: &mut Tx,
        actor: &Actor,
        (tools, comparisons): (&[Tool], &[Comparison]),
        mode: ImportMode,
        now: Timestamp,
    ) -> Result<Result<Imported, Vec<String>>, StorageError> {
        let mut done = Imported::default();
        let slugs: Vec<&Slug> = tools
            .iter()
            .map(|tool| &tool.slug)
            .chain(comparisons.iter().flat_map(|c| [&c.left, &c.right]))
            .collect();
        let known = tools_by_slug(tx, &slugs).await?;
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
        let spellings = spellings(tx, tools, mode.replace).await?;
        for tool in tools {
            let before = known.get(&tool.slug);
            let mut whole = match before {
                Some(before) if !mode.replace => tool.completed_by(before),
                _ => tool.clone(),
            };
            if let Some(first) = spellings.get(&category_key(&whole.category)) {
                whole.category.clone_from(first);
            }
            write_tool(tx, &whole, before, &mut done, now).await?;
            match before {
                Some(before) if mode.corrections => {
                    correct_panel(tx, before, &whole, now).await?;
                }
                _ => note_panel(tx, &whole, now).await?,
            }
        }
        for comparison in comparisons {
            write_comparison(tx, comparison, &mut done, now).await?;
        }
        if mode.replace {
            let kept: HashSet<&str> = comparisons.iter().map(|c| c.slug.as_str()).collect();
            let all: Vec<(String,)> = all!(tx, "select slug from comparisons order by slug")?;
            for (slug,) in all.iter().filter(|(slug,)| !kept.contains(slug.as_str())) {
                remove_comparison(tx, slug, &mut done).await?;
            }
            let kept: HashSet<&str> = given.iter().map(|slug| slug.as_str()).collect();
            let all: Vec<(String,)> = all!(tx, "select slug from tools order by slug")?;
            for (slug,) in all.iter().filter(|(slug,)| !kept.contains(slug.as_str())) {
                remove_tool(tx, slug, &mut done).await?;
            }
        }
        if !mode.dry_run && !done.differences.is_empty() {
            let detail = done.logged();
            tell_entries(tx, &done, now).await?;
            self.author(actor)
                .note(tx, AuditAction::CatalogueImported, None, &detail, now)
                .await?;
        }
        Ok(Ok(done))
    }
}

/// Writes the events of an import: one for each tool and each new comparison.
async fn tell_entries(tx: &mut Tx, done: &Imported, now: Timestamp) -> Result<(), StorageError> {
    let mut told = HashSet::new();
    let (reviews, entries): (Vec<_>, Vec<_>) = done
        .differences
        .iter()
        .partition(|difference| difference.kind == "review");
    // Tools before their reviews: one that is new, or gone, is not told as changed too.
    for difference in entries.into_iter().chain(reviews) {
        let (is_tool, is_new) = (
            difference.kind != "comparison",
            difference.change == "added",
        );
        // A review is named by its tool and reviewer.
        let name = difference.name.split(' ').next().unwrap_or_default();
        if !told.insert((is_tool, name))
            || (is_tool && difference.change == "removed" && difference.kind == "tool")
        {
            continue;
        }
        let is_new = is_new && difference.kind != "review";
        events::record_entry(tx, is_tool, is_new, name, now).await?;
    }
    Ok(())
}

/// Returns how each category is spelled: as the tools do that the document leaves alone, or as its first one does.
pub(super) async fn spellings(
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

pub(super) async fn remove_comparison(
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
pub(super) async fn remove_tool(
    tx: &mut Tx,
    slug: &str,
    done: &mut Imported,
) -> Result<(), StorageError> {
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

/// Notes which reviews of a tool differ.
fn note_reviews(tool: &Tool, known: Option<&Tool>, done: &mut Imported) {
    for review in &tool.reviews {
        let old = known.and_then(|known| known.review_by(review.reviewer));
        let fields = old.map(|old| review_changes(old, review));
        let change = match &fields {
            Some(fields) if fields.is_empty() => "unchanged",
            Some(_) => "changed",
            None => "added",
        };
        let name = format!("{} {}", tool.slug, review.reviewer);
        done.note_changed("review", change, name, fields.unwrap_or_default());
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
}

/// Writes a tool with its reviews, unless it is there as it is.
pub(super) async fn write_tool(
    tx: &mut Tx,
    tool: &Tool,
    known: Option<&Tool>,
    done: &mut Imported,
    now: Timestamp,
) -> Result<(), StorageError> {
    note_reviews(tool, known, done);
    let change = match known {
        Some(known) if known == tool => "unchanged",
        Some(_) => "changed",
        None => "added",
    };
    let fields = known.map(|known| own_changes(Some(known), Some(tool)));
    done.note_changed(
        "tool",
        change,
        tool.slug.to_string(),
        fields.unwrap_or_default(),
    );
    if change == "unchanged" {
        return Ok(());
    }
    execute!(
        tx,
        "insert into tools (slug, name, category, tagline, description, url, pricing, entry_price, published_at, sample, updated_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
         on conflict (slug) do update set name = excluded.name, category = excluded.category, tagline = excluded.tagline,
           description = excluded.description, url = excluded.url, pricing = excluded.pricing,
           entry_price = excluded.entry_price, published_at = excluded.published_at, sample = excluded.sample,
           updated_at = case when tools.updated_at < excluded.updated_at then excluded.updated_at else tools.updated_at + 1 end",
        tool.slug.as_str(),
        &tool.name,
        &tool.category,
        &tool.tagline,
        &tool.description,
        tool.url.as_deref(),
        &tool.pricing,
        &tool.entry_price,
        tool.published_at.timestamp_millis(),
        i64::from(tool.sample),
        now.timestamp_millis()
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

/// Writes a comparison, unless it is there as it is.
pub(super) async fn write_comparison(
    tx: &mut Tx,
    comparison: &Comparison,
    done: &mut Imported,
    now: Timestamp,
) -> Result<(), StorageError> {
    let old: Option<ComparisonRow> = optional!(
        tx,
        "select slug, left_tool, right_tool, published_at, sample from comparisons where slug = $1",
        comparison.slug.as_str()
    )?;
    let old = old.map(comparison_from).transpose()?;
    let change = match &old {
        Some(old) if old == comparison => "unchanged",
        Some(_) => "changed",
        None => "added",
    };
    let fields = old.map(|old| comparison_changes(Some(&old), Some(comparison)));
    done.note_changed(
        "comparison",
        change,
        comparison.slug.to_string(),
        fields.unwrap_or_default(),
    );
    if change == "unchanged" {
        return Ok(());
    }
    execute!(
        tx,
        "insert into comparisons (slug, left_tool, right_tool, published_at, sample, updated_at) values ($1, $2, $3, $4, $5, $6)
         on conflict (slug) do update set left_tool = excluded.left_tool, right_tool = excluded.right_tool,
           published_at = excluded.published_at, sample = excluded.sample,
           updated_at = case when comparisons.updated_at < excluded.updated_at then excluded.updated_at
             else comparisons.updated_at + 1 end",
        comparison.slug.as_str(),
        comparison.left.as_str(),
        comparison.right.as_str(),
        comparison.published_at.timestamp_millis(),
        i64::from(comparison.sample),
        now.timestamp_millis()
    )?;
    Ok(())
}
