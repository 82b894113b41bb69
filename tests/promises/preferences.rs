//! What a reader wants to get, and what is known of them: the first behind the digest's link, the second behind a fresh one.

use crate::journey::link;
use crate::support::House;
use crate::support::Place;
use crate::support::on_both;
use chrono::TimeDelta;
use reqwest::StatusCode;
use verdicts::app::subscribing::list::ImportTerms;
use verdicts::domain::actor::Actor;
use verdicts::domain::subscriber::SubscriberState;

const ADA: &str = "reader0@example.org";

/// A house whose reader has got this week's digest, and the link to their preferences in it.
async fn house_with_a_reader(place: Place) -> (House, String) {
    let house = House::open(place).await;
    house.stock_small().await;
    house
        .enlist_all("email,name\nreader0@example.org,Ada Lovelace\n")
        .await;
    house.send_digest().await;
    let preferences = link(
        &house.mails_to(ADA).pop().expect("a digest"),
        "/preferences/",
    );
    (house, preferences)
}

/// Asks for the link to one's data; gives the one that came.
async fn account(house: &House, preferences: &str) -> String {
    house.wait(TimeDelta::minutes(11));
    let answer = house.post(&format!("{preferences}/link")).await;
    assert_eq!(answer.status(), StatusCode::OK);
    house.deliver_confirmations().await;
    link(&house.mails_to(ADA).pop().expect("a mail"), "/account/")
}

/// The newest mail to `email`, as text.
fn newest(house: &House, email: &str) -> String {
    let mail = house.mails_to(email).pop().expect("a mail");
    mail_parser::MessageParser::default()
        .parse(&mail)
        .expect("a mail")
        .body_text(0)
        .expect("text")
        .into_owned()
}

