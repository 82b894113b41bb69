//! Rules that hold whatever happens.
//!
//! | rule | |
//! | --- | --- |
//! | nobody twice, nobody lost | one mail, and one more for a doubt; each begins only when it is claimed; all end |
//! | no relay waits for another | a healthy one sends as long as something is due, on all connections that it bears; none has idle workers beside mail |
//! | the breaker | it probes only with a probe; nothing is handed out while it is open but to its one probe, nor after ten failures in a row; three good mails of the probe close it; once all is well all goes out |
//! | paces and days | mails of a relay keep their distance, and come no later than that; no more begin than were reserved, and what is left goes back |
//! | throttling | each 5 s of it halve a relay's connections |
//! | domains | no more mails of one are out than its limit; a place is taken by a mail that some worker has, and by no other |
//! | shares | a retry that is due waits for no more fresh mails than its share allows, and fresh mail for no more retries; a sign-up overtakes them |
//! | a stop | nothing begins after it, and it ends in its time |

mod flow;

use super::ledger::SimMail;
use super::*;
use crate::app::delivery::breaker::Permit;
use flow::WorkerCounts;

/// A healthy relay may have sent nothing for so long, and `mail.poll`: a greeting, a look of the prefetcher, a slow commit, the last mail.
const HEALTHY_PAUSE: Duration = Duration::from_secs(8);
/// A sign-up's mail begins within this, and [`HEALTHY_PAUSE`].
const SIGN_UP_WITHIN: Duration = Duration::from_secs(6);
/// Longer than all that the relays may take: while troubles come and go, and once they are over.
const LONGEST: Duration = Duration::from_secs(12 * 3_600);
const LONGEST_CALM: Duration = Duration::from_secs(2 * 3_600);
/// Beyond [`DRAIN`], a stop has so long for what is to be written.
const LAST_COMMITS: Duration = Duration::from_secs(15);
/// Good mails of a probe that close a breaker, whatever opened it.
const PROBE_MAILS: u32 = 3;
/// All mails that hang are looked at so often.
const LOOK: Duration = Duration::from_secs(1);
/// Failures in a row that open a breaker.
const RUN: u32 = 10;

pub(super) struct PromiseRules {
    healthy_pause: Duration,
    /// Relays have one weight, so that none waits for another.
    is_even: bool,
    domain_limit: usize,
    began_at: Duration,
    checked_at: Duration,
    looked_at: Duration,
    events: u64,
    due_since: Option<Duration>,
    out_of_domain: HashMap<usize, usize>,
    handed_at: Vec<Option<Duration>>,
    failures: Vec<u32>,
    /// Good mails in a row of each relay's probe.
    probe_good: Vec<u32>,
    /// Places of a day that a worker which broke down may have had.
    lost_places: u64,
    /// Steps of 5 s in which a relay throttled, with no mail taken between, and the beginning of the last.
    throttled: Vec<(u32, Duration)>,
    /// Since when some worker has had nothing to do.
    waiting_since: Option<Duration>,
    /// Times since which a batch whose open mails all hang has held a retry that is due.
    held_since: HashMap<BatchKey, Duration>,
    begun_fresh: Vec<Duration>,
    begun_retries: Vec<Duration>,
    room_max: usize,
    pub last_worker: WorkerId,
    pub reserving: usize,
    pub claiming: usize,
}

impl PromiseRules {
    pub fn of(settings: &DispatcherSettings, terms: &[RelayTerms]) -> Self {
        let limit = settings
            .domains
            .of("d1.example")
            .map_or(0, |(_, limit)| limit.connections);
        Self {
            healthy_pause: HEALTHY_PAUSE + settings.poll,
            is_even: terms.iter().all(|relay| relay.weight == terms[0].weight),
            domain_limit: limit,
            began_at: Duration::ZERO,
            checked_at: Duration::ZERO,
            looked_at: Duration::ZERO,
            events: 0,
            due_since: None,
            out_of_domain: HashMap::new(),
            handed_at: vec![None; terms.len()],
            failures: vec![0; terms.len()],
            probe_good: vec![0; terms.len()],
            lost_places: 0,
            throttled: vec![(0, Duration::ZERO); terms.len()],
            waiting_since: None,
            held_since: HashMap::new(),
            begun_fresh: Vec::new(),
            begun_retries: Vec::new(),
            room_max: 0,
            last_worker: 0,
            reserving: 0,
            claiming: 0,
        }
    }

    pub fn begins_again(&mut self, at: Duration) {
        (self.began_at, self.due_since, self.waiting_since) = (at, None, None);
        self.held_since.clear();
        // A run begins with a token of each pace.
        self.handed_at.fill(None);
    }
}

/// Throttling within this time counts once.
const THROTTLE_STEP: Duration = Duration::from_secs(5);

impl PromiseRules {
    fn note_throttled(&mut self, relay: usize, at: Duration) {
        let (steps, last) = &mut self.throttled[relay];
        if *last == Duration::ZERO || at - *last >= THROTTLE_STEP {
            (*steps, *last) = (*steps + 1, at);
        }
    }
}

