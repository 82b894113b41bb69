//! A relay as the dispatcher sees it.
//!
//! | what bounds it | how |
//! | --- | --- |
//! | its breaker | [`Breaker::permit`](crate::app::delivery::breaker::Breaker::permit): all, one probe, or nothing new |
//! | how many connections it bears | AIMD: one more for each round of mails taken, half as many when it throttles |
//! | `rate_per_second` | one token at a time, taken when a mail is handed out, before anything is begun in the ledger |
//! | `per_day`, `warm_up` | reserved from the database some mails ahead, for each class of mail by itself; what is left goes back when the day or the run is over |
//! | its login | one connection tries it until one is accepted: a wrong password that ten try at once locks the account |
//! | `SIZE`, where a mail is larger | nothing of that class of mail for `mail.pause.max`; then it is tried again |
//! | a connection that could not be made | the next one starts a second later; with none left, or for a login or certificate, the breaker opens |
//! | a refusal of connections as too many | as a throttled mail; with none left the breaker opens |

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::WorkerId;
use crate::app::delivery::breaker::BreakerCause;
use crate::app::delivery::breaker::BreakerChange;
use crate::app::delivery::breaker::Permit;
use crate::app::delivery::relay::RelayMemory;
use crate::app::delivery::relay::TooLarge;
use crate::app::delivery::relay::class_index;
use crate::domain::delivery::MailClass;

/// After a connection that could not be made, the next one is tried so much later.
const CONNECT_AGAIN: Duration = Duration::from_secs(1);
/// A reservation that failed is tried again after so long.
const RESERVE_AGAIN: Duration = Duration::from_secs(1);

/// Settings of a relay.
#[derive(Debug, Clone)]
pub struct RelayTerms {
    pub name: String,
    pub weight: u32,
    /// The most connections.
    pub connections: usize,
    /// Mails a second; 0: no limit.
    pub rate_per_second: u32,
    /// True if its days have an allowance.
    pub is_limited_by_day: bool,
    /// True if its setting names a user and a password.
    pub has_login: bool,
}

pub(super) struct RelayEntry {
    pub terms: RelayTerms,
    pub memory: RelayMemory,
    /// Workers that have a connection and no mail; who came last is next, so that the others' time runs out.
    pub waiting: VecDeque<WorkerId>,
    /// All its workers.
    pub live: usize,
    /// No connection is tried before.
    pub connect_at: Instant,
    /// Last time when it took a mail.
    pub good_at: Option<Instant>,
    /// True if it accepted the login of a connection, and none was refused since.
    is_logged_in: bool,
    /// Time of its pace's next token.
    token_at: Instant,
    budgets: [Budget; 2],
}

/// Mails of one class that were taken out of a day's allowance and not sent yet.
#[derive(Debug, Clone, Copy, Default)]
struct Budget {
    left: u64,
    day: i64,
    is_reserving: bool,
    not_before: Option<Instant>,
    /// Today has no limit after all.
    is_unlimited: bool,
}

impl RelayEntry {
    pub fn new(terms: RelayTerms, memory: RelayMemory, now: Instant) -> Self {
        Self {
            terms,
            memory,
            waiting: VecDeque::new(),
            live: 0,
            connect_at: now,
            good_at: None,
            is_logged_in: false,
            token_at: now,
            budgets: [Budget::default(); 2],
        }
    }

    pub fn permit(&self, now: Instant) -> Permit {
        self.memory.breaker.permit(now)
    }

    /// Returns whether mail of a class could go out over it, now or after a probe.
    pub fn is_able(&self, class: MailClass, now: Instant, today: i64) -> bool {
        !matches!(self.permit(now), Permit::Nothing(_))
            && self.memory.spent_on[class_index(class)] != Some(today)
            && self.memory.too_large(class, now).is_none()
    }

    /// Returns whether its login is still to be tried, by one connection.
    pub fn tries_login(&self) -> bool {
        self.terms.has_login && !self.is_logged_in
    }

    /// A mail is larger than it takes: none of that class is given to it for a while.
    pub fn refused_size(
        &mut self,
        class: MailClass,
        trouble: String,
        now: Instant,
    ) -> Option<BreakerChange> {
        let pause = self.memory.breaker.longest_pause();
        let known = self.memory.too_large[class_index(class)].replace(TooLarge {
            until: now + pause,
            trouble,
        });
        // Of several connections that find it at once, the first is news.
        known
            .is_none_or(|known| known.until <= now)
            .then_some(BreakerChange::Opened(pause))
    }

    /// A mail is not larger than it takes.
    pub fn took_size(&mut self, class: MailClass, now: Instant) -> Option<BreakerChange> {
        let known = self.memory.too_large[class_index(class)].take_if(|known| known.until <= now);
        known.map(|_| BreakerChange::Closed)
    }

