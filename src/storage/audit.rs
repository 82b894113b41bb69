//! The ledger's promises, checked from its rows alone.

use super::ReadConnection;
use super::Storage;
use super::StorageError;
use super::ledger::Tally;
use crate::domain::Timestamp;
use crate::domain::from_millis;
use crate::domain::slot::Slot;
use crate::storage::ledger::counts::StateCounts;
use crate::storage::ledger::counts::counted;
use crate::storage::ledger::counts::kept;

/// Two machines' clocks may differ by this, in milliseconds, before one that sent after the other unsubscribed is a fault.
const CLOCKS_APART: i64 = 5_000;

/// The ledger's sums for one digest, and whether they agree.
#[derive(Debug, Clone, serde::Serialize)]
pub struct LedgerAudit {
    /// The digest.
    pub slot: Slot,
    /// For how many people deliveries were made.
    pub recipients: u64,
    /// True if more are still to be made.
    pub is_publishing: bool,
    /// Their states.
    pub deliveries: Tally,
    /// Promises that do not hold, in words: empty when all is well.
    pub faults: Vec<String>,
    /// Deliveries that were in doubt at some time: an extra copy can only be among them.
    pub doubts: Vec<UncertainDelivery>,
}

/// A delivery that was in doubt.
#[derive(Debug, Clone, serde::Serialize)]
pub struct UncertainDelivery {
    /// The number of its subscriber, which is for this process alone: whoever shows it shows a name in its place.
    #[serde(skip)]
    pub subscriber: i64,
    /// Its present state.
    pub state: String,
    /// Since when.
    pub uncertain_at: Timestamp,
    /// Attempts so far.
    pub attempts: i64,
}

impl Storage {
    /// Checks the ledger of a published digest: all counts add up (that each recipient is in it once is the table's key), nobody was sent to who had left or
    /// was suppressed before. `None` if there is no such digest. Doubts are listed up to `most`.
    pub async fn audit(&self, slot: Slot, most: i64) -> Result<Option<LedgerAudit>, StorageError> {
        let mut reader = self.read().await?.for_report().await?;
        let Some((state, forgetting_at, ranges)) = state_of(&mut reader, slot).await? else {
            return Ok(None);
        };
        let is_publishing = ranges > 0;
        let (recipients, rows, counted, kept) =
            sums(&mut reader, slot.id(), forgetting_at.is_some()).await?;
        let (unmade,): (i64,) = one!(
            reader,
            "select count(*) from deliveries where mailing_id = $1
               and subscriber_id > (select after_id from publish_progress where mailing_id = $1)",
            slot.id()
        )?;
        let (open,): (i64,) = one!(
            reader,
            "select count(*) from deliveries where mailing_id = $1 and finished_at is null",
            slot.id()
        )?;
        let (unqueued,): (i64,) = one!(
            reader,
            "select count(*) from deliveries d where d.mailing_id = $1 and d.finished_at is null and not exists
               (select 1 from delivery_batches c where c.mailing_id = $1 and c.last_id >= d.subscriber_id and c.first_id <= d.subscriber_id)",
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
             and (state in ('sent', 'failed', 'skipped')) <> (finished_at is not null) and state <> 'uncertain'",
            slot.id()
        )?;
        let faults = faults_of(&LedgerFigures {
            recipients,
            rows,
            counted: &counted,
            kept: &kept,
            unmade,
            is_publishing,
            state: &state,
            open,
            unqueued,
            too_late,
            unended,
        });
        let doubts: Vec<(i64, String, i64, i64)> = all!(
            reader,
            "select subscriber_id, state, uncertain_at, attempts from deliveries
             where mailing_id = $1 and uncertain_at is not null order by uncertain_at, subscriber_id limit $2",
            slot.id(),
            most
        )?;
        let doubts =
            doubts
                .into_iter()
                .map(|(subscriber, state, at, attempts)| UncertainDelivery {
                    subscriber,
                    state,
                    uncertain_at: from_millis(at),
                    attempts,
                });
        Ok(Some(LedgerAudit {
            slot,
            recipients: recipients as u64,
            is_publishing,
            deliveries: counted.tally(),
            faults,
            doubts: doubts.collect(),
        }))
    }
}

