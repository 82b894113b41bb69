//! Trials: the compiled program sends while everything around it fails, and loses nobody.
//!
//! `crash_runs` strikes one machine with seeded troubles on both databases; `machines` lets several processes share one
//! PostgreSQL, kills one and freezes another, and `pgbouncer` puts a pooler between them. They drive the program only as its owner does, by its commands and settings,
//! and judge it by what arrived at the relay and by `digest audit`. docs/reliability.md says how to run all of it.

#![allow(
    unreachable_pub,
    reason = "the modules of a test program have no other readers"
)]

mod crash_runs;
mod field;
mod judge;
mod machines;
mod pgbouncer;
mod plan;
mod senders;
mod support;
mod trouble;
