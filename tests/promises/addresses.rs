//! A name whose first address leads nowhere: mail goes out, comes in, and the database is reached by the next one, while the first is
//! still silent; a line in the log and `doctor` name it.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tokio::io::copy_bidirectional;
use tokio::net::TcpListener;
use tokio::net::TcpSocket;
use tokio::net::TcpStream;
use tokio::time::timeout;
use verdicts::domain::subscriber::SubscriberState;

use crate::inbound::READER;
use crate::inbound::app_with_a_reader_and;
use crate::inbound::report;
use crate::inbound::return_path;
use crate::mailboxes::server::Server;
use crate::support::Program;
use crate::support::Script;
use crate::support::SmtpSink;
use crate::support::TestApp;
use crate::support::TestDb;
use crate::support::on_both;
use crate::support::postgres;
use crate::support::until;

/// The manners of a dead address.
#[derive(Debug, Clone, Copy)]
enum Silence {
    /// It drops what comes, as a firewall does: a listener whose queue is full.
    Drops,
    /// It accepts connections and says nothing: a host behind which nobody works.
    Accepts,
}

const SILENCES: [Silence; 2] = [Silence::Drops, Silence::Accepts];

/// 127.0.0.1, silent, and 127.0.0.2, where a server is: the resolver names them in this order (RFC 6724, rule 9: this machine's own address
/// is nearer).
struct TwoAddresses {
    port: u16,
    _silent: TcpListener,
    _queued: Vec<TcpStream>,
}

impl TwoAddresses {
    /// Leads what comes to the second address on to a port of 127.0.0.1.
    async fn before(server: u16, silence: Silence) -> Self {
        // The port that is free at one address may be in use at the other.
        for _ in 0..50 {
            if let Some(both) = Self::at(0, server, silence).await {
                return both;
            }
        }
        panic!("no port is free at both addresses");
    }

    /// The same at a port of one's choice; `None` where that is not to be had.
    async fn at(port: u16, server: u16, silence: Silence) -> Option<Self> {
        let good = TcpListener::bind(("127.0.0.2", port)).await.ok()?;
        let port = good.local_addr().expect("an address").port();
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_reuseaddr(true).expect("set");
        socket.bind(([127, 0, 0, 1], port).into()).ok()?;
        let silent = socket
            .listen(if matches!(silence, Silence::Drops) {
                0
            } else {
                64
            })
            .expect("it listens");
        tokio::spawn(async move {
            while let Ok((mut client, _)) = good.accept().await {
                tokio::spawn(async move {
                    let mut server = TcpStream::connect(("127.0.0.1", server))
                        .await
                        .expect("the server is there");
                    let _ = copy_bidirectional(&mut client, &mut server).await;
                });
            }
        });
        let mut queued = Vec::new();
        if matches!(silence, Silence::Drops) {
            while let Ok(Ok(tcp)) = timeout(
                Duration::from_millis(100),
                TcpStream::connect(("127.0.0.1", port)),
            )
            .await
            {
                queued.push(tcp);
            }
        }
        Some(Self {
            port,
            _silent: silent,
            _queued: queued,
        })
    }
}

/// Findings of `doctor`, with a name server that is not there.
fn doctor(program: &Program) -> Findings {
    let said = program
        .clone()
        .with("VERDICTS_MAIL__RESOLVER", "127.0.0.1:9")
        .run(&["--json", "doctor"])
        .json();
    Findings(said["findings"].as_array().expect("a list").clone())
}

struct Findings(Vec<serde_json::Value>);

impl Findings {
    /// Checks that there is such a finding, with all of `words` in it.
    fn say(&self, what: &str, level: &str, words: &[&str]) {
        let is_it = |finding: &&serde_json::Value| {
            let said = finding["words"].as_str().expect("words");
            finding["what"] == what
                && finding["level"] == level
                && words.iter().all(|word| said.contains(word))
        };
        assert!(
            self.0.iter().any(|finding| is_it(&finding)),
            "{what}, {level}, {words:?} in {:#?}",
            self.0
        );
    }
}

fn hosts(name: &str) -> String {
    format!("127.0.0.1 {name}\n127.0.0.2 {name}\n")
}

fn log(program: &Program, name: &str) -> String {
    std::fs::read_to_string(program.dir.join(format!("{name}.err"))).unwrap_or_default()
}

/// Checks that the log names the dead address, once.
fn names_it_once(program: &Program, name: &str) {
    let log = log(program, name);
    let lines: Vec<_> = log
        .lines()
        .filter(|line| line.contains(" failed ("))
        .collect();
    assert!(
        lines.len() == 1 && lines[0].contains("127.0.0.1") && lines[0].contains("using 127.0.0.2"),
        "{log}"
    );
}

