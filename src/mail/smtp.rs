//! One SMTP connection: what is said over the line, and what is known when it goes silent.

use std::error::Error as _;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::authentication::DEFAULT_MECHANISMS;
use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::response::Response;
use tokio::time::Instant;
use tokio::time::error::Elapsed;
use tokio::time::timeout;

use super::envelope::Envelope;
use super::fault::ConnectFault;
use super::reply::Stage;
use super::reply::outcome_of;
use super::server::Login;
use super::server::Server;
use super::server::Timeouts;
use super::stream;
use super::stream::Written;
use super::stuffing::stuffed;
use crate::domain::delivery::Outcome;

/// Servers hang up on who is idle or stays long, and the mail that finds out would wait for its next attempt: a connection
/// is given up before (RFC 5321 lets a server do so after 5 minutes, and not all are that patient).
const LONGEST_IDLE: Duration = Duration::from_secs(30);
const LONGEST_LIFE: Duration = Duration::from_secs(300);
/// `QUIT` is a courtesy.
const LONGEST_FAREWELL: Duration = Duration::from_secs(2);

/// A connection between two mails. It holds none while one is under way, so that a `send` that was cut short, by an error,
/// a time-out or a dropped future, can never leave one behind that is used again.
pub(super) struct SmtpConnection {
    smtp: Option<AsyncSmtpConnection>,
    written: Written,
    timeouts: Timeouts,
    offers: Offers,
    opened: Instant,
    used: Instant,
    mails: u64,
    turned_away: bool,
}

/// What the server can do (RFC 5321 4.1.1.1), as far as it matters here.
struct Offers {
    size: bool,
    smtputf8: bool,
    pipelining: bool,
}

/// Why a mail was not taken.
enum Failure {
    /// The server said so, at that stage. `in_step`: it listens, and what was said since is answered.
    Answer { code: u16, text: String, stage: Stage, in_step: bool },
    /// We are out of step with it: the connection is of no more use.
    Broken { outcome: Outcome, stage: Stage },
}

/// What came of waiting for an answer.
type Answer<T> = Result<Result<T, Error>, Elapsed>;

impl SmtpConnection {
    pub(super) async fn open(server: &Server) -> Result<Self, ConnectFault> {
        let limit = server.timeouts.connect;
        let (line, written) = stream::open(server).await?;
        let greeted = timeout(limit, AsyncSmtpConnection::connect_with_transport(line, &server.hello)).await;
        let mut smtp = or_fault(server, limit, greeted)?;
        // A second EHLO, for of the answer to its own lettre keeps nothing that says SIZE.
        let offered = timeout(limit, smtp.command(format!("EHLO {}\r\n", server.hello))).await;
        let offers = Offers::read(&or_fault(server, limit, offered)?);
        if let Some(login) = &server.login {
            log_in(server, &mut smtp, login).await?;
        }
        let now = Instant::now();
        Ok(Self { smtp: Some(smtp), written, timeouts: server.timeouts, offers, opened: now, used: now, mails: 0, turned_away: false })
    }

    pub(super) fn is_usable(&self) -> bool {
        self.smtp.is_some() && self.used.elapsed() < LONGEST_IDLE && self.opened.elapsed() < LONGEST_LIFE
    }

    /// Whether the last mail was not even looked at, for the server had enough of this connection.
    pub(super) fn was_turned_away(&self) -> bool {
        self.turned_away
    }

    pub(super) async fn close(self) {
        if let Some(mut smtp) = self.smtp {
            let _ = timeout(LONGEST_FAREWELL.min(self.timeouts.command), smtp.quit()).await;
        }
    }

    pub(super) async fn send(&mut self, envelope: &Envelope<'_>, message: &[u8]) -> Outcome {
        if let Some(refused) = self.refuse(envelope) {
            return refused;
        }
        let Some(mut smtp) = self.smtp.take() else { return later("the connection is closed") };
        let sent = self.transact(&mut smtp, envelope, message).await;
        self.turned_away = self.mails > 0 && sent.as_ref().is_err_and(Failure::is_farewell);
        self.mails += 1;
        let (outcome, in_step) = match sent {
            Ok(outcome) => (outcome, true),
            Err(Failure::Answer { code, text, stage, in_step }) => {
                // 421 (RFC 5321 3.8): the server is about to hang up.
                let in_step = in_step && code != 421 && self.ask(&mut smtp, Stage::Session, "RSET\r\n").await.is_ok();
                (outcome_of(code, &text, stage), in_step)
            }
            Err(Failure::Broken { outcome, .. }) => (outcome, false),
        };
        if in_step {
            self.smtp = Some(smtp);
            self.used = Instant::now();
        }
        tidied(outcome, envelope)
    }

