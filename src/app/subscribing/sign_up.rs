//! Joining by double opt-in, and leaving by a link.

use crate::app::App;
use crate::app::Failure;
use crate::app::delta;
use crate::app::subscribing::quotas::RequestedMail;
use crate::app::subscribing::quotas::evenly;
use crate::domain::Timestamp;
use crate::domain::actor::Actor;
use crate::domain::address::EmailAddress;
use crate::domain::history::UnsubscribedBy;
use crate::domain::reader::UnsubscribeReason;
use crate::domain::subscriber::network_of;
use crate::domain::token::Purpose;
use crate::domain::token::Token;
use crate::domain::zone::ZoneName;
use crate::storage::subscribers::Confirmed;
use crate::storage::subscribers::SignUp;
use crate::storage::subscribers::SignedUp;

/// Origin of a request to join.
#[derive(Debug, Clone, Copy)]
pub struct Origin<'a> {
    /// `web form`, `api`, `operator`, `mail`.
    pub source: &'a str,
    /// The words of consent that were shown.
    pub shown: &'a str,
    /// Time zone of the person, if they said.
    pub timezone: Option<ZoneName>,
    /// The client, which the record keeps cut to its network.
    pub client: Option<std::net::IpAddr>,
    /// True if no confirmation mail goes out now.
    pub is_quiet: bool,
}

/// Meaning of a link's token when its button is pressed, or before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfirmLink {
    /// Signed by us and in time.
    Good,
    /// Signed by us, but the sign-up is over: too old, forgotten, or undone.
    Over,
    /// Not ours.
    Forged,
}

impl App {
    /// Writes down a request to join. Whoever asks gets the same answer whatever comes of it.
    pub async fn sign_up(
        &self,
        actor: &Actor,
        email: &EmailAddress,
        name: Option<&str>,
        origin: Origin<'_>,
    ) -> Result<SignedUp, Failure> {
        let now = self.now();
        let network = origin.client.map(network_of);
        let hashes = self.secrets.address_hashes(email);
        let request = SignUp {
            email,
            name,
            timezone: origin.timezone,
            shown: origin.shown,
            source: origin.source,
            network: network.as_deref(),
            hashes: &hashes,
            quiet_since: now - self.quiet(),
            quotas: &self.mail_quotas(RequestedMail::Typed, origin.client, None, Some(email)),
            is_quiet: origin.is_quiet,
        };
        // What is left of a difference in time disappears in this.
        let result = evenly(self.storage.sign_up(actor, &request, now)).await?;
        metrics::counter!("verdicts_sign_ups_total").increment(1);
        tracing::info!(email = email.masked(), source = origin.source, result = ?result, "sign-up");
        if matches!(
            result,
            SignedUp::ConfirmationQueued | SignedUp::ReminderQueued
        ) {
            self.wake_senders();
        }
        Ok(result)
    }

    /// Returns what a confirmation link is worth, without doing anything.
    pub fn look_at_confirm_link(&self, token: &str) -> ConfirmLink {
        match self.secrets.read(Purpose::Confirm, token) {
            None => ConfirmLink::Forged,
            Some(token) if token.is_expired(self.now()) => ConfirmLink::Over,
            Some(_) => ConfirmLink::Good,
        }
    }

    /// Presses the button of a confirmation link; pressing it twice is pressing it once.
    pub async fn confirm(&self, token: &str) -> Result<ConfirmLink, Failure> {
        let Some(token) = self.secrets.read(Purpose::Confirm, token) else {
            return Ok(ConfirmLink::Forged);
        };
        let now = self.now();
        if token.is_expired(now) {
            return Ok(ConfirmLink::Over);
        }
        let result = self.confirmed(token.subscriber, now).await?;
        Ok(if result == Confirmed::Gone {
            ConfirmLink::Over
        } else {
            ConfirmLink::Good
        })
    }

    /// Turns the open sign-up of somebody who proved that the address is theirs into a subscription.
    pub(in crate::app) async fn confirmed(
        &self,
        subscriber: i64,
        now: Timestamp,
    ) -> Result<Confirmed, Failure> {
        let result = self.storage.confirm(subscriber, now).await?;
        if result == Confirmed::Now {
            metrics::counter!("verdicts_confirmations_total").increment(1);
            tracing::info!(
                subscriber = self.subscriber_name(subscriber),
                "subscription confirmed"
            );
            self.answered(subscriber).await?;
            self.wake_senders();
        }
        Ok(result)
    }

    /// Returns the subscriber of an unsubscribe link, without doing anything; `None` if the link is not ours.
    pub fn subscriber_of_unsubscribe_link(&self, token: &str) -> Option<i64> {
        let token = self.secrets.read(Purpose::Unsubscribe, token)?;
        Some(token.subscriber)
    }

    /// Keeps the reason of somebody who unsubscribed by this link. `false`: the link is not ours, or they are not unsubscribed.
    pub async fn give_unsubscribe_reason(
        &self,
        token: &str,
        reason: UnsubscribeReason,
    ) -> Result<bool, Failure> {
        let Some(subscriber) = self.subscriber_of_unsubscribe_link(token) else {
            return Ok(false);
        };
        Ok(self
            .storage
            .keep_unsubscribe_reason(subscriber, reason, self.now())
            .await?)
    }

    /// Presses the button of an unsubscribe link; pressing it twice is pressing it once. `false` if the link is not ours.
    pub async fn unsubscribe(&self, token: &str) -> Result<bool, Failure> {
        let Some(token) = self.secrets.read(Purpose::Unsubscribe, token) else {
            return Ok(false);
        };
        if self
            .storage
            .unsubscribe(
                &Actor::reader(),
                token.subscriber,
                UnsubscribedBy::Link,
                self.now(),
            )
            .await?
        {
            metrics::counter!("verdicts_unsubscribes_total").increment(1);
            tracing::info!(
                subscriber = self.subscriber_name(token.subscriber),
                "unsubscribed by link"
            );
        }
        Ok(true)
    }

    /// The token in a subscriber's unsubscribe links: the same for ever.
    pub(crate) fn unsubscribe_token(&self, subscriber: i64) -> String {
        self.secrets.sign(&Token {
            purpose: Purpose::Unsubscribe,
            subscriber,
            expires_at: None,
        })
    }

    /// The token in a subscriber's links to what they may choose: the same for ever.
    pub(crate) fn reader_token(&self, subscriber: i64) -> String {
        self.secrets.sign(&Token {
            purpose: Purpose::Read,
            subscriber,
            expires_at: None,
        })
    }

    /// The token in a confirmation mail that is sent at `sent_at`.
    pub(crate) fn confirm_token(&self, subscriber: i64, sent_at: Timestamp) -> String {
        let expires_at = Some(sent_at + delta(self.settings.signup.confirm_within));
        self.secrets.sign(&Token {
            purpose: Purpose::Confirm,
            subscriber,
            expires_at,
        })
    }
}
