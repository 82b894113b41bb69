//! A seeded simulation: the dispatcher in virtual time, with relays and settings made at random.
//!
//! Each relay has its own times for a greeting and a mail, within what RFC 5321 allows, and troubles that come and go: it refuses
//! connections, never greets, falls silent amid an envelope, answers a dot after minutes, puts everybody off, throttles, takes mails and hangs up, or crawls. One relay is
//! always healthy. Whatever happens, in this order of weight: nobody gets a mail twice but who was in doubt once, nobody is lost, a healthy relay never stands idle
//! while it has mail, and all ends.
//!
//! `SIMULATIONS` runs from seed `SIMULATION_SEED`, and as many of settings at random within what is allowed; a failure prints its seed, and
//! the settings.

mod far_end;
mod ledger;

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::collections::BinaryHeap;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use proptest::prelude::ProptestConfig;
use proptest::prelude::any;
use proptest::proptest;
use rand::RngExt as _;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use tokio::time::Instant;

use super::*;
use crate::app::breaker::Permit;
use crate::app::deliver::prefetcher::ClaimRequest;
use crate::app::deliver::status::Stage;
use crate::app::deliver::test_jobs::job_of;
use crate::config::Settings;
use crate::config::relations::tests::allowed_settings;
use crate::domain::delivery::DeliveryKind;
use crate::domain::delivery::MailClass;
use crate::domain::from_millis;
use crate::domain::limits::DomainLimit;
use crate::domain::limits::DomainLimits;
use crate::storage::steps::Done;
use crate::storage::steps::Step;

const DIGEST: i64 = 7;
const SIGN_UPS: i64 = 5;
/// A relay may be healthy and yet have sent nothing for so long, and `mail.poll`: a greeting, a look of the prefetcher, the last mail.
const HEALTHY_PAUSE: Duration = Duration::from_secs(8);
/// Longer than any sum of what the relays may take.
const LONGEST: Duration = Duration::from_secs(48 * 3_600);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    None,
    Refuses,
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
}

#[derive(Debug)]
struct SimRelay {
    greeting: Duration,
    mail: Duration,
    is_healthy: bool,
    trouble: Trouble,
    until: Duration,
    taken: usize,
    taken_at: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mail {
    /// Due at that time; in no sender's hands.
    Queued(Duration),
    Claimed,
    Sending,
    Sent,
}

#[derive(Debug)]
struct Row {
    state: Mail,
    batch: Option<ChunkKey>,
    domain: usize,
    attempts: u32,
    copies: u32,
    doubts: u32,
}

#[derive(Debug, Default)]
struct SimWorker {
    relay: usize,
    at_hand: Option<Arc<Job>>,
    begun: Option<DeliveryKey>,
    asks_to_begin: bool,
    mails: u32,
    /// In its envelope, and so may be taken back.
    in_envelope: bool,
    is_gone: bool,
}

#[derive(Debug)]
enum Happening {
    Greeted(WorkerId, bool),
    Prepared(WorkerId),
    Answered(WorkerId, Verdict),
    Written(CommitGroup),
    Claimed(ClaimRequest),
    Reserved(usize, MailClass, i64),
    Gone(WorkerId),
    SignUp(i64),
    Tick,
}

struct World {
    random: StdRng,
    seed: u64,
    start: Now,
    at: Duration,
    dispatcher: Dispatcher,
    relays: Vec<SimRelay>,
    rows: BTreeMap<(i64, i64), Row>,
    workers: HashMap<WorkerId, SimWorker>,
    future: BinaryHeap<Reverse<(Duration, u64)>>,
    happenings: HashMap<u64, Happening>,
    last: u64,
    next_tick: Duration,
    due_since: Option<Duration>,
    /// Mails that are not sent, and events so far.
    left: usize,
    events: u64,
    checked_at: Duration,
    /// Mails on one connection.
    mails_max: u32,
    healthy_pause: Duration,
    /// Changes of relays that were to be logged.
    changes: Vec<Change>,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let count = random.random_range(1..=3);
        let mut terms = Vec::new();
        for at in 0..count {
            let is_healthy = at == 0;
            let rate_per_second = if !is_healthy && random.random_bool(0.3) { random.random_range(1..50) } else { 0 };
            let connections = random.random_range(1..=12);
            let is_limited_by_day = !is_healthy && random.random_bool(0.3);
            terms.push(RelayTerms {
                name: format!("r{at}"),
                weight: 1,
                connections,
                rate_per_second,
                is_limited_by_day,
                has_login: random.random_bool(0.3),
            });
        }
        let any = "*".to_owned().try_into().expect("a domain");
        let limit = DomainLimit { connections: random.random_range(1..4), rate_per_second: 0 };
        let domains = if random.random_bool(0.4) { DomainLimits::new([(vec![any], limit)]) } else { DomainLimits::default() };
        let settings = DispatcherSettings {
            idle: Duration::from_secs(random.random_range(1..60)),
            poll: Duration::from_millis(random.random_range(50..2_000)),
            domains,
        };
        Self::with(seed, random, settings, terms, 100)
    }

