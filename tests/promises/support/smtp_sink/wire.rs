//! Bytes in and out, encrypted or not.

use std::future::pending;
use std::io;
use std::io::BufRead;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// Longest command line in bytes: RFC 4954 allows 12288 for AUTH, more than anything else needs.
const LONGEST_COMMAND: usize = 12_288;

/// Bytes read at once.
const READ: usize = 64 * 1024;

/// One connection's bytes. What is written goes out with [`Wire::flush`], so that pipelined commands get their replies in
/// one packet.
pub struct Wire {
    stream: Stream,
    buffer: Box<[u8]>,
    unread: std::ops::Range<usize>,
    unsent: Vec<u8>,
    one_by_one: bool,
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Wire {
    /// With `one_by_one` each line is written by itself, with Nagle's algorithm on.
    pub fn new(stream: TcpStream, one_by_one: bool) -> io::Result<Wire> {
        stream.set_nodelay(!one_by_one)?;
        Ok(Wire {
            stream: Stream::Plain(stream),
            buffer: vec![0; READ].into(),
            unread: 0..0,
            unsent: Vec::new(),
            one_by_one,
        })
    }

    pub fn is_encrypted(&self) -> bool {
        matches!(self.stream, Stream::Tls(_))
    }

    /// Sends what is unsent in the clear, then shakes hands.
    pub async fn encrypt(mut self, tls: &Tls) -> io::Result<Wire> {
        self.flush().await?;
        let Stream::Plain(stream) = self.stream else {
            return Err(ErrorKind::InvalidInput.into());
        };
        let stream = Stream::Tls(Box::new(tls.acceptor.accept(stream).await?));
        Ok(Wire { stream, ..self })
    }

    /// What was read and not yet used.
    pub fn unread(&self) -> &[u8] {
        &self.buffer[self.unread.clone()]
    }

    pub fn skip(&mut self, n: usize) {
        self.unread.start += n;
    }

    /// Reads more, once everything read is used. Sends what is unsent first: whoever is waited for may wait for that.
    pub async fn read_more(&mut self) -> io::Result<()> {
        self.flush().await?;
        let n = match &mut self.stream {
            Stream::Plain(stream) => stream.read(&mut self.buffer).await?,
            Stream::Tls(stream) => stream.read(&mut self.buffer).await?,
        };
        self.unread = 0..n;
        if n == 0 {
            Err(ErrorKind::UnexpectedEof.into())
        } else {
            Ok(())
        }
    }

    /// Reads a line and returns it without its end. One too long is told so and is the end of the connection.
    pub async fn read_line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        loop {
            let n = self.unread().read_until(b'\n', &mut line)?;
            self.skip(n);
            if line.len() > LONGEST_COMMAND {
                self.write("500 5.5.2 line too long");
                self.flush().await?;
                return Err(ErrorKind::InvalidData.into());
            }
            if line.ends_with(b"\n") {
                return Ok(String::from_utf8_lossy(&line)
                    .trim_end_matches(['\r', '\n'])
                    .to_owned());
            }
            self.read_more().await?;
        }
    }

    pub fn write(&mut self, line: &str) {
        self.unsent.extend_from_slice(line.as_bytes());
        self.unsent.extend_from_slice(b"\r\n");
    }

    pub async fn flush(&mut self) -> io::Result<()> {
        match &mut self.stream {
            _ if self.unsent.is_empty() => return Ok(()),
            Stream::Plain(stream) if self.one_by_one => {
                for line in self.unsent.split_inclusive(|byte| *byte == b'\n') {
                    stream.write_all(line).await?;
                }
            }
            Stream::Plain(stream) => stream.write_all(&self.unsent).await?,
            Stream::Tls(stream) => {
                stream.write_all(&self.unsent).await?;
                stream.flush().await?;
            }
        }
        self.unsent.clear();
        Ok(())
    }

    /// Ends the connection so that the last reply arrives. A socket closed with something unread resets the connection, and
    /// that may overtake the reply; so what the client still sends is read away, for a second at most.
    pub async fn close(mut self) -> io::Result<()> {
        self.flush().await?;
        match &mut self.stream {
            Stream::Plain(stream) => stream.shutdown().await?,
            Stream::Tls(stream) => stream.shutdown().await?,
        }
        let reading = async { while self.read_more().await.is_ok() {} };
        // Whether it ended or the second did is all one.
        let _ = timeout(Duration::from_secs(1), reading).await;
        Ok(())
    }

    /// Says nothing and reads everything until the client gives up.
    pub async fn hang(mut self) -> io::Result<()> {
        loop {
            self.read_more().await?;
        }
    }

    /// Says nothing and reads nothing for as long as the sink lives.
    pub async fn freeze(mut self) -> io::Result<()> {
        self.flush().await?;
        pending().await
    }
}

/// A certificate made for this run.
pub struct Tls {
    acceptor: TlsAcceptor,
    /// DER.
    pub certificate: Vec<u8>,
}

impl Tls {
    /// For `localhost` and 127.0.0.1. The provider is named, for a process-wide default may not be set, or be another.
    pub fn generate(is_authority: bool) -> Tls {
        let names = ["localhost", "127.0.0.1"].map(str::to_owned);
        let mut terms = rcgen::CertificateParams::new(names).expect("the names are names");
        if is_authority {
            terms.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        }
        let key = rcgen::KeyPair::generate().expect("a key");
        let certificate = terms.self_signed(&key).expect("a certificate");
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let config =
            ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .with_safe_default_protocol_versions()
                .expect("ring speaks the usual versions")
                .with_no_client_auth()
                .with_single_cert(vec![certificate.der().clone()], key)
                .expect("the key is the certificate's");
        Tls {
            acceptor: TlsAcceptor::from(Arc::new(config)),
            certificate: certificate.der().to_vec(),
        }
    }
}

/// Standard base64 with padding: too little to ask whoever includes the sink for a crate.
pub fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let encode = |three: &[u8]| {
        let bits = three
            .iter()
            .fold(0_usize, |bits, &byte| bits << 8 | usize::from(byte))
            << (8 * (3 - three.len()));
        let letters = three.len() + 1;
        (0..4).map(move |i| {
            if i < letters {
                char::from(LETTERS[bits >> (18 - 6 * i) & 63])
            } else {
                '='
            }
        })
    };
    bytes.chunks(3).flat_map(encode).collect()
}
