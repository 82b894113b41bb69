//! Our own hold on the line: we write, lettre reads the answers.
//!
//! Not by lettre's `command`: it copies what it writes into a text first, and with 40 KB a mail that shows. Not by its
//! `message` either, which stuffs byte by byte and writes the final dot apart.

use std::io;
use std::io::IoSlice;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::task::Poll;
use std::task::ready;
use std::time::Duration;

use tokio::io::AsyncWrite;
use tokio::time::Instant;

/// A line that its reader and its writer hold together. They take turns, so the lock is never waited for.
pub(in crate::mail) type SharedStream<S> = Arc<Mutex<S>>;

/// Pause between two looks at whether the lease is renewed.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Until when this process may send; whoever holds its lease moves it on.
///
/// Looked at before every write, so that a process that was stopped for longer than its lease says no word more when it
/// wakes: what it had out is in others' hands then.
#[derive(Debug, Clone)]
pub struct WriteDeadline {
    base: Instant,
    /// Milliseconds after `base`.
    until: Arc<AtomicU64>,
}

impl WriteDeadline {
    /// One that is never over: for a mail that no lease stands behind.
    pub fn open() -> Self {
        Self {
            base: Instant::now(),
            until: Arc::new(AtomicU64::new(u64::MAX)),
        }
    }

    /// One that is over at that moment, unless it is moved on.
    pub fn until(moment: Instant) -> Self {
        let fence = Self::open();
        fence.move_to(moment);
        fence
    }

    /// Waits until the lease is renewed, if it is over.
    pub async fn stands(&self) {
        while self.is_over() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// The lease was renewed.
    pub fn move_to(&self, moment: Instant) {
        self.until.store(
            moment.saturating_duration_since(self.base).as_millis() as u64,
            Relaxed,
        );
    }

    /// Returns whether nothing may be written now.
    pub fn is_over(&self) -> bool {
        self.base.elapsed().as_millis() as u64 >= self.until.load(Relaxed)
    }
}

/// The writing half of a line.
pub(in crate::mail) struct SmtpWriter {
    line: SharedStream<dyn AsyncWrite + Send + Unpin>,
    fence: WriteDeadline,
    written: u64,
    was_cut: bool,
}

impl SmtpWriter {
    pub(in crate::mail) fn new(
        line: SharedStream<dyn AsyncWrite + Send + Unpin>,
        fence: WriteDeadline,
    ) -> Self {
        Self {
            line,
            fence,
            written: 0,
            was_cut: false,
        }
    }

    /// Returns how many bytes went out so far: tells whether the last of a mail can be on its way.
    pub(in crate::mail) fn written(&self) -> u64 {
        self.written
    }

    /// Returns whether a write was refused because the lease was over, which says nothing of the server.
    pub(in crate::mail) fn was_cut(&self) -> bool {
        self.was_cut
    }

    /// Writes the parts one after the other, in as few writes as the line takes.
    pub(in crate::mail) async fn write(&mut self, mut parts: &mut [IoSlice<'_>]) -> io::Result<()> {
        IoSlice::advance_slices(&mut parts, 0);
        while !parts.is_empty() {
            let taken = std::future::poll_fn(|cx| {
                if self.fence.is_over() {
                    self.was_cut = true;
                    return Poll::Ready(Err(io::Error::other(
                        "the lease is over: others have this mail now",
                    )));
                }
                let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
                Pin::new(&mut *line).poll_write_vectored(cx, parts)
            });
            match taken.await? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                taken => {
                    self.written += taken as u64;
                    IoSlice::advance_slices(&mut parts, taken);
                }
            }
        }
        std::future::poll_fn(|cx| {
            let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
            ready!(Pin::new(&mut *line).poll_flush(cx))?;
            Poll::Ready(Ok(()))
        })
        .await
    }
}
