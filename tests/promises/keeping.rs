//! What is kept for long enough goes, in small steps, once a night; what the ledger's promises need stays.

use crate::support::Script;
use crate::support::SmtpSink;
use crate::support::TestApp;
use crate::support::TestDb;
use crate::support::on_both;
use crate::support::run_raw_sql;

async fn rows_of(test_db: &TestDb, start: &str) -> usize {
    let rows = test_db.dump().await;
    rows.iter().filter(|row| row.starts_with(start)).count()
}

on_both! {
    async fn old_deliveries_go_and_their_digest_its_counts_and_its_doubts_stay(test_db) {
        let sink = SmtpSink::start(Script::accept_all()).await;
        let test_app = TestApp::open_to(test_db, &sink).await;
        test_app.stock_small().await;
        test_app.seed_subscribers("r", 1_200).await;
        test_app.send_digest().await;
        let slot = test_app.slot();
        test_app.app.tick().await.expect("a tick that counts the results");
        let before = test_app.app.storage.audit(slot, 10).await.expect("a ledger").expect("a digest");
        assert_eq!(rows_of(&test_app.test_db, "deliveries: ").await, 1_200);
        // Three of them were in doubt once.
        run_raw_sql(
            &test_app.test_db,
            "update deliveries set uncertain_at = 1795505400000 where subscriber_id in (select subscriber_id from deliveries order by subscriber_id limit 3)",
        )
        .await;
        test_app.wait(chrono::TimeDelta::days(729));
        test_app.app.tick().await.expect("a tick");
        assert_eq!(rows_of(&test_app.test_db, "deliveries: ").await, 1_200, "a day too early");
        test_app.wait(chrono::TimeDelta::days(2));
        test_app.app.tick().await.expect("a tick");
        assert_eq!(rows_of(&test_app.test_db, "deliveries: ").await, 3, "those that were in doubt");
        let after = test_app.app.storage.audit(slot, 10).await.expect("a ledger").expect("a digest");
        assert_eq!(after.faults, [""; 0]);
        assert_eq!((after.deliveries, after.recipients), (before.deliveries, 1_200));
        assert_eq!(after.doubts.len(), 3, "the ledger goes on naming who may have two copies");
        assert_eq!(sink.mails(), 1_200, "nobody is mailed for what is forgotten");
        let again = test_app.app.status(slot).await.expect("a status");
        assert_eq!(again.tally.sent, 1_200);
    }

    async fn a_digest_that_is_not_over_keeps_its_deliveries_however_old(test_db) {
        let sink = SmtpSink::start(Script::accept_all()).await;
        let test_app = TestApp::open_to(test_db, &sink).await;
        test_app.stock_small().await;
        test_app.seed_subscribers("r", 20).await;
        test_app.send_digest().await;
        test_app.app.tick().await.expect("a tick");
        for held in [
            "update digests set state = 'paused', finished_at = null",
            "update digests set state = 'sent', finished_at = 1795505400000;
             insert into delivery_batches (mailing_id, first_id, last_id, class, due_at, is_split, queued) select id, 1, 2, 'digest', 99999999999999, 1, 1 from digests",
            "delete from delivery_batches; delete from digest_roll_ups; update digests set finished_at = null",
        ] {
            run_raw_sql(&test_app.test_db, held).await;
            let gone = test_app.app.storage.forget_deliveries(test_app.app.now() + chrono::TimeDelta::days(3000), test_app.app.now()).await;
            assert_eq!(gone.expect("a look"), 0, "{held}");
        }
        assert_eq!(rows_of(&test_app.test_db, "deliveries: ").await, 20);
    }

    async fn the_audit_log_goes_from_its_begin_and_the_rest_still_holds(test_db) {
        let test_app = TestApp::open(test_db).await;
        for (days, value) in [(0, "4"), (1_000, "3"), (1_000, "2")] {
            test_app.wait(chrono::TimeDelta::days(days));
            let cli = verdicts::domain::actor::Actor::cli();
            test_app.app.set_setting(&cli, "picker.max_items", Some(value)).await.expect("set");
            test_app.app.tick().await.expect("a tick");
        }
        // Rows that a tick writes are chained by it; what it deleted was chained by ticks before.
        test_app.app.tick().await.expect("a tick");
        let rows = rows_of(&test_app.test_db, "audit: ").await;
        let check = test_app.app.storage.check_audit().await.expect("a check");
        assert_eq!((check.fault, check.rows as usize), (None, rows), "what is left is whole");
        assert!(rows >= 2, "{rows}");
        let kept: Vec<String> = test_app.test_db.dump().await.into_iter().filter(|row| row.starts_with("audit: ")).collect();
        let settings = kept.iter().filter(|row| row.contains("setting")).count();
        assert_eq!(settings, 2, "that of the first day is gone: {kept:?}");
        run_raw_sql(&test_app.test_db, "delete from audit where seq = (select min(seq) from audit)").await;
        let check = test_app.app.storage.check_audit().await.expect("a check");
        assert!(check.fault.is_some(), "a row that somebody takes out is missed, though others went in order");
    }

    async fn networks_of_sign_ups_go_after_a_year_and_the_consent_stays(test_db) {
        let test_app = TestApp::open(test_db).await;
        test_app.join("ada@reader.example").await;
        let has_network = async || {
            let consents = test_app.app.storage.person(&verdicts::domain::address::EmailAddress::parse("ada@reader.example").expect("an address")).await;
            consents.expect("a look").expect("somebody").consents.iter().map(|it| it.network.is_some()).collect::<Vec<_>>()
        };
        assert_eq!(has_network().await, [true]);
        test_app.wait(chrono::TimeDelta::days(364));
        test_app.app.tick().await.expect("a tick");
        assert_eq!(has_network().await, [true]);
        test_app.wait(chrono::TimeDelta::days(2));
        test_app.app.tick().await.expect("a tick");
        assert_eq!(has_network().await, [false]);
    }

    async fn who_left_is_erased_only_where_a_time_is_set(test_db) {
        let test_app = TestApp::open_with(test_db, |settings| settings.keep.ended = std::time::Duration::from_secs(86_400 * 400)).await;
        test_app.join("ada@reader.example").await;
        test_app.join("grace@reader.example").await;
        let email = verdicts::domain::address::EmailAddress::parse("ada@reader.example").expect("an address");
        let id = test_app.app.subscriber_id(&email).await.expect("somebody");
        test_app.app.unsubscribe_by_operator(&verdicts::domain::actor::Actor::cli(), id).await.expect("left");
        test_app.wait(chrono::TimeDelta::days(399));
        test_app.app.tick().await.expect("a tick");
        assert_eq!(test_app.known_people().await, 2);
        test_app.wait(chrono::TimeDelta::days(2));
        test_app.app.tick().await.expect("a tick");
        assert_eq!(test_app.known_people().await, 1, "who left is erased, who reads stays");
        assert_eq!(rows_of(&test_app.test_db, "suppressions: ").await, 1, "so that an old list brings nobody back");
    }

    async fn one_process_does_it_and_once_a_night(test_db) {
        let test_app = TestApp::open(test_db).await;
        let storage = &test_app.app.storage;
        let now = test_app.app.now();
        let (night, later) = (now - chrono::TimeDelta::hours(1), now + chrono::TimeDelta::minutes(10));
        assert!(storage.begin_keeping(night, now, later).await.expect("a lease"));
        assert!(!storage.begin_keeping(night, now, later).await.expect("a lease"), "another has it");
        assert!(storage.begin_keeping(night, later, later).await.expect("a lease"), "whoever had it is gone");
        storage.end_keeping(None).await.expect("given back");
        assert!(storage.begin_keeping(night, now, later).await.expect("a lease"), "there is more to do");
        storage.end_keeping(Some(now)).await.expect("given back");
        assert!(!storage.begin_keeping(night, now, later).await.expect("a lease"), "done for tonight");
        let tomorrow = now + chrono::TimeDelta::days(1);
        assert!(storage.begin_keeping(tomorrow, tomorrow, tomorrow).await.expect("a lease"));
    }
}
