//! Dates as readers read them.

use chrono::Datelike;

use super::Site;
use crate::domain::Timestamp;
use crate::domain::slot::Slot;

/// A day, for people and for programs.
#[derive(Debug, Clone)]
pub struct Date {
    /// "17 November 2026".
    pub words: String,
    /// "2026-11-17".
    pub iso: String,
    /// "Tuesday".
    pub weekday: &'static str,
}

impl Date {
    pub fn new(site: &Site, moment: Timestamp) -> Self {
        let day = moment.with_timezone(&site.timezone).date_naive();
        Self {
            words: format!("{} {} {}", day.day(), month(day.month()), day.year()),
            iso: format!("{}", day.format("%Y-%m-%d")),
            weekday: weekday(day.weekday()),
        }
    }

    /// The Monday of that week.
    pub fn monday(site: &Site, slot: Slot) -> Self {
        Self::new(site, slot.span(&site.timezone).start)
    }
}

fn weekday(day: chrono::Weekday) -> &'static str {
    match day {
        chrono::Weekday::Mon => "Monday",
        chrono::Weekday::Tue => "Tuesday",
        chrono::Weekday::Wed => "Wednesday",
        chrono::Weekday::Thu => "Thursday",
        chrono::Weekday::Fri => "Friday",
        chrono::Weekday::Sat => "Saturday",
        chrono::Weekday::Sun => "Sunday",
    }
}

fn month(number: u32) -> &'static str {
    const NAMES: [&str; 12] = [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ];
    NAMES.get(number as usize - 1).copied().unwrap_or_default()
}
