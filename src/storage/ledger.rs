//! The ledger of deliveries: what waits, how all stand, and why some did not go out.
//!
//! A sender holds a row in `senders` and renews it. It claims [`batches`](crate::storage::ledger::batches) of deliveries, which stay `queued`, and before
//! each message goes out [`Storage::step`](crate::storage::Storage::step) commits, in one transaction for all connections, the results so far and the marks
//! `sending` of what goes out next. So at any instant the rows in `sending` are exactly those handed to a connection: killed then,
//! they are the ones in doubt, at most one for each connection.

pub mod batches;
pub(super) mod counts;
pub(super) mod held_batches;
pub(super) mod returned_batches;
pub mod send_stats;
pub(super) mod senders;
pub mod updates;

use std::collections::BTreeMap;

use chrono::TimeDelta;

use super::ReadConnection;
use super::StorageError;
use super::Tx;
use super::stored;
use crate::domain::Timestamp;
use crate::domain::delivery::BatchKey;
use crate::domain::delivery::DeliveryKey;
use crate::domain::delivery::DeliveryKind;
use crate::domain::delivery::DeliveryState;
use crate::domain::delivery::SkipReason;
use crate::domain::from_millis;
use crate::domain::progress::MinuteStats;
use crate::domain::progress::minute_of;
use crate::domain::subscriber::SubscriberState;
use crate::storage::ledger::batches::DeliveryBatch;
use crate::storage::ledger::counts::Skips;
use crate::storage::ledger::counts::note_skips;

/// A delivery in a batch that this process has claimed.
#[derive(Debug, Clone)]
pub struct Job {
    /// Which.
    pub key: DeliveryKey,
    /// In which batch it was claimed.
    pub batch: BatchKey,
    /// What.
    pub kind: DeliveryKind,
    /// Attempts before this one.
    pub attempts: u32,
    /// Since when it is in the ledger.
    pub queued_at: Timestamp,
    /// Time when it was first tried, if it was.
    pub first_at: Option<Timestamp>,
    /// Sum of the waits between its tries so far: what `mail.retry.max_age` bounds.
    pub waited: TimeDelta,
    /// Variant of the digest; `None`: as everybody gets it.
    pub variant: Option<i64>,
    /// Number of corrections of the digest that its mail is made from: those that it was begun with, else all.
    pub version: i64,
    /// Subject of its link, where that is not the subscriber: a change of address.
    pub token_id: Option<i64>,
    /// To which address.
    pub email: String,
    /// Since when the subscriber stands where they stand: an active one gets the newsletter since then.
    pub since: Timestamp,
}

/// A digest's deliveries by state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Tally {
    /// Waiting.
    pub queued: u64,
    /// Handed to a connection.
    pub sending: u64,
    /// Delivered.
    pub sent: u64,
    /// Final, tried and not delivered.
    pub failed: u64,
    /// Final, not sent on purpose.
    pub skipped: u64,
    /// In doubt.
    pub uncertain: u64,
}

impl Tally {
    /// Deliveries that are not final. One in doubt that is held counts too: somebody must look at it.
    pub fn open(&self) -> u64 {
        self.queued + self.sending + self.uncertain
    }

    /// Adds another's counts.
    pub fn add(&mut self, other: &Self) {
        self.queued += other.queued;
        self.sending += other.sending;
        self.sent += other.sent;
        self.failed += other.failed;
        self.skipped += other.skipped;
        self.uncertain += other.uncertain;
    }

    /// Each state with its count.
    pub fn by_state(&self) -> [(DeliveryState, u64); 6] {
        [
            (DeliveryState::Queued, self.queued),
            (DeliveryState::Sending, self.sending),
            (DeliveryState::Sent, self.sent),
            (DeliveryState::Failed, self.failed),
            (DeliveryState::Skipped, self.skipped),
            (DeliveryState::Uncertain, self.uncertain),
        ]
    }
}

#[derive(sqlx::FromRow)]
struct JobRow {
    mailing_id: i64,
    subscriber_id: i64,
    kind: String,
    attempts: i64,
    queued_at: i64,
    first_at: Option<i64>,
    waited_ms: Option<i64>,
    variant: Option<i64>,
    version: i64,
    token_id: Option<i64>,
    other_email: Option<String>,
    email: Option<String>,
    state: Option<String>,
    state_at: Option<i64>,
    requested_at: Option<i64>,
}

