//! `[events]`: what the feed of events holds.

use serde::Deserialize;
use serde::Serialize;

/// `[events]`
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventSettings {
    /// True if events about single readers are kept although no endpoint takes them.
    pub keep_all: bool,
}
