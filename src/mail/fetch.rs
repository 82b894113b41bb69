//! One GET over TLS: for the two things that Amazon wants fetched. Not a client for pages: no redirects, no cookies, no
//! proxies, a small answer or none.

use std::time::Duration;

use http_body_util::BodyExt;
use http_body_util::Empty;
use http_body_util::Limited;
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use url::Url;

use super::tls;

/// The largest answer that is taken, in bytes: a certificate is two thousand.
const LARGEST: usize = 64 << 10;
/// Providers give up on us after ten to fifteen seconds.
const PATIENCE: Duration = Duration::from_secs(5);

/// Asks an https address for what lies there: an answer of 200, at most 64 KB, within five seconds.
///
/// # Errors
/// A sentence for the log.
pub async fn fetch(url: Url) -> Result<Vec<u8>, String> {
    tokio::time::timeout(PATIENCE, get(&url)).await.unwrap_or_else(|_| Err(format!("no answer within {PATIENCE:?}")))
}

async fn get(url: &Url) -> Result<Vec<u8>, String> {
    let words = |error: &dyn std::error::Error| error.to_string();
    let host = url.host_str().filter(|_| url.scheme() == "https").ok_or("only https is asked")?;
    let name = ServerName::try_from(host.to_owned()).map_err(|error| words(&error))?;
    let tcp = TcpStream::connect((host, url.port_or_known_default().unwrap_or(443))).await.map_err(|error| words(&error))?;
    let stream = tls::verified(None)?.connect(name, tcp).await.map_err(|error| words(&error))?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| words(&error))?;
    let connection = tokio::spawn(connection);
    let path = &url[url::Position::BeforePath..url::Position::AfterQuery];
    let request = hyper::Request::get(path).header("host", host).header("user-agent", "verdicts").body(Empty::<Bytes>::new());
    let answer = sender.send_request(request.map_err(|error| words(&error))?).await.map_err(|error| words(&error))?;
    let status = answer.status();
    let body = Limited::new(answer.into_body(), LARGEST).collect().await.map_err(|error| error.to_string());
    connection.abort();
    if status.as_u16() == 200 { Ok(body?.to_bytes().to_vec()) } else { Err(format!("it answered {status}")) }
}
