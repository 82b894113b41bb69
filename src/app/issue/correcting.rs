//! Correcting an issue that went out: its page changes, with a dated note, and whoever has not got the mail yet gets the corrected one.

use std::collections::HashMap;

use crate::app::App;
use crate::app::Failure;
use crate::app::issue::approving::checked_note;
use crate::app::issue::text::TextChanges;
use crate::app::issue::text::checked;
use crate::domain::Timestamp;
use crate::domain::actor::Actor;
use crate::domain::catalogue::RatedComparison;
use crate::domain::catalogue::Slug;
use crate::domain::digest::Correction;
use crate::domain::digest::DigestContent;
use crate::domain::digest::DigestState;
use crate::domain::digest_note::DigestNote;
use crate::domain::digest_note::NoteKind;
use crate::domain::slot::Slot;
use crate::storage::corrections::CorrectedIssue;

/// A correction that somebody asks for.
#[derive(Debug, Clone, Default)]
pub struct CorrectionOrder {
    /// Sentence on what was wrong: readers see it on the page.
    pub note: String,
    /// Changes of the text.
    pub text: TextChanges,
    /// Another subject for those who have not got the mail; none: as it is.
    pub subject: Option<String>,
    /// True if its comparisons are taken as the catalogue has them now.
    pub with_catalogue: bool,
}

/// Result of a correction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Corrected {
    /// Readers who have not got the mail yet, and get the corrected one.
    pub remaining: u64,
}

impl App {
    /// Corrects a published issue. A mail that was begun once keeps its version.
    ///
    /// # Errors
    /// A sentence, when it is not out, nothing changes, or the text cannot be kept.
    pub async fn correct_digest(
        &self,
        actor: &Actor,
        slot: Slot,
        order: &CorrectionOrder,
    ) -> Result<Corrected, Failure> {
        let note = checked_note(&order.note)?;
        let now = self.now();
        let corrections = self.storage.corrections(slot).await?;
        let status = self.status(slot).await?;
        let frozen = self.storage.frozen_content(slot).await?;
        let (Some((content, _)), Some((mail, _))) =
            (frozen, self.storage.frozen_mail(slot.id()).await?)
        else {
            return Err(Failure::conflict(format!(
                "{slot} is {}: only what went out is corrected; before that it is edited.",
                status.digest.state
            )));
        };
        let text = match order.text.applied(&content.text) {
            Some(text) => checked(text)?,
            None => content.text.clone(),
        };
        let subject = order
            .subject
            .as_deref()
            .map(str::trim)
            .filter(|line| !line.is_empty());
        if text == content.text && subject.is_none() && !order.with_catalogue {
            return Err(Failure::invalid(
                "Nothing is changed by that: say what to correct.",
            ));
        }
        let fresh = self.fresh_comparisons(&content, order, now).await?;
        let correction = Correction {
            at: now,
            note: note.clone(),
        };
        let corrected = |content: &DigestContent| {
            let mut content = content.clone();
            content.text = text.clone();
            for item in &mut content.items {
                if let Some(matchup) = fresh.get(&item.matchup.comparison.slug) {
                    item.matchup = matchup.clone();
                }
            }
            content.corrections.push(correction.clone());
            content
        };
        // What went out names the subject, not its pattern; one that cannot be a pattern is made anew.
        let pattern = |old: &str| subject.unwrap_or(old).parse().ok();
        let base = corrected(&content);
        let rendered = self.rendered_digest(&base, pattern(&mail.subject).as_ref())?;
        self.refuse_faults(slot, &base, &rendered.subject).await?;
        let mut variants = Vec::new();
        for (number, content, old) in self.storage.frozen_variants(slot).await? {
            let content = corrected(&content);
            let mail = self.rendered_digest(&content, pattern(&old).as_ref())?;
            variants.push((number, content, mail));
        }
        let issue = CorrectedIssue {
            content: &base,
            rendered: &rendered,
            variants: &variants,
            corrections,
        };
        let note = DigestNote {
            kind: NoteKind::Corrected,
            revision: status.digest.revision,
            author: actor.key(),
            name: None,
            said: note,
            at: now,
        };
        if !self
            .storage
            .correct_digest(actor, &issue, &note, now)
            .await?
        {
            return Err(Failure::conflict(format!(
                "{slot} was corrected by somebody else meanwhile: look at it again."
            )));
        }
        tracing::info!(%slot, corrections = corrections + 1, "digest corrected");
        let is_going_out = matches!(
            status.digest.state,
            DigestState::Sending | DigestState::Paused
        );
        Ok(Corrected {
            remaining: if is_going_out { status.tally.queued } else { 0 },
        })
    }

    /// Refuses a correction in which the checks before a send find a fault.
    async fn refuse_faults(
        &self,
        slot: Slot,
        content: &DigestContent,
        subject: &str,
    ) -> Result<(), Failure> {
        let findings = self.examine_text(content, subject).await;
        let faults: Vec<String> = findings
            .iter()
            .filter(|finding| finding.level == crate::app::check_result::Severity::Fault)
            .map(|finding| format!("{}: {}", finding.what, finding.words))
            .collect();
        if faults.is_empty() {
            return Ok(());
        }
        Err(Failure::conflict(format!(
            "{slot} is not corrected. {}.",
            faults.join("; ")
        )))
    }

    /// The comparisons of an issue as the catalogue has them now, where that is asked for.
    async fn fresh_comparisons(
        &self,
        content: &DigestContent,
        order: &CorrectionOrder,
        now: Timestamp,
    ) -> Result<HashMap<Slug, RatedComparison>, Failure> {
        if !order.with_catalogue {
            return Ok(HashMap::new());
        }
        let mut slugs: Vec<Slug> = Vec::new();
        let mut add = |content: &DigestContent| {
            slugs.extend(
                content
                    .items
                    .iter()
                    .map(|item| item.matchup.comparison.slug.clone()),
            );
        };
        add(content);
        for (_, content, _) in self.storage.frozen_variants(content.slot).await? {
            add(&content);
        }
        slugs.sort();
        slugs.dedup();
        let found = self.storage.matchups(&slugs, now).await?;
        Ok(found
            .into_iter()
            .map(|matchup| (matchup.comparison.slug.clone(), matchup))
            .collect())
    }
}
