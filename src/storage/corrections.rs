//! Corrections of a published digest: its page and the mails that were never begun change, what was begun keeps the mail it was begun with.

use serde_json::json;

use super::Storage;
use super::StorageError;
use super::approvals::write_note;
use super::audit_log::ChangeSubject;
use super::stored;
use crate::domain::Timestamp;
use crate::domain::actor::Actor;
use crate::domain::audit::AuditAction;
use crate::domain::digest::DigestContent;
use crate::domain::digest_note::DigestNote;
use crate::domain::rendered_mail::Rendered;
use crate::domain::slot::Slot;

/// A published digest as it is corrected.
#[derive(Debug)]
pub struct CorrectedIssue<'a> {
    /// Mail that everybody gets.
    pub content: &'a DigestContent,
    /// The mail of it.
    pub rendered: &'a Rendered,
    /// The same of each choice, by its number.
    pub variants: &'a [(i64, DigestContent, Rendered)],
    /// Number of corrections that it was made from.
    pub corrections: i64,
}

/// Stands for "the digest as everybody gets it" in `digest_versions`.
const EVERYBODY: i64 = -1;

impl Storage {
    /// Number of corrections of a digest so far.
    pub async fn corrections(&self, slot: Slot) -> Result<i64, StorageError> {
        let mut reader = self.read().await?;
        let row: Option<(i64,)> = optional!(
            reader,
            "select corrections from digests where id = $1",
            slot.id()
        )?;
        Ok(row.map_or(0, |(count,)| count))
    }

    /// Mails of the choices of a published digest, by number.
    pub async fn frozen_variants(
        &self,
        slot: Slot,
    ) -> Result<Vec<(i64, DigestContent, String)>, StorageError> {
        let mut reader = self.read().await?;
        let rows: Vec<(i64, String, String)> = all!(
            reader,
            "select number, content, subject from digest_variants where digest_id = $1 and content is not null order by number",
            slot.id()
        )?;
        let read = |(number, content, subject): (i64, String, String)| {
            Ok((number, stored(serde_json::from_str(&content))?, subject))
        };
        rows.into_iter().map(read).collect()
    }

    /// Keeps the mails of a published digest as an earlier version, and puts corrected ones in their place; `false` if somebody corrected it
    /// meanwhile, or it is not published.
    ///
    /// A mail is begun by a statement that reads the number of corrections: so each is either begun before, with the old mail, or after,
    /// with the new one.
    pub async fn correct_digest(
        &self,
        actor: &Actor,
        issue: &CorrectedIssue<'_>,
        note: &DigestNote,
        now: Timestamp,
    ) -> Result<bool, StorageError> {
        let slot = issue.content.slot;
        let id = slot.id();
        let content = stored(serde_json::to_string(issue.content))?;
        let mut tx = self.begin().await?;
        let counted = execute!(
            tx,
            "update digests set corrections = corrections + 1 where id = $1 and corrections = $2 and published_at is not null",
            id,
            issue.corrections
        )?;
        if counted == 0 {
            return Ok(false);
        }
        execute!(
            tx,
            "insert into digest_versions (digest_id, version, variant, subject, html, plain)
             select id, $2, $3, subject, html, plain from digests where id = $1",
            id,
            issue.corrections,
            EVERYBODY
        )?;
        execute!(
            tx,
            "insert into digest_versions (digest_id, version, variant, subject, html, plain)
             select digest_id, $2, number, subject, html, plain from digest_variants where digest_id = $1 and content is not null",
            id,
            issue.corrections
        )?;
        execute!(
            tx,
            "update digests set content = $2, subject = $3, html = $4, plain = $5 where id = $1",
            id,
            content,
            &issue.rendered.subject,
            &issue.rendered.html,
            &issue.rendered.text
        )?;
        for (number, content, rendered) in issue.variants {
            let content = stored(serde_json::to_string(content))?;
            execute!(
                tx,
                "update digest_variants set content = $3, subject = $4, html = $5, plain = $6 where digest_id = $1 and number = $2",
                id,
                number,
                content,
                &rendered.subject,
                &rendered.html,
                &rendered.text
            )?;
        }
        write_note(&mut tx, slot, note).await?;
        let detail = json!({ "corrections": issue.corrections + 1 });
        let subject = Some(ChangeSubject::Digest(slot));
        self.author(actor)
            .note(&mut tx, AuditAction::DigestCorrected, subject, &detail, now)
            .await?;
        tx.commit().await?;
        Ok(true)
    }

    /// The mail of a published digest after so many corrections, as everybody gets it or as one choice does.
    pub async fn mail_version(
        &self,
        id: i64,
        variant: Option<i64>,
        version: i64,
    ) -> Result<Option<Rendered>, StorageError> {
        let mut reader = self.read().await?;
        // One statement: a correction between two would give this version's name to the next one's text.
        let row: Option<(String, String, String)> = match variant {
            None => optional!(
                reader,
                "select subject, html, plain from digests where id = $1 and corrections = $2 and published_at is not null
                 union all select subject, html, plain from digest_versions where digest_id = $1 and version = $2 and variant = $3",
                id,
                version,
                EVERYBODY
            )?,
            Some(number) => optional!(
                reader,
                "select v.subject, v.html, v.plain from digest_variants v join digests g on g.id = v.digest_id
                 where v.digest_id = $1 and v.number = $3 and g.corrections = $2 and v.content is not null and g.published_at is not null
                 union all select subject, html, plain from digest_versions where digest_id = $1 and version = $2 and variant = $3",
                id,
                version,
                number
            )?,
        };
        Ok(row.map(|(subject, html, text)| Rendered {
            subject,
            html,
            text,
        }))
    }
}
