//! Sending by hand: nobody is mailed unasked, and what somebody looked at is what goes out.

mod drafts;
mod weeks;

use std::collections::HashMap;
use std::io::Write;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;

use verdicts::app::Clock;
use verdicts::app::issue::preflight::Preflight;
use verdicts::app::issue::sending::SendOrder;
use verdicts::domain::Timestamp;
use verdicts::domain::actor::Actor;

use crate::support::Program;
use crate::support::Script;
use crate::support::SmtpSink;
use crate::support::TestApp;
use crate::support::TestDb;
use crate::support::catalogue::small;
use crate::support::on_both;
use crate::support::test_app::START;
use crate::support::this_week;

fn start() -> Timestamp {
    START.parse().expect("a moment")
}

/// The machine's clock, by which the program goes.
fn now() -> Timestamp {
    Clock::system().now()
}

async fn tick_at(test_app: &TestApp, moment: &str) {
    test_app.set_clock(moment);
    test_app.app.tick().await.expect("a tick");
}

/// A program with five new comparisons and two readers, whose mail goes to `sink`.
fn ready(test_db: &TestDb, sink: &SmtpSink) -> Program {
    let program = Program::set_up(test_db)
        .with("VERDICTS_MAIL__TRANSPORT", &sink.url())
        .with("VERDICTS_MAIL__FROM", "News <news@verdicts.example>");
    program.write("c.toml", small(5, now()));
    program.write("l.csv", "email\nada@example.org\nbob@example.org\n");
    program.run(&["catalog", "import", "c.toml"]).good();
    program
        .run(&[
            "subscribers",
            "import",
            "l.csv",
            "--consent",
            "x",
            "--confirmed",
        ])
        .good();
    program
}

/// Runs the program on a terminal of its own, where somebody types `answer`; gives the exit code and all that was shown.
fn on_a_terminal(program: &Program, arguments: &str, answer: &str) -> (i32, String) {
    let line = format!("{} {arguments}", env!("CARGO_BIN_EXE_verdicts"));
    let mut script = Command::new("script");
    script
        .args(["--quiet", "--return", "--command", &line, "/dev/null"])
        .current_dir(&program.dir)
        .envs(program.variables());
    let mut child = script
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("script(1) starts");
    child
        .stdin
        .take()
        .expect("a pipe")
        .write_all(answer.as_bytes())
        .expect("typed");
    let output = child.wait_with_output().expect("it ends");
    (
        output.status.code().unwrap_or(-1),
        String::from_utf8_lossy(&output.stdout).into_owned(),
    )
}

fn order(slot: Option<&str>, other_week: bool) -> SendOrder {
    SendOrder {
        slot: slot.map(|slot| slot.parse().expect("a slot")),
        other_week,
        preflight: Preflight::Heeded,
    }
}

/// The sentence with which a send is refused.
async fn refused(test_app: &TestApp, order: SendOrder) -> String {
    let (stop, progress) = (Default::default(), Default::default());
    match test_app
        .app
        .send_digest(&Actor::cli(), order, &stop, &progress, |_| {})
        .await
    {
        Err(failure) => failure.to_string(),
        Ok(sent) => panic!("not refused: {sent:?}"),
    }
}

