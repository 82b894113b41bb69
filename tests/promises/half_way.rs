//! Whoever gives up waiting for the database, a client that hangs up or a lease that is over, leaves nothing behind in it.

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use crate::support::TestApp;
use crate::support::TestDb;
use crate::support::postgres;
use crate::support::until;

/// SQLite's one writer rolls back before each turn; a pool hands on what it got back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_nobody_waits_for_any_more_keeps_no_transaction_open() {
    let Some(test_db) = TestDb::postgres() else {
        return;
    };
    let test_app = TestApp::open(test_db).await;
    let name = test_app
        .test_db
        .database_url
        .rsplit('/')
        .next()
        .unwrap_or_default()
        .split('?')
        .next()
        .unwrap_or_default()
        .to_owned();
    let open = format!(
        "select count(*) from pg_stat_activity where datname = '{name}' and state like 'idle in transaction%'"
    );
    for steps in 0..12 {
        // Given up after so many steps of its way to the database and back.
        let mut writing = Box::pin(test_app.app.storage.renew_sender(
            1,
            chrono::TimeDelta::zero(),
            None,
            test_app.app.now(),
        ));
        for _ in 0..=steps {
            let ended =
                poll_fn(|context| Poll::Ready(writing.as_mut().poll(context).is_ready())).await;
            if ended {
                break;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        drop(writing);
        until("no transaction is open", async || {
            postgres::cluster().expect("a cluster").query(&open).trim() == "0"
        })
        .await;
    }
}
