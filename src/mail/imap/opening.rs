//! Logging in, finding the folder in the server's namespace (RFC 2342), and looking at what the server will not let us do there.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::Account;
use super::After;
use super::Fault;
use super::PATIENCE;
use super::Security;
use super::login;
use super::session::Session;
use super::wire::BYTES;
use super::wire::Line;
use super::wire::Tagged;
use super::wire::Wire;
use super::wire::quoted;
use super::wire::within;
use crate::dial::Limits;
use crate::dial::spoken_to;
use crate::mail::sasl::Exchange;
use crate::mail::sasl::Mechanism;

/// For each address of the server.
const LIMITS: Limits = Limits {
    connect: PATIENCE,
    first_step: PATIENCE,
};

/// The part of the server's tree that is ours.
#[derive(Debug, Default, PartialEq, Eq)]
struct Namespace {
    prefix: String,
    delimiter: Option<char>,
}

impl Account {
    /// Tries every address of the server by itself, all at once, each for at most `limit`; for each, why it does not answer.
    ///
    /// # Errors
    /// When the server's name has no address, or nobody knows one.
    pub async fn survey(
        &self,
        limit: Duration,
    ) -> Result<Vec<(SocketAddr, Option<String>)>, String> {
        let limits = Limits {
            connect: limit,
            first_step: limit,
        };
        self.destination
            .survey(limits, |tcp| answers(self.security.clone(), tcp))
            .await
    }

    /// Logs in and opens the folder.
    pub async fn open(&self) -> Result<Session, Fault> {
        let reached = self
            .destination
            .reach(LIMITS, |tcp| answers(self.security.clone(), tcp))
            .await;
        let (first, address) =
            reached.map_err(|unreached| Fault::broken("reaching it", unreached.to_string()))?;
        let opened = self.open_over(first).await;
        // A refusal is an answer, and that of an address that works.
        if opened.as_ref().is_err_and(|fault| !fault.is_refusal()) {
            self.destination.distrust(address);
        }
        opened
    }

