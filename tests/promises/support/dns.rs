//! A small name server: what a resolver would find, as a test says it. UDP on loopback, one question, one answer.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;

use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

/// Record types (RFC 1035 3.2.2).
const A: u16 = 1;
const NS: u16 = 2;
const MX: u16 = 15;
const TXT: u16 = 16;

type Zone = Arc<Mutex<HashMap<(String, u16), Vec<Vec<u8>>>>>;

/// A running name server; it ends when it is dropped.
pub struct NameServer {
    address: SocketAddr,
    zone: Zone,
    serving: JoinHandle<()>,
}

impl NameServer {
    /// One that knows the top-level domain of these names, and nothing below it yet.
    pub async fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
        let address = socket.local_addr().expect("an address");
        let zone = Zone::default();
        let serving = tokio::spawn(serve(socket, zone.clone()));
        let server = Self { address, zone, serving };
        server.add("example", NS, name("a.root.example"));
        server
    }

    /// `IP:port`, for `mail.resolver`.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    pub fn text(&self, name: &str, text: &str) -> &Self {
        let pieces = text.as_bytes().chunks(255).flat_map(|piece| [&[piece.len() as u8], piece].concat());
        self.add(name, TXT, pieces.collect())
    }

    /// A mail server's name; an empty one says that there is none.
    pub fn exchange(&self, domain: &str, server: &str) -> &Self {
        self.add(domain, MX, [vec![0, 10], name(server)].concat())
    }

    pub fn address_of(&self, domain: &str) -> &Self {
        self.add(domain, A, vec![192, 0, 2, 7])
    }

    /// Takes all records of a name away.
    pub fn forget(&self, name: &str) -> &Self {
        self.zone.lock().expect("whole").retain(|(known, _), _| known != name);
        self
    }

    fn add(&self, name: &str, kind: u16, data: Vec<u8>) -> &Self {
        self.zone.lock().expect("whole").entry((name.to_owned(), kind)).or_default().push(data);
        self
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn name(name: &str) -> Vec<u8> {
    let labels = name.split('.').filter(|label| !label.is_empty());
    labels.flat_map(|label| [&[label.len() as u8], label.as_bytes()].concat()).chain([0]).collect()
}

async fn serve(socket: UdpSocket, zone: Zone) {
    let mut buffer = [0; 4096];
    while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
        if let Some(answer) = answer(&buffer[..length], &zone) {
            let _ = socket.send_to(&answer, from).await;
        }
    }
}

/// RFC 1035 4.1: the question again, and what is known.
fn answer(question: &[u8], zone: &Zone) -> Option<Vec<u8>> {
    let (mut at, mut labels) = (12, Vec::new());
    while let Some(&length) = question.get(at).filter(|length| **length > 0) {
        labels.push(String::from_utf8_lossy(question.get(at + 1..at + 1 + usize::from(length))?).to_lowercase());
        at += 1 + usize::from(length);
    }
    let kind = u16::from_be_bytes([*question.get(at + 1)?, *question.get(at + 2)?]);
    let zone = zone.lock().expect("whole");
    let asked = labels.join(".");
    let found = zone.get(&(asked.clone(), kind)).map(Vec::as_slice).unwrap_or_default();
    // A name exists where there is anything at it or below it.
    let is_there = zone.keys().any(|(known, _)| *known == asked || known.ends_with(&format!(".{asked}")));
    let code = if is_there { 0 } else { 3 };
    let mut out = [&question[..2], &[0x85, 0x80 | code, 0, 1], &(found.len() as u16).to_be_bytes(), &[0, 0, 0, 0]].concat();
    out.extend_from_slice(question.get(12..at + 5)?);
    for data in found {
        out.extend_from_slice(
            &[&[0xC0, 12][..], &kind.to_be_bytes(), &[0, 1, 0, 0, 0, 60], &(data.len() as u16).to_be_bytes(), data].concat(),
        );
    }
    Some(out)
}
