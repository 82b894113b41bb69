//! Execution of the dispatcher's commands: workers, commits, claims, and the day's allowance.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::ClaimOutcome;
use super::SendRun;
use super::WorkerHandle;
use crate::app::App;
use crate::app::delivery::breaker::BreakerChange;
use crate::app::delivery::dispatcher::CommitGroup;
use crate::app::delivery::dispatcher::DispatcherCommand;
use crate::app::delivery::dispatcher::WorkerId;
use crate::app::delivery::prefetcher::ClaimRequest;
use crate::app::delivery::relay::RelayMemory;
use crate::app::delivery::worker::StageCell;
use crate::app::delivery::worker::Worker;
use crate::app::delivery::worker::settled;
use crate::domain::delivery::BatchKey;
use crate::domain::delivery::MailClass;
use crate::domain::event::EventKind;
use crate::storage::StorageError;
use crate::storage::ledger::Job;

/// Digest mails reserved at once from a relay's daily quota.
const DIGESTS_RESERVED: u64 = 50;
/// Transactional mails reserved at once from a relay's daily quota; they come one by one.
const TRANSACTIONAL_RESERVED: u64 = 5;

impl SendRun {
    pub(super) fn carry_out(&mut self, command: DispatcherCommand) {
        match command {
            DispatcherCommand::Start(id, relay) => self.start(id, relay),
            DispatcherCommand::Reply(id, reply) => {
                if let Some(waiting) = self.seats.get_mut(&id).and_then(|seat| seat.reply.take()) {
                    let _ = waiting.send(reply);
                }
            }
            DispatcherCommand::Commit(group) => self.commit(group),
            DispatcherCommand::Claim(request) => {
                let (app, sender, only) = (self.app.clone(), self.sender, self.only);
                self.claims
                    .spawn(async move { claim(&app, sender, only, request).await });
            }
            DispatcherCommand::Reserve { relay, class, day } => self.reserve(relay, class, day),
            DispatcherCommand::Release { relay, day, count } => {
                let (app, relay) = (self.app.clone(), self.app.relays[relay].clone());
                self.reservations.spawn(async move {
                    app.release_quota(&relay, day, count).await;
                    None
                });
            }
            DispatcherCommand::Abandon(id) => {
                if let Some(seat) = self.seats.get(&id) {
                    seat.abandon.cancel();
                }
            }
            DispatcherCommand::Abort(id) => {
                if let Some(seat) = self.seats.get(&id) {
                    seat.task.abort();
                }
            }
            DispatcherCommand::Settle {
                job,
                batch,
                is_in_doubt,
            } => self.settle(&job, batch, is_in_doubt),
            DispatcherCommand::Changed {
                relay,
                change,
                trouble,
            } => self.say(relay, change, &trouble),
            DispatcherCommand::SlowedDown {
                relay,
                connections,
                reply,
            } => {
                tracing::info!(
                    relay = self.app.relays[relay].name,
                    reply,
                    connections,
                    "relay throttles; reducing the number of connections"
                );
            }
        }
    }

    fn start(&mut self, id: WorkerId, relay: usize) {
        let (abandon, stage) = (CancellationToken::new(), Arc::new(StageCell::default()));
        let worker = Worker {
            app: self.app.clone(),
            id,
            relay: self.app.relays[relay].clone(),
            requests: self.requests.clone(),
            fence: self.fence.clone(),
            abandon: abandon.clone(),
            stage: stage.clone(),
        };
        let task = self.workers.spawn(worker.work());
        self.ids.insert(task.id(), id);
        self.seats.insert(
            id,
            WorkerHandle {
                reply: None,
                abandon,
                stage,
                task,
            },
        );
    }

    fn commit(&mut self, group: CommitGroup) {
        self.pending.push_back(group);
        self.commit_next();
    }

    pub(super) fn commit_next(&mut self) {
        if self.committer.is_free()
            && let Some(group) = self.pending.pop_front()
        {
            self.committer.start(group);
        }
    }

