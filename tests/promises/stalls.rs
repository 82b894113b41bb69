//! Mail that is due and does not go out: what it waits for is named wherever somebody looks, and until when.

use chrono::TimeDelta;
use reqwest::StatusCode;
use serde_json::Value;
use serde_json::json;
use verdicts::app::check_result::CheckResult;
use verdicts::app::delivery::SendEnding;
use verdicts::app::issue::digests::SendResult;
use verdicts::config::Settings;
use verdicts::domain::Timestamp;
use verdicts::domain::waiting::Stall;
use verdicts::domain::waiting::WaitReason;

use crate::support::Program;
use crate::support::Script;
use crate::support::SmtpSink;
use crate::support::TestApp;
use crate::support::TestDb;
use crate::support::catalogue::small;
use crate::support::on_both;
use crate::support::run_raw_sql;
use crate::support::until;

/// A time limit that no test meets.
const LONG: std::time::Duration = std::time::Duration::from_secs(100);

/// A service with something to send to `readers` readers, and that relay.
pub async fn app_to(
    sink: &SmtpSink,
    readers: usize,
    test_db: TestDb,
    adapt: impl FnOnce(&mut Settings),
) -> TestApp {
    let test_app = TestApp::stocked(test_db, sink, adapt).await;
    test_app.seed_subscribers("r", readers).await;
    test_app
}

/// The digest is published and due.
pub async fn publish(test_app: &TestApp) {
    test_app.set_clock("2026-11-24T09:00:30Z");
    test_app.app.tick().await.expect("picked and published");
}

pub async fn stall(test_app: &TestApp) -> Option<Stall> {
    test_app
        .app
        .status(test_app.slot())
        .await
        .expect("a status")
        .stall
}

pub fn reasons(stall: &Stall) -> Vec<WaitReason> {
    stall.waits.iter().map(|wait| wait.reason).collect()
}

pub async fn readyz(test_app: &TestApp) -> Value {
    // An answer is good for a second.
    tokio::time::sleep(std::time::Duration::from_millis(1_050)).await;
    let answer = test_app.get("/readyz").await;
    assert_eq!(
        answer.status(),
        StatusCode::OK,
        "it can work, so nobody restarts it for that"
    );
    answer.json().await.expect("JSON")
}

pub async fn finding(test_app: &TestApp, what: &str) -> CheckResult {
    test_app
        .app
        .examine()
        .await
        .into_iter()
        .find(|finding| finding.what == what)
        .expect("looked at")
}

fn midnight_after(moment: Timestamp) -> Timestamp {
    let day = moment.timestamp().div_euclid(86_400) + 1;
    verdicts::domain::from_millis(day * 86_400_000)
}

/// Waits until the log of `serve` has these words; gives the log.
pub async fn wait_for_words(program: &Program, words: &str) -> String {
    let mut log = String::new();
    for _ in 0..600 {
        log = std::fs::read_to_string(program.dir.join("serve.err")).unwrap_or_default();
        if log.contains(words) {
            return log;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("{words:?} was waited for: {log}");
}

/// A program whose digest is published, for one reader, over a relay that is not there.
pub async fn with_a_digest_that_waits(test_db: &TestDb) -> Program {
    let mut sink = SmtpSink::start(Script::accept_all()).await;
    sink.stop().await;
    let program = Program::set_up(test_db).with("VERDICTS_MAIL__TRANSPORT", &sink.url());
    #[allow(
        clippy::disallowed_methods,
        reason = "the program looks at the machine's clock, so its catalogue must be of today"
    )]
    let now = chrono::Utc::now();
    program.write("c.toml", small(2, now));
    program.write("l.csv", "email\nada@example.org\n");
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
    program.run(&["digest", "send"]);
    program
}

