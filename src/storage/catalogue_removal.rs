//! Taking tools, comparisons or the sample out of the catalogue.

use crate::domain::Timestamp;
use crate::domain::actor::Actor;
use crate::domain::audit::AuditAction;
use crate::domain::catalogue::Comparison;
use crate::domain::catalogue::Slug;
use crate::domain::catalogue_change::EntryKind;
use crate::domain::catalogue_change::FieldChange;
use crate::domain::catalogue_change::comparison_changes;
use crate::domain::catalogue_change::tool_changes;
use crate::storage::Storage;
use crate::storage::StorageError;
use crate::storage::Tx;
use crate::storage::audit_log::ChangeSubject;
use crate::storage::catalogue::ComparisonRow;
use crate::storage::catalogue::comparison_from;
use crate::storage::catalogue::tools_by_slug;
use crate::storage::catalogue_import::Imported;
use crate::storage::catalogue_import::remove_comparison;
use crate::storage::catalogue_import::remove_tool;

impl Storage {
    /// Takes the comparison with that slug out, or the tool with its reviews, its votes and the comparisons that name it; of two
    /// with one slug the comparison, unless `only` says which. `None` if there is neither. Published digests stay as they are.
    pub async fn remove_from_catalogue(
        &self,
        actor: &Actor,
        slug: &Slug,
        only: Option<EntryKind>,
        now: Timestamp,
    ) -> Result<Option<Imported>, StorageError> {
        let mut tx = self.begin().await?;
        let mut done = Imported::default();
        let before = values_of(&mut tx, slug, only).await?;
        if only != Some(EntryKind::Tool) {
            remove_comparison(&mut tx, slug.as_str(), &mut done).await?;
        }
        if done.differences.is_empty() && only != Some(EntryKind::Comparison) {
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
        let mut detail = done.logged();
        detail["before"] = before
            .iter()
            .map(|change| (change.field.clone(), change.logged()))
            .collect();
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

/// The values of what a slug names, each as a change to nothing.
async fn values_of(
    tx: &mut Tx,
    slug: &Slug,
    only: Option<EntryKind>,
) -> Result<Vec<FieldChange>, StorageError> {
    let row: Option<ComparisonRow> = optional!(
        tx,
        "select slug, left_tool, right_tool, published_at, sample from comparisons where slug = $1",
        slug.as_str()
    )?;
    if let Some(row) = row.filter(|_| only != Some(EntryKind::Tool)) {
        let comparison: Comparison = comparison_from(row)?;
        return Ok(comparison_changes(Some(&comparison), None));
    }
    let tools = tools_by_slug(tx, &[slug]).await?;
    Ok(tool_changes(tools.get(slug), None))
}
