//! The SMTP half of `mail.transport`: which server, by which name we greet it, and what it takes for it to see our mail.

use std::borrow::Cow;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use lettre::transport::smtp::extension::ClientId;
use rustls_pki_types::ServerName;
use tokio_rustls::TlsConnector;
use url::Host;
use url::Url;

use crate::dial::Destination;
use crate::dial::tls;
use crate::mail::sasl::Login;
use crate::mail::smtp::pipelining::Ahead;

/// Time that each step may take; a connection on which one took longer is dropped, for nobody knows what it is at.
/// RFC 5321 4.5.3.2 asks for minutes: servers look into a mail before they answer its final dot.
#[derive(Debug, Clone, Copy)]
pub struct SmtpTimeouts {
    /// Resolving the server's name; TCP, for each of its addresses; the TLS handshake.
    pub connect: Duration,
    /// All of it until a mail can be sent: TCP, TLS, the banner, `EHLO`, `STARTTLS`, login.
    pub greeting: Duration,
    /// The banner (RFC: 5 minutes) and the answer to a command: `EHLO`, login, `MAIL`, `RCPT` (RFC: 5 minutes), `DATA` (RFC: 2
    /// minutes), `RSET`.
    pub command: Duration,
    /// Sending a mail's text (RFC: 3 minutes for each block).
    pub data: Duration,
    /// The answer to the final dot (RFC: 10 minutes), counted from the end of `data`: what is cut off here is in doubt.
    pub finish: Duration,
}

/// Time that a connection is used.
#[derive(Debug, Clone, Copy)]
pub struct ConnectionLimits {
    /// Mails on one connection; many servers allow a hundred or a few.
    pub mails: u32,
    /// A connection that had nothing to do for so long is given up: the server may have done so too.
    pub idle: Duration,
    /// True if an envelope may go ahead of the answer to the mail before, where the server is seen to bear it.
    pub takes_ahead: bool,
}

/// One server and the terms on which it is used.
#[derive(Clone)]
pub(in crate::mail) struct SmtpServer {
    pub destination: Destination,
    pub security: ConnectionSecurity,
    pub login: Option<Login>,
    pub hello: ClientId,
    pub timeouts: SmtpTimeouts,
    pub limits: ConnectionLimits,
    /// Shared by all its connections.
    pub ahead: Ahead,
    /// True once it held up its refusal of a recipient: from then on `DATA` waits for the answer to RCPT, and a connection with a refusal
    /// is the last mail's. Shared, too.
    pub holds_up: Arc<AtomicBool>,
}

