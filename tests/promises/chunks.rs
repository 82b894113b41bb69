//! The queue beside the ledger: whatever happens to it, everybody has their mail once.

use chrono::TimeDelta;
use tokio_util::sync::CancellationToken;
use verdicts::domain::actor::Actor;

use crate::support::Script;
use crate::support::SmtpSink;
use crate::support::TestApp;
use crate::support::TestDb;
use crate::support::on_both;
use crate::support::run_raw_sql;
use crate::support::until;

async fn app_of(readers: usize, test_db: TestDb, sink: &SmtpSink) -> TestApp {
    let url = sink.url();
    let test_app =
        TestApp::open_with(test_db, |settings| settings.mail.transport = url.into()).await;
    test_app.stock_small().await;
    test_app.seed_subscribers("r", readers).await;
    test_app
}

async fn faults(test_app: &TestApp) -> Vec<String> {
    test_app
        .app
        .storage
        .audit(test_app.slot(), 10)
        .await
        .expect("an audit")
        .expect("a digest")
        .faults
}

/// How many mails the sink has for each of so many readers.
fn copies(sink: &SmtpSink, readers: usize) -> Vec<usize> {
    (0..readers)
        .map(|n| sink.received_by(&format!("r{n}@example.org")).len())
        .collect()
}

on_both! {
    async fn a_claim_whose_answer_was_lost_goes_back_while_its_sender_lives(test_db) {
        let mut down = SmtpSink::start(Script::accept_all()).await;
        down.stop().await;
        let test_app = app_of(30, test_db, &down).await;
        test_app.send_digest().await;
        test_app.wait(TimeDelta::hours(1));
        let (storage, now) = (&test_app.app.storage, test_app.app.now());
        let enter = async |name| storage.register_sender(name, TimeDelta::hours(1), now).await.expect("entered");
        let (one, other) = (enter("one").await, enter("other").await);
        let claim = async |sender, room| storage.claim(sender, &[], None, room, now).await.expect("claimed").jobs;
        let lost = claim(one, 100).await;
        let known: Vec<_> = lost.iter().map(|job| job.batch).collect();
        assert_eq!(storage.give_back_unknown(one, &known, now).await.expect("what is known stays"), 0);
        assert_eq!((lost.len(), claim(other, 100).await.len()), (30, 0));
        assert!(storage.give_back_unknown(one, &[], now).await.expect("held against the ledger") > 0);
        assert_eq!(storage.give_back_unknown(one, &[], now).await.expect("once more"), 0);
        assert_eq!(claim(other, 100).await.len(), 30, "others get what was lost");
        assert_eq!(storage.give_back_unknown(other + 1, &[], now).await.expect("a sender that is not there"), 0);
    }

    async fn what_would_be_forgotten_is_named_by_the_audit_and_sent(test_db) {
        let mut down = SmtpSink::start(Script::accept_all()).await;
        let port = down.port();
        down.stop().await;
        let test_app = app_of(30, test_db, &down).await;
        test_app.send_digest().await;
        run_raw_sql(&test_app.test_db, "delete from delivery_batches").await;
        let named = faults(&test_app).await;
        assert!(named.len() == 2 && named[0].starts_with("the counts that are kept differ") && named[1].starts_with("30 deliveries are open"), "{named:?}");
        let sink = SmtpSink::start_on(port, Script::accept_all()).await;
        test_app.wait(TimeDelta::minutes(20));
        test_app.deliver_while("all of it", async || sink.mails() == 30).await;
        until("its end", async || { test_app.send_digest().await; faults(&test_app).await.is_empty() }).await;
        assert_eq!(copies(&sink, 30), [1; 30]);
    }

    async fn what_comes_back_in_the_moment_of_cancelling_ends_too(test_db) {
        let mut down = SmtpSink::start(Script::accept_all()).await;
        down.stop().await;
        let test_app = app_of(5, test_db, &down).await;
        test_app.send_digest().await;
        test_app.app.cancel_digest(&Actor::cli(), test_app.slot()).await.expect("cancelled");
        // A chunk that was given back while that was going on, as PostgreSQL may have it.
        run_raw_sql(
            &test_app.test_db,
            "update deliveries set state = 'queued', skip_reason = null, finished_at = null where kind = 'digest';
             delete from digest_skips;
             update digest_counts set failed = 0, skipped = 0;
             insert into delivery_batches (mailing_id, first_id, last_id, class, due_at, is_split, queued)
               select mailing_id, min(subscriber_id), max(subscriber_id), 'digest', 0, 1, count(*) from deliveries where kind = 'digest' group by mailing_id",
        )
        .await;
        assert_eq!(test_app.app.status(test_app.slot()).await.expect("a status").tally.queued, 5);
        test_app.app.storage.recover(&[], verdicts::domain::delivery::UncertainPolicy::Resend, test_app.app.now()).await.expect("looked");
        let tally = test_app.app.status(test_app.slot()).await.expect("a status").tally;
        assert_eq!((tally.queued, tally.skipped, faults(&test_app).await), (0, 5, Vec::new()));
    }

    async fn a_confirmation_overtakes_all_that_is_claimed_for_a_slow_relay(test_db) {
        let sink = SmtpSink::start(Script::accept_all()).await;
        let url = sink.url();
        let test_app = TestApp::open_with(test_db, |settings| {
            settings.mail.transport = url.into();
            settings.mail.connections = 20;
            settings.mail.rate_per_second = 20;
        })
        .await;
        test_app.stock_small().await;
        // More than half of what is claimed at once stays at hand for half a minute.
        test_app.seed_subscribers("r", 1_200).await;
        test_app.set_clock("2026-11-24T09:00:30Z");
        test_app.app.tick().await.expect("picked and published");
        let (stop, app) = (CancellationToken::new(), test_app.app.clone());
        let token = stop.clone();
        let serving = tokio::spawn(async move { app.deliver_until(&token).await });
        until("a beginning", async || sink.mails() > 3).await;
        let before = sink.mails();
        test_app.sign_up("ada@example.org").await;
        until("the confirmation", async || !sink.received_by("ada@example.org").is_empty()).await;
        assert!(sink.mails() - before < 300, "{} came before it", sink.mails() - before);
        stop.cancel();
        serving.await.expect("ended in order");
    }
}
