//! The house as a test enters it: by the real door, with the far end faked.
//!
//! A test is written once and runs on both databases (`on_both!`); `House` is the service in this process with a clock that
//! can be moved, `Program` the compiled program as its user starts it, `SmtpSink` the relay at the far end.

#![allow(dead_code, reason = "each test uses its part")]

pub mod catalogue;
pub mod desk;
pub mod dns;
pub mod house;
pub mod place;
pub mod postgres;
pub mod program;
pub mod rude_relay;
pub mod smtp_sink;
pub mod wire;

use verdicts::domain::slot::Slot;
use verdicts::domain::zone::Zone;

pub use house::House;
pub use place::Place;
pub use program::Program;
pub use smtp_sink::Behaviour;
pub use smtp_sink::Received;
pub use smtp_sink::Script;
pub use smtp_sink::SmtpSink;
pub use wire::Wire;

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

/// Does something to the database behind the program's back.
pub async fn behind_its_back(place: &Place, sql: &'static str) {
    if place.is_postgres() {
        let pool = sqlx::PgPool::connect(&place.database_url)
            .await
            .expect("a connection");
        sqlx::raw_sql(sql).execute(&pool).await.expect("done");
    } else {
        let pool = sqlx::SqlitePool::connect(&place.database_url)
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
    pub async fn of(place: &Place) -> Self {
        if place.is_postgres() {
            let pool = sqlx::PgPool::connect(&place.database_url)
                .await
                .expect("a connection");
            let mut tx = pool.begin().await.expect("begun");
            sqlx::raw_sql("lock table deliveries in exclusive mode")
                .execute(&mut *tx)
                .await
                .expect("locked");
            Self::Postgres(tx)
        } else {
            let pool = sqlx::SqlitePool::connect(&place.database_url)
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
