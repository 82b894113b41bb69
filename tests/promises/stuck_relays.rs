//! Cost of a relay that is slow or silent: its own mails and connections, and nobody else's.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::json;
use verdicts::app::delivery::MailStage;
use verdicts::app::delivery::SendEnding;
use verdicts::app::issue::digests::SendResult;
use verdicts::config::PauseSettings;
use verdicts::config::Settings;

use crate::support::Behaviour;
use crate::support::Program;
use crate::support::Script;
use crate::support::SmtpSink;
use crate::support::TestApp;
use crate::support::TestDb;
use crate::support::on_both;
use crate::support::until;

/// RFC 5321 4.5.3.2: what a server may take for an answer.
const LEGAL: Duration = Duration::from_secs(300);

/// A service with those relays, which may take as long as RFC 5321 allows, and so many readers.
async fn app_to(
    relays: &[&SmtpSink],
    count: usize,
    test_db: TestDb,
    adapt: impl FnOnce(&mut Settings),
) -> TestApp {
    let names = ["a", "b", "c"];
    let listed: Vec<_> = names
        .iter()
        .zip(relays)
        .map(|(name, sink)| json!({ "name": name, "transport": sink.url() }))
        .collect();
    let test_app = TestApp::open_with(test_db, |settings| {
        settings.mail.relays = serde_json::from_value(json!(listed)).expect("relays");
        settings.mail.connections = 4;
        settings.mail.pause = PauseSettings {
            first: Duration::from_secs(1),
            max: Duration::from_secs(10),
        };
        settings.mail.timeouts.connect = LEGAL;
        settings.mail.timeouts.command = LEGAL;
        settings.mail.timeouts.finish = LEGAL;
        adapt(settings);
    })
    .await;
    test_app.stock_small().await;
    test_app.seed_subscribers("r", count).await;
    test_app
}

/// Lets [`until`] wait for half a minute: a breaker may open more than once.
async fn patience() {
    tokio::time::sleep(Duration::from_millis(40)).await;
}

/// Picks and publishes this week's digest.
async fn publish(test_app: &TestApp) {
    test_app.set_clock("2026-11-24T09:00:30Z");
    test_app.app.tick().await.expect("picked and published");
}

async fn tally(test_app: &TestApp) -> verdicts::storage::ledger::Tally {
    test_app
        .app
        .storage
        .tally(test_app.slot().id())
        .await
        .expect("a tally")
}

/// Number of attempts that each reader's mail has had.
async fn attempts(test_db: &TestDb) -> Vec<(String, i64)> {
    let sql = "select s.email, d.attempts from deliveries d join subscribers s on s.id = d.subscriber_id where d.kind = 'digest'";
    if test_db.is_postgres() {
        let pool = sqlx::PgPool::connect(&test_db.database_url)
            .await
            .expect("a connection");
        return sqlx::query_as(sql).fetch_all(&pool).await.expect("rows");
    }
    let pool = sqlx::SqlitePool::connect(&test_db.database_url)
        .await
        .expect("a connection");
    sqlx::query_as(sql).fetch_all(&pool).await.expect("rows")
}

fn copies(sinks: &[&SmtpSink]) -> HashMap<String, usize> {
    let all = sinks.iter().flat_map(|sink| sink.received());
    all.fold(HashMap::new(), |mut counts, mail| {
        *counts.entry(mail.to).or_default() += 1;
        counts
    })
}

fn final_of(sent: &SendResult) -> (u64, SendEnding) {
    match sent {
        SendResult::Delivered(status, ending) => (status.tally.sent, ending.clone()),
        SendResult::Not(_, words) => panic!("nothing was sent: {words}"),
    }
}

