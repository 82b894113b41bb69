//! What whoever operates the service has at hand: a service manager that is told, settings that are read anew, secrets from files, health,
//! completions, the manual.

use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::Duration;

use crate::support::Program;
use crate::support::TestDb;
use crate::support::until;

/// A service manager's socket, and all that it was told.
struct Manager {
    socket: UnixDatagram,
    told: String,
}

impl Manager {
    fn listen(path: &Path) -> Self {
        let socket = UnixDatagram::bind(path).expect("a socket");
        socket.set_nonblocking(true).expect("a socket");
        Self {
            socket,
            told: String::new(),
        }
    }

    /// Returns how often it was told this so far.
    fn heard(&mut self, words: &str) -> usize {
        let mut datagram = [0; 4096];
        while let Ok(length) = self.socket.recv(&mut datagram) {
            self.told
                .push_str(&String::from_utf8_lossy(&datagram[..length]));
            self.told.push('\n');
        }
        self.told.matches(words).count()
    }
}

fn said(program: &Program) -> String {
    std::fs::read_to_string(program.dir.join("serve.err")).unwrap_or_default()
}

async fn listens(program: &Program) -> String {
    until("it listens", async || {
        said(program).contains("verdicts is running at ")
    })
    .await;
    let text = said(program);
    let address = text
        .split("verdicts is running at ")
        .nth(1)
        .and_then(|rest| rest.lines().next());
    address.expect("an address").to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_manager_is_told_and_a_changed_file_is_taken_over() {
    let test_db = TestDb::sqlite();
    let program = Program::set_up(&test_db)
        .with("VERDICTS_SITE__LISTEN", "127.0.0.1:0")
        .with(
            "NOTIFY_SOCKET",
            &test_db.dir.path().join("notify").display().to_string(),
        )
        .with("WATCHDOG_USEC", "400000");
    let mut manager = Manager::listen(&program.dir.join("notify"));
    program.write("verdicts.toml", "[picker]\nmax_items = 4\n");
    let mut serving = program.start_on_hangup(
        "--default-signal",
        "serve",
        &["--config", "verdicts.toml", "serve"],
    );
    listens(&program).await;
    until("it is ready", async || {
        manager.heard("READY=1\nSTATUS=ready") == 1
    })
    .await;
    until("signs of life", async || manager.heard("WATCHDOG=1") >= 3).await;

    program.write(
        "verdicts.toml",
        "[picker]\nmax_items = 3\n[log]\nlevel = \"debug\"\n[mail]\nconnections = 7\n",
    );
    serving.signal("HUP");
    until("it is ready again", async || manager.heard("READY=1") == 2).await;
    assert_eq!(manager.heard("RELOADING=1\nMONOTONIC_USEC="), 1);
    let words = "SIGHUP: settings in force now: log.level, picker.max_items; settings that need a restart: mail.connections";
    assert!(said(&program).contains(words), "{}", said(&program));

    program.write("verdicts.toml", "[picker]\nmax_items = 0\n");
    serving.signal("HUP");
    until("it is ready again", async || manager.heard("READY=1") == 3).await;
    let text = said(&program);
    assert!(
        text.contains("the settings stay as they were") && text.contains("picker.max_items"),
        "{text}"
    );
    assert!(!serving.has_ended());
    assert_eq!(serving.terminate(), Some(0), "{}", said(&program));
    assert_eq!(manager.heard("STOPPING=1"), 1);
}

#[test]
fn health_asks_a_running_service_and_fails_without_one() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let test_db = TestDb::sqlite();
    let program = Program::set_up(&test_db).with("VERDICTS_SITE__LISTEN", "127.0.0.1:0");
    let mut serving = program.start("serve", &["serve"]);
    let url = format!("{}/readyz", runtime.block_on(listens(&program)));
    assert_eq!(
        program.run(&["health", "--url", &url]).good().out,
        "ready\n"
    );
    let document = program
        .run(&["--json", "health", "--url", &url])
        .good()
        .json();
    assert_eq!(document["status"], "ready");
    // A database that is gone is no health.
    std::fs::rename(program.dir.join("verdicts.db"), program.dir.join("gone")).ok();
    assert_eq!(serving.terminate(), Some(0));
    program
        .run(&["health", "--url", &url])
        .refused(&["is not ready"]);
    // By itself it knows where the service listens.
    program
        .with("VERDICTS_SITE__LISTEN", "127.0.0.1:9")
        .run(&["health"])
        .refused(&["http://127.0.0.1:9/readyz is not ready"]);
}

