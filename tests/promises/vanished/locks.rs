//! Locks that others hold: named, waited for, and ended.

use reqwest::StatusCode;
use sqlx::Connection as _;

use super::LEASE;
use super::assert_later;
use super::ended;
use super::sessions;
use super::through;
use super::wire_to;
use crate::support::Program;
use crate::support::TestApp;
use crate::support::TestDb;
use crate::support::run_raw_sql;
use crate::support::until;

/// Another session, which holds a lock on a table until it is dropped.
async fn lock(test_db: &TestDb, table: &str) -> sqlx::PgConnection {
    let mut other = sqlx::PgConnection::connect(&test_db.database_url)
        .await
        .expect("a connection");
    let sql = sqlx::AssertSqlSafe(format!(
        "begin; lock table {table} in access exclusive mode"
    ));
    sqlx::raw_sql(sql)
        .execute(&mut other)
        .await
        .expect("locked");
    other
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn migrate_names_a_lock_that_it_waits_for_and_ends_when_the_host_vanishes() {
    let Some(test_db) = TestDb::postgres() else {
        return;
    };
    let wire = wire_to(&test_db).await;
    let program = Program::set_up(&test_db).with("VERDICTS_MAIL__LEASE", "3s");
    let wired = program.clone().with(
        "VERDICTS_DATABASE__URL",
        &through(&wire, &test_db.database_url),
    );
    let _other = lock(&test_db, "_sqlx_migrations").await;
    let mut migrate = wired.start("migrate", &["migrate"]);
    let said =
        || std::fs::read_to_string(test_db.dir.path().join("migrate.err")).unwrap_or_default();
    until("it names the lock", async || {
        said().contains("waits for a lock that other sessions of the database hold")
    })
    .await;
    wire.vanish();
    assert_eq!(ended("migrate", &mut migrate).await, Some(1));
    assert!(
        said().contains("The database cannot be reached"),
        "{}",
        said()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_ends_what_a_killed_command_waited_for() {
    let Some(test_db) = TestDb::postgres() else {
        return;
    };
    let program = Program::set_up(&test_db);
    let _other = lock(&test_db, "_sqlx_migrations").await;
    let mut migrate = program.start("migrate", &["migrate"]);
    until("it waits", async || {
        !sessions(&test_db, "wait_event_type = 'Lock'").is_empty()
    })
    .await;
    migrate.kill();
    until("nobody waits any more", async || {
        sessions(&test_db, "true").is_empty()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_that_somebody_else_holds_is_named_and_is_no_lost_server() {
    let Some(test_db) = TestDb::postgres() else {
        return;
    };
    let program = Program::set_up(&test_db).with("VERDICTS_MAIL__LEASE", "3s");
    let test_app =
        TestApp::open_with(test_db.again(), |settings| settings.mail.lease = LEASE).await;
    assert_eq!(
        test_app.sign_up("ada@reader.example").await.status(),
        StatusCode::SEE_OTHER
    );
    let other = lock(&test_db, "subscribers").await;
    let before = sessions(&test_db, "state = 'idle'");
    assert_later(&test_app.sign_up("bea@reader.example").await);
    program.run(&["subscribers", "list"]).refused(&[
        "The database is up",
        "holds a lock",
        "lock timeout",
    ]);
    let after = sessions(&test_db, "true");
    assert!(
        !before.is_empty() && before.iter().all(|session| after.contains(session)),
        "{before:?} stay open: {after:?}"
    );
    drop(other);
    until("all goes on", async || {
        test_app.sign_up("bea@reader.example").await.status() == StatusCode::SEE_OTHER
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_that_takes_too_long_is_ended_by_the_server_and_is_no_lost_server() {
    let Some(test_db) = TestDb::postgres() else {
        return;
    };
    let test_app =
        TestApp::open_with(test_db.again(), |settings| settings.mail.lease = LEASE).await;
    assert_eq!(
        test_app.sign_up("ada@reader.example").await.status(),
        StatusCode::SEE_OTHER
    );
    run_raw_sql(
        &test_db,
        "create function take_long() returns trigger language plpgsql as
             'begin perform pg_sleep(60); return new; end';
         create trigger take_long before insert on subscribers for each row execute function take_long()",
    )
    .await;
    let before = sessions(&test_db, "state = 'idle'");
    // By 57014 (query_canceled), after eight tenths of the limit of a call.
    assert_later(&test_app.sign_up("bea@reader.example").await);
    let after = sessions(&test_db, "true");
    assert!(
        !before.is_empty() && before.iter().all(|session| after.contains(session)),
        "{before:?} stay open: {after:?}"
    );
    let program = Program::set_up(&test_db).with("VERDICTS_MAIL__LEASE", "3s");
    program.run(&["subscribers", "list"]).good();
    run_raw_sql(&test_db, "drop function take_long cascade").await;
    until("all goes on", async || {
        test_app.sign_up("bea@reader.example").await.status() == StatusCode::SEE_OTHER
    })
    .await;
}
