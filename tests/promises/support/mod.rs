//! The service as a test enters it: by the real door, with the far end faked.
//!
//! A test is written once and runs on both databases (`on_both!`); `TestApp` is the service in this process with a clock that
//! can be moved, `Program` the compiled program as its user starts it, `SmtpSink` the relay at the far end.

#![allow(dead_code, reason = "each test uses its part")]

pub mod api;
pub mod authenticator;
pub mod catalogue;
pub mod content_host;
pub mod desk;
pub mod dns;
pub mod hook_sink;
pub mod postgres;
pub mod program;
pub mod provider;
pub mod rude_relay;
pub mod smtp_sink;
pub mod test_app;
pub mod test_db;
pub mod wire;

use verdicts::domain::slot::Slot;
use verdicts::domain::zone::Zone;

pub use program::Program;
pub use smtp_sink::Behaviour;
pub use smtp_sink::Received;
pub use smtp_sink::Script;
pub use smtp_sink::SmtpSink;
pub use test_app::TestApp;
pub use test_db::TestDb;
pub use wire::Wire;

/// Runs a test on both databases: `on_both! { async fn name(place) { ... } }`.
macro_rules! on_both {
    ($(async fn $name:ident($test_db:ident) $body:block)+) => {
        $(mod $name {
            #[allow(unused_imports)]
            use super::*;

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_sqlite() {
                promise($crate::support::TestDb::sqlite()).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_postgres() {
                if let Some(test_db) = $crate::support::TestDb::postgres() {
                    promise(test_db).await;
                }
            }

            async fn promise($test_db: $crate::support::TestDb) $body
        })+
    };
}
pub(crate) use on_both;

/// Does something to the database behind the program's back.
pub async fn run_raw_sql(test_db: &TestDb, sql: &'static str) {
    if test_db.is_postgres() {
        let pool = sqlx::PgPool::connect(&test_db.database_url)
            .await
            .expect("a connection");
        sqlx::raw_sql(sql).execute(&pool).await.expect("done");
    } else {
        let pool = sqlx::SqlitePool::connect(&test_db.database_url)
            .await
            .expect("a connection");
        sqlx::raw_sql(sql).execute(&pool).await.expect("done");
    }
}

/// The ledger, which nobody else can write until this is dropped.
pub enum HeldLedger {
    Sqlite(sqlx::Transaction<'static, sqlx::Sqlite>),
    Postgres(sqlx::Transaction<'static, sqlx::Postgres>),
}

impl HeldLedger {
    pub async fn of(test_db: &TestDb) -> Self {
        if test_db.is_postgres() {
            let pool = sqlx::PgPool::connect(&test_db.database_url)
                .await
                .expect("a connection");
            let mut tx = pool.begin().await.expect("begun");
            sqlx::raw_sql("lock table deliveries in exclusive mode")
                .execute(&mut *tx)
                .await
                .expect("locked");
            Self::Postgres(tx)
        } else {
            let pool = sqlx::SqlitePool::connect(&test_db.database_url)
                .await
                .expect("a connection");
            Self::Sqlite(pool.begin_with("begin immediate").await.expect("locked"))
        }
    }

    /// How many deliveries are written down as sent.
    pub async fn sent(&mut self) -> usize {
        let sql = "select count(*) from deliveries where state = 'sent'";
        let count: i64 = match self {
            Self::Sqlite(tx) => sqlx::query_scalar(sql)
                .fetch_one(&mut **tx)
                .await
                .expect("a count"),
            Self::Postgres(tx) => sqlx::query_scalar(sql)
                .fetch_one(&mut **tx)
                .await
                .expect("a count"),
        };
        count as usize
    }
}

/// The present week by the machine's clock, as the program has it.
pub fn this_week() -> String {
    Slot::of(verdicts::app::Clock::system().now(), &Zone::utc()).to_string()
}

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
