//! Machines whose clocks disagree.

use std::time::Duration;

use chrono::TimeDelta;
use tokio_util::sync::CancellationToken;
use verdicts::domain::delivery::UncertainPolicy;
use verdicts::domain::digest::DigestState;

use crate::support::House;
use crate::support::Script;
use crate::support::SmtpSink;
use crate::support::on_both;
use crate::support::until;

on_both! {
    async fn a_machine_whose_clock_is_ahead_by_more_than_the_lease_takes_nobodys_work(place) {
        if !place.is_postgres() {
            // One machine has one clock.
            return;
        }
        let sink = SmtpSink::start(Script::accept_all().delay(Duration::from_millis(20))).await;
        let other = House::open_to(place.again(), &sink).await;
        let house = House::open_to(place, &sink).await;
        house.stock_small().await;
        house.enlist("r", 60).await;
        house.set_clock("2026-11-24T09:00:30Z");
        house.app.tick().await.expect("picked and published");
        let slot = house.slot();
        other.wait(house.app.now() - other.app.now() + TimeDelta::minutes(10));
        assert!(TimeDelta::minutes(10) > TimeDelta::from_std(house.app.settings.mail.lease).expect("a span"));
        let stop = CancellationToken::new();
        let deliver = |house: &House| {
            let (app, stop) = (house.app.clone(), stop.clone());
            tokio::spawn(async move { app.deliver_until(&stop).await })
        };
        let first = deliver(&house);
        until("a beginning", async || sink.mails() > 5).await;
        sink.stall();
        // Mails are out now, and the other machine looks for senders that are dead.
        let second = deliver(&other);
        let doubted = other.app.storage.recover(&[], UncertainPolicy::Resend, other.app.now()).await.expect("looked");
        sink.go_on();
        until("the end", async || house.app.status(slot).await.expect("a status").digest.state == DigestState::Sent).await;
        stop.cancel();
        first.await.expect("ended in order");
        second.await.expect("ended in order");
        let status = house.app.status(slot).await.expect("a status");
        assert_eq!((doubted, status.tally.sent, status.tally.uncertain, sink.mails()), (0, 60, 0, 60), "nobody twice");
        let audit = house.app.storage.audit(slot, 10).await.expect("an audit").expect("of a digest");
        assert!(audit.faults.is_empty() && audit.doubts.is_empty(), "{:?}", audit.faults);
    }

    async fn how_far_a_clock_is_off_is_measured(place) {
        let house = House::open(place).await;
        let measured = house.app.storage.clock_skew(|| house.app.now()).await.expect("an answer");
        if !house.place.is_postgres() {
            assert_eq!(measured, None, "SQLite reads this machine's clock");
            return;
        }
        let before = measured.expect("measured");
        house.wait(TimeDelta::minutes(7));
        let after = house.app.storage.clock_skew(|| house.app.now()).await.expect("an answer").expect("measured");
        let moved = after.ahead - before.ahead - TimeDelta::minutes(7);
        assert!(moved.abs() <= before.error + after.error + TimeDelta::milliseconds(5), "off by {moved}");
    }
}
