//! Jobs: work that takes longer than a request, done by the process that was asked.
//!
//! Each runs on a thread of its own, for reading a file is no work for the threads that answer requests. Its row says how far it is and is
//! renewed while it runs; files that came or that were made stay here, for an hour. A process that ends takes them along: its job is then
//! said to be broken off, and is started again by whoever needs it.

mod bulk;
mod export;
mod import;
mod test_copy;
mod upload;

use std::collections::HashMap;
use std::future::Future;
use std::io::Read;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use chrono::TimeDelta;
use tempfile::NamedTempFile;

use super::App;
use super::Failure;
use crate::domain::Timestamp;
use crate::domain::actor::Actor;
use crate::domain::job::JobKind;
use crate::domain::job::JobState;
use crate::storage::jobs::BackgroundJob;
pub use bulk::BulkChange;
pub use bulk::Chosen;
pub use upload::Upload;
pub use upload::UploadDraft;

/// Time for which files are kept.
pub const KEPT: TimeDelta = TimeDelta::hours(1);
/// Time after which a job whose lease nobody renews counts as broken off.
const LEASE: TimeDelta = TimeDelta::minutes(2);
/// Pause between two renewals.
const RENEW_EVERY: Duration = Duration::from_secs(2);
/// Jobs that run at once in one process.
const RUNNING_MAX: usize = 4;
/// Time for which a job is remembered.
const REMEMBERED: TimeDelta = TimeDelta::days(30);

/// Jobs of this process, and the files that belong to them.
#[derive(Debug, Default)]
pub(crate) struct Jobs {
    running: Mutex<HashMap<i64, Arc<JobProgress>>>,
    files: Mutex<HashMap<i64, JobFile>>,
    uploads: Mutex<HashMap<String, Arc<Upload>>>,
}

pub(in crate::app) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Progress of a job.
#[derive(Debug, Default)]
pub struct JobProgress {
    done: AtomicU64,
    total: AtomicU64,
    is_cancelled: AtomicBool,
}

impl JobProgress {
    /// True if somebody cancelled it.
    pub fn is_cancelled(&self) -> bool {
        self.is_cancelled.load(Relaxed)
    }

    fn total(&self) -> Option<u64> {
        Some(self.total.load(Relaxed)).filter(|total| *total > 0)
    }
}

/// A file that a job made.
#[derive(Debug)]
struct JobFile {
    file: NamedTempFile,
    name: &'static str,
    content_type: &'static str,
    until: Timestamp,
}

/// A file to be handed out.
#[derive(Debug)]
pub struct Download {
    /// The file, from its start.
    pub file: std::fs::File,
    /// Name to save it by.
    pub name: &'static str,
    /// Its type.
    pub content_type: &'static str,
}

/// Result of a job, and the file that it made.
struct JobOutcome {
    result: serde_json::Value,
    file: Option<(NamedTempFile, &'static str, &'static str)>,
}

/// A source whose bytes are counted, and that breaks off once its job is cancelled.
struct CountedRead<R> {
    source: R,
    progress: Arc<JobProgress>,
}

impl<R: Read> Read for CountedRead<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.progress.is_cancelled() {
            return Err(std::io::Error::other("it was cancelled"));
        }
        let count = self.source.read(buffer)?;
        self.progress.done.fetch_add(count as u64, Relaxed);
        Ok(count)
    }
}

fn unusable(error: impl std::fmt::Display) -> Failure {
    Failure::internal(format!("A temporary file cannot be used: {error}."))
}

impl App {
    /// The opaque id of a job.
    pub fn job_name(&self, id: i64) -> String {
        self.secrets.job_name(id)
    }

    /// The number of the job that a name names, whether it is remembered or not.
    pub fn job_id(&self, name: &str) -> Option<i64> {
        self.secrets.job_named(name)
    }

    /// The newest jobs that were started before the job `before`, with how far they are.
    pub async fn jobs(
        &self,
        before: Option<i64>,
        count: i64,
    ) -> Result<Vec<BackgroundJob>, Failure> {
        let mut jobs = self.storage.jobs(before, count).await?;
        let running = locked(&self.jobs.running);
        for job in &mut jobs {
            if let Some(progress) = running.get(&job.id) {
                job.done = progress.done.load(Relaxed);
                job.total = progress.total();
            }
        }
        Ok(jobs)
    }

    /// The job that a name names, with how far it is just now.
    pub async fn job_named(&self, name: &str) -> Result<Option<BackgroundJob>, Failure> {
        let Some(id) = self.secrets.job_named(name) else {
            return Ok(None);
        };
        let Some(mut job) = self.storage.job(id).await? else {
            return Ok(None);
        };
        let running = locked(&self.jobs.running).get(&id).cloned();
        match running {
            Some(progress) => {
                job.state = JobState::Running;
                job.done = progress.done.load(Relaxed);
                job.total = progress.total();
            }
            // It ended between the two looks.
            None if job.state == JobState::Running => {
                self.storage.end_broken_jobs(self.now()).await?;
                return Ok(self.storage.job(id).await?);
            }
            None => {}
        }
        Ok(Some(job))
    }

