//! Preferences of a reader, and the data that is kept of them.
//!
//! The digest's own link leads to the choices that cost nobody anything: categories, rhythm, a pause. A digest is forwarded, so
//! whatever shows, changes or erases a person's data needs a fresh link, good for [`LINK`], that is sent to their address.

use std::net::IpAddr;

use chrono::TimeDelta;

use crate::app::App;
use crate::app::Failure;
use crate::app::subscribing::quotas::RequestedMail;
use crate::app::subscribing::quotas::evenly;
use crate::domain::actor::Actor;
use crate::domain::address::EmailAddress;
use crate::domain::reader::Preferences;
use crate::domain::token::Purpose;
use crate::domain::token::Token;
use crate::domain::zone::ZoneName;
use crate::storage::email_changes::EmailChangeRequested;
use crate::storage::preferences::ChoicesSet;
use crate::storage::preferences::LinkRequested;

/// Time that a link to one's data is good, from when it is sent.
pub(crate) const LINK: TimeDelta = TimeDelta::hours(1);
/// At most one such mail in this time.
const QUIET: TimeDelta = TimeDelta::minutes(10);
/// At most one mail about changed choices in this time.
const TOLD: TimeDelta = TimeDelta::days(1);
/// Time that the link to a new address is good, from when it is sent.
pub(crate) const MOVE: TimeDelta = TimeDelta::days(2);

/// State of a link that is good for a short time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShortLink {
    /// Ours and in time: what it is for, a reader or a move.
    Good(i64),
    /// Ours, and its time is over.
    Over,
    /// Not ours.
    Forged,
}

impl App {
    /// Returns what a reader wants to get.
    pub async fn preferences(&self, subscriber: i64) -> Result<Preferences, Failure> {
        Ok(self.storage.preferences(subscriber).await?)
    }

    /// Writes down what a reader wants to get; `false` if their subscription is over. Whoever a digest was forwarded to can do
    /// it, so the reader is told by mail, at most once in [`TOLD`].
    pub async fn set_preferences(
        &self,
        subscriber: i64,
        wanted: &Preferences,
    ) -> Result<bool, Failure> {
        let now = self.now();
        let set = self
            .storage
            .set_preferences(subscriber, wanted, now - TOLD, now)
            .await?;
        if set == ChoicesSet::Told {
            self.wake_senders();
        }
        Ok(set != ChoicesSet::Over)
    }

    /// Sets the time zone in which a reader's digests come (`schedule.local_time`); they are told as of other choices.
    pub async fn set_timezone(&self, subscriber: i64, zone: ZoneName) -> Result<(), Failure> {
        let now = self.now();
        let set = self
            .storage
            .set_timezone(subscriber, zone, now - TOLD, now)
            .await?;
        if set == ChoicesSet::Told {
            self.wake_senders();
        }
        Ok(())
    }

    /// Returns whether there is such a reader, whatever their state: not after an erasure.
    pub async fn is_known(&self, subscriber: i64) -> Result<bool, Failure> {
        Ok(self.storage.is_known(subscriber).await?)
    }

    /// Sends a reader the link to what is known of them. Whoever asks learns nothing: it goes to the address alone. The inner error
    /// is how long to wait: too many requests from `client`.
    pub async fn send_account_link(
        &self,
        subscriber: i64,
        client: IpAddr,
    ) -> Result<Result<(), TimeDelta>, Failure> {
        let now = self.now();
        let asked = evenly(async {
            let email = self.storage.address_of(subscriber).await?;
            let quotas = self.mail_quotas(RequestedMail::Own, Some(client), None, email.as_ref());
            self.storage
                .queue_account_link(subscriber, now - QUIET, &quotas, now)
                .await
        });
        match asked.await? {
            LinkRequested::TooMany(wait) => return Ok(Err(wait)),
            LinkRequested::NotQueued => {}
            LinkRequested::Queued => {
                tracing::info!(
                    subscriber = self.subscriber_name(subscriber),
                    "a link to their data is on its way"
                );
                self.wake_senders();
            }
        }
        Ok(Ok(()))
    }

    /// Returns what a link to one's data is worth.
    pub fn account_link(&self, token: &str) -> ShortLink {
        self.short_link(Purpose::Account, token)
    }

    /// Returns what a link that confirms a new address is worth.
    pub fn move_link(&self, token: &str) -> ShortLink {
        self.short_link(Purpose::Move, token)
    }

    fn short_link(&self, purpose: Purpose, token: &str) -> ShortLink {
        match self.secrets.read(purpose, token) {
            None => ShortLink::Forged,
            Some(token) if token.is_expired(self.now()) => ShortLink::Over,
            Some(token) => ShortLink::Good(token.subscriber),
        }
    }

