//! Changing one tool or one comparison: each save names the version that it was made from, so that two editors never overwrite each other.

use super::Queryable;
use super::Storage;
use super::StorageError;
use super::Tx;
use super::audit_log::ChangeSubject;
use super::catalogue::ComparisonRow;
use super::catalogue::comparison_from;
use super::catalogue::tools_by_slug;
use super::catalogue_import::Imported;
use super::catalogue_import::spellings;
use super::catalogue_import::write_comparison;
use super::catalogue_import::write_tool;
use super::changes::correct_panel;
use super::changes::note_panel;
use super::events;
use super::stored;
use crate::domain::Timestamp;
use crate::domain::actor::Actor;
use crate::domain::audit::AuditAction;
use crate::domain::catalogue::Comparison;
use crate::domain::catalogue::Slug;
use crate::domain::catalogue::Tool;
use crate::domain::catalogue::category_key;
use crate::domain::catalogue_change::EntryKind;
use crate::domain::catalogue_change::FieldChange;
use crate::domain::catalogue_change::comparison_changes;
use crate::domain::catalogue_change::tool_changes;
use crate::domain::slot::Slot;

/// A tool or a comparison as it is stored, with its version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versioned<T> {
    /// The entry.
    pub entry: T,
    /// Time of its last change in milliseconds, which every change raises.
    pub version: i64,
}

/// Version that a save is made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SaveOver {
    /// The entry is new.
    Nothing,
    /// The entry was at this version.
    Version(i64),
}

/// Result of a save.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntrySaved<T> {
    /// It is saved.
    Done,
    /// Nothing was different.
    Unchanged,
    /// Somebody else saved it meanwhile, or removed it.
    Conflict(Option<Versioned<T>>),
    /// Another entry of its kind has that slug.
    SlugTaken,
}

/// Result of saving a tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToolSaved {
    /// As for every entry.
    Plain(EntrySaved<Tool>),
    /// The panel's verdict changes, and nobody said whether readers who saved the tool are told; nothing was saved.
    VerdictChanges {
        /// The verdict's label before.
        before: &'static str,
        /// The verdict's label after.
        after: &'static str,
        /// Readers who saved the tool.
        savers: u64,
    },
}

/// Result of saving a comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ComparisonSaved {
    /// As for every entry.
    Plain(EntrySaved<Comparison>),
    /// There is a comparison of these two tools.
    SamePair(Slug),
    /// There is no such tool.
    NoTool,
    /// The comparison was sent in that digest with other tools.
    WasSent(Slot),
}

impl Storage {
    /// A tool with its version, whether it is published or not.
    pub async fn stored_tool(&self, slug: &Slug) -> Result<Option<Versioned<Tool>>, StorageError> {
        let mut reader = self.read().await?;
        let version: Option<(i64,)> = optional!(
            reader,
            "select updated_at from tools where slug = $1",
            slug.as_str()
        )?;
        let tool = tools_by_slug(&mut reader, &[slug]).await?.remove(slug);
        let versioned = |(entry, (version,))| Versioned { entry, version };
        Ok(tool.zip(version).map(versioned))
    }

    /// A comparison with its version, whether it is published or not.
    pub async fn stored_comparison(
        &self,
        slug: &Slug,
    ) -> Result<Option<Versioned<Comparison>>, StorageError> {
        let mut reader = self.read().await?;
        comparison_in(&mut reader, slug).await
    }