on_both! {
    async fn preferences_are_kept_and_shown_again(place) {
        let (house, preferences) = house_with_a_reader(place).await;
        let page = house.page(&preferences).await;
        assert!(page.contains("value=\"weekly\" checked") && !page.contains("name=\"category\" value=\"Design\" checked"), "{page}");
        let fields = [("category", "Design"), ("category", "Data"), ("category", "Nonsense"), ("rhythm", "monthly"), ("pause", "4")];
        let page = house.post_form(&preferences, &fields).await.text().await.expect("a page");
        for kept in ["value=\"Design\" checked", "value=\"Data\" checked", "value=\"monthly\" checked", "Nothing comes before", "role=\"status\""] {
            assert!(page.contains(kept), "{kept} in {page}");
        }
        assert!(!page.contains("value=\"Writing\" checked") && !page.contains("Nonsense"));
        let page = house.post_form(&preferences, &[("rhythm", "weekly"), ("pause", "0")]).await.text().await.expect("a page");
        assert!(!page.contains("value=\"Design\" checked") && page.contains("value=\"weekly\" checked") && !page.contains("Nothing comes before"));
    }

    async fn the_link_of_a_digest_shows_and_changes_nothing_of_the_person(place) {
        let (house, preferences) = house_with_a_reader(place).await;
        let token = preferences.rsplit_once('/').expect("a token").1;
        for path in ["/account/", "/move/"] {
            assert_eq!(house.get(&format!("{path}{token}")).await.status(), StatusCode::NOT_FOUND);
        }
        for path in ["export", "erase", "name", "address"] {
            let before = house.place.dump().await;
            let answer = house.post_form(&format!("/account/{token}/{path}"), &[("name", "Eve"), ("email", "eve@example.org")]).await;
            assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{path}");
            assert_eq!(house.place.dump().await, before, "{path}");
        }
        let digest = house.mails_to(ADA).pop().expect("a digest");
        let links = ["/vote/t0-l/ship/", "/save/t0-l/", "/preferences/", "/saved/", "/unsubscribe/"].map(|path| link(&digest, path));
        let asked = format!("{preferences}/link");
        for path in links.iter().chain([&asked]) {
            let mut shown = vec![house.get(path).await, house.post_form(path, &[("category", "Design"), ("remove", "t0-l")]).await];
            shown.push(house.get(path).await);
            for answer in shown {
                let headers = format!("{:?}", answer.headers());
                let said = (headers + &answer.text().await.expect("a page")).to_lowercase();
                assert!(!["lovelace", "reader0", "example.org"].iter().any(|personal| said.contains(personal)), "{path}: {said}");
            }
        }
    }

    async fn somebody_who_left_and_signs_up_again_still_gets_the_link_to_their_data(place) {
        let (house, preferences) = house_with_a_reader(place).await;
        house.post(&house.goodbye_link(ADA)).await;
        assert_eq!(house.post(&format!("{preferences}/link")).await.status(), StatusCode::OK);
        house.sign_up(ADA).await;
        house.deliver_confirmations().await;
        let mails = house.mails_to(ADA);
        let has = |path: &str| mails.iter().any(|mail| String::from_utf8_lossy(mail).contains(path));
        assert!(has("/account/") && has("/confirm/"), "{} mails", mails.len());
    }

    async fn a_fresh_link_goes_to_the_address_and_is_good_for_an_hour(place) {
        let (house, preferences) = house_with_a_reader(place).await;
        let data = account(&house, &preferences).await;
        let again = house.post(&format!("{preferences}/link")).await;
        assert_eq!(again.status(), StatusCode::OK, "the same answer");
        assert_eq!(house.waiting_confirmations().await, 0, "and no second mail within ten minutes");
        let before = house.place.dump().await;
        let page = house.page(&data).await;
        assert!(page.contains("Download my data") && page.contains("Erase me") && !page.contains("Lovelace"));
        assert_eq!(house.place.dump().await, before, "looking changes nothing");

        house.post_form(&format!("{data}/name"), &[("name", "Countess")]).await;
        let refused = house.post_form(&format!("{data}/name"), &[("name", &"x".repeat(101))]).await;
        assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY);
        assert!(refused.text().await.expect("a page").contains(&"x".repeat(101)), "what was typed stays");
        let export: serde_json::Value = house.post(&format!("{data}/export")).await.json().await.expect("JSON");
        assert_eq!((&export["email"], &export["name"], &export["state"]), (&ADA.into(), &"Countess".into(), &"active".into()));
        assert!(export["mails"].as_array().is_some_and(|mails| mails.len() == 2) && export["consents"].is_array(), "{export}");

        house.wait(TimeDelta::minutes(62));
        assert_eq!(house.get(&data).await.status(), StatusCode::GONE);
        for act in ["export", "erase"] {
            assert_eq!(house.post(&format!("{data}/{act}")).await.status(), StatusCode::GONE);
        }
        assert_eq!(house.state_of(ADA).await, Some(SubscriberState::Active));
    }

    async fn erasing_leaves_a_hash_and_nothing_else(place) {
        let (house, preferences) = house_with_a_reader(place).await;
        house.post(&link(&house.mails_to(ADA).pop().expect("a digest"), "/vote/t0-l/ship/")).await;
        house.post(&link(&house.mails_to(ADA).pop().expect("a digest"), "/save/t0-l/")).await;
        house.post_form(&preferences, &[("category", "Design")]).await;
        let data = account(&house, &preferences).await;
        let sure = [("sure", "yes")];
        assert_eq!(house.post_form(&format!("{data}/erase"), &sure).await.status(), StatusCode::OK);
        assert_eq!(house.post_form(&format!("{data}/erase"), &sure).await.status(), StatusCode::OK, "twice is once");
        assert_eq!(house.state_of(ADA).await, None);
        let left: Vec<String> = house.place.dump().await.into_iter().filter(|row| {
            ["votes:", "bookmarks:", "preferences:", "transactional_mails:", "email_changes:", "subscribers:", "history:", "consents:"].iter().any(|table| row.starts_with(table))
        }).collect();
        assert_eq!(left, Vec::<String>::new());
        assert!(!house.place.dump().await.iter().any(|row| row.contains("reader0@") || row.contains("Lovelace")));
    }

    async fn a_new_address_is_asked_and_the_old_one_told(place) {
        let (house, preferences) = house_with_a_reader(place).await;
        let data = account(&house, &preferences).await;
        let address = format!("{data}/address");
        let refused = house.post_form(&address, &[("email", "no address")]).await;
        assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY);
        assert!(refused.text().await.expect("a page").contains("value=\"no address\""));
        house.enlist("other", 1).await;
        let known = house.post_form(&address, &[("email", "other0@example.org")]).await.text().await.expect("a page");
        let fresh = house.post_form(&address, &[("email", "ada@new.example")]).await.text().await.expect("a page");
        assert_eq!(known, fresh, "nobody learns who is here");
        house.deliver_confirmations().await;
        assert!(house.mails_to("other0@example.org").is_empty());
        let confirm = link(&house.mails_to("ada@new.example").pop().expect("a mail"), "/move/");
        assert!(house.page(&confirm).await.contains("Use this address"));
        assert!(house.state_of("ada@new.example").await.is_none(), "looking changes nothing");
        assert_eq!(house.post(&confirm).await.status(), StatusCode::OK);
        assert_eq!(house.post(&confirm).await.status(), StatusCode::GONE);
        assert_eq!((house.state_of("ada@new.example").await, house.state_of(ADA).await), (Some(SubscriberState::Active), None));
        house.deliver_confirmations().await;
        assert!(newest(&house, ADA).contains("YOUR ADDRESS WAS CHANGED"), "{}", newest(&house, ADA));
    }

    async fn an_address_that_was_left_by_a_change_is_brought_back_by_no_list_and_goes_with_its_reader(place) {
        let (house, preferences) = house_with_a_reader(place).await;
        let data = account(&house, &preferences).await;
        house.post_form(&format!("{data}/address"), &[("email", "ada@new.example")]).await;
        house.deliver_confirmations().await;
        house.post(&link(&house.mails_to("ada@new.example").pop().expect("a mail"), "/move/")).await;
        let import = async |email: &str| {
            let terms = ImportTerms { consent: "an old list", confirmed: true, dry_run: false };
            let report = house.app.import_subscribers(&Actor::cli(), format!("email\n{email}\n").as_bytes(), terms, |_| {}).await.expect("imported");
            (report.added, report.known, report.suppressed)
        };
        for spelling in [ADA, "READER0@example.org", "\"\"\"reader0\"\"@example.org\""] {
            assert_eq!(import(spelling).await, (0, 1, 0), "{spelling}");
        }
        assert_eq!(house.state_of(ADA).await, None);
        assert!(house.post(&format!("{data}/export")).await.text().await.expect("a file").contains("reader0@example.org"));

        assert_eq!(house.post_form(&format!("{data}/erase"), &[("sure", "yes")]).await.status(), StatusCode::OK);
        let left: Vec<String> = house.place.dump().await.into_iter().filter(|row| row.contains("reader0@")).collect();
        assert_eq!(left, Vec::<String>::new(), "only keyed hashes are left");
        assert_eq!((import(ADA).await, import("ada@new.example").await), ((0, 0, 1), (0, 0, 1)));
        let waiting = house.waiting_confirmations().await;
        house.sign_up(ADA).await;
        assert_eq!((house.known_people().await, house.waiting_confirmations().await), (0, waiting));
    }

    async fn somebody_who_signs_up_at_an_address_that_another_left_stays_when_that_one_is_erased(place) {
        let (house, preferences) = house_with_a_reader(place).await;
        let data = account(&house, &preferences).await;
        house.post_form(&format!("{data}/address"), &[("email", "ada@new.example")]).await;
        house.deliver_confirmations().await;
        house.post(&link(&house.mails_to("ada@new.example").pop().expect("a mail"), "/move/")).await;
        house.wait(TimeDelta::hours(2));
        house.join(ADA).await;
        house.app.erase_subscriber(&Actor::cli(), &"ada@new.example".parse().expect("an address")).await.expect("erased");
        assert_eq!(house.state_of(ADA).await, Some(SubscriberState::Active));
        let hashes = house.place.dump().await.into_iter().filter(|row| row.starts_with("suppressions:")).count();
        assert_eq!(hashes, 1, "that of the new address alone");
    }
}
