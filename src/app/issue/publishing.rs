//! Publishing in ranges: after a digest is frozen its deliveries are made a range of readers at a time, by whichever process
//! looks: the one that froze it, and after a crash any that schedules or delivers. Ranges are sized by time, so that a sign-up
//! that waits for SQLite's one writer waits for a part of [`RANGE_TIME`] and not for the whole list.

use std::time::Duration;
use std::time::Instant;

use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::app::Failure;
use crate::app::pulse::WORK_MAX;

/// Target for the duration of one range's transaction on SQLite, whose one writer sign-ups wait for.
const RANGE_TIME: Duration = Duration::from_millis(25);
/// The same on PostgreSQL, where nobody waits for a range, and each range costs a dozen round trips and a flush.
const RANGE_TIME_POSTGRES: Duration = Duration::from_millis(100);
/// Readers of the first range, before its time is known.
const FIRST_RANGE: u32 = 1_000;
/// The same on PostgreSQL: some 20 ms.
const FIRST_RANGE_POSTGRES: u32 = 4_000;
/// Lower bound on a range: a commit costs as much as some hundred rows.
const RANGE_MIN: u32 = 200;
/// Interval at which a digest is looked for that another process left unfinished.
const LOOK: Duration = Duration::from_secs(1);

/// Readers of the next range, once one was made; held by the task of this process that publishes.
#[derive(Debug, Default)]
pub struct RangeSize(tokio::sync::Mutex<Option<u32>>);

impl App {
    /// Makes the deliveries that are left to make of published digests, until told to stop. Where another task of this process is
    /// at it, it is left to that one.
    pub async fn publish_ranges(&self, stop: &CancellationToken) -> Result<(), Failure> {
        let Ok(mut readers) = self.range_size.0.try_lock() else {
            return Ok(());
        };
        while !stop.is_cancelled() {
            self.pulse.go_on("schedule", WORK_MAX);
            let Some(took) = self.publish_range(&mut readers).await? else {
                break;
            };
            if !self.storage.is_postgres() {
                // Half of the time belongs to other processes: those that wait for a SQLite file look now and then, and take no turns.
                tokio::time::sleep(took).await;
            }
        }
        Ok(())
    }

    /// Waits until the task of this process that publishes, if any, has said what it did: the database knows of a last range sooner.
    pub(crate) async fn publishing_ended(&self) {
        drop(self.range_size.0.lock().await);
    }

    /// Publishes in ranges for as long as a process lives: what another process froze and left unfinished is found within a second.
    pub(crate) async fn publish_until(&self, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            let published = match self.storage.is_publishing(None).await {
                Ok(true) => self.publish_ranges(stop).await,
                Ok(false) => Ok(()),
                Err(error) => Err(error.into()),
            };
            if let Err(failure) = published {
                tracing::warn!(
                    cause = failure.cause(),
                    "publishing failed; retrying: {failure}"
                );
            }
            let _ = tokio::time::timeout(LOOK, stop.cancelled()).await;
        }
    }

    /// Makes the first range of a digest that was just frozen, so that a small one is published as a whole.
    pub(in crate::app) async fn publish_first_range(&self) -> Result<(), Failure> {
        if let Ok(mut readers) = self.range_size.0.try_lock() {
            self.publish_range(&mut readers).await?;
        }
        Ok(())
    }

    /// Makes one range; answers how long its transaction took, or `None` where there was nothing to make.
    async fn publish_range(&self, size: &mut Option<u32>) -> Result<Option<Duration>, Failure> {
        let most = self.settings.schedule.publish_range;
        let (first, target) = if self.storage.is_postgres() {
            (FIRST_RANGE_POSTGRES, RANGE_TIME_POSTGRES)
        } else {
            (FIRST_RANGE, RANGE_TIME)
        };
        let readers = size.unwrap_or(first);
        let began = Instant::now();
        let Some(made) = self
            .storage
            .publish_range(readers.min(most), self.now())
            .await?
        else {
            return Ok(None);
        };
        let took = began.elapsed();
        *size = Some(next_size(readers, took, target));
        if made.is_last {
            let took_ms = (self.now() - made.published_at).num_milliseconds();
            tracing::info!(slot = %made.slot, recipients = made.recipients, took_ms, "digest published");
        }
        self.wake_senders();
        if made.is_counted {
            self.storage.analyze_mailing(made.slot.id()).await;
        }
        Ok(Some(took))
    }
}

/// At most twice as many readers as before, or half as many, toward the target.
fn next_size(readers: u32, took: Duration, target: Duration) -> u32 {
    let wanted = f64::from(readers) * target.as_secs_f64() / took.as_secs_f64().max(0.001);
    (wanted as u32)
        .clamp(readers / 2, readers.saturating_mul(2))
        .clamp(RANGE_MIN, 20_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_grow_while_they_are_quick_and_shrink_while_they_are_slow() {
        let mut readers = FIRST_RANGE;
        let sizes = [1, 1, 25, 50, 400, 400, 4_000, 4_000, 4_000, 4_000, 4_000].map(|millis| {
            readers = next_size(readers, Duration::from_millis(millis), RANGE_TIME);
            readers
        });
        assert_eq!(
            sizes,
            [
                2_000, 4_000, 4_000, 2_000, 1_000, 500, 250, 200, 200, 200, 200
            ]
        );
    }
}
