//! Relays: how they are set, which one a mail goes to, and what each may be given in a day.

use std::collections::HashMap;
use std::time::Duration;

use crate::support::Behaviour;
use crate::support::Program;
use crate::support::Script;
use crate::support::SmtpSink;
use crate::support::TestApp;
use crate::support::TestDb;
use crate::support::on_both;
use serde_json::json;
use verdicts::app::issue::digests::SendResult;
use verdicts::storage::relays::RelayUse;

/// A service with `count` readers and two relays, `first` with three times the weight of `second`.
async fn app_with(first: &SmtpSink, second: &SmtpSink, count: usize, test_db: TestDb) -> TestApp {
    let relays = json!([{ "name": "first", "transport": first.url(), "weight": 3 }, { "name": "second", "transport": second.url() }]);
    let test_app = TestApp::open_with(test_db, |settings| {
        settings.mail.relays = serde_json::from_value(relays).expect("relays");
        settings.mail.connections = 4;
    })
    .await;
    test_app.stock_small().await;
    test_app.seed_subscribers("r", count).await;
    test_app
}

/// By which relay each reader got the digest, as the ledger has it, and after how many attempts.
async fn ways_in_the_ledger(test_app: &TestApp) -> HashMap<String, (String, i64)> {
    let sql = "select s.email, d.relay, d.attempts from deliveries d join subscribers s on s.id = d.subscriber_id
               where d.kind = 'digest' and d.state = 'sent'";
    let url = &test_app.test_db.database_url;
    let rows: Vec<(String, String, i64)> = if test_app.test_db.is_postgres() {
        sqlx::query_as(sql)
            .fetch_all(&sqlx::PgPool::connect(url).await.expect("a connection"))
            .await
            .expect("rows")
    } else {
        sqlx::query_as(sql)
            .fetch_all(&sqlx::SqlitePool::connect(url).await.expect("a connection"))
            .await
            .expect("rows")
    };
    rows.into_iter()
        .map(|(email, relay, attempts)| (email, (relay, attempts)))
        .collect()
}

/// The ledger names for each mail the relay that has it.
async fn assert_named(test_app: &TestApp, first: &SmtpSink, second: &SmtpSink) {
    let ways = ways_in_the_ledger(test_app).await;
    for (sink, name) in [(first, "first"), (second, "second")] {
        assert!(
            sink.received().iter().all(|mail| ways[&mail.to].0 == name),
            "{name}: {ways:?}"
        );
    }
}

