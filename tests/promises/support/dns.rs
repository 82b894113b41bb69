//! A small name server: what a resolver would find, as a test says it. UDP on loopback, one question, one answer; slow, silent, unable or of
//! two minds on request.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU8;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

/// Record types (RFC 1035 3.2.2).
const A: u16 = 1;
const NS: u16 = 2;
const SOA: u16 = 6;
const MX: u16 = 15;
const TXT: u16 = 16;

type Zone = Arc<Mutex<HashMap<(String, u16), Vec<Vec<u8>>>>>;

/// How it answers.
#[derive(Default)]
struct Manner {
    /// Milliseconds before each answer.
    delay: AtomicU64,
    is_silent: AtomicBool,
    /// Code of an answer that holds nothing (RFC 1035 4.1.1); 0: it answers.
    refuses_with: AtomicU8,
    /// True if each answer is cut short (TC), so that it is asked for again by TCP, where nothing is said.
    truncates: AtomicBool,
    /// Answers from which on what is known of a name is told; before, that there is none.
    forgets: AtomicU64,
    /// Names that were asked for.
    asked: Mutex<Vec<String>>,
    /// The name of which it forgets.
    name: Mutex<String>,
}

/// A running name server; it ends when it is dropped.
pub struct NameServer {
    address: SocketAddr,
    zone: Zone,
    manner: Arc<Manner>,
    serving: JoinHandle<()>,
    /// Accepts what the kernel does by itself, and says nothing.
    _silent: Option<TcpListener>,
}

impl NameServer {
    /// One that knows the top-level domain of these names, and nothing below it yet.
    pub async fn start() -> Self {
        Self::start_at("127.0.0.1:0").await.expect("a port")
    }

    /// The same at a place of one's choice; `None` where that is not to be had.
    pub async fn start_at(test_db: &str) -> Option<Self> {
        let socket = UdpSocket::bind(test_db).await.ok()?;
        let address = socket.local_addr().expect("an address");
        let silent = TcpListener::bind(address).await.ok();
        let zone = Zone::default();
        let manner = Arc::<Manner>::default();
        let serving = tokio::spawn(serve(Arc::new(socket), zone.clone(), manner.clone()));
        let server = Self {
            address,
            zone,
            manner,
            serving,
            _silent: silent,
        };
        server.add("example", NS, name("a.root.example"));
        Some(server)
    }

    /// `IP:port`, for `mail.resolver`.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    pub fn text(&self, name: &str, text: &str) -> &Self {
        let pieces = text
            .as_bytes()
            .chunks(255)
            .flat_map(|piece| [&[piece.len() as u8], piece].concat());
        self.add(name, TXT, pieces.collect())
    }

    /// Answers only after that long.
    pub fn slow(&self, milliseconds: u64) -> &Self {
        self.manner.delay.store(milliseconds, SeqCst);
        self
    }

    /// Answers nothing any more.
    pub fn silent(&self) -> &Self {
        self.manner.is_silent.store(true, SeqCst);
        self
    }

    /// Answers each question with this code alone: 2 for "I cannot" (SERVFAIL), 5 for "not you" (REFUSED).
    pub fn refusing(&self, code: u8) -> &Self {
        self.manner.refuses_with.store(code, SeqCst);
        self
    }

    /// Cuts each answer short, and says nothing by TCP.
    pub fn truncating(&self) -> &Self {
        self.manner.truncates.store(true, SeqCst);
        self
    }

    /// Says the first so many times that there is nothing at a name.
    pub fn forgetful(&self, name: &str, times: u64) -> &Self {
        name.clone_into(&mut self.manner.name.lock().expect("whole"));
        self.manner.forgets.store(times, SeqCst);
        self
    }

    /// How often a name was asked for.
    pub fn asked(&self, name: &str) -> usize {
        self.manner
            .asked
            .lock()
            .expect("whole")
            .iter()
            .filter(|asked| *asked == name)
            .count()
    }

    /// A mail server's name, and its address; an empty one says that there is none.
    pub fn exchange(&self, domain: &str, server: &str) -> &Self {
        if !server.is_empty()
            && !self
                .zone
                .lock()
                .expect("whole")
                .contains_key(&(server.to_owned(), A))
        {
            self.address_of(server);
        }
        self.exchange_alone(domain, server)
    }

    /// A mail server's name.
    pub fn exchange_alone(&self, domain: &str, server: &str) -> &Self {
        self.add(domain, MX, [vec![0, 10], name(server)].concat())
    }

    pub fn address_of(&self, domain: &str) -> &Self {
        self.address_at(domain, [192, 0, 2, 7])
    }

    pub fn address_at(&self, domain: &str, address: [u8; 4]) -> &Self {
        self.add(domain, A, address.to_vec())
    }

    /// Takes all records of a name away.
    pub fn forget(&self, name: &str) -> &Self {
        self.zone
            .lock()
            .expect("whole")
            .retain(|(known, _), _| known != name);
        self
    }

    fn add(&self, name: &str, kind: u16, data: Vec<u8>) -> &Self {
        self.zone
            .lock()
            .expect("whole")
            .entry((name.to_owned(), kind))
            .or_default()
            .push(data);
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
    labels
        .flat_map(|label| [&[label.len() as u8], label.as_bytes()].concat())
        .chain([0])
        .collect()
}

