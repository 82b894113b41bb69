//! Connections to PostgreSQL of which no call, no rollback and no return to the pool outlasts a limit.
//!
//! sqlx 0.9 waits for an answer as long as the kernel does, and sets no keepalive: a server that vanishes without a reset (a host without
//! power, a firewall that drops packets) holds a statement for a quarter of an hour, or for ever once the request was acknowledged; the
//! ping of a connection that goes back to the pool waits as long, and keeps its place in the pool meanwhile. So each call has a limit
//! here. A connection that exceeds it, that answers as a demoted or a stopping server does, or whose caller left half-way is closed and
//! never pooled again; and since the others lead to the same server, those that are older than the trouble are closed too.

mod ready_connection;

use std::time::Duration;
use std::time::Instant;

use sqlx::AssertSqlSafe;
use sqlx::PgConnection;
use sqlx::Postgres;
use sqlx::SqlSafeStr;
use sqlx::pool::PoolConnection;
use tokio::time::error::Elapsed;
use tokio::time::timeout;

pub(super) use self::ready_connection::FRESH;
pub(super) use self::ready_connection::ReadyConnection;
use self::ready_connection::SpareConnection;
use super::server_health::ServerHealth;

/// A connection of the pool.
#[derive(Debug)]
pub(super) struct BoundedConnection {
    /// None only while it is dropped.
    connection: Option<PoolConnection<Postgres>>,
    /// Place that it goes to when it is dropped.
    ready: ReadyConnection,
    health: ServerHealth,
    limit: Duration,
    /// Time when it was asked for.
    acquired: Instant,
    is_in_call: bool,
    is_broken: bool,
    is_in_transaction: bool,
}

impl BoundedConnection {
    /// A connection that was asked for at `asked`.
    pub(super) fn new(
        connection: PoolConnection<Postgres>,
        asked: Instant,
        ready: ReadyConnection,
        health: ServerHealth,
    ) -> Self {
        Self {
            connection: Some(connection),
            ready,
            limit: health.limits().call,
            health,
            acquired: asked,
            is_in_call: false,
            is_broken: false,
            is_in_transaction: false,
        }
    }

    /// Begins a transaction by `text`; dropped without [`BoundedConnection::commit`], it is rolled back.
    pub(super) async fn begin(mut self, text: impl SqlSafeStr) -> sqlx::Result<Self> {
        self.is_in_transaction = true;
        self.simple(text).await?;
        Ok(self)
    }

    pub(super) async fn commit(mut self) -> sqlx::Result<()> {
        self.simple("commit").await?;
        self.is_in_transaction = false;
        Ok(())
    }

    /// Begins a transaction, unless one is begun, whose calls may last as long as a report over millions of rows needs.
    pub(super) async fn begin_report(mut self) -> sqlx::Result<Self> {
        if !self.is_in_transaction {
            self = self.begin("begin").await?;
        }
        let limits = self.health.limits();
        self.simple(AssertSqlSafe(limits.for_report())).await?;
        self.limit = limits.of_report().call;
        Ok(self)
    }

    /// Returns whether it may be used once more: no trouble was met, with this connection or another, since it was acquired.
    pub(super) fn is_good(&self) -> bool {
        !self.is_broken && !self.is_in_call && self.health.may_reuse(self.acquired.elapsed())
    }

    /// Opens a call: whoever leaves before [`BoundedConnection::end_call`] leaves the connection to be closed.
    pub(super) fn begin_call(&mut self) -> Duration {
        self.is_in_call = true;
        self.limit
    }

    /// The connection, for a call that was opened.
    pub(super) fn raw(&mut self) -> &mut PgConnection {
        // A value is taken out by `drop` alone.
        #[allow(clippy::expect_used)]
        self.connection.as_deref_mut().expect("a connection")
    }

    /// Closes a call with what came of it. A limit that was exceeded is an error of the connection (`TimedOut`).
    pub(super) fn end_call<T>(
        &mut self,
        done: Result<sqlx::Result<T>, Elapsed>,
    ) -> sqlx::Result<T> {
        self.is_in_call = false;
        let done = done.unwrap_or_else(|_| {
            let words = format!(
                "the database server did not answer within {}",
                humantime::format_duration(self.limit)
            );
            Err(sqlx::Error::Io(std::io::Error::new(
                std::io::ErrorKind::TimedOut,
                words,
            )))
        });
        if let Err(error) = &done
            && is_connection_lost(error)
        {
            self.is_broken = true;
            self.health.invalidate();
        }
        done
    }

    async fn simple(&mut self, text: impl SqlSafeStr) -> sqlx::Result<()> {
        call!(self, c => sqlx::raw_sql(text).execute(c).await).map(|_| ())
    }
}

/// Returns whether an error says that this server, or the way to it, is of no use any more: lost, stopping (57P01 to 57P03), its
/// database dropped (57P04), or read-only, as a primary is that was demoted (25006; PostgreSQL, appendix A).
pub(super) fn is_connection_lost(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) => true,
        sqlx::Error::Database(error) => {
            matches!(
                error.code().as_deref(),
                Some("25006" | "25P03" | "57P01" | "57P02" | "57P03" | "57P04" | "57P05")
            )
        }
        _ => false,
    }
}

impl Drop for BoundedConnection {
    fn drop(&mut self) {
        let Some(mut connection) = self.connection.take() else {
            return;
        };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        if !self.is_good() {
            // Closed in the background; sqlx gives that five seconds, and then drops the socket.
            connection.close_on_drop();
            return;
        }
        let (ready, health, acquired) = (self.ready.clone(), self.health.clone(), self.acquired);
        let spare = move |connection| SpareConnection {
            connection,
            acquired,
            released: Instant::now(),
        };
        if !self.is_in_transaction {
            return ready.release(spare(connection), health);
        }
        runtime.spawn(async move {
            let ended = timeout(
                health.limits().call,
                sqlx::raw_sql("rollback").execute(&mut *connection),
            );
            if matches!(ended.await, Ok(Ok(_))) {
                ready.release(spare(connection), health);
            } else {
                connection.close_on_drop();
            }
        });
    }
}
