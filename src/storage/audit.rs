//! The ledger's promises, checked from its rows alone.

use super::Storage;
use super::StorageError;
use super::ledger::Tally;
use super::ledger::tally;
use crate::domain::Timestamp;
use crate::domain::from_millis;
use crate::domain::slot::Slot;

/// Two machines' clocks may differ by this, in milliseconds, before one that sent after the other unsubscribed is a fault.
const CLOCKS_APART: i64 = 5_000;

/// What the ledger says of one digest, and whether it holds together.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Audit {
    /// Which digest.
    pub slot: Slot,
    /// For how many people deliveries were made when it was published.
    pub recipients: u64,
    /// How they stand.
    pub deliveries: Tally,
    /// Promises that do not hold, in words: empty when all is well.
    pub faults: Vec<String>,
    /// Deliveries that were in doubt at some time: an extra copy can only be among them.
    pub doubts: Vec<Doubt>,
}

/// A delivery that was in doubt.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Doubt {
    /// To whom.
    pub subscriber: String,
    /// Where it stands now.
    pub state: String,
    /// Since when.
    pub uncertain_at: Timestamp,
    /// Attempts so far.
    pub attempts: i64,
}

impl Storage {
    /// Checks the ledger of a published digest: each recipient once, all counts add up, nobody was sent to who had left or
    /// was suppressed before. `None` if there is no such digest. Doubts are listed up to `most`.
    pub async fn audit(&self, slot: Slot, most: i64) -> Result<Option<Audit>, StorageError> {
        let mut reader = self.read().await?;
        let row: Option<(i64, String)> = optional!(reader, "select recipients, state from digests where id = $1", slot.id())?;
        let Some((recipients, state)) = row else { return Ok(None) };
        let deliveries = tally(&mut reader, slot.id()).await?;
        let (rows, people): (i64, i64) = one!(
            reader,
            "select count(*), (select count(*) from (select subscriber_id from deliveries where mailing_id = $1 group by subscriber_id) p)
                 from deliveries where mailing_id = $1",
            slot.id()
        )?;
        let (open,): (i64,) = one!(reader, "select count(*) from deliveries where mailing_id = $1 and finished_at is null", slot.id())?;
        let (unqueued,): (i64,) = one!(
            reader,
            "select count(*) from deliveries d where d.mailing_id = $1 and d.finished_at is null and not exists
               (select 1 from chunks c where c.mailing_id = $1 and c.last_id >= d.subscriber_id and c.first_id <= d.subscriber_id)",
            slot.id()
        )?;
        let (too_late,): (i64,) = one!(
            reader,
            "select count(*) from deliveries d join subscribers s on s.id = d.subscriber_id
             where d.mailing_id = $1 and d.state in ('sending', 'sent', 'uncertain')
               and s.state in ('unsubscribed', 'bounced', 'complained') and d.started_at > s.state_at + $2",
            slot.id(),
            CLOCKS_APART
        )?;
        let (unended,): (i64,) = one!(
            reader,
            "select count(*) from deliveries where mailing_id = $1
             and (state in ('sent', 'failed')) <> (finished_at is not null) and state <> 'uncertain'",
            slot.id()
        )?;
        let mut faults = Vec::new();
        let mut must = |holds: bool, fault: String| {
            if !holds {
                faults.push(fault);
            }
        };
        must(rows == people, format!("{rows} deliveries for {people} people: somebody has two"));
        must(rows == recipients, format!("{recipients} recipients when it was published, {rows} deliveries now"));
        must(too_late == 0, format!("{too_late} were sent to after they had left or been suppressed"));
        must(unended == 0, format!("{unended} deliveries are final without an end, or ended without being final"));
        must(unqueued == 0, format!("{unqueued} deliveries are open and nobody would look at them: they are in no chunk"));
        must(state != "sent" || open == 0, format!("it counts as sent, with {open} deliveries open"));
        let doubts: Vec<(i64, String, i64, i64)> = all!(
            reader,
            "select subscriber_id, state, uncertain_at, attempts from deliveries
             where mailing_id = $1 and uncertain_at is not null order by uncertain_at, subscriber_id limit $2",
            slot.id(),
            most
        )?;
        let doubts = doubts.into_iter().map(|(subscriber, state, at, attempts)| Doubt {
            subscriber: subscriber.to_string(),
            state,
            uncertain_at: from_millis(at),
            attempts,
        });
        Ok(Some(Audit { slot, recipients: recipients as u64, deliveries, faults, doubts: doubts.collect() }))
    }
}
