//! One request and its answer, over TLS or, to a private host that the settings name, without.

use std::path::Path;
use std::time::Duration;

use http_body_util::BodyExt;
use http_body_util::Full;
use http_body_util::Limited;
use hyper::Request;
use hyper::Response;
use hyper::body::Bytes;
use hyper::body::Incoming;
use hyper::header::HOST;
use hyper::header::HeaderValue;
use hyper::header::USER_AGENT;
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::net::TcpStream;
use tokio_util::task::AbortOnDropHandle;
use url::Position;
use url::Url;

use super::guard::Guard;
use super::guard::NamedHost;
use crate::dial::AddressTimeouts;
use crate::dial::Destination;
use crate::dial::Resolver;
use crate::dial::tls;
use crate::dial::tls::TlsConnector;

/// The largest answer that is taken, in bytes: a set of keys has ten thousand, a certificate two.
const LARGEST: usize = 64 << 10;
/// Somebody waits, a provider or a person: providers give up on us after ten to fifteen seconds.
const PATIENCE: Duration = Duration::from_secs(5);

/// Reason why there was no answer; a sentence for the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct HttpError(pub String);

fn words(error: impl std::fmt::Display) -> HttpError {
    HttpError(error.to_string())
}

/// Bounds of a client.
#[derive(Debug, Clone, Copy)]
pub struct ClientLimits {
    /// Time for a request, from the look-up of the name to the end of the answer.
    pub timeout: Duration,
    /// Bytes of an answer that are taken.
    pub answer_max: usize,
    /// True if a longer answer is cut there; else it is an error.
    pub is_cut: bool,
}

/// A client for public hosts, and for those that the settings name.
#[derive(Clone)]
pub struct HttpClient {
    guard: Guard,
    tls: TlsConnector,
    limits: ClientLimits,
    resolver: Resolver,
    agent: HeaderValue,
}

impl HttpClient {
    /// A client that may ask `named` wherever it is. `extra_roots`: a PEM file of certificates to trust besides Mozilla's.
    ///
    /// # Errors
    /// A sentence, when the file cannot be used.
    pub fn new(named: NamedHost, extra_roots: Option<&Path>) -> Result<Self, String> {
        let limits = ClientLimits {
            timeout: PATIENCE,
            answer_max: LARGEST,
            is_cut: false,
        };
        Self::with(Guard::Named(named), extra_roots, limits, "verdicts")
    }

    /// A client with a rule, bounds and a name of its own.
    ///
    /// # Errors
    /// As [`HttpClient::new`].
    pub fn with(
        guard: Guard,
        extra_roots: Option<&Path>,
        limits: ClientLimits,
        agent: &'static str,
    ) -> Result<Self, String> {
        Ok(Self {
            guard,
            tls: tls::verified(extra_roots)?,
            limits,
            resolver: Resolver::default(),
            agent: HeaderValue::from_static(agent),
        })
    }

    /// The same, with another way to look names up.
    #[must_use]
    pub fn resolving_by(self, resolver: Resolver) -> Self {
        Self { resolver, ..self }
    }

