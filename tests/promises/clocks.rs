//! Machines whose clocks disagree.

use std::time::Duration;

use chrono::TimeDelta;
use tokio_util::sync::CancellationToken;
use verdicts::domain::delivery::UncertainPolicy;
use verdicts::domain::digest::DigestState;

use crate::support::Script;
use crate::support::SmtpSink;
use crate::support::TestApp;
use crate::support::on_both;
use crate::support::until;

on_both! {
    async fn a_machine_whose_clock_is_ahead_by_more_than_the_lease_takes_nobodys_work(test_db) {
        if !test_db.is_postgres() {
            // One machine has one clock.
            return;
        }
        let sink = SmtpSink::start(Script::accept_all().delay(Duration::from_millis(20))).await;
        let other = TestApp::open_to(test_db.again(), &sink).await;
        let test_app = TestApp::open_to(test_db, &sink).await;
        test_app.stock_small().await;
        test_app.seed_subscribers("r", 60).await;
        test_app.set_clock("2026-11-24T09:00:30Z");
        test_app.app.tick().await.expect("picked and published");
        let slot = test_app.slot();
        other.wait(test_app.app.now() - other.app.now() + TimeDelta::minutes(10));
        assert!(TimeDelta::minutes(10) > TimeDelta::from_std(test_app.app.settings.mail.lease).expect("a span"));
        let stop = CancellationToken::new();
        let deliver = |test_app: &TestApp| {
            let (app, stop) = (test_app.app.clone(), stop.clone());
            tokio::spawn(async move { app.deliver_until(&stop).await })
        };
        let first = deliver(&test_app);
        until("a beginning", async || sink.mails() > 5).await;
        sink.stall();
        // Mails are out now, and the other machine looks for senders that are dead.
        let second = deliver(&other);
        let doubted = other.app.storage.recover(&[], UncertainPolicy::Resend, other.app.now()).await.expect("looked");
        sink.go_on();
        until("the end", async || test_app.app.status(slot).await.expect("a status").digest.state == DigestState::Sent).await;
        stop.cancel();
        first.await.expect("ended in order");
        second.await.expect("ended in order");
        let status = test_app.app.status(slot).await.expect("a status");
        assert_eq!((doubted, status.tally.sent, status.tally.uncertain, sink.mails()), (0, 60, 0, 60), "nobody twice");
        let audit = test_app.app.storage.audit(slot, 10).await.expect("an audit").expect("of a digest");
        assert!(audit.faults.is_empty() && audit.doubts.is_empty(), "{:?}", audit.faults);
    }

    async fn how_far_a_clock_is_off_is_measured(test_db) {
        let test_app = TestApp::open(test_db).await;
        let measured = test_app.app.storage.clock_skew(|| test_app.app.now()).await.expect("an answer");
        if !test_app.test_db.is_postgres() {
            assert_eq!(measured, None, "SQLite reads this machine's clock");
            return;
        }
        let before = measured.expect("measured");
        test_app.wait(TimeDelta::minutes(7));
        let after = test_app.app.storage.clock_skew(|| test_app.app.now()).await.expect("an answer").expect("measured");
        let moved = after.ahead - before.ahead - TimeDelta::minutes(7);
        assert!(moved.abs() <= before.error + after.error + TimeDelta::milliseconds(5), "off by {moved}");
    }
}
