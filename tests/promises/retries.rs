//! Retries: they go before mail that was never tried, and only the waits between tries make a mail old.

use std::sync::Arc;

use chrono::TimeDelta;
use tokio_util::sync::CancellationToken;
use verdicts::app::delivery::SendEnding;
use verdicts::app::delivery::SendProgress;
use verdicts::app::issue::digests::DigestStatus;
use verdicts::app::issue::digests::SendResult;
use verdicts::app::issue::preflight::Preflight;
use verdicts::app::issue::sending::SendOrder;
use verdicts::config::Settings;
use verdicts::domain::actor::Actor;
use verdicts::domain::slot::Slot;

use crate::support::Behaviour;
use crate::support::Script;
use crate::support::SmtpSink;
use crate::support::TestApp;
use crate::support::TestDb;
use crate::support::on_both;

const GREYLISTED: &str = "450 4.2.0 Recipient address rejected: Greylisted, try again later";

/// Goes on with that digest, whatever week it is.
async fn send(test_app: &TestApp, slot: Slot) -> (DigestStatus, SendEnding) {
    let order = SendOrder {
        slot: Some(slot),
        other_week: true,
        preflight: Preflight::Forced,
    };
    match test_app
        .app
        .send_digest(
            &Actor::cli(),
            order,
            &CancellationToken::new(),
            &Arc::new(SendProgress::default()),
            |_| {},
        )
        .await
        .expect("an answer")
    {
        SendResult::Delivered(status, ending) => (status, ending),
        SendResult::Not(_, words) => panic!("nothing was sent: {words}"),
    }
}

/// A service with something to send to `readers` readers (`r0`, ...), over `sink`.
async fn app_of(
    readers: usize,
    test_db: TestDb,
    sink: &SmtpSink,
    adapt: impl FnOnce(&mut Settings),
) -> TestApp {
    let test_app = TestApp::stocked(test_db, sink, adapt).await;
    test_app.seed_subscribers("r", readers).await;
    test_app
}

/// Readers of a test that are greylisted: `count` of them, with others in between.
fn greylisted(count: usize) -> impl Iterator<Item = String> {
    (0..count).map(|n| format!("r{}", n * 3))
}

/// A relay that refuses those readers for now, so many times each.
async fn greylists(count: usize, times: usize) -> SmtpSink {
    SmtpSink::start(
        greylisted(count).fold(Script::accept_all(), |script, name| {
            script.reply_to(&name, Behaviour::reply(GREYLISTED).times(times))
        }),
    )
    .await
}

/// How often the server was asked to take a mail to each of them.
fn tries(sink: &SmtpSink, count: usize) -> Vec<usize> {
    let commands = sink.commands();
    let asked = |name: String| {
        commands
            .iter()
            .filter(|line| line.starts_with(&format!("RCPT TO:<{name}@")))
            .count()
    };
    greylisted(count).map(asked).collect()
}