/// Security that a connection must have before a mail or a password goes over it.
#[derive(Clone)]
pub(in crate::mail) enum ConnectionSecurity {
    /// Nothing: `tls=none`.
    Plain,
    /// TLS when it is offered, with whoever answers: `tls=opportunistic` (RFC 7435).
    Opportunistic(TlsConnector, ServerName<'static>),
    /// TLS by STARTTLS (RFC 3207) and a certificate we trust: `tls=required`.
    StartTls(TlsConnector, ServerName<'static>),
    /// TLS from the first byte (RFC 8314) and a certificate we trust: `smtps`.
    Implicit(TlsConnector, ServerName<'static>),
}

const EXPECTED: &str = "expected smtp://user:password@host:port?tls=none|opportunistic|required \
     or smtps://user:password@host:port, with &tls_ca=FILE for roots of your own";

impl SmtpServer {
    /// Reads `smtp://...` or `smtps://...`. The error is a sentence; no part of the text is shown in it, for
    /// an unescaped character in a password makes anything else look like the password's end.
    pub(in crate::mail) fn parse(
        text: &str,
        hello: &str,
        timeouts: SmtpTimeouts,
        limits: ConnectionLimits,
    ) -> Result<Self, String> {
        let escape = format!(
            "{EXPECTED}; in user and password, characters such as / ? # @ : % must be written as %2F %3F %23 %40 %3A %25"
        );
        let url = Url::parse(text).map_err(|err| format!("{escape} ({err})"))?;
        let host = url
            .host_str()
            .and_then(|host| Host::parse(host).ok())
            .ok_or(&escape)?;
        if !matches!(url.path(), "" | "/") || url.fragment().is_some() {
            return Err(escape);
        }
        let TlsQuery {
            wanted,
            extra_roots,
        } = TlsQuery::of(&url).ok_or(&escape)?;
        let login = parse_login(&url).ok_or(escape)?;
        let (is_loopback, host) = match &host {
            Host::Domain(name) => (
                name == "localhost" || name.ends_with(".localhost"),
                name.clone(),
            ),
            Host::Ipv4(ip) => (ip.is_loopback(), ip.to_string()),
            Host::Ipv6(ip) => (ip.is_loopback(), ip.to_string()),
        };
        let usual_port = match (url.scheme(), wanted.as_deref()) {
            ("smtps", _) => 465,
            (_, Some("required")) => 587,
            _ => 25,
        };
        // A password is worth more than a mail: TLS with just anyone would give it to just anyone. And who names the
        // roots to trust wants them asked.
        let needs_trust = extra_roots.is_some() || login.is_some() && !is_loopback;
        let name = || {
            ServerName::try_from(host.clone()).map_err(|_| {
                format!("{EXPECTED}; the host is not a name that a certificate can hold")
            })
        };
        let verified = || tls::verified(extra_roots.as_deref().map(Path::new));
        let security = match (url.scheme(), wanted.as_deref()) {
            ("smtps", None | Some("required")) => {
                ConnectionSecurity::Implicit(verified()?, name()?)
            }
            ("smtp", Some("none")) if extra_roots.is_none() => ConnectionSecurity::Plain,
            ("smtp", Some("required")) => ConnectionSecurity::StartTls(verified()?, name()?),
            ("smtp", None | Some("opportunistic")) if needs_trust => {
                ConnectionSecurity::StartTls(verified()?, name()?)
            }
            ("smtp", None | Some("opportunistic")) => {
                ConnectionSecurity::Opportunistic(tls::unverified()?, name()?)
            }
            _ => return Err(EXPECTED.into()),
        };
        let port = url.port().unwrap_or(usual_port);
        Ok(Self {
            destination: Destination::new(&host, port),
            security,
            login,
            hello: parse_hello(hello)?,
            timeouts,
            limits,
            ahead: Ahead::default(),
            holds_up: Arc::default(),
        })
    }

    /// `host:port`, as sentences name it.
    pub(in crate::mail) fn place(&self) -> String {
        self.destination.place()
    }

    /// Returns what an operator may read of it. The user is left out: with some providers it is the secret.
    pub(in crate::mail) fn describe(&self) -> String {
        let security = match self.security {
            ConnectionSecurity::Plain => "no TLS",
            ConnectionSecurity::Opportunistic(..) => "TLS if offered, unverified",
            ConnectionSecurity::StartTls(..) => "STARTTLS, verified",
            ConnectionSecurity::Implicit(..) => "TLS, verified",
        };
        let login = if self.login.is_some() {
            "with login"
        } else {
            "no login"
        };
        format!("SMTP server {} ({security}, {login})", self.place())
    }
}

/// The query of a mail server's URL: `tls` and `tls_ca`.
pub(in crate::mail) struct TlsQuery<'u> {
    pub wanted: Option<Cow<'u, str>>,
    /// Path of a PEM file.
    pub extra_roots: Option<Cow<'u, str>>,
}

impl<'u> TlsQuery<'u> {
    /// Reads it; `None` when there is anything else in it.
    pub fn of(url: &'u Url) -> Option<Self> {
        let mut query = Self {
            wanted: None,
            extra_roots: None,
        };
        for (key, value) in url.query_pairs() {
            match key.as_ref() {
                "tls" => query.wanted = Some(value),
                "tls_ca" => query.extra_roots = Some(value),
                _ => return None,
            }
        }
        Some(query)
    }
}

/// `Some(None)` when there is none, `None` when there is half of one or not in UTF-8.
pub(in crate::mail) fn parse_login(url: &Url) -> Option<Option<Login>> {
    match (url.username(), url.password()) {
        ("", None) => Some(None),
        ("", _) | (_, None) => None,
        (user, Some(password)) => Some(Some(Login {
            user: percent_decoded(user)?.into(),
            password: percent_decoded(password)?.into(),
        })),
    }
}

pub(in crate::mail) fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let hex = after
            .get(..2)
            .filter(|hex| first == b'%' && hex.iter().all(u8::is_ascii_hexdigit));
        let escaped =
            hex.and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        bytes.push(escaped.unwrap_or(first));
        rest = if escaped.is_some() {
            &after[2..]
        } else {
            after
        };
    }
    String::from_utf8(bytes)
        .ok()
        .filter(|text| !text.contains('\0'))
}