impl World {
    /// Results, as the dispatcher comes to know them.
    pub(super) fn note_event(&mut self, event: &DispatcherEvent) {
        match event {
            DispatcherEvent::Requests(requests) => {
                for request in requests {
                    let (Some(worker), Some(result)) =
                        (self.workers.get(&request.worker), &request.result)
                    else {
                        continue;
                    };
                    let is_probe = self
                        .dispatcher
                        .workers
                        .get(&request.worker)
                        .is_some_and(|worker| worker.is_probe);
                    let (failures, good) = (
                        &mut self.rules.failures[worker.relay],
                        &mut self.rules.probe_good[worker.relay],
                    );
                    let is_good =
                        matches!(result.verdict, Verdict::Accepted | Verdict::AboutRecipient);
                    *good = if is_good {
                        *good + u32::from(is_probe)
                    } else {
                        0
                    };
                    match result.verdict {
                        Verdict::AboutUs { .. } | Verdict::InDoubt(_) => *failures += 1,
                        Verdict::Accepted | Verdict::AboutRecipient => *failures = 0,
                        Verdict::Throttled(_) | Verdict::LeaseOver => {}
                    }
                    let (relay, is_taken) = (worker.relay, result.verdict == Verdict::Accepted);
                    match matches!(result.verdict, Verdict::Throttled(_)) {
                        true => self.rules.note_throttled(relay, self.at),
                        false if is_taken => self.rules.throttled[relay].0 = 0,
                        false => {}
                    }
                }
            }
            // Before the dispatcher forgets the worker.
            DispatcherEvent::Ended(
                id,
                WorkerEnd::Unconnected(Unconnected {
                    is_throttle: true, ..
                }),
            ) => {
                if let Some(worker) = self.dispatcher.workers.get(id) {
                    self.rules.note_throttled(worker.relay, self.at);
                }
            }
            DispatcherEvent::Reserved { .. } => self.rules.reserving -= 1,
            DispatcherEvent::Claimed { .. } => self.rules.claiming -= 1,
            _ => {}
        }
    }

    pub(super) fn check_command(&mut self, command: &DispatcherCommand) {
        let begins = match command {
            DispatcherCommand::Start(..)
            | DispatcherCommand::Claim(_)
            | DispatcherCommand::Reserve { .. } => true,
            DispatcherCommand::Reply(_, reply) => reply.next.is_some(),
            DispatcherCommand::Commit(group) => !group.begins.is_empty(),
            _ => false,
        };
        self.must(!begins || self.stopped_at.is_none(), || {
            format!("{command:?} after a stop")
        });
        match command {
            DispatcherCommand::Start(id, relay) => {
                self.rules.last_worker = self.rules.last_worker.max(*id);
                self.rules.probe_good[*relay] = 0;
                let live = self
                    .workers
                    .values()
                    .filter(|worker| worker.relay == *relay)
                    .count();
                // A probe may come beside connections that hang.
                self.must(live <= self.terms[*relay].connections, || {
                    format!("relay {relay} gets one more than {live} connections")
                });
            }
            DispatcherCommand::Reply(id, reply) if reply.next.is_some() => self.check_handed(*id),
            DispatcherCommand::Claim(request) => {
                self.rules.claiming += 1;
                self.rules.room_max = self.rules.room_max.max(request.room);
            }
            DispatcherCommand::Reserve { .. } => self.rules.reserving += 1,
            DispatcherCommand::Changed {
                relay,
                change: BreakerChange::Closed,
                ..
            } => self.rules.failures[*relay] = 0,
            _ => {}
        }
    }

    fn check_handed(&mut self, id: WorkerId) {
        let Some(worker) = self.dispatcher.workers.get(&id) else {
            return self.must(false, || "a mail for a worker that is gone".into());
        };
        let (relay, is_probe) = (worker.relay, worker.is_probe);
        let permit = self.dispatcher.relays[relay].permit(self.now().instant);
        self.must(permit == Permit::All || is_probe, || {
            format!("relay {relay} is given mail though its breaker is open: {permit:?}")
        });
        let failures = self.rules.failures[relay];
        self.must(failures < RUN || is_probe, || {
            format!("relay {relay} is given mail after {failures} failures in a row")
        });
        if let (rate @ 1.., Some(last)) = (
            self.terms[relay].rate_per_second,
            self.rules.handed_at[relay],
        ) {
            let distance = Duration::from_secs(1) / rate;
            self.must(self.at - last >= distance.mul_f64(0.99), || {
                format!(
                    "relay {relay} is given two mails within {:?}",
                    self.at - last
                )
            });
        }
        self.rules.handed_at[relay] = Some(self.at);
    }

