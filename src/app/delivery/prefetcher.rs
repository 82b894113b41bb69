//! Prefetcher: decides when more mails are claimed, how many, and which batches go back.
//!
//! A state machine without I/O: it says what to ask the ledger for, and is told what came.
//!
//! | a batch is | until |
//! | --- | --- |
//! | open: mails of it wait here or are with workers | its last mail ends here, then it is ended |
//! | ended | the next claim gives it back |
//! | split: its last mails are with workers that take long | each of those mails is a batch of its own; the rest goes back at once |
//! | parked: mails of it were put out of memory, for their domains' limits let few go | its other mails have ended and there is room; then it is read again |

mod window;

use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use crate::domain::delivery::BatchKey;
use window::PrefetchWindow;

/// Upper bound on how long a new transactional mail waits behind digest mail that is already claimed.
const CLAIM_AGAIN: Duration = Duration::from_millis(250);
/// Mails at hand for each connection at first: enough to keep it busy, few enough that one process does not hoard.
const PER_CONNECTION: usize = 50;
/// Mails that wait for their domain's turn are kept up to this number; more are read again later.
pub const HELD_MAX: usize = 10_000;
/// Parked batches at the most; then nothing more is claimed until one of them is read again.
const PARKED_MAX: usize = 64;

/// A claim whose answer was lost may be committed so long after: then the server has ended what a lost client left.
const LAST_COMMIT: Duration = Duration::from_secs(25);

/// One claim to make in the ledger.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClaimRequest {
    /// Batches to give back.
    pub ended: Vec<BatchKey>,
    /// Batches to split: all of it goes back but these readers' mails.
    pub split: Vec<(BatchKey, Vec<i64>)>,
    /// Batches to read again.
    pub reopened: Vec<BatchKey>,
    /// After a claim that failed: all batches of this run. What its sender has beyond them in the ledger goes back.
    pub known: Option<Vec<BatchKey>>,
    /// Digest mails to claim; transactional mail is claimed whatever it is.
    pub room: usize,
}

/// Classes of mail that the relays could take, and that are claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claims {
    /// Any mail.
    All,
    /// Transactional mail alone: the day is spent for digests.
    Transactional,
    /// None: batches only go back.
    Nothing,
}

#[derive(Debug, Clone, Copy, Default)]
struct Batch {
    /// Mails of it that have not come to an end here.
    open: usize,
    /// Mails of it that came.
    all: usize,
    is_parked: bool,
}

/// Mail that this send run has claimed, and its claim under way.
#[derive(Debug)]
pub struct Prefetcher {
    window: PrefetchWindow,
    poll: Duration,
    batches: BTreeMap<BatchKey, Batch>,
    ended: Vec<BatchKey>,
    split: Vec<(BatchKey, Vec<i64>)>,
    parked: usize,
    /// Parked batches of which nothing is left in memory.
    dormant: Vec<BatchKey>,
    under_way: Option<ClaimRequest>,
    asked_at: Option<Instant>,
    /// Time when the last claim failed, if it did.
    failed_at: Option<Instant>,
    /// Moments from which on the batches are to be held against the ledger: a claim that failed may have taken some.
    checks: VecDeque<Instant>,
    /// True if the last claim had seen all that is due, and found nothing.
    is_exhausted: bool,
}

impl Prefetcher {
    pub fn new(connections: usize, poll: Duration) -> Self {
        Self {
            window: PrefetchWindow::new(connections),
            poll,
            batches: BTreeMap::new(),
            ended: Vec::new(),
            split: Vec::new(),
            parked: 0,
            dormant: Vec::new(),
            under_way: None,
            asked_at: None,
            failed_at: None,
            checks: VecDeque::new(),
            is_exhausted: false,
        }
    }

    /// Somebody may have put mail into the ledger: the next look comes at once.
    pub fn wake(&mut self) {
        self.is_exhausted = false;
        self.asked_at = None;
    }

    /// Returns the claim to make now, with so many mails ready and so many held by their domains' limits.
    pub fn next(
        &mut self,
        ready: usize,
        held: usize,
        claims: Claims,
        now: Instant,
    ) -> Option<ClaimRequest> {
        if self.under_way.is_some() || self.failed_at.is_some_and(|at| now - at < CLAIM_AGAIN) {
            return None;
        }
        let is_low = ready <= self.window.target / 2;
        let is_due = self.asked_at.is_none_or(|at| now - at >= self.pause());
        let has_to_give_back =
            !self.split.is_empty() || (!self.ended.is_empty() && (is_low || is_due));
        let takes_digests = claims == Claims::All;
        let looks =
            claims != Claims::Nothing && (is_due || takes_digests && is_low && !self.is_exhausted);
        if !looks && !has_to_give_back {
            return None;
        }
        let mut request = ClaimRequest {
            ended: std::mem::take(&mut self.ended),
            split: std::mem::take(&mut self.split),
            ..Default::default()
        };
        if looks {
            if self.checks.front().is_some_and(|at| *at <= now) {
                let split = request.split.iter().map(|(key, _)| key);
                request.known = Some(
                    self.batches
                        .keys()
                        .chain(&request.ended)
                        .chain(split)
                        .copied()
                        .collect(),
                );
            }
            if takes_digests && is_low && self.parked < PARKED_MAX {
                request.room = self.window.adapt(now) - ready;
            }
            if takes_digests && held < HELD_MAX / 2 {
                request.reopened.extend(self.dormant.pop());
            }
            self.asked_at = Some(now);
        }
        self.under_way = Some(request.clone());
        Some(request)
    }

