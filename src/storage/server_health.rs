//! Health of a PostgreSQL server, as its connections find it: which of them may be used once more.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use std::time::Instant;

use super::call_limits::CallLimits;

/// The limits of all calls to one server, and when its connections were last found to lead nowhere.
#[derive(Debug, Clone)]
pub(super) struct ServerHealth(Arc<SharedHealth>);

#[derive(Debug)]
struct SharedHealth {
    limits: CallLimits,
    began: Instant,
    /// Milliseconds since `began`; connections that are older are not used again.
    invalidated: AtomicU64,
    /// The same; another host may be the primary since.
    suspected: AtomicU64,
    /// True if the last new connection met a standby.
    is_standby: AtomicBool,
}

impl ServerHealth {
    pub(super) fn new(limits: CallLimits) -> Self {
        let (invalidated, suspected, is_standby) =
            (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
        Self(Arc::new(SharedHealth {
            limits,
            began: Instant::now(),
            invalidated,
            suspected,
            is_standby,
        }))
    }

    pub(super) fn limits(&self) -> CallLimits {
        self.0.limits
    }

    /// Returns whether a connection of that age was made after the last trouble.
    pub(super) fn may_reuse(&self, age: Duration) -> bool {
        let invalidated = self.0.invalidated.load(Relaxed);
        !self.0.is_standby.load(Relaxed)
            && (invalidated == 0 || self.now().saturating_sub(age.as_millis() as u64) > invalidated)
    }

    /// Notes where a new connection led. One to a standby is used once, for its answer to a write says more than a refusal here could, and
    /// with the first that meets a primary again all others are closed.
    pub(super) fn note_role(&self, is_standby: bool) {
        if self.0.is_standby.swap(is_standby, Relaxed) && !is_standby {
            self.invalidate();
        }
    }

    /// Lets no connection that exists now be used for more than what it is used for.
    pub(super) fn invalidate(&self) {
        self.0.invalidated.fetch_max(self.now(), Relaxed);
        self.suspect();
    }

    /// Notes that the server may not be the primary any more.
    pub(super) fn suspect(&self) {
        self.0.suspected.fetch_max(self.now(), Relaxed);
    }

    /// Returns whether the primary is to be looked for, where it was last looked for at `looked`.
    pub(super) fn is_suspected_since(&self, looked: u64) -> bool {
        self.0.is_standby.load(Relaxed) || self.0.suspected.load(Relaxed) > looked
    }

    /// Milliseconds since this was made.
    pub(super) fn now(&self) -> u64 {
        // Never 0, which stands for no trouble yet.
        self.0.began.elapsed().as_millis() as u64 + 1
    }
}
