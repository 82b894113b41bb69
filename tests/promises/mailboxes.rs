//! A mailbox at another server: its mails are fetched, acted on, and marked only then. The server of these tests can little and has bad
//! manners on request; tests/dovecot/run has one that can all of it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use verdicts::domain::subscriber::SubscriberState;

use crate::inbound::READER;
use crate::inbound::house_with_a_reader_and;
use crate::inbound::report;
use crate::inbound::return_path;
use crate::support::House;
use crate::support::Place;
use crate::support::Program;
use crate::support::on_both;
use crate::support::until;

/// A mail and its flags, by its number.
type Mails = Arc<Mutex<BTreeMap<u32, (String, String)>>>;

/// Peculiarities of a server, and what it saw.
#[derive(Debug, Clone, Default)]
pub struct Manners {
    /// Capabilities beside IMAP4rev1.
    can: &'static str,
    /// Answers NO to the fetching of this mail.
    hides: Option<u32>,
    /// Hangs up when this mail is fetched.
    dies_of: Option<u32>,
    /// Hands a note of its own out in this mail's place, as Courier does.
    invents: Option<u32>,
    /// Answers NO to STORE for this mail.
    keeps_unread: Option<u32>,
    /// Answers OK to STORE for this mail, and marks nothing.
    forgets: Option<u32>,
    /// Answers NO to COPY and MOVE.
    is_full: bool,
    /// Opens the folder for reading only.
    is_read_only: bool,
    /// Knows folders under this prefix alone (RFC 2342).
    prefix: &'static str,
    /// Takes IDLE, and never says a word again, not even to DONE.
    falls_silent: bool,
    /// Does not take LOGIN.
    wants_cram: bool,
    /// Shows the folder as it was when it was opened, for as long as it is open.
    is_frozen: bool,
}

/// A server with one folder.
pub struct Server {
    address: SocketAddr,
    mails: Mails,
    /// Every line that was said to it.
    heard: Arc<Mutex<Vec<String>>>,
    /// Lines that came in more than one packet.
    split: Arc<AtomicUsize>,
}

impl Server {
    pub async fn start() -> Self {
        Self::with(Manners::default()).await
    }

