//! Publishing a digest: one short transaction that freezes it, then its deliveries in ranges of readers.
//!
//! Each range is a transaction that makes its deliveries, queues them, and moves the digest's place in `publish_progress`; so a
//! process may be killed between or within any two, and whoever looks next goes on. Nobody waits for the whole: sending begins
//! with the first range, and SQLite's one writer is free between two.

use sqlx::QueryBuilder;

use super::Storage;
use super::StorageError;
use super::Tx;
use super::audit_log::ChangeSubject;
use super::digests::write_picks;
use super::stored;
use super::variants::Readers;
use super::variants::Variant;
use super::variants::apply_verdict_alerts;
use super::variants::assign_variants;
use super::variants::write_variants;
use crate::domain::Timestamp;
use crate::domain::actor::Actor;
use crate::domain::audit::AuditAction;
use crate::domain::digest::DigestContent;
use crate::domain::due::DueTimes;
use crate::domain::from_millis;
use crate::domain::pick::Pick;
use crate::domain::rendered_mail::Rendered;
use crate::domain::slot::Slot;
use crate::storage::ledger::counts::Skips;
use crate::storage::ledger::counts::note_skips;
use crate::storage::notifications::notify;

/// Content of a digest that is published: it never changes afterwards.
#[derive(Debug, Clone, Copy)]
pub struct Issue<'a> {
    /// Its comparisons, as they are now.
    pub content: &'a DigestContent,
    /// The mail to readers who chose nothing.
    pub rendered: &'a Rendered,
    /// The mails to readers who chose categories.
    pub variants: &'a [Variant],
    /// Revision of the digest that all of it was made from.
    pub revision: i64,
}

/// Result of freezing a digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frozen {
    /// It is published from now on, and its deliveries can be made.
    Now,
    /// Nobody is on the list yet; nothing was changed.
    Nobody,
    /// It is not approved (any more), or was changed since it was read: somebody else published it, took it back or edited it.
    NotApproved,
}

/// A range of a digest's deliveries that was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MadeRange {
    /// Of which digest.
    pub slot: Slot,
    /// The digest's deliveries so far.
    pub recipients: u64,
    /// Since when the digest is frozen.
    pub published_at: Timestamp,
    /// True if all deliveries of the digest exist now.
    pub is_last: bool,
    /// True if the database should gather statistics ([`Storage::analyze_mailing`]): after the last range, and before it once, where many follow.
    pub is_counted: bool,
}

/// Time at which deliveries are due, as it is stored.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct Due {
    otherwise: i64,
    spread: i64,
    zones: Vec<(String, i64)>,
}

#[derive(sqlx::FromRow)]
struct ProgressRow {
    mailing_id: i64,
    after_id: i64,
    until_id: i64,
    due: String,
    month_at: i64,
    published_at: i64,
}

/// The oldest digest whose deliveries are being made. On PostgreSQL another process may be at it just now, and then goes on with it.
macro_rules! next_progress {
    ($lock:literal) => {
        concat!(
            "select p.mailing_id, p.after_id, p.until_id, p.due, p.month_at, g.published_at
             from publish_progress p join digests g on g.id = p.mailing_id order by p.mailing_id limit 1",
            $lock
        )
    };
}

/// Deliveries of a digest from which on statistics are gathered after its last range.
const MANY: i64 = 1_000;
/// Deliveries at which they are gathered while more follow. Until then the last range comes within a second, and ANALYZE (30 to 60 ms
/// of one core) would only take time from the first mails.
const MANY_EARLY: i64 = 50_000;

/// The spread has so many steps. Few enough that the index over `due_at` grows at as many warm ends, and not all over: with a
/// moment of its own for each of a million readers SQLite took five times as long.
const STEPS: i64 = 240;

