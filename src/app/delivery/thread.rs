//! The thread of a send run: its dispatcher and its connections take turns on one.
//!
//! With several threads a runtime wakes one whenever another has something at hand: on two cores a mail of 16 KB took 127 us of the
//! process's time, on one thread 100 (docs/performance.md). The web and the rest keep the other cores; signatures and SQLite have
//! threads of their own.

use tokio::runtime::Builder;
use tokio::runtime::Runtime;
use tokio_util::task::AbortOnDropHandle;

use crate::app::Failure;

/// Does the work on a thread of its own; dropped half-way, it is given up.
pub async fn on_its_own<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> Result<T, Failure> {
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("delivering")
        .enable_all()
        .build();
    let thread = Ends(Some(runtime.map_err(|error| {
        Failure::internal(format!("No thread to deliver with: {error}."))
    })?));
    let handle = thread
        .0
        .as_ref()
        .map(|runtime| AbortOnDropHandle::new(runtime.spawn(work)));
    let Some(done) = handle else {
        return Err(Failure::internal("The thread to deliver with has ended."));
    };
    done.await.map_err(|error| {
        Failure::internal(format!(
            "Delivering ended badly; what was out is in doubt now: {error}."
        ))
    })
}

/// Ends when it is dropped, with all that still runs on it.
struct Ends(Option<Runtime>);

impl Drop for Ends {
    /// Not as a runtime would, which waits for its threads, and may not do so within another.
    fn drop(&mut self) {
        self.0
            .take()
            .into_iter()
            .for_each(Runtime::shutdown_background);
    }
}