    async fn with(manners: Manners) -> Self {
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

    fn has(&self, uid: u32) -> bool {
        self.mails.lock().expect("unharmed").contains_key(&uid)
    }

    fn heard(&self, what: &str) -> usize {
        self.heard
            .lock()
            .expect("unharmed")
            .iter()
            .filter(|line| line.contains(what))
            .count()
    }
}

/// Reads one packet.
async fn packet(stream: &mut TcpStream) -> Option<String> {
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
fn answer(command: &str, mails: &Mails, manners: &Manners) -> (String, &'static str) {
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

async fn house_that_watches(place: Place, server: &Server, after: &str) -> House {
    let (url, after) = (server.url(), after.to_owned());
    house_with_a_reader_and(place, |settings| {
        settings.inbound.imap = Some(url);
        settings.inbound.imap_every = Duration::from_millis(50);
        settings.inbound.imap_after = after;
    })
    .await
}

pub fn watch(house: &House) {
    let account = house.app.returns().expect("a mailbox").clone();
    tokio::spawn(verdicts::inbox::watch(
        house.app.clone(),
        account,
        house.stop.clone(),
    ));
}

/// The report that a reader's newest digest came back, hard.
fn gone(house: &House, reader: &str) -> String {
    report(
        &return_path(house, reader),
        reader,
        "550 5.1.1 no such user",
    )
}

/// Finding of `doctor` about the mailbox.
async fn inbox(house: &House) -> String {
    let findings = house.app.examine().await;
    let found = findings
        .iter()
        .find(|finding| finding.what == "inbox")
        .expect("a finding");
    format!("{:?} {}", found.level, found.words)
}

/// The UID, tries and reason of each mail that is set aside.
async fn aside(house: &House) -> Vec<(u32, u64, String)> {
    let account = house.app.returns().expect("a mailbox").clone();
    let aside = house
        .app
        .mails_set_aside(&account, 1)
        .await
        .expect("an answer");
    aside
        .into_iter()
        .map(|mail| (mail.key.1, mail.tries, mail.reason))
        .collect()
}

const OTHER: &str = "reader1@example.org";

on_both! {
    async fn a_report_in_a_mailbox_bounces_its_reader_and_is_marked(place) {
        let server = Server::start().await;
        let house = house_that_watches(place, &server, "seen").await;
        let mail = gone(&house, READER);
        server.put(3, &mail);
        watch(&house);
        until("it is marked", async || server.flags(3) == "(\\Seen)").await;
        assert_eq!(house.state_of(READER).await, Some(SubscriberState::Bounced), "acted on before it is marked");
        let record = house.record_of(READER).await;
        // Comes again under another number, as after a mailbox was made anew.
        server.put(5, &mail);
        until("what comes later is found by looking again", async || server.flags(5) == "(\\Seen)").await;
        assert_eq!(house.record_of(READER).await, record, "it acts once");
        assert!(server.heard("SELECT") > 1 && server.heard("LOGIN \"user\" \"pa ss\"") == 1);
        assert_eq!(server.split.load(SeqCst), 0, "each command comes in one packet");
    }

    async fn of_a_large_mail_the_beginning_is_read(place) {
        let server = Server::start().await;
        let url = server.url();
        let house = house_with_a_reader_and(place, |settings| {
            settings.inbound.imap = Some(url);
            settings.inbound.imap_every = Duration::from_millis(50);
            settings.inbound.size_max_mb = 1;
        })
        .await;
        let large = format!("{}{}", gone(&house, READER), "An attachment that nobody reads.\n".repeat(40_000));
        server.put(3, &large);
        watch(&house);
        until("it is marked", async || server.flags(3) == "(\\Seen)").await;
        assert_eq!(house.state_of(READER).await, Some(SubscriberState::Bounced));
        assert_eq!(server.heard("UID FETCH 3 (UID BODY.PEEK[]<0.1048576>)"), 1);
    }

    async fn a_mail_that_cannot_be_handed_out_or_marked_is_set_aside_and_the_others_go_on(place) {
        for manners in [
            Manners { hides: Some(3), ..Manners::default() },
            Manners { invents: Some(3), ..Manners::default() },
            Manners { keeps_unread: Some(3), ..Manners::default() },
            Manners { forgets: Some(3), ..Manners::default() },
        ] {
            let (place, name) = (place.another(), format!("{manners:?}"));
            let is_acted_on = manners.keeps_unread.is_some() || manners.forgets.is_some();
            let server = Server::with(manners).await;
            let house = house_that_watches(place, &server, "seen").await;
            server.put(3, &gone(&house, READER));
            server.put(4, &gone(&house, OTHER));
            watch(&house);
            until("the other is marked", async || server.flags(4) == "(\\Seen)").await;
            assert_eq!(house.state_of(OTHER).await, Some(SubscriberState::Bounced), "{name}");
            until("the bad one is set aside", async || aside(&house).await.len() == 1).await;
            assert_eq!(house.state_of(READER).await == Some(SubscriberState::Bounced), is_acted_on, "{name}");
            assert_eq!(server.flags(3), "", "{name}");
            let words = inbox(&house).await;
            assert!(words.starts_with("Advice") && words.contains("UID 3, 1 tries"), "{name}: {words}");
            let fetched = server.heard("UID FETCH 3 (UID BODY");
            let looked = server.heard("UID SEARCH");
            until("it looks on", async || server.heard("UID SEARCH") > looked + 2).await;
            assert_eq!(server.heard("UID FETCH 3 (UID BODY"), fetched, "{name}: not at each look");
            house.wait(chrono::TimeDelta::minutes(2));
            until("it is tried again later", async || aside(&house).await.first().is_some_and(|(uid, tries, _)| (*uid, *tries) == (3, 2))).await;
            house.stop.cancel();
        }
    }

    async fn a_mail_at_which_the_line_breaks_twice_is_set_aside(place) {
        let server = Server::with(Manners { dies_of: Some(3), ..Manners::default() }).await;
        let house = house_that_watches(place, &server, "seen").await;
        server.put(3, &gone(&house, READER));
        server.put(4, &gone(&house, OTHER));
        watch(&house);
        // Two visits and the waits between them.
        for _ in 0..300 {
            if server.flags(4) == "(\\Seen)" {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert_eq!((server.flags(3).as_str(), server.flags(4).as_str()), ("", "(\\Seen)"));
        assert_eq!(aside(&house).await, [(3, 1, "FETCH failed: the connection was lost".to_owned())]);
    }

    async fn a_folder_is_named_as_the_servers_namespace_has_it(place) {
        let server = Server::with(Manners { can: "NAMESPACE", prefix: "INBOX.", ..Manners::default() }).await;
        let house = house_that_watches(place, &server, "move:Done").await;
        server.put(3, &gone(&house, READER));
        watch(&house);
        until("it is taken out", async || !server.has(3)).await;
        assert_eq!((server.heard("CREATE \"INBOX.Done\""), server.heard("UID COPY 3 \"INBOX.Done\"")), (1, 1));
    }

    async fn what_cannot_be_moved_is_marked_as_read_and_named(place) {
        let server = Server::with(Manners { can: "MOVE", is_full: true, ..Manners::default() }).await;
        let house = house_that_watches(place, &server, "move:Done").await;
        server.put(3, &gone(&house, READER));
        server.put(4, &gone(&house, OTHER));
        watch(&house);
        until("both are set aside", async || aside(&house).await.len() == 2).await;
        assert!(inbox(&house).await.contains("[OVERQUOTA]"));
        assert_eq!((server.flags(3).as_str(), server.flags(4).as_str()), ("(\\Seen)", "(\\Seen)"), "none is fetched again");
    }

    async fn what_goes_without_uidplus_takes_nothing_of_others_along(place) {
        let server = Server::start().await;
        let house = house_that_watches(place, &server, "move:Done").await;
        server.put(2, "From: a@b.example\nSubject: of somebody else\n\nhello\n");
        server.mails.lock().expect("unharmed").get_mut(&2).expect("it is there").1 = "(\\Deleted)".into();
        server.put(3, "From: a@b.example\nSubject: hello\n\nhello\n");
        watch(&house);
        until("it has gone", async || !server.has(3)).await;
        until("the other is marked again", async || server.flags(2) == "(\\Deleted)").await;
        assert_eq!((server.heard("UID COPY 3 \"Done\""), server.heard("CREATE \"Done\"")), (1, 1));
        let said = server.heard.lock().expect("unharmed").join("\n");
        assert!(said.find("UID STORE 3 +FLAGS.SILENT (\\Seen)") < said.find("UID COPY 3"), "the copy is read: {said}");
    }

    async fn a_server_that_is_silent_in_idle_is_looked_at_by_the_clock(place) {
        let server = Server::with(Manners { can: "IDLE", ..Manners::default() }).await;
        let house = house_that_watches(place, &server, "seen").await;
        watch(&house);
        until("it idles", async || server.heard("IDLE") > 0).await;
        server.put(3, &gone(&house, READER));
        until("what it does not tell is found", async || server.flags(3) == "(\\Seen)").await;
        assert_eq!(server.heard("LOGIN"), 1, "on the same connection");
        assert!(server.heard("DONE") > 0);
    }

    async fn a_folder_that_stays_as_it_was_opened_is_opened_anew(place) {
        let mut place = Some(place);
        for can in ["", "IDLE"] {
            let server = Server::with(Manners { can, is_frozen: true, ..Manners::default() }).await;
            let house = house_that_watches(place.take().expect("one"), &server, "seen").await;
            place = Some(house.place.another());
            watch(&house);
            until("it is looked at", async || server.heard("SEARCH") > 0).await;
            server.put(3, &gone(&house, READER));
            until("what is not told is found", async || server.flags(3) == "(\\Seen)").await;
            assert_eq!(server.heard("LOGIN"), 1, "on the same connection");
        }
    }

    async fn a_folder_that_can_only_be_read_is_a_fault(place) {
        let server = Server::with(Manners { is_read_only: true, ..Manners::default() }).await;
        let house = house_that_watches(place, &server, "seen").await;
        server.put(3, &gone(&house, READER));
        watch(&house);
        until("it is opened", async || server.heard("SELECT") > 0).await;
        let words = inbox(&house).await;
        assert!(words.starts_with("Fault") && words.contains("can be read and not marked"), "{words}");
        assert_eq!(server.heard("BODY.PEEK"), 0, "nothing is fetched that would be fetched again");
    }

    async fn a_login_by_challenge_is_made_where_the_server_takes_no_password(place) {
        let server = Server::with(Manners { can: "AUTH=CRAM-MD5", wants_cram: true, ..Manners::default() }).await;
        let house = house_that_watches(place, &server, "seen").await;
        server.put(3, &gone(&house, READER));
        watch(&house);
        until("it is marked", async || server.flags(3) == "(\\Seen)").await;
        assert_eq!((server.heard("AUTHENTICATE CRAM-MD5"), server.heard("LOGIN"), server.heard("pa ss")), (1, 0, 0));
        let server = Server::with(Manners { can: "AUTH=GSSAPI AUTH=XOAUTH2", ..Manners::default() }).await;
        let house = house_that_watches(house.place.another(), &server, "seen").await;
        let words = inbox(&house).await;
        assert!(words.contains("offers GSSAPI, XOAUTH2") && server.heard("LOGIN") == 0, "{words}");
    }

    async fn what_could_not_be_kept_stays_unread(place) {
        let server = Server::start().await;
        let house = house_that_watches(place, &server, "seen").await;
        server.put(3, &gone(&house, READER));
        house.app.storage.close().await;
        watch(&house);
        until("it tries", async || server.heard("SELECT") == 1).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(server.flags(3), "");
        assert_eq!(server.heard("LOGIN"), 1, "it waits before it tries again");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_that_was_cut_in_idle_is_opened_anew_within_a_bound() {
    let server = Server::with(Manners {
        can: "IDLE",
        falls_silent: true,
        ..Manners::default()
    })
    .await;
    let house = house_that_watches(Place::sqlite(), &server, "seen").await;
    watch(&house);
    until("it idles", async || server.heard("DONE") > 0).await;
    server.put(3, &gone(&house, READER));
    // DONE is waited for within 10 seconds, and the next visit begins 5 later.
    for _ in 0..300 {
        if server.flags(3) == "(\\Seen)" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(
        (server.flags(3).as_str(), server.heard("LOGIN")),
        ("(\\Seen)", 2)
    );
}

#[test]
fn a_mailboxs_password_goes_over_tls_and_is_shown_to_nobody() {
    let place = Place::sqlite();
    let program = |url: &str, after: &str| {
        Program::set_up(&place)
            .with("VERDICTS_INBOUND__IMAP", url)
            .with("VERDICTS_INBOUND__IMAP_AFTER", after)
    };
    for url in [
        "imaps://user:hunter2@imap.example.org/INBOX",
        "imap://user:hunter2@imap.example.org",
        "imap://user:hunter2@127.0.0.1?tls=none",
    ] {
        let shown = program(url, "seen").run(&["config"]).good().out;
        assert!(
            shown.contains("inbound.imap ") && !shown.contains("hunter2"),
            "{shown}"
        );
    }
    for (url, after) in [
        ("imap://user:hunter2@imap.example.org?tls=none", "seen"),
        ("imaps://imap.example.org/INBOX", "seen"),
        (
            "imaps://user:hunter2@imap.example.org/INBOX?tls=none",
            "seen",
        ),
        ("https://user:hunter2@imap.example.org", "seen"),
        ("imaps://user:hunter2@imap.example.org/M%C3%BCll", "seen"),
        ("imaps://user:hunter2@imap.example.org", "burn"),
        ("imaps://user:hunter2@imap.example.org", "move:INBOX"),
        ("imaps://user:hunter2@imap.example.org", "move:a\r\nb"),
    ] {
        let said = program(url, after)
            .run(&["config"])
            .refused(&["inbound.imap"]);
        assert!(!said.contains("hunter2"), "{said}");
    }
}
