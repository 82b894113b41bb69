//! A relay with bad manners, as real servers have them. It knows a reader's mail by its envelope, as a server does, and keeps what it took.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::time::Duration;

use tokio::io::AsyncBufReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::io::BufReader;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::task::JoinSet;

/// How it misbehaves. Readers whose address begins with `dead` do not exist, and the first mail to one with `junk` is refused at the dot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// None: an envelope may go ahead.
    Good,
    /// Each command that came with the final dot gets 503 (Haraka).
    Says503AfterDot,
    /// What came with the final dot is thrown away unanswered (courier-mta, chasquid 1.11).
    ForgetsAfterDot,
    /// It answers the dot and hangs up where something came with it.
    HangsUpAtHaste,
    /// It takes each mail, and hangs up without an answer.
    StoresAndHangsUp,
    /// The same, but answers each fourth.
    AnswersOneInFour,
    /// 452 at MAIL after so many mails of a connection, which stays open (OpenSMTPD).
    TiresAfter(usize),
    /// It keeps the envelope of a mail that it refused at the dot (mox 0.0.15).
    KeepsEnvelope,
    /// 421 at the third refused recipient of a connection (chasquid 1.17), which counts the DATA that went with it.
    CountsErrors,
    /// 450 4.3.2 to each recipient of a client that is not known yet; it is once such a connection has ended (Postfix's postscreen).
    ScreensClients,
    /// An error costs its session 0.7 s, and twice as long after each further one; DATA without a recipient is one (courier-mta's tarpit).
    Tarpits,
    /// After so many mails a connection gets each answer a byte at a time (mox).
    CrawlsAfter(usize),
}

/// A mail that it took: whose return path it came under, and its size.
#[derive(Clone, Debug)]
pub struct Taken {
    pub from: String,
    pub to: String,
    pub size: usize,
    /// The address in its `To`.
    pub named: String,
}

#[derive(Default)]
struct Seen {
    taken: Vec<Taken>,
    refused: Vec<String>,
    connections: usize,
    /// The most recipients that were refused on one connection in a row.
    longest_run: usize,
    /// Commands that came with a final dot.
    hasty: usize,
    /// DATA for which there was no recipient.
    pointless: usize,
    /// A client that was refused once has come to an end.
    is_known: bool,
}

/// A running relay on 127.0.0.1; it ends when it is dropped.
pub struct RudeRelay {
    port: u16,
    seen: Arc<Mutex<Seen>>,
    accepting: JoinHandle<()>,
}

impl RudeRelay {
    pub async fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let seen = Arc::<Mutex<Seen>>::default();
        let shared = seen.clone();
        let accepting = tokio::spawn(async move {
            let mut sessions = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                note(&shared).connections += 1;
                let seen = shared.clone();
                // An error is a client that went away.
                sessions.spawn(async move { Session::new(stream, manner, seen).run().await });
            }
        });
        Self {
            port,
            seen,
            accepting,
        }
    }

    pub fn url(&self) -> String {
        format!("smtp://127.0.0.1:{}?tls=none", self.port)
    }

    pub fn taken(&self) -> Vec<Taken> {
        note(&self.seen).taken.clone()
    }

    /// Copies that it has for that address.
    pub fn copies(&self, to: &str) -> usize {
        note(&self.seen)
            .taken
            .iter()
            .filter(|mail| mail.to == to)
            .count()
    }

    pub fn connections(&self) -> usize {
        note(&self.seen).connections
    }

    pub fn longest_run(&self) -> usize {
        note(&self.seen).longest_run
    }

    /// DATA for which there was no recipient.
    pub fn pointless(&self) -> usize {
        note(&self.seen).pointless
    }

    /// Commands that came with a final dot.
    pub fn hasty(&self) -> usize {
        note(&self.seen).hasty
    }
}

impl Drop for RudeRelay {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

fn note(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().expect("nobody panics while noting something")
}

struct Session {
    line: BufReader<TcpStream>,
    manner: Manner,
    seen: Arc<Mutex<Seen>>,
    from: Option<String>,
    to: Option<String>,
    mails: usize,
    refused: usize,
    run: usize,
    /// Commands that are still to get 503.
    unheard: usize,
    errors: u32,
    /// Its client was known when it came.
    is_known: bool,
}

impl Session {
    fn new(stream: TcpStream, manner: Manner, seen: Arc<Mutex<Seen>>) -> Self {
        let is_known = manner != Manner::ScreensClients || note(&seen).is_known;
        Self {
            line: BufReader::new(stream),
            manner,
            seen,
            from: None,
            to: None,
            mails: 0,
            refused: 0,
            run: 0,
            unheard: 0,
            errors: 0,
            is_known,
        }
    }

    async fn run(mut self) -> std::io::Result<()> {
        self.say("220 rude.example ESMTP").await?;
        let mut text = String::new();
        loop {
            text.clear();
            if self.line.read_line(&mut text).await? == 0 {
                return Ok(());
            }
            let command = text.trim_end().to_owned();
            if std::mem::take(&mut self.unheard) > 0 {
                self.unheard = self
                    .line
                    .buffer()
                    .iter()
                    .filter(|byte| **byte == b'\n')
                    .count();
                self.say("503 5.5.1 waiting for response").await?;
                continue;
            }
            let (verb, rest) = command.split_once(' ').unwrap_or((&command, ""));
            let goes_on = match verb {
                "EHLO" => {
                    self.say("250-rude.example").await?;
                    self.say("250 PIPELINING").await?;
                    true
                }
                "MAIL" => self.mail(&path(rest)).await?,
                "RCPT" => self.rcpt(&path(rest)).await?,
                "DATA" => self.data().await?,
                "RSET" => {
                    (self.from, self.to) = (None, None);
                    self.say("250 OK").await?;
                    true
                }
                "QUIT" => {
                    note(&self.seen).is_known |= self.refused > 0;
                    self.say("221 bye").await?;
                    false
                }
                _ => {
                    self.say("500 what?").await?;
                    true
                }
            };
            if !goes_on {
                return Ok(());
            }
        }
    }