#[test]
fn secrets_come_from_files_and_from_credentials() {
    let test_db = TestDb::sqlite();
    let program = Program::set_up(&test_db);
    program.write("secret", "hunter2hunter2hunter2, another hunter2hunter2\n");
    let folder = program.dir.join("credentials");
    std::fs::create_dir(&folder).expect("a folder");
    std::fs::write(
        folder.join("mail.transport"),
        "smtp://me:hunter2hunter2@127.0.0.1:1?tls=none\n",
    )
    .expect("written");
    // SetCredential=...: names one that need not be there; the other is none of ours.
    std::fs::write(folder.join("inbound.imap"), "").expect("written");
    std::fs::write(folder.join("dkim.pem"), "a key").expect("written");
    let credentials = folder.display().to_string();
    let program = program
        .without("VERDICTS_SITE__SECRET")
        .with("VERDICTS_SITE__SECRET_FILE", "secret")
        .with("VERDICTS_WEBHOOKS_IN__POSTMARK_FILE", "")
        .with("CREDENTIALS_DIRECTORY", &credentials);
    let settings = program.run(&["--json", "config"]).good();
    assert!(!settings.out.contains("hunter2"), "{}", settings.out);
    let settings = settings.json();
    let setting = |key: &str| {
        let all = settings["settings"].as_array().expect("a list");
        all.iter()
            .find(|one| one["key"] == key)
            .expect("a setting")
            .clone()
    };
    let secret = setting("site.secret");
    assert_eq!(secret["value"].as_array().map(Vec::len), Some(2));
    assert_eq!(
        secret["origin"],
        "environment variable VERDICTS_SITE__SECRET"
    );
    let transport = setting("mail.transport");
    assert_eq!(transport["value"], "smtp://***:***@127.0.0.1:1?tls=none");
    let origin = transport["origin"].as_str().expect("a text");
    assert!(
        origin.starts_with("credential ") && origin.ends_with("/mail.transport"),
        "{origin}"
    );
    assert_eq!(setting("inbound.imap")["origin"], "default");
    assert_eq!(setting("webhooks_in.postmark")["origin"], "default");

    for (name, text, words) in [
        (
            "VERDICTS_SITE__SECRET",
            "a secret for tests only",
            "set the same key",
        ),
        (
            "VERDICTS_SITE__NAME_FILE",
            "nowhere",
            "VERDICTS_SITE__NAME_FILE",
        ),
        (
            "VERDICTS_SITE__SECRT_FILE",
            "secret",
            "VERDICTS_SITE__SECRT_FILE",
        ),
    ] {
        program
            .clone()
            .with(name, text)
            .run(&["config"])
            .refused(&[words]);
    }
    std::fs::write(folder.join("mail.trasnport"), "x").expect("written");
    program
        .run(&["config"])
        .refused(&["mail.trasnport is no setting"]);
}

#[test]
fn the_program_writes_its_completions_and_its_manual_and_says_what_it_is() {
    let test_db = TestDb::sqlite();
    let program = Program::in_place(&test_db);
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = program.run(&["completions", shell]).good().out;
        assert!(
            script.contains("digest") && script.contains("audit"),
            "{shell}"
        );
    }
    let pages = program
        .run(&["--json", "man", "--out", "man"])
        .good()
        .json();
    let pages = pages["pages"].as_array().expect("a list").len();
    assert!(pages > 80, "{pages}");
    let page =
        std::fs::read_to_string(program.dir.join("man/verdicts-digest-send.1")).expect("a page");
    assert!(page.contains(".TH VERDICTS-DIGEST-SEND 1"), "{page}");
    assert!(
        page.contains("Examples:") && page.contains("\\-\\-other\\-week"),
        "{page}"
    );
    assert!(
        !program.dir.join("verdicts.db").exists(),
        "no database is made for that"
    );

    let version = program.run(&["--version"]).good().out;
    assert!(
        version.starts_with(concat!("verdicts ", env!("CARGO_PKG_VERSION"), " (")),
        "{version}"
    );
    assert!(
        version.contains(", sqlite 3.") && version.contains("rustc 1."),
        "{version}"
    );
    let document = program.run(&["--version", "--json"]).good().json();
    assert_eq!(document["version"], env!("CARGO_PKG_VERSION"));
    assert!(document["schema"].as_i64() >= Some(310), "{document}");
}

