//! A server that answers as told.

use std::future::pending;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;

use Act::*;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;
use tokio::io::AsyncBufReadExt;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::io::AsyncWriteExt;
use tokio::io::BufStream;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::super::*;
use super::connected;

/// The file with a certificate for this machine's own names, and its key, made for this run.
pub(super) fn pem() -> &'static str {
    static FILE: std::sync::LazyLock<tempfile::NamedTempFile> = std::sync::LazyLock::new(|| {
        let made =
            rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()])
                .expect("a certificate");
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(
            file.path(),
            format!("{}{}", made.cert.pem(), made.signing_key.serialize_pem()),
        )
        .expect("written");
        file
    });
    FILE.path().to_str().expect("a path")
}

/// Reaction of a server to a line.
#[derive(Clone, Copy)]
pub(super) enum Act {
    Say(&'static str),
    Hang,
    HangUp,
}

/// A server's manners: what it does at `GREETING`, at a command, or at `.`, the end of a mail.
pub(super) type Manners = fn(&str) -> Act;

pub(super) fn polite(heard: &str) -> Act {
    Say(match heard.split([' ', ':']).next() {
        Some("GREETING") => "220 sink",
        Some("EHLO") => {
            "250-sink\r\n250-SIZE\r\n250-SMTPUTF8\r\n250-STARTTLS\r\n250 AUTH PLAIN LOGIN"
        }
        Some("STARTTLS") => "220 go",
        Some("AUTH") => "235 2.7.0 welcome",
        Some("DATA") => "354 go on",
        Some("QUIT") => "221 bye",
        _ => "250 2.0.0 ok",
    })
}

pub(super) struct Sink {
    pub(super) address: SocketAddr,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Sink {
    pub(super) async fn open(manners: Manners, is_tls: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let heard = Arc::new(Mutex::new(vec![]));
        let sink = Self {
            address: listener.local_addr().expect("an address"),
            heard: heard.clone(),
        };
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let heard = heard.clone();
                tokio::spawn(async move {
                    if is_tls {
                        let Ok(tls) = acceptor().accept(tcp).await else {
                            return;
                        };
                        let _ = talk(BufStream::new(tls), manners, &heard, true).await;
                        return;
                    }
                    let Ok(Some(plain)) = talk(BufStream::new(tcp), manners, &heard, true).await
                    else {
                        return;
                    };
                    let Ok(tls) = acceptor().accept(plain.into_inner()).await else {
                        return;
                    };
                    heard.lock().expect("unpoisoned").push("TLS".into());
                    let _ = talk(BufStream::new(tls), manners, &heard, false).await;
                });
            }
        });
        sink
    }

    pub(super) async fn connect(&self, query: &str) -> OpenTransport {
        connected(&format!("smtp://{}{query}", self.address)).await
    }

    pub(super) fn heard(&self) -> Vec<String> {
        self.heard.lock().expect("unpoisoned").clone()
    }
}

fn acceptor() -> TlsAcceptor {
    let certificate = CertificateDer::from_pem_file(pem()).expect("a certificate");
    let key = PrivateKeyDer::from_pem_file(pem()).expect("a key");
    let builder = rustls::ServerConfig::builder_with_provider(Arc::new(
        rustls::crypto::ring::default_provider(),
    ));
    let builder = builder
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth();
    TlsAcceptor::from(Arc::new(
        builder
            .with_single_cert(vec![certificate], key)
            .expect("a configuration"),
    ))
}

/// Until the other side goes, or says STARTTLS and may.
pub(super) async fn talk<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: BufStream<S>,
    manners: Manners,
    heard: &Mutex<Vec<String>>,
    greets: bool,
) -> std::io::Result<Option<BufStream<S>>> {
    let mut command = String::from(if greets { "GREETING" } else { "" });
    let mut mail = None;
    loop {
        if !command.is_empty() {
            heard.lock().expect("unpoisoned").push(command.clone());
            let reply = match manners(command.lines().last().unwrap_or_default()) {
                Say(reply) => reply,
                Hang => pending().await,
                HangUp => return Ok(None),
            };
            stream.write_all(format!("{reply}\r\n").as_bytes()).await?;
            stream.flush().await?;
            if command == "STARTTLS" && reply.starts_with("220") {
                return Ok(Some(stream));
            }
            mail = (command == "DATA").then(String::new);
        }
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(None);
        }
        command = match &mut mail {
            Some(text) if line == ".\r\n" => std::mem::take(text) + ".",
            Some(text) => {
                *text += line.strip_prefix('.').unwrap_or(&line);
                String::new()
            }
            None => line.trim_end().into(),
        };
    }
}