on_both! {
    async fn a_send_takes_no_time_and_says_what_to_do_instead(test_db) {
        let sink = SmtpSink::start(Script::accept_all()).await;
        let program = ready(&test_db, &sink);
        for time in [&["--at", "2026-12-08T09:00:00Z"][..], &["--at"], &["--at=tomorrow"]] {
            let said = program.run(&[&["digest", "send"], time].concat());
            assert_eq!((said.code, said.out.as_str()), (2, ""), "{said:?}");
            assert!(said.err.contains("--as-of TIME") && said.err.contains("--send-at TIME"), "{said:?}");
        }
        assert_eq!(sink.mails(), 0);
        assert!(program.run(&["--json", "digest", "list"]).good().json()["digests"].as_array().is_some_and(Vec::is_empty));
    }

    async fn on_a_terminal_a_send_asks_first_and_only_a_yes_is_one(test_db) {
        let sink = SmtpSink::start(Script::accept_all()).await;
        let program = ready(&test_db, &sink);
        let question = format!("Send {} to 2 readers now? [y/N]", this_week());
        for answer in ["n\n", "\n", "yesterday\n", "\u{4}"] {
            let (code, shown) = on_a_terminal(&program, "digest send", answer);
            assert!(code == 1 && shown.contains(&question) && shown.contains("Nothing was sent."), "{answer:?}: {code} {shown}");
        }
        assert!(program.run(&["--json", "digest", "list"]).good().json()["digests"].as_array().is_some_and(Vec::is_empty));
        assert_eq!(sink.mails(), 0);
        let (code, shown) = on_a_terminal(&program, "digest send", "y\n");
        assert!(code == 0 && shown.contains(&question), "{code} {shown}");
        assert_eq!(sink.mails(), 2);
        let (code, shown) = on_a_terminal(&program, "digest send", "");
        assert!(code == 0 && !shown.contains("[y/N]") && shown.contains("was sent already"), "nothing to ask about: {code} {shown}");
    }

    async fn with_yes_nothing_is_asked(test_db) {
        let sink = SmtpSink::start(Script::accept_all()).await;
        let program = ready(&test_db, &sink);
        let (code, shown) = on_a_terminal(&program, "digest send --yes", "");
        assert!(code == 0 && !shown.contains("[y/N]"), "{code} {shown}");
        assert_eq!(sink.mails(), 2);
    }

    async fn several_test_copies_go_to_their_addresses_and_change_nothing(test_db) {
        let sink = SmtpSink::start(Script::accept_all()).await;
        let program = ready(&test_db, &sink);
        let before = test_db.dump_without_quotas().await;
        let said = program.run(&["--json", "digest", "send", "--to", "ed@example.org", "di@example.org"]).good().json();
        assert_eq!((&said["copies"][0]["to"], &said["copies"][1]["to"]), (&"ed@example.org".into(), &"di@example.org".into()));
        assert_eq!((test_db.dump_without_quotas().await, sink.mails()), (before, 2));
    }

    async fn times_are_shown_by_the_clocks_of_the_site_and_in_utc_for_programs(test_db) {
        let test_app = TestApp::open(test_db.again()).await;
        test_app.stock_small().await;
        tick_at(&test_app, "2026-11-24T08:00:00Z").await;
        let program = Program::set_up(&test_db).with("VERDICTS_SITE__TIMEZONE", "America/New_York");
        let text = program.run(&["digest", "list"]).good().out;
        assert!(text.contains("due 2026-11-24 04:00:00 -05:00"), "{text}");
        test_app.seed_subscribers("reader", 1).await;
        for command in [&["subscribers", "list"][..], &["subscribers", "show", "reader0@example.org"]] {
            let text = program.run(command).good().out;
            assert!(text.contains("2026-11-24 03:00:0") && text.contains(" -05:00") && !text.contains("Z "), "{text}");
        }
        assert_eq!(program.run(&["--json", "digest", "list"]).good().json()["digests"][0]["send_at"], "2026-11-24T09:00:00Z");
        let text = program.with("VERDICTS_SITE__TIMEZONE", "UTC").run(&["digest", "list"]).good().out;
        assert!(text.contains("due 2026-11-24 09:00:00 UTC"), "{text}");
    }

    async fn a_hangup_in_mid_send_ends_it_in_order_and_nobody_gets_it_twice(test_db) {
        let sink = SmtpSink::start(Script::accept_all().delay(Duration::from_millis(15))).await;
        let program = ready(&test_db, &sink).with("VERDICTS_MAIL__CONNECTIONS", "4");
        let rows: String = (0..298).map(|n| format!("reader{n}@example.org\n")).collect();
        program.write("more.csv", format!("email\n{rows}"));
        program.run(&["subscribers", "import", "more.csv", "--consent", "x", "--confirmed"]).good();
        let mut sending = program.start_on_hangup("--default-signal", "send", &["digest", "send"]);
        sink.wait_for(40, Duration::from_secs(60)).await;
        sending.signal("HUP");
        // A terminal that closes may say it twice.
        sending.signal("HUP");
        assert_eq!(sending.end(), Some(1), "it ended in order, and says that it is not done");
        let words = std::fs::read_to_string(program.dir.join("send.err")).expect("a file");
        assert!(words.contains("Stopped; ") && words.contains("Send again to go on"), "{words}");
        assert!(sink.mails() < 300, "in mid-send");
        let shown = program.run(&["--json", "digest", "send"]).good().json();
        assert_eq!((&shown["state"], &shown["deliveries"]["sent"]), (&"sent".into(), &300.into()));
        let mut copies: HashMap<String, usize> = HashMap::new();
        for mail in sink.received() {
            *copies.entry(mail.to).or_default() += 1;
        }
        assert!(copies.len() == 300 && copies.values().all(|count| *count == 1), "{copies:?}");
        assert_eq!(program.run(&["--json", "digest", "audit"]).good().json()["holds"], true);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn serve_reads_its_settings_at_a_hangup_and_goes_on() {
    let test_db = TestDb::sqlite();
    let program = Program::set_up(&test_db).with("VERDICTS_SITE__LISTEN", "127.0.0.1:0");
    let mut serving = program.start_on_hangup("--default-signal", "serve", &["serve"]);
    let said = || std::fs::read_to_string(program.dir.join("serve.err")).unwrap_or_default();
    crate::support::until("it listens", async || {
        said().contains("verdicts is running")
    })
    .await;
    for count in 1..=2 {
        serving.signal("HUP");
        crate::support::until("the line", async || {
            said()
                .matches("SIGHUP: settings in force now: none")
                .count()
                == count
        })
        .await;
    }
    assert!(!serving.has_ended());
    let mut under_nohup = program
        .clone()
        .with("VERDICTS_SITE__LISTEN", "127.0.0.1:0")
        .start_on_hangup("--ignore-signal", "nohup", &["serve"]);
    let heard = || std::fs::read_to_string(program.dir.join("nohup.err")).unwrap_or_default();
    crate::support::until("it listens", async || {
        heard().contains("verdicts is running")
    })
    .await;
    under_nohup.signal("HUP");
    assert_eq!(under_nohup.terminate(), Some(0));
    assert!(
        !heard().contains("SIGHUP"),
        "ignored from the start, it stays so: {}",
        heard()
    );
    assert_eq!(serving.terminate(), Some(0), "{}", said());
}
