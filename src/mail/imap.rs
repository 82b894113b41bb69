//! A mailbox at an IMAP server (RFC 9051, RFC 3501), of which the mails that nobody has read are fetched. On crate `async-imap`.
//!
//! Nothing is kept of where we were: what is done is marked at the server. So a mailbox that was made anew, with other numbers
//! for its mails (UIDVALIDITY), is no event.

use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use async_imap::Client;
use async_imap::error::Error;
use async_imap::types::Capabilities;
use async_imap::types::UnsolicitedResponse;
use futures_util::TryStreamExt;
use rustls_pki_types::ServerName;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use url::Host;
use url::Url;

use super::imap_limits::Budget;
use super::imap_limits::Excess;
use super::imap_limits::Limited;
use super::server::Login;
use super::server::parse_login;
use super::server::percent_decoded;
use super::tls;
use crate::dial::Destination;
use crate::dial::Limits;
use crate::dial::spoken_to;

/// The largest mail that is fetched, in bytes; a larger one is left where it is.
pub const LARGEST: u32 = 25 << 20;
/// Mails whose size is asked for at once.
const CHUNK: usize = 100;
/// Bytes that a search may be answered with: 300,000 unread mails.
const SEARCH: usize = 2 << 20;
/// Bytes beside a mail's own that its fetching may be answered with.
const BESIDE: usize = 64 << 10;
/// How long a step may take; fetching a mail, ten times as long.
const PATIENCE: Duration = Duration::from_secs(30);
/// For each address of the server.
const LIMITS: Limits = Limits { connect: PATIENCE, first_step: PATIENCE };
/// IDLE is asked for anew after so long: RFC 2177 wants it within 29 minutes, routers forget a silent line sooner.
const IDLE: Duration = Duration::from_secs(9 * 60);

const EXPECTED: &str = "expected imaps://user:password@host/INBOX, or imap:// for STARTTLS (without it on this machine only: ?tls=none), \
     with ?tls_ca=FILE for roots of your own";

/// What becomes of a mail that is done: `inbound.imap_after`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum After {
    /// It is marked as read.
    Seen,
    /// It is deleted.
    Delete,
    /// It goes to another folder.
    Move(String),
}

/// A mailbox and the terms on which it is opened. No `Debug`, so that the password cannot be logged.
#[derive(Clone)]
pub struct Account {
    destination: Destination,
    security: Security,
    login: Login,
    folder: String,
    after: After,
}