on_both! {
    async fn where_no_process_sends_that_is_said_everywhere_and_so_is_that_it_goes_on(test_db) {
        let sink = SmtpSink::start(Script::accept_all()).await;
        let test_app = app_to(&sink, 5, test_db, |_| {}).await;
        publish(&test_app).await;
        assert_eq!((stall(&test_app).await, readyz(&test_app).await), (None, json!({ "status": "ready" })), "it was due a moment ago");
        test_app.wait(TimeDelta::seconds(61));
        let found = stall(&test_app).await.expect("a stall");
        assert_eq!(reasons(&found), [WaitReason::NoSender]);
        let ready = readyz(&test_app).await;
        assert_eq!((&ready["status"], &ready["waiting_for"][0]["reason"]), (&json!("degraded"), &json!("no_sender")), "{ready}");
        let metrics = test_app.page("/metrics").await;
        assert!(metrics.contains("verdicts_sending_waits{reason=\"no_sender\"} "), "{metrics}");
        assert!(finding(&test_app, "sending").await.words.contains("waits for a process that sends"));
        test_app.deliver_while("the digest", async || sink.mails() == 5).await;
        test_app.wait(TimeDelta::seconds(61));
        assert_eq!((stall(&test_app).await, readyz(&test_app).await), (None, json!({ "status": "ready" })));
        assert_eq!(finding(&test_app, "sending").await.words, "no mail waits that is due");
    }

    async fn a_spent_day_is_named_until_midnight_and_the_time_left_tells_of_days(test_db) {
        let sink = SmtpSink::start(Script::accept_all()).await;
        let test_app = app_to(&sink, 50, test_db, |settings| settings.mail.per_day = 10).await;
        assert!(matches!(test_app.send_digest().await, SendResult::Delivered(_, SendEnding::Trouble(_))));
        let midnight = midnight_after(test_app.app.now());
        test_app.wait(TimeDelta::seconds(61));
        test_app.deliver_while("what is waited for", async || stall(&test_app).await.is_some_and(|stall| reasons(&stall) == [WaitReason::DaySpent])).await;
        test_app.deliver_while("until when", async || stall(&test_app).await.and_then(|stall| stall.until()) == Some(midnight)).await;
        let days = TimeDelta::days(3)..TimeDelta::days(5);
        let is_known = async || test_app.app.status(test_app.slot()).await.expect("a status").time_left.is_some_and(|left| days.contains(&left));
        test_app.deliver_while("four more days, for nine mails go out on each", is_known).await;
        assert_eq!(test_app.app.status(test_app.slot()).await.expect("a status").time_left, None, "nobody sends, and nobody knows");
    }

    async fn a_relay_that_is_down_is_named_with_its_trouble_for_operators_alone(test_db) {
        let mut sink = SmtpSink::start(Script::accept_all()).await;
        sink.stop().await;
        let test_app = app_to(&sink, 5, test_db, |_| {}).await;
        publish(&test_app).await;
        test_app.wait(TimeDelta::seconds(61));
        let is_named = async || stall(&test_app).await.is_some_and(|stall| reasons(&stall) == [WaitReason::RelayPaused]);
        test_app.deliver_while("the relay is named", is_named).await;
        let (stop, app) = (test_app.stop.child_token(), test_app.app.clone());
        let token = stop.clone();
        let serving = tokio::spawn(async move { app.deliver_until(&token).await });
        until("the process says it", async || test_app.app.stall().await.expect("an answer").is_some_and(|stall| reasons(&stall) == [WaitReason::RelayPaused])).await;
        let words = finding(&test_app, "sending").await.words;
        assert!(words.contains("default: the relay, which is tried again after a pause (") && words.contains("127.0.0.1"), "{words}");
        let ready = readyz(&test_app).await;
        assert_eq!(ready["waiting_for"][0]["reason"], "relay_paused");
        assert!(!ready.to_string().contains("127.0.0.1"), "{ready}");
        stop.cancel();
        serving.await.expect("ended in order");
    }

    async fn a_rate_of_before_promises_no_end_once_nothing_goes_out(test_db) {
        let script = Script::accept_all().delay(std::time::Duration::from_millis(30));
        let sink = SmtpSink::start(script).await;
        let test_app = app_to(&sink, 60, test_db, |settings| settings.mail.connections = 1).await;
        publish(&test_app).await;
        test_app.deliver_while("some mails", async || sink.mails() >= 10).await;
        let status = test_app.app.status(test_app.slot()).await.expect("a status");
        assert!(status.rate_per_minute.is_some_and(|rate| rate > 0.0) && status.time_left.is_some() && status.tally.queued > 0);
        test_app.wait(TimeDelta::seconds(30));
        let status = test_app.app.status(test_app.slot()).await.expect("a status");
        assert!(status.rate_per_minute.is_some_and(|rate| rate > 0.0), "it is the rate of the last minutes");
        assert_eq!(status.time_left, None);
    }

    async fn a_sign_up_is_told_when_its_mail_waits_till_midnight(test_db) {
        let sink = SmtpSink::start(Script::accept_all()).await;
        let test_app = app_to(&sink, 5, test_db, |settings| settings.mail.per_day = 5).await;
        assert!(test_app.page("/check-inbox").await.contains("a message with a link is on its way to it."));
        let storage = &test_app.app.storage;
        let today = verdicts::domain::limits::day_of(test_app.app.now());
        storage.note_begun("default", today, 5).await.expect("spent");
        let page = test_app.page("/check-inbox").await;
        assert!(page.contains("a message with a link will be sent to it after 2026-11-25 00:00:00 UTC.") && !page.contains("on its way"), "{page}");
        test_app.set_clock("2026-11-25T00:00:01Z");
        assert!(test_app.page("/check-inbox").await.contains("is on its way to it."));
    }

    async fn a_digest_leaves_a_share_of_the_day_to_whoever_signs_up(test_db) {
        let sink = SmtpSink::start(Script::accept_all()).await;
        let test_app = app_to(&sink, 60, test_db, |settings| settings.mail.per_day = 40).await;
        publish(&test_app).await;
        test_app.deliver_while("the digest's share", async || sink.mails() == 38).await;
        assert!(test_app.page("/check-inbox").await.contains("is on its way to it."));
        test_app.sign_up("ada@example.org").await;
        test_app.sign_up("bob@example.org").await;
        test_app.deliver_while("two of forty are kept", async || sink.mails() == 40).await;
        assert_eq!((sink.received_by("ada@example.org").len(), sink.received_by("bob@example.org").len()), (1, 1));
        assert!(test_app.page("/check-inbox").await.contains("will be sent to it after 2026-11-25 00:00:00 UTC."));
        test_app.sign_up("eve@example.org").await;
        test_app.set_clock("2026-11-25T00:00:05Z");
        test_app.deliver_while("the next day", async || sink.mails() == 63).await;
        assert_eq!(sink.received_by("eve@example.org").len(), 1);
    }

    async fn a_relay_that_answers_nothing_is_named_and_so_is_what_is_out(test_db) {
        let sink = SmtpSink::start(Script::accept_all().delay(std::time::Duration::from_millis(10))).await;
        let test_app = app_to(&sink, 40, test_db, |settings| {
            settings.mail.connections = 2;
            // On SQLite the clock that this test moves is the one that leases are judged by.
            settings.mail.lease = LONG * 100;
            (settings.mail.timeouts.command, settings.mail.timeouts.data, settings.mail.timeouts.finish) = (LONG, LONG, LONG);
        })
        .await;
        publish(&test_app).await;
        let (stop, app) = (test_app.stop.child_token(), test_app.app.clone());
        let token = stop.clone();
        let serving = tokio::spawn(async move { app.deliver_until(&token).await });
        until("a beginning", async || sink.mails() > 3).await;
        sink.stall();
        let (storage, slot) = (&test_app.app.storage, test_app.slot().id());
        let is_written = async || storage.tally(slot).await.expect("a tally").sent == storage.ended_by_minutes(slot).await.expect("a sum");
        until("what went out is written down", is_written).await;
        test_app.wait(TimeDelta::seconds(61));
        let is_named = async || stall(&test_app).await.is_some_and(|stall| reasons(&stall) == [WaitReason::RelaySilent]);
        until("the relay is named", is_named).await;
        let words = finding(&test_app, "sending").await.words;
        assert!(words.contains("an answer from the relay (the answer to a mail's ") && words.contains(" is waited for since "), "{words}");
        assert_eq!(test_app.app.status(test_app.slot()).await.expect("a status").time_left, None);
        sink.go_on();
        until("all of it", async || sink.mails() == 40).await;
        until("nothing waits", async || stall(&test_app).await.is_none()).await;
        stop.cancel();
        serving.await.expect("ended in order");
    }

    async fn a_relay_that_never_greets_is_named(test_db) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("smtp://{}?tls=none", listener.local_addr().expect("an address"));
        let test_app = TestApp::open_with(test_db, |settings| {
            settings.mail.transport = url.into();
            (settings.mail.timeouts.connect, settings.mail.timeouts.command) = (LONG, LONG);
        })
        .await;
        test_app.sign_up("ada@example.org").await;
        test_app.wait(TimeDelta::seconds(61));
        let is_named = async || test_app.app.stall().await.expect("an answer").is_some_and(|stall| reasons(&stall) == [WaitReason::Connecting]);
        test_app.deliver_while("the greeting is named", is_named).await;
        drop(listener);
    }

    async fn digest_show_names_it_from_another_process(test_db) {
        let program = with_a_digest_that_waits(&test_db).await;
        run_raw_sql(&test_db, "update delivery_batches set due_at = due_at - 120000; delete from delivery_processes").await;
        let slot = crate::support::this_week();
        let shown = program.run(&["digest", "show", &slot]).good().out;
        assert!(shown.contains("waiting: no digest mail went out since 20") && shown.contains("it waits for a process that sends: start `verdicts serve`"), "{shown}");
        assert!(!shown.contains(" left\n"), "{shown}");
        let json = program.run(&["--json", "digest", "show", &slot]).good().json();
        assert_eq!((&json["waiting"]["for"][0]["reason"], &json["seconds_left"]), (&json!("no_sender"), &json!(null)), "{json}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_says_once_what_is_waited_for_and_once_that_it_goes_on() {
    let test_db = TestDb::sqlite();
    let mut sink = SmtpSink::start(Script::accept_all()).await;
    let port = sink.port();
    sink.stop().await;
    let program = Program::set_up(&test_db).with("VERDICTS_MAIL__TRANSPORT", &sink.url());
    program.write("l.csv", "email\nada@example.org\n");
    program
        .run(&["subscribers", "import", "l.csv", "--consent", "x"])
        .good();
    run_raw_sql(&test_db, "update delivery_batches set due_at = due_at - 120000; update deliveries set due_at = due_at - 120000").await;
    let mut serve = program.start("serve", &["serve", "--role", "deliver"]);
    wait_for_words(&program, "no transactional mail went out since").await;
    let _sink = SmtpSink::start_on(port, Script::accept_all()).await;
    let log = wait_for_words(&program, "mail that was due goes out again").await;
    assert_eq!(log.matches("went out since").count(), 1, "{log}");
    serve.terminate();
}
