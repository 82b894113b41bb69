//! Saving what an editor wrote while others write too: each save names the revision that it was made from, and where somebody saved
//! in between, both texts are kept and merged.

use crate::app::App;
use crate::app::Failure;
use crate::app::issue::text::checked;
use crate::config::Approval;
use crate::domain::Timestamp;
use crate::domain::actor::Actor;
use crate::domain::digest::Digest;
use crate::domain::digest::DigestState;
use crate::domain::issue_text::IssueText;
use crate::domain::issue_text::Sponsor;
use crate::domain::slot::Slot;
use crate::domain::subject::SubjectPattern;
use crate::storage::drafts::Draft;
use crate::storage::drafts::Edits;

/// Subject and text of an issue as an editor wrote them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Written {
    /// Pattern of the subject; empty: `mail.subject`.
    pub subject: String,
    /// The text.
    pub text: IssueText,
}

/// Result of a save.
#[derive(Debug)]
pub enum SaveOutcome {
    /// It is kept.
    Now {
        /// True if an approval was taken back by it.
        is_withdrawn: bool,
    },
    /// It is what was there already.
    Unchanged,
    /// Somebody else saved in between: nothing is changed.
    Conflict(Box<Conflict>),
}

/// Two texts that were made from one.
#[derive(Debug)]
pub struct Conflict {
    /// Revision of the other text: a save of the merged one names it.
    pub revision: i64,
    /// Text of this editor.
    pub mine: Written,
    /// Text of the other.
    pub theirs: Written,
    /// Both merged. Where both changed the same lines, it has both, marked with XXX, which a send refuses.
    pub merged: Written,
    /// Author of the other text: [`Actor::key`].
    pub edited_by: Option<String>,
    /// Time when it was saved.
    pub edited_at: Option<Timestamp>,
}

/// Attempts at a save while others save too.
const ATTEMPTS_MAX: usize = 5;

impl Written {
    /// Subject and text of a draft.
    pub fn of(draft: &Draft) -> Self {
        Self {
            subject: draft.subject.clone().unwrap_or_default(),
            text: draft.text.clone(),
        }
    }

    fn checked(self) -> Result<Self, Failure> {
        let subject = self.subject.trim().to_owned();
        check_subject(&subject)?;
        Ok(Self {
            subject,
            text: checked(self.text)?,
        })
    }
}

/// Refuses a pattern of a subject that cannot be filled.
pub(super) fn check_subject(pattern: &str) -> Result<(), Failure> {
    if pattern.is_empty() {
        return Ok(());
    }
    let parsed = pattern.parse::<SubjectPattern>();
    parsed.map(|_| ()).map_err(|error| {
        Failure::invalid_field(
            "subject",
            format!("The subject cannot be filled in: {error}."),
        )
    })
}

impl App {
    /// A digest that can still be changed.
    pub(super) async fn open_digest(&self, slot: Slot) -> Result<Digest, Failure> {
        let Some(digest) = self.storage.digest(slot).await? else {
            return Err(Failure::not_found(format!(
                "There is no digest {slot} to change; `verdicts digest draft` makes this week's."
            )));
        };
        if !matches!(digest.state, DigestState::Draft | DigestState::Approved) {
            return Err(Failure::conflict(format!(
                "{slot} is {}: only a draft or an approved digest can be changed.",
                digest.state
            )));
        }
        Ok(digest)
    }

    /// State of a digest after a change of what it shows: where approval is required, what goes out is what was approved.
    pub(super) fn state_after_edit(&self, state: DigestState) -> DigestState {
        match self.settings.schedule.approval {
            Approval::Required => DigestState::Draft,
            Approval::Auto => state,
        }
    }