impl Storage {
    /// Publishes an approved digest: freezes what it says, who gets it and when. Its deliveries follow by [`Storage::publish_range`].
    ///
    /// Readers of each choice among its variants get that; a monthly reader who got a digest since `month` gets none.
    pub async fn freeze(
        &self,
        actor: &Actor,
        issue: Issue<'_>,
        month: Timestamp,
        due: &DueTimes,
        now: Timestamp,
    ) -> Result<Frozen, StorageError> {
        let Issue {
            content,
            rendered,
            variants,
            revision,
        } = issue;
        let frozen = serde_json::to_string(content)
            .map_err(|error| StorageError::Stored(error.to_string()))?;
        let (id, millis) = (content.slot.id(), now.timestamp_millis());
        let mut tx = self.begin().await?;
        let published = execute!(
            tx,
            "update digests set state = 'sending', published_at = $2, content = $3, subject = $4, html = $5, plain = $6,
               publish_order = (select coalesce(max(publish_order), 0) + 1 from digests)
             where id = $1 and state = 'approved' and revision = $7",
            id,
            millis,
            frozen,
            &rendered.subject,
            &rendered.html,
            &rendered.text,
            revision
        )?;
        if published == 0 {
            return Ok(Frozen::NotApproved);
        }
        let (highest,): (Option<i64>,) =
            one!(tx, "select max(id) from subscribers where state = 'active'")?;
        let Some(highest) = highest else {
            return Ok(Frozen::Nobody);
        };
        write_variants(&mut tx, id, variants).await?;
        let due = serde_json::to_string(&Due::from(due))
            .map_err(|error| StorageError::Stored(error.to_string()))?;
        execute!(
            tx,
            "insert into publish_progress (mailing_id, after_id, until_id, due, month_at) values ($1, 0, $2, $3, $4)",
            id,
            highest,
            due,
            month.timestamp_millis()
        )?;
        execute!(
            tx,
            "insert into digest_counts (mailing_id, sent, failed, skipped, uncertain) values ($1, 0, 0, 0, 0)",
            id
        )?;
        let picks = content.items.iter().map(|item| Pick {
            comparison: item.matchup.comparison.slug.clone(),
            score: item.score,
            reasons: item.reasons.clone(),
        });
        write_picks(&mut tx, content.slot, &picks.collect::<Vec<_>>()).await?;
        let detail =
            serde_json::json!({ "picks": content.items.len(), "variants": variants.len() });
        let subject = Some(ChangeSubject::Digest(content.slot));
        self.author(actor)
            .note(&mut tx, AuditAction::DigestPublished, subject, &detail, now)
            .await?;
        tx.commit().await?;
        Ok(Frozen::Now)
    }

    /// Makes the deliveries of the next range of up to `readers` subscribers of any state, of whichever digest is being published. `None`: there is
    /// none, or another process is at it.
    pub async fn publish_range(
        &self,
        readers: u32,
        now: Timestamp,
    ) -> Result<Option<MadeRange>, StorageError> {
        let mut tx = self.begin().await?;
        let sql = if tx.is_postgres() {
            next_progress!(" for update of p skip locked")
        } else {
            next_progress!("")
        };
        let row: Option<ProgressRow> = optional!(tx, sql)?;
        let Some(row) = row else { return Ok(None) };
        let id = row.mailing_id;
        // By the key alone, whatever the readers' state: with a state or an upper bound in it, PostgreSQL without fresh statistics
        // (after an import) collects and sorts all readers that are left, for each range: 23 ms of 200,000.
        let until: Option<(i64,)> = optional!(
            tx,
            "select id from subscribers where id > $1 order by id limit 1 offset $2",
            row.after_id,
            i64::from(readers.max(1)) - 1
        )?;
        let range = Readers {
            after: row.after_id,
            until: until.map_or(row.until_id, |(id,)| id.min(row.until_id)),
        };
        let made = make_range(&mut tx, &row, range, now).await?;
        let is_last = range.until >= row.until_id;
        if is_last {
            execute!(tx, "delete from publish_progress where mailing_id = $1", id)?;
        } else {
            execute!(
                tx,
                "update publish_progress set after_id = $2 where mailing_id = $1",
                id,
                range.until
            )?;
        }
        let (recipients,): (i64,) = one!(tx, "select recipients from digests where id = $1", id)?;
        notify(&mut tx).await?;
        tx.commit().await?;
        let slot = Slot::from_id(id)
            .ok_or_else(|| StorageError::Stored(format!("{id} is not a digest's id")))?;
        let before = recipients - made as i64;
        let is_counted = if is_last {
            recipients >= MANY
        } else {
            before < MANY_EARLY && recipients >= MANY_EARLY
        };
        Ok(Some(MadeRange {
            slot,
            recipients: recipients as u64,
            published_at: from_millis(row.published_at),
            is_last,
            is_counted,
        }))
    }

    /// Returns whether deliveries of some digest (of that one, with `only`) are still to be made.
    pub async fn is_publishing(&self, only: Option<i64>) -> Result<bool, StorageError> {
        let mut reader = self.read().await?;
        let found: Option<(i64,)> = match only {
            Some(id) => optional!(
                reader,
                "select mailing_id from publish_progress where mailing_id = $1",
                id
            )?,
            None => optional!(reader, "select mailing_id from publish_progress limit 1")?,
        };
        Ok(found.is_some())
    }
}