/// The name we greet with: a host name, or an address literal (RFC 5321 4.1.4).
fn parse_hello(text: &str) -> Result<ClientId, String> {
    match text.parse() {
        Ok(IpAddr::V4(ip)) => Ok(ClientId::Ipv4(ip)),
        Ok(IpAddr::V6(ip)) => Ok(ClientId::Ipv6(ip)),
        Err(_)
            if !text.is_empty()
                && text
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b)) =>
        {
            Ok(ClientId::Domain(text.into()))
        }
        Err(_) => Err(format!(
            "{text:?} is not a host name that a mail server could be greeted with"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(5);
    const TIMEOUTS: SmtpTimeouts = SmtpTimeouts {
        connect: LIMIT,
        greeting: LIMIT,
        command: LIMIT,
        data: LIMIT,
        finish: LIMIT,
    };
    const LIMITS: ConnectionLimits = ConnectionLimits {
        mails: 1000,
        idle: LIMIT,
        takes_ahead: true,
    };

    fn parse(text: &str) -> Result<SmtpServer, String> {
        SmtpServer::parse(text, "news.example.org", TIMEOUTS, LIMITS)
    }

    #[test]
    fn a_url_says_which_server_and_on_which_terms() {
        let described = |text| {
            parse(text)
                .map(|server| server.describe())
                .unwrap_or_else(|err| err)
        };
        for (text, expected) in [
            (
                "smtp://127.0.0.1:2525",
                "SMTP server 127.0.0.1:2525 (TLS if offered, unverified, no login)",
            ),
            (
                "smtp://relay.example.org",
                "SMTP server relay.example.org:25 (TLS if offered, unverified, no login)",
            ),
            (
                "smtp://[::1]/?tls=none",
                "SMTP server [::1]:25 (no TLS, no login)",
            ),
            (
                "smtp://Bücher.example?tls=required",
                "SMTP server xn--bcher-kva.example:587 (STARTTLS, verified, no login)",
            ),
            (
                "smtp://u:p@localhost",
                "SMTP server localhost:25 (TLS if offered, unverified, with login)",
            ),
            (
                "smtp://u:p@relay.example.org:26?tls=opportunistic",
                "SMTP server relay.example.org:26 (STARTTLS, verified, with login)",
            ),
            (
                "smtp://u:p@relay.example.org?tls=none",
                "SMTP server relay.example.org:25 (no TLS, with login)",
            ),
            (
                "smtps://u:p@relay.example.org",
                "SMTP server relay.example.org:465 (TLS, verified, with login)",
            ),
        ] {
            assert_eq!(described(text), expected, "{text}");
        }
    }

    #[test]
    fn user_and_password_are_percent_decoded() {
        let login = parse("smtp://a%40b.c:p%2Fq+%25%zz%C3%BC@localhost")
            .ok()
            .and_then(|server| server.login)
            .expect("a login");
        assert_eq!(
            (login.user.expose(), login.password.expose()),
            ("a@b.c", "p/q+%%zzü")
        );
    }

    #[test]
    fn an_error_shows_no_part_of_a_url_that_may_be_a_password() {
        for text in [
            "smtp://",
            "smtp:relay",
            "smtp://user:SeCrEt",
            "smtp://user:Se/CrEt@host",
            "smtp://user:12/SeCrEt@host",
            "smtp://user:12?SeCrEt@host",
            "smtp://user:12#SeCrEt@host",
            "smtp://user:%FFSeCrEt@host",
            "smtp://SeCrEt@host",
            "smtp://:SeCrEt@host",
            "smtp://user:SeCrEt@host:99999",
            "smtp://user:SeCrEt@ho st",
            "smtp://user:SeCrEt@host?tls=maybe",
            "smtp://user:SeCrEt@host?ssl=1",
            "smtps://user:SeCrEt@host?tls=none",
            "smtp://host?tls=none&tls_ca=/SeCrEt",
        ] {
            let error = parse(text)
                .err()
                .unwrap_or_else(|| panic!("{text} is refused"));
            assert!(error.starts_with("expected smtp://"), "{error}");
            assert!(
                !error.contains("SeCrEt") && !error.contains("CrEt"),
                "{error}"
            );
        }
        assert!(
            parse("smtp://host?tls=required&tls_ca=/nowhere.pem")
                .err()
                .is_some_and(|err| err.starts_with("tls_ca: /nowhere.pem"))
        );
        assert!(SmtpServer::parse("smtp://host", "a b\r\n", TIMEOUTS, LIMITS).is_err());
    }
}
