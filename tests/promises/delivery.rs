//! What a server's answer does to a delivery, and to nobody else.

mod connections;

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use tokio_util::sync::CancellationToken;
use verdicts::app::delivery::SendEnding;
use verdicts::app::delivery::SendProgress;
use verdicts::app::issue::digests::SendResult;
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
use crate::support::Script;
use crate::support::SmtpSink;
use crate::support::TestApp;
use crate::support::TestDb;
use crate::support::on_both;

/// A service with `count` people on its list (`r0@example.org`, ...), a catalogue, and that relay.
async fn app_of(count: usize, test_db: TestDb, sink: &SmtpSink) -> TestApp {
    let test_app = TestApp::open_to(test_db, sink).await;
    test_app.stock_small().await;
    test_app.seed_subscribers("r", count).await;
    test_app
}

/// The same, on SQLite, with a single connection to the relay.
async fn app_over_one_connection(count: usize, sink: &SmtpSink) -> TestApp {
    let url = sink.url();
    let test_app = TestApp::open_with(TestDb::sqlite(), |settings| {
        settings.mail.transport = url.into();
        settings.mail.connections = 1;
    })
    .await;
    test_app.stock_small().await;
    test_app.seed_subscribers("r", count).await;
    test_app
}

pub fn tally(sent: &SendResult) -> Tally {
    match sent {
        SendResult::Delivered(status, _) | SendResult::Not(status, _) => status.tally,
    }
}

