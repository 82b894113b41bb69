//! The way out for a mail, as `mail.transport` names it.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use super::maildir::Maildir;
use crate::domain::delivery::Outcome;
use crate::mail::smtp::connect_fault::ConnectFault;
use crate::mail::smtp::connection::SmtpConnection;
use crate::mail::smtp::envelope::Envelope;
use crate::mail::smtp::server::ConnectionLimits;
use crate::mail::smtp::server::SmtpServer;
use crate::mail::smtp::server::SmtpTimeouts;
use crate::mail::smtp::stream;
use crate::mail::smtp::writer::WriteDeadline;

/// A server, or a folder that stands for one.
#[derive(Clone)]
pub struct Transport(TransportKind);

#[derive(Clone)]
enum TransportKind {
    Folder(Maildir),
    Smtp(Box<SmtpServer>),
}

impl Transport {
    /// Reads `mailbox:DIR`, `smtp://user:password@host:port?tls=none|opportunistic|required` or `smtps://...`. With
    /// `tls_ca=FILE` the certificates in a PEM file, which is read here, are trusted besides Mozilla's.
    ///
    /// The port is 465 for `smtps`, else 587 with `tls=required` and 25 without; `tls` is `opportunistic` when not given,
    /// but with a password for a host other than this one, or with `tls_ca`, that means `required`. User and password are
    /// percent-encoded. `hello` is the name we greet with (RFC 5321 4.1.4): a host name or an IP address.
    pub fn parse(
        url: &str,
        hello: &str,
        timeouts: SmtpTimeouts,
        limits: ConnectionLimits,
    ) -> Result<Self, InvalidTransport> {
        match url.split_once(':') {
            Some(("mailbox", dir)) if !dir.is_empty() => {
                Ok(Self(TransportKind::Folder(Maildir::new(dir))))
            }
            Some(("smtp" | "smtps", _)) => SmtpServer::parse(url, hello, timeouts, limits)
                .map(|server| Self(TransportKind::Smtp(Box::new(server))))
                .map_err(InvalidTransport),
            _ => Err(InvalidTransport(
                "expected mailbox:DIR, smtp://HOST or smtps://HOST".into(),
            )),
        }
    }

    /// The folder, when it is one.
    pub fn mailbox(&self) -> Option<&Maildir> {
        match &self.0 {
            TransportKind::Folder(maildir) => Some(maildir),
            TransportKind::Smtp(_) => None,
        }
    }

    /// Returns what an operator may read of it; no secret.
    pub fn describe(&self) -> String {
        match &self.0 {
            TransportKind::Folder(maildir) => format!("folder {}", maildir.path().display()),
            TransportKind::Smtp(server) => server.describe(),
        }
    }

    /// Returns whether it names a user and a password.
    pub fn has_login(&self) -> bool {
        matches!(&self.0, TransportKind::Smtp(server) if server.login.is_some())
    }

    /// The same way out, with at most so long until a connection is ready.
    pub fn within(&self, longest: Duration) -> Self {
        let mut hurried = self.clone();
        if let TransportKind::Smtp(server) = &mut hurried.0 {
            server.timeouts.greeting = server.timeouts.greeting.min(longest);
        }
        hurried
    }

    /// Tries every address of the server by itself, all at once, each for at most `limit`; for each, why it does not answer. Empty for a
    /// folder.
    ///
    /// # Errors
    /// When the server's name has no address, or nobody knows one.
    pub async fn survey(
        &self,
        limit: Duration,
    ) -> Result<Vec<(SocketAddr, Option<String>)>, String> {
        match &self.0 {
            TransportKind::Folder(_) => Ok(Vec::new()),
            TransportKind::Smtp(server) => stream::survey(server, limit).await,
        }
    }

    /// Opens a connection, within the time-outs of each step and of all together. Nothing is written to it once `fence` is over.
    pub async fn connect(&self, fence: WriteDeadline) -> Result<OpenTransport, ConnectFault> {
        Ok(OpenTransport(match &self.0 {
            TransportKind::Folder(maildir) => OpenKind::Folder(maildir.clone()),
            TransportKind::Smtp(server) => {
                OpenKind::Smtp(Box::new(SmtpConnection::open(server, fence).await?))
            }
        }))
    }
}

/// Shows what [`Transport::describe`] does.
impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Transport({})", self.describe())
    }
}

/// An open way out: one mail at a time.
pub struct OpenTransport(OpenKind);

enum OpenKind {
    Folder(Maildir),
    Smtp(Box<SmtpConnection>),
}

impl OpenTransport {
    /// Names sender and recipient of a mail of about `size` bytes, unless they went ahead, and gets leave to hand it over. The
    /// outcome says why there is none. A refusal leaves the connection usable; one that broke, timed out or was dropped
    /// half-way closes it.
    pub async fn send_envelope(
        &mut self,
        envelope: &Envelope<'_>,
        size: usize,
    ) -> Result<(), Outcome> {
        match &mut self.0 {
            OpenKind::Smtp(smtp) => smtp.send_envelope(envelope, size).await,
            OpenKind::Folder(_) => Ok(()),
        }
    }