    pub fn connected(&mut self, now: Instant) -> Option<BreakerChange> {
        self.connect_at = now;
        self.is_logged_in = true;
        self.memory.breaker.connected()
    }

    /// Its login was refused, or no connection is left by which it would be known that it is accepted.
    pub fn forget_login(&mut self) {
        self.is_logged_in = false;
    }

    /// A failure that is not about a recipient. `is_for_now`: the relay itself says so.
    pub fn failed(
        &mut self,
        fault: BreakerCause,
        trouble: &str,
        is_for_now: bool,
        is_probe: bool,
        now: Instant,
    ) -> Option<BreakerChange> {
        let change = self.memory.breaker.failed(fault, trouble, is_probe, now);
        if change.is_some() {
            self.memory.asks_for_patience = is_for_now;
        }
        change
    }

    pub fn put_off_connecting(&mut self, now: Instant) {
        self.connect_at = now + CONNECT_AGAIN;
    }

    pub fn is_paced(&self) -> bool {
        self.terms.rate_per_second > 0
    }

    /// Returns whether its pace has a token.
    pub fn has_token(&self, now: Instant) -> bool {
        !self.is_paced() || self.token_at <= now
    }

    /// Returns the time of its pace's next token, if it is waited for.
    pub fn next_token(&self, now: Instant) -> Option<Instant> {
        (!self.has_token(now)).then_some(self.token_at)
    }

    /// A mail is handed out: it takes a token, and a place of its class's day.
    pub fn record_handed(&mut self, class: MailClass, now: Instant) {
        if self.is_paced() {
            // No bursts: a relay that limits by the second counts those.
            self.token_at =
                now.max(self.token_at) + Duration::from_secs(1) / self.terms.rate_per_second;
        }
        let budget = &mut self.budgets[class_index(class)];
        budget.left = budget.left.saturating_sub(1);
    }

    /// A mail that was handed out was not begun: its place of the day is free again. Its token is not, for time has passed.
    pub fn record_unused(&mut self, class: MailClass, today: i64) {
        let budget = &mut self.budgets[class_index(class)];
        if self.terms.is_limited_by_day && budget.day == today && !budget.is_unlimited {
            budget.left += 1;
            self.memory.spent_on[class_index(class)] = None;
        }
    }

    /// Returns whether a place of a class's day is at hand.
    fn has_budget(&self, class: MailClass, today: i64) -> bool {
        let budget = self.budgets[class_index(class)];
        !self.terms.is_limited_by_day
            || (budget.day == today && (budget.is_unlimited || budget.left > 0))
    }

    /// Returns whether it may be handed mail of a class: a place of the day is at hand, and the last one was not too large for it.
    pub fn takes(&self, class: MailClass, now: Instant, today: i64) -> bool {
        self.has_budget(class, today) && self.memory.too_large(class, now).is_none()
    }

    /// Returns whether daily quota must be reserved now; if so, marks the reservation as in progress.
    pub fn reserves(&mut self, class: MailClass, now: Instant, today: i64) -> bool {
        let is_spent = self.memory.spent_on[class_index(class)] == Some(today);
        let has_budget = self.has_budget(class, today);
        let is_too_large = self.memory.too_large(class, now).is_some();
        let budget = &mut self.budgets[class_index(class)];
        let reserves = !(has_budget || is_spent || is_too_large || budget.is_reserving)
            && budget.not_before.is_none_or(|at| at <= now);
        budget.is_reserving |= reserves;
        reserves
    }

    pub fn reserved(
        &mut self,
        class: MailClass,
        day: i64,
        taken: Result<Option<u64>, ()>,
        now: Instant,
    ) {
        let budget = &mut self.budgets[class_index(class)];
        let not_before = taken.is_err().then(|| now + RESERVE_AGAIN);
        // Places that came back while these were asked for.
        let left = if budget.day == day { budget.left } else { 0 };
        *budget = Budget {
            day,
            left,
            not_before,
            ..Budget::default()
        };
        match taken {
            Ok(None) => budget.is_unlimited = true,
            Ok(Some(0)) if left == 0 => self.memory.spent_on[class_index(class)] = Some(day),
            Ok(Some(count)) => budget.left += count,
            Err(()) => {}
        }
    }

    /// Takes out what is left of reservations: all, or those of days that are over.
    pub fn unused(&mut self, all: bool, today: i64) -> Option<(i64, u64)> {
        let budget = self
            .budgets
            .iter_mut()
            .find(|budget| budget.left > 0 && (all || budget.day != today))?;
        Some((budget.day, std::mem::take(&mut budget.left)))
    }
}
