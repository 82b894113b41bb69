//! Progress of a send: what became of its mails minute by minute, its rate, the time that is left, and a drawing of it.

use chrono::TimeDelta;

use super::Timestamp;
use super::from_millis;

/// The rate is that of this minute and so many before it.
const LOOK_BACK: i64 = 2;
const MINUTE: i64 = 60_000;
/// From little to much.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The number of a minute, counted from 1970.
pub fn minute_of(moment: Timestamp) -> i64 {
    moment.timestamp_millis().div_euclid(MINUTE)
}

/// Outcomes of a digest's mails in one minute, by all processes together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct MinuteStats {
    /// Time at which it began.
    pub at: Timestamp,
    /// Taken by a relay.
    pub sent: u64,
    /// Final, tried and not delivered.
    pub failed: u64,
    /// Final, not sent on purpose.
    pub skipped: u64,
    /// To be tried again.
    pub later: u64,
    /// In doubt.
    pub uncertain: u64,
}

impl MinuteStats {
    /// An empty one, by its number.
    pub fn numbered(number: i64) -> Self {
        Self {
            at: from_millis(number.saturating_mul(MINUTE)),
            ..Self::default()
        }
    }

    /// Deliveries that ended.
    pub fn ended(&self) -> u64 {
        self.sent + self.failed + self.skipped
    }

    /// Adds what another process, or another moment of the minute, came to.
    pub fn add(&mut self, more: &Self) {
        self.sent += more.sent;
        self.failed += more.failed;
        self.skipped += more.skipped;
        self.later += more.later;
        self.uncertain += more.uncertain;
    }
}

/// Deliveries that end in a minute, as the last minutes before `now` went; a send that began at `since` is not measured over
/// longer than it lasts.
pub fn rate_per_minute(minutes: &[MinuteStats], since: Timestamp, now: Timestamp) -> f64 {
    let from = MinuteStats::numbered(minute_of(now) - LOOK_BACK).at;
    let ended: u64 = minutes
        .iter()
        .filter(|minute| minute.at >= from)
        .map(MinuteStats::ended)
        .sum();
    // A second at least: what was sent within the first moment says nothing of the next.
    let millis = (now - from.max(since)).num_milliseconds().max(1_000);
    ended as f64 * MINUTE as f64 / millis as f64
}

/// Deliveries that ended in a minute, on the average of a send that lasted from `since` to `until`.
pub fn average_per_minute(minutes: &[MinuteStats], since: Timestamp, until: Timestamp) -> f64 {
    let ended: u64 = minutes.iter().map(MinuteStats::ended).sum();
    ended as f64 * MINUTE as f64 / (until - since).num_milliseconds().max(1_000) as f64
}

/// Returns how long `open` deliveries take at that rate, and no shorter than until the last of them is due. `None`: nobody knows, for
/// something is due and nothing goes out.
pub fn time_left(
    open: u64,
    per_minute: f64,
    next_due: Option<Timestamp>,
    last_due: Option<Timestamp>,
    now: Timestamp,
) -> Option<TimeDelta> {
    let all_wait = next_due.is_some_and(|due| due > now);
    let by_rate = match () {
        () if open == 0 || all_wait => TimeDelta::zero(),
        () if per_minute > 0.0 => {
            TimeDelta::try_seconds((open as f64 * 60.0 / per_minute).ceil() as i64)?
        }
        () => return None,
    };
    Some(last_due.map_or(by_rate, |due| by_rate.max(due - now)))
}

