//! The crash promise, kept by the compiled program: killed at any instant, nobody is lost, and at most one more copy goes
//! out for each connection, each named in the ledger. Stopped in order: none at all. Many senders: each mail once.

use std::collections::HashMap;
use std::time::Duration;

use crate::support::HeldLedger;
use crate::support::Program;
use crate::support::Script;
use crate::support::SmtpSink;
use crate::support::TestDb;
use crate::support::catalogue;
use crate::support::on_both;
use crate::support::until;

const READERS: usize = 2_000;
const CONNECTIONS: usize = 10;

/// The program with `READERS` people on the list, a catalogue of this hour, and that relay.
fn program(test_db: &TestDb, sink: &SmtpSink) -> Program {
    let program = Program::in_place(test_db)
        .with("VERDICTS_MAIL__TRANSPORT", &sink.url())
        .with("VERDICTS_MAIL__CONNECTIONS", &CONNECTIONS.to_string())
        .with("VERDICTS_SITE__SECRET", "a secret for tests only")
        .with("VERDICTS_SITE__LISTEN", "127.0.0.1:0");
    program.run(&["migrate"]).good();
    #[allow(
        clippy::disallowed_methods,
        reason = "the program looks at the machine's clock, so its catalogue must be of today"
    )]
    let now = chrono::Utc::now();
    program
        .run_with_input(&["catalog", "import", "-"], catalogue_json(now).as_bytes())
        .good();
    let rows: String = (0..READERS)
        .map(|n| format!("r{n}@example.org\n"))
        .collect();
    let imported = program
        .run_with_input(
            &[
                "subscribers",
                "import",
                "-",
                "--consent",
                "test",
                "--confirmed",
                "--json",
            ],
            format!("email\n{rows}").as_bytes(),
        )
        .good();
    assert_eq!(imported.json()["added"], READERS);
    program
}

pub fn catalogue_json(now: verdicts::domain::Timestamp) -> String {
    use verdicts::app::catalogue::document::Catalogue;
    use verdicts::app::catalogue::document::Format;
    let catalogue = Catalogue::parse(&catalogue::small(5, now), Format::Toml).expect("a catalogue");
    catalogue.write(Format::Json).expect("written")
}

/// How many copies each reader has.
fn copies(sink: &SmtpSink) -> HashMap<String, usize> {
    sink.received()
        .into_iter()
        .fold(HashMap::new(), |mut counts, mail| {
            *counts.entry(mail.to).or_default() += 1;
            counts
        })
}

/// Everybody has it, and who has it twice is named in the ledger; answers how many do.
fn everybody_has_it(program: &Program, sink: &SmtpSink) -> usize {
    let copies = copies(sink);
    assert_eq!(copies.len(), READERS, "nobody is lost");
    let audit = program.run(&["digest", "audit", "--json"]).good().json();
    let digest = &audit["digests"][0];
    assert_eq!(digest["deliveries"]["sent"], READERS, "{digest}");
    let mut doubted = std::collections::HashSet::new();
    for doubt in digest["doubts"].as_array().expect("a list") {
        doubted.insert(doubt["subscriber"].as_str().expect("an id").to_owned());
    }
    let listed = program
        .run(&["subscribers", "list", "--json"])
        .good()
        .json();
    let id_of: HashMap<&str, &str> = listed["subscribers"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|s| {
            (
                s["email"].as_str().expect("one"),
                s["id"].as_str().expect("one"),
            )
        })
        .collect();
    let extra: Vec<&String> = copies
        .iter()
        .filter(|(_, count)| **count > 1)
        .map(|(to, _)| to)
        .collect();
    for reader in &extra {
        assert!(
            doubted.contains(id_of[reader.as_str()]),
            "{reader} has an extra copy that the ledger does not name"
        );
    }
    copies.values().sum::<usize>() - READERS
}

on_both! {
    async fn killed_during_a_send_and_started_again_nobody_is_lost(test_db) {
        let sink = SmtpSink::start(Script::accept_all().delay(Duration::from_millis(2))).await;
        let program = program(&test_db, &sink);
        let mut kills = 0;
        for at in [300, 900, 1500] {
            let mut sending = program.start("send", &["digest", "send"]);
            sink.wait_for(at, Duration::from_secs(60)).await;
            sending.kill();
            kills += 1;
        }
        assert!(sink.mails() < READERS, "the kills came in time");
        program.run(&["digest", "send"]).good();
        // What was in doubt waits for its retry; nothing was in doubt by a lost connection here, so it went out at once.
        let extra = everybody_has_it(&program, &sink);
        assert!(extra <= kills * CONNECTIONS, "{extra} extra copies after {kills} kills");
    }

    async fn stopped_in_order_it_sends_nobody_an_extra_copy(test_db) {
        let sink = SmtpSink::start(Script::accept_all().delay(Duration::from_millis(2))).await;
        let program = program(&test_db, &sink);
        for at in [400, 1200] {
            let mut sending = program.start("send", &["digest", "send"]);
            sink.wait_for(at, Duration::from_secs(60)).await;
            assert_eq!(sending.terminate(), Some(1), "it says that it did not finish");
        }
        assert!(sink.mails() < READERS, "the signals came in time");
        program.run(&["digest", "send"]).good();
        assert_eq!(everybody_has_it(&program, &sink), 0);
        assert!(program.run(&["digest", "audit"]).good().out.contains("0 once in doubt"));
    }

    async fn while_the_ledger_cannot_be_written_each_connection_ends_one_mail_at_the_most(test_db) {
        let sink = SmtpSink::start(Script::accept_all().delay(Duration::from_millis(2))).await;
        let program = program(&test_db, &sink);
        let mut sending = program.start("send", &["digest", "send"]);
        sink.wait_for(300, Duration::from_secs(60)).await;
        let mut held = HeldLedger::of(&test_db).await;
        let recorded = held.sent().await;
        let mut taken = 0;
        until("nothing more is sent", async || {
            let before = sink.mails();
            tokio::time::sleep(Duration::from_millis(500)).await;
            taken = sink.mails();
            taken == before
        }).await;
        assert!((recorded..=recorded + CONNECTIONS).contains(&taken) && taken < READERS, "{taken} were taken, {recorded} are written down");
        drop(held);
        assert_eq!(sending.end(), Some(0));
        assert_eq!(everybody_has_it(&program, &sink), 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_senders_on_one_postgresql_deliver_each_mail_once() {
    let Some(test_db) = TestDb::postgres() else {
        return;
    };
    let sink = SmtpSink::start(Script::accept_all()).await;
    let program = program(&test_db, &sink);
    let mut senders = [
        program.start("one", &["digest", "send"]),
        program.start("two", &["digest", "send"]),
    ];
    sink.wait_for(READERS, Duration::from_secs(120)).await;
    assert_eq!(
        senders.each_mut().map(|sender| sender.end()),
        [Some(0), Some(0)]
    );
    assert_eq!(everybody_has_it(&program, &sink), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_sends_beside_a_running_service_on_one_sqlite_file() {
    let test_db = TestDb::sqlite();
    let sink = SmtpSink::start(Script::accept_all()).await;
    let program = program(&test_db, &sink);
    let mut serving = program.start("serve", &["serve"]);
    program.run(&["digest", "send"]).good();
    assert_eq!(everybody_has_it(&program, &sink), 0);
    program
        .run(&[
            "subscribers",
            "add",
            "new@example.org",
            "--consent",
            "by phone",
        ])
        .good();
    sink.wait_for(READERS + 1, Duration::from_secs(20)).await;
    assert_eq!(serving.terminate(), Some(0));
}