on_both! {
    async fn a_relay_that_greets_slowly_after_a_pause_gets_all_mail(test_db) {
        let mut down = SmtpSink::start(Script::accept_all()).await;
        down.stop().await;
        let test_app = app_to(&[&down], 20, test_db, |_| {}).await;
        publish(&test_app).await;
        let mut back = None;
        test_app.deliver_while("all mails", async || {
            if back.is_none() && test_app.app.status(test_app.slot()).await.is_ok_and(|status| !status.troubles.is_empty()) {
                let slow = Script::accept_all().hello_delay(Duration::from_millis(1_000));
                back = Some(SmtpSink::start_on(down.port(), slow).await);
            }
            patience().await;
            back.as_ref().is_some_and(|sink| sink.mails() == 20)
        }).await;
        assert!(attempts(&test_app.test_db).await.iter().all(|(_, attempts)| *attempts == 1), "a greeting costs no delivery an attempt");
    }

    async fn a_relay_that_put_everybody_off_and_then_greets_slowly_gets_all_mail(test_db) {
        let sink = SmtpSink::start(Script::accept_all().at_mail_from(Behaviour::reply("451 4.3.0 not now").times(10))).await;
        let test_app = app_to(&[&sink], 30, test_db, |settings| settings.mail.retry.first = Duration::from_millis(100)).await;
        publish(&test_app).await;
        test_app.deliver_while("all mails", async || {
            if test_app.app.status(test_app.slot()).await.is_ok_and(|status| !status.troubles.is_empty()) {
                sink.set_hello_delay(Duration::from_millis(900));
            }
            patience().await;
            sink.mails() == 30
        }).await;
        assert!(copies(&[&sink]).values().all(|count| *count == 1));
    }

    async fn steps_of_a_greeting_that_are_long_together_cost_no_connection(test_db) {
        let sink = SmtpSink::start(Script::accept_all().hello_delay(Duration::from_millis(1_200))).await;
        let test_app = app_to(&[&sink], 40, test_db, |_| {}).await;
        assert_eq!(final_of(&test_app.send_digest().await), (40, SendEnding::Final));
        assert_eq!((sink.mails(), sink.connections()), (40, 4), "none was given up on its way");
    }

    async fn a_relay_that_is_down_does_not_stop_one_that_greets_slowly(test_db) {
        let mut down = SmtpSink::start(Script::accept_all()).await;
        down.stop().await;
        let script = Script::accept_all().hello_delay(Duration::from_millis(600)).delay(Duration::from_millis(30));
        let slow = SmtpSink::start(script).await;
        let test_app = app_to(&[&slow, &down], 400, test_db, |_| {}).await;
        assert_eq!(final_of(&test_app.send_digest().await), (400, SendEnding::Final));
        assert_eq!((slow.mails(), slow.connections()), (400, 4), "each connection lived as long as there was mail");
    }

    async fn a_relay_that_falls_silent_after_its_greeting_costs_the_other_nothing(test_db) {
        let good = SmtpSink::start(Script::accept_all().delay(Duration::from_millis(5))).await;
        let silent = SmtpSink::start(Script::accept_all().at_mail_from(Behaviour::hang())).await;
        let test_app = app_to(&[&good, &silent], 400, test_db, |_| {}).await;
        publish(&test_app).await;
        let mut asked = false;
        test_app.deliver_while("a sign-up's mail beside the silent relay", async || {
            if !asked && good.mails() >= 100 {
                test_app.sign_up("new@example.org").await;
                asked = true;
            }
            patience().await;
            // What the silent one has is all that is left.
            good.mails() >= 397 && !good.received_by("new@example.org").is_empty()
        }).await;
        let order: Vec<String> = good.received().into_iter().map(|mail| mail.to).collect();
        let came = order.iter().position(|to| to == "new@example.org").expect("there");
        assert!(came < 397, "it overtook the digest: number {came}");
        assert_eq!((silent.mails(), tally(&test_app).await.uncertain), (0, 0), "no final dot, no doubt");
    }

    async fn what_a_silent_relay_has_is_sent_by_the_other_in_the_end(test_db) {
        let good = SmtpSink::start(Script::accept_all()).await;
        let silent = SmtpSink::start(Script::accept_all().at_mail_from(Behaviour::hang())).await;
        let test_app = app_to(&[&good, &silent], 60, test_db, |_| {}).await;
        assert_eq!(final_of(&test_app.send_digest().await), (60, SendEnding::Final), "long before the silent one's time is over");
        assert!((good.mails(), silent.mails()) == (60, 0) && copies(&[&good]).len() == 60);
    }

    async fn one_final_dot_that_is_answered_late_holds_one_mail_and_its_connection(test_db) {
        let script = Script::accept_all().after_body("r5", Behaviour::hold()).reply_to("r7", Behaviour::reply("451 4.3.0 later").times(1));
        let sink = SmtpSink::start(script).await;
        let test_app = app_to(&[&sink], 300, test_db, |settings| settings.mail.retry.first = Duration::from_millis(50)).await;
        publish(&test_app).await;
        let mut is_released = false;
        test_app.deliver_while("everybody else's mail, a retry of the same batch among them", async || {
            patience().await;
            let now = tally(&test_app).await;
            if !is_released && (now.sent, now.sending, now.queued) == (299, 1, 0) {
                let oldest = test_app.app.sending.get().and_then(|snapshot| snapshot.oldest.clone());
                assert!(oldest.is_some_and(|mail| mail.stage == MailStage::FinalDot && mail.relay == "a"), "it is shown");
                sink.release();
                is_released = true;
            }
            now.sent == 300
        }).await;
        assert!(is_released);
        assert_eq!((sink.mails(), copies(&[&sink]).len()), (300, 300));
    }

    async fn a_rate_is_kept_over_many_connections_and_nothing_begins_that_only_waits(test_db) {
        let sink = SmtpSink::start(Script::accept_all()).await;
        let again = test_db.again();
        let test_app = app_to(&[&sink], 40, test_db, |settings| {
            settings.mail.connections = 100;
            settings.mail.rate_per_second = 4;
        }).await;
        publish(&test_app).await;
        test_app.deliver_while("a few mails", async || sink.mails() >= 4).await;
        // The stop came while the others waited for their turn.
        let begun = attempts(&again).await.iter().filter(|(_, attempts)| *attempts > 0).count();
        let left = tally(&test_app).await;
        assert_eq!((begun, left.sent as usize, left.sending, left.uncertain), (sink.mails(), sink.mails(), 0, 0), "{left:?}");
        assert!(sink.mails() < 40 && sink.connections() < 10, "{} connections for 4 mails a second", sink.connections());
    }

    async fn a_fast_relay_is_not_held_back_by_a_slow_one_of_the_same_weight(test_db) {
        let fast = SmtpSink::start(Script::accept_all().delay(Duration::from_millis(4))).await;
        let slow = SmtpSink::start(Script::accept_all().delay(Duration::from_millis(500))).await;
        let test_app = app_to(&[&fast, &slow], 600, test_db, |settings| settings.mail.relays[1].connections = Some(1)).await;
        assert_eq!(final_of(&test_app.send_digest().await), (600, SendEnding::Final));
        assert!(fast.mails() > 10 * slow.mails(), "{} by the fast one, {} by the slow one", fast.mails(), slow.mails());
    }

    async fn many_domains_under_one_rule_put_nothing_off(test_db) {
        let sink = SmtpSink::start(Script::accept_all()).await;
        let test_app = app_to(&[&sink], 0, test_db, |settings| {
            settings.mail.per_domain = serde_json::from_value(json!([{ "domain": "*", "connections": 2 }])).expect("limits");
        }).await;
        let many: String = (0..1_200).map(|n| format!("s{n}@d{n}.example\n")).collect();
        let one: String = (0..1_300).map(|n| format!("t{n}@one.example\n")).collect();
        test_app.enlist_all(&format!("email\n{one}{many}")).await;
        assert_eq!(final_of(&test_app.send_digest().await), (2_500, SendEnding::Final), "no server refused anything");
        assert!(attempts(&test_app.test_db).await.iter().all(|(_, attempts)| *attempts == 1));
        let order: Vec<String> = sink.received().into_iter().map(|mail| mail.to).collect();
        let last_of_many = order.iter().rposition(|to| !to.ends_with("@one.example")).expect("there");
        assert!(last_of_many < 2_400, "the others went past the one domain: the last of them was number {last_of_many}");
    }

    async fn sigterm_ends_a_send_whose_server_says_nothing(test_db) {
        for (silence, readers_begun) in [(Script::accept_all().at_greeting(Behaviour::hang()), 0), (Script::accept_all().at_mail_from(Behaviour::hang()), 4)] {
            let sink = SmtpSink::start(silence).await;
            let test_db = if test_db.is_postgres() { TestDb::postgres().expect("a database") } else { TestDb::sqlite() };
            let program = program_to(&test_db, &sink);
            for (name, arguments) in [("send", &["digest", "send"][..]), ("serve", &["serve", "--role", "deliver"][..])] {
                let before = sink.connections();
                let mut running = program.start(name, arguments);
                until("it talks to the server", async || sink.connections() >= before + 4).await;
                until("mails are begun", async || begun(&test_db).await == readers_begun).await;
                assert_eq!(running.terminate(), Some(i32::from(name == "send")), "{name} ends in order, the server still silent");
                assert_eq!(begun(&test_db).await, 0, "what had no final dot was taken back");
            }
            let audit = program.run(&["digest", "audit"]).good().out;
            assert!(audit.contains("0 once in doubt"), "{audit}");
        }
    }

    async fn sigterm_ends_a_send_that_waits_for_its_pace(test_db) {
        let sink = SmtpSink::start(Script::accept_all()).await;
        let program = program_to_many(&test_db, &sink, 100).with("VERDICTS_MAIL__CONNECTIONS", "100");
        let paced = program.clone().with("VERDICTS_MAIL__RATE_PER_SECOND", "2");
        for (name, arguments) in [("send", &["digest", "send"][..]), ("serve", &["serve", "--role", "deliver"][..])] {
            let before = sink.mails();
            let mut running = paced.start(name, arguments);
            until("a few mails", async || sink.mails() >= before + 2).await;
            let at_stop = sink.mails();
            assert_eq!(running.terminate(), Some(i32::from(name == "send")), "{name} ends in order");
            assert!(sink.mails() <= at_stop + 10, "{name} went on for {} mails", sink.mails() - at_stop);
            let tried = attempts(&test_db).await.iter().filter(|(_, attempts)| *attempts > 0).count();
            assert_eq!((tried, begun(&test_db).await), (sink.mails(), 0), "nothing begins that only waits");
        }
        program.run(&["digest", "send"]).good();
        let copies = copies(&[&sink]);
        assert!(copies.len() == 100 && copies.values().all(|count| *count == 1), "{} readers, {} mails", copies.len(), sink.mails());
        let audit = program.run(&["digest", "audit"]).good().out;
        assert!(audit.contains("0 once in doubt"), "{audit}");
    }
}

