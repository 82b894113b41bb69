//! One weekly issue and its life.

use serde::Deserialize;
use serde::Serialize;

use super::Timestamp;
use super::catalogue::Matchup;
use super::named;
use super::slot::Slot;

named! {
    /// `draft -> approved -> sending -> sent`; a digest may be paused while it is sent, and cancelled until it is sent.
    DigestState {
        /// Picked; waits for a person.
        Draft => "draft",
        /// Waits for its time.
        Approved => "approved",
        /// Published: its deliveries exist and go out.
        Sending => "sending",
        /// Published; its deliveries wait until it is resumed.
        Paused => "paused",
        /// Every delivery is final.
        Sent => "sent",
        /// There was nothing new that week; nobody gets mail.
        Skipped => "skipped",
        /// Given up by hand; deliveries not made yet never will be.
        Cancelled => "cancelled",
    }
}

/// A digest without its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digest {
    /// `slot.id()`.
    pub slot: Slot,
    /// Where it is in its life.
    pub state: DigestState,
    /// When it is due to be sent.
    pub send_at: Timestamp,
    /// When it was published, which froze it.
    pub published_at: Option<Timestamp>,
    /// When its last delivery became final.
    pub finished_at: Option<Timestamp>,
    /// For how many people deliveries were made.
    pub recipients: i64,
}

/// A picked comparison with all that is shown of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Item {
    /// What is compared.
    pub matchup: Matchup,
    /// Points of the pick.
    pub score: f64,
    /// Why it was picked, in words for a reader.
    pub reasons: Vec<String>,
}

/// What a digest says: frozen when it is published.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Content {
    /// Its week.
    pub slot: Slot,
    /// The comparisons, best first.
    pub items: Vec<Item>,
}

impl Content {
    /// Whether any of it is invented.
    pub fn is_sample(&self) -> bool {
        self.items.iter().any(|item| item.matchup.is_sample())
    }
}
