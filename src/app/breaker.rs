//! The breaker: pauses sending after a run of failures that are not about the recipient, and says so.
//!
//! A wrong password or a relay that is down says nothing about the people on the list; going on would only turn their mails
//! into failures. After a pause one message probes; if it is taken, sending goes on, else the next pause is twice as long.

use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use crate::domain::delivery::Outcome;

/// So many failures in a row, over all connections, open it.
const RUN: u32 = 10;
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(600);

/// Shared by all connections of a process.
#[derive(Debug, Default)]
pub struct Breaker(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    run: u32,
    pauses: u32,
    until: Option<Instant>,
    trouble: Option<String>,
}

/// Whether mail may go out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// All is well.
    Closed,
    /// A pause is over: one message may try.
    Probing,
    /// Not before that long.
    Open(Duration),
}

impl Breaker {
    /// Takes note of what became of a message.
    pub fn note(&self, outcome: &Outcome) {
        if outcome.is_about_us() {
            self.count(outcome.reply(), false);
        } else {
            // A refusal that is about one recipient shows that the relay and our login work.
            self.close();
        }
    }

    /// Takes note that no connection could be made. A wrong login or certificate (`surely_ours`) opens it right away:
    /// trying again at once would only make it worse.
    pub fn note_no_connection(&self, trouble: &str, surely_ours: bool) {
        self.count(trouble, surely_ours);
    }

    /// The relay wants a rest: its last connection is throttled.
    pub fn rest(&self, trouble: &str) {
        self.count(trouble, true);
    }

    /// Whether mail may go out.
    pub fn standing(&self) -> Standing {
        let state = self.state();
        match state.until {
            None => Standing::Closed,
            Some(until) => match until.saturating_duration_since(Instant::now()) {
                Duration::ZERO => Standing::Probing,
                left => Standing::Open(left),
            },
        }
    }

    /// Whether nothing may go out for now.
    pub fn is_open(&self) -> bool {
        matches!(self.standing(), Standing::Open(_))
    }

    /// What is wrong, in words, while it is not closed.
    pub fn trouble(&self) -> Option<String> {
        let state = self.state();
        state.until.and_then(|_| state.trouble.clone())
    }

    fn close(&self) {
        let mut state = self.state();
        if state.until.is_some() {
            tracing::info!("sending goes on: the relay takes mail again");
            metrics::gauge!("verdicts_breaker_open").set(0.0);
        }
        *state = State::default();
    }

    fn count(&self, trouble: &str, at_once: bool) {
        let mut state = self.state();
        state.run += 1;
        let probing = state.until.is_some_and(|until| until <= Instant::now());
        let waiting = state.until.is_some() && !probing;
        if waiting || !(at_once || probing || state.run >= RUN) {
            return;
        }
        let pause = (FIRST_PAUSE * 2u32.saturating_pow(state.pauses.min(16))).min(LONGEST_PAUSE);
        state.pauses += 1;
        state.run = 0;
        state.until = Some(Instant::now() + pause);
        state.trouble = Some(trouble.to_owned());
        metrics::gauge!("verdicts_breaker_open").set(1.0);
        tracing::warn!(trouble, pause_s = pause.as_secs(), "sending is paused: this is about the relay or our settings");
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(about_us: bool) -> Outcome {
        Outcome::Refused { reply: "550".into(), about_us, class: crate::domain::inbound::SoftClass::Passing }
    }

    #[tokio::test(start_paused = true)]
    async fn a_run_of_failures_about_us_opens_it_and_a_probe_closes_it() {
        let breaker = Breaker::default();
        (0..9).for_each(|_| breaker.note(&refusal(true)));
        breaker.note(&refusal(false));
        (0..9).for_each(|_| breaker.note(&refusal(true)));
        assert_eq!(breaker.standing(), Standing::Closed, "one about a recipient broke the run");
        breaker.note(&refusal(true));
        assert_eq!(breaker.standing(), Standing::Open(FIRST_PAUSE));
        tokio::time::advance(FIRST_PAUSE).await;
        assert_eq!(breaker.standing(), Standing::Probing);
        breaker.note(&refusal(true));
        assert_eq!(breaker.standing(), Standing::Open(FIRST_PAUSE * 2));
        tokio::time::advance(FIRST_PAUSE * 2).await;
        breaker.note(&Outcome::Accepted { reply: "250".into() });
        assert_eq!((breaker.standing(), breaker.trouble()), (Standing::Closed, None));
    }

    #[tokio::test(start_paused = true)]
    async fn a_wrong_login_opens_it_at_once() {
        let breaker = Breaker::default();
        breaker.note_no_connection("535", true);
        assert_eq!((breaker.standing(), breaker.trouble()), (Standing::Open(FIRST_PAUSE), Some("535".into())));
    }
}