/// Deliveries that are marked as being sent.
async fn begun(test_db: &TestDb) -> i64 {
    let sql = "select count(*) from deliveries where state = 'sending'";
    if test_db.is_postgres() {
        let pool = sqlx::PgPool::connect(&test_db.database_url)
            .await
            .expect("a connection");
        return sqlx::query_scalar(sql)
            .fetch_one(&pool)
            .await
            .expect("a count");
    }
    let pool = sqlx::SqlitePool::connect(&test_db.database_url)
        .await
        .expect("a connection");
    sqlx::query_scalar(sql)
        .fetch_one(&pool)
        .await
        .expect("a count")
}

/// The program with 20 readers and four connections to that server.
fn program_to(test_db: &TestDb, sink: &SmtpSink) -> Program {
    program_to_many(test_db, sink, 20)
}

fn program_to_many(test_db: &TestDb, sink: &SmtpSink, readers: usize) -> Program {
    let program = Program::in_place(test_db)
        .with("VERDICTS_MAIL__TRANSPORT", &sink.url())
        .with("VERDICTS_MAIL__CONNECTIONS", "4")
        .with("VERDICTS_SITE__SECRET", "a secret for tests only")
        .with("VERDICTS_SITE__LISTEN", "127.0.0.1:0");
    program.run(&["migrate"]).good();
    #[allow(
        clippy::disallowed_methods,
        reason = "the program looks at the machine's clock, so its catalogue must be of today"
    )]
    let now = chrono::Utc::now();
    program
        .run_with_input(
            &["catalog", "import", "-"],
            crate::crash::catalogue_json(now).as_bytes(),
        )
        .good();
    let rows: String = (0..readers)
        .map(|n| format!("r{n}@example.org\n"))
        .collect();
    program
        .run_with_input(
            &[
                "subscribers",
                "import",
                "-",
                "--consent",
                "test",
                "--confirmed",
            ],
            format!("email\n{rows}").as_bytes(),
        )
        .good();
    program
}
