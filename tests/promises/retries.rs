//! Retries: they go before mail that was never tried, and only the waits between tries make a mail old.

use std::sync::Arc;

use chrono::TimeDelta;
use tokio_util::sync::CancellationToken;
use verdicts::app::deliver::Ending;
use verdicts::app::deliver::Progress;
use verdicts::app::digests::Sent;
use verdicts::app::digests::Status;
use verdicts::app::preflight::Preflight;
use verdicts::app::sending::SendOrder;
use verdicts::config::Settings;
use verdicts::domain::slot::Slot;

use crate::support::Behaviour;
use crate::support::House;
use crate::support::Place;
use crate::support::Script;
use crate::support::SmtpSink;
use crate::support::on_both;

const GREYLISTED: &str = "450 4.2.0 Recipient address rejected: Greylisted, try again later";

/// Goes on with that digest, whatever week it is.
async fn send(house: &House, slot: Slot) -> (Status, Ending) {
    let order = SendOrder { slot: Some(slot), other_week: true, preflight: Preflight::Forced };
    match house.app.send_digest(order, &CancellationToken::new(), &Arc::new(Progress::default()), |_| {}).await.expect("an answer") {
        Sent::Delivered(status, ending) => (status, ending),
        Sent::Not(_, words) => panic!("nothing was sent: {words}"),
    }
}

/// A service with something to send to `readers` readers (`r0`, ...), over `sink`.
async fn house_of(readers: usize, place: Place, sink: &SmtpSink, adapt: impl FnOnce(&mut Settings)) -> House {
    let url = sink.url();
    let house = House::open_with(place, |settings| {
        settings.mail.transport = url;
        adapt(settings);
    })
    .await;
    house.stock_small().await;
    house.enlist("r", readers).await;
    house
}

/// A relay that refuses the first `count` readers for now, so many times each.
async fn greylists(count: usize, times: usize) -> SmtpSink {
    let script =
        (0..count).fold(Script::accept_all(), |script, n| script.reply_to(&format!("r{n}"), Behaviour::reply(GREYLISTED).times(times)));
    SmtpSink::start(script).await
}

/// How often the server was asked to take a mail to each of the first `count` readers.
fn tries(sink: &SmtpSink, count: usize) -> Vec<usize> {
    let commands = sink.commands();
    let asked = |n: usize| commands.iter().filter(|line| line.starts_with(&format!("RCPT TO:<r{n}@"))).count();
    (0..count).map(asked).collect()
}

on_both! {
    async fn whoever_was_refused_is_tried_again_before_those_who_wait_for_their_first_mail(place) {
        let sink = greylists(10, 6).await;
        let house = house_of(3_000, place, &sink, |settings| settings.mail.per_day = 500).await;
        let slot = house.slot();
        for day in 0..6 {
            let (status, ending) = send(&house, slot).await;
            assert!(matches!(ending, Ending::Trouble(_)), "day {day}: the day's allowance is spent, {ending:?}");
            assert_eq!(status.tally.failed, 0, "day {day}: {:?}", status.failures);
            assert!(tries(&sink, 10).iter().all(|tries| *tries == day + 1), "day {day}: {:?}", tries(&sink, 10));
            house.wait(TimeDelta::days(1));
        }
        let before = sink.mails();
        while send(&house, slot).await.1 != Ending::Final {
            house.wait(TimeDelta::days(1));
        }
        let status = house.app.status(slot).await.expect("a status");
        assert_eq!((status.tally.sent, status.tally.failed, sink.mails()), (3_000, 0, 3_000), "six days are more than max_age, and no waits");
        let first: Vec<String> = sink.received()[before..before + 20].iter().map(|mail| mail.to.clone()).collect();
        assert!((0..10).all(|n| first.contains(&format!("r{n}@example.org"))), "they came first on the seventh day: {first:?}");
    }

    async fn retries_take_no_more_than_half_of_what_is_claimed_while_others_wait_for_their_first_mail(place) {
        // The first 40 are refused for now, and the day is spent.
        let sink = greylists(40, 1).await;
        let house = house_of(400, place, &sink, |settings| settings.mail.per_day = 40).await;
        let slot = house.slot();
        send(&house, slot).await;
        house.wait(TimeDelta::days(1));
        let storage = &house.app.storage;
        let now = house.app.now();
        let sender = storage.enter_sender("a test", TimeDelta::hours(1), now).await.expect("entered");
        let claimed = storage.claim(sender, &[], None, 40, now).await.expect("claimed").jobs;
        let retries = claimed.iter().filter(|job| job.attempts > 0).count();
        assert!(claimed.len() >= 40 && retries >= 20 && retries < claimed.len(), "{retries} of {}", claimed.len());
        assert!(claimed.first().is_some_and(|job| job.attempts > 0), "and they come first");
        storage.leave_sender(sender, now).await.expect("left");
    }

    async fn a_pause_of_the_digest_makes_no_mail_too_old(place) {
        let sink = greylists(3, 2).await;
        let house = house_of(5, place, &sink, |_| {}).await;
        let slot = house.slot();
        assert_eq!(send(&house, slot).await.1, Ending::Waits);
        house.app.pause_digest(slot).await.expect("paused");
        house.wait(TimeDelta::days(30));
        house.app.resume_digest(slot, Preflight::Forced).await.expect("resumed");
        assert_eq!(send(&house, slot).await.1, Ending::Waits, "refused once more, and not given up");
        house.wait(TimeDelta::hours(1));
        let (status, ending) = send(&house, slot).await;
        assert_eq!((status.tally.sent, status.tally.failed, ending), (5, 0, Ending::Final));
    }

    async fn a_process_that_was_down_for_weeks_gives_up_nobody(place) {
        let sink = greylists(3, 2).await;
        let house = house_of(5, place.again(), &sink, |_| {}).await;
        let slot = house.slot();
        assert_eq!(send(&house, slot).await.1, Ending::Waits);
        drop(house);
        let url = sink.url();
        let house = House::open_at(place, "2026-12-20T09:00:00Z", |settings| settings.mail.transport = url).await;
        assert_eq!(send(&house, slot).await.1, Ending::Waits, "refused once more, and not given up");
        house.wait(TimeDelta::hours(1));
        assert_eq!(send(&house, slot).await.0.tally.sent, 5);
    }

    async fn whoever_is_refused_for_all_of_max_age_is_given_up(place) {
        let sink = SmtpSink::start(Script::accept_all().reply_to("r0", "452 4.2.2 Mailbox full")).await;
        let house = house_of(2, place, &sink, |_| {}).await;
        let slot = house.slot();
        let mut rounds = 0;
        while send(&house, slot).await.1 == Ending::Waits {
            rounds += 1;
            assert!(rounds < 40, "it never ends");
            house.wait(TimeDelta::days(1));
        }
        let status = house.app.status(slot).await.expect("a status");
        assert_eq!((status.tally.sent, status.tally.failed), (1, 1));
        // 5 min, doubled up to a day: eleven waits make about four days.
        assert!((9..=14).contains(&rounds), "{rounds} waits");
        assert!(status.failures[0].0.starts_with("given up after"), "{:?}", status.failures);
    }
}
