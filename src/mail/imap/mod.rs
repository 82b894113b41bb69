//! A mailbox at an IMAP server (RFC 9051, RFC 3501), of which the mails that nobody has read are fetched.
//!
//! Nothing is kept of where we were: what is done is marked at the server. So a mailbox that was made anew, with other numbers
//! for its mails (UIDVALIDITY), is no event. In reading order: `response` is one response of the server, `wire` the protocol's lines, `login` picks the way to log in, `opening` finds
//! the folder and what the server allows in it, `session` what is done there.

mod login;
mod opening;
mod response;
mod session;
mod wire;

use std::path::Path;
use std::time::Duration;

use rustls_pki_types::ServerName;
use sha2::Digest;
use sha2::Sha256;
use tokio_rustls::TlsConnector;
use url::Host;
use url::Url;

use crate::dial::Destination;
use crate::dial::tls;
use crate::mail::sasl::Login;
use crate::mail::smtp::server::TlsQuery;
use crate::mail::smtp::server::parse_login;
use crate::mail::smtp::server::percent_decoded;
pub use session::Fetched;
pub use session::ImapSession;

/// Time that a step may take; fetching a mail, ten times as long.
const PATIENCE: Duration = Duration::from_secs(30);

const EXPECTED: &str = "expected imaps://user:password@host/INBOX, or imap:// for STARTTLS (without it on this machine only: ?tls=none), \
     with ?tls_ca=FILE for roots of your own";

/// Fate of a mail that is done: `inbound.imap_after`.
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
    security: ImapSecurity,
    login: Login,
    folder: String,
    after: After,
}

#[derive(Clone)]
enum ImapSecurity {
    Plain,
    StartTls(TlsConnector, ServerName<'static>),
    Implicit(TlsConnector, ServerName<'static>),
}

impl Account {
    /// Reads `inbound.imap` and `inbound.imap_after`. The error is a sentence with no part of the text in it, as for an SMTP server.
    pub fn parse(text: &str, after: &str) -> Result<Self, String> {
        let escape = format!(
            "{EXPECTED}; in user and password, characters such as / ? # @ : % must be written as %2F %3F %23 %40 %3A %25"
        );
        let url = Url::parse(text).map_err(|error| format!("{escape} ({error})"))?;
        let host = url
            .host_str()
            .and_then(|host| Host::parse(host).ok())
            .ok_or(&escape)?;
        let TlsQuery {
            wanted,
            extra_roots,
        } = TlsQuery::of(&url).ok_or(&escape)?;
        let login = parse_login(&url).flatten().ok_or(&escape)?;
        let (is_loopback, host) = match &host {
            Host::Domain(name) => (name == "localhost", name.clone()),
            Host::Ipv4(ip) => (ip.is_loopback(), ip.to_string()),
            Host::Ipv6(ip) => (ip.is_loopback(), ip.to_string()),
        };
        let name = || ServerName::try_from(host.clone()).map_err(|_| escape.clone());
        let verified = || tls::verified(extra_roots.as_deref().map(Path::new));
        let (security, usual_port) = match (url.scheme(), wanted.as_deref()) {
            ("imaps", None | Some("required")) => {
                (ImapSecurity::Implicit(verified()?, name()?), 993)
            }
            ("imap", None | Some("required")) => {
                (ImapSecurity::StartTls(verified()?, name()?), 143)
            }
            ("imap", Some("none")) if is_loopback && extra_roots.is_none() => {
                (ImapSecurity::Plain, 143)
            }
            _ => return Err(escape),
        };
        let folder = percent_decoded(url.path().trim_start_matches('/'))
            .filter(|folder| is_folder(folder) || folder.is_empty());
        let folder =
            folder.ok_or("the folder's name has other letters than those of ASCII: write it as your server does (RFC 3501, 5.1.3)")?;
        let folder = if folder.is_empty() {
            "INBOX".into()
        } else {
            folder
        };
        let after = match after.split_once(':') {
            None if after == "seen" => After::Seen,
            None if after == "delete" => After::Delete,
            Some(("move", to)) if is_folder(to) && to != folder => After::Move(to.into()),
            _ => return Err("imap_after: expected seen, delete, or move:FOLDER with another folder's name in ASCII".into()),
        };
        Ok(Self {
            destination: Destination::new(&host, url.port().unwrap_or(usual_port)),
            security,
            login,
            folder,
            after,
        })
    }

    /// Describes it for the operator, without secrets.
    pub fn describe(&self) -> String {
        let security = match self.security {
            ImapSecurity::Plain => "no TLS",
            ImapSecurity::StartTls(..) => "STARTTLS, verified",
            ImapSecurity::Implicit(..) => "TLS, verified",
        };
        format!(
            "{} at {} ({security})",
            self.folder,
            self.destination.place()
        )
    }

    /// `host:port`, as sentences name it.
    pub fn place(&self) -> String {
        self.destination.place()
    }

    /// A name of the mailbox under which is kept what is set aside of it: it shows neither user nor password.
    pub fn id(&self) -> String {
        let digest = Sha256::digest(format!(
            "{}\0{}\0{}",
            self.login.user.expose(),
            self.destination.place(),
            self.folder
        ));
        digest[..12]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }
}

/// A name that may be sent as it is.
fn is_folder(name: &str) -> bool {
    !name.is_empty() && name.len() <= 200 && name.bytes().all(|b| (b' '..=b'~').contains(&b))
}

/// Reason why a step failed, as a sentence's end. Holds no password, and nothing that the server said: it may echo one.
#[derive(Debug, thiserror::Error)]
#[error("{step} failed: {why}")]
pub struct ImapFault {
    step: &'static str,
    why: String,
    is_refusal: bool,
}

impl ImapFault {
    /// The server said no; the connection goes on.
    fn refused(step: &'static str, why: impl Into<String>) -> Self {
        Self {
            step,
            why: why.into(),
            is_refusal: true,
        }
    }

    /// The connection cannot be used any more.
    fn broken(step: &'static str, why: impl Into<String>) -> Self {
        Self {
            step,
            why: why.into(),
            is_refusal: false,
        }
    }

    /// Returns whether the server refused this one thing, and goes on with others.
    pub fn is_refusal(&self) -> bool {
        self.is_refusal
    }
}
