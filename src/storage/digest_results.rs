//! Results of a published digest, from what is kept of it: no query here reads its deliveries.

use serde::Serialize;

use super::Storage;
use super::StorageError;
use super::stored;
use crate::domain::Timestamp;
use crate::domain::digest::OutcomeDimension;
use crate::domain::from_millis;
use crate::domain::reader::UnsubscribeReason;
use crate::domain::slot::Slot;

/// Upper bound on a count of what followed a digest, of each kind.
pub const REACTIONS_MAX: u64 = 100_000;

/// Outcomes of the deliveries to one domain, or by one relay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct OutcomeCounts {
    /// Its name; empty: all others.
    pub name: String,
    /// Taken by the next server.
    pub sent: i64,
    /// Refused, or given up.
    pub failed: i64,
    /// In doubt.
    pub uncertain: i64,
    /// Not sent on purpose.
    pub skipped: i64,
}

impl OutcomeCounts {
    /// An empty line for all others.
    pub fn others() -> Self {
        Self {
            name: String::new(),
            sent: 0,
            failed: 0,
            uncertain: 0,
            skipped: 0,
        }
    }

    /// Adds another line.
    pub fn add(&mut self, more: &Self) {
        self.sent += more.sent;
        self.failed += more.failed;
        self.uncertain += more.uncertain;
        self.skipped += more.skipped;
    }

    /// All deliveries of it.
    pub fn all(&self) -> i64 {
        self.sent + self.failed + self.uncertain + self.skipped
    }
}

/// State of the count of a digest's outcomes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RollUpState {
    /// Time at which all were counted; `None`: under way.
    pub done_at: Option<Timestamp>,
    /// Promises of the ledger that did not hold then, in words.
    pub faults: Vec<String>,
}

/// Number of readers who left, complained or bounced because of a digest, each at most [`REACTIONS_MAX`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Reactions {
    /// Unsubscribed.
    pub left: u64,
    /// Complained to their provider.
    pub complained: u64,
    /// Subscriptions that ended because mail was refused.
    pub bounced: u64,
}

/// Votes on a tool that came by a digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct IssueVotes {
    /// The tool.
    pub tool: String,
    /// Ship.
    pub ships: i64,
    /// Skip.
    pub skips: i64,
    /// Number of them who had voted otherwise before.
    pub changed: i64,
}

/// A reader who unsubscribed because of a digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaver {
    /// The subscriber.
    pub subscriber: i64,
    /// Their address.
    pub email: String,
    /// Time when they left.
    pub at: Timestamp,
    /// Reason that they gave.
    pub reason: Option<UnsubscribeReason>,
}

impl Storage {
    /// The outcomes of a digest by domain or by relay, the largest first and all others last.
    pub async fn outcomes(
        &self,
        slot: Slot,
        dimension: OutcomeDimension,
        most: i64,
    ) -> Result<Vec<OutcomeCounts>, StorageError> {
        let mut reader = self.read().await?;
        Ok(all!(
            reader,
            "select name, sent, failed, uncertain, skipped from digest_outcomes where mailing_id = $1 and dimension = $2
             order by case when name = '' then 1 else 0 end, sent + failed + uncertain + skipped desc, name limit $3",
            slot.id(),
            dimension.as_str(),
            most
        )?)
    }

    /// The state of the count of a digest's outcomes; `None`: it has not begun.
    pub async fn roll_up_state(&self, slot: Slot) -> Result<Option<RollUpState>, StorageError> {
        let mut reader = self.read().await?;
        let row: Option<(Option<i64>, Option<String>)> = optional!(
            reader,
            "select done_at, faults from digest_roll_ups where mailing_id = $1",
            slot.id()
        )?;
        let state = |(done_at, faults): (Option<i64>, Option<String>)| {
            Ok(RollUpState {
                done_at: done_at.map(from_millis),
                faults: serde_json::from_str(faults.as_deref().unwrap_or("[]"))?,
            })
        };
        row.map(state).transpose()
    }

    /// Counts who left, complained or bounced because of a digest.
    pub async fn reactions(&self, slot: Slot) -> Result<Reactions, StorageError> {
        let mut reader = self.read().await?;
        let mut counts = [0; 3];
        for (count, code) in counts
            .iter_mut()
            .zip(["unsubscribed", "complained", "bounced"])
        {
            (*count,) = one!(
                reader,
                "select count(*) from (select 1 as one from history where digest_id = $1 and code = $2 limit $3) found",
                slot.id(),
                code,
                REACTIONS_MAX as i64
            )?;
        }
        let [left, complained, bounced] = counts.map(|count: i64| count as u64);
        Ok(Reactions {
            left,
            complained,
            bounced,
        })
    }

    /// The votes that came by a digest, the tool with the most first.
    pub async fn issue_votes(&self, slot: Slot) -> Result<Vec<IssueVotes>, StorageError> {
        let mut reader = self.read().await?;
        Ok(all!(
            reader,
            "select tool, ships, skips, changed from digest_votes where mailing_id = $1 order by ships + skips desc, tool",
            slot.id()
        )?)
    }

    /// Reasons that those who left because of a digest gave, the most frequent first.
    pub async fn reasons_for_leaving(
        &self,
        slot: Slot,
    ) -> Result<Vec<(UnsubscribeReason, u64)>, StorageError> {
        let mut reader = self.read().await?;
        let rows: Vec<(String, i64)> = all!(
            reader,
            "select r.reason, count(*) as given from (select subscriber_id from history where digest_id = $1 and code = 'unsubscribed' limit $2) h
             cross join unsubscribe_reasons r where r.subscriber_id = h.subscriber_id group by r.reason order by given desc, r.reason",
            slot.id(),
            REACTIONS_MAX as i64
        )?;
        rows.into_iter()
            .map(|(code, count)| Ok((reason(&code)?, count as u64)))
            .collect()
    }

    /// Readers who unsubscribed because of a digest, from the first on; `after`: the last one of the page before.
    pub async fn leavers(
        &self,
        slot: Slot,
        after: Option<(i64, i64)>,
        most: i64,
    ) -> Result<Vec<Leaver>, StorageError> {
        let mut reader = self.read().await?;
        let (at, subscriber) = after.unwrap_or((i64::MIN, i64::MIN));
        let rows: Vec<(i64, i64, String, Option<String>)> = all!(
            reader,
            "select h.subscriber_id, h.at, s.email, (select r.reason from unsubscribe_reasons r where r.subscriber_id = h.subscriber_id)
             from (select subscriber_id, at from history where digest_id = $1 and code = 'unsubscribed' and (at, subscriber_id) > ($2, $3)
                   order by at, subscriber_id limit $4) h
             cross join subscribers s where s.id = h.subscriber_id order by h.at, h.subscriber_id",
            slot.id(),
            at,
            subscriber,
            most
        )?;
        let leaver = |(subscriber, at, email, code): (i64, i64, String, Option<String>)| {
            Ok(Leaver {
                subscriber,
                email,
                at: from_millis(at),
                reason: stored(code.map(|code| reason(&code)).transpose())?,
            })
        };
        rows.into_iter().map(leaver).collect()
    }
}

fn reason(code: &str) -> Result<UnsubscribeReason, StorageError> {
    UnsubscribeReason::from_code(code)
        .ok_or_else(|| StorageError::Stored(format!("{code} is no reason for leaving")))
}
