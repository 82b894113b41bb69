//! A digest as it would go out: the one place from which picking, preview, `digest show`, preflight and the send take it, so that
//! what somebody looks at is what readers get.

use crate::app::App;
use crate::app::Failure;
use crate::domain::Timestamp;
use crate::domain::catalogue::RatedComparison;
use crate::domain::catalogue::Slug;
use crate::domain::digest::Digest;
use crate::domain::digest::DigestContent;
use crate::domain::digest::DigestItem;
use crate::domain::digest::DigestState;
use crate::domain::pick::Pick;
use crate::domain::rendered_mail::Rendered;
use crate::domain::slot::Slot;
use crate::domain::subject::SubjectPattern;
use crate::storage::drafts::Draft;

/// A digest with what it would carry.
#[derive(Debug, Clone)]
pub struct Edition {
    /// Its slot's digest; `None` where nothing was picked yet.
    pub digest: Option<Digest>,
    /// Content for readers: frozen once it is published.
    pub content: DigestContent,
    /// Picked, and not in it any more.
    pub left_out: Vec<LeftOut>,
    /// The pattern of its subject, if a person gave it one.
    pub subject: Option<SubjectPattern>,
    /// People's changes to it, as long as it is not published.
    pub draft: Draft,
}

/// A digest as a person looks at it.
#[derive(Debug, Clone)]
pub struct Outlook {
    /// Its content.
    pub edition: Edition,
    /// The subject that readers see; none where it carries nothing.
    pub subject: Option<String>,
    /// Number of readers that it would go to, as long as it is not published.
    pub readers: Option<u64>,
}

/// A pick that does not go out, and why, in words.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct LeftOut {
    /// Comparison.
    pub comparison: Slug,
    /// Like "it was taken out of the catalogue".
    pub why: String,
}

impl Edition {
    /// Its comparisons with score and reasons, in order.
    pub fn picks(&self) -> Vec<Pick> {
        let pick = |item: &DigestItem| Pick {
            comparison: item.matchup.comparison.slug.clone(),
            score: item.score,
            reasons: item.reasons.clone(),
        };
        self.content.items.iter().map(pick).collect()
    }

    /// Revision that it was read at: the digest's row is read before all else, so that what is newer shows as another revision.
    pub fn revision(&self) -> i64 {
        self.digest.as_ref().map_or(0, |digest| digest.revision)
    }

    /// Returns whether it stands as it will go out: a draft or an approved digest, or one that nobody made yet.
    pub fn is_open(&self) -> bool {
        self.digest
            .as_ref()
            .is_none_or(|digest| matches!(digest.state, DigestState::Draft | DigestState::Approved))
    }
}

impl App {
    /// The digest of a slot as it is or would be: frozen if it was published, its picks if they were made, else what would be picked
    /// at `at`. Of picks, those are left out that have no page at the time when it goes out.
    pub async fn edition(&self, slot: Slot, at: Timestamp) -> Result<Edition, Failure> {
        let digest = self.storage.digest(slot).await?;
        let goes_out = digest.as_ref().map_or(at, |digest| {
            self.pacing().publish_at(digest.send_at).max(self.now())
        });
        self.edition_of(slot, digest, at, goes_out).await
    }

    /// The digest of a slot as it goes out now.
    pub(in crate::app) async fn edition_now(&self, slot: Slot) -> Result<Edition, Failure> {
        let (digest, now) = (self.storage.digest(slot).await?, self.now());
        self.edition_of(slot, digest, now, now).await
    }

