//! Circuit breaker of one relay: pauses sending after a run of failures that are not about the recipient.
//!
//! A wrong password or a relay that is down says nothing about the people on the list; going on would only turn their mails
//! into failures. It is a state machine without I/O: the dispatcher tells it what happened and asks what it permits.
//!
//! | state | permits | leaves it for |
//! | --- | --- | --- |
//! | closed | every connection that the relay bears | open: at the 10th failure in a row, at the 10th mail in doubt without ten good ones in a row between, or at once when the trouble is surely ours, no connection is left, or the last one is throttled |
//! | open until a time | nothing new; mail that is out ends as it ends | probe due: when the time is over; closed: when a mail that was out is taken, unless mails in doubt opened it, or a connection that was under way is made (where it was a missing connection that opened it) |
//! | probe due | one connection, the probe | probing: when the probe starts |
//! | probing | the probe alone, for as long as a greeting and a mail may take | closed: a connection (where it was a missing connection that opened it) or a mail of the probe is good, three where mails in doubt opened it; open, twice as long: the probe fails; probe due: the probe ends without a verdict |
//!
//! Only the probe's own failure counts while it probes: mails of before, whose time-outs come late, say nothing new. The words that are
//! kept are those of the first failure of a run: what follows it is often only its echo.

use std::time::Duration;

use tokio::time::Instant;

use crate::config::PauseSettings;

/// Failures in a row, over all connections, that open it.
const RUN: u32 = 10;
/// Good mails in a row after which those that were in doubt are forgotten.
const GOOD_RUN: u32 = 10;
/// Good mails of a probe that close it, where mails in doubt opened it: a relay that takes one mail in three and hangs up on the others is
/// not well.
const PROBE_MAILS: u32 = 3;

/// The breaker of one relay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breaker {
    /// `mail.pause`
    pause: PauseSettings,
    state: BreakerState,
    /// Failures in a row.
    run: u32,
    /// Mails in doubt, and good ones in a row since the last of them.
    doubts: u32,
    good: u32,
    /// Good mails of a probe that are missing until it closes; 0: any mail closes it.
    missing: u32,
    /// Pauses since it was last closed.
    pauses: u32,
    /// Fault that opened it, in words.
    trouble: String,
    /// True if it was opened for want of a connection, so that a connection closes it.
    wants_connection: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BreakerState {
    Closed,
    Open(Instant),
    Probing,
}

/// Says what may go out over a relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permit {
    /// All is well.
    All,
    /// One connection may try.
    Probe,
    /// Nothing new: a probe is under way.
    Probing,
    /// Nothing new before that time.
    Nothing(Instant),
}

/// A failure that is not about a recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerCause {
    /// No connection could be made.
    NoConnection,
    /// No connection could be made, and trying again at once would make it worse: a wrong login or certificate, or the last
    /// connection of all.
    NoWay,
    /// A mail failed for a reason that is ours or the relay's.
    Mail,
    /// A mail was given to the relay, which did not answer.
    Doubt,
    /// The relay wants a rest: its last connection is throttled.
    Rest,
}

/// Change of state, for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerChange {
    /// Sending over the relay is paused for so long.
    Opened(Duration),
    /// Sending goes on.
    Closed,
}

impl Breaker {
    /// A closed one.
    pub fn new(pause: PauseSettings) -> Self {
        Self {
            pause,
            state: BreakerState::Closed,
            run: 0,
            doubts: 0,
            good: 0,
            missing: 0,
            pauses: 0,
            trouble: String::new(),
            wants_connection: false,
        }
    }

    /// Says what may go out now.
    pub fn permit(&self, now: Instant) -> Permit {
        match self.state {
            BreakerState::Closed => Permit::All,
            BreakerState::Probing => Permit::Probing,
            BreakerState::Open(until) if until > now => Permit::Nothing(until),
            BreakerState::Open(_) => Permit::Probe,
        }
    }

    /// Returns the fault, in words, while it is not closed.
    pub fn trouble(&self) -> Option<&str> {
        (self.state != BreakerState::Closed).then_some(self.trouble.as_str())
    }

    /// The longest pause (`mail.pause.max`).
    pub fn longest_pause(&self) -> Duration {
        self.pause.max
    }

