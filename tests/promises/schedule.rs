//! The clock: what is due is done once, at its time, whoever ticks and however often.

use crate::support::TestApp;
use crate::support::TestDb;
use crate::support::catalogue::comparison;
use crate::support::on_both;
use chrono::TimeDelta;
use verdicts::config::Approval;
use verdicts::config::Settings;
use verdicts::domain::Timestamp;
use verdicts::domain::actor::Actor;
use verdicts::domain::digest::Digest;
use verdicts::domain::digest::DigestState;
use verdicts::domain::subscriber::SubscriberState;

fn at(moment: &str) -> Timestamp {
    moment.parse().expect("a moment")
}

/// Sets the clock and ticks; answers the digests there are then.
async fn tick_at(test_app: &TestApp, moment: &str) -> Vec<Digest> {
    test_app.set_clock(moment);
    test_app.app.tick().await.expect("a tick");
    test_app.app.storage.digests().await.expect("digests")
}

/// Slot and state of each digest.
fn states(digests: &[Digest]) -> Vec<(String, DigestState)> {
    digests
        .iter()
        .map(|digest| (digest.slot.to_string(), digest.state))
        .collect()
}

fn one(slot: &str, state: DigestState) -> Vec<(String, DigestState)> {
    vec![(slot.into(), state)]
}

/// A service with a catalogue and two people; its clock stands at Tuesday 07:30, half an hour before picking.
async fn open(test_db: TestDb, adapt: impl FnOnce(&mut Settings)) -> TestApp {
    let test_app = TestApp::open_with(test_db, adapt).await;
    test_app.stock_small().await;
    test_app.seed_subscribers("reader", 2).await;
    test_app
}

