//! The simulation's relays: how they take mails, and what troubles them.

use super::*;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    None,
    Refuses,
    /// It refuses connections as too many.
    IsFull,
    RefusesLogin,
    NeverGreets,
    SilentInEnvelope,
    LateDot,
    PutsOff,
    Throttles,
    /// It takes each mail and hangs up without an answer.
    HangsUp,
    /// Now and then it answers a connection at a byte a second.
    Crawls,
    /// It takes no mail as large as a digest's.
    TakesSmall,
    /// Our lease is over, as far as this connection knows.
    LeaseOver,
    /// Now and then a connection's task breaks.
    Breaks,
}

const TROUBLES: [Trouble; 16] = [
    Trouble::None,
    Trouble::None,
    Trouble::None,
    Trouble::Refuses,
    Trouble::IsFull,
    Trouble::RefusesLogin,
    Trouble::NeverGreets,
    Trouble::SilentInEnvelope,
    Trouble::LateDot,
    Trouble::PutsOff,
    Trouble::Throttles,
    Trouble::HangsUp,
    Trouble::Crawls,
    Trouble::TakesSmall,
    Trouble::LeaseOver,
    Trouble::Breaks,
];

#[derive(Debug)]
pub(super) struct SimRelay {
    pub greeting: Duration,
    pub mail: Duration,
    /// It never has a trouble.
    pub is_healthy: bool,
    pub trouble: Trouble,
    pub until: Duration,
    /// Connections that it bears; beyond that it throttles.
    pub bears: usize,
    pub taken: usize,
    pub taken_at: Duration,
    /// Places of its first day; the others have enough.
    pub first_day: u64,
    pub reserved: BTreeMap<i64, u64>,
    pub begun: u64,
}

impl SimRelay {
    pub fn release(&mut self, day: i64, count: u64) {
        let reserved = self.reserved.entry(day).or_default();
        *reserved = reserved
            .checked_sub(count)
            .expect("no more is given back than was reserved");
    }

    /// Places that it was given, less those that came back.
    pub fn all_reserved(&self) -> u64 {
        self.reserved.values().sum()
    }
}

#[derive(Debug, Default)]
pub(super) struct SimWorker {
    pub relay: usize,
    pub at_hand: Option<Arc<Job>>,
    pub begun: Option<DeliveryKey>,
    pub asks_to_begin: bool,
    mails: u32,
    /// In its envelope, and so may be taken back.
    in_envelope: bool,
    since: Duration,
}

impl SimWorker {
    /// Returns since when it has a mail that may be taken back.
    pub fn kept_since(&self) -> Option<Duration> {
        (self.in_envelope && self.begun.is_some()).then_some(self.since)
    }
}

impl World {
    /// Troubles come and go.
    pub(super) fn strike(&mut self) {
        let is_calm = self.calm_at.is_some_and(|calm| self.at >= calm);
        for at in 0..self.relays.len() {
            if self.relays[at].is_healthy || self.relays[at].until > self.at && !is_calm {
                continue;
            }
            self.relays[at].trouble = if is_calm {
                Trouble::None
            } else {
                TROUBLES[self.random.random_range(0..TROUBLES.len())]
            };
            self.relays[at].until =
                self.at + Duration::from_millis(self.random.random_range(200..60_000));
        }
    }

    pub(super) fn connect(&mut self, id: WorkerId, relay: usize) {
        self.workers.insert(
            id,
            SimWorker {
                relay,
                ..SimWorker::default()
            },
        );
        let is_full = self
            .workers
            .values()
            .filter(|worker| worker.relay == relay)
            .count()
            > self.relays[relay].bears;
        let (trouble, greeting) = (self.relays[relay].trouble, self.relays[relay].greeting);
        let refusal = |is_throttle, is_ours| {
            Err(ConnectionRefusal {
                is_throttle,
                is_ours,
            })
        };
        let (after, greeted) = match trouble {
            Trouble::Refuses => (Duration::from_millis(1), refusal(false, false)),
            Trouble::RefusesLogin => (greeting, refusal(false, true)),
            Trouble::NeverGreets => (Duration::from_secs(300), refusal(false, false)),
            Trouble::IsFull => (Duration::from_millis(1), refusal(true, false)),
            _ if is_full => (Duration::from_millis(1), refusal(true, false)),
            _ => (greeting, Ok(())),
        };
        self.later(after, SimEvent::Greeted(id, greeted));
    }

    pub(super) fn reply(&mut self, id: WorkerId, reply: WorkerReply) {
        let Some(worker) = self.workers.get_mut(&id) else {
            return;
        };
        if worker.asks_to_begin {
            worker.asks_to_begin = false;
            let job = worker.at_hand.take();
            worker.at_hand = reply.next;
            match job.filter(|_| reply.may_go) {
                Some(job) => self.send(id, job.key),
                None => self.later(Duration::from_millis(1), SimEvent::Gone(id)),
            }
            return;
        }
        match reply.next {
            Some(job) => {
                worker.at_hand = Some(job);
                self.later(Duration::from_millis(1), SimEvent::Prepared(id));
            }
            None => self.later(Duration::from_millis(20), SimEvent::Gone(id)),
        }
    }

