//! `mail.rate_per_second`: an even pace over all connections of a process.

use std::num::NonZeroU32;

use governor::DefaultDirectRateLimiter;
use governor::Quota;
use tokio::sync::Mutex;

/// Lets one message through at a time, in the order in which they came: of all that wait on the limiter itself any may be next, and
/// one that has bad luck, a confirmation mail, waits for ever.
pub(crate) struct Pace(Option<Mutex<DefaultDirectRateLimiter>>);

impl Pace {
    /// So many messages a second; 0: as they come. No bursts: a relay that limits by the second counts those.
    pub fn new(per_second: u32) -> Self {
        let quota = NonZeroU32::new(per_second).map(|rate| Quota::per_second(rate).allow_burst(NonZeroU32::MIN));
        Self(quota.map(|quota| Mutex::new(DefaultDirectRateLimiter::direct(quota))))
    }

    /// Whether there is anything to wait for.
    pub fn is_limited(&self) -> bool {
        self.0.is_some()
    }

    /// Until the next message may go.
    pub async fn wait(&self) {
        if let Some(limiter) = &self.0 {
            limiter.lock().await.until_ready().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::Mutex;

    use super::*;

    #[tokio::test]
    async fn who_has_waited_longest_is_next() {
        const WORKERS: usize = 10;
        let (pace, passed) = (Arc::new(Pace::new(1_000)), Arc::new(Mutex::new(Vec::new())));
        let mut workers = tokio::task::JoinSet::new();
        for worker in 0..WORKERS {
            let (pace, passed) = (pace.clone(), passed.clone());
            workers.spawn(async move {
                for _ in 0..20 {
                    pace.wait().await;
                    passed.lock().expect("unpoisoned").push(worker);
                }
            });
        }
        workers.join_all().await;
        let passed = passed.lock().expect("unpoisoned");
        for worker in 0..WORKERS {
            let places: Vec<usize> = (0..passed.len()).filter(|at| passed[*at] == worker).collect();
            assert!(places.windows(2).all(|pair| pair[1] - pair[0] <= WORKERS), "{worker} waited longer than all others: {passed:?}");
        }
    }
}
