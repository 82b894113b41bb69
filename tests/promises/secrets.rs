//! Secrets are printed nowhere: not by `config`, not by `Debug`, and not in the log of a start whose credentials are refused.

use std::io::Write as _;
use std::path::Path;

use tokio::io::AsyncBufReadExt;
use tokio::io::AsyncWriteExt;
use tokio::io::BufReader;
use tokio::net::TcpListener;
use verdicts::domain::secret::Secret;
use verdicts::domain::webhook::Provider;

use crate::support::Program;
use crate::support::Script;
use crate::support::SmtpSink;
use crate::support::TestApp;
use crate::support::TestDb;
use crate::support::on_both;
use crate::support::postgres;
use crate::support::until;

/// Part of every secret here, in the clear and as base64 has it: a key of `webhooks_in.resend` is base64 itself.
const MARK: &str = "hunter2hunter2hunter2hunter2";

/// Each setting that may hold a secret, with one in it.
const SETTINGS: &str = r#"
[site]
secret = ["hunter2hunter2hunter2hunter2", "an older one: hunter2hunter2hunter2hunter2"]
[database]
url = "postgres://me:hunter2hunter2hunter2hunter2@127.0.0.1:1,127.0.0.1:2/list?sslpassword=hunter2hunter2hunter2hunter2"
direct_url = "postgres://me:hunter2hunter2hunter2hunter2@127.0.0.1:1/list"
wait_at_start = "0s"
[mail]
transport = "smtp://hunter2hunter2hunter2hunter2:hunter2hunter2hunter2hunter2@127.0.0.1:1?tls=none"
[[mail.relays]]
name = "first"
transport = "smtp://hunter2hunter2hunter2hunter2:hunter2hunter2hunter2hunter2@127.0.0.1:1?tls=none"
[inbound]
imap = "imap://hunter2hunter2hunter2hunter2:hunter2hunter2hunter2hunter2@127.0.0.1:1/INBOX?tls=none"
[webhooks_in]
postmark = "me:hunter2hunter2hunter2hunter2"
mailgun = "hunter2hunter2hunter2hunter2"
resend = "whsec_hunter2hunter2hunter2hunter2"
brevo = "me:hunter2hunter2hunter2hunter2"
mailjet = "me:hunter2hunter2hunter2hunter2"
sparkpost = "me:hunter2hunter2hunter2hunter2"
mailersend = "hunter2hunter2hunter2hunter2"
azure = "hunter2hunter2hunter2hunter2"
kumomta = "hunter2hunter2hunter2hunter2"
forwardemail = "hunter2hunter2hunter2hunter2"
signed = "hunter2hunter2hunter2hunter2"
[[desk.oidc]]
name = "Example"
issuer = "https://id.example.org"
client_id = "verdicts"
client_secret = "hunter2hunter2hunter2hunter2"
"#;

fn keeps_quiet(what: &str, text: &str) {
    assert!(!text.is_empty(), "{what} said something");
    assert!(
        !text.contains("unter2hunter2"),
        "{what} tells a secret: {text}"
    );
}

/// Names of the settings' fields whose types keep a secret, as the sources declare them.
fn secret_fields() -> Vec<String> {
    let mut fields = Vec::new();
    for file in std::fs::read_dir("src/config").expect("a folder") {
        let path = file.expect("a file").path();
        if path.is_dir() {
            continue;
        }
        let text = std::fs::read_to_string(path).expect("a source");
        for line in text.lines() {
            let Some((name, kind)) = line
                .trim()
                .strip_prefix("pub ")
                .filter(|field| !field.contains('('))
                .and_then(|field| field.split_once(": "))
            else {
                continue;
            };
            let sounds_secret = ["secret", "password", "token", "credential"]
                .iter()
                .any(|word| name.contains(word));
            assert!(
                !(sounds_secret && kind.contains("String")),
                "{name} sounds like a secret: its type is to be Secret or SecretUrl"
            );
            if kind.contains("Secret") {
                fields.push(name.to_owned());
            }
        }
    }
    fields
}

