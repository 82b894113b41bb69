//! Parts that commands share: printing, times, progress bars, the stop signal.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use indicatif::ProgressBar;
use indicatif::ProgressDrawTarget;
use indicatif::ProgressStyle;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::app::Failure;
use crate::domain::Timestamp;
use crate::domain::slot::Slot;

/// Format of printed answers.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    /// As one JSON document.
    pub json: bool,
}

impl Output {
    /// Prints the JSON document, or the text.
    pub fn print(
        self,
        json: &serde_json::Value,
        text: impl FnOnce() -> String,
    ) -> Result<(), Failure> {
        let text = if self.json {
            format!("{json:#}\n")
        } else {
            text()
        };
        write_out(text.as_bytes())
    }
}

/// Writes to stdout. A reader that has gone away (`| head`) is no failure.
pub fn write_out(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(Failure::internal(
            format!("The answer cannot be printed: {error}."),
        )),
        _ => Ok(()),
    }
}

/// Says something to the person, on stderr; if nobody listens there any more, nobody minds.
pub fn say(text: impl std::fmt::Display) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Reads a time, like `--as-of` takes it.
pub fn parse_moment(text: &str) -> Result<Timestamp, String> {
    let moment: Option<Timestamp> = text.parse().ok().map(crate::domain::to_millis);
    // Years that a slot can be written in, with room for a look back.
    let moment = moment.filter(|moment| (1971..=9997).contains(&chrono::Datelike::year(moment)));
    moment.ok_or_else(|| "expected RFC 3339, like 2026-11-24T09:00:00Z".into())
}

/// Reads a digest's name: its slot, `2026-W47`, or its id, `202647`.
pub fn parse_digest(text: &str) -> Result<Slot, String> {
    let by_id = text.parse().ok().and_then(Slot::from_id);
    by_id.map_or_else(
        || {
            text.parse()
                .map_err(|_| "expected a week like 2026-W47, or a digest's id like 202647".into())
        },
        Ok,
    )
}

/// A bar on a terminal. Elsewhere nobody sees it, and it still knows the rate and the time left, for lines now and then.
pub fn bar(total: u64, what: &'static str) -> ProgressBar {
    bar_with(
        total,
        what,
        "{msg} {wide_bar} {human_pos}/{human_len} {per_sec} {eta}",
    )
}

/// The same, drawn otherwise.
pub fn bar_with(total: u64, what: &'static str, template: &str) -> ProgressBar {
    if lines_instead_of_bars() {
        return ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::hidden());
    }
    let style =
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = if total > 0 {
        ProgressBar::new(total).with_style(style)
    } else {
        ProgressBar::new_spinner()
    };
    bar.set_message(what);
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// Returns true if lines take the place of bars.
pub fn lines_instead_of_bars() -> bool {
    !std::io::IsTerminal::is_terminal(&std::io::stderr())
}

/// Effect of SIGHUP.
#[derive(Debug, Clone)]
pub enum Hangup {
    /// Ends the command in order, as SIGTERM does: its terminal was closed.
    Ends,
    /// Tells the service to read its settings anew.
    Tells(Arc<Notify>),
    /// Nothing: the end is under way.
    IsIgnored,
}

/// Cancelled by SIGTERM or ctrl-C, and by SIGHUP where `hangup` says so; a second SIGTERM or ctrl-C ends the process at once.
/// Listens from the moment of the call, not from the first run of a task: a signal between the two would kill the process out of
/// order.
pub fn stop_signal(hangup: Hangup) -> CancellationToken {
    let stop = CancellationToken::new();
    let token = stop.clone();
    let mut signals = Signals::listen();
    tokio::spawn(async move {
        signals.next(&hangup).await;
        token.cancel();
        // A terminal that closes may send SIGHUP more than once; that is no second wish.
        signals.next(&Hangup::IsIgnored).await;
        std::process::exit(130);
    });
    stop
}

/// The signals that ask for an end; without Unix's, or where they cannot be had, ctrl-C alone.
struct Signals {
    #[cfg(unix)]
    terminate: Option<(tokio::signal::unix::Signal, tokio::signal::unix::Signal)>,
    #[cfg(unix)]
    hangup: Option<tokio::signal::unix::Signal>,
}

impl Signals {
    #[cfg(unix)]
    fn listen() -> Self {
        use tokio::signal::unix::SignalKind;
        use tokio::signal::unix::signal;
        let terminate = signal(SignalKind::terminate())
            .ok()
            .zip(signal(SignalKind::interrupt()).ok());
        // Under nohup the signal is ignored already, and stays so.
        let hangup = if is_hangup_ignored() {
            None
        } else {
            signal(SignalKind::hangup()).ok()
        };
        Self { terminate, hangup }
    }

    #[cfg(not(unix))]
    fn listen() -> Self {
        Self {}
    }

    #[cfg(unix)]
    async fn next(&mut self, on_hangup: &Hangup) {
        let Some((terminate, interrupt)) = &mut self.terminate else {
            let _ = tokio::signal::ctrl_c().await;
            return;
        };
        loop {
            let hung_up = async {
                match &mut self.hangup {
                    Some(hangup) => hangup.recv().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                _ = terminate.recv() => return,
                _ = interrupt.recv() => return,
                _ = hung_up => match on_hangup {
                    Hangup::Ends => return,
                    Hangup::Tells(hangup) => hangup.notify_one(),
                    Hangup::IsIgnored => {}
                },
            }
        }
    }

    #[cfg(not(unix))]
    async fn next(&mut self, _: &Hangup) {
        let _ = tokio::signal::ctrl_c().await;
    }
}

/// Returns whether the process was started with SIGHUP ignored (proc_pid_status(5): the mask `SigIgn`, signal 1 in its lowest bit).
#[cfg(unix)]
fn is_hangup_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .map(str::trim);
    mask.and_then(|mask| u64::from_str_radix(mask, 16).ok())
        .is_some_and(|mask| mask & 1 == 1)
}
