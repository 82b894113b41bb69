//! What a server's answer does to a delivery, and to nobody else.

mod connections;

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use tokio_util::sync::CancellationToken;
use verdicts::app::delivery::SendEnding;
use verdicts::app::delivery::SendProgress;
use verdicts::app::issue::digests::Sent;
use verdicts::app::issue::preflight::Preflight;
use verdicts::app::issue::sending::SendOrder;
use verdicts::config::PauseSettings;
use verdicts::domain::actor::Actor;
use verdicts::domain::delivery::SkipReason;
use verdicts::domain::delivery::UncertainPolicy;
use verdicts::domain::digest::DigestState;
use verdicts::domain::subscriber::SubscriberState;
use verdicts::storage::ledger::Tally;
use verdicts::storage::ledger::updates::Start;

use crate::journey::link;
use crate::support::Behaviour;
use crate::support::House;
use crate::support::Place;
use crate::support::Script;
use crate::support::SmtpSink;
use crate::support::on_both;

/// A service with `count` people on its list (`r0@example.org`, ...), a catalogue, and that relay.
async fn house_of(count: usize, place: Place, sink: &SmtpSink) -> House {
    let house = House::open_to(place, sink).await;
    house.stock_small().await;
    house.enlist("r", count).await;
    house
}

/// The same, on SQLite, with a single connection to the relay.
async fn house_over_one_connection(count: usize, sink: &SmtpSink) -> House {
    let url = sink.url();
    let house = House::open_with(Place::sqlite(), |settings| {
        settings.mail.transport = url.into();
        settings.mail.connections = 1;
    })
    .await;
    house.stock_small().await;
    house.enlist("r", count).await;
    house
}

pub fn tally(sent: &Sent) -> Tally {
    match sent {
        Sent::Delivered(status, _) | Sent::Not(status, _) => status.tally,
    }
}

fn ending(sent: &Sent) -> SendEnding {
    match sent {
        Sent::Delivered(_, ending) => ending.clone(),
        Sent::Not(_, words) => panic!("nothing was sent: {words}"),
    }
}

fn message_ids(sink: &SmtpSink, address: &str) -> Vec<String> {
    let id = |data: &[u8]| {
        mail_parser::MessageParser::default()
            .parse(data)
            .and_then(|m| m.message_id().map(String::from))
            .expect("an id")
    };
    sink.received_by(address)
        .iter()
        .map(|mail| id(&mail.data))
        .collect()
}

