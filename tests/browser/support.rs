//! What the browser's tests share with the promises.

#![allow(dead_code, unused_imports, reason = "these tests use part of it")]

#[path = "../promises/support/postgres/mod.rs"]
pub mod postgres;
#[path = "../promises/support/program.rs"]
pub mod program;
#[path = "../promises/support/test_db.rs"]
pub mod test_db;

pub use program::Program;
pub use program::Running;
pub use test_db::TestDb;
