//! Relays with bad manners: each reader gets the mail once, and nobody is put off but who was refused.

use std::time::Duration;

use chrono::TimeDelta;
use verdicts::app::delivery::SendEnding;
use verdicts::app::issue::digests::SendResult;
use verdicts::config::PauseSettings;
use verdicts::config::Settings;
use verdicts::domain::delivery::UncertainPolicy;
use verdicts::storage::ledger::Tally;

use crate::delivery::tally;
use crate::support::TestApp;
use crate::support::TestDb;
use crate::support::on_both;
use crate::support::rude_relay::Manner;
use crate::support::rude_relay::RudeRelay;

/// The breaker's pause where a test waits for its end.
const PAUSE: Duration = Duration::from_millis(50);

async fn app_at(
    relay: &RudeRelay,
    count: usize,
    test_db: TestDb,
    adapt: impl FnOnce(&mut Settings),
) -> TestApp {
    let url = relay.url();
    let test_app = TestApp::open_with(test_db, |settings| {
        settings.mail.transport = url.into();
        settings.mail.connections = 4;
        settings.mail.return_path = Some("bounces+{verp}@verdicts.example".into());
        settings.mail.timeouts.command = Duration::from_secs(60);
        settings.mail.timeouts.finish = Duration::from_secs(60);
        adapt(settings);
    })
    .await;
    test_app.stock_small().await;
    test_app.seed_subscribers("r", count).await;
    test_app
}

/// Whole mails, each under its own reader's return path; the number of copies that each reader has at most.
fn most_copies(relay: &RudeRelay) -> usize {
    let taken = relay.taken();
    let mut paths = std::collections::HashMap::new();
    for mail in &taken {
        assert!(mail.size > 500, "an empty mail to {}: {mail:?}", mail.to);
        assert!(
            mail.named.contains(&mail.to),
            "a mail to {} under another envelope: {mail:?}",
            mail.named
        );
        assert_eq!(
            paths.entry(&mail.from).or_insert(&mail.to),
            &&mail.to,
            "one return path for two readers"
        );
    }
    taken
        .iter()
        .map(|mail| relay.copies(&mail.to))
        .max()
        .unwrap_or_default()
}

fn all_sent(sent: &SendResult, count: u64) {
    assert_eq!(
        tally(sent),
        Tally {
            sent: count,
            ..Tally::default()
        },
        "{sent:?}"
    );
}

async fn attempts_beyond_one(test_db: &TestDb) -> i64 {
    number(test_db, "select coalesce(cast(sum(attempts) as bigint), 0) - count(*) from deliveries where kind = 'digest'").await
}

async fn number(test_db: &TestDb, sql: &'static str) -> i64 {
    if test_db.is_postgres() {
        let pool = sqlx::PgPool::connect(&test_db.database_url)
            .await
            .expect("a connection");
        sqlx::query_scalar(sql)
            .fetch_one(&pool)
            .await
            .expect("a number")
    } else {
        let pool = sqlx::SqlitePool::connect(&test_db.database_url)
            .await
            .expect("a connection");
        sqlx::query_scalar(sql)
            .fetch_one(&pool)
            .await
            .expect("a number")
    }
}

/// A digest to 120 readers over a relay with that manner, in one pass.
async fn one_pass(manner: Manner, test_db: TestDb) -> (RudeRelay, TestApp) {
    let relay = RudeRelay::start(manner).await;
    let test_app = app_at(&relay, 120, test_db, |_| {}).await;
    let sent = test_app.send_digest().await;
    all_sent(&sent, 120);
    assert_eq!((relay.taken().len(), most_copies(&relay)), (120, 1));
    assert_eq!(
        attempts_beyond_one(&test_app.test_db).await,
        0,
        "nobody was put off"
    );
    (relay, test_app)
}

