//! Cost of a relay in trouble to the rest: one that falls silent, one that is slow, final dots that are answered late.
//!
//! The relays are the tests' own, in this process, and take a fixed time for a mail, so that what is measured is waiting and not the
//! processor. Time runs from the first mail to the moment when all are through but those that are in the trouble's own hands.

use std::time::Duration;
use std::time::Instant;

use crate::median;
use crate::smtp_sink::Behaviour;
use crate::smtp_sink::Script;
use crate::smtp_sink::SmtpSink;
use crate::stock::Database;
use crate::stock::Place;
use crate::stock::Stock;
use crate::wanted::Wanted;

const READERS: usize = 20_000;
const CONNECTIONS: usize = 10;
/// For late dots: enough that one of them is a small part, whatever it takes.
const MANY_CONNECTIONS: usize = 100;
const LATE_BY: Duration = Duration::from_secs(20);
const ONE_IN: usize = 1_000;

pub fn run(wanted: &Wanted, stock: &mut Stock) {
    let readers = wanted.readers.unwrap_or(READERS);
    println!(
        "## A relay in trouble\n\n{readers} readers, the smallest digest there is; median of {} rounds, in which all take turns.\n",
        wanted.rounds
    );
    println!("| ledger | | mails/s | of |\n| --- | --- | ---: | ---: |");
    for database in [Database::SqliteFull, Database::PostgresFull] {
        if wanted.databases.contains(&database) && stock.has(database) {
            tokio::runtime::Runtime::new().expect("a runtime").block_on(compare(wanted, stock, database, readers));
        }
    }
    println!();
}

async fn compare(wanted: &Wanted, stock: &mut Stock, database: Database, readers: usize) {
    let mut figures: [Vec<f64>; 7] = Default::default();
    for _ in 0..wanted.rounds {
        let quick = || Script::accept_all().delay(Duration::from_millis(5)).only_counts();
        let slow = || Script::accept_all().delay(Duration::from_millis(50)).only_counts();
        let silent = || Script::accept_all().at_mail_from(Behaviour::hang()).only_counts();
        figures[0].push(sent(stock, database, readers, CONNECTIONS, vec![quick()]).await[0]);
        figures[1].push(sent(stock, database, readers, CONNECTIONS, vec![quick(), silent()]).await[0]);
        figures[2].push(sent(stock, database, readers / 10, CONNECTIONS, vec![slow()]).await[0]);
        let both = sent(stock, database, readers, CONNECTIONS, vec![quick(), slow()]).await;
        figures[3].push(both[0]);
        figures[4].push(both[1]);
        let steady = || Script::accept_all().delay(Duration::from_millis(200)).only_counts();
        figures[5].push(sent(stock, database, readers, MANY_CONNECTIONS, vec![steady()]).await[0]);
        let late = (0..readers).filter(|n| n % ONE_IN == ONE_IN / 2).map(|n| format!("reader{n}"));
        let script = late.fold(steady(), |script, name| script.after_body(&name, Behaviour::late(LATE_BY)));
        figures[6].push(sent(stock, database, readers, MANY_CONNECTIONS, vec![script]).await[0]);
    }
    let [alone, beside_silent, slow_alone, quick_of_two, slow_of_two, steady, late] = figures.map(median);
    let row = |what: &str, rate: f64, of: f64| println!("| {} | {what} | {rate:.0} | **{:.2}** |", database.name(), rate / of);
    row("one relay, 5 ms a mail", alone, alone);
    row("the same beside one that falls silent after its greeting", beside_silent, alone);
    row("one relay, 50 ms a mail", slow_alone, slow_alone);
    row("two relays of one weight: the one with 5 ms", quick_of_two, alone);
    row("two relays of one weight: the one with 50 ms", slow_of_two, slow_alone);
    row("one relay, 200 ms a mail, 100 connections", steady, steady);
    row("the same, one final dot in 1,000 answered after 20 s", late, steady);
}

/// Mails a second of each relay, from the first mail until all are through that no trouble holds.
async fn sent(stock: &mut Stock, database: Database, readers: usize, connections: usize, scripts: Vec<Script>) -> Vec<f64> {
    let mut sinks = Vec::new();
    for script in scripts {
        sinks.push(SmtpSink::start(script).await);
    }
    let urls: Vec<String> = sinks.iter().map(SmtpSink::url).collect();
    let place: Place = stock.place(database, readers).with_relays(&urls, connections);
    place.bring_digest_of(0);
    let mut sending = place.command(&["digest", "send"]).stdout(std::process::Stdio::null()).spawn().expect("started");
    // A silent relay has one mail for each of its connections.
    let enough = readers - connections;
    let count = || sinks.iter().map(SmtpSink::mails).collect::<Vec<_>>();
    let mut began = None;
    let rates = loop {
        let counts = count();
        let all: usize = counts.iter().sum();
        if all > 0 && began.is_none() {
            began = Some(Instant::now());
        }
        if let Some(began) = began.filter(|_| all >= enough) {
            break counts.iter().map(|count| *count as f64 / began.elapsed().as_secs_f64()).collect();
        }
        assert!(sending.try_wait().expect("a state").is_none(), "it ended after {all} mails");
        tokio::time::sleep(Duration::from_millis(2)).await;
    };
    let _ = std::process::Command::new("kill").args(["-s", "TERM", &sending.id().to_string()]).status();
    tokio::task::block_in_place(|| sending.wait()).expect("ended");
    stock.clear(place);
    rates
}