    /// Failures since the last success.
    pub fn failures(&self) -> u32 {
        self.run
    }

    /// Time that is left of its pause.
    pub fn rests_until(&self, now: Instant) -> Option<Duration> {
        match self.state {
            BreakerState::Open(until) => Some(until.saturating_duration_since(now)),
            _ => None,
        }
    }

    /// Ends the pause: one connection may try now. Nothing changes where it is closed, or being tried.
    pub fn try_now(&mut self, now: Instant) {
        if let BreakerState::Open(until) = self.state {
            self.state = BreakerState::Open(until.min(now));
        }
    }

    /// The probe begins to connect.
    pub fn probe_started(&mut self) {
        self.state = BreakerState::Probing;
    }

    /// The probe ended and nothing is known of the relay: another one may try.
    pub fn probe_ended(&mut self, now: Instant) {
        if self.state == BreakerState::Probing {
            self.state = BreakerState::Open(now);
        }
    }

    /// A connection was made.
    pub fn connected(&mut self) -> Option<BreakerChange> {
        if self.wants_connection {
            self.close()
        } else {
            None
        }
    }

    /// A mail was taken, or refused for a reason that is its recipient's: relay and login work.
    pub fn succeeded(&mut self, is_probe: bool) -> Option<BreakerChange> {
        self.run = 0;
        self.good = self.good.saturating_add(1);
        if self.good >= GOOD_RUN {
            self.doubts = 0;
        }
        if self.state == BreakerState::Closed {
            return None;
        }
        if self.missing > 0 {
            self.missing -= u32::from(is_probe);
            if !is_probe || self.missing > 0 {
                return None;
            }
        }
        self.close()
    }

    /// Something failed.
    pub fn failed(
        &mut self,
        fault: BreakerCause,
        trouble: &str,
        is_probe: bool,
        now: Instant,
    ) -> Option<BreakerChange> {
        self.run = self.run.saturating_add(1);
        self.good = 0;
        self.doubts += u32::from(fault == BreakerCause::Doubt);
        if self.run == 1 && self.state == BreakerState::Closed
            || is_probe
            || matches!(fault, BreakerCause::NoWay | BreakerCause::Rest)
        {
            trouble.clone_into(&mut self.trouble);
        }
        let opens = match self.state {
            BreakerState::Closed => {
                self.run >= RUN
                    || self.doubts >= RUN
                    || matches!(fault, BreakerCause::NoWay | BreakerCause::Rest)
            }
            BreakerState::Probing => is_probe,
            BreakerState::Open(_) => false,
        };
        if !opens {
            return None;
        }
        let pause =
            (self.pause.first * 2u32.saturating_pow(self.pauses.min(16))).min(self.pause.max);
        self.pauses += 1;
        self.state = BreakerState::Open(now + pause);
        self.wants_connection = matches!(fault, BreakerCause::NoConnection | BreakerCause::NoWay);
        self.missing = if fault == BreakerCause::Doubt {
            PROBE_MAILS
        } else {
            0
        };
        Some(BreakerChange::Opened(pause))
    }

