//! Growth of the list: kept by day, and shown over days, weeks, sources, cohorts and issues.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use serde::Serialize;

use super::App;
use super::Failure;
use crate::domain::growth::GrowthKind;
use crate::domain::growth::date_of;
use crate::domain::growth::day_at;
use crate::domain::growth::delay_of;
use crate::domain::growth::median_step;
use crate::domain::growth::monday_of;
use crate::domain::growth::week_of;
use crate::domain::slot::Slot;
use crate::storage::growth::GrowthCounts;

/// Noted changes that one transaction adds to their days, and transactions of one look by the clock.
const FOLDED: i64 = 500;
const FOLDS: usize = 40;
/// Subscribers whose histories one transaction reads, and transactions of one look by the clock.
const REPLAYED: i64 = 1_000;
const REPLAYS: usize = 40;
/// Sources that are shown.
const SOURCES: i64 = 20;
/// Weeks of a cohort table, and issues whose change is shown.
const WEEKS: i64 = 12;
/// Days of the longest report.
const DAYS_MAX: i64 = 3_660;

/// Span of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GrowthSpan {
    /// Number of days up to today.
    pub days: i64,
    /// True: a row for each week.
    pub by_week: bool,
}

impl Default for GrowthSpan {
    fn default() -> Self {
        Self {
            days: 90,
            by_week: false,
        }
    }
}

/// Changes of the list. Names here are promised to scripts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct GrowthChange {
    /// Asked to join.
    pub joined: i64,
    /// Confirmed.
    pub confirmed: i64,
    /// Came by an import.
    pub imported: i64,
    /// Unsubscribed by a link,
    pub left_by_link: i64,
    /// by a mail,
    pub left_by_mail: i64,
    /// or by an operator.
    pub left_by_operator: i64,
    /// Ended because mail was refused.
    pub bounced: i64,
    /// Complained.
    pub complained: i64,
    /// Erased.
    pub erased: i64,
}

impl GrowthChange {
    /// Readers who came to the list.
    pub fn gained(&self) -> i64 {
        self.confirmed + self.imported
    }

    /// Readers who unsubscribed.
    pub fn left(&self) -> i64 {
        self.left_by_link + self.left_by_mail + self.left_by_operator
    }

    /// Readers who are no longer on the list.
    pub fn lost(&self) -> i64 {
        self.left() + self.bounced + self.complained + self.erased
    }

    fn add(&mut self, counts: &GrowthCounts) {
        let fields = [
            &mut self.joined,
            &mut self.confirmed,
            &mut self.imported,
            &mut self.left_by_link,
            &mut self.left_by_mail,
            &mut self.left_by_operator,
            &mut self.bounced,
            &mut self.complained,
            &mut self.erased,
        ];
        for (field, count) in fields.into_iter().zip(counts) {
            *field += count;
        }
    }
}

/// A day or a week.
#[derive(Debug, Clone, Serialize)]
pub struct GrowthStep {
    /// The day, or the Monday of the week.
    pub from: NaiveDate,
    /// Readers on the list at its end.
    pub active: i64,
    /// Changes in it.
    #[serde(flatten)]
    pub change: GrowthChange,
}

/// A source of subscriptions.
#[derive(Debug, Clone, Serialize)]
pub struct GrowthSource {
    /// The source, as consents name it.
    pub source: String,
    /// Changes of its readers.
    #[serde(flatten)]
    pub change: GrowthChange,
}

/// Readers who came in one week.
#[derive(Debug, Clone, Serialize)]
pub struct Cohort {
    /// Its Monday.
    pub from: NaiveDate,
    /// Readers who came.
    pub gained: i64,
    /// Readers who were there at the end of that week, of the next, and so on up to this one.
    pub left_over: Vec<i64>,
}

/// Change of the list from one issue to the next.
#[derive(Debug, Clone, Serialize)]
pub struct IssueChange {
    /// The issue.
    pub slot: Slot,
    /// Day on which it went out.
    pub day: NaiveDate,
    /// Changes from that day to the one before the next issue.
    #[serde(flatten)]
    pub change: GrowthChange,
}

/// Growth of the list.
#[derive(Debug, Clone, Serialize)]
pub struct GrowthReport {
    /// `false` as long as histories of before growth was counted are being read.
    pub is_complete: bool,
    /// Readers on the list now.
    pub active: i64,
    /// All changes of the span.
    pub total: GrowthChange,
    /// Share of those who asked to join in the span that confirmed in it, of 1; none where nobody asked.
    pub confirmation_rate: Option<f64>,
    /// Half of those who confirmed took no longer, in seconds; to about a tenth.
    pub median_seconds_to_confirm: Option<i64>,
    /// Days or weeks, oldest first.
    pub steps: Vec<GrowthStep>,
    /// Sources, the one with the most new readers first.
    pub sources: Vec<GrowthSource>,
    /// Readers by the week in which they came, newest first.
    pub cohorts: Vec<Cohort>,
    /// Changes from issue to issue, newest first.
    pub issues: Vec<IssueChange>,
}

