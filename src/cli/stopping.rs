//! Ending in time: what waits for a database that takes no writes is given up, and so is whatever hangs for another reason.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::app::Failure;

/// Time that work under way at a stop may wait for a database that takes no writes: systemd and orchestrators kill what needs longer.
const IN_VAIN: Duration = Duration::from_secs(8);
/// The longest look at whether it takes some.
const LOOK: Duration = Duration::from_secs(1);
/// Upper bound on the whole end. The answer to a final dot is waited for for 30 seconds, and then its result is written.
const STOP_MAX: Duration = Duration::from_secs(40);

/// Runs `work`; once told to stop, only while its database takes writes, and for [`STOP_MAX`]. Nothing is lost by that which a kill would
/// not lose: the ledger is made for it.
pub(super) async fn in_time<T>(
    app: &App,
    stop: &CancellationToken,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    tokio::select! {
        done = work => done,
        () = in_vain(app, stop) => Err(Failure::unavailable(
            "The database takes no writes, so what was under way could not be recorded: it is taken up at the next start.",
        )),
        () = too_long(stop) => Err(Failure::internal(format!(
            "It did not come to its end within {} seconds of being told to stop. What was under way is taken up at the next start.",
            STOP_MAX.as_secs()
        ))),
    }
}

/// Ends once the process was told to stop a while ago and its database takes no writes (a server that is silent, a full disk, a file that
/// is gone): what waits for it then waits in vain.
async fn in_vain(app: &App, stop: &CancellationToken) {
    stop.cancelled().await;
    tokio::time::sleep(IN_VAIN).await;
    while let Ok(Ok(())) = tokio::time::timeout(LOOK, app.storage.can_write()).await {
        tokio::time::sleep(LOOK).await;
    }
}

async fn too_long(stop: &CancellationToken) {
    stop.cancelled().await;
    tokio::time::sleep(STOP_MAX).await;
}
