//! Rules of flow: a healthy relay sends while something is due, and a mail that hangs holds nothing but itself.

use super::super::ledger::SimMail;
use super::super::*;
use super::LOOK;
use super::PROBE_MAILS;
use super::SIGN_UP_WITHIN;
use crate::app::delivery::breaker::Permit;

/// Workers of a relay.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct WorkerCounts {
    pub(super) probes: usize,
    pub(super) connecting: usize,
}

impl World {
    /// No relay stands idle while it has mail, nor has fewer connections than it bears.
    pub(super) fn check_relay(&self, at: usize, WorkerCounts { probes, connecting }: WorkerCounts) {
        let (now, queue) = (self.now().instant, &self.dispatcher.queue);
        let state = &self.dispatcher.relays[at];
        self.must(probes <= 1, || format!("relay {at} has {probes} probes"));
        let good = self.rules.probe_good[at];
        self.must(probes == 0 || good < PROBE_MAILS, || {
            format!("relay {at} is still probed after {good} good mails of its probe")
        });
        self.must(probes == 1 || state.permit(now) != Permit::Probing, || {
            format!("relay {at} is probed by nobody")
        });
        let (bears, most) = (
            state.memory.limit.connections(),
            state
                .terms
                .connections
                .checked_shr(self.rules.throttled[at].0)
                .unwrap_or(0),
        );
        self.must(bears <= most.max(1), || {
            format!(
                "relay {at} throttled {} times and is given {bears}",
                self.rules.throttled[at].0
            )
        });
        let has_mail = queue.ready() > queue.urgent();
        let takes = state.takes(MailClass::Digest, now, day_of(self.now().wall));
        if state.permit(now) != Permit::All || !has_mail || state.terms.is_limited_by_day || !takes
        {
            return;
        }
        let has_idle = !state.waiting.is_empty() && self.rules.is_even;
        if state.is_paced() {
            let pause =
                Duration::from_secs(1) / state.terms.rate_per_second + Duration::from_millis(10);
            let last = self.rules.handed_at[at]
                .unwrap_or(self.rules.began_at)
                .max(self.rules.began_at);
            return self.must(!has_idle || self.at - last <= pause, || {
                format!("relay {at} is idle for longer than its pace")
            });
        }
        self.must(!has_idle, || {
            format!("relay {at} is idle beside {} mails", queue.ready())
        });
        let bears = bears.min(state.terms.connections);
        let is_short = !state.tries_login()
            && state.live < bears
            && state.connect_at <= now
            && queue.ready() > connecting + state.waiting.len();
        self.must(!is_short, || {
            format!(
                "relay {at} bears {bears} connections and has {}",
                state.live
            )
        });
    }

    /// A domain's place is kept by a mail that a worker has, and by nothing else.
    pub(super) fn check_places(&self) {
        if self.settings.domains.is_empty() {
            return;
        }
        let held = |worker: &WorkerEntry| {
            let held = [&worker.begun, &worker.ahead];
            let held = held.into_iter().flatten();
            held.filter(|held| class_of(&held.job) == MailClass::Digest)
                .count()
        };
        let held: usize = self.dispatcher.workers.values().map(held).sum();
        let taken = self.dispatcher.queue.places_taken();
        self.must(taken <= held, || {
            format!("{taken} places of domains are taken, by {held} mails")
        });
    }

