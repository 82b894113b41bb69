//! How a send goes on: seen by who sends it, from elsewhere, and long after.

use std::time::Duration;

use crate::support::Program;
use crate::support::Script;
use crate::support::SmtpSink;
use crate::support::TestApp;
use crate::support::TestDb;
use crate::support::catalogue::small;
use crate::support::on_both;
use verdicts::domain::progress::MinuteStats;

/// A program whose relay is `sink`, with `count` readers (`r0@example.org`, ...) and something to send.
fn program_of(count: usize, test_db: &TestDb, sink: &SmtpSink) -> Program {
    let program = Program::set_up(test_db)
        .with("VERDICTS_MAIL__TRANSPORT", &sink.url())
        .with("VERDICTS_MAIL__CONNECTIONS", "1");
    let rows: String = (0..count).map(|n| format!("r{n}@example.org\n")).collect();
    #[allow(
        clippy::disallowed_methods,
        reason = "the program looks at the machine's clock, so its catalogue must be of today"
    )]
    let now = chrono::Utc::now();
    program.write("c.toml", small(2, now));
    program.write("l.csv", format!("email\n{rows}"));
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

on_both! {
    async fn each_minute_of_a_send_is_kept_and_processes_add_up(test_db) {
        let script = Script::accept_all().reply_to("r1", "554 5.7.1 not wanted").reply_to("r2", "451 4.3.0 later");
        let sink = SmtpSink::start(script).await;
        let other = TestApp::open_to(test_db.again(), &sink).await;
        let test_app = TestApp::open_to(test_db, &sink).await;
        test_app.stock_small().await;
        test_app.seed_subscribers("r", 30).await;
        test_app.send_digest().await;
        let minutes = test_app.app.storage.minutes(test_app.slot().id()).await.expect("minutes");
        let mut sum = MinuteStats::default();
        minutes.iter().for_each(|minute| sum.add(minute));
        assert_eq!((sum.sent, sum.failed, sum.later, sum.uncertain), (28, 1, 1, 0), "{minutes:?}");
        let more = MinuteStats { sent: 5, failed: 0, later: 0, ..minutes[0] };
        other.app.storage.add_minutes(&[(test_app.slot().id(), more)], &[], other.app.now()).await.expect("added");
        assert_eq!(test_app.app.storage.minutes(test_app.slot().id()).await.expect("minutes")[0].sent, minutes[0].sent + 5);
        assert_eq!(test_app.app.storage.ended_by_minutes(test_app.slot().id()).await.expect("a sum"), 34);
    }

    async fn who_left_before_their_mail_went_out_counts_in_its_minute(test_db) {
        let test_app = TestApp::open(test_db).await;
        test_app.stock_small().await;
        test_app.seed_subscribers("r", 3).await;
        test_app.set_clock("2026-11-24T09:00:30Z");
        test_app.app.tick().await.expect("picked and published");
        let reader = test_app.app.person(&"r1@example.org".parse().expect("an address")).await.expect("known");
        test_app.app.storage.unsubscribe(&verdicts::domain::actor::Actor::reader(), reader.subscriber.id, verdicts::domain::history::UnsubscribedBy::Link, test_app.app.now()).await.expect("left");
        test_app.send_digest().await;
        let minutes = test_app.app.storage.minutes(test_app.slot().id()).await.expect("minutes");
        assert_eq!((minutes.iter().map(|minute| minute.sent).sum::<u64>(), minutes.iter().map(|minute| minute.skipped).sum::<u64>()), (2, 1));
    }

    async fn digest_show_tells_from_elsewhere_how_far_a_send_is(test_db) {
        let sink = SmtpSink::start(Script::accept_all().reply_to("r1", "451 4.3.0 later")).await;
        let program = program_of(3, &test_db, &sink);
        program.run(&["digest", "send"]).good();
        let list = program.run(&["--json", "digest", "list"]).json();
        let slot = list["digests"][0]["slot"].as_str().expect("a slot").to_owned();
        let shown = program.run(&["--json", "digest", "show", &slot]).json();
        let sum = |name: &str| shown["minutes"].as_array().expect("minutes").iter().filter_map(|minute| minute[name].as_u64()).sum::<u64>();
        assert_eq!((sum("sent"), sum("failed"), sum("later")), (2, 0, 1), "{shown}");
        assert!(shown["rate_per_minute"].as_f64().is_some_and(|rate| rate > 0.0), "{shown}");
        // One waits for its second try, so no rate brings the end nearer than that.
        assert!(shown["seconds_left"].as_i64().is_some_and(|left| left > 60), "{shown}");
        let words = program.run(&["digest", "show", &slot]).good();
        assert!(words.out.contains("2 of 3 are final (66 %), "), "{words:?}");
        assert!(words.out.contains(" left\n") && words.out.contains('█'), "{words:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_there_is_no_terminal_a_send_says_lines_with_rate_and_time_left() {
    let sink = SmtpSink::start(Script::accept_all().delay(Duration::from_millis(300))).await;
    let test_db = TestDb::sqlite();
    let program = program_of(24, &test_db, &sink);
    let said = tokio::task::spawn_blocking(move || program.run(&["digest", "send"]).good())
        .await
        .expect("sent");
    let line = said
        .err
        .lines()
        .find(|line| line.contains(" of 24 deliveries, "))
        .unwrap_or_else(|| panic!("{said:?}"));
    assert!(
        line.contains(" a second, about ") && line.ends_with(" left"),
        "{line}"
    );
}
