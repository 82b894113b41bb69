//! A small SMTP server: the far end of the tests. It speaks the protocol by the book, answers by recipient as a [`Script`]
//! says, and remembers what it saw. It is stricter than most servers (bare line feeds, lines over 998 octets, pipelining that
//! was not offered), since what a lenient one lets through is refused by somebody's real one.
//!
//! ```ignore
//! let script = Script::accept_all().reply_to("full", "452 4.2.2 mailbox full").after_body("cut", Behaviour::close().times(1));
//! let sink = SmtpSink::start(script).await;
//! // ... mail to full@example.com is put off, mail to cut@example.com is in doubt once, everybody else's is taken.
//! let mails = sink.wait_for(3, Duration::from_secs(5)).await;
//! ```
//!
//! It stands alone (tokio, and for TLS tokio-rustls, rustls and rcgen), so that a benchmark can include it by `#[path]`.

#![allow(
    dead_code,
    unused_imports,
    reason = "not every test binary and benchmark uses all of it"
)]

mod body;
mod script;
mod session;
mod wire;

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;
use std::time::Instant;

use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio::time::timeout;

pub use script::Behaviour;
pub use script::Script;
pub use script::Stage;
use session::Session;
use wire::Tls;

/// One mail for one recipient whose final dot was read and that was not refused. That includes mails whose sender got no
/// answer: the server has them, only the client cannot know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// Envelope sender, without the angle brackets; empty for a bounce.
    pub from: String,
    /// Envelope recipient, as it was written.
    pub to: String,
    /// The mail as it was before its dots were stuffed; line ends are CRLF.
    pub data: Vec<u8>,
    /// Which connection it came by, counted from 0.
    pub connection: usize,
    /// Whether it came encrypted.
    pub tls: bool,
    /// When its final dot was read.
    pub at: Instant,
}

/// A running server on 127.0.0.1. It and its connections end when it is dropped.
pub struct SmtpSink {
    port: u16,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

impl SmtpSink {
    /// Starts a server on a free port.
    pub async fn start(script: Script) -> SmtpSink {
        SmtpSink::start_on(0, script).await
    }

    /// Starts a server on this port: one that comes back after [`SmtpSink::stop`].
    pub async fn start_on(port: u16, script: Script) -> SmtpSink {
        let listener = TcpListener::bind(("127.0.0.1", port))
            .await
            .expect("the port of 127.0.0.1 can be listened on");
        let port = listener
            .local_addr()
            .expect("a listener has an address")
            .port();
        let hello_delay = script.hello_delay;
        let tls =
            (script.implicit_tls || script.starttls).then(|| Tls::generate(script.is_authority));
        let shared = Arc::new(Shared {
            script,
            tls,
            seen: Mutex::default(),
            changed: watch::Sender::new(()),
            stalled: watch::Sender::new(false),
            released: watch::Sender::new(false),
            hello_delay: Mutex::new(hello_delay),
            logins: AtomicUsize::new(0),
        });
        let accepting = tokio::spawn(accept(listener, shared.clone()));
        SmtpSink {
            port,
            shared,
            accepting,
        }
    }

    /// Ends the server and its connections. When this returns, a new connection is refused.
    pub async fn stop(&mut self) {
        self.accepting.abort();
        // An error is what an aborted task answers.
        let _ = (&mut self.accepting).await;
    }

    /// Port of 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Changes the script while it runs: from now on this happens at that stage, to recipients with this local part (`*`:
    /// to all without a line of their own there).
    pub fn order(&self, stage: Stage, local_part: &str, behaviour: impl Into<Behaviour>) {
        self.shared
            .script
            .order(stage, local_part, behaviour.into());
    }

    /// Stops reading and answering, on all connections, new ones too; they stay open.
    pub fn stall(&self) {
        self.shared.stalled.send_replace(true);
    }

    /// Ends a stall: what has come meanwhile is read and answered.
    pub fn go_on(&self) {
        self.shared.stalled.send_replace(false);
    }

    /// Gives the answers that are held ([`Behaviour::hold`]), and holds none any more.
    pub fn release(&self) {
        self.shared.released.send_replace(true);
    }

    /// Changes how long it takes for its greeting and for each answer to EHLO.
    pub fn set_hello_delay(&self, delay: Duration) {
        *self
            .shared
            .hello_delay
            .lock()
            .expect("nobody panics while setting it") = delay;
    }

    /// Changes the size of the largest mail that it takes, for greetings to come.
    pub fn set_size(&self, size: usize) {
        self.shared.script.size_max.store(size, SeqCst);
    }

    /// How a client without a login reaches it, with the encryption it offers.
    pub fn url(&self) -> String {
        self.url_with("")
    }

    /// How a client with this login, right or wrong, reaches it.
    pub fn url_as(&self, user: &str, password: &str) -> String {
        self.url_with(&format!(
            "{}:{}@",
            percent_encoded(user),
            percent_encoded(password)
        ))
    }

    fn url_with(&self, login: &str) -> String {
        let Script {
            implicit_tls,
            starttls,
            ..
        } = self.shared.script;
        match (implicit_tls, starttls) {
            (true, _) => format!("smtps://{login}127.0.0.1:{}", self.port),
            (false, true) => format!("smtp://{login}127.0.0.1:{}?tls=required", self.port),
            (false, false) => format!("smtp://{login}127.0.0.1:{}?tls=none", self.port),
        }
    }