    /// Returns whether the mail that a worker has at hand is larger than its relay takes.
    pub(super) fn is_too_large(&self, id: WorkerId) -> bool {
        let Some(worker) = self.workers.get(&id) else {
            return false;
        };
        let is_digest = worker
            .at_hand
            .as_ref()
            .is_some_and(|job| class_of(job) == MailClass::Digest);
        is_digest && self.relays[worker.relay].trouble == Trouble::TakesSmall
    }

    fn send(&mut self, id: WorkerId, key: DeliveryKey) {
        let Some(worker) = self.workers.get_mut(&id) else {
            return;
        };
        worker.begun = Some(key);
        (worker.in_envelope, worker.since) = (true, self.at);
        let at = worker.relay;
        self.relays[at].begun += 1;
        let relay = &self.relays[at];
        let mail = relay.mail;
        let rare = !relay.is_healthy && self.random.random_bool(0.01);
        let (after, verdict) = match relay.trouble {
            Trouble::SilentInEnvelope => (
                Duration::from_secs(300),
                Verdict::AboutUs {
                    reply: "silent".into(),
                    is_for_now: false,
                },
            ),
            Trouble::PutsOff => (
                mail,
                Verdict::AboutUs {
                    reply: "451".into(),
                    is_for_now: true,
                },
            ),
            Trouble::LeaseOver => (mail, Verdict::LeaseOver),
            Trouble::Throttles => (mail, Verdict::Throttled("421".into())),
            Trouble::HangsUp => (mail, Verdict::InDoubt("hung up".into())),
            Trouble::Crawls if self.random.random_bool(0.2) => {
                (Duration::from_secs(90), Verdict::Accepted)
            }
            Trouble::Breaks if self.random.random_bool(0.1) => {
                let after = self.random.random_range(0..1_000);
                self.later(Duration::from_millis(after), SimEvent::Broken(id));
                (mail, Verdict::Accepted)
            }
            Trouble::LateDot => (Duration::from_secs(590), Verdict::Accepted),
            _ if rare => (Duration::from_secs(120), Verdict::Accepted),
            _ if self.random.random_bool(0.01) => (mail, Verdict::AboutRecipient),
            _ => (mail, Verdict::Accepted),
        };
        if matches!(verdict, Verdict::Accepted | Verdict::InDoubt(_)) {
            // It is at its final dot: nobody takes it back.
            if let Some(worker) = self.workers.get_mut(&id) {
                worker.in_envelope = false;
            }
        }
        self.note_sent(id, key);
        self.later(after, SimEvent::Answered(id, verdict));
    }

    pub(super) fn abandon(&mut self, id: WorkerId) {
        if self
            .workers
            .get(&id)
            .is_some_and(|worker| worker.in_envelope && worker.begun.is_some())
        {
            self.answered(
                id,
                Verdict::AboutUs {
                    reply: "taken back".into(),
                    is_for_now: false,
                },
                Duration::ZERO,
            );
        }
    }

    /// A connection is cut. A mail at its final dot may have been taken.
    pub(super) fn break_off(&mut self, id: WorkerId) {
        let Some(worker) = self.workers.remove(&id) else {
            return;
        };
        if worker.at_hand.is_some() {
            self.note_lost_place();
        }
        if let Some(key) = worker.begun {
            self.note_back(key);
            if !worker.in_envelope {
                self.note_copy(key);
            }
        }
        self.requests.retain(|request| request.worker != id);
        self.handle(DispatcherEvent::Ended(id, WorkerEnd::Aborted));
    }

    pub(super) fn answered(&mut self, id: WorkerId, verdict: Verdict, after: Duration) {
        let Some(worker) = self.workers.get_mut(&id) else {
            return;
        };
        let Some(key) = worker.begun.take() else {
            return;
        };
        worker.in_envelope = false;
        worker.mails += 1;
        let is_taken = verdict == Verdict::Accepted;
        let breaks = !matches!(verdict, Verdict::Accepted | Verdict::AboutRecipient)
            || worker.mails >= self.mails_max;
        worker.asks_to_begin = worker.at_hand.is_some() && !breaks;
        let (relay, begins) = (worker.relay, worker.asks_to_begin);
        if breaks {
            worker.at_hand = None;
        }
        self.note_back(key);
        let again = self.now().wall + TimeDelta::from_std(after).expect("a time");
        let step = match &verdict {
            Verdict::Accepted => DeliveryUpdate::Sent,
            Verdict::AboutRecipient => DeliveryUpdate::Failed,
            Verdict::InDoubt(_) => self.doubted(key, again),
            _ => DeliveryUpdate::Again(again),
        };
        if matches!(verdict, Verdict::Accepted | Verdict::InDoubt(_)) {
            self.note_copy(key);
        }
        if is_taken {
            self.relays[relay].taken += 1;
            self.relays[relay].taken_at = self.at;
        }
        let result = MailResult {
            done: Finished {
                key,
                step,
                reply: String::new(),
            },
            verdict,
        };
        self.request(WorkerRequest {
            worker: id,
            result: Some(result),
            begins,
            wants: !breaks,
        });
    }
}
