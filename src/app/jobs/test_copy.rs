//! Test copies as jobs, for programs: a relay may take its time.

use std::sync::Arc;

use super::JobOutcome;
use super::JobProgress;
use crate::app::App;
use crate::app::Failure;
use crate::domain::actor::Actor;
use crate::domain::address::EmailAddress;
use crate::domain::job::JobKind;
use crate::domain::slot::Slot;

impl App {
    /// Starts sending one test copy of a digest; returns the job's id.
    pub async fn start_test_copy(
        self: &Arc<Self>,
        actor: &Actor,
        slot: Slot,
        to: EmailAddress,
        is_marked: bool,
    ) -> Result<i64, Failure> {
        let input = serde_json::json!({ "slot": slot });
        self.start_job(
            actor,
            JobKind::TestCopy,
            input,
            move |app: Arc<App>, _: Arc<JobProgress>| async move {
                app.send_test_copy(Some(slot), &to, is_marked).await?;
                let result = serde_json::json!({ "copies": 1 });
                Ok::<_, Failure>(JobOutcome { result, file: None })
            },
        )
        .await
    }
}
