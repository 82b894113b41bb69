//! The peers, from Debian's package postfix, and what this machine is.

use std::net::TcpListener;
use std::net::TcpStream;
use std::path::Path;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;

const SMTP_SOURCE: &str = "/usr/sbin/smtp-source";
const SMTP_SINK: &str = "/usr/sbin/smtp-sink";

pub fn must_be_installed() {
    for program in [SMTP_SOURCE, SMTP_SINK] {
        assert!(
            Path::new(program).exists(),
            "{program} is missing; on Debian: apt-get install postfix"
        );
    }
}

/// A running `smtp-sink`; dropped, it ends.
pub struct Sink {
    pub port: u16,
    child: Child,
}

impl Sink {
    pub fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .expect("a port")
            .port();
        let sink = Self::start_with(Command::new(SMTP_SINK), "127.0.0.1", port);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            std::thread::sleep(Duration::from_millis(10));
        }
        sink
    }

    /// In another name space of the network.
    pub fn start_in(namespace: &str, address: &str, port: u16) -> Self {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", namespace, SMTP_SINK]);
        let sink = Self::start_with(command, address, port);
        std::thread::sleep(Duration::from_millis(500));
        sink
    }

    /// It refuses to run as root, and then wants an account.
    fn start_with(mut command: Command, address: &str, port: u16) -> Self {
        let is_root = std::fs::metadata("/proc/self")
            .is_ok_and(|meta| std::os::unix::fs::MetadataExt::uid(&meta) == 0);
        if is_root {
            command.args(["-u", "nobody"]);
        }
        let child = command
            .arg(format!("{address}:{port}"))
            .arg("1000")
            .stdin(Stdio::null())
            .spawn()
            .expect("smtp-sink");
        Self { port, child }
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `smtp-source` with sessions that stay open, to `address:port`: so many messages of so many bytes, headers included.
pub fn smtp_source(
    address: &str,
    port: u16,
    sessions: usize,
    messages: usize,
    bytes: usize,
) -> Duration {
    let payload = bytes.saturating_sub(HEADER);
    let began = Instant::now();
    let status = Command::new(SMTP_SOURCE)
        .args([
            "-d",
            "-s",
            &sessions.to_string(),
            "-m",
            &messages.to_string(),
            "-l",
            &payload.to_string(),
        ])
        .args([
            "-f",
            "news@example.org",
            "-t",
            "reader@example.org",
            &format!("{address}:{port}"),
        ])
        .status()
        .expect("smtp-source");
    assert!(status.success(), "smtp-source ended with {status}");
    began.elapsed()
}

/// `smtp-source` writes about so many bytes of header before its payload (From, To, Date, Message-Id).
const HEADER: usize = 140;

/// What a table was measured on, in a line.
pub fn machine() -> String {
    let first_line = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output().ok()?;
        String::from_utf8_lossy(&output.stdout)
            .lines()
            .next()
            .map(str::to_owned)
    };
    let cpus = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    [
        format!(
            "{cores} cores{}",
            model
                .replace(['\t', ':'], " ")
                .replace("  ", " ")
                .trim_end()
        ),
        format!("Linux {}", kernel.trim()),
        first_line("rustc", &["--version"]).unwrap_or_default(),
        format!(
            "postfix {}",
            first_line("dpkg-query", &["-W", "-f", "${Version}", "postfix"]).unwrap_or_default()
        ),
        format!(
            "postgresql {}",
            first_line("dpkg-query", &["-W", "-f", "${Version}", "postgresql-15"])
                .unwrap_or_default()
        ),
        format!(
            "load before it began {}",
            load.split(' ').next().unwrap_or_default()
        ),
    ]
    .join("; ")
}