#[test]
fn every_secret_among_the_settings_is_masked_by_its_type() {
    let mut fields = secret_fields();
    let providers = Provider::ALL.iter().filter(|it| !it.key_form().is_public());
    fields.extend(providers.map(Provider::to_string));
    assert!(fields.len() >= 9, "{fields:?}");
    for field in &fields {
        // `urls` are those of `database.url`, one for each host.
        assert!(
            field == "urls" || SETTINGS.contains(&format!("\n{field} = ")),
            "{field} has no secret in SETTINGS"
        );
    }
    let test_db = TestDb::sqlite();
    let program = Program::in_place(&test_db).without("VERDICTS_DATABASE__URL");
    program.write("own.toml", SETTINGS);
    for arguments in [
        &["--config", "own.toml", "config"][..],
        &["--config", "own.toml", "--json", "config"],
    ] {
        let said = program.run(arguments).good();
        keeps_quiet("config", &said.out);
        assert!(said.out.matches("***").count() >= 12, "{said:?}");
    }
    let loaded = verdicts::config::load(
        Some(&test_db.dir.path().join("own.toml")),
        std::iter::empty(),
    )
    .expect("good settings");
    for text in [
        format!("{loaded:?}"),
        format!("{:#?}", loaded.settings),
        format!("{:?}", loaded.settings.mail.relays_in_force()),
        format!(
            "{:?}",
            verdicts::config::DatabaseHosts::parse(loaded.settings.database.url.expose())
        ),
        serde_json::json!(loaded.settings).to_string(),
    ] {
        keeps_quiet("Debug", &text);
        assert!(text.contains("***"), "{text}");
    }
}

#[test]
fn a_setting_that_cannot_be_used_is_refused_without_a_secret_in_the_sentence() {
    let (test_db, short) = (TestDb::sqlite(), &MARK[..14]);
    let program = Program::in_place(&test_db).without("VERDICTS_DATABASE__URL");
    for (key, text) in [
        ("site.secret", format!("[\"{short}\"]")),
        ("site.secret", format!("{{ one = \"{MARK}\" }}")),
        (
            "site.base_url",
            format!("\"https://me:{MARK}@news.example\""),
        ),
        (
            "database.url",
            format!("\"mysql://me:{MARK}@db.example/list\""),
        ),
        (
            "database.url",
            format!("\"postgres://me:{MARK}@one.example,,two.example/list\""),
        ),
        (
            "database.direct_url",
            format!("\"mysql://me:{MARK}@db.example/list\""),
        ),
        (
            "mail.transport",
            format!("\"smtp://me:12/{MARK}@mx.example\""),
        ),
        ("mail.transport", format!("\"ftp://me:{MARK}@mx.example\"")),
        ("mail.transport", format!("\"{MARK}\"")),
        (
            "inbound.imap",
            format!("\"imaps://me:12#{MARK}@imap.example\""),
        ),
        ("webhooks_in.postmark", format!("\"{MARK}\"")),
        ("webhooks_in.resend", format!("\"{MARK}\"")),
        ("webhooks_in.mailgun", format!("\"{short}\"")),
        ("webhooks_in.signed", format!("[\"{short}\", 7]")),
    ] {
        program.write("own.toml", format!("{key} = {text}\n"));
        let said = program.run(&["--config", "own.toml", "serve"]);
        assert!(
            said.code == 1 && said.err.contains(key),
            "{key} = {text}: {said:?}"
        );
        keeps_quiet(key, &said.err);
    }
    // A line that is no TOML.
    program.write("own.toml", format!("[site]\nsecret = \"{MARK}\n"));
    keeps_quiet(
        "a torn line",
        &program
            .run(&["--config", "own.toml", "serve"])
            .refused(&["line 2"]),
    );
}

/// A mailbox that refuses every login in words that repeat it.
async fn refusing_mailbox() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (reader, mut writer) = stream.into_split();
                let mut lines = BufReader::new(reader).lines();
                let _ = writer
                    .write_all(b"* OK [CAPABILITY IMAP4rev1] ready\r\n")
                    .await;
                while let Ok(Some(line)) = lines.next_line().await {
                    let tag = line.split(' ').next().unwrap_or_default();
                    let answer = match line.contains("LOGIN") {
                        true => format!("{tag} NO [AUTHENTICATIONFAILED] not taken: {line}\r\n"),
                        false => format!("* CAPABILITY IMAP4rev1\r\n{tag} OK done\r\n"),
                    };
                    let _ = writer.write_all(answer.as_bytes()).await;
                }
            });
        }
    });
    format!("imap://me:{MARK}@{address}/INBOX?tls=none")
}

fn log(dir: &Path) -> String {
    std::fs::read_to_string(dir.join("serve.err")).unwrap_or_default()
}

