//! The week that is sent, whatever the clock of the machine says.

use chrono::TimeDelta;
use verdicts::app::delivery::SendEnding;
use verdicts::app::issue::digests::SendResult;
use verdicts::app::issue::preflight::Preflight;
use verdicts::app::issue::sending::SendOrder;
use verdicts::domain::actor::Actor;
use verdicts::domain::digest::DigestState;

use super::order;
use super::refused;
use super::start;
use super::tick_at;
use crate::support::Behaviour;
use crate::support::Script;
use crate::support::SmtpSink;
use crate::support::TestApp;
use crate::support::catalogue::comparison;
use crate::support::catalogue::small;
use crate::support::on_both;

on_both! {
    async fn another_week_is_sent_only_when_it_is_meant(test_db) {
        let sink = SmtpSink::start(Script::accept_all()).await;
        let test_app = TestApp::open_to(test_db, &sink).await;
        test_app.stock_small().await;
        test_app.seed_subscribers("reader", 2).await;
        for slot in ["2026-W47", "2026-W49"] {
            let words = refused(&test_app, order(Some(slot), false)).await;
            assert!(words.contains("not this week, which is 2026-W48") && words.contains("--other-week"), "{words}");
        }
        assert_eq!((sink.mails(), test_app.app.storage.digests().await.expect("digests").len()), (0, 0));
        let (stop, progress) = (Default::default(), Default::default());
        let sent = test_app.app.send_digest(&Actor::cli(), order(Some("2026-W49"), true), &stop, &progress, |_| {}).await.expect("sent");
        assert!(matches!(sent, SendResult::Delivered(status, SendEnding::Final) if status.digest.slot.to_string() == "2026-W49"));
    }

    async fn a_clock_set_back_sends_no_week_from_before_one_that_was_sent(test_db) {
        let sink = SmtpSink::start(Script::accept_all()).await;
        let test_app = TestApp::open_to(test_db, &sink).await;
        test_app.seed_catalogue(&small(5, start() - TimeDelta::days(14))).await;
        test_app.seed_catalogue(&comparison("young", "Data", start() - TimeDelta::hours(2))).await;
        test_app.seed_subscribers("reader", 2).await;
        test_app.send_digest().await;
        assert_eq!(sink.mails(), 2);
        test_app.seed_catalogue(&(0..9).map(|n| comparison(&format!("old{n}"), "Data", start() - TimeDelta::days(15))).collect::<String>()).await;

        // Eight days back: 2026-W47 has no digest yet.
        test_app.set_clock("2026-11-16T07:30:00Z");
        for other_week in [false, true] {
            let words = refused(&test_app, order(None, other_week)).await;
            assert!(words.contains("2026-W47 comes before 2026-W48, which was sent already") && words.contains("clock"), "{words}");
        }
        for moment in ["2026-11-17T07:59:00Z", "2026-11-17T08:00:00Z", "2026-11-17T09:00:00Z", "2026-11-17T12:00:00Z"] {
            tick_at(&test_app, moment).await;
        }
        test_app.deliver_while("a look", async || true).await;
        assert_eq!((sink.mails(), test_app.app.storage.digests().await.expect("digests").len()), (2, 1));
    }

    async fn after_a_clock_that_ran_ahead_a_forced_send_puts_the_schedule_right(test_db) {
        let sink = SmtpSink::start(Script::accept_all()).await;
        let test_app = TestApp::open_to(test_db, &sink).await;
        test_app.seed_catalogue(&small(12, start())).await;
        test_app.seed_subscribers("reader", 2).await;
        test_app.set_clock("2026-12-10T07:30:00Z");
        test_app.send_digest().await;
        // Right again, and later than the sign-ups: whoever joins after a digest is frozen waits for the next.
        test_app.set_clock("2026-11-24T08:30:00Z");
        let words = refused(&test_app, order(None, false)).await;
        assert!(words.contains("comes before 2026-W50") && words.contains("digest send 2026-W48 --force"), "{words}");
        let (stop, progress) = (Default::default(), Default::default());
        let forced = SendOrder { preflight: Preflight::Forced, ..order(None, false) };
        assert!(matches!(test_app.app.send_digest(&Actor::cli(), forced, &stop, &progress, |_| {}).await, Ok(SendResult::Delivered(_, SendEnding::Final))));
        assert_eq!(sink.mails(), 4);
        for moment in ["2026-12-01T08:00:00Z", "2026-12-01T09:00:00Z"] {
            tick_at(&test_app, moment).await;
        }
        let next = test_app.app.status("2026-W49".parse().expect("a slot")).await.expect("a digest");
        assert_eq!(next.digest.state, DigestState::Sending);
    }

    async fn a_retry_that_a_clock_ahead_put_off_for_a_year_goes_out_when_the_clock_is_right(test_db) {
        let sink = SmtpSink::start(Script::accept_all().reply_to("reader0", Behaviour::reply("451 4.3.0 later").times(1))).await;
        let test_app = TestApp::open_to(test_db, &sink).await;
        test_app.seed_subscribers("reader", 2).await;
        test_app.set_clock("2027-11-23T07:30:00Z");
        test_app.stock_small().await;
        tick_at(&test_app, "2027-11-23T08:00:00Z").await;
        tick_at(&test_app, "2027-11-23T09:00:00Z").await;
        test_app.deliver_while("the first try of both", async || sink.mails() == 1).await;
        test_app.set_clock("2026-11-25T09:00:00Z");
        let next = test_app.app.status("2027-W47".parse().expect("a slot")).await.expect("a digest").next_due.expect("a retry");
        assert!(next > test_app.app.now() + TimeDelta::days(360), "{next}");
        test_app.app.tick().await.expect("a tick");
        test_app.deliver_while("the retry", async || sink.mails() == 2).await;
        assert_eq!(sink.received_by("reader0@example.org").len(), 1);
    }

    async fn an_approved_week_from_before_one_that_was_sent_is_not_published(test_db) {
        let test_app = TestApp::open(test_db).await;
        test_app.seed_catalogue(&small(12, start())).await;
        test_app.seed_subscribers("reader", 2).await;
        tick_at(&test_app, "2026-11-24T08:00:00Z").await;
        test_app.set_clock("2026-12-01T07:00:00Z");
        test_app.send_digest().await;
        tick_at(&test_app, "2026-11-24T09:00:00Z").await;
        let old = test_app.app.status("2026-W48".parse().expect("a slot")).await.expect("a digest");
        assert_eq!((old.digest.state, old.digest.published_at), (DigestState::Approved, None));
    }

    async fn what_came_since_the_last_digest_leads_before_what_is_of_this_week(test_db) {
        let test_app = TestApp::open(test_db).await;
        test_app.seed_subscribers("reader", 1).await;
        test_app.seed_catalogue(&small(2, start())).await;
        test_app.send_digest().await;
        // A week on: Sunday's pair is contested, Monday's is dull, and the last digest went out on Tuesday.
        test_app.set_clock("2026-12-01T07:30:00Z");
        let sunday = comparison("sunday", "Data", "2026-11-29T12:00:00Z".parse().expect("a moment"));
        let monday = comparison("monday", "Design", "2026-11-30T12:00:00Z".parse().expect("a moment"));
        test_app.seed_catalogue(&sunday).await;
        test_app.seed_catalogue(&monday.replace("verdict = \"skip\"", "verdict = \"ship\"")).await;
        let picks = test_app.app.picks_at(test_app.app.now()).await.expect("picks");
        assert_eq!(picks[0].comparison.as_str(), "sunday-l-vs-sunday-r");
        assert!(picks.iter().all(|pick| pick.reasons[0].to_string() == "new this week" && pick.score >= 100.0), "{picks:?}");
    }
}