on_both! {
    async fn a_relay_that_bears_it_is_given_envelopes_ahead_of_its_answers(test_db) {
        let (relay, _house) = one_pass(Manner::Good, test_db).await;
        assert!(relay.hasty() > 3 * 60, "most envelopes went ahead: {}", relay.hasty());
    }

    async fn an_envelope_never_goes_ahead_where_that_is_switched_off(test_db) {
        let relay = RudeRelay::start(Manner::Good).await;
        let test_app = app_at(&relay, 60, test_db, |settings| settings.mail.envelope_ahead = false).await;
        all_sent(&test_app.send_digest().await, 60);
        assert_eq!((relay.hasty(), most_copies(&relay)), (0, 1));
    }

    async fn a_relay_that_says_503_to_what_came_with_a_dot_is_tried_once(test_db) {
        let (relay, _house) = one_pass(Manner::Says503AfterDot, test_db).await;
        assert_eq!(relay.hasty(), 3, "one envelope");
    }

    async fn a_relay_that_forgets_what_came_with_a_dot_is_tried_once(test_db) {
        let (relay, _house) = one_pass(Manner::ForgetsAfterDot, test_db).await;
        assert_eq!(relay.hasty(), 3, "one envelope");
    }

    async fn a_relay_that_hangs_up_on_what_came_with_a_dot_is_tried_once(test_db) {
        let (relay, _house) = one_pass(Manner::HangsUpAtHaste, test_db).await;
        assert_eq!(relay.hasty(), 3, "one envelope");
    }

    async fn a_refusal_for_now_at_mail_of_a_used_connection_puts_nobody_off(test_db) {
        let (relay, _house) = one_pass(Manner::TiresAfter(10), test_db).await;
        assert!(relay.connections() >= 12, "{}", relay.connections());
    }

    async fn a_relay_that_refuses_each_new_client_once_puts_nobody_off(test_db) {
        let (relay, _house) = one_pass(Manner::ScreensClients, test_db).await;
        assert!(relay.connections() <= 8, "one more for each: {}", relay.connections());
    }

    async fn a_relay_that_keeps_a_refused_envelope_makes_no_empty_mail(test_db) {
        let relay = RudeRelay::start(Manner::KeepsEnvelope).await;
        let test_app = app_at(&relay, 60, test_db, |_| {}).await;
        test_app.seed_subscribers("junk", 20).await;
        let first = test_app.send_digest().await;
        assert_eq!((tally(&first).sent, tally(&first).queued), (60, 20), "who was refused is put off, and nobody else: {first:?}");
        assert_eq!((relay.taken().len(), most_copies(&relay)), (60, 1));
        let named = "select count(*) from deliveries where state = 'queued' and reply like '452 4.2.2 mailbox is full%'";
        assert_eq!(number(&test_app.test_db, named).await, 20, "the reason is the first reply, and not the 503 that follows");
        test_app.wait(TimeDelta::minutes(7));
        all_sent(&test_app.send_digest().await, 80);
        assert_eq!(most_copies(&relay), 1);
    }

    async fn a_refused_envelope_that_is_kept_is_not_taken_for_the_next_readers(test_db) {
        let relay = RudeRelay::start(Manner::KeepsEnvelope).await;
        let test_app = app_at(&relay, 0, test_db, |settings| {
            settings.mail.connections = 1;
            settings.mail.envelope_ahead = false;
        })
        .await;
        test_app.seed_subscribers("junk", 5).await;
        test_app.seed_subscribers("dead", 2).await;
        let sent = test_app.send_digest().await;
        assert_eq!((tally(&sent).queued, tally(&sent).failed), (5, 2), "{sent:?}");
    }

    async fn a_421_at_a_recipient_ends_the_connection_and_not_the_mail(test_db) {
        let relay = RudeRelay::start(Manner::CountsErrors).await;
        let test_app = app_at(&relay, 30, test_db, |settings| settings.mail.connections = 1).await;
        test_app.seed_subscribers("dead", 12).await;
        let sent = test_app.send_digest().await;
        assert_eq!((tally(&sent).sent, tally(&sent).failed, tally(&sent).queued), (30, 12, 0), "{sent:?}");
        assert_eq!((relay.taken().len(), most_copies(&relay)), (30, 1));
    }

    async fn refused_readers_in_a_row_are_named_over_fresh_connections(test_db) {
        let relay = RudeRelay::start(Manner::Good).await;
        let test_app = app_at(&relay, 0, test_db, |settings| settings.mail.connections = 1).await;
        test_app.seed_subscribers("dead", 30).await;
        let sent = test_app.send_digest().await;
        assert_eq!(tally(&sent).failed, 30, "{sent:?}");
        assert_eq!(relay.longest_run(), 4, "Postfix slows down from the tenth error on, two a reader");
    }

    async fn a_server_that_lets_each_error_cost_more_sees_one_a_connection(test_db) {
        let relay = RudeRelay::start(Manner::Tarpits).await;
        let test_app = app_at(&relay, 12, test_db, |_| {}).await;
        test_app.seed_subscribers("dead", 8).await;
        let sent = test_app.send_digest().await;
        assert_eq!((tally(&sent).sent, tally(&sent).failed, tally(&sent).queued), (12, 8, 0), "{sent:?}");
        assert_eq!((relay.longest_run(), most_copies(&relay)), (1, 1));
        assert!(relay.pointless() <= 4, "once on each connection, for none had seen it yet: {}", relay.pointless());
    }

    async fn a_connection_that_has_gone_slow_is_closed_after_its_mail(test_db) {
        let (relay, _house) = one_pass(Manner::CrawlsAfter(12), test_db).await;
        assert!(relay.connections() > 4, "{}", relay.connections());
    }

    async fn a_relay_that_takes_mails_and_hangs_up_is_stopped_and_nobody_gets_a_third_copy(test_db) {
        for manner in [Manner::StoresAndHangsUp, Manner::AnswersOneInFour] {
            let relay = RudeRelay::start(manner).await;
            let test_app = app_at(&relay, 100, test_db.another(), |settings| {
                settings.mail.in_doubt = UncertainPolicy::Resend;
                settings.mail.retry.first = Duration::from_millis(200);
                settings.mail.pause = PauseSettings { first: PAUSE, max: PAUSE };
            }).await;
            let sent = test_app.send_digest().await;
            assert!(matches!(&sent, SendResult::Delivered(_, SendEnding::Trouble(_))), "{manner:?}: {sent:?}");
            assert!(relay.taken().len() < 60, "{manner:?}: a run of doubts stops it: {}", relay.taken().len());
            for _ in 0..3 {
                tokio::time::sleep(PAUSE * 10).await;
                test_app.wait(TimeDelta::minutes(1));
                test_app.send_digest().await;
            }
            assert!(most_copies(&relay) <= 2, "{manner:?}");
        }
    }
}