on_both! {
    async fn a_digest_is_picked_at_its_time_and_published_at_its_time(test_db) {
        let test_app = open(test_db, |_| {}).await;
        assert!(tick_at(&test_app, "2026-11-24T07:59:00Z").await.is_empty());
        assert_eq!(states(&tick_at(&test_app, "2026-11-24T08:00:00Z").await), one("2026-W48", DigestState::Approved));
        assert_eq!(states(&tick_at(&test_app, "2026-11-24T08:59:00Z").await), one("2026-W48", DigestState::Approved));
        let published = tick_at(&test_app, "2026-11-24T09:00:00Z").await;
        assert_eq!((states(&published), published[0].recipients), (one("2026-W48", DigestState::Sending), 2));
        assert_eq!(published[0].send_at, at("2026-11-24T09:00:00Z"));
    }

    async fn ticking_twice_is_ticking_once(test_db) {
        let again = test_db.again();
        let test_app = open(test_db, |_| {}).await;
        for moment in ["2026-11-24T08:00:00Z", "2026-11-24T09:00:00Z"] {
            tick_at(&test_app, moment).await;
            let once = again.dump().await;
            for _ in 0..5 {
                test_app.app.tick().await.expect("a tick");
            }
            assert_eq!(again.dump().await, once, "at {moment}");
        }
    }

    async fn a_time_missed_while_down_is_made_up_within_catch_up(test_db) {
        let test_app = open(test_db, |_| {}).await;
        let digests = tick_at(&test_app, "2026-11-26T07:55:00Z").await;
        assert_eq!((states(&digests), digests[0].recipients), (one("2026-W48", DigestState::Sending), 2));
    }

    async fn a_time_missed_for_longer_than_catch_up_is_let_go(test_db) {
        let test_app = open(test_db, |_| {}).await;
        assert!(tick_at(&test_app, "2026-11-26T08:05:00Z").await.is_empty());
        let next_week = tick_at(&test_app, "2026-12-01T08:00:00Z").await;
        assert_eq!(states(&next_week), one("2026-W49", DigestState::Approved), "the week after is its own");
    }

    async fn catch_up_is_as_long_as_the_setting_says(test_db) {
        let test_app = open(test_db, |settings| settings.schedule.catch_up = std::time::Duration::from_secs(600)).await;
        assert!(tick_at(&test_app, "2026-11-24T08:15:00Z").await.is_empty());
        assert_eq!(tick_at(&test_app, "2026-12-01T08:09:00Z").await.len(), 1);
    }

    async fn a_send_time_missed_while_down_is_made_up_within_catch_up_and_not_later(test_db) {
        let test_app = open(test_db, |_| {}).await;
        tick_at(&test_app, "2026-11-24T08:00:00Z").await;
        assert_eq!(states(&tick_at(&test_app, "2026-11-26T09:01:00Z").await), one("2026-W48", DigestState::Approved), "too late");
        test_app.seed_catalogue(&comparison("late", "Data", at("2026-12-07T12:00:00Z"))).await;
        tick_at(&test_app, "2026-12-08T08:00:00Z").await;
        let made_up = tick_at(&test_app, "2026-12-10T08:59:00Z").await;
        assert_eq!((made_up[0].slot.to_string(), made_up[0].state), ("2026-W50".into(), DigestState::Sending));
    }

    async fn a_send_time_long_over_is_not_made_up_because_the_pick_was_made_late(test_db) {
        let test_app = open(test_db, |settings| settings.schedule.send = "0 8 * * WED".into()).await;
        let picked = tick_at(&test_app, "2026-11-24T08:00:00Z").await;
        assert_eq!(picked[0].send_at, at("2026-11-25T08:00:00Z"));
        assert_eq!(states(&tick_at(&test_app, "2026-11-27T08:05:00Z").await), one("2026-W48", DigestState::Approved));
    }

    async fn a_time_before_the_service_was_set_up_was_not_missed(test_db) {
        let test_app = open(test_db, |settings| {
            settings.schedule.pick = "0 6 * * TUE".into();
            settings.schedule.send = "0 7 * * TUE".into();
        })
        .await;
        for moment in ["2026-11-24T07:31:00Z", "2026-11-24T12:00:00Z", "2026-11-25T12:00:00Z"] {
            assert!(tick_at(&test_app, moment).await.is_empty(), "{moment}");
        }
        assert_eq!(tick_at(&test_app, "2026-12-01T06:00:00Z").await.len(), 1);
    }

    async fn services_that_tick_at_once_make_one_digest_a_week(test_db) {
        let others = [test_db.again(), test_db.again()];
        let a = open(test_db, |_| {}).await;
        let [b, c] = others;
        let (b, c) = (TestApp::open(b).await, TestApp::open(c).await);
        let tuesday = at("2026-12-01T08:00:00Z");
        for week in 0..15 {
            let due = tuesday + TimeDelta::weeks(week);
            a.seed_catalogue(&comparison(&format!("w{week}"), "Data", due - TimeDelta::hours(2))).await;
            for hour in 0..2 {
                let moment = (due + TimeDelta::hours(hour)).to_rfc3339();
                [&a, &b, &c].into_iter().for_each(|test_app| test_app.set_clock(&moment));
                let ticks = tokio::join!(a.app.tick(), b.app.tick(), c.app.tick(), a.app.tick(), b.app.tick(), c.app.tick());
                for tick in [ticks.0, ticks.1, ticks.2, ticks.3, ticks.4, ticks.5] {
                    tick.unwrap_or_else(|failure| panic!("week {week}: {failure} {:?}", failure.cause()));
                }
            }
        }
        let digests = a.app.storage.digests().await.expect("digests");
        assert_eq!(digests.len(), 15);
        for digest in digests {
            let audit = a.app.storage.audit(digest.slot, 10).await.expect("an audit").expect("of a digest");
            assert_eq!((digest.state, digest.recipients, audit.deliveries.queued, audit.faults), (DigestState::Sending, 2, 2, vec![]));
        }
    }

    async fn on_the_last_sunday_of_march_there_is_one_digest_at_its_time(test_db) {
        let test_app = open(test_db, half_past_two_on_sundays).await;
        test_app.seed_catalogue(&comparison("spring", "Design", at("2027-03-27T12:00:00Z"))).await;
        assert!(tick_at(&test_app, "2027-03-28T00:59:00Z").await.is_empty(), "01:59, and the next minute is 03:00");
        let picked = tick_at(&test_app, "2027-03-28T01:00:00Z").await;
        assert_eq!(picked.len(), 1);
        assert_eq!(picked[0].send_at, at("2027-03-28T01:00:00Z"), "02:45 is left out too");
        let published = quarter_hours(&test_app, "2027-03-28T01:15:00Z", "2027-03-29T12:00:00Z").await;
        assert_eq!((states(&published), published[0].recipients), (one("2027-W12", DigestState::Sending), 2));
        assert!(published[0].published_at < Some(at("2027-03-28T01:16:00Z")));
    }

    async fn on_the_last_sunday_of_october_there_is_one_digest_at_its_time(test_db) {
        let test_app = open(test_db, half_past_two_on_sundays).await;
        test_app.seed_catalogue(&comparison("autumn", "Design", at("2027-10-30T12:00:00Z"))).await;
        assert!(tick_at(&test_app, "2027-10-31T00:29:00Z").await.is_empty());
        assert_eq!(states(&tick_at(&test_app, "2027-10-31T00:30:00Z").await), one("2027-W43", DigestState::Approved));
        assert_eq!(states(&tick_at(&test_app, "2027-10-31T00:44:00Z").await), one("2027-W43", DigestState::Approved));
        assert_eq!(states(&tick_at(&test_app, "2027-10-31T00:45:00Z").await), one("2027-W43", DigestState::Sending));
        test_app.seed_catalogue(&comparison("second", "Data", at("2027-10-31T00:50:00Z"))).await;
        let digests = quarter_hours(&test_app, "2027-10-31T01:00:00Z", "2027-11-01T12:00:00Z").await;
        assert_eq!((states(&digests), digests[0].recipients), (one("2027-W43", DigestState::Sending), 2), "the hour came twice");
        assert!(digests[0].published_at < Some(at("2027-10-31T00:46:00Z")));
    }

    async fn nine_o_clock_stays_nine_o_clock_where_the_site_is(test_db) {
        let test_app = open(test_db, |settings| settings.site.timezone = "Europe/Berlin".into()).await;
        for (name, before, due) in [("winter", "2027-03-23T07:59:00Z", "2027-03-23T08:00:00Z"), ("summer", "2027-03-30T06:59:00Z", "2027-03-30T07:00:00Z")] {
            test_app.seed_catalogue(&comparison(name, "Data", at(before) - TimeDelta::days(1))).await;
            assert_eq!(tick_at(&test_app, before).await[0].state, DigestState::Approved, "{name}");
            assert_eq!(tick_at(&test_app, due).await[0].state, DigestState::Sending, "{name}");
        }
    }

    async fn a_week_begins_on_monday_where_the_site_is(test_db) {
        let test_app = open(test_db, |settings| {
            settings.site.timezone = "Europe/Berlin".into();
            settings.schedule.pick = "30 0 * * MON".into();
            settings.schedule.send = "45 0 * * MON".into();
        })
        .await;
        assert_eq!(test_app.app.slot_at(at("2026-11-29T22:59:00Z")).to_string(), "2026-W48");
        assert_eq!(states(&tick_at(&test_app, "2026-11-29T23:30:00Z").await), one("2026-W49", DigestState::Approved));
        let published = tick_at(&test_app, "2026-11-29T23:45:00Z").await;
        assert_eq!(states(&published), one("2026-W49", DigestState::Sending), "a Sunday in UTC");
    }

    async fn a_digest_that_needs_approval_waits_for_it(test_db) {
        let test_app = open(test_db, |settings| settings.schedule.approval = Approval::Required).await;
        for moment in ["2026-11-24T08:00:00Z", "2026-11-24T09:00:00Z", "2026-11-24T15:00:00Z"] {
            assert_eq!(states(&tick_at(&test_app, moment).await), one("2026-W48", DigestState::Draft), "{moment}");
        }
    }

    async fn a_digest_approved_in_time_goes_out_at_its_time(test_db) {
        let test_app = open(test_db, |settings| settings.schedule.approval = Approval::Required).await;
        tick_at(&test_app, "2026-11-24T08:00:00Z").await;
        test_app.app.approve_digest(&Actor::cli(), test_app.slot()).await.expect("approved");
        assert_eq!(states(&tick_at(&test_app, "2026-11-24T08:59:00Z").await), one("2026-W48", DigestState::Approved));
        assert_eq!(states(&tick_at(&test_app, "2026-11-24T09:00:00Z").await), one("2026-W48", DigestState::Sending));
    }

    async fn a_digest_approved_late_goes_out_at_once_however_late(test_db) {
        let test_app = open(test_db, |settings| settings.schedule.approval = Approval::Required).await;
        let slot = test_app.slot();
        tick_at(&test_app, "2026-11-24T08:00:00Z").await;
        assert_eq!(states(&tick_at(&test_app, "2026-11-28T12:00:00Z").await), one("2026-W48", DigestState::Draft));
        test_app.app.approve_digest(&Actor::cli(), slot).await.expect("approved");
        let published = tick_at(&test_app, "2026-11-28T12:01:00Z").await;
        assert_eq!((states(&published), published[0].recipients), (one("2026-W48", DigestState::Sending), 2));
    }

    async fn a_slot_with_too_little_is_skipped_once_and_for_all(test_db) {
        let test_app = TestApp::open_with(test_db, |settings| (settings.picker.min_items, settings.picker.max_items) = (6, 6)).await;
        test_app.stock_small().await;
        test_app.seed_subscribers("reader", 2).await;
        assert_eq!(states(&tick_at(&test_app, "2026-11-24T08:00:00Z").await), one("2026-W48", DigestState::Skipped));
        test_app.seed_catalogue(&comparison("sixth", "Data", at("2026-11-24T08:10:00Z"))).await;
        let digests = tick_at(&test_app, "2026-11-24T09:00:00Z").await;
        assert_eq!((states(&digests), digests[0].recipients), (one("2026-W48", DigestState::Skipped), 0));
    }

    async fn a_sign_up_that_nobody_confirmed_is_forgotten(test_db) {
        let again = test_db.again();
        let test_app = open(test_db, |_| {}).await;
        test_app.sign_up("slow@example.org").await;
        test_app.deliver_confirmations().await;
        assert!(again.dump().await.concat().contains("slow@example.org"));
        tick_at(&test_app, "2026-11-27T07:29:00Z").await;
        assert_eq!(test_app.state_of("slow@example.org").await, Some(SubscriberState::Pending), "71 hours and 59 minutes");
        tick_at(&test_app, "2026-11-27T07:45:00Z").await;
        assert_eq!(test_app.state_of("slow@example.org").await, None);
        assert!(!again.dump().await.concat().contains("slow@example.org"));
        assert_eq!(test_app.state_of("reader0@example.org").await, Some(SubscriberState::Active), "nobody else is");
    }
}

fn half_past_two_on_sundays(settings: &mut Settings) {
    settings.site.timezone = "Europe/Berlin".into();
    settings.schedule.pick = "30 2 * * SUN".into();
    settings.schedule.send = "45 2 * * SUN".into();
}

/// Ticks every quarter of an hour from one moment to another; answers the digests there are then.
async fn quarter_hours(test_app: &TestApp, from: &str, to: &str) -> Vec<Digest> {
    let (mut moment, to) = (at(from), at(to));
    let mut digests = Vec::new();
    while moment <= to {
        digests = tick_at(test_app, &moment.to_rfc3339()).await;
        moment += TimeDelta::minutes(15);
    }
    digests
}
