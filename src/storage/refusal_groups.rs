//! Lots of the brake: hard refusals of one send with like words, at one domain and by one relay.
//!
//! Lots of a domain that refuses too much of what it was sent are held, and so are those of a relay at many domains.

use crate::domain::Timestamp;
use crate::domain::brake::Brake;
use crate::domain::brake::HeldBy;
use crate::storage::StorageError;
use crate::storage::Tx;
use crate::storage::refusals::Added;

/// Refusals that the brake has begun to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stopped {
    /// Of which send ([`crate::storage::refusals::send_of`]).
    pub send: i64,
    /// Tells whether they are one domain's or one relay's.
    pub held_by: HeldBy,
    /// Name of that domain or relay.
    pub name: String,
    /// Hard refusals so far.
    pub hard: i64,
    /// Out of how many mails.
    pub mails: i64,
    /// Words that they have in common.
    pub words: String,
}

/// Adds hard refusals to their lots, in the order of the lots' keys: two transactions that add to the same ones then wait for each other
/// instead of for good. A lot that a person has decided on takes that decision for what comes late.
pub(super) async fn add_to_lots(
    tx: &mut Tx,
    mut added: Vec<Added>,
    now: Timestamp,
) -> Result<(), StorageError> {
    added.sort();
    for Added {
        lot,
        by_report,
        due,
    } in added
    {
        execute!(
            tx,
            "insert into refusal_groups (mailing_id, pattern, domain, relay, hard_count, report_count, state, opened_at, due_at)
             values ($1, $2, $3, $4, 1, $5, 'open', $6, $7)
             on conflict (mailing_id, pattern, domain, relay) do update set
               hard_count = refusal_groups.hard_count + 1, report_count = refusal_groups.report_count + excluded.report_count,
               state = case when refusal_groups.decision = 'accepted' then 'ending' when refusal_groups.decision = 'dismissed' then 'dropping'
                 when refusal_groups.state = 'held' then 'held' else 'open' end,
               due_at = case when refusal_groups.decision is not null or refusal_groups.state = 'held' then refusal_groups.due_at
                 else coalesce(refusal_groups.due_at, excluded.due_at) end",
            lot.send,
            &lot.words,
            &lot.domain,
            &lot.relay,
            i64::from(by_report),
            now.timestamp_millis(),
            due.timestamp_millis()
        )?;
    }
    Ok(())
}

/// Returns whether a digest has mails that were never tried: they lie in chunks.
pub(super) async fn has_untried(tx: &mut Tx, digest: i64) -> Result<bool, StorageError> {
    let untried: Option<(i64,)> = optional!(
        tx,
        "select c.last_id from delivery_batches c where c.mailing_id = $1 and
           (select d.subscriber_id from deliveries d where d.mailing_id = c.mailing_id and d.subscriber_id between c.first_id and c.last_id
              and d.finished_at is null and d.attempts = 0 limit 1) is not null limit 1",
        digest
    )?;
    Ok(untried.is_some())
}

/// Makes a digest's lots due, now that it is sent: all replies of the dialogue are in. What was held in its midst is judged again.
pub(super) async fn send_is_over(
    tx: &mut Tx,
    digest: i64,
    now: Timestamp,
) -> Result<(), StorageError> {
    execute!(
        tx,
        "update refusal_groups set due_at = $2 where mailing_id = $1 and decision is null and ((state = 'open' and report_count = 0) or state = 'held')",
        digest,
        now.timestamp_millis()
    )?;
    Ok(())
}

/// Holds the lots of each domain that refuses too many of its mails alike.
pub(super) async fn hold_domains(
    tx: &mut Tx,
    send: i64,
    words: &str,
    brake: Brake,
    now: Timestamp,
) -> Result<Vec<Stopped>, StorageError> {
    let domains: Vec<(String, i64)> = all!(
        tx,
        "select domain, cast(sum(hard_count) as bigint) from refusal_groups where mailing_id = $1 and pattern = $2
         group by domain having sum(hard_count) >= $3 order by domain",
        send,
        words,
        i64::from(brake.count)
    )?;
    let mut stopped = Vec::new();
    for (domain, hard) in domains {
        let (mails,): (i64,) = one!(
            tx,
            "select cast(coalesce(sum(mails), 0) as bigint) from send_domains where mailing_id = $1 and domain = $2",
            send,
            &domain
        )?;
        if !brake.holds_domain(hard, mails) {
            continue;
        }
        let held = execute!(
            tx,
            "update refusal_groups set state = 'held', held_by = 'domain', due_at = null, held_at = $4
             where mailing_id = $1 and pattern = $2 and domain = $3 and state = 'open' and decision is null",
            send,
            words,
            &domain,
            now.timestamp_millis()
        )?;
        execute!(
            tx,
            "update refusal_groups set held_by = 'domain', due_at = null where mailing_id = $1 and pattern = $2 and domain = $3 and state = 'held'",
            send,
            words,
            &domain
        )?;
        if held > 0 {
            stopped.push(Stopped {
                send,
                held_by: HeldBy::Domain,
                name: domain,
                hard,
                mails: mails.max(hard),
                words: words.into(),
            });
        }
    }
    Ok(stopped)
}

/// Holds what is left of each relay by which too many domains refuse alike. Domains that are held by themselves do not count: one
/// provider's bad hour says nothing about the relay.
pub(super) async fn hold_relays(
    tx: &mut Tx,
    send: i64,
    words: &str,
    brake: Brake,
    now: Timestamp,
) -> Result<Vec<Stopped>, StorageError> {
    let relays: Vec<(String, i64, i64)> = all!(
        tx,
        "select relay, count(*), cast(sum(hard_count) as bigint) from refusal_groups
         where mailing_id = $1 and pattern = $2 and coalesce(held_by, '') <> 'domain' group by relay having count(*) >= $3 order by relay",
        send,
        words,
        i64::from(brake.domains)
    )?;
    let mut stopped = Vec::new();
    for (relay, domains, hard) in relays {
        let (mails,): (i64,) = one!(
            tx,
            "select cast(coalesce(sum(case when domain = '' then mails else -mails end), 0) as bigint) from send_domains
             where mailing_id = $1 and relay = $2 and (domain = '' or domain in
               (select domain from refusal_groups where mailing_id = $1 and pattern = $3 and held_by = 'domain'))",
            send,
            &relay,
            words
        )?;
        if !brake.holds_relay(domains, hard, mails) {
            continue;
        }
        let held = execute!(
            tx,
            "update refusal_groups set state = 'held', held_by = 'relay', due_at = null, held_at = $4
             where mailing_id = $1 and pattern = $2 and relay = $3 and state = 'open' and decision is null",
            send,
            words,
            &relay,
            now.timestamp_millis()
        )?;
        execute!(
            tx,
            "update refusal_groups set due_at = null where mailing_id = $1 and pattern = $2 and relay = $3 and held_by = 'relay' and state = 'held'",
            send,
            words,
            &relay
        )?;
        if held > 0 {
            stopped.push(Stopped {
                send,
                held_by: HeldBy::Relay,
                name: relay,
                hard,
                mails: mails.max(hard),
                words: words.into(),
            });
        }
    }
    Ok(stopped)
}
