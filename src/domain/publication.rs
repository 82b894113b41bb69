//! Publication of a tool or a comparison: live, scheduled, or a draft without a date.

use super::Timestamp;
use super::from_millis;

/// Time that stands for "no date yet": the last second that a catalogue document can name. Whatever asks for things that were published
/// by now leaves a draft out without a condition of its own, so that no page, pick or feed can forget one.
const DRAFT_MILLIS: i64 = 253_402_300_799_000;

super::named! {
    /// State of a tool or a comparison on the site.
    PublicationState {
        /// On the site.
        Live => "live",
        /// Comes onto the site at its date.
        Scheduled => "scheduled",
        /// Not on the site, and without a date.
        Draft => "draft",
    }
}

/// The date of publication that a draft has.
pub fn draft_date() -> Timestamp {
    from_millis(DRAFT_MILLIS)
}

/// Returns true if that date of publication is a draft's.
pub fn is_draft(published_at: Timestamp) -> bool {
    published_at.timestamp_millis() >= DRAFT_MILLIS
}

impl PublicationState {
    /// State at `now` of what has that date of publication.
    pub fn at(published_at: Timestamp, now: Timestamp) -> Self {
        if published_at <= now {
            Self::Live
        } else if is_draft(published_at) {
            Self::Draft
        } else {
            Self::Scheduled
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draft_is_never_live_whatever_the_clock_says() {
        let now = from_millis(1_800_000_000_000);
        let later = now + chrono::TimeDelta::days(1);
        let state = |at| PublicationState::at(at, now);
        assert_eq!(state(now), PublicationState::Live);
        assert_eq!(state(later), PublicationState::Scheduled);
        assert_eq!(state(draft_date()), PublicationState::Draft);
        assert!(is_draft(draft_date()) && !is_draft(later));
    }
}