/// A line of bars, the first and the last minute at its ends, one bar for as many minutes as make it no longer than
/// `columns`: the line, and how many minutes a bar is. Minutes without a mail are blank.
pub fn drawn(minutes: &[MinuteStats], columns: usize) -> (String, i64) {
    let (Some(first), Some(last)) = (minutes.first(), minutes.last()) else {
        return (String::new(), 1);
    };
    let (first, last) = (minute_of(first.at), minute_of(last.at));
    let columns = i64::try_from(columns).unwrap_or(i64::MAX).max(1);
    let each = (last - first).max(0) / columns + 1;
    let mut heights = vec![0; usize::try_from((last - first).max(0) / each + 1).unwrap_or(1)];
    for minute in minutes {
        let place = usize::try_from((minute_of(minute.at) - first) / each).unwrap_or(0);
        if let Some(height) = heights.get_mut(place) {
            *height += minute.ended();
        }
    }
    let highest = heights.iter().copied().max().unwrap_or(0).max(1);
    let bar = |height: &u64| match height {
        0 => ' ',
        _ => {
            BARS[usize::try_from((height * 8).div_ceil(highest))
                .unwrap_or(8)
                .clamp(1, 8)
                - 1]
        }
    };
    (heights.iter().map(bar).collect(), each)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minutes(ended: &[(i64, u64)]) -> Vec<MinuteStats> {
        ended
            .iter()
            .map(|(number, sent)| MinuteStats {
                sent: *sent,
                ..MinuteStats::numbered(*number)
            })
            .collect()
    }

    fn second(second: i64) -> Timestamp {
        from_millis(second * 1_000)
    }

    #[test]
    fn the_rate_is_that_of_the_last_minutes_and_of_the_time_since_the_send_began() {
        let course = minutes(&[(100, 1_000), (101, 600), (102, 600), (103, 300)]);
        assert_eq!(
            rate_per_minute(&course, second(0), second(103 * 60 + 30)),
            600.0,
            "1,500 in two and a half minutes"
        );
        assert_eq!(
            rate_per_minute(&course[3..], second(103 * 60 + 10), second(103 * 60 + 30)),
            900.0,
            "300 in twenty seconds"
        );
        assert_eq!(rate_per_minute(&course, second(0), second(200 * 60)), 0.0);
        assert_eq!(rate_per_minute(&[], second(60), second(60)), 0.0);
    }

    #[test]
    fn the_time_left_is_by_the_rate_and_no_shorter_than_the_last_mail_waits() {
        let now = second(1_000);
        assert_eq!(
            time_left(500, 100.0, Some(now), Some(now), now),
            Some(TimeDelta::seconds(300))
        );
        assert_eq!(
            time_left(500, 100.0, Some(now), Some(second(2_000)), now),
            Some(TimeDelta::seconds(1_000))
        );
        assert_eq!(
            time_left(5, 0.0, Some(second(1_100)), Some(second(1_200)), now),
            Some(TimeDelta::seconds(200)),
            "all wait"
        );
        assert_eq!(
            time_left(5, 0.0, Some(now), Some(now), now),
            None,
            "something is due, and nothing goes"
        );
        assert_eq!(time_left(0, 0.0, None, None, now), Some(TimeDelta::zero()));
        assert_eq!(
            time_left(u64::MAX, f64::MIN_POSITIVE, None, None, now),
            None,
            "no time that could be said"
        );
    }

    #[test]
    fn a_send_is_drawn_from_its_first_minute_to_its_last() {
        assert_eq!(drawn(&[], 60), (String::new(), 1));
        assert_eq!(
            drawn(&minutes(&[(10, 1), (11, 80), (13, 40)]), 60),
            ("▁█ ▄".into(), 1)
        );
        assert_eq!(drawn(&minutes(&[(10, 0)]), 60), (" ".into(), 1));
        let long = minutes(&(0..1_000).map(|number| (number, 7)).collect::<Vec<_>>());
        let (line, each) = drawn(&long, 60);
        assert_eq!((line.chars().count(), each), (59, 17));
        assert!(line.chars().count() <= 60 && line.starts_with('█'));
        assert_eq!(
            drawn(&minutes(&[(9, u64::MAX / 16), (5, 1)]), 0).1,
            1,
            "minutes that go back do no harm"
        );
    }
}
