//! Picking and preview: the content of a digest before it is made, and its look.

use chrono::TimeDelta;

use crate::app::App;
use crate::app::Failure;
use crate::app::check_result::CheckResult;
use crate::app::issue::edition::Edition;
use crate::app::issue::revising::Written;
use crate::domain::Timestamp;
use crate::domain::address::EmailAddress;
use crate::domain::delivery::DeliveryKey;
use crate::domain::digest::DigestState;
use crate::domain::pick::Pick;
use crate::domain::pick::pick;
use crate::domain::rendered_mail::READER_HOLE;
use crate::domain::rendered_mail::Rendered;
use crate::domain::rendered_mail::SINCE_HOLE;
use crate::domain::rendered_mail::TOKEN_PLACEHOLDER;
use crate::domain::slot::Slot;
use crate::domain::subscriber::SubscriberState;
use crate::mail::Recipient;
use crate::render::email;

/// A digest as one reader would get it.
pub struct Preview {
    /// Subject and both parts, with the reader's own links.
    pub rendered: Rendered,
    /// The whole message as it would be sent.
    pub message: Vec<u8>,
    /// Number of comparisons in it.
    pub items: usize,
    /// Week it is.
    pub slot: Slot,
    /// The line that a list of mails shows after the subject.
    pub preheader: String,
    /// Findings about the text and the links: see [`App::preflight`].
    pub findings: Vec<CheckResult>,
}

impl App {
    /// The slot that `at` falls into.
    pub fn slot_at(&self, at: Timestamp) -> Slot {
        Slot::of(at, &self.site.timezone)
    }

    /// Returns what would be picked at that moment; changes nothing.
    pub async fn picks_at(&self, at: Timestamp) -> Result<Vec<Pick>, Failure> {
        let rules = self.rules();
        let new_since = self.new_since(at).await?;
        let since = at
            .checked_sub_signed(rules.look_back)
            .unwrap_or_default()
            .min(new_since);
        let candidates = self.storage.candidates(since, at).await?;
        let sent = self.storage.sent_comparisons().await?;
        Ok(pick(&candidates, &sent, new_since, at, &rules))
    }

    /// The moment since when a comparison counts as new: when the last digest was frozen. Before the first one, and after a pause
    /// longer than `picker.look_back`, it is what readers may still call new.
    pub(in crate::app) async fn new_since(&self, at: Timestamp) -> Result<Timestamp, Failure> {
        let week = TimeDelta::weeks(1);
        let earliest = at
            .checked_sub_signed(self.rules().look_back.max(week))
            .unwrap_or_default();
        Ok(self
            .storage
            .last_freeze(at)
            .await?
            .map_or(at - week, |last| last.max(earliest)))
    }

    /// The digest of a slot as one reader would get it: see [`App::edition`].
    ///
    /// # Errors
    /// A sentence, when it would carry nothing.
    pub async fn preview(&self, slot: Slot, at: Timestamp) -> Result<Preview, Failure> {
        let edition = self.edition(slot, at).await?;
        self.preview_of(&edition, at).await
    }

    /// The same with subject and text that are not saved.
    pub async fn preview_written(&self, slot: Slot, written: Written) -> Result<Preview, Failure> {
        let now = self.now();
        let mut edition = self.edition(slot, now).await?;
        if edition.is_open() {
            edition.subject = written.subject.trim().parse().ok();
            edition.content.text = written.text.normalized();
        }
        self.preview_of(&edition, now).await
    }

