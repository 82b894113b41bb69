//! Mails a second over loopback, ledger on.

use crate::median;
use crate::peers::Sink;
use crate::peers::smtp_source;
use crate::short::publish_cut_to;
use crate::stock::Database;
use crate::stock::Stock;
use crate::stock::test_db::Sending;
use crate::wanted::Wanted;

const READERS: usize = 100_000;
/// A digest that is larger than was wished for by no more than that is sent as it is.
const SPARE: usize = 4_000;

pub fn run(wanted: &Wanted, stock: &mut Stock) {
    let readers = wanted.readers.unwrap_or(READERS);
    let databases: Vec<Database> = wanted
        .databases
        .iter()
        .copied()
        .filter(|database| stock.has(*database))
        .collect();
    println!(
        "## Mails a second\n\n{readers} readers, unsigned; median of {} rounds, in which all peers take turns. A command's time is",
        wanted.rounds
    );
    println!(
        "the whole of it: start, picking, publishing, sending, ending; what is shorter than the smallest digest was published before.\n"
    );
    println!(
        "| bytes | connections | ledger | mails/s | smtp-source | ratio | while sending | publish | peak memory |"
    );
    println!("| ---: | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |");
    for &wish in &wanted.bytes {
        for &connections in &wanted.connections {
            compare(stock, &databases, readers, wish, connections, wanted.rounds);
        }
    }
    println!();
}

fn compare(
    stock: &mut Stock,
    databases: &[Database],
    readers: usize,
    wish: usize,
    connections: usize,
    rounds: usize,
) {
    let mut sent: Vec<Vec<Sending>> = databases.iter().map(|_| Vec::new()).collect();
    let (mut source, mut bytes) = (Vec::new(), 0);
    for _ in 0..rounds {
        for (database, sent) in databases.iter().zip(&mut sent) {
            let sink = Sink::start();
            let test_db =
                stock
                    .test_db(*database, readers)
                    .with_relay("127.0.0.1", sink.port, connections);
            bytes = test_db.bring_digest_of(wish);
            if wish + SPARE < bytes {
                bytes = publish_cut_to(&test_db, wish);
            }
            sent.push(test_db.send(readers));
            stock.clear(test_db);
        }
        let sink = Sink::start();
        source.push(
            readers as f64
                / smtp_source("127.0.0.1", sink.port, connections, readers, bytes).as_secs_f64(),
        );
    }
    let source = median(source);
    for (database, sent) in databases.iter().zip(&sent) {
        let of = |figure: fn(&Sending) -> f64| median(sent.iter().map(figure).collect());
        let rate = readers as f64 / of(|sending| sending.took.as_secs_f64());
        println!(
            "| {bytes} | {connections} | {} | {rate:.0} | {source:.0} | **{:.2}** | {:.0} | {} | {:.1} MB |",
            database.name(),
            rate / source,
            readers as f64 / of(|sending| sending.sending.as_secs_f64()),
            published(sent),
            of(|sending| sending.peak as f64) / 1024.0,
        );
    }
}

/// The median, where the command published.
pub fn published(sent: &[Sending]) -> String {
    let seconds: Vec<f64> = sent
        .iter()
        .filter_map(|sending| sending.publish)
        .map(|took| took.as_secs_f64())
        .collect();
    if seconds.is_empty() {
        "before".to_owned()
    } else {
        format!("{:.2} s", median(seconds))
    }
}
