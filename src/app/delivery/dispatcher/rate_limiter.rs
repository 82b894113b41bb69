//! Pace of a connection: some servers go on to answer one that has sent much, at a byte a second, and never end it (mox after 500 mails a
//! minute or one refusal as junk). It is told by its own past and by its neighbours: a relay that is slow as a whole keeps its connections.

use std::time::Duration;

/// Mails that make a pace.
const ENOUGH: u32 = 8;
/// A mail that takes so many times as long is far below a pace.
const FAR: u32 = 16;
/// Weight of a mail in the mean: an eighth.
const EIGHTH: u32 = 8;

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct RateLimiter {
    mails: u32,
    mean: Duration,
    is_worn: bool,
}

impl RateLimiter {
    /// Returns the mean time of its mails, once there are enough of them.
    pub fn mean(&self) -> Option<Duration> {
        (self.mails >= ENOUGH).then_some(self.mean)
    }

    /// Returns whether its connection is to be closed.
    pub fn is_expired(&self) -> bool {
        self.is_worn
    }

    /// A mail took so long. `fastest`: the pace of the fastest neighbour, if one has a pace.
    pub fn record(&mut self, took: Duration, least: Duration, fastest: Option<Duration>) {
        let is_far = |pace: Duration| took > pace * FAR;
        if took >= least && self.mean().is_some_and(is_far) && fastest.is_none_or(is_far) {
            self.is_worn = true;
            return;
        }
        self.mails = self.mails.saturating_add(1);
        self.mean = if self.mails == 1 {
            took
        } else {
            (self.mean * (EIGHTH - 1) + took) / EIGHTH
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: Duration = Duration::from_secs(2);

    fn after(mails: u32, each: u64) -> RateLimiter {
        let mut pace = RateLimiter::default();
        (0..mails).for_each(|_| pace.record(Duration::from_millis(each), LEAST, None));
        pace
    }

    #[test]
    fn one_that_falls_far_behind_itself_and_its_neighbours_is_worn() {
        let slow = Duration::from_secs(60);
        let worn = |mut pace: RateLimiter, took: Duration, fastest: Option<u64>| {
            pace.record(took, LEAST, fastest.map(Duration::from_millis));
            pace.is_expired()
        };
        assert!(worn(after(50, 10), slow, None), "by itself");
        assert!(
            worn(after(50, 10), slow, Some(10)),
            "beside one that is fast"
        );
        assert!(!worn(after(50, 10), slow, Some(40_000)), "all are slow");
        assert!(!worn(after(3, 10), slow, None), "no pace yet");
        assert!(
            !worn(after(50, 20_000), slow, Some(10)),
            "it was never fast"
        );
        assert!(
            !worn(after(50, 10), Duration::from_millis(900), Some(10)),
            "fast enough for all that"
        );
    }
}
