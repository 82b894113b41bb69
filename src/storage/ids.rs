//! Numbers for rows, made here so that no database has to be asked.

use std::sync::atomic::AtomicI64;
use std::sync::atomic::Ordering::Relaxed;

use crate::domain::Timestamp;

const SINCE_2020: i64 = 1_577_836_800_000;

/// A number that no other row has: 41 bits of milliseconds since 2020, then 22 bits that start at random and count up.
///
/// Rising with time keeps the ends of indexes warm; random in part keeps two processes apart without a shared counter,
/// whose lock a long publish would hold. Two processes meet only if both make a row within the same millisecond and one
/// of four million numbers; the insert then fails as a whole and nothing is half done.
pub fn fresh(now: Timestamp) -> i64 {
    static LAST: AtomicI64 = AtomicI64::new(0);
    let millis = (now.timestamp_millis() - SINCE_2020).clamp(1, 1 << 41);
    let candidate = (millis << 22) | i64::from(rand::random_range(0u32..1 << 21));
    // Never the same twice, nor smaller, in this process, even when the clock steps back.
    let previous = LAST
        .fetch_update(Relaxed, Relaxed, |last| Some(candidate.max(last + 1)))
        .unwrap_or_default();
    candidate.max(previous + 1)
}

/// The smallest number of a row that was made at a time: all smaller ones are of rows that were made before it.
pub fn first_of(time: Timestamp) -> i64 {
    (time.timestamp_millis() - SINCE_2020).clamp(1, 1 << 41) << 22
}

#[cfg(test)]
mod tests {
    #[test]
    fn numbers_rise_and_leave_room_for_digests_below() {
        let now = "2026-11-22T10:00:00Z".parse().expect("a moment");
        let ids: Vec<i64> = (0..10_000).map(|_| super::fresh(now)).collect();
        assert!(ids.is_sorted_by(|a, b| a < b) && ids[0] > 999_953);
    }
}