on_both! {
    async fn mail_goes_out_by_a_relay_whose_first_address_is_silent(test_db) {
        let test_app = TestApp::open(test_db.again()).await;
        for silence in SILENCES {
            let sink = SmtpSink::start(Script::accept_all()).await;
            let relay = TwoAddresses::before(sink.port(), silence).await;
            let program = Program::set_up(&test_app.test_db);
            let Some(program) = program.knowing(&hosts("relay.example")) else { return };
            let program = program.with("VERDICTS_MAIL__TRANSPORT", &format!("smtp://relay.example:{}?tls=none", relay.port));
            let reader = format!("{silence:?}@reader.example");
            test_app.sign_up(&reader).await;
            let name = format!("{silence:?}");
            let mut serve = program.start(&name, &["serve", "--role", "deliver"]);
            until("the mail is out, with the other address still held", async || sink.mails() == 1).await;
            serve.terminate();
            names_it_once(&program, &name);
            let found = doctor(&program);
            found.say("addresses", "advice", &["relay.example", "1 of 2 addresses", "127.0.0.1 (no answer"]);
            found.say("transport", "good", &["relay.example"]);
        }
    }

    async fn a_certificate_is_verified_by_the_name_whichever_address_answers(test_db) {
        for script in [Script::accept_all().offers_starttls(), Script::accept_all().implicit_tls()] {
            let sink = SmtpSink::start(script.requires_login("news", "hunter2")).await;
            let relay = TwoAddresses::before(sink.port(), Silence::Accepts).await;
            let certificate = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, sink.certificate().expect("one"));
            let url = sink.url_as("news", "hunter2");
            let through = |host: &str, program: Program| {
                let there = url.replace(&format!("127.0.0.1:{}", sink.port()), &format!("{host}:{}", relay.port));
                let mark = if there.contains('?') { '&' } else { '?' };
                program.with("VERDICTS_MAIL__TRANSPORT", &format!("{there}{mark}tls_ca=ca.pem"))
            };
            let program = Program::set_up(&test_db);
            program.write("ca.pem", format!("-----BEGIN CERTIFICATE-----\n{certificate}\n-----END CERTIFICATE-----\n"));
            let Some(program) = program.knowing(&format!("{}{}", hosts("localhost"), hosts("relay.example"))) else { return };
            doctor(&through("localhost", program.clone())).say("transport", "good", &["verified"]);
            doctor(&through("relay.example", program)).say("transport", "fault", &["certificate is not trusted"]);
        }
    }

    async fn a_mailbox_whose_first_address_is_silent_is_read(test_db) {
        let test_app = app_with_a_reader_and(test_db, |_| {}).await;
        let server = Server::start().await;
        for silence in SILENCES {
            let mailbox = TwoAddresses::before(server.port(), silence).await;
            let Some(program) = Program::set_up(&test_app.test_db).knowing(&hosts("localhost")) else { return };
            let program = program
                .with("VERDICTS_INBOUND__IMAP", &format!("imap://user:pa%20ss@localhost:{}/INBOX?tls=none", mailbox.port))
                .with("VERDICTS_INBOUND__LMTP", "")
                .with("VERDICTS_MAIL__RETURN_PATH", "bounces+{verp}@verdicts.example")
                .with("VERDICTS_MAIL__FROM", "Ship or Skip <news@verdicts.example>");
            let name = format!("{silence:?}");
            server.put(1, &report(&return_path(&test_app, READER), READER, "550 5.1.1 user unknown"));
            let mut serve = program.start(&name, &["serve", "--role", "inbound"]);
            until("the mail is read", async || server.flags(1).contains("Seen")).await;
            serve.terminate();
            names_it_once(&program, &name);
            doctor(&program).say("addresses", "advice", &["localhost", "127.0.0.1 (no answer"]);
        }
        assert_eq!(test_app.state_of(READER).await, Some(SubscriberState::Bounced));
    }
}

