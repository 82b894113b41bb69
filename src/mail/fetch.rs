//! One GET over TLS: for the two things that Amazon wants fetched. Not a client for pages: no redirects, no cookies, no
//! proxies, a small answer or none.

use std::time::Duration;

use http_body_util::BodyExt;
use http_body_util::Empty;
use http_body_util::Limited;
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use url::Url;

use super::tls;
use crate::dial::AddressTimeouts;
use crate::dial::Destination;

/// The largest answer that is taken, in bytes: a certificate is two thousand.
const LARGEST: usize = 64 << 10;
/// Providers give up on us after ten to fifteen seconds.
const PATIENCE: Duration = Duration::from_secs(5);

/// Asks an https address for what lies there: an answer of 200, at most 64 KB, within five seconds.
///
/// # Errors
/// A sentence for the log.
pub async fn fetch(url: Url) -> Result<Vec<u8>, String> {
    tokio::time::timeout(PATIENCE, get(&url))
        .await
        .unwrap_or_else(|_| Err(format!("no answer within {PATIENCE:?}")))
}

async fn get(url: &Url) -> Result<Vec<u8>, String> {
    let words = |error: &dyn std::error::Error| error.to_string();
    let host = url
        .host_str()
        .filter(|_| url.scheme() == "https")
        .ok_or("only https is asked")?;
    let name = ServerName::try_from(host.to_owned()).map_err(|error| words(&error))?;
    let (tls, limits) = (
        tls::verified(None)?,
        AddressTimeouts {
            connect: PATIENCE,
            first_step: PATIENCE,
        },
    );
    let destination = Destination::new(host, url.port_or_known_default().unwrap_or(443));
    let reached = destination.reach(limits, |tcp| {
        let (tls, name) = (tls.clone(), name.clone());
        async move { tls.connect(name, tcp).await }
    });
    let (line, _) = reached.await.map_err(|unreached| unreached.to_string())?;
    ask(url, host, line).await
}

/// The same, over a line that leads there.
async fn ask(
    url: &Url,
    host: &str,
    line: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) -> Result<Vec<u8>, String> {
    let words = |error: &dyn std::error::Error| error.to_string();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(line))
        .await
        .map_err(|error| words(&error))?;
    let connection = tokio::spawn(connection);
    let path = &url[url::Position::BeforePath..url::Position::AfterQuery];
    let request = hyper::Request::get(path)
        .header("host", host)
        .header("user-agent", "verdicts")
        .body(Empty::<Bytes>::new());
    let answer = sender
        .send_request(request.map_err(|error| words(&error))?)
        .await
        .map_err(|error| words(&error))?;
    let status = answer.status();
    let body = Limited::new(answer.into_body(), LARGEST)
        .collect()
        .await
        .map_err(|error| error.to_string());
    connection.abort();
    if status.as_u16() == 200 {
        Ok(body?.to_bytes().to_vec())
    } else {
        Err(format!("it answered {status}"))
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
        let made = ask(&url, "sns.eu-west-1.amazonaws.com", ours).await;
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
    }
}
