//! The end of a worker: what it had goes back, and its relay hears why.

use tokio::time::Instant;

use super::Dispatcher;
use super::Holding;
use super::WorkerPosition;
use super::protocol::DispatcherCommand;
use super::protocol::Now;
use super::protocol::Unconnected;
use super::protocol::WorkerEnd;
use super::protocol::WorkerId;
use crate::app::delivery::breaker::BreakerCause;
use crate::app::delivery::queue::class_of;
use crate::domain::limits::day_of;

impl Dispatcher {
    pub(super) fn worker_ended(&mut self, id: WorkerId, end: WorkerEnd, now: Now) {
        let Some(worker) = self.workers.remove(&id) else {
            return;
        };
        let relay = worker.relay;
        let state = &mut self.relays[relay];
        state.live -= 1;
        state.waiting.retain(|waiting| *waiting != id);
        if let Some(held) = worker.ahead {
            match worker.at {
                // Its mark may be written: not one dot of it is out, but it is not known here.
                WorkerPosition::Requesting => {
                    self.relays[relay].record_unused(class_of(&held.job), day_of(now.wall));
                    self.settle(held, false, now.instant);
                }
                _ => self.put_back(relay, held, now),
            }
        }
        if let Some(held) = worker.begun {
            self.settle(held, true, now.instant);
        }
        let is_last = self.relays[relay].live == 0;
        if is_last {
            self.relays[relay].forget_login();
        }
        match end {
            WorkerEnd::Unconnected(trouble) => {
                self.unconnected(relay, &trouble, is_last, worker.is_probe, now)
            }
            WorkerEnd::TooLarge { class, trouble } => {
                if let Some(change) =
                    self.relays[relay].refused_size(class, trouble.clone(), now.instant)
                {
                    self.commands.push(DispatcherCommand::Changed {
                        relay,
                        change,
                        trouble,
                    });
                }
                self.probe_ended(relay, worker.is_probe, now.instant);
            }
            WorkerEnd::Closed | WorkerEnd::Aborted => {
                self.probe_ended(relay, worker.is_probe, now.instant)
            }
        }
    }

    /// Leaves a mail that no worker has any more to the ledger. Its domain's place is free again: one that is kept would be kept for good.
    pub(super) fn settle(&mut self, held: Holding, is_in_doubt: bool, now: Instant) {
        self.queue.is_back(held.job.key, now);
        self.commands.push(DispatcherCommand::Settle {
            job: held.job,
            batch: held.batch,
            is_in_doubt,
        });
    }

    pub(super) fn probe_ended(&mut self, relay: usize, is_probe: bool, now: Instant) {
        if is_probe {
            self.relays[relay].memory.breaker.probe_ended(now);
        }
    }

    pub(super) fn unconnected(
        &mut self,
        relay: usize,
        unconnected: &Unconnected,
        is_last: bool,
        is_probe: bool,
        now: Now,
    ) {
        let Unconnected {
            trouble,
            is_throttle,
            is_ours,
            is_for_now,
        } = unconnected;
        if *is_ours {
            self.relays[relay].forget_login();
        }
        self.relays[relay].put_off_connecting(now.instant);
        let mut change = if *is_throttle {
            self.slow_down(relay, trouble.clone(), is_probe, now)
        } else {
            None
        };
        if change.is_none() && (!is_throttle || is_last) {
            let fault = if *is_ours || is_last {
                BreakerCause::NoWay
            } else {
                BreakerCause::NoConnection
            };
            change = self.relays[relay].failed(fault, trouble, *is_for_now, is_probe, now.instant);
        }
        self.changed(relay, change);
    }
}
