//! Exports as jobs.

use std::io::BufWriter;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use tempfile::NamedTempFile;

use super::JobOutcome;
use super::JobProgress;
use super::unusable;
use crate::app::App;
use crate::app::Failure;
use crate::app::export::ExportFormat;
use crate::domain::actor::Actor;
use crate::domain::job::JobKind;
use crate::domain::subscriber_filter::SubscriberFilter;

impl App {
    /// Starts writing whom a filter means into a file; returns the job's id.
    pub async fn start_export(
        self: &Arc<Self>,
        actor: &Actor,
        filter: &SubscriberFilter,
        format: ExportFormat,
    ) -> Result<i64, Failure> {
        let input =
            serde_json::json!({ "format": format.as_str(), "conditions": filter.pairs().len() });
        let (by, filter) = (actor.clone(), filter.clone());
        self.start_job(
            actor,
            JobKind::Export,
            input,
            move |app: Arc<App>, progress: Arc<JobProgress>| async move {
                let file = NamedTempFile::new().map_err(unusable)?;
                let writer = BufWriter::new(file.reopen().map_err(unusable)?);
                let told = |count: u64| {
                    progress.done.store(count, Relaxed);
                    !progress.is_cancelled()
                };
                let count = app
                    .export_filtered(&by, &filter, format, writer, told)
                    .await?;
                let result = serde_json::json!({ "subscribers": count });
                Ok::<_, Failure>(JobOutcome {
                    result,
                    file: Some((file, format.file_name(), format.content_type())),
                })
            },
        )
        .await
    }
}
