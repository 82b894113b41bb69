//! PostgreSQL's connection for steps: kept from one to the next, as long as a send run lasts.
//!
//! The pool asks a connection that comes back whether it still lives, in a trip of its own. That is well spent on a page; with
//! a thousand steps a second it is half of what the server is asked.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use crate::storage::bounded::BoundedConnection;
use crate::storage::server_pool::ServerPool;

/// Room for one connection of the pool.
#[derive(Debug, Clone, Default)]
pub(super) struct PinnedConnection(Arc<Mutex<Option<BoundedConnection>>>);

impl PinnedConnection {
    /// The one that is kept, or another of the pool. It belongs to who takes it; dropped, it goes back to the pool.
    pub async fn take(&self, server: &ServerPool) -> sqlx::Result<BoundedConnection> {
        let kept = self.room().take();
        match kept {
            Some(connection) if connection.is_good() => Ok(connection),
            _ => server.acquire().await,
        }
    }

    /// Keeps one that did well for whoever is next.
    pub fn keep(&self, connection: BoundedConnection) {
        *self.room() = Some(connection);
    }

    /// Gives the one that is kept back to the pool.
    pub fn release(&self) {
        drop(self.room().take());
    }

    fn room(&self) -> MutexGuard<'_, Option<BoundedConnection>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