    /// Sends the text of the mail that was opened but for its end, so that [`OpenTransport::finish_mail`] of the same text has little left
    /// to do. Nothing is delivered by it; but then only [`OpenTransport::give_up`] takes it back. A short text waits, as does one to a folder.
    pub async fn send_body(&mut self, message: &[u8]) -> Result<(), Outcome> {
        match &mut self.0 {
            OpenKind::Smtp(smtp) => smtp.send_body(message).await,
            OpenKind::Folder(_) => Ok(()),
        }
    }

    /// Hands over the mail that was opened. `message` is RFC 5322 text with CRLF line ends, its bodies 7bit. With it goes the
    /// envelope `ahead` of the mail that is to be opened next, where [`OpenTransport::can_pipeline_next`] says so. The outcome's words
    /// are one line of at most 500 bytes, with the recipient's address masked.
    pub async fn finish_mail(
        &mut self,
        envelope: &Envelope<'_>,
        message: &[u8],
        ahead: Option<(&Envelope<'_>, usize)>,
    ) -> Outcome {
        match &mut self.0 {
            OpenKind::Smtp(smtp) => smtp.finish_mail(envelope, message, ahead).await,
            OpenKind::Folder(maildir) => match maildir.write(envelope.file, message).await {
                Ok(name) => Outcome::Accepted {
                    reply: format!("kept as {name}"),
                },
                Err(err) => {
                    let reply = format!(
                        "cannot write to the folder {}: {err}; check mail.transport",
                        maildir.path().display()
                    );
                    Outcome::later_for_us(reply)
                }
            },
        }
    }

    /// One mail, all at once.
    pub async fn send(&mut self, envelope: &Envelope<'_>, message: &[u8]) -> Outcome {
        match self.send_envelope(envelope, message.len()).await {
            Ok(()) => self.finish_mail(envelope, message, None).await,
            Err(outcome) => outcome,
        }
    }

    /// Takes back leave to hand over a mail that was opened: the server forgets it when the line breaks (RFC 5321 4.1.1.4). `was_silent`: it
    /// did not answer.
    pub fn give_up(&mut self, was_silent: bool) {
        if let OpenKind::Smtp(smtp) = &mut self.0 {
            smtp.give_up(was_silent);
        }
    }

    /// Takes leave of a server that has had enough of this connection, so that another one has room.
    pub async fn retire(&mut self) {
        if let OpenKind::Smtp(smtp) = &mut self.0 {
            smtp.retire().await;
        }
    }

    /// Returns whether our lease was over when something of the last mail was to be written: that says nothing of the server.
    pub fn was_cut_by_lease(&self) -> bool {
        matches!(&self.0, OpenKind::Smtp(smtp) if smtp.was_cut_by_lease())
    }

    /// Says why a mail of so many bytes cannot go this way, if the server announced a smaller limit.
    pub fn refuses_size(&self, size: usize) -> Option<String> {
        match &self.0 {
            OpenKind::Folder(_) => None,
            OpenKind::Smtp(smtp) => smtp.refuses_size(size),
        }
    }

    /// Returns whether the next envelope may go with a mail's text. It can be taken back only by giving the connection up.
    pub fn can_pipeline_next(&self) -> bool {
        matches!(&self.0, OpenKind::Smtp(smtp) if smtp.can_pipeline_next())
    }

    /// Returns whether it bears another mail after the one that is being sent.
    pub fn bears_another(&self) -> bool {
        match &self.0 {
            OpenKind::Folder(_) => true,
            OpenKind::Smtp(smtp) => smtp.bears_another(),
        }
    }

    /// Returns whether another mail can be opened on it. A connection that was idle for too long, is open for 5 minutes or has carried
    /// its number of mails cannot: close it and open another.
    pub fn is_usable(&self) -> bool {
        match &self.0 {
            OpenKind::Folder(_) => true,
            OpenKind::Smtp(smtp) => smtp.is_usable(),
        }
    }

    /// Returns true if the result of the last mail says nothing of that mail: the server had enough of this connection, which had served others, or did not
    /// hear its envelope in order. Over a new one the mail can go at once.
    pub fn rejected_before_mail(&self) -> bool {
        matches!(&self.0, OpenKind::Smtp(smtp) if smtp.rejected_before_mail())
    }

    /// Takes leave; waits for the answer for two seconds at most.
    pub async fn close(self) {
        if let OpenKind::Smtp(smtp) = self.0 {
            smtp.close().await;
        }
    }
}

/// Reason why a text is no transport: what was expected, with nothing in it of what may be a password. The caller names the key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidTransport(String);

#[cfg(test)]
mod tests;
