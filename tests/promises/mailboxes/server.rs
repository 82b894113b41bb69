//! An IMAP server with few abilities, and bad manners on request.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;

use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::net::TcpStream;

/// A mail and its flags, by its number.
type Mails = Arc<Mutex<BTreeMap<u32, (String, String)>>>;

/// Peculiarities of a server, and what it saw.
#[derive(Debug, Clone, Default)]
pub struct Manners {
    /// Capabilities beside IMAP4rev1.
    pub(super) can: &'static str,
    /// Answers NO to the fetching of this mail.
    pub(super) hides: Option<u32>,
    /// Hangs up when this mail is fetched.
    pub(super) dies_of: Option<u32>,
    /// Hands a note of its own out in this mail's place, as Courier does.
    pub(super) invents: Option<u32>,
    /// Answers NO to STORE for this mail.
    pub(super) keeps_unread: Option<u32>,
    /// Answers OK to STORE for this mail, and marks nothing.
    pub(super) forgets: Option<u32>,
    /// Answers NO to COPY and MOVE.
    pub(super) is_full: bool,
    /// Opens the folder for reading only.
    pub(super) is_read_only: bool,
    /// Knows folders under this prefix alone (RFC 2342).
    pub(super) prefix: &'static str,
    /// Takes IDLE, and never says a word again, not even to DONE.
    pub(super) falls_silent: bool,
    /// Does not take LOGIN.
    pub(super) wants_cram: bool,
    /// Shows the folder as it was when it was opened, for as long as it is open.
    pub(super) is_frozen: bool,
}

/// A server with one folder.
pub struct Server {
    address: SocketAddr,
    pub(super) mails: Mails,
    /// Every line that was said to it.
    pub(super) heard: Arc<Mutex<Vec<String>>>,
    /// Lines that came in more than one packet.
    pub(super) split: Arc<AtomicUsize>,
}

impl Server {
    pub async fn start() -> Self {
        Self::with(Manners::default()).await
    }

    pub(super) async fn with(manners: Manners) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let (mails, heard, split) = (
            Mails::default(),
            Arc::<Mutex<Vec<String>>>::default(),
            Arc::<AtomicUsize>::default(),
        );
        let address = listener.local_addr().expect("an address");
        let server = Self {
            address,
            mails: mails.clone(),
            heard: heard.clone(),
            split: split.clone(),
        };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(talk(
                    stream,
                    mails.clone(),
                    heard.clone(),
                    split.clone(),
                    manners.clone(),
                ));
            }
        });
        server
    }

    pub fn url(&self) -> String {
        format!("imap://user:pa%20ss@{}/INBOX?tls=none", self.address)
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    pub fn put(&self, uid: u32, mail: &str) {
        self.mails
            .lock()
            .expect("unharmed")
            .insert(uid, (mail.replace('\n', "\r\n"), String::new()));
    }

    pub fn flags(&self, uid: u32) -> String {
        self.mails
            .lock()
            .expect("unharmed")
            .get(&uid)
            .map(|(_, flags)| flags.clone())
            .expect("it is there")
    }

    pub(super) fn has(&self, uid: u32) -> bool {
        self.mails.lock().expect("unharmed").contains_key(&uid)
    }

    pub(super) fn heard(&self, what: &str) -> usize {
        self.heard
            .lock()
            .expect("unharmed")
            .iter()
            .filter(|line| line.contains(what))
            .count()
    }
}

/// Reads one packet.
pub(super) async fn packet(stream: &mut TcpStream) -> Option<String> {
    let mut buffer = [0; 64 << 10];
    let read = stream
        .read(&mut buffer)
        .await
        .ok()
        .filter(|read| *read > 0)?;
    Some(String::from_utf8_lossy(&buffer[..read]).into_owned())
}

async fn talk(
    mut stream: TcpStream,
    mails: Mails,
    heard: Arc<Mutex<Vec<String>>>,
    split: Arc<AtomicUsize>,
    manners: Manners,
) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    stream.write_all(b"* OK here\r\n").await.ok()?;
    let mut opened = Vec::new();
    loop {
        let mut line = packet(&mut stream).await?;
        while !line.ends_with("\r\n") {
            split.fetch_add(1, SeqCst);
            line.push_str(&packet(&mut stream).await?);
        }
        heard
            .lock()
            .expect("unharmed")
            .push(line.trim_end().to_owned());
        let (tag, command) = line.trim_end().split_once(' ')?;
        if manners
            .dies_of
            .is_some_and(|uid| command.starts_with(&format!("UID FETCH {uid} ")))
        {
            return None;
        }
        if command == "AUTHENTICATE CRAM-MD5" {
            stream
                .write_all(b"+ PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5uZXQ+\r\n")
                .await
                .ok()?;
            let said = packet(&mut stream).await?;
            heard.lock().expect("unharmed").push(said);
        }
        if command == "IDLE" {
            stream.write_all(b"+ idling\r\n").await.ok()?;
            let end = packet(&mut stream).await?;
            heard
                .lock()
                .expect("unharmed")
                .push(end.trim_end().to_owned());
            if manners.falls_silent {
                std::future::pending::<()>().await;
            }
        }
        let (mut answer, end) = answer(command, &mails, &manners);
        if command.starts_with("SELECT") {
            opened = mails
                .lock()
                .expect("unharmed")
                .keys()
                .map(u32::to_string)
                .collect();
        }
        if manners.is_frozen && command == "UID SEARCH UNSEEN UNDELETED" {
            let words = answer.trim_end().split(' ').filter(|word| {
                word.parse::<u32>().is_err() || opened.contains(&(*word).to_owned())
            });
            answer = words.collect::<Vec<_>>().join(" ") + "\r\n";
        }
        stream
            .write_all(format!("{answer}{tag} {end}\r\n").as_bytes())
            .await
            .ok()?;
    }
}

