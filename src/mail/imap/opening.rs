//! Logging in, finding the folder in the server's namespace (RFC 2342), and looking at what the server will not let us do there.

mod folder;

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::Account;
use super::After;
use super::ImapFault;
use super::ImapSecurity;
use super::PATIENCE;
use super::login;
use super::response::Tagged;
use super::session::ImapSession;
use super::wire::BYTES;
use super::wire::ImapStream;
use super::wire::Wire;
use super::wire::quoted;
use super::wire::within;
use crate::dial::AddressTimeouts;
use crate::dial::spoken_to;
use crate::mail::sasl::Exchange;
use crate::mail::sasl::SaslMechanism;
use folder::Namespace;
use folder::code;
use folder::find;
use folder::is_full;
use folder::my_rights;
use folder::namespace;
use folder::target;

/// For each address of the server.
const LIMITS: AddressTimeouts = AddressTimeouts {
    connect: PATIENCE,
    first_step: PATIENCE,
};

impl Account {
    /// Tries every address of the server by itself, all at once, each for at most `limit`; for each, why it does not answer.
    ///
    /// # Errors
    /// When the server's name has no address, or nobody knows one.
    pub async fn survey(
        &self,
        limit: Duration,
    ) -> Result<Vec<(SocketAddr, Option<String>)>, String> {
        let limits = AddressTimeouts {
            connect: limit,
            first_step: limit,
        };
        self.destination
            .survey(limits, |tcp| answers(self.security.clone(), tcp))
            .await
    }

    /// Logs in and opens the folder.
    pub async fn open(&self) -> Result<ImapSession, ImapFault> {
        let reached = self
            .destination
            .reach(LIMITS, |tcp| answers(self.security.clone(), tcp))
            .await;
        let (first, address) =
            reached.map_err(|unreached| ImapFault::broken("reaching it", unreached.to_string()))?;
        let opened = self.open_over(first).await;
        // A refusal is an answer, and that of an address that works.
        if opened.as_ref().is_err_and(|fault| !fault.is_refusal()) {
            self.destination.distrust(address);
        }
        opened
    }

    async fn open_over(&self, first: ImapAddress) -> Result<ImapSession, ImapFault> {
        let line: Box<dyn ImapStream> = match (first, &self.security) {
            (ImapAddress::Encrypted(tls), _) => tls,
            (ImapAddress::Spoke(tcp), ImapSecurity::StartTls(tls, name)) => {
                let mut wire = Wire::new(Box::new(tcp));
                wire.greeting(PATIENCE).await?;
                wire.command(PATIENCE, "STARTTLS", "STARTTLS").await?;
                // What it had said on in the clear ends here, with the buffer.
                Box::new(
                    within(
                        PATIENCE,
                        "its TLS handshake",
                        tls.connect(name.clone(), wire.into_inner()),
                    )
                    .await?,
                )
            }
            (ImapAddress::Spoke(tcp), _) => Box::new(tcp),
        };
        let mut wire = Wire::new(line);
        let is_known =
            !matches!(self.security, ImapSecurity::StartTls(..)) && wire.greeting(PATIENCE).await?;
        if !is_known {
            let offers = capabilities(&mut wire).await?;
            self.log_in(&mut wire, &offers).await?;
        }
        let can = capabilities(&mut wire).await?;
        self.select(wire, can).await
    }

    async fn log_in(&self, wire: &mut Wire, offers: &[String]) -> Result<(), ImapFault> {
        let step = "the login";
        let mechanism =
            login::pick(offers, &self.login).map_err(|why| ImapFault::broken(step, why))?;
        if mechanism == SaslMechanism::Login {
            let word = |text: &str| {
                quoted(text).ok_or_else(|| {
                    ImapFault::broken(
                        step,
                        "user or password has a character that LOGIN cannot carry",
                    )
                })
            };
            let command = format!(
                "LOGIN {} {}",
                word(self.login.user.expose())?,
                word(self.login.password.expose())?
            );
            return wire.command(PATIENCE, step, &command).await.map(|_| ());
        }
        let mut exchange = Exchange::new(mechanism, self.login.clone());
        let work = async {
            let tag = wire
                .send(&format!("AUTHENTICATE {}", mechanism.name()), BYTES)
                .await?;
            loop {
                let challenge = match wire.challenge(&tag).await? {
                    Ok(challenge) => challenge,
                    Err(end) => return io::Result::Ok(end),
                };
                // RFC 3501, 6.2.2: "*" cancels what cannot be answered.
                let answer = exchange.answer(&challenge).unwrap_or_else(|| "*".into());
                wire.say(&answer).await?;
            }
        };
        match within(PATIENCE, step, work).await? {
            Tagged::Done(_) => Ok(()),
            Tagged::Refused(why) => Err(ImapFault::refused(step, why)),
        }
    }