    /// The world of these settings. The first relay, which is healthy, has no limit by the day.
    fn of(settings: &Settings, seed: u64) -> Self {
        let mail = &settings.mail;
        let terms = mail.relays_in_force().into_iter().enumerate().map(|(at, relay)| RelayTerms {
            is_limited_by_day: at > 0 && relay.per_day > 0,
            name: relay.name,
            weight: relay.weight,
            connections: relay.connections,
            rate_per_second: relay.rate_per_second,
            has_login: at % 2 == 1,
        });
        let kept = DispatcherSettings { idle: mail.idle, poll: mail.poll, domains: mail.domain_limits() };
        Self::with(seed, StdRng::seed_from_u64(seed), kept, terms.collect(), mail.messages_per_connection)
    }

    fn with(seed: u64, mut random: StdRng, settings: DispatcherSettings, terms: Vec<RelayTerms>, mails_max: u32) -> Self {
        let start = Now { instant: Instant::now(), wall: from_millis(1_800_000_000_000) };
        let mut relays = Vec::new();
        for at in 0..terms.len() {
            let is_healthy = at == 0;
            let slow = !is_healthy && random.random_bool(0.5);
            relays.push(SimRelay {
                greeting: Duration::from_millis(random.random_range(1..if slow { 280_000 } else { 900 })),
                mail: Duration::from_millis(random.random_range(1..if slow { 20_000 } else { 60 })),
                is_healthy,
                trouble: Trouble::None,
                until: Duration::ZERO,
                taken: 0,
                taken_at: Duration::ZERO,
            });
        }
        let fresh = |terms: RelayTerms| {
            let memory = RelayMemory::new(terms.connections, crate::config::Pause::default());
            (terms, memory)
        };
        let (terms, healthy_pause) = (terms.into_iter().map(fresh).collect(), HEALTHY_PAUSE + settings.poll);
        let readers = random.random_range(50..1_500);
        let of = |random: &mut StdRng| Row {
            state: Mail::Queued(Duration::ZERO),
            batch: None,
            domain: random.random_range(0..readers),
            attempts: u32::from(random.random_bool(0.1)),
            copies: 0,
            doubts: 0,
        };
        let rows = (1..=readers as i64).map(|reader| ((DIGEST, reader), of(&mut random))).collect();
        let dispatcher = Dispatcher::new(settings, terms, start);
        let mut world = Self {
            random,
            seed,
            start,
            at: Duration::ZERO,
            dispatcher,
            relays,
            rows,
            workers: HashMap::new(),
            future: BinaryHeap::new(),
            happenings: HashMap::new(),
            last: 0,
            next_tick: Duration::MAX,
            due_since: None,
            left: readers + SIGN_UPS as usize,
            events: 0,
            checked_at: Duration::ZERO,
            mails_max,
            healthy_pause,
            changes: Vec::new(),
        };
        for sign_up in 0..SIGN_UPS {
            let at = Duration::from_millis(world.random.random_range(0..20_000));
            world.later(at, Happening::SignUp(1_000 + sign_up));
        }
        world
    }

    fn now(&self) -> Now {
        Now { instant: self.start.instant + self.at, wall: self.start.wall + TimeDelta::from_std(self.at).expect("a time") }
    }

    fn later(&mut self, after: Duration, what: Happening) {
        self.last += 1;
        self.future.push(Reverse((self.at + after, self.last)));
        self.happenings.insert(self.last, what);
    }

    fn must(&self, holds: bool, otherwise: impl FnOnce() -> String) {
        assert!(
            holds,
            "SIMULATION_SEED={} after {:?}: {}; relays {:#?}; {:#?}",
            self.seed,
            self.at,
            otherwise(),
            self.relays,
            self.dispatcher.snapshot(self.now(), |_| Stage::Waiting)
        );
    }

    fn run(&mut self) {
        self.run_until(LONGEST);
        self.must(self.left == 0, || format!("{} mails are left", self.left));
        self.must(self.rows.values().all(|row| row.copies == (1 + row.doubts).min(2)), || "somebody has one too many, or none".into());
    }

