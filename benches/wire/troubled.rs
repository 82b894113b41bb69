//! Cost of a relay in trouble to the rest: one that falls silent, one that is slow, final dots that are answered late.
//!
//! The relays are the tests' own, in this process, and take a fixed time for a mail, so that what is measured is waiting and not the
//! processor: 500 mails a second at the most. Time runs from the first mail to the moment when all are through but those that are in the
//! trouble's own hands. Each figure is held against one of the same round, so a machine that is slow or busy changes no ratio much; three
//! rounds on both databases take about five minutes.

use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;

use crate::median;
use crate::smtp_sink::Behaviour;
use crate::smtp_sink::Script;
use crate::smtp_sink::SmtpSink;
use crate::stock::Database;
use crate::stock::Stock;
use crate::stock::test_db::TestDb;
use crate::wanted::Wanted;

const READERS: usize = 4_000;
const CONNECTIONS: usize = 10;
const QUICK: Duration = Duration::from_millis(20);
const SLOW: Duration = Duration::from_millis(100);
/// For late dots: enough that one of them is a small part, whatever it takes.
const MANY_CONNECTIONS: usize = 100;
const STEADY: Duration = Duration::from_millis(200);
const LATE_BY: Duration = Duration::from_secs(20);
const ONE_IN: usize = 1_000;
/// A send that takes longer than this and all its mails one after the other stands still.
const PATIENCE: Duration = Duration::from_secs(60);

/// Measurements of a round's sends; each is held against one of them.
const ROWS: [(&str, usize, &str); 7] = [
    ("one relay, 20 ms a mail", 0, ""),
    (
        "the same beside one that falls silent after its greeting",
        0,
        "0.95",
    ),
    ("one relay, 100 ms a mail", 2, ""),
    ("two relays of one weight: the one with 20 ms", 0, "0.95"),
    ("two relays of one weight: the one with 100 ms", 2, "0.9"),
    ("one relay, 200 ms a mail, 100 connections", 5, ""),
    (
        "the same, one final dot in 1,000 answered after 20 s",
        5,
        "0.9",
    ),
];

pub fn run(wanted: &Wanted, stock: &mut Stock) {
    let readers = wanted.readers.unwrap_or(READERS);
    println!(
        "## A relay in trouble\n\n{readers} readers (a fifth of them where the slow relay is alone, twice as many for late dots), the smallest \
         digest there is; median of {} rounds, in which all take turns; each ratio is the median of its rounds' own.\n",
        wanted.rounds
    );
    println!("| ledger | | mails/s | of | at least |\n| --- | --- | ---: | ---: | ---: |");
    for database in [Database::SqliteFull, Database::PostgresFull] {
        if wanted.databases.contains(&database) && stock.has(database) {
            let runtime = tokio::runtime::Runtime::new().expect("a runtime");
            let rounds: Vec<[f64; 7]> = (0..wanted.rounds)
                .map(|_| runtime.block_on(round(stock, database, readers)))
                .collect();
            for (row, (what, of, least)) in ROWS.iter().enumerate() {
                let rate = median(rounds.iter().map(|round| round[row]).collect());
                let ratio = median(rounds.iter().map(|round| round[row] / round[*of]).collect());
                println!(
                    "| {} | {what} | {rate:.0} | **{ratio:.2}** | {least} |",
                    database.name()
                );
            }
        }
    }
    println!();
}

async fn round(stock: &mut Stock, database: Database, readers: usize) -> [f64; 7] {
    let taking = |time: Duration| Script::accept_all().delay(time).only_counts();
    let silent = Script::accept_all()
        .at_mail_from(Behaviour::hang())
        .only_counts();
    let alone = sent(stock, database, readers, CONNECTIONS, vec![taking(QUICK)]).await;
    let beside_silent = sent(
        stock,
        database,
        readers,
        CONNECTIONS,
        vec![taking(QUICK), silent],
    )
    .await;
    let slow = sent(
        stock,
        database,
        readers / 5,
        CONNECTIONS,
        vec![taking(SLOW)],
    )
    .await;
    let both = sent(
        stock,
        database,
        readers,
        CONNECTIONS,
        vec![taking(QUICK), taking(SLOW)],
    )
    .await;
    let steady = sent(
        stock,
        database,
        readers * 2,
        MANY_CONNECTIONS,
        vec![taking(STEADY)],
    )
    .await;
    let late = (0..readers * 2)
        .filter(|n| n % ONE_IN == ONE_IN / 2)
        .map(|n| format!("reader{n}"));
    let script = late.fold(taking(STEADY), |script, name| {
        script.after_body(&name, Behaviour::late(LATE_BY))
    });
    let late = sent(stock, database, readers * 2, MANY_CONNECTIONS, vec![script]).await;
    [
        alone[0],
        beside_silent[0],
        slow[0],
        both[0],
        both[1],
        steady[0],
        late[0],
    ]
}

/// A send under way; dropped, it is killed.
struct Sending(Child);

impl Drop for Sending {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Mails a second of each relay, from the first mail until all are through that no trouble holds.
async fn sent(
    stock: &mut Stock,
    database: Database,
    readers: usize,
    connections: usize,
    scripts: Vec<Script>,
) -> Vec<f64> {
    let mut sinks = Vec::new();
    for script in scripts {
        sinks.push(SmtpSink::start(script).await);
    }
    let urls: Vec<String> = sinks.iter().map(SmtpSink::url).collect();
    let test_db: TestDb = stock
        .test_db(database, readers)
        .with_relays(&urls, connections);
    test_db.bring_digest_of(0);
    let log = test_db.dir.path().join("send.err");
    let mut command = test_db.command(&["digest", "send"]);
    command
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(&log).expect("a file"));
    let mut sending = Sending(command.spawn().expect("started"));
    // A relay in trouble has one mail for each of its connections.
    let enough = readers.saturating_sub(connections).max(1);
    let (started, mut began) = (Instant::now(), None);
    let rates = loop {
        let has_ended = sending.0.try_wait().expect("a state").is_some();
        let counts: Vec<usize> = sinks.iter().map(SmtpSink::mails).collect();
        let all: usize = counts.iter().sum();
        if all > 0 && began.is_none() {
            began = Some((Instant::now(), counts.clone()));
        }
        if let Some((began, first)) = began.as_ref().filter(|_| all >= enough) {
            let rate = |(count, first): (&usize, &usize)| {
                (count - first) as f64 / began.elapsed().as_secs_f64()
            };
            break counts.iter().zip(first).map(rate).collect();
        }
        let said = || std::fs::read_to_string(&log).unwrap_or_default();
        assert!(
            !has_ended,
            "it ended after {counts:?} mails of {readers}: {}",
            said()
        );
        assert!(
            started.elapsed() < PATIENCE + QUICK * readers as u32,
            "it stands at {counts:?} mails of {readers}: {}",
            said()
        );
        tokio::time::sleep(Duration::from_millis(2)).await;
    };
    let _ = Command::new("kill")
        .args(["-s", "TERM", &sending.0.id().to_string()])
        .status();
    tokio::task::block_in_place(|| sending.0.wait()).expect("ended");
    drop(sending);
    stock.clear(test_db);
    rates
}