fn ending(sent: &SendResult) -> SendEnding {
    match sent {
        SendResult::Delivered(_, ending) => ending.clone(),
        SendResult::Not(_, words) => panic!("nothing was sent: {words}"),
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
    async fn a_temporary_refusal_is_tried_again_later_with_the_same_message(test_db) {
        let sink = SmtpSink::start(Script::accept_all().reply_to("r1", Behaviour::reply("451 4.3.0 try later").times(2))).await;
        let test_app = app_of(3, test_db, &sink).await;

        let first = test_app.send_digest().await;
        assert_eq!((tally(&first).sent, tally(&first).queued, ending(&first)), (2, 1, SendEnding::Waits));
        let again = test_app.send_digest().await;
        assert_eq!((tally(&again).queued, sink.mails()), (1, 2), "not before its time");
        test_app.wait(TimeDelta::minutes(7));
        assert_eq!(tally(&test_app.send_digest().await).queued, 1, "refused once more");
        test_app.wait(TimeDelta::minutes(7));
        assert_eq!(tally(&test_app.send_digest().await).queued, 1, "the wait has doubled");
        test_app.wait(TimeDelta::minutes(7));
        let last = test_app.send_digest().await;
        assert_eq!((tally(&last).sent, ending(&last)), (3, SendEnding::Final));
        assert_eq!(sink.received_by("r1@example.org").len(), 1);
    }

    async fn what_is_refused_for_days_is_given_up_and_nobody_is_unsubscribed(test_db) {
        let sink = SmtpSink::start(Script::accept_all().reply_to("r0", "452 4.2.2 mailbox full")).await;
        let test_app = app_of(1, test_db, &sink).await;
        // Only the waits between tries count, so that it takes about a dozen of them, whatever the calendar says.
        let order = SendOrder { slot: Some(test_app.slot()), other_week: true, preflight: Preflight::Heeded };
        for _ in 0..30 {
            test_app.app.send_digest(&Actor::cli(), order, &CancellationToken::new(), &Arc::new(SendProgress::default()), |_| {}).await.expect("sent");
            test_app.wait(TimeDelta::hours(13));
        }
        let status = test_app.app.status("2026-W48".parse().expect("a slot")).await.expect("a status");
        assert_eq!((status.tally.failed, status.digest.state), (1, DigestState::Sent));
        assert!(status.failures[0].0.starts_with("given up after"), "{:?}", status.failures);
        assert_eq!(test_app.state_of("r0@example.org").await, Some(SubscriberState::Active));
    }

    async fn a_bad_address_ends_that_subscription_and_no_other(test_db) {
        let sink = SmtpSink::start(Script::accept_all().reply_to("r1", "550 5.1.1 <r1@example.org> no such user")).await;
        let test_app = app_of(3, test_db, &sink).await;
        let sent = test_app.send_digest().await;
        assert_eq!((tally(&sent).sent, tally(&sent).failed, ending(&sent)), (2, 1, SendEnding::Final));
        assert_eq!(test_app.state_of("r1@example.org").await, Some(SubscriberState::Bounced));
        assert_eq!(test_app.state_of("r0@example.org").await, Some(SubscriberState::Active));
        let status = test_app.app.status(test_app.slot()).await.expect("a status");
        assert!(!status.failures[0].0.contains("r1@example.org"), "the ledger outlives an erasure: {:?}", status.failures);

        test_app.sign_up("r1@example.org").await;
        test_app.app.erase_subscriber(&Actor::cli(), &"r1@example.org".parse().expect("an address")).await.expect("erased");
        test_app.sign_up("r1@example.org").await;
        assert_eq!(test_app.app.storage.waiting_confirmations().await.expect("a count"), 0, "it never gets mail again");
    }

    async fn a_policy_refusal_fails_the_mail_and_touches_nobody(test_db) {
        let sink = SmtpSink::start(Script::accept_all().reply_to("r0", "550 5.7.1 rejected by policy").after_body("r1", "554 5.6.0 content")).await;
        let test_app = app_of(3, test_db, &sink).await;
        let sent = test_app.send_digest().await;
        assert_eq!((tally(&sent).sent, tally(&sent).failed), (1, 2));
        for reader in ["r0@example.org", "r1@example.org"] {
            assert_eq!(test_app.state_of(reader).await, Some(SubscriberState::Active));
        }
    }

    async fn a_connection_lost_after_the_final_dot_is_a_doubt_that_is_named_and_resent(test_db) {
        let sink = SmtpSink::start(Script::accept_all().after_body("r0", Behaviour::close().times(1))).await;
        let test_app = app_of(4, test_db, &sink).await;
        let first = test_app.send_digest().await;
        assert_eq!((tally(&first).sent, tally(&first).uncertain), (3, 1));
        test_app.wait(TimeDelta::minutes(7));
        let last = test_app.send_digest().await;
        assert_eq!((tally(&last).sent, ending(&last)), (4, SendEnding::Final));
        let ids = message_ids(&sink, "r0@example.org");
        assert!(ids.len() == 2 && ids[0] == ids[1], "the extra copy is known as one: {ids:?}");
        let audit = test_app.app.storage.audit(test_app.slot(), 10).await.expect("an audit").expect("of a digest");
        assert_eq!((audit.faults, audit.doubts.len(), audit.doubts[0].attempts), (vec![], 1, 2));
    }

    async fn a_doubt_is_held_where_the_operator_wants_it_held(test_db) {
        let sink = SmtpSink::start(Script::accept_all().after_body("r0", Behaviour::hang())).await;
        let url = sink.url();
        let test_app = TestApp::open_with(test_db, |settings| {
            settings.mail.transport = url.into();
            settings.mail.in_doubt = UncertainPolicy::Hold;
        }).await;
        test_app.stock_small().await;
        test_app.seed_subscribers("r", 2).await;
        let sent = test_app.send_digest().await;
        assert_eq!((tally(&sent).sent, tally(&sent).uncertain, ending(&sent)), (1, 1, SendEnding::Final));
        test_app.wait(TimeDelta::days(2));
        test_app.send_digest().await;
        assert_eq!(sink.mails(), 2, "one each, however long one waits");
    }

    async fn a_pause_takes_hold_and_a_resumed_digest_goes_to_everybody_once(test_db) {
        let sink = SmtpSink::start(Script::accept_all().delay(Duration::from_millis(20))).await;
        let test_app = app_of(300, test_db, &sink).await;
        let slot = test_app.slot();
        test_app.deliver_while("a pause", async || {
            if test_app.app.status(slot).await.is_err() {
                test_app.set_clock("2026-11-24T09:00:30Z");
                test_app.app.tick().await.expect("picked and published");
            }
            if sink.mails() < 30 {
                return false;
            }
            test_app.app.pause_digest(&Actor::cli(), slot).await.is_ok()
        }).await;
        let paused_at = sink.mails();
        assert!(paused_at < 300, "a pause that came too late shows nothing");
        let status = test_app.app.status(slot).await.expect("a status");
        assert_eq!((status.digest.state, status.tally.sending, status.tally.sent as usize), (DigestState::Paused, 0, paused_at));
        test_app.deliver_while("some looks of the sender", async || { tokio::time::sleep(Duration::from_millis(300)).await; true }).await;
        assert_eq!(sink.mails(), paused_at, "paused is paused");
        test_app.app.resume_digest(&Actor::cli(), slot, Preflight::Heeded).await.expect("resumed");
        assert_eq!(ending(&test_app.send_digest().await), SendEnding::Final);
        assert_eq!(sink.mails(), 300);
    }

    async fn somebody_who_leaves_after_publishing_gets_nothing_and_the_ledger_says_why(test_db) {
        let mut down = SmtpSink::start(Script::accept_all()).await;
        down.stop().await;
        let port = down.port();
        let pause = Duration::from_millis(300);
        let test_app = TestApp::stocked(test_db, &down, |settings| settings.mail.pause = PauseSettings { first: pause, max: pause }).await;
        test_app.seed_subscribers("r", 3).await;
        test_app.send_digest().await;
        let reader = test_app.app.person(&"r1@example.org".parse().expect("an address")).await.expect("known");
        test_app.app.storage.unsubscribe(&verdicts::domain::actor::Actor::reader(), reader.subscriber.id, verdicts::domain::history::UnsubscribedBy::Link, test_app.app.now()).await.expect("left");
        let sink = SmtpSink::start_on(port, Script::accept_all()).await;
        tokio::time::sleep(pause).await;
        let sent = test_app.send_digest().await;
        assert_eq!((tally(&sent).sent, tally(&sent).skipped, sink.received_by("r1@example.org").len()), (2, 1, 0));
        let status = test_app.app.status(test_app.slot()).await.expect("a status");
        assert_eq!((status.skips, status.failures.len()), (vec![(SkipReason::Left, 1)], 0));
    }

    async fn a_confirmation_overtakes_a_digest_that_is_being_sent(test_db) {
        let sink = SmtpSink::start(Script::accept_all().delay(Duration::from_millis(20))).await;
        let test_app = app_of(600, test_db, &sink).await;
        test_app.set_clock("2026-11-24T09:00:30Z");
        test_app.app.tick().await.expect("picked and published");
        let mut asked = false;
        test_app.deliver_while("the confirmation", async || {
            if sink.mails() >= 50 && !asked {
                test_app.sign_up("new@example.org").await;
                asked = true;
            }
            !sink.received_by("new@example.org").is_empty()
        }).await;
        let order: Vec<String> = sink.received().into_iter().map(|mail| mail.to).collect();
        let test_db = order.iter().position(|to| to == "new@example.org").expect("there");
        assert!(test_db < 400, "it came as number {test_db} of 601");
        assert!(link(&sink.received_by("new@example.org")[0].data, "/confirm/").contains("/confirm/"));
    }

    async fn a_cancelled_digest_stops_for_good(test_db) {
        let mut down = SmtpSink::start(Script::accept_all()).await;
        down.stop().await;
        let test_app = app_of(3, test_db, &down).await;
        test_app.send_digest().await;
        let status = test_app.app.cancel_digest(&Actor::cli(), test_app.slot()).await.expect("cancelled");
        assert_eq!((status.digest.state, status.tally.skipped), (DigestState::Cancelled, 3));
        assert!(matches!(test_app.send_digest().await, SendResult::Not(_, words) if words.contains("cancelled")));
    }

    async fn what_comes_back_to_a_cancelled_digest_stays_unsent(test_db) {
        let sink = SmtpSink::start(Script::accept_all().reply_to("r0", "451 4.3.0 try later")).await;
        let test_app = app_of(2, test_db, &sink).await;
        test_app.send_digest().await;
        let slot = test_app.slot();
        // Its cancelling meets a delivery that is out: what that connection reports comes afterwards.
        let storage = &test_app.app.storage;
        test_app.wait(TimeDelta::minutes(7));
        let now = test_app.app.now();
        let sender = storage.register_sender("elsewhere", TimeDelta::seconds(60), now).await.expect("entered");
        let key = storage.claim(sender, &[], None, 10, now).await.expect("claimed").jobs[0].key;
        assert_eq!(storage.step(sender, &[], &[Start { key, version: 0, relay: "default" }], now).await.expect("begun"), Some(vec![true]));
        test_app.app.cancel_digest(&Actor::cli(), slot).await.expect("cancelled");
        let again = verdicts::storage::ledger::updates::DeliveryUpdate::Again(now);
        let done = verdicts::storage::ledger::updates::Finished { key, step: again, reply: "451".into() };
        storage.step(sender, &[done], &[], now).await.expect("written");
        storage.leave_sender(sender, now).await.expect("left");
        let tally = test_app.app.status(slot).await.expect("a status").tally;
        assert_eq!((tally.sent, tally.failed, tally.skipped, tally.queued), (1, 0, 1, 0));
    }

    async fn a_sender_that_was_given_up_for_dead_changes_nothing_any_more(test_db) {
        let sink = SmtpSink::start(Script::accept_all()).await;
        let test_app = app_of(2, test_db, &sink).await;
        test_app.set_clock("2026-11-24T09:00:30Z");
        test_app.app.tick().await.expect("picked and published");
        let storage = &test_app.app.storage;
        let now = test_app.app.now();
        let slow = storage.register_sender("elsewhere", TimeDelta::milliseconds(1), now).await.expect("entered");
        let jobs = storage.claim(slow, &[], None, 10, now).await.expect("claimed").jobs;
        let next: Vec<_> = jobs.iter().map(|job| Start { key: job.key, version: 0, relay: "default" }).collect();
        assert_eq!(storage.step(slow, &[], &next[..1], now).await.expect("begun"), Some(vec![true]));
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        let later = test_app.app.now();
        assert_eq!(storage.recover(&[], UncertainPolicy::Resend, later).await.expect("recovered"), 1, "the one that was out is in doubt");
        assert!(!storage.renew_sender(slow, TimeDelta::seconds(60), None, later).await.expect("answered"), "it must stop");
        let done = verdicts::storage::ledger::updates::Finished { key: next[0].key, step: verdicts::storage::ledger::updates::DeliveryUpdate::Failed, reply: "late".into() };
        assert_eq!(storage.step(slow, &[done], &next[1..], later).await.expect("answered"), None, "nothing more may go out");
        test_app.wait(TimeDelta::minutes(2));
        assert_eq!(tally(&test_app.send_digest().await).sent, 2, "others have its work");
    }
}
