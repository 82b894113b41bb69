//! What the browser's tests share with the promises.

#![allow(dead_code, unused_imports, reason = "these tests use part of it")]

#[path = "../promises/support/place.rs"]
pub mod place;
#[path = "../promises/support/postgres/mod.rs"]
pub mod postgres;
#[path = "../promises/support/program.rs"]
pub mod program;

pub use place::Place;
pub use program::Program;
pub use program::Running;
