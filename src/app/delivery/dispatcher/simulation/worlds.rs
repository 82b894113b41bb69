//! Worlds for the simulation, made at random from a seed.

use std::ops::Range;

use super::far_end::Trouble;
use super::*;
use crate::app::delivery::relay::RelayMemory;

/// Readers of an ordinary world, and of a small one, which takes half as long.
pub(super) const READERS: Range<usize> = 50..1_500;
pub(super) const FEW_READERS: Range<usize> = 1..40;

/// 2027-01-15T00:00:00Z.
const MIDNIGHT_MS: i64 = 1_799_971_200_000;

impl World {
    pub(super) fn new(seed: u64, readers: Range<usize>) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let count = random.random_range(1..=3);
        let is_even = random.random_bool(0.7);
        let mut terms = Vec::new();
        for at in 0..count {
            let rate_per_second = if random.random_bool(0.25) {
                random.random_range(1..50)
            } else {
                0
            };
            let connections = random.random_range(1..=12);
            let weight = if is_even {
                1
            } else {
                random.random_range(1..=5)
            };
            let is_limited_by_day = random.random_bool(0.3);
            let has_login = random.random_bool(0.3);
            terms.push(RelayTerms {
                name: format!("r{at}"),
                weight,
                connections,
                rate_per_second,
                is_limited_by_day,
                has_login,
            });
        }
        let any = "*".to_owned().try_into().expect("a domain");
        let limit = DomainLimit {
            connections: random.random_range(1..4),
            rate_per_second: 0,
        };
        let domains = if random.random_bool(0.3) {
            DomainLimits::new([(vec![any], limit)])
        } else {
            DomainLimits::default()
        };
        let settings = DispatcherSettings {
            idle: Duration::from_secs(random.random_range(1..60)),
            poll: Duration::from_millis(random.random_range(50..2_000)),
            domains,
        };
        let calm_at = calm_at(&mut random);
        Self::with(seed, random, settings, terms, 100, calm_at, readers).with_stops()
    }

    /// The world of these settings.
    pub(super) fn of(settings: &Settings, seed: u64) -> Self {
        let mail = &settings.mail;
        let terms = mail
            .relays_in_force()
            .into_iter()
            .enumerate()
            .map(|(at, relay)| RelayTerms {
                has_login: at % 2 == 1,
                is_limited_by_day: relay.per_day > 0,
                name: relay.name,
                weight: relay.weight,
                connections: relay.connections,
                rate_per_second: relay.rate_per_second,
            });
        let kept = DispatcherSettings {
            idle: mail.idle,
            poll: mail.poll,
            domains: mail.domain_limits(),
        };
        let mut random = StdRng::seed_from_u64(seed);
        let calm_at = calm_at(&mut random);
        Self::with(
            seed,
            random,
            kept,
            terms.collect(),
            mail.messages_per_connection,
            calm_at,
            READERS,
        )
        .with_stops()
    }

    /// Without `calm_at` the first relay is healthy and has no limit by the day; else all relays are well from then on.
    pub(super) fn with(
        seed: u64,
        mut random: StdRng,
        settings: DispatcherSettings,
        mut terms: Vec<RelayTerms>,
        mails_max: u32,
        calm_at: Option<Duration>,
        readers: Range<usize>,
    ) -> Self {
        let before_midnight = random.random_range(1..1_200_000);
        let start = Now {
            instant: Instant::now(),
            wall: from_millis(MIDNIGHT_MS - before_midnight),
        };
        let readers: usize = random.random_range(readers);
        let mut relays = Vec::new();
        for (at, terms) in terms.iter_mut().enumerate() {
            let is_healthy = at == 0 && calm_at.is_none();
            terms.is_limited_by_day &= !is_healthy;
            let slow = !is_healthy && random.random_bool(0.5);
            let slowest = match (slow, calm_at) {
                (false, _) => 60,
                (true, None) => 20_000,
                (true, Some(_)) => 200,
            };
            let is_narrow = !is_healthy && random.random_bool(0.3);
            relays.push(SimRelay {
                greeting: Duration::from_millis(
                    random.random_range(1..if slow { 280_000 } else { 900 }),
                ),
                mail: Duration::from_millis(random.random_range(1..slowest)),
                is_healthy,
                trouble: Trouble::None,
                until: Duration::ZERO,
                bears: if is_narrow {
                    random.random_range(1..=terms.connections)
                } else {
                    usize::MAX
                },
                taken: 0,
                taken_at: Duration::ZERO,
                first_day: random.random_range(0..readers as u64),
                reserved: BTreeMap::new(),
                begun: 0,
            });
        }
        let retries = [0.0, 0.1, 0.6][random.random_range(0..3)];
        let row = |random: &mut StdRng| {
            SimRow::new(
                Duration::ZERO,
                random.random_range(0..readers),
                u32::from(random.random_bool(retries)),
            )
        };
        let rows = (1..=readers as i64)
            .map(|reader| ((DIGEST, reader), row(&mut random)))
            .collect();
        let fresh = |terms: &RelayTerms| {
            (
                terms.clone(),
                RelayMemory::new(terms.connections, crate::config::PauseSettings::default()),
            )
        };
        let dispatcher =
            Dispatcher::new(settings.clone(), terms.iter().map(fresh).collect(), start);
        let rules = PromiseRules::of(&settings, &terms);
        let mut world = Self {
            random,
            seed,
            start,
            at: Duration::ZERO,
            settings,
            terms,
            dispatcher,
            relays,
            rows,
            workers: HashMap::new(),
            future: BinaryHeap::new(),
            happenings: HashMap::new(),
            last: 0,
            next_tick: Duration::MAX,
            requests: Vec::new(),
            pending: VecDeque::new(),
            is_writing: false,
            left: readers + SIGN_UPS as usize,
            mails_max,
            calm_at,
            stopped_at: None,
            rules,
            changes: Vec::new(),
        };
        let latest = if world.random.random_bool(0.3) {
            60_000
        } else {
            10_000
        };
        for sign_up in 0..SIGN_UPS {
            let at = Duration::from_millis(world.random.random_range(0..latest));
            world.later(at, SimEvent::SignUp(SIGN_UPS_FROM + sign_up));
        }
        world
    }

    /// The run is stopped now and then.
    fn with_stops(mut self) -> Self {
        for _ in 0..self.random.random_range(0..3) {
            let at = Duration::from_millis(self.random.random_range(0..60_000));
            self.later(at, SimEvent::Stop);
        }
        self
    }
}

/// In one world of three troubles end at some time.
fn calm_at(random: &mut StdRng) -> Option<Duration> {
    random
        .random_bool(0.35)
        .then(|| Duration::from_millis(random.random_range(0..400_000)))
}
