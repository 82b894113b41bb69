//! Joining by mail: who writes to us is asked as by the form, and an answer confirms as the link does.
//!
//! Anybody can write in somebody else's name, and a machine answers what it is sent. So nothing is ever answered to a machine, a list,
//! nobody or ourselves; whoever is asked is asked by the use case of the form, once an hour; and an hour has a bound for all of
//! them and for each domain. What confirms is the address or the token that only the confirmation mail carried, in a person's hand: an
//! answer by its subject and header, that says yes and little else. In doubt nothing is confirmed, for the link always works.

use chrono::TimeDelta;

use crate::app::App;
use crate::app::Failure;
use crate::app::returns::inbound::Returned;
use crate::app::subscribing::sign_up::ConfirmLink;
use crate::app::subscribing::sign_up::Origin;
use crate::domain::actor::Actor;
use crate::domain::address::EmailAddress;
use crate::domain::inbound::Classification;
use crate::domain::inbound::ParsedReport;
use crate::domain::quota::Quota;
use crate::domain::token::Purpose;
use crate::mail::inbound::answered_subject;
use crate::render::email;
use crate::storage::inbound::InboundResult;
use crate::storage::subscribers::Confirmed;

/// Source of consent that was given by a mail to us.
const SOURCE: &str = "mail";

impl App {
    /// Asks the author of a mail whether they want to join, or takes their answer; `None` if it is neither.
    pub(in crate::app) async fn answer(
        &self,
        returned: &Returned,
    ) -> Result<Option<InboundResult>, Failure> {
        let reading = &returned.reading;
        let is_a_persons = reading.findings.iter().all(|finding| {
            matches!(
                finding.meaning,
                Classification::None | Classification::Subscribe
            )
        });
        if !reading.answerable || !is_a_persons && !reading.in_words {
            return Ok(None);
        }
        if is_a_persons
            && reading.agrees
            && self.answers_confirmation(reading)
            && self.confirm_by_mail(reading).await?
        {
            return Ok(Some(InboundResult::Confirmed));
        }
        if let Some(taken) = self.answer_with_link(returned).await? {
            return Ok(Some(taken));
        }
        if !is_a_persons || !self.wants_to_join(reading) {
            return Ok(None);
        }
        let author = reading
            .clues
            .author
            .as_deref()
            .and_then(|author| EmailAddress::parse_new(author).ok());
        let Some(author) = author.filter(|author| !self.is_ours(author.as_str())) else {
            return Ok(None);
        };
        let (limits, domain) = (&self.settings.inbound, author.domain().to_ascii_lowercase());
        let quotas = [
            ("mail", "", limits.sign_ups_per_hour),
            ("mail domain", &domain, limits.sign_ups_per_domain),
        ]
        .map(|(what, text, max)| Quota {
            key: self.secrets.count_hash(what, text),
            max,
            window: TimeDelta::hours(1),
        });
        if self
            .storage
            .take_quotas(&quotas, self.now())
            .await?
            .is_err()
        {
            tracing::warn!(
                email = author.masked(),
                "a sign-up by mail is not answered: too many in this hour"
            );
            return Ok(None);
        }
        let shown = format!(
            "A mail of theirs with the subject: {}",
            reading.clues.subject.chars().take(200).collect::<String>()
        );
        self.sign_up(
            &Actor::reader(),
            &author,
            None,
            Origin {
                source: SOURCE,
                shown: &shown,
                timezone: None,
                client: None,
                is_quiet: false,
            },
        )
        .await?;
        Ok(Some(InboundResult::Asked))
    }

    /// Returns whether a mail asks to join: in so many words, or because it was sent where such mails go.
    fn wants_to_join(&self, reading: &ParsedReport) -> bool {
        let sent_there = || {
            let place = self.settings.inbound.subscribe_address.as_deref();
            place.is_some_and(|place| {
                reading
                    .clues
                    .addressed
                    .iter()
                    .any(|address| address.eq_ignore_ascii_case(place))
            })
        };
        match reading.findings.as_slice() {
            [only] => {
                only.meaning == Classification::Subscribe
                    || (only.meaning == Classification::None && sent_there())
            }
            _ => false,
        }
    }

    /// Returns whether the subject is that of an answer to a confirmation mail. A ticket system puts its number there, an autoresponder
    /// a sentence of its own; of a person's, nothing is there that we did not write.
    pub(in crate::app) fn answers_confirmation(&self, reading: &ParsedReport) -> bool {
        let words = |text: &str| -> Vec<String> {
            let bare = |word: &str| {
                word.trim_matches([',', '.', ':', ';', '!', '?', '"', '\'', '…'])
                    .to_lowercase()
            };
            text.split_whitespace()
                .map(bare)
                .filter(|word| !word.is_empty())
                .collect()
        };
        let asked = words(&email::confirmation_subject(&self.site));
        let answered = answered_subject(&reading.clues.subject)
            .map(|subject| words(&subject))
            .unwrap_or_default();
        !answered.is_empty() && answered.iter().all(|word| asked.contains(word))
    }

    /// Confirms by an answer to a confirmation mail. A Message-ID proves nothing here, for it is no secret.
    async fn confirm_by_mail(&self, reading: &ParsedReport) -> Result<bool, Failure> {
        let now = self.now();
        let answered = reading
            .clues
            .addressed
            .iter()
            .find_map(|address| self.return_path.delivery(&self.secrets, address));
        if let Some(key) = answered {
            let asked = self.storage.confirmation_queued_at(key).await?;
            if asked.is_some_and(|asked| {
                now < asked + crate::app::delta(self.settings.signup.confirm_within)
            }) {
                return Ok(self.confirmed(key.subscriber, now).await? != Confirmed::Gone);
            }
        }
        let quoted = reading
            .clues
            .tokens
            .iter()
            .find(|text| self.secrets.read(Purpose::Confirm, text).is_some());
        match quoted {
            Some(token) => Ok(self.confirm(token).await? == ConfirmLink::Good),
            None => Ok(false),
        }
    }

    /// Returns whether mail to an address comes to us: nothing is answered there.
    fn is_ours(&self, address: &str) -> bool {
        let inbound = self.settings.inbound.subscribe_address.as_deref();
        let reply_to = self.reply_to.as_ref().map(crate::mail::Mailbox::address);
        let named = [Some(self.from.address()), reply_to, inbound]
            .into_iter()
            .flatten()
            .any(|ours| ours.eq_ignore_ascii_case(address));
        named || self.return_path.is_one(address)
    }
}
