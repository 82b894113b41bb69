//! A refusal counts once for its reader and digest, by the same rule whether it came in the dialogue, as a report or by webhook.

use chrono::TimeDelta;
use verdicts::domain::subscriber::SubscriberState;
use verdicts::storage::inbound::InboundResult;

use crate::inbound::READER;
use crate::inbound::a_week_later;
use crate::inbound::move_to;
use crate::inbound::report;
use crate::inbound::return_path;
use crate::inbound::take;
use crate::support::Program;
use crate::support::Script;
use crate::support::SmtpSink;
use crate::support::TestApp;
use crate::support::TestDb;
use crate::support::on_both;
use crate::support::smtp_sink::Stage;
use crate::webhooks::world::SIGNED;
use crate::webhooks::world::tell_signed;

const FULL: &str = "552 5.2.2 mailbox full";
const RATE: &str = "550 5.7.1 sending rate exceeded, come back in an hour";
const GONE: &str = "550 5.1.1 no such user";

/// A service whose relay answers the reader as the test orders; two readers.
async fn app_to(
    test_db: TestDb,
    sink: &SmtpSink,
    adapt: impl FnOnce(&mut verdicts::config::Settings),
) -> TestApp {
    let url = sink.url();
    let test_app = TestApp::open_with(test_db, |settings| {
        settings.mail.transport = url.into();
        settings.mail.return_path = Some("bounces+{verp}@verdicts.example".into());
        settings.webhooks_in.set_keys(
            verdicts::domain::webhook::Provider::Signed,
            vec![SIGNED.into()],
        );
        adapt(settings);
    })
    .await;
    test_app.stock_small().await;
    test_app.seed_subscribers("reader", 2).await;
    test_app
}

/// A service that keeps its mails in a folder, so that reports can be written about them.
async fn app_with_mailbox(test_db: TestDb) -> TestApp {
    crate::inbound::app_with_a_reader_and(test_db, |settings| {
        settings.webhooks_in.set_keys(
            verdicts::domain::webhook::Provider::Signed,
            vec![SIGNED.into()],
        )
    })
    .await
}

async fn state(test_app: &TestApp) -> SubscriberState {
    test_app.state_of(READER).await.expect("known")
}

