//! Digests: one per slot, ever.

use std::collections::HashSet;

use serde_json::json;

use super::Storage;
use super::StorageError;
use super::Tx;
use super::audit_log::ChangeSubject;
use super::stored;
use crate::domain::Timestamp;
use crate::domain::actor::Actor;
use crate::domain::audit::AuditAction;
use crate::domain::catalogue::Slug;
use crate::domain::digest::Digest;
use crate::domain::digest::DigestContent;
use crate::domain::digest::DigestState;
use crate::domain::from_millis;
use crate::domain::pick::Pick;
use crate::domain::rendered_mail::Rendered;
use crate::domain::slot::Slot;
use crate::storage::ledger::batches::queue_again;
use crate::storage::ledger::counts::counts_of;
use crate::storage::ledger::counts::reached;
use crate::storage::notifications::notify;

/// Tells whether the digest `digests` is in the archive: published, and not cancelled before anybody got it.
macro_rules! archived {
    () => {
        concat!(
            "published_at is not null and (state <> 'cancelled' or ",
            reached!(),
            ")"
        )
    };
}

pub(super) use archived;

#[derive(sqlx::FromRow)]
struct DigestRow {
    id: i64,
    state: String,
    send_at: i64,
    published_at: Option<i64>,
    finished_at: Option<i64>,
    recipients: i64,
    revision: i64,
}

impl Storage {
    /// Makes the slot's digest in the given state, unless it has one already. `true` if it was made.
    pub async fn make_digest(
        &self,
        actor: &Actor,
        slot: Slot,
        state: DigestState,
        picks: &[Pick],
        send_at: Timestamp,
        now: Timestamp,
    ) -> Result<bool, StorageError> {
        let mut tx = self.begin().await?;
        let approved_at = (state == DigestState::Approved).then_some(now.timestamp_millis());
        let made = execute!(
            tx,
            "insert into digests (id, state, created_at, send_at, approved_at) values ($1, $2, $3, $4, $5) on conflict (id) do nothing",
            slot.id(),
            state.as_str(),
            now.timestamp_millis(),
            send_at.timestamp_millis(),
            approved_at
        )?;
        if made > 0 {
            write_picks(&mut tx, slot, picks).await?;
            let what = match state {
                DigestState::Skipped => AuditAction::DigestSkipped,
                _ => AuditAction::DigestDrafted,
            };
            let detail = json!({ "state": state, "picks": picks.len() });
            let subject = Some(ChangeSubject::Digest(slot));
            let author = self.author(actor);
            author.note(&mut tx, what, subject, &detail, now).await?;
        }
        tx.commit().await?;
        Ok(made > 0)
    }

    /// The slot's digest.
    pub async fn digest(&self, slot: Slot) -> Result<Option<Digest>, StorageError> {
        let mut reader = self.read().await?;
        let row: Option<DigestRow> = optional!(
            reader,
            "select id, state, send_at, published_at, finished_at, recipients, revision from digests where id = $1",
            slot.id()
        )?;
        stored(row.map(digest_from).transpose())
    }

    /// All digests, newest first: one a week.
    pub async fn digests(&self) -> Result<Vec<Digest>, StorageError> {
        let mut reader = self.read().await?;
        let rows: Vec<DigestRow> = all!(
            reader,
            "select id, state, send_at, published_at, finished_at, recipients, revision from digests order by id desc"
        )?;
        stored(rows.into_iter().map(digest_from).collect())
    }

    /// Digests of the weeks before one, or the newest, newest first.
    pub async fn digests_before(
        &self,
        before: Option<Slot>,
        most: i64,
    ) -> Result<Vec<Digest>, StorageError> {
        let mut reader = self.read().await?;
        let before = before.map_or(i64::MAX, |slot| slot.id());
        let rows: Vec<DigestRow> = all!(
            reader,
            "select id, state, send_at, published_at, finished_at, recipients, revision from digests where id < $1 order by id desc limit $2",
            before,
            most
        )?;
        stored(rows.into_iter().map(digest_from).collect())
    }

    /// The approved digests whose time has come by `now`: at `send_at`, or when they were approved after it.
    pub async fn due_digests(&self, now: Timestamp) -> Result<Vec<Digest>, StorageError> {
        let mut reader = self.read().await?;
        let rows: Vec<DigestRow> = all!(
            reader,
            "select id, state, case when approved_at > send_at then approved_at else send_at end as send_at, published_at, finished_at, recipients, revision
             from digests where state = 'approved' and send_at <= $1 and approved_at <= $1 order by id",
            now.timestamp_millis()
        )?;
        stored(rows.into_iter().map(digest_from).collect())
    }

