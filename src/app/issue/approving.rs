//! Approvals: each is bound to a revision and to the hash of everything that the issue shows. What is sent is what was approved.

use sha2::Digest as _;
use sha2::Sha256;

use crate::app::App;
use crate::app::Failure;
use crate::app::issue::digests::DigestStatus;
use crate::app::issue::edition::Edition;
use crate::config::Approval;
use crate::domain::actor::Actor;
use crate::domain::actor::ActorKind;
use crate::domain::digest::DigestState;
use crate::domain::digest_note::DigestNote;
use crate::domain::digest_note::NOTE_MAX;
use crate::domain::digest_note::NoteKind;
use crate::domain::issue_text::lines;
use crate::domain::slot::Slot;

/// Content that an approval is bound to.
#[derive(Debug, Clone, Default)]
pub struct ApprovalOrder {
    /// Revision that was looked at; none: the present one.
    pub revision: Option<i64>,
    /// Reason for going past `desk.two_people`, which only the command line may do.
    pub overrides: Option<String>,
}

impl App {
    /// Approves a draft as it is; it goes out at its time, or at once if that is over.
    pub async fn approve_digest(&self, actor: &Actor, slot: Slot) -> Result<DigestStatus, Failure> {
        self.approve_revision(actor, slot, &ApprovalOrder::default())
            .await
    }

    /// Approves a revision of a draft.
    ///
    /// # Errors
    /// A sentence, when it is no draft, was changed since that revision, or its last editor may not approve it.
    pub async fn approve_revision(
        &self,
        actor: &Actor,
        slot: Slot,
        order: &ApprovalOrder,
    ) -> Result<DigestStatus, Failure> {
        let status = self.status(slot).await?;
        let digest = &status.digest;
        let changed = |now: i64| {
            Failure::conflict(format!(
                "{slot} was changed since you looked at it: it is at revision {now} now, and is not approved. Look at it again."
            ))
        };
        if order
            .revision
            .is_some_and(|revision| revision != digest.revision)
        {
            return Err(changed(digest.revision));
        }
        if digest.state == DigestState::Approved {
            return Ok(status);
        }
        if digest.state != DigestState::Draft {
            return Err(Failure::conflict(format!(
                "{slot} is {}: only a draft can be approved.",
                digest.state
            )));
        }
        self.check_two_people(actor, slot, order).await?;
        let edition = self.edition(slot, self.now()).await?;
        let is_approved = self
            .storage
            .approve_digest(
                actor,
                (slot, edition.revision()),
                &self.edition_sha256(&edition)?,
                order.overrides.as_deref(),
                self.now(),
            )
            .await?;
        let status = self.status(slot).await?;
        if !is_approved {
            return Err(changed(status.digest.revision));
        }
        tracing::info!(%slot, revision = edition.revision(), "digest approved");
        self.wake_senders();
        Ok(status)
    }

    async fn check_two_people(
        &self,
        actor: &Actor,
        slot: Slot,
        order: &ApprovalOrder,
    ) -> Result<(), Failure> {
        if !self.settings.desk.two_people {
            return Ok(());
        }
        if actor.kind() == ActorKind::Cli {
            return match &order.overrides {
                Some(reason) if !reason.trim().is_empty() => Ok(()),
                _ => Err(Failure::forbidden(format!(
                    "desk.two_people is on: somebody other than the last editor approves {slot} at the desk. \
                     `verdicts digest approve {slot} --override REASON` goes past that; the reason is kept."
                ))),
            };
        }
        let draft = self.storage.draft(slot).await?.unwrap_or_default();
        let editor = match &draft.edited_by {
            Some(editor) => Some(self.person_behind(editor).await?),
            None => None,
        };
        if editor == Some(self.person_behind(&actor.key()).await?) {
            return Err(Failure::forbidden(format!(
                "You changed {slot} last, and desk.two_people is on: somebody else must approve it."
            )));
        }
        Ok(())
    }

    /// Hash of everything that an issue shows: its text, subject and comparisons in their order, with their entries in the catalogue. What
    /// readers vote is not part of it.
    pub(in crate::app) fn edition_sha256(&self, edition: &Edition) -> Result<String, Failure> {
        let subject = edition.draft.subject.as_ref();
        let items: Vec<_> = edition
            .content
            .items
            .iter()
            .map(|item| {
                let [left, right] = item.matchup.contenders();
                serde_json::json!([item.matchup.comparison, left.tool, right.tool, item.reasons])
            })
            .collect();
        let shown = serde_json::json!({
            "slot": edition.content.slot,
            "subject": subject.unwrap_or(&self.settings.mail.subject),
            "text": edition.content.text,
            "items": items,
        });
        let text = serde_json::to_vec(&shown)
            .map_err(|error| Failure::internal("A digest cannot be hashed.").with_cause(error))?;
        Ok(data_encoding::HEXLOWER.encode(&Sha256::digest(text)))
    }

