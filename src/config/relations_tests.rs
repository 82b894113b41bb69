//! Settings at random within what is allowed, for this and for simulations of the sender; and each relation broken.

use proptest::prelude::*;

use super::*;
use crate::config::ListedRelaySettings;
use crate::config::PerDomain;
use crate::config::tests::loaded;

/// Settings whose limits are at random, from far too short for any purpose to far too long, and allowed.
pub fn allowed_settings() -> impl Strategy<Value = Settings> {
    // Milliseconds by powers of two: a second is as likely as a day.
    let length = || {
        (3_u32..36, 0.5_f64..1.0).prop_map(|(power, part)| {
            Duration::from_millis(((1_u64 << power) as f64 * part) as u64)
        })
    };
    let times = prop::array::uniform12(length());
    let counts = (
        1_usize..=200,
        1_u32..=2_000,
        0_u32..=50,
        0_u64..=500,
        any::<bool>(),
    );
    let relays = prop::collection::vec((1_u32..=1_000, 1_usize..=12, 0_u32..=50), 0..=3);
    let every_domain = prop::option::of((0_usize..=4, 0_u32..=20));
    (times, counts, 50_u64..=60_000, relays, every_domain).prop_map(
        |(times, counts, poll, relays, every_domain)| {
            let (connections, mails, rate, per_day, holds) = counts;
            let mut settings = Settings::default();
            let [
                first,
                max_age,
                connect,
                greeting,
                command,
                data,
                finish,
                idle,
                lease,
                confirm_within,
                catch_up,
                brake_wait,
            ] = times;
            let mail = &mut settings.mail;
            (mail.retry.first, mail.retry.max_age) = (first, max_age);
            (
                mail.timeouts.connect,
                mail.timeouts.greeting,
                mail.timeouts.command,
            ) = (connect, greeting, command);
            (mail.timeouts.data, mail.timeouts.finish) = (data, finish);
            (mail.idle, mail.lease) = (idle, lease.max(Duration::from_secs(3)));
            (
                mail.connections,
                mail.messages_per_connection,
                mail.rate_per_second,
                mail.per_day,
            ) = (connections, mails, rate, per_day);
            mail.poll = Duration::from_millis(poll);
            mail.relays = relays.into_iter().enumerate().map(relay).collect();
            mail.per_domain = every_domain.into_iter().map(spared).collect();
            mail.in_doubt = if holds {
                crate::domain::delivery::UncertainPolicy::Hold
            } else {
                crate::domain::delivery::UncertainPolicy::Resend
            };
            settings.signup.confirm_within = confirm_within.max(Duration::from_secs(1));
            (settings.schedule.catch_up, settings.bounces.brake_wait) = (catch_up, brake_wait);
            mend(&mut settings);
            settings
        },
    )
}

fn relay((at, (weight, connections, rate)): (usize, (u32, usize, u32))) -> ListedRelaySettings {
    ListedRelaySettings {
        name: format!("r{at}"),
        transport: format!("smtp://r{at}.example").into(),
        weight,
        connections: Some(connections),
        rate_per_second: Some(rate),
        per_day: None,
        warm_up: None,
    }
}

fn spared((connections, rate_per_second): (usize, u32)) -> PerDomain {
    PerDomain {
        domain: vec!["*".to_owned().try_into().expect("a domain")],
        connections,
        rate_per_second,
    }
}

/// Makes settings keep all relations, by raising what is too short; what may not be raised, by lowering.
fn mend(settings: &mut Settings) {
    let Settings {
        mail,
        signup,
        schedule,
        bounces,
        ..
    } = settings;
    mail.retry.max_age = mail.retry.max_age.max(mail.retry.first * 2);
    signup.confirm_within = signup.confirm_within.max(mail.retry.first * 2);
    schedule.catch_up = schedule.catch_up.max(Duration::from_secs(120));
    mail.timeouts.greeting = mail.timeouts.greeting.max(mail.timeouts.connect * 2);
    bounces.brake_wait = bounces.brake_wait.min(Duration::from_secs(7 * 43_200));
}

proptest! {
    #[test]
    fn with_allowed_settings_a_mail_that_is_put_off_is_tried_again(settings in allowed_settings(), jitter in 0.0_f64..=1.0) {
        prop_assert!(settings.check().is_ok(), "{:?}", settings.check());
        let delta = |length| chrono::TimeDelta::from_std(length).expect("below a century");
        let retry = crate::domain::delivery::RetryPolicy { first: delta(settings.mail.retry.first), max_age: delta(settings.mail.retry.max_age) };
        let began: crate::domain::Timestamp = "2026-11-24T09:00:00Z".parse().expect("a moment");
        prop_assert!(retry.next(chrono::TimeDelta::zero(), began, 1, jitter).is_some());
    }
}

#[test]
fn each_broken_relation_is_refused_with_both_names_both_values_and_what_to_change() {
    for (file, words) in [
        (
            "[mail.retry]\nfirst = \"5m\"\nmax_age = \"4m\"",
            &[
                "mail.retry.max_age (4m)",
                "mail.retry.first (5m)",
                "raise mail.retry.max_age",
            ][..],
        ),
        (
            "[mail.retry]\nfirst = \"3d\"",
            &[
                "mail.retry.max_age (4days)",
                "mail.retry.first (3days)",
                "lower mail.retry.first",
            ],
        ),
        (
            "[signup]\nconfirm_within = \"5m\"",
            &["signup.confirm_within (5m)", "mail.retry.first (5m)"],
        ),
        (
            "[schedule]\ncatch_up = \"0s\"",
            &[
                "schedule.catch_up (0s)",
                "the schedule's clock (1m)",
                ": raise schedule.catch_up.",
            ],
        ),
        (
            "[mail.timeouts]\nconnect = \"6m\"",
            &["mail.timeouts.greeting (10m)", "mail.timeouts.connect (6m)"],
        ),
        (
            "[mail]\nlease = \"2s\"",
            &[
                "mail.lease (2s)",
                "three times the shortest limit of a call to PostgreSQL (1s)",
                ": raise mail.lease.",
            ],
        ),
        (
            "[bounces]\nbrake_wait = \"4d\"",
            &["bounces.brake_wait (4days)", ": lower bounces.brake_wait."],
        ),
    ] {
        let refused = loaded(file, &[]).expect_err(file).to_string();
        assert!(
            words.iter().all(|word| refused.contains(word)),
            "{file}: {refused}"
        );
    }
    for file in [
        "[mail.retry]\nfirst = \"1d\"",
        "[signup]\nconfirm_within = \"10m\"",
        "[schedule]\ncatch_up = \"2m\"",
        "[mail]\nlease = \"3s\"",
        "",
    ] {
        loaded(file, &[]).expect(file);
    }
}

#[test]
fn more_connections_than_a_rate_can_keep_busy_are_advised_against() {
    let advised = |rate, connections| {
        let mut settings = Settings::default();
        (settings.mail.rate_per_second, settings.mail.connections) = (rate, connections);
        advice(&settings)
    };
    assert_eq!(
        (advised(0, 200), advised(2, 60), advised(100, 200)),
        (vec![], vec![], vec![])
    );
    let said = advised(2, 100);
    assert!(
        said.len() == 1 && said[0].contains("every 50s") && said[0].contains("mail.idle (30s)"),
        "{said:?}"
    );
}

#[test]
fn the_documentation_has_the_table() {
    let docs = include_str!("../../docs/sending.md");
    assert!(
        docs.contains(&table()),
        "docs/sending.md must have this table:\n{}",
        table()
    );
}
