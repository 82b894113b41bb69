//! Reasons why there is no connection, in words for the operator.

use std::fmt::Display;
use std::time::Duration;

use crate::domain::delivery::Outcome;
use crate::mail::smtp::reply::is_throttle;
use crate::mail::smtp::server::SmtpServer;

/// Reason why a connection could not be had. It says nothing about any mail or reader: every mail waits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{outcome_words}")]
pub struct ConnectFault {
    /// A sentence for the operator: what failed, and what to do. No password in it.
    pub outcome_words: String,
    kind: ConnectFaultKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ConnectFaultKind {
    Network,
    Tls,
    Login,
    Refused,
    Later,
    Throttled,
}

impl ConnectFault {
    pub(in crate::mail) fn unreachable(server: &SmtpServer, why: impl Display) -> Self {
        let words = format!(
            "cannot reach the SMTP server at {}: {why}; check mail.transport",
            server.place()
        );
        Self {
            outcome_words: words,
            kind: ConnectFaultKind::Network,
        }
    }

    /// All steps together took longer than `mail.timeouts.greeting`.
    pub(in crate::mail) fn too_slow(server: &SmtpServer, limit: Duration, last_step: &str) -> Self {
        let words = format!(
            "the SMTP server at {} did not get through its greeting within {}, the last step was {last_step}; its operator knows what it \
             waits for, and mail.timeouts.greeting is how long we wait",
            server.place(),
            humantime::format_duration(limit)
        );
        Self {
            outcome_words: words,
            kind: ConnectFaultKind::Network,
        }
    }

    pub(in crate::mail) fn broke_off(server: &SmtpServer, why: impl Display) -> Self {
        let words = format!(
            "the SMTP server at {} broke off: {why}; check host, port and tls in mail.transport",
            server.place()
        );
        Self {
            outcome_words: words,
            kind: ConnectFaultKind::Network,
        }
    }

    pub(in crate::mail) fn tls(server: &SmtpServer, why: impl Display) -> Self {
        Self {
            outcome_words: format!("no TLS with the SMTP server at {}: {why}", server.place()),
            kind: ConnectFaultKind::Tls,
        }
    }

    pub(in crate::mail) fn login(server: &SmtpServer, why: impl Display) -> Self {
        let words = format!(
            "the SMTP server at {} refused our login: {why}; check user and password in mail.transport",
            server.place()
        );
        Self {
            outcome_words: words,
            kind: ConnectFaultKind::Login,
        }
    }

    /// The server takes no login for now (4xx; RFC 4954 names 432 and 454, Dovecot says 421 at the limit of a user's connections). That
    /// says nothing about user and password.
    pub(in crate::mail) fn login_put_off(server: &SmtpServer, code: u16, text: &str) -> Self {
        let words = format!(
            "the SMTP server at {} takes no login for now: {code} {text}; it is tried again, with fewer connections",
            server.place()
        );
        Self {
            outcome_words: words,
            kind: ConnectFaultKind::Throttled,
        }
    }

    /// The server offers none of the ways to log in that we know.
    pub(in crate::mail) fn no_mechanism(server: &SmtpServer, offered: &[String]) -> Self {
        let offers = if offered.is_empty() {
            "offers no login here, and mail.transport names a user".to_owned()
        } else {
            let list = offered.join(", ");
            format!(
                "offers none of the logins that this program knows (PLAIN, LOGIN, SCRAM-SHA-256, SCRAM-SHA-1, CRAM-MD5), but {list}"
            )
        };
        let words = format!(
            "the SMTP server at {} {offers}; many servers offer logins only under TLS (tls=required, or smtps://) or on another port \
             (587, 465), else leave the user out or have its operator allow one of these",
            server.place()
        );
        Self {
            outcome_words: words,
            kind: ConnectFaultKind::Login,
        }
    }

    pub(in crate::mail) fn refused(server: &SmtpServer, code: u16, text: &str) -> Self {
        let words = format!(
            "the SMTP server at {} refused us: {code} {text}; its operator knows why",
            server.place()
        );
        let kind = match code {
            _ if is_throttle(code, text) => ConnectFaultKind::Throttled,
            400..=499 => ConnectFaultKind::Later,
            _ => ConnectFaultKind::Refused,
        };
        Self {
            outcome_words: words,
            kind,
        }
    }

    /// No server there, or none that answers.
    pub fn is_network(&self) -> bool {
        self.kind == ConnectFaultKind::Network
    }

    /// No TLS, or no certificate to trust.
    pub fn is_tls(&self) -> bool {
        self.kind == ConnectFaultKind::Tls
    }

    /// The server does not accept our user and password.
    pub fn is_login(&self) -> bool {
        self.kind == ConnectFaultKind::Login
    }

    /// The server has enough connections, or mail, of us for now.
    pub fn is_throttle(&self) -> bool {
        self.kind == ConnectFaultKind::Throttled
    }

    /// Returns whether the server itself says that it is for now (4xx).
    pub fn is_for_now(&self) -> bool {
        matches!(
            self.kind,
            ConnectFaultKind::Later | ConnectFaultKind::Throttled
        )
    }

    /// Returns whether it may be over by itself: a server that starts anew, a network that is down, one that asks for patience. What
    /// is wrong with our name, login or demands stays wrong.
    pub fn may_pass(&self) -> bool {
        matches!(
            self.kind,
            ConnectFaultKind::Network | ConnectFaultKind::Later | ConnectFaultKind::Throttled
        )
    }

    /// Returns what it means for a mail that waited for the connection.
    pub fn outcome(&self) -> Outcome {
        Outcome::later_for_us(self.outcome_words.clone())
    }
}