    /// Lets happen what happens before that time, or until all is sent.
    fn run_until(&mut self, end: Duration) {
        self.handle(Event::Wake);
        while self.left > 0 && self.future.peek().is_some_and(|Reverse((at, _))| *at < end) {
            let Some(Reverse((at, number))) = self.future.pop() else { return };
            self.at = self.at.max(at);
            self.strike();
            if let Some(what) = self.happenings.remove(&number) {
                self.happens(what);
            }
        }
    }

    fn handle(&mut self, event: Event) {
        let mut commands = Vec::new();
        self.dispatcher.handle(event, self.now(), &mut commands);
        commands.into_iter().for_each(|command| self.carry_out(command));
        self.check();
        let next = self.dispatcher.next_moment(self.now().instant) - self.start.instant;
        if next < self.next_tick || self.next_tick <= self.at {
            self.next_tick = next;
            self.later(next - self.at, Happening::Tick);
        }
    }

    /// A healthy relay never stands idle while it has mail.
    fn check(&mut self) {
        let now = self.now();
        for at in 0..self.relays.len() {
            let state = &self.dispatcher.relays[at];
            let is_free = state.permit(now.instant) == Permit::All && !state.is_paced() && !state.terms.is_limited_by_day;
            let is_idle = is_free && !state.waiting.is_empty() && self.dispatcher.queue.ready() > 0;
            let only_urgent = self.dispatcher.queue.ready() == self.dispatcher.queue.urgent();
            self.must(!is_idle || only_urgent, || format!("relay {at} is idle beside {} mails", self.dispatcher.queue.ready()));
        }
        self.events += 1;
        if !self.events.is_multiple_of(32) && self.at - self.checked_at < Duration::from_millis(200) {
            return;
        }
        self.checked_at = self.at;
        let is_free = |row: &Row| row.batch.is_none() && matches!(row.state, Mail::Queued(due) if due <= self.at);
        let is_due = self.dispatcher.queue.ready() > 0 || self.rows.values().any(is_free);
        self.due_since = if is_due { self.due_since.or(Some(self.at)) } else { None };
        if let Some(since) = self.due_since {
            let last = self.relays[0].taken_at.max(since);
            self.must(self.at - last < self.healthy_pause, || "the healthy relay sends nothing though something is due".into());
        }
    }

    fn carry_out(&mut self, command: Command) {
        match command {
            Command::Start(id, relay) => {
                self.workers.insert(id, SimWorker { relay, ..SimWorker::default() });
                let (trouble, greeting) = (self.relays[relay].trouble, self.relays[relay].greeting);
                match trouble {
                    Trouble::Refuses => self.later(Duration::from_millis(1), Happening::Greeted(id, false)),
                    Trouble::NeverGreets => self.later(Duration::from_secs(300), Happening::Greeted(id, false)),
                    _ => self.later(greeting, Happening::Greeted(id, true)),
                }
            }
            Command::Reply(id, reply) => self.reply(id, reply),
            Command::Commit(group) => {
                let took = if self.random.random_bool(0.01) { 1_000 } else { self.random.random_range(1..5) };
                self.later(Duration::from_millis(took), Happening::Written(group));
            }
            Command::Claim(request) => {
                let took = Duration::from_millis(self.random.random_range(1..20));
                self.later(took, Happening::Claimed(request));
            }
            Command::Reserve { relay, class, day } => self.later(Duration::from_millis(2), Happening::Reserved(relay, class, day)),
            Command::Abandon(id) => {
                if self.workers.get(&id).is_some_and(|worker| worker.in_envelope && !worker.is_gone) {
                    self.answered(id, Verdict::AboutUs { reply: "taken back".into(), is_for_now: false }, Duration::ZERO);
                }
            }
            Command::Abort(_) | Command::Settle { .. } => self.must(false, || "nobody is cut off without a stop".into()),
            Command::Changed { change, .. } => self.changes.push(change),
            Command::Release { .. } | Command::SlowedDown { .. } => {}
        }
    }

    fn reply(&mut self, id: WorkerId, reply: Reply) {
        let Some(worker) = self.workers.get_mut(&id) else { return };
        if worker.asks_to_begin {
            let job = worker.at_hand.take();
            worker.at_hand = reply.next;
            match job.filter(|_| reply.may_go) {
                Some(job) => self.send(id, job.key),
                None => self.later(Duration::from_millis(1), Happening::Gone(id)),
            }
            return;
        }
        match reply.next {
            Some(job) => {
                worker.at_hand = Some(job);
                self.later(Duration::from_millis(1), Happening::Prepared(id));
            }
            None => self.later(Duration::from_millis(20), Happening::Gone(id)),
        }
    }

