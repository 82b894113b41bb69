//! Timetables: cron expressions on the calendar of the site's time zone.
//!
//! croner computes on the zone's own calendar, so that 09:00 stays 09:00 when the clocks change: a time left out by the
//! change moves to its end, a time that comes twice counts once. No clock here: what is due follows from `now`.

use std::str::FromStr;

use chrono::SubsecRound;
use chrono::TimeDelta;
use croner::Cron;
use croner::errors::CronError;

use super::Timestamp;
use super::zone::Zone;

/// Minutes that clocks were ever set back at once, with room: a day, where the date line moved.
const LONGEST_FOLD_MINUTES: usize = 25 * 60;

/// Times of a timetable that are looked at: more than a year of weeks.
const TIMES_MAX: usize = 60;

/// A text that makes no timetable.
#[derive(Debug, thiserror::Error)]
pub enum TimetableError {
    /// It is no cron expression.
    #[error("{0:?} is not a cron expression ({1}); one looks like \"0 9 * * TUE\"")]
    Syntax(String, CronError),
    /// No moment ever matches it.
    #[error("{0:?} is a time that never comes")]
    Never(String),
}

/// A cron expression in a time zone.
#[derive(Debug, Clone)]
pub struct Timetable {
    cron: Cron,
    timezone: Zone,
}

impl Timetable {
    /// Parses five fields (minute hour day month weekday), or six with seconds in front.
    ///
    /// # Errors
    /// A sentence: what is wrong with it, or that it never comes.
    pub fn parse(cron: &str, timezone: Zone) -> Result<Self, TimetableError> {
        let parsed =
            Cron::from_str(cron).map_err(|error| TimetableError::Syntax(cron.to_owned(), error))?;
        let timetable = Self {
            cron: parsed,
            timezone,
        };
        match timetable.next(Timestamp::UNIX_EPOCH + TimeDelta::days(20_000)) {
            Some(_) => Ok(timetable),
            None => Err(TimetableError::Never(cron.to_owned())),
        }
    }

    /// The first time after `moment`.
    pub fn next(&self, moment: Timestamp) -> Option<Timestamp> {
        // Whole seconds: croner would carry the fraction on into what it finds.
        let mut second = moment.trunc_subsecs(0);
        // croner 3.0.1, asked within the second pass of an hour that comes twice, answers with a time of the first, which is
        // over. That hour counted once, so the next time is what it answers when it is asked behind the hour.
        for _ in 0..LONGEST_FOLD_MINUTES {
            let time = self
                .cron
                .find_next_occurrence(&second.with_timezone(&self.timezone), false)
                .ok()?
                .to_utc();
            if time > moment {
                return Some(time);
            }
            second += TimeDelta::minutes(1);
        }
        None
    }

    /// The first time at or after `moment`. Asked as "after the moment before": of a time that a change of the clocks moved
    /// to this very moment, croner knows only so.
    pub fn next_from(&self, moment: Timestamp) -> Option<Timestamp> {
        self.next(moment - TimeDelta::milliseconds(1))
    }

    /// The first two times after `moment` that belong to one and the same `part` of the calendar, within about a year.
    pub fn twice_within<P: PartialEq>(
        &self,
        moment: Timestamp,
        part: impl Fn(Timestamp) -> P,
    ) -> Option<(Timestamp, Timestamp)> {
        let until = moment + TimeDelta::weeks(54);
        let mut time = self.next(moment)?;
        for _ in 0..TIMES_MAX {
            let next = self.next(time).filter(|next| *next <= until)?;
            if part(next) == part(time) {
                return Some((time, next));
            }
            time = next;
        }
        None
    }

    /// The last time after `since` and not after `now`: the one that is due, if it was not made yet.
    ///
    /// Counted forwards on purpose: backwards, croner meets the hour that comes twice from its other side.
    pub fn last_due(&self, since: Timestamp, now: Timestamp) -> Option<Timestamp> {
        let following = |time: &Timestamp| self.next(*time).filter(|next| *next <= now);
        std::iter::successors(following(&since), following).last()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a moment")
    }

    fn berlin(cron: &str) -> Timetable {
        Timetable::parse(cron, Zone::bundled("Europe/Berlin").expect("a zone"))
            .expect("a timetable")
    }

    #[test]
    fn nine_o_clock_stays_nine_o_clock_when_the_clocks_change() {
        let tuesdays = berlin("0 9 * * TUE");
        assert_eq!(
            tuesdays.next(at("2026-03-23T00:00:00Z")),
            Some(at("2026-03-24T08:00:00Z"))
        );
        assert_eq!(
            tuesdays.next(at("2026-03-25T00:00:00Z")),
            Some(at("2026-03-31T07:00:00Z"))
        );
        assert_eq!(
            tuesdays.next(at("2026-10-21T00:00:00Z")),
            Some(at("2026-10-27T08:00:00Z"))
        );
    }

