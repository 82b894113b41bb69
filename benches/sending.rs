//! How fast the program delivers: `cargo bench --bench sending [-- READERS]`.
//!
//! Runs the compiled program on SQLite against an SMTP server in this process that takes everything, and prints mails per
//! second (from `digest send` to its end), the program's peak memory, its start-up time and its size. The reference is a
//! plain loop over one socket per connection that sends as many mails of the same size and keeps no ledger.

#[path = "../tests/promises/support/smtp_sink/mod.rs"]
mod smtp_sink;

use std::io::BufRead;
use std::io::BufReader;
use std::io::Write;
use std::net::TcpStream;
use std::path::Path;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;

use smtp_sink::Script;
use smtp_sink::SmtpSink;

const PROGRAM: &str = env!("CARGO_BIN_EXE_verdicts");
const CONNECTIONS: usize = 10;

#[tokio::main]
async fn main() {
    let readers: usize = std::env::args()
        .find_map(|argument| argument.parse().ok())
        .unwrap_or(20_000);
    let dir = tempfile::tempdir().expect("a folder");
    let sink = SmtpSink::start(Script::accept_all().only_counts()).await;
    let start_up = start_up(dir.path());
    run(dir.path(), &sink, &["catalog", "drop-sample"], b"");
    run(
        dir.path(),
        &sink,
        &[
            "catalog",
            "import",
            &format!("{}/content", env!("CARGO_MANIFEST_DIR")),
            "--dates-to-now",
        ],
        b"",
    );
    let rows: String = (0..readers)
        .map(|n| format!("reader{n}@example.org\n"))
        .collect();
    let import = Instant::now();
    run(
        dir.path(),
        &sink,
        &[
            "subscribers",
            "import",
            "-",
            "--consent",
            "benchmark",
            "--confirmed",
        ],
        format!("email\n{rows}").as_bytes(),
    );
    let import = import.elapsed();
    run(dir.path(), &sink, &["digest", "preview", "--out", "."], b"");
    let size = std::fs::metadata(dir.path().join("digest.eml"))
        .expect("a mail")
        .len();

    let began = Instant::now();
    let mut sending = command(dir.path(), &sink, &["digest", "send"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program");
    let peak = tokio::task::spawn_blocking(move || peak_memory(&mut sending))
        .await
        .expect("watched");
    let took = began.elapsed();
    assert_eq!(sink.mails(), readers, "each reader once");
    let port = sink.port();
    let reference = tokio::task::spawn_blocking(move || plain_loop(port, readers, size as usize))
        .await
        .expect("sent");

    let rate = |time: Duration| readers as f64 / time.as_secs_f64();
    println!("{readers} readers, {size} bytes a mail, {CONNECTIONS} connections, SQLite");
    println!("mails a second          {:>8.0}", rate(took));
    println!(
        "plain loop, no ledger   {:>8.0}  (ratio {:.2})",
        rate(reference),
        rate(took) / rate(reference)
    );
    println!("peak memory             {:>8.1} MB", peak as f64 / 1024.0);
    println!(
        "start-up to first page  {:>8.0} ms",
        start_up.as_secs_f64() * 1000.0
    );
    println!(
        "import                  {:>8.0} rows a second",
        rate(import)
    );
    println!(
        "size of the program     {:>8.1} MB",
        std::fs::metadata(PROGRAM).expect("the program").len() as f64 / 1e6
    );
}

fn command(dir: &Path, sink: &SmtpSink, arguments: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command
        .args(arguments)
        .current_dir(dir)
        .env("VERDICTS_MAIL__TRANSPORT", sink.url())
        .env("VERDICTS_LOG", "error");
    command
}

fn run(dir: &Path, sink: &SmtpSink, arguments: &[&str], input: &[u8]) {
    let mut child = command(dir, sink, arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("the program");
    child
        .stdin
        .take()
        .expect("a pipe")
        .write_all(input)
        .expect("written");
    assert!(child.wait().expect("it ends").success(), "{arguments:?}");
}

/// From starting `serve` on an empty folder, sample and all, to its first page.
fn start_up(dir: &Path) -> Duration {
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a port")
        .port();
    let began = Instant::now();
    let mut serving = Command::new(PROGRAM)
        .arg("serve")
        .current_dir(dir)
        .env("VERDICTS_SITE__LISTEN", format!("127.0.0.1:{port}"))
        .stderr(Stdio::null())
        .spawn()
        .expect("the program");
    let answered = loop {
        if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) {
            stream.write_all(b"GET / HTTP/1.0\r\n\r\n").expect("asked");
            let mut line = String::new();
            BufReader::new(stream)
                .read_line(&mut line)
                .expect("answered");
            assert!(line.contains("200"), "{line}");
            break began.elapsed();
        }
        std::thread::sleep(Duration::from_millis(1));
    };
    serving.kill().expect("killed");
    serving.wait().expect("buried");
    answered
}

/// The largest resident size in KiB, read while it runs.
fn peak_memory(child: &mut Child) -> u64 {
    let mut peak = 0;
    while child.try_wait().expect("a state").is_none() {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        peak = peak.max(
            line.and_then(|line| line.split_whitespace().next()?.parse().ok())
                .unwrap_or(0),
        );
        std::thread::sleep(Duration::from_millis(5));
    }
    peak
}

/// The reference: blocking sockets, one command at a time, no TLS, no ledger.
fn plain_loop(port: u16, mails: usize, size: usize) -> Duration {
    let line = format!("{}\r\n", "x".repeat(74));
    let body = format!(
        "Subject: plain\r\n\r\n{}.\r\n",
        line.repeat(size / line.len())
    );
    let began = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..CONNECTIONS {
            scope.spawn(|| {
                let stream = TcpStream::connect(("127.0.0.1", port)).expect("connected");
                stream.set_nodelay(true).expect("set");
                let (mut out, mut answers) = (
                    stream.try_clone().expect("cloned"),
                    BufReader::new(stream).lines(),
                );
                let mut say = |text: &str| {
                    out.write_all(text.as_bytes()).expect("said");
                    while answers
                        .next()
                        .expect("an answer")
                        .expect("a line")
                        .as_bytes()[3]
                        == b'-'
                    {}
                };
                say("");
                say("EHLO reference\r\n");
                for _ in 0..mails / CONNECTIONS {
                    say("MAIL FROM:<a@example.org>\r\n");
                    say("RCPT TO:<b@example.org>\r\n");
                    say("DATA\r\n");
                    say(&body);
                }
            });
        }
    });
    began.elapsed()
}
