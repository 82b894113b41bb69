//! Mails that go out late: a link lives from when it is sent, what came too late to be of use is not sent, and the pages say so.

use std::time::Duration;

use chrono::TimeDelta;
use reqwest::StatusCode;
use verdicts::app::delivery::SendEnding;
use verdicts::app::issue::digests::SendResult;
use verdicts::domain::delivery::UncertainPolicy;
use verdicts::domain::subscriber::SubscriberState;

use crate::journey::link;
use crate::support::Behaviour;
use crate::support::Script;
use crate::support::SmtpSink;
use crate::support::TestApp;
use crate::support::TestDb;
use crate::support::on_both;

const ADA: &str = "reader0@example.org";

/// A service with a reader, and the link to their preferences.
async fn app_with_a_reader(test_db: TestDb) -> (TestApp, String) {
    let test_app = TestApp::open(test_db).await;
    test_app.stock_small().await;
    test_app.seed_subscribers("reader", 1).await;
    test_app.send_digest().await;
    let preferences = link(
        &test_app.mails_to(ADA).pop().expect("a digest"),
        "/preferences/",
    );
    (test_app, preferences)
}

fn newest(test_app: &TestApp, email: &str, path: &str) -> String {
    link(&test_app.mails_to(email).pop().expect("a mail"), path)
}

