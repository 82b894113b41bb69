//! A service in a folder of its own, with its database and its relays.

use std::io::BufReader;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::sync::mpsc;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;
use std::time::Instant;

use super::Database;
use super::MOST;
use super::catalogue;

const PROGRAM: &str = env!("CARGO_BIN_EXE_verdicts");

/// A server as Debian sets it up: what is committed is on the disk.
pub(super) const SETTINGS: &str = "\
fsync = on
synchronous_commit = on
full_page_writes = on
wal_level = replica
shared_buffers = '256MB'
max_wal_size = '2GB'
checkpoint_timeout = '5min'
autovacuum = on
";

/// The program on one database.
pub struct TestDb {
    pub dir: tempfile::TempDir,
    pub url: String,
    program: PathBuf,
    variables: Vec<(String, String)>,
}

/// Cost of one send.
pub struct Sending {
    pub mails: u64,
    /// From starting the command to its end.
    pub took: Duration,
    /// From `digest published` in its log to its end.
    pub sending: Duration,
    /// As its log says (`took_ms`); nothing where the digest was published before.
    pub publish: Option<Duration>,
    /// User and system time of the process.
    pub cpu: Duration,
    /// KiB.
    pub peak: u64,
}

impl TestDb {
    pub(super) fn new(
        dir: tempfile::TempDir,
        url: String,
        database: Database,
        program: Option<PathBuf>,
    ) -> Self {
        let program = program.unwrap_or_else(|| PROGRAM.into());
        let test_db = Self {
            dir,
            url: url.clone(),
            program,
            variables: Vec::new(),
        };
        test_db
            .with("VERDICTS_DATABASE__URL", &url)
            .with("VERDICTS_DATABASE__DURABILITY", database.durability())
            .with("VERDICTS_SITE__SECRET", "a secret for benchmarks only")
            .with("VERDICTS_LOG", "warn,verdicts=info")
            .with("VERDICTS_MAIL__FROM", "Ship or Skip <news@example.org>")
    }

    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    /// A relay on that port of that address.
    pub fn with_relay(self, address: &str, port: u16, connections: usize) -> Self {
        self.with(
            "VERDICTS_MAIL__TRANSPORT",
            &format!("smtp://{address}:{port}?tls=none"),
        )
        .with("VERDICTS_MAIL__CONNECTIONS", &connections.to_string())
    }

