//! Publishing in ranges: killed between any two, everybody on the list at the freeze has the digest once, and nobody waits for the whole.

use std::collections::BTreeSet;
use std::time::Duration;

use sqlx::Connection as _;
use tokio_util::sync::CancellationToken;
use verdicts::app::issue::preflight::Preflight;
use verdicts::domain::actor::Actor;
use verdicts::domain::delivery::SkipReason;
use verdicts::domain::digest::DigestState;

use crate::support::Program;
use crate::support::Script;
use crate::support::SmtpSink;
use crate::support::TestApp;
use crate::support::TestDb;
use crate::support::catalogue;
use crate::support::on_both;
use crate::support::run_raw_sql;
use crate::support::until;

/// A service whose digests are published in ranges of so many readers.
async fn app_of(test_db: TestDb, sink: &SmtpSink, range: u32) -> TestApp {
    let url = sink.url();
    TestApp::open_with(test_db, |settings| {
        settings.mail.transport = url.into();
        settings.schedule.publish_range = range;
    })
    .await
}

/// Another process on the same database.
async fn another(test_app: &TestApp, sink: &SmtpSink, range: u32) -> TestApp {
    let other = app_of(test_app.test_db.again(), sink, range).await;
    other.set_clock(&test_app.app.now().to_rfc3339());
    other
}

/// Freezes this week's digest, and makes its first range: then the process is gone.
async fn freeze(test_app: &TestApp) {
    test_app.set_clock("2026-11-24T09:00:30Z");
    test_app.app.tick().await.expect("picked and published");
}

async fn audited(test_app: &TestApp) -> (u64, bool, Vec<String>) {
    let audit = test_app
        .app
        .storage
        .audit(test_app.slot(), 10)
        .await
        .expect("an audit")
        .expect("a digest");
    (audit.recipients, audit.is_publishing, audit.faults)
}

/// How many mails each reader has, of those who have any.
fn mails_by_reader(sink: &SmtpSink) -> Vec<usize> {
    let received = sink.received();
    let readers: BTreeSet<&String> = received.iter().map(|mail| &mail.to).collect();
    readers
        .iter()
        .map(|to| received.iter().filter(|mail| mail.to == **to).count())
        .collect()
}

async fn state(test_app: &TestApp) -> DigestState {
    test_app
        .app
        .storage
        .digest(test_app.slot())
        .await
        .expect("an answer")
        .expect("a digest")
        .state
}

