//! `[picker]`: how comparisons are chosen.

use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;

use super::ConfigError;
use super::days;
use super::fault;
use super::within;

/// `[picker]`
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PickerSettings {
    /// Most comparisons in a digest.
    pub max_items: usize,
    /// With fewer the slot is skipped.
    pub min_items: usize,
    /// Age up to which a comparison that was never sent is still news.
    #[serde(with = "humantime_serde")]
    pub look_back: Duration,
    /// Upper bound on the points, of a comparison's 100, that readers' votes give.
    pub votes_weight: u32,
}

impl Default for PickerSettings {
    fn default() -> Self {
        Self {
            max_items: 5,
            min_items: 1,
            look_back: days(28),
            votes_weight: 20,
        }
    }
}

impl PickerSettings {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        if !(1..=20).contains(&self.max_items) || self.min_items > self.max_items {
            return fault(
                "picker.max_items, picker.min_items",
                "expected 1 to 20, and min_items not above max_items",
            );
        }
        if self.votes_weight > 60 {
            return fault(
                "picker.votes_weight",
                "expected 0 (votes do not count) to 60, out of 100 points",
            );
        }
        within("picker.look_back", self.look_back, Duration::from_secs(1))
    }
}