    /// What need not be tried.
    fn refuse(&self, envelope: &Envelope<'_>) -> Option<Outcome> {
        let refused = |about_us, reply: &str| Some(Outcome::Refused { reply: reply.into(), about_us });
        if envelope.from.contains(|c: char| c.is_control()) {
            return refused(true, "not sent: the return path holds a control character; check mail.return_path");
        }
        if needs_smtputf8(envelope) && !self.offers.smtputf8 {
            return refused(false, "not sent: an address is not ASCII before its @, and our mail server cannot do that (no SMTPUTF8)");
        }
        None
    }

    /// One mail: its envelope and DATA, in one write where the server takes that (PIPELINING, RFC 2920), then its text.
    async fn transact(&self, smtp: &mut AsyncSmtpConnection, envelope: &Envelope<'_>, message: &[u8]) -> Result<Outcome, Failure> {
        // Commands by hand: lettre's own address type refuses some that are valid.
        let size = if self.offers.size { format!(" SIZE={}", message.len()) } else { String::new() };
        // No BODY=8BITMIME: our bodies are 7bit, and a header in UTF-8 is what SMTPUTF8 is for (RFC 6531 3.6).
        let utf8 = if needs_smtputf8(envelope) { " SMTPUTF8" } else { "" };
        let mail = format!("MAIL FROM:<{}>{size}{utf8}\r\n", envelope.from);
        let rcpt = format!("RCPT TO:<{}>\r\n", envelope.to);
        if self.offers.pipelining {
            self.ask_at_once(smtp, &format!("{mail}{rcpt}DATA\r\n")).await?;
        } else {
            self.ask(smtp, Stage::Sender, &mail).await?;
            self.ask(smtp, Stage::Recipient, &rcpt).await?;
            self.ask(smtp, Stage::Data, "DATA\r\n").await?;
        }
        self.hand_over(smtp, message).await
    }

    /// One command, and the answer that lets us go on.
    async fn ask(&self, smtp: &mut AsyncSmtpConnection, stage: Stage, command: &str) -> Result<(), Failure> {
        let limit = self.timeouts.command;
        good(stage, reply(limit, timeout(limit, smtp.command(command)).await))
    }

    /// MAIL, RCPT and DATA in one write, and their three answers. All three are read, whatever the first says, or the
    /// connection would be out of step; where DATA was granted though a command before it was not, an empty text takes
    /// it back (RFC 2920 3.1).
    async fn ask_at_once(&self, smtp: &mut AsyncSmtpConnection, commands: &str) -> Result<(), Failure> {
        let limit = self.timeouts.command;
        let is_broken = |answer: Option<&Result<(), Failure>>| matches!(answer, Some(Err(Failure::Broken { .. })));
        let mut answers = vec![good(Stage::Sender, reply(limit, timeout(limit, smtp.command(commands)).await))];
        for stage in [Stage::Recipient, Stage::Data] {
            if !is_broken(answers.last()) {
                answers.push(good(stage, reply(limit, timeout(limit, smtp.read_response()).await)));
            }
        }
        let (broke, granted) = (is_broken(answers.last()), matches!(answers.get(2), Some(Ok(()))));
        // The first refusal tells most, also where something broke after it.
        let Some(fault) = answers.into_iter().find_map(Result::err) else { return Ok(()) };
        let in_step = !broke && (!granted || self.take_back(smtp).await);
        Err(fault.with_step(in_step))
    }

    /// Ends a text that should not have been asked for, with nothing in it. Whether the server answered.
    async fn take_back(&self, smtp: &mut AsyncSmtpConnection) -> bool {
        let limit = self.timeouts.command;
        reply(limit, timeout(limit, smtp.command(".\r\n")).await).is_ok()
    }

