//! The line to a server, ready to be talked over: TCP, and TLS as the setting demands it.
//!
//! lettre talks over what it is given here. Its own way to a line is not used: it leaves Nagle's algorithm on (44 ms a mail),
//! has no time-outs, and its STARTTLS keeps what arrived before the handshake, so that a stranger on the way can put
//! answers into the server's mouth ("NO STARTTLS", USENIX Security 2021).

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
use tokio::io::AsyncBufReadExt;
use tokio::io::AsyncRead;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWrite;
use tokio::io::AsyncWriteExt;
use tokio::io::BufReader;
use tokio::io::ReadBuf;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::fault::ConnectFault;
use super::greeting::Progress;
use super::greeting::Step;
use super::outlet::Fence;
use super::outlet::Held;
use super::outlet::Outlet;
use super::server::Security;
use super::server::Server;
use super::utf8::Whole;
use crate::dial::Limits;
use crate::dial::Missed;
use crate::dial::Unreached;
use crate::dial::spoken_to;

/// Reaches the server. What comes back is at its greeting, whatever was said before. `progress` tells which step is under way.
pub(super) async fn open(server: &Server, fence: Fence, progress: &Progress) -> Result<(Box<dyn AsyncTokioStream>, Outlet), ConnectFault> {
    // In place of the greeting that was read here, for lettre waits for one.
    const GREETING: &[u8] = b"220 \r\n";
    progress.enter(Step::Connecting);
    let (first, peer) = reach(server, progress).await?;
    progress.reached(peer);
    let (tls, name, tcp) = match (first, &server.security) {
        (First::Encrypted(tls), _) => return Ok(Line::boxed(peer, b"", *tls, fence)),
        (First::Spoke(tcp), Security::Opportunistic(tls, name) | Security::StartTls(tls, name)) => (tls, name, tcp),
        (First::Spoke(tcp), _) => return Ok(Line::boxed(peer, b"", tcp, fence)),
    };
    match ask_for_tls(server, tcp, progress).await? {
        (tcp, Ok(())) => {
            progress.enter(Step::Handshake);
            Ok(Line::boxed(peer, GREETING, shake_hands(server, tls, name, tcp).await?, fence))
        }
        // RFC 7435: in the clear is better than not at all. A handshake that fails is another matter: a server that offers
        // TLS and cannot do it wants mending, not a workaround.
        (tcp, Err(_)) if matches!(server.security, Security::Opportunistic(..)) => Ok(Line::boxed(peer, GREETING, tcp, fence)),
        (_, Err(why)) => {
            let advice = "use smtps:// if it has that, or tls=none if the network is your own";
            Err(ConnectFault::tls(server, format!("it {why}, and no mail or password may go there in the clear; {advice}")))
        }
    }
}

/// An address of the server that answers.
enum First {
    /// It began its banner, which is still to be read.
    Spoke(TcpStream),
    /// It speaks TLS, with a certificate that we trust.
    Encrypted(Box<TlsStream<TcpStream>>),
}

async fn reach(server: &Server, progress: &Progress) -> Result<(First, SocketAddr), ConnectFault> {
    let timeouts = server.timeouts;
    let (step, first_step) = match server.security {
        Security::Implicit(..) => (Step::Handshake, timeouts.connect),
        _ => (Step::Banner, timeouts.command),
    };
    let limits = Limits { connect: timeouts.connect, first_step };
    let reached = server.destination.reach(limits, |tcp| {
        progress.enter(step);
        let (first, progress) = (answers(server.clone(), tcp), progress.clone());
        async move { first.await.inspect_err(|fault| progress.failed(fault)) }
    });
    reached.await.map_err(|unreached| fault_of(server, unreached))
}

/// Chooses the fault to report. What a server says of itself weighs more than that another of its addresses is silent, and that more
/// than one that refuses.
fn fault_of(server: &Server, unreached: Unreached<ConnectFault>) -> ConnectFault {
    let Unreached::Addresses(mut missed) = unreached else { return ConnectFault::unreachable(server, unreached) };
    if let Some(last) = missed.iter().rposition(|(_, why)| matches!(why, Missed::Step(_)))
        && let (_, Missed::Step(fault)) = missed.swap_remove(last)
    {
        return fault;
    }
    let is_silent = missed.iter().any(|(_, why)| matches!(why, Missed::Silent(_)));
    let unreached = Unreached::Addresses(missed);
    if is_silent { ConnectFault::broke_off(server, unreached) } else { ConnectFault::unreachable(server, unreached) }
}

/// Tries each address by itself.
pub(super) async fn survey(server: &Server, limit: Duration) -> Result<Vec<(SocketAddr, Option<String>)>, String> {
    server.destination.survey(Limits { connect: limit, first_step: limit }, |tcp| answers(server.clone(), tcp)).await
}

/// The first step of a server: it speaks, or shakes hands where TLS is there from the first byte.
async fn answers(server: Server, tcp: TcpStream) -> Result<First, ConnectFault> {
    match &server.security {
        Security::Implicit(tls, name) => Ok(First::Encrypted(Box::new(shake_hands(&server, tls, name, tcp).await?))),
        _ => spoken_to(tcp).await.map(First::Spoke).map_err(|error| ConnectFault::broke_off(&server, error)),
    }
}

async fn shake_hands(
    server: &Server,
    tls: &TlsConnector,
    name: &ServerName<'static>,
    tcp: TcpStream,
) -> Result<TlsStream<TcpStream>, ConnectFault> {
    let limit = server.timeouts.connect;
    let why = match timeout(limit, tls.connect(name.clone(), tcp)).await {
        Ok(Ok(stream)) => return Ok(stream),
        Ok(Err(err)) if is_about_the_certificate(&err) => {
            format!("its certificate is not trusted: {err}; correct the host in mail.transport, or name its root in tls_ca")
        }
        Ok(Err(err)) => format!("{err}; check scheme, port and tls in mail.transport"),
        Err(_) => format!("no handshake within {limit:?}; check scheme, port and tls in mail.transport"),
    };
    Err(ConnectFault::tls(server, why))
}