    /// Cancels a job; `false` if it runs no more.
    pub async fn cancel_job(&self, id: i64) -> Result<bool, Failure> {
        if let Some(progress) = locked(&self.jobs.running).get(&id) {
            // The one who does it writes it down: an import may hold the database just now.
            progress.is_cancelled.store(true, Relaxed);
            return Ok(true);
        }
        Ok(self.storage.cancel_job(id, self.now()).await?)
    }

    /// The file that a job made, if it is kept here; the time until which it is.
    pub fn job_file_until(&self, id: i64) -> Option<Timestamp> {
        let now = self.now();
        let mut files = locked(&self.jobs.files);
        files.retain(|_, file| file.until > now);
        files.get(&id).map(|file| file.until)
    }

    /// Opens the file that a job made.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn job_file(&self, id: i64) -> Result<Option<Download>, Failure> {
        if self.job_file_until(id).is_none() {
            return Ok(None);
        }
        let files = locked(&self.jobs.files);
        let Some(kept) = files.get(&id) else {
            return Ok(None);
        };
        Ok(Some(Download {
            file: kept.file.reopen().map_err(unusable)?,
            name: kept.name,
            content_type: kept.content_type,
        }))
    }

    /// Ends jobs whose process is gone, and forgets old ones.
    pub(in crate::app) async fn keep_jobs(&self, now: Timestamp) -> Result<(), Failure> {
        let broken = self.storage.end_broken_jobs(now).await?;
        if broken > 0 {
            tracing::warn!(
                broken,
                "jobs were broken off: the process that did them ended"
            );
        }
        self.storage.forget_jobs(now - REMEMBERED).await?;
        Ok(())
    }

    /// Starts a job; returns its id.
    async fn start_job<W>(
        self: &Arc<Self>,
        actor: &Actor,
        kind: JobKind,
        input: serde_json::Value,
        work: impl FnOnce(Arc<Self>, Arc<JobProgress>) -> W + Send + 'static,
    ) -> Result<i64, Failure>
    where
        W: Future<Output = Result<JobOutcome, Failure>>,
    {
        if locked(&self.jobs.running).len() >= RUNNING_MAX {
            return Err(Failure::conflict(
                "Several jobs are at work already. Wait until one is done.",
            ));
        }
        let now = self.now();
        let id = self
            .storage
            .create_job(actor, kind, &input, now + LEASE, now)
            .await?;
        let progress = Arc::new(JobProgress::default());
        locked(&self.jobs.running).insert(id, progress.clone());
        let keeper = tokio::spawn(self.clone().renew_while_running(id, progress.clone()));
        let (app, runtime) = (self.clone(), tokio::runtime::Handle::current());
        // No thread of the runtime's: at a stop those are waited for.
        let spawned = std::thread::Builder::new()
            .name("job".into())
            .spawn(move || {
                runtime.block_on(async {
                    let outcome = work(app.clone(), progress.clone()).await;
                    app.end_job(id, kind, &progress, outcome).await;
                });
                keeper.abort();
            });
        spawned
            .map_err(|error| Failure::internal(format!("A thread cannot be started: {error}.")))?;
        Ok(id)
    }

    async fn renew_while_running(self: Arc<Self>, id: i64, progress: Arc<JobProgress>) {
        loop {
            tokio::time::sleep(RENEW_EVERY).await;
            let (done, total) = (progress.done.load(Relaxed), progress.total());
            let renewed = self
                .storage
                .renew_job(id, done, total, self.now() + LEASE)
                .await;
            match renewed {
                Ok(true) => {}
                Ok(false) => progress.is_cancelled.store(true, Relaxed),
                Err(error) => tracing::warn!(%error, "a job's lease could not be renewed"),
            }
        }
    }

    async fn end_job(
        &self,
        id: i64,
        kind: JobKind,
        progress: &JobProgress,
        outcome: Result<JobOutcome, Failure>,
    ) {
        let (state, result) = match outcome {
            Ok(JobOutcome { result, file }) => {
                if let Some((file, name, content_type)) = file {
                    let until = self.now() + KEPT;
                    let kept = JobFile {
                        file,
                        name,
                        content_type,
                        until,
                    };
                    locked(&self.jobs.files).insert(id, kept);
                }
                (JobState::Done, result)
            }
            Err(_) if progress.is_cancelled() => (JobState::Cancelled, serde_json::Value::Null),
            Err(failure) => {
                tracing::warn!(
                    cause = failure.cause(),
                    kind = kind.as_str(),
                    "a job failed: {failure}"
                );
                (
                    JobState::Failed,
                    serde_json::json!({ "error": failure.to_string() }),
                )
            }
        };
        let done = progress.done.load(Relaxed);
        let finished = self
            .storage
            .finish_job(id, state, done, &result, self.now())
            .await;
        if let Err(error) = finished {
            tracing::error!(%error, "the end of a job could not be written down");
        }
        tracing::info!(kind = kind.as_str(), state = state.as_str(), "a job ended");
        locked(&self.jobs.running).remove(&id);
    }
}
