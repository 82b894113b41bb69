//! Mails that came back: kept and acted on in one transaction, each once.

use super::Storage;
use super::StorageError;
use super::Tx;
use super::audit_log::ChangeAuthor;
use super::audit_log::ChangeSubject;
use super::growth;
use super::history::history;
use super::history::history_of_digest;
use super::history::newest_digest;
use super::inbound_reports;
use super::people::suppress;
use super::refusals::Channel;
use super::refusals::Effect;
use super::refusals::StoredRefusal;
use super::refusals::record;
use super::unmatched;
use super::unmatched::Unmatched;
use crate::domain::Timestamp;
use crate::domain::actor::Actor;
use crate::domain::audit::AuditAction;
use crate::domain::delivery::DeliveryKey;
use crate::domain::from_millis;
use crate::domain::growth::GrowthKind;
use crate::domain::history::HistoryEvent;
use crate::domain::history::UnsubscribedBy;
use crate::domain::inbound::RecipientReport;
use crate::domain::inbound_channel::InboundChannel;
use crate::domain::slot::Slot;
use crate::domain::subscriber::SubscriberState;
use crate::storage::refusal_groups::add_to_lots;

/// Subscriber and delivery that a mail is about.
#[derive(Debug, Clone, Copy)]
pub struct About<'a> {
    /// The subscriber.
    pub subscriber: i64,
    /// The mailing, if the mail tells; otherwise the newest digest that they got is meant.
    pub mailing: Option<i64>,
    /// The keyed hash of their address, and with which secret.
    pub hash: &'a str,
    /// The name of that secret.
    pub key_name: &'a str,
}

/// A mail to be kept and acted on.
#[derive(Debug, Clone, Copy)]
pub struct InboundMail<'a> {
    /// By what it is known again.
    pub fingerprint: &'a str,
    /// The way that it came.
    pub channel: InboundChannel,
    /// Its meaning.
    pub finding: &'a RecipientReport,
    /// Subscriber whom it is about, if that is certain, and the action on them.
    pub about: Option<(About<'a>, InboundAction<'a>)>,
    /// Copy for another look, where nothing proves whose it is.
    pub unmatched: Option<Unmatched<'a>>,
    /// True if it was here before, matched nothing, and does now: then it counts as new.
    pub is_again: bool,
    /// The mail or event itself.
    pub raw: Option<&'a [u8]>,
}

/// Action on a mail that came back.
#[derive(Debug, Clone, Copy)]
pub enum InboundAction<'a> {
    /// Nothing but the record of it.
    Nothing,
    /// It counts as a refusal.
    Count(&'a StoredRefusal),
    /// The subscription ends at once, and for ever.
    Complain,
    /// The subscription ends as the reader wishes.
    Unsubscribe,
}

/// Result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InboundResult {
    /// It was here before, and nothing was done.
    Before,
    /// It is kept, and led to nothing.
    Kept,
    /// It ended a subscription.
    Ended,
    /// It is hard, and judged together with others like it: see [`super::brake`].
    Waits,
    /// Its author is asked whether they want to join, by the rules of a sign-up.
    Asked,
    /// It confirmed a subscription.
    Confirmed,
    /// It was not acted on, and a reader gets a mail with the link.
    LinkSent,
}

impl Storage {
    /// Keeps the mail and does what it leads to, or neither.
    pub async fn take_inbound(
        &self,
        mail: &InboundMail<'_>,
        now: Timestamp,
    ) -> Result<InboundResult, StorageError> {
        repeated!(self.take_inbound_once(mail, now))
    }

    async fn take_inbound_once(
        &self,
        mail: &InboundMail<'_>,
        now: Timestamp,
    ) -> Result<InboundResult, StorageError> {
        let mut tx = self.begin().await?;
        let about = mail.about.as_ref().map(|(about, _)| about);
        let mailing = match about {
            Some(about) if about.mailing.is_none() => {
                newest_digest(&mut tx, about.subscriber).await?
            }
            about => about.and_then(|about| about.mailing),
        };
        let finding = mail.finding;
        // What came back from an address that they have left says nothing of the one they have.
        let is_refusal = matches!(mail.about, Some((_, InboundAction::Count(_))));
        let is_stale = match (about, mailing) {
            (Some(about), Some(id)) if is_refusal => {
                !went_to_this_address(&mut tx, about.subscriber, id).await?
            }
            _ => false,
        };
        let mailing = mailing.filter(|_| !is_stale);
        if mail.is_again && unmatched::forget(&mut tx, mail.fingerprint).await? > 0 {
            execute!(
                tx,
                "delete from inbound_mails where fingerprint = $1",
                mail.fingerprint
            )?;
        }
        let kept = execute!(
            tx,
            "insert into inbound_mails (fingerprint, received_at, channel, class, soft_class, reason, status, reply, subscriber_id, mailing_id)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) on conflict (fingerprint) do nothing",
            mail.fingerprint,
            now.timestamp_millis(),
            mail.channel.as_str(),
            finding.meaning.as_str(),
            finding.class.map(|class| class.as_str()),
            finding.reason.map(|reason| reason.as_str()),
            finding.status.map(|status| status.to_string()),
            about.map(|_| finding.line.as_str()),
            about.map(|about| about.subscriber),
            mailing
        )?;
        if kept == 0 {
            return Ok(InboundResult::Before);
        }
        if let (Some(about), Some(raw)) = (about, mail.raw) {
            inbound_reports::keep(&mut tx, mail.fingerprint, about.subscriber, raw, now).await?;
        }
        if let Some(unmatched) = &mail.unmatched {
            unmatched::keep(&mut tx, mail.fingerprint, mail.channel, unmatched, now).await?;
        }
        let actor = Actor::inbound(mail.channel.as_str());
        let taken = if is_stale {
            InboundResult::Kept
        } else {
            act(&mut tx, mail, mailing, self.author(&actor), now).await?
        };
        tx.commit().await?;
        Ok(taken)
    }

