//! Results of an issue that went out: who got it, who left because of it, what they voted, and how it stands beside those before it.

use chrono::SecondsFormat;
use serde::Serialize;

use crate::app::App;
use crate::app::Failure;
use crate::app::subscribing::spreadsheet::defused;
use crate::domain::Timestamp;
use crate::domain::actor::Actor;
use crate::domain::audit::AuditAction;
use crate::domain::digest::Digest;
use crate::domain::digest::DigestState;
use crate::domain::digest::OutcomeDimension;
use crate::domain::progress::MinuteStats;
use crate::domain::slot::Slot;
use crate::storage::digest_results::IssueVotes;
use crate::storage::digest_results::OutcomeCounts;
use crate::storage::digest_results::Reactions;
use crate::storage::digest_results::RollUpState;
use crate::storage::ledger::Tally;
use crate::storage::roll_ups::RollUpStep;

/// Domains that are shown; all others are one line.
const DOMAINS: i64 = 20;
/// Issues before it that it stands beside.
const EARLIER: usize = 8;
/// Ranges that one look by the clock counts.
const RANGES: usize = 20;
/// Rows of the ledger that are read at once.
const PAGE: i64 = 1_000;

/// Results of one issue. Names here are promised to scripts.
#[derive(Debug, Clone, Serialize)]
pub struct IssueResults {
    /// The week.
    pub slot: Slot,
    /// Its deliveries by state.
    pub deliveries: Tally,
    /// Outcomes minute by minute.
    pub minutes: Vec<MinuteStats>,
    /// State of the count by domain and relay, which begins when the issue is over; with what the audit of the ledger found then.
    pub counted: Option<RollUpState>,
    /// Outcomes by recipient domain, the largest first; an empty name: all others.
    pub domains: Vec<OutcomeCounts>,
    /// Outcomes by relay; an empty name: never begun.
    pub relays: Vec<OutcomeCounts>,
    /// Readers who left, complained or bounced because of it.
    pub reactions: Reactions,
    /// Reasons that those who left gave.
    pub reasons_for_leaving: Vec<(&'static str, u64)>,
    /// Votes that came by it.
    pub votes: Vec<IssueVotes>,
    /// Deliveries that were given up after retries, and may be sent once more.
    pub given_up: u64,
    /// It and the issues before it, the newest first.
    pub beside: Vec<IssueFigures>,
}

/// One issue among others.
#[derive(Debug, Clone, Serialize)]
pub struct IssueFigures {
    /// The week.
    pub slot: Slot,
    /// For how many deliveries were made.
    pub recipients: i64,
    /// Its deliveries by state.
    pub deliveries: Tally,
    /// Readers who left, complained or bounced because of it.
    pub reactions: Reactions,
    /// Votes that came by it.
    pub votes: i64,
}

/// A part of the ledger as CSV.
#[derive(Debug, Clone)]
pub struct LedgerPage {
    /// Lines.
    pub text: String,
    /// The subscriber behind whom the next part begins; `None`: there is none.
    pub next: Option<i64>,
}

impl App {
    /// The results of an issue that was published.
    ///
    /// # Errors
    /// A sentence if there is no such issue, or it is not out yet.
    pub async fn issue_results(&self, slot: Slot) -> Result<IssueResults, Failure> {
        let digest = self.published(slot).await?;
        let storage = &self.storage;
        let mut beside = vec![self.figures_of(&digest).await?];
        let before = storage
            .digests_before(Some(slot), 4 * EARLIER as i64)
            .await?;
        let published = before
            .iter()
            .filter(|digest| digest.published_at.is_some())
            .take(EARLIER);
        for digest in published {
            beside.push(self.figures_of(digest).await?);
        }
        let reasons = storage.reasons_for_leaving(slot).await?;
        Ok(IssueResults {
            slot,
            deliveries: beside[0].deliveries,
            minutes: storage.minutes(slot.id()).await?,
            counted: storage.roll_up_state(slot).await?,
            domains: self.largest(slot).await?,
            relays: storage
                .outcomes(slot, OutcomeDimension::Relay, DOMAINS)
                .await?,
            reactions: beside[0].reactions,
            reasons_for_leaving: reasons
                .into_iter()
                .map(|(reason, count)| (reason.code(), count))
                .collect(),
            votes: storage.issue_votes(slot).await?,
            given_up: storage.given_up(slot).await?,
            beside,
        })
    }

    /// The largest domains, and all others as one line.
    async fn largest(&self, slot: Slot) -> Result<Vec<OutcomeCounts>, Failure> {
        let all = self
            .storage
            .outcomes(slot, OutcomeDimension::Domain, i64::MAX)
            .await?;
        let (mut shown, mut others) = (Vec::new(), OutcomeCounts::others());
        for counts in all {
            if counts.name.is_empty() || shown.len() as i64 >= DOMAINS {
                others.add(&counts);
            } else {
                shown.push(counts);
            }
        }
        if others.all() > 0 {
            shown.push(others);
        }
        Ok(shown)
    }

