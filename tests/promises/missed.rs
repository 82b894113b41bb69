//! Digests that should have gone out and did not: each is named, with the command that sends it.

use std::sync::Arc;

use chrono::Timelike as _;
use reqwest::StatusCode;
use serde_json::Value;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use verdicts::app::delivery::SendEnding;
use verdicts::app::delivery::SendProgress;
use verdicts::app::issue::digests::SendResult;
use verdicts::app::issue::missed::MissedDigest;
use verdicts::app::issue::preflight::Preflight;
use verdicts::app::issue::sending::SendOrder;
use verdicts::config::Settings;
use verdicts::domain::actor::Actor;

use crate::support::Program;
use crate::support::Script;
use crate::support::SmtpSink;
use crate::support::TestApp;
use crate::support::TestDb;
use crate::support::on_both;

async fn app_with_readers(test_db: TestDb, adapt: impl FnOnce(&mut Settings)) -> TestApp {
    let test_app = TestApp::open_with(test_db, adapt).await;
    test_app.stock_small().await;
    test_app.seed_subscribers("r", 3).await;
    test_app
}

async fn tick_at(test_app: &TestApp, moment: &str) {
    test_app.set_clock(moment);
    test_app.app.tick().await.expect("a tick");
}

async fn missed(test_app: &TestApp) -> Vec<MissedDigest> {
    test_app.app.missed_digests().await.expect("an answer")
}

/// The command that is named for the only digest that was missed.
async fn command(test_app: &TestApp) -> String {
    let missed = missed(test_app).await;
    assert_eq!(missed.len(), 1, "{missed:?}");
    missed[0].command.clone().expect("a command")
}

/// Does what `verdicts digest send ...` does.
async fn obey(test_app: &TestApp, command: &str) -> SendResult {
    let words: Vec<&str> = command
        .strip_prefix("verdicts digest send ")
        .expect("a send")
        .split(' ')
        .collect();
    let preflight = if words.contains(&"--force") {
        Preflight::Forced
    } else {
        Preflight::Heeded
    };
    let order = SendOrder {
        slot: Some(words[0].parse().expect("a week")),
        other_week: words.contains(&"--other-week"),
        preflight,
    };
    test_app
        .app
        .send_digest(
            &Actor::cli(),
            order,
            &CancellationToken::new(),
            &Arc::new(SendProgress::default()),
            |_| {},
        )
        .await
        .expect("sent")
}

async fn readyz(test_app: &TestApp) -> Value {
    tokio::time::sleep(std::time::Duration::from_millis(1_050)).await;
    let answer = test_app.get("/readyz").await;
    assert_eq!(answer.status(), StatusCode::OK);
    answer.json().await.expect("JSON")
}