/// Returns why a claimed delivery must not go out, if so: suppression and leaving are looked at now, not when it was queued.
fn why_not(
    row: &JobRow,
    kind: DeliveryKind,
    now: Timestamp,
) -> Result<Option<SkipReason>, StorageError> {
    let is_too_late = |wait| now - from_millis(row.queued_at) > wait;
    if kind.wait_max().is_some_and(is_too_late) {
        return Ok(Some(SkipReason::Expired));
    }
    let Some(state) = &row.state else {
        return Ok(Some(SkipReason::Erased));
    };
    let state = stored(state.parse())?;
    let is_wanted = match kind {
        DeliveryKind::Confirmation | DeliveryKind::ConfirmationReminder => {
            row.requested_at.is_some()
        }
        // Somebody who left may still ask what is known of them.
        DeliveryKind::AccountLink => {
            matches!(
                state,
                SubscriberState::Active | SubscriberState::Unsubscribed
            )
        }
        _ => state == SubscriberState::Active,
    };
    Ok(match state {
        _ if is_wanted => None,
        SubscriberState::Unsubscribed => Some(SkipReason::Left),
        SubscriberState::Bounced | SubscriberState::Complained => Some(SkipReason::Suppressed),
        SubscriberState::Active | SubscriberState::Pending => Some(SkipReason::NotRequested),
    })
}

/// Ends deliveries that must not go out any more.
pub(super) async fn skip(
    tx: &mut Tx,
    skipped: &[Skipped],
    now: Timestamp,
) -> Result<(), StorageError> {
    let mut reasons = Skips::new();
    for (key, kind, reason) in skipped {
        let ended = execute!(
            tx,
            "update deliveries set state = 'skipped', skip_reason = $4, finished_at = $3
             where mailing_id = $1 and subscriber_id = $2 and state in ('queued', 'uncertain') and finished_at is null",
            key.mailing,
            key.subscriber,
            now.timestamp_millis(),
            reason.as_str()
        )?;
        if ended > 0 && *kind == DeliveryKind::Digest {
            *reasons.entry((key.mailing, *reason)).or_default() += 1;
        }
    }
    note_skips(tx, &reasons).await?;
    let mut ended: BTreeMap<i64, i64> = BTreeMap::new();
    reasons
        .into_iter()
        .for_each(|((mailing, _), times)| *ended.entry(mailing).or_default() += times);
    for (mailing, times) in ended {
        crate::storage::ledger::send_stats::add(
            tx,
            mailing,
            &MinuteStats {
                skipped: times as u64,
                ..MinuteStats::numbered(minute_of(now))
            },
        )
        .await?;
    }
    Ok(())
}

/// A delivery that must not go out, and why.
type Skipped = (DeliveryKey, DeliveryKind, SkipReason);

/// Reads what is due in a batch, retries first, and what of it must not go out any more. Both sides of the join are bounded by the
/// batch, so that no plan
/// can walk through all subscribers.
pub(super) async fn jobs_of(
    reader: &mut ReadConnection,
    chunk: DeliveryBatch,
    now: Timestamp,
) -> Result<(Vec<Job>, Vec<Skipped>), StorageError> {
    let rows: Vec<JobRow> = all!(
        reader,
        "select d.mailing_id, d.subscriber_id, d.kind, d.attempts, d.queued_at, d.first_at, d.waited_ms, d.variant,
           coalesce(case when d.first_at is null then (select g.corrections from digests g where g.id = $1) else d.version end, 0) as version,
           n.token_id, n.email as other_email, s.email, s.state, s.state_at, s.requested_at
         from deliveries d
         left join subscribers s on s.id = d.subscriber_id and s.id between $2 and $3
         left join transactional_mails n on n.mailing_id = d.mailing_id and n.mailing_id = $1
         where d.mailing_id = $1 and d.subscriber_id between $2 and $3 and d.finished_at is null and d.state in ('queued', 'uncertain')
           and d.due_at <= $4
         order by case when d.attempts > 0 then 0 else 1 end, d.subscriber_id",
        chunk.key.mailing,
        chunk.first,
        chunk.key.last,
        now.timestamp_millis()
    )?;
    let (mut jobs, mut skipped) = (Vec::with_capacity(rows.len()), Vec::new());
    for row in rows {
        let kind = stored(row.kind.parse())?;
        match why_not(&row, kind, now)? {
            Some(why) => {
                let key = DeliveryKey {
                    mailing: row.mailing_id,
                    subscriber: row.subscriber_id,
                };
                skipped.push((key, kind, why));
            }
            None => jobs.push(job_from(row, kind, chunk.key)),
        }
    }
    Ok((jobs, skipped))
}

fn job_from(row: JobRow, kind: DeliveryKind, chunk: BatchKey) -> Job {
    Job {
        key: DeliveryKey {
            mailing: row.mailing_id,
            subscriber: row.subscriber_id,
        },
        batch: chunk,
        kind,
        attempts: row.attempts as u32,
        queued_at: from_millis(row.queued_at),
        first_at: row.first_at.map(from_millis),
        waited: TimeDelta::milliseconds(row.waited_ms.unwrap_or(0)),
        variant: row.variant,
        version: row.version,
        token_id: row.token_id,
        email: row.other_email.or(row.email).unwrap_or_default(),
        since: from_millis(row.state_at.unwrap_or(row.queued_at)),
    }
}