    /// Saves a tool with exactly these reviews. `tells`: whether readers who saved it are told of a verdict that changed; if not, the
    /// change is a correction.
    pub async fn save_tool_entry(
        &self,
        actor: &Actor,
        tool: &Tool,
        over: SaveOver,
        tells: Option<bool>,
        now: Timestamp,
    ) -> Result<ToolSaved, StorageError> {
        let mut tx = self.begin().await?;
        let is_mine = match over {
            SaveOver::Nothing => execute!(
                tx,
                "insert into tools (slug, name, category, tagline, description, pricing, entry_price, published_at, sample)
                 values ($1, '', '', '', '', '', '', $2, 0) on conflict (slug) do nothing",
                tool.slug.as_str(),
                tool.published_at.timestamp_millis()
            )?,
            // Whoever comes second waits here, and then finds another version.
            SaveOver::Version(version) => execute!(
                tx,
                "update tools set updated_at = updated_at where slug = $1 and updated_at = $2",
                tool.slug.as_str(),
                version
            )?,
        };
        if is_mine == 0 {
            drop(tx);
            return Ok(ToolSaved::Plain(match over {
                SaveOver::Nothing => EntrySaved::SlugTaken,
                SaveOver::Version(_) => EntrySaved::Conflict(self.stored_tool(&tool.slug).await?),
            }));
        }
        let known = match over {
            SaveOver::Nothing => None,
            SaveOver::Version(_) => tools_by_slug(&mut tx, &[&tool.slug])
                .await?
                .remove(&tool.slug),
        };
        let known = known.as_ref();
        let mut tool = known.map_or_else(|| tool.clone(), |known| tool.with_quotes_of(known));
        let spellings = spellings(&mut tx, std::slice::from_ref(&tool), false).await?;
        if let Some(first) = spellings.get(&category_key(&tool.category)) {
            tool.category.clone_from(first);
        }
        if known == Some(&tool) {
            return Ok(ToolSaved::Plain(EntrySaved::Unchanged));
        }
        let turn = known.and_then(|known| turn_of(known, &tool, now));
        if let (Some((before, after)), None) = (turn, tells) {
            let (savers,): (i64,) = one!(
                tx,
                "select count(*) from bookmarks where tool = $1",
                tool.slug.as_str()
            )?;
            return Ok(ToolSaved::VerdictChanges {
                before,
                after,
                savers: savers.unsigned_abs(),
            });
        }
        let mut done = Imported::default();
        write_tool(&mut tx, &tool, known, &mut done, now).await?;
        match known {
            Some(known) if turn.is_some() && tells == Some(false) => {
                correct_panel(&mut tx, known, &tool, now).await?;
            }
            _ => note_panel(&mut tx, &tool, now).await?,
        }
        let change = EntryChange {
            kind: EntryKind::Tool,
            slug: &tool.slug,
            is_new: known.is_none(),
            fields: tool_changes(known, Some(&tool)),
            is_told: turn.and(tells),
        };
        self.note_entry(&mut tx, actor, &change, now).await?;
        tx.commit().await?;
        Ok(ToolSaved::Plain(EntrySaved::Done))
    }

    /// Saves a comparison of two tools that are there and that no other comparison has. One that was sent keeps its tools.
    pub async fn save_comparison_entry(
        &self,
        actor: &Actor,
        comparison: &Comparison,
        over: SaveOver,
        now: Timestamp,
    ) -> Result<ComparisonSaved, StorageError> {
        let mut tx = self.begin().await?;
        // Two people who compare the same two tools at once meet here.
        let tools = execute!(
            tx,
            "update tools set slug = slug where slug in ($1, $2)",
            comparison.left.as_str(),
            comparison.right.as_str()
        )?;
        if tools < 2 {
            return Ok(ComparisonSaved::NoTool);
        }
        let known = comparison_in(&mut tx, &comparison.slug).await?;
        let plain = match (over, &known) {
            (SaveOver::Nothing, Some(_)) => Some(EntrySaved::SlugTaken),
            (SaveOver::Version(version), Some(known)) if known.version != version => {
                Some(EntrySaved::Conflict(Some(known.clone())))
            }
            (SaveOver::Version(_), None) => Some(EntrySaved::Conflict(None)),
            (_, Some(known)) if known.entry == *comparison => Some(EntrySaved::Unchanged),
            _ => None,
        };
        if let Some(plain) = plain {
            return Ok(ComparisonSaved::Plain(plain));
        }
        let known = known.map(|known| known.entry);
        let has_other_tools = known.as_ref().is_none_or(|known| {
            (&known.left, &known.right) != (&comparison.left, &comparison.right)
        });
        if has_other_tools {
            if let Some(twin) = same_pair(&mut tx, comparison).await? {
                return Ok(ComparisonSaved::SamePair(twin));
            }
            let sent = last_sent(&mut tx, &comparison.slug).await?;
            if let Some(slot) = sent.filter(|_| known.is_some()) {
                return Ok(ComparisonSaved::WasSent(slot));
            }
        }
        let mut done = Imported::default();
        write_comparison(&mut tx, comparison, &mut done, now).await?;
        let change = EntryChange {
            kind: EntryKind::Comparison,
            slug: &comparison.slug,
            is_new: known.is_none(),
            fields: comparison_changes(known.as_ref(), Some(comparison)),
            is_told: None,
        };
        self.note_entry(&mut tx, actor, &change, now).await?;
        tx.commit().await?;
        Ok(ComparisonSaved::Plain(EntrySaved::Done))
    }