/// The answer to a command, and how it ends.
pub(super) fn answer(command: &str, mails: &Mails, manners: &Manners) -> (String, &'static str) {
    let mut mails = mails.lock().expect("unharmed");
    let uid = command
        .split(' ')
        .nth(2)
        .and_then(|uid| uid.parse::<u32>().ok());
    let folder = command
        .rsplit(' ')
        .next()
        .unwrap_or_default()
        .trim_matches('"');
    let is_here = folder.eq_ignore_ascii_case("INBOX") || folder.starts_with(manners.prefix);
    let text = match command {
        "CAPABILITY" => format!("* CAPABILITY IMAP4rev1 {}\r\n", manners.can),
        "NAMESPACE" => format!("* NAMESPACE ((\"{}\" \".\")) NIL NIL\r\n", manners.prefix),
        "UID SEARCH UNSEEN UNDELETED" => {
            let unread = mails
                .iter()
                .filter(|(_, (_, flags))| flags.is_empty())
                .map(|(uid, _)| format!(" {uid}"));
            format!("* SEARCH{}\r\n", unread.collect::<String>())
        }
        "UID SEARCH DELETED" => {
            let marked = mails
                .iter()
                .filter(|(_, (_, flags))| flags.contains("\\Deleted"))
                .map(|(uid, _)| format!(" {uid}"));
            format!("* SEARCH{}\r\n", marked.collect::<String>())
        }
        "EXPUNGE" => {
            mails.retain(|_, (_, flags)| !flags.contains("\\Deleted"));
            String::new()
        }
        _ if command.starts_with("LOGIN") && (command.contains("wrong") || manners.wants_cram) => {
            return (String::new(), "NO no such user");
        }
        _ if command.starts_with("STATUS")
            || (command.starts_with("CREATE") || command.starts_with("SELECT")) && !is_here =>
        {
            return (String::new(), "NO not here");
        }
        _ if command.starts_with("UID COPY") || command.starts_with("UID MOVE") => {
            let is_refused = manners.is_full || !is_here;
            return (
                String::new(),
                if is_refused {
                    "NO [OVERQUOTA] no room"
                } else {
                    "OK done"
                },
            );
        }
        _ if command.starts_with("UID FETCH") && command.contains("BODY.PEEK[]") => {
            let uid = uid.expect("a number");
            if manners.hides == Some(uid) {
                return (String::new(), "NO cannot open it");
            }
            let (mut mail, mut part) = (
                mails
                    .get(&uid)
                    .map(|(mail, _)| mail.clone())
                    .unwrap_or_default(),
                String::new(),
            );
            if manners.invents == Some(uid) {
                mail = "From: System Administrator <root@localhost>\r\nSubject: message unavailable\r\n\r\n\
                        This message is no longer available on the server.\r\n"
                    .into();
            }
            if let Some((_, bytes)) = command.split_once("<0.") {
                mail.truncate(
                    bytes
                        .trim_end_matches([')', '>'])
                        .parse()
                        .expect("a number"),
                );
                part = "<0>".into();
            }
            format!(
                "* {uid} FETCH (UID {uid} BODY[]{part} {{{}}}\r\n{mail})\r\n",
                mail.len()
            )
        }
        _ if command.starts_with("UID STORE") => {
            let uids = command
                .split(' ')
                .nth(2)
                .expect("numbers")
                .split(',')
                .map(|uid| uid.parse::<u32>().expect("a number"));
            let (how, flags) = command.split_once("FLAGS.SILENT ").expect("flags");
            for uid in uids {
                if manners.keeps_unread == Some(uid) {
                    return (String::new(), "NO [NOPERM] not yours");
                }
                if manners.forgets != Some(uid) {
                    let (_, kept) = mails.get_mut(&uid).expect("it is there");
                    *kept = if how.ends_with('-') {
                        "(\\Seen)".into()
                    } else {
                        flags.to_owned()
                    };
                }
            }
            String::new()
        }
        _ if command.starts_with("SELECT") => {
            let exists = format!("* {} EXISTS\r\n* OK [UIDVALIDITY 1] good\r\n", mails.len());
            return (
                exists,
                if manners.is_read_only {
                    "OK [READ-ONLY] done"
                } else {
                    "OK [READ-WRITE] done"
                },
            );
        }
        _ => String::new(),
    };
    (text, "OK done")
}
