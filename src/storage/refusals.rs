//! Refusals: the one place where a mail that was refused is counted for its reader, whether the refusal came in the SMTP dialogue, as a
//! report or by webhook.
//!
//! One row per reader and digest, so that a retry, a second copy and a report that follows the dialogue count once. What the row leads to
//! is decided in the transaction that writes it; a hard refusal in a send that is large enough for the brake waits ([`super::brake`]).

use super::Storage;
use super::StorageError;
use super::Tx;
use super::audit_log::ChangeAuthor;
use super::audit_log::ChangeSubject;
use super::growth;
use super::history::history_of_digest;
use super::people::suppress;
use super::stored;
use crate::domain::Timestamp;
use crate::domain::audit::AuditAction;
use crate::domain::brake::BouncePolicy;
use crate::domain::brake::RefusalOutcome;
use crate::domain::delivery::DeliveryKey;
use crate::domain::from_millis;
use crate::domain::growth::GrowthKind;
use crate::domain::history::HistoryEvent;
use crate::domain::inbound::RefusalClass;
use crate::domain::limits::day_of;
use crate::domain::slot::Slot;

/// A refused mail of a subscriber.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRefusal {
    /// Its weight.
    pub class: RefusalClass,
    /// The reply.
    pub line: String,
    /// Words that the reply has in common with others like it.
    pub words: String,
    /// Recipient domain, in lower case.
    pub domain: String,
    /// Keyed hash of the address, and the name of the secret that it was made with.
    pub hash: String,
    /// The name of that secret.
    pub key_name: String,
    /// The limits in force.
    pub policy: BouncePolicy,
}

/// The way that a refusal came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Channel {
    /// As the reply to our mail.
    Dialogue,
    /// After the relay had accepted it.
    Report,
}

/// Effect of a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    /// It was counted before, or its subscriber is gone.
    Nothing,
    /// It counts, or is kept without counting.
    Recorded,
    /// It is judged together with others like it.
    Waits,
    /// The subscription ended.
    Ended,
}

/// The refusals that are judged together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct LotKey {
    pub send: i64,
    pub words: String,
    pub domain: String,
    pub relay: String,
}

/// One more hard refusal in a lot.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Added {
    pub lot: LotKey,
    pub by_report: bool,
    pub due: Timestamp,
}

/// The send that a mail belongs to: its digest, or for any other mail its day (minus the number of days since 1970).
pub fn send_of(mailing: i64, now: Timestamp) -> i64 {
    if Slot::from_id(mailing).is_some() {
        mailing
    } else {
        -day_of(now)
    }
}

/// A refusal as its reader may see it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct RefusalForReader {
    /// Time at which it came.
    pub at: Timestamp,
    /// `hard`, `recipient` or `passing`.
    pub class: String,
    /// The week of the digest that was refused.
    pub slot: Option<Slot>,
    /// The reply.
    pub reply: String,
    /// Words that it has in common with others like it.
    pub words: String,
    /// The recipient domain.
    pub domain: String,
    /// The relay that the mail went by.
    pub relay: String,
    /// Its outcome, if it was judged.
    pub verdict: Option<String>,
}

/// `at`, `mailing_id`, `class`, `line`, `words`, `domain`, `relay`, `verdict`.
type RefusalRow = (
    i64,
    i64,
    String,
    String,
    String,
    String,
    String,
    Option<String>,
);

/// A recent digest of a reader: its id, the state of its delivery, and of its refusal the class, the words and the verdict.
type RecentRow = (i64, String, Option<String>, Option<String>, Option<String>);

impl Storage {
    /// The refusals of a reader's mails, oldest first.
    pub async fn refusals_of(
        &self,
        subscriber: i64,
    ) -> Result<Vec<RefusalForReader>, StorageError> {
        let mut reader = self.read().await?;
        let rows: Vec<RefusalRow> = all!(
            reader,
            "select at, mailing_id, class, reply, pattern, domain, relay, outcome from refusals where subscriber_id = $1 order by at, mailing_id limit 5000",
            subscriber
        )?;
        let refused =
            |(at, mailing, class, reply, words, domain, relay, verdict)| RefusalForReader {
                at: from_millis(at),
                class,
                slot: Slot::from_id(mailing),
                reply,
                words,
                domain,
                relay,
                verdict,
            };
        Ok(rows.into_iter().map(refused).collect())
    }
}

