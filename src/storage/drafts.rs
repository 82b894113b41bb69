//! Digests before they are published: what a person changes of them, and where they stand among those that were sent.

use super::Storage;
use super::StorageError;
use super::audit_log::ChangeSubject;
use super::counts::reached;
use super::digests::write_picks;
use crate::domain::Timestamp;
use crate::domain::actor::Actor;
use crate::domain::audit::AuditAction;
use crate::domain::digest::DigestState;
use crate::domain::from_millis;
use crate::domain::pick::Pick;
use crate::domain::slot::Slot;

/// Changes to a digest that is not published yet. What is `None` stays.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Edits {
    /// Its comparisons, in their order.
    pub picks: Option<Vec<Pick>>,
    /// The pattern of its subject; an empty one stands for `mail.subject`.
    pub subject: Option<String>,
    /// When it is due to be sent.
    pub send_at: Option<Timestamp>,
}

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

    /// When the last digest before `moment` was frozen, of those that went out to anybody.
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

    /// The pattern of the subject that a person gave a digest that is not published yet.
    pub async fn draft_subject(&self, slot: Slot) -> Result<Option<String>, StorageError> {
        let mut reader = self.read().await?;
        // Publishing writes the subject as it went out into the same column.
        let row: Option<(Option<String>,)> = optional!(
            reader,
            "select subject from digests where id = $1 and published_at is null",
            slot.id()
        )?;
        Ok(row.and_then(|(subject,)| subject))
    }

    /// Changes a digest in one of the states `from`, and moves it to `to`; `false` if it is in none of them any more.
    pub async fn edit_digest(
        &self,
        actor: &Actor,
        slot: Slot,
        from: DigestState,
        to: DigestState,
        edits: &Edits,
        now: Timestamp,
    ) -> Result<bool, StorageError> {
        let mut tx = self.begin().await?;
        let subject = edits.subject.as_deref();
        let edited = execute!(
            tx,
            "update digests set state = $3, approved_at = case when $3 = 'approved' then $4 else null end,
               send_at = coalesce($5, send_at),
               subject = case when $6 is null then subject when $6 = '' then null else $6 end
             where id = $1 and state = $2 and published_at is null",
            slot.id(),
            from.as_str(),
            to.as_str(),
            now.timestamp_millis(),
            edits.send_at.map(|at| at.timestamp_millis()),
            subject
        )?;
        if edited == 0 {
            return Ok(false);
        }
        if let Some(picks) = &edits.picks {
            write_picks(&mut tx, slot, picks).await?;
        }
        let detail = serde_json::json!({
            "from": from,
            "to": to,
            "picks": edits.picks.as_ref().map(Vec::len),
            "subject": edits.subject.is_some(),
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
