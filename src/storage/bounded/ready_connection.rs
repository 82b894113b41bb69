//! The connection to PostgreSQL that was used last, ready for whoever is next.
//!
//! sqlx 0.9 asks a connection that comes back whether it still lives, and lends it to nobody meanwhile. Calls that follow one another
//! would therefore open one connection after the other until the pool is full, 5 ms each (a process of the server, with empty caches,
//! and each statement prepared anew), and cost a trip more each. So one connection waits here instead, as it is, for a second at most.
//!
//! It is lent to nobody who waits at the pool: while somebody does, a connection goes back there.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;
use std::time::Instant;

use sqlx::Postgres;
use sqlx::pool::PoolConnection;
use tokio::runtime::Handle;
use tokio::time::timeout;

use crate::storage::server_health::ServerHealth;

/// A connection that lay idle longer is asked whether it still lives before it is used again; a round trip each time would
/// halve what one can do.
pub(in crate::storage) const FRESH: Duration = Duration::from_secs(1);
/// One that was acquired so long ago goes back to the pool, which renews those that are old.
const LENT_MAX: Duration = Duration::from_secs(60);

/// Room for one connection of a pool.
#[derive(Debug, Clone, Default)]
pub(in crate::storage) struct ReadyConnection(Arc<Mutex<Room>>);

#[derive(Debug, Default)]
struct Room {
    spare: Option<SpareConnection>,
    /// Callers at the pool.
    waiting: usize,
    /// True while a task looks whether the connection lies here for too long.
    is_watched: bool,
    is_closed: bool,
}

/// A connection between two calls.
#[derive(Debug)]
pub(in crate::storage) struct SpareConnection {
    pub connection: PoolConnection<Postgres>,
    /// Time when the pool was asked for it.
    pub acquired: Instant,
    pub released: Instant,
}

/// A caller at the pool.
pub(in crate::storage) struct AtPool(ReadyConnection);

impl ReadyConnection {
    /// Returns the connection, or leave to ask the pool for one.
    pub(in crate::storage) fn take(
        &self,
        health: &ServerHealth,
    ) -> Result<SpareConnection, AtPool> {
        let mut room = self.room();
        let stale = match room.spare.take() {
            Some(spare) if spare.is_fresh() && health.may_reuse(spare.acquired.elapsed()) => {
                return Ok(spare);
            }
            stale => stale,
        };
        room.waiting += 1;
        drop(room);
        if let Some(spare) = stale {
            spare.give_back_later(health.clone());
        }
        Err(AtPool(self.clone()))
    }

    /// Keeps a connection, or gives it back to the pool: where there is another, somebody waits at the pool, or it was lent for long.
    pub(in crate::storage) fn release(&self, spare: SpareConnection, health: ServerHealth) {
        let mut room = self.room();
        let is_full = room.spare.is_some() || room.waiting > 0 || room.is_closed;
        if is_full || spare.acquired.elapsed() >= LENT_MAX {
            drop(room);
            return spare.give_back_later(health);
        }
        room.spare = Some(spare);
        if !std::mem::replace(&mut room.is_watched, true) {
            tokio::spawn(self.clone().watch(health));
        }
    }

    /// Gives the connection back to the pool once it lay here for [`FRESH`].
    async fn watch(self, health: ServerHealth) {
        let stale = loop {
            tokio::time::sleep(FRESH).await;
            let mut room = self.room();
            if room.spare.as_ref().is_some_and(SpareConnection::is_fresh) {
                continue;
            }
            room.is_watched = false;
            break room.spare.take();
        };
        if let Some(spare) = stale {
            spare.give_back(&health).await;
        }
    }

    /// Keeps nothing any more.
    pub(in crate::storage) fn close(&self) {
        let mut room = self.room();
        room.is_closed = true;
        let spare = room.spare.take();
        drop(room);
        drop(spare);
    }

    fn room(&self) -> MutexGuard<'_, Room> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for AtPool {
    fn drop(&mut self) {
        self.0.room().waiting -= 1;
    }
}

impl Drop for Room {
    /// Closes the connection where no runtime is left to give it back to its pool.
    fn drop(&mut self) {
        if let Some(spare) = self.spare.take().filter(|_| Handle::try_current().is_err()) {
            drop(spare.connection.detach());
        }
    }
}

impl SpareConnection {
    fn is_fresh(&self) -> bool {
        self.released.elapsed() < FRESH
    }

    fn give_back_later(self, health: ServerHealth) {
        tokio::spawn(async move { self.give_back(&health).await });
    }

    /// As sqlx does by itself when a connection is dropped, but with a limit: it pings first. Dropped, it closes the socket.
    async fn give_back(mut self, health: &ServerHealth) {
        if !health.may_reuse(self.acquired.elapsed()) {
            // Closed in the background; sqlx gives that five seconds, and then drops the socket.
            return self.connection.close_on_drop();
        }
        let returned = timeout(health.limits().call, self.connection.return_to_pool());
        if returned.await.is_err() {
            health.invalidate();
        }
    }
}