    fn happens(&mut self, what: Happening) {
        match what {
            Happening::Greeted(id, true) => {
                self.handle(Event::Requests(vec![Request { worker: id, result: None, begins: false, wants: true }]));
            }
            Happening::Greeted(id, false) => {
                self.workers.remove(&id);
                let unconnected = Unconnected { trouble: "refused".into(), is_throttle: false, is_ours: false, is_for_now: false };
                self.handle(Event::Ended(id, WorkerEnd::Unconnected(unconnected)));
            }
            Happening::Prepared(id) if self.is_too_large(id) => {
                self.workers.remove(&id);
                let end = WorkerEnd::TooLarge { class: MailClass::Digest, trouble: "SIZE".into() };
                self.handle(Event::Ended(id, end));
            }
            Happening::Prepared(id) => {
                if let Some(worker) = self.workers.get_mut(&id) {
                    worker.asks_to_begin = true;
                }
                self.handle(Event::Requests(vec![Request { worker: id, result: None, begins: true, wants: true }]));
            }
            Happening::Answered(id, verdict) => {
                let after = Duration::from_millis(self.random.random_range(100..30_000));
                self.answered(id, verdict, after);
            }
            Happening::Written(group) => {
                let may_go = self.write(&group);
                self.handle(Event::Committed(group, may_go));
            }
            Happening::Claimed(request) => self.claim(request),
            Happening::Reserved(relay, class, day) => {
                let taken = Ok(Some(self.random.random_range(0..40)));
                self.handle(Event::Reserved { relay, class, day, taken });
            }
            Happening::Gone(id) => {
                self.workers.remove(&id);
                self.handle(Event::Ended(id, WorkerEnd::Closed));
            }
            Happening::SignUp(mailing) => {
                let row = Row { state: Mail::Queued(self.at), batch: None, domain: 0, attempts: 0, copies: 0, doubts: 0 };
                self.rows.insert((mailing, mailing), row);
                self.handle(Event::Wake);
            }
            Happening::Tick => self.handle(Event::Tick),
        }
    }
}

/// A run of a single relay that has a trouble for so long.
fn troubled(trouble: Trouble, time: Duration) -> World {
    let terms = RelayTerms { name: "r0".into(), weight: 1, connections: 10, rate_per_second: 0, is_limited_by_day: false, has_login: true };
    let settings = DispatcherSettings { idle: Duration::from_secs(30), poll: Duration::from_secs(1), domains: DomainLimits::default() };
    let mut world = World::with(1, StdRng::seed_from_u64(1), settings, vec![terms], 1_000);
    (world.relays[0].is_healthy, world.relays[0].trouble, world.relays[0].until) = (false, trouble, time);
    world.healthy_pause = LONGEST;
    world
}

#[test]
fn the_end_of_our_lease_says_nothing_of_a_relay() {
    let mut world = troubled(Trouble::LeaseOver, Duration::from_secs(30));
    world.run_until(Duration::from_secs(30));
    assert_eq!(world.changes, [], "its breaker stays as it is");
}

#[test]
fn a_size_that_is_too_small_pauses_digests_alone_and_its_end_is_said() {
    let mut world = troubled(Trouble::TakesSmall, Duration::from_secs(700));
    world.run_until(Duration::from_secs(700));
    let pause = crate::config::Pause::default().max;
    assert_eq!(world.changes, [Change::Opened(pause), Change::Opened(pause)], "the second time at the end of the first pause");
    let open = world.rows.iter().filter(|((mailing, _), row)| *mailing != DIGEST && row.state != Mail::Sent).count();
    assert_eq!(open, 0, "transactional mail is small");
    world.relays[0].trouble = Trouble::None;
    world.relays[0].is_healthy = true;
    world.run_until(Duration::from_secs(1_500));
    assert_eq!((world.changes.last(), world.left), (Some(&Change::Closed), 0));
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |text| text.parse().expect("a number"))
}

#[test]
fn whatever_relays_do_mail_goes_on_and_nobody_is_lost_or_mailed_twice() {
    let first = setting("SIMULATION_SEED", 1);
    for seed in first..first + setting("SIMULATIONS", 60) {
        World::new(seed).run();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(setting("SIMULATIONS", 48) as u32))]
    #[test]
    fn with_any_settings_that_are_allowed_mail_goes_on(settings in allowed_settings(), seed in any::<u64>()) {
        World::of(&settings, seed).run();
    }
}
