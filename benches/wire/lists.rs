//! Publishing, memory and rate as the list grows.

use crate::peers::Sink;
use crate::rates::published;
use crate::stock::Database;
use crate::stock::Stock;
use crate::wanted::Wanted;

const LISTS: [usize; 4] = [1_000, 10_000, 100_000, 1_000_000];
const CONNECTIONS: usize = 10;

pub fn run(wanted: &Wanted, stock: &mut Stock) {
    println!(
        "## As the list grows\n\nThe smallest digest there is, {CONNECTIONS} connections; one round.\n"
    );
    println!("| readers | ledger | publish | mails/s while sending | peak memory |");
    println!("| ---: | --- | ---: | ---: | ---: |");
    for database in [Database::SqliteFull, Database::PostgresFull] {
        if !wanted.databases.contains(&database) || !stock.has(database) {
            continue;
        }
        for readers in LISTS
            .into_iter()
            .filter(|readers| wanted.readers.is_none_or(|most| *readers <= most))
        {
            let sink = Sink::start();
            let test_db =
                stock
                    .test_db(database, readers)
                    .with_relay("127.0.0.1", sink.port, CONNECTIONS);
            test_db.bring_digest_of(1);
            let sending = test_db.send_for(readers, wanted.longest);
            println!(
                "| {readers} | {} | {} | {:.0} | {:.1} MB |",
                database.name(),
                published(std::slice::from_ref(&sending)),
                sending.mails as f64 / sending.sending.as_secs_f64(),
                sending.peak as f64 / 1024.0
            );
            stock.clear(test_db);
        }
    }
    println!();
}