    /// The token in the mail with the link to one's data, sent at `sent_at`.
    pub(crate) fn account_token(
        &self,
        subscriber: i64,
        sent_at: crate::domain::Timestamp,
    ) -> String {
        self.secrets.sign(&Token {
            purpose: Purpose::Account,
            subscriber,
            expires_at: Some(sent_at + LINK),
        })
    }

    /// The token in the mail that asks at a new address, sent at `sent_at`.
    pub(crate) fn move_token(&self, id: i64, sent_at: crate::domain::Timestamp) -> String {
        self.secrets.sign(&Token {
            purpose: Purpose::Move,
            subscriber: id,
            expires_at: Some(sent_at + MOVE),
        })
    }

    /// Asks at the new address whether it is theirs. The answer and its time are the same whatever comes of it; but for the inner
    /// error, how long to wait: too many requests from `client` or by this reader.
    pub async fn ask_to_move(
        &self,
        subscriber: i64,
        email: &EmailAddress,
        client: IpAddr,
    ) -> Result<Result<(), TimeDelta>, Failure> {
        let quotas = self.mail_quotas(
            RequestedMail::Typed,
            Some(client),
            Some(subscriber),
            Some(email),
        );
        let hashes = self.secrets.address_hashes(email);
        let asked = evenly(self.storage.ask_to_move(
            &Actor::reader(),
            subscriber,
            email,
            &hashes,
            &quotas,
            self.now(),
        ))
        .await?;
        tracing::info!(subscriber = self.subscriber_name(subscriber), email = email.masked(), result = ?asked, "asked for another address");
        match asked {
            EmailChangeRequested::TooMany(wait) => return Ok(Err(wait)),
            EmailChangeRequested::Queued => self.wake_senders(),
            EmailChangeRequested::Taken
            | EmailChangeRequested::MailboxLimit
            | EmailChangeRequested::Over => {}
        }
        Ok(Ok(()))
    }

    /// Makes the new address theirs; the old one is told. `false`: it no longer waits.
    pub async fn complete_move(&self, id: i64) -> Result<bool, Failure> {
        let reader = self.storage.reader_who_moves(id).await?;
        let hashes_of = |email: &str| {
            EmailAddress::parse(email)
                .map_or_else(|_| Vec::new(), |email| self.secrets.address_hashes(&email))
        };
        let moved = self
            .storage
            .complete_move(id, &hashes_of, self.now())
            .await?;
        if let (true, Some(reader)) = (moved, reader) {
            self.answered(reader).await?;
            tracing::info!("a subscriber's address was changed");
            self.wake_senders();
        }
        Ok(moved)
    }

    /// Sets the name that a reader wants to be called by; `false`: nobody is there any more.
    pub async fn set_name(&self, subscriber: i64, name: Option<&str>) -> Result<bool, Failure> {
        Ok(self.storage.set_name(subscriber, name).await?)
    }

    /// Everything that is known of a reader, for themselves (GDPR Art. 15 and 20); `None` when nobody is left.
    pub async fn export_reader(
        &self,
        subscriber: i64,
    ) -> Result<Option<serde_json::Value>, Failure> {
        let Some(email) = self.storage.address_of(subscriber).await? else {
            return Ok(None);
        };
        let Some(person) = self.storage.person(&email).await? else {
            return Ok(None);
        };
        let hashes = self.secrets.address_hashes(&email);
        let Some(data) = self.storage.personal_data(subscriber, &hashes).await? else {
            return Ok(None);
        };
        let mut everything = serde_json::json!({
            "email": person.subscriber.email,
            "name": person.subscriber.name,
            "state": person.subscriber.state,
            "timezone": person.subscriber.timezone.map(crate::domain::zone::ZoneName::name),
            "consents": person.consents,
            "history": person.history.iter().map(|entry| serde_json::json!({ "at": entry.at, "what": entry.event.to_string(), "code": entry.event.to_stored().0, "slot": entry.slot })).collect::<Vec<_>>(),
            "preferences": self.storage.preferences(subscriber).await?,
            "refusals": self.storage.refusals_of(subscriber).await?,
            "raw_reports": self.storage.raw_reports(subscriber).await?,
        });
        if let (Some(all), Ok(serde_json::Value::Object(data))) =
            (everything.as_object_mut(), serde_json::to_value(data))
        {
            all.extend(data);
        }
        Ok(Some(everything))
    }

    /// Forgets a reader at their own wish; what stays is a keyed hash of the address. Doing it twice is doing it once.
    pub async fn erase_reader(&self, subscriber: i64) -> Result<(), Failure> {
        match self.storage.address_of(subscriber).await? {
            Some(email) => self.erase_subscriber(&Actor::reader(), &email).await,
            None => Ok(()),
        }
    }
}
