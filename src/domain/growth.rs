//! Growth: who joins and who leaves, by day, source and week of joining.

use chrono::Datelike;

use super::Timestamp;
use super::history::UnsubscribedBy;
use super::named;
use super::zone::Zone;

named! {
    /// Change of the list. Leaving is that of somebody who was on it.
    GrowthKind {
        /// Asked to join.
        Joined => "joined",
        /// Confirmed, and is on the list.
        Confirmed => "confirmed",
        /// Came to the list by an import.
        Imported => "imported",
        /// Unsubscribed by the link of a mail.
        LeftByLink => "left_by_link",
        /// Unsubscribed by a mail.
        LeftByMail => "left_by_mail",
        /// Was unsubscribed by an operator.
        LeftByOperator => "left_by_operator",
        /// Ended because mail was refused.
        Bounced => "bounced",
        /// Complained.
        Complained => "complained",
        /// Was erased.
        Erased => "erased",
    }
}

impl GrowthKind {
    /// True if it makes the list longer.
    pub fn is_gain(self) -> bool {
        matches!(self, Self::Confirmed | Self::Imported)
    }

    /// True if it makes the list shorter.
    pub fn is_loss(self) -> bool {
        !self.is_gain() && self != Self::Joined
    }
}

impl From<UnsubscribedBy> for GrowthKind {
    fn from(by: UnsubscribedBy) -> Self {
        match by {
            UnsubscribedBy::Link => Self::LeftByLink,
            UnsubscribedBy::Mail => Self::LeftByMail,
            UnsubscribedBy::Operator => Self::LeftByOperator,
        }
    }
}

/// The day of a moment at the site, counted from 1970.
pub fn day_at(moment: Timestamp, zone: &Zone) -> i64 {
    const EPOCH_FROM_CE: i64 = 719_163;
    let date = moment.with_timezone(zone).date_naive();
    i64::from(date.num_days_from_ce()) - EPOCH_FROM_CE
}

/// The week of a day, counted by Mondays from 1970, whose first day was a Thursday.
pub fn week_of(day: i64) -> i64 {
    (day + 3).div_euclid(7)
}

/// The Monday of a week.
pub fn monday_of(week: i64) -> i64 {
    week * 7 - 3
}

/// Date of a day.
pub fn date_of(day: i64) -> chrono::NaiveDate {
    let epoch = chrono::NaiveDate::default();
    epoch
        .checked_add_signed(chrono::TimeDelta::days(day.clamp(-700_000, 2_900_000)))
        .unwrap_or(epoch)
}

/// Steps of a doubling of a delay: each is 19 per cent longer than the one before.
const STEPS: f64 = 4.0;

/// Step of a delay on a logarithmic scale.
pub fn delay_step(delay: chrono::TimeDelta) -> i64 {
    let seconds = delay.num_seconds().max(1) as f64;
    (seconds.log2() * STEPS).round() as i64
}

/// The delay in the middle of a step.
pub fn delay_of(step: i64) -> chrono::TimeDelta {
    let seconds = (step.clamp(0, 200) as f64 / STEPS).exp2();
    chrono::TimeDelta::seconds(seconds.round() as i64)
}

/// The median of delays that are counted by steps in rising order.
pub fn median_step(steps: &[(i64, u64)]) -> Option<i64> {
    let all: u64 = steps.iter().map(|(_, times)| times).sum();
    let mut before = 0;
    for (step, times) in steps {
        before += times;
        if before * 2 >= all && *times > 0 {
            return Some(*step);
        }
    }
    None
}

/// Changes of the list that one subscriber's history tells, from its beginning: those of before growth was counted are read from it.
#[derive(Debug, Default)]
pub struct Replay {
    active_since: Option<Timestamp>,
    asked_at: Option<Timestamp>,
    source: String,
    changes: Vec<ReplayedChange>,
}

/// One change that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplayedChange {
    /// Time.
    pub at: Timestamp,
    /// Change.
    pub kind: GrowthKind,
    /// Source of the consent.
    pub source: String,
    /// Since when they were on the list, or when they asked to join.
    pub since: Option<Timestamp>,
}

