//! Leaving: by the link, by the button of a mail program, with scanners in between.

use crate::journey::link;
use crate::support::TestApp;
use crate::support::TestDb;
use crate::support::catalogue;
use crate::support::on_both;
use chrono::TimeDelta;
use reqwest::Method;
use reqwest::Response;
use reqwest::StatusCode;
use verdicts::domain::actor::Actor;
use verdicts::domain::subscriber::SubscriberState;

/// A service whose readers `reader0@example.org`, ... have got this week's digest.
async fn app_with_readers(test_db: TestDb, count: usize) -> TestApp {
    let test_app = TestApp::open(test_db).await;
    test_app.stock_small().await;
    test_app.seed_subscribers("reader", count).await;
    test_app.send_digest().await;
    test_app
}

/// The address in the mail's `List-Unsubscribe`, as a mail program takes it from there.
fn one_click(test_app: &TestApp, reader: &str) -> String {
    let mail = test_app.mails_to(reader).pop().expect("a digest");
    let mail = mail_parser::MessageParser::default()
        .parse(&mail)
        .expect("a mail");
    let header = |name| {
        mail.header_raw(name)
            .unwrap_or_else(|| panic!("no {name}"))
            .replace("\r\n", "")
            .trim()
            .to_owned()
    };
    assert_eq!(
        header("List-Unsubscribe-Post"),
        "List-Unsubscribe=One-Click"
    );
    header("List-Unsubscribe")
        .trim_matches(['<', '>'])
        .to_owned()
}

fn assert_one_click(answer: &Response) {
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(
        !answer.headers().contains_key("location") && !answer.headers().contains_key("set-cookie")
    );
}

/// The same link with another token.
fn with_token(link: &str, change: impl FnOnce(&str) -> String) -> String {
    let (path, token) = link.rsplit_once('/').expect("a token");
    format!("{path}/{}", change(token))
}