    /// Opens the folder, and sees what the server allows there.
    async fn select(&self, mut wire: Wire, can: Vec<String>) -> Result<ImapSession, ImapFault> {
        let has = |name: &str| can.iter().any(|capability| capability == name);
        let namespace = if has("NAMESPACE") {
            namespace(&mut wire).await?
        } else {
            Namespace::default()
        };
        let folder = match find(&mut wire, &self.folder, &namespace).await? {
            Some(folder) => folder,
            // Some servers list less than they open.
            None => self.folder.clone(),
        };
        let mut limits = Vec::new();
        let mut after = match &self.after {
            After::Move(to) => match target(&mut wire, to, &namespace).await? {
                Ok(to) => After::Move(to),
                Err(why) => {
                    limits.push(format!("the folder {to:?} of inbound.imap_after is not there and cannot be made ({why})"));
                    After::Seen
                }
            },
            other => other.clone(),
        };
        let Selected {
            validity,
            is_read_only,
            permanent,
        } = selected(&mut wire, &folder).await?;
        let rights = if has("ACL") {
            my_rights(&mut wire, &folder).await?
        } else {
            None
        };
        let lacks = |right: &[char]| {
            rights
                .as_ref()
                .is_some_and(|rights| !rights.contains(right))
        };
        let keeps = |flag: &str| permanent.as_ref().is_none_or(|flags| flags.contains(flag));
        if is_read_only || lacks(&['s']) || !keeps("\\SEEN") {
            let why = "it can be read and not marked, so each mail would be fetched again and again; give this user the right to mark \
                       mails as read (s in RFC 4314), or name a folder of its own";
            return Err(ImapFault::refused(SELECT, why));
        }
        let leaves = after != After::Seen;
        if leaves && (lacks(&['t', 'd']) || lacks(&['e', 'd']) || !keeps("\\DELETED")) {
            limits
                .push("mails cannot be deleted or moved away from it (t and e in RFC 4314)".into());
            after = After::Seen;
        }
        if let After::Move(to) = &after
            && has("ACL")
            && my_rights(&mut wire, to)
                .await?
                .is_some_and(|rights| !rights.contains('i'))
        {
            limits.push(format!("nothing can be put into {to:?} (i in RFC 4314)"));
            after = After::Seen;
        }
        if let After::Move(to) = &after
            && has("QUOTA")
            && is_full(&mut wire, to).await?
        {
            limits.push(format!(
                "the quota of {to:?} is used up: mails can be marked as read and not moved there"
            ));
            after = After::Seen;
        }
        Ok(ImapSession::new(wire, can, folder, after, validity, limits))
    }
}

const SELECT: &str = "opening the folder";

/// A folder as it is opened.
pub(super) struct Selected {
    /// UIDVALIDITY.
    pub(super) validity: u32,
    is_read_only: bool,
    /// PERMANENTFLAGS, where the server says them.
    permanent: Option<String>,
}

/// Opens a folder by the name that the server has for it; once more, to see what came meanwhile.
pub(super) async fn selected(wire: &mut Wire, folder: &str) -> Result<Selected, ImapFault> {
    let opened = wire
        .command(
            PATIENCE,
            SELECT,
            &format!("SELECT {}", quoted(folder).unwrap_or_default()),
        )
        .await?;
    let is_read_only = opened.words.to_ascii_uppercase().starts_with("[READ-ONLY]");
    let mut selected = Selected {
        validity: 0,
        is_read_only,
        permanent: None,
    };
    for response in &opened.responses {
        let Some(rest) = response.after("OK").map(|rest| rest.to_ascii_uppercase()) else {
            continue;
        };
        selected.validity = code(&rest, "UIDVALIDITY")
            .and_then(|number| number.trim().parse().ok())
            .unwrap_or(selected.validity);
        selected.permanent = code(&rest, "PERMANENTFLAGS")
            .map(str::to_owned)
            .or(selected.permanent);
    }
    Ok(selected)
}

/// An address of the server that answers.
enum ImapAddress {
    /// It began its greeting, which is still to be read.
    Spoke(TcpStream),
    /// It speaks TLS, with a certificate that we trust.
    Encrypted(Box<TlsStream<TcpStream>>),
}

/// The first step of a server: it speaks, or shakes hands where TLS is there from the first byte.
async fn answers(security: ImapSecurity, tcp: TcpStream) -> Result<ImapAddress, ImapFault> {
    // A command is one small packet, which waits for no other.
    tcp.set_nodelay(true)
        .map_err(|error| ImapFault::broken("reaching it", error.kind().to_string()))?;
    match security {
        ImapSecurity::Implicit(tls, name) => {
            let connected = tls.connect(name, tcp).await;
            connected
                .map(|tls| ImapAddress::Encrypted(Box::new(tls)))
                .map_err(|error| ImapFault::broken("its TLS handshake", error.to_string()))
        }
        _ => spoken_to(tcp)
            .await
            .map(ImapAddress::Spoke)
            .map_err(|error| ImapFault::broken("its greeting", error.to_string())),
    }
}

async fn capabilities(wire: &mut Wire) -> Result<Vec<String>, ImapFault> {
    let answer = wire.command(PATIENCE, "CAPABILITY", "CAPABILITY").await?;
    let words = answer
        .responses
        .iter()
        .filter_map(|response| response.after("CAPABILITY"));
    Ok(words
        .flat_map(|words| {
            words
                .split_whitespace()
                .map(str::to_ascii_uppercase)
                .collect::<Vec<_>>()
        })
        .collect())
}
