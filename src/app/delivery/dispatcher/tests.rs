//! Single events and what the dispatcher makes of them.

use super::*;
use crate::app::delivery::test_jobs::digest_to;
use crate::config::PauseSettings;
use crate::domain::from_millis;
use crate::domain::limits::DomainLimit;
use crate::domain::limits::DomainLimits;

/// A dispatcher of one relay that gives each domain one mail at a time, with two mails to one domain.
struct Bench {
    dispatcher: Dispatcher,
    now: Now,
}

impl Bench {
    fn new() -> Self {
        let any = "*".to_owned().try_into().expect("a domain");
        let one = DomainLimit {
            connections: 1,
            rate_per_second: 0,
        };
        let settings = DispatcherSettings {
            idle: Duration::from_secs(30),
            poll: Duration::from_secs(1),
            domains: DomainLimits::new([(vec![any], one)]),
        };
        let terms = RelayTerms {
            name: "r0".into(),
            weight: 1,
            connections: 1,
            rate_per_second: 0,
            is_limited_by_day: false,
            has_login: false,
        };
        let now = Now {
            instant: Instant::now(),
            wall: from_millis(0),
        };
        let relays = vec![(terms, RelayMemory::new(1, PauseSettings::default()))];
        let mut bench = Self {
            dispatcher: Dispatcher::new(settings, relays, now),
            now,
        };
        bench.does(DispatcherEvent::Wake);
        let jobs = (1..=2).map(|reader| (*digest_to(reader, "one.example", 0)).clone());
        bench.does(DispatcherEvent::Claimed {
            jobs: Some(jobs.collect()),
            may_be_more: false,
        });
        bench
    }

    fn does(&mut self, event: DispatcherEvent) -> Vec<DispatcherCommand> {
        let mut commands = Vec::new();
        self.dispatcher.handle(event, self.now, &mut commands);
        commands
    }

    fn request(&mut self, worker: WorkerId, begins: bool) -> Vec<DispatcherCommand> {
        self.does(DispatcherEvent::Requests(vec![WorkerRequest {
            worker,
            result: None,
            begins,
            wants: true,
        }]))
    }

    /// A new connection asks for a mail; returns the reader of the one that it gets.
    fn handed(&mut self, worker: WorkerId) -> Option<i64> {
        self.request(worker, false)
            .into_iter()
            .find_map(|command| match command {
                DispatcherCommand::Reply(id, reply) if id == worker => reply.next,
                _ => None,
            })
            .map(|job| job.key.subscriber)
    }

    fn started(commands: &[DispatcherCommand]) -> Option<WorkerId> {
        commands.iter().find_map(|command| match command {
            DispatcherCommand::Start(id, _) => Some(*id),
            _ => None,
        })
    }
}

/// Whatever a connection was at when it broke, the mail that only its domain held goes out over the next one.
#[test]
fn the_place_of_a_domain_is_free_when_the_connection_that_had_it_is_gone() {
    for begins in [false, true] {
        for is_written in [false, true] {
            let mut bench = Bench::new();
            assert_eq!(bench.handed(1), Some(1));
            if begins {
                let group = bench
                    .request(1, true)
                    .into_iter()
                    .find_map(|command| match command {
                        DispatcherCommand::Commit(group) => Some(group),
                        _ => None,
                    })
                    .expect("a group to commit");
                if is_written {
                    bench.does(DispatcherEvent::Committed(group, vec![true]));
                }
            }
            let commands = bench.does(DispatcherEvent::Ended(1, WorkerEnd::Aborted));
            let next = Bench::started(&commands).expect("another connection");
            let expected = if begins { 2 } else { 1 };
            assert_eq!(
                bench.handed(next),
                Some(expected),
                "begins {begins}, written {is_written}"
            );
        }
    }
}

/// A worker that brings no result for its mail leaves it in doubt, and its place to others.
#[test]
fn the_place_of_a_domain_is_free_when_a_mail_ends_without_a_result() {
    let mut bench = Bench::new();
    bench.handed(1);
    let group = bench
        .request(1, true)
        .into_iter()
        .find_map(|command| match command {
            DispatcherCommand::Commit(group) => Some(group),
            _ => None,
        });
    bench.does(DispatcherEvent::Committed(
        group.expect("a group"),
        vec![true],
    ));
    let commands = bench.request(1, false);
    let is_in_doubt = |command: &DispatcherCommand| {
        matches!(
            command,
            DispatcherCommand::Settle {
                is_in_doubt: true,
                ..
            }
        )
    };
    assert!(commands.iter().any(is_in_doubt), "{commands:?}");
    let handed = commands.iter().find_map(|command| match command {
        DispatcherCommand::Reply(1, reply) => reply.next.as_ref().map(|job| job.key.subscriber),
        _ => None,
    });
    assert_eq!(handed, Some(2));
}

/// Places of a day that come back while more are asked for are kept beside those.
#[test]
fn a_place_of_the_day_that_comes_back_is_not_lost_to_a_reservation() {
    let now = Instant::now();
    let terms = RelayTerms {
        name: "r0".into(),
        weight: 1,
        connections: 1,
        rate_per_second: 0,
        is_limited_by_day: true,
        has_login: false,
    };
    let class = crate::domain::delivery::MailClass::Digest;
    let mut relay = RelayEntry::new(terms, RelayMemory::new(1, PauseSettings::default()), now);
    assert!(relay.reserves(class, now, 5));
    relay.reserved(class, 5, Ok(Some(1)), now);
    relay.record_handed(class, now);
    assert!(relay.reserves(class, now, 5));
    relay.record_unused(class, 5);
    relay.reserved(class, 5, Ok(Some(0)), now);
    assert!(relay.takes(class, now, 5) && relay.is_able(class, now, 5));
    assert_eq!(relay.unused(true, 5), Some((5, 1)));
}
