//! Number of mails that are claimed ahead, by how fast they go out.

use std::time::Duration;

use tokio::time::Instant;

use super::PER_CONNECTION;

/// Mails at hand at the most at first,
const FIRST_MAX: usize = 1_000;

/// and after that.
const MAX: usize = 4_000;

/// If half the mails at hand are gone within this time, the target doubles: a claim keeps SQLite's one writer as long as half a dozen
/// group commits.
const GROW_BELOW: Duration = Duration::from_millis(50);

/// If it takes longer than this, it halves.
const SHRINK_ABOVE: Duration = Duration::from_millis(400);

/// Target for mails at hand.
#[derive(Debug, Clone)]
pub struct PrefetchWindow {
    pub(super) target: usize,
    least: usize,
    /// Time when the mails at hand last went down to half.
    low_at: Option<Instant>,
}

impl PrefetchWindow {
    pub fn new(connections: usize) -> Self {
        let least = (PER_CONNECTION * connections).min(FIRST_MAX);
        Self {
            target: least,
            least,
            low_at: None,
        }
    }

    /// Returns the target from now on; mails at hand are down to half: at least half of before, and so no fewer than are left.
    pub(super) fn adapt(&mut self, now: Instant) -> usize {
        match self.low_at.replace(now).map(|before| now - before) {
            Some(since) if since < GROW_BELOW => self.target = (self.target * 2).min(MAX),
            Some(since) if since > SHRINK_ABOVE => self.target = (self.target / 2).max(self.least),
            _ => {}
        }
        self.target
    }
}