    fn close(&mut self) -> Option<BreakerChange> {
        let was_open = self.state != BreakerState::Closed;
        *self = Self::new(self.pause);
        was_open.then_some(BreakerChange::Closed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: PauseSettings = PauseSettings {
        first: Duration::from_secs(5),
        max: Duration::from_secs(600),
    };

    fn fresh() -> Breaker {
        Breaker::new(PAUSE)
    }

    fn after(breaker: &mut Breaker, failures: u32, now: Instant) -> Option<BreakerChange> {
        (0..failures)
            .filter_map(|_| breaker.failed(BreakerCause::Mail, "550", false, now))
            .last()
    }

    #[test]
    fn a_trial_by_hand_ends_the_pause_and_permits_one_probe() {
        let (mut breaker, now) = (fresh(), Instant::now());
        breaker.try_now(now);
        assert_eq!(breaker.permit(now), Permit::All);
        after(&mut breaker, 10, now);
        assert_eq!(breaker.rests_until(now), Some(PAUSE.first));
        breaker.try_now(now);
        assert_eq!(breaker.permit(now), Permit::Probe);
        breaker.probe_started();
        breaker.try_now(now);
        assert_eq!(breaker.permit(now), Permit::Probing);
        assert!(matches!(
            breaker.failed(BreakerCause::Mail, "550", true, now),
            Some(BreakerChange::Opened(pause)) if pause == PAUSE.first * 2
        ));
    }

    #[test]
    fn a_run_of_failures_about_us_opens_it_and_a_probe_closes_it() {
        let (mut breaker, now) = (fresh(), Instant::now());
        assert_eq!(after(&mut breaker, 9, now), None);
        breaker.succeeded(false);
        assert_eq!(
            after(&mut breaker, 9, now),
            None,
            "one about a recipient broke the run"
        );
        assert_eq!(
            after(&mut breaker, 1, now),
            Some(BreakerChange::Opened(PAUSE.first))
        );
        assert_eq!(breaker.permit(now), Permit::Nothing(now + PAUSE.first));
        let later = now + PAUSE.first;
        assert_eq!(breaker.permit(later), Permit::Probe);
        breaker.probe_started();
        assert_eq!(breaker.permit(later), Permit::Probing);
        assert_eq!(
            breaker.failed(BreakerCause::Mail, "550", false, later),
            None,
            "a mail of before says nothing new"
        );
        assert_eq!(
            breaker.failed(BreakerCause::Mail, "550", true, later),
            Some(BreakerChange::Opened(PAUSE.first * 2))
        );
        breaker.probe_started();
        assert_eq!(breaker.connected(), None, "it was mails that failed");
        assert_eq!(breaker.succeeded(true), Some(BreakerChange::Closed));
        assert_eq!(
            (breaker.permit(later), breaker.trouble()),
            (Permit::All, None)
        );
    }

    #[test]
    fn a_wrong_login_opens_it_at_once_and_a_good_connection_closes_it_however_late() {
        let (mut breaker, now) = (fresh(), Instant::now());
        assert_eq!(
            breaker.failed(BreakerCause::NoWay, "535", false, now),
            Some(BreakerChange::Opened(PAUSE.first))
        );
        assert_eq!(breaker.trouble(), Some("535"));
        breaker.probe_started();
        assert_eq!(
            breaker.permit(now + PAUSE.max),
            Permit::Probing,
            "a greeting may take minutes"
        );
        assert_eq!(breaker.connected(), Some(BreakerChange::Closed));
    }

    #[test]
    fn mails_in_doubt_open_it_though_some_are_taken_between_them() {
        let (mut breaker, now) = (fresh(), Instant::now());
        let mut opened = None;
        for mail in 0..10 {
            breaker.succeeded(false);
            opened = breaker.failed(
                BreakerCause::Doubt,
                if mail == 9 {
                    "it hung up, first of its run"
                } else {
                    "earlier"
                },
                false,
                now,
            );
        }
        assert_eq!(opened, Some(BreakerChange::Opened(PAUSE.first)));
        assert_eq!(
            breaker.succeeded(false),
            None,
            "a mail that was out is no proof"
        );
        breaker.probe_started();
        assert_eq!(
            (
                breaker.succeeded(true),
                breaker.succeeded(false),
                breaker.succeeded(true)
            ),
            (None, None, None),
            "nor is one of a probe"
        );
        assert_eq!(breaker.succeeded(true), Some(BreakerChange::Closed));
        let mut well = fresh();
        for mail in 0..1_000 {
            let change = if mail % 11 == 0 {
                well.failed(BreakerCause::Doubt, "it hung up", false, now)
            } else {
                well.succeeded(false)
            };
            assert_eq!(change, None, "one in eleven is no run");
        }
    }

    #[test]
    fn the_words_are_those_of_the_first_failure_of_a_run() {
        let (mut breaker, now) = (fresh(), Instant::now());
        breaker.failed(BreakerCause::Mail, "451 4.7.1 your daily limit", false, now);
        after(&mut breaker, 9, now);
        assert_eq!(breaker.trouble(), Some("451 4.7.1 your daily limit"));
    }

    #[test]
    fn a_probe_that_ends_without_a_verdict_leaves_room_for_another() {
        let (mut breaker, now) = (fresh(), Instant::now());
        breaker.failed(BreakerCause::Rest, "421", false, now);
        breaker.probe_started();
        breaker.probe_ended(now);
        assert_eq!(breaker.permit(now), Permit::Probe);
    }
}
