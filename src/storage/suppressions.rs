//! The suppression list: keyed hashes of addresses that get no mail, with their reasons.

use super::Storage;
use super::StorageError;
use super::audit_log::ChangeSubject;
use crate::domain::Timestamp;
use crate::domain::actor::Actor;
use crate::domain::audit::AuditAction;
use crate::domain::from_millis;
use crate::domain::subscriber::Suppression;

/// An entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SuppressionEntry {
    /// Keyed hash of the address.
    pub hash: String,
    /// Reason.
    pub reason: Suppression,
    /// Since when.
    pub since: Timestamp,
    /// Operator's note.
    pub note: Option<String>,
}

type StoredSuppression = (String, String, i64, Option<String>);

fn entry(
    (hash, reason, created_at, note): StoredSuppression,
) -> Result<SuppressionEntry, StorageError> {
    Ok(SuppressionEntry {
        hash,
        reason: reason.parse()?,
        since: from_millis(created_at),
        note,
    })
}

impl Storage {
    /// Puts a keyed hash on the list by hand; `false` if it was there.
    pub async fn add_suppression(
        &self,
        actor: &Actor,
        hash: &str,
        key_name: &str,
        note: &str,
        now: Timestamp,
    ) -> Result<bool, StorageError> {
        let mut tx = self.begin().await?;
        let added = execute!(
            tx,
            "insert into suppressions (address_hash, key_name, reason, created_at, note) values ($1, $2, $3, $4, $5)
             on conflict (address_hash) do nothing",
            hash,
            key_name,
            Suppression::Manual.as_str(),
            now.timestamp_millis(),
            note
        )?;
        if added == 0 {
            return Ok(false);
        }
        self.author(actor)
            .note(
                &mut tx,
                AuditAction::SuppressionAdded,
                Some(ChangeSubject::Suppression(hash)),
                &serde_json::json!({}),
                now,
            )
            .await?;
        tx.commit().await?;
        Ok(true)
    }

    /// The entries behind a place, the newest first.
    pub async fn suppressions(
        &self,
        after: Option<(i64, &str)>,
        most: i64,
    ) -> Result<Vec<SuppressionEntry>, StorageError> {
        let mut reader = self.read().await?;
        let (at, hash) = after.unwrap_or((i64::MAX, ""));
        let rows: Vec<StoredSuppression> = all!(
            reader,
            "select address_hash, reason, created_at, note from suppressions where (created_at, address_hash) < ($1, $2)
             order by created_at desc, address_hash desc limit $3",
            at,
            hash,
            most
        )?;
        rows.into_iter().map(entry).collect()
    }

    /// The entry of one of the keyed hashes.
    pub async fn suppression(
        &self,
        hashes: &[String],
    ) -> Result<Option<SuppressionEntry>, StorageError> {
        let mut reader = self.read().await?;
        for hash in hashes {
            let row: Option<StoredSuppression> = optional!(
                reader,
                "select address_hash, reason, created_at, note from suppressions where address_hash = $1",
                hash
            )?;
            if let Some(row) = row {
                return entry(row).map(Some);
            }
        }
        Ok(None)
    }
}