    /// Weeks whose digest is approved and not out yet.
    pub async fn approved_slots(&self) -> Result<Vec<Slot>, StorageError> {
        let mut reader = self.read().await?;
        let rows: Vec<(i64,)> = all!(
            reader,
            "select id from digests where state = 'approved' order by id"
        )?;
        Ok(rows
            .into_iter()
            .filter_map(|(id,)| Slot::from_id(id))
            .collect())
    }

    /// Returns what was picked for the slot, best first.
    pub async fn picks(&self, slot: Slot) -> Result<Vec<Pick>, StorageError> {
        let mut reader = self.read().await?;
        let rows: Vec<(String, i64, String)> = all!(
            reader,
            "select comparison, score_thousandths, reasons from picks where digest_id = $1 order by position",
            slot.id()
        )?;
        let pick = |(comparison, score, reasons): (String, i64, String)| {
            Ok(Pick {
                comparison: comparison.parse()?,
                score: score as f64 / 1000.0,
                reasons: serde_json::from_str(&reasons)?,
            })
        };
        rows.into_iter().map(pick).collect()
    }

    /// The comparisons that some digest carried to anybody.
    pub async fn sent_comparisons(&self) -> Result<HashSet<Slug>, StorageError> {
        let mut reader = self.read().await?;
        let rows: Vec<(String,)> = all!(
            reader,
            concat!(
                "select distinct comparison from picks where digest_id in (select id from digests where ",
                archived!(),
                ")"
            )
        )?;
        stored(rows.into_iter().map(|(slug,)| slug.parse()).collect())
    }

    /// Moves a digest from one of the states `from` to `to`; `false` if it is in none of them. Deliveries of a cancelled one that
    /// were not handed to a connection yet end by [`Storage::end_cancelled_range`].
    pub async fn move_digest(
        &self,
        actor: &Actor,
        slot: Slot,
        from: &[DigestState],
        to: DigestState,
        now: Timestamp,
    ) -> Result<bool, StorageError> {
        repeated!(self.move_digest_once(actor, slot, from, to, now))
    }

