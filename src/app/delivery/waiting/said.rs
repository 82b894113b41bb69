//! Record of what was said of a sending that waits, so that each reason is logged once and again after a while.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::PoisonError;

use crate::domain::Timestamp;
use crate::domain::slot::Slot;

/// Warnings about standstill and clock that were given, so that each is given once.
#[derive(Debug, Default)]
pub struct StallNotices(Mutex<Spoken>);

#[derive(Debug, Default)]
pub(super) struct Spoken {
    /// Number of looks in a row that found mail waiting: mail that would be sent, and that of paused digests.
    stalled: [u32; 2],
    pub(super) skew: bool,
    /// Time when the database was first found not to answer; None once it answers.
    pub(super) no_database_since: Option<Timestamp>,
    /// Weeks whose digest was missed.
    missed: BTreeSet<Slot>,
}

/// News after a look at what waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StallNews {
    Begins,
    Ends,
    Nothing,
}

/// Looks after which a stall is said: a process that has just started may find mail that waited for it.
const LOOKS: u32 = 2;

impl StallNotices {
    pub(super) fn note_stall(&self, of: usize, is_stalled: bool) -> StallNews {
        let stalled = &mut self.open().stalled[of];
        let before = *stalled;
        *stalled = if is_stalled {
            before.saturating_add(1)
        } else {
            0
        };
        match (before >= LOOKS, *stalled >= LOOKS) {
            (false, true) => StallNews::Begins,
            (true, false) => StallNews::Ends,
            _ => StallNews::Nothing,
        }
    }

    /// Returns whether a missed digest is to be said; once.
    pub fn says_of(&self, slot: Slot) -> bool {
        self.open().missed.insert(slot)
    }

    pub(super) fn open(&self) -> std::sync::MutexGuard<'_, Spoken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