on_both! {
    async fn killed_after_any_range_another_process_goes_on(test_db) {
        let sink = SmtpSink::start(Script::accept_all()).await;
        let test_app = app_of(test_db, &sink, 7).await;
        test_app.stock_small().await;
        test_app.seed_subscribers("r", 40).await;
        freeze(&test_app).await;
        let mut made = 7;
        // After each range another process looks: nothing is amiss, and it goes on where the last one was killed.
        while made < 40 {
            assert_eq!(audited(&test_app).await, (made, true, Vec::new()));
            assert_eq!(test_app.app.storage.tally(test_app.slot().id()).await.expect("a tally").queued, made);
            assert_ne!(test_app.app.storage.finish_digests(test_app.app.now()).await.expect("looked"), [test_app.slot()], "it is not over");
            let other = another(&test_app, &sink, 7).await;
            let range = other.app.storage.publish_range(7, other.app.now()).await.expect("made").expect("a range");
            made = (made + 7).min(40);
            assert_eq!((range.recipients, range.is_last), (made, made == 40));
        }
        assert_eq!(test_app.app.storage.publish_range(7, test_app.app.now()).await.expect("looked"), None);
        test_app.deliver_while("all", async || state(&test_app).await == DigestState::Sent).await;
        assert_eq!((mails_by_reader(&sink), audited(&test_app).await), (vec![1; 40], (40, false, Vec::new())));
    }

    async fn whoever_delivers_makes_what_is_left_and_sends_before_the_last_range(test_db) {
        let sink = SmtpSink::start(Script::accept_all()).await;
        let test_app = app_of(test_db, &sink, 10).await;
        test_app.stock_small().await;
        test_app.seed_subscribers("r", 300).await;
        freeze(&test_app).await;
        assert_eq!(audited(&test_app).await, (10, true, Vec::new()));
        let other = another(&test_app, &sink, 10).await;
        other.deliver_while("all", async || state(&other).await == DigestState::Sent).await;
        assert_eq!((mails_by_reader(&sink), audited(&test_app).await), (vec![1; 300], (300, false, Vec::new())));
    }

    async fn what_is_made_is_sent_while_the_rest_is_not(test_db) {
        let sink = SmtpSink::start(Script::accept_all()).await;
        let test_app = app_of(test_db, &sink, 10).await;
        test_app.stock_small().await;
        test_app.seed_subscribers("r", 30).await;
        freeze(&test_app).await;
        // A process that only sends: the rest is held up elsewhere.
        let (now, storage) = (test_app.app.now(), &test_app.app.storage);
        let sender = storage.register_sender("a test", chrono::TimeDelta::hours(1), now).await.expect("entered");
        let claimed = storage.claim(sender, &[], None, 100, now).await.expect("claimed").jobs;
        assert_eq!((claimed.len(), audited(&test_app).await), (10, (10, true, Vec::new())));
        storage.leave_sender(sender, now).await.expect("left");
    }

    async fn who_joins_or_comes_back_after_the_freeze_waits_and_who_leaves_gets_nothing(test_db) {
        let sink = SmtpSink::start(Script::accept_all()).await;
        let test_app = app_of(test_db, &sink, 5).await;
        test_app.stock_small().await;
        test_app.seed_subscribers("r", 20).await;
        let id = |email: &'static str| {
            let storage = &test_app.app.storage;
            async move { storage.person(&email.parse().expect("one")).await.expect("an answer").expect("somebody").subscriber.id }
        };
        let (back, leaver) = (id("r18@example.org").await, id("r19@example.org").await);
        assert!(test_app.app.storage.unsubscribe(&verdicts::domain::actor::Actor::reader(), back, verdicts::domain::history::UnsubscribedBy::Link, test_app.app.now()).await.expect("left"));
        freeze(&test_app).await;
        test_app.wait(chrono::TimeDelta::minutes(1));
        test_app.seed_subscribers("new", 5).await;
        test_app.sign_up("r18@example.org").await;
        test_app.app.storage.confirm(back, test_app.app.now()).await.expect("confirmed");
        assert!(test_app.app.storage.unsubscribe(&verdicts::domain::actor::Actor::reader(), leaver, verdicts::domain::history::UnsubscribedBy::Link, test_app.app.now()).await.expect("left"));
        test_app.send_digest().await;
        // r19 left before their range was made, r18 came back after the freeze.
        let digests: BTreeSet<String> = sink.received().into_iter().map(|mail| mail.to).filter(|to| !to.starts_with("new")).collect();
        assert!((0..18).all(|n| digests.contains(&format!("r{n}@example.org"))) && !digests.contains("r19@example.org"), "{digests:?}");
        let digest = test_app.app.status(test_app.slot()).await.expect("a digest");
        assert_eq!((digest.digest.recipients, digest.tally.sent, digest.digest.state), (18, 18, DigestState::Sent));
        assert_eq!(audited(&test_app).await, (18, false, Vec::new()));
    }

    async fn paused_and_resumed_between_ranges_everybody_has_it_once(test_db) {
        let sink = SmtpSink::start(Script::accept_all()).await;
        let test_app = app_of(test_db, &sink, 6).await;
        test_app.stock_small().await;
        test_app.seed_subscribers("r", 30).await;
        freeze(&test_app).await;
        test_app.app.pause_digest(&Actor::cli(), test_app.slot()).await.expect("paused");
        let range = test_app.app.storage.publish_range(6, test_app.app.now()).await.expect("made").expect("a range");
        assert_eq!((range.recipients, audited(&test_app).await), (12, (12, true, Vec::new())), "deliveries are made, and nothing goes out");
        assert_eq!(sink.mails(), 0);
        test_app.app.resume_digest(&Actor::cli(), test_app.slot(), Preflight::Forced).await.expect("resumed");
        test_app.send_digest().await;
        assert_eq!((mails_by_reader(&sink), audited(&test_app).await), (vec![1; 30], (30, false, Vec::new())));
    }

    async fn cancelled_between_ranges_no_more_are_made_and_the_counts_say_so(test_db) {
        let sink = SmtpSink::start(Script::accept_all()).await;
        let test_app = app_of(test_db, &sink, 6).await;
        test_app.stock_small().await;
        test_app.seed_subscribers("r", 30).await;
        freeze(&test_app).await;
        test_app.app.storage.publish_range(6, test_app.app.now()).await.expect("made");
        let status = test_app.app.cancel_digest(&Actor::cli(), test_app.slot()).await.expect("cancelled");
        assert_eq!((status.tally.failed, status.tally.skipped, status.tally.open(), status.digest.recipients), (0, 12, 0, 12));
        assert_eq!(status.skips, [(SkipReason::Cancelled, 12)]);
        assert_eq!(test_app.app.storage.publish_range(6, test_app.app.now()).await.expect("looked"), None);
        assert_eq!((audited(&test_app).await, sink.mails()), ((12, false, Vec::new()), 0));
        assert_eq!(test_app.page("/digests").await.matches("2026-W48").count(), 0, "it reached nobody");
    }

    async fn a_sign_up_is_through_before_the_last_range(test_db) {
        let sink = SmtpSink::start(Script::accept_all()).await;
        let test_app = app_of(test_db, &sink, 20).await;
        test_app.stock_small().await;
        test_app.seed_subscribers("r", 4_000).await;
        freeze(&test_app).await;
        let (app, stop) = (test_app.app.clone(), CancellationToken::new());
        let publishing = tokio::spawn(async move { app.publish_ranges(&stop).await.expect("published") });
        for n in 0..5 {
            test_app.sign_up(&format!("new{n}@example.org")).await;
        }
        assert!(!publishing.is_finished() && audited(&test_app).await.1, "five sign-ups took as long as two hundred ranges");
        publishing.await.expect("published");
        assert_eq!(audited(&test_app).await, (4_000, false, Vec::new()));
        assert_eq!(test_app.known_people().await, 4_005);
    }

    async fn choices_are_followed_in_each_range(test_db) {
        let sink = SmtpSink::start(Script::accept_all()).await;
        let test_app = app_of(test_db, &sink, 3).await;
        test_app.stock_small().await;
        test_app.seed_subscribers("r", 12).await;
        run_raw_sql(
            &test_app.test_db,
            "insert into preferences (subscriber_id, categories, monthly, paused_until)
               select id, '[]', 0, 9999999999999 from subscribers where email in ('r1@example.org', 'r10@example.org')",
        )
        .await;
        freeze(&test_app).await;
        let stop = CancellationToken::new();
        test_app.app.publish_ranges(&stop).await.expect("published");
        let status = test_app.app.status(test_app.slot()).await.expect("a digest");
        assert_eq!((status.digest.recipients, status.tally.queued, status.tally.skipped), (12, 10, 2));
        assert_eq!(status.skips, [(SkipReason::Paused, 2)]);
        assert_eq!(audited(&test_app).await, (12, false, Vec::new()));
    }

    async fn the_counts_that_are_kept_are_those_of_the_rows_at_each_look(test_db) {
        let script = (0..60).step_by(3).fold(Script::accept_all(), |script, n| {
            script.reply_to(&format!("r{n}"), if n % 2 == 0 { "451 4.3.0 try later" } else { "550 5.7.1 not wanted" })
        });
        let sink = SmtpSink::start(script.delay(Duration::from_millis(2))).await;
        let test_app = app_of(test_db, &sink, 8).await;
        test_app.stock_small().await;
        test_app.seed_subscribers("r", 60).await;
        freeze(&test_app).await;
        test_app.deliver_while("a first try of all", async || {
            let (_, is_publishing, faults) = audited(&test_app).await;
            assert_eq!(faults, [""; 0]);
            let tally = test_app.app.storage.tally(test_app.slot().id()).await.expect("a tally");
            !is_publishing && tally.sent == 40 && tally.failed == 10
        })
        .await;
        let status = test_app.app.status(test_app.slot()).await.expect("a digest");
        assert_eq!((status.tally.queued, status.tally.skipped, status.failures), (10, 0, vec![("550 5.7.1 not wanted".to_owned(), 10)]));
        assert_eq!(audited(&test_app).await, (60, false, Vec::new()));
    }

    async fn killed_in_the_middle_of_the_ranges_and_started_again_nobody_is_lost(test_db) {
        const READERS: usize = 3_000;
        let sink = SmtpSink::start(Script::accept_all()).await;
        let program = Program::set_up(&test_db)
            .with("VERDICTS_MAIL__TRANSPORT", &sink.url())
            .with("VERDICTS_SCHEDULE__PUBLISH_RANGE", "25");
        #[allow(clippy::disallowed_methods, reason = "the program looks at the machine's clock, so its catalogue must be of today")]
        let now = chrono::Utc::now();
        program.write("catalogue.toml", catalogue::small(5, now));
        program.run(&["catalog", "import", "catalogue.toml"]).good();
        let rows: String = (0..READERS).map(|n| format!("r{n}@example.org\n")).collect();
        program.run_with_input(&["subscribers", "import", "-", "--consent", "test", "--confirmed"], format!("email\n{rows}").as_bytes()).good();
        let mut cut_short = 0;
        for kill_at in [1, 300, 600] {
            let mut sending = program.start("send", &["digest", "send"]);
            sink.wait_for(kill_at, Duration::from_secs(60)).await;
            sending.kill();
            let audit = program.run(&["digest", "audit", "--json"]).good().json();
            cut_short += u32::from(audit["digests"][0]["is_publishing"] == true);
        }
        assert!(cut_short > 0, "no kill came between two ranges");
        program.run(&["digest", "send"]).good();
        let audit = program.run(&["digest", "audit", "--json"]).good().json();
        let digest = &audit["digests"][0];
        assert_eq!((digest["recipients"].as_u64(), digest["deliveries"]["sent"].as_u64()), (Some(3_000), Some(3_000)), "{digest}");
        assert_eq!((mails_by_reader_count(&sink), &digest["is_publishing"]), (READERS, &serde_json::json!(false)));
    }
}