    /// Several relays of one weight, on this machine.
    pub fn with_relays(self, urls: &[String], connections: usize) -> Self {
        let relay = |(at, url): (usize, &String)| {
            format!(
                "[[mail.relays]]\nname = \"relay{at}\"\ntransport = \"{url}\"\nconnections = {connections}\n"
            )
        };
        let folder = self.dir.path().join("config");
        std::fs::create_dir_all(&folder).expect("a folder");
        std::fs::write(
            folder.join("verdicts.toml"),
            urls.iter().enumerate().map(relay).collect::<String>(),
        )
        .expect("settings");
        self
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(arguments)
            .current_dir(self.dir.path())
            .stdin(Stdio::null());
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("VERDICTS_")) {
            command.env_remove(name);
        }
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs a command to its end; what it printed.
    pub fn run(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().expect("the program");
        assert!(
            output.status.success(),
            "{arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Brings as many comparisons as make a mail of about so many bytes; answers how many it has.
    pub fn bring_digest_of(&self, bytes: usize) -> usize {
        let (mut comparisons, mut size, mut step) = (1, self.bring(1), 0);
        while comparisons < MOST && size + step / 2 < bytes {
            comparisons += 1;
            let larger = self.bring(comparisons);
            (step, size) = (larger - size, larger);
        }
        size
    }

    fn bring(&self, comparisons: usize) -> usize {
        std::fs::write(
            self.dir.path().join("catalogue.toml"),
            catalogue(comparisons),
        )
        .expect("written");
        self.run(&["catalog", "import", "catalogue.toml", "--dates-to-now"]);
        self.run(&["digest", "preview", "--out", "."]);
        std::fs::metadata(self.dir.path().join("digest.eml"))
            .expect("a mail")
            .len() as usize
    }

    /// Publishes over a relay that refuses connections; how long that took by its log.
    pub fn publish(&self) -> Duration {
        let mut command = self.command(&["digest", "send"]);
        let output = command
            .env("VERDICTS_MAIL__TRANSPORT", "smtp://127.0.0.1:1?tls=none")
            .output()
            .expect("the program");
        assert_eq!(output.status.code(), Some(1), "published, and nothing sent");
        let published = published_in(BufReader::new(output.stderr.as_slice()), || ());
        published.expect("it logs how long publishing took").1
    }

    /// `digest send`, watched to its end.
    pub fn send(&self, readers: usize) -> Sending {
        self.send_for(readers, None)
    }

    /// `digest send`, watched; stopped in order once it has sent for so long.
    pub fn send_for(&self, readers: usize, limit: Option<Duration>) -> Sending {
        let began = Instant::now();
        let mut child = self
            .command(&["digest", "send", "--json"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("started");
        let stderr = BufReader::new(child.stderr.take().expect("a pipe"));
        let (mut cpu, mut peak) = (Duration::ZERO, 0);
        let id = child.id().to_string();
        let (lives, ended) = mpsc::channel::<()>();
        let published = std::thread::scope(|scope| {
            let reading = scope.spawn(move || {
                published_in(stderr, || {
                    let is_over = limit.is_none_or(|limit| {
                        ended.recv_timeout(limit) != Err(RecvTimeoutError::Timeout)
                    });
                    if !is_over {
                        let _ = Command::new("kill").args(["-s", "TERM", &id]).status();
                    }
                })
            });
            (cpu, peak) = watch(&child);
            drop(lives);
            reading.join().expect("read")
        });
        let ended = Instant::now();
        let output = child.wait_with_output().expect("ended");
        let sent: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let mails = sent["deliveries"]["sent"].as_u64().expect("a number");
        assert!(limit.is_some() || mails == readers as u64, "{sent}");
        // Without a word it was published before.
        let at = published.map_or(began, |(at, _)| at);
        Sending {
            mails,
            took: ended - began,
            sending: ended - at,
            publish: published.map(|(_, took)| took),
            cpu,
            peak,
        }
    }
}

/// Time at which the log said that the digest is published, and how long that took by its own word.
fn published_in(
    stderr: impl std::io::BufRead,
    mut then: impl FnMut(),
) -> Option<(Instant, Duration)> {
    let mut published = None;
    for line in stderr.lines().map_while(Result::ok) {
        if line.contains("digest published") {
            let millis = line
                .split("took_ms=")
                .nth(1)
                .and_then(|rest| rest.split_whitespace().next()?.parse().ok());
            published = Some((
                Instant::now(),
                Duration::from_millis(millis.expect("how long it took")),
            ));
            then();
        }
    }
    published
}

/// Waits for the end of a process, without burying it; its processor time and its largest resident size (KiB).
pub fn watch(child: &Child) -> (Duration, u64) {
    let mut peak = 0;
    loop {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        peak = peak.max(kibibytes(&status, "VmHWM:"));
        // An ended process keeps its times until it is buried.
        let (state, cpu) = times(child.id());
        if state == 'Z' {
            return (cpu, peak);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn kibibytes(status: &str, name: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}

/// State, and user and system time, of which Linux counts a hundred ticks a second (proc(5)).
fn times(pid: u32) -> (char, Duration) {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("Linux");
    let fields: Vec<&str> = stat
        .rsplit_once(')')
        .expect("a name")
        .1
        .split_whitespace()
        .collect();
    let ticks = |index: usize| fields[index].parse::<u64>().expect("a number");
    (
        fields[0].chars().next().expect("a state"),
        Duration::from_millis(10 * (ticks(11) + ticks(12))),
    )
}