    /// Saves subject and text that were written from the revision `base`.
    ///
    /// # Errors
    /// A sentence, when the text cannot be kept or the digest cannot be changed any more.
    pub async fn save_written(
        &self,
        actor: &Actor,
        slot: Slot,
        base: i64,
        written: Written,
    ) -> Result<SaveOutcome, Failure> {
        let mine = written.checked()?;
        for _ in 0..ATTEMPTS_MAX {
            let digest = self.open_digest(slot).await?;
            let Some(draft) = self.storage.draft(slot).await? else {
                continue;
            };
            let theirs = Written::of(&draft);
            if mine == theirs {
                return Ok(SaveOutcome::Unchanged);
            }
            if draft.revision != base {
                let before = self.storage.revision(slot, base).await?;
                let before = before.as_ref().map(Written::of);
                if before.as_ref() != Some(&theirs) {
                    let merged = merged(&before.unwrap_or_default(), &mine, &theirs);
                    return Ok(SaveOutcome::Conflict(Box::new(Conflict {
                        revision: draft.revision,
                        mine,
                        theirs,
                        merged,
                        edited_by: draft.edited_by,
                        edited_at: draft.edited_at,
                    })));
                }
            }
            let to = self.state_after_edit(digest.state);
            let edits = Edits {
                subject: (mine.subject != theirs.subject).then(|| mine.subject.clone()),
                text: (mine.text != theirs.text).then(|| mine.text.clone()),
                ..Edits::default()
            };
            let from = (digest.state, draft.revision);
            let is_saved = self
                .storage
                .edit_digest(actor, slot, from, to, &edits, self.now())
                .await?;
            if is_saved {
                tracing::info!(%slot, state = %to, "text of the digest changed");
                let is_withdrawn =
                    digest.state == DigestState::Approved && to == DigestState::Draft;
                return Ok(SaveOutcome::Now { is_withdrawn });
            }
        }
        Err(Failure::unavailable(format!(
            "{slot} is being changed by others all the time: save again in a moment."
        )))
    }
}

/// Both texts in one: each field as the one who changed it wrote it, and where both did, line by line.
fn merged(before: &Written, mine: &Written, theirs: &Written) -> Written {
    let none = Sponsor::default();
    let sponsor = |written: &Written| written.text.sponsor.clone().unwrap_or_else(|| none.clone());
    let (was, my, their) = (sponsor(before), sponsor(mine), sponsor(theirs));
    let field = |of: &dyn Fn(&Written) -> String| both(&of(before), &of(mine), &of(theirs));
    let text = IssueText {
        introduction: field(&|w| w.text.introduction.clone()),
        // An address cannot hold two.
        sponsor: Some(Sponsor {
            text: both(&was.text, &my.text, &their.text),
            url: if my.url == was.url { their.url } else { my.url },
        }),
        question: field(&|w| w.text.question.clone()),
        sign_off: field(&|w| w.text.sign_off.clone()),
        preheader: field(&|w| w.text.preheader.clone()),
    };
    Written {
        subject: field(&|w| w.subject.clone()),
        text: text.normalized(),
    }
}

fn both(before: &str, mine: &str, theirs: &str) -> String {
    if mine == before || mine == theirs {
        return theirs.to_owned();
    }
    if theirs == before {
        return mine.to_owned();
    }
    // The library compares whole lines: without an end the last one would differ from itself.
    let ended = |text: &str| format!("{text}\n");
    let merged = match diffy::merge(&ended(before), &ended(mine), &ended(theirs)) {
        Ok(merged) => merged,
        Err(marked) => named(&marked),
    };
    merged.trim_end().to_owned()
}

/// Lines that both changed, with words in place of the marks of a merge.
fn named(marked: &str) -> String {
    let mut is_before = false;
    let mut lines = Vec::new();
    for line in marked.lines() {
        match line.get(..7) {
            Some("<<<<<<<") => lines.push("XXX yours:"),
            Some("|||||||") => is_before = true,
            Some("=======") => {
                is_before = false;
                lines.push("XXX theirs:");
            }
            Some(">>>>>>>") => lines.push("XXX end"),
            _ if is_before => {}
            _ => lines.push(line),
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_of_two_editors_are_merged_and_nothing_is_lost() {
        let before = "one\ntwo\nthree\nfour\nfive";
        assert_eq!(
            both(
                before,
                "ONE\ntwo\nthree\nfour\nfive",
                "one\ntwo\nthree\nfour\nFIVE"
            ),
            "ONE\ntwo\nthree\nfour\nFIVE"
        );
        assert_eq!(both(before, before, "x"), "x");
        assert_eq!(both(before, "x", before), "x");
        let clash = both("", "mine", "theirs");
        assert_eq!(clash, "XXX yours:\nmine\nXXX theirs:\ntheirs\nXXX end");
    }
}