    async fn say(&mut self, reply: &str) -> std::io::Result<()> {
        let line = format!("{reply}\r\n");
        if matches!(self.manner, Manner::CrawlsAfter(most) if self.mails > most) {
            for byte in line.as_bytes() {
                self.line.get_mut().write_all(&[*byte]).await?;
                tokio::time::sleep(Duration::from_millis(80)).await;
            }
            return Ok(());
        }
        self.line.get_mut().write_all(line.as_bytes()).await
    }

    async fn mail(&mut self, from: &str) -> std::io::Result<bool> {
        if matches!(self.manner, Manner::TiresAfter(most) if self.mails >= most) {
            self.say("452 4.5.3 Too many messages sent").await?;
        } else if self.from.is_some() {
            self.say("503 5.5.1 already have MAIL").await?;
        } else {
            self.from = Some(from.to_owned());
            self.say("250 2.1.0 OK").await?;
        }
        Ok(true)
    }

    async fn rcpt(&mut self, to: &str) -> std::io::Result<bool> {
        if self.from.is_none() {
            self.say("503 5.5.1 MAIL first").await?;
        } else if !self.is_known {
            self.refused += 1;
            self.say("450 4.3.2 Service currently unavailable").await?;
        } else if to.starts_with("dead") {
            self.refused += 1;
            self.run += 1;
            self.note_run();
            if self.manner == Manner::CountsErrors && self.refused >= 3 {
                self.say("421 4.5.0 too many errors").await?;
                return Ok(false);
            }
            self.hold_up().await;
            self.say("550 5.1.1 no such user").await?;
        } else {
            if self.manner == Manner::CountsErrors && self.refused >= 2 {
                self.say("421 4.5.0 too many errors").await?;
                return Ok(false);
            }
            self.to = Some(to.to_owned());
            self.say("250 2.1.5 OK").await?;
        }
        Ok(true)
    }

    async fn data(&mut self) -> std::io::Result<bool> {
        let (Some(from), Some(to)) = (self.from.clone(), self.to.clone()) else {
            self.say("503 5.5.1 RCPT first").await?;
            note(&self.seen).pointless += 1;
            self.hold_up().await;
            return Ok(true);
        };
        self.say("354 go ahead").await?;
        let (mut size, mut named, mut text) = (0, String::new(), String::new());
        loop {
            text.clear();
            if self.line.read_line(&mut text).await? == 0 {
                return Ok(false);
            }
            if text == ".\r\n" {
                break;
            }
            size += text.len();
            if let Some(address) = text.strip_prefix("To: ") {
                named = address.trim_end().to_owned();
            }
        }
        let came_along = self
            .line
            .buffer()
            .iter()
            .filter(|byte| **byte == b'\n')
            .count();
        note(&self.seen).hasty += came_along;
        if to.starts_with("junk") && self.is_first_refusal(&to) {
            if self.manner != Manner::KeepsEnvelope {
                (self.from, self.to) = (None, None);
            }
            self.say("452 4.2.2 mailbox is full").await?;
            return Ok(true);
        }
        (self.from, self.to) = (None, None);
        self.mails += 1;
        self.run = 0;
        let count = {
            let mut seen = note(&self.seen);
            seen.taken.push(Taken {
                from,
                to,
                size,
                named,
            });
            seen.taken.len()
        };
        let hangs_up = match self.manner {
            Manner::StoresAndHangsUp => true,
            Manner::AnswersOneInFour => count % 4 != 0,
            _ => false,
        };
        if hangs_up {
            return Ok(false);
        }
        self.say("250 2.0.0 taken").await?;
        match self.manner {
            Manner::Says503AfterDot => self.unheard = came_along,
            Manner::ForgetsAfterDot => {
                let thrown_away = self.line.buffer().len();
                self.line.consume(thrown_away);
            }
            Manner::HangsUpAtHaste if came_along > 0 => return Ok(false),
            _ => {}
        }
        Ok(true)
    }

    async fn hold_up(&mut self) {
        if self.manner == Manner::Tarpits {
            tokio::time::sleep(Duration::from_millis(700 << self.errors)).await;
            self.errors += 1;
        }
    }

    fn note_run(&self) {
        let mut seen = note(&self.seen);
        seen.longest_run = seen.longest_run.max(self.run);
    }

    fn is_first_refusal(&self, to: &str) -> bool {
        let mut seen = note(&self.seen);
        let is_first = !seen.refused.iter().any(|known| known == to);
        if is_first {
            seen.refused.push(to.to_owned());
        }
        is_first
    }
}

fn path(rest: &str) -> String {
    rest.split_once('<')
        .and_then(|(_, rest)| rest.split_once('>'))
        .map_or(String::new(), |(path, _)| path.to_owned())
}