async fn serve(socket: Arc<UdpSocket>, zone: Zone, manner: Arc<Manner>) {
    let mut buffer = [0; 4096];
    while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
        if manner.is_silent.load(SeqCst) {
            continue;
        }
        let Some(mut answer) = answer(&buffer[..length], &zone, &manner) else {
            continue;
        };
        let code = manner.refuses_with.load(SeqCst);
        if code > 0 || manner.truncates.load(SeqCst) {
            // The header and the question alone.
            let end = question_end(&answer);
            answer.truncate(end);
            answer[6..12].fill(0);
            answer[3] = answer[3] & 0xF0 | code;
            answer[2] |= if manner.truncates.load(SeqCst) { 2 } else { 0 };
        }
        let (socket, delay) = (
            socket.clone(),
            Duration::from_millis(manner.delay.load(SeqCst)),
        );
        tokio::spawn(async move {
            tokio::time::sleep(delay).await;
            let _ = socket.send_to(&answer, from).await;
        });
    }
}

/// Where the question of a message ends.
fn question_end(message: &[u8]) -> usize {
    let mut at = 12;
    while message[at] > 0 {
        at += 1 + usize::from(message[at]);
    }
    at + 5
}

/// RFC 1035 4.1: the question again, and what is known; of what is not there, for how long that may be remembered (RFC 2308).
fn answer(question: &[u8], zone: &Zone, manner: &Manner) -> Option<Vec<u8>> {
    let (mut at, mut labels) = (12, Vec::new());
    while let Some(&length) = question.get(at).filter(|length| **length > 0) {
        labels.push(
            String::from_utf8_lossy(question.get(at + 1..at + 1 + usize::from(length))?)
                .to_lowercase(),
        );
        at += 1 + usize::from(length);
    }
    let kind = u16::from_be_bytes([*question.get(at + 1)?, *question.get(at + 2)?]);
    let zone = zone.lock().expect("whole");
    let asked = labels.join(".");
    manner.asked.lock().expect("whole").push(asked.clone());
    let mut found = zone
        .get(&(asked.clone(), kind))
        .map(Vec::as_slice)
        .unwrap_or_default();
    if *manner.name.lock().expect("whole") == asked
        && manner
            .forgets
            .fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1))
            .is_ok()
    {
        found = &[];
    }
    // A name exists where there is anything at it or below it.
    let is_there = zone
        .keys()
        .any(|(known, _)| *known == asked || known.ends_with(&format!(".{asked}")));
    let code = if is_there { 0 } else { 3 };
    let authority: u16 = if found.is_empty() { 1 } else { 0 };
    let counts = [
        (found.len() as u16).to_be_bytes(),
        authority.to_be_bytes(),
        [0, 0],
    ]
    .concat();
    let mut out = [&question[..2], &[0x85, 0x80 | code, 0, 1], &counts].concat();
    out.extend_from_slice(question.get(12..at + 5)?);
    for data in found {
        out.extend_from_slice(
            &[
                &[0xC0, 12][..],
                &kind.to_be_bytes(),
                &[0, 1, 0, 0, 0, 60],
                &(data.len() as u16).to_be_bytes(),
                data,
            ]
            .concat(),
        );
    }
    if found.is_empty() {
        let numbers: Vec<u8> = [1_u32, 2, 3, 4, 900]
            .into_iter()
            .flat_map(u32::to_be_bytes)
            .collect();
        let data = [name("ns.example"), name("admin.example"), numbers].concat();
        let soa = [
            &name("example")[..],
            &SOA.to_be_bytes(),
            &[0, 1, 0, 0, 0x0E, 0x10],
            &(data.len() as u16).to_be_bytes(),
            &data,
        ]
        .concat();
        out.extend_from_slice(&soa);
    }
    Some(out)
}