    /// The last digest that a comparison was published in.
    pub async fn last_sent_with(&self, comparison: &Slug) -> Result<Option<Slot>, StorageError> {
        let mut reader = self.read().await?;
        last_sent(&mut reader, comparison).await
    }

    async fn note_entry(
        &self,
        tx: &mut Tx,
        actor: &Actor,
        change: &EntryChange<'_>,
        now: Timestamp,
    ) -> Result<(), StorageError> {
        let what = match change.is_new {
            true => AuditAction::CatalogueAdded,
            false => AuditAction::CatalogueChanged,
        };
        let fields = change.fields.iter();
        let fields: serde_json::Map<_, _> = fields
            .map(|change| (change.field.clone(), change.logged()))
            .collect();
        let mut detail = serde_json::json!({ "kind": change.kind, "fields": fields });
        if let Some(is_told) = change.is_told {
            detail["readers_are_told"] = is_told.into();
        }
        let (name, is_new) = (change.slug.as_str(), change.is_new);
        let is_tool = change.kind == EntryKind::Tool;
        events::record_entry(tx, is_tool, is_new, name, now).await?;
        let subject = Some(ChangeSubject::Catalogue(name));
        self.author(actor)
            .note(tx, what, subject, &detail, now)
            .await
    }
}

/// A change of one entry, for the audit log.
struct EntryChange<'a> {
    kind: EntryKind,
    slug: &'a Slug,
    is_new: bool,
    fields: Vec<FieldChange>,
    is_told: Option<bool>,
}

/// The verdict's labels before and after, where a verdict that readers know changes.
fn turn_of(known: &Tool, tool: &Tool, now: Timestamp) -> Option<(&'static str, &'static str)> {
    let (before, after) = (known.panel(), tool.panel());
    let is_known = known.published_at <= now && tool.published_at <= now && before.total() > 0;
    (is_known && before.label() != after.label()).then(|| (before.label(), after.label()))
}

async fn comparison_in(
    conn: &mut impl Queryable,
    slug: &Slug,
) -> Result<Option<Versioned<Comparison>>, StorageError> {
    let version: Option<(i64,)> = optional!(
        conn,
        "select updated_at from comparisons where slug = $1",
        slug.as_str()
    )?;
    let row: Option<ComparisonRow> = optional!(
        conn,
        "select slug, left_tool, right_tool, published_at, sample from comparisons where slug = $1",
        slug.as_str()
    )?;
    let Some((row, (version,))) = row.zip(version) else {
        return Ok(None);
    };
    let entry = comparison_from(row)?;
    Ok(Some(Versioned { entry, version }))
}

async fn last_sent(
    conn: &mut impl Queryable,
    comparison: &Slug,
) -> Result<Option<Slot>, StorageError> {
    let (last,): (Option<i64>,) = one!(
        conn,
        "select max(p.digest_id) from picks p join digests g on g.id = p.digest_id
         where p.comparison = $1 and g.published_at is not null",
        comparison.as_str()
    )?;
    Ok(last.and_then(Slot::from_id))
}

/// Another comparison of the same two tools, on whichever sides.
async fn same_pair(tx: &mut Tx, comparison: &Comparison) -> Result<Option<Slug>, StorageError> {
    let twin: Option<(String,)> = optional!(
        tx,
        "select slug from comparisons where slug <> $3
           and (left_tool = $1 and right_tool = $2 or left_tool = $2 and right_tool = $1) limit 1",
        comparison.left.as_str(),
        comparison.right.as_str(),
        comparison.slug.as_str()
    )?;
    stored(twin.map(|(slug,)| slug.parse()).transpose())
}