    /// Returns whether an approved digest is still what was approved; if not, it becomes a draft again, which is said.
    pub(in crate::app) async fn is_as_approved(&self, edition: &Edition) -> Result<bool, Failure> {
        let slot = edition.content.slot;
        if self.settings.schedule.approval == Approval::Auto {
            return Ok(true);
        }
        let Some(approval) = self.storage.approval(slot).await? else {
            return Ok(true);
        };
        if approval.sha256 == self.edition_sha256(edition)? {
            return Ok(true);
        }
        let said = "Something that it shows was changed after the approval: approve it again.";
        let note = self.note(
            NoteKind::ApprovalEnded,
            &Actor::system(),
            edition.revision(),
            said,
        );
        let is_ended = self
            .storage
            .move_digest_with_note(
                &Actor::system(),
                slot,
                &[DigestState::Approved],
                DigestState::Draft,
                &note,
            )
            .await?;
        if is_ended {
            tracing::warn!(%slot, "the catalogue was changed after the approval: the digest is a draft again and waits for another one");
        }
        Ok(false)
    }

    /// Takes back approvals of what was changed since, so that it is said before the digest's time and not at it.
    pub(in crate::app) async fn watch_approvals(&self) -> Result<(), Failure> {
        if self.settings.schedule.approval == Approval::Auto {
            return Ok(());
        }
        for slot in self.storage.approved_slots().await? {
            let edition = self.edition(slot, self.now()).await?;
            self.is_as_approved(&edition).await?;
        }
        Ok(())
    }

    /// Makes a draft of an approved digest again, or keeps a draft one, with a note that says what to change.
    ///
    /// # Errors
    /// A sentence, when nothing is said or it is out already.
    pub async fn send_back(
        &self,
        actor: &Actor,
        slot: Slot,
        said: &str,
    ) -> Result<DigestStatus, Failure> {
        let said = checked_note(said)?;
        let digest = self.open_digest(slot).await?;
        let note = self.note(NoteKind::SentBack, actor, digest.revision, &said);
        let from = [DigestState::Approved, DigestState::Draft];
        let is_moved = self
            .storage
            .move_digest_with_note(actor, slot, &from, DigestState::Draft, &note)
            .await?;
        let status = self.status(slot).await?;
        if !is_moved {
            return Err(Failure::conflict(format!(
                "{slot} is {}: it can no longer be sent back.",
                status.digest.state
            )));
        }
        tracing::info!(%slot, "digest sent back");
        Ok(status)
    }

    /// Adds a remark to an issue.
    pub async fn comment(&self, actor: &Actor, slot: Slot, said: &str) -> Result<(), Failure> {
        let revision = self.status(slot).await?.digest.revision;
        let note = self.note(NoteKind::Comment, actor, revision, &checked_note(said)?);
        self.keep_comment(slot, &note).await
    }

    pub(super) async fn keep_comment(&self, slot: Slot, note: &DigestNote) -> Result<(), Failure> {
        if self.storage.add_note(slot, note).await? {
            return Ok(());
        }
        Err(Failure::conflict(format!(
            "{slot} has as many notes as are kept: nothing was added."
        )))
    }

    /// Leaves a week without a digest, for a reason that its page shows.
    ///
    /// # Errors
    /// A sentence, when its digest is out already.
    pub async fn skip_week(
        &self,
        actor: &Actor,
        slot: Slot,
        reason: &str,
    ) -> Result<DigestStatus, Failure> {
        let reason = checked_note(reason)?;
        let now = self.now();
        if self.storage.digest(slot).await?.is_none() {
            if slot != self.slot_at(now) {
                return Err(Failure::conflict(format!(
                    "{slot} has no digest and is not this week: there is nothing to skip."
                )));
            }
            let send_at = self.send_time_of(slot).unwrap_or(now);
            let is_made = self
                .storage
                .make_digest(actor, slot, DigestState::Skipped, &[], send_at, now)
                .await?;
            if is_made {
                let note = self.note(NoteKind::Skipped, actor, 0, &reason);
                self.storage.add_note(slot, &note).await?;
                tracing::info!(%slot, "week skipped by hand");
                return self.status(slot).await;
            }
        }
        let digest = self.open_digest(slot).await?;
        let note = self.note(NoteKind::Skipped, actor, digest.revision, &reason);
        let from = [DigestState::Draft, DigestState::Approved];
        let is_moved = self
            .storage
            .move_digest_with_note(actor, slot, &from, DigestState::Skipped, &note)
            .await?;
        if !is_moved {
            return Err(Failure::conflict(format!(
                "{slot} began to go out meanwhile: it is not skipped."
            )));
        }
        tracing::info!(%slot, "digest skipped by hand");
        self.status(slot).await
    }

    fn note(&self, kind: NoteKind, actor: &Actor, revision: i64, said: &str) -> DigestNote {
        DigestNote {
            kind,
            revision,
            author: actor.key(),
            name: None,
            said: said.to_owned(),
            at: self.now(),
        }
    }
}

/// A note's text, cleaned.
pub(super) fn checked_note(said: &str) -> Result<String, Failure> {
    let said = lines(said);
    let length = said.chars().count();
    if length == 0 {
        return Err(Failure::invalid_field(
            "said",
            "Say why: the note is empty.",
        ));
    }
    if length > NOTE_MAX {
        return Err(Failure::invalid_field(
            "said",
            format!("The note has {length} characters; at most {NOTE_MAX} fit."),
        ));
    }
    Ok(said)
}