#[test]
fn times_are_the_sites_or_utc() {
    let test_db = TestDb::sqlite();
    let program = Program::set_up(&test_db).with("VERDICTS_SITE__TIMEZONE", "Asia/Kolkata");
    let show = ["subscribers", "show", "ada@reader.example"];
    program
        .run(&[
            "subscribers",
            "add",
            show[2],
            "--consent",
            "by letter",
            "--no-confirmation",
        ])
        .good();
    assert!(program.run(&show).good().out.contains("+05:30"));
    let utc = program.run(&[&["--utc"][..], &show].concat()).good().out;
    assert!(utc.contains("UTC") && !utc.contains("+05:30"), "{utc}");
}

/// systemd opens the socket and starts the service at the first connection.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_socket_that_is_handed_over_is_served() {
    if std::process::Command::new("systemd-socket-activate")
        .arg("--version")
        .output()
        .is_err()
    {
        eprintln!(
            "systemd-socket-activate is not installed: sockets that are handed over are not tried."
        );
        return;
    }
    let test_db = TestDb::sqlite();
    let program = Program::set_up(&test_db);
    let port = {
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        free.local_addr().expect("an address").port()
    };
    let mut command = std::process::Command::new("systemd-socket-activate");
    command
        .arg(format!("--listen=127.0.0.1:{port}"))
        .args([
            "-E",
            "VERDICTS_DATABASE__URL",
            "-E",
            "VERDICTS_SITE__SECRET",
            "-E",
            "VERDICTS_SITE__LISTEN",
        ])
        .args([env!("CARGO_BIN_EXE_verdicts"), "serve"])
        .current_dir(&program.dir)
        .env("VERDICTS_SITE__LISTEN", "127.0.0.1:1")
        .envs(program.variables())
        .stderr(std::process::Stdio::null());
    let mut activated = command.spawn().expect("it starts");
    let url = format!("http://127.0.0.1:{port}/healthz");
    let client = reqwest::Client::builder()
        .timeout(Duration::from_secs(10))
        .build()
        .expect("a client");
    until("it answers on the socket that it was given", async || {
        client
            .get(&url)
            .send()
            .await
            .is_ok_and(|answer| answer.status() == 200)
    })
    .await;
    activated.kill().expect("killed");
    activated.wait().expect("ended");
}

/// Blocks of a page in that language, in order.
fn blocks<'a>(page: &'a str, language: &str) -> Vec<&'a str> {
    let fence = format!("```{language}\n");
    let parts = page.split(fence.as_str()).skip(1);
    parts.filter_map(|part| part.split("```").next()).collect()
}

#[test]
fn the_page_on_moving_in_gives_commands_that_take_the_exports_beside_them() {
    let page = include_str!("../../docs/moving-in.md");
    let (files, commands) = (blocks(page, "csv"), blocks(page, "sh"));
    assert!(files.len() >= 5 && files.len() == commands.len());
    let test_db = TestDb::sqlite();
    let program = Program::set_up(&test_db);
    let mut people = 0;
    for (file, command) in files.iter().zip(commands) {
        let (begin, rest) = command
            .trim()
            .split_once(" --consent \"")
            .expect("a consent");
        let (consent, options) = rest.split_once('"').expect("a consent");
        let name = begin.rsplit(' ').next().expect("a file");
        program.write(name, file);
        let mut arguments = vec![
            "--json",
            "subscribers",
            "import",
            name,
            "--consent",
            consent,
        ];
        arguments.extend(options.split_whitespace());
        let report = program.run(&arguments).good().json();
        let rows = file.lines().count() as u64 - 1;
        assert_eq!(
            (&report["added"], &report["refused"]),
            (&rows.into(), &0.into()),
            "{name}: {report}"
        );
        people += rows;
    }
    let listed = program.run(&["--json", "subscribers", "list"]).good().out;
    assert!(listed.contains("unsubscribed"), "{listed}");
    assert!(people >= 8, "{people}");
}

#[test]
fn the_site_of_the_docs_lists_every_page_and_the_manual_of_systemd_every_line_of_the_unit_that_it_speaks_of()
 {
    let summary = include_str!("../../docs/SUMMARY.md");
    for entry in std::fs::read_dir("docs").expect("a folder") {
        let name = entry
            .expect("an entry")
            .file_name()
            .into_string()
            .expect("a name");
        if name.ends_with(".md") && name != "SUMMARY.md" {
            assert!(
                summary.contains(&format!("({name})")),
                "{name} is not in docs/SUMMARY.md"
            );
        }
    }
    let unit = include_str!("../../packaging/verdicts.service");
    for line in [
        "Type=notify",
        "WatchdogSec=",
        "ExecReload=/bin/kill -HUP",
        "LoadCredential=site.secret:",
        "SystemCallFilter=",
    ] {
        assert!(unit.contains(line), "{line}");
    }
}