on_both! {
    async fn a_temporary_refusal_is_tried_again_later_with_the_same_message(place) {
        let sink = SmtpSink::start(Script::accept_all().reply_to("r1", Behaviour::reply("451 4.3.0 try later").times(2))).await;
        let house = house_of(3, place, &sink).await;

        let first = house.send_digest().await;
        assert_eq!((tally(&first).sent, tally(&first).queued, ending(&first)), (2, 1, SendEnding::Waits));
        let again = house.send_digest().await;
        assert_eq!((tally(&again).queued, sink.mails()), (1, 2), "not before its time");
        house.wait(TimeDelta::minutes(7));
        assert_eq!(tally(&house.send_digest().await).queued, 1, "refused once more");
        house.wait(TimeDelta::minutes(7));
        assert_eq!(tally(&house.send_digest().await).queued, 1, "the wait has doubled");
        house.wait(TimeDelta::minutes(7));
        let last = house.send_digest().await;
        assert_eq!((tally(&last).sent, ending(&last)), (3, SendEnding::Final));
        assert_eq!(sink.received_by("r1@example.org").len(), 1);
    }

    async fn what_is_refused_for_days_is_given_up_and_nobody_is_unsubscribed(place) {
        let sink = SmtpSink::start(Script::accept_all().reply_to("r0", "452 4.2.2 mailbox full")).await;
        let house = house_of(1, place, &sink).await;
        // Only the waits between tries count, so that it takes about a dozen of them, whatever the calendar says.
        let order = SendOrder { slot: Some(house.slot()), other_week: true, preflight: Preflight::Heeded };
        for _ in 0..30 {
            house.app.send_digest(&Actor::cli(), order, &CancellationToken::new(), &Arc::new(SendProgress::default()), |_| {}).await.expect("sent");
            house.wait(TimeDelta::hours(13));
        }
        let status = house.app.status("2026-W48".parse().expect("a slot")).await.expect("a status");
        assert_eq!((status.tally.failed, status.digest.state), (1, DigestState::Sent));
        assert!(status.failures[0].0.starts_with("given up after"), "{:?}", status.failures);
        assert_eq!(house.state_of("r0@example.org").await, Some(SubscriberState::Active));
    }

    async fn a_bad_address_ends_that_subscription_and_no_other(place) {
        let sink = SmtpSink::start(Script::accept_all().reply_to("r1", "550 5.1.1 <r1@example.org> no such user")).await;
        let house = house_of(3, place, &sink).await;
        let sent = house.send_digest().await;
        assert_eq!((tally(&sent).sent, tally(&sent).failed, ending(&sent)), (2, 1, SendEnding::Final));
        assert_eq!(house.state_of("r1@example.org").await, Some(SubscriberState::Bounced));
        assert_eq!(house.state_of("r0@example.org").await, Some(SubscriberState::Active));
        let status = house.app.status(house.slot()).await.expect("a status");
        assert!(!status.failures[0].0.contains("r1@example.org"), "the ledger outlives an erasure: {:?}", status.failures);

        house.sign_up("r1@example.org").await;
        house.app.erase_subscriber(&Actor::cli(), &"r1@example.org".parse().expect("an address")).await.expect("erased");
        house.sign_up("r1@example.org").await;
        assert_eq!(house.app.storage.waiting_confirmations().await.expect("a count"), 0, "it never gets mail again");
    }

    async fn a_policy_refusal_fails_the_mail_and_touches_nobody(place) {
        let sink = SmtpSink::start(Script::accept_all().reply_to("r0", "550 5.7.1 rejected by policy").after_body("r1", "554 5.6.0 content")).await;
        let house = house_of(3, place, &sink).await;
        let sent = house.send_digest().await;
        assert_eq!((tally(&sent).sent, tally(&sent).failed), (1, 2));
        for reader in ["r0@example.org", "r1@example.org"] {
            assert_eq!(house.state_of(reader).await, Some(SubscriberState::Active));
        }
    }

    async fn a_connection_lost_after_the_final_dot_is_a_doubt_that_is_named_and_resent(place) {
        let sink = SmtpSink::start(Script::accept_all().after_body("r0", Behaviour::close().times(1))).await;
        let house = house_of(4, place, &sink).await;
        let first = house.send_digest().await;
        assert_eq!((tally(&first).sent, tally(&first).uncertain), (3, 1));
        house.wait(TimeDelta::minutes(7));
        let last = house.send_digest().await;
        assert_eq!((tally(&last).sent, ending(&last)), (4, SendEnding::Final));
        let ids = message_ids(&sink, "r0@example.org");
        assert!(ids.len() == 2 && ids[0] == ids[1], "the extra copy is known as one: {ids:?}");
        let audit = house.app.storage.audit(house.slot(), 10).await.expect("an audit").expect("of a digest");
        assert_eq!((audit.faults, audit.doubts.len(), audit.doubts[0].attempts), (vec![], 1, 2));
    }

    async fn a_doubt_is_held_where_the_operator_wants_it_held(place) {
        let sink = SmtpSink::start(Script::accept_all().after_body("r0", Behaviour::hang())).await;
        let url = sink.url();
        let house = House::open_with(place, |settings| {
            settings.mail.transport = url.into();
            settings.mail.in_doubt = UncertainPolicy::Hold;
        }).await;
        house.stock_small().await;
        house.enlist("r", 2).await;
        let sent = house.send_digest().await;
        assert_eq!((tally(&sent).sent, tally(&sent).uncertain, ending(&sent)), (1, 1, SendEnding::Final));
        house.wait(TimeDelta::days(2));
        house.send_digest().await;
        assert_eq!(sink.mails(), 2, "one each, however long one waits");
    }

    async fn a_pause_takes_hold_and_a_resumed_digest_goes_to_everybody_once(place) {
        let sink = SmtpSink::start(Script::accept_all().delay(Duration::from_millis(20))).await;
        let house = house_of(300, place, &sink).await;
        let slot = house.slot();
        house.deliver_while("a pause", async || {
            if house.app.status(slot).await.is_err() {
                house.set_clock("2026-11-24T09:00:30Z");
                house.app.tick().await.expect("picked and published");
            }
            if sink.mails() < 30 {
                return false;
            }
            house.app.pause_digest(&Actor::cli(), slot).await.is_ok()
        }).await;
        let paused_at = sink.mails();
        assert!(paused_at < 300, "a pause that came too late shows nothing");
        let status = house.app.status(slot).await.expect("a status");
        assert_eq!((status.digest.state, status.tally.sending, status.tally.sent as usize), (DigestState::Paused, 0, paused_at));
        house.deliver_while("some looks of the sender", async || { tokio::time::sleep(Duration::from_millis(300)).await; true }).await;
        assert_eq!(sink.mails(), paused_at, "paused is paused");
        house.app.resume_digest(&Actor::cli(), slot, Preflight::Heeded).await.expect("resumed");
        assert_eq!(ending(&house.send_digest().await), SendEnding::Final);
        assert_eq!(sink.mails(), 300);
    }

    async fn somebody_who_leaves_after_publishing_gets_nothing_and_the_ledger_says_why(place) {
        let mut down = SmtpSink::start(Script::accept_all()).await;
        down.stop().await;
        let port = down.port();
        let pause = Duration::from_millis(300);
        let house = House::stocked(place, &down, |settings| settings.mail.pause = PauseSettings { first: pause, max: pause }).await;
        house.enlist("r", 3).await;
        house.send_digest().await;
        let reader = house.app.person(&"r1@example.org".parse().expect("an address")).await.expect("known");
        house.app.storage.unsubscribe(&verdicts::domain::actor::Actor::reader(), reader.subscriber.id, verdicts::domain::history::UnsubscribedBy::Link, house.app.now()).await.expect("left");
        let sink = SmtpSink::start_on(port, Script::accept_all()).await;
        tokio::time::sleep(pause).await;
        let sent = house.send_digest().await;
        assert_eq!((tally(&sent).sent, tally(&sent).skipped, sink.received_by("r1@example.org").len()), (2, 1, 0));
        let status = house.app.status(house.slot()).await.expect("a status");
        assert_eq!((status.skips, status.failures.len()), (vec![(SkipReason::Left, 1)], 0));
    }

    async fn a_confirmation_overtakes_a_digest_that_is_being_sent(place) {
        let sink = SmtpSink::start(Script::accept_all().delay(Duration::from_millis(20))).await;
        let house = house_of(600, place, &sink).await;
        house.set_clock("2026-11-24T09:00:30Z");
        house.app.tick().await.expect("picked and published");
        let mut asked = false;
        house.deliver_while("the confirmation", async || {
            if sink.mails() >= 50 && !asked {
                house.sign_up("new@example.org").await;
                asked = true;
            }
            !sink.received_by("new@example.org").is_empty()
        }).await;
        let order: Vec<String> = sink.received().into_iter().map(|mail| mail.to).collect();
        let place = order.iter().position(|to| to == "new@example.org").expect("there");
        assert!(place < 400, "it came as number {place} of 601");
        assert!(link(&sink.received_by("new@example.org")[0].data, "/confirm/").contains("/confirm/"));
    }

    async fn a_cancelled_digest_stops_for_good(place) {
        let mut down = SmtpSink::start(Script::accept_all()).await;
        down.stop().await;
        let house = house_of(3, place, &down).await;
        house.send_digest().await;
        let status = house.app.cancel_digest(&Actor::cli(), house.slot()).await.expect("cancelled");
        assert_eq!((status.digest.state, status.tally.skipped), (DigestState::Cancelled, 3));
        assert!(matches!(house.send_digest().await, Sent::Not(_, words) if words.contains("cancelled")));
    }

    async fn what_comes_back_to_a_cancelled_digest_stays_unsent(place) {
        let sink = SmtpSink::start(Script::accept_all().reply_to("r0", "451 4.3.0 try later")).await;
        let house = house_of(2, place, &sink).await;
        house.send_digest().await;
        let slot = house.slot();
        // Its cancelling meets a delivery that is out: what that connection reports comes afterwards.
        let storage = &house.app.storage;
        house.wait(TimeDelta::minutes(7));
        let now = house.app.now();
        let sender = storage.register_sender("elsewhere", TimeDelta::seconds(60), now).await.expect("entered");
        let key = storage.claim(sender, &[], None, 10, now).await.expect("claimed").jobs[0].key;
        assert_eq!(storage.step(sender, &[], &[Start { key, version: 0, relay: "default" }], now).await.expect("begun"), Some(vec![true]));
        house.app.cancel_digest(&Actor::cli(), slot).await.expect("cancelled");
        let again = verdicts::storage::ledger::updates::DeliveryUpdate::Again(now);
        let done = verdicts::storage::ledger::updates::Finished { key, step: again, reply: "451".into() };
        storage.step(sender, &[done], &[], now).await.expect("written");
        storage.leave_sender(sender, now).await.expect("left");
        let tally = house.app.status(slot).await.expect("a status").tally;
        assert_eq!((tally.sent, tally.failed, tally.skipped, tally.queued), (1, 0, 1, 0));
    }

    async fn a_sender_that_was_given_up_for_dead_changes_nothing_any_more(place) {
        let sink = SmtpSink::start(Script::accept_all()).await;
        let house = house_of(2, place, &sink).await;
        house.set_clock("2026-11-24T09:00:30Z");
        house.app.tick().await.expect("picked and published");
        let storage = &house.app.storage;
        let now = house.app.now();
        let slow = storage.register_sender("elsewhere", TimeDelta::milliseconds(1), now).await.expect("entered");
        let jobs = storage.claim(slow, &[], None, 10, now).await.expect("claimed").jobs;
        let next: Vec<_> = jobs.iter().map(|job| Start { key: job.key, version: 0, relay: "default" }).collect();
        assert_eq!(storage.step(slow, &[], &next[..1], now).await.expect("begun"), Some(vec![true]));
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        let later = house.app.now();
        assert_eq!(storage.recover(&[], UncertainPolicy::Resend, later).await.expect("recovered"), 1, "the one that was out is in doubt");
        assert!(!storage.renew_sender(slow, TimeDelta::seconds(60), None, later).await.expect("answered"), "it must stop");
        let done = verdicts::storage::ledger::updates::Finished { key: next[0].key, step: verdicts::storage::ledger::updates::DeliveryUpdate::Failed, reply: "late".into() };
        assert_eq!(storage.step(slow, &[done], &next[1..], later).await.expect("answered"), None, "nothing more may go out");
        house.wait(TimeDelta::minutes(2));
        assert_eq!(tally(&house.send_digest().await).sent, 2, "others have its work");
    }
}
