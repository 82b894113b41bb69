//! Held refusals, for the person who decides about them.

use crate::domain::Timestamp;
use crate::domain::actor::Actor;
use crate::domain::audit::AuditAction;
use crate::domain::brake::Decision;
use crate::domain::brake::HeldBy;
use crate::domain::brake::RefusalGroupState;
use crate::domain::from_millis;
use crate::storage::Storage;
use crate::storage::StorageError;
use crate::storage::audit_log::ChangeSubject;
use crate::storage::stored;

/// Refusals with like words that one send met at one domain or by one relay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusalGroup {
    /// Of which send ([`crate::storage::refusals::send_of`]).
    pub send: i64,
    /// Tells whether they are one domain's or one relay's.
    pub held_by: HeldBy,
    /// Name of that domain or relay.
    pub name: String,
    /// Readers whose subscriptions wait for a decision.
    pub readers: u64,
    /// Domains that refused.
    pub domains: u64,
    /// Hard refusals in that send.
    pub refused: u64,
    /// Mails that the domain (or the relay) was sent; no fewer than were refused.
    pub mails: u64,
    /// Words that the replies have in common.
    pub words: String,
    /// One of the replies, as it came.
    pub example: String,
    /// Since when.
    pub since: Timestamp,
}

#[derive(sqlx::FromRow)]
struct HeldRow {
    mailing_id: i64,
    held_by: String,
    name: String,
    readers: i64,
    domains: i64,
    refused: i64,
    mails: i64,
    pattern: String,
    example: Option<String>,
    since: i64,
}

/// The waiting refusals `r` of a lot `b`.
macro_rules! of_waiting {
    () => {
        " from refusals r where r.mailing_id = b.mailing_id and r.pattern = b.pattern and r.domain = b.domain and r.relay = b.relay
            and r.outcome = 'waiting'"
    };
}

