//! How fast the pages are, and what a digest costs that differs from reader to reader:
//! `cargo bench --bench pages [-- PARTS] [--seconds N] [--readers N] [--choices N] [--deliveries N]`.
//!
//! | part | measures |
//! | --- | --- |
//! | `doors` | requests a second, median and 99th percentile: a comparison's page, a vote, a sign-up, against `/healthz` of the same server |
//! | `personal` | publishing for 200,000 readers with 1,000 distinct choices, against everybody's digest for the same readers |
//! | `desk` | time to the first byte of each screen of the desk, over 1,000,000 subscribers and 10,000,000 deliveries; over 100 ms is marked |
//!
//! On SQLite, and on PostgreSQL where it is installed. Both drive the compiled program from outside; `doors` by `wrk` (Debian:
//! wrk) on the same machine, so that the two share its cores. Each part prints a table for docs/performance.md.

#![allow(
    unreachable_pub,
    reason = "the modules of a benchmark program have no other readers"
)]

#[path = "../../tests/promises/support/postgres/mod.rs"]
mod postgres;

mod desk;
mod doors;
mod personal;
mod place;

use place::Place;

/// A server as Debian sets it up: what is committed is on the disk.
const SETTINGS: &str = "\
fsync = on
synchronous_commit = on
full_page_writes = on
wal_level = replica
shared_buffers = '256MB'
max_wal_size = '2GB'
checkpoint_timeout = '5min'
autovacuum = on
";

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    let wanted = |part: &str| {
        !arguments
            .iter()
            .any(|a| ["doors", "personal", "desk"].contains(&a.as_str()))
            || arguments.iter().any(|a| a == part)
    };
    let number =
        |name: &str, default: usize| match arguments.iter().position(|argument| argument == name) {
            Some(at) => arguments
                .get(at + 1)
                .and_then(|text| text.parse().ok())
                .unwrap_or_else(|| panic!("{name} needs a number")),
            None => default,
        };
    let folder = tempfile::tempdir().expect("a folder");
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    std::fs::set_permissions(folder.path(), open).expect("opened");
    let cluster = postgres::another(SETTINGS, Some(folder.path()));
    let places = || {
        [
            Some(Place::sqlite()),
            cluster
                .as_ref()
                .map(|cluster| Place::postgres(cluster.fresh_database())),
        ]
        .into_iter()
        .flatten()
    };
    if wanted("doors") {
        println!(
            "| database | request | requests a second | to /healthz | median, ms | 99th percentile, ms |"
        );
        println!("| --- | --- | ---: | ---: | ---: | ---: |");
        for place in places() {
            doors::run(place, number("--seconds", 10));
        }
    }
    if wanted("personal") {
        println!("\n| database | digest | readers | renderings | seconds | peak memory, MB |");
        println!("| --- | --- | ---: | ---: | ---: | ---: |");
        for place in places() {
            personal::run(
                place,
                number("--readers", 200_000),
                number("--choices", 1_000),
            )
            .await;
        }
    }
    if wanted("desk") {
        println!("\n| database | screen | first byte, median, ms | longest, ms |");
        println!("| --- | --- | ---: | ---: |");
        for place in places() {
            let (readers, deliveries) = (
                number("--readers", 1_000_000),
                number("--deliveries", 10_000_000),
            );
            let slow = desk::run(place, readers, deliveries).await;
            println!("| | screens over 100 ms | {slow} | |");
        }
    }
}
