//! Several processes on one PostgreSQL: whoever puts mail into the ledger is heard by the others.

use std::time::Duration;

use crate::support::Program;
use crate::support::Script;
use crate::support::SmtpSink;
use crate::support::TestApp;
use crate::support::TestDb;
use crate::support::postgres;
use crate::support::until;

/// Longer than any test waits: what goes out before was heard of.
const NEVER: Duration = Duration::from_secs(60);

/// The connection over which a process listens: the server's number of it, empty where there is none.
fn listening(test_db: &TestDb) -> String {
    let name = test_db
        .database_url
        .rsplit('/')
        .next()
        .unwrap_or_default()
        .split('?')
        .next()
        .unwrap_or_default();
    let sql = format!(
        "select pid from pg_stat_activity where datname = '{name}' and query ilike 'listen %'"
    );
    postgres::cluster()
        .expect("a cluster")
        .query(&sql)
        .trim()
        .to_owned()
}

/// A service with pages only, and another that only delivers and hardly ever looks by itself.
async fn two_houses(test_db: TestDb, sink: &SmtpSink) -> (TestApp, TestApp) {
    let url = sink.url();
    let deliverer = TestApp::open_with(test_db.again(), |settings| {
        settings.mail.transport = url.into();
        settings.mail.poll = NEVER;
    });
    // First, so that its clock is not behind the other's.
    let deliverer = deliverer.await;
    (TestApp::open(test_db).await, deliverer)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mail_that_another_process_put_into_the_ledger_goes_out_before_anybody_looks() {
    let Some(test_db) = TestDb::postgres() else {
        return;
    };
    let sink = SmtpSink::start(Script::accept_all()).await;
    let (pages, deliverer) = two_houses(test_db, &sink).await;
    pages.stock_small().await;
    pages.seed_subscribers("r", 3).await;
    let mut step = 0;
    let mut first = String::new();
    deliverer
        .deliver_while("three nudges", async || {
            let now_listening = listening(&pages.test_db);
            match step {
                // The look at the start is over when it listens; give it time to be.
                0 if !now_listening.is_empty() => {
                    tokio::time::sleep(Duration::from_millis(300)).await;
                    first = now_listening;
                    pages.sign_up("ada@example.org").await;
                    step = 1;
                }
                1 if !sink.received_by("ada@example.org").is_empty() => {
                    let cut = format!("select pg_terminate_backend({first})");
                    postgres::cluster().expect("a cluster").query(&cut);
                    step = 2;
                }
                2 if !now_listening.is_empty() && now_listening != first => {
                    tokio::time::sleep(Duration::from_millis(300)).await;
                    pages.sign_up("bob@example.org").await;
                    step = 3;
                }
                3 if !sink.received_by("bob@example.org").is_empty() => {
                    pages.set_clock("2026-11-24T09:00:30Z");
                    deliverer.set_clock("2026-11-24T09:00:30Z");
                    pages.app.tick().await.expect("picked and published");
                    step = 4;
                }
                4 => return sink.mails() == 5,
                _ => {}
            }
            false
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_can_hear_nobody_looks_by_itself() {
    let Some(test_db) = TestDb::postgres() else {
        return;
    };
    let sink = SmtpSink::start(Script::accept_all()).await;
    let pages = TestApp::open(test_db.again()).await;
    // Through a pooler, with nothing at the address behind it.
    let program = Program::set_up(&test_db)
        .with(
            "VERDICTS_DATABASE__DIRECT_URL",
            "postgres://nobody@127.0.0.1:9/none",
        )
        .with("VERDICTS_MAIL__TRANSPORT", &sink.url())
        .with("VERDICTS_MAIL__POLL", "100ms");
    let _running = program.start("deliver", &["serve", "--role", "deliver"]);
    until("it says that it hears nobody", async || {
        std::fs::read_to_string(program.dir.join("deliver.err"))
            .is_ok_and(|words| words.contains("LISTEN connection lost"))
    })
    .await;
    pages.sign_up("ada@example.org").await;
    until("the mail goes out all the same", async || {
        !sink.received_by("ada@example.org").is_empty()
    })
    .await;
}
