//! The line to a server, ready to be talked over: TCP, and TLS as the setting demands it.
//!
//! lettre reads the replies to our mails over what it is given here. Its own way to a line is not used: it leaves Nagle's algorithm on
//! (44 ms a mail), has no time-outs, says EHLO twice, and its STARTTLS keeps what arrived before the handshake, so that a stranger on
//! the way can put answers into the server's mouth.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::task::Context;
use std::task::Poll;
use std::task::ready;
use std::time::Duration;

use lettre::transport::smtp::client::AsyncTokioStream;
use rustls_pki_types::ServerName;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::io::ReadBuf;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::dial::AddressTimeouts;
use crate::dial::Missed;
use crate::dial::Unreached;
use crate::dial::spoken_to;
use crate::mail::smtp::connect_fault::ConnectFault;
use crate::mail::smtp::greeting::GreetingProgress;
use crate::mail::smtp::greeting::GreetingStep;
use crate::mail::smtp::server::ConnectionSecurity;
use crate::mail::smtp::server::SmtpServer;
use crate::mail::smtp::writer::SharedStream;
use crate::mail::smtp::writer::SmtpWriter;
use crate::mail::smtp::writer::WriteDeadline;
use crate::mail::utf8::Whole;

/// An address of the server that answers.
pub(in crate::mail) enum SmtpAddress {
    /// It began its banner, which is still to be read.
    Spoke(Prompt),
    /// It speaks TLS, with a certificate that we trust.
    Encrypted(Box<TlsStream<Prompt>>),
}

/// Reaches the server.
pub(in crate::mail) async fn reach(
    server: &SmtpServer,
    progress: &GreetingProgress,
) -> Result<(SmtpAddress, SocketAddr), ConnectFault> {
    let timeouts = server.timeouts;
    let (step, first_step) = match server.security {
        ConnectionSecurity::Implicit(..) => (GreetingStep::Handshake, timeouts.connect),
        _ => (GreetingStep::Banner, timeouts.command),
    };
    let limits = AddressTimeouts {
        connect: timeouts.connect,
        first_step,
    };
    let reached = server.destination.reach(limits, |tcp| {
        progress.enter(step);
        let (first, progress) = (answers(server.clone(), tcp), progress.clone());
        async move { first.await.inspect_err(|fault| progress.failed(fault)) }
    });
    reached
        .await
        .map_err(|unreached| fault_of(server, unreached))
}

/// Chooses the fault to report. What a server says of itself weighs more than that another of its addresses is silent, and that more
/// than one that refuses.
fn fault_of(server: &SmtpServer, unreached: Unreached<ConnectFault>) -> ConnectFault {
    let Unreached::Addresses(mut missed) = unreached else {
        return ConnectFault::unreachable(server, unreached);
    };
    if let Some(last) = missed
        .iter()
        .rposition(|(_, why)| matches!(why, Missed::Step(_)))
        && let (_, Missed::Step(fault)) = missed.swap_remove(last)
    {
        return fault;
    }
    let is_silent = missed
        .iter()
        .any(|(_, why)| matches!(why, Missed::Silent(_)));
    let unreached = Unreached::Addresses(missed);
    if is_silent {
        ConnectFault::broke_off(server, unreached)
    } else {
        ConnectFault::unreachable(server, unreached)
    }
}

/// Tries each address by itself.
pub(in crate::mail) async fn survey(
    server: &SmtpServer,
    limit: Duration,
) -> Result<Vec<(SocketAddr, Option<String>)>, String> {
    server
        .destination
        .survey(
            AddressTimeouts {
                connect: limit,
                first_step: limit,
            },
            |tcp| answers(server.clone(), tcp),
        )
        .await
}

/// The first step of a server: it speaks, or shakes hands where TLS is there from the first byte.
async fn answers(server: SmtpServer, tcp: TcpStream) -> Result<SmtpAddress, ConnectFault> {
    match &server.security {
        ConnectionSecurity::Implicit(tls, name) => Ok(SmtpAddress::Encrypted(Box::new(
            shake_hands(&server, tls, name, Prompt::new(tcp)).await?,
        ))),
        _ => spoken_to(tcp)
            .await
            .map(|tcp| SmtpAddress::Spoke(Prompt::new(tcp)))
            .map_err(|error| ConnectFault::broke_off(&server, error)),
    }
}

pub(in crate::mail) async fn shake_hands(
    server: &SmtpServer,
    tls: &TlsConnector,
    name: &ServerName<'static>,
    tcp: Prompt,
) -> Result<TlsStream<Prompt>, ConnectFault> {
    let limit = server.timeouts.connect;
    let why = match timeout(limit, tls.connect(name.clone(), tcp)).await {
        Ok(Ok(stream)) => return Ok(stream),
        Ok(Err(err)) if is_about_the_certificate(&err) => {
            format!(
                "its certificate is not trusted: {err}; correct the host in mail.transport, or name the certificate itself, or its root, in tls_ca"
            )
        }
        Ok(Err(err)) => format!("{err}; check scheme, port and tls in mail.transport"),
        Err(_) => {
            format!("no handshake within {limit:?}; check scheme, port and tls in mail.transport")
        }
    };
    Err(ConnectFault::tls(server, why))
}

