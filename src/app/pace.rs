//! `mail.rate_per_second`: an even pace over all connections of a process.

use std::num::NonZeroU32;

use governor::DefaultDirectRateLimiter;
use governor::Quota;

/// Lets one message through at a time.
pub(crate) struct Pace(Option<DefaultDirectRateLimiter>);

impl Pace {
    /// So many messages a second; 0: as they come. No bursts: a relay that limits by the second counts those.
    pub fn new(per_second: u32) -> Self {
        let quota = NonZeroU32::new(per_second).map(|rate| Quota::per_second(rate).allow_burst(NonZeroU32::MIN));
        Self(quota.map(DefaultDirectRateLimiter::direct))
    }

    /// Whether there is anything to wait for.
    pub fn is_limited(&self) -> bool {
        self.0.is_some()
    }

    /// Until the next message may go.
    pub async fn wait(&self) {
        if let Some(limiter) = &self.0 {
            limiter.until_ready().await;
        }
    }
}
