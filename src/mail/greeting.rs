//! From an open line to a server that has greeted us, said what it can do, and knows us.

use std::error::Error as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::authentication::DEFAULT_MECHANISMS;
use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::response::Response;
use tokio::time::error::Elapsed;
use tokio::time::timeout;

use super::fault::ConnectFault;
use super::outlet::Fence;
use super::outlet::Outlet;
use super::server::Login;
use super::server::Security;
use super::server::Server;
use super::stream;

/// A server that listens to us.
pub(super) struct Greeted {
    pub smtp: AsyncSmtpConnection,
    pub outlet: Outlet,
    pub offers: Offers,
}

/// What the server can do (RFC 5321 4.1.1.1), as far as it matters here.
pub(super) struct Offers {
    pub size: bool,
    pub smtputf8: bool,
    pub pipelining: bool,
}

/// What came of waiting for an answer.
pub(super) type Answer<T> = Result<Result<T, Error>, Elapsed>;

/// A step on the way to a connection that is ready for mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Connecting,
    Banner,
    BannerOrEhlo,
    Ehlo,
    StartTls,
    Handshake,
    Auth,
}

impl Step {
    fn name(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Banner => "its banner",
            Self::BannerOrEhlo => "its banner or EHLO",
            Self::Ehlo => "EHLO",
            Self::StartTls => "STARTTLS",
            Self::Handshake => "the TLS handshake",
            Self::Auth => "AUTH",
        }
    }
}

/// How far a connection came, for when its time is over. Clones are one.
#[derive(Clone)]
pub(super) struct Progress(Arc<Mutex<Reached>>);

struct Reached {
    step: Step,
    /// The address at which the server answers.
    peer: Option<SocketAddr>,
    /// Fault that one of its addresses reported, while another one is silent.
    fault: Option<ConnectFault>,
}

impl Progress {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(Reached { step: Step::Connecting, peer: None, fault: None })))
    }

    pub(super) fn enter(&self, step: Step) {
        self.state().step = step;
    }

    pub(super) fn reached(&self, peer: SocketAddr) {
        self.state().peer = Some(peer);
    }

    pub(super) fn failed(&self, fault: &ConnectFault) {
        self.state().fault = Some(fault.clone());
    }

    fn state(&self) -> MutexGuard<'_, Reached> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Connects, greets and logs in; each step within its own limit, and all of them within `mail.timeouts.greeting`, or a server that is
/// just in time each time would keep us from sending for ever.
pub(super) async fn greet(server: &Server, fence: Fence) -> Result<Greeted, ConnectFault> {
    let (progress, limit) = (Progress::new(), server.timeouts.greeting);
    let greeted = match timeout(limit, get_through(server, fence, &progress)).await {
        Ok(greeted) => greeted,
        Err(_) => {
            let Reached { step, peer, fault } = &*progress.state();
            Err(fault.clone().filter(|_| peer.is_none()).unwrap_or_else(|| ConnectFault::too_slow(server, limit, step.name())))
        }
    };
    if let (Err(fault), Some(peer)) = (&greeted, progress.state().peer) {
        // A login that is refused here is refused everywhere.
        if !fault.is_login() {
            server.destination.distrust(peer);
        }
    }
    greeted
}

async fn get_through(server: &Server, fence: Fence, progress: &Progress) -> Result<Greeted, ConnectFault> {
    let limit = server.timeouts.command;
    let (line, outlet) = stream::open(server, fence, progress).await?;
    // lettre reads both. Without implicit TLS the banner was seen to begin.
    progress.enter(if matches!(server.security, Security::Implicit(..)) { Step::BannerOrEhlo } else { Step::Ehlo });
    let greeted = timeout(limit, AsyncSmtpConnection::connect_with_transport(line, &server.hello)).await;
    let mut smtp = or_fault(server, limit, greeted)?;
    progress.enter(Step::Ehlo);
    // A second EHLO, for of the answer to its own lettre keeps nothing that says SIZE.
    let offered = timeout(limit, smtp.command(format!("EHLO {}\r\n", server.hello))).await;
    let offers = Offers::read(&or_fault(server, limit, offered)?);
    if let Some(login) = &server.login {
        progress.enter(Step::Auth);
        log_in(server, &mut smtp, login).await?;
    }
    Ok(Greeted { smtp, outlet, offers })
}

impl Offers {
    fn read(answer: &Response) -> Self {
        let offers =
            |keyword: &str| answer.message().any(|line| line.split(' ').next().is_some_and(|word| word.eq_ignore_ascii_case(keyword)));
        Self { size: offers("SIZE"), smtputf8: offers("SMTPUTF8"), pipelining: offers("PIPELINING") }
    }
}

async fn log_in(server: &Server, smtp: &mut AsyncSmtpConnection, login: &Login) -> Result<(), ConnectFault> {
    let limit = server.timeouts.command;
    let credentials = Credentials::new(login.user.clone(), login.password.clone());
    match timeout(limit, smtp.auth(DEFAULT_MECHANISMS, &credentials)).await {
        Ok(Err(err)) if err.is_client() => Err(ConnectFault::login(server, "it offers none of a kind that we know (PLAIN, LOGIN)")),
        answer => match reply(limit, answer) {
            Ok((200..=299, _)) => Ok(()),
            Ok((code, text)) => Err(ConnectFault::login(server, format!("{code} {}", without_secrets(text, login)))),
            Err(why) => Err(ConnectFault::broke_off(server, why)),
        },
    }
}

/// A server that does not know AUTH may repeat the line it did not understand, and these words are logged.
fn without_secrets(text: String, login: &Login) -> String {
    let Login { user, password } = login;
    let secrets = [password.clone(), STANDARD.encode(password), STANDARD.encode(format!("\0{user}\0{password}"))];
    let tells = secrets.iter().any(|secret| !secret.is_empty() && text.contains(secret));
    if tells { "(its words repeat the password)".into() } else { text }
}

/// What the server said, code and text; or the words of why it said nothing.
pub(super) fn reply(limit: Duration, answer: Answer<Response>) -> Result<(u16, String), String> {
    match answer {
        Ok(Ok(response)) => Ok((response.code().into(), response.message().collect::<Vec<_>>().join(" "))),
        Ok(Err(err)) => refusal(&err).ok_or_else(|| format!("the connection broke: {err}")),
        Err(_) => Err(format!("no answer within {limit:?}")),
    }
}

/// lettre makes an error of every 4xx and 5xx, with the code in one place and the text in another.
fn refusal(err: &Error) -> Option<(u16, String)> {
    err.status().map(|code| (code.into(), err.source().map(ToString::to_string).unwrap_or_default()))
}

fn or_fault<T>(server: &Server, limit: Duration, answer: Answer<T>) -> Result<T, ConnectFault> {
    match answer {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(err)) => Err(match refusal(&err) {
            Some((code, text)) => ConnectFault::refused(server, code, &text),
            None => ConnectFault::broke_off(server, err),
        }),
        Err(_) => Err(ConnectFault::broke_off(server, format!("no answer within {limit:?}"))),
    }
}
