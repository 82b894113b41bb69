//! What a reader wants to get, and what is known of them: the first behind the digest's link, the second behind a fresh one.

use crate::journey::link;
use crate::support::TestApp;
use crate::support::TestDb;
use crate::support::on_both;
use chrono::TimeDelta;
use reqwest::StatusCode;
use verdicts::app::subscribing::list::ImportTerms;
use verdicts::domain::actor::Actor;
use verdicts::domain::subscriber::SubscriberState;

const ADA: &str = "reader0@example.org";

/// A service whose reader has got this week's digest, and the link to their preferences in it.
async fn app_with_a_reader(test_db: TestDb) -> (TestApp, String) {
    let test_app = TestApp::open(test_db).await;
    test_app.stock_small().await;
    test_app
        .enlist_all("email,name\nreader0@example.org,Ada Lovelace\n")
        .await;
    test_app.send_digest().await;
    let preferences = link(
        &test_app.mails_to(ADA).pop().expect("a digest"),
        "/preferences/",
    );
    (test_app, preferences)
}

/// Asks for the link to one's data; gives the one that came.
async fn account(test_app: &TestApp, preferences: &str) -> String {
    test_app.wait(TimeDelta::minutes(11));
    let answer = test_app.post(&format!("{preferences}/link")).await;
    assert_eq!(answer.status(), StatusCode::OK);
    test_app.deliver_confirmations().await;
    link(&test_app.mails_to(ADA).pop().expect("a mail"), "/account/")
}

/// The newest mail to `email`, as text.
fn newest(test_app: &TestApp, email: &str) -> String {
    let mail = test_app.mails_to(email).pop().expect("a mail");
    mail_parser::MessageParser::default()
        .parse(&mail)
        .expect("a mail")
        .body_text(0)
        .expect("text")
        .into_owned()
}