    fn settle(&mut self, job: &Job, batch: BatchKey, is_in_doubt: bool) {
        if is_in_doubt {
            tracing::warn!(
                mailing = self.app.mailing_name(job.key.mailing),
                "a connection ended before the reply to the final dot; its mail is uncertain"
            );
        }
        let done = vec![settled(&self.app, job, is_in_doubt)];
        self.commit(CommitGroup {
            done,
            batches: vec![batch],
            ..CommitGroup::default()
        });
    }

    fn reserve(&mut self, relay: usize, class: MailClass, day: i64) {
        let (app, terms) = (self.app.clone(), self.app.relays[relay].clone());
        self.reservations.spawn(async move {
            let wanted = if class == MailClass::Digest {
                DIGESTS_RESERVED
            } else {
                TRANSACTIONAL_RESERVED
            };
            let taken = app
                .reserve_quota(&terms, class, wanted)
                .await
                .map_err(|failure| {
                    tracing::warn!(
                        cause = failure.cause(),
                        relay = terms.name,
                        "reserving daily quota failed; retrying: {failure}"
                    );
                });
            Some((relay, class, day, taken))
        });
    }

    /// Tells other programs of a breaker, beside the sender, which waits for nothing.
    fn tell(&self, kind: EventKind, relay: &str) {
        let (app, data) = (self.app.clone(), serde_json::json!({ "relay": relay }));
        tokio::spawn(async move {
            let written = app.storage.record_event(kind, &data, app.now()).await;
            if let Err(error) = written {
                tracing::warn!(%error, "the event of a breaker was not written");
            }
        });
    }

    fn say(&self, relay: usize, change: BreakerChange, trouble: &str) {
        let name = &self.app.relays[relay].name;
        let is_asked = self
            .dispatcher
            .memories()
            .nth(relay)
            .is_some_and(RelayMemory::is_asked_for_patience);
        match change {
            BreakerChange::Opened(pause) if is_asked => {
                let pause_s = pause.as_secs_f64();
                tracing::info!(
                    relay = name,
                    trouble,
                    pause_s,
                    "sending over the relay is paused: it defers all mail (4xx)"
                );
            }
            BreakerChange::Opened(pause) => {
                let pause_s = pause.as_secs_f64();
                tracing::warn!(
                    relay = name,
                    trouble,
                    pause_s,
                    "sending over the relay is paused after failures that are not about recipients; check the relay and its settings"
                );
                self.tell(EventKind::BreakerOpened, name);
            }
            BreakerChange::Closed => {
                tracing::info!(relay = name, "sending goes on: the relay takes mail again");
                self.tell(EventKind::BreakerClosed, name);
            }
        }
        let is_fault = |memory: &&RelayMemory| {
            memory.breaker.trouble().is_some() && !memory.is_asked_for_patience()
        };
        let open = self.dispatcher.memories().filter(is_fault).count();
        metrics::gauge!("verdicts_breaker_open").set(if open > 0 { 1.0 } else { 0.0 });
    }
}

/// Holds batches against the ledger, splits, reads again, gives back and claims, in this order: what fails before the claim has taken nothing.
async fn claim(app: &App, sender: i64, only: Option<i64>, request: ClaimRequest) -> ClaimOutcome {
    let work = async {
        let (now, mut jobs) = (app.now(), Vec::new());
        if let Some(known) = &request.known {
            let batches = app.storage.give_back_unknown(sender, known, now).await?;
            if batches > 0 {
                tracing::info!(
                    batches,
                    "gave back batches that were claimed in the ledger but never reached this sender"
                );
            }
        }
        for (batch, kept) in &request.split {
            app.storage.split_batch(sender, *batch, kept, now).await?;
        }
        for batch in &request.reopened {
            jobs.extend(app.storage.reopen_batch(sender, *batch, now).await?);
        }
        let claimed = app
            .storage
            .claim(sender, &request.ended, only, request.room, now)
            .await?;
        jobs.extend(claimed.jobs);
        Ok::<_, StorageError>((jobs, claimed.may_be_more))
    };
    work.await
        .inspect_err(|error| tracing::warn!(%error, "nothing can be claimed; trying again"))
        .ok()
}
