//! Mails that go out late: a link lives from when it is sent, what came too late to be of use is not sent, and the pages say so.

use std::time::Duration;

use chrono::TimeDelta;
use reqwest::StatusCode;
use verdicts::app::delivery::SendEnding;
use verdicts::app::issue::digests::Sent;
use verdicts::domain::delivery::UncertainPolicy;
use verdicts::domain::subscriber::SubscriberState;

use crate::journey::link;
use crate::support::Behaviour;
use crate::support::House;
use crate::support::Place;
use crate::support::Script;
use crate::support::SmtpSink;
use crate::support::on_both;

const ADA: &str = "reader0@example.org";

/// A house with a reader, and the link to their preferences.
async fn house_with_a_reader(place: Place) -> (House, String) {
    let house = House::open(place).await;
    house.stock_small().await;
    house.enlist("reader", 1).await;
    house.send_digest().await;
    let preferences = link(
        &house.mails_to(ADA).pop().expect("a digest"),
        "/preferences/",
    );
    (house, preferences)
}

fn newest(house: &House, email: &str, path: &str) -> String {
    link(&house.mails_to(email).pop().expect("a mail"), path)
}

on_both! {
    async fn a_confirmation_that_goes_out_late_is_good_from_then_on(place) {
        let house = House::open(place).await;
        house.sign_up("ada@example.org").await;
        for hours in [71, 20] {
            house.wait(TimeDelta::hours(hours));
            house.app.tick().await.expect("a tick");
        }
        assert_eq!(house.state_of("ada@example.org").await, Some(SubscriberState::Pending), "its mail still waits");
        house.deliver_confirmations().await;
        let late = newest(&house, "ada@example.org", "/confirm/");
        house.wait(TimeDelta::hours(71));
        house.app.tick().await.expect("a tick");
        assert_eq!(house.get(&late).await.status(), StatusCode::OK);
        assert_eq!(house.post(&late).await.status(), StatusCode::OK);
        assert_eq!(house.state_of("ada@example.org").await, Some(SubscriberState::Active));
    }

    async fn a_sign_up_whose_mail_went_out_late_is_forgotten_once_its_link_is_over(place) {
        let house = House::open(place).await;
        house.sign_up("ada@example.org").await;
        house.wait(TimeDelta::hours(90));
        house.deliver_confirmations().await;
        let late = newest(&house, "ada@example.org", "/confirm/");
        house.wait(TimeDelta::hours(73));
        assert_eq!(house.get(&late).await.status(), StatusCode::GONE);
        house.app.tick().await.expect("a tick");
        assert_eq!(house.known_people().await, 0);
    }

    async fn a_confirmation_that_waited_for_weeks_is_not_sent_and_the_sign_up_forgotten(place) {
        let house = House::open(place).await;
        house.sign_up("ada@example.org").await;
        house.wait(TimeDelta::days(15));
        house.deliver_confirmations().await;
        assert!(house.mails_to("ada@example.org").is_empty());
        assert!(house.place.dump().await.iter().any(|row| row.starts_with("deliveries: ") && row.contains("skipped") && row.contains("expired")), "the ledger says why");
        house.app.tick().await.expect("a tick");
        assert_eq!(house.known_people().await, 0);
        house.sign_up("ada@example.org").await;
        assert_eq!(house.waiting_confirmations().await, 1, "and may come again");
    }

    async fn a_link_to_ones_data_that_goes_out_late_is_good_for_an_hour_from_then(place) {
        let (house, preferences) = house_with_a_reader(place).await;
        let page = house.post(&format!("{preferences}/link")).await.text().await.expect("a page");
        assert!(page.contains("one hour from when it is sent") && page.contains("not come within a day"), "{page}");
        house.wait(TimeDelta::hours(2));
        house.deliver_confirmations().await;
        let late = newest(&house, ADA, "/account/");
        house.wait(TimeDelta::minutes(58));
        assert_eq!(house.get(&late).await.status(), StatusCode::OK);
        house.wait(TimeDelta::minutes(4));
        assert_eq!(house.get(&late).await.status(), StatusCode::GONE);
    }

    async fn a_link_to_ones_data_is_not_sent_a_day_later(place) {
        let (house, preferences) = house_with_a_reader(place).await;
        let before = house.mails_to(ADA).len();
        assert_eq!(house.post(&format!("{preferences}/link")).await.status(), StatusCode::OK);
        house.wait(TimeDelta::hours(25));
        house.deliver_confirmations().await;
        assert_eq!(house.mails_to(ADA).len(), before);
        assert!(house.place.dump().await.iter().any(|row| row.starts_with("deliveries: ") && row.contains("skipped") && row.contains("expired")), "the ledger says why");
        assert_eq!(house.post(&format!("{preferences}/link")).await.status(), StatusCode::OK);
        house.deliver_confirmations().await;
        assert_eq!(house.get(&newest(&house, ADA, "/account/")).await.status(), StatusCode::OK, "asked again, it comes");
    }

    async fn a_change_of_address_that_is_asked_late_can_be_made_for_two_days_from_then(place) {
        let (house, preferences) = house_with_a_reader(place).await;
        house.post(&format!("{preferences}/link")).await;
        house.deliver_confirmations().await;
        let data = newest(&house, ADA, "/account/");
        let answer = house.post_form(&format!("{data}/address"), &[("email", "ada@new.example")]).await;
        assert!(answer.text().await.expect("a page").contains("not come within a week"));
        house.wait(TimeDelta::days(3));
        house.deliver_confirmations().await;
        let late = newest(&house, "ada@new.example", "/move/");
        house.wait(TimeDelta::hours(47));
        assert_eq!(house.post(&late).await.status(), StatusCode::OK);
        assert_eq!(house.state_of("ada@new.example").await, Some(SubscriberState::Active));
    }

    async fn the_page_after_a_sign_up_says_when_another_one_brings_a_mail(place) {
        let house = House::open_with(place, |settings| settings.signup.confirm_within = Duration::from_secs(15 * 60)).await;
        let page = house.page("/check-inbox").await;
        assert!(page.contains("one such mail in 15 minutes"), "{page}");
        let first = house.ask_to_join("ada@example.org").await;
        house.wait(TimeDelta::minutes(14));
        house.sign_up("ada@example.org").await;
        assert_eq!(house.waiting_confirmations().await, 0, "there was one a short time ago, and its link is good");
        assert_eq!(house.get(&first).await.status(), StatusCode::OK);
        house.wait(TimeDelta::minutes(2));
        assert_eq!(house.get(&first).await.status(), StatusCode::GONE);
        for forgotten in [false, true] {
            house.sign_up("ada@example.org").await;
            assert_eq!(house.waiting_confirmations().await, 1, "a link that is over is no reason to send none; forgotten: {forgotten}");
            house.deliver_confirmations().await;
            house.wait(TimeDelta::minutes(17));
            house.app.tick().await.expect("a tick");
        }
    }

    async fn a_mail_in_doubt_is_sent_again_however_old_and_held_after_that(place) {
        let sink = SmtpSink::start(
            Script::accept_all().after_body("r0", Behaviour::close().times(1)).after_body("r1", Behaviour::close()),
        )
        .await;
        let url = sink.url();
        let house = House::open_with(place, |settings| {
            settings.mail.transport = url.into();
            settings.mail.in_doubt = UncertainPolicy::Resend;
            // Over before the first attempt is.
            settings.mail.retry.first = Duration::from_millis(200);
            settings.mail.retry.max_age = Duration::from_millis(1);
        })
        .await;
        house.stock_small().await;
        house.enlist("r", 3).await;
        let mut sent = house.send_digest().await;
        for _ in 0..20 {
            if matches!(&sent, Sent::Delivered(_, SendEnding::Final)) {
                break;
            }
            house.wait(TimeDelta::seconds(1));
            sent = house.send_digest().await;
        }
        let tally = house.app.storage.tally(house.slot().id()).await.expect("a tally");
        assert_eq!((tally.sent, tally.uncertain, tally.failed), (2, 1, 0), "{tally:?}");
        let to = |name: &str| sink.received_by(&format!("{name}@example.org")).len();
        assert_eq!((to("r0"), to("r1"), to("r2")), (2, 2, 1), "two copies at most");
        assert!(house.place.dump().await.iter().any(|row| row.contains("not sent again, for it is older than mail.retry.max_age")));
    }
}