    /// Returns whether a mail was here before.
    pub async fn knows_inbound(&self, fingerprint: &str) -> Result<bool, StorageError> {
        let mut reader = self.read().await?;
        let row: Option<(i64,)> = optional!(
            reader,
            "select received_at from inbound_mails where fingerprint = $1",
            fingerprint
        )?;
        Ok(row.is_some())
    }

    /// Forgets mails that came before that moment, at most 500 in one transaction; answers how many.
    pub async fn forget_inbound(&self, before: Timestamp) -> Result<u64, StorageError> {
        let mut tx = self.begin().await?;
        let old: Vec<(String,)> = all!(
            tx,
            "select fingerprint from inbound_mails where received_at < $1 order by received_at limit 500",
            before.timestamp_millis()
        )?;
        let mut gone = 0;
        // One by one: given the list, PostgreSQL reads the whole table.
        for (fingerprint,) in old {
            gone += execute!(
                tx,
                "delete from inbound_mails where fingerprint = $1",
                fingerprint
            )?;
        }
        tx.commit().await?;
        Ok(gone)
    }

    /// Returns since when the confirmation mail with that key is out, or waits, for one that is in doubt may be answered; `None` if it is another
    /// mail, or none.
    pub async fn confirmation_queued_at(
        &self,
        key: DeliveryKey,
    ) -> Result<Option<Timestamp>, StorageError> {
        let mut reader = self.read().await?;
        let row: Option<(i64,)> = optional!(
            reader,
            "select coalesce(finished_at, started_at, queued_at) from deliveries
             where mailing_id = $1 and subscriber_id = $2 and kind in ('confirmation', 'confirmation_reminder')",
            key.mailing,
            key.subscriber
        )?;
        Ok(row.map(|(at,)| from_millis(at)))
    }

    /// Returns whether there is such a delivery.
    pub async fn has_delivery(&self, key: DeliveryKey) -> Result<bool, StorageError> {
        let mut reader = self.read().await?;
        let row: Option<(i64,)> = optional!(
            reader,
            "select mailing_id from deliveries where mailing_id = $1 and subscriber_id = $2",
            key.mailing,
            key.subscriber
        )?;
        Ok(row.is_some())
    }

    /// Takes a suppression back and notes why; a subscriber who was ended by it is `unsubscribed` from then on, and may be
    /// signed up again. Answers what the reason of the suppression was; `None` if there was none.
    pub async fn lift_suppression(
        &self,
        actor: &Actor,
        email_key: &str,
        hashes: &[String],
        note: &str,
        now: Timestamp,
    ) -> Result<Option<String>, StorageError> {
        let mut tx = self.begin().await?;
        let mut lifted = None;
        for hash in hashes {
            let found: Option<(String, i64)> = optional!(
                tx,
                "delete from suppressions where address_hash = $1 returning reason, created_at",
                hash
            )?;
            let Some((reason, suppressed_at)) = found else {
                continue;
            };
            execute!(
                tx,
                "insert into suppression_removals (address_hash, lifted_at, reason, suppressed_at, note) values ($1, $2, $3, $4, $5)
                 on conflict (address_hash, lifted_at) do nothing",
                hash,
                now.timestamp_millis(),
                reason.as_str(),
                suppressed_at,
                note
            )?;
            let detail = serde_json::json!({ "reason": reason });
            let subject = Some(ChangeSubject::Suppression(hash));
            self.author(actor)
                .note(
                    &mut tx,
                    AuditAction::SuppressionRemoved,
                    subject,
                    &detail,
                    now,
                )
                .await?;
            lifted = Some(reason);
        }
        let ended: Option<(i64, String)> = optional!(
            tx,
            "update subscribers set state = 'unsubscribed', state_at = $2 where email_key = $1 and state in ('bounced', 'complained')
             returning id, state",
            email_key,
            now.timestamp_millis()
        )?;
        if let Some((id, _)) = ended {
            history(
                &mut tx,
                id,
                now,
                &HistoryEvent::SuppressionRemoved {
                    note: note.to_owned(),
                },
            )
            .await?;
            // What was refused before counts no more.
            super::refusals::forgive(&mut tx, id).await?;
            let detail = serde_json::json!({ "state": SubscriberState::Unsubscribed });
            let subject = Some(ChangeSubject::Subscriber(id));
            self.author(actor)
                .note(
                    &mut tx,
                    AuditAction::SuppressionRemoved,
                    subject,
                    &detail,
                    now,
                )
                .await?;
            lifted = lifted.or_else(|| Some("bounced".into()));
        }
        tx.commit().await?;
        Ok(lifted)
    }
}

