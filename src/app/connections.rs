//! Connections of a door: who has a place, and the closing of those that lose theirs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::domain::places::Admission;
use crate::domain::places::Phase;
use crate::domain::places::PlaceId;
use crate::domain::places::PlaceLimits;
use crate::domain::places::Places;

/// Pause until a newcomer that found no place asks again.
const AGAIN: Duration = Duration::from_millis(50);

/// The connections of one door, each of a client `C`.
#[derive(Debug)]
pub struct Connections<C> {
    state: Mutex<ConnectionCounts<C>>,
    began: Instant,
}

#[derive(Debug)]
struct ConnectionCounts<C> {
    places: Places<C>,
    open: BTreeMap<PlaceId, CancellationToken>,
}

impl<C: Ord + Copy> Connections<C> {
    /// None yet.
    pub fn new(limits: PlaceLimits) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(ConnectionCounts {
                places: Places::new(limits),
                open: BTreeMap::new(),
            }),
            began: Instant::now(),
        })
    }

    /// Gives a newcomer a place, and closes the connection that has to make room for it; `None` when all are at work. A client of
    /// `None` stands for many and has no limit of its own.
    pub fn try_admit(self: &Arc<Self>, client: Option<C>) -> Option<ConnectionPermit<C>> {
        let mut state = self.lock();
        let (id, victim) = match state.places.admit(client, self.now_ms()) {
            Admission::Admitted(id) => (id, None),
            Admission::InPlaceOf(id, victim) => (id, Some(victim)),
            Admission::Full => return None,
        };
        if let Some(closed) = victim.and_then(|victim| state.open.remove(&victim)) {
            closed.cancel();
        }
        let closed = CancellationToken::new();
        state.open.insert(id, closed.clone());
        drop(state);
        Some(ConnectionPermit {
            connections: self.clone(),
            id,
            closed,
        })
    }

    /// Gives a newcomer a place as soon as there is one.
    pub async fn admit(self: &Arc<Self>, client: Option<C>) -> ConnectionPermit<C> {
        loop {
            match self.try_admit(client) {
                Some(seat) => return seat,
                None => tokio::time::sleep(AGAIN).await,
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, ConnectionCounts<C>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// A connection's place; dropped, it is free.
#[derive(Debug)]
pub struct ConnectionPermit<C: Ord + Copy> {
    connections: Arc<Connections<C>>,
    id: PlaceId,
    closed: CancellationToken,
}

impl<C: Ord + Copy> ConnectionPermit<C> {
    /// Notes what the connection is at from now on.
    pub fn enter(&self, phase: Phase) {
        let now_ms = self.connections.now_ms();
        self.connections
            .lock()
            .places
            .enter_phase(self.id, phase, now_ms);
    }

    /// Waits until the place is given to somebody else.
    pub async fn lost(&self) {
        self.closed.cancelled().await;
    }
}

impl<C: Ord + Copy> Drop for ConnectionPermit<C> {
    fn drop(&mut self) {
        let mut state = self.connections.lock();
        state.places.leave(self.id);
        state.open.remove(&self.id);
    }
}
