//! `[keep]`: the nightly run that deletes what was kept for long enough, and what `doctor` says of it.

use std::time::Duration;

use chrono::TimeDelta;
use chrono::Timelike as _;
use tokio::time::Instant;

use crate::app::App;
use crate::app::Failure;
use crate::app::check_result::CheckResult;
use crate::app::check_result::advice;
use crate::app::check_result::good;
use crate::app::delta;
use crate::config::KeepSettings;
use crate::domain::Timestamp;
use crate::domain::actor::Actor;

/// Hour of the night, on the clocks of `site.timezone`, at which it begins. A night that was missed is made up at the next tick.
const HOUR: u32 = 3;
/// Time for which a process has it.
const LEASE: TimeDelta = TimeDelta::minutes(10);
/// Upper bound on its part of a tick: it goes on in the next one.
const TICK_MAX: Duration = Duration::from_secs(20);
/// Time after which a run that did not come to its end is worth a word.
const LATE: TimeDelta = TimeDelta::days(3);

/// Rows that are deleted in steps.
#[derive(Debug, Clone, Copy)]
enum GrowingTable {
    Networks,
    Digests,
    Transactional,
    Audit,
}

impl App {
    /// Goes on with the nightly run, if it is due and no other process has it.
    pub(in crate::app) async fn keep_tables(&self, now: Timestamp) -> Result<(), Failure> {
        let night = self.last_night(now);
        if !self.storage.begin_keeping(night, now, now + LEASE).await? {
            return Ok(());
        }
        let is_done = self.forget_all(now).await;
        let finished_at = matches!(is_done, Ok(true)).then_some(now);
        self.storage.end_keeping(finished_at).await?;
        is_done.map(|_| ())
    }

    /// The last time at which it was three o'clock at night.
    fn last_night(&self, now: Timestamp) -> Timestamp {
        let local = now.with_timezone(&self.site.timezone);
        let since = TimeDelta::seconds(i64::from(local.num_seconds_from_midnight()))
            - TimeDelta::hours(i64::from(HOUR));
        match since < TimeDelta::zero() {
            true => now - since - TimeDelta::days(1),
            false => now - since,
        }
    }

    /// Deletes in steps, until nothing is left or the time is over; `true` if nothing is left.
    async fn forget_all(&self, now: Timestamp) -> Result<bool, Failure> {
        let ends_at = Instant::now() + TICK_MAX;
        let keep = self.settings.keep.clone();
        let before = |time: Duration| KeepSettings::bounded(time).map(|time| now - delta(time));
        let tables = [
            (GrowingTable::Networks, keep.networks),
            (GrowingTable::Digests, keep.deliveries),
            (GrowingTable::Transactional, keep.deliveries),
            (GrowingTable::Audit, keep.audit),
        ];
        let mut is_done = true;
        for (table, time) in tables {
            if let Some(before) = before(time) {
                is_done &= self.forget_old(table, before, ends_at, now).await?;
            }
        }
        if let Some(before) = before(keep.ended) {
            is_done &= self.erase_ended(before, ends_at).await?;
        }
        Ok(is_done)
    }

    /// Repeats a step until it finds nothing, or the time is over; `true` if nothing is left. Between two steps others get as long as one
    /// took.
    async fn forget_old(
        &self,
        table: GrowingTable,
        before: Timestamp,
        ends_at: Instant,
        now: Timestamp,
    ) -> Result<bool, Failure> {
        let mut steps = 0_u64;
        let is_done = loop {
            let began = Instant::now();
            let found = match table {
                GrowingTable::Networks => self.storage.forget_networks(before).await?,
                GrowingTable::Digests => self.storage.forget_deliveries(before, now).await?,
                GrowingTable::Transactional => self.storage.forget_transactional(before).await?,
                GrowingTable::Audit => self.storage.forget_audit(before).await?,
            };
            if found == 0 {
                break true;
            }
            steps += 1;
            if Instant::now() >= ends_at {
                break false;
            }
            tokio::time::sleep(began.elapsed()).await;
        };
        if steps > 0 {
            tracing::info!(?table, steps, is_done, "old rows are deleted");
        }
        Ok(is_done)
    }

    async fn erase_ended(&self, before: Timestamp, ends_at: Instant) -> Result<bool, Failure> {
        let mut after = i64::MIN;
        loop {
            let began = Instant::now();
            let (ended, last) = self.storage.ended_after(after, before).await?;
            for email in &ended {
                self.erase_subscriber(&Actor::schedule(), email).await?;
            }
            let Some(last) = last else {
                return Ok(true);
            };
            // Begun anew in the next minute: who was erased is found no more.
            if Instant::now() >= ends_at {
                return Ok(false);
            }
            after = last;
            tokio::time::sleep(began.elapsed()).await;
        }
    }

    /// Names what grows: since when it is kept, and what is kept for ever.
    pub(super) async fn examine_kept(&self) -> CheckResult {
        let oldest = match self.storage.oldest_rows().await {
            Ok(oldest) => oldest,
            Err(error) => return advice("kept", error.advice()),
        };
        let keep = &self.settings.keep;
        let day = |at: Timestamp| {
            at.with_timezone(&self.site.timezone)
                .format("%Y-%m-%d")
                .to_string()
        };
        let deliveries = oldest.deliveries.map(|(slot, _)| {
            format!(
                "{} deliveries of digests since {slot}",
                oldest.deliveries_count
            )
        });
        let since =
            |what: &str, at: Option<Timestamp>| at.map(|at| format!("{what} since {}", day(at)));
        let parts: Vec<String> = [
            deliveries,
            since("the audit log", oldest.audit),
            since("networks of sign-ups", oldest.networks),
        ]
        .into_iter()
        .flatten()
        .collect();
        let words = match parts.is_empty() {
            true => "nothing old yet".to_owned(),
            false => parts.join(", "),
        };
        let endless: Vec<&str> = [
            ("keep.deliveries", keep.deliveries),
            ("keep.audit", keep.audit),
            ("keep.networks", keep.networks),
        ]
        .into_iter()
        .filter(|(_, time)| time.is_zero())
        .map(|(key, _)| key)
        .collect();
        if !endless.is_empty() {
            return advice(
                "kept",
                format!(
                    "{words}; grows for ever ({}): set a time to have old rows deleted",
                    endless.join(", ")
                ),
            );
        }
        match oldest.finished_at {
            Some(at) if self.now() - at > LATE => advice(
                "kept",
                format!(
                    "{words}; old rows were last deleted on {}: is a `serve` with the role schedule running?",
                    day(at)
                ),
            ),
            _ => good("kept", words),
        }
    }
}
