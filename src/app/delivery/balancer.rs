//! Relay balancer: decides which relay gets the next mail, by their weights.
//!
//! Stride scheduling (Waldspurger and Weihl, 1995): each mail moves its relay on by the inverse of its weight. Where several relays have a
//! worker that waits, the one that is behind is next. A weight is a share of what a relay can take and never a reason to stand still for a
//! slower one:
//!
//! | a worker of a relay that is ahead of its share | |
//! | --- | --- |
//! | no relay has a greater weight | takes the mail |
//! | a relay of greater weight is down, silent, slower, or limited by its pace or day | takes the mail |
//! | a relay of greater weight takes mail as fast as this one could | waits until that relay has had its share |
//!
//! Refused: to let whoever is ahead wait for all others. Relays of one weight were then all as slow as the slowest: 128 mails of 3,000 in
//! 30 s beside a relay that took half a second a mail.

use std::time::Duration;

use tokio::time::Instant;

/// A relay from which no result came for so long does not keep up.
const SILENT: Duration = Duration::from_secs(1);
/// A relay may be ahead by so many mails of the lightest: workers come in bursts.
const SLACK: f64 = 8.0;
/// A relay keeps up with another if it is at least so fast.
const AS_FAST: f64 = 0.8;
/// Weight of one result in a relay's average speed.
const WEIGHT_OF_RESULT: f64 = 0.05;

/// The shares of the relays.
#[derive(Debug, Clone)]
pub struct RelayBalancer(Vec<Share>);

#[derive(Debug, Clone)]
struct Share {
    weight: u32,
    stride: f64,
    pass: f64,
    /// Mean time of a mail on one connection, in seconds.
    service: Option<f64>,
    seen: Option<Instant>,
}

/// Present state of a relay, as the dispatcher knows it.
#[derive(Debug, Clone, Copy)]
pub struct Capacity {
    /// True if it may be given mail at all.
    pub is_able: bool,
    /// Connections that are made.
    pub connections: usize,
}

impl RelayBalancer {
    pub fn new(weights: impl IntoIterator<Item = u32>) -> Self {
        let share = |weight: u32| Share {
            weight,
            stride: 1.0 / f64::from(weight.max(1)),
            pass: 0.0,
            service: None,
            seen: None,
        };
        Self(weights.into_iter().map(share).collect())
    }

    /// A worker of that relay asks for a mail, or brings a result. A relay that comes back starts where the others are.
    pub fn seen(&mut self, relay: usize, now: Instant) {
        let least = self
            .0
            .iter()
            .filter(|share| share.is_active(now))
            .map(|share| share.pass)
            .reduce(f64::min);
        let share = &mut self.0[relay];
        if !share.is_active(now) {
            share.pass = share.pass.max(least.unwrap_or(0.0));
        }
        share.seen = Some(now);
    }

    /// It was given a mail.
    pub fn record_sent(&mut self, relay: usize) {
        let share = &mut self.0[relay];
        share.pass += share.stride;
    }

    /// A mail took so long.
    pub fn record_result(&mut self, relay: usize, took: Duration) {
        let service = &mut self.0[relay].service;
        let took = took.as_secs_f64();
        *service = Some(service.map_or(took, |mean| mean + WEIGHT_OF_RESULT * (took - mean)));
    }

    /// Returns how far it has come: who is behind is next.
    pub fn pass(&self, relay: usize) -> f64 {
        self.0[relay].pass
    }

    /// Returns whether it must leave the next mail to a relay of greater weight, which is behind and keeps up.
    pub fn must_wait(
        &self,
        relay: usize,
        now: Instant,
        capacity: impl Fn(usize) -> Capacity,
    ) -> bool {
        if self.0.len() == 1 {
            return false;
        }
        let (own, widest) = (
            &self.0[relay],
            self.0.iter().map(|share| share.stride).fold(0.0, f64::max),
        );
        self.0.iter().enumerate().any(|(at, other)| {
            other.weight > own.weight
                && own.pass > other.pass + SLACK * widest
                && other.is_active(now)
                && capacity(at).is_able
                && other.is_as_fast_as(own, capacity(at).connections, capacity(relay).connections)
        })
    }
}

impl Share {
    fn is_active(&self, now: Instant) -> bool {
        self.seen
            .is_some_and(|seen| now.saturating_duration_since(seen) <= SILENT)
    }

    fn is_as_fast_as(&self, other: &Self, own_connections: usize, its_connections: usize) -> bool {
        let (Some(own), Some(its)) = (self.service, other.service) else {
            return true;
        };
        // Mails a second: connections by time; multiplied out, for a time may be zero.
        own_connections as f64 * its >= AS_FAST * its_connections as f64 * own
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ABLE: Capacity = Capacity {
        is_able: true,
        connections: 4,
    };

    /// Both relays ask in turn; answers how many mails each took.
    fn taken(balancer: &mut RelayBalancer, asks: usize, now: Instant) -> [i32; 2] {
        let mut given = [0, 0];
        for _ in 0..asks {
            for relay in [0, 1] {
                balancer.seen(relay, now);
                if !balancer.must_wait(relay, now, |_| ABLE) {
                    balancer.record_sent(relay);
                    given[relay] += 1;
                }
            }
        }
        given
    }

    #[test]
    fn mails_go_by_weight_where_the_heavier_relay_keeps_up() {
        let (mut balancer, now) = (RelayBalancer::new([3, 1]), Instant::now());
        (0..2).for_each(|relay| balancer.record_result(relay, Duration::from_millis(5)));
        let given = taken(&mut balancer, 400, now);
        assert!(
            (given[0] - 3 * given[1]).abs() <= 3 * SLACK as i32,
            "{given:?}"
        );
    }

    #[test]
    fn a_heavier_relay_that_is_slower_is_not_waited_for() {
        let (mut balancer, now) = (RelayBalancer::new([3, 1]), Instant::now());
        balancer.record_result(0, Duration::from_millis(500));
        balancer.record_result(1, Duration::from_millis(5));
        assert_eq!(taken(&mut balancer, 400, now), [400, 400]);
    }

    #[test]
    fn relays_of_one_weight_never_wait_for_each_other() {
        let (mut balancer, now) = (RelayBalancer::new([1, 1]), Instant::now());
        for _ in 0..1_000 {
            balancer.seen(1, now);
            assert!(!balancer.must_wait(1, now, |_| ABLE));
            balancer.record_sent(1);
        }
    }

    #[test]
    fn a_heavier_relay_that_fell_silent_is_not_waited_for_and_starts_where_the_others_are() {
        let (mut balancer, now) = (RelayBalancer::new([3, 1]), Instant::now());
        taken(&mut balancer, 400, now);
        let later = now + SILENT * 2;
        for _ in 0..100 {
            balancer.seen(1, later);
            assert!(!balancer.must_wait(1, later, |_| ABLE));
            balancer.record_sent(1);
        }
        balancer.seen(0, later);
        assert!(
            balancer.pass(0) >= balancer.pass(1) - 1.0,
            "it does not make up for what it was not there for"
        );
    }
}
