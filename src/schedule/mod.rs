//! Floor 5: the clock's door. A tick wakes the use case `tick`; the database says what is due.
//!
//! tokio-cron-scheduler only rings once a minute, in UTC, where it needs to know nothing of time zones: it freezes a
//! zone's offset when a job is made, never makes up a lost tick, and lets jobs overlap. When something is due follows
//! from `domain::timetable` and the database, so a missed ring, a second process or a restart changes nothing.

use std::sync::Arc;

use tokio::sync::Notify;
use tokio_cron_scheduler::Job;
use tokio_cron_scheduler::JobScheduler;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::app::Failure;
use crate::app::pulse::IDLE_BEAT;
use crate::app::pulse::IDLE_MAX;
use crate::app::pulse::WORK_MAX;

/// Name under which it gives signs of life.
const ROLE: &str = "schedule";
/// At every full minute.
const EVERY_MINUTE: &str = "0 * * * * *";

/// Does what is due, now and every minute, one tick after the other, until told to stop.
///
/// # Errors
/// When the scheduler cannot start.
pub async fn run(app: Arc<App>, stop: CancellationToken) -> Result<(), Failure> {
    let fault = |error: tokio_cron_scheduler::JobSchedulerError| {
        Failure::internal(format!("The scheduler failed: {error}."))
    };
    let bell = Arc::new(Notify::new());
    let mut scheduler = JobScheduler::new().await.map_err(fault)?;
    let ring = bell.clone();
    let job = Job::new(EVERY_MINUTE, move |_, _| ring.notify_one()).map_err(fault)?;
    scheduler.add(job).await.map_err(fault)?;
    scheduler.start().await.map_err(fault)?;
    while !stop.is_cancelled() {
        app.pulse.beat(ROLE, WORK_MAX);
        let ticked = async {
            app.tick().await?;
            app.note_tick().await
        };
        if let Err(failure) = ticked.await {
            tracing::error!(
                cause = failure.cause(),
                "scheduled work failed; retrying at the next minute: {failure}"
            );
        }
        if let Err(failure) = app.publish_ranges(&stop).await {
            tracing::error!(
                cause = failure.cause(),
                "publishing waits for the next minute: {failure}"
            );
        }
        loop {
            app.pulse.beat(ROLE, IDLE_MAX);
            tokio::select! {
                () = stop.cancelled() => break,
                () = bell.notified() => break,
                () = tokio::time::sleep(IDLE_BEAT) => {}
            }
        }
    }
    app.pulse.end(ROLE);
    scheduler.shutdown().await.map_err(fault)
}
