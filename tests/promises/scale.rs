//! What docs/scale.md says may be done to a ledger that has grown large.

use crate::support::TestApp;
use crate::support::TestDb;
use crate::support::on_both;
use crate::support::run_raw_sql;

/// Sends this week's digest, of what is new, and looks at its promises.
async fn send_and_audit(test_app: &TestApp) -> u64 {
    test_app.send_digest().await;
    let audit = test_app
        .app
        .storage
        .audit(test_app.slot(), 10)
        .await
        .expect("an audit")
        .expect("a digest");
    assert!(audit.faults.is_empty(), "{audit:?}");
    audit.deliveries.sent
}

/// A week later there is something new, by that name.
async fn next_week(test_app: &TestApp, name: &str) {
    test_app.wait(chrono::TimeDelta::days(7));
    test_app
        .seed_catalogue(&crate::support::catalogue::comparison(
            name,
            "Data",
            test_app.app.now() - chrono::TimeDelta::hours(1),
        ))
        .await;
}

on_both! {
    async fn old_deliveries_may_be_deleted_and_the_weeks_go_on(test_db) {
        let test_app = TestApp::open(test_db).await;
        test_app.stock_small().await;
        test_app.seed_subscribers("r", 20).await;
        assert_eq!(send_and_audit(&test_app).await, 20);
        next_week(&test_app, "next").await;
        run_raw_sql(&test_app.test_db, "delete from deliveries where mailing_id < 202649 and finished_at is not null").await;
        test_app.join("ada@example.org").await;
        assert_eq!(send_and_audit(&test_app).await, 21);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ledger_in_partitions_is_the_same_ledger_and_an_old_one_may_be_dropped() {
    let Some(test_db) = TestDb::postgres() else {
        return;
    };
    let test_app = TestApp::open(test_db).await;
    test_app.stock_small().await;
    test_app.seed_subscribers("r", 20).await;
    assert_eq!(send_and_audit(&test_app).await, 20);
    run_raw_sql(&test_app.test_db, include_str!("../../docs/partitions.sql")).await;
    assert_eq!(
        test_app
            .app
            .storage
            .audit(test_app.slot(), 10)
            .await
            .expect("an audit")
            .expect("a digest")
            .deliveries
            .sent,
        20
    );
    test_app.join("ada@example.org").await;
    test_app.wait(chrono::TimeDelta::days(42));
    next_week(&test_app, "next").await;
    assert_eq!(
        (
            test_app.slot().to_string().as_str(),
            send_and_audit(&test_app).await
        ),
        ("2027-W02", 21)
    );
    run_raw_sql(&test_app.test_db, "drop table deliveries_2026").await;
    next_week(&test_app, "after").await;
    assert_eq!(send_and_audit(&test_app).await, 21);
}

/// PostgreSQL plans by what it counted last; its own round comes by once a minute.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_digest_is_counted_when_it_is_published_in_one_piece_and_in_partitions() {
    const IN_ONE_PIECE: &str = "do $$ begin
        if (select reltuples from pg_class where oid = 'deliveries'::regclass) < 1000 then raise 'not counted'; end if;
    end $$";
    const IN_PARTITIONS: &str = "do $$ begin
        if (select reltuples from pg_class where oid = 'deliveries_2026'::regclass) < 1000 then raise 'not counted'; end if;
    end $$";
    for (before, counted) in [
        ("select 1", IN_ONE_PIECE),
        (include_str!("../../docs/partitions.sql"), IN_PARTITIONS),
    ] {
        let Some(test_db) = TestDb::postgres() else {
            return;
        };
        let test_app = TestApp::open_with(test_db, |settings| {
            settings.mail.transport = "smtp://127.0.0.1:1?tls=none".into()
        })
        .await;
        test_app.stock_small().await;
        test_app.seed_subscribers("r", 1_000).await;
        run_raw_sql(&test_app.test_db, before).await;
        test_app.send_digest().await;
        run_raw_sql(&test_app.test_db, counted).await;
    }
}
