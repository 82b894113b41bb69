//! The house as a test enters it: by the real door, with the far end faked.
//!
//! A test is written once and runs on both databases (`on_both!`); `House` is the service in this process with a clock that
//! can be moved, `Program` the compiled program as its user starts it, `SmtpSink` the relay at the far end.

#![allow(dead_code, reason = "each test uses its part")]

pub mod catalogue;
pub mod house;
pub mod postgres;
pub mod program;
pub mod smtp_sink;

pub use house::House;
pub use program::Program;
pub use smtp_sink::Behaviour;
pub use smtp_sink::Script;
pub use smtp_sink::SmtpSink;

/// Where a test keeps its data: a folder of its own, and a database of its own.
pub struct Place {
    pub dir: tempfile::TempDir,
    pub database_url: String,
}

impl Place {
    /// A new SQLite file.
    pub fn sqlite() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let database_url = format!("sqlite:{}/verdicts.db", dir.path().display());
        Self { dir, database_url }
    }

    /// A new database in the private PostgreSQL cluster; `None` where there are no server programs, which is said once.
    pub fn postgres() -> Option<Self> {
        let database_url = postgres::cluster()?.fresh_database();
        Some(Self { dir: tempfile::tempdir().expect("a folder"), database_url })
    }

    pub fn is_postgres(&self) -> bool {
        self.database_url.starts_with("postgres")
    }
}

/// Runs a test on both databases: `on_both! { async fn name(place) { ... } }`.
macro_rules! on_both {
    ($(async fn $name:ident($place:ident) $body:block)+) => {
        $(mod $name {
            #[allow(unused_imports)]
            use super::*;

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_sqlite() {
                promise($crate::support::Place::sqlite()).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_postgres() {
                if let Some(place) = $crate::support::Place::postgres() {
                    promise(place).await;
                }
            }

            async fn promise($place: $crate::support::Place) $body
        })+
    };
}
pub(crate) use on_both;

/// Waits until `holds` says so, at most ten seconds.
pub async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..500 {
        if holds().await {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("waited ten seconds in vain: {what}");
}
