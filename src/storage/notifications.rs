//! Nudges: on PostgreSQL, whoever puts mail into the ledger tells all processes that share it.
//!
//! A courtesy that saves the wait until the next look. Nothing is lost with a nudge: whoever sends looks by itself, too.

use std::time::Duration;

use sqlx::postgres::PgListener;
use sqlx::postgres::PgPoolOptions;

use crate::storage::Pools;
use crate::storage::Storage;
use crate::storage::StorageError;
use crate::storage::Tx;

const CHANNEL: &str = "verdicts_mail";
/// Time that a connection is waited for: who cannot hear should say so soon.
const LONGEST_WAIT: Duration = Duration::from_secs(3);

/// A connection that was silent for so long is asked whether the server is still there.
const SILENCE_MAX: Duration = Duration::from_secs(10);

/// Hears the nudges of all processes, over a connection of its own.
pub struct Notifications(PgListener);

impl Storage {
    /// Listens from now on. `None` on SQLite, whose processes share no bell.
    pub async fn listen(&self) -> Result<Option<Notifications>, StorageError> {
        let options = match &self.pools {
            Pools::Sqlite { .. } => return Ok(None),
            Pools::Postgres { server, .. } => server.options(),
            // A pooler in transaction mode takes `listen` without a word, and nobody hears anything.
            Pools::Pooled(pooled) => pooled.direct.primary().await?.into(),
        };
        // Not out of the pool of all others: it is held for good.
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .max_lifetime(None)
            .idle_timeout(None)
            .acquire_timeout(LONGEST_WAIT);
        let pool = pool.connect_with(options.as_ref().clone()).await?;
        let mut listener = PgListener::connect_with(&pool).await?;
        tokio::time::timeout(LONGEST_WAIT, listener.listen(CHANNEL))
            .await
            .map_err(|_| silent())??;
        Ok(Some(Notifications(listener)))
    }
}

impl Notifications {
    /// Waits for the next one. A connection that was lost and made anew counts as one: something may have been missed.
    ///
    /// # Errors
    /// When the connection is lost and cannot be made anew, or the server does not answer.
    pub async fn next(&mut self) -> Result<(), StorageError> {
        loop {
            match tokio::time::timeout(SILENCE_MAX, self.0.try_recv()).await {
                Ok(heard) => return Ok(heard.map(drop)?),
                // A server that vanished without a reset would be listened to for ever.
                Err(_) => {
                    let answered = tokio::time::timeout(
                        LONGEST_WAIT,
                        sqlx::raw_sql("select 1").execute(&mut self.0),
                    )
                    .await;
                    answered.map_err(|_| silent())??;
                }
            }
        }
    }
}

fn silent() -> sqlx::Error {
    sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())
}

/// Tells all processes, once the transaction is committed, that mail may be due.
pub(super) async fn notify(tx: &mut Tx) -> Result<(), StorageError> {
    if tx.is_postgres() {
        execute!(tx, "select pg_notify($1, '')", CHANNEL)?;
    }
    Ok(())
}
