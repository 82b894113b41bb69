//! What would be in a digest, and what it looks like.

use super::App;
use super::Failure;
use crate::domain::Timestamp;
use crate::domain::delivery::DeliveryKey;
use crate::domain::digest::Content;
use crate::domain::digest::Item;
use crate::domain::letter::READER_HOLE;
use crate::domain::letter::Rendered;
use crate::domain::letter::SINCE_HOLE;
use crate::domain::letter::TOKEN_HOLE;
use crate::domain::pick::Pick;
use crate::domain::pick::pick;
use crate::domain::slot::Slot;
use crate::mail::Recipient;

/// A digest as one reader would get it.
pub struct Preview {
    /// Subject and both parts, with the reader's own links.
    pub rendered: Rendered,
    /// The whole message as it would be sent.
    pub message: Vec<u8>,
    /// How many comparisons are in it.
    pub items: usize,
    /// Which week it is.
    pub slot: Slot,
}

impl App {
    /// The slot that `at` falls into.
    pub fn slot_at(&self, at: Timestamp) -> Slot {
        Slot::of(at, &self.site.timezone)
    }

    /// What would be picked at that moment for that slot; changes nothing.
    pub async fn pick_for(&self, slot: Slot, at: Timestamp) -> Result<Vec<Pick>, Failure> {
        let rules = self.rules();
        let week = slot.span(&self.site.timezone);
        let since = at.checked_sub_signed(rules.look_back).unwrap_or_default().min(week.start);
        let candidates = self.storage.candidates(since, at).await?;
        let sent = self.storage.sent_comparisons().await?;
        Ok(pick(&candidates, &sent, &week, at, &rules))
    }

    /// The picks with all that is shown of them, as the catalogue is now. One that was taken out of it is left out.
    pub(crate) async fn content_of(&self, slot: Slot, picks: Vec<Pick>) -> Result<Content, Failure> {
        let slugs: Vec<_> = picks.iter().map(|pick| pick.comparison.clone()).collect();
        let matchups = self.storage.matchups(&slugs, Timestamp::MAX_UTC).await?;
        let items = matchups.into_iter().filter_map(|matchup| {
            let pick = picks.iter().find(|pick| pick.comparison == matchup.comparison.slug)?;
            Some(Item { matchup, score: pick.score, reasons: pick.reasons.clone() })
        });
        Ok(Content { slot, items: items.collect(), opening: self.opening(slot).await? })
    }

    /// The digest of a slot as it is or would be: frozen if it was published, picked if it was picked, else picked now.
    pub async fn preview(&self, slot: Slot, at: Timestamp) -> Result<Preview, Failure> {
        let (rendered, items) = match (self.storage.frozen_mail(slot.id()).await?, self.storage.frozen_content(slot).await?) {
            (Some((rendered, _)), Some((content, _))) => (rendered, content.items.len()),
            _ => {
                let mut picks = self.storage.picks(slot).await?;
                if picks.is_empty() {
                    picks = self.pick_for(slot, at).await?;
                }
                let content = self.content_of(slot, picks).await?;
                if content.items.is_empty() {
                    return Err(Failure::because(format!(
                        "There is nothing to pick for {slot}: no comparison is new. Import some, or give another --at."
                    )));
                }
                (self.rendered_digest(&content)?, content.items.len())
            }
        };
        let message = self.one_copy(slot, &rendered, at)?;
        let (token, reader, since) = (self.unsubscribe_token(0), self.reader_token(0), self.site.day(at));
        let own = |text: &str| text.replace(TOKEN_HOLE, &token).replace(READER_HOLE, &reader).replace(SINCE_HOLE, &since);
        let rendered = Rendered { subject: rendered.subject, html: own(&rendered.html), text: own(&rendered.text) };
        Ok(Preview { rendered, message, items, slot })
    }

    /// A digest as one reader would get it, whose links belong to nobody.
    pub(crate) fn one_copy(&self, slot: Slot, rendered: &Rendered, at: Timestamp) -> Result<Vec<u8>, Failure> {
        let (token, reader, since) = (self.unsubscribe_token(0), self.reader_token(0), self.site.day(at));
        let verp = self.return_path.verp(&self.secrets, DeliveryKey { mailing: slot.id(), subscriber: 0 });
        let address =
            crate::domain::address::EmailAddress::parse("reader@example.org").map_err(|error| Failure::because(error.to_string()))?;
        let message_id = format!("preview.{slot}@{}", self.message_id_host());
        let mut message = Vec::new();
        let recipient =
            Recipient { to: &address, token: &token, reader: &reader, since: &since, verp: &verp, message_id: &message_id, date: at };
        self.digest_letter(slot, rendered).fill(&recipient, &mut message);
        self.signing.signers().seal(&mut message, self.now());
        Ok(message)
    }
}
