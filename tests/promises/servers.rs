//! PostgreSQL servers that are set up otherwise than ours: defaults that would break a statement are overruled for each session, and
//! what cannot be overruled is refused with a sentence.

use futures_util::future::join_all;
use reqwest::StatusCode;
use sqlx::Connection;
use verdicts::domain::delivery::UncertainPolicy;
use verdicts::domain::subscriber::SubscriberState;
use verdicts::storage::ledger::updates::DeliveryUpdate;
use verdicts::storage::ledger::updates::Finished;
use verdicts::storage::ledger::updates::Start;

use crate::support::Program;
use crate::support::Script;
use crate::support::SmtpSink;
use crate::support::TestApp;
use crate::support::TestDb;
use crate::support::postgres;
use crate::support::until;

/// Defaults of a database that some operators set for all programs, each of which would stop some statement of ours.
const UNFRIENDLY: [&str; 6] = [
    "default_transaction_isolation = 'serializable'",
    "default_transaction_read_only = on",
    "statement_timeout = '1ms'",
    "lock_timeout = '1ms'",
    "datestyle = 'German, DMY'",
    "client_encoding = 'LATIN1'",
];

fn unfriendly() -> Option<TestDb> {
    let test_db = TestDb::postgres()?;
    let name = test_db.database_url.rsplit('/').next().unwrap_or_default();
    for setting in UNFRIENDLY {
        postgres::cluster()?.query(&format!("alter database {name} set {setting}"));
    }
    Some(test_db)
}