/// Counts a refusal, once for each reader and digest, and ends the subscription if that is due. What belongs to a lot is added to
/// `added`: the caller writes it at the end of its transaction ([`crate::storage::refusal_groups::add_to_lots`]), for a lot's row is shared by all.
pub(super) async fn record(
    tx: &mut Tx,
    key: DeliveryKey,
    refusal: &StoredRefusal,
    channel: Channel,
    added: &mut Vec<Added>,
    author: ChangeAuthor<'_>,
    now: Timestamp,
) -> Result<Effect, StorageError> {
    let BouncePolicy { hard, soft, brake } = refusal.policy;
    let relay = relay_of(tx, key).await?;
    let key = DeliveryKey {
        mailing: send_of(key.mailing, now),
        ..key
    };
    if !insert(tx, key, refusal, &relay, now).await? {
        return Ok(Effect::Nothing);
    }
    let refused = |count, limit| HistoryEvent::Refused {
        class: refusal.class,
        count: if limit > 0 { count } else { 0 },
        limit,
        reply: refusal.line.clone(),
    };
    let row = match refusal.class {
        RefusalClass::Passing => {
            write(tx, key, now, &refused(0, 0)).await?;
            return Ok(Effect::Recorded);
        }
        RefusalClass::Recipient | RefusalClass::Hard => row_of(tx, key, refusal.policy).await?,
    };
    let by_soft = soft > 0 && row.counted >= soft;
    if refusal.class == RefusalClass::Recipient {
        if by_soft {
            return end_now(tx, key, refusal, author, now).await;
        }
        write(tx, key, now, &refused(row.counted, soft)).await?;
        return Ok(Effect::Recorded);
    }
    let by_hard = hard > 0 && row.hard >= hard;
    let at_once = row.agrees || brake.is_never_reached(recipients(tx, key.mailing).await?);
    if (by_hard && at_once) || (by_soft && soft > 1) {
        return end_now(tx, key, refusal, author, now).await;
    }
    if !at_once {
        let lot = LotKey {
            send: key.mailing,
            words: refusal.words.clone(),
            domain: refusal.domain.clone(),
            relay,
        };
        added.push(Added {
            lot,
            by_report: channel == Channel::Report,
            due: now + brake.wait,
        });
    }
    if !by_hard {
        write(tx, key, now, &refused(row.hard, hard)).await?;
        return Ok(Effect::Recorded);
    }
    execute!(
        tx,
        "update refusals set outcome = 'waiting' where subscriber_id = $1 and mailing_id = $2 and outcome is null",
        key.subscriber,
        key.mailing
    )?;
    write(
        tx,
        key,
        now,
        &HistoryEvent::RefusalHeld {
            reply: refusal.line.clone(),
        },
    )
    .await?;
    Ok(Effect::Waits)
}

/// Writes down what happened, about the digest that was refused.
async fn write(
    tx: &mut Tx,
    key: DeliveryKey,
    now: Timestamp,
    event: &HistoryEvent,
) -> Result<(), StorageError> {
    let digest = Slot::from_id(key.mailing);
    history_of_digest(tx, key.subscriber, digest, now, event).await
}

/// The relay that a mail went by; empty if the ledger does not say.
async fn relay_of(tx: &mut Tx, key: DeliveryKey) -> Result<String, StorageError> {
    let row: Option<(Option<String>,)> = optional!(
        tx,
        "select relay from deliveries where mailing_id = $1 and subscriber_id = $2",
        key.mailing,
        key.subscriber
    )?;
    Ok(row.and_then(|(relay,)| relay).unwrap_or_default())
}