    async fn edition_of(
        &self,
        slot: Slot,
        digest: Option<Digest>,
        at: Timestamp,
        goes_out: Timestamp,
    ) -> Result<Edition, Failure> {
        let nothing = || DigestContent {
            slot,
            items: Vec::new(),
            opening: Default::default(),
            text: Default::default(),
            corrections: Vec::new(),
        };
        let picks = match &digest {
            None => self.picks_at(at).await?,
            Some(digest) if digest.published_at.is_some() => {
                let content = self
                    .storage
                    .frozen_content(slot)
                    .await?
                    .map_or_else(nothing, |(content, _)| content);
                return Ok(Edition {
                    digest: Some(digest.clone()),
                    content,
                    left_out: Vec::new(),
                    subject: None,
                    draft: Draft::default(),
                });
            }
            Some(Digest {
                state: DigestState::Draft | DigestState::Approved,
                ..
            }) => self.storage.picks(slot).await?,
            Some(_) => Vec::new(),
        };
        let (items, left_out) = self.open_items(picks, goes_out).await?;
        let draft = self.storage.draft(slot).await?.unwrap_or_default();
        // Checked when it was given.
        let subject = draft
            .subject
            .as_ref()
            .and_then(|pattern| pattern.parse().ok());
        let opening = if items.is_empty() {
            Default::default()
        } else {
            self.opening(slot).await?
        };
        Ok(Edition {
            digest,
            content: DigestContent {
                slot,
                items,
                opening,
                text: draft.text.clone(),
                corrections: Vec::new(),
            },
            left_out,
            subject,
            draft,
        })
    }

    /// The picks with all that is shown of them, as the catalogue is now: those whose page opens at `goes_out`.
    async fn open_items(
        &self,
        picks: Vec<Pick>,
        goes_out: Timestamp,
    ) -> Result<(Vec<DigestItem>, Vec<LeftOut>), Failure> {
        let slugs: Vec<_> = picks.iter().map(|pick| pick.comparison.clone()).collect();
        let sent = self.storage.sent_comparisons().await?;
        let mut matchups = self.storage.matchups(&slugs, goes_out).await?;
        let (mut items, mut left_out) = (Vec::new(), Vec::new());
        for pick in picks {
            let found = matchups
                .iter()
                .position(|matchup| matchup.comparison.slug == pick.comparison)
                .map(|at| matchups.remove(at));
            let opened = match sent.contains(&pick.comparison) {
                true => Err("another digest carried it meanwhile".into()),
                false => self.open_comparison(&pick.comparison, goes_out).await?,
            };
            match (opened, found) {
                (Ok(()), Some(matchup)) if is_judged(&matchup) => items.push(DigestItem {
                    matchup,
                    score: pick.score,
                    reasons: pick.reasons,
                }),
                (Err(why), _) => left_out.push(LeftOut {
                    comparison: pick.comparison,
                    why,
                }),
                (Ok(()), _) => left_out.push(LeftOut {
                    comparison: pick.comparison,
                    why: "no reviewer judges either tool any more".into(),
                }),
            }
        }
        Ok((items, left_out))
    }

    /// Subject and both parts of its mail, before a reader's own links are filled in.
    pub(in crate::app) async fn mail_of(&self, edition: &Edition) -> Result<Rendered, Failure> {
        if edition
            .digest
            .as_ref()
            .is_some_and(|digest| digest.published_at.is_some())
            && let Some((frozen, _)) = self.storage.frozen_mail(edition.content.slot.id()).await?
        {
            return Ok(frozen);
        }
        self.rendered_digest(&edition.content, edition.subject.as_ref())
    }

    /// A digest with all that a person wants to see of it before it goes out.
    pub async fn outlook(&self, slot: Slot) -> Result<Outlook, Failure> {
        let edition = self.edition(slot, self.now()).await?;
        let subject = if edition.content.items.is_empty() {
            None
        } else {
            Some(self.mail_of(&edition).await?.subject)
        };
        let readers = if edition.is_open() {
            Some(self.readers().await)
        } else {
            None
        };
        Ok(Outlook {
            edition,
            subject,
            readers,
        })
    }
}

/// Returns whether anybody of the panel judged either tool.
fn is_judged(matchup: &RatedComparison) -> bool {
    matchup
        .contenders()
        .iter()
        .any(|side| side.tool.panel().total() > 0)
}