fn is_about_the_certificate(err: &io::Error) -> bool {
    matches!(err.get_ref().and_then(|err| err.downcast_ref()), Some(rustls::Error::InvalidCertificate(_)))
}

/// Greeting, EHLO, STARTTLS (RFC 3207). Gives the line back with the server ready for a handshake, or why it is not.
async fn ask_for_tls(server: &Server, tcp: TcpStream, progress: &Progress) -> Result<(TcpStream, Result<(), String>), ConnectFault> {
    let mut talk = BufReader::new(tcp);
    progress.enter(Step::Banner);
    answer(server, &mut talk, 220).await?;
    progress.enter(Step::Ehlo);
    say(server, &mut talk, &format!("EHLO {}\r\n", server.hello)).await?;
    let offers = answer(server, &mut talk, 250).await?;
    if !offers.iter().skip(1).any(|offer| offer.trim().eq_ignore_ascii_case("STARTTLS")) {
        return Ok((talk.into_inner(), Err("offers no STARTTLS".into())));
    }
    progress.enter(Step::StartTls);
    say(server, &mut talk, "STARTTLS\r\n").await?;
    let (code, lines) = heard(server, read_reply(&mut talk)).await?;
    if code != 220 {
        return Ok((talk.into_inner(), Err(format!("refused STARTTLS: {code} {}", lines.join(" ")))));
    }
    // Whatever stands here was not said under TLS, yet would be read as if it were.
    if !talk.buffer().is_empty() {
        return Err(ConnectFault::tls(
            server,
            "it went on in the clear after its answer to STARTTLS: it is broken, or somebody stands in between",
        ));
    }
    Ok((talk.into_inner(), Ok(())))
}

async fn say(server: &Server, talk: &mut BufReader<TcpStream>, command: &str) -> Result<(), ConnectFault> {
    heard(server, talk.write_all(command.as_bytes())).await
}

async fn answer(server: &Server, talk: &mut BufReader<TcpStream>, expected: u16) -> Result<Vec<String>, ConnectFault> {
    match heard(server, read_reply(talk)).await? {
        (code, lines) if code == expected => Ok(lines),
        (code, lines) => Err(ConnectFault::refused(server, code, &lines.join(" "))),
    }
}

/// One step of a talk: within its time, or not at all.
async fn heard<T>(server: &Server, step: impl Future<Output = io::Result<T>>) -> Result<T, ConnectFault> {
    let limit = server.timeouts.command;
    match timeout(limit, step).await {
        Ok(heard) => heard.map_err(|err| ConnectFault::broke_off(server, err)),
        Err(_) => Err(ConnectFault::broke_off(server, format!("no answer within {limit:?}"))),
    }
}

/// One reply (RFC 5321 4.2.1), by lines without their code. For the few words before TLS; from there on lettre reads them.
async fn read_reply(talk: &mut BufReader<TcpStream>) -> io::Result<(u16, Vec<String>)> {
    const MOST_LINES: usize = 100;
    let mut lines = Vec::new();
    while lines.len() < MOST_LINES {
        let mut line = Vec::new();
        (&mut *talk).take(LONGEST_LINE as u64).read_until(b'\n', &mut line).await?;
        let line = String::from_utf8_lossy(&line).into_owned();
        let (code, text) = line.split_at(line.floor_char_boundary(3));
        match code.parse() {
            Ok(code) if line.ends_with('\n') => {
                lines.push(text.get(1..).unwrap_or_default().trim_end().to_string());
                if !text.starts_with('-') {
                    return Ok((code, lines));
                }
            }
            _ if line.is_empty() => return Err(io::ErrorKind::UnexpectedEof.into()),
            _ => break,
        }
    }
    Err(no_smtp())
}

/// Twice what a line of a reply may have (RFC 5321 4.5.3.1.5: 512 octets), which is what is seen in the wild.
const LONGEST_LINE: usize = 1024;

fn no_smtp() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "that is no SMTP")
}

/// What lettre reads, and writes before the first mail; from then on an [`Outlet`] writes.
struct Line<S> {
    peer: SocketAddr,
    /// Still to be read, before anything from the server.
    greeting: &'static [u8],
    /// How much of a line without its end was read.
    unended: usize,
    text: Whole,
    inner: Held<S>,
}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> Line<S> {
    fn boxed(peer: SocketAddr, greeting: &'static [u8], inner: S, fence: Fence) -> (Box<dyn AsyncTokioStream>, Outlet) {
        let inner = Arc::new(Mutex::new(inner));
        (Box::new(Self { peer, greeting, unended: 0, text: Whole::default(), inner: inner.clone() }), Outlet::new(inner, fence))
    }
}

impl<S> Line<S> {
    fn inner(&self) -> MutexGuard<'_, S> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> AsyncTokioStream for Line<S> {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.peer)
    }
}

/// lettre asks for it; the TLS state would print keys.
impl<S> fmt::Debug for Line<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Line({})", self.peer)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Line<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let line = self.get_mut();
        if !line.greeting.is_empty() {
            let (now, later) = line.greeting.split_at(line.greeting.len().min(buffer.remaining()));
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
        if line.unended > LONGEST_LINE { Poll::Ready(Err(no_smtp())) } else { Poll::Ready(Ok(())) }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Line<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.inner()).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.inner()).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.inner()).poll_shutdown(cx)
    }
}