#[derive(Clone)]
enum Security {
    Plain,
    StartTls(TlsConnector, ServerName<'static>),
    Implicit(TlsConnector, ServerName<'static>),
}

impl Account {
    /// Reads `inbound.imap` and `inbound.imap_after`. The error is a sentence with no part of the text in it, as for an SMTP server.
    pub fn parse(text: &str, after: &str) -> Result<Self, String> {
        let escape = format!("{EXPECTED}; in user and password, characters such as / ? # @ : % must be written as %2F %3F %23 %40 %3A %25");
        let url = Url::parse(text).map_err(|error| format!("{escape} ({error})"))?;
        let host = url.host_str().and_then(|host| Host::parse(host).ok()).ok_or(&escape)?;
        let (mut wanted, mut extra_roots) = (None, None);
        for (key, value) in url.query_pairs() {
            match key.as_ref() {
                "tls" => wanted = Some(value),
                "tls_ca" => extra_roots = Some(value),
                _ => return Err(escape),
            }
        }
        let login = parse_login(&url).flatten().ok_or(&escape)?;
        let (is_loopback, host) = match &host {
            Host::Domain(name) => (name == "localhost", name.clone()),
            Host::Ipv4(ip) => (ip.is_loopback(), ip.to_string()),
            Host::Ipv6(ip) => (ip.is_loopback(), ip.to_string()),
        };
        let name = || ServerName::try_from(host.clone()).map_err(|_| escape.clone());
        let verified = || tls::verified(extra_roots.as_deref().map(Path::new));
        let (security, usual_port) = match (url.scheme(), wanted.as_deref()) {
            ("imaps", None | Some("required")) => (Security::Implicit(verified()?, name()?), 993),
            ("imap", None | Some("required")) => (Security::StartTls(verified()?, name()?), 143),
            ("imap", Some("none")) if is_loopback && extra_roots.is_none() => (Security::Plain, 143),
            _ => return Err(escape),
        };
        let folder = percent_decoded(url.path().trim_start_matches('/')).filter(|folder| is_folder(folder) || folder.is_empty());
        let folder =
            folder.ok_or("the folder's name has other letters than those of ASCII: write it as your server does (RFC 3501, 5.1.3)")?;
        let folder = if folder.is_empty() { "INBOX".into() } else { folder };
        let after = match after.split_once(':') {
            None if after == "seen" => After::Seen,
            None if after == "delete" => After::Delete,
            Some(("move", to)) if is_folder(to) && to != folder => After::Move(to.into()),
            _ => return Err("imap_after: expected seen, delete, or move:FOLDER with another folder's name in ASCII".into()),
        };
        Ok(Self { destination: Destination::new(&host, url.port().unwrap_or(usual_port)), security, login, folder, after })
    }

    /// What an operator may read of it.
    pub fn describe(&self) -> String {
        let security = match self.security {
            Security::Plain => "no TLS",
            Security::StartTls(..) => "STARTTLS, verified",
            Security::Implicit(..) => "TLS, verified",
        };
        format!("{} at {} ({security})", self.folder, self.destination.place())
    }

    /// `host:port`, as sentences name it.
    pub fn place(&self) -> String {
        self.destination.place()
    }

    /// Tries every address of the server by itself, all at once, each for at most `limit`; for each, why it does not answer.
    ///
    /// # Errors
    /// When the server's name has no address, or nobody knows one.
    pub async fn survey(&self, limit: Duration) -> Result<Vec<(SocketAddr, Option<String>)>, String> {
        let limits = Limits { connect: limit, first_step: limit };
        self.destination.survey(limits, |tcp| answers(self.security.clone(), tcp)).await
    }

    /// Logs in and opens the folder.
    pub async fn open(&self) -> Result<Session, Fault> {
        let reached = self.destination.reach(LIMITS, |tcp| answers(self.security.clone(), tcp)).await;
        let (first, address) = reached.map_err(|unreached| Fault { step: "reaching it", why: unreached.to_string() })?;
        let opened = self.open_over(first).await;
        if opened.is_err() {
            self.destination.distrust(address);
        }
        opened
    }

    async fn open_over(&self, first: First) -> Result<Session, Fault> {
        let budget = Budget::default();
        let line: Box<dyn Line> = match (first, &self.security) {
            (First::Encrypted(tls), _) => tls,
            (First::Spoke(tcp), Security::StartTls(tls, name)) => {
                let mut client = Client::new(Limited::new(tcp, budget.clone()));
                greeting(&mut client).await?;
                answered(PATIENCE, "STARTTLS", client.run_command_and_check_ok("STARTTLS", None)).await?;
                // What it had said on in the clear ends here, with the client's buffer.
                Box::new(within(PATIENCE, "its TLS handshake", tls.connect(name.clone(), client.into_inner().into_inner())).await?)
            }
            (First::Spoke(tcp), _) => Box::new(tcp),
        };
        let mut client = Client::new(Limited::new(line, budget.clone()));
        if !matches!(self.security, Security::StartTls(..)) {
            greeting(&mut client).await?;
        }
        let login = async { client.login(&self.login.user, &self.login.password).await.map_err(|(error, _)| error) };
        let mut inner = answered(PATIENCE, "the login", login).await?;
        let can = answered(PATIENCE, "CAPABILITY", inner.capabilities()).await?;
        if let After::Move(to) = &self.after {
            // Where it is there already, that is refused, and meant to be.
            let _ = answered(PATIENCE, "CREATE", inner.create(to)).await;
        }
        let folder = answered(PATIENCE, "opening the folder", inner.select(&self.folder)).await?;
        Ok(Session { inner, budget, can, after: self.after.clone(), validity: folder.uid_validity.unwrap_or_default() })
    }
}

/// An address of the server that answers.
enum First {
    /// It began its greeting, which is still to be read.
    Spoke(TcpStream),
    /// It speaks TLS, with a certificate that we trust.
    Encrypted(Box<TlsStream<TcpStream>>),
}

/// The first step of a server: it speaks, or shakes hands where TLS is there from the first byte.
async fn answers(security: Security, tcp: TcpStream) -> Result<First, Fault> {
    match security {
        Security::Implicit(tls, name) => {
            let step = "its TLS handshake";
            let connected = tls.connect(name, tcp).await;
            connected.map(|tls| First::Encrypted(Box::new(tls))).map_err(|error| Fault { step, why: error.to_string() })
        }
        _ => spoken_to(tcp).await.map(First::Spoke).map_err(|error| Fault { step: "its greeting", why: error.to_string() }),
    }
}

/// A name that may be sent as it is.
fn is_folder(name: &str) -> bool {
    !name.is_empty() && name.len() <= 200 && name.bytes().all(|b| (b' '..=b'~').contains(&b))
}

/// Why a mailbox could not be read, as a sentence's end. Holds no password, and nothing that the server said: it may echo one.
#[derive(Debug, thiserror::Error)]
#[error("{step} failed: {why}")]
pub struct Fault {
    step: &'static str,
    why: String,
}

async fn within<T, E: fmt::Display>(limit: Duration, step: &'static str, work: impl Future<Output = Result<T, E>>) -> Result<T, Fault> {
    match timeout(limit, work).await {
        Ok(done) => done.map_err(|error| Fault { step, why: error.to_string() }),
        Err(_) => Err(Fault { step, why: format!("no answer within {limit:?}") }),
    }
}

/// As [`within`], for what the server answers.
async fn answered<T>(limit: Duration, step: &'static str, work: impl Future<Output = Result<T, Error>>) -> Result<T, Fault> {
    match timeout(limit, work).await {
        Ok(done) => done.map_err(|error| Fault { step, why: why(&error) }),
        Err(_) => Err(Fault { step, why: format!("no answer within {limit:?}") }),
    }
}

/// Response codes (RFC 3501 and RFC 5530) that an operator may read; of a refusal's words none.
const CODES: [&str; 15] = [
    "AUTHENTICATIONFAILED",
    "AUTHORIZATIONFAILED",
    "EXPIRED",
    "PRIVACYREQUIRED",
    "CONTACTADMIN",
    "UNAVAILABLE",
    "NOPERM",
    "INUSE",
    "SERVERBUG",
    "LIMIT",
    "OVERQUOTA",
    "ALREADYEXISTS",
    "NONEXISTENT",
    "TRYCREATE",
    "CANNOT",
];

/// Says why in words of ours alone: a server's own may repeat what it was sent, and the library's errors quote the server.
fn why(error: &Error) -> String {
    let refused = |what: &str, words: &str| {
        let words = words.to_ascii_uppercase();
        let code = CODES.iter().find(|code| words.contains(**code));
        code.map_or_else(|| format!("the server answered {what}"), |code| format!("the server answered {what} [{code}]"))
    };
    match error {
        Error::No(words) => refused("NO", words),
        Error::Bad(words) => refused("BAD", words),
        Error::ConnectionLost => "the connection was lost".into(),
        Error::Validate(_) => "user or password has a character that IMAP cannot carry".into(),
        Error::Io(error) => why_io(error),
        _ => "the server answered what cannot be read".into(),
    }
}

fn why_io(error: &std::io::Error) -> String {
    if let Some(excess) = error.get_ref().and_then(|inner| inner.downcast_ref::<Excess>()) {
        return excess.to_string();
    }
    match error.kind() {
        std::io::ErrorKind::Other => "the server answered what cannot be read".into(),
        kind => kind.to_string(),
    }
}

async fn greeting<S: AsyncRead + AsyncWrite + Unpin + fmt::Debug + Send>(client: &mut Client<S>) -> Result<(), Fault> {
    let step = "its greeting";
    let said = async { client.read_response().await.map_err(Error::Io) };
    match answered(PATIENCE, step, said).await? {
        Some(_) => Ok(()),
        None => Err(Fault { step, why: "it closed the connection".into() }),
    }
}

trait Line: AsyncRead + AsyncWrite + Unpin + fmt::Debug + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + fmt::Debug + Send> Line for T {}

/// An open folder.
pub struct Session {
    inner: async_imap::Session<Limited<Box<dyn Line>>>,
    /// Describes what the server may answer the next command with.
    budget: Budget,
    can: Capabilities,
    after: After,
    /// What the numbers of its mails are good for: another one, and they name other mails.
    pub validity: u32,
}

/// A mail, by its number in the folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unread {
    /// Its UID.
    pub uid: u32,
    /// Bytes.
    pub size: u32,
}

impl Session {
    /// Whether the server tells of new mail by itself (RFC 2177).
    pub fn can_idle(&self) -> bool {
        self.can.has_str("IDLE")
    }

