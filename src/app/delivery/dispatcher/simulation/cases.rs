//! Single worlds: one trouble alone, and those that once stood still.

use super::*;
use crate::config::ListedRelaySettings;
use crate::config::PerDomain;

/// A run of a single relay that has a trouble for so long.
fn troubled(trouble: Trouble, time: Duration) -> World {
    let terms = RelayTerms {
        name: "r0".into(),
        weight: 1,
        connections: 10,
        rate_per_second: 0,
        is_limited_by_day: false,
        has_login: true,
    };
    let settings = DispatcherSettings {
        idle: Duration::from_secs(30),
        poll: Duration::from_secs(1),
        domains: DomainLimits::default(),
    };
    let mut world = World::with(
        1,
        StdRng::seed_from_u64(1),
        settings,
        vec![terms],
        1_000,
        Some(time),
        READERS,
    );
    let relay = &mut world.relays[0];
    (relay.trouble, relay.until, relay.bears) = (trouble, time, usize::MAX);
    (relay.greeting, relay.mail) = (Duration::from_millis(100), Duration::from_millis(20));
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
    let pause = crate::config::PauseSettings::default().max;
    assert_eq!(
        world.changes,
        [BreakerChange::Opened(pause), BreakerChange::Opened(pause)],
        "the second time at the end of the first pause"
    );
    let open = world
        .rows
        .iter()
        .filter(|((mailing, _), row)| *mailing != DIGEST && row.state != SimMail::Final)
        .count();
    assert_eq!(open, 0, "transactional mail is small");
    world.run();
    assert_eq!(world.changes.last(), Some(&BreakerChange::Closed));
}

/// Settings that were drawn at random: each domain is given one mail at a time, and a connection is hardly ever idle for long enough
/// to be closed. A connection that broke while its next mail was being marked kept that mail's place of its domain, for good.
#[test]
fn a_domain_is_given_mail_again_after_a_connection_broke() {
    let relay = |name: &str, weight, connections, rate_per_second| ListedRelaySettings {
        name: name.into(),
        transport: format!("smtp://{name}.example").into(),
        weight,
        connections: Some(connections),
        rate_per_second: Some(rate_per_second),
        per_day: None,
        warm_up: None,
    };
    let mut settings = Settings::default();
    let mail = &mut settings.mail;
    mail.per_domain = vec![PerDomain {
        domain: vec!["*".to_owned().try_into().expect("a domain")],
        connections: 1,
        rate_per_second: 19,
    }];
    (mail.idle, mail.poll) = (Duration::from_millis(16), Duration::from_millis(164));
    mail.relays = vec![relay("r0", 303, 3, 18), relay("r1", 247, 6, 20)];
    for seed in std::iter::once(15_271_875_187_700_191_651).chain(1..40) {
        World::of(&settings, seed).run();
    }
}