/// Returns whether a digest's delivery went to the address that its subscriber has now. The mail that tells the old address is queued in the
/// moment of the change, and one that was about to be sent then may have left within the hour after it.
async fn went_to_this_address(
    tx: &mut Tx,
    subscriber: i64,
    mailing: i64,
) -> Result<bool, StorageError> {
    let row: Option<(i64,)> = optional!(
        tx,
        "select l.mailing_id from deliveries l where l.mailing_id = $1 and l.subscriber_id = $2
         and not exists (select 1 from deliveries told
           where told.subscriber_id = l.subscriber_id and told.kind <> 'digest' and told.kind = 'email_changed' and l.started_at < told.queued_at + 3600000)",
        mailing,
        subscriber
    )?;
    Ok(row.is_some())
}

async fn act(
    tx: &mut Tx,
    mail: &InboundMail<'_>,
    mailing: Option<i64>,
    author: ChangeAuthor<'_>,
    now: Timestamp,
) -> Result<InboundResult, StorageError> {
    let Some((about, action)) = &mail.about else {
        return Ok(InboundResult::Kept);
    };
    let (state, event) = match action {
        InboundAction::Nothing => return Ok(InboundResult::Kept),
        InboundAction::Count(refusal) => {
            let key = DeliveryKey {
                mailing: mailing.unwrap_or_default(),
                subscriber: about.subscriber,
            };
            let mut added = Vec::new();
            let effect = record(tx, key, refusal, Channel::Report, &mut added, author, now).await?;
            add_to_lots(tx, added, now).await?;
            return Ok(match effect {
                Effect::Ended => InboundResult::Ended,
                Effect::Waits => InboundResult::Waits,
                Effect::Recorded | Effect::Nothing => InboundResult::Kept,
            });
        }
        InboundAction::Complain => (
            SubscriberState::Complained,
            HistoryEvent::Complained {
                reply: mail.finding.line.clone(),
            },
        ),
        InboundAction::Unsubscribe => (
            SubscriberState::Unsubscribed,
            HistoryEvent::Unsubscribed {
                by: UnsubscribedBy::Mail,
            },
        ),
    };
    let is_complaint = state == SubscriberState::Complained;
    let standing = growth::standing(tx, about.subscriber).await?;
    let ended = execute!(
        tx,
        "update subscribers set state = $2, state_at = $3, requested_at = null
         where id = $1 and (state in ('pending', 'active') or (state = 'unsubscribed' and ($4 = 1 or requested_at is not null))
           or (state = 'bounced' and $4 = 1))",
        about.subscriber,
        state.as_str(),
        now.timestamp_millis(),
        i64::from(is_complaint)
    )?;
    if ended == 0 {
        return Ok(InboundResult::Kept);
    }
    let left = (about.subscriber, standing, is_complaint);
    note_leaving(tx, left, mailing, &event, now).await?;
    let action = if is_complaint {
        AuditAction::SubscriberComplained
    } else {
        AuditAction::SubscriberUnsubscribed
    };
    let subject = Some(ChangeSubject::Subscriber(about.subscriber));
    let detail = serde_json::json!({ "slot": mailing.and_then(Slot::from_id) });
    author.note(tx, action, subject, &detail, now).await?;
    if is_complaint {
        // Nothing is left to be decided.
        execute!(
            tx,
            "update refusals set outcome = 'released' where subscriber_id = $1 and outcome = 'waiting'",
            about.subscriber
        )?;
        suppress(tx, about.hash, about.key_name, state.as_str(), now).await?;
    }
    Ok(InboundResult::Ended)
}

/// Notes that somebody left by a mail or a complaint: in the growth of the list, and in their history with the digest that it is about, or
/// else the newest one that they got.
async fn note_leaving(
    tx: &mut Tx,
    (subscriber, standing, is_complaint): (i64, Option<growth::Standing>, bool),
    mailing: Option<i64>,
    event: &HistoryEvent,
    now: Timestamp,
) -> Result<(), StorageError> {
    let kind = match is_complaint {
        true => GrowthKind::Complained,
        false => GrowthKind::LeftByMail,
    };
    growth::left(tx, standing.as_ref(), kind, now).await?;
    let digest = match mailing.and_then(Slot::from_id) {
        Some(slot) => Some(slot),
        None => newest_digest(tx, subscriber).await?.and_then(Slot::from_id),
    };
    history_of_digest(tx, subscriber, digest, now, event).await
}
