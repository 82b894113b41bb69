//! Mails that a stranger can cause: few to one mailbox, from one network, by one account, whichever door is used.

use crate::journey::link;
use crate::support::TestApp;
use crate::support::TestDb;
use crate::support::on_both;
use chrono::TimeDelta;
use reqwest::Method;
use reqwest::StatusCode;
use serde_json::json;
use verdicts::config::Settings;
use verdicts::domain::subscriber::SubscriberState;

const READER: &str = "reader0@example.org";

/// A service with two readers, and the link to the first one's data.
async fn app_with_data_link(
    test_db: TestDb,
    adapt: impl FnOnce(&mut Settings),
) -> (TestApp, String) {
    let test_app = TestApp::open_with(test_db, adapt).await;
    test_app.stock_small().await;
    test_app.seed_subscribers("reader", 2).await;
    test_app.send_digest().await;
    let preferences = link(
        &test_app.mails_to(READER).pop().expect("a digest"),
        "/preferences/",
    );
    assert_eq!(
        test_app.post(&format!("{preferences}/link")).await.status(),
        StatusCode::OK
    );
    test_app.deliver_confirmations().await;
    let data = link(
        &test_app.mails_to(READER).pop().expect("a mail"),
        "/account/",
    );
    (test_app, data)
}

/// Asks for a change of address; gives the status and the page.
async fn ask_to_move(test_app: &TestApp, data: &str, email: &str) -> (StatusCode, String) {
    let answer = test_app
        .post_form(&format!("{data}/address"), &[("email", email)])
        .await;
    (answer.status(), answer.text().await.expect("a page"))
}

/// Signs up from an address behind the trusted proxy.
async fn sign_up_from(test_app: &TestApp, client: &str, email: &str) -> StatusCode {
    let request = test_app
        .request(Method::POST, "/subscribe")
        .header("x-forwarded-for", client)
        .form(&[("email", email)]);
    request.send().await.expect("an answer").status()
}

fn trusts_loopback(settings: &mut Settings) {
    settings.site.trusted_proxies = vec!["127.0.0.0/8".parse().expect("a network")];
}