impl Replay {
    /// Reads the next event.
    pub fn read(&mut self, at: Timestamp, event: &super::history::HistoryEvent) {
        use super::history::HistoryEvent as Event;
        use super::subscriber::SubscriberState;
        match event {
            Event::SignedUp { source } => {
                self.source.clone_from(source);
                self.asked_at = Some(at);
                self.push(at, GrowthKind::Joined, None);
            }
            Event::Confirmed if self.active_since.is_none() => {
                self.active_since = Some(at);
                self.push(at, GrowthKind::Confirmed, self.asked_at);
            }
            Event::Imported { state, source } => {
                self.source.clone_from(source);
                match state {
                    SubscriberState::Active => self.gain(at),
                    SubscriberState::Unsubscribed => self.lose(at, GrowthKind::LeftByOperator),
                    SubscriberState::Bounced => self.lose(at, GrowthKind::Bounced),
                    SubscriberState::Complained => self.lose(at, GrowthKind::Complained),
                    SubscriberState::Pending => {}
                }
            }
            Event::Unsubscribed { by } => self.lose(at, (*by).into()),
            Event::Bounced { .. } => self.lose(at, GrowthKind::Bounced),
            Event::Complained { .. } => self.lose(at, GrowthKind::Complained),
            _ => {}
        }
    }

    /// Returns whether they were on the list after all that was read.
    pub fn is_active(&self) -> bool {
        self.active_since.is_some()
    }

    /// The changes, such that their sum is what the subscriber's row says: whether they are on the list, and since when they are not.
    pub fn finish(mut self, is_active: bool, state_at: Timestamp) -> Vec<ReplayedChange> {
        match (is_active, self.active_since) {
            (true, None) => self.gain(state_at),
            (false, Some(_)) => self.lose(state_at, GrowthKind::LeftByOperator),
            _ => {}
        }
        self.changes
    }

    fn gain(&mut self, at: Timestamp) {
        if self.active_since.is_none() {
            self.active_since = Some(at);
            self.push(at, GrowthKind::Imported, None);
        }
    }

    fn lose(&mut self, at: Timestamp, kind: GrowthKind) {
        if let Some(since) = self.active_since.take() {
            self.push(at, kind, Some(since));
        }
    }

    fn push(&mut self, at: Timestamp, kind: GrowthKind, since: Option<Timestamp>) {
        self.changes.push(ReplayedChange {
            at,
            kind,
            source: self.source.clone(),
            since,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::history::HistoryEvent;
    use crate::domain::history::UnsubscribedBy;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    #[test]
    fn days_and_weeks_are_the_sites() {
        let utc = Zone::utc();
        assert_eq!(day_at(at("1970-01-01T23:59:59Z"), &utc), 0);
        assert_eq!(day_at(at("1969-12-31T23:59:59Z"), &utc), -1);
        // 30 November 2026 is a Monday.
        let monday = day_at(at("2026-11-30T00:00:00Z"), &utc);
        assert_eq!(week_of(monday), week_of(monday + 6));
        assert_eq!(week_of(monday), week_of(monday - 1) + 1);
        assert_eq!(monday_of(week_of(monday + 3)), monday);
        assert_eq!(date_of(monday).to_string(), "2026-11-30");
    }

    #[test]
    fn a_median_of_steps_is_near_that_of_the_delays() {
        for seconds in [1, 7, 60, 3_600, 250_000] {
            let delay = chrono::TimeDelta::seconds(seconds);
            let back = delay_of(delay_step(delay)).num_seconds() as f64;
            assert!(
                (back / seconds as f64 - 1.0).abs() < 0.15,
                "{seconds}: {back}"
            );
        }
        assert_eq!(median_step(&[(1, 2), (5, 1), (9, 4)]), Some(9));
        assert_eq!(median_step(&[(1, 2), (5, 2)]), Some(1));
        assert_eq!(median_step(&[]), None);
    }

    #[test]
    fn a_history_is_read_as_changes_that_add_up_to_the_row() {
        let (joined, confirmed, left) = (
            at("2026-01-01T00:00:00Z"),
            at("2026-01-02T00:00:00Z"),
            at("2026-03-01T00:00:00Z"),
        );
        let read = |events: &[(Timestamp, HistoryEvent)], is_active| {
            let mut replay = Replay::default();
            events
                .iter()
                .for_each(|(at, event)| replay.read(*at, event));
            let kinds = replay.finish(is_active, left).into_iter();
            kinds
                .map(|change| (change.kind, change.since))
                .collect::<Vec<_>>()
        };
        let source = "web form".to_owned();
        let by = UnsubscribedBy::Link;
        let events = [
            (joined, HistoryEvent::SignedUp { source }),
            (confirmed, HistoryEvent::Confirmed),
            (left, HistoryEvent::Unsubscribed { by }),
        ];
        use GrowthKind::*;
        assert_eq!(
            read(&events, false),
            [
                (Joined, None),
                (Confirmed, Some(joined)),
                (LeftByLink, Some(confirmed))
            ]
        );
        assert_eq!(
            read(&events[..2], false).last(),
            Some(&(LeftByOperator, Some(confirmed))),
            "as the row says"
        );
        assert_eq!(read(&[], true), [(Imported, None)]);
        assert_eq!(
            read(&events[..1], false),
            [(Joined, None)],
            "a sign-up that nobody confirmed is no reader"
        );
    }
}
