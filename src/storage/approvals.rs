//! Approvals of an issue, and notes on it: each decision is written with what it changes.

use serde_json::json;

use super::Storage;
use super::StorageError;
use super::Tx;
use super::audit_log::ChangeSubject;
use super::ids;
use super::stored;
use crate::domain::Timestamp;
use crate::domain::actor::Actor;
use crate::domain::address::EmailAddress;
use crate::domain::audit::AuditAction;
use crate::domain::digest::DigestState;
use crate::domain::digest_note::DigestNote;
use crate::domain::digest_note::NoteKind;
use crate::domain::from_millis;
use crate::domain::slot::Slot;

/// Notes of an issue that are read at once; older ones are not shown.
const NOTES_MAX: i64 = 200;
/// Comments that one issue keeps: a review link is in the hands of people without an account.
const COMMENTS_MAX: i64 = 500;

/// Approval of an issue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredApproval {
    /// SHA-256 of what was approved.
    pub sha256: String,
    /// Actor who approved it: [`Actor::key`].
    pub by: String,
}

/// `revision, kind, author, name, said, at`
type NoteRow = (i64, String, String, Option<String>, String, i64);

impl Storage {
    /// The approval in force of an approved digest, if somebody looked at it.
    pub async fn approval(&self, slot: Slot) -> Result<Option<StoredApproval>, StorageError> {
        let mut reader = self.read().await?;
        let row: Option<(Option<String>, Option<String>)> = optional!(
            reader,
            "select approved_sha256, approved_by from digests where id = $1 and state = 'approved'",
            slot.id()
        )?;
        Ok(row.and_then(|(sha256, by)| {
            Some(StoredApproval {
                sha256: sha256?,
                by: by?,
            })
        }))
    }

    /// Approves a draft that is still at that revision; `false` if it is not. `overrides`: the reason for going past the rule of two people.
    pub async fn approve_digest(
        &self,
        actor: &Actor,
        (slot, revision): (Slot, i64),
        sha256: &str,
        overrides: Option<&str>,
        now: Timestamp,
    ) -> Result<bool, StorageError> {
        let mut tx = self.begin().await?;
        let approved = execute!(
            tx,
            "update digests set state = 'approved', approved_at = $3, approved_sha256 = $4, approved_by = $5
             where id = $1 and state = 'draft' and revision = $2",
            slot.id(),
            revision,
            now.timestamp_millis(),
            sha256,
            actor.key()
        )?;
        if approved == 0 {
            return Ok(false);
        }
        let note = DigestNote {
            kind: NoteKind::Approved,
            revision,
            author: actor.key(),
            name: None,
            said: overrides.unwrap_or_default().to_owned(),
            at: now,
        };
        write_note(&mut tx, slot, &note).await?;
        let detail = json!({ "from": DigestState::Draft, "revision": revision, "content_sha256": sha256, "override": overrides.is_some() });
        self.author(actor)
            .note(
                &mut tx,
                AuditAction::DigestApproved,
                Some(ChangeSubject::Digest(slot)),
                &detail,
                now,
            )
            .await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Moves a digest from one of the states `from` to `to`, with a note that says why; `false` if it is in none of them.
    pub async fn move_digest_with_note(
        &self,
        actor: &Actor,
        slot: Slot,
        from: &[DigestState],
        to: DigestState,
        note: &DigestNote,
    ) -> Result<bool, StorageError> {
        let mut tx = self.begin().await?;
        let mut left = None;
        for state in from {
            let moved = execute!(
                tx,
                "update digests set state = $3, approved_sha256 = null, approved_by = null where id = $1 and state = $2 and published_at is null",
                slot.id(),
                state.as_str(),
                to.as_str()
            )?;
            if moved > 0 {
                left = Some(*state);
                break;
            }
        }
        let Some(left) = left else {
            return Ok(false);
        };
        write_note(&mut tx, slot, note).await?;
        let what = match note.kind {
            NoteKind::SentBack => AuditAction::DigestSentBack,
            NoteKind::Skipped => AuditAction::DigestSkipped,
            _ => AuditAction::DigestWithdrawn,
        };
        let detail = json!({ "from": left, "revision": note.revision });
        self.author(actor)
            .note(
                &mut tx,
                what,
                Some(ChangeSubject::Digest(slot)),
                &detail,
                note.at,
            )
            .await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Adds a remark; `false` if the digest has as many as are kept.
    pub async fn add_note(&self, slot: Slot, note: &DigestNote) -> Result<bool, StorageError> {
        let mut tx = self.begin().await?;
        let (count,): (i64,) = one!(
            tx,
            "select count(*) from digest_notes where digest_id = $1",
            slot.id()
        )?;
        if count >= COMMENTS_MAX {
            return Ok(false);
        }
        write_note(&mut tx, slot, note).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Notes on an issue, newest first.
    pub async fn notes(&self, slot: Slot) -> Result<Vec<DigestNote>, StorageError> {
        let mut reader = self.read().await?;
        let rows: Vec<NoteRow> = all!(
            reader,
            "select revision, kind, author, name, said, at from digest_notes where digest_id = $1 order by at desc, id desc limit $2",
            slot.id(),
            NOTES_MAX
        )?;
        let note = |(revision, kind, author, name, said, at): NoteRow| {
            Ok(DigestNote {
                kind: stored(kind.parse())?,
                revision,
                author,
                name,
                said,
                at: from_millis(at),
            })
        };
        let notes: Result<Vec<DigestNote>, StorageError> = rows.into_iter().map(note).collect();
        notes
    }

    /// The saved test group, in the order of its addresses.
    pub async fn test_recipients(&self) -> Result<Vec<EmailAddress>, StorageError> {
        let mut reader = self.read().await?;
        let rows: Vec<(String,)> = all!(
            reader,
            "select email from test_recipients order by email_key limit 100"
        )?;
        Ok(rows
            .into_iter()
            .filter_map(|(email,)| EmailAddress::parse(&email).ok())
            .collect())
    }

    /// Puts these addresses in the place of the saved test group.
    pub async fn set_test_recipients(
        &self,
        recipients: &[EmailAddress],
        now: Timestamp,
    ) -> Result<(), StorageError> {
        let mut tx = self.begin().await?;
        execute!(tx, "delete from test_recipients")?;
        for email in recipients {
            execute!(
                tx,
                "insert into test_recipients (email_key, email, added_at) values ($1, $2, $3) on conflict (email_key) do nothing",
                email.key(),
                email.as_str(),
                now.timestamp_millis()
            )?;
        }
        Ok(tx.commit().await?)
    }
}

/// Writes a note into the transaction of what it is about.
pub(super) async fn write_note(
    tx: &mut Tx,
    slot: Slot,
    note: &DigestNote,
) -> Result<(), StorageError> {
    execute!(
        tx,
        "insert into digest_notes (id, digest_id, revision, kind, author, name, said, at) values ($1, $2, $3, $4, $5, $6, $7, $8)",
        ids::fresh(note.at),
        slot.id(),
        note.revision,
        note.kind.as_str(),
        note.author.as_str(),
        note.name.as_deref(),
        note.said.as_str(),
        note.at.timestamp_millis()
    )?;
    Ok(())
}