/// Makes a range's deliveries, follows what their readers chose, and queues and counts them; returns how many were made.
async fn make_range(
    tx: &mut Tx,
    row: &ProgressRow,
    range: Readers,
    now: Timestamp,
) -> Result<u64, StorageError> {
    let (id, published) = (row.mailing_id, from_millis(row.published_at));
    let due: Due = stored(serde_json::from_str(&row.due))?;
    let made = make_deliveries(
        tx,
        id,
        &due,
        range,
        (row.published_at, now.timestamp_millis()),
    )
    .await?;
    if made == 0 {
        return Ok(0);
    }
    let mut skipped = 0;
    if assign_variants(tx, id, range, from_millis(row.month_at), published).await? > 0 {
        apply_verdict_alerts(tx, id, range, published).await?;
        let reasons: Vec<(String, i64)> = all!(
            tx,
            "select skip_reason, count(*) from deliveries where mailing_id = $1 and subscriber_id > $2 and subscriber_id <= $3
               and state = 'skipped' group by skip_reason",
            id,
            range.after,
            range.until
        )?;
        skipped = reasons.iter().map(|(_, times)| times).sum();
        let read = |(reason, times): (String, i64)| Ok(((id, reason.parse()?), times));
        note_skips(
            tx,
            &reasons
                .into_iter()
                .map(read)
                .collect::<Result<Skips, StorageError>>()?,
        )
        .await?;
    } else {
        apply_verdict_alerts(tx, id, range, published).await?;
    }
    execute!(
        tx,
        "insert into delivery_batches (mailing_id, first_id, last_id, class, due_at, is_split, queued, skipped, last_due_at)
         values ($1, $2, $3, 'digest', $4, 0, $5, $6, $7)",
        id,
        range.after + 1,
        range.until,
        due.first(),
        made as i64 - skipped,
        skipped,
        due.last()
    )?;
    execute!(
        tx,
        "update digests set recipients = recipients + $2 where id = $1",
        id,
        made as i64
    )?;
    Ok(made)
}

/// One delivery for everybody of the range who was on the list when the digest was frozen, in one statement; answers how many.
///
/// A reader's step is their number times the golden ratio, in whole numbers modulo a prime: even for numbers that follow one
/// another, as those of an import do, and the same each week. No product here exceeds 62 bits, whatever the number.
async fn make_deliveries(
    tx: &mut Tx,
    id: i64,
    due: &Due,
    range: Readers,
    (published_at, now): (i64, i64),
) -> Result<u64, StorageError> {
    on!(tx, c, keeps => {
        let mut query = QueryBuilder::new("with zones (zone, due_at) as (");
        query.push_values(&due.zones, |mut row, (zone, at)| {
            // Without the cast SQLite sees no text there, and looks through all zones for each reader.
            row.push("cast(").push_bind_unseparated(zone.as_str()).push_unseparated(" as text)").push_bind(*at);
        });
        query.push(
            ") insert into deliveries (mailing_id, subscriber_id, kind, state, queued_at, due_at)
               select mailing_id, id, 'digest', 'queued', due_at, due_at from (select ",
        );
        query.push_bind(id).push(" as mailing_id, s.id, coalesce(z.due_at, ").push_bind(due.otherwise);
        query.push(") + s.id % 2147483647 * 1327217885 % 2147483647 * ").push_bind(STEPS).push(" / 2147483647 * ");
        query.push_bind(due.spread / STEPS);
        query.push(" as due_at from subscribers s left join zones z on z.zone = s.timezone where s.state = 'active' and s.id > ");
        query.push_bind(range.after).push(" and s.id <= ").push_bind(range.until);
        // Who came back to the list after the freeze waits for the next digest, as who is new. Who did so in the future was there
        // before: the clock that ran ahead was set back.
        query.push(" and (s.state_at <= ").push_bind(published_at).push(" or s.state_at > ").push_bind(now).push(")) as readers");
        query.build().persistent(keeps).execute(&mut *c).await.map(|done| done.rows_affected())
    })
    .map_err(StorageError::from)
}

impl From<&DueTimes> for Due {
    fn from(due: &DueTimes) -> Self {
        Self {
            otherwise: due.otherwise.timestamp_millis(),
            spread: due.spread.num_milliseconds(),
            zones: due
                .zones
                .iter()
                .map(|(zone, at)| (zone.name().to_owned(), at.timestamp_millis()))
                .collect(),
        }
    }
}

impl Due {
    /// Nothing is due before that,
    fn first(&self) -> i64 {
        self.zones
            .iter()
            .map(|(_, at)| *at)
            .fold(self.otherwise, i64::min)
    }

    /// nor after that.
    fn last(&self) -> i64 {
        self.zones
            .iter()
            .map(|(_, at)| *at)
            .fold(self.otherwise, i64::max)
            + self.spread
    }
}
