//! Mail servers that are broken or mean harm: an IMAP server that says too much, an LMTP client that smuggles or only sits there.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use tokio::io::AsyncBufReadExt;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::io::BufReader;
use tokio::net::TcpListener;
use tokio::net::TcpStream;

use crate::support::Program;
use crate::support::TestDb;
use crate::support::on_both;
use crate::support::until;

const PASSWORD: &str = "pass-word-of-the-mailbox";
/// More than a client may be made to take for what it asked: a folder of one small mail.
const TOO_MUCH: usize = 8 << 20;

/// How a server misbehaves; what it sends without end it sends until the connection breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    EndlessGreeting,
    EndlessLine,
    EndlessResponses,
    HugeLiteral,
    DeepList,
    EchoesThePassword,
    EchoesInNoise,
}

const ALL: [Manner; 7] = [
    Manner::EndlessGreeting,
    Manner::EndlessLine,
    Manner::EndlessResponses,
    Manner::HugeLiteral,
    Manner::DeepList,
    Manner::EchoesThePassword,
    Manner::EchoesInNoise,
];

struct Server {
    address: SocketAddr,
    /// Connections that ended, and the most bytes that one of them took.
    ended: Arc<AtomicUsize>,
    taken: Arc<AtomicUsize>,
}

impl Server {
    async fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let server = Self {
            address: listener.local_addr().expect("an address"),
            ended: Arc::default(),
            taken: Arc::default(),
        };
        let (ended, taken) = (server.ended.clone(), server.taken.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (ended, taken) = (ended.clone(), taken.clone());
                tokio::spawn(async move {
                    let mut sent = 0;
                    let _ = talk(stream, manner, &mut sent).await;
                    taken.fetch_max(sent, SeqCst);
                    ended.fetch_add(1, SeqCst);
                });
            }
        });
        server
    }
}

async fn send(
    stream: &mut BufReader<TcpStream>,
    text: &[u8],
    sent: &mut usize,
) -> std::io::Result<()> {
    stream.write_all(text).await?;
    *sent += text.len();
    Ok(())
}

/// Sends that again and again until the other side has gone, at most 64 MB.
async fn for_ever(
    stream: &mut BufReader<TcpStream>,
    text: &[u8],
    sent: &mut usize,
) -> std::io::Result<()> {
    let many = text.repeat((16 << 10) / text.len() + 1);
    while *sent < 64 << 20 {
        send(stream, &many, sent).await?;
    }
    Ok(())
}

async fn talk(stream: TcpStream, manner: Manner, sent: &mut usize) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    if manner == Manner::EndlessGreeting {
        send(&mut stream, b"* OK ", sent).await?;
        return for_ever(&mut stream, b"welcome ", sent).await;
    }
    send(&mut stream, b"* OK here\r\n", sent).await?;
    let mut line = String::new();
    while stream.read_line(&mut line).await? > 0 {
        let said = std::mem::take(&mut line);
        let (tag, command) = said.trim_end().split_once(' ').unwrap_or_default();
        let verb = command.split(' ').next().unwrap_or_default();
        match (manner, verb) {
            (Manner::EchoesThePassword, "LOGIN") => {
                let refused = format!("{tag} NO [AUTHENTICATIONFAILED] wrong: {command}\r\n");
                send(&mut stream, refused.as_bytes(), sent).await?;
            }
            (Manner::EchoesInNoise, "LOGIN") => {
                let noise = format!("* \u{fc}((\\{{ {command} }}\r\n{tag} ???? {command}\r\n");
                send(&mut stream, noise.as_bytes(), sent).await?;
            }
            (Manner::EndlessLine, "SELECT") => {
                send(&mut stream, b"* FLAGS (", sent).await?;
                return for_ever(&mut stream, b"flag ", sent).await;
            }
            (Manner::EndlessResponses, "SELECT") => {
                return for_ever(&mut stream, b"* 1 EXISTS\r\n", sent).await;
            }
            (Manner::HugeLiteral, "UID") if command.contains("SEARCH") => {
                send(
                    &mut stream,
                    format!("* SEARCH 1\r\n{tag} OK done\r\n").as_bytes(),
                    sent,
                )
                .await?;
            }
            (Manner::HugeLiteral, "UID") if command.contains("RFC822.SIZE") => {
                send(
                    &mut stream,
                    format!("* 1 FETCH (UID 1 RFC822.SIZE 100)\r\n{tag} OK done\r\n").as_bytes(),
                    sent,
                )
                .await?;
            }
            (Manner::HugeLiteral, "UID") => {
                send(
                    &mut stream,
                    b"* 1 FETCH (UID 1 BODY[] {4294967295}\r\n",
                    sent,
                )
                .await?;
                return for_ever(&mut stream, b"Subject: large\r\n", sent).await;
            }
            (Manner::DeepList, "UID") => {
                send(&mut stream, b"* 1 FETCH (BODYSTRUCTURE ", sent).await?;
                return for_ever(&mut stream, b"(", sent).await;
            }
            (_, "CAPABILITY") => {
                send(
                    &mut stream,
                    format!("* CAPABILITY IMAP4rev1\r\n{tag} OK done\r\n").as_bytes(),
                    sent,
                )
                .await?
            }
            (_, "SELECT") => {
                send(
                    &mut stream,
                    format!("* 1 EXISTS\r\n* OK [UIDVALIDITY 1] good\r\n{tag} OK done\r\n")
                        .as_bytes(),
                    sent,
                )
                .await?;
            }
            _ => send(&mut stream, format!("{tag} OK done\r\n").as_bytes(), sent).await?,
        }
    }
    Ok(())
}

