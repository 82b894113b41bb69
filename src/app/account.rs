//! What a reader wants to get, and what is known of them.
//!
//! The digest's own link leads to the choices that cost nobody anything: categories, rhythm, a pause. A digest is forwarded, so
//! whatever shows, changes or erases a person's data needs a fresh link, good for [`LINK`], that is sent to their address.

use chrono::TimeDelta;

use super::App;
use super::Failure;
use crate::domain::address::EmailAddress;
use crate::domain::reader::Preferences;
use crate::domain::token::Purpose;
use crate::domain::token::Token;
use crate::storage::preferences::MoveAsked;

/// How long a link to one's data is good.
pub(crate) const LINK: TimeDelta = TimeDelta::hours(1);
/// At most one such mail in this time.
const QUIET: TimeDelta = TimeDelta::minutes(10);
/// How long the link to a new address is good.
pub(crate) const MOVE: TimeDelta = TimeDelta::days(2);

/// What a link that is good for a short time is worth.
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
    /// What a reader wants to get.
    pub async fn preferences(&self, subscriber: i64) -> Result<Preferences, Failure> {
        Ok(self.storage.preferences(subscriber).await?)
    }

    /// Writes down what a reader wants to get; `false` if their subscription is over.
    pub async fn set_preferences(&self, subscriber: i64, wanted: &Preferences) -> Result<bool, Failure> {
        Ok(self.storage.set_preferences(subscriber, wanted).await?)
    }

    /// Sends a reader the link to what is known of them. Whoever asks learns nothing: it goes to the address alone.
    pub async fn send_account_link(&self, subscriber: i64) -> Result<(), Failure> {
        let now = self.now();
        if self.storage.queue_account_link(subscriber, now - QUIET, now).await? {
            tracing::info!(subscriber, "a link to their data is on its way");
            self.ring();
        }
        Ok(())
    }

    /// What a link to one's data is worth.
    pub fn account_link(&self, token: &str) -> ShortLink {
        self.short_link(Purpose::Account, token)
    }

    /// What a link that confirms a new address is worth.
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

    /// The token in the mail with the link to one's data, from `queued_at`.
    pub(crate) fn account_token(&self, subscriber: i64, queued_at: crate::domain::Timestamp) -> String {
        self.secrets.sign(&Token { purpose: Purpose::Account, subscriber, expires_at: Some(queued_at + LINK) })
    }

    /// The token in the mail that asks at a new address.
    pub(crate) fn move_token(&self, id: i64, queued_at: crate::domain::Timestamp) -> String {
        self.secrets.sign(&Token { purpose: Purpose::Move, subscriber: id, expires_at: Some(queued_at + MOVE) })
    }

    /// Asks at the new address whether it is theirs. The answer is the same whatever comes of it.
    pub async fn ask_to_move(&self, subscriber: i64, email: &EmailAddress) -> Result<(), Failure> {
        let asked = self.storage.ask_to_move(subscriber, email, &self.secrets.address_hashes(email), self.now()).await?;
        tracing::info!(subscriber, email = email.masked(), result = ?asked, "asked for another address");
        if asked == MoveAsked::Queued {
            self.ring();
        }
        Ok(())
    }

    /// Makes the new address theirs; the old one is told. `false`: it no longer waits.
    pub async fn complete_move(&self, id: i64) -> Result<bool, Failure> {
        let moved = self.storage.complete_move(id, self.now()).await?;
        if moved {
            tracing::info!("a subscriber's address was changed");
            self.ring();
        }
        Ok(moved)
    }

    /// What a reader wants to be called.
    pub async fn set_name(&self, subscriber: i64, name: Option<&str>) -> Result<(), Failure> {
        Ok(self.storage.set_name(subscriber, name).await?)
    }

    /// Everything that is known of a reader, for themselves (GDPR Art. 15 and 20); `None` when nobody is left.
    pub async fn export_reader(&self, subscriber: i64) -> Result<Option<serde_json::Value>, Failure> {
        let Some(email) = self.storage.address_of(subscriber).await? else { return Ok(None) };
        let Some(person) = self.storage.person(&email).await? else { return Ok(None) };
        let (wanted, did) = (self.storage.preferences(subscriber).await?, self.storage.choices_of(subscriber).await?);
        Ok(Some(serde_json::json!({
            "email": person.subscriber.email,
            "name": person.subscriber.name,
            "state": person.subscriber.state,
            "consents": person.consents,
            "history": person.history.iter().map(|(at, what)| serde_json::json!({ "at": at, "what": what })).collect::<Vec<_>>(),
            "preferences": wanted,
            "votes": did.votes.iter().map(|(tool, verdict, at)| serde_json::json!({ "tool": tool, "verdict": verdict, "at": at })).collect::<Vec<_>>(),
            "saved": did.saved.iter().map(|(tool, at)| serde_json::json!({ "tool": tool, "at": at })).collect::<Vec<_>>(),
            "mails": did.mails.iter().map(|(kind, state, at)| serde_json::json!({ "kind": kind, "state": state, "at": at })).collect::<Vec<_>>(),
        })))
    }

    /// Forgets a reader at their own wish; what stays is a keyed hash of the address. Doing it twice is doing it once.
    pub async fn erase_reader(&self, subscriber: i64) -> Result<(), Failure> {
        match self.storage.address_of(subscriber).await? {
            Some(email) => self.erase_subscriber(&email).await,
            None => Ok(()),
        }
    }
}
