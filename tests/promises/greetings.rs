//! Relays that greet otherwise than most: one EHLO, a small SIZE, few logins, other mechanisms, certificates that are an authority's, replies
//! written one by one, and a first refusal for everybody. Nobody pays for it with a mail.

use std::time::Duration;
use std::time::Instant;

use chrono::TimeDelta;
use verdicts::app::delivery::SendEnding;
use verdicts::app::issue::digests::DigestStatus;
use verdicts::app::issue::digests::SendResult;
use verdicts::config::ListedRelaySettings;
use verdicts::config::PauseSettings;
use verdicts::config::Settings;
use verdicts::storage::ledger::Tally;

use crate::stalls::wait_for_words;
use crate::support::Behaviour;
use crate::support::Program;
use crate::support::Script;
use crate::support::SmtpSink;
use crate::support::TestApp;
use crate::support::TestDb;
use crate::support::catalogue::small;
use crate::support::on_both;
use crate::support::run_raw_sql;
use crate::support::this_week;

/// Pauses that a test can wait for.
const SHORT: PauseSettings = PauseSettings {
    first: Duration::from_millis(50),
    max: Duration::from_millis(200),
};

/// Sends a digest over that way out to so many readers.
async fn send_over(
    url: &str,
    readers: usize,
    test_db: TestDb,
    adapt: impl FnOnce(&mut Settings),
) -> (TestApp, DigestStatus, SendEnding) {
    let test_app = TestApp::open_with(test_db, |settings| {
        settings.mail.transport = url.into();
        adapt(settings);
    })
    .await;
    test_app.stock_small().await;
    test_app.seed_subscribers("r", readers).await;
    let SendResult::Delivered(status, ending) = test_app.send_digest().await else {
        panic!("nothing was sent")
    };
    (test_app, status, ending)
}

async fn all_is_sent(
    sink: &SmtpSink,
    url: &str,
    readers: usize,
    test_db: TestDb,
    adapt: impl FnOnce(&mut Settings),
) {
    let (_house, status, ending) = send_over(url, readers, test_db, adapt).await;
    assert_eq!(
        (ending, status.tally),
        (
            SendEnding::Final,
            Tally {
                sent: readers as u64,
                ..Tally::default()
            }
        )
    );
    assert_eq!(sink.mails(), readers);
}

/// The program with a digest for so many readers, and that way out.
fn program(test_db: &TestDb, url: &str, readers: usize) -> Program {
    let program = Program::set_up(test_db)
        .with("VERDICTS_MAIL__TRANSPORT", url)
        .with("VERDICTS_LOG", "info");
    #[allow(
        clippy::disallowed_methods,
        reason = "the program looks at the machine's clock, so its catalogue must be of today"
    )]
    let now = chrono::Utc::now();
    program.write("c.toml", small(2, now));
    let list: String = (0..readers)
        .map(|n| format!("r{n}@example.org\n"))
        .collect();
    program.write("l.csv", format!("email\n{list}"));
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

fn count(sink: &SmtpSink, start: &str) -> usize {
    sink.commands()
        .iter()
        .filter(|line| line.starts_with(start))
        .count()
}

/// The certificate of a sink, in a file of the service.
fn named(sink: &SmtpSink, test_db: &TestDb) -> String {
    let base64 = base64::Engine::encode(
        &base64::engine::general_purpose::STANDARD,
        sink.certificate().expect("a certificate"),
    );
    let path = test_db.dir.path().join("relay.pem");
    std::fs::write(
        &path,
        format!("-----BEGIN CERTIFICATE-----\n{base64}\n-----END CERTIFICATE-----\n"),
    )
    .expect("written");
    path.display().to_string()
}

fn listed(name: &str, sink: &SmtpSink) -> ListedRelaySettings {
    ListedRelaySettings {
        name: name.into(),
        transport: sink.url().into(),
        weight: 1,
        connections: None,
        rate_per_second: None,
        per_day: None,
        warm_up: None,
    }
}

