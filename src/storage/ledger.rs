//! The ledger of deliveries: claims under a lease, results in group commits.
//!
//! A sender holds a row in `senders` and renews it. It claims a chunk of deliveries (they stay `queued`, with its
//! number), and before each message goes out [`Storage::step`] commits, in one transaction for all connections, the
//! results so far and the marks `sending` of what goes out next. So at any instant the rows in `sending` are exactly
//! those handed to a connection: killed then, they are the ones in doubt, at most one for each connection.

use super::Queryable;
use super::Storage;
use super::StorageError;
use super::Tx;
use super::stored;
use crate::domain::Timestamp;
use crate::domain::delivery::DeliveryKey;
use crate::domain::delivery::DeliveryKind;
use crate::domain::delivery::Notice;
use crate::domain::from_millis;
use crate::domain::progress::Minute;
use crate::domain::progress::minute_of;
use crate::domain::subscriber::SubscriberState;

/// A delivery that this process has claimed.
#[derive(Debug, Clone)]
pub struct Job {
    /// Which.
    pub key: DeliveryKey,
    /// What.
    pub kind: DeliveryKind,
    /// Attempts before this one.
    pub attempts: u32,
    /// Since when it is in the ledger.
    pub queued_at: Timestamp,
    /// When it was first tried, if it was: `mail.retry.max_age` counts from there.
    pub first_at: Option<Timestamp>,
    /// Which variant of the digest; `None`: as everybody gets it.
    pub variant: Option<i64>,
    /// What it is, if it stands among the confirmations and is none, and what its link is for.
    pub notice: Option<(Notice, i64)>,
    /// To which address.
    pub email: String,
    /// Since when the subscriber stands where they stand: an active one gets the newsletter since then.
    pub since: Timestamp,
}

/// A digest's or confirmation's deliveries by state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Tally {
    /// Waiting.
    pub queued: u64,
    /// Handed to a connection.
    pub sending: u64,
    /// Delivered.
    pub sent: u64,
    /// Final, not delivered.
    pub failed: u64,
    /// In doubt.
    pub uncertain: u64,
}

