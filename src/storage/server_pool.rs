//! Connections to the PostgreSQL server that is used now, of which there may be several to choose from.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use sqlx::Connection;
use sqlx::PgConnection;
use sqlx::PgPool;
use sqlx::Row;
use sqlx::postgres::PgConnectOptions;
use sqlx::postgres::PgPoolOptions;
use tokio::time::timeout;

use super::StorageError;
use super::bounded::BoundedConnection;
use super::bounded::FRESH;
use super::bounded::ReadyConnection;
use super::bounded::is_connection_lost;
use super::hosts::CONNECT_MAX;
use super::hosts::Hosts;
use super::hosts::bounded;
use super::hosts::set_up;
use super::server_health::ServerHealth;

/// Lower bound on the same once the pool is open, where it is as long as a call.
const ACQUIRE_MIN: Duration = Duration::from_secs(5);
/// Upper bound on that question: a connection that does not answer it is closed, and another one made.
const PING_MAX: Duration = Duration::from_secs(2);
/// A connection that is waited for longer may lead to a host that is not the primary any more.
const LOOK_BESIDE: Duration = Duration::from_secs(2);
/// Upper bound on the end of all connections.
const CLOSE_MAX: Duration = Duration::from_secs(5);

/// The pool of one server.
#[derive(Debug, Clone)]
pub(super) struct ServerPool {
    pool: PgPool,
    ready: ReadyConnection,
    hosts: Hosts,
    health: ServerHealth,
}

impl ServerPool {
    /// Opens a pool to the primary among `hosts`.
    pub(super) async fn open(
        hosts: Hosts,
        connections: u32,
        health: ServerHealth,
    ) -> Result<Self, StorageError> {
        let options = hosts.primary().await?;
        // One connection first: it says at once why there is none, where the pool would try until its time is over and not say it.
        let encoding = bounded(encoding(&options)).await?;
        if encoding != "UTF8" {
            return Err(StorageError::Encoding(encoding));
        }
        let (made, reused, kind) = (health.clone(), health.clone(), hosts.kind());
        let pool = PgPoolOptions::new()
            .max_connections(connections.max(2))
            .acquire_timeout(acquire_max(&health))
            .test_before_acquire(false)
            // A standby answers what reads, and would be found out by the first write alone. Not refused here, where sqlx would try again
            // until its time is over and then not say why.
            .after_connect(move |connection, _| {
                let health = made.clone();
                Box::pin(async move {
                    health.note_role(set_up(connection, kind).await?);
                    Ok(())
                })
            })
            .before_acquire(move |connection, state| {
                let health = reused.clone();
                Box::pin(async move {
                    let is_fresh = state.idle_for < FRESH;
                    let is_good = is_fresh
                        || matches!(timeout(PING_MAX, connection.ping()).await, Ok(Ok(())));
                    if !is_good {
                        health.suspect();
                    }
                    Ok(is_good && health.may_reuse(state.age))
                })
            });
        Ok(Self {
            pool: pool.connect_lazy_with(options),
            ready: ReadyConnection::default(),
            hosts,
            health,
        })
    }

    /// A connection to the primary, or to the server that answers where none is.
    pub(super) async fn acquire(&self) -> sqlx::Result<BoundedConnection> {
        let acquired = timeout(acquire_max(&self.health), self.look_and_acquire())
            .await
            .unwrap_or(Err(sqlx::Error::PoolTimedOut));
        if let Err(error) = &acquired
            && (is_connection_lost(error) || matches!(error, sqlx::Error::PoolTimedOut))
        {
            self.health.suspect();
        }
        acquired
    }

    async fn look_and_acquire(&self) -> sqlx::Result<BoundedConnection> {
        self.hosts.lead(&self.pool, &self.health).await?;
        let lent = |connection, asked| {
            BoundedConnection::new(connection, asked, self.ready.clone(), self.health.clone())
        };
        let _at_pool = match self.ready.take(&self.health) {
            Ok(spare) => return Ok(lent(spare.connection, spare.acquired)),
            Err(at_pool) => at_pool,
        };
        let asked = std::time::Instant::now();
        let mut acquiring = pin!(self.pool.acquire());
        let connection = loop {
            tokio::select! {
                acquired = &mut acquiring => break acquired?,
                () = tokio::time::sleep(LOOK_BESIDE), if self.hosts.are_several() => {
                    self.health.suspect();
                    self.hosts.lead(&self.pool, &self.health).await?;
                }
            }
        };
        Ok(lent(connection, asked))
    }

    /// Returns how the server that is used now is connected to.
    pub(super) fn options(&self) -> Arc<PgConnectOptions> {
        self.pool.connect_options()
    }

    /// Closes all connections. One that a server holds up is left to the end of the process.
    pub(super) async fn close(&self) {
        self.ready.close();
        let _ = timeout(CLOSE_MAX, self.pool.close()).await;
    }
}

/// Upper bound on the wait for a connection of an open pool.
fn acquire_max(health: &ServerHealth) -> Duration {
    health.limits().call.clamp(ACQUIRE_MIN, CONNECT_MAX)
}

async fn encoding(options: &PgConnectOptions) -> sqlx::Result<String> {
    let mut connection = PgConnection::connect_with(options).await?;
    // By the simple protocol: behind a pooler the halves of a prepared query could meet two servers.
    let encoding = sqlx::raw_sql("show server_encoding")
        .fetch_one(&mut connection)
        .await?
        .try_get(0)?;
    connection.close().await?;
    Ok(encoding)
}