on_both! {
    async fn a_server_that_takes_one_ehlo_is_told_one_in_the_clear_and_one_under_tls(test_db) {
        let plain = SmtpSink::start(Script::accept_all().one_hello()).await;
        let another = test_db.another();
        // Also where TLS would be taken and is not offered.
        let url = plain.url().replace("tls=none", "tls=opportunistic");
        all_is_sent(&plain, &url, 30, test_db, |settings| settings.mail.connections = 2).await;
        assert_eq!(count(&plain, "EHLO"), plain.connections());
        let encrypted = SmtpSink::start(Script::accept_all().one_hello().offers_starttls().requires_login("news", "right")).await;
        let url = format!("{}&tls_ca={}", encrypted.url_as("news", "right"), named(&encrypted, &another));
        all_is_sent(&encrypted, &url, 10, another, |settings| settings.mail.connections = 2).await;
        assert_eq!(count(&encrypted, "EHLO"), 2 * encrypted.connections());
    }

    async fn a_limit_of_logins_is_no_wrong_password_and_puts_nobody_off(test_db) {
        let script = Script::accept_all().requires_login("news", "right").logins_max(4).delay(Duration::from_millis(20));
        let sink = SmtpSink::start(script).await;
        let program = program(&test_db, &sink.url_as("news", "right"), 100).with("VERDICTS_MAIL__CONNECTIONS", "8");
        let sent = program.run(&["digest", "send"]).good();
        assert!(sent.err.contains("reducing the number of connections") && sent.err.contains("takes no login for now: 421"), "{sent:?}");
        assert!(!sent.err.contains("sending is paused") && !sent.err.contains("check user and password"), "{sent:?}");
        assert_eq!((sink.mails(), program.run(&["digest", "audit"]).good().out.contains("0 once in doubt")), (100, true));
    }

    async fn a_login_that_is_put_off_is_waited_for(test_db) {
        let later = Behaviour::reply("454 4.7.0 Temporary authentication failure").times(2);
        let sink = SmtpSink::start(Script::accept_all().requires_login("news", "right").at_login(later)).await;
        all_is_sent(&sink, &sink.url_as("news", "right"), 20, test_db, |settings| settings.mail.pause = SHORT).await;
    }

    async fn a_wrong_password_is_tried_by_one_connection(test_db) {
        let sink = SmtpSink::start(Script::accept_all().requires_login("news", "right")).await;
        let (_house, status, ending) = send_over(&sink.url_as("news", "wr0ng-secret"), 50, test_db, |_| {}).await;
        assert!(matches!(&ending, SendEnding::Trouble(words) if words.contains("535") && !words.contains("wr0ng")), "{ending:?}");
        assert_eq!(status.tally, Tally { queued: 50, ..Tally::default() });
        assert_eq!(count(&sink, "AUTH"), 1, "ten at once lock the account");
    }

    async fn each_mechanism_that_is_known_works_alone(test_db) {
        let (first, second, third) = (test_db.another(), test_db.another(), test_db);
        let by_login = SmtpSink::start(Script::accept_all().requires_login("news", "right").mechanisms("LOGIN")).await;
        all_is_sent(&by_login, &by_login.url_as("news", "right"), 5, first, |_| {}).await;
        let by_cram = SmtpSink::start(Script::accept_all().requires_login("tim", "tanstaaftanstaaf").mechanisms("CRAM-MD5")).await;
        all_is_sent(&by_cram, &by_cram.url_as("tim", "tanstaaftanstaaf"), 5, second, |_| {}).await;
        // Too weak for this account: the next one is tried.
        let weak = Behaviour::reply("534 5.7.9 Authentication mechanism is too weak").times(1);
        let picky = Script::accept_all().requires_login("tim", "tanstaaftanstaaf").mechanisms("PLAIN CRAM-MD5").at_login(weak);
        let picky = SmtpSink::start(picky).await;
        all_is_sent(&picky, &picky.url_as("tim", "tanstaaftanstaaf"), 5, third, |settings| settings.mail.connections = 1).await;
    }

    async fn mechanisms_that_are_not_known_are_named_and_nobody_is_failed(test_db) {
        let sink = SmtpSink::start(Script::accept_all().requires_login("news", "right").mechanisms("GSSAPI XOAUTH2")).await;
        let (_house, status, ending) = send_over(&sink.url_as("news", "right"), 5, test_db, |_| {}).await;
        assert!(matches!(&ending, SendEnding::Trouble(words) if words.contains("GSSAPI, XOAUTH2") && words.contains("tls=required")), "{ending:?}");
        assert_eq!(status.tally, Tally { queued: 5, ..Tally::default() });
    }

    async fn a_certificate_that_is_an_authority_s_is_trusted_where_it_is_named(test_db) {
        let sink = SmtpSink::start(Script::accept_all().implicit_tls().with_authority()).await;
        let (url, ca, again) = (sink.url(), named(&sink, &test_db), test_db.again());
        let (test_app, _, ending) = send_over(&url, 5, test_db, |_| {}).await;
        assert!(matches!(&ending, SendEnding::Trouble(words) if words.contains("certificate")), "not named, not trusted: {ending:?}");
        let app_again = TestApp::open_with(again, |settings| settings.mail.transport = format!("{url}?tls_ca={ca}").into()).await;
        app_again.wait(TimeDelta::minutes(1));
        assert!(matches!(app_again.send_digest().await, SendResult::Delivered(_, SendEnding::Final)));
        assert_eq!(sink.mails(), 5);
        drop(test_app);
    }

    async fn a_relay_that_takes_no_mail_as_large_is_named_before_the_first_and_fails_nobody(test_db) {
        let sink = SmtpSink::start(Script::accept_all().size(2_000)).await;
        let (test_app, status, ending) = send_over(&sink.url(), 40, test_db, |_| {}).await;
        assert!(matches!(&ending, SendEnding::Trouble(words) if words.contains("at most 2000 bytes (SIZE)")), "{ending:?}");
        assert_eq!((status.tally, sink.mails(), count(&sink, "MAIL")), (Tally { queued: 40, ..Tally::default() }, 0, 0));
        let waits = test_app.app.storage.next_due(test_app.slot().id()).await.expect("a time");
        assert!(waits.is_some_and(|due| due <= test_app.app.now()), "no attempt is used up: {waits:?}");
    }

    async fn of_two_relays_the_one_that_takes_mails_as_large_takes_all(test_db) {
        let (small, large) = (SmtpSink::start(Script::accept_all().size(2_000)).await, SmtpSink::start(Script::accept_all()).await);
        let relays = vec![listed("small", &small), listed("large", &large)];
        all_is_sent(&large, "mailbox:unused", 200, test_db, |settings| settings.mail.relays = relays).await;
        assert_eq!(count(&small, "MAIL"), 0);
    }

    async fn a_size_that_was_not_announced_fails_nobody_either(test_db) {
        let sink = SmtpSink::start(Script::accept_all().extensions(&["PIPELINING"]).after_body("*", "552 5.3.4 Message too big for system")).await;
        let (_house, status, ending) = send_over(&sink.url(), 40, test_db, |_| {}).await;
        assert!(matches!(&ending, SendEnding::Trouble(words) if words.contains("5.3.4")), "{ending:?}");
        assert_eq!((status.tally.queued, status.tally.failed), (40, 0));
    }

    async fn a_limit_of_mails_a_minute_is_waited_for_and_fails_nobody(test_db) {
        let limited = Behaviour::reply("450 4.7.1 Error: too much mail from 127.0.0.1").times(3);
        let sink = SmtpSink::start(Script::accept_all().at_mail_from(limited)).await;
        let (test_app, status, ending) = send_over(&sink.url(), 40, test_db, |settings| {
            settings.mail.connections = 1;
            // Longer than the command takes to see it.
            settings.mail.pause = PauseSettings { first: Duration::from_millis(400), max: Duration::from_millis(400) };
        })
        .await;
        assert_eq!((ending, status.tally.sent + status.tally.queued), (SendEnding::Waits, 40), "{:?}", status.tally);
        assert!((1..=3).contains(&status.tally.queued), "only who was refused is put off: {:?}", status.tally);
        test_app.wait(TimeDelta::minutes(7));
        assert!(matches!(test_app.send_digest().await, SendResult::Delivered(_, SendEnding::Final)));
        assert_eq!(sink.mails(), 40);
    }

    async fn a_relay_that_greylists_everybody_is_asked_once_for_each_and_not_paused(test_db) {
        const READERS: usize = 30;
        let greylisted = Behaviour::reply("451 4.7.1 Greylisted, try again later").times(READERS);
        let sink = SmtpSink::start(Script::accept_all().reply_to("*", greylisted)).await;
        let program = program(&test_db, &sink.url(), READERS).with("VERDICTS_MAIL__CONNECTIONS", "1").with("VERDICTS_MAIL__PAUSE__FIRST", "10ms");
        let sent = program.run(&["digest", "send"]).good();
        assert!(sent.err.contains(&format!("{READERS} deliveries wait for a later try")), "{sent:?}");
        assert!(!sent.err.contains("number of connections") && !sent.err.contains("defers all mail") && !sent.err.contains("paused"), "{sent:?}");
        assert_eq!(count(&sink, "RCPT"), READERS);
        run_raw_sql(&test_db, "update delivery_batches set due_at = due_at - 900000; update deliveries set due_at = due_at - 900000").await;
        program.run(&["digest", "send"]).good();
        assert_eq!(sink.mails(), READERS);
    }

    async fn a_relay_that_wants_nobody_now_is_waited_for_by_the_command(test_db) {
        let busy = Behaviour::reply("421 4.3.2 All server ports are busy").times(3);
        let sink = SmtpSink::start(Script::accept_all().at_greeting(busy)).await;
        all_is_sent(&sink, &sink.url(), 20, test_db, |settings| {
            settings.mail.connections = 1;
            settings.mail.pause = SHORT;
        })
        .await;
    }

    async fn a_command_says_what_it_waits_for_and_ends_once_all_is_sent(test_db) {
        let busy = Behaviour::reply("421 4.3.2 All server ports are busy").times(1);
        let sink = SmtpSink::start(Script::accept_all().at_greeting(busy)).await;
        let program = program(&test_db, &sink.url(), 3).with("VERDICTS_MAIL__CONNECTIONS", "1").with("VERDICTS_MAIL__PAUSE__FIRST", "1s");
        let sent = program.run(&["digest", "send"]).good();
        assert!(sent.err.contains("relay default: waiting until") && sent.err.contains("All server ports are busy"), "{sent:?}");
        assert_eq!(sink.mails(), 3);
    }

    async fn a_small_size_is_named_everywhere_and_so_is_its_end(test_db) {
        let sink = SmtpSink::start(Script::accept_all().size(2_000)).await;
        let program = program(&test_db, &sink.url(), 3).with("VERDICTS_MAIL__PAUSE__FIRST", "100ms").with("VERDICTS_MAIL__PAUSE__MAX", "300ms");
        let refused = program.run(&["digest", "send"]);
        assert!(refused.code == 1 && refused.err.contains("at most 2000 bytes (SIZE)"), "{refused:?}");
        run_raw_sql(&test_db, "update delivery_batches set due_at = due_at - 120000; update deliveries set due_at = due_at - 120000").await;
        let mut serve = program.start("serve", &["serve", "--role", "deliver"]);
        const NAMED: &str = "a relay that takes mails as large as these";
        wait_for_words(&program, NAMED).await;
        let shown = program.run(&["digest", "show", &this_week()]).good().out;
        assert!(shown.contains(NAMED) && shown.contains("at most 2000 bytes"), "{shown}");
        let looked = program.run(&["doctor"]);
        assert!(looked.out.contains(NAMED) && looked.out.contains("takes mails of at most 2000 bytes"), "{looked:?}");
        sink.set_size(1_000_000);
        sink.wait_for(3, Duration::from_secs(60)).await;
        wait_for_words(&program, "sending goes on").await;
        assert_eq!(serve.terminate(), Some(0));
    }
}

/// A wait of 40 ms a mail where a reply is written before the one before it is acknowledged, and the server waits for that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replies_that_are_written_one_by_one_take_no_longer() {
    const READERS: usize = 150;
    let mut took = Vec::new();
    for script in [Script::accept_all(), Script::accept_all().one_by_one()] {
        let sink = SmtpSink::start(script).await;
        let began = Instant::now();
        all_is_sent(&sink, &sink.url(), READERS, TestDb::sqlite(), |settings| {
            settings.mail.connections = 1
        })
        .await;
        took.push(began.elapsed());
    }
    assert!(took[1] < took[0] * 5, "{took:?}");
}