    /// The mails that nobody has read, oldest first.
    pub async fn unread(&mut self) -> Result<Vec<Unread>, Fault> {
        self.budget.allow(SEARCH);
        let found = answered(PATIENCE, "SEARCH", self.inner.uid_search("UNSEEN UNDELETED")).await;
        self.budget.reset();
        let found = found?;
        let mut uids: Vec<u32> = found.into_iter().collect();
        uids.sort_unstable();
        let mut unread = Vec::with_capacity(uids.len());
        for chunk in uids.chunks(CHUNK) {
            let set = chunk.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
            let sizes = async { self.inner.uid_fetch(&set, "(UID RFC822.SIZE)").await?.try_collect::<Vec<_>>().await };
            let sizes = answered(PATIENCE, "FETCH", sizes).await?;
            unread.extend(sizes.iter().filter_map(|mail| Some(Unread { uid: mail.uid?, size: mail.size? })));
        }
        unread.sort_unstable_by_key(|mail| mail.uid);
        Ok(unread)
    }

    /// The mail as it came; `None` if it has gone. It stays unread.
    pub async fn fetch(&mut self, uid: u32) -> Result<Option<Vec<u8>>, Fault> {
        let mails = async { self.inner.uid_fetch(uid.to_string(), "(UID BODY.PEEK[])").await?.try_collect::<Vec<_>>().await };
        self.budget.allow(LARGEST as usize + BESIDE);
        let mails = answered(10 * PATIENCE, "FETCH", mails).await;
        self.budget.reset();
        let mails = mails?;
        Ok(mails.iter().find(|mail| mail.uid == Some(uid)).and_then(|mail| mail.body()).map(<[u8]>::to_vec))
    }