impl Storage {
    /// The refusals that are held, most readers first; of one send, or of all.
    pub async fn held_refusals(
        &self,
        send: Option<i64>,
        count: i64,
    ) -> Result<Vec<RefusalGroup>, StorageError> {
        let mut reader = self.read().await?;
        let (first, last) = send.map_or((i64::MIN, i64::MAX), |send| (send, send));
        let by_domain: Vec<HeldRow> = all!(
            reader,
            concat!(
                "select b.mailing_id, 'domain' as held_by, b.domain as name, cast(sum((select count(*)",
                of_waiting!(),
                ")) as bigint) as readers, cast(1 as bigint) as domains, cast(sum(b.hard_count) as bigint) as refused,
                   (select cast(coalesce(sum(c.mails), 0) as bigint) from send_domains c
                    where c.mailing_id = b.mailing_id and c.domain = b.domain) as mails,
                   b.pattern, min((select r.reply",
                of_waiting!(),
                " order by r.subscriber_id limit 1)) as example, min(b.held_at) as since
                 from refusal_groups b where b.state = 'held' and b.held_by = 'domain' and b.mailing_id between $1 and $2
                 group by b.mailing_id, b.domain, b.pattern order by readers desc, b.domain limit $3"
            ),
            first,
            last,
            count
        )?;
        let by_relay: Vec<HeldRow> = all!(
            reader,
            concat!(
                "select b.mailing_id, 'relay' as held_by, b.relay as name, cast(sum((select count(*)",
                of_waiting!(),
                ")) as bigint) as readers, count(*) as domains, cast(sum(b.hard_count) as bigint) as refused,
                   (select cast(coalesce(sum(c.mails), 0) as bigint) from send_domains c
                    where c.mailing_id = b.mailing_id and c.domain = '' and c.relay = b.relay) as mails,
                   b.pattern, min((select r.reply",
                of_waiting!(),
                " order by r.subscriber_id limit 1)) as example, min(b.held_at) as since
                 from refusal_groups b where b.state = 'held' and b.held_by = 'relay' and b.mailing_id between $1 and $2
                 group by b.mailing_id, b.relay, b.pattern order by readers desc, b.relay limit $3"
            ),
            first,
            last,
            count
        )?;
        let held: Result<Vec<RefusalGroup>, StorageError> = by_domain
            .into_iter()
            .chain(by_relay)
            .map(held_from)
            .collect();
        let mut held = stored(held)?;
        held.sort_by_key(|held| std::cmp::Reverse(held.readers));
        Ok(held)
    }

    /// Returns how many readers' refusals are held.
    pub async fn held_readers(&self) -> Result<u64, StorageError> {
        let mut reader = self.read().await?;
        let (count,): (i64,) = one!(
            reader,
            concat!(
                "select cast(coalesce(sum((select count(*)",
                of_waiting!(),
                ")), 0) as bigint) from refusal_groups b where b.state = 'held'"
            )
        )?;
        Ok(count as u64)
    }

    /// Returns how many readers' refusals wait to be judged.
    pub async fn unjudged_readers(&self) -> Result<u64, StorageError> {
        let mut reader = self.read().await?;
        let (count,): (i64,) = one!(
            reader,
            concat!(
                "select cast(coalesce(sum((select count(*)",
                of_waiting!(),
                ")), 0) as bigint) from refusal_groups b where b.due_at is not null and b.state = 'open'"
            )
        )?;
        Ok(count as u64)
    }

    /// Decides about all refusals that are held for a domain or by a relay, in one transaction; [`Storage::end_judged`] carries it out.
    /// Answers of how many readers; `None`: nothing is held under that name, and no such decision is under way.
    pub async fn decide(
        &self,
        actor: &Actor,
        held_by: HeldBy,
        name: &str,
        decision: Decision,
        now: Timestamp,
    ) -> Result<Option<u64>, StorageError> {
        repeated!(self.decide_once(actor, held_by, name, decision, now))
    }

    async fn decide_once(
        &self,
        actor: &Actor,
        held_by: HeldBy,
        name: &str,
        decision: Decision,
        now: Timestamp,
    ) -> Result<Option<u64>, StorageError> {
        let state = match decision {
            Decision::Accepted => RefusalGroupState::Ending,
            Decision::Dismissed => RefusalGroupState::Dropping,
        };
        let mut tx = self.begin().await?;
        // A domain's lots are the domain's, even where its relay is what they are held for.
        let decided = execute!(
            tx,
            "update refusal_groups set state = $3, decision = $4, due_at = null
             where state = 'held' and (($1 = 'domain' and domain = $2) or ($1 = 'relay' and held_by = 'relay' and relay = $2))",
            held_by.as_str(),
            name,
            state.as_str(),
            decision.as_str()
        )?;
        let (lots, readers): (i64, i64) = one!(
            tx,
            concat!(
                "select count(*), cast(coalesce(sum((select count(*)",
                of_waiting!(),
                ")), 0) as bigint) from refusal_groups b where b.state in ('ending', 'dropping') and b.state = $3
                 and (($1 = 'domain' and b.domain = $2) or ($1 = 'relay' and b.held_by = 'relay' and b.relay = $2)) and b.decision is not null"
            ),
            held_by.as_str(),
            name,
            state.as_str()
        )?;
        if decided > 0 {
            let what = match decision {
                Decision::Accepted => AuditAction::BouncesAccepted,
                Decision::Dismissed => AuditAction::BouncesDismissed,
            };
            let subject = match held_by {
                HeldBy::Domain => ChangeSubject::Domain(name),
                HeldBy::Relay => ChangeSubject::Relay(name),
            };
            let detail = serde_json::json!({ "readers": readers });
            self.author(actor)
                .note(&mut tx, what, Some(subject), &detail, now)
                .await?;
        }
        tx.commit().await?;
        Ok((lots > 0).then_some(readers as u64))
    }
}

fn held_from(row: HeldRow) -> Result<RefusalGroup, StorageError> {
    Ok(RefusalGroup {
        send: row.mailing_id,
        held_by: row.held_by.parse()?,
        name: row.name,
        readers: row.readers as u64,
        domains: row.domains as u64,
        refused: row.refused as u64,
        mails: row.mails.max(row.refused) as u64,
        words: row.pattern,
        example: row.example.unwrap_or_default(),
        since: from_millis(row.since),
    })
}