on_both! {
    async fn a_change_of_address_mails_one_stranger_once_an_hour_and_few_strangers_a_day(test_db) {
        let (test_app, data) = app_with_data_link(test_db, |settings| settings.signup.mails_per_day = 8).await;
        let first = ask_to_move(&test_app, &data, "stranger@other.example").await;
        assert_eq!(first.0, StatusCode::OK);
        for n in 0..3 {
            assert_eq!(ask_to_move(&test_app, &data, "Stranger@other.example").await, first, "{n}: the same answer");
        }
        assert_eq!(ask_to_move(&test_app, &data, "reader1@example.org").await, first, "nor does it tell who is here");
        test_app.deliver_confirmations().await;
        assert_eq!(test_app.mails_to("stranger@other.example").len(), 1);
        let mut statuses = Vec::new();
        for n in 0..6 {
            statuses.push(ask_to_move(&test_app, &data, &format!("stranger{n}@other.example")).await.0.as_u16());
        }
        assert_eq!(statuses, [200, 200, 200, 429, 429, 429], "one account mails no more than that in a day");
        test_app.sign_up("stranger@other.example").await;
        test_app.sign_up("stranger9@other.example").await;
        test_app.deliver_confirmations().await;
        assert_eq!(test_app.mails_to("stranger@other.example").len(), 1, "the quiet hour is one for all doors");
        assert_eq!(test_app.mails_to("stranger9@other.example").len(), 1);
    }

    async fn one_mailbox_gets_few_mails_a_day_however_it_is_spelled(test_db) {
        let test_app = TestApp::open_with(test_db, |settings| (settings.signup.mails_per_day, settings.signup.unanswered) = (3, 100)).await;
        let gmail = ["a.da@gmail.com", "ad.a@gmail.com", "ada+1@gmail.com", "ada+2@googlemail.com", "a.d.a+3@gmail.com"];
        let plus = ["ada@example.org", "ada+1@example.org", "ada+2@example.org", "Ada+3@Example.org", "\"ada+4\"@example.org"];
        for email in gmail.iter().chain(&plus) {
            assert_eq!(test_app.sign_up(email).await.status(), StatusCode::SEE_OTHER, "{email}: the same answer");
        }
        assert_eq!(test_app.waiting_confirmations().await, 6, "three to each mailbox");
        assert_eq!(test_app.known_people().await, 6, "nothing is kept of a sign-up that got no mail");
        test_app.deliver_confirmations().await;
        test_app.wait(TimeDelta::hours(25));
        test_app.sign_up("ada+5@example.org").await;
        assert_eq!(test_app.waiting_confirmations().await, 1, "a day later there is room again");
    }

    async fn mails_that_nobody_answers_stop_until_somebody_does(test_db) {
        let test_app = TestApp::open_with(test_db, |settings| (settings.signup.mails_per_day, settings.signup.unanswered) = (50, 3)).await;
        for _ in 0..6 {
            test_app.sign_up("ada@example.org").await;
            test_app.deliver_confirmations().await;
            test_app.wait(TimeDelta::hours(2));
        }
        assert_eq!(test_app.mails_to("ada@example.org").len(), 3);
        let confirm = link(&test_app.mails_to("ada@example.org").pop().expect("a mail"), "/confirm/");
        assert_eq!(test_app.post(&confirm).await.status(), StatusCode::OK);
        test_app.deliver_confirmations().await;
        let mails = test_app.mails_to("ada@example.org").len();
        test_app.post(&test_app.goodbye_link("ada@example.org")).await;
        test_app.wait(TimeDelta::hours(2));
        test_app.sign_up("ada@example.org").await;
        test_app.deliver_confirmations().await;
        assert_eq!(test_app.mails_to("ada@example.org").len(), mails + 1, "who answered is asked again");
        assert_eq!(test_app.state_of("ada@example.org").await, Some(SubscriberState::Unsubscribed));
    }

    async fn the_limits_are_one_for_all_processes(test_db) {
        let one = TestApp::open_with(test_db, |settings| settings.signup.per_client = 3).await;
        let other = TestApp::open_with(one.test_db.again(), |settings| settings.signup.per_client = 3).await;
        let mut statuses = Vec::new();
        for n in 0..3 {
            for test_app in [&one, &other] {
                statuses.push(test_app.sign_up(&format!("ada{n}@example.org")).await.status().as_u16());
            }
        }
        assert_eq!(statuses, [303, 303, 303, 429, 429, 429]);
        assert_eq!(one.waiting_confirmations().await, 2, "and the quiet hour too");
    }

    async fn one_site_is_one_client_however_many_networks_it_has(test_db) {
        let test_app = TestApp::open_with(test_db, |settings| {
            trusts_loopback(settings);
            (settings.signup.per_client, settings.signup.per_site) = (2, 5);
        })
        .await;
        let mut statuses = Vec::new();
        for n in 0..8 {
            statuses.push(sign_up_from(&test_app, &format!("2001:db8:7:{n}::1"), &format!("a{n}@example.org")).await.as_u16());
        }
        assert_eq!(statuses, [303, 303, 303, 303, 303, 429, 429, 429]);
        assert_eq!(sign_up_from(&test_app, "2001:db8:8::1", "b@example.org").await, StatusCode::SEE_OTHER);
        // Behind NAT64, 6to4 and as a mapped address one IPv4 client is one, and its neighbours are others.
        for (n, client) in ["64:ff9b::203.0.113.1", "2002:cb00:7101::9"].iter().enumerate() {
            assert_eq!(sign_up_from(&test_app, client, &format!("c{n}@example.org")).await, StatusCode::SEE_OTHER, "{client}");
        }
        assert_eq!(sign_up_from(&test_app, "203.0.113.1", "d@example.org").await, StatusCode::TOO_MANY_REQUESTS);
        for n in 2..12 {
            let client = format!("64:ff9b::203.0.113.{n}");
            assert_eq!(sign_up_from(&test_app, &client, &format!("e{n}@example.org")).await, StatusCode::SEE_OTHER, "{client}");
        }
    }

    async fn only_accepted_sign_ups_count_and_abuse_is_bounded_all_the_same(test_db) {
        let test_app = TestApp::open_with(test_db, |settings| settings.signup.per_client = 2).await;
        for _ in 0..4 {
            assert_eq!(test_app.sign_up("ada@nowhere").await.status(), StatusCode::UNPROCESSABLE_ENTITY);
            let foreign = test_app.request(Method::POST, "/subscribe").header("sec-fetch-site", "cross-site").form(&[("email", "ada@example.org")]);
            assert_eq!(foreign.send().await.expect("an answer").status(), StatusCode::FORBIDDEN);
            assert_eq!(test_app.post_json("/subscribe", &json!({ "email": 5 })).await.status(), StatusCode::UNPROCESSABLE_ENTITY);
        }
        assert_eq!(test_app.sign_up("ada@example.org").await.status(), StatusCode::SEE_OTHER);
        assert_eq!(test_app.sign_up("bob@example.org").await.status(), StatusCode::SEE_OTHER);
        assert_eq!(test_app.sign_up("eve@example.org").await.status(), StatusCode::TOO_MANY_REQUESTS);
        let mut last = StatusCode::OK;
        for _ in 0..10 {
            last = test_app.sign_up("ada@nowhere").await.status();
        }
        assert_eq!(last, StatusCode::TOO_MANY_REQUESTS, "ten attempts for each sign-up that is allowed");
    }

    async fn a_list_is_no_sign_up(test_db) {
        let test_app = TestApp::open(test_db).await;
        for list in [json!(["ada@example.org"]), json!(["ada@example.org", "Ada", "UTC", ""]), json!([{ "email": "ada@example.org" }])] {
            let answer = test_app.post_json("/subscribe", &list).await;
            assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY, "{list}");
            crate::limits::sentence_in_json(answer).await;
        }
        assert_eq!(test_app.known_people().await, 0);
    }

    async fn a_page_that_a_form_left_in_the_address_bar_can_be_loaded_again(test_db) {
        let (test_app, data) = app_with_data_link(test_db, |_| {}).await;
        let preferences = link(&test_app.mails_to("reader1@example.org").pop().expect("a digest"), "/preferences/");
        let path = |url: &str| url.strip_prefix(&test_app.url).unwrap_or(url).to_owned();
        let mut pages = vec![("/subscribe".to_owned(), "/#sign-up".to_owned())];
        pages.extend(["name", "address", "export"].map(|form| (format!("{data}/{form}"), path(&data))));
        pages.push((format!("{preferences}/link"), path(&preferences)));
        pages.extend(["vote", "save"].map(|button| (format!("/tools/t0-l/{button}"), "/tools/t0-l".to_owned())));
        let before = test_app.test_db.dump().await;
        for (asked, shown) in pages {
            let answer = test_app.get(&asked).await;
            let location = answer.headers().get("location").and_then(|value| value.to_str().ok()).map(path);
            assert_eq!((answer.status(), location), (StatusCode::SEE_OTHER, Some(shown.clone())), "{asked}");
            assert_eq!(test_app.get(shown.split('#').next().expect("a path")).await.status(), StatusCode::OK, "{shown}");
        }
        assert_eq!(test_app.get("/account/x/name").await.status(), StatusCode::NOT_FOUND);
        assert_eq!(test_app.test_db.dump().await, before, "looking changes nothing");
    }

    async fn counters_are_forgotten_when_their_time_is_over_and_name_nobody(test_db) {
        let test_app = TestApp::open(test_db).await;
        test_app.sign_up("ada@example.org").await;
        let rows = async || {
            let dump = test_app.test_db.dump().await;
            assert!(!dump.iter().any(|row| row.starts_with("mail_quotas") && (row.contains("ada") || row.contains("127.0.0"))));
            dump.iter().filter(|row| row.starts_with("mail_quotas")).count()
        };
        assert_eq!(rows().await, 4, "client, mailbox, quiet hour, unanswered");
        test_app.wait(TimeDelta::days(31));
        test_app.app.tick().await.expect("a tick");
        assert_eq!(rows().await, 0);
    }
}
