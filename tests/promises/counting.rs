//! A refusal counts once for its reader and digest, by the same rule whether it came in the dialogue, as a report or by webhook.

use chrono::TimeDelta;
use verdicts::domain::subscriber::SubscriberState;
use verdicts::storage::inbound::InboundResult;

use crate::inbound::READER;
use crate::inbound::a_week_later;
use crate::inbound::move_to;
use crate::inbound::report;
use crate::inbound::return_path;
use crate::inbound::take;
use crate::support::House;
use crate::support::Place;
use crate::support::Program;
use crate::support::Script;
use crate::support::SmtpSink;
use crate::support::on_both;
use crate::support::smtp_sink::Stage;
use crate::webhooks::world::SIGNED;
use crate::webhooks::world::tell_signed;

const FULL: &str = "552 5.2.2 mailbox full";
const RATE: &str = "550 5.7.1 sending rate exceeded, come back in an hour";
const GONE: &str = "550 5.1.1 no such user";

/// A house whose relay answers the reader as the test orders; two readers.
async fn house_to(
    place: Place,
    sink: &SmtpSink,
    adapt: impl FnOnce(&mut verdicts::config::Settings),
) -> House {
    let url = sink.url();
    let house = House::open_with(place, |settings| {
        settings.mail.transport = url.into();
        settings.mail.return_path = Some("bounces+{verp}@verdicts.example".into());
        settings.webhooks.signed = vec![SIGNED.into()];
        adapt(settings);
    })
    .await;
    house.stock_small().await;
    house.enlist("reader", 2).await;
    house
}

/// A house that keeps its mails in a folder, so that reports can be written about them.
async fn house_with_mailbox(place: Place) -> House {
    crate::inbound::house_with_a_reader_and(place, |settings| {
        settings.webhooks.signed = vec![SIGNED.into()]
    })
    .await
}

async fn state(house: &House) -> SubscriberState {
    house.state_of(READER).await.expect("known")
}

