//! How fast the program delivers, against Postfix's own test programs in the same run:
//! `cargo bench --bench wire [-- PARTS] [--readers N] [--rounds N] [--seconds N] [--databases NAMES] [--bytes NS] [--connections NS]
//! [--digests N] [--program FILE]`.
//!
//! | part | measures |
//! | --- | --- |
//! | `rates` | mails a second over loopback, ledger on, against `smtp-source` |
//! | `link` | the same over one connection on a link with 20 ms delay |
//! | `signed` | processor time of a mail with two DKIM signatures, against `openssl speed rsa2048` |
//! | `lists` | publishing, memory and rate from 1,000 to 1,000,000 readers |
//! | `busy` | sign-ups and confirmation mails while a digest goes out |
//! | `troubled` | a relay that falls silent, one that is slow, dots that are answered late: what each costs the rest |
//! | `history` | what past digests cost: publishing, a bounce, pages, one reader's data |
//! | `ledger` | the ledger alone: rows a second published, claimed, recorded, and what they weigh |
//!
//! A mail's size comes of its digest: as many comparisons as bring it near 40 KB, or the one of the smallest digest there is, 16 KB.
//! A smaller one, 4 KB, is published beforehand and its stored content cut. The peers send as many bytes. Each part prints a table
//! for docs/performance.md. The program is driven from outside, by its commands and settings; the sink is Debian's `smtp-sink`
//! (package postfix), which offers PIPELINING. Peers take turns; a figure is the median of its rounds. Needs postfix, openssl, and for
//! `link` iproute2 and root; without PostgreSQL its rows are left out, and said so.

#![allow(
    unreachable_pub,
    reason = "the modules of a benchmark program have no other readers"
)]

#[path = "../../tests/promises/support/postgres/mod.rs"]
mod postgres;
#[path = "../../tests/promises/support/smtp_sink/mod.rs"]
mod smtp_sink;

mod busy;
mod history;
mod ledger;
mod link;
mod lists;
mod peers;
mod rates;
mod short;
mod signed;
mod stock;
mod troubled;
mod wanted;

use wanted::Wanted;

fn main() {
    let wanted = Wanted::from_arguments();
    peers::must_be_installed();
    println!("{}\n", peers::machine());
    let mut stock = stock::Stock::new(&wanted);
    if wanted.part("rates") {
        rates::run(&wanted, &mut stock);
    }
    if wanted.part("link") {
        link::run(&wanted, &mut stock);
    }
    if wanted.part("signed") {
        signed::run(&wanted, &mut stock);
    }
    if wanted.part("lists") {
        lists::run(&wanted, &mut stock);
    }
    if wanted.part("busy") {
        busy::run(&wanted, &mut stock);
    }
    if wanted.part("troubled") {
        troubled::run(&wanted, &mut stock);
    }
    if wanted.part("history") {
        history::run(&wanted, &mut stock);
    }
    if wanted.part("ledger") {
        ledger::run(&wanted, &mut stock);
    }
}

/// The middle one.
fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}