    /// Sends a request to its address, and gives the answer, whatever its status.
    pub async fn send(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, HttpError> {
        let (asked, limit) = (self.ask_within(request), self.limits.timeout);
        tokio::time::timeout(limit, asked)
            .await
            .unwrap_or_else(|_| Err(HttpError(format!("no answer within {limit:?}"))))
    }

    async fn ask_within(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, HttpError> {
        let url = Url::parse(&request.uri().to_string()).map_err(words)?;
        let is_https = match url.scheme() {
            "https" => true,
            // Nobody is resolved who may not be asked anyway.
            "http" if self.guard.allows_http() => false,
            _ => return Err(HttpError("only https is asked".into())),
        };
        let host = url.host_str().ok_or_else(|| words("there is no host"))?;
        let destination = Destination::new(host, url.port_or_known_default().unwrap_or(443));
        let limits = AddressTimeouts {
            connect: self.limits.timeout,
            first_step: self.limits.timeout,
        };
        let admit = |ip| self.guard.check(url.scheme(), host, ip);
        if !is_https {
            let first_step = |tcp: TcpStream| async move { Ok::<_, HttpError>(tcp) };
            let reached = destination.reach_admitted(limits, &self.resolver, admit, first_step);
            let (line, _) = reached.await.map_err(words)?;
            return self.ask(&url, request, line).await;
        }
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(bare.to_owned()).map_err(words)?;
        let first_step = |tcp: TcpStream| {
            let (tls, name) = (self.tls.clone(), name.clone());
            async move { tls.connect(name, tcp).await.map_err(words) }
        };
        let reached = destination.reach_admitted(limits, &self.resolver, admit, first_step);
        let (line, _) = reached.await.map_err(words)?;
        self.ask(&url, request, line).await
    }

    /// Sends a request over a line that leads there.
    async fn ask(
        &self,
        url: &Url,
        request: Request<Vec<u8>>,
        line: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    ) -> Result<Response<Vec<u8>>, HttpError> {
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(line))
            .await
            .map_err(words)?;
        // Dropped with the answer, or when the time is over: a task would go on with a line that nobody reads.
        let connection = AbortOnDropHandle::new(tokio::spawn(connection));
        let (mut parts, body) = request.into_parts();
        let place = url[Position::BeforeHost..Position::AfterPort].to_owned();
        parts.uri = url[Position::BeforePath..Position::AfterQuery]
            .parse()
            .map_err(words)?;
        let host = HeaderValue::from_str(&place).map_err(words)?;
        parts.headers.insert(HOST, host);
        parts.headers.insert(USER_AGENT, self.agent.clone());
        let request = Request::from_parts(parts, Full::new(Bytes::from(body)));
        let answer = sender.send_request(request).await.map_err(words)?;
        let (parts, body) = answer.into_parts();
        let body = match self.limits.is_cut {
            true => start_of(body, self.limits.answer_max).await?,
            false => {
                let whole = Limited::new(body, self.limits.answer_max).collect().await;
                whole.map_err(words)?.to_bytes().to_vec()
            }
        };
        drop(connection);
        Ok(Response::from_parts(parts, body))
    }
}

/// The first bytes of a body; what comes after them is not read.
async fn start_of(mut body: Incoming, most: usize) -> Result<Vec<u8>, HttpError> {
    let mut start = Vec::new();
    while start.len() < most {
        let Some(frame) = body.frame().await else {
            break;
        };
        if let Ok(data) = frame.map_err(words)?.into_data() {
            start.extend_from_slice(&data[..data.len().min(most - start.len())]);
        }
    }
    Ok(start)
}

/// Asks an https address for what lies there: an answer of 200, at most 64 KB, within five seconds. The caller has checked the host's
/// name; it may be private, as Amazon's hosts are behind the endpoint of a virtual network, and proves itself by its certificate.
///
/// # Errors
/// A sentence for the log.
pub async fn fetch(url: Url) -> Result<Vec<u8>, String> {
    if url.scheme() != "https" {
        return Err("only https is asked".into());
    }
    let host = url.host_str().map(str::to_owned);
    let client = HttpClient::new(NamedHost(host), None)?;
    let request = Request::get(url.as_str()).body(Vec::new());
    let request = request.map_err(|error| error.to_string())?;
    let answer = client.send(request).await;
    lying_there(answer.map_err(|error| error.to_string())?)
}

fn lying_there(answer: Response<Vec<u8>>) -> Result<Vec<u8>, String> {
    match answer.status().as_u16() {
        200 => Ok(answer.into_body()),
        _ => Err(format!("it answered {}", answer.status())),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;
    use tokio::io::AsyncWriteExt;

    use super::*;

    /// Returns what is made of a server's answer, and what the server was asked.
    async fn answered(answer: String) -> (Result<Vec<u8>, String>, String) {
        let url = Url::parse(
            "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&Token=a%20b#part",
        )
        .expect("an address");
        let (ours, mut theirs) = tokio::io::duplex(1 << 20);
        let server = tokio::spawn(async move {
            let (mut asked, mut part) = (Vec::new(), [0; 1_024]);
            while !asked.ends_with(b"\r\n\r\n") {
                let read = theirs.read(&mut part).await.expect("a request");
                asked.extend_from_slice(&part[..read]);
            }
            theirs.write_all(answer.as_bytes()).await.expect("sent");
            String::from_utf8(asked).expect("text")
        });
        let request = Request::get(url.as_str()).body(Vec::new());
        let client = HttpClient::new(NamedHost(None), None).expect("a client");
        let made = client.ask(&url, request.expect("a request"), ours).await;
        let made = made
            .map_err(|error| error.to_string())
            .and_then(lying_there);
        (made, server.await.expect("an end"))
    }

    #[tokio::test]
    async fn what_lies_at_an_address_is_asked_for_once_and_taken_if_it_is_small() {
        let (made, asked) =
            answered("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\npem".into()).await;
        assert_eq!(made.as_deref(), Ok(&b"pem"[..]));
        assert!(
            asked.starts_with("GET /?Action=ConfirmSubscription&Token=a%20b HTTP/1.1\r\n"),
            "{asked}"
        );
        assert!(
            asked.contains("host: sns.eu-west-1.amazonaws.com\r\n"),
            "{asked}"
        );
        let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\npem\r\n0\r\n\r\n";
        assert_eq!(answered(chunked.into()).await.0.as_deref(), Ok(&b"pem"[..]));
        for other in [
            "301 Moved\r\nlocation: https://evil.example/",
            "404 Not Found",
            "500 Oh",
            "204 None",
        ] {
            let (made, _) =
                answered(format!("HTTP/1.1 {other}\r\ncontent-length: 0\r\n\r\n")).await;
            assert!(made.is_err_and(|why| why.contains(&other[..3])), "{other}");
        }
        let large = format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{}",
            LARGEST + 1,
            "x".repeat(LARGEST + 1)
        );
        assert!(answered(large).await.0.is_err(), "too large");
        assert!(answered("that is no HTTP\r\n\r\n".into()).await.0.is_err());
        assert!(
            answered("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf".into())
                .await
                .0
                .is_err(),
            "cut off"
        );
    }

    #[tokio::test]
    async fn nothing_is_asked_in_the_clear() {
        let url = Url::parse("http://127.0.0.1:1/").expect("an address");
        assert_eq!(fetch(url).await, Err("only https is asked".into()));
        let url = Url::parse("https://127.0.0.1:1/").expect("an address");
        assert!(fetch(url).await.is_err());
    }
}