impl App {
    /// Adds noted changes to their days, and reads some of the histories of before.
    pub(in crate::app) async fn keep_growth(&self) -> Result<(), Failure> {
        let zone = &self.site.timezone;
        for _ in 0..FOLDS {
            if self.storage.fold_growth(zone, FOLDED).await? < FOLDED as u64 {
                break;
            }
        }
        for _ in 0..REPLAYS {
            if !self.storage.backfill_growth(zone, REPLAYED).await? {
                break;
            }
        }
        Ok(())
    }

    /// The growth of the list over a span that ends today.
    pub async fn growth(&self, span: GrowthSpan) -> Result<GrowthReport, Failure> {
        let today = day_at(self.now(), &self.site.timezone);
        let days = span.days.clamp(1, DAYS_MAX);
        let mut first = today - days + 1;
        if span.by_week {
            first = monday_of(week_of(first));
        }
        let storage = &self.storage;
        let by_day = storage.growth_by_day(first, today).await?;
        let mut active = storage.active_before(first).await?;
        let mut rows: BTreeMap<i64, GrowthChange> = BTreeMap::new();
        let step_of = |day: i64| match span.by_week {
            true => monday_of(week_of(day)),
            false => day,
        };
        let mut total = GrowthChange::default();
        for (day, counts) in &by_day {
            rows.entry(step_of(*day)).or_default().add(counts);
            total.add(counts);
        }
        let width = if span.by_week { 7 } else { 1 };
        let steps = (first..=today).step_by(width).map(|day| {
            let change = rows.get(&day).copied().unwrap_or_default();
            active += change.gained() - change.lost();
            GrowthStep {
                from: date_of(day),
                active,
                change,
            }
        });
        let steps: Vec<GrowthStep> = steps.collect();
        let sources = storage.growth_by_source(first, today, SOURCES).await?;
        let delays = storage.confirmation_delays(first, today).await?;
        Ok(GrowthReport {
            is_complete: storage.is_growth_complete().await?,
            active: steps.last().map_or(0, |step| step.active),
            confirmation_rate: (total.joined > 0)
                .then(|| (total.confirmed as f64 / total.joined as f64).min(1.0)),
            median_seconds_to_confirm: median_step(&delays)
                .map(|step| delay_of(step).num_seconds()),
            total,
            steps,
            sources: sources
                .into_iter()
                .map(|(source, counts)| {
                    let mut change = GrowthChange::default();
                    change.add(&counts);
                    GrowthSource { source, change }
                })
                .collect(),
            cohorts: self.cohorts(today).await?,
            issues: self.issue_changes(today).await?,
        })
    }

    /// Readers by the week in which they came.
    async fn cohorts(&self, today: i64) -> Result<Vec<Cohort>, Failure> {
        let this = week_of(today);
        let first = this - WEEKS + 1;
        let days = self.storage.growth_by_day(monday_of(first), today).await?;
        let losses = self.storage.cohort_losses(first).await?;
        let mut gained: BTreeMap<i64, i64> = BTreeMap::new();
        for (day, counts) in days {
            let gains = GrowthKind::ALL.iter().filter(|kind| kind.is_gain());
            *gained.entry(week_of(day)).or_default() +=
                gains.map(|kind| counts[*kind as usize]).sum::<i64>();
        }
        let cohort = |week: i64| {
            let came = gained.get(&week).copied().unwrap_or(0);
            let lost_by = |last: i64| {
                let of_it = losses
                    .iter()
                    .filter(|(joined, left, _)| *joined == week && *left <= last);
                of_it.map(|(.., times)| times).sum::<i64>()
            };
            Cohort {
                from: date_of(monday_of(week)),
                gained: came,
                left_over: (week..=this)
                    .map(|last| (came - lost_by(last)).max(0))
                    .collect(),
            }
        };
        Ok((first..=this).rev().map(cohort).collect())
    }

    /// Changes from issue to issue.
    async fn issue_changes(&self, today: i64) -> Result<Vec<IssueChange>, Failure> {
        let digests = self.storage.digests_before(None, 4 * WEEKS).await?;
        let published = digests
            .iter()
            .filter_map(|digest| Some((digest.slot, digest.published_at?)));
        let issues: Vec<(Slot, i64)> = published
            .map(|(slot, at)| (slot, day_at(at, &self.site.timezone)))
            .take(WEEKS as usize)
            .collect();
        let Some((_, oldest)) = issues.last() else {
            return Ok(Vec::new());
        };
        let days = self.storage.growth_by_day(*oldest, today).await?;
        let mut until = today;
        let changes = issues.into_iter().map(|(slot, day)| {
            let mut change = GrowthChange::default();
            let within = days.iter().filter(|(at, _)| (day..=until).contains(at));
            within.for_each(|(_, counts)| change.add(counts));
            until = day - 1;
            IssueChange {
                slot,
                day: date_of(day),
                change,
            }
        });
        Ok(changes.collect())
    }
}