on_both! {
    async fn credentials_that_are_refused_are_in_no_log(test_db) {
        let sink = SmtpSink::start(Script::accept_all().requires_login("me", "another password")).await;
        let listen = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
        let program = Program::set_up(&test_db)
            .with("VERDICTS_LOG", "trace")
            .with("VERDICTS_SITE__LISTEN", &listen.to_string())
            .with("VERDICTS_SITE__SECRET", &format!("[\"{MARK}\", \"a secret for tests only\"]"))
            .with("VERDICTS_MAIL__TRANSPORT", &sink.url_as("me", MARK))
            .with("VERDICTS_MAIL__FROM", "news@verdicts.example")
            .with("VERDICTS_INBOUND__IMAP", &refusing_mailbox().await)
            .with("VERDICTS_INBOUND__LMTP", "")
            .with("VERDICTS_WEBHOOKS_IN__POSTMARK", &format!("me:{MARK}"))
            .with("VERDICTS_WEBHOOKS_IN__MAILGUN", MARK)
            .with("VERDICTS_WEBHOOKS_IN__SIGNED", MARK);
        let mut running = program.start("serve", &["serve", "--role", "web,deliver,inbound"]);
        let dir = test_db.dir.path().to_path_buf();
        until("the mailbox refused", async || log(&dir).contains("cannot be read")).await;
        let web = reqwest::Client::new();
        let form = [("email", "ada@reader.example")];
        web.post(format!("http://{listen}/subscribe")).form(&form).send().await.expect("an answer");
        for (path, login) in [("postmark", format!("wrong {MARK}")), ("mailgun", MARK.into()), ("signed", MARK.into())] {
            let request = web.post(format!("http://{listen}/webhooks/{path}")).basic_auth("me", Some(login)).body(r#"{"RecordType":"Bounce"}"#);
            let status = request.send().await.expect("an answer").status();
            assert!(status.is_client_error(), "{path}: {status}");
        }
        until("the relay refused", async || log(&dir).contains("refused our login")).await;
        running.terminate();
        keeps_quiet("serve", &log(&dir));
        for command in ["doctor", "config"] {
            let said = program.run(&[command]);
            keeps_quiet(command, &format!("{}{}", said.out, said.err));
        }
    }

    async fn the_open_database_prints_no_password(test_db) {
        if test_db.is_postgres() {
            let url = test_db.database_url.replace("postgres@", &format!("postgres:{MARK}@"));
            let test_app = TestApp::open_with(test_db, |settings| settings.database.url = url.into()).await;
            keeps_quiet("the storage", &format!("{:?} {:?}", test_app.app.storage, test_app.app.settings));
        }
        let secret: Secret = MARK.into();
        keeps_quiet("a secret", &format!("{secret:?}"));
    }
}

#[test]
fn a_database_that_refuses_the_password_is_told_of_without_it() {
    let Some(cluster) = postgres::another("", None) else {
        return;
    };
    cluster.query("create role walled login password 'another'");
    let rules = cluster.folder().join("data/pg_hba.conf");
    let known = std::fs::read_to_string(&rules).expect("rules");
    let mut file = std::fs::File::create(&rules).expect("rules");
    write!(file, "host all walled 127.0.0.1/32 scram-sha-256\n{known}").expect("written");
    cluster.query("select pg_reload_conf()");
    let test_db = TestDb::sqlite();
    for url in [
        format!(
            "postgres://walled:{MARK}@127.0.0.1:{}/postgres",
            cluster.port()
        ),
        format!(
            "postgres://walled:{MARK}@127.0.0.1:{0},127.0.0.1:{0}/postgres",
            cluster.port()
        ),
        format!("postgres://walled:{MARK}@127.0.0.1:1/postgres"),
        // An unescaped slash in a password: the rest of it is taken for the database.
        format!("postgres://127.0.0.1:12/{MARK}@127.0.0.1/postgres"),
    ] {
        let program = Program::in_place(&test_db)
            .with("VERDICTS_DATABASE__URL", &url)
            .with("VERDICTS_DATABASE__WAIT_AT_START", "0s")
            .with("VERDICTS_LOG", "trace");
        for command in ["migrate", "doctor", "serve"] {
            let said = program.run(&[command]);
            assert_eq!(said.code, 1, "{command}: {said:?}");
            keeps_quiet(command, &format!("{}{}", said.out, said.err));
        }
    }
}

#[test]
fn a_signing_key_that_cannot_be_read_is_refused_without_a_line_of_it() {
    let test_db = TestDb::sqlite();
    let program = Program::set_up(&test_db).with("VERDICTS_LOG", "trace");
    for key in [
        format!("-----BEGIN PRIVATE KEY-----\n{MARK}\n-----END PRIVATE KEY-----\n"),
        format!("-----BEGIN RSA PRIVATE KEY-----\n{MARK}\n"),
        MARK.to_owned(),
    ] {
        program.write("key.pem", &key);
        program.write("own.toml", "[[mail.dkim]]\ndomain = \"verdicts.example\"\nselector = \"one\"\nkey_file = \"key.pem\"\n");
        for command in ["doctor", "serve"] {
            let said = program.run(&["--config", "own.toml", command]);
            assert_eq!(said.code, 1, "{said:?}");
            keeps_quiet(command, &format!("{}{}", said.out, said.err));
        }
    }
}
