//! A week as its publisher looks at it: what it carries, what is next in line, what becomes of it. The desk and the command line take it
//! from here.

use std::sync::PoisonError;

use chrono::TimeDelta;

use crate::app::App;
use crate::app::Failure;
use crate::app::check_result::CheckResult;
use crate::app::issue::digests::DigestStatus;
use crate::app::issue::edition::Edition;
use crate::app::issue::preflight::Preflight;
use crate::app::issue::sending::SendOrder;
use crate::domain::Timestamp;
use crate::domain::actor::Actor;
use crate::domain::digest::DigestState;
use crate::domain::digest_note::DigestNote;
use crate::domain::pick::PickedComparison;
use crate::domain::pick::RunnerUp;
use crate::domain::pick::runners_up;
use crate::domain::slot::Slot;
use crate::render::email;
use crate::storage::drafts::Edits;

/// Comparisons next in line that are shown.
const NEXT_IN_LINE: usize = 5;
/// A count of the readers is remembered for so long: it reads the whole list.
const READERS_REMEMBERED: TimeDelta = TimeDelta::minutes(1);

/// A week with what it carries, or would.
#[derive(Debug, Clone)]
pub struct Week {
    /// Week.
    pub slot: Slot,
    /// True for the present one.
    pub is_present: bool,
    /// Comparisons that it carries.
    pub edition: Edition,
    /// The subject that readers see; none where it carries nothing.
    pub subject: Option<String>,
    /// The line that lists of mails show after the subject.
    pub preheader: String,
    /// Findings about its text.
    pub findings: Vec<CheckResult>,
    /// Notes on it, newest first.
    pub notes: Vec<DigestNote>,
    /// Counts of its deliveries; none where nobody made the digest yet.
    pub status: Option<DigestStatus>,
    /// Time when it goes out, as far as anybody can know.
    pub send_at: Option<Timestamp>,
    /// Number of readers it goes to, as long as it is not published.
    pub readers: Option<u64>,
    /// Comparisons that came close, as long as anything can still be changed.
    pub next_in_line: Vec<RunnerUp>,
}

impl App {
    /// A week as its publisher looks at it.
    pub async fn look_at_week(&self, slot: Slot) -> Result<Week, Failure> {
        let now = self.now();
        let edition = self.edition(slot, now).await?;
        let (mut subject, mut preheader, mut findings) = (None, String::new(), Vec::new());
        if !edition.content.items.is_empty() {
            let mail = self.mail_of(&edition).await?;
            preheader = email::preheader_of(&mail.html);
            if edition.is_open() {
                findings = self.examine_text(&edition.content, &mail.subject).await;
            }
            subject = Some(mail.subject);
        }
        let status = match &edition.digest {
            Some(_) => Some(self.status(slot).await?),
            None => None,
        };
        let (mut readers, mut next_in_line) = (None, Vec::new());
        if edition.is_open() {
            readers = Some(self.readers_lately().await);
            next_in_line = self.next_in_line(&edition, now).await?;
        }
        let send_at = match &edition.digest {
            Some(digest) => Some(digest.send_at),
            None => self.send_time_of(slot).filter(|at| *at > now),
        };
        Ok(Week {
            is_present: slot == self.slot_at(now),
            slot,
            subject,
            preheader,
            findings,
            notes: self.storage.notes(slot).await?,
            status,
            send_at,
            readers,
            next_in_line,
            edition,
        })
    }

    async fn next_in_line(
        &self,
        edition: &Edition,
        now: Timestamp,
    ) -> Result<Vec<RunnerUp>, Failure> {
        let rules = self.rules();
        let new_since = self.new_since(now).await?;
        let since = now
            .checked_sub_signed(rules.look_back)
            .unwrap_or_default()
            .min(new_since);
        let candidates = self.storage.candidates(since, now).await?;
        let sent = self.storage.sent_comparisons().await?;
        let taken: Vec<PickedComparison<'_>> = edition
            .content
            .items
            .iter()
            .map(|item| PickedComparison {
                matchup: &item.matchup,
                score: item.score,
            })
            .collect();
        Ok(runners_up(
            (&candidates, &sent),
            &taken,
            (new_since, now),
            &rules,
            NEXT_IN_LINE,
        ))
    }

    /// Returns the number of readers, at most a minute old.
    pub async fn readers_lately(&self) -> u64 {
        let now = self.now();
        let known = *self
            .readers_at
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some((_, count)) = known.filter(|(at, _)| (now - *at).abs() < READERS_REMEMBERED) {
            return count;
        }
        let count = self.readers().await;
        *self
            .readers_at
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some((now, count));
        count
    }

    /// Lets a digest go out after `desk.undo`: until then [`App::withdraw_digest`] stops it. The schedule publishes it; nothing of it exists
    /// in the ledger before, so that a stop in time is a stop.
    ///
    /// # Errors
    /// A sentence, when the digest must not go out, mail servers would punish it, or nobody is on the list.
    pub async fn send_soon(&self, actor: &Actor, slot: Slot) -> Result<Timestamp, Failure> {
        let order = SendOrder {
            slot: Some(slot),
            other_week: true,
            preflight: Preflight::Heeded,
        };
        self.check_send(&order).await?;
        let edition = self.edition_now(slot).await?;
        let state = edition.digest.as_ref().map(|digest| digest.state);
        let Some(state @ (DigestState::Draft | DigestState::Approved)) = state else {
            return Err(Failure::conflict(match state {
                Some(state) => {
                    format!("{slot} is {state}: only a draft or an approved digest can be sent.")
                }
                None => format!("There is no digest {slot} to send; make the draft first."),
            }));
        };
        if self.readers().await == 0 {
            return Err(Failure::conflict(format!(
                "Nobody is on the list yet: {slot} was not sent."
            )));
        }
        if !self.is_as_approved(&edition).await? {
            return Err(Failure::conflict(format!(
                "Something that {slot} shows was changed after its approval: it is a draft again. Look at it, and approve it."
            )));
        }
        let rendered = self.mail_of(&edition).await?;
        self.preflight(state, &rendered, &edition.content, None)
            .await?;
        let now = self.now();
        let send_at = now + crate::app::delta(self.settings.desk.undo);
        let edits = Edits {
            send_at: Some(send_at),
            ..Edits::default()
        };
        let is_moved = self
            .storage
            .edit_digest(
                actor,
                slot,
                (state, edition.revision()),
                DigestState::Approved,
                &edits,
                now,
            )
            .await?;
        if !is_moved {
            return Err(Failure::conflict(format!(
                "{slot} was changed by somebody else meanwhile: look at it again."
            )));
        }
        tracing::info!(%slot, %send_at, "digest to be sent soon");
        Ok(send_at)
    }

    /// Takes an approval back: an approved digest becomes a draft, and does not go out before somebody approves it. Publishing begins with
    /// one transaction that demands `approved`, so of that and this exactly one happens.
    pub async fn withdraw_digest(
        &self,
        actor: &Actor,
        slot: Slot,
    ) -> Result<DigestStatus, Failure> {
        self.move_digest(
            actor,
            slot,
            &[DigestState::Approved],
            DigestState::Draft,
            "only an approved one that is not sent yet can be stopped",
        )
        .await
    }
}