    /// The digest of a slot as one reader gets it, by what they chose.
    ///
    /// # Errors
    /// A sentence, when they get none.
    pub async fn preview_as(&self, slot: Slot, email: &EmailAddress) -> Result<Preview, Failure> {
        let now = self.now();
        let nobody = || Failure::not_found("There is no such reader on the list.".to_owned());
        let person = self.storage.person(email).await?.ok_or_else(nobody)?;
        let (id, state) = (person.subscriber.id, person.subscriber.state);
        if state != SubscriberState::Active {
            return Err(Failure::conflict(format!(
                "They are {state}, and get no digest."
            )));
        }
        let mut edition = self.edition(slot, now).await?;
        if edition
            .digest
            .as_ref()
            .is_some_and(|digest| digest.published_at.is_some())
        {
            let variant = self.storage.variant_of(slot, id).await?;
            let variant = variant
                .ok_or_else(|| Failure::conflict("They are no recipient of this digest."))?;
            let mut preview = self.preview_of(&edition, now).await?;
            if let Some(number) = variant {
                let frozen = self.storage.frozen_variant(slot.id(), number).await?;
                let (mail, _) = frozen.ok_or_else(|| {
                    Failure::conflict("There is nothing new in it for them: they get no mail.")
                })?;
                preview.preheader = email::preheader_of(&mail.html);
                preview.rendered = mail;
            }
            return Ok(preview);
        }
        let preferences = self.storage.preferences(id).await?;
        if let Some(until) = preferences.paused_until.filter(|until| *until > now) {
            return Err(Failure::conflict(format!(
                "They pause until {}.",
                self.site.day(until)
            )));
        }
        let choice = self.storage.choice_of(slot, id, now).await?;
        if !choice.is_everybodys() {
            let subject = edition.subject.clone();
            let variants = self
                .variants_for(&edition.content, subject.as_ref(), vec![choice], now)
                .await?;
            let mail = variants.into_iter().next().and_then(|variant| variant.mail);
            let (content, _) = mail.ok_or_else(|| {
                Failure::conflict("There is nothing new in it for them: they get no mail.")
            })?;
            edition.content = content;
        }
        self.preview_of(&edition, now).await
    }

    async fn preview_of(&self, edition: &Edition, at: Timestamp) -> Result<Preview, Failure> {
        let slot = edition.content.slot;
        let items = edition.content.items.len();
        if items == 0 {
            return Err(Failure::conflict(why_empty(slot, edition)));
        }
        let rendered = self.mail_of(edition).await?;
        let message = self.one_copy(slot, &rendered, at)?;
        let (token, reader, since) = (
            self.unsubscribe_token(0),
            self.reader_token(0),
            self.site.day(at),
        );
        let own = |text: &str| {
            text.replace(TOKEN_PLACEHOLDER, &token)
                .replace(READER_HOLE, &reader)
                .replace(SINCE_HOLE, &since)
        };
        let rendered = Rendered {
            subject: rendered.subject,
            html: own(&rendered.html),
            text: own(&rendered.text),
        };
        let mut findings = vec![
            self.examine_links(&edition.content, &edition.left_out)
                .await,
        ];
        findings.extend(self.examine_text(&edition.content, &rendered.subject).await);
        Ok(Preview {
            preheader: email::preheader_of(&rendered.html),
            findings,
            rendered,
            message,
            items,
            slot,
        })
    }

    /// A digest as one reader would get it, whose links belong to nobody.
    pub(crate) fn one_copy(
        &self,
        slot: Slot,
        rendered: &Rendered,
        at: Timestamp,
    ) -> Result<Vec<u8>, Failure> {
        let (token, reader, since) = (
            self.unsubscribe_token(0),
            self.reader_token(0),
            self.site.day(at),
        );
        let verp = self.return_path.leaving_verp(
            &self.secrets,
            DeliveryKey {
                mailing: slot.id(),
                subscriber: 0,
            },
        );
        let address = crate::domain::address::EmailAddress::parse("reader@example.org")
            .map_err(|error| Failure::internal(error.to_string()))?;
        let message_id = format!("preview.{slot}@{}", self.message_id_host());
        let mut message = Vec::new();
        let recipient = Recipient {
            to: &address,
            token: &token,
            reader: &reader,
            since: &since,
            verp: &verp,
            message_id: &message_id,
            date: at,
        };
        self.digest_letter(slot, rendered)
            .fill(&recipient, &mut message);
        self.signing.signers().seal(&mut message, self.now());
        Ok(message)
    }
}

/// Returns why there is nothing to show of a digest.
fn why_empty(slot: Slot, edition: &Edition) -> String {
    let left_out: Vec<_> = edition
        .left_out
        .iter()
        .map(|left| format!("{}: {}", left.comparison, left.why))
        .collect();
    match edition.digest.as_ref().map(|digest| digest.state) {
        None => format!(
            "There is nothing to pick for {slot}: no comparison is new. Import some, or give another --as-of."
        ),
        Some(DigestState::Skipped) => {
            format!("{slot} is skipped: there was nothing new to pick. Nobody gets mail.")
        }
        Some(DigestState::Cancelled) => format!("{slot} is cancelled: nothing of it goes out."),
        Some(_) => format!(
            "Nothing is left of what was picked for {slot}. {}.",
            left_out.join("; ")
        ),
    }
}
