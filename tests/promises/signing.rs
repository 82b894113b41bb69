//! Signed mail as its receiver checks it: with dkimpy, a program of others, on the bytes that came over the wire.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use verdicts::app::Clock;
use verdicts::config::DkimKey;

use crate::support::Program;
use crate::support::Script;
use crate::support::SmtpSink;
use crate::support::TestApp;
use crate::support::TestDb;
use crate::support::catalogue::small;
use crate::support::on_both;

/// A Python that has dkimpy: that of the variable, which `.ci/run` sets, or the one that it left in `target/tools`, or the
/// system's. Without one, which is said, the test is passed over; where the variable is set it fails.
fn python() -> Option<PathBuf> {
    let has_dkimpy = |python: &PathBuf| {
        let tried = Command::new(python)
            .args(["-c", "import dkim, nacl"])
            .stderr(Stdio::null())
            .status();
        tried.is_ok_and(|status| status.success())
    };
    if let Some(named) = std::env::var_os("VERIFYING_PYTHON").map(PathBuf::from) {
        assert!(
            has_dkimpy(&named),
            "{} has no dkimpy and PyNaCl; .ci/run installs both",
            named.display()
        );
        return Some(named);
    }
    let left = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/tools/bin/python3");
    let found = [left, PathBuf::from("python3")]
        .into_iter()
        .find(has_dkimpy);
    if found.is_none() {
        eprintln!(
            "NOT CHECKED: no Python with dkimpy and PyNaCl. `.ci/run` installs them; or by hand: python3 -m venv target/tools && \
             target/tools/bin/pip install -r tests/email/requirements.txt"
        );
    }
    found
}

/// A place with the program, and its keys: an RSA and an Ed25519 one.
struct Keys {
    program: Program,
    settings: Vec<DkimKey>,
}

fn make_keys(program: Program) -> Keys {
    let mut records = serde_json::Map::new();
    let mut settings = Vec::new();
    for (file, more) in [("rsa.pem", &[][..]), ("ed.pem", &["--ed25519"])] {
        let made = program
            .run(
                &[
                    &[
                        "--json",
                        "keys",
                        "dkim",
                        "--out",
                        file,
                        "--domain",
                        "verdicts.example",
                    ],
                    more,
                ]
                .concat(),
            )
            .good()
            .json();
        let text = |key: &str| made[key].as_str().expect("a text").to_owned();
        let pieces: Vec<_> = made["strings"]
            .as_array()
            .expect("pieces")
            .iter()
            .filter_map(Value::as_str)
            .collect();
        assert!(
            pieces.iter().all(|piece| piece.len() <= 255) && pieces.concat() == text("value"),
            "{made}"
        );
        assert_eq!(
            (text("type"), text("name")),
            (
                "TXT".into(),
                format!("{}._domainkey.verdicts.example", text("selector"))
            )
        );
        records.insert(text("name"), text("value").into());
        settings.push(DkimKey {
            domain: text("domain"),
            selector: text("selector"),
            key_file: text("key_file").into(),
        });
    }
    program.write("dns.json", Value::Object(records).to_string());
    Keys { program, settings }
}

impl Keys {
    /// The setting in one environment variable.
    fn variable(&self) -> String {
        let key = |key: &DkimKey| {
            format!(
                "{{ domain = {:?}, selector = {:?}, key_file = {:?} }}",
                key.domain, key.selector, key.key_file
            )
        };
        format!(
            "[{}]",
            self.settings.iter().map(key).collect::<Vec<_>>().join(", ")
        )
    }