    /// Marks a mail as done, by the setting. Whatever is left half way, it is read.
    pub async fn finish(&mut self, uid: u32) -> Result<(), Fault> {
        match self.after.clone() {
            After::Seen => self.flag(uid, "+FLAGS.SILENT (\\Seen)").await,
            After::Delete => self.delete(uid).await,
            After::Move(to) if self.can.has_str("MOVE") => {
                self.flag(uid, "+FLAGS.SILENT (\\Seen)").await?;
                answered(PATIENCE, "MOVE", self.inner.uid_mv(uid.to_string(), &to)).await
            }
            After::Move(to) => {
                answered(PATIENCE, "COPY", self.inner.uid_copy(uid.to_string(), &to)).await?;
                self.delete(uid).await
            }
        }
    }

    async fn delete(&mut self, uid: u32) -> Result<(), Fault> {
        self.flag(uid, "+FLAGS.SILENT (\\Seen \\Deleted)").await?;
        // Without UIDPLUS (RFC 4315) there is only EXPUNGE, which would take with it what others have marked.
        if !self.can.has_str("UIDPLUS") {
            return Ok(());
        }
        let gone = async { self.inner.uid_expunge(uid.to_string()).await?.try_collect::<Vec<_>>().await };
        answered(PATIENCE, "EXPUNGE", gone).await.map(|_| ())
    }

    async fn flag(&mut self, uid: u32, how: &str) -> Result<(), Fault> {
        let flagged = async { self.inner.uid_store(uid.to_string(), how).await?.try_collect::<Vec<_>>().await };
        answered(PATIENCE, "STORE", flagged).await.map(|_| ())
    }

    /// Waits until there may be new mail, or until `stop`: by IDLE, else for `every`. Gives the session back.
    pub async fn wait(mut self, every: Duration, stop: impl Future<Output = ()>) -> Result<Self, Fault> {
        tokio::pin!(stop);
        if !self.can_idle() {
            tokio::select! {
                () = &mut stop => {}
                () = tokio::time::sleep(every) => {}
            }
            answered(PATIENCE, "NOOP", self.inner.noop()).await?;
            return Ok(self);
        }
        let told = self.inner.unsolicited_responses.clone();
        let Self { inner, budget, can, after, validity } = self;
        let mut idle = inner.idle();
        answered(PATIENCE, "IDLE", idle.init()).await?;
        // What came between the search and IDLE is told before IDLE begins, and would be waited for in vain.
        let mut news = false;
        while let Ok(response) = told.try_recv() {
            news |= matches!(response, UnsolicitedResponse::Exists(_) | UnsolicitedResponse::Recent(_));
        }
        if !news {
            let (waiting, _interrupt) = idle.wait_with_timeout(IDLE);
            tokio::select! {
                () = &mut stop => {}
                // Not by the limit of its own: the server's "still here" would put that off for ever.
                waited = timeout(IDLE, waiting) => match waited {
                    Ok(Ok(_)) | Err(_) => {}
                    Ok(Err(error)) => return Err(Fault { step: "IDLE", why: why(&error) }),
                },
            }
        }
        let inner = answered(PATIENCE, "the end of IDLE", idle.done()).await?;
        Ok(Self { inner, budget, can, after, validity })
    }

    /// Says goodbye.
    pub async fn close(mut self) {
        let _ = timeout(Duration::from_secs(2), self.inner.logout()).await;
    }
}
