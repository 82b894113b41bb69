//! The queue beside the ledger: whatever happens to it, everybody has their mail once.

use chrono::TimeDelta;
use tokio_util::sync::CancellationToken;
use verdicts::domain::actor::Actor;

use crate::support::House;
use crate::support::Place;
use crate::support::Script;
use crate::support::SmtpSink;
use crate::support::behind_its_back;
use crate::support::on_both;
use crate::support::until;

async fn house_of(readers: usize, place: Place, sink: &SmtpSink) -> House {
    let url = sink.url();
    let house = House::open_with(place, |settings| settings.mail.transport = url.into()).await;
    house.stock_small().await;
    house.enlist("r", readers).await;
    house
}

async fn faults(house: &House) -> Vec<String> {
    house
        .app
        .storage
        .audit(house.slot(), 10)
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
    async fn a_claim_whose_answer_was_lost_goes_back_while_its_sender_lives(place) {
        let mut down = SmtpSink::start(Script::accept_all()).await;
        down.stop().await;
        let house = house_of(30, place, &down).await;
        house.send_digest().await;
        house.wait(TimeDelta::hours(1));
        let (storage, now) = (&house.app.storage, house.app.now());
        let enter = async |name| storage.register_sender(name, TimeDelta::hours(1), now).await.expect("entered");
        let (one, other) = (enter("one").await, enter("other").await);
        let claim = async |sender, room| storage.claim(sender, &[], None, room, now).await.expect("claimed").jobs;
        let lost = claim(one, 100).await;
        let known: Vec<_> = lost.iter().map(|job| job.chunk).collect();
        assert_eq!(storage.give_back_unknown(one, &known, now).await.expect("what is known stays"), 0);
        assert_eq!((lost.len(), claim(other, 100).await.len()), (30, 0));
        assert!(storage.give_back_unknown(one, &[], now).await.expect("held against the ledger") > 0);
        assert_eq!(storage.give_back_unknown(one, &[], now).await.expect("once more"), 0);
        assert_eq!(claim(other, 100).await.len(), 30, "others get what was lost");
        assert_eq!(storage.give_back_unknown(other + 1, &[], now).await.expect("a sender that is not there"), 0);
    }

    async fn what_would_be_forgotten_is_named_by_the_audit_and_sent(place) {
        let mut down = SmtpSink::start(Script::accept_all()).await;
        let port = down.port();
        down.stop().await;
        let house = house_of(30, place, &down).await;
        house.send_digest().await;
        behind_its_back(&house.place, "delete from delivery_batches").await;
        let named = faults(&house).await;
        assert!(named.len() == 2 && named[0].starts_with("the counts that are kept differ") && named[1].starts_with("30 deliveries are open"), "{named:?}");
        let sink = SmtpSink::start_on(port, Script::accept_all()).await;
        house.wait(TimeDelta::minutes(20));
        house.deliver_while("all of it", async || sink.mails() == 30).await;
        until("its end", async || { house.send_digest().await; faults(&house).await.is_empty() }).await;
        assert_eq!(copies(&sink, 30), [1; 30]);
    }

    async fn what_comes_back_in_the_moment_of_cancelling_ends_too(place) {
        let mut down = SmtpSink::start(Script::accept_all()).await;
        down.stop().await;
        let house = house_of(5, place, &down).await;
        house.send_digest().await;
        house.app.cancel_digest(&Actor::cli(), house.slot()).await.expect("cancelled");
        // A chunk that was given back while that was going on, as PostgreSQL may have it.
        behind_its_back(
            &house.place,
            "update deliveries set state = 'queued', skip_reason = null, finished_at = null where kind = 'digest';
             delete from digest_skips;
             update digest_counts set failed = 0, skipped = 0;
             insert into delivery_batches (mailing_id, first_id, last_id, class, due_at, is_split, queued)
               select mailing_id, min(subscriber_id), max(subscriber_id), 'digest', 0, 1, count(*) from deliveries where kind = 'digest' group by mailing_id",
        )
        .await;
        assert_eq!(house.app.status(house.slot()).await.expect("a status").tally.queued, 5);
        house.app.storage.recover(&[], verdicts::domain::delivery::UncertainPolicy::Resend, house.app.now()).await.expect("looked");
        let tally = house.app.status(house.slot()).await.expect("a status").tally;
        assert_eq!((tally.queued, tally.skipped, faults(&house).await), (0, 5, Vec::new()));
    }

    async fn a_confirmation_overtakes_all_that_is_claimed_for_a_slow_relay(place) {
        let sink = SmtpSink::start(Script::accept_all()).await;
        let url = sink.url();
        let house = House::open_with(place, |settings| {
            settings.mail.transport = url.into();
            settings.mail.connections = 20;
            settings.mail.rate_per_second = 20;
        })
        .await;
        house.stock_small().await;
        // More than half of what is claimed at once stays at hand for half a minute.
        house.enlist("r", 1_200).await;
        house.set_clock("2026-11-24T09:00:30Z");
        house.app.tick().await.expect("picked and published");
        let (stop, app) = (CancellationToken::new(), house.app.clone());
        let token = stop.clone();
        let serving = tokio::spawn(async move { app.deliver_until(&token).await });
        until("a beginning", async || sink.mails() > 3).await;
        let before = sink.mails();
        house.sign_up("ada@example.org").await;
        until("the confirmation", async || !sink.received_by("ada@example.org").is_empty()).await;
        assert!(sink.mails() - before < 300, "{} came before it", sink.mails() - before);
        stop.cancel();
        serving.await.expect("ended in order");
    }
}