    /// The mail's text and the final dot, in one write: until the dot is on its way nothing was taken, afterwards only an
    /// answer tells.
    async fn hand_over(&self, smtp: &mut AsyncSmtpConnection, message: &[u8]) -> Result<Outcome, Failure> {
        let Ok(message) = std::str::from_utf8(message) else {
            return Err(Failure::broken(
                Outcome::Refused { reply: "not sent: the mail is not UTF-8".into(), about_us: false },
                Stage::Text,
            ));
        };
        let text = stuffed(message);
        let end = self.written.bytes() + text.len() as u64;
        let dot_is_out = || self.written.bytes() >= end;
        let Timeouts { data, finish, .. } = self.timeouts;
        // lettre's `message` stuffs byte by byte and writes the dot apart; a command it writes as it is.
        let mut sending = std::pin::pin!(smtp.command(text));
        let answer = match timeout(data, &mut sending).await {
            Err(_) if dot_is_out() => reply(finish, timeout(finish, sending).await),
            answer => reply(data, answer),
        };
        match answer {
            Ok((code @ 200..=299, text)) => Ok(outcome_of(code, &text, Stage::Text)),
            Ok((code @ 400.., text)) => Err(Failure::Answer { code, text, stage: Stage::Text, in_step: true }),
            Ok((code, text)) => Err(Failure::broken(outcome_of(code, &text, Stage::Text), Stage::Text)),
            Err(why) if dot_is_out() => {
                Err(Failure::broken(Outcome::InDoubt { reply: format!("after the final dot: {why}") }, Stage::Text))
            }
            Err(why) => Err(Failure::broken(later(format!("before the final dot: {why}")), Stage::Text)),
        }
    }
}

impl Failure {
    fn broken(outcome: Outcome, stage: Stage) -> Self {
        Self::Broken { outcome, stage }
    }

    /// Whether the server had enough of this connection, before anything was said of this mail: it allows so many mails, or
    /// so much time, and then says 421 or just hangs up.
    fn is_farewell(&self) -> bool {
        matches!(self, Self::Answer { code: 421, stage: Stage::Sender, .. } | Self::Broken { stage: Stage::Sender, .. })
    }

    /// The same refusal, on a connection that is in step or not.
    fn with_step(self, in_step: bool) -> Self {
        match self {
            Self::Answer { code, text, stage, .. } => Self::Answer { code, text, stage, in_step },
            broken @ Self::Broken { .. } => broken,
        }
    }
}

/// Whether an answer lets us go on.
fn good(stage: Stage, answer: Result<(u16, String), String>) -> Result<(), Failure> {
    match answer {
        Ok((200..=299, _)) if stage != Stage::Data => Ok(()),
        Ok((354, _)) if stage == Stage::Data => Ok(()),
        Ok((code @ 400.., text)) => Err(Failure::Answer { code, text, stage, in_step: true }),
        Ok((code, text)) => Err(Failure::broken(later(format!("{code} {text}: that is no answer at {stage:?}")), stage)),
        Err(why) => Err(Failure::broken(later(format!("at {stage:?}: {why}")), stage)),
    }
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

fn needs_smtputf8(envelope: &Envelope<'_>) -> bool {
    envelope.to.needs_smtputf8() || !envelope.from.is_ascii()
}

fn later(reply: impl Into<String>) -> Outcome {
    Outcome::Later { reply: reply.into(), about_us: true }
}

fn tidied(outcome: Outcome, envelope: &Envelope<'_>) -> Outcome {
    let reply = envelope.tidied(outcome.reply());
    match outcome {
        Outcome::Accepted { .. } => Outcome::Accepted { reply },
        Outcome::Later { about_us, .. } => Outcome::Later { reply, about_us },
        Outcome::Refused { about_us, .. } => Outcome::Refused { reply, about_us },
        Outcome::BadAddress { .. } => Outcome::BadAddress { reply },
        Outcome::InDoubt { .. } => Outcome::InDoubt { reply },
    }
}

/// What the server said, code and text; or the words of why it said nothing.
fn reply(limit: Duration, answer: Answer<Response>) -> Result<(u16, String), String> {
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