    /// The healthy relay sends while something is due, and a sign-up's mail goes first.
    pub(super) fn check_flow(&mut self) {
        let at = self.at;
        let is_due =
            self.dispatcher.queue.ready() > 0 || self.rows.values().any(|row| row.is_free(at));
        self.rules.due_since = if is_due {
            self.rules.due_since.or(Some(at))
        } else {
            None
        };
        if let Some(since) = self.rules.due_since {
            let takers = if self.rules.is_even {
                &self.relays[..1]
            } else {
                &self.relays[..]
            };
            let last = takers
                .iter()
                .map(|relay| relay.taken_at)
                .max()
                .unwrap_or_default()
                .max(since);
            self.must(at - last < self.rules.healthy_pause, || {
                "the healthy relay sends nothing though something is due".into()
            });
        }
        let limit = self.rules.healthy_pause + SIGN_UP_WITHIN;
        let waits = |row: &&SimRow| {
            row.attempts == 0 && !row.is_off && at - row.due.max(self.rules.began_at) > limit
        };
        let is_late = self
            .rows
            .range((SIGN_UPS_FROM, 0)..)
            .map(|(_, row)| row)
            .find(waits);
        self.must(is_late.is_none(), || {
            format!("a sign-up's mail has not begun: {is_late:?}")
        });
        if at - self.rules.looked_at >= LOOK {
            self.rules.looked_at = at;
            self.check_stuck();
        }
    }

    /// A mail that hangs holds nothing but itself: neither the one at hand behind it, nor its batch, nor, where it is transactional, itself.
    fn check_stuck(&mut self) {
        let (at, now, long) = (
            self.at,
            self.now().instant,
            SLOW_AFTER + Duration::from_secs(4),
        );
        let stuck = |worker: &&WorkerEntry| {
            worker.at == WorkerPosition::Sending && now - worker.since > long
        };
        let behind = self
            .dispatcher
            .workers
            .values()
            .filter(stuck)
            .find(|worker| worker.ahead.is_some());
        self.must(behind.is_none(), || {
            format!("a mail waits behind one that hangs: {behind:?}")
        });
        // Where another connection has had nothing to do for a while, or a person waits for the mail and another relay works.
        let has_other = self
            .rules
            .waiting_since
            .is_some_and(|since| at - since > Duration::from_secs(3));
        let is_kept = |worker: &&SimWorker| {
            let (Some(key), Some(since)) = (worker.begun, worker.kept_since()) else {
                return false;
            };
            let is_person = key.mailing != DIGEST && worker.relay > 0;
            let limit = if is_person {
                Duration::from_secs(12)
            } else {
                Duration::from_secs(16)
            };
            !self.dispatcher.taken_back.contains(&key)
                && at - since > limit
                && (has_other || is_person)
        };
        let is_probe = |id: &WorkerId| {
            self.dispatcher
                .workers
                .get(id)
                .is_some_and(|own| own.is_probe)
        };
        let kept = self
            .workers
            .iter()
            .filter(|(id, _)| !is_probe(id))
            .map(|(_, worker)| worker)
            .find(is_kept);
        self.must(kept.is_none(), || {
            format!("a mail is not taken back: {kept:?}")
        });
        let mut batches: HashMap<BatchKey, (bool, bool)> = HashMap::new();
        let hangs: HashSet<DeliveryKey> = self
            .dispatcher
            .workers
            .values()
            .filter(stuck)
            .filter_map(|worker| worker.begun.as_ref())
            .map(|held| held.job.key)
            .collect();
        for ((mailing, subscriber), row) in &self.rows {
            let Some(batch) = row.batch else { continue };
            let (has_due, is_at_work) = batches.entry(batch).or_default();
            let key = DeliveryKey {
                mailing: *mailing,
                subscriber: *subscriber,
            };
            match row.state {
                SimMail::Queued(due) => *has_due |= at.saturating_sub(due) > long,
                SimMail::Claimed => *is_at_work = true,
                SimMail::Sending => *is_at_work |= !hangs.contains(&key),
                SimMail::Final => {}
            }
        }
        // Counted from when the last other mail of the batch was done: until then somebody was at work on it.
        let earlier = std::mem::take(&mut self.rules.held_since);
        self.rules.held_since = batches
            .into_iter()
            .filter(|(_, (has_due, is_at_work))| *has_due && !is_at_work)
            .map(|(batch, _)| (batch, earlier.get(&batch).copied().unwrap_or(at)))
            .collect();
        let mut held = self.rules.held_since.iter();
        let held = held.find(|(_, since)| at - **since > long);
        self.must(held.is_none(), || {
            format!("a retry that is due waits for mails of its batch that hang: {held:?}")
        });
    }
}