/// Amazon's certificate is asked for by TLS, to a name that is no test's: that the question arrives is what can be seen here.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_webhook_names_is_asked_for_at_the_address_that_answers() {
    let amazon = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = amazon.local_addr().expect("an address").port();
    let test_db = TestDb::sqlite();
    let Some(program) = Program::set_up(&test_db).knowing(&hosts("sns.eu-west-1.amazonaws.com"))
    else {
        return;
    };
    let Some(_addresses) = TwoAddresses::at(443, port, Silence::Drops).await else {
        eprintln!(
            "Port 443 is not to be had here (root may, if it is free): what webhooks name is not tried."
        );
        return;
    };
    let listen = TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port")
        .local_addr()
        .expect("an address");
    let topic = "arn:aws:sns:eu-west-1:123456789012:bounces";
    let program = program
        .with("VERDICTS_SITE__LISTEN", &listen.to_string())
        .with("VERDICTS_WEBHOOKS_IN__SES", topic);
    let mut serve = program.start("serve", &["serve", "--role", "web"]);
    until("it listens", async || {
        TcpStream::connect(listen).await.is_ok()
    })
    .await;
    let envelope = serde_json::json!({
        "Type": "Notification", "MessageId": "1", "TopicArn": topic, "Message": "{}", "Timestamp": "2026-11-24T09:00:00.000Z",
        "SignatureVersion": "2", "Signature": "AA==",
        "SigningCertURL": "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0123456789abcdef.pem",
    });
    let told = reqwest::Client::new()
        .post(format!("http://{listen}/webhooks/ses"))
        .body(envelope.to_string())
        .send();
    let asked = async {
        let (mut question, _) = amazon
            .accept()
            .await
            .expect("a connection, with the other address still held");
        let mut first = [0];
        tokio::io::AsyncReadExt::read_exact(&mut question, &mut first)
            .await
            .expect("a question");
        first[0]
    };
    let (told, first) = tokio::join!(told, asked);
    // RFC 8446, 5.1: a handshake.
    assert_eq!(first, 22);
    assert!(!told.expect("an answer").status().is_success());
    serve.terminate();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_whose_first_address_is_silent_is_used() {
    let Some(test_db) = TestDb::postgres() else {
        return;
    };
    let server: u16 = test_db
        .database_url
        .split([':', '/'])
        .nth(4)
        .and_then(|port| port.parse().ok())
        .expect("a port");
    Program::set_up(&test_db);
    for silence in SILENCES {
        let database = TwoAddresses::before(server, silence).await;
        let url = test_db.database_url.replace(
            &format!("127.0.0.1:{server}"),
            &format!("db.example:{}", database.port),
        );
        let Some(program) = Program::set_up(&test_db).knowing(&hosts("db.example")) else {
            return;
        };
        for mode in ["prefer", "disable"] {
            let program = program
                .clone()
                .with("VERDICTS_DATABASE__URL", &format!("{url}?sslmode={mode}"));
            let said = program.run(&["--json", "digest", "list"]).good();
            assert!(said.err.contains("address 127.0.0.1 failed"), "{said:?}");
            doctor(&program).say(
                "addresses",
                "advice",
                &["db.example", "127.0.0.1 (no answer"],
            );
        }
    }
}

/// A server with a certificate for `db.example`, in a folder that its user can read.
fn server_with_tls(folder: &Path) -> Option<postgres::Cluster> {
    let made =
        rcgen::generate_simple_self_signed(["db.example".to_owned()]).expect("a certificate");
    let (certificate, key) = (folder.join("server.pem"), folder.join("server.key"));
    std::fs::write(&certificate, made.cert.pem()).expect("written");
    std::fs::write(&key, made.signing_key.serialize_pem()).expect("written");
    for (path, mode) in [(folder, 0o755), (&certificate, 0o644), (&key, 0o600)] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("set");
    }
    // Where the tests run as root, the server does not.
    let _ = Command::new("chown").arg("postgres").arg(&key).output();
    let settings = format!(
        "ssl = on\nssl_cert_file = '{}'\nssl_key_file = '{}'",
        certificate.display(),
        key.display()
    );
    postgres::another(&settings, None)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_certificate_is_verified_by_the_name_and_a_dead_address_costs_nothing_later() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(cluster) = server_with_tls(folder.path()) else {
        return;
    };
    let url = cluster.fresh_database();
    let server: u16 = url
        .split([':', '/'])
        .nth(4)
        .and_then(|port| port.parse().ok())
        .expect("a port");
    let test_db = TestDb {
        dir: tempfile::tempdir().expect("a folder"),
        database_url: url.clone(),
    };
    for silence in SILENCES {
        let database = TwoAddresses::before(server, silence).await;
        let Some(program) = Program::set_up(&test_db).knowing(&format!(
            "{}{}",
            hosts("db.example"),
            hosts("other.example")
        )) else {
            return;
        };
        let there = |host: &str| {
            let there = url.replace(
                &format!("127.0.0.1:{server}"),
                &format!("{host}:{}", database.port),
            );
            let root = folder.path().join("server.pem");
            program.clone().with(
                "VERDICTS_DATABASE__URL",
                &format!("{there}?sslmode=verify-full&sslrootcert={}", root.display()),
            )
        };
        let said = there("db.example")
            .run(&["--json", "digest", "list"])
            .good();
        assert!(said.err.contains("address 127.0.0.1 failed"), "{said:?}");
        there("other.example")
            .run(&["--json", "digest", "list"])
            .refused(&["certificate"]);
        // Of several hosts each is verified by its own name.
        let others = format!("other.example:{0},other.example", database.port);
        there(&others)
            .run(&["--json", "digest", "list"])
            .refused(&["none of its hosts answers", "certificate"]);
        there(&format!("other.example:{},db.example", database.port))
            .run(&["--json", "digest", "list"])
            .good();
        // A service opens connections as it needs them: none of them waits for the dead address.
        let program = there("db.example").with("VERDICTS_SITE__LISTEN", "127.0.0.1:0");
        let test_app = TestApp::open(test_db.again()).await;
        let email = format!("{silence:?}@reader.example");
        test_app.sign_up(&email).await;
        let name = format!("{silence:?}");
        let mut serve = program.start(&name, &["serve", "--role", "deliver"]);
        until("the mail is out", async || {
            test_app.waiting_confirmations().await == 0
        })
        .await;
        serve.terminate();
        names_it_once(&program, &name);
    }
}
