//! The ledger alone, without a mail: rows a second published, claimed, and recorded, and what rows weigh.

use std::time::Duration;
use std::time::Instant;

use verdicts::domain::Timestamp;
use verdicts::storage::Storage;
use verdicts::storage::ledger::Job;
use verdicts::storage::ledger::updates::DeliveryUpdate;
use verdicts::storage::ledger::updates::Finished;
use verdicts::storage::ledger::updates::Start;

use crate::stock::Database;
use crate::stock::Stock;
use crate::stock::test_db::TestDb;
use crate::wanted::Wanted;

/// Upper bound on one call to PostgreSQL; none of these comes near it.
const CALL_MAX: Duration = Duration::from_secs(60);
const READERS: usize = 1_000_000;
/// As many rows are claimed and recorded at most: enough to tell the rate.
const ENOUGH: usize = 100_000;
/// As the engine claims over ten connections at first, and commits for twenty.
const CHUNK: usize = 500;
const GROUP: usize = 20;

pub fn run(wanted: &Wanted, stock: &mut Stock) {
    let readers = wanted.readers.unwrap_or(READERS);
    println!(
        "## The ledger alone\n\n{readers} readers; claims of {CHUNK}, commits of {GROUP} results and {GROUP} beginnings, one after the other.\n"
    );
    println!(
        "| ledger | published, rows/s | took | claimed, rows/s | recorded, mails/s | `digest show` | `digest audit` | bytes a reader | bytes a delivery |"
    );
    println!("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
    for database in [Database::SqliteFull, Database::PostgresFull] {
        if wanted.databases.contains(&database) && stock.has(database) {
            let test_db = stock.test_db(database, readers);
            measure(&test_db, stock, database, readers);
            stock.clear(test_db);
        }
    }
    println!();
}

fn measure(test_db: &TestDb, stock: &Stock, database: Database, readers: usize) {
    test_db.bring_digest_of(1);
    let before = stock.size(test_db);
    let published = test_db.publish();
    let after = stock.size(test_db);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let (claimed, recorded) = runtime.block_on(work(test_db));
    let digests: serde_json::Value =
        serde_json::from_str(&test_db.run(&["digest", "list", "--json"])).expect("JSON");
    let id = digests["digests"][0]["id"].as_str().expect("an id");
    let (shown, audited) = (
        timed(test_db, &["digest", "show", id]),
        timed(test_db, &["digest", "audit", id]),
    );
    println!(
        "| {} | {:.0} | {:.2} s | {claimed:.0} | {recorded:.0} | {:.2} s | {:.2} s | {} | {} |",
        database.name(),
        readers as f64 / published.as_secs_f64(),
        published.as_secs_f64(),
        shown.as_secs_f64(),
        audited.as_secs_f64(),
        before / readers as u64,
        (after - before) / readers as u64,
    );
}

/// Claims and records as the engine does; rows claimed a second, and mails recorded.
async fn work(test_db: &TestDb) -> (f64, f64) {
    let storage = Storage::open(&test_db.url, None, 8, true, CALL_MAX)
        .await
        .expect("open");
    let now = now();
    let sender = storage
        .register_sender("benchmark", chrono::TimeDelta::hours(1), now)
        .await
        .expect("entered");
    let began = Instant::now();
    let mut jobs: Vec<Job> = Vec::new();
    while jobs.len() < ENOUGH {
        let chunk = storage
            .claim(sender, &[], None, CHUNK, now)
            .await
            .expect("claimed")
            .jobs;
        if chunk.is_empty() {
            break;
        }
        jobs.extend(chunk);
    }
    let claimed = jobs.len() as f64 / began.elapsed().as_secs_f64();
    let began = Instant::now();
    let mut done: Vec<Finished> = Vec::new();
    for group in jobs.chunks(GROUP) {
        let next: Vec<Start<'_>> = group
            .iter()
            .map(|job| Start {
                key: job.key,
                version: 0,
                relay: "default",
            })
            .collect();
        let may_go = storage
            .step(sender, &done, &next, now)
            .await
            .expect("a step");
        assert!(
            may_go.is_some_and(|may_go| may_go.iter().all(|may| *may)),
            "all may go"
        );
        done = group
            .iter()
            .map(|job| Finished {
                key: job.key,
                step: DeliveryUpdate::Sent,
                reply: "250 2.0.0 Ok: queued as 4bX".into(),
            })
            .collect();
    }
    storage.step(sender, &done, &[], now).await.expect("a step");
    let recorded = jobs.len() as f64 / began.elapsed().as_secs_f64();
    storage.leave_sender(sender, now).await.expect("left");
    storage.close().await;
    (claimed, recorded)
}

fn timed(test_db: &TestDb, arguments: &[&str]) -> Duration {
    let began = Instant::now();
    test_db.run(arguments);
    began.elapsed()
}

#[allow(
    clippy::disallowed_methods,
    reason = "the ledger's rows are of this moment"
)]
fn now() -> Timestamp {
    verdicts::domain::to_millis(chrono::Utc::now())
}
