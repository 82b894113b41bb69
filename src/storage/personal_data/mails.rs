//! The mails of one person.

use super::super::ReadConnection;
use super::super::StorageError;
use super::ROWS;
use super::SentMail;
use crate::domain::from_millis;
use crate::domain::slot::Slot;

#[derive(sqlx::FromRow)]
struct SentMailRow {
    mailing_id: i64,
    kind: String,
    email: Option<String>,
    variant: Option<i64>,
    version: Option<i64>,
    state: String,
    queued_at: i64,
    due_at: i64,
    first_at: Option<i64>,
    started_at: Option<i64>,
    uncertain_at: Option<i64>,
    finished_at: Option<i64>,
    attempts: i64,
    skip_reason: Option<String>,
    reply: Option<String>,
    relay: Option<String>,
}

/// Digests whose deliveries to one reader are read by one statement.
const DIGESTS_AT_ONCE: usize = 10;

/// Lists the mails of a subscriber, oldest first: transactional mails by their index, and digests by the ledger's key, for an index
/// over all of it would cost each publishing. The keys stand in the statement: joined with the table of digests, PostgreSQL without
/// statistics reads the whole ledger, and asked for one by one each costs a round trip.
pub(super) async fn mails_of(
    reader: &mut ReadConnection,
    subscriber: i64,
) -> Result<Vec<SentMail>, StorageError> {
    let mut mails: Vec<SentMailRow> = all!(
        reader,
        "select d.mailing_id, d.kind, n.email, d.variant, d.version, d.state, d.queued_at, d.due_at, d.first_at, d.started_at,
           d.uncertain_at, d.finished_at, d.attempts, d.skip_reason, d.reply, d.relay
         from deliveries d left join transactional_mails n on n.mailing_id = d.mailing_id and n.subscriber_id = $1
         where d.subscriber_id = $1 and d.kind <> 'digest' order by d.queued_at limit $2",
        subscriber,
        ROWS
    )?;
    let digests: Vec<(i64,)> = all!(
        reader,
        "select id from digests where published_at is not null order by id desc limit $1",
        ROWS
    )?;
    for block in digests.chunks(DIGESTS_AT_ONCE) {
        // No digest has the number 0.
        let id = |at: usize| block.get(at).map_or(0, |(id,)| *id);
        let found: Vec<SentMailRow> = all!(
            reader,
            "select mailing_id, kind, cast(null as text) as email, variant, version, state, queued_at, due_at,
               first_at, started_at, uncertain_at, finished_at, attempts, skip_reason, reply, relay
             from deliveries where subscriber_id = $1 and mailing_id in ($2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
            subscriber,
            id(0),
            id(1),
            id(2),
            id(3),
            id(4),
            id(5),
            id(6),
            id(7),
            id(8),
            id(9)
        )?;
        mails.extend(found);
    }
    mails.sort_by_key(|mail| mail.queued_at);
    Ok(mails.into_iter().map(mail).collect())
}

fn mail(row: SentMailRow) -> SentMail {
    SentMail {
        kind: row.kind,
        slot: Slot::from_id(row.mailing_id),
        variant: row.variant,
        version: row.version,
        email: row.email,
        state: row.state,
        at: from_millis(row.queued_at),
        due_at: from_millis(row.due_at),
        first_at: row.first_at.map(from_millis),
        started_at: row.started_at.map(from_millis),
        uncertain_at: row.uncertain_at.map(from_millis),
        finished_at: row.finished_at.map(from_millis),
        attempts: row.attempts,
        skip_reason: row.skip_reason,
        reply: row.reply,
        relay: row.relay,
    }
}
