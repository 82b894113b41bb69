//! From an open line to a server that has greeted us, said what it can do, and knows us.

use std::error::Error as _;
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

/// Connects, greets and logs in.
pub(super) async fn greet(server: &Server, fence: Fence) -> Result<Greeted, ConnectFault> {
    let limit = server.timeouts.connect;
    let (line, outlet) = stream::open(server, fence).await?;
    let greeted = timeout(limit, AsyncSmtpConnection::connect_with_transport(line, &server.hello)).await;
    let mut smtp = or_fault(server, limit, greeted)?;
    // A second EHLO, for of the answer to its own lettre keeps nothing that says SIZE.
    let offered = timeout(limit, smtp.command(format!("EHLO {}\r\n", server.hello))).await;
    let offers = Offers::read(&or_fault(server, limit, offered)?);
    if let Some(login) = &server.login {
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