on_both! {
    async fn an_approved_digest_whose_time_is_over_for_longer_than_catch_up_is_named_and_sent_by_that_command(test_db) {
        let test_app = app_with_readers(test_db, |_| {}).await;
        tick_at(&test_app, "2026-11-24T08:00:00Z").await;
        assert!(missed(&test_app).await.is_empty());
        // An outage of three days.
        tick_at(&test_app, "2026-11-27T12:00:00Z").await;
        assert_eq!(command(&test_app).await, "verdicts digest send 2026-W48");
        let ready = readyz(&test_app).await;
        assert_eq!((&ready["status"], &ready["missed"][0]["slot"]), (&json!("degraded"), &json!("2026-W48")), "{ready}");
        assert!(test_app.page("/metrics").await.contains("verdicts_digests_missed "));
        let found = test_app.app.examine().await;
        let schedule = found.iter().find(|finding| finding.what == "schedule").expect("looked at");
        assert!(schedule.words.contains("2026-W48 is approved and was due to be sent 2026-11-24 09:00:00 UTC"), "{}", schedule.words);
        let status = test_app.app.status(test_app.slot()).await.expect("a status");
        assert!(status.missed.is_some());
        // In the week after it is another week's.
        test_app.set_clock("2026-11-30T10:00:00Z");
        let command = command(&test_app).await;
        assert_eq!(command, "verdicts digest send 2026-W48 --other-week");
        assert!(matches!(obey(&test_app, &command).await, SendResult::Delivered(status, SendEnding::Final) if status.tally.sent == 3));
        assert!(missed(&test_app).await.is_empty());
    }

    async fn a_week_in_which_nothing_was_picked_is_named_and_sent_by_that_command(test_db) {
        let test_app = app_with_readers(test_db, |_| {}).await;
        // Nobody ticked from Monday to Friday; the first tick does not make it up any more.
        tick_at(&test_app, "2026-11-27T12:00:00Z").await;
        let found = missed(&test_app).await;
        assert_eq!((found.len(), found[0].is_picked, found[0].made_up_until), (1, false, None));
        let words = test_app.app.status(test_app.slot()).await.expect_err("there is none").to_string();
        assert!(words.contains("nothing was picked for 2026-W48, due 2026-11-24 08:00:00 UTC") && words.contains("`verdicts digest send 2026-W48` sends it"), "{words}");
        test_app.set_clock("2026-11-30T10:00:00Z");
        let command = command(&test_app).await;
        assert_eq!(command, "verdicts digest send 2026-W48 --other-week");
        assert!(matches!(obey(&test_app, &command).await, SendResult::Delivered(status, SendEnding::Final) if status.tally.sent == 3));
        assert!(missed(&test_app).await.is_empty());
    }

    async fn what_a_schedule_still_makes_up_is_named_as_late_and_then_made_up(test_db) {
        let test_app = app_with_readers(test_db, |_| {}).await;
        test_app.set_clock("2026-11-24T08:30:00Z");
        let found = missed(&test_app).await;
        assert_eq!((found.len(), found[0].made_up_until.map(|until| until.to_rfc3339())), (1, Some("2026-11-26T08:00:00+00:00".into())));
        assert!(test_app.app.missed_in_words(&found[0]).contains("a `serve` with the role schedule makes that up until"));
        tick_at(&test_app, "2026-11-24T08:31:00Z").await;
        assert!(missed(&test_app).await.is_empty());
    }

    async fn with_nobody_on_the_list_nothing_is_missed(test_db) {
        let test_app = TestApp::open(test_db).await;
        test_app.stock_small().await;
        tick_at(&test_app, "2026-11-24T08:00:00Z").await;
        tick_at(&test_app, "2026-11-28T08:00:00Z").await;
        assert!(missed(&test_app).await.is_empty());
    }

    async fn a_digest_that_a_later_one_overtook_is_still_named_and_worries_nobody(test_db) {
        let test_app = app_with_readers(test_db, |_| {}).await;
        tick_at(&test_app, "2026-11-24T08:00:00Z").await;
        test_app.seed_catalogue(&crate::support::catalogue::comparison("next", "Data", "2026-11-30T12:00:00Z".parse().expect("a moment"))).await;
        tick_at(&test_app, "2026-12-01T08:00:00Z").await;
        tick_at(&test_app, "2026-12-01T09:00:00Z").await;
        let found = missed(&test_app).await;
        assert_eq!((found.len(), found[0].slot.to_string(), found[0].is_superseded), (1, "2026-W48".into(), true));
        test_app.deliver_while("the later one", async || test_app.mails_to("r0@example.org").len() == 1).await;
        assert_eq!(readyz(&test_app).await, json!({ "status": "ready" }));
        let command = command(&test_app).await;
        assert_eq!(command, "verdicts digest send 2026-W48 --other-week --force");
        assert!(matches!(obey(&test_app, &command).await, SendResult::Delivered(status, _) if status.tally.sent == 3));
    }

    async fn times_more_often_than_once_a_week_are_named_before_one_is_dropped(test_db) {
        let program = Program::set_up(&test_db).with("VERDICTS_SCHEDULE__PICK", "0 8 * * TUE,FRI").with("VERDICTS_SCHEDULE__SEND", "0 9 * * *");
        let said = program.run(&["config"]).good().err;
        assert!(said.contains("schedule.pick = \"0 8 * * TUE,FRI\" comes more than once a week"), "{said}");
        assert!(said.contains("schedule.send = \"0 9 * * *\" comes more than once a week"), "{said}");
        let doctor = program.run(&["--json", "doctor"]).json();
        let schedule = doctor["findings"].as_array().expect("findings").iter().filter(|finding| finding["what"] == "schedule").count();
        assert_eq!(schedule, 2, "{doctor}");
        assert!(!Program::set_up(&test_db).run(&["config"]).good().err.contains("once a week"));
    }

    async fn digest_list_names_a_week_that_has_no_digest(test_db) {
        let sink = SmtpSink::start(Script::accept_all()).await;
        let test_app = TestApp::open_to(test_db, &sink).await;
        test_app.seed_subscribers("r", 1).await;
        // By the machine's clock the service was set up long ago, and should have picked twelve hours ago.
        crate::support::run_raw_sql(&test_app.test_db, "update installation set created_at = 0").await;
        #[allow(clippy::disallowed_methods, reason = "the program looks at the machine's clock")]
        let hour = (chrono::Utc::now().hour() + 12) % 24;
        let program = Program::in_place(&test_app.test_db)
            .with("VERDICTS_SITE__SECRET", "a secret for tests only")
            .with("VERDICTS_SCHEDULE__PICK", &format!("0 {hour} * * *"));
        let listed = program.run(&["--json", "digest", "list"]).good().json();
        assert!(listed["missed"][0]["command"].as_str().is_some_and(|command| command.starts_with("verdicts digest send ")), "{listed}");
        assert!(program.run(&["digest", "list"]).good().out.contains("missed: nothing was picked for "));
    }
}
