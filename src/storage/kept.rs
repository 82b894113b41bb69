//! PostgreSQL's connection for steps: kept from one to the next, as long as a round lasts.
//!
//! The pool asks a connection that comes back whether it still lives, in a trip of its own. That is well spent on a page; with
//! a thousand steps a second it is half of what the server is asked.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use sqlx::PgPool;
use sqlx::Postgres;
use sqlx::pool::PoolConnection;

/// A pool, and one of its connections that is at hand.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    pub pool: PgPool,
    at_hand: Arc<Mutex<Option<PoolConnection<Postgres>>>>,
}

impl Kept {
    pub fn of(pool: PgPool) -> Self {
        Self { pool, at_hand: Arc::default() }
    }

    /// The one at hand, or another. It belongs to who takes it; dropped, it goes back to the pool.
    pub async fn take(&self) -> sqlx::Result<PoolConnection<Postgres>> {
        let at_hand = self.slot().take();
        match at_hand {
            Some(connection) => Ok(connection),
            None => self.pool.acquire().await,
        }
    }

    /// Keeps one that did well for whoever is next.
    pub fn keep(&self, connection: PoolConnection<Postgres>) {
        *self.slot() = Some(connection);
    }

    /// Gives the one at hand back.
    pub fn release(&self) {
        drop(self.slot().take());
    }

    fn slot(&self) -> MutexGuard<'_, Option<PoolConnection<Postgres>>> {
        self.at_hand.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
