//! Changes of one subscriber by an operator, from the desk or a command. The subscriber is named by the id.

use super::quotas::RequestedMail;
use crate::app::App;
use crate::app::Failure;
use crate::domain::Timestamp;
use crate::domain::actor::Actor;
use crate::domain::address::EmailAddress;
use crate::domain::audit::AuditAction;
use crate::domain::history::UnsubscribedBy;
use crate::domain::reader::LONGEST_PAUSE;
use crate::domain::reader::Preferences;
use crate::domain::subscriber::Suppression;
use crate::storage::email_changes::EmailChangeRequested;
use crate::storage::inbound_reports::RawReport;
use crate::storage::operator::Resent;
use crate::storage::people::Person;
use crate::storage::personal_data::PersonalData;
use crate::storage::refusals::RefusalForReader;

/// Everything that the desk shows of a subscriber.
#[derive(Debug, Clone)]
pub struct SubscriberRecord {
    /// The subscriber, with consents and history.
    pub person: Person,
    /// Mails, votes, what came back, suppressions.
    pub data: PersonalData,
    /// Preferences.
    pub preferences: Preferences,
    /// Refusals of their mails.
    pub refusals: Vec<RefusalForReader>,
}

impl App {
    /// Everything that is kept of a subscriber; `None` if they are gone.
    pub async fn subscriber_record(
        &self,
        subscriber: i64,
    ) -> Result<Option<SubscriberRecord>, Failure> {
        let Some(email) = self.storage.address_of(subscriber).await? else {
            return Ok(None);
        };
        let hashes = self.secrets.address_hashes(&email);
        let person = self.storage.person(&email).await?;
        let data = self.storage.personal_data(subscriber, &hashes).await?;
        let Some((person, data)) = person.zip(data) else {
            return Ok(None);
        };
        Ok(Some(SubscriberRecord {
            person,
            data,
            preferences: self.storage.preferences(subscriber).await?,
            refusals: self.storage.refusals_of(subscriber).await?,
        }))
    }

    /// The id of the subscriber with that address.
    ///
    /// # Errors
    /// When nobody has it.
    pub async fn subscriber_id(&self, email: &EmailAddress) -> Result<i64, Failure> {
        Ok(self.person(email).await?.subscriber.id)
    }

    /// The report as it came, if it is still kept.
    pub async fn raw_report(
        &self,
        subscriber: i64,
        fingerprint: &str,
    ) -> Result<Option<RawReport>, Failure> {
        Ok(self.storage.raw_report(subscriber, fingerprint).await?)
    }

    /// Ends a subscription at the operator's wish; `false` if it was over.
    pub async fn unsubscribe_by_operator(
        &self,
        actor: &Actor,
        subscriber: i64,
    ) -> Result<bool, Failure> {
        let left = self
            .storage
            .unsubscribe(actor, subscriber, UnsubscribedBy::Operator, self.now())
            .await?;
        if left {
            metrics::counter!("verdicts_unsubscribes_total").increment(1);
            tracing::info!(
                subscriber = self.subscriber_name(subscriber),
                "unsubscribed by an operator"
            );
        }
        Ok(left)
    }

    /// Pauses mail to a subscriber until then, or ends their pause. `false`: they are not active.
    ///
    /// # Errors
    /// When the time is over, or further away than a pause may last.
    pub async fn pause_by_operator(
        &self,
        actor: &Actor,
        subscriber: i64,
        until: Option<Timestamp>,
    ) -> Result<bool, Failure> {
        let now = self.now();
        if let Some(until) = until {
            self.check_pause(until)?;
        }
        let paused = self.storage.pause_subscriber(actor, subscriber, until, now);
        Ok(paused.await?)
    }

    /// Checks the end of a pause.
    ///
    /// # Errors
    /// When the time is over, or further away than a pause may last.
    pub fn check_pause(&self, until: Timestamp) -> Result<(), Failure> {
        let now = self.now();
        if until > now && until <= now + LONGEST_PAUSE {
            return Ok(());
        }
        let weeks = LONGEST_PAUSE.num_weeks();
        Err(Failure::invalid_field(
            "until",
            format!("until: expected a day from tomorrow on, at most {weeks} weeks ahead."),
        ))
    }