fn statuses(answers: &[reqwest::Response]) -> Vec<StatusCode> {
    answers.iter().map(reqwest::Response::status).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_serializable_server_with_short_limits_everybody_joins_is_mailed_and_can_leave() {
    let Some(test_db) = unfriendly() else { return };
    let test_app = TestApp::open_with(test_db, |settings| settings.signup.per_client = 1_000).await;
    test_app.stock_small().await;
    let addresses: Vec<_> = (0..40).map(|n| format!("zoë{n}@reader.example")).collect();
    let joined = join_all(addresses.iter().map(|address| test_app.sign_up(address))).await;
    assert_eq!(statuses(&joined), [StatusCode::SEE_OTHER; 40]);
    test_app.deliver_confirmations().await;
    test_app.seed_subscribers("ada", 40).await;
    test_app.send_digest().await;
    let links: Vec<_> = (0..40)
        .map(|n| test_app.goodbye_link(&format!("ada{n}@example.org")))
        .collect();
    let left = join_all(
        links
            .iter()
            .map(|link| test_app.post_form(link, &[("List-Unsubscribe", "One-Click")])),
    )
    .await;
    assert_eq!(statuses(&left), [StatusCode::OK; 40]);
    for (n, address) in addresses.iter().enumerate() {
        assert_eq!(
            test_app.state_of(&format!("ada{n}@example.org")).await,
            Some(SubscriberState::Unsubscribed)
        );
        assert_eq!(
            test_app.mails_to(address).len(),
            1,
            "a confirmation to {address}"
        );
    }
}

#[test]
fn doctor_names_encoding_isolation_and_schema_of_a_session() {
    let Some(test_db) = unfriendly() else { return };
    let program = Program::set_up(&test_db);
    let said = program.run(&["doctor"]);
    assert!(
        said.out
            .contains("UTF8, read committed, tables in the schema public"),
        "{said:?}"
    );
}

#[test]
fn a_database_that_is_not_in_utf8_is_refused_by_every_command() {
    let Some(cluster) = postgres::cluster() else {
        return;
    };
    cluster.query(
        "create database latin encoding 'LATIN1' lc_collate 'C' lc_ctype 'C' template template0",
    );
    let url = cluster.fresh_database();
    let (server, _) = url.rsplit_once('/').expect("a database");
    let test_db = TestDb {
        dir: tempfile::tempdir().expect("a folder"),
        database_url: format!("{server}/latin"),
    };
    let program = Program::in_place(&test_db);
    for command in [&["serve"][..], &["migrate"], &["digest", "list"]] {
        program
            .run(command)
            .refused(&["is in LATIN1", "encoding 'UTF8'"]);
    }
    let doctor = program.run(&["doctor"]);
    assert!(
        doctor.code == 1 && doctor.out.contains("is in LATIN1"),
        "{doctor:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sign_up_that_the_server_breaks_off_in_a_deadlock_is_repeated() {
    let Some(test_db) = TestDb::postgres() else {
        return;
    };
    let name = test_db
        .database_url
        .rsplit('/')
        .next()
        .unwrap_or_default()
        .to_owned();
    let url = test_db.database_url.clone();
    let test_app = TestApp::open(test_db).await;
    test_app.sign_up("ada@reader.example").await;
    let before = broken_off(&name);
    let mut other = sqlx::PgConnection::connect(&url)
        .await
        .expect("a connection");
    // Whichever of the two has waited for its deadlock_timeout, a second by default, is broken off: ours.
    for sql in [
        "set deadlock_timeout = '1min'",
        "begin",
        "lock table consents in exclusive mode",
    ] {
        sqlx::query(sql).execute(&mut other).await.expect(sql);
    }
    test_app.wait(chrono::TimeDelta::hours(2));
    let asked = test_app.sign_up("ada@reader.example");
    let meeting = async {
        until("the sign-up waits for the table", async || {
            waiting(&name) == 1
        })
        .await;
        // Wants the row that the sign-up holds: a circle, which the server opens by breaking off the sign-up.
        sqlx::query("select 1 from subscribers for update")
            .execute(&mut other)
            .await
            .expect("the row, in the end");
        sqlx::query("rollback")
            .execute(&mut other)
            .await
            .expect("over");
    };
    let (answer, ()) = futures_util::join!(asked, meeting);
    assert_eq!(answer.status(), StatusCode::SEE_OTHER);
    assert_eq!(broken_off(&name), before + 1, "the two did meet");
    let record = test_app.record_of("ada@reader.example").await;
    assert_eq!(record.matches("asked to join").count(), 2, "{record}");
}

#[tokio::test]
async fn a_sender_that_leaves_while_it_is_given_up_for_dead_counts_nothing_twice() {
    let Some(test_db) = TestDb::postgres() else {
        return;
    };
    let name = test_db
        .database_url
        .rsplit('/')
        .next()
        .unwrap_or_default()
        .to_owned();
    let url = test_db.database_url.clone();
    let mut down = SmtpSink::start(Script::accept_all()).await;
    down.stop().await;
    let test_app = TestApp::stocked(test_db, &down, |_| {}).await;
    test_app.seed_subscribers("r", 5).await;
    test_app.send_digest().await;
    test_app.wait(chrono::TimeDelta::hours(1));
    let (storage, now) = (&test_app.app.storage, test_app.app.now());
    let sender = storage
        .register_sender("a process", chrono::TimeDelta::hours(1), now)
        .await
        .expect("entered");
    let jobs = storage
        .claim(sender, &[], None, 100, now)
        .await
        .expect("claimed")
        .jobs;
    assert_eq!(jobs.len(), 5);
    let next: Vec<Start<'_>> = jobs
        .iter()
        .map(|job| Start {
            key: job.key,
            version: 0,
            relay: "default",
        })
        .collect();
    assert_eq!(
        storage.step(sender, &[], &next, now).await.expect("begun"),
        Some(vec![true; 5])
    );
    let sent: Vec<Finished> = jobs
        .iter()
        .map(|job| Finished {
            key: job.key,
            step: DeliveryUpdate::Sent,
            reply: "250 ok".into(),
        })
        .collect();
    storage
        .step(sender, &sent, &[], now)
        .await
        .expect("written")
        .expect("entered");
    let mut other = sqlx::PgConnection::connect(&url)
        .await
        .expect("a connection");
    for sql in ["begin", "lock table digest_counts in exclusive mode"] {
        sqlx::query(sql).execute(&mut other).await.expect(sql);
    }
    let leaving = async {
        until("its chunks are being taken over", async || {
            waiting(&name) == 1
        })
        .await;
        storage.leave_sender(sender, now).await.expect("left");
    };
    let meeting = async {
        until("both are at it", async || waiting(&name) == 2).await;
        sqlx::query("rollback")
            .execute(&mut other)
            .await
            .expect("over");
    };
    let dead = [sender];
    let (recovered, (), ()) = futures_util::join!(
        storage.recover(&dead, UncertainPolicy::Resend, now),
        leaving,
        meeting
    );
    assert_eq!(recovered.expect("taken over"), 0);
    let audit = storage
        .audit(test_app.slot(), 10)
        .await
        .expect("an audit")
        .expect("a digest");
    assert_eq!(audit.faults, [""; 0]);
}

/// Deadlocks in a database since it was made.
fn broken_off(database: &str) -> u32 {
    let cluster = postgres::cluster().expect("a cluster");
    cluster.query("select pg_stat_force_next_flush()");
    let sql = format!("select deadlocks from pg_stat_database where datname = '{database}'");
    cluster.query(&sql).trim().parse().expect("a number")
}

/// Sessions that wait for a lock of a table.
fn waiting(database: &str) -> u32 {
    let sql = format!(
        "select count(*) from pg_stat_activity where datname = '{database}' and wait_event_type = 'Lock'"
    );
    postgres::cluster()
        .expect("a cluster")
        .query(&sql)
        .trim()
        .parse()
        .expect("a number")
}