    #[test]
    fn on_the_last_sunday_of_march_the_hour_left_out_moves_to_its_end() {
        let sundays = berlin("30 2 * * SUN");
        assert_eq!(
            sundays.next(at("2026-03-28T12:00:00Z")),
            Some(at("2026-03-29T01:00:00Z"))
        );
        assert_eq!(
            sundays.last_due(at("2026-03-28T12:00:00Z"), at("2026-03-29T20:00:00Z")),
            Some(at("2026-03-29T01:00:00Z"))
        );
        assert_eq!(
            sundays.next(at("2026-03-29T01:00:00Z")),
            Some(at("2026-04-05T00:30:00Z"))
        );
        assert_eq!(
            berlin("45 2 * * SUN").next_from(at("2026-03-29T01:00:00Z")),
            Some(at("2026-03-29T01:00:00Z"))
        );
    }

    #[test]
    fn on_the_last_sunday_of_october_the_hour_that_comes_twice_counts_once() {
        let sundays = berlin("30 2 * * SUN");
        let first = sundays.next(at("2026-10-24T12:00:00Z")).expect("a time");
        assert_eq!(first, at("2026-10-25T00:30:00Z"));
        assert_eq!(sundays.next(first), Some(at("2026-11-01T01:30:00Z")));
        for now in [
            "2026-10-25T00:30:00Z",
            "2026-10-25T01:30:00Z",
            "2026-10-25T20:00:00Z",
        ] {
            assert_eq!(
                sundays.last_due(at("2026-10-24T12:00:00Z"), at(now)),
                Some(first)
            );
        }
        assert_eq!(sundays.last_due(first, at("2026-10-25T20:00:00Z")), None);
    }

    #[test]
    fn asked_within_the_hour_that_comes_twice_the_next_time_is_never_over() {
        let second_pass = at("2026-10-25T01:10:00Z");
        assert_eq!(
            berlin("30 2 * * SUN").next(second_pass),
            Some(at("2026-11-01T01:30:00Z"))
        );
        assert_eq!(
            berlin("5 3 * * *").next(second_pass),
            Some(at("2026-10-25T02:05:00Z"))
        );
        assert_eq!(
            berlin("30 2 * * SUN").last_due(second_pass, at("2026-10-25T20:00:00Z")),
            None
        );
        let mut moment = at("2026-10-24T22:00:00Z");
        while moment < at("2026-10-25T04:00:00Z") {
            for cron in ["30 2 * * SUN", "*/7 * * * *", "0 0 2 * * *", "59 2 25 10 *"] {
                let next = berlin(cron).next(moment).expect("a time");
                assert!(next > moment, "{cron} at {moment}: {next}");
            }
            moment += TimeDelta::seconds(97);
        }
    }

    #[test]
    fn what_is_due_is_a_whole_second_whenever_one_asks() {
        assert_eq!(
            berlin("0 9 * * TUE").next(at("2026-11-23T12:00:00.123Z")),
            Some(at("2026-11-24T08:00:00Z"))
        );
        assert_eq!(
            berlin("0 9 * * TUE").next_from(at("2026-11-24T08:00:00Z")),
            Some(at("2026-11-24T08:00:00Z"))
        );
        assert_eq!(
            berlin("0 9 * * TUE").next_from(at("2026-11-24T08:00:00.001Z")),
            Some(at("2026-12-01T08:00:00Z"))
        );
    }

    #[test]
    fn two_times_in_one_week_are_found_and_one_a_week_is_not_two() {
        let (week, moment) = (
            |time: Timestamp| (time + TimeDelta::days(3)).timestamp() / (7 * 24 * 60 * 60),
            at("2026-11-23T00:00:00Z"),
        );
        let twice = |cron: &str| berlin(cron).twice_within(moment, week);
        assert_eq!(
            twice("0 9 * * TUE,FRI"),
            Some((at("2026-11-24T08:00:00Z"), at("2026-11-27T08:00:00Z")))
        );
        assert_eq!((twice("0 9 * * TUE"), twice("0 9 1 * *")), (None, None));
        assert!(twice("0 9 * * *").is_some() && twice("0 9 1,3 * *").is_some());
    }

    #[test]
    fn a_time_that_never_comes_is_refused() {
        assert!(Timetable::parse("0 9 31 2 *", Zone::utc()).is_err());
        assert!(Timetable::parse("whenever", Zone::utc()).is_err());
    }
}