    pub(in crate::app) async fn figures_of(
        &self,
        digest: &Digest,
    ) -> Result<IssueFigures, Failure> {
        let slot = digest.slot;
        let votes = self.storage.issue_votes(slot).await?;
        Ok(IssueFigures {
            slot,
            recipients: digest.recipients,
            deliveries: self.storage.tally(slot.id()).await?,
            reactions: self.storage.reactions(slot).await?,
            votes: votes.iter().map(|votes| votes.ships + votes.skips).sum(),
        })
    }

    async fn published(&self, slot: Slot) -> Result<Digest, Failure> {
        let digest = self.storage.digest(slot).await?.ok_or_else(|| {
            Failure::not_found(format!(
                "There is no digest {slot}; `verdicts digest list` shows all."
            ))
        })?;
        match digest.published_at {
            Some(_) => Ok(digest),
            None => Err(Failure::conflict(format!(
                "{slot} is {}: it has no results before it goes out.",
                digest.state
            ))),
        }
    }

    /// Counts some of the outcomes of issues that are over.
    pub(in crate::app) async fn roll_up(&self, now: Timestamp) -> Result<(), Failure> {
        for _ in 0..RANGES {
            let Some(open) = self.storage.next_roll_up().await? else {
                break;
            };
            match self.storage.roll_up_range(&open).await? {
                RollUpStep::Counted => {}
                RollUpStep::Elsewhere => break,
                RollUpStep::Complete => {
                    let audit = self.storage.audit(open.slot, 0).await?;
                    let faults = audit.map(|audit| audit.faults).unwrap_or_default();
                    if !faults.is_empty() {
                        tracing::error!(slot = %open.slot, ?faults, "the ledger of a digest that is over contradicts itself; see `verdicts digest audit`");
                    }
                    self.storage.finish_roll_up(&open, &faults, now).await?;
                }
            }
        }
        Ok(())
    }

    /// Sends an issue once more to those whose delivery was put off until `mail.retry.max_age` was over. Those whose server refused for
    /// good, or took the mail, get none. Answers how many are queued.
    ///
    /// # Errors
    /// A sentence if the issue is not over, or nothing of it was given up.
    pub async fn retry_given_up(&self, actor: &Actor, slot: Slot) -> Result<u64, Failure> {
        let digest = self.published(slot).await?;
        if digest.state != DigestState::Sent {
            return Err(Failure::conflict(format!(
                "{slot} is {}: only one that is sent can be sent once more to those it did not reach.",
                digest.state
            )));
        }
        let (mut after, mut queued) = (i64::MIN, 0);
        while let Some(range) = self
            .storage
            .retry_range(actor, slot, after, self.now())
            .await?
        {
            (after, queued) = (range.last, queued + range.queued);
            if range.queued > 0 {
                self.wake_senders();
            }
        }
        if queued == 0 {
            return Err(Failure::conflict(format!(
                "Nothing of {slot} was given up: what failed was refused for good, and is not sent again."
            )));
        }
        tracing::info!(%slot, queued, "what was given up is sent once more");
        Ok(queued)
    }

    /// Notes that the ledger of an issue is exported, and gives the first line of the file.
    ///
    /// # Errors
    /// As [`App::issue_results`].
    pub async fn begin_ledger_export(&self, actor: &Actor, slot: Slot) -> Result<String, Failure> {
        let digest = self.published(slot).await?;
        let detail = serde_json::json!({ "slot": slot, "deliveries": digest.recipients });
        self.storage
            .note_action(actor, AuditAction::LedgerExported, &detail, self.now())
            .await?;
        Ok(
            "subscriber,email,state,skip_reason,attempts,queued_at,started_at,finished_at,relay,reply\n"
                .into(),
        )
    }

    /// The part of an issue's ledger behind a subscriber: a file of any length in little memory.
    pub async fn ledger_page(&self, slot: Slot, after: i64) -> Result<LedgerPage, Failure> {
        let rows = self.storage.ledger_rows(slot, after, PAGE).await?;
        let unwritten =
            |error: csv::Error| Failure::internal(format!("The file cannot be written: {error}."));
        let time = |at: Option<Timestamp>| {
            at.map(|at| at.to_rfc3339_opts(SecondsFormat::Millis, true))
                .unwrap_or_default()
        };
        let mut writer = csv::Writer::from_writer(Vec::new());
        for row in &rows {
            let fields = [
                self.subscriber_name(row.subscriber),
                defused(row.email.as_deref().unwrap_or_default()).into_owned(),
                row.state.clone(),
                row.skip_reason.clone().unwrap_or_default(),
                row.attempts.to_string(),
                time(Some(row.queued_at)),
                time(row.started_at),
                time(row.finished_at),
                defused(row.relay.as_deref().unwrap_or_default()).into_owned(),
                defused(row.reply.as_deref().unwrap_or_default()).into_owned(),
            ];
            writer.write_record(fields).map_err(unwritten)?;
        }
        let text = writer
            .into_inner()
            .map_err(|error| Failure::internal(format!("The file cannot be written: {error}.")))?;
        Ok(LedgerPage {
            text: String::from_utf8_lossy(&text).into_owned(),
            next: rows.last().map(|row| row.subscriber),
        })
    }
}