on_both! {
    async fn preferences_are_kept_and_shown_again(test_db) {
        let (test_app, preferences) = app_with_a_reader(test_db).await;
        let page = test_app.page(&preferences).await;
        assert!(page.contains("value=\"weekly\" checked") && !page.contains("name=\"category\" value=\"Design\" checked"), "{page}");
        let fields = [("category", "Design"), ("category", "Data"), ("category", "Nonsense"), ("rhythm", "monthly"), ("pause", "4")];
        let page = test_app.post_form(&preferences, &fields).await.text().await.expect("a page");
        for kept in ["value=\"Design\" checked", "value=\"Data\" checked", "value=\"monthly\" checked", "Nothing comes before", "role=\"status\""] {
            assert!(page.contains(kept), "{kept} in {page}");
        }
        assert!(!page.contains("value=\"Writing\" checked") && !page.contains("Nonsense"));
        let page = test_app.post_form(&preferences, &[("rhythm", "weekly"), ("pause", "0")]).await.text().await.expect("a page");
        assert!(!page.contains("value=\"Design\" checked") && page.contains("value=\"weekly\" checked") && !page.contains("Nothing comes before"));
    }

    async fn the_link_of_a_digest_shows_and_changes_nothing_of_the_person(test_db) {
        let (test_app, preferences) = app_with_a_reader(test_db).await;
        let token = preferences.rsplit_once('/').expect("a token").1;
        for path in ["/account/", "/move/"] {
            assert_eq!(test_app.get(&format!("{path}{token}")).await.status(), StatusCode::NOT_FOUND);
        }
        for path in ["export", "erase", "name", "address"] {
            let before = test_app.test_db.dump().await;
            let answer = test_app.post_form(&format!("/account/{token}/{path}"), &[("name", "Eve"), ("email", "eve@example.org")]).await;
            assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{path}");
            assert_eq!(test_app.test_db.dump().await, before, "{path}");
        }
        let digest = test_app.mails_to(ADA).pop().expect("a digest");
        let links = ["/vote/t0-l/ship/", "/save/t0-l/", "/preferences/", "/saved/", "/unsubscribe/", "/choose/t0-l-vs-t0-r/", "/monthly/"].map(|path| link(&digest, path));
        let asked = format!("{preferences}/link");
        for path in links.iter().chain([&asked]) {
            let mut shown = vec![test_app.get(path).await, test_app.post_form(path, &[("category", "Design"), ("remove", "t0-l")]).await];
            shown.push(test_app.get(path).await);
            for answer in shown {
                let headers = format!("{:?}", answer.headers());
                let said = (headers + &answer.text().await.expect("a page")).to_lowercase();
                assert!(!["lovelace", "reader0", "example.org"].iter().any(|personal| said.contains(personal)), "{path}: {said}");
            }
        }
    }

    async fn somebody_who_left_and_signs_up_again_still_gets_the_link_to_their_data(test_db) {
        let (test_app, preferences) = app_with_a_reader(test_db).await;
        test_app.post(&test_app.goodbye_link(ADA)).await;
        assert_eq!(test_app.post(&format!("{preferences}/link")).await.status(), StatusCode::OK);
        test_app.sign_up(ADA).await;
        test_app.deliver_confirmations().await;
        let mails = test_app.mails_to(ADA);
        let has = |path: &str| mails.iter().any(|mail| String::from_utf8_lossy(mail).contains(path));
        assert!(has("/account/") && has("/confirm/"), "{} mails", mails.len());
    }

    async fn a_fresh_link_goes_to_the_address_and_is_good_for_an_hour(test_db) {
        let (test_app, preferences) = app_with_a_reader(test_db).await;
        let data = account(&test_app, &preferences).await;
        let again = test_app.post(&format!("{preferences}/link")).await;
        assert_eq!(again.status(), StatusCode::OK, "the same answer");
        assert_eq!(test_app.waiting_confirmations().await, 0, "and no second mail within ten minutes");
        let before = test_app.test_db.dump().await;
        let page = test_app.page(&data).await;
        assert!(page.contains("Download my data") && page.contains("Erase me") && !page.contains("Lovelace"));
        assert_eq!(test_app.test_db.dump().await, before, "looking changes nothing");

        test_app.post_form(&format!("{data}/name"), &[("name", "Countess")]).await;
        let refused = test_app.post_form(&format!("{data}/name"), &[("name", &"x".repeat(101))]).await;
        assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY);
        assert!(refused.text().await.expect("a page").contains(&"x".repeat(101)), "what was typed stays");
        let export: serde_json::Value = test_app.post(&format!("{data}/export")).await.json().await.expect("JSON");
        assert_eq!((&export["email"], &export["name"], &export["state"]), (&ADA.into(), &"Countess".into(), &"active".into()));
        assert!(export["mails"].as_array().is_some_and(|mails| mails.len() == 2) && export["consents"].is_array(), "{export}");

        test_app.wait(TimeDelta::minutes(62));
        assert_eq!(test_app.get(&data).await.status(), StatusCode::GONE);
        for act in ["export", "erase"] {
            assert_eq!(test_app.post(&format!("{data}/{act}")).await.status(), StatusCode::GONE);
        }
        assert_eq!(test_app.state_of(ADA).await, Some(SubscriberState::Active));
    }

    async fn erasing_leaves_a_hash_and_nothing_else(test_db) {
        let (test_app, preferences) = app_with_a_reader(test_db).await;
        test_app.post(&link(&test_app.mails_to(ADA).pop().expect("a digest"), "/vote/t0-l/ship/")).await;
        test_app.post(&link(&test_app.mails_to(ADA).pop().expect("a digest"), "/save/t0-l/")).await;
        test_app.post_form(&preferences, &[("category", "Design")]).await;
        let data = account(&test_app, &preferences).await;
        let sure = [("sure", "yes")];
        assert_eq!(test_app.post_form(&format!("{data}/erase"), &sure).await.status(), StatusCode::OK);
        assert_eq!(test_app.post_form(&format!("{data}/erase"), &sure).await.status(), StatusCode::OK, "twice is once");
        assert_eq!(test_app.state_of(ADA).await, None);
        let left: Vec<String> = test_app.test_db.dump().await.into_iter().filter(|row| {
            ["votes:", "bookmarks:", "preferences:", "transactional_mails:", "email_changes:", "subscribers:", "history:", "consents:"].iter().any(|table| row.starts_with(table))
        }).collect();
        assert_eq!(left, Vec::<String>::new());
        assert!(!test_app.test_db.dump().await.iter().any(|row| row.contains("reader0@") || row.contains("Lovelace")));
    }

    async fn a_new_address_is_asked_and_the_old_one_told(test_db) {
        let (test_app, preferences) = app_with_a_reader(test_db).await;
        let data = account(&test_app, &preferences).await;
        let address = format!("{data}/address");
        let refused = test_app.post_form(&address, &[("email", "no address")]).await;
        assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY);
        assert!(refused.text().await.expect("a page").contains("value=\"no address\""));
        test_app.seed_subscribers("other", 1).await;
        let known = test_app.post_form(&address, &[("email", "other0@example.org")]).await.text().await.expect("a page");
        let fresh = test_app.post_form(&address, &[("email", "ada@new.example")]).await.text().await.expect("a page");
        assert_eq!(known, fresh, "nobody learns who is here");
        test_app.deliver_confirmations().await;
        assert!(test_app.mails_to("other0@example.org").is_empty());
        let confirm = link(&test_app.mails_to("ada@new.example").pop().expect("a mail"), "/move/");
        assert!(test_app.page(&confirm).await.contains("Use this address"));
        assert!(test_app.state_of("ada@new.example").await.is_none(), "looking changes nothing");
        assert_eq!(test_app.post(&confirm).await.status(), StatusCode::OK);
        assert_eq!(test_app.post(&confirm).await.status(), StatusCode::GONE);
        assert_eq!((test_app.state_of("ada@new.example").await, test_app.state_of(ADA).await), (Some(SubscriberState::Active), None));
        test_app.deliver_confirmations().await;
        assert!(newest(&test_app, ADA).contains("YOUR ADDRESS WAS CHANGED"), "{}", newest(&test_app, ADA));
    }

    async fn an_address_that_was_left_by_a_change_is_brought_back_by_no_list_and_goes_with_its_reader(test_db) {
        let (test_app, preferences) = app_with_a_reader(test_db).await;
        let data = account(&test_app, &preferences).await;
        test_app.post_form(&format!("{data}/address"), &[("email", "ada@new.example")]).await;
        test_app.deliver_confirmations().await;
        test_app.post(&link(&test_app.mails_to("ada@new.example").pop().expect("a mail"), "/move/")).await;
        let import = async |email: &str| {
            let terms = ImportTerms { consent: "an old list", confirmed: true, dry_run: false };
            let report = test_app.app.import_subscribers(&Actor::cli(), format!("email\n{email}\n").as_bytes(), terms, |_| {}).await.expect("imported");
            (report.added, report.known, report.suppressed)
        };
        for spelling in [ADA, "READER0@example.org", "\"\"\"reader0\"\"@example.org\""] {
            assert_eq!(import(spelling).await, (0, 1, 0), "{spelling}");
        }
        assert_eq!(test_app.state_of(ADA).await, None);
        assert!(test_app.post(&format!("{data}/export")).await.text().await.expect("a file").contains("reader0@example.org"));

        assert_eq!(test_app.post_form(&format!("{data}/erase"), &[("sure", "yes")]).await.status(), StatusCode::OK);
        let left: Vec<String> = test_app.test_db.dump().await.into_iter().filter(|row| row.contains("reader0@")).collect();
        assert_eq!(left, Vec::<String>::new(), "only keyed hashes are left");
        assert_eq!((import(ADA).await, import("ada@new.example").await), ((0, 0, 1), (0, 0, 1)));
        let waiting = test_app.waiting_confirmations().await;
        test_app.sign_up(ADA).await;
        assert_eq!((test_app.known_people().await, test_app.waiting_confirmations().await), (0, waiting));
    }

    async fn somebody_who_signs_up_at_an_address_that_another_left_stays_when_that_one_is_erased(test_db) {
        let (test_app, preferences) = app_with_a_reader(test_db).await;
        let data = account(&test_app, &preferences).await;
        test_app.post_form(&format!("{data}/address"), &[("email", "ada@new.example")]).await;
        test_app.deliver_confirmations().await;
        test_app.post(&link(&test_app.mails_to("ada@new.example").pop().expect("a mail"), "/move/")).await;
        test_app.wait(TimeDelta::hours(2));
        test_app.join(ADA).await;
        test_app.app.erase_subscriber(&Actor::cli(), &"ada@new.example".parse().expect("an address")).await.expect("erased");
        assert_eq!(test_app.state_of(ADA).await, Some(SubscriberState::Active));
        let hashes = test_app.test_db.dump().await.into_iter().filter(|row| row.starts_with("suppressions:")).count();
        assert_eq!(hashes, 1, "that of the new address alone");
    }
}
