//! Digests before they are published: what a person changes of them, and where they stand among those that were sent.

use super::Storage;
use super::StorageError;
use super::Tx;
use super::audit_log::ChangeSubject;
use super::digests::write_picks;
use super::stored;
use crate::domain::Timestamp;
use crate::domain::actor::Actor;
use crate::domain::audit::AuditAction;
use crate::domain::digest::DigestState;
use crate::domain::from_millis;
use crate::domain::issue_text::IssueText;
use crate::domain::pick::Pick;
use crate::domain::slot::Slot;
use crate::storage::ledger::counts::reached;

/// Changes to a digest that is not published yet. What is `None` stays.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Edits {
    /// Its comparisons, in their order.
    pub picks: Option<Vec<Pick>>,
    /// The pattern of its subject; an empty one stands for `mail.subject`.
    pub subject: Option<String>,
    /// Text that people wrote of it.
    pub text: Option<IssueText>,
    /// Time at which it is due to be sent.
    pub send_at: Option<Timestamp>,
}

impl Edits {
    /// Returns whether they change anything that the issue shows.
    pub fn is_of_content(&self) -> bool {
        self.picks.is_some() || self.subject.is_some() || self.text.is_some()
    }
}

/// People's changes to a digest that is not published yet.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Draft {
    /// Number of changes so far.
    pub revision: i64,
    /// Pattern of the subject; none: `mail.subject`.
    pub subject: Option<String>,
    /// Text that they wrote.
    pub text: IssueText,
    /// Author of the last change: [`Actor::key`].
    pub edited_by: Option<String>,
    /// Time of the last change.
    pub edited_at: Option<Timestamp>,
}

/// Revisions of a digest's text that are kept, to merge changes of two editors.
const REVISIONS_KEPT: i64 = 50;

/// `revision, subject, issue_text, edited_by, edited_at`
type DraftRow = (
    i64,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<i64>,
);

impl Storage {
    /// The slot whose digest was the last to be published, of those that went out to anybody.
    pub async fn last_sent(&self) -> Result<Option<Slot>, StorageError> {
        let mut reader = self.read().await?;
        let row: Option<(i64,)> = optional!(
            reader,
            concat!(
                "select id from digests where publish_order is not null and (state <> 'cancelled' or ",
                reached!(),
                ") order by publish_order desc limit 1"
            )
        )?;
        Ok(row.and_then(|(id,)| Slot::from_id(id)))
    }

    /// The latest week that has a digest, whatever became of it.
    pub async fn newest_slot(&self) -> Result<Option<Slot>, StorageError> {
        let mut reader = self.read().await?;
        let (newest,): (Option<i64>,) = one!(reader, "select max(id) from digests")?;
        Ok(newest.and_then(Slot::from_id))
    }

    /// Returns when the last digest before `moment` was frozen, of those that went out to anybody.
    pub async fn last_freeze(&self, moment: Timestamp) -> Result<Option<Timestamp>, StorageError> {
        let mut reader = self.read().await?;
        let row: Option<(i64,)> = optional!(
            reader,
            concat!(
                "select published_at from digests where published_at < $1 and (state <> 'cancelled' or ",
                reached!(),
                ") order by published_at desc limit 1"
            ),
            moment.timestamp_millis()
        )?;
        Ok(row.map(|(at,)| from_millis(at)))
    }

    /// Returns what people changed of a digest that is not published yet.
    pub async fn draft(&self, slot: Slot) -> Result<Option<Draft>, StorageError> {
        let mut reader = self.read().await?;
        // Publishing writes the subject as it went out into the same column.
        let row: Option<DraftRow> = optional!(
            reader,
            "select revision, subject, issue_text, edited_by, edited_at from digests where id = $1 and published_at is null",
            slot.id()
        )?;
        stored(row.map(draft_from).transpose())
    }

    /// Subject and text as a revision of a digest had them; none if it is not kept.
    pub async fn revision(&self, slot: Slot, revision: i64) -> Result<Option<Draft>, StorageError> {
        if revision == 0 {
            return Ok(Some(Draft::default()));
        }
        let mut reader = self.read().await?;
        let row: Option<DraftRow> = optional!(
            reader,
            "select revision, subject, issue_text, edited_by, edited_at from digest_revisions where digest_id = $1 and revision = $2",
            slot.id(),
            revision
        )?;
        stored(row.map(draft_from).transpose())
    }

    /// Changes a digest that is in the state `from` and at that revision, and moves it to `to`; `false` if it is not any more.
    pub async fn edit_digest(
        &self,
        actor: &Actor,
        slot: Slot,
        (from, revision): (DigestState, i64),
        to: DigestState,
        edits: &Edits,
        now: Timestamp,
    ) -> Result<bool, StorageError> {
        let mut tx = self.begin().await?;
        let subject = edits.subject.as_deref();
        let text = edits.text.as_ref().map(serde_json::to_string).transpose();
        let text = stored(text)?;
        let edited = execute!(
            tx,
            "update digests set state = $3, approved_at = case when $3 = 'approved' then $4 else null end,
               send_at = coalesce($5, send_at),
               subject = case when $6 is null then subject when $6 = '' then null else $6 end,
               issue_text = coalesce($7, issue_text),
               approved_sha256 = case when $3 = 'draft' then null else approved_sha256 end
             where id = $1 and state = $2 and revision = $8 and published_at is null",
            slot.id(),
            from.as_str(),
            to.as_str(),
            now.timestamp_millis(),
            edits.send_at.map(|at| at.timestamp_millis()),
            subject,
            text,
            revision
        )?;
        if edited == 0 {
            return Ok(false);
        }
        if edits.is_of_content() {
            count_revision(&mut tx, actor, slot, now).await?;
        }
        if let Some(picks) = &edits.picks {
            write_picks(&mut tx, slot, picks).await?;
        }
        let detail = serde_json::json!({
            "from": from,
            "to": to,
            "picks": edits.picks.as_ref().map(Vec::len),
            "subject": edits.subject.is_some(),
            "text": edits.text.is_some(),
            "send_at": edits.send_at,
        });
        let subject = Some(ChangeSubject::Digest(slot));
        self.author(actor)
            .note(&mut tx, AuditAction::DigestEdited, subject, &detail, now)
            .await?;
        tx.commit().await?;
        Ok(true)
    }
}

/// Raises a digest's revision, and keeps its text for later merges.
async fn count_revision(
    tx: &mut Tx,
    actor: &Actor,
    slot: Slot,
    now: Timestamp,
) -> Result<(), StorageError> {
    execute!(
        tx,
        "update digests set revision = revision + 1, edited_by = $2, edited_at = $3 where id = $1",
        slot.id(),
        actor.key(),
        now.timestamp_millis()
    )?;
    execute!(
        tx,
        "insert into digest_revisions (digest_id, revision, subject, issue_text, edited_by, edited_at)
         select id, revision, subject, issue_text, $2, $3 from digests where id = $1",
        slot.id(),
        actor.key(),
        now.timestamp_millis()
    )?;
    execute!(
        tx,
        "delete from digest_revisions where digest_id = $1 and revision <= (select revision - $2 from digests where id = $1)",
        slot.id(),
        REVISIONS_KEPT
    )?;
    Ok(())
}

fn draft_from(
    (revision, subject, text, edited_by, edited_at): DraftRow,
) -> Result<Draft, StorageError> {
    let text = text.map(|text| serde_json::from_str(&text)).transpose()?;
    Ok(Draft {
        revision,
        subject,
        text: text.unwrap_or_default(),
        edited_by,
        edited_at: edited_at.map(from_millis),
    })
}
