//! Connections at the HTTP door: how many a client may have, and how long it may take to ask and to read.
//!
//! 1,129 connections that never read an answer shut everybody out for as long as they pleased: there were places for 1,000, and no limit
//! on writing. Now a client that is over its share, or whoever waits longest when all places are taken, makes room for a newcomer.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;

use axum::extract::Request;
use axum::extract::State;
use axum::middleware::Next;
use axum::response::IntoResponse;
use axum::response::Response;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::io::ReadBuf;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio::time::Sleep;

use super::Web;
use super::answer::Problem;
use super::guard::Client;
use crate::app::connections::ConnectionPermit;
use crate::domain::network::household;
use crate::domain::places::Phase;
use crate::domain::places::PlaceLimits;

/// Connections at once, and of one client (IPv4 address, IPv6 /64); a trusted proxy has no limit of its own. A connection that waited
/// a second for its client makes room for another if need be, and one that has worked for five.
pub const LIMITS: PlaceLimits = PlaceLimits {
    max: 1_000,
    per_client: 200,
    spare_waiting_ms: 1_000,
    spare_working_ms: 5_000,
};
/// Newcomers of clients that have their share at work already, who wait for a place; further ones are turned away.
pub const WAITING: usize = 256;
/// Requests that are worked on at once for one client behind a trusted proxy.
const IN_FLIGHT: usize = 100;

/// The longest that nothing of an answer may be taken.
const STALL: Duration = Duration::from_secs(10);
/// The longest that an answer may take to be read, from its first byte to its last.
const ANSWER: Duration = Duration::from_secs(60);

/// The seat of one connection, shared by its stream and its requests.
pub type SharedSeat = Arc<ConnectionPermit<IpAddr>>;

/// Returns whose share a connection counts toward; `None` for a trusted proxy.
pub fn holder(peer: SocketAddr, web_trusts: impl Fn(IpAddr) -> bool) -> Option<IpAddr> {
    let peer = peer.ip().to_canonical();
    (!web_trusts(peer)).then(|| household(peer))
}

/// A connection whose client has limited time to take an answer.
pub struct Timed {
    inner: TcpStream,
    seat: SharedSeat,
    /// Time at which the answer that is being written was begun.
    answer_since: Option<Instant>,
    /// Runs while the client takes nothing.
    stall: Option<Pin<Box<Sleep>>>,
}

impl Timed {
    /// Watches a connection.
    pub fn new(inner: TcpStream, seat: SharedSeat) -> Self {
        Self {
            inner,
            seat,
            answer_since: None,
            stall: None,
        }
    }

    fn written(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        let now = Instant::now();
        let since = *self.answer_since.get_or_insert_with(|| {
            self.seat.enter(Phase::OnClient);
            now
        });
        if now.duration_since(since) > ANSWER {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        if written.is_ready() {
            self.stall = None;
            return written;
        }
        let limit = (now + STALL).min(since + ANSWER);
        let stall = self
            .stall
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(limit)));
        match stall.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl AsyncRead for Timed {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_read(cx, buf)
    }
}

impl AsyncWrite for Timed {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.inner).poll_write(cx, buf);
        this.written(cx, written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.inner).poll_write_vectored(cx, bufs);
        this.written(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    /// Asked for once all that is to be written was: then the answer is out, and the next request is waited for.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.answer_since.take().is_some() {
            this.seat.enter(Phase::OnClient);
        }
        Pin::new(&mut this.inner).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(cx)
    }
}

/// Requests that are worked on, by client behind a trusted proxy.
#[derive(Default)]
pub struct InFlight(Mutex<HashMap<IpAddr, usize>>);

impl InFlight {
    fn begin(self: &Arc<Self>, client: IpAddr) -> Option<Flight> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(client).or_default();
        if *count >= IN_FLIGHT {
            return None;
        }
        *count += 1;
        Some(Flight {
            all: self.clone(),
            client,
        })
    }
}

/// One request that is worked on; dropped, it is over.
struct Flight {
    all: Arc<InFlight>,
    client: IpAddr,
}

impl Drop for Flight {
    fn drop(&mut self) {
        let mut counts = self.all.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.client);
            }
        }
    }
}

/// Turns away a client behind a trusted proxy that has its share of requests at work: the proxy's connections are everybody's.
pub async fn share(State(web): State<Web>, request: Request, next: Next) -> Response {
    let Some(client) = Client::behind_proxy(&request, &web) else {
        return next.run(request).await;
    };
    match web.in_flight.begin(household(client)) {
        Some(_flight) => next.run(request).await,
        None => Problem::too_many("requests at once", Duration::from_secs(1)).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_client_behind_a_proxy_has_its_share_and_others_theirs() {
        let all = Arc::new(InFlight::default());
        let client = |text: &str| text.parse::<IpAddr>().expect("an address");
        let mut flights: Vec<_> = (0..IN_FLIGHT)
            .map(|_| all.begin(client("203.0.113.1")).expect("room"))
            .collect();
        assert!(
            all.begin(client("203.0.113.1")).is_none()
                && all.begin(client("203.0.113.2")).is_some()
        );
        flights.pop();
        assert!(all.begin(client("203.0.113.1")).is_some());
        drop(flights);
        assert!(all.0.lock().expect("unharmed").is_empty());
    }
}