    /// The self-signed certificate (DER; for `localhost` and 127.0.0.1), for a client that is to trust it.
    pub fn certificate(&self) -> Option<Vec<u8>> {
        self.shared.tls.as_ref().map(|tls| tls.certificate.clone())
    }

    /// All mails so far, in the order of their final dots.
    pub fn received(&self) -> Vec<Received> {
        self.shared.seen().received.clone()
    }

    /// The mails so far for one address, spelled as the envelope spells it.
    pub fn received_by(&self, address: &str) -> Vec<Received> {
        self.shared
            .seen()
            .received
            .iter()
            .filter(|mail| mail.to == address)
            .cloned()
            .collect()
    }

    /// How many mails there are so far: as [`SmtpSink::received`] without the copying, and also right under
    /// [`Script::only_counts`].
    pub fn mails(&self) -> usize {
        self.shared.seen().mails
    }

    /// Connections accepted so far, closed ones included.
    pub fn connections(&self) -> usize {
        self.shared.seen().connections
    }

    /// The command lines of all connections, in the order they were read, without line ends and the lines of a login.
    pub fn commands(&self) -> Vec<String> {
        self.shared.seen().commands.clone()
    }

    /// Waits until `n` mails are in, and returns all.
    ///
    /// # Panics
    /// When fewer are in after `limit`.
    pub async fn wait_for(&self, n: usize, limit: Duration) -> Vec<Received> {
        if !self.wait_until(limit, |seen| seen.mails >= n).await {
            panic!("{n} mails were awaited for {limit:?}, {}", self.account());
        }
        self.received()
    }

    /// Waits until some connection sends a command that starts so (`RCPT TO:<hung@`), for whoever wants to act in the middle
    /// of a transaction.
    ///
    /// # Panics
    /// When there is none after `limit`.
    pub async fn wait_for_command(&self, start: &str, limit: Duration) {
        if !self
            .wait_until(limit, |seen| {
                seen.commands.iter().any(|line| line.starts_with(start))
            })
            .await
        {
            panic!("{start:?} was awaited for {limit:?}, {}", self.account());
        }
    }

    async fn wait_until(&self, limit: Duration, is_there: impl Fn(&Seen) -> bool) -> bool {
        let mut changes = self.shared.changed.subscribe();
        let waiting = async {
            while !is_there(&self.shared.seen()) {
                changes
                    .changed()
                    .await
                    .expect("the sender lives as long as the sink");
            }
        };
        timeout(limit, waiting).await.is_ok()
    }

    fn account(&self) -> String {
        let seen = self.shared.seen();
        let last = &seen.commands[seen.commands.len().saturating_sub(10)..];
        format!(
            "{} came by {} connections; the last commands: {last:#?}",
            seen.mails, seen.connections
        )
    }
}

impl Drop for SmtpSink {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// What all connections share.
struct Shared {
    script: Script,
    tls: Option<Tls>,
    seen: Mutex<Seen>,
    changed: watch::Sender<()>,
    stalled: watch::Sender<bool>,
    released: watch::Sender<bool>,
    hello_delay: Mutex<Duration>,
    /// Connections that are logged in.
    logins: AtomicUsize,
}

#[derive(Default)]
struct Seen {
    received: Vec<Received>,
    mails: usize,
    connections: usize,
    commands: Vec<String>,
}

impl Shared {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen
            .lock()
            .expect("nobody panics while noting something")
    }

    fn note_connection(&self) -> usize {
        let mut seen = self.seen();
        seen.connections += 1;
        seen.connections - 1
    }

    /// Waits while the server is told to stand still.
    async fn not_stalled(&self) {
        if *self.stalled.borrow() {
            // An error would be a server that is gone.
            let _ = self.stalled.subscribe().wait_for(|stalled| !stalled).await;
        }
    }

    /// Waits until what is held is released.
    async fn released(&self) {
        // An error would be a server that is gone.
        let _ = self
            .released
            .subscribe()
            .wait_for(|released| *released)
            .await;
    }

    /// Waits as long as a greeting takes.
    async fn before_hello(&self) {
        let delay = *self
            .hello_delay
            .lock()
            .expect("nobody panics while setting it");
        if !delay.is_zero() {
            sleep(delay).await;
        }
    }

    fn note_command(&self, line: &str) {
        if !self.script.only_counts && !self.script.only_recipients {
            self.seen().commands.push(line.to_owned());
            self.changed.send_replace(());
        }
    }

    fn note_mail(&self, mail: Received) {
        let mut seen = self.seen();
        seen.mails += 1;
        if !self.script.only_counts {
            seen.received.push(mail);
        }
        drop(seen);
        self.changed.send_replace(());
    }
}

/// Accepts until it is aborted; its connections' tasks go with its `JoinSet`.
async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut sessions = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else {
                    // Out of file handles, most likely: to try again at once would be a busy loop.
                    sleep(Duration::from_millis(10)).await;
                    continue;
                };
                let connection = shared.note_connection();
                sessions.spawn(serve(stream, connection, shared.clone()));
            }
            Some(_) = sessions.join_next() => {}
        }
    }
}

async fn serve(stream: TcpStream, connection: usize, shared: Arc<Shared>) {
    // An error here is a client that went away, and tests make many do so.
    if let Ok(session) = Session::open(stream, connection, shared).await {
        let _ = session.run().await;
    }
}

fn percent_encoded(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
            char::from(byte).to_string()
        }
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}
