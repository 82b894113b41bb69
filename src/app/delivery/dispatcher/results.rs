//! Results of mails, and what they tell of the relay and the connection.

use super::AHEAD_BELOW;
use super::BreakerChange;
use super::Dispatcher;
use super::DispatcherCommand;
use super::Holding;
use super::Now;
use super::SLOW_AFTER;
use super::Verdict;
use super::WorkerId;
use crate::app::delivery::breaker::BreakerCause;
use crate::app::delivery::breaker::Permit;

impl Dispatcher {
    pub(super) fn take_result(&mut self, id: WorkerId, held: &Holding, verdict: Verdict, now: Now) {
        self.queue.is_back(held.job.key, now.instant);
        let Some(worker) = self.workers.get_mut(&id) else {
            return;
        };
        let (relay, is_probe, took) = (worker.relay, worker.is_probe, now.instant - worker.since);
        // While the ledger is slow, results wait for it, and tell nothing of the relay.
        if self.last_commit < AHEAD_BELOW {
            worker.is_slow = took > AHEAD_BELOW;
            self.balancer.record_result(relay, took);
            let fastest = if took < SLOW_AFTER {
                None
            } else {
                self.fastest_beside(id, relay)
            };
            if let Some(worker) = self.workers.get_mut(&id) {
                worker.pace.record(took, SLOW_AFTER, fastest);
            }
        }
        if verdict == Verdict::Accepted {
            self.last_sent = Some(now.wall);
        }
        self.note(relay, verdict, is_probe, now);
        let goes_on = self.relays[relay].permit(now.instant) == Permit::Probing;
        if let Some(worker) = self.workers.get_mut(&id) {
            worker.is_probe = is_probe && goes_on;
        }
    }

    /// Returns the best pace among a relay's other connections.
    fn fastest_beside(&self, id: WorkerId, relay: usize) -> Option<std::time::Duration> {
        let others = self
            .workers
            .iter()
            .filter(|(other, worker)| **other != id && worker.relay == relay);
        others.filter_map(|(_, worker)| worker.pace.mean()).min()
    }

    fn note(&mut self, relay: usize, verdict: Verdict, is_probe: bool, now: Now) {
        let state = &mut self.relays[relay];
        let change = match verdict {
            Verdict::Accepted => {
                state.memory.limit.on_accepted();
                state.good_at = Some(now.instant);
                state.memory.breaker.succeeded(is_probe)
            }
            Verdict::AboutRecipient => state.memory.breaker.succeeded(is_probe),
            Verdict::AboutUs { reply, is_for_now } => state.failed(
                BreakerCause::Mail,
                &reply,
                is_for_now,
                is_probe,
                now.instant,
            ),
            Verdict::InDoubt(trouble) => {
                state.failed(BreakerCause::Doubt, &trouble, false, is_probe, now.instant)
            }
            Verdict::Throttled(reply) => self.slow_down(relay, reply, is_probe, now),
            Verdict::LeaseOver => {
                state.put_off_connecting(now.instant);
                None
            }
        };
        self.changed(relay, change);
    }

    /// The far end says that this is too much. Where its last connection is throttled too, the breaker rests it.
    pub(super) fn slow_down(
        &mut self,
        relay: usize,
        reply: String,
        is_probe: bool,
        now: Now,
    ) -> Option<BreakerChange> {
        let state = &mut self.relays[relay];
        let before = state.memory.limit.connections();
        if !state.memory.limit.on_throttled(now.wall) && !is_probe {
            return None;
        }
        let connections = state.memory.limit.connections();
        let change = if before == 1 || is_probe {
            state.failed(BreakerCause::Rest, &reply, true, is_probe, now.instant)
        } else {
            None
        };
        self.commands.push(DispatcherCommand::SlowedDown {
            relay,
            connections,
            reply,
        });
        change
    }
}