fn is_about_the_certificate(err: &io::Error) -> bool {
    matches!(
        err.get_ref().and_then(|err| err.downcast_ref()),
        Some(rustls::Error::InvalidCertificate(_))
    )
}

/// Twice what a line of a reply may have (RFC 5321 4.5.3.1.5: 512 octets), which is what is seen in the wild.
pub(in crate::mail) const LONGEST_LINE: usize = 1024;

pub(in crate::mail) fn no_smtp() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "that is no SMTP")
}

/// A TCP connection that acknowledges at once what it read, where more is waited for.
///
/// Where a server writes its replies one by one with Nagle's algorithm on, the second waits for the acknowledgement of the first, and
/// Linux delays that by 40 ms: 22 mails a second where 400 are possible. It forgets the wish with time, so it is renewed.
///
/// Refused: a wish after each read. All that is waited for mostly comes at once, and what we write next acknowledges it; the wish then
/// costs a system call and a packet, 3.5 us of the 38 us that a mail of 16 KB takes of the processor.
pub(in crate::mail) struct Prompt {
    tcp: TcpStream,
    /// True if something was read since the last write: a reader that waits now waits for the rest.
    has_read: bool,
}

impl Prompt {
    pub(in crate::mail) fn new(tcp: TcpStream) -> Self {
        Self {
            tcp,
            has_read: false,
        }
    }
}

impl AsyncRead for Prompt {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { tcp, has_read } = self.get_mut();
        let read = Pin::new(&mut *tcp).poll_read(cx, buffer);
        if read.is_pending() && std::mem::take(has_read) {
            // Where it cannot be had, replies take longer and nothing else happens.
            #[cfg(target_os = "linux")]
            let _ = tcp.set_quickack(true);
        }
        ready!(read)?;
        *has_read = true;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Prompt {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let Self { tcp, has_read } = self.get_mut();
        *has_read = false;
        Pin::new(tcp).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let Self { tcp, has_read } = self.get_mut();
        *has_read = false;
        Pin::new(tcp).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().tcp).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().tcp).poll_shutdown(cx)
    }
}

/// Banner and reply to EHLO as lettre gets them: both were read here, with more of them than it keeps.
const GREETING: &[u8] = b"220 server\r\n250 server\r\n";

/// A line on which lettre reads the replies; an [`SmtpWriter`] writes.
pub(in crate::mail) struct SmtpStream<S> {
    peer: SocketAddr,
    /// Still to be read, before anything from the server.
    greeting: &'static [u8],
    /// True until lettre has said its EHLO, which goes nowhere: the server has had ours.
    drops_ehlo: bool,
    /// Number of bytes read of a line without its end.
    unended: usize,
    text: Whole,
    inner: SharedStream<S>,
}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> SmtpStream<S> {
    /// A line to a server that has answered our EHLO.
    pub(in crate::mail) fn boxed(
        peer: SocketAddr,
        inner: S,
        fence: WriteDeadline,
    ) -> (Box<dyn AsyncTokioStream>, SmtpWriter) {
        let inner = Arc::new(Mutex::new(inner));
        let line = Self {
            peer,
            greeting: GREETING,
            drops_ehlo: true,
            unended: 0,
            text: Whole::default(),
            inner: inner.clone(),
        };
        (Box::new(line), SmtpWriter::new(inner, fence))
    }
}

impl<S> SmtpStream<S> {
    fn inner(&self) -> MutexGuard<'_, S> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> AsyncTokioStream for SmtpStream<S> {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.peer)
    }
}

/// lettre asks for it; the TLS state would print keys.
impl<S> fmt::Debug for SmtpStream<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Line({})", self.peer)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for SmtpStream<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let line = self.get_mut();
        if !line.greeting.is_empty() {
            let (now, later) = line
                .greeting
                .split_at(line.greeting.len().min(buffer.remaining()));
            buffer.put_slice(now);
            line.greeting = later;
            return Poll::Ready(Ok(()));
        }
        let known = buffer.filled().len();
        loop {
            let mut fresh = buffer.take(buffer.remaining().saturating_sub(line.text.waiting()));
            ready!(Pin::new(&mut *line.inner()).poll_read(cx, &mut fresh))?;
            let ended = fresh.filled().is_empty();
            let whole = line.text.take(fresh.filled());
            buffer.put_slice(&whole);
            // Half a character alone would be read as the end of the line.
            if ended || !whole.is_empty() {
                break;
            }
        }
        for byte in &buffer.filled()[known..] {
            line.unended = if *byte == b'\n' { 0 } else { line.unended + 1 };
        }
        // lettre measures a line when it has all of it, however long that takes and however much it is.
        if line.unended > LONGEST_LINE {
            Poll::Ready(Err(no_smtp()))
        } else {
            Poll::Ready(Ok(()))
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for SmtpStream<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let line = self.get_mut();
        if line.drops_ehlo {
            line.drops_ehlo = !bytes.ends_with(b"\n");
            return Poll::Ready(Ok(bytes.len()));
        }
        Pin::new(&mut *line.inner()).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.inner()).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.inner()).poll_shutdown(cx)
    }
}