    async fn open_over(&self, first: First) -> Result<Session, Fault> {
        let line: Box<dyn Line> = match (first, &self.security) {
            (First::Encrypted(tls), _) => tls,
            (First::Spoke(tcp), Security::StartTls(tls, name)) => {
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
            (First::Spoke(tcp), _) => Box::new(tcp),
        };
        let mut wire = Wire::new(line);
        let is_known =
            !matches!(self.security, Security::StartTls(..)) && wire.greeting(PATIENCE).await?;
        if !is_known {
            let offers = capabilities(&mut wire).await?;
            self.log_in(&mut wire, &offers).await?;
        }
        let can = capabilities(&mut wire).await?;
        self.select(wire, can).await
    }

    async fn log_in(&self, wire: &mut Wire, offers: &[String]) -> Result<(), Fault> {
        let step = "the login";
        let mechanism = login::pick(offers, &self.login).map_err(|why| Fault::broken(step, why))?;
        if mechanism == Mechanism::Login {
            let word = |text: &str| {
                quoted(text).ok_or_else(|| {
                    Fault::broken(
                        step,
                        "user or password has a character that LOGIN cannot carry",
                    )
                })
            };
            let command = format!(
                "LOGIN {} {}",
                word(&self.login.user)?,
                word(&self.login.password)?
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
            Tagged::Refused(why) => Err(Fault::refused(step, why)),
        }
    }

    /// Opens the folder, and sees what the server allows there.
    async fn select(&self, mut wire: Wire, can: Vec<String>) -> Result<Session, Fault> {
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
            return Err(Fault::refused(SELECT, why));
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
        Ok(Session::new(wire, can, folder, after, validity, limits))
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
pub(super) async fn selected(wire: &mut Wire, folder: &str) -> Result<Selected, Fault> {
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
enum First {
    /// It began its greeting, which is still to be read.
    Spoke(TcpStream),
    /// It speaks TLS, with a certificate that we trust.
    Encrypted(Box<TlsStream<TcpStream>>),
}

/// The first step of a server: it speaks, or shakes hands where TLS is there from the first byte.
async fn answers(security: Security, tcp: TcpStream) -> Result<First, Fault> {
    // A command is one small packet, which waits for no other.
    tcp.set_nodelay(true)
        .map_err(|error| Fault::broken("reaching it", error.kind().to_string()))?;
    match security {
        Security::Implicit(tls, name) => {
            let connected = tls.connect(name, tcp).await;
            connected
                .map(|tls| First::Encrypted(Box::new(tls)))
                .map_err(|error| Fault::broken("its TLS handshake", error.to_string()))
        }
        _ => spoken_to(tcp)
            .await
            .map(First::Spoke)
            .map_err(|error| Fault::broken("its greeting", error.to_string())),
    }
}

async fn capabilities(wire: &mut Wire) -> Result<Vec<String>, Fault> {
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

/// `* NAMESPACE (("INBOX." ".")) NIL NIL`: the first of the personal ones.
async fn namespace(wire: &mut Wire) -> Result<Namespace, Fault> {
    let answer = match wire.command(PATIENCE, "NAMESPACE", "NAMESPACE").await {
        Ok(answer) => answer,
        Err(fault) if fault.is_refusal() => return Ok(Namespace::default()),
        Err(fault) => return Err(fault),
    };
    let told = answer
        .responses
        .iter()
        .find_map(|response| response.after("NAMESPACE"));
    Ok(told.map(|text| first_namespace(&text)).unwrap_or_default())
}

fn first_namespace(text: &str) -> Namespace {
    let Some(rest) = text.trim_start().strip_prefix("((") else {
        return Namespace::default();
    };
    let (prefix, rest) = string(rest).unwrap_or_default();
    let delimiter = string(rest).and_then(|(delimiter, _)| delimiter.chars().next());
    Namespace { prefix, delimiter }
}

/// A string at the start of a text, quoted or as an atom, and what follows; `None` for NIL.
pub(super) fn string(text: &str) -> Option<(String, &str)> {
    let text = text.trim_start();
    let Some(rest) = text.strip_prefix('"') else {
        let end = text.find([' ', '(', ')']).unwrap_or(text.len());
        return (!text[..end].eq_ignore_ascii_case("NIL") && end > 0)
            .then(|| (text[..end].to_owned(), &text[end..]));
    };
    let (mut found, mut is_escaped) = (String::new(), false);
    for (at, letter) in rest.char_indices() {
        match letter {
            _ if is_escaped => {
                found.push(letter);
                is_escaped = false;
            }
            '\\' => is_escaped = true,
            '"' => return Some((found, &rest[at + 1..])),
            _ => found.push(letter),
        }
    }
    None
}

impl Namespace {
    /// The names that a folder of the settings may have at the server, the likeliest first.
    fn candidates(&self, name: &str) -> Vec<String> {
        if name.eq_ignore_ascii_case("INBOX") {
            return vec!["INBOX".into()];
        }
        // A folder in a folder is written with a slash, whatever the server parts names by.
        let local = match self.delimiter {
            Some(delimiter) if delimiter != '/' => name.replace('/', &delimiter.to_string()),
            _ => name.to_owned(),
        };
        let is_within = self.prefix.is_empty()
            || local
                .to_ascii_uppercase()
                .starts_with(&self.prefix.to_ascii_uppercase());
        let mut names = if is_within {
            vec![local.clone()]
        } else {
            vec![format!("{}{local}", self.prefix), local]
        };
        if !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
        names
    }
}

/// The name under which a folder of the settings is there.
async fn find(wire: &mut Wire, name: &str, namespace: &Namespace) -> Result<Option<String>, Fault> {
    if name.eq_ignore_ascii_case("INBOX") {
        return Ok(Some("INBOX".into()));
    }
    for candidate in namespace.candidates(name) {
        // The pattern of LIST has wild cards of its own.
        if candidate.contains(['%', '*']) {
            continue;
        }
        let listed = wire
            .command(
                PATIENCE,
                "LIST",
                &format!("LIST \"\" {}", quoted(&candidate).unwrap_or_default()),
            )
            .await;
        let listed = match listed {
            Ok(answer) => answer.responses,
            Err(fault) if fault.is_refusal() => Vec::new(),
            Err(fault) => return Err(fault),
        };
        let opens = |rest: String| {
            !rest.to_ascii_uppercase().contains("\\NOSELECT")
                && !rest.to_ascii_uppercase().contains("\\NONEXISTENT")
        };
        if listed
            .iter()
            .filter_map(|response| response.after("LIST"))
            .any(opens)
        {
            return Ok(Some(candidate));
        }
    }
    Ok(None)
}

/// The folder that mails are moved to, made if it is not there; `Err` with the reason why it cannot be.
async fn target(
    wire: &mut Wire,
    name: &str,
    namespace: &Namespace,
) -> Result<Result<String, String>, Fault> {
    if let Some(found) = find(wire, name, namespace).await? {
        return Ok(Ok(found));
    }
    let mut reason = String::new();
    for candidate in namespace.candidates(name) {
        match wire
            .command(
                PATIENCE,
                "CREATE",
                &format!("CREATE {}", quoted(&candidate).unwrap_or_default()),
            )
            .await
        {
            Ok(_) => return Ok(Ok(candidate)),
            // One that LIST does not show.
            Err(fault) if fault.is_refusal() && fault.to_string().contains("ALREADYEXISTS") => {
                return Ok(Ok(candidate));
            }
            Err(fault) if fault.is_refusal() => reason = fault.to_string(),
            Err(fault) => return Err(fault),
        }
    }
    Ok(Err(reason))
}

/// `* MYRIGHTS INBOX lrswipkxte` (RFC 4314); `None` where the server does not say.
async fn my_rights(wire: &mut Wire, folder: &str) -> Result<Option<String>, Fault> {
    let answer = match wire
        .command(
            PATIENCE,
            "MYRIGHTS",
            &format!("MYRIGHTS {}", quoted(folder).unwrap_or_default()),
        )
        .await
    {
        Ok(answer) => answer,
        Err(fault) if fault.is_refusal() => return Ok(None),
        Err(fault) => return Err(fault),
    };
    let told = answer
        .responses
        .iter()
        .find_map(|response| response.after("MYRIGHTS"));
    Ok(told.and_then(|text| {
        string(&text)
            .and_then(|(_, rest)| string(rest))
            .map(|(rights, _)| rights)
    }))
}

/// `* QUOTA "" (STORAGE 10 512)` (RFC 9208): whether a limit that applies to a folder is reached.
async fn is_full(wire: &mut Wire, folder: &str) -> Result<bool, Fault> {
    let answer = match wire
        .command(
            PATIENCE,
            "GETQUOTAROOT",
            &format!("GETQUOTAROOT {}", quoted(folder).unwrap_or_default()),
        )
        .await
    {
        Ok(answer) => answer,
        Err(fault) if fault.is_refusal() => return Ok(false),
        Err(fault) => return Err(fault),
    };
    Ok(answer
        .responses
        .iter()
        .filter_map(|response| response.after("QUOTA"))
        .any(|text| is_reached(&text)))
}

fn is_reached(quota: &str) -> bool {
    let inside = quota
        .split_once('(')
        .and_then(|(_, rest)| rest.split_once(')'))
        .map_or("", |(inside, _)| inside);
    let words: Vec<&str> = inside.split_whitespace().collect();
    words.chunks(3).any(|resource| match resource {
        [_, used, limit] => matches!((used.parse::<u64>(), limit.parse::<u64>()), (Ok(used), Ok(limit)) if used >= limit),
        _ => false,
    })
}

/// Returns the text behind a response code: `[UIDVALIDITY 1]`.
fn code<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.trim_start()
        .strip_prefix('[')?
        .strip_prefix(name)?
        .split_once(']')
        .map(|(value, _)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_looked_for_where_the_server_keeps_them() {
        let courier =
            first_namespace("((\"INBOX.\" \".\")) NIL ((\"#shared.\" \".\")(\"shared.\" \".\"))");
        assert_eq!(courier.candidates("Done"), ["INBOX.Done", "Done"]);
        assert_eq!(courier.candidates("INBOX.Done"), ["INBOX.Done"]);
        assert_eq!(
            courier.candidates("Mail/Done"),
            ["INBOX.Mail.Done", "Mail.Done", "Mail/Done"]
        );
        assert_eq!(courier.candidates("inbox"), ["INBOX"]);
        let plain = first_namespace("((\"\" \"/\")) NIL NIL");
        assert_eq!(
            (
                plain.candidates("Mail/Done"),
                first_namespace("NIL NIL NIL")
            ),
            (vec!["Mail/Done".into()], Namespace::default())
        );
    }

    #[test]
    fn quotas_and_codes_are_read() {
        assert!(
            is_reached("\"\" (STORAGE 512 512)")
                && is_reached("\"user\" (MESSAGE 1 10 STORAGE 600 512)")
        );
        assert!(!is_reached("\"\" (STORAGE 10 512)") && !is_reached("\"\" ()") && !is_reached("x"));
        assert_eq!(code("[UIDVALIDITY 12] good", "UIDVALIDITY"), Some(" 12"));
    }
}