on_both! {
    async fn five_digests_in_a_row_refused_for_a_full_mailbox_end_a_subscription(place) {
        let sink = SmtpSink::start(Script::accept_all().reply_to("reader0", FULL)).await;
        let house = house_to(place, &sink, |_| {}).await;
        house.send_digest().await;
        for week in 1..5 {
            assert_eq!(state(&house).await, SubscriberState::Active, "after {week}");
            let record = house.record_of(READER).await;
            assert!(record.contains(&format!("refused, {week} of 5 in a row: {FULL}")), "{record}");
            a_week_later(&house, week).await;
        }
        assert_eq!(state(&house).await, SubscriberState::Bounced);
        assert_eq!(house.state_of("reader1@example.org").await, Some(SubscriberState::Active));
    }

    async fn a_digest_that_arrives_in_between_breaks_the_row(place) {
        let sink = SmtpSink::start(Script::accept_all()).await;
        let house = house_to(place, &sink, |settings| settings.bounces.soft = 3).await;
        let mut first = true;
        for (week, refused) in [true, true, false, true, true, true].into_iter().enumerate() {
            assert_eq!(state(&house).await, SubscriberState::Active, "before {week}");
            sink.order(Stage::Recipient, "reader0", if refused { FULL } else { "250 2.1.5 ok" });
            if std::mem::take(&mut first) { house.send_digest().await; } else { a_week_later(&house, week).await; }
        }
        assert_eq!(state(&house).await, SubscriberState::Bounced);
    }

    async fn a_digest_refused_for_our_fault_neither_counts_nor_breaks_the_row(place) {
        let sink = SmtpSink::start(Script::accept_all()).await;
        let house = house_to(place, &sink, |settings| settings.bounces.soft = 3).await;
        let mut first = true;
        for (week, reply) in [FULL, RATE, FULL, RATE, FULL].into_iter().enumerate() {
            assert_eq!(state(&house).await, SubscriberState::Active, "before {week}");
            sink.order(Stage::Recipient, "reader0", reply);
            if std::mem::take(&mut first) { house.send_digest().await; } else { a_week_later(&house, week).await; }
        }
        assert_eq!(state(&house).await, SubscriberState::Bounced);
    }

    async fn a_full_mailbox_that_is_retried_for_days_counts_once(place) {
        let sink = SmtpSink::start(Script::accept_all().reply_to("reader0", "452 4.2.2 mailbox full")).await;
        let house = house_to(place, &sink, |settings| settings.bounces.soft = 2).await;
        for _ in 0..30 {
            house.send_digest().await;
            house.wait(TimeDelta::hours(5));
        }
        let record = house.record_of(READER).await;
        assert_eq!((record.matches("1 of 2 in a row").count(), state(&house).await), (1, SubscriberState::Active), "{record}");
    }

    async fn a_report_after_the_dialogue_of_the_same_digest_does_not_count_again(place) {
        let house = house_with_mailbox(place).await;
        let soft = |path: &str, n: usize| report(path, READER, FULL).replace("Subject: ", &format!("Subject: {n} "));
        for week in 0..4 {
            let path = return_path(&house, READER);
            for n in 0..3 {
                assert_eq!(take(&house, &soft(&path, n)).await, InboundResult::Kept, "week {week}");
            }
            tell_signed(&house, &format!("event {week}"), "soft", READER, FULL).await;
            assert_eq!(state(&house).await, SubscriberState::Active, "week {week}");
            a_week_later(&house, week).await;
        }
        assert_eq!(take(&house, &soft(&return_path(&house, READER), 0)).await, InboundResult::Ended);
    }

    async fn ten_weeks_of_rate_refusals_end_nobody(place) {
        let sink = SmtpSink::start(Script::accept_all().reply_to("reader0", RATE)).await;
        let house = house_to(place, &sink, |_| {}).await;
        house.send_digest().await;
        for week in 0..10 {
            tell_signed(&house, &format!("event {week}"), "soft", READER, RATE).await;
            assert_eq!(state(&house).await, SubscriberState::Active, "week {week}");
            a_week_later(&house, week).await;
        }
        let record = house.record_of(READER).await;
        assert!(record.matches("refused, not counted").count() >= 10, "{record}");
    }

    async fn ten_weeks_of_reports_about_a_rate_end_nobody(place) {
        let house = house_with_mailbox(place).await;
        for week in 0..10 {
            assert_eq!(take(&house, &report(&return_path(&house, READER), READER, RATE)).await, InboundResult::Kept);
            tell_signed(&house, &format!("event {week}"), "soft", READER, "421 4.7.0 too many messages").await;
            assert_eq!(state(&house).await, SubscriberState::Active, "week {week}");
            a_week_later(&house, week).await;
        }
        let rows = house.place.dump().await;
        assert!(rows.iter().any(|row| row.starts_with("inbound") && row.contains("passing")), "the ledger names the class");
    }

    async fn hard_refusals_in_the_dialogue_follow_bounces_hard(place) {
        let sink = SmtpSink::start(Script::accept_all().reply_to("reader0", GONE)).await;
        let house = house_to(place, &sink, |settings| settings.bounces.hard = 3).await;
        house.send_digest().await;
        for week in 1..3 {
            assert_eq!(state(&house).await, SubscriberState::Active);
            let record = house.record_of(READER).await;
            assert!(record.contains(&format!("refused for good, {week} of 3 in a row: {GONE}")), "{record}");
            a_week_later(&house, week).await;
        }
        assert_eq!(state(&house).await, SubscriberState::Bounced);
    }

    async fn nothing_ends_where_the_settings_say_never(place) {
        let sink = SmtpSink::start(Script::accept_all().reply_to("reader0", GONE).reply_to("reader1", FULL)).await;
        let house = house_to(place, &sink, |settings| (settings.bounces.hard, settings.bounces.soft) = (0, 0)).await;
        house.send_digest().await;
        for week in 0..6 {
            a_week_later(&house, week).await;
        }
        assert_eq!(state(&house).await, SubscriberState::Active);
        assert_eq!(house.state_of("reader1@example.org").await, Some(SubscriberState::Active));
    }

    async fn refusals_of_the_address_before_do_not_count_for_the_new_one(place) {
        let house = house_with_mailbox(place).await;
        for week in 0..4 {
            take(&house, &report(&return_path(&house, READER), READER, FULL)).await;
            a_week_later(&house, week).await;
        }
        move_to(&house, READER, "ada@new.example").await;
        house.wait(TimeDelta::hours(2));
        a_week_later(&house, 9).await;
        assert_eq!(take(&house, &report(&return_path(&house, "ada@new.example"), "ada@new.example", FULL)).await, InboundResult::Kept);
        let record = house.record_of("ada@new.example").await;
        assert!(record.contains("refused, 1 of 5 in a row"), "{record}");
    }

    async fn a_confirmation_mail_that_is_refused_for_good_ends_the_sign_up_after_the_wait(place) {
        let sink = SmtpSink::start(Script::accept_all().reply_to("typo", GONE)).await;
        let house = house_to(place, &sink, |_| {}).await;
        house.sign_up("typo@example.org").await;
        house.deliver_confirmations().await;
        assert_eq!(house.state_of("typo@example.org").await, Some(SubscriberState::Pending), "it is judged with others like it");
        house.wait(TimeDelta::minutes(61));
        house.app.tick().await.expect("a tick");
        assert_eq!(house.state_of("typo@example.org").await, Some(SubscriberState::Bounced));
    }
}

#[test]
fn what_was_refused_is_shown_by_subscribers_show() {
    let place = Place::sqlite();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .worker_threads(2)
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let sink = SmtpSink::start(Script::accept_all().reply_to("reader0", FULL)).await;
        house_to(place.again(), &sink, |_| {})
            .await
            .send_digest()
            .await;
    });
    let program = Program::set_up(&place);
    let text = program.run(&["subscribers", "show", READER]).good().out;
    assert!(
        text.contains("refused, 1 of 5 in a row: 552 5.2.2 mailbox full"),
        "{text}"
    );
    let json = program
        .run(&["--json", "subscribers", "show", READER])
        .good()
        .json();
    let history = json["history"].as_array().expect("a list");
    assert!(
        history.iter().any(|line| line["what"]
            .as_str()
            .is_some_and(|what| what.contains("1 of 5"))),
        "{json}"
    );
}
