//! How fast mail goes out: what a relay that asks for less gets, what domains are spared, and what a day allows.

use std::time::Duration;
use std::time::Instant;

use chrono::TimeDelta;
use serde_json::json;
use verdicts::app::delivery::SendEnding;
use verdicts::app::issue::digests::DigestStatus;
use verdicts::app::issue::digests::SendResult;
use verdicts::config::Settings;

use crate::support::Behaviour;
use crate::support::Received;
use crate::support::Script;
use crate::support::SmtpSink;
use crate::support::TestApp;
use crate::support::on_both;

async fn send(test_app: &TestApp) -> (DigestStatus, SendEnding) {
    match test_app.send_digest().await {
        SendResult::Delivered(status, ending) => (status, ending),
        SendResult::Not(_, words) => panic!("nothing was sent: {words}"),
    }
}

/// The moments between mails to that domain, shortest first.
fn gaps(mails: &[Received], domain: &str) -> Vec<Duration> {
    let at: Vec<_> = mails
        .iter()
        .filter(|mail| mail.to.ends_with(domain))
        .map(|mail| mail.at)
        .collect();
    let mut gaps: Vec<_> = at.windows(2).map(|pair| pair[1] - pair[0]).collect();
    gaps.sort();
    gaps
}

on_both! {
    async fn whoever_says_too_much_is_sent_less_and_no_mail_fails_for_it(test_db) {
        let once = |reply| Behaviour::reply(reply).times(1);
        let script = Script::accept_all()
            .reply_to("r0", once("421 4.7.0 Try again later, closing connection"))
            .reply_to("r1", once("454 4.7.0 Temporary authentication failure"))
            .reply_to("r2", once("451 4.7.1 Greylisted for now"))
            .after_body("r3", once("450 4.2.1 The user is receiving mail too quickly"))
            .after_body("r4", once("452 too many messages from your address"));
        let sink = SmtpSink::start(script).await;
        let test_app = TestApp::stocked(test_db, &sink, |settings| settings.mail.connections = 4).await;
        test_app.seed_subscribers("r", 20).await;
        let (status, ending) = send(&test_app).await;
        assert_eq!((status.tally.sent, status.tally.queued, status.tally.failed), (15, 5, 0), "{:?}", status.failures);
        assert_eq!(ending, SendEnding::Waits);
        test_app.wait(TimeDelta::minutes(10));
        let (status, ending) = send(&test_app).await;
        assert_eq!((status.tally.sent, ending, sink.mails()), (20, SendEnding::Final, 20));
    }

    async fn a_relay_that_throttles_everybody_gets_fewer_connections_and_rests_and_then_all_mail(test_db) {
        // It takes one mail from each connection; with each that is one too many it says so.
        let script = Script::accept_all().at_mail_from(Behaviour::reply("421 4.7.0 Too many concurrent connections").times(6));
        let sink = SmtpSink::start(script).await;
        let test_app = TestApp::stocked(test_db, &sink, |settings| {
            settings.mail.connections = 8;
            settings.mail.retry.first = Duration::from_millis(100);
        }).await;
        test_app.seed_subscribers("r", 40).await;
        test_app.set_clock("2026-11-24T09:00:30Z");
        test_app.app.tick().await.expect("picked and published");
        test_app.deliver_while("everybody's mail", async || sink.mails() == 40).await;
        let status = test_app.app.status(test_app.slot()).await.expect("a status");
        assert_eq!((status.tally.failed, status.tally.uncertain), (0, 0), "{:?}", status.failures);
        assert!(status.minutes.iter().map(|minute| minute.later).sum::<u64>() <= 6, "{:?}", status.minutes);
    }

    async fn a_domain_is_spared_connections_while_others_are_not_kept_waiting(test_db) {
        let delay = Duration::from_millis(40);
        let sink = SmtpSink::start(Script::accept_all().delay(delay)).await;
        let test_app = TestApp::stocked(test_db, &sink, |settings| {
            settings.mail.per_domain = serde_json::from_value(json!([{ "domain": ["spared.example", "also.example"], "connections": 1 }])).expect("limits");
        }).await;
        let spared: String = (0..10).map(|n| format!("s{n}@spared.example\na{n}@also.example\n")).collect();
        test_app.enlist_all(&format!("email\n{spared}")).await;
        test_app.seed_subscribers("r", 60).await;
        let (status, ending) = send(&test_app).await;
        assert_eq!((status.tally.sent, ending), (80, SendEnding::Final));
        let mails = sink.received();
        let one_entry: Vec<Received> = mails.iter().filter(|mail| !mail.to.ends_with("example.org")).cloned().collect();
        // The server answers a mail only after the delay, so the next one to that entry cannot have come sooner.
        assert!(gaps(&one_entry, "")[0] >= delay, "{:?}", gaps(&one_entry, ""));
        let half_way = mails.iter().position(|mail| mail.to == one_entry[9].to).expect("there");
        assert!(half_way > 40, "the others went ahead: half of the spared ones were there after {half_way} of 80");
    }

    async fn a_domain_gets_no_more_mails_a_second_than_it_should(test_db) {
        let sink = SmtpSink::start(Script::accept_all()).await;
        let test_app = TestApp::stocked(test_db, &sink, |settings| {
            settings.mail.per_domain = serde_json::from_value(json!([{ "domain": "*", "rate_per_second": 10 }])).expect("limits");
        }).await;
        let rows: String = (0..8).map(|n| format!("s{n}@one.example\nt{n}@two.example\n")).collect();
        test_app.enlist_all(&format!("email\n{rows}")).await;
        let began = Instant::now();
        assert_eq!(send(&test_app).await.0.tally.sent, 16);
        // The eighth mail of a domain waits for seven tenths of a second, however slow the machine is. That each domain has a limit of its
        // own is held in virtual time (app::delivery::queue).
        assert!(began.elapsed() >= Duration::from_millis(700), "eight mails a domain in {:?}", began.elapsed());
    }

    async fn a_relay_gets_no_more_mails_a_second_than_it_should(test_db) {
        let sink = SmtpSink::start(Script::accept_all()).await;
        let test_app = TestApp::stocked(test_db, &sink, |settings| settings.mail.rate_per_second = 20).await;
        test_app.seed_subscribers("r", 20).await;
        let began = Instant::now();
        assert_eq!(send(&test_app).await.0.tally.sent, 20);
        assert!(began.elapsed() >= Duration::from_millis(950), "twenty mails in {:?}", began.elapsed());
    }

    async fn a_day_has_its_limit_for_all_processes_together_and_the_next_goes_on(test_db) {
        let sink = SmtpSink::start(Script::accept_all()).await;
        let limit = |settings: &mut Settings| (settings.mail.per_day, settings.mail.transactional_share) = (7, 0);
        let other = TestApp::stocked(test_db.again(), &sink, limit).await;
        let test_app = TestApp::stocked(test_db, &sink, limit).await;
        test_app.seed_subscribers("r", 10).await;
        let (status, ending) = send(&test_app).await;
        assert_eq!((status.tally.sent, status.tally.queued, sink.mails()), (7, 3, 7));
        assert!(matches!(&ending, SendEnding::Trouble(why) if why.contains("the day's allowance is spent")), "{ending:?}");
        assert!(matches!(send(&other).await.1, SendEnding::Trouble(_)) && sink.mails() == 7, "another process has no day of its own");
        other.wait(TimeDelta::days(1));
        assert_eq!((send(&other).await.0.tally.sent, sink.mails()), (10, 10));
    }

    async fn places_of_a_day_that_no_mail_took_are_given_back(test_db) {
        let sink = SmtpSink::start(Script::accept_all()).await;
        let test_app = TestApp::stocked(test_db, &sink, |settings| {
            (settings.mail.per_day, settings.mail.idle) = (100, Duration::from_millis(200));
        }).await;
        test_app.seed_subscribers("r", 5).await;
        let today = verdicts::domain::limits::day_of(test_app.app.now());
        let used = async || test_app.app.storage.relay_use("default", today).await.expect("a number").begun;
        assert_eq!((send(&test_app).await.1, used().await), (SendEnding::Final, 5), "a send that has ended");
        test_app.sign_up("ada@example.org").await;
        test_app.deliver_while("a run that ends for want of mail", async || sink.mails() == 6 && used().await == 6).await;
        test_app.sign_up("bob@example.org").await;
        test_app.deliver_while("a mail", async || sink.mails() == 7).await;
        assert_eq!(used().await, 7, "one that was told to stop");
    }

    async fn a_new_relay_is_warmed_up_day_by_day(test_db) {
        let sink = SmtpSink::start(Script::accept_all()).await;
        let test_app = TestApp::stocked(test_db, &sink, |settings| {
            settings.mail.warm_up = serde_json::from_value(json!({ "start": 3, "growth": 2.0, "days": 3 })).expect("a plan");
            settings.mail.transactional_share = 0;
        }).await;
        test_app.seed_subscribers("r", 60).await;
        let mut sent = Vec::new();
        for _ in 0..4 {
            sent.push(send(&test_app).await.0.tally.sent);
            test_app.wait(TimeDelta::days(1));
        }
        assert_eq!(sent, [3, 9, 21, 60], "three, twice as many, and twice as many; then it is over");
    }
}
