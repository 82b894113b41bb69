//! Connections: encrypted, refused, closed, lost, silent.

use std::time::Duration;

use chrono::TimeDelta;
use verdicts::app::delivery::SendEnding;
use verdicts::config::PauseSettings;
use verdicts::domain::subscriber::SubscriberState;
use verdicts::storage::ledger::Tally;

use super::app_of;
use super::app_over_one_connection;
use super::ending;
use super::tally;
use crate::support::Behaviour;
use crate::support::Script;
use crate::support::SmtpSink;
use crate::support::TestApp;
use crate::support::TestDb;
use crate::support::on_both;
use crate::support::until;

on_both! {
    async fn a_relay_that_closes_a_used_connection_is_given_the_mail_over_a_fresh_one(test_db) {
        let sink = SmtpSink::start(Script::accept_all().reply_to("r2", Behaviour::reply("421 4.7.0 too many").times(1))).await;
        let test_app = TestApp::stocked(test_db, &sink, |settings| settings.mail.connections = 1).await;
        test_app.seed_subscribers("r", 5).await;
        let sent = test_app.send_digest().await;
        assert_eq!((tally(&sent).sent, ending(&sent), sink.connections()), (5, SendEnding::Final, 2));
        assert_eq!(sink.mails(), 5);
    }

    async fn a_relay_that_closes_a_fresh_connection_is_given_the_mail_later(test_db) {
        let sink = SmtpSink::start(Script::accept_all().reply_to("*", Behaviour::reply("421 4.7.0 too many").times(1))).await;
        let test_app = TestApp::stocked(test_db, &sink, |settings| {
            settings.mail.connections = 1;
            settings.mail.pause = PauseSettings { first: Duration::from_millis(50), max: Duration::from_millis(50) };
        }).await;
        test_app.seed_subscribers("r", 5).await;
        let first = test_app.send_digest().await;
        assert_eq!((tally(&first).sent, tally(&first).queued), (4, 1), "the first mail over a connection waits its turn");
        test_app.wait(TimeDelta::minutes(7));
        assert_eq!(tally(&test_app.send_digest().await).sent, 5);
        assert_eq!(sink.mails(), 5);
    }

    async fn a_wrong_smtp_password_unsubscribes_nobody_and_costs_no_attempt(test_db) {
        let sink = SmtpSink::start(Script::accept_all().requires_login("news", "right")).await;
        let (wrong, right) = (sink.url_as("news", "wr0ng-secret"), sink.url_as("news", "right"));
        let reopened = TestDb { dir: tempfile::tempdir().expect("a folder"), database_url: test_db.database_url.clone() };
        let test_app = TestApp::open_with(test_db, |settings| settings.mail.transport = wrong.into()).await;
        test_app.stock_small().await;
        test_app.seed_subscribers("r", 20).await;
        let sent = test_app.send_digest().await;
        let SendEnding::Trouble(words) = ending(&sent) else { panic!("{sent:?}") };
        assert!(words.contains("535") && !words.contains("wr0ng-secret"), "{words}");
        assert_eq!((tally(&sent).queued, tally(&sent).failed), (20, 0));
        let test_app = TestApp::open_with(reopened, |settings| settings.mail.transport = right.into()).await;
        test_app.wait(TimeDelta::minutes(1));
        assert_eq!(tally(&test_app.send_digest().await).sent, 20);
        assert_eq!(test_app.state_of("r7@example.org").await, Some(SubscriberState::Active));
    }

    async fn a_relay_that_is_down_is_said_and_costs_no_attempt(test_db) {
        let mut sink = SmtpSink::start(Script::accept_all()).await;
        sink.stop().await;
        let test_app = app_of(20, test_db, &sink).await;
        let sent = test_app.send_digest().await;
        assert!(matches!(ending(&sent), SendEnding::Trouble(words) if words.contains("127.0.0.1")), "{sent:?}");
        assert_eq!(tally(&sent), Tally { queued: 20, ..Tally::default() });
    }

    async fn a_server_that_hangs_is_left_and_the_mail_goes_out_later(test_db) {
        let sink = SmtpSink::start(Script::accept_all().reply_to("r0", Behaviour::hang().times(1))).await;
        let test_app = app_of(4, test_db, &sink).await;
        let first = test_app.send_digest().await;
        assert_eq!((tally(&first).sent, tally(&first).queued, tally(&first).uncertain), (3, 1, 0), "no final dot, no doubt");
        test_app.wait(TimeDelta::minutes(7));
        assert_eq!(tally(&test_app.send_digest().await).sent, 4);
        assert_eq!(sink.mails(), 4);
    }

    async fn a_connection_lost_in_the_middle_of_the_body_loses_nobody(test_db) {
        let sink = SmtpSink::start(Script::accept_all().in_body("r0", Behaviour::close().times(1))).await;
        let test_app = app_of(4, test_db, &sink).await;
        test_app.send_digest().await;
        test_app.wait(TimeDelta::minutes(7));
        let last = test_app.send_digest().await;
        assert_eq!((tally(&last).sent, ending(&last)), (4, SendEnding::Final));
        assert_eq!(sink.received_by("r0@example.org").len(), 1);
    }
}

