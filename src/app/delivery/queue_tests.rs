use super::*;
use crate::app::delivery::test_jobs::digest_to;
use crate::app::delivery::test_jobs::transactional;

fn limits(connections: usize, rate_per_second: u32) -> DomainLimits {
    let any = "*".to_owned().try_into().expect("a domain");
    DomainLimits::new([(
        vec![any],
        DomainLimit {
            connections,
            rate_per_second,
        },
    )])
}

fn all(_: MailClass) -> bool {
    true
}

fn popped(queue: &mut Queue, now: Instant) -> Vec<i64> {
    std::iter::from_fn(|| queue.pop(now, all))
        .map(|job| job.key.subscriber)
        .collect()
}

#[test]
fn transactional_mail_goes_first_and_retries_and_fresh_mail_each_keep_their_share() {
    let (mut queue, now) = (Queue::default(), Instant::now());
    (0..20).for_each(|n| queue.push(digest_to(n, "a.example", 0), now));
    (100..120).for_each(|n| queue.push(digest_to(n, "a.example", 1), now));
    queue.push(transactional(500), now);
    let order = popped(&mut queue, now);
    assert_eq!((order.len(), order[0]), (41, 500));
    let retries = order[1..21]
        .iter()
        .filter(|n| (100..120).contains(*n))
        .count();
    assert_eq!(retries, 14, "seven of ten places: {order:?}");
    assert!(
        order[21..].iter().filter(|n| **n < 20).count() == 14,
        "and fresh mail takes all once there is no retry: {order:?}"
    );
}

#[test]
fn a_domain_gives_no_more_than_its_limit_and_others_go_past_it() {
    let (mut queue, now) = (Queue::new(limits(1, 0)), Instant::now());
    (0..3).for_each(|n| queue.push(digest_to(n, "one.example", 0), now));
    queue.push(digest_to(10, "two.example", 0), now);
    assert_eq!(
        (queue.ready(), queue.held(), popped(&mut queue, now)),
        (2, 2, vec![0, 10])
    );
    queue.is_back(
        DeliveryKey {
            mailing: 7,
            subscriber: 0,
        },
        now,
    );
    assert_eq!(popped(&mut queue, now), [1]);
    queue.put_back(digest_to(1, "one.example", 0), now);
    assert_eq!(
        popped(&mut queue, now),
        [1],
        "what was not begun is the next one"
    );
}

#[test]
fn a_domains_rate_is_kept_by_time_and_nothing_is_remembered_of_one_that_is_through() {
    let (mut queue, now) = (Queue::new(limits(0, 10)), Instant::now());
    (0..2).for_each(|n| queue.push(digest_to(n, "one.example", 0), now));
    assert_eq!(popped(&mut queue, now), [0]);
    let later = now + Duration::from_millis(100);
    assert_eq!(
        (queue.next_timer(), popped(&mut queue, later)),
        (Some(later), vec![1])
    );
    (0..2).for_each(|n| {
        queue.is_back(
            DeliveryKey {
                mailing: 7,
                subscriber: n,
            },
            later,
        )
    });
    queue.advance(later + Duration::from_millis(100));
    assert!(queue.domains.is_empty() && queue.timers.is_empty() && queue.out.is_empty());
}

#[test]
fn thousands_of_domains_are_all_ready() {
    let (mut queue, now) = (Queue::new(limits(2, 0)), Instant::now());
    (0..5_000).for_each(|n| queue.push(digest_to(n, &format!("d{n}.example"), 0), now));
    assert_eq!((queue.ready(), queue.held()), (5_000, 0));
    let order = popped(&mut queue, now);
    assert_eq!((order.len(), order[0], order[4_999]), (5_000, 0, 4_999));
    order.iter().for_each(|n| {
        queue.is_back(
            DeliveryKey {
                mailing: 7,
                subscriber: *n,
            },
            now,
        )
    });
    assert!(queue.domains.is_empty());
}

#[test]
fn what_a_domain_holds_of_a_batch_can_be_taken_out() {
    let (mut queue, now) = (Queue::new(limits(1, 0)), Instant::now());
    (0..10).for_each(|n| queue.push(digest_to(n, "one.example", 0), now));
    assert_eq!(popped(&mut queue, now), [0]);
    assert_eq!(
        queue.remove_held_of(
            BatchKey {
                mailing: 7,
                last: 1_000
            },
            now
        ),
        9
    );
    assert_eq!((queue.len(), queue.ready(), queue.held()), (0, 0, 0));
    queue.is_back(
        DeliveryKey {
            mailing: 7,
            subscriber: 0,
        },
        now,
    );
    assert!(queue.domains.is_empty());
}
