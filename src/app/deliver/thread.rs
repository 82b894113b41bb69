//! The thread of a round: its desk and its connections take turns on one.
//!
//! What they do for a mail takes some 50 us; handing it from thread to thread took as long again, for with several a runtime wakes
//! one whenever another has something at hand. So the web and the rest keep the other cores; signatures and SQLite have threads
//! of their own.

use tokio::runtime::Builder;
use tokio::runtime::Runtime;
use tokio_util::task::AbortOnDropHandle;

use crate::app::Failure;

/// Ends when it is dropped, with all that still runs on it.
pub struct Thread(Option<Runtime>);

impl Thread {
    pub fn start() -> Result<Self, Failure> {
        let runtime = Builder::new_multi_thread().worker_threads(1).thread_name("delivering").enable_all().build();
        runtime.map(|runtime| Self(Some(runtime))).map_err(|error| Failure::because(format!("No thread to deliver with: {error}.")))
    }

    /// Does the work there; dropped half-way, it is given up.
    pub async fn run<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> Result<T, Failure> {
        let Some(runtime) = &self.0 else { return Err(Failure::because("The thread to deliver with has ended.")) };
        let done = AbortOnDropHandle::new(runtime.spawn(work)).await;
        done.map_err(|error| Failure::because(format!("Delivering ended badly; what was out is in doubt now: {error}.")))
    }
}

impl Drop for Thread {
    /// Not as a runtime would, which waits for its threads, and may not do so within another.
    fn drop(&mut self) {
        self.0.take().into_iter().for_each(Runtime::shutdown_background);
    }
}
