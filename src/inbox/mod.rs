//! Floor 5: the mail server's door. What comes back is handed over by LMTP ([`lmtp`]), or lies in a mailbox elsewhere ([`imap`]), and
//! becomes one use case.
//!
//! Our own server, for there is no crate for LMTP's receiving side that does no more than this: one state, six commands.

mod imap;
mod lmtp;

use std::net::SocketAddr;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::net::UnixListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::app::App;
use crate::app::Failure;
use crate::app::connections::Connections;
use crate::domain::places::PlaceLimits;

pub use imap::watch;

/// Conversations at once. One that was idle for five seconds makes room for another; one whose mail is being kept never does.
const CONVERSATIONS: PlaceLimits = PlaceLimits {
    max: 32,
    per_client: 32,
    spare_waiting_ms: 5_000,
    spare_working_ms: u64::MAX,
};
/// Time that conversations may go on once the service stops.
const LAST_WORDS: Duration = Duration::from_secs(20);

/// An open door: a port of this machine, or a socket in its file system.
pub struct OpenListener {
    listener: Listener,
    /// The socket's file, which goes with the door.
    file: Option<PathBuf>,
}

enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl OpenListener {
    /// Opens `inbound.lmtp`: `127.0.0.1:2424`, or `unix:/run/verdicts/lmtp`, whose socket gets those rights: a mail server is another user.
    ///
    /// # Errors
    /// A sentence: what is in the way.
    pub async fn open(place: &str, mode: u32) -> Result<Self, Failure> {
        let fault = |error: std::io::Error| {
            Failure::conflict(format!(
                "The service cannot listen for mail on {place}: {error}. Set VERDICTS_INBOUND__LMTP to another place."
            ))
        };
        if let Some(path) = place.strip_prefix("unix:") {
            let path = Path::new(path);
            // What an earlier process left behind; one that still listens answers.
            if path.exists() && tokio::net::UnixStream::connect(path).await.is_err() {
                std::fs::remove_file(path).map_err(fault)?;
            }
            let listener = UnixListener::bind(path).map_err(fault)?;
            std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode))
                .map_err(fault)?;
            return Ok(Self {
                listener: Listener::Unix(listener),
                file: Some(path.into()),
            });
        }
        let address: SocketAddr = place.parse().map_err(|_| {
            Failure::invalid_field(
                "inbound.lmtp",
                "inbound.lmtp: expected 127.0.0.1:PORT or unix:PATH.",
            )
        })?;
        Ok(Self {
            listener: Listener::Tcp(TcpListener::bind(address).await.map_err(fault)?),
            file: None,
        })
    }

    /// Returns where it listens, if on a port.
    pub fn address(&self) -> Option<SocketAddr> {
        match &self.listener {
            Listener::Tcp(listener) => listener.local_addr().ok(),
            Listener::Unix(_) => None,
        }
    }
}

impl Drop for OpenListener {
    fn drop(&mut self) {
        if let Some(file) = &self.file {
            let _ = std::fs::remove_file(file);
        }
    }
}

/// Takes mail in until told to stop; then ends what is under way.
pub async fn serve(
    app: Arc<App>,
    door: OpenListener,
    stop: CancellationToken,
) -> Result<(), Failure> {
    let (conversations, seats) = (TaskTracker::new(), Connections::<()>::new(CONVERSATIONS));
    loop {
        let (app, stop) = (app.clone(), stop.clone());
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = accept(&door.listener) => accepted,
        };
        match accepted {
            Ok(stream) => {
                // One mail server has all of them: there is no client to tell apart.
                let seat = tokio::select! {
                    () = stop.cancelled() => break,
                    seat = seats.admit(None) => seat,
                };
                conversations.spawn(async move {
                    let ended = match stream {
                        Stream::Tcp(stream) => lmtp::converse(&app, stream, &seat, &stop).await,
                        Stream::Unix(stream) => lmtp::converse(&app, stream, &seat, &stop).await,
                    };
                    if let Err(error) = ended {
                        tracing::debug!(%error, "a conversation with the mail server broke off");
                    }
                });
            }
            Err(error) => {
                tracing::warn!(%error, "accepting a connection of the mail server failed");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    conversations.close();
    let _ = tokio::time::timeout(LAST_WORDS, conversations.wait()).await;
    Ok(())
}

enum Stream {
    Tcp(tokio::net::TcpStream),
    Unix(tokio::net::UnixStream),
}

async fn accept(listener: &Listener) -> std::io::Result<Stream> {
    Ok(match listener {
        Listener::Tcp(listener) => Stream::Tcp(listener.accept().await?.0),
        Listener::Unix(listener) => Stream::Unix(listener.accept().await?.0),
    })
}
