//! The one reminder to a sign-up that nobody confirmed.

use super::Storage;
use super::StorageError;
use super::quotas;
use super::quotas::MailQuotas;
use super::subscribers::is_suppressed;
use super::transactional::queue;
use crate::domain::Timestamp;
use crate::domain::delivery::DeliveryKind;
use crate::domain::delivery::DeliveryState;
use crate::domain::from_millis;
use crate::domain::inbound::RefusalClass;

/// Result of a look at a sign-up that may need a reminder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reminded {
    /// A reminder is queued.
    Queued,
    /// Its confirmation mail waits, or is not out for long enough: it is looked at again.
    NotYet,
    /// No reminder, now or later.
    Never,
}

impl Storage {
    /// Sign-ups whose confirmation mail was queued before a time, the oldest first: their numbers and addresses.
    pub async fn sign_ups_to_remind(
        &self,
        before: Timestamp,
        limit: i64,
    ) -> Result<Vec<(i64, String)>, StorageError> {
        let mut reader = self.read().await?;
        Ok(all!(
            reader,
            "select id, email from subscribers where remind_from is not null and remind_from <= $1 order by remind_from limit $2",
            before.timestamp_millis(),
            limit
        )?)
    }

    /// Queues the reminder of a sign-up, once ever: not for who confirmed, left, bounced or is suppressed meanwhile, nor where the confirmation
    /// mail did not arrive, or went out after `latest` or, for nobody was there to remind in time, before `earliest`.
    pub async fn remind(
        &self,
        subscriber: i64,
        hashes: &[String],
        quotas: &MailQuotas,
        window: (Timestamp, Timestamp),
        now: Timestamp,
    ) -> Result<Reminded, StorageError> {
        repeated!(self.remind_once(subscriber, hashes, quotas, window, now))
    }

    async fn remind_once(
        &self,
        subscriber: i64,
        hashes: &[String],
        quotas: &MailQuotas,
        (earliest, latest): (Timestamp, Timestamp),
        now: Timestamp,
    ) -> Result<Reminded, StorageError> {
        let mut tx = self.begin().await?;
        // Takes the row's lock: two processes go one by one, and the second finds nothing to do.
        let waits = execute!(
            tx,
            "update subscribers set remind_from = null where id = $1 and remind_from is not null",
            subscriber
        )?;
        let is_pending: Option<(i64,)> = optional!(
            tx,
            "select id from subscribers where id = $1 and state = 'pending' and requested_at is not null",
            subscriber
        )?;
        let is_refused: Option<(i64,)> = optional!(
            tx,
            "select mailing_id from refusals where subscriber_id = $1 and class = $2 limit 1",
            subscriber,
            RefusalClass::Hard.as_str()
        )?;
        let mail: Option<(String, Option<i64>)> = optional!(
            tx,
            "select state, finished_at from deliveries where subscriber_id = $1 and kind <> 'digest' and kind = 'confirmation'
             order by queued_at desc limit 1",
            subscriber
        )?;
        let is_wanted = waits > 0
            && is_pending.is_some()
            && is_refused.is_none()
            && !is_suppressed(&mut tx, hashes).await?;
        let (state, finished_at) = mail.unwrap_or_default();
        let is_sent = state == DeliveryState::Sent.as_str();
        let is_open = finished_at.is_none() && !state.is_empty();
        let too_early = finished_at.filter(|at| *at > latest.timestamp_millis());
        let look_again = match (is_open, too_early) {
            (true, _) => Some(now),
            (false, Some(at)) if is_sent => Some(from_millis(at)),
            _ => None,
        };
        if let Some(at) = look_again.filter(|_| is_wanted) {
            execute!(
                tx,
                "update subscribers set remind_from = $2 where id = $1",
                subscriber,
                at.timestamp_millis()
            )?;
            tx.commit().await?;
            return Ok(Reminded::NotYet);
        }
        let limits = quotas.recipient.iter().chain(&quotas.unanswered);
        let in_time = finished_at.is_some_and(|at| at >= earliest.timestamp_millis());
        let may = is_wanted && is_sent && in_time;
        let is_within = may
            && quotas::take(&mut tx, limits.map(|quota| (quota, true)), now)
                .await?
                .is_ok();
        if is_within {
            queue(
                &mut tx,
                subscriber,
                DeliveryKind::ConfirmationReminder,
                None,
                now,
            )
            .await?;
        }
        tx.commit().await?;
        Ok(if is_within {
            Reminded::Queued
        } else {
            Reminded::Never
        })
    }
}