    async fn move_digest_once(
        &self,
        actor: &Actor,
        slot: Slot,
        from: &[DigestState],
        to: DigestState,
        now: Timestamp,
    ) -> Result<bool, StorageError> {
        let mut tx = self.begin().await?;
        if to == DigestState::Cancelled {
            // First of all, and so before the digest's row: in the order in which a range is made.
            execute!(
                tx,
                "delete from publish_progress where mailing_id = $1",
                slot.id()
            )?;
        }
        let mut left = None;
        for state in from {
            let moved = execute!(
                tx,
                "update digests set state = $3,
                   approved_at = case when $3 = 'approved' then $4 else approved_at end,
                   finished_at = case when $3 = 'cancelled' then $4 else finished_at end
                 where id = $1 and state = $2",
                slot.id(),
                state.as_str(),
                to.as_str(),
                now.timestamp_millis()
            )?;
            if moved > 0 {
                left = Some(*state);
                break;
            }
        }
        let Some(left) = left else {
            return Ok(false);
        };
        if to == DigestState::Sending {
            notify(&mut tx).await?;
        }
        let detail = json!({ "from": left });
        let subject = Some(ChangeSubject::Digest(slot));
        let author = self.author(actor);
        author
            .note(&mut tx, action_of(to), subject, &detail, now)
            .await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Marks as sent every digest that has no open delivery left; answers which.
    pub async fn finish_digests(&self, now: Timestamp) -> Result<Vec<Slot>, StorageError> {
        let mut reader = self.read().await?;
        let rows: Vec<(i64, i64)> = all!(
            reader,
            "select id, recipients from digests where state = 'sending'
             and not exists (select 1 from delivery_batches where mailing_id = digests.id)
             and not exists (select 1 from publish_progress where mailing_id = digests.id)"
        )?;
        let mut finished = Vec::new();
        for (id, recipients) in rows {
            // Without a batch nothing should be open. The counts say so too; where they do not, the ledger is read: it says who has
            // their mail.
            let counts = counts_of(&mut reader, id).await?;
            let is_counted = counts.ended() == recipients;
            let mut tx = self.begin().await?;
            if !is_counted && queue_again(&mut tx, id, now).await? {
                tracing::error!(
                    slot = Slot::from_id(id).map(tracing::field::display),
                    "open deliveries belonged to no batch; queued them again"
                );
            } else if execute!(
                tx,
                "update digests set state = 'sent', finished_at = $2 where id = $1 and state = 'sending'",
                id,
                now.timestamp_millis()
            )? > 0
            {
                crate::storage::refusal_groups::send_is_over(&mut tx, id, now).await?;
                let slot = Slot::from_id(id);
                let detail = json!({
                    "recipients": recipients,
                    "sent": counts.sent,
                    "failed": counts.failed,
                    "uncertain": counts.uncertain,
                    "skipped": counts.skipped,
                });
                self.author(&Actor::system())
                    .note(
                        &mut tx,
                        AuditAction::DigestFinished,
                        slot.map(ChangeSubject::Digest),
                        &detail,
                        now,
                    )
                    .await?;
                finished.extend(slot);
            }
            tx.commit().await?;
        }
        Ok(finished)
    }

    /// Returns whether a digest is being sent.
    pub async fn is_sending(&self) -> Result<bool, StorageError> {
        let mut reader = self.read().await?;
        let found: Option<(i64,)> = optional!(
            reader,
            "select id from digests where state = 'sending' limit 1"
        )?;
        Ok(found.is_some())
    }

    /// The mail of a published digest, as it was rendered, and when it was published.
    pub async fn frozen_mail(
        &self,
        id: i64,
    ) -> Result<Option<(Rendered, Timestamp)>, StorageError> {
        let mut reader = self.read().await?;
        let row: Option<(String, String, String, i64)> = optional!(
            reader,
            "select subject, html, plain, published_at from digests where id = $1 and published_at is not null",
            id
        )?;
        Ok(row.map(|(subject, html, text, at)| {
            (
                Rendered {
                    subject,
                    html,
                    text,
                },
                from_millis(at),
            )
        }))
    }

    /// Returns what a published digest says, and when it was published; not of one that was cancelled before anybody got it.
    pub async fn frozen_content(
        &self,
        slot: Slot,
    ) -> Result<Option<(DigestContent, Timestamp)>, StorageError> {
        let mut reader = self.read().await?;
        let row: Option<(String, i64)> = optional!(
            reader,
            concat!(
                "select content, published_at from digests where id = $1 and ",
                archived!()
            ),
            slot.id()
        )?;
        stored(row.map(content_from).transpose())
    }

    /// Returns what the newest published digests say, newest first; not those that were cancelled before anybody got them.
    pub async fn archive(
        &self,
        count: i64,
    ) -> Result<Vec<(DigestContent, Timestamp)>, StorageError> {
        self.archive_before(None, count).await
    }

    /// The same, of the digests before that slot.
    pub async fn archive_before(
        &self,
        slot: Option<Slot>,
        count: i64,
    ) -> Result<Vec<(DigestContent, Timestamp)>, StorageError> {
        let mut reader = self.read().await?;
        let rows: Vec<(String, i64)> = all!(
            reader,
            concat!(
                "select content, published_at from digests where id < $1 and ",
                archived!(),
                " order by id desc limit $2"
            ),
            slot.map_or(i64::MAX, |slot| slot.id()),
            count
        )?;
        stored(rows.into_iter().map(content_from).collect())
    }
}

/// Writes what a digest carries, in the place of what was written before.
pub(super) async fn write_picks(
    tx: &mut Tx,
    slot: Slot,
    picks: &[Pick],
) -> Result<(), StorageError> {
    execute!(tx, "delete from picks where digest_id = $1", slot.id())?;
    for (position, pick) in picks.iter().enumerate() {
        execute!(
            tx,
            "insert into picks (digest_id, position, comparison, score_thousandths, reasons) values ($1, $2, $3, $4, $5)",
            slot.id(),
            position as i64,
            pick.comparison.as_str(),
            (pick.score * 1000.0).round() as i64,
            serde_json::to_string(&pick.reasons).unwrap_or_default()
        )?;
    }
    Ok(())
}

/// Action of somebody who moved a digest to that state.
fn action_of(state: DigestState) -> AuditAction {
    match state {
        DigestState::Draft => AuditAction::DigestWithdrawn,
        DigestState::Approved => AuditAction::DigestApproved,
        DigestState::Sending => AuditAction::DigestResumed,
        DigestState::Paused => AuditAction::DigestPaused,
        DigestState::Cancelled => AuditAction::DigestCancelled,
        DigestState::Skipped => AuditAction::DigestSkipped,
        DigestState::Sent => AuditAction::DigestFinished,
    }
}

fn digest_from(row: DigestRow) -> Result<Digest, StorageError> {
    Ok(Digest {
        slot: Slot::from_id(row.id)
            .ok_or_else(|| StorageError::Stored(format!("{} is not a digest's id", row.id)))?,
        state: row.state.parse()?,
        send_at: from_millis(row.send_at),
        published_at: row.published_at.map(from_millis),
        finished_at: row.finished_at.map(from_millis),
        recipients: row.recipients,
        revision: row.revision,
    })
}

fn content_from(
    (content, published_at): (String, i64),
) -> Result<(DigestContent, Timestamp), StorageError> {
    Ok((serde_json::from_str(&content)?, from_millis(published_at)))
}