on_both! {
    async fn what_a_relay_was_given_is_counted_by_day_and_remembered_from_its_first(test_db) {
        let other = TestApp::open(test_db.again()).await;
        let test_app = TestApp::open(test_db).await;
        let (ours, theirs) = (&test_app.app.storage, &other.app.storage);
        assert_eq!(ours.relay_use("first", 100).await.expect("read"), RelayUse { first_day: None, begun: 0 });
        ours.note_begun("first", 100, 40).await.expect("noted");
        theirs.note_begun("first", 100, 2).await.expect("noted");
        ours.note_begun("first", 103, 7).await.expect("noted");
        ours.note_begun("second", 103, 1).await.expect("noted");
        assert_eq!(theirs.relay_use("first", 100).await.expect("read"), RelayUse { first_day: Some(100), begun: 42 });
        assert_eq!(ours.relay_use("first", 103).await.expect("read"), RelayUse { first_day: Some(100), begun: 7 });
        assert_eq!(ours.relay_use("first", 104).await.expect("read"), RelayUse { first_day: Some(100), begun: 0 });
        assert_eq!(ours.relay_use("second", 103).await.expect("read"), RelayUse { first_day: Some(103), begun: 1 });
    }

    async fn processes_that_take_at_once_get_no_more_than_the_day_allows(test_db) {
        let other = TestApp::open(test_db.again()).await;
        let test_app = TestApp::open(test_db).await;
        let takes = (0..40).map(|n| {
            let storage = if n % 2 == 0 { test_app.app.storage.clone() } else { other.app.storage.clone() };
            tokio::spawn(async move { storage.reserve_quota("first", 5, 30, 1_000).await.expect("an answer") })
        });
        let mut taken = 0;
        for take in takes.collect::<Vec<_>>() {
            taken += take.await.expect("ended in order");
        }
        assert_eq!((taken, test_app.app.storage.reserve_quota("first", 5, 1, 1_000).await.expect("an answer")), (1_000, 0));
        test_app.app.storage.release_quota("first", 5, 12).await.expect("given back");
        assert_eq!(other.app.storage.reserve_quota("first", 5, 30, 1_000).await.expect("an answer"), 12);
        assert_eq!(test_app.app.storage.relay_use("first", 5).await.expect("read").begun, 1_000);
    }

    async fn a_relay_that_was_given_everything_back_was_not_used_yet(test_db) {
        let test_app = TestApp::open(test_db).await;
        let storage = &test_app.app.storage;
        assert_eq!(storage.reserve_quota("first", 9, 5, 10).await.expect("an answer"), 5);
        storage.release_quota("first", 9, 99).await.expect("given back");
        assert_eq!(storage.relay_use("first", 9).await.expect("read"), RelayUse { first_day: None, begun: 0 });
    }

    async fn two_relays_share_a_digest_by_their_weights_and_each_mail_says_its_way(test_db) {
        let slowly = || Script::accept_all().delay(Duration::from_millis(5));
        let (first, second) = (SmtpSink::start(slowly()).await, SmtpSink::start(slowly()).await);
        let test_app = app_with(&first, &second, 200, test_db).await;
        test_app.send_digest().await;
        assert_eq!(first.mails() + second.mails(), 200);
        assert!((125..=175).contains(&first.mails()), "{} by the one of three times the weight", first.mails());
        assert_named(&test_app, &first, &second).await;
    }

    async fn when_a_relay_is_down_the_other_takes_all_and_no_mail_loses_an_attempt(test_db) {
        let (mut first, second) = (SmtpSink::start(Script::accept_all()).await, SmtpSink::start(Script::accept_all()).await);
        first.stop().await;
        let test_app = app_with(&first, &second, 60, test_db).await;
        assert!(matches!(test_app.send_digest().await, SendResult::Delivered(status, _) if status.tally.sent == 60));
        let ways = ways_in_the_ledger(&test_app).await;
        assert!(ways.values().all(|(relay, attempts)| relay == "second" && *attempts == 1), "{ways:?}");
    }

    async fn when_a_relay_throttles_the_other_goes_on_and_nothing_fails(test_db) {
        let too_much = Behaviour::reply("421 4.7.0 Too many messages, slow down");
        let first = SmtpSink::start(Script::accept_all().at_mail_from(too_much)).await;
        let second = SmtpSink::start(Script::accept_all()).await;
        let test_app = app_with(&first, &second, 60, test_db).await;
        test_app.send_digest().await;
        test_app.wait(chrono::TimeDelta::minutes(10));
        test_app.send_digest().await;
        test_app.wait(chrono::TimeDelta::minutes(10));
        test_app.send_digest().await;
        let tally = test_app.app.storage.tally(test_app.slot().id()).await.expect("a tally");
        assert_eq!((tally.failed, tally.uncertain, first.mails()), (0, 0, 0), "{tally:?}");
        assert!(tally.sent >= 45 && tally.sent as usize == second.mails(), "{tally:?}");
        assert_named(&test_app, &first, &second).await;
    }

    async fn a_relay_whose_transport_cannot_be_used_is_named(test_db) {
        let relays = "[{ name = \"good\", transport = \"smtp://one.example\" }, { name = \"bad\", transport = \"ftp://user:hunter2@two.example\" }]";
        let program = Program::in_place(&test_db).with("VERDICTS_MAIL__RELAYS", relays);
        let words = program.run(&["config"]).refused(&["mail.relays (bad): transport"]);
        assert!(!words.contains("hunter2"), "{words}");
    }
}
