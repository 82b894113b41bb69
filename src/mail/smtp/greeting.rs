//! From an open line to a server that has greeted us, said what it can do, and knows us.
//!
//! | step | then |
//! | --- | --- |
//! | an address that answers | its banner; with implicit TLS the handshake before it |
//! | EHLO, once in each TLS state | what the server offers |
//! | STARTTLS, where the setting asks for TLS and it is offered | the handshake, and EHLO anew |
//! | AUTH, where the setting names a user | the mechanisms in [`MECHANISMS`]' order, as far as they are offered |

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
use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::response::Response;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::time::error::Elapsed;
use tokio::time::timeout;

use crate::mail::sasl::Exchange;
use crate::mail::sasl::Login;
use crate::mail::sasl::SaslMechanism;
use crate::mail::smtp::connect_fault::ConnectFault;
pub(in crate::mail) use crate::mail::smtp::dialogue::Offers;
use crate::mail::smtp::dialogue::SmtpDialogue;
use crate::mail::smtp::dialogue::SmtpReply;
use crate::mail::smtp::server::ConnectionSecurity;
use crate::mail::smtp::server::SmtpServer;
use crate::mail::smtp::stream;
use crate::mail::smtp::stream::SmtpAddress;
use crate::mail::smtp::stream::SmtpStream;
use crate::mail::smtp::writer::SmtpWriter;
use crate::mail::smtp::writer::WriteDeadline;

/// Ways to log in. Those that carry the password come first, since accounts exist whose stored password fits no challenge though the
/// server offers one; CRAM-MD5 is what sendmail and qpsmtpd offer alone.
const MECHANISMS: [SaslMechanism; 5] = [
    SaslMechanism::Plain,
    SaslMechanism::Login,
    SaslMechanism::ScramSha256,
    SaslMechanism::ScramSha1,
    SaslMechanism::CramMd5,
];
/// A login takes no more challenges than this.
const CHALLENGES_MAX: usize = 4;

/// A server that listens to us.
pub(in crate::mail) struct Greeted {
    pub smtp: AsyncSmtpConnection,
    pub outlet: SmtpWriter,
    pub offers: Offers,
}

/// Result of waiting for a reply.
pub(in crate::mail) type StepResult<T> = Result<Result<T, Error>, Elapsed>;

/// A step on the way to a connection that is ready for mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::mail) enum GreetingStep {
    Connecting,
    Banner,
    Ehlo,
    StartTls,
    Handshake,
    Auth,
}

impl GreetingStep {
    fn name(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Banner => "its banner",
            Self::Ehlo => "EHLO",
            Self::StartTls => "STARTTLS",
            Self::Handshake => "the TLS handshake",
            Self::Auth => "AUTH",
        }
    }
}

/// Progress of a connection, for when its time is over. Clones are one.
#[derive(Clone)]
pub(in crate::mail) struct GreetingProgress(Arc<Mutex<Reached>>);

struct Reached {
    step: GreetingStep,
    /// The address at which the server answers.
    peer: Option<SocketAddr>,
    /// Fault that one of its addresses reported, while another one is silent.
    fault: Option<ConnectFault>,
}

impl GreetingProgress {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(Reached {
            step: GreetingStep::Connecting,
            peer: None,
            fault: None,
        })))
    }

    pub(in crate::mail) fn enter(&self, step: GreetingStep) {
        self.state().step = step;
    }

    pub(in crate::mail) fn reached(&self, peer: SocketAddr) {
        self.state().peer = Some(peer);
    }

    pub(in crate::mail) fn failed(&self, fault: &ConnectFault) {
        self.state().fault = Some(fault.clone());
    }

    fn state(&self) -> MutexGuard<'_, Reached> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Connects, greets and logs in; each step within its own limit, and all of them within `mail.timeouts.greeting`, or a server that is
