//! Which relay the next mail goes to: by their weights, as long as they keep up.
//!
//! Stride scheduling (Waldspurger and Weihl, 1995): each mail moves its relay on by the inverse of its weight, and who is
//! behind is next. A relay that is silent for a while, down or slow, is not waited for; when it is back it starts where the
//! others are.

use std::time::Duration;

use tokio::time::Instant;

/// A relay from which nobody came for so long is not waited for.
const SILENT: Duration = Duration::from_secs(1);
/// A relay may be ahead by so many mails of the lightest: connections come in bursts.
const SLACK: f64 = 8.0;

/// The relays of a round.
pub struct Shares(Vec<Share>);

struct Share {
    stride: f64,
    pass: f64,
    seen: Option<Instant>,
    /// What is left of what was taken from the day's allowance, of which nothing is taken at first; `None`: no limit.
    pub budget: Option<u64>,
}

impl Shares {
    /// For each relay its weight, and whether its days have an allowance.
    pub fn new(relays: impl Iterator<Item = (u32, bool)>) -> Self {
        let share = |(weight, is_limited): (u32, bool)| Share {
            stride: 1.0 / f64::from(weight.max(1)),
            pass: 0.0,
            seen: None,
            budget: is_limited.then_some(0),
        };
        Self(relays.map(share).collect())
    }

    /// A worker of that relay is here.
    pub fn note(&mut self, relay: usize) {
        let now = Instant::now();
        let behind = self.least(now).unwrap_or(0.0);
        let Some(share) = self.0.get_mut(relay) else { return };
        if share.seen.is_none_or(|seen| now - seen > SILENT) {
            share.pass = share.pass.max(behind);
        }
        share.seen = Some(now);
    }

    /// Whether that relay may be given a mail now, or must let others catch up.
    pub fn may_take(&self, relay: usize) -> bool {
        let least = self.least(Instant::now()).unwrap_or(0.0);
        let widest = self.0.iter().map(|share| share.stride).fold(0.0, f64::max);
        self.0.get(relay).is_some_and(|share| share.budget != Some(0) && share.pass <= least + SLACK * widest)
    }

    /// It was given one.
    pub fn took(&mut self, relay: usize) {
        if let Some(share) = self.0.get_mut(relay) {
            share.pass += share.stride;
            share.budget = share.budget.map(|left| left.saturating_sub(1));
        }
    }

    pub fn budget(&mut self, relay: usize) -> Option<&mut Option<u64>> {
        self.0.get_mut(relay).map(|share| &mut share.budget)
    }

    fn least(&self, now: Instant) -> Option<f64> {
        let here = self.0.iter().filter(|share| share.seen.is_some_and(|seen| now - seen <= SILENT) && share.budget != Some(0));
        here.map(|share| share.pass).reduce(f64::min)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn mails_go_by_weight_and_a_silent_relay_is_not_waited_for() {
        let mut shares = Shares::new([(3, false), (1, false)].into_iter());
        let mut given = [0_i32, 0];
        for _ in 0..400 {
            for relay in [0, 1] {
                shares.note(relay);
                if shares.may_take(relay) {
                    shares.took(relay);
                    given[relay] += 1;
                }
            }
        }
        assert!((given[0] - 3 * given[1]).abs() <= 3 * SLACK as i32, "{given:?}");
        let before = given[1];
        tokio::time::advance(SILENT * 2).await;
        for _ in 0..100 {
            shares.note(1);
            assert!(shares.may_take(1), "the other one is silent");
            shares.took(1);
            given[1] += 1;
        }
        assert_eq!(given[1], before + 100);
    }
}
