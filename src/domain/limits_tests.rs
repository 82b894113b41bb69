use super::*;
use proptest::prelude::*;

const PLAN: WarmUp = WarmUp {
    start: 50,
    growth: 2.0,
    days: 5,
};

fn at(seconds: i64) -> Timestamp {
    chrono::DateTime::from_timestamp(1_800_000_000 + seconds, 0).expect("in range")
}

#[test]
fn a_new_relay_gets_more_each_day_and_then_all() {
    let on = |day| allowance(PLAN, 0, Some(100), day);
    assert_eq!(
        [on(100), on(101), on(104), on(105)],
        [Some(50), Some(100), Some(800), None]
    );
    assert_eq!(
        allowance(PLAN, 0, None, 100),
        Some(50),
        "its first day is today"
    );
    assert_eq!(on(7), Some(50), "the clock was set back");
}

#[test]
fn the_days_limit_holds_during_the_warm_up_and_after_it() {
    let on = |day| allowance(PLAN, 300, Some(100), day);
    assert_eq!(
        [on(101), on(103), on(999)],
        [Some(100), Some(300), Some(300)]
    );
    let none = WarmUp { start: 0, ..PLAN };
    assert_eq!(
        (allowance(none, 7, None, 1), allowance(none, 0, None, 1)),
        (Some(7), None)
    );
}

#[test]
fn a_day_begins_at_midnight_in_utc() {
    let day = |text: &str| day_of(text.parse().expect("a moment"));
    assert_eq!(day("2026-11-24T23:59:59Z") + 1, day("2026-11-25T00:00:00Z"));
    assert_eq!(
        (day("1970-01-01T00:00:00Z"), day("1969-12-31T23:59:59Z")),
        (0, -1)
    );
}

#[test]
fn throttling_halves_once_in_a_moment_and_mails_that_are_taken_widen_again() {
    let mut window = ConcurrencyLimit::new(16);
    assert_eq!((window.connections(), window.is_narrowed()), (16, false));
    assert!(window.on_throttled(at(0)) && !window.on_throttled(at(4)));
    assert_eq!((window.connections(), window.is_narrowed()), (8, true));
    (0..9).for_each(|_| window.on_accepted());
    assert_eq!(window.connections(), 9, "a window's worth was taken");
    assert!(window.on_throttled(at(5)));
    assert_eq!(window.connections(), 4);
    (0..1_000).for_each(|_| window.on_accepted());
    assert_eq!((window.connections(), window.is_narrowed()), (16, false));
}

#[test]
fn a_clock_that_is_set_back_keeps_no_window_from_halving() {
    let mut window = ConcurrencyLimit::new(8);
    assert!(window.on_throttled(at(0)) && window.on_throttled(at(-3_600)));
    assert_eq!(window.connections(), 2);
}

fn limits(rules: &[(&[&str], usize)]) -> DomainLimits {
    let name = |text: &&str| DomainName::try_from(text.to_string()).expect("a domain");
    let limit = |connections| DomainLimit {
        connections,
        rate_per_second: 0,
    };
    DomainLimits::new(
        rules
            .iter()
            .map(|(names, connections)| (names.iter().map(name).collect(), limit(*connections))),
    )
}

#[test]
fn domains_of_one_rule_share_its_limit_whatever_their_case_or_script() {
    let limits = limits(&[
        (&["gmail.com", "googlemail.com"], 3),
        (&["Bücher.example"], 2),
    ]);
    let of = |domain: &'static str| {
        limits
            .of(domain)
            .map(|(name, limit)| (name.into_owned(), limit.connections))
    };
    assert_eq!(of("GoogleMail.com"), Some(("gmail.com".into(), 3)));
    assert_eq!(
        of("xn--bcher-kva.EXAMPLE"),
        Some(("xn--bcher-kva.example".into(), 2))
    );
    assert_eq!(of("mail.gmail.com"), None);
}

#[test]
fn the_rule_for_any_other_domain_counts_each_by_itself() {
    let limits = limits(&[(&["*"], 1), (&["gmail.com"], 9)]);
    let of = |domain: &'static str| {
        limits
            .of(domain)
            .map(|(name, limit)| (name.into_owned(), limit.connections))
    };
    assert_eq!(
        (of("Gmail.com"), of("Example.ORG")),
        (
            Some(("gmail.com".into(), 9)),
            Some(("example.org".into(), 1))
        )
    );
    assert!(!limits.is_empty() && DomainLimits::default().is_empty());
}

#[test]
fn what_is_no_domain_is_refused() {
    for text in [
        "",
        "localhost",
        "a b.example",
        "*.example.org",
        "ada@example.org",
        "-.org",
    ] {
        assert!(DomainName::try_from(text.to_owned()).is_err(), "{text}");
    }
}

#[test]
fn digests_leave_a_share_of_the_day_to_transactional_mail() {
    let shares =
        |reserved| [0, 1, 2, 7, 500, u64::MAX].map(|allowed| digest_share(allowed, reserved));
    assert_eq!(shares(0), [0, 1, 2, 7, 500, u64::MAX], "none is kept");
    assert_eq!(shares(5)[..5], [0, 1, 1, 6, 475]);
    assert_eq!(shares(90)[..5], [0, 1, 1, 1, 50], "and never all");
}

proptest! {
    #[test]
    fn an_allowance_never_exceeds_the_days_limit_and_never_shrinks(
        start in 0u64..1_000_000_000, growth in 1.0f64..10.0, days in 0u32..400, per_day in 0u64..1_000_000, first in -5i64..5,
    ) {
        let plan = WarmUp { start, growth, days };
        let mut before = 0;
        for today in first..first + 420 {
            let allowed = allowance(plan, per_day, Some(first), today);
            prop_assert!(per_day == 0 || allowed.is_some_and(|allowed| allowed <= per_day));
            prop_assert!(allowed.unwrap_or(u64::MAX) >= before);
            before = allowed.unwrap_or(u64::MAX);
        }
        prop_assert_eq!(before, if per_day > 0 { per_day } else { u64::MAX }, "the warm-up ends");
    }

    #[test]
    fn a_window_stays_between_one_and_the_most(most in 0usize..300, events in prop::collection::vec((any::<bool>(), 0i64..20), 0..400)) {
        let mut window = ConcurrencyLimit::new(most);
        let mut now = 0;
        for (accepted, seconds) in events {
            now += seconds;
            let before = window.connections();
            if accepted { window.on_accepted() } else { let _ = window.on_throttled(at(now)); }
            prop_assert!((1..=most.max(1)).contains(&window.connections()));
            prop_assert!(window.connections() <= before + 1 && window.connections() >= before / 2);
        }
    }
}
