//! Transactional mails: one person is written to, now. They stand in the ledger beside digests, each a mailing of its own, and overtake them.
//!
//! The kind of a mail says who it is for and what its link does. What a kind needs beyond its subscriber, an address that is not theirs or
//! what the link is about, is its [`Payload`], a row in `transactional_mails`.

use super::StorageError;
use super::Tx;
use super::ids;
use crate::domain::Timestamp;
use crate::domain::delivery::DeliveryKind;
use crate::domain::delivery::DeliveryState;
use crate::domain::delivery::MailClass;
use crate::domain::delivery::SkipReason;

/// Payload of a mail beyond its kind and its subscriber.
#[derive(Debug, Clone, Copy)]
pub(super) struct Payload<'a> {
    /// The address that it goes to.
    pub email: &'a str,
    /// Id of the change of address that its link confirms.
    pub token_id: Option<i64>,
}

/// Queues a mail of that kind, and tells the senders.
pub(super) async fn queue(
    tx: &mut Tx,
    subscriber: i64,
    kind: DeliveryKind,
    payload: Option<Payload<'_>>,
    now: Timestamp,
) -> Result<(), StorageError> {
    insert(tx, subscriber, kind, payload, now).await?;
    crate::storage::notifications::notify(tx).await
}

/// Queues the confirmation mail, in place of one that has not gone out.
pub(super) async fn queue_confirmation(
    tx: &mut Tx,
    subscriber: i64,
    now: Timestamp,
) -> Result<(), StorageError> {
    let millis = now.timestamp_millis();
    execute!(
        tx,
        "update subscribers set confirmation_at = $2, remind_from = case when not exists (select 1 from deliveries d
           where d.subscriber_id = subscribers.id and d.kind <> 'digest' and d.kind = 'confirmation_reminder') then $2 end
         where id = $1",
        subscriber,
        millis
    )?;
    supersede_confirmations(tx, subscriber, now).await?;
    queue(tx, subscriber, DeliveryKind::Confirmation, None, now).await
}

/// Queues a mail of that kind; the caller tells the senders.
pub(super) async fn insert(
    tx: &mut Tx,
    subscriber: i64,
    kind: DeliveryKind,
    payload: Option<Payload<'_>>,
    now: Timestamp,
) -> Result<(), StorageError> {
    let (mailing, millis) = (ids::fresh(now), now.timestamp_millis());
    if let Some(payload) = payload {
        execute!(
            tx,
            "insert into transactional_mails (mailing_id, subscriber_id, email, token_id) values ($1, $2, $3, $4)",
            mailing,
            subscriber,
            payload.email,
            payload.token_id
        )?;
    }
    execute!(
        tx,
        "insert into deliveries (mailing_id, subscriber_id, kind, state, queued_at, due_at) values ($1, $2, $3, $4, $5, $5)",
        mailing,
        subscriber,
        kind.as_str(),
        DeliveryState::Queued.as_str(),
        millis
    )?;
    execute!(
        tx,
        "insert into delivery_batches (mailing_id, first_id, last_id, class, due_at, is_split) values ($1, $2, $2, $3, $4, 1)",
        mailing,
        subscriber,
        MailClass::Transactional.as_str(),
        millis
    )?;
    Ok(())
}

/// Skips the confirmation mails of a subscriber that still wait: a newer one takes their place, and both would arrive side by side.
pub(super) async fn supersede_confirmations(
    tx: &mut Tx,
    subscriber: i64,
    now: Timestamp,
) -> Result<(), StorageError> {
    execute!(
        tx,
        "update deliveries set state = 'skipped', skip_reason = $3, finished_at = $2
         where subscriber_id = $1 and kind <> 'digest' and kind in ('confirmation', 'confirmation_reminder') and finished_at is null and state = 'queued'",
        subscriber,
        now.timestamp_millis(),
        SkipReason::Superseded.as_str()
    )?;
    Ok(())
}

/// Returns whether a mail of that kind was queued for a subscriber after `since`.
pub(super) async fn was_queued_since(
    tx: &mut Tx,
    subscriber: i64,
    kind: DeliveryKind,
    since: Timestamp,
) -> Result<bool, StorageError> {
    let found: Option<(i64,)> = optional!(
        tx,
        "select mailing_id from deliveries where subscriber_id = $1 and kind <> 'digest' and kind = $2 and queued_at > $3 limit 1",
        subscriber,
        kind.as_str(),
        since.timestamp_millis()
    )?;
    Ok(found.is_some())
}