    /// Queues the confirmation mail of an open sign-up once more, within the limits that hold for everybody.
    pub async fn resend_confirmation(
        &self,
        actor: &Actor,
        subscriber: i64,
    ) -> Result<Resent, Failure> {
        let now = self.now();
        let Some(email) = self.storage.address_of(subscriber).await? else {
            return Ok(Resent::NotWaiting);
        };
        let quotas = self.mail_quotas(RequestedMail::Typed, None, None, Some(&email));
        let quiet_since = now - self.quiet();
        let resent = self
            .storage
            .resend_confirmation(actor, subscriber, quiet_since, &quotas, now)
            .await?;
        if resent == Resent::Queued {
            self.wake_senders();
        }
        Ok(resent)
    }

    /// Asks at a new address whether it is the subscriber's, as their own change of address does: it is theirs once confirmed there.
    pub async fn change_address(
        &self,
        actor: &Actor,
        subscriber: i64,
        email: &EmailAddress,
    ) -> Result<EmailChangeRequested, Failure> {
        let quotas = self.mail_quotas(RequestedMail::Typed, None, None, Some(email));
        let hashes = self.secrets.address_hashes(email);
        let asked = self
            .storage
            .ask_to_move(actor, subscriber, email, &hashes, &quotas, self.now())
            .await?;
        tracing::info!(subscriber = self.subscriber_name(subscriber), email = email.masked(), result = ?asked, "an operator asked for another address");
        if asked == EmailChangeRequested::Queued {
            self.wake_senders();
        }
        Ok(asked)
    }

    /// Everything that is kept of a subscriber, taken out by an operator.
    pub async fn export_subscriber(
        &self,
        actor: &Actor,
        subscriber: i64,
    ) -> Result<Option<serde_json::Value>, Failure> {
        let data = self.export_reader(subscriber).await?;
        if data.is_some() {
            self.storage
                .note_subscriber(
                    actor,
                    AuditAction::SubscriberExported,
                    subscriber,
                    self.now(),
                )
                .await?;
        }
        Ok(data)
    }

    /// Puts an address on the suppression list, and ends a subscription of it; `false` if it was there.
    pub async fn suppress_address(
        &self,
        actor: &Actor,
        email: &EmailAddress,
        note: &str,
    ) -> Result<bool, Failure> {
        let hashes = self.secrets.address_hashes(email);
        let names = self.secrets.key_names();
        let (Some(hash), Some(key_name)) = (hashes.first(), names.first()) else {
            return Err(Failure::internal(
                "There is no secret to hash an address with.",
            ));
        };
        if self.storage.suppression(&hashes).await?.is_some() {
            return Ok(false);
        }
        let added = self
            .storage
            .add_suppression(actor, hash, key_name, note, self.now())
            .await?;
        if let Some((id, _)) = self.storage.subscriber_at(email).await? {
            self.unsubscribe_by_operator(actor, id).await?;
        }
        tracing::info!(email = email.masked(), "an address was suppressed by hand");
        Ok(added)
    }

    /// Takes somebody off the suppression list; answers why they were on it. Somebody who was erased stays on it: they asked for it.
    pub async fn lift_suppression(
        &self,
        actor: &Actor,
        email: &EmailAddress,
        note: &str,
    ) -> Result<String, Failure> {
        let hashes = self.secrets.address_hashes(email);
        let entry = self.storage.suppression(&hashes).await?;
        if entry.is_some_and(|entry| entry.reason == Suppression::Erased) {
            return Err(Failure::conflict(format!(
                "{email} was erased on request and stays on the suppression list: nothing was changed."
            )));
        }
        let lifted = self
            .storage
            .lift_suppression(actor, &email.key(), &hashes, note, self.now())
            .await?;
        let reason = lifted.ok_or_else(|| {
            Failure::not_found(format!(
                "{email} is not on the suppression list: nothing was changed."
            ))
        })?;
        tracing::info!(email = email.masked(), reason, "a suppression was lifted");
        Ok(reason)
    }
}