    /// A mail begins at a relay.
    pub(super) fn note_sent(&mut self, id: WorkerId, key: DeliveryKey) {
        let relay = self.workers.get(&id).map_or(0, |worker| worker.relay);
        if self.terms[relay].is_limited_by_day {
            let (begun, reserved) = (self.relays[relay].begun, self.relays[relay].all_reserved());
            self.must(begun <= reserved, || {
                format!("relay {relay} has begun {begun} mails of {reserved} places")
            });
        }
        if key.mailing != DIGEST {
            return;
        }
        let (domain, attempts, due) = (
            self.row(key).domain,
            self.row(key).attempts,
            self.row(key).due,
        );
        let out = self.rules.out_of_domain.entry(domain).or_default();
        *out += 1;
        let (out, limit) = (*out, self.rules.domain_limit);
        self.must(limit == 0 || out <= limit, || {
            format!("{out} mails of domain {domain} are out, and {limit} may be")
        });
        let since = |times: &[Duration]| times.len() - times.partition_point(|at| *at < due);
        let (fresh, retries, room) = (
            since(&self.rules.begun_fresh),
            since(&self.rules.begun_retries),
            self.rules.room_max,
        );
        let all = (self.rules.begun_fresh.len(), self.rules.begun_retries.len());
        // A domain whose mail hangs holds its others, whatever they are.
        let (holds, lists) = (limit > 0, &mut self.rules);
        if attempts > 1 {
            lists.begun_retries.push(self.at);
            self.must(holds || fresh <= 2 * room + retries + 20, || {
                format!("a due retry waited for {fresh} fresh mails, {room} at hand")
            });
        } else {
            lists.begun_fresh.push(self.at);
            self.must(holds || all.1 <= 2 * room + 3 * all.0 + 20, || {
                format!("fresh mail waits: {all:?} begun, {room} at hand")
            });
        }
    }

    /// A mail is out no more.
    pub(super) fn note_back(&mut self, key: DeliveryKey) {
        if key.mailing == DIGEST {
            let domain = self.row(key).domain;
            let out = self.rules.out_of_domain.entry(domain).or_default();
            *out = out.checked_sub(1).expect("it was out");
        }
    }

    /// The reader may have the mail.
    pub(super) fn note_copy(&mut self, key: DeliveryKey) {
        let row = self.row(key);
        row.copies += 1;
        let (copies, doubts) = (row.copies, row.doubts);
        self.must(copies <= doubts + 1 && copies <= 2, || {
            format!("{key:?} went out {copies} times after {doubts} doubts")
        });
    }

    pub(super) fn note_lost_place(&mut self) {
        self.rules.lost_places += 1;
    }

    pub(super) fn check(&mut self) {
        if self.stopped_at.is_some() {
            return;
        }
        let mut counts = vec![WorkerCounts::default(); self.relays.len()];
        for worker in self.dispatcher.workers.values() {
            counts[worker.relay].probes += usize::from(worker.is_probe);
            counts[worker.relay].connecting += usize::from(worker.at == WorkerPosition::Connecting);
        }
        for (relay, counts) in counts.into_iter().enumerate() {
            self.check_relay(relay, counts);
        }
        self.check_places();
        self.rules.events += 1;
        if !self.rules.events.is_multiple_of(64)
            && self.at - self.rules.checked_at < Duration::from_millis(500)
        {
            return;
        }
        self.rules.checked_at = self.at;
        let has_waiting = self
            .dispatcher
            .relays
            .iter()
            .any(|relay| !relay.waiting.is_empty());
        self.rules.waiting_since = if has_waiting {
            self.rules.waiting_since.or(Some(self.at))
        } else {
            None
        };
        if self.calm_at.is_none() {
            self.check_flow();
        }
    }

    pub(super) fn check_end(&self) {
        let limit = self.calm_at.map_or(LONGEST, |calm| calm + LONGEST_CALM);
        self.must(self.at < limit, || format!("{} mails are left", self.left));
        if let Some(since) = self.stopped_at {
            self.must(self.at - since <= DRAIN + LAST_COMMITS, || {
                format!("stopped at {since:?}, and not ended")
            });
        }
    }

    /// A run that was stopped leaves nothing behind.
    pub(super) fn check_stopped(&mut self) {
        let mut commands = Vec::new();
        self.dispatcher.give_back_days(self.now(), &mut commands);
        commands
            .into_iter()
            .for_each(|command| self.carry_out(command));
        let open = self
            .rows
            .iter()
            .find(|(_, row)| row.state == SimMail::Sending);
        self.must(open.is_none(), || {
            format!("{open:?} is being sent after the end")
        });
        self.must(self.workers.is_empty(), || {
            "workers are left after the end".into()
        });
        if day_of(self.now().wall) == day_of(self.start.wall) {
            for (at, relay) in self.relays.iter().enumerate() {
                let left = relay.all_reserved() - relay.begun.min(relay.all_reserved());
                self.must(left <= self.rules.lost_places, || {
                    format!("{left} places of relay {at}'s day are lost")
                });
            }
        }
    }

    /// Everybody has the mail, or may have it, or got none for a reason of their own.
    pub(super) fn check_rows(&self) {
        let is_right = |row: &SimRow| {
            row.state == SimMail::Final && (row.copies >= 1 || row.doubts >= 2 || row.is_off)
        };
        let wrong = self.rows.iter().find(|(_, row)| !is_right(row));
        self.must(wrong.is_none(), || format!("lost: {wrong:?}"));
    }
}