/// Writes the row, or raises the class of the one that is there. `false`: it is known with this class or a heavier one, or the subscriber
/// is gone.
async fn insert(
    tx: &mut Tx,
    key: DeliveryKey,
    refusal: &StoredRefusal,
    relay: &str,
    now: Timestamp,
) -> Result<bool, StorageError> {
    let inserted = execute!(
        tx,
        "insert into refusals (subscriber_id, mailing_id, at, class, reply, pattern, domain, relay, address_hash, key_name)
         select id, $2, $3, $4, $5, $6, $7, $8, $9, $10 from subscribers where id = $1
         on conflict (subscriber_id, mailing_id) do nothing",
        key.subscriber,
        key.mailing,
        now.timestamp_millis(),
        refusal.class.as_str(),
        refusal.line.as_str(),
        refusal.words.as_str(),
        refusal.domain.as_str(),
        relay,
        refusal.hash.as_str(),
        refusal.key_name.as_str()
    )?;
    if inserted > 0 {
        return Ok(true);
    }
    let raised = execute!(
        tx,
        "update refusals set class = $3, reply = $4, pattern = $5, domain = $6, at = $7, address_hash = $8, key_name = $9
         where subscriber_id = $1 and mailing_id = $2 and outcome is null
           and (($3 = 'recipient' and class = 'passing') or ($3 = 'hard' and class <> 'hard'))",
        key.subscriber,
        key.mailing,
        refusal.class.as_str(),
        refusal.line.as_str(),
        refusal.words.as_str(),
        refusal.domain.as_str(),
        now.timestamp_millis(),
        refusal.hash.as_str(),
        refusal.key_name.as_str()
    )?;
    Ok(raised > 0)
}

/// Refusals in a row, the newest digest first.
#[derive(Debug, Default)]
struct RefusalStreakRow {
    /// Hard ones.
    hard: u32,
    /// Hard ones and those about the recipient.
    counted: u32,
    /// True if the two newest of the hard ones have like words.
    agrees: bool,
}

/// Digests beyond the limits that are looked at for the row: those that neither count nor break it (paused, refused for our fault).
const LOOK_BACK: i64 = 20;
/// Digests read at a time: most rows are broken by the digest before, and each one costs two pages that nobody else has just read (some
/// 20 us with 10,000,000 deliveries on PostgreSQL, where a whole soft bounce takes 800).
const AT_A_TIME: i64 = 3;

/// A digest that arrived breaks the row, and so does one whose refusal was dismissed. One that is not final, was skipped or was refused
/// for a passing reason says nothing about the mailbox.
async fn row_of(
    tx: &mut Tx,
    key: DeliveryKey,
    policy: BouncePolicy,
) -> Result<RefusalStreakRow, StorageError> {
    if Slot::from_id(key.mailing).is_none() {
        return Ok(RefusalStreakRow {
            hard: 1,
            counted: 1,
            agrees: false,
        });
    }
    let (mut row, mut is_hard, mut newest) = (RefusalStreakRow::default(), true, None);
    let (mut before, mut left) = (
        i64::MAX,
        i64::from(policy.hard.max(policy.soft)) + LOOK_BACK,
    );
    while left > 0 {
        let count = left.min(AT_A_TIME);
        let rows = recent(tx, key.subscriber, before, count).await?;
        let is_last = (rows.len() as i64) < count;
        for (digest, state, class, words, verdict) in rows {
            before = digest;
            let class = class.map(|class| stored(class.parse())).transpose()?;
            match class {
                Some(_) if verdict.as_deref() == Some(RefusalOutcome::Dismissed.as_str()) => {
                    return Ok(row);
                }
                Some(RefusalClass::Passing) => {}
                Some(RefusalClass::Hard) => {
                    row.counted += 1;
                    row.hard += u32::from(is_hard);
                    row.agrees |= is_hard && row.hard == 2 && words == newest;
                    newest = newest.or(words);
                }
                Some(RefusalClass::Recipient) => {
                    row.counted += 1;
                    is_hard = false;
                }
                None if state == "sent" => return Ok(row),
                None => {}
            }
        }
        left = if is_last { 0 } else { left - count };
    }
    Ok(row)
}