fn mails_by_reader_count(sink: &SmtpSink) -> usize {
    sink.received()
        .into_iter()
        .map(|mail| mail.to)
        .collect::<BTreeSet<String>>()
        .len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_publish_one_digest_together() {
    let Some(test_db) = TestDb::postgres() else {
        return;
    };
    let sink = SmtpSink::start(Script::accept_all()).await;
    let test_app = app_of(test_db, &sink, 10).await;
    test_app.stock_small().await;
    test_app.seed_subscribers("r", 500).await;
    freeze(&test_app).await;
    let other = another(&test_app, &sink, 10).await;
    let stop = CancellationToken::new();
    let (one, two) = tokio::join!(
        test_app.app.publish_ranges(&stop),
        other.app.publish_ranges(&stop)
    );
    assert!(one.is_ok() && two.is_ok());
    until("the last range", async || !audited(&test_app).await.1).await;
    assert_eq!(audited(&test_app).await, (500, false, Vec::new()));
    test_app.send_digest().await;
    assert_eq!(mails_by_reader(&sink), [1; 500]);
}

/// Rows of the subscribers that PostgreSQL has read so far, by its own count, which a connection gives when it ends.
async fn subscribers_read(test_app: TestApp) -> (TestDb, i64) {
    test_app.app.storage.close().await;
    let test_db = test_app.test_db.again();
    let mut connection = sqlx::PgConnection::connect(&test_db.database_url)
        .await
        .expect("a connection");
    until("the other connections have ended", async || {
        let others = "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()
            and backend_type = 'client backend'";
        sqlx::query_scalar::<_, i64>(others).fetch_one(&mut connection).await.expect("a count") == 0
    })
    .await;
    let read = "select cast(sum(seq_tup_read) as bigint) + (select cast(sum(idx_tup_read) as bigint) from pg_stat_user_indexes
        where relname = 'subscribers') from pg_stat_user_tables where relname = 'subscribers'";
    let read = sqlx::query_scalar(read)
        .fetch_one(&mut connection)
        .await
        .expect("a count");
    drop(test_app);
    (test_db, read)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_range_reads_its_own_readers_alone_right_after_an_import() {
    let Some(test_db) = TestDb::postgres() else {
        return;
    };
    let sink = SmtpSink::start(Script::accept_all()).await;
    let test_app = app_of(test_db, &sink, 200).await;
    test_app.stock_small().await;
    // So many that the planner, without statistics, would rather collect all that are left and sort them.
    let fill = "alter table subscribers set (autovacuum_enabled = off);
        insert into subscribers (id, email, email_key, state, state_at, created_at)
        select i, i || '@example.org', i || '@example.org', 'active', 0, 0 from generate_series(1, 200000) i";
    run_raw_sql(&test_app.test_db, fill).await;
    freeze(&test_app).await;
    let (test_db, before) = subscribers_read(test_app).await;
    let test_app = app_of(test_db, &sink, 200).await;
    test_app.set_clock("2026-11-24T09:00:40Z");
    for _ in 0..5 {
        test_app
            .app
            .storage
            .publish_range(200, test_app.app.now())
            .await
            .expect("made")
            .expect("a range");
    }
    let (_, after) = subscribers_read(test_app).await;
    assert!(
        (1_000..10_000).contains(&(after - before)),
        "{} rows were read for 1,000 deliveries",
        after - before
    );
}