on_both! {
    async fn beside_the_button_stands_a_way_to_less_mail_that_works(test_db) {
        let test_app = app_with_readers(test_db, 1).await;
        let link = one_click(&test_app, "reader0@example.org");
        let path = link.strip_prefix(&test_app.app.site.base_url).expect("a link of ours").to_owned();
        let page = test_app.page(&path).await;
        let (_, rest) = page.split_once("href=\"/preferences/").expect("a link to the preferences");
        let (token, _) = rest.split_once('"').expect("its end");
        let preferences = test_app.page(&format!("/preferences/{token}")).await;
        assert!(preferences.contains(&format!("href=\"{path}\"")), "and back from there");
        assert_eq!(test_app.state_of("reader0@example.org").await, Some(SubscriberState::Active));
        assert_eq!(test_app.post(&path).await.status(), StatusCode::OK, "the first press unsubscribes");
        assert_eq!(test_app.state_of("reader0@example.org").await, Some(SubscriberState::Unsubscribed));
    }

    async fn a_reason_is_kept_of_who_left_and_of_nobody_else(test_db) {
        let test_app = app_with_readers(test_db, 2).await;
        let path_of = |reader: &str| one_click(&test_app, reader).strip_prefix(&test_app.app.site.base_url).expect("a link of ours").to_owned();
        let (left, stays) = (path_of("reader0@example.org"), path_of("reader1@example.org"));
        let goodbye = test_app.post(&left).await.text().await.expect("a page");
        for reason in ["too_often", "not_useful", "never_signed_up", "other"] {
            assert!(goodbye.contains(&format!("value=\"{reason}\"")), "{reason}");
        }
        let give = async |path: &str, reason: &str| test_app.post_form(&format!("{path}/reason"), &[("reason", reason)]).await;
        assert_eq!(give(&left, "too_often").await.status(), StatusCode::OK);
        assert_eq!(give(&left, "other").await.status(), StatusCode::OK, "the last one counts");
        assert_eq!(give(&left, "because").await.status(), StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(give(&stays, "too_often").await.status(), StatusCode::OK, "the answer tells nobody's state");
        assert_eq!(give("/unsubscribe/forged", "too_often").await.status(), StatusCode::NOT_FOUND);
        let dump = test_app.test_db.dump().await;
        let kept: Vec<&String> = dump.iter().filter(|row| row.starts_with("unsubscribe_reasons")).collect();
        assert!(kept.len() == 1 && kept[0].contains("other"), "{kept:?}");
        assert_eq!(test_app.state_of("reader1@example.org").await, Some(SubscriberState::Active));
        let looked = test_app.get(&format!("{stays}/reason")).await;
        assert_eq!((looked.status(), looked.headers()["location"].to_str().expect("text")), (StatusCode::SEE_OTHER, &*stays), "a reload of the answer's address leads back to the button");
        assert_eq!(test_app.state_of("reader1@example.org").await, Some(SubscriberState::Active));
    }

    async fn one_click_leaves_whatever_the_encoding_of_its_body(test_db) {
        let test_app = app_with_readers(test_db, 5).await;
        let click = |reader| test_app.request(Method::POST, &one_click(&test_app, reader));
        let multipart = reqwest::multipart::Form::new().text("List-Unsubscribe", "One-Click");
        let garbage = click("reader3@example.org").header("content-type", "application/json").body(b"\xff{".to_vec());
        for request in [
            click("reader0@example.org").form(&[("List-Unsubscribe", "One-Click")]),
            click("reader1@example.org").multipart(multipart),
            click("reader2@example.org"),
            garbage,
        ] {
            assert_one_click(&request.send().await.expect("an answer"));
        }
        for n in 0..4 {
            assert_eq!(test_app.state_of(&format!("reader{n}@example.org")).await, Some(SubscriberState::Unsubscribed), "reader {n}");
        }
        assert_eq!(test_app.state_of("reader4@example.org").await, Some(SubscriberState::Active), "who did not click stays");
    }

    async fn leaving_twice_with_scanners_in_between_is_leaving_once(test_db) {
        let test_app = app_with_readers(test_db, 1).await;
        let link = one_click(&test_app, "reader0@example.org");
        assert_one_click(&test_app.post(&link).await);
        let left = test_app.record_of("reader0@example.org").await;
        assert!(left.contains("state: Unsubscribed"), "{left}");
        for method in [Method::HEAD, Method::POST, Method::GET, Method::OPTIONS, Method::HEAD, Method::POST] {
            test_app.wait(TimeDelta::minutes(1));
            let answer = test_app.request(method.clone(), &link).send().await.expect("an answer");
            assert!(method == Method::OPTIONS || answer.status() == StatusCode::OK, "{method}");
        }
        assert_eq!(test_app.record_of("reader0@example.org").await, left);
    }

    async fn the_link_of_somebody_erased_still_answers_and_writes_nobody_down(test_db) {
        let test_app = app_with_readers(test_db, 1).await;
        let link = one_click(&test_app, "reader0@example.org");
        test_app.app.erase_subscriber(&Actor::cli(), &"reader0@example.org".parse().expect("an address")).await.expect("erased");
        assert_one_click(&test_app.post(&link).await);
        assert_eq!(test_app.known_people().await, 0);
    }

    async fn who_left_gets_no_further_digest(test_db) {
        let test_app = app_with_readers(test_db, 2).await;
        test_app.post(&test_app.goodbye_link("reader0@example.org")).await;
        test_app.wait(TimeDelta::days(7));
        test_app.seed_catalogue(&catalogue::comparison("next", "Design", test_app.app.now() - TimeDelta::hours(1))).await;
        test_app.send_digest().await;
        let mails = |reader| test_app.mails_to(reader).len();
        assert_eq!((mails("reader0@example.org"), mails("reader1@example.org")), (1, 2));
    }

    async fn who_left_as_the_digest_was_queued_does_not_get_it(test_db) {
        let test_app = app_with_readers(test_db, 2).await;
        test_app.set_clock("2026-12-01T08:30:00Z");
        test_app.seed_catalogue(&catalogue::comparison("next", "Design", test_app.app.now() - TimeDelta::hours(1))).await;
        test_app.app.tick().await.expect("a tick picks");
        test_app.wait(TimeDelta::hours(1));
        test_app.app.tick().await.expect("a tick publishes");
        test_app.post(&test_app.goodbye_link("reader0@example.org")).await;
        let tally = async || test_app.app.storage.tally(test_app.slot().id()).await.expect("a tally");
        assert_eq!(tally().await.queued, 2, "both deliveries wait");
        test_app.send_digest().await;
        assert_eq!((test_app.mails_to("reader0@example.org").len(), test_app.mails_to("reader1@example.org").len()), (1, 2));
    }

    async fn a_token_that_is_not_ours_is_not_found_and_does_nothing(test_db) {
        let test_app = app_with_readers(test_db, 1).await;
        let confirm = test_app.ask_to_join("ada@example.org").await;
        let leave = one_click(&test_app, "reader0@example.org");
        let records = async || (test_app.record_of("ada@example.org").await, test_app.record_of("reader0@example.org").await);
        let before = records().await;
        let swapped = [confirm.replace("/confirm/", "/unsubscribe/"), leave.replace("/unsubscribe/", "/confirm/")];
        let forged = [&confirm, &leave].into_iter().flat_map(|link| {
            let other = |c: char| if c == 'A' { 'B' } else { 'A' };
            [
                with_token(link, |token| token[..token.len() - 1].to_owned()),
                with_token(link, |token| token[1..].to_owned()),
                with_token(link, |token| format!("{token}A")),
                with_token(link, |token| format!("{token}=")),
                with_token(link, |token| format!("{}{}", &token[..38], other(token.chars().last().expect("a letter")))),
                with_token(link, |token| format!("{}{}{}", &token[..5], other(token.chars().nth(5).expect("a letter")), &token[6..])),
                with_token(link, |_| "x".into()),
                with_token(link, |_| "%00%2e%2e%2f".into()),
            ]
        });
        for link in forged.chain(swapped) {
            for method in [Method::GET, Method::POST] {
                let answer = test_app.request(method.clone(), &link).send().await.expect("an answer");
                assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{method} {link}");
                assert!(answer.text().await.expect("a page").contains("This link does not work"));
            }
        }
        assert_eq!(records().await, before);
        assert!(before.0.contains("state: Pending") && before.1.contains("state: Active"), "{before:?}");
    }

    async fn a_page_behind_a_token_is_kept_by_no_cache_and_tells_no_other_site(test_db) {
        let test_app = app_with_readers(test_db, 1).await;
        let confirm = test_app.ask_to_join("ada@example.org").await;
        let leave = link(&test_app.mails_to("reader0@example.org")[0], "/unsubscribe/");
        let bad = |link: &str| with_token(link, |_| "x".into());
        let not_utf8 = |link: &str| with_token(link, |_| "%FF".into());
        for link in [bad(&confirm), bad(&leave), not_utf8(&confirm), not_utf8(&leave), confirm, leave] {
            for method in [Method::GET, Method::HEAD, Method::OPTIONS, Method::POST, Method::POST] {
                let answer = test_app.request(method.clone(), &link).send().await.expect("an answer");
                let header = |name| answer.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
                assert_eq!((header("referrer-policy"), header("cache-control")), ("no-referrer", "no-store"), "{method} {link}");
            }
        }
    }
}