on_both! {
    async fn a_confirmation_that_goes_out_late_is_good_from_then_on(test_db) {
        let test_app = TestApp::open(test_db).await;
        test_app.sign_up("ada@example.org").await;
        for hours in [71, 20] {
            test_app.wait(TimeDelta::hours(hours));
            test_app.app.tick().await.expect("a tick");
        }
        assert_eq!(test_app.state_of("ada@example.org").await, Some(SubscriberState::Pending), "its mail still waits");
        test_app.deliver_confirmations().await;
        let late = newest(&test_app, "ada@example.org", "/confirm/");
        test_app.wait(TimeDelta::hours(71));
        test_app.app.tick().await.expect("a tick");
        assert_eq!(test_app.get(&late).await.status(), StatusCode::OK);
        assert_eq!(test_app.post(&late).await.status(), StatusCode::OK);
        assert_eq!(test_app.state_of("ada@example.org").await, Some(SubscriberState::Active));
    }

    async fn a_sign_up_whose_mail_went_out_late_is_forgotten_once_its_link_is_over(test_db) {
        let test_app = TestApp::open(test_db).await;
        test_app.sign_up("ada@example.org").await;
        test_app.wait(TimeDelta::hours(90));
        test_app.deliver_confirmations().await;
        let late = newest(&test_app, "ada@example.org", "/confirm/");
        test_app.wait(TimeDelta::hours(73));
        assert_eq!(test_app.get(&late).await.status(), StatusCode::GONE);
        test_app.app.tick().await.expect("a tick");
        assert_eq!(test_app.known_people().await, 0);
    }

    async fn a_confirmation_that_waited_for_weeks_is_not_sent_and_the_sign_up_forgotten(test_db) {
        let test_app = TestApp::open(test_db).await;
        test_app.sign_up("ada@example.org").await;
        test_app.wait(TimeDelta::days(15));
        test_app.deliver_confirmations().await;
        assert!(test_app.mails_to("ada@example.org").is_empty());
        assert!(test_app.test_db.dump().await.iter().any(|row| row.starts_with("deliveries: ") && row.contains("skipped") && row.contains("expired")), "the ledger says why");
        test_app.app.tick().await.expect("a tick");
        assert_eq!(test_app.known_people().await, 0);
        test_app.sign_up("ada@example.org").await;
        assert_eq!(test_app.waiting_confirmations().await, 1, "and may come again");
    }

    async fn a_link_to_ones_data_that_goes_out_late_is_good_for_an_hour_from_then(test_db) {
        let (test_app, preferences) = app_with_a_reader(test_db).await;
        let page = test_app.post(&format!("{preferences}/link")).await.text().await.expect("a page");
        assert!(page.contains("one hour from when it is sent") && page.contains("not come within a day"), "{page}");
        test_app.wait(TimeDelta::hours(2));
        test_app.deliver_confirmations().await;
        let late = newest(&test_app, ADA, "/account/");
        test_app.wait(TimeDelta::minutes(58));
        assert_eq!(test_app.get(&late).await.status(), StatusCode::OK);
        test_app.wait(TimeDelta::minutes(4));
        assert_eq!(test_app.get(&late).await.status(), StatusCode::GONE);
    }

    async fn a_link_to_ones_data_is_not_sent_a_day_later(test_db) {
        let (test_app, preferences) = app_with_a_reader(test_db).await;
        let before = test_app.mails_to(ADA).len();
        assert_eq!(test_app.post(&format!("{preferences}/link")).await.status(), StatusCode::OK);
        test_app.wait(TimeDelta::hours(25));
        test_app.deliver_confirmations().await;
        assert_eq!(test_app.mails_to(ADA).len(), before);
        assert!(test_app.test_db.dump().await.iter().any(|row| row.starts_with("deliveries: ") && row.contains("skipped") && row.contains("expired")), "the ledger says why");
        assert_eq!(test_app.post(&format!("{preferences}/link")).await.status(), StatusCode::OK);
        test_app.deliver_confirmations().await;
        assert_eq!(test_app.get(&newest(&test_app, ADA, "/account/")).await.status(), StatusCode::OK, "asked again, it comes");
    }

    async fn a_change_of_address_that_is_asked_late_can_be_made_for_two_days_from_then(test_db) {
        let (test_app, preferences) = app_with_a_reader(test_db).await;
        test_app.post(&format!("{preferences}/link")).await;
        test_app.deliver_confirmations().await;
        let data = newest(&test_app, ADA, "/account/");
        let answer = test_app.post_form(&format!("{data}/address"), &[("email", "ada@new.example")]).await;
        assert!(answer.text().await.expect("a page").contains("not come within a week"));
        test_app.wait(TimeDelta::days(3));
        test_app.deliver_confirmations().await;
        let late = newest(&test_app, "ada@new.example", "/move/");
        test_app.wait(TimeDelta::hours(47));
        assert_eq!(test_app.post(&late).await.status(), StatusCode::OK);
        assert_eq!(test_app.state_of("ada@new.example").await, Some(SubscriberState::Active));
    }

    async fn the_page_after_a_sign_up_says_when_another_one_brings_a_mail(test_db) {
        let test_app = TestApp::open_with(test_db, |settings| settings.signup.confirm_within = Duration::from_secs(15 * 60)).await;
        let page = test_app.page("/check-inbox").await;
        assert!(page.contains("one such mail in 15 minutes"), "{page}");
        let first = test_app.ask_to_join("ada@example.org").await;
        test_app.wait(TimeDelta::minutes(14));
        test_app.sign_up("ada@example.org").await;
        assert_eq!(test_app.waiting_confirmations().await, 0, "there was one a short time ago, and its link is good");
        assert_eq!(test_app.get(&first).await.status(), StatusCode::OK);
        test_app.wait(TimeDelta::minutes(2));
        assert_eq!(test_app.get(&first).await.status(), StatusCode::GONE);
        for forgotten in [false, true] {
            test_app.sign_up("ada@example.org").await;
            assert_eq!(test_app.waiting_confirmations().await, 1, "a link that is over is no reason to send none; forgotten: {forgotten}");
            test_app.deliver_confirmations().await;
            test_app.wait(TimeDelta::minutes(17));
            test_app.app.tick().await.expect("a tick");
        }
    }

    async fn a_mail_in_doubt_is_sent_again_however_old_and_held_after_that(test_db) {
        let sink = SmtpSink::start(
            Script::accept_all().after_body("r0", Behaviour::close().times(1)).after_body("r1", Behaviour::close()),
        )
        .await;
        let url = sink.url();
        let test_app = TestApp::open_with(test_db, |settings| {
            settings.mail.transport = url.into();
            settings.mail.in_doubt = UncertainPolicy::Resend;
            // Over before the first attempt is.
            settings.mail.retry.first = Duration::from_millis(200);
            settings.mail.retry.max_age = Duration::from_millis(1);
        })
        .await;
        test_app.stock_small().await;
        test_app.seed_subscribers("r", 3).await;
        let mut sent = test_app.send_digest().await;
        for _ in 0..20 {
            if matches!(&sent, SendResult::Delivered(_, SendEnding::Final)) {
                break;
            }
            test_app.wait(TimeDelta::seconds(1));
            sent = test_app.send_digest().await;
        }
        let tally = test_app.app.storage.tally(test_app.slot().id()).await.expect("a tally");
        assert_eq!((tally.sent, tally.uncertain, tally.failed), (2, 1, 0), "{tally:?}");
        let to = |name: &str| sink.received_by(&format!("{name}@example.org")).len();
        assert_eq!((to("r0"), to("r1"), to("r2")), (2, 2, 1), "two copies at most");
        assert!(test_app.test_db.dump().await.iter().any(|row| row.contains("not sent again, for it is older than mail.retry.max_age")));
    }
}