/// The newest digests of a reader before the digest `before`. `cross join` keeps SQLite to this order: a lookup in the ledger for each
/// of the newest digests, however many there are.
async fn recent(
    tx: &mut Tx,
    subscriber: i64,
    before: i64,
    count: i64,
) -> Result<Vec<RecentRow>, StorageError> {
    Ok(all!(
        tx,
        "select d.id, l.state, r.class, r.pattern, r.outcome
         from digests d cross join deliveries l left join refusals r on r.subscriber_id = l.subscriber_id and r.mailing_id = l.mailing_id
         where l.mailing_id = d.id and l.subscriber_id = $1 and d.id < $2 order by d.id desc limit $3",
        subscriber,
        before,
        count
    )?)
}

/// For how many readers a digest was published; 0: it is no digest, or not all of it is published yet.
async fn recipients(tx: &mut Tx, digest: i64) -> Result<i64, StorageError> {
    let row: Option<(i64,)> = optional!(
        tx,
        "select recipients from digests where id = $1 and not exists (select 1 from publish_progress where mailing_id = $1)",
        digest
    )?;
    Ok(row.map_or(0, |(recipients,)| recipients))
}

async fn end_now(
    tx: &mut Tx,
    key: DeliveryKey,
    refusal: &StoredRefusal,
    author: ChangeAuthor<'_>,
    now: Timestamp,
) -> Result<Effect, StorageError> {
    let ended = end(
        tx,
        key,
        &refusal.line,
        (&refusal.hash, &refusal.key_name),
        None,
        author,
        now,
    )
    .await?;
    Ok(if ended {
        Effect::Ended
    } else {
        Effect::Recorded
    })
}

/// Ends a subscription as `bounced`, with all that waits for it. Where the refusal waited since `refused`, somebody who confirmed the
/// address after it keeps theirs: `false`.
pub(super) async fn end(
    tx: &mut Tx,
    key: DeliveryKey,
    line: &str,
    (hash, key_name): (&str, &str),
    refused: Option<Timestamp>,
    author: ChangeAuthor<'_>,
    now: Timestamp,
) -> Result<bool, StorageError> {
    let standing = growth::standing(tx, key.subscriber).await?;
    let ended = execute!(
        tx,
        "update subscribers set state = 'bounced', state_at = $2, requested_at = null
         where id = $1 and (state in ('pending', 'unsubscribed') or (state = 'active' and state_at <= $3))",
        key.subscriber,
        now.timestamp_millis(),
        refused.map_or(i64::MAX, |at| at.timestamp_millis())
    )?;
    let outcome = match ended {
        0 => RefusalOutcome::Released,
        _ => RefusalOutcome::Ended,
    };
    execute!(
        tx,
        "update refusals set outcome = $3 where subscriber_id = $1 and (mailing_id = $2 or outcome = 'waiting')",
        key.subscriber,
        key.mailing,
        outcome.as_str()
    )?;
    if ended > 0 {
        growth::left(tx, standing.as_ref(), GrowthKind::Bounced, now).await?;
        let reply = line.to_owned();
        write(tx, key, now, &HistoryEvent::Bounced { reply }).await?;
        suppress(tx, hash, key_name, "bounced", now).await?;
        let detail = serde_json::json!({ "slot": Slot::from_id(key.mailing) });
        let subject = Some(ChangeSubject::Subscriber(key.subscriber));
        author
            .note(tx, AuditAction::SubscriberBounced, subject, &detail, now)
            .await?;
    }
    Ok(ended > 0)
}

/// Takes all refusals of a subscriber out of the count: they have another address now, or a person took them off the suppression list.
pub(super) async fn forgive(tx: &mut Tx, subscriber: i64) -> Result<(), StorageError> {
    execute!(
        tx,
        "update refusals set outcome = 'dismissed' where subscriber_id = $1",
        subscriber
    )?;
    Ok(())
}
