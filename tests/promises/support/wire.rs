//! A way to a server that can be led elsewhere, and that can lose everything without a word, as a host without power or a firewall does.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use tokio::io::copy_bidirectional;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

/// A port of 127.0.0.1 that leads to another one.
pub struct Wire {
    /// The port to connect to.
    pub port: u16,
    state: Arc<Mutex<State>>,
}

struct State {
    to: u16,
    /// Cancelled once what was connected until then is silent, at both ends and for ever.
    vanished: CancellationToken,
    /// Whether new connections are silent too.
    is_silent: bool,
}

impl Wire {
    pub async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let own = listener.local_addr().expect("an address").port();
        let state = Arc::new(Mutex::new(State {
            to: port,
            vanished: CancellationToken::new(),
            is_silent: false,
        }));
        let shared = state.clone();
        tokio::spawn(async move {
            let mut silent = Vec::new();
            while let Ok((client, _)) = listener.accept().await {
                let (to, vanished, is_silent) = {
                    let state = lock(&shared);
                    (state.to, state.vanished.clone(), state.is_silent)
                };
                if is_silent {
                    silent.push(client);
                } else {
                    tokio::spawn(carry(client, to, vanished));
                }
            }
        });
        Self { port: own, state }
    }

    /// From now on nothing arrives: no byte, no reset, no end, on the connections that are there and on new ones.
    pub fn vanish(&self) {
        let mut state = lock(&self.state);
        state.is_silent = true;
        state.vanished.cancel();
    }

    /// New connections lead to that port from now on; what was lost stays lost, and other connections stay where they are.
    pub fn lead_to(&self, port: u16) {
        let mut state = lock(&self.state);
        if state.is_silent {
            state.vanished = CancellationToken::new();
        }
        (state.to, state.is_silent) = (port, false);
    }
}

fn lock(state: &Mutex<State>) -> std::sync::MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn carry(mut client: TcpStream, to: u16, vanished: CancellationToken) {
    let Ok(mut server) = TcpStream::connect(("127.0.0.1", to)).await else {
        return;
    };
    tokio::select! {
        _ = copy_bidirectional(&mut client, &mut server) => {}
        () = vanished.cancelled() => {
            // Both ends stay open, and hear nothing more.
            std::future::pending::<()>().await;
        }
    }
}
