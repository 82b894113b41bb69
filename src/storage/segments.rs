//! Segments: saved filters of the list of subscribers.

use super::Storage;
use super::StorageError;
use super::audit_log::ChangeSubject;
use super::stored;
use crate::domain::Timestamp;
use crate::domain::actor::Actor;
use crate::domain::audit::AuditAction;
use crate::domain::subscriber_filter::SubscriberFilter;

/// Segments that there may be.
pub const SEGMENTS_MAX: i64 = 200;

/// A saved filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// Name in addresses and options.
    pub slug: String,
    /// Name for people.
    pub name: String,
    /// Conditions.
    pub filter: SubscriberFilter,
}

impl Storage {
    /// All segments, by name.
    pub async fn segments(&self) -> Result<Vec<Segment>, StorageError> {
        let mut reader = self.read().await?;
        let rows: Vec<(String, String, String)> = all!(
            reader,
            "select slug, name, filter from segments order by name, slug limit $1",
            SEGMENTS_MAX
        )?;
        rows.into_iter()
            .map(|(slug, name, filter)| {
                let pairs: std::collections::BTreeMap<String, String> =
                    stored(serde_json::from_str(&filter))?;
                let pairs = pairs
                    .iter()
                    .map(|(key, value)| (key.as_str(), value.as_str()));
                // A condition that this version does not know leaves nobody out, so it must not be passed over.
                let filter = SubscriberFilter::of(pairs).map_err(|_| {
                    StorageError::Stored(format!(
                        "the segment {slug:?} has a condition that is not known"
                    ))
                })?;
                Ok(Segment { slug, name, filter })
            })
            .collect()
    }

    /// Saves a segment; one with that slug is replaced. `false`: there are as many as there may be.
    pub async fn save_segment(
        &self,
        actor: &Actor,
        segment: &Segment,
        now: Timestamp,
    ) -> Result<bool, StorageError> {
        let pairs: serde_json::Map<String, serde_json::Value> = segment
            .filter
            .pairs()
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value.into()))
            .collect();
        let filter = serde_json::Value::Object(pairs).to_string();
        let mut tx = self.begin().await?;
        let (count,): (i64,) = one!(
            tx,
            "select count(*) from segments where slug <> $1",
            segment.slug.as_str()
        )?;
        if count >= SEGMENTS_MAX {
            return Ok(false);
        }
        execute!(
            tx,
            "insert into segments (slug, name, filter, created_at) values ($1, $2, $3, $4)
             on conflict (slug) do update set name = excluded.name, filter = excluded.filter",
            segment.slug.as_str(),
            segment.name.as_str(),
            filter,
            now.timestamp_millis()
        )?;
        self.author(actor)
            .note(
                &mut tx,
                AuditAction::SegmentSaved,
                Some(ChangeSubject::Segment(&segment.slug)),
                &serde_json::json!({}),
                now,
            )
            .await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Removes a segment; `false`: there is none.
    pub async fn remove_segment(
        &self,
        actor: &Actor,
        slug: &str,
        now: Timestamp,
    ) -> Result<bool, StorageError> {
        let mut tx = self.begin().await?;
        let removed = execute!(tx, "delete from segments where slug = $1", slug)?;
        if removed == 0 {
            return Ok(false);
        }
        self.author(actor)
            .note(
                &mut tx,
                AuditAction::SegmentRemoved,
                Some(ChangeSubject::Segment(slug)),
                &serde_json::json!({}),
                now,
            )
            .await?;
        tx.commit().await?;
        Ok(true)
    }
}