impl Tally {
    /// Deliveries that are not final. One in doubt that is held counts too: somebody must look at it.
    pub fn open(&self) -> u64 {
        self.queued + self.sending + self.uncertain
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
    due_at: i64,
    variant: Option<i64>,
    notice: Option<String>,
    token_id: Option<i64>,
    notice_email: Option<String>,
    email: Option<String>,
    state: Option<String>,
    state_at: Option<i64>,
    requested_at: Option<i64>,
}

/// One text for both databases but for the lock: two PostgreSQL senders must not wait for each other's rows. SQLite has one
/// writer and no such words.
macro_rules! claim {
    ($which:literal, $lock:literal) => {
        concat!(
            "update deliveries set sender_id = $1 where (mailing_id, subscriber_id) in
               (select mailing_id, subscriber_id from deliveries
                where ",
            $which,
            " and finished_at is null and state = 'queued' and sender_id is null and due_at <= $2
                order by due_at limit $3",
            $lock,
            ")
             returning mailing_id, subscriber_id, coalesce(notice, kind) as kind, attempts, queued_at, first_at, due_at, variant,
               case when kind = 'confirmation' then (select what from notices where mailing_id = deliveries.mailing_id) end as notice,
               case when kind = 'confirmation' then (select token_id from notices where mailing_id = deliveries.mailing_id) end as token_id,
               case when kind = 'confirmation' then (select email from notices where mailing_id = deliveries.mailing_id) end as notice_email,
               (select email from subscribers where id = deliveries.subscriber_id) as email,
               (select state from subscribers where id = deliveries.subscriber_id) as state,
               (select state_at from subscribers where id = deliveries.subscriber_id) as state_at,
               (select requested_at from subscribers where id = deliveries.subscriber_id) as requested_at"
        )
    };
}

impl Storage {
    /// Claims up to `count` due deliveries for a sender that is still entered: confirmations first, then those of the digests that are being
    /// sent; with `only`, those of that mailing alone. What must not go out any more becomes `failed` here.
    pub async fn claim(&self, sender: i64, only: Option<i64>, count: usize, now: Timestamp) -> Result<Vec<Job>, StorageError> {
        let mut tx = self.begin().await?;
        if !super::senders::is_entered(&mut tx, sender).await? {
            return Ok(Vec::new());
        }
        let mut rows: Vec<JobRow> = Vec::new();
        if only.is_none() {
            let sql = if tx.is_postgres() {
                claim!("kind = 'confirmation'", " for update skip locked")
            } else {
                claim!("kind = 'confirmation'", "")
            };
            rows = all!(tx, sql, sender, now.timestamp_millis(), count as i64)?;
        }
        let digests: Vec<(i64,)> = all!(tx, "select id from digests where state = 'sending' order by id")?;
        for (id,) in digests.into_iter().filter(|(id,)| only.is_none_or(|only| only == *id)) {
            let room = count - rows.len().min(count);
            if room == 0 {
                break;
            }
            let sql = if tx.is_postgres() {
                claim!("mailing_id = $4 and kind = 'digest'", " for update skip locked")
            } else {
                claim!("mailing_id = $4 and kind = 'digest'", "")
            };
            let more: Vec<JobRow> = all!(tx, sql, sender, now.timestamp_millis(), room as i64, id)?;
            rows.extend(more);
        }
        rows.sort_by_key(|row| (row.kind == "digest", row.due_at, row.mailing_id, row.subscriber_id));
        let mut jobs = Vec::with_capacity(rows.len());
        for row in rows {
            match why_not(&row)? {
                Some(why) => withhold(&mut tx, &row, why, now).await?,
                None => jobs.push(stored(job_from(row))?),
            }
        }
        tx.commit().await?;
        Ok(jobs)
    }

    /// Gives claimed deliveries that were not begun back to the ledger, to be claimed again at `due`.
    pub async fn put_off(&self, sender: i64, keys: &[DeliveryKey], due: Timestamp) -> Result<(), StorageError> {
        let mut tx = self.begin().await?;
        for key in keys {
            execute!(
                tx,
                "update deliveries set sender_id = null, due_at = $4
                 where mailing_id = $1 and subscriber_id = $2 and sender_id = $3 and state = 'queued'",
                key.mailing,
                key.subscriber,
                sender,
                due.timestamp_millis()
            )?;
        }
        Ok(tx.commit().await?)
    }

    /// Whether something waits to be claimed.
    pub async fn has_due(&self, now: Timestamp) -> Result<bool, StorageError> {
        let mut reader = self.read().await?;
        let found: Option<(i64,)> = optional!(
            reader,
            "select cast(1 as bigint) where exists
               (select 1 from deliveries where kind = 'confirmation' and finished_at is null and state = 'queued'
                and sender_id is null and due_at <= $1)
             or exists
               (select 1 from digests g join deliveries d on d.mailing_id = g.id where g.state = 'sending'
                and d.finished_at is null and d.state = 'queued' and d.sender_id is null and d.due_at <= $1)",
            now.timestamp_millis()
        )?;
        Ok(found.is_some())
    }

    /// How the deliveries of a mailing stand.
    pub async fn tally(&self, mailing: i64) -> Result<Tally, StorageError> {
        let mut reader = self.read().await?;
        tally(&mut reader, mailing).await
    }

    /// How many of a mailing's failed deliveries were never tried: their readers chose no mail (a pause, say), left, or were
    /// suppressed or erased before, or the digest was cancelled. The ledger says which of these.
    pub async fn withheld(&self, mailing: i64) -> Result<u64, StorageError> {
        let mut reader = self.read().await?;
        let (count,): (i64,) =
            one!(reader, "select count(*) from deliveries where mailing_id = $1 and state = 'failed' and attempts = 0", mailing)?;
        Ok(count as u64)
    }

    /// Why deliveries of a mailing failed, most frequent first: the server's words (or ours), and how often.
    pub async fn failures(&self, mailing: i64, count: i64) -> Result<Vec<(String, u64)>, StorageError> {
        let mut reader = self.read().await?;
        let rows: Vec<(String, i64)> = all!(
            reader,
            "select reply, count(*) as times from deliveries where mailing_id = $1 and state = 'failed' and reply is not null
             group by reply order by times desc, reply limit $2",
            mailing,
            count
        )?;
        Ok(rows.into_iter().map(|(reply, times)| (reply, times as u64)).collect())
    }

    /// When the next delivery of a mailing that waits is due.
    pub async fn next_due(&self, mailing: i64) -> Result<Option<Timestamp>, StorageError> {
        let mut reader = self.read().await?;
        let (due,): (Option<i64>,) = one!(
            reader,
            "select min(due_at) from deliveries where mailing_id = $1 and finished_at is null and sender_id is null",
            mailing
        )?;
        Ok(due.map(from_millis))
    }

    /// When the last delivery of a mailing that is not final is due.
    pub async fn last_due(&self, mailing: i64) -> Result<Option<Timestamp>, StorageError> {
        let mut reader = self.read().await?;
        let (due,): (Option<i64>,) =
            one!(reader, "select max(due_at) from deliveries where mailing_id = $1 and finished_at is null", mailing)?;
        Ok(due.map(from_millis))
    }

    /// Whether some sender has claimed deliveries of a mailing.
    pub async fn is_held(&self, mailing: i64) -> Result<bool, StorageError> {
        let mut reader = self.read().await?;
        let found: Option<(i64,)> = optional!(
            reader,
            "select subscriber_id from deliveries where mailing_id = $1 and finished_at is null and sender_id is not null limit 1",
            mailing
        )?;
        Ok(found.is_some())
    }

    /// How many confirmation mails wait: for the readiness page and the figures.
    pub async fn waiting_confirmations(&self) -> Result<u64, StorageError> {
        let mut reader = self.read().await?;
        let (count,): (i64,) = one!(reader, "select count(*) from deliveries where kind = 'confirmation' and finished_at is null")?;
        Ok(count as u64)
    }
}

/// Counted in one pass: `group by` would sort all rows, in SQLite's memory.
pub(super) async fn tally(conn: &mut impl Queryable, mailing: i64) -> Result<Tally, StorageError> {
    let row: (i64, i64, i64, i64, i64) = one!(
        conn,
        "select count(case when state = 'queued' then 1 end), count(case when state = 'sending' then 1 end),
           count(case when state = 'sent' then 1 end), count(case when state = 'failed' then 1 end),
           count(case when state = 'uncertain' then 1 end)
         from deliveries where mailing_id = $1",
        mailing
    )?;
    let (queued, sending, sent, failed, uncertain) = row;
    Ok(Tally { queued: queued as u64, sending: sending as u64, sent: sent as u64, failed: failed as u64, uncertain: uncertain as u64 })
}

/// Why a claimed delivery must not go out, if so: suppression and leaving are looked at now, not when it was queued.
fn why_not(row: &JobRow) -> Result<Option<&'static str>, StorageError> {
    let Some(state) = &row.state else { return Ok(Some("not sent: the subscriber was erased or forgotten")) };
    let state = stored(state.parse())?;
    let is_wanted = match stored(row.kind.parse())? {
        DeliveryKind::Confirmation => match &row.notice {
            None => row.requested_at.is_some(),
            Some(what) => {
                let is_for_leavers = stored(what.parse::<Notice>())? == Notice::Account && state == SubscriberState::Unsubscribed;
                state == SubscriberState::Active || is_for_leavers
            }
        },
        DeliveryKind::Welcome | DeliveryKind::Already | DeliveryKind::Digest => state == SubscriberState::Active,
    };
    Ok(match state {
        _ if is_wanted => None,
        SubscriberState::Unsubscribed => Some("not sent: unsubscribed before it was sent"),
        SubscriberState::Bounced | SubscriberState::Complained => Some("not sent: on the suppression list"),
        SubscriberState::Active | SubscriberState::Pending => Some("not sent: no longer asked for"),
    })
}

async fn withhold(tx: &mut Tx, row: &JobRow, why: &str, now: Timestamp) -> Result<(), StorageError> {
    execute!(
        tx,
        "update deliveries set state = 'failed', finished_at = $3, sender_id = null, reply = $4
         where mailing_id = $1 and subscriber_id = $2",
        row.mailing_id,
        row.subscriber_id,
        now.timestamp_millis(),
        why
    )?;
    if row.kind == "digest" {
        super::minutes::add(tx, row.mailing_id, &Minute { failed: 1, ..Minute::numbered(minute_of(now)) }).await?;
    }
    Ok(())
}

fn job_from(row: JobRow) -> Result<Job, String> {
    Ok(Job {
        key: DeliveryKey { mailing: row.mailing_id, subscriber: row.subscriber_id },
        kind: row.kind.parse()?,
        attempts: row.attempts as u32,
        queued_at: from_millis(row.queued_at),
        first_at: row.first_at.map(from_millis),
        variant: row.variant,
        notice: match (row.notice, row.token_id) {
            (Some(what), Some(id)) => Some((what.parse()?, id)),
            _ => None,
        },
        email: row.notice_email.or(row.email).unwrap_or_default(),
        since: from_millis(row.state_at.unwrap_or(row.queued_at)),
    })
}