#[tokio::test]
async fn mail_leaves_over_starttls_and_over_implicit_tls_with_a_login() {
    for script in [
        Script::accept_all().offers_starttls(),
        Script::accept_all().implicit_tls(),
    ] {
        let sink = SmtpSink::start(script.requires_login("news", "p@ss/word")).await;
        let test_db = TestDb::sqlite();
        let authority = test_db.dir.path().join("ca.pem");
        let pem = base64_lines(&sink.certificate().expect("a certificate"));
        std::fs::write(
            &authority,
            format!("-----BEGIN CERTIFICATE-----\n{pem}-----END CERTIFICATE-----\n"),
        )
        .expect("written");
        let url = sink.url_as("news", "p@ss/word");
        let joint = if url.contains('?') { '&' } else { '?' };
        let test_app = TestApp::open_with(test_db, |settings| {
            settings.mail.transport = format!("{url}{joint}tls_ca={}", authority.display()).into()
        })
        .await;
        test_app.stock_small().await;
        test_app.seed_subscribers("r", 3).await;
        assert_eq!(tally(&test_app.send_digest().await).sent, 3);
        assert!(sink.received().iter().all(|mail| mail.tls));
    }
}

#[tokio::test]
async fn a_refusal_amid_pipelined_commands_leaves_the_connection_in_step() {
    let refuses = || {
        Script::accept_all()
            .reply_to("r1", "550 5.1.1 no such user")
            .reply_to("r3", "451 4.3.0 later")
            .at_data("r5", "452 4.3.1 full")
    };
    for script in [
        refuses(),
        refuses().says_354_to_nobody(),
        refuses().extensions(&[]),
    ] {
        let sink = SmtpSink::start(script).await;
        let test_app = app_over_one_connection(8, &sink).await;
        let sent = test_app.send_digest().await;
        assert_eq!(
            (
                tally(&sent).sent,
                tally(&sent).failed,
                tally(&sent).queued,
                sink.mails()
            ),
            (5, 1, 2, 5)
        );
        assert_eq!(sink.connections(), 1, "one connection served them all");
        assert!(sink.received().iter().all(|mail| !mail.data.is_empty()));
    }
}

#[tokio::test]
async fn a_server_that_hangs_up_after_some_mails_keeps_nobody_waiting() {
    let sink = SmtpSink::start(Script::accept_all().mails_per_connection(3)).await;
    let test_app = app_over_one_connection(10, &sink).await;
    assert_eq!(
        (
            tally(&test_app.send_digest().await).sent,
            sink.mails(),
            sink.connections()
        ),
        (10, 10, 4)
    );
}

#[tokio::test]
async fn a_relay_that_refuses_us_costs_no_reader_their_mail() {
    let sink =
        SmtpSink::start(Script::accept_all().at_mail_from("554 5.7.1 your network is not welcome"))
            .await;
    let test_app = app_of(60, TestDb::sqlite(), &sink).await;
    let sent = test_app.send_digest().await;
    assert!(
        matches!(ending(&sent), SendEnding::Trouble(words) if words.contains("554")),
        "{sent:?}"
    );
    assert_eq!((tally(&sent).failed, tally(&sent).queued), (0, 60));
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_stops_sending_and_says_so() {
    let sink = SmtpSink::start(Script::accept_all().offers_starttls()).await;
    let test_app = app_of(3, TestDb::sqlite(), &sink).await;
    let sent = test_app.send_digest().await;
    assert!(
        matches!(ending(&sent), SendEnding::Trouble(words) if words.contains("certificate")),
        "{sent:?}"
    );
    assert_eq!((tally(&sent).queued, sink.mails()), (3, 0));
}

#[tokio::test]
async fn sending_goes_on_by_itself_once_the_relay_is_back() {
    let mut sink = SmtpSink::start(Script::accept_all()).await;
    let port = sink.port();
    sink.stop().await;
    let test_app = app_of(3, TestDb::sqlite(), &sink).await;
    test_app.set_clock("2026-11-24T09:00:30Z");
    test_app.app.tick().await.expect("picked and published");
    let mut back = None;
    test_app
        .deliver_while("all mails", async || {
            if back.is_none()
                && test_app
                    .app
                    .status(test_app.slot())
                    .await
                    .is_ok_and(|status| !status.troubles.is_empty())
            {
                back = Some(SmtpSink::start_on(port, Script::accept_all()).await);
            }
            back.as_ref().is_some_and(|sink| sink.mails() == 3)
        })
        .await;
    until("the trouble is over", async || {
        test_app
            .app
            .status(test_app.slot())
            .await
            .is_ok_and(|status| status.troubles.is_empty())
    })
    .await;
}

fn base64_lines(bytes: &[u8]) -> String {
    use base64::Engine;
    let text = base64::engine::general_purpose::STANDARD.encode(bytes);
    text.as_bytes()
        .chunks(64)
        .map(|line| format!("{}\n", String::from_utf8_lossy(line)))
        .collect()
}
