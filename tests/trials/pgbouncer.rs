//! PostgreSQL behind Debian's pgbouncer in transaction mode: sign-up to digest, and the trial of `machines`.

use std::process::Child;
use std::process::Stdio;
use std::time::Duration;

use crate::field::publish;
use crate::machines::share_a_send;
use crate::support::Program;
use crate::support::Script;
use crate::support::SmtpSink;
use crate::support::TestDb;
use crate::support::postgres;
use crate::support::postgres::Cluster;
use crate::support::say;
use crate::support::setting;

const PGBOUNCER: &str = "/usr/sbin/pgbouncer";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_machines_share_a_send_through_pgbouncer_in_transaction_mode() {
    let Some((cluster, bouncer)) = bouncer() else {
        return;
    };
    let database_url = cluster.fresh_database();
    share_a_send(
        &database_url,
        Some(&bouncer.url_for(&database_url)),
        setting("MACHINES_READERS", 20_000) / 4,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_the_tables_to_the_audit_all_works_through_pgbouncer_in_transaction_mode() {
    let Some((cluster, bouncer)) = bouncer() else {
        return;
    };
    let database_url = cluster.fresh_database();
    let test_db = TestDb {
        dir: tempfile::tempdir().expect("a folder"),
        database_url: bouncer.url_for(&database_url),
    };
    let sink = SmtpSink::start(Script::accept_all()).await;
    let program = Program::in_place(&test_db)
        .with("VERDICTS_DATABASE__DIRECT_URL", &database_url)
        .with("VERDICTS_SITE__SECRET", "a secret for tests only")
        .with("VERDICTS_SITE__LISTEN", "127.0.0.1:0")
        .with("VERDICTS_MAIL__TRANSPORT", &sink.url())
        .with("VERDICTS_DATABASE__DURABILITY", "relaxed");
    program
        .run(&["serve", "--role", "deliver"])
        .refused(&["run `verdicts migrate`"]);
    program.run(&["migrate"]).good();
    program.run(&["migrate"]).good();
    let running = program.start("serve", &["serve", "--role", "deliver"]);
    program
        .run(&["subscribers", "add", "ada@example.org", "--consent", "x"])
        .good();
    sink.wait_for(1, Duration::from_secs(20)).await;
    drop(running);
    let (_, digest) = publish(
        &program
            .clone()
            .with("VERDICTS_MAIL__TRANSPORT", "smtp://127.0.0.1:1?tls=none"),
        2_000,
    );
    let sent = program.run(&["--json", "digest", "send"]).good().json();
    assert_eq!(sent["deliveries"]["sent"], 2_000, "{sent}");
    assert_eq!(
        program
            .run(&["--json", "digest", "audit", &digest])
            .good()
            .json()["holds"],
        true
    );
    assert_eq!(sink.mails(), 1 + 2_000);
}

#[test]
fn a_pooler_that_the_settings_do_not_announce_is_refused_by_the_name_of_the_setting() {
    let Some((cluster, bouncer)) = bouncer() else {
        return;
    };
    let database_url = cluster.fresh_database();
    let test_db = TestDb {
        dir: tempfile::tempdir().expect("a folder"),
        database_url: bouncer.url_for(&database_url),
    };
    let program = Program::in_place(&test_db);
    for command in [&["migrate"][..], &["serve"], &["digest", "list"]] {
        program.run(command).refused(&[
            "A pooler (pgbouncer) stands at database.url",
            "Set database.direct_url",
        ]);
    }
}

/// None where one of the two is not installed, which is said.
fn bouncer() -> Option<(&'static Cluster, Bouncer)> {
    let cluster = postgres::cluster()?;
    let bouncer = Bouncer::before(cluster);
    if bouncer.is_none() {
        say(
            "pgbouncer was not found: the trial through it is left out. On Debian: apt-get install pgbouncer",
        );
    }
    Some((cluster, bouncer?))
}

/// pgbouncer in front of a cluster: a connection to the server lasts one transaction. Far fewer of them than clients, so that
/// they change hands all the time.
struct Bouncer {
    running: Child,
    port: u16,
}

impl Bouncer {
    fn before(cluster: &Cluster) -> Option<Self> {
        if !std::path::Path::new(PGBOUNCER).exists() {
            return None;
        }
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .expect("a port")
            .port();
        let file = cluster.folder().join(format!("pgbouncer-{port}.ini"));
        let settings = format!(
            "[databases]\n* = host=127.0.0.1 port={} user=postgres\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = any\npool_mode = transaction\ndefault_pool_size = 5\nmax_client_conn = 200\n",
            cluster.port()
        );
        std::fs::write(&file, settings).expect("written");
        let mut command = cluster.companion(PGBOUNCER);
        command
            .arg("-q")
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let running = command.spawn().expect("pgbouncer starts");
        let is_there = (0..200).any(|_| {
            std::thread::sleep(Duration::from_millis(20));
            std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        assert!(is_there, "pgbouncer listens");
        Some(Self { running, port })
    }

    /// The same database through it.
    fn url_for(&self, database_url: &str) -> String {
        let name = database_url.rsplit('/').next().unwrap_or_default();
        format!("postgres://postgres@127.0.0.1:{}/{name}", self.port)
    }
}

impl Drop for Bouncer {
    fn drop(&mut self) {
        let _ = self.running.kill();
        let _ = self.running.wait();
    }
}