    /// What dkimpy says of each signature.
    fn verify(&self, python: &PathBuf, mail: &[u8]) -> Vec<Value> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/email/verify_dkim.py");
        let mut child = Command::new(python)
            .arg(script)
            .arg(self.program.dir.join("dns.json"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python starts");
        child
            .stdin
            .take()
            .expect("a pipe")
            .write_all(mail)
            .expect("written");
        let said = child.wait_with_output().expect("it ends");
        assert!(said.status.success(), "{said:?}");
        serde_json::from_slice(&said.stdout).expect("JSON")
    }

    /// Whether both signatures hold.
    fn holds(&self, python: &PathBuf, mail: &[u8]) -> [bool; 2] {
        let found = self.verify(python, mail);
        assert_eq!(found.len(), 2, "{found:?}");
        [0, 1].map(|number| found[number]["holds"] == true)
    }
}

/// The mail with one bit changed: of the byte behind that.
fn flipped(mail: &[u8], of: &str) -> Vec<u8> {
    let at = mail
        .windows(of.len())
        .position(|window| window == of.as_bytes())
        .expect("it is in the mail");
    let mut changed = mail.to_vec();
    changed[at + of.len()] ^= 1;
    changed
}

on_both! {
    async fn what_the_program_sends_is_signed_twice_and_any_change_is_found(test_db) {
        let Some(python) = python() else { return };
        let sink = SmtpSink::start(Script::accept_all()).await;
        let keys = make_keys(Program::set_up(&test_db));
        let program = keys
            .program
            .clone()
            .with("VERDICTS_MAIL__TRANSPORT", &sink.url())
            .with("VERDICTS_MAIL__FROM", "Verdikte für alle <news@verdicts.example>")
            .with("VERDICTS_MAIL__DKIM", &keys.variable());
        program.write("c.toml", small(5, Clock::system().now()));
        program.write("l.csv", "email\nada@example.org\n");
        program.run(&["catalog", "import", "c.toml"]).good();
        program.run(&["subscribers", "import", "l.csv", "--consent", "x", "--confirmed"]).good();
        program.run(&["digest", "send", "--to", "editor@example.org"]).good();
        program.run(&["digest", "send"]).good();
        let mails = sink.wait_for(2, Duration::from_secs(10)).await;
        for mail in &mails {
            let found = keys.verify(&python, &mail.data);
            assert!(found.len() == 2 && found.iter().all(|signature| signature["holds"] == true), "{found:?}");
            let tag = |number: usize, name: &str| found[number]["tags"][name].as_str().map(str::to_owned);
            assert_eq!([tag(0, "a"), tag(1, "a")], [Some("rsa-sha256".into()), Some("ed25519-sha256".into())]);
            for number in [0, 1] {
                assert_eq!((tag(number, "c"), tag(number, "l")), (Some("relaxed/relaxed".into()), None));
                let covered = tag(number, "h").expect("names").to_lowercase().replace([' ', '\t', '\r', '\n'], "");
                for name in ["from", "to", "subject", "date", "message-id", "mime-version", "content-type", "list-unsubscribe", "list-unsubscribe-post", "feedback-id"] {
                    assert_eq!(covered.split(':').filter(|covered| *covered == name).count(), 2, "{name} in {covered}");
                }
                for name in ["cc", "sender", "in-reply-to", "references", "list-id", "list-archive", "list-help"] {
                    assert_eq!(covered.split(':').filter(|covered| *covered == name).count(), 1, "{name} in {covered}");
                }
            }
        }
        let mail = &mails[1].data;
        for of in [
            "\r\nFrom: ",
            "\r\nTo: ",
            "\r\nSubject: ",
            "\r\nDate: ",
            "\r\nMessage-ID: <",
            "\r\nMIME-Version: ",
            "boundary=\"",
            "\r\nList-Unsubscribe: <",
            "List-Unsubscribe=",
            "/unsubscribe",
            "</html",
        ] {
            assert_eq!(keys.holds(&python, &flipped(mail, of)), [false, false], "{of:?} changed");
        }
        for added in ["From: eve@example.net", "Subject: Another", "List-Unsubscribe: <https://example.net/>", "Reply-To: eve@example.net", "Cc: eve@example.net", "Sender: eve@example.net", "References: <1@example.net>", "In-Reply-To: <1@example.net>", "Feedback-ID: a:b:c"] {
            let more = [added.as_bytes(), b"\r\n", mail].concat();
            assert_eq!(keys.holds(&python, &more), [false, false], "{added:?} added");
        }
        let relayed = [b"Received: from a by b; Tue, 24 Nov 2026 09:00:00 +0000\r\n", mail.as_slice()].concat();
        assert_eq!(keys.holds(&python, &relayed), [true, true], "what each relay adds breaks nothing");
    }

    async fn a_confirmation_is_signed_too(test_db) {
        let Some(python) = python() else { return };
        let sink = SmtpSink::start(Script::accept_all()).await;
        let keys = make_keys(Program::in_place(&test_db));
        let (url, settings) = (sink.url(), keys.settings.clone());
        let test_app = TestApp::open_with(test_db.again(), |adapted| {
            adapted.mail.transport = url.into();
            adapted.mail.dkim = settings;
        })
        .await;
        // dkimpy believes no signature of a time to come.
        test_app.set_clock(&verdicts::app::Clock::system().now().to_rfc3339());
        test_app.sign_up("ada@example.org").await;
        test_app.deliver_while("the confirmation", async || sink.mails() == 1).await;
        let mail = &sink.received()[0].data;
        assert_eq!(keys.holds(&python, mail), [true, true]);
        assert_eq!(keys.holds(&python, &[b"List-Unsubscribe: <https://example.net/>\r\n", mail.as_slice()].concat()), [false, false]);
        assert_eq!(keys.holds(&python, &flipped(mail, "/confirm")), [false, false]);
    }
}

#[test]
fn a_key_is_its_owners_alone_and_is_never_written_over() {
    let test_db = TestDb::sqlite();
    let program = Program::in_place(&test_db);
    let said = program.run(&["keys", "dkim", "--out", "key.pem"]).good();
    let file = program.dir.join("key.pem");
    assert_eq!(
        std::fs::metadata(&file)
            .expect("a file")
            .permissions()
            .mode()
            & 0o777,
        0o600
    );
    let before = std::fs::read(&file).expect("a key");
    assert!(
        said.out.contains("_domainkey.localhost")
            && said.out.contains("TXT")
            && said.out.contains("v=DKIM1; k=rsa; p="),
        "{said:?}"
    );
    assert!(!said.out.contains("PRIVATE KEY"), "{said:?}");
    program
        .run(&["keys", "dkim", "--out", "key.pem"])
        .refused(&["key.pem", "name another file"]);
    assert_eq!(std::fs::read(&file).expect("a key"), before);
    program
        .run(&["keys", "dkim", "--out", "nowhere/key.pem"])
        .refused(&["nowhere/key.pem"]);
    program
        .run(&[
            "keys",
            "dkim",
            "--out",
            "other.pem",
            "--selector",
            "no selector",
        ])
        .refused(&["no selector"]);
    assert!(!program.dir.join("other.pem").exists());
    assert!(
        !program.dir.join("data").exists(),
        "no database is needed for it"
    );
}

#[test]
fn what_keys_dkim_prints_can_be_pasted_into_the_settings_file_as_it_is() {
    let test_db = crate::support::TestDb::sqlite();
    let program = crate::support::Program::in_place(&test_db);
    let said = program
        .run(&[
            "keys",
            "dkim",
            "--out",
            "key.pem",
            "--domain",
            "verdicts.example",
        ])
        .good();
    let (_, block) = said
        .out
        .split_once("[[mail.dkim]]")
        .expect("a block for the settings");
    let shipped = include_str!("../../config/verdicts.toml");
    program.write("own.toml", format!("{shipped}\n[[mail.dkim]]{block}"));
    let shown = program.run(&["--config", "own.toml", "config"]).good();
    assert!(shown.out.contains("verdicts.example"), "{shown:?}");
}

#[cfg(unix)]
#[test]
fn a_key_that_root_makes_belongs_to_the_account_that_owns_the_database() {
    use std::os::unix::fs::MetadataExt;
    let test_db = crate::support::TestDb::sqlite();
    let program = crate::support::Program::set_up(&test_db);
    let database = test_db.dir.path().join("verdicts.db");
    let is_root = std::fs::metadata(&database).expect("a file").uid() == 0;
    if is_root {
        std::os::unix::fs::chown(&database, Some(4711), Some(4711)).expect("given away");
    }
    program
        .run(&[
            "keys",
            "dkim",
            "--out",
            "key.pem",
            "--domain",
            "verdicts.example",
        ])
        .good();
    let (key, database) = (
        test_db.dir.path().join("key.pem"),
        std::fs::metadata(&database).expect("a file"),
    );
    let key = std::fs::metadata(key).expect("a key");
    assert_eq!((key.uid(), key.mode() & 0o777), (database.uid(), 0o600));
}

#[test]
fn a_key_that_cannot_be_used_is_a_sentence_at_the_start() {
    let test_db = TestDb::sqlite();
    let program = Program::in_place(&test_db);
    program.run(&["keys", "dkim", "--out", "open.pem"]).good();
    let with_mode = |name: &str, mode: u32| {
        std::fs::set_permissions(
            program.dir.join(name),
            std::fs::Permissions::from_mode(mode),
        )
        .expect("a mode");
    };
    with_mode("open.pem", 0o644);
    program.write("text.pem", "no key\n");
    program.write(
        "locked.pem",
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
    );
    program.write(
        "other.pem",
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
    );
    for name in ["text.pem", "locked.pem", "other.pem"] {
        with_mode(name, 0o600);
    }
    for (domain, selector, file, words) in [
        (
            "example.org",
            "s1",
            "nowhere.pem",
            ["nowhere.pem", "cannot be read"],
        ),
        ("example.org", "s1", "open.pem", ["open.pem", "chmod 600"]),
        ("example.org", "s1", "text.pem", ["text.pem", "PEM"]),
        (
            "example.org",
            "s1",
            "locked.pem",
            ["locked.pem", "openssl pkey"],
        ),
        ("example.org", "s1", "other.pem", ["other.pem", "2048"]),
        ("example.org", "s1", ".", ["key file .", "no file"]),
        ("exa mple.org", "s1", "text.pem", ["exa mple.org", "domain"]),
        ("example.org", "s 1", "text.pem", ["s 1", "selector"]),
    ] {
        let key =
            format!("[{{ domain = {domain:?}, selector = {selector:?}, key_file = {file:?} }}]");
        let program = program.clone().with("VERDICTS_MAIL__DKIM", &key);
        let said = program
            .run(&["digest", "list"])
            .refused(&["mail.dkim", words[0], words[1]]);
        assert!(!said.contains("AAAA"), "{said}");
        program.run(&["config"]).refused(&["mail.dkim"]);
    }
    program
        .with(
            "VERDICTS_MAIL__DKIM",
            "[{ domain = \"example.org\", file = \"x\" }]",
        )
        .run(&["config"])
        .refused(&["file", "key_file"]);
}
