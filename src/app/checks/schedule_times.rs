//! Times of the schedule that cannot work, said before a digest is missed for it.

use chrono::TimeDelta;

use crate::app::App;
use crate::domain::Timestamp;
use crate::domain::slot::Slot;
use crate::domain::timetable::Timetable;
use crate::domain::zone::Zone;

/// The settings of `[schedule]` that decide it.
pub(in crate::app) struct Timing<'a> {
    pub pick: (&'a str, &'a Timetable),
    pub send: (&'a str, &'a Timetable),
    pub timezone: &'a Zone,
}

impl Timing<'_> {
    /// Times that nothing comes of, as sentences; none where each week is picked and sent once at most.
    pub fn unused_times(&self, now: Timestamp) -> Vec<String> {
        let week = |time: Timestamp| Slot::of(time, self.timezone);
        let mut found = Vec::new();
        for (key, (cron, times)) in [("schedule.pick", self.pick), ("schedule.send", self.send)] {
            if let Some((first, second)) = times.twice_within(now - TimeDelta::weeks(1), week) {
                found.push(format!(
                    "{key} = {cron:?} comes more than once a week ({} and {}, both in {}), and a week has one digest: only the first time \
                     counts. Give it one time a week.",
                    self.shown(first),
                    self.shown(second),
                    week(first)
                ));
            }
        }
        found
    }

    fn shown(&self, moment: Timestamp) -> String {
        moment
            .with_timezone(self.timezone)
            .format("%a %Y-%m-%d %H:%M %Z")
            .to_string()
    }
}

impl App {
    /// Times of the schedule that nothing comes of, as sentences.
    pub fn unused_times(&self) -> Vec<String> {
        let schedule = &self.settings.schedule;
        let timing = Timing {
            pick: (&schedule.pick, &self.pick_times),
            send: (&schedule.send, &self.send_times),
            timezone: &self.site.timezone,
        };
        timing.unused_times(self.now())
    }
}
