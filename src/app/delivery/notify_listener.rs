//! Hearing from other processes that there is mail to send.

use std::time::Duration;

use crate::app::App;
use crate::app::Failure;

/// A listener that was lost is made anew after so long.
const LISTEN_AGAIN: Duration = Duration::from_secs(2);

impl App {
    /// Rings this process's bell whenever another one has put mail into the ledger, for ever; on SQLite never. Where nothing
    /// can be heard, `mail.poll` is how long mail of other processes waits.
    pub(super) async fn hear(&self) {
        let mut is_said = false;
        loop {
            match self.hear_once().await {
                Ok(()) => return std::future::pending().await,
                Err(failure) if is_said => {
                    tracing::debug!(cause = failure.cause(), "still not listening")
                }
                Err(failure) => tracing::warn!(
                    cause = failure.cause(),
                    "LISTEN connection lost; polling every mail.poll instead"
                ),
            }
            is_said = true;
            tokio::time::sleep(LISTEN_AGAIN).await;
        }
    }

    async fn hear_once(&self) -> Result<(), Failure> {
        let Some(mut nudges) = self.storage.listen().await? else {
            return Ok(());
        };
        // What came before may have gone unheard.
        self.wake_senders();
        loop {
            nudges.next().await?;
            self.wake_senders();
        }
    }
}
