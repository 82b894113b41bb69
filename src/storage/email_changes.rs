//! Changes of address: asked at the new one, told to the old one.

use chrono::TimeDelta;

use super::Storage;
use super::StorageError;
use super::audit_log::ChangeSubject;
use super::history::history;
use super::ids;
use super::quotas;
use super::quotas::MailQuotas;
use super::subscribers::is_suppressed;
use super::transactional::Payload;
use super::transactional::queue;
use crate::domain::Timestamp;
use crate::domain::actor::Actor;
use crate::domain::address::EmailAddress;
use crate::domain::audit::AuditAction;
use crate::domain::delivery::DeliveryKind;
use crate::domain::history::HistoryEvent;

/// Result of a request for another address. Whoever asks is told none of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EmailChangeRequested {
    /// A mail to the new address is queued.
    Queued,
    /// Somebody has that address here, or it never gets mail.
    Taken,
    /// The subscription is over.
    Over,
    /// That mailbox had as many mails as it gets, or answered none of them.
    MailboxLimit,
    /// Too many requests from where this one came; the next one is taken after that time.
    TooMany(TimeDelta),
}

impl Storage {
    /// Writes down that a reader wants another address, and queues the mail that asks there.
    pub async fn ask_to_move(
        &self,
        actor: &Actor,
        subscriber: i64,
        email: &EmailAddress,
        hashes: &[String],
        quotas: &MailQuotas,
        now: Timestamp,
    ) -> Result<EmailChangeRequested, StorageError> {
        let mut tx = self.begin().await?;
        if let Err(wait) =
            quotas::take(&mut tx, quotas.asker.iter().map(|quota| (quota, true)), now).await?
        {
            return Ok(EmailChangeRequested::TooMany(wait));
        }
        if execute!(
            tx,
            "update subscribers set name = name where id = $1 and state = 'active'",
            subscriber
        )? == 0
        {
            return Ok(EmailChangeRequested::Over);
        }
        let taken: Option<(i64,)> = optional!(
            tx,
            "select id from subscribers where email_key = $1",
            email.key()
        )?;
        let is_free = !is_suppressed(&mut tx, hashes).await? && taken.is_none();
        let limits = quotas
            .recipient
            .iter()
            .chain(&quotas.unanswered)
            .map(|quota| (quota, is_free));
        let is_within = quotas::take(&mut tx, limits, now).await?.is_ok();
        if !is_free || !is_within {
            // Committed all the same: the time that a commit takes must not tell who is known here.
            tx.commit().await?;
            return Ok(if is_free {
                EmailChangeRequested::MailboxLimit
            } else {
                EmailChangeRequested::Taken
            });
        }
        let id = ids::fresh(now);
        execute!(
            tx,
            "delete from email_changes where subscriber_id = $1",
            subscriber
        )?;
        execute!(
            tx,
            "insert into email_changes (id, subscriber_id, email, email_key, requested_at) values ($1, $2, $3, $4, $5)",
            id,
            subscriber,
            email.as_str(),
            email.key(),
            now.timestamp_millis()
        )?;
        queue(
            &mut tx,
            subscriber,
            DeliveryKind::EmailChange,
            Some(Payload {
                email: email.as_str(),
                token_id: Some(id),
            }),
            now,
        )
        .await?;
        self.author(actor)
            .note(
                &mut tx,
                AuditAction::AddressChangeAsked,
                Some(ChangeSubject::Subscriber(subscriber)),
                &serde_json::json!({}),
                now,
            )
            .await?;
        tx.commit().await?;
        Ok(EmailChangeRequested::Queued)
    }

    /// Returns whether a change of address still waits.
    pub async fn is_move_open(&self, id: i64) -> Result<bool, StorageError> {
        Ok(self.reader_who_moves(id).await?.is_some())
    }

    /// The reader whose change of address waits under `id`.
    pub async fn reader_who_moves(&self, id: i64) -> Result<Option<i64>, StorageError> {
        let mut reader = self.read().await?;
        let found: Option<(i64,)> = optional!(
            reader,
            "select subscriber_id from email_changes where id = $1",
            id
        )?;
        Ok(found.map(|(subscriber,)| subscriber))
    }

    /// Makes the new address theirs, and tells the old one, which no import brings back from then on. `hashes_of` makes the keyed
    /// hashes of an address. `false`: it no longer waits, somebody else has it by now, or it is on the suppression list.
    pub async fn complete_move(
        &self,
        id: i64,
        hashes_of: &(dyn Fn(&str) -> Vec<String> + Sync),
        now: Timestamp,
    ) -> Result<bool, StorageError> {
        let mut tx = self.begin().await?;
        let row: Option<(i64, String, String, String)> = optional!(
            tx,
            "select s.id, s.email, m.email, m.email_key from email_changes m join subscribers s on s.id = m.subscriber_id
             where m.id = $1 and s.state = 'active' and not exists (select 1 from subscribers o where o.email_key = m.email_key)",
            id
        )?;
        let Some((subscriber, old, email, key)) = row else {
            return Ok(false);
        };
        if is_suppressed(&mut tx, &hashes_of(&email)).await? {
            return Ok(false);
        }
        if execute!(tx, "delete from email_changes where id = $1", id)? == 0 {
            return Ok(false);
        }
        execute!(
            tx,
            "insert into former_addresses (email_key, subscriber_id, left_at) select email_key, id, $2 from subscribers where id = $1
             on conflict (email_key) do update set subscriber_id = excluded.subscriber_id, left_at = excluded.left_at",
            subscriber,
            now.timestamp_millis()
        )?;
        execute!(
            tx,
            "delete from former_addresses where email_key = $1",
            &key
        )?;
        execute!(
            tx,
            "update subscribers set email = $2, email_key = $3 where id = $1",
            subscriber,
            email,
            key
        )?;
        queue(
            &mut tx,
            subscriber,
            DeliveryKind::EmailChanged,
            Some(Payload {
                email: &old,
                token_id: None,
            }),
            now,
        )
        .await?;
        history(&mut tx, subscriber, now, &HistoryEvent::EmailChanged).await?;
        super::refusals::forgive(&mut tx, subscriber).await?;
        match tx.commit().await {
            // Somebody else took the address in the same moment.
            Err(sqlx::Error::Database(error)) if error.is_unique_violation() => Ok(false),
            done => Ok(done.map(|()| true)?),
        }
    }

    /// Returns whether that mailing went to another address than its subscriber's.
    pub async fn went_elsewhere(&self, mailing: i64) -> Result<bool, StorageError> {
        let mut reader = self.read().await?;
        let found: Option<(i64,)> = optional!(
            reader,
            "select mailing_id from transactional_mails where mailing_id = $1",
            mailing
        )?;
        Ok(found.is_some())
    }
}