/// just in time each time would keep us from sending for ever.
pub(in crate::mail) async fn greet(
    server: &SmtpServer,
    fence: WriteDeadline,
) -> Result<Greeted, ConnectFault> {
    let (progress, limit) = (GreetingProgress::new(), server.timeouts.greeting);
    let greeted = match timeout(limit, get_through(server, fence, &progress)).await {
        Ok(greeted) => greeted,
        Err(_) => {
            let Reached { step, peer, fault } = &*progress.state();
            Err(fault
                .clone()
                .filter(|_| peer.is_none())
                .unwrap_or_else(|| ConnectFault::too_slow(server, limit, step.name())))
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

async fn get_through(
    server: &SmtpServer,
    fence: WriteDeadline,
    progress: &GreetingProgress,
) -> Result<Greeted, ConnectFault> {
    progress.enter(GreetingStep::Connecting);
    let (first, peer) = stream::reach(server, progress).await?;
    progress.reached(peer);
    match first {
        SmtpAddress::Encrypted(tls) => {
            let mut talk = SmtpDialogue::new(server, *tls);
            let offers = introduce(&mut talk, progress).await?;
            get_ready(server, talk, offers, peer, fence, progress).await
        }
        SmtpAddress::Spoke(tcp) => {
            let mut talk = SmtpDialogue::new(server, tcp);
            let offers = introduce(&mut talk, progress).await?;
            let (ConnectionSecurity::Opportunistic(tls, name)
            | ConnectionSecurity::StartTls(tls, name)) = &server.security
            else {
                return get_ready(server, talk, offers, peer, fence, progress).await;
            };
            match ask_for_tls(server, &mut talk, &offers, progress).await? {
                Ok(()) => {
                    progress.enter(GreetingStep::Handshake);
                    let encrypted =
                        stream::shake_hands(server, tls, name, talk.into_inner()?).await?;
                    let mut talk = SmtpDialogue::new(server, encrypted);
                    progress.enter(GreetingStep::Ehlo);
                    let offers = talk.ehlo().await?;
                    get_ready(server, talk, offers, peer, fence, progress).await
                }
                // RFC 7435: in the clear is better than not at all. A handshake that fails is another matter: a server that offers
                // TLS and cannot do it wants mending, not a workaround.
                Err(_) if matches!(server.security, ConnectionSecurity::Opportunistic(..)) => {
                    get_ready(server, talk, offers, peer, fence, progress).await
                }
                Err(why) => {
                    let advice =
                        "use smtps:// if it has that, or tls=none if the network is your own";
                    Err(ConnectFault::tls(
                        server,
                        format!(
                            "it {why}, and no mail or password may go there in the clear; {advice}"
                        ),
                    ))
                }
            }
        }
    }
}

async fn introduce<S: AsyncRead + AsyncWrite + Unpin>(
    talk: &mut SmtpDialogue<'_, S>,
    progress: &GreetingProgress,
) -> Result<Offers, ConnectFault> {
    progress.enter(GreetingStep::Banner);
    talk.banner().await?;
    progress.enter(GreetingStep::Ehlo);
    talk.ehlo().await
}

/// STARTTLS (RFC 3207): the server is ready for a handshake, or why it is not.
async fn ask_for_tls<S: AsyncRead + AsyncWrite + Unpin>(
    server: &SmtpServer,
    talk: &mut SmtpDialogue<'_, S>,
    offers: &Offers,
    progress: &GreetingProgress,
) -> Result<Result<(), String>, ConnectFault> {
    if !offers.starttls {
        return Ok(Err("offers no STARTTLS".into()));
    }
    progress.enter(GreetingStep::StartTls);
    let reply = talk.ask("STARTTLS").await?;
    if reply.code != 220 {
        return Ok(Err(format!(
            "refused STARTTLS: {} {}",
            reply.code,
            reply.text()
        )));
    }
    // Whatever stands here was not said under TLS, yet would be read as if it were ("NO STARTTLS", USENIX Security 2021).
    if talk.has_more() {
        return Err(ConnectFault::tls(
            server,
            "it went on in the clear after its answer to STARTTLS: it is broken, or somebody stands in between",
        ));
    }
    Ok(Ok(()))
}

/// Logs in where that is asked for, and gives the line to lettre.
async fn get_ready<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(
    server: &SmtpServer,
    mut talk: SmtpDialogue<'_, S>,
    offers: Offers,
    peer: SocketAddr,
    fence: WriteDeadline,
    progress: &GreetingProgress,
) -> Result<Greeted, ConnectFault> {
    if let Some(login) = &server.login {
        progress.enter(GreetingStep::Auth);
        log_in(server, &mut talk, &offers, login).await?;
    }
    let (line, outlet) = SmtpStream::boxed(peer, talk.into_inner()?, fence);
    let smtp = AsyncSmtpConnection::connect_with_transport(line, &server.hello).await;
    Ok(Greeted {
        smtp: smtp.map_err(|err| ConnectFault::broke_off(server, err))?,
        outlet,
        offers,
    })
}

async fn log_in<S: AsyncRead + AsyncWrite + Unpin>(
    server: &SmtpServer,
    talk: &mut SmtpDialogue<'_, S>,
    offers: &Offers,
    login: &Login,
) -> Result<(), ConnectFault> {
    let offered = |mechanism: &SaslMechanism| {
        offers
            .mechanisms
            .iter()
            .any(|name| name == mechanism.name())
    };
    let mut known = MECHANISMS.into_iter().filter(offered).peekable();
    while let Some(mechanism) = known.next() {
        let reply = authenticate(server, talk, mechanism, login).await?;
        let text = without_secrets(reply.text(), login);
        match reply.code {
            200..=299 => return Ok(()),
            // Not known after all, or too weak for this account or line (RFC 4954, section 6): another one may do.
            504 | 534 | 538 if known.peek().is_some() => {}
            400..=499 => return Err(ConnectFault::login_put_off(server, reply.code, &text)),
            500..=599 => {
                return Err(ConnectFault::login(
                    server,
                    format!("{} {text}", reply.code),
                ));
            }
            code => {
                return Err(ConnectFault::broke_off(
                    server,
                    format!("{code} {text}: that is no answer to AUTH"),
                ));
            }
        }
    }
    Err(ConnectFault::no_mechanism(server, &offers.mechanisms))
}

/// One login, up to the reply that is no challenge any more.
async fn authenticate<S: AsyncRead + AsyncWrite + Unpin>(
    server: &SmtpServer,
    talk: &mut SmtpDialogue<'_, S>,
    mechanism: SaslMechanism,
    login: &Login,
) -> Result<SmtpReply, ConnectFault> {
    let name = mechanism.name();
    let mut exchange = Exchange::new(mechanism, login.clone());
    // With PLAIN in the command itself, for servers exist that do not ask for it.
    let initial = (mechanism == SaslMechanism::Plain)
        .then(|| exchange.answer(""))
        .flatten();
    let mut reply = talk
        .ask(&initial.map_or_else(
            || format!("AUTH {name}"),
            |initial| format!("AUTH {name} {initial}"),
        ))
        .await?;
    for _ in 0..CHALLENGES_MAX {
        if reply.code != 334 {
            return Ok(reply);
        }
        let answer = exchange.answer(reply.text().trim());
        let answer = answer.ok_or_else(|| {
            ConnectFault::broke_off(server, format!("its challenge is not one of {name}"))
        })?;
        reply = talk.ask(&answer).await?;
    }
    Err(ConnectFault::broke_off(
        server,
        format!("its challenges do not end ({name})"),
    ))
}

/// A server that does not know AUTH may repeat the line it did not understand, and these words are logged.
fn without_secrets(text: String, login: &Login) -> String {
    let (user, password) = (login.user.expose(), login.password.expose());
    let secrets = [
        password.to_owned(),
        STANDARD.encode(password),
        STANDARD.encode(format!("\0{user}\0{password}")),
    ];
    let tells = secrets
        .iter()
        .any(|secret| !secret.is_empty() && text.contains(secret));
    if tells {
        "(its words repeat the password)".into()
    } else {
        text
    }
}

/// Returns what the server said, code and text; or the words of why it said nothing.
pub(in crate::mail) fn reply(
    limit: Duration,
    answer: StepResult<Response>,
) -> Result<(u16, String), String> {
    match answer {
        Ok(Ok(response)) => Ok((
            response.code().into(),
            response.message().collect::<Vec<_>>().join(" "),
        )),
        Ok(Err(err)) => refusal(&err).ok_or_else(|| format!("the connection broke: {err}")),
        Err(_) => Err(format!("no answer within {limit:?}")),
    }
}

/// lettre makes an error of every 4xx and 5xx, with the code in one place and the text in another.
fn refusal(err: &Error) -> Option<(u16, String)> {
    err.status().map(|code| {
        (
            code.into(),
            err.source().map(ToString::to_string).unwrap_or_default(),
        )
    })
}
