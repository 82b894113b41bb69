//! Review links: people without an account look at one revision of an issue for some days, and say something about it.

use chrono::TimeDelta;

use crate::app::App;
use crate::app::Failure;
use crate::app::issue::approving::checked_note;
use crate::app::issue::picking::Preview;
use crate::domain::Timestamp;
use crate::domain::digest_note::DigestNote;
use crate::domain::digest_note::NoteKind;
use crate::domain::issue_text::lines;
use crate::domain::quota::Quota;
use crate::domain::slot::Slot;
use crate::domain::token::Purpose;
use crate::domain::token::Token;

/// Lifetime of a review link.
pub const REVIEW_LINK: TimeDelta = TimeDelta::days(7);
/// Revisions that the number in a link has room for.
const REVISIONS: i64 = 1_000_000;
/// Remarks by one link in an hour.
const REMARKS_PER_HOUR: u32 = 20;
/// Maximum number of characters of the name that a reviewer gives.
const NAME_MAX: usize = 60;

/// Issue that a link leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reviewed {
    /// Its week.
    pub slot: Slot,
    /// Revision that the link was made for.
    pub revision: i64,
    /// Time until which it works.
    pub expires_at: Timestamp,
}

impl App {
    /// A link to the present revision of an issue: read-only, for seven days.
    pub async fn review_link(&self, slot: Slot) -> Result<String, Failure> {
        let digest = self.status(slot).await?.digest;
        let token = self.secrets.sign(&Token {
            purpose: Purpose::Review,
            subscriber: slot.id() * REVISIONS + digest.revision.min(REVISIONS - 1),
            expires_at: Some(self.now() + REVIEW_LINK),
        });
        Ok(format!("{}/review/{token}", self.settings.base_url()))
    }

    /// The issue that a review link leads to; none if it is forged or its time is over.
    pub fn reviewed(&self, token: &str) -> Option<Reviewed> {
        let token = self.secrets.read(Purpose::Review, token)?;
        let expires_at = token.expires_at.filter(|at| *at > self.now())?;
        Some(Reviewed {
            slot: Slot::from_id(token.subscriber / REVISIONS)?,
            revision: token.subscriber % REVISIONS,
            expires_at,
        })
    }

    /// The issue as its reviewer sees it: only as long as it stands at the link's revision.
    ///
    /// # Errors
    /// A sentence, when it was changed since, or carries nothing.
    pub async fn review(&self, reviewed: Reviewed) -> Result<Preview, Failure> {
        let digest = self.storage.digest(reviewed.slot).await?;
        if digest.is_none_or(|digest| digest.revision != reviewed.revision) {
            return Err(Failure::conflict(
                "The issue was changed since this link was made. Ask whoever sent it for a new one.",
            ));
        }
        self.preview(reviewed.slot, self.now()).await
    }

    /// Keeps a reviewer's remark.
    ///
    /// # Errors
    /// A sentence, when nothing is said, or too much.
    pub async fn remark(&self, reviewed: Reviewed, name: &str, said: &str) -> Result<(), Failure> {
        let said = checked_note(said)?;
        let name: String = lines(name)
            .replace('\n', " ")
            .chars()
            .take(NAME_MAX)
            .collect();
        if name.is_empty() {
            return Err(Failure::invalid_field("name", "Say who you are."));
        }
        let Reviewed { slot, revision, .. } = reviewed;
        let quota = Quota {
            key: self
                .secrets
                .count_hash("review", &format!("{slot} {revision}")),
            max: REMARKS_PER_HOUR,
            window: TimeDelta::hours(1),
        };
        if let Err(wait) = self.storage.take_quotas(&[quota], self.now()).await? {
            let wait = wait.to_std().unwrap_or_default();
            return Err(Failure::too_many(
                "There were too many remarks by this link: try again later.",
                wait,
            ));
        }
        let note = DigestNote {
            kind: NoteKind::Comment,
            revision,
            author: "review".into(),
            name: Some(name),
            said,
            at: self.now(),
        };
        self.keep_comment(slot, &note).await
    }
}
