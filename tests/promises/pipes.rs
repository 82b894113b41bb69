//! `inbound --apply` as a mail server starts it after an outage: once for each mail that waits, all at the same instant.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;

use verdicts::domain::subscriber::SubscriberState;

use crate::inbound::app_with_a_reader_and;
use crate::inbound::report;
use crate::inbound::return_path;
use crate::support::Program;
use crate::support::TestDb;
use crate::support::on_both;
use crate::support::postgres;

const PIPES: usize = 120;
/// Upper bound on their connections to PostgreSQL, all of them together: eight work at once, each over two, and as many are just ending.
const CONNECTIONS: usize = 32;

on_both! {
    async fn of_so_many_at_once_none_fails_and_each_mail_is_acted_on_once(test_db) {
        // A server of its own: others would be counted too.
        let cluster = if test_db.is_postgres() { postgres::another("max_connections = 110", None) } else { None };
        let test_db = match &cluster {
            Some(cluster) => TestDb { dir: tempfile::tempdir().expect("a folder"), database_url: cluster.fresh_database() },
            None => test_db,
        };
        let test_app = app_with_a_reader_and(test_db, |settings| settings.database.connections = 2).await;
        test_app.seed_subscribers("many", PIPES).await;
        crate::inbound::a_week_later(&test_app, 1).await;
        let program = Program::in_place(&test_app.test_db)
            .with("VERDICTS_SITE__SECRET", "a secret for tests only")
            .with("VERDICTS_MAIL__RETURN_PATH", "bounces+{verp}@verdicts.example")
            .with("VERDICTS_BOUNCES__BRAKE_COUNT", "0");
        let readers: Vec<String> = (0..PIPES).map(|n| format!("many{n}@example.org")).collect();
        for (n, reader) in readers.iter().enumerate() {
            program.write(&format!("{n}.eml"), report(&return_path(&test_app, reader), reader, "550 5.1.1 no such user"));
        }
        let most = Arc::<AtomicUsize>::default();
        let watching = cluster.is_some().then(|| watch_connections(test_app.test_db.database_url.clone(), most.clone()));
        let mut pipes: Vec<_> = (0..PIPES).map(|n| program.start("pipes", &["inbound", &format!("{n}.eml"), "--apply"])).collect();
        let codes: Vec<_> = pipes.iter_mut().map(|pipe| pipe.end()).collect();
        let said = std::fs::read_to_string(program.dir.join("pipes.err")).expect("words");
        assert_eq!(codes, vec![Some(0); PIPES], "{said}");
        if let Some((over, watcher)) = watching {
            over.store(true, SeqCst);
            watcher.await.expect("an end");
        }
        assert!((1..=CONNECTIONS).contains(&most.load(SeqCst)) || cluster.is_none(), "{most:?} connections at once");
        for reader in &readers {
            assert_eq!(test_app.state_of(reader).await, Some(SubscriberState::Bounced), "{reader}");
        }
        assert_eq!(test_app.state_of("reader0@example.org").await, Some(SubscriberState::Active));
        for n in [0, PIPES - 1] {
            let again = program.run(&["--json", "inbound", &format!("{n}.eml"), "--apply"]).good().json();
            assert_eq!(again["mails"][0]["applied"], "known");
        }
    }
}

/// Counts the connections of programs, and keeps the highest number; ends once it is told that it is over.
fn watch_connections(
    url: String,
    most: Arc<AtomicUsize>,
) -> (Arc<AtomicBool>, tokio::task::JoinHandle<()>) {
    let over = Arc::<AtomicBool>::default();
    let is_over = over.clone();
    let watcher = tokio::spawn(async move {
        let pool = sqlx::PgPool::connect(&url).await.expect("a connection");
        // Without those of the service.
        let sql = "select count(*) from pg_stat_activity where application_name = 'verdicts'";
        let own: i64 = sqlx::query_scalar(sql)
            .fetch_one(&pool)
            .await
            .expect("a count");
        while !is_over.load(SeqCst) {
            let now: i64 = sqlx::query_scalar(sql)
                .fetch_one(&pool)
                .await
                .expect("a count");
            most.fetch_max((now - own).max(0) as usize, SeqCst);
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    });
    (over, watcher)
}

#[test]
fn pipes_wait_for_their_turn_at_a_server_with_few_connections() {
    // Superusers have three of them to themselves, and the tests' user is one: so the program gets a user of its own.
    let Some(cluster) = postgres::another("max_connections = 8", None) else {
        return;
    };
    let test_db = TestDb {
        dir: tempfile::tempdir().expect("a folder"),
        database_url: cluster.fresh_database(),
    };
    let program = Program::set_up(&test_db);
    program.write(
        "mail.eml",
        report(
            "bounces@verdicts.example",
            "ada@example.org",
            "550 5.1.1 none",
        ),
    );
    let mut running: Vec<_> = (0..24)
        .map(|n| program.start(&format!("pipe{n}"), &["inbound", "mail.eml", "--apply"]))
        .collect();
    let codes: Vec<_> = running.iter_mut().map(|pipe| pipe.end()).collect();
    assert_eq!(codes, vec![Some(0); 24]);
}
