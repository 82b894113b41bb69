//! Changes of one subscriber by an operator: pause, and the confirmation mail once more.

use super::Storage;
use super::StorageError;
use super::audit_log::ChangeSubject;
use super::history::history;
use super::quotas;
use super::quotas::MailQuotas;
use super::transactional::queue_confirmation;
use crate::domain::Timestamp;
use crate::domain::actor::Actor;
use crate::domain::audit::AuditAction;
use crate::domain::history::HistoryEvent;

/// Result of asking for the confirmation mail once more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resent {
    /// It is queued.
    Queued,
    /// No sign-up of theirs waits for a confirmation.
    NotWaiting,
    /// There was one a short time ago, or that mailbox had as many mails as it gets.
    Limited,
}

impl Storage {
    /// Pauses mail to an active subscriber until then, or ends their pause; `false` if they are not active.
    pub async fn pause_subscriber(
        &self,
        actor: &Actor,
        subscriber: i64,
        until: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<bool, StorageError> {
        let mut tx = self.begin().await?;
        // Takes the row's lock, as the reader's own change does.
        if execute!(
            tx,
            "update subscribers set name = name where id = $1 and state = 'active'",
            subscriber
        )? == 0
        {
            return Ok(false);
        }
        execute!(
            tx,
            "insert into preferences (subscriber_id, paused_until, paused_at) values ($1, $2, $3)
             on conflict (subscriber_id) do update set paused_until = excluded.paused_until, paused_at = excluded.paused_at",
            subscriber,
            until.map(|at| at.timestamp_millis()),
            until.map(|_| now.timestamp_millis())
        )?;
        let event = HistoryEvent::PausedByOperator { until };
        history(&mut tx, subscriber, now, &event).await?;
        let detail = serde_json::json!({ "until": until });
        self.author(actor)
            .note(
                &mut tx,
                AuditAction::SubscriberPaused,
                Some(ChangeSubject::Subscriber(subscriber)),
                &detail,
                now,
            )
            .await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Queues the confirmation mail of an open sign-up once more; no second one where there was one after `quiet_since`.
    pub async fn resend_confirmation(
        &self,
        actor: &Actor,
        subscriber: i64,
        quiet_since: Timestamp,
        mail_quotas: &MailQuotas,
        now: Timestamp,
    ) -> Result<Resent, StorageError> {
        let mut tx = self.begin().await?;
        let row: Option<(Option<i64>,)> = optional!(
            tx,
            "update subscribers set requested_at = $2
             where id = $1 and state in ('pending', 'unsubscribed') and requested_at is not null returning confirmation_at",
            subscriber,
            now.timestamp_millis()
        )?;
        let Some((last,)) = row else {
            return Ok(Resent::NotWaiting);
        };
        let is_recent = last.is_some_and(|at| at > quiet_since.timestamp_millis());
        let limits = mail_quotas
            .recipient
            .iter()
            .chain(&mail_quotas.unanswered)
            .map(|quota| (quota, true));
        if is_recent || quotas::take(&mut tx, limits, now).await?.is_err() {
            return Ok(Resent::Limited);
        }
        queue_confirmation(&mut tx, subscriber, now).await?;
        history(&mut tx, subscriber, now, &HistoryEvent::ConfirmationResent).await?;
        self.author(actor)
            .note(
                &mut tx,
                AuditAction::ConfirmationResent,
                Some(ChangeSubject::Subscriber(subscriber)),
                &serde_json::json!({}),
                now,
            )
            .await?;
        tx.commit().await?;
        Ok(Resent::Queued)
    }
}
