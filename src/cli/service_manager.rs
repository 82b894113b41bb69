//! What a service manager is told (sd_notify(3)): ready, reloading, stopping, alive, and how far a send is. Plain datagrams; the protocol
//! is lines of text, and without `NOTIFY_SOCKET` nothing is said.

use std::os::unix::net::SocketAddr;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::app::pulse::IDLE_BEAT;
use crate::domain::digest::DigestState;

/// The service manager that started this process, if it wants to be told.
#[derive(Debug)]
pub(super) struct ServiceManager {
    socket: Option<(UnixDatagram, SocketAddr)>,
    /// Interval within which it wants a sign of life.
    watchdog: Option<Duration>,
}

impl ServiceManager {
    /// Reads the environment that systemd gives a unit of `Type=notify`.
    pub(super) fn from_environment() -> Self {
        let variable = |name: &str| std::env::var(name).ok();
        let is_ours =
            variable("WATCHDOG_PID").is_none_or(|pid| pid == std::process::id().to_string());
        let watchdog = variable("WATCHDOG_USEC")
            .and_then(|text| text.parse().ok())
            .filter(|micros| is_ours && *micros > 0);
        let socket = variable("NOTIFY_SOCKET").and_then(|name| {
            let address = address(&name)?;
            Some((UnixDatagram::unbound().ok()?, address))
        });
        Self {
            socket,
            watchdog: watchdog.map(Duration::from_micros),
        }
    }

    fn tell(&self, lines: &str) {
        if let Some((socket, address)) = &self.socket
            && let Err(error) = socket.send_to_addr(lines.as_bytes(), address)
        {
            tracing::debug!(%error, "the service manager was not told");
        }
    }

    pub(super) fn ready(&self, status: &str) {
        self.tell(&format!("READY=1\nSTATUS={status}"));
    }

    /// The settings are read anew; [`ServiceManager::ready`] ends it.
    pub(super) fn reloading(&self) {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let micros = now.tv_sec * 1_000_000 + now.tv_nsec / 1_000;
        self.tell(&format!(
            "RELOADING=1\nMONOTONIC_USEC={micros}\nSTATUS=reading the settings"
        ));
    }

    fn stopping(&self) {
        self.tell("STOPPING=1\nSTATUS=finishing what is in flight");
    }

    /// Gives signs of life while every role does, and tells how far a send is, until told to stop.
    pub(super) async fn keep_told(&self, app: &App, stop: &CancellationToken) {
        if self.socket.is_none() {
            return stop.cancelled().await;
        }
        // Half of what is asked for, as sd_watchdog_enabled(3) advises.
        let every = self
            .watchdog
            .map_or(IDLE_BEAT, |limit| (limit / 2).min(IDLE_BEAT));
        let mut was_stuck = None;
        loop {
            let stuck = app.pulse.stuck();
            if stuck.is_none() {
                let status = tokio::time::timeout(every / 2, status(app)).await;
                let status = status.unwrap_or_else(|_| "the database does not answer".into());
                self.tell(&format!("WATCHDOG=1\nSTATUS={status}"));
            } else if stuck != was_stuck {
                tracing::error!(
                    role = stuck,
                    "a role gives no sign of life: the service manager will restart the process"
                );
            }
            was_stuck = stuck;
            tokio::select! {
                () = stop.cancelled() => return self.stopping(),
                () = tokio::time::sleep(every) => {}
            }
        }
    }
}

/// A path, or `@name` for one of Linux' abstract names.
fn address(name: &str) -> Option<SocketAddr> {
    match name.strip_prefix('@') {
        #[cfg(target_os = "linux")]
        Some(abstracted) => {
            use std::os::linux::net::SocketAddrExt as _;
            SocketAddr::from_abstract_name(abstracted).ok()
        }
        #[cfg(not(target_os = "linux"))]
        Some(_) => None,
        None => SocketAddr::from_pathname(name).ok(),
    }
}

/// `sending 2026-W48, 61 %`, or `ready`.
pub(super) async fn status(app: &App) -> String {
    let Ok(digests) = app.storage.digests_before(None, 2).await else {
        return "the database does not answer".into();
    };
    let sending = digests
        .into_iter()
        .find(|digest| digest.state == DigestState::Sending);
    let Some(digest) = sending else {
        return "ready".into();
    };
    let Ok(status) = app.status(digest.slot).await else {
        return format!("sending {}", digest.slot);
    };
    let ended = status.tally.sent + status.tally.failed + status.tally.skipped;
    let all = u64::try_from(status.digest.recipients).unwrap_or(0);
    match (ended * 100).checked_div(all) {
        Some(percent) => format!("sending {}, {percent} %", digest.slot),
        None => format!("sending {}", digest.slot),
    }
}
