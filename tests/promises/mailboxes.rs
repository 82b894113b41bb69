//! A mailbox at another server: its mails are fetched, acted on, and marked only then. The server of these tests can little: no
//! IDLE, no MOVE, no UIDPLUS; tests/dovecot/run has one that can all of it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use tokio::io::AsyncBufReadExt;
use tokio::io::AsyncWriteExt;
use tokio::io::BufReader;
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

/// A server with one folder.
pub struct Server {
    address: SocketAddr,
    mails: Mails,
    /// Every line that was said to it.
    heard: Arc<Mutex<Vec<String>>>,
}

impl Server {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let (mails, heard) = (Mails::default(), Arc::<Mutex<Vec<String>>>::default());
        let server = Self { address: listener.local_addr().expect("an address"), mails: mails.clone(), heard: heard.clone() };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(talk(stream, mails.clone(), heard.clone()));
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
        self.mails.lock().expect("unharmed").insert(uid, (mail.replace('\n', "\r\n"), String::new()));
    }

    pub fn flags(&self, uid: u32) -> String {
        self.mails.lock().expect("unharmed").get(&uid).map(|(_, flags)| flags.clone()).expect("it is there")
    }

    fn heard(&self, what: &str) -> usize {
        self.heard.lock().expect("unharmed").iter().filter(|line| line.contains(what)).count()
    }
}

async fn talk(stream: TcpStream, mails: Mails, heard: Arc<Mutex<Vec<String>>>) -> Option<()> {
    let mut stream = BufReader::new(stream);
    stream.write_all(b"* OK here\r\n").await.ok()?;
    let mut line = String::new();
    while stream.read_line(&mut line).await.ok()? > 0 {
        heard.lock().expect("unharmed").push(line.trim_end().to_owned());
        let (tag, command) = line.trim_end().split_once(' ')?;
        let answer = answer(command, &mails);
        let answer = format!("{answer}{tag} {}\r\n", if command.contains("wrong") { "NO no such user" } else { "OK done" });
        stream.write_all(answer.as_bytes()).await.ok()?;
        line.clear();
    }
    Some(())
}

fn answer(command: &str, mails: &Mails) -> String {
    let mut mails = mails.lock().expect("unharmed");
    let uid = command.split(' ').nth(2).and_then(|uid| uid.parse::<u32>().ok());
    match command {
        "CAPABILITY" => "* CAPABILITY IMAP4rev1\r\n".into(),
        "UID SEARCH UNSEEN UNDELETED" => {
            let unread = mails.iter().filter(|(_, (_, flags))| flags.is_empty()).map(|(uid, _)| format!(" {uid}"));
            format!("* SEARCH{}\r\n", unread.collect::<String>())
        }
        _ if command.ends_with("(UID RFC822.SIZE)") => {
            let size = |mail: &str| if mail.contains("Subject: large") { 26 << 20 } else { mail.len() };
            let line = |(uid, (mail, _)): (&u32, &(String, String))| format!("* {uid} FETCH (UID {uid} RFC822.SIZE {})\r\n", size(mail));
            mails.iter().map(line).collect()
        }
        _ if command.ends_with("(UID BODY.PEEK[])") => {
            let uid = uid.expect("a number");
            mails
                .get(&uid)
                .map(|(mail, _)| format!("* {uid} FETCH (UID {uid} BODY[] {{{}}}\r\n{mail})\r\n", mail.len()))
                .unwrap_or_default()
        }
        _ if command.starts_with("UID STORE") => {
            let (_, flags) = mails.get_mut(&uid.expect("a number")).expect("it is there");
            *flags = command.split_once("FLAGS.SILENT ").expect("flags").1.to_owned();
            String::new()
        }
        _ if command.starts_with("SELECT") => format!("* {} EXISTS\r\n* OK [UIDVALIDITY 1] good\r\n", mails.len()),
        _ => String::new(),
    }
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
    tokio::spawn(verdicts::inbox::watch(house.app.clone(), account, house.stop.clone()));
}

on_both! {
    async fn a_report_in_a_mailbox_bounces_its_reader_and_is_marked(place) {
        let server = Server::start().await;
        let house = house_that_watches(place, &server, "seen").await;
        let mail = report(&return_path(&house, READER), READER, "550 5.1.1 no such user");
        server.put(3, &mail);
        server.put(4, "Subject: large\n\nSo large that it is left as it is.\n");
        watch(&house);
        until("it is marked", async || server.flags(3) == "(\\Seen)").await;
        assert_eq!(house.state_of(READER).await, Some(SubscriberState::Bounced), "acted on before it is marked");
        let record = house.record_of(READER).await;
        // Comes again under another number, as after a mailbox was made anew.
        server.put(5, &mail);
        until("what comes later is found by looking again", async || server.flags(5) == "(\\Seen)").await;
        assert_eq!(house.record_of(READER).await, record, "it acts once");
        assert_eq!((server.flags(4).as_str(), server.heard("UID FETCH 4 (UID BODY")), ("", 0));
        assert!(server.heard("NOOP") > 0 && server.heard("LOGIN \"user\" \"pa ss\"") == 1);
    }

    async fn what_cannot_be_deleted_alone_is_marked_to_be(place) {
        let server = Server::start().await;
        let house = house_that_watches(place, &server, "move:Done").await;
        server.put(3, "From: a@b.example\nSubject: hello\n\nhello\n");
        watch(&house);
        until("it is marked", async || server.flags(3) == "(\\Seen \\Deleted)").await;
        assert_eq!((server.heard("UID COPY 3 \"Done\""), server.heard("EXPUNGE"), server.heard("CREATE \"Done\"")), (1, 0, 1));
    }

    async fn what_could_not_be_kept_stays_unread(place) {
        let server = Server::start().await;
        let house = house_that_watches(place, &server, "seen").await;
        server.put(3, &report(&return_path(&house, READER), READER, "550 5.1.1 no such user"));
        house.app.storage.close().await;
        watch(&house);
        until("it is fetched", async || server.heard("UID FETCH 3 (UID BODY") == 1).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(server.flags(3), "");
        assert_eq!(server.heard("LOGIN"), 1, "it waits before it tries again");
    }
}

#[test]
fn a_mailboxs_password_goes_over_tls_and_is_shown_to_nobody() {
    let place = Place::sqlite();
    let program =
        |url: &str, after: &str| Program::set_up(&place).with("VERDICTS_INBOUND__IMAP", url).with("VERDICTS_INBOUND__IMAP_AFTER", after);
    for url in
        ["imaps://user:hunter2@imap.example.org/INBOX", "imap://user:hunter2@imap.example.org", "imap://user:hunter2@127.0.0.1?tls=none"]
    {
        let shown = program(url, "seen").run(&["config"]).good().out;
        assert!(shown.contains("inbound.imap ") && !shown.contains("hunter2"), "{shown}");
    }
    for (url, after) in [
        ("imap://user:hunter2@imap.example.org?tls=none", "seen"),
        ("imaps://imap.example.org/INBOX", "seen"),
        ("imaps://user:hunter2@imap.example.org/INBOX?tls=none", "seen"),
        ("https://user:hunter2@imap.example.org", "seen"),
        ("imaps://user:hunter2@imap.example.org/M%C3%BCll", "seen"),
        ("imaps://user:hunter2@imap.example.org", "burn"),
        ("imaps://user:hunter2@imap.example.org", "move:INBOX"),
        ("imaps://user:hunter2@imap.example.org", "move:a\r\nb"),
    ] {
        let said = program(url, after).run(&["config"]).refused(&["inbound.imap"]);
        assert!(!said.contains("hunter2"), "{said}");
    }
}