    /// Returns when [`Prefetcher::next`] is to be asked again though nothing happened.
    pub fn next_look(&self) -> Option<Instant> {
        match self.under_way {
            Some(_) => None,
            None => self
                .failed_at
                .map(|at| at + CLAIM_AGAIN)
                .or_else(|| self.asked_at.map(|at| at + self.pause())),
        }
    }

    /// An idle run looks as often as `mail.poll` says, a busy one for transactional mail more often.
    fn pause(&self) -> Duration {
        if self.batches.is_empty() {
            self.poll
        } else {
            CLAIM_AGAIN.min(self.poll)
        }
    }

    /// The claim under way is over. `mails`: the batch of each mail that came; `None`: it failed.
    pub fn arrived(&mut self, mails: Option<&[BatchKey]>, may_be_more: bool, now: Instant) {
        let Some(request) = self.under_way.take() else {
            return;
        };
        self.failed_at = None;
        let Some(mails) = mails else {
            // It is not known how far it came; to give back what one does not have is nothing.
            self.ended.extend(request.ended);
            self.split.extend(request.split);
            self.dormant.extend(request.reopened);
            self.is_exhausted = true;
            self.failed_at = Some(now);
            self.checks = [now, now + LAST_COMMIT].into();
            return;
        };
        if request.known.is_some() {
            self.checks.pop_front();
        }
        for batch in &request.reopened {
            self.parked -= 1;
            self.batches.entry(*batch).or_default().is_parked = false;
        }
        let has_room = request.room > 0;
        self.is_exhausted = mails.is_empty() && !may_be_more && (has_room || self.is_exhausted);
        for batch in mails {
            let batch = self.batches.entry(*batch).or_default();
            batch.open += 1;
            batch.all += 1;
        }
        for batch in request.reopened {
            self.close_if_ended(batch);
        }
    }

    /// A mail of that batch came to an end here: it is written down what became of it, or it will not be begun.
    pub fn has_ended(&mut self, batch: BatchKey) {
        self.have_ended(batch, 1);
    }

    fn have_ended(&mut self, key: BatchKey, count: usize) {
        let Some(batch) = self.batches.get_mut(&key) else {
            return;
        };
        batch.open = batch.open.saturating_sub(count);
        self.close_if_ended(key);
    }

    fn close_if_ended(&mut self, key: BatchKey) {
        let Some(batch) = self.batches.get(&key).filter(|batch| batch.open == 0) else {
            return;
        };
        if batch.is_parked {
            if !self.dormant.contains(&key) {
                self.dormant.push(key);
            }
            return;
        }
        self.batches.remove(&key);
        self.ended.push(key);
    }

    /// Mails of that batch were put out of memory; it is read again later.
    pub fn park(&mut self, key: BatchKey, count: usize) {
        let Some(batch) = self.batches.get_mut(&key) else {
            return;
        };
        if !std::mem::replace(&mut batch.is_parked, true) {
            self.parked += 1;
        }
        self.have_ended(key, count);
    }

    /// Splits a batch if all its open mails are those of `kept`, and there were others: they become batches of their own, whose names
    /// are told, and the rest goes back.
    pub fn split(&mut self, key: BatchKey, kept: Vec<i64>) -> bool {
        let Some(batch) = self.batches.get(&key).filter(|batch| !batch.is_parked) else {
            return false;
        };
        if kept.is_empty() || batch.open != kept.len() || batch.all == batch.open {
            return false;
        }
        self.batches.remove(&key);
        for last in &kept {
            self.batches.insert(
                BatchKey {
                    mailing: key.mailing,
                    last: *last,
                },
                Batch {
                    open: 1,
                    all: 1,
                    is_parked: false,
                },
            );
        }
        self.split.push((key, kept));
        true
    }

    /// Returns whether nothing is claimed, and nothing more is due as far as is known, or could be sent (`may_claim`).
    pub fn is_idle(&self, may_claim: bool) -> bool {
        let has_none = self.under_way.is_none()
            && self.batches.is_empty()
            && self.ended.is_empty()
            && self.split.is_empty();
        has_none && (self.is_exhausted || !may_claim)
    }
}

#[cfg(test)]
mod tests;