on_both! {
    async fn five_digests_in_a_row_refused_for_a_full_mailbox_end_a_subscription(test_db) {
        let sink = SmtpSink::start(Script::accept_all().reply_to("reader0", FULL)).await;
        let test_app = app_to(test_db, &sink, |_| {}).await;
        test_app.send_digest().await;
        for week in 1..5 {
            assert_eq!(state(&test_app).await, SubscriberState::Active, "after {week}");
            let record = test_app.record_of(READER).await;
            assert!(record.contains(&format!("refused, {week} of 5 in a row: {FULL}")), "{record}");
            a_week_later(&test_app, week).await;
        }
        assert_eq!(state(&test_app).await, SubscriberState::Bounced);
        assert_eq!(test_app.state_of("reader1@example.org").await, Some(SubscriberState::Active));
    }

    async fn a_digest_that_arrives_in_between_breaks_the_row(test_db) {
        let sink = SmtpSink::start(Script::accept_all()).await;
        let test_app = app_to(test_db, &sink, |settings| settings.bounces.soft = 3).await;
        let mut first = true;
        for (week, refused) in [true, true, false, true, true, true].into_iter().enumerate() {
            assert_eq!(state(&test_app).await, SubscriberState::Active, "before {week}");
            sink.order(Stage::Recipient, "reader0", if refused { FULL } else { "250 2.1.5 ok" });
            if std::mem::take(&mut first) { test_app.send_digest().await; } else { a_week_later(&test_app, week).await; }
        }
        assert_eq!(state(&test_app).await, SubscriberState::Bounced);
    }

    async fn a_digest_refused_for_our_fault_neither_counts_nor_breaks_the_row(test_db) {
        let sink = SmtpSink::start(Script::accept_all()).await;
        let test_app = app_to(test_db, &sink, |settings| settings.bounces.soft = 3).await;
        let mut first = true;
        for (week, reply) in [FULL, RATE, FULL, RATE, FULL].into_iter().enumerate() {
            assert_eq!(state(&test_app).await, SubscriberState::Active, "before {week}");
            sink.order(Stage::Recipient, "reader0", reply);
            if std::mem::take(&mut first) { test_app.send_digest().await; } else { a_week_later(&test_app, week).await; }
        }
        assert_eq!(state(&test_app).await, SubscriberState::Bounced);
    }

    async fn a_full_mailbox_that_is_retried_for_days_counts_once(test_db) {
        let sink = SmtpSink::start(Script::accept_all().reply_to("reader0", "452 4.2.2 mailbox full")).await;
        let test_app = app_to(test_db, &sink, |settings| settings.bounces.soft = 2).await;
        for _ in 0..30 {
            test_app.send_digest().await;
            test_app.wait(TimeDelta::hours(5));
        }
        let record = test_app.record_of(READER).await;
        assert_eq!((record.matches("1 of 2 in a row").count(), state(&test_app).await), (1, SubscriberState::Active), "{record}");
    }

    async fn a_report_after_the_dialogue_of_the_same_digest_does_not_count_again(test_db) {
        let test_app = app_with_mailbox(test_db).await;
        let soft = |path: &str, n: usize| report(path, READER, FULL).replace("Subject: ", &format!("Subject: {n} "));
        for week in 0..4 {
            let path = return_path(&test_app, READER);
            for n in 0..3 {
                assert_eq!(take(&test_app, &soft(&path, n)).await, InboundResult::Kept, "week {week}");
            }
            tell_signed(&test_app, &format!("event {week}"), "soft", READER, FULL).await;
            assert_eq!(state(&test_app).await, SubscriberState::Active, "week {week}");
            a_week_later(&test_app, week).await;
        }
        assert_eq!(take(&test_app, &soft(&return_path(&test_app, READER), 0)).await, InboundResult::Ended);
    }

    async fn ten_weeks_of_rate_refusals_end_nobody(test_db) {
        let sink = SmtpSink::start(Script::accept_all().reply_to("reader0", RATE)).await;
        let test_app = app_to(test_db, &sink, |_| {}).await;
        test_app.send_digest().await;
        for week in 0..10 {
            tell_signed(&test_app, &format!("event {week}"), "soft", READER, RATE).await;
            assert_eq!(state(&test_app).await, SubscriberState::Active, "week {week}");
            a_week_later(&test_app, week).await;
        }
        let record = test_app.record_of(READER).await;
        assert!(record.matches("refused, not counted").count() >= 10, "{record}");
    }

    async fn ten_weeks_of_reports_about_a_rate_end_nobody(test_db) {
        let test_app = app_with_mailbox(test_db).await;
        for week in 0..10 {
            assert_eq!(take(&test_app, &report(&return_path(&test_app, READER), READER, RATE)).await, InboundResult::Kept);
            tell_signed(&test_app, &format!("event {week}"), "soft", READER, "421 4.7.0 too many messages").await;
            assert_eq!(state(&test_app).await, SubscriberState::Active, "week {week}");
            a_week_later(&test_app, week).await;
        }
        let rows = test_app.test_db.dump().await;
        assert!(rows.iter().any(|row| row.starts_with("inbound") && row.contains("passing")), "the ledger names the class");
    }

    async fn hard_refusals_in_the_dialogue_follow_bounces_hard(test_db) {
        let sink = SmtpSink::start(Script::accept_all().reply_to("reader0", GONE)).await;
        let test_app = app_to(test_db, &sink, |settings| settings.bounces.hard = 3).await;
        test_app.send_digest().await;
        for week in 1..3 {
            assert_eq!(state(&test_app).await, SubscriberState::Active);
            let record = test_app.record_of(READER).await;
            assert!(record.contains(&format!("refused for good, {week} of 3 in a row: {GONE}")), "{record}");
            a_week_later(&test_app, week).await;
        }
        assert_eq!(state(&test_app).await, SubscriberState::Bounced);
    }

    async fn nothing_ends_where_the_settings_say_never(test_db) {
        let sink = SmtpSink::start(Script::accept_all().reply_to("reader0", GONE).reply_to("reader1", FULL)).await;
        let test_app = app_to(test_db, &sink, |settings| (settings.bounces.hard, settings.bounces.soft) = (0, 0)).await;
        test_app.send_digest().await;
        for week in 0..6 {
            a_week_later(&test_app, week).await;
        }
        assert_eq!(state(&test_app).await, SubscriberState::Active);
        assert_eq!(test_app.state_of("reader1@example.org").await, Some(SubscriberState::Active));
    }

    async fn refusals_of_the_address_before_do_not_count_for_the_new_one(test_db) {
        let test_app = app_with_mailbox(test_db).await;
        for week in 0..4 {
            take(&test_app, &report(&return_path(&test_app, READER), READER, FULL)).await;
            a_week_later(&test_app, week).await;
        }
        move_to(&test_app, READER, "ada@new.example").await;
        test_app.wait(TimeDelta::hours(2));
        a_week_later(&test_app, 9).await;
        assert_eq!(take(&test_app, &report(&return_path(&test_app, "ada@new.example"), "ada@new.example", FULL)).await, InboundResult::Kept);
        let record = test_app.record_of("ada@new.example").await;
        assert!(record.contains("refused, 1 of 5 in a row"), "{record}");
    }

    async fn a_confirmation_mail_that_is_refused_for_good_ends_the_sign_up_after_the_wait(test_db) {
        let sink = SmtpSink::start(Script::accept_all().reply_to("typo", GONE)).await;
        let test_app = app_to(test_db, &sink, |_| {}).await;
        test_app.sign_up("typo@example.org").await;
        test_app.deliver_confirmations().await;
        assert_eq!(test_app.state_of("typo@example.org").await, Some(SubscriberState::Pending), "it is judged with others like it");
        test_app.wait(TimeDelta::minutes(61));
        test_app.app.tick().await.expect("a tick");
        assert_eq!(test_app.state_of("typo@example.org").await, Some(SubscriberState::Bounced));
    }
}

#[test]
fn what_was_refused_is_shown_by_subscribers_show() {
    let test_db = TestDb::sqlite();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .worker_threads(2)
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let sink = SmtpSink::start(Script::accept_all().reply_to("reader0", FULL)).await;
        app_to(test_db.again(), &sink, |_| {})
            .await
            .send_digest()
            .await;
    });
    let program = Program::set_up(&test_db);
    let text = program.run(&["subscribers", "show", READER]).good().out;
    assert!(
        text.contains("refused, 1 of 5 in a row: 552 5.2.2 mailbox full"),
        "{text}"
    );
    let json = program
        .run(&["--json", "subscribers", "show", READER])
        .good()
        .json();
    let history = json["history"].as_array().expect("a list");
    assert!(
        history.iter().any(|line| line["what"]
            .as_str()
            .is_some_and(|what| what.contains("1 of 5"))),
        "{json}"
    );
}