/// Waits until `holds` says so, at most a minute: a program that logs everything starts slowly on a busy machine.
async fn soon(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..3_000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("waited a minute in vain: {what}");
}

/// A program that takes mail in, and where its LMTP door is.
async fn program_with_lmtp(test_db: &TestDb) -> (Program, u16) {
    let port = TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port")
        .local_addr()
        .expect("an address")
        .port();
    (
        Program::set_up(test_db).with("VERDICTS_INBOUND__LMTP", &format!("127.0.0.1:{port}")),
        port,
    )
}

/// Reads lines up to one that does not go on (`250-`).
async fn reply(stream: &mut BufReader<TcpStream>) -> String {
    let mut whole = String::new();
    loop {
        let mut line = String::new();
        let read = tokio::time::timeout(Duration::from_secs(20), stream.read_line(&mut line))
            .await
            .expect("an answer in time");
        whole.push_str(&line);
        if read.expect("read") == 0 || line.as_bytes().get(3) != Some(&b'-') {
            return whole;
        }
    }
}

async fn lmtp(port: u16) -> BufReader<TcpStream> {
    BufReader::new(
        TcpStream::connect(("127.0.0.1", port))
            .await
            .expect("connected"),
    )
}

async fn say(stream: &mut BufReader<TcpStream>, text: &str) -> String {
    stream.write_all(text.as_bytes()).await.expect("written");
    reply(stream).await
}

on_both! {
    async fn an_imap_server_makes_the_client_hold_little_and_tells_the_log_nothing(test_db) {
        for manner in ALL {
            let server = Server::start(manner).await;
            let program = Program::set_up(&test_db)
                .with("VERDICTS_INBOUND__IMAP", &format!("imap://user:{PASSWORD}@{}/INBOX?tls=none", server.address))
                .with("VERDICTS_INBOUND__LMTP", "")
                .with("VERDICTS_LOG", "trace");
            let name = format!("{manner:?}");
            let mut running = program.start(&name, &["serve", "--role", "inbound"]);
            soon(&name, || server.ended.load(SeqCst) > 0).await;
            let log = || std::fs::read_to_string(program.dir.join(format!("{name}.err"))).expect("a log");
            soon(&name, || log().contains("cannot be read")).await;
            assert!(!running.has_ended(), "{manner:?}: {}", log());
            running.kill();
            assert!(server.taken.load(SeqCst) < TOO_MUCH, "{manner:?}: it took {} bytes", server.taken.load(SeqCst));
            let log = log();
            let lines = log.lines().filter(|line| ["welcome", "wrong:", "BODYSTRUCTURE", PASSWORD].iter().any(|said| line.contains(said)));
            assert_eq!(lines.collect::<Vec<_>>(), Vec::<&str>::new(), "{manner:?}");
            assert!(manner != Manner::EchoesThePassword || log.contains("[AUTHENTICATIONFAILED]"), "the code may be read: {log}");
        }
    }

    async fn a_bare_line_feed_before_the_dot_does_not_end_a_mail(test_db) {
        let (program, port) = program_with_lmtp(&test_db).await;
        let _running = program.start("serve", &["serve", "--role", "inbound"]);
        until("it listens", async || TcpStream::connect(("127.0.0.1", port)).await.is_ok()).await;
        let mut stream = lmtp(port).await;
        reply(&mut stream).await;
        say(&mut stream, "LHLO mx.example.org\r\n").await;
        for ending in ["\n.\n", "\n.\r\n", "\r\n.\n", "\r.\r\n", "\r\n.\r", "\n.\r\n.\n", "\r\r\n.\n"] {
            say(&mut stream, "MAIL FROM:<a@example.org>\r\n").await;
            say(&mut stream, "RCPT TO:<news@verdicts.example>\r\n").await;
            say(&mut stream, "DATA\r\n").await;
            let mail = format!("Subject: hello{ending:?}\r\n\r\nfirst{ending}MAIL FROM:<smuggled@example.org>\r\n.\r\n");
            assert!(say(&mut stream, &mail).await.starts_with("250 2.0.0 "), "{ending:?}");
            // One answer, for one mail: the next is to the next command.
            assert!(say(&mut stream, "VRFY x\r\n").await.starts_with("252 "), "{ending:?}");
        }
        say(&mut stream, "MAIL FROM:<a@example.org>\r\n").await;
        say(&mut stream, "RCPT TO:<news@verdicts.example>\r\n").await;
        say(&mut stream, "DATA\r\n").await;
        assert!(say(&mut stream, ".\r\n").await.starts_with("250 "), "an empty mail ends at once");
    }

    async fn lmtp_clients_that_only_sit_there_keep_nobody_out(test_db) {
        let (program, port) = program_with_lmtp(&test_db).await;
        let _running = program.start("serve", &["serve", "--role", "inbound"]);
        until("it listens", async || TcpStream::connect(("127.0.0.1", port)).await.is_ok()).await;
        let mut first = lmtp(port).await;
        reply(&mut first).await;
        say(&mut first, "LHLO mx.example.org\r\n").await;
        let mut idle = Vec::new();
        for n in 0..40 {
            let mut stream = TcpStream::connect(("127.0.0.1", port)).await.expect("connected");
            if n % 2 == 0 {
                stream.write_all(b"LHLO mx.example.org\r\nMAIL FROM:<>\r\nRCPT TO:<news@verdicts.example>\r\nDATA\r\n").await.expect("written");
            }
            idle.push(stream);
        }
        let mut stream = lmtp(port).await;
        assert!(reply(&mut stream).await.starts_with("220 "));
        let mut told = String::new();
        first.read_to_string(&mut told).await.expect("read");
        assert!(told.starts_with("421 "), "the one that was idle longest is told: {told}");
    }
}
