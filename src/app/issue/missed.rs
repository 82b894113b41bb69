//! Digests that should have gone out and did not: nobody was there, or something kept them from it.
//!
//! A late digest is made up by any `serve` that keeps the schedule, within `schedule.catch_up`. What is later than that stays as it is,
//! and is named with the command that sends it, until it is sent or given up, or a later digest went out.

use chrono::TimeDelta;

use crate::app::App;
use crate::app::Failure;
use crate::app::delta;
use crate::config::Approval;
use crate::domain::Timestamp;
use crate::domain::digest::DigestState;
use crate::domain::slot::Slot;

/// Each minute somebody looks what is due; what is late by more than this had nobody who looked, or cannot go out.
const LATE_AFTER: TimeDelta = TimeDelta::minutes(5);
/// A pick is looked for over this time.
const LOOK_BACK: TimeDelta = TimeDelta::weeks(8);

/// A digest that is late.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct MissedDigest {
    /// Its week.
    pub slot: Slot,
    /// Time when it was due to be picked, if it was not, or else to be sent.
    pub due_at: Timestamp,
    /// True if it is picked.
    pub is_picked: bool,
    /// Time until which the schedule makes it up by itself; `None`: no more.
    pub made_up_until: Option<Timestamp>,
    /// True if a later digest went out meanwhile.
    pub is_superseded: bool,
    /// The command that sends it; `None` where somebody has to approve first.
    pub command: Option<String>,
}

impl App {
    /// Digests that should have been picked or sent and were not; mostly none.
    pub async fn missed_digests(&self) -> Result<Vec<MissedDigest>, Failure> {
        let now = self.now();
        let (mut missed, catch_up) = (Vec::new(), delta(self.settings.schedule.catch_up));
        let late = |due: Timestamp| {
            (now - due > LATE_AFTER).then(|| Some(due + catch_up).filter(|until| *until >= now))
        };
        let last_sent = self.storage.last_sent().await?;
        for digest in self.storage.due_digests(now).await? {
            let is_superseded = last_sent.is_some_and(|last| last > digest.slot);
            let Some(made_up_until) = late(digest.send_at) else {
                continue;
            };
            let force = if is_superseded { " --force" } else { "" };
            let command = Some(format!("{}{force}", self.send_command(digest.slot, now)));
            missed.push(MissedDigest {
                slot: digest.slot,
                due_at: digest.send_at,
                is_picked: true,
                made_up_until,
                is_superseded,
                command,
            });
        }
        // With nobody on the list a digest waits, and nothing is missed.
        if !missed.is_empty() && self.readers().await == 0 {
            missed.clear();
        }
        missed.extend(self.missed_pick(now, late).await?);
        Ok(missed)
    }

    /// The last time to pick, where nothing was picked then nor later.
    async fn missed_pick(
        &self,
        now: Timestamp,
        late: impl Fn(Timestamp) -> Option<Option<Timestamp>>,
    ) -> Result<Option<MissedDigest>, Failure> {
        let since = self.storage.created_at().await?.max(now - LOOK_BACK);
        let Some(due_at) = self.pick_times.last_due(since, now) else {
            return Ok(None);
        };
        let slot = self.slot_at(due_at);
        let newest = self.storage.newest_slot().await?;
        let Some(made_up_until) =
            late(due_at).filter(|_| newest.is_none_or(|newest| newest < slot))
        else {
            return Ok(None);
        };
        let command = match self.settings.schedule.approval {
            Approval::Auto => Some(self.send_command(slot, now)),
            Approval::Required => {
                (slot == self.slot_at(now)).then(|| "verdicts digest draft".to_owned())
            }
        };
        Ok(Some(MissedDigest {
            slot,
            due_at,
            is_picked: false,
            made_up_until,
            is_superseded: false,
            command,
        }))
    }

    fn send_command(&self, slot: Slot, now: Timestamp) -> String {
        let other_week = if slot == self.slot_at(now) {
            ""
        } else {
            " --other-week"
        };
        format!("verdicts digest send {slot}{other_week}")
    }

    /// Logs each digest that nothing makes up any more, once, and counts those that are late.
    pub(crate) async fn watch_missed(&self) -> Result<(), Failure> {
        for missed in self
            .count_missed()
            .await?
            .iter()
            .filter(|missed| missed.made_up_until.is_none())
        {
            if self.said.says_of(missed.slot) {
                tracing::warn!(slot = %missed.slot, "{}", self.missed_in_words(missed));
            }
        }
        Ok(())
    }

    /// Sets the gauge of digests that are late; answers them.
    pub(in crate::app) async fn count_missed(&self) -> Result<Vec<MissedDigest>, Failure> {
        let missed: Vec<MissedDigest> = self
            .missed_digests()
            .await?
            .into_iter()
            .filter(|missed| !missed.is_superseded)
            .collect();
        metrics::gauge!("verdicts_digests_missed").set(missed.len() as f64);
        Ok(missed)
    }

    /// A missed digest in words: what happened, and what to do.
    pub fn missed_in_words(&self, missed: &MissedDigest) -> String {
        let MissedDigest { slot, due_at, .. } = missed;
        let due_at = self.local_time(*due_at);
        let what = match missed.is_picked {
            true => format!(
                "{slot} is {} and was due to be sent {due_at}",
                DigestState::Approved
            ),
            false => format!("nothing was picked for {slot}, due {due_at}"),
        };
        let why = match missed.made_up_until {
            Some(until) => format!(
                "a `serve` with the role schedule makes that up until {}; if one is running, its log says what keeps it",
                self.local_time(until)
            ),
            None => {
                "that is longer ago than schedule.catch_up, so the schedule leaves it".to_owned()
            }
        };
        let to_do = match &missed.command {
            Some(command) if missed.is_picked || command.contains(" send ") => {
                format!("`{command}` sends it")
            }
            Some(command) => {
                format!("`{command}` makes it, and `verdicts digest approve {slot}` lets it go out")
            }
            None => "what it would have carried goes into the next one".to_owned(),
        };
        let give_up = if missed.is_picked {
            format!(", `verdicts digest cancel {slot}` gives it up")
        } else {
            String::new()
        };
        format!("{what}: {why}; {to_do}{give_up}")
    }
}
