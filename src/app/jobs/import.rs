//! Imports as jobs: by the same code as the command's.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use tempfile::NamedTempFile;

use super::CountedRead;
use super::JobOutcome;
use super::JobProgress;
use super::Upload;
use super::unusable;
use crate::app::App;
use crate::app::Failure;
use crate::app::subscribing::columns::Mapping;
use crate::app::subscribing::list::ImportTerms;
use crate::domain::actor::Actor;
use crate::domain::job::JobKind;

impl App {
    /// Starts an import of a file, or a trial of it; returns the job's id. The rows that cannot be read become a file to download.
    pub async fn start_import(
        self: &Arc<Self>,
        actor: &Actor,
        upload: Arc<Upload>,
        mapping: Mapping,
        terms: ImportTerms<'_>,
    ) -> Result<i64, Failure> {
        let kind = if terms.dry_run {
            JobKind::ImportTrial
        } else {
            JobKind::Import
        };
        let input = serde_json::json!({ "bytes": upload.bytes, "confirmed": terms.confirmed });
        let (by, consent) = (actor.clone(), terms.consent.to_owned());
        let (confirmed, dry_run) = (terms.confirmed, terms.dry_run);
        self.start_job(
            actor,
            kind,
            input,
            move |app: Arc<App>, progress: Arc<JobProgress>| async move {
                progress.total.store(upload.bytes, Relaxed);
                let refused = NamedTempFile::new().map_err(unusable)?;
                let source = CountedRead {
                    source: upload.open()?,
                    progress: Arc::clone(&progress),
                };
                let written = std::io::BufWriter::new(refused.reopen().map_err(unusable)?);
                let terms = ImportTerms {
                    consent: &consent,
                    confirmed,
                    dry_run,
                };
                let report = app
                    .import_file(
                        &by,
                        source,
                        terms,
                        &mapping,
                        Some(Box::new(written)),
                        |_| {},
                    )
                    .await?;
                let result = serde_json::json!({
                    "read": report.read,
                    "added": report.added,
                    "known": report.known,
                    "suppressed": report.suppressed,
                    "refused": report.refused,
                });
                let file = (report.refused > 0).then_some((
                    refused,
                    "refused.csv",
                    "text/csv; charset=utf-8",
                ));
                Ok::<_, Failure>(JobOutcome { result, file })
            },
        )
        .await
    }
}