/// A digest's state, when the deletion of its deliveries began, and 1 if more are still to be made.
async fn state_of(
    reader: &mut ReadConnection,
    slot: Slot,
) -> Result<Option<(String, Option<i64>, i64)>, StorageError> {
    Ok(optional!(
        reader,
        "select state, forgetting_at, (select count(*) from publish_progress where mailing_id = $1) from digests where id = $1",
        slot.id()
    )?)
}

/// A digest's recipients, its rows, how they stand by counting, and by what is kept: in one statement, since it may be on its way.
async fn sums(
    reader: &mut ReadConnection,
    digest: i64,
    is_forgotten: bool,
) -> Result<(i64, i64, StateCounts, StateCounts), StorageError> {
    let sums: Sums = one!(
        reader,
        concat!(
            "select (select recipients from digests where id = $1) as recipients, r.rows_in_it, r.queued, r.sending, r.sent, r.failed,
               r.skipped, r.uncertain, k.queued + k.sending as kept_open, k.sent as kept_sent, k.failed as kept_failed,
               k.skipped as kept_skipped, k.uncertain as kept_uncertain
             from (select count(*) as rows_in_it, ",
            counted!(),
            " from deliveries d where d.mailing_id = $1) r cross join (",
            kept!(),
            ") k"
        ),
        digest
    )?;
    // A free batch counts what is out among what is queued.
    let kept = StateCounts {
        queued: sums.kept_open - sums.rows.sending,
        sending: sums.rows.sending,
        sent: sums.kept_sent,
        failed: sums.kept_failed,
        skipped: sums.kept_skipped,
        uncertain: sums.kept_uncertain,
    };
    // Rows that were kept for their time are gone; the counts that are kept stand for them.
    Ok(match is_forgotten {
        true => (sums.recipients, sums.recipients, kept, kept),
        false => (sums.recipients, sums.rows_in_it, sums.rows, kept),
    })
}

#[derive(sqlx::FromRow)]
struct Sums {
    recipients: i64,
    rows_in_it: i64,
    #[sqlx(flatten)]
    rows: StateCounts,
    kept_open: i64,
    kept_sent: i64,
    kept_failed: i64,
    kept_skipped: i64,
    kept_uncertain: i64,
}

/// The figures of one digest that an audit compares.
struct LedgerFigures<'a> {
    recipients: i64,
    rows: i64,
    counted: &'a StateCounts,
    kept: &'a StateCounts,
    unmade: i64,
    is_publishing: bool,
    state: &'a str,
    open: i64,
    unqueued: i64,
    too_late: i64,
    unended: i64,
}

/// The promises that the figures break, a sentence each.
fn faults_of(figures: &LedgerFigures<'_>) -> Vec<String> {
    let LedgerFigures {
        recipients,
        rows,
        counted,
        kept,
        unmade,
        is_publishing,
        state,
        open,
        unqueued,
        too_late,
        unended,
    } = figures;
    let mut faults = Vec::new();
    let mut must = |holds: bool, fault: String| {
        if !holds {
            faults.push(fault);
        }
    };
    must(
        rows == recipients,
        format!("{recipients} recipients when it was published, {rows} deliveries now"),
    );
    must(
        counted == kept,
        format!(
            "the counts that are kept differ from the rows: {} and {}",
            in_words(kept),
            in_words(counted)
        ),
    );
    must(
        *unmade == 0,
        format!("{unmade} deliveries were made beyond the place up to which it is published"),
    );
    must(
        !is_publishing || matches!(*state, "sending" | "paused"),
        format!("it is {state}, and deliveries are still to be made"),
    );
    must(
        *too_late == 0,
        format!("{too_late} were sent to after they had left or been suppressed"),
    );
    must(
        *unended == 0,
        format!("{unended} deliveries are final without an end, or ended without being final"),
    );
    must(
        *unqueued == 0,
        format!(
            "{unqueued} deliveries are open and nobody would look at them: they are in no batch"
        ),
    );
    must(
        *state != "sent" || *open == 0,
        format!("it counts as sent, with {open} deliveries open"),
    );
    faults
}

fn in_words(counts: &StateCounts) -> String {
    let StateCounts {
        queued,
        sending,
        sent,
        failed,
        skipped,
        uncertain,
    } = counts;
    format!(
        "{queued} queued, {sending} sending, {sent} sent, {failed} failed, {skipped} skipped, {uncertain} uncertain"
    )
}