on_both! {
    async fn whoever_was_refused_is_tried_again_before_those_who_wait_for_their_first_mail(test_db) {
        let sink = greylists(10, 6).await;
        let test_app = app_of(3_000, test_db, &sink, |settings| settings.mail.per_day = 500).await;
        let slot = test_app.slot();
        for day in 0..6 {
            let (status, ending) = send(&test_app, slot).await;
            assert!(matches!(ending, SendEnding::Trouble(_)), "day {day}: the day's allowance is spent, {ending:?}");
            assert_eq!(status.tally.failed, 0, "day {day}: {:?}", status.failures);
            assert!(tries(&sink, 10).iter().all(|tries| *tries == day + 1), "day {day}: {:?} {ending:?} {:?}", tries(&sink, 10), status.tally);
            test_app.wait(TimeDelta::days(1));
        }
        let before = sink.mails();
        while send(&test_app, slot).await.1 != SendEnding::Final {
            test_app.wait(TimeDelta::days(1));
        }
        let status = test_app.app.status(slot).await.expect("a status");
        assert_eq!((status.tally.sent, status.tally.failed, sink.mails()), (3_000, 0, 3_000), "six days are more than max_age, and no waits");
        let first: Vec<String> = sink.received()[before..before + 40].iter().map(|mail| mail.to.clone()).collect();
        assert!(greylisted(10).all(|name| first.contains(&format!("{name}@example.org"))), "they came first on the seventh day: {first:?}");
    }

    async fn retries_and_mail_that_was_never_tried_each_have_half_of_what_is_claimed(test_db) {
        let full = |script: Script, n: usize| script.reply_to(&format!("r{n}"), Behaviour::reply("452 4.2.2 Mailbox full").times(1));
        let sink = SmtpSink::start((0..200).fold(Script::accept_all(), full)).await;
        let test_app = app_of(900, test_db, &sink, |settings| {
            (settings.mail.per_day, settings.mail.transactional_share) = (220, 0);
            settings.mail.connections = 2;
        })
        .await;
        let slot = test_app.slot();
        let (status, ending) = send(&test_app, slot).await;
        assert!(matches!(ending, SendEnding::Trouble(_)) && status.tally.sent == 20, "200 are refused for now, and the day is spent: {ending:?}");
        test_app.wait(TimeDelta::days(1));
        let (storage, now) = (&test_app.app.storage, test_app.app.now());
        let sender = storage.register_sender("a test", TimeDelta::hours(1), now).await.expect("entered");
        let claimed = storage.claim(sender, &[], None, 40, now).await.expect("claimed").jobs;
        let retries = claimed.iter().filter(|job| job.attempts > 0).count();
        assert!(retries >= 20 && claimed.len() - retries >= 20, "{retries} of {}", claimed.len());
        assert!(claimed.first().is_some_and(|job| job.attempts > 0), "and they come first");
        storage.leave_sender(sender, now).await.expect("left");
    }

    async fn a_pause_of_the_digest_makes_no_mail_too_old(test_db) {
        let sink = greylists(3, 2).await;
        let test_app = app_of(8, test_db, &sink, |_| {}).await;
        let slot = test_app.slot();
        assert_eq!(send(&test_app, slot).await.1, SendEnding::Waits);
        test_app.app.pause_digest(&Actor::cli(), slot).await.expect("paused");
        test_app.wait(TimeDelta::days(30));
        test_app.app.resume_digest(&Actor::cli(), slot, Preflight::Forced).await.expect("resumed");
        assert_eq!(send(&test_app, slot).await.1, SendEnding::Waits, "refused once more, and not given up");
        test_app.wait(TimeDelta::hours(1));
        let (status, ending) = send(&test_app, slot).await;
        assert_eq!((status.tally.sent, status.tally.failed, ending), (8, 0, SendEnding::Final));
    }

    async fn a_process_that_was_down_for_weeks_gives_up_nobody(test_db) {
        let sink = greylists(3, 2).await;
        let test_app = app_of(8, test_db.again(), &sink, |_| {}).await;
        let slot = test_app.slot();
        assert_eq!(send(&test_app, slot).await.1, SendEnding::Waits);
        drop(test_app);
        let url = sink.url();
        let test_app = TestApp::open_at(test_db, "2026-12-20T09:00:00Z", |settings| settings.mail.transport = url.into()).await;
        assert_eq!(send(&test_app, slot).await.1, SendEnding::Waits, "refused once more, and not given up");
        test_app.wait(TimeDelta::hours(1));
        assert_eq!(send(&test_app, slot).await.0.tally.sent, 8);
    }

    async fn whoever_is_refused_for_all_of_max_age_is_given_up(test_db) {
        let sink = SmtpSink::start(Script::accept_all().reply_to("r0", "452 4.2.2 Mailbox full")).await;
        let test_app = app_of(2, test_db, &sink, |_| {}).await;
        let slot = test_app.slot();
        let mut rounds = 0;
        while send(&test_app, slot).await.1 == SendEnding::Waits {
            rounds += 1;
            assert!(rounds < 40, "it never ends");
            test_app.wait(TimeDelta::days(1));
        }
        let status = test_app.app.status(slot).await.expect("a status");
        assert_eq!((status.tally.sent, status.tally.failed), (1, 1));
        // 5 min, doubled up to a day: eleven waits make about four days.
        assert!((9..=14).contains(&rounds), "{rounds} waits");
        assert!(status.failures[0].0.starts_with("given up after"), "{:?}", status.failures);
    }
}
