//! Dates as programs and people write them.

use chrono::DateTime;
use chrono::NaiveDate;
use chrono::NaiveDateTime;

use crate::domain::Timestamp;
use crate::domain::to_millis;

/// With a time. Between numbers with slashes the month comes first, as in American exports; where that cannot be, the day.
const WITH_TIME: [&str; 15] = [
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%d %H:%M",
    "%Y/%m/%d %H:%M:%S",
    "%Y/%m/%d %H:%M",
    "%d.%m.%Y %H:%M:%S",
    "%d.%m.%Y %H:%M",
    "%m/%d/%Y %H:%M:%S",
    "%m/%d/%Y %H:%M",
    "%m/%d/%Y %I:%M %p",
    "%m/%d/%Y %I:%M:%S %p",
    "%d/%m/%Y %H:%M:%S",
    "%d/%m/%Y %H:%M",
    "%B %d, %Y %I:%M %p",
    "%B %d, %Y %H:%M:%S",
];
const DAY_ONLY: [&str; 9] = [
    "%Y-%m-%d",
    "%Y/%m/%d",
    "%d.%m.%Y",
    "%m/%d/%Y",
    "%d/%m/%Y",
    "%B %d, %Y",
    "%d %B %Y",
    "%d-%B-%Y",
    "%Y%m%d",
];

/// Reads RFC 3339, or another common form: `2026-01-02 03:04:05.6 +0000 UTC`, `02.01.2026 03:04`, `Jan 2, 2026`, seconds since 1970;
/// UTC where nothing else is said.
pub fn date(text: &str) -> Option<Timestamp> {
    let read = text
        .parse::<Timestamp>()
        .ok()
        .or_else(|| spelled(text))
        .or_else(|| counted(text))?;
    // Four digits of a year: "01.01.26" would be the year 26.
    (1970..=9999)
        .contains(&chrono::Datelike::year(&read))
        .then(|| to_millis(read))
}

fn spelled(text: &str) -> Option<Timestamp> {
    let is_half_day =
        |tail: &str| tail.eq_ignore_ascii_case("am") || tail.eq_ignore_ascii_case("pm");
    let bare = match text.rsplit_once(' ') {
        Some((_, tail)) if is_half_day(tail) => text,
        _ => text
            .trim_end_matches(|c: char| c.is_ascii_alphabetic())
            .trim_end(),
    };
    let zoned = || {
        DateTime::parse_from_str(bare, "%Y-%m-%d %H:%M:%S%.f %z")
            .or_else(|_| DateTime::parse_from_rfc2822(text))
            .ok()
    };
    let timed = || {
        WITH_TIME
            .iter()
            .find_map(|form| NaiveDateTime::parse_from_str(bare, form).ok())
    };
    let day = || {
        DAY_ONLY
            .iter()
            .find_map(|form| NaiveDate::parse_from_str(bare, form).ok())
            .and_then(|day| day.and_hms_opt(0, 0, 0))
    };
    zoned()
        .map(|moment| moment.to_utc())
        .or_else(|| timed().or_else(day).map(|moment| moment.and_utc()))
}

/// Seconds or milliseconds since 1970, after 2001.
fn counted(text: &str) -> Option<Timestamp> {
    if !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    match text.len() {
        10 => DateTime::from_timestamp(text.parse().ok()?, 0),
        13 => DateTime::from_timestamp_millis(text.parse().ok()?),
        _ => None,
    }
}

/// Returns whether a text is a date, also in a form that [`date`] cannot place: `01.01.26`, `2 janvier 2026`.
pub fn is_date(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let letters = text.chars().filter(|c| c.is_alphabetic()).count();
    let plain = text
        .chars()
        .all(|c| c.is_alphanumeric() || " -/.:,+()年月日".contains(c));
    let parts = text
        .split(|c: char| !c.is_ascii_digit())
        .filter(|part| !part.is_empty())
        .count();
    date(text).is_some()
        || (text.len() <= 60
            && digits >= 4
            && (parts >= 3 || (parts == 2 && letters > 0))
            && letters <= 24
            && plain
            && text.starts_with(|c: char| c.is_alphanumeric()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_read_in_the_forms_of_other_programs() {
        for (text, read) in [
            ("2026-01-02T03:04:05+01:00", "2026-01-02T02:04:05Z"),
            (
                "2026-01-02 03:04:05.6 +0000 UTC",
                "2026-01-02T03:04:05.600Z",
            ),
            ("2026-01-02 03:04:05 UTC", "2026-01-02T03:04:05Z"),
            ("2026-01-02", "2026-01-02T00:00:00Z"),
            ("02.01.2026 03:04", "2026-01-02T03:04:00Z"),
            ("01/02/2026", "2026-01-02T00:00:00Z"),
            ("31/01/2026 10:00", "2026-01-31T10:00:00Z"),
            ("01/02/2026 03:04 PM", "2026-01-02T15:04:00Z"),
            ("Jan 2, 2026", "2026-01-02T00:00:00Z"),
            ("Jan 02, 2026 03:04 pm", "2026-01-02T15:04:00Z"),
            ("2 January 2026", "2026-01-02T00:00:00Z"),
            ("Fri, 02 Jan 2026 03:04:05 +0000", "2026-01-02T03:04:05Z"),
            ("1767322800", "2026-01-02T03:00:00Z"),
            ("1767322800000", "2026-01-02T03:00:00Z"),
        ] {
            assert_eq!(
                date(text)
                    .map(|at| at.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true))
                    .as_deref(),
                Some(read),
                "{text}"
            );
        }
        for text in [
            "01.02.26",
            "2 janvier 2026",
            "2026年1月2日",
            "Dec 24 2025 at 10:00",
        ] {
            assert!(is_date(text), "{text}");
        }
        for text in ["yesterday", "12", "perhaps 12", "", "1-800", "soft"] {
            assert!(!is_date(text), "{text}");
        }
    }
}
