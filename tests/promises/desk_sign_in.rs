//! Signing in to the desk: what is refused, how often one may try, and how long a session lasts.

use chrono::TimeDelta;
use reqwest::Method;
use reqwest::StatusCode;
use verdicts::app::users::accounts::AccountChange;
use verdicts::config::SecondFactor;
use verdicts::domain::actor::Actor;
use verdicts::domain::user::Role;

use crate::support::TestApp;
use crate::support::TestDb;
use crate::support::desk::Browser;
use crate::support::desk::PASSWORD;
use crate::support::desk::add;
use crate::support::desk::goal;
use crate::support::on_both;

/// A service whose desk asks for no code, with one owner.
async fn test_app(test_db: TestDb) -> TestApp {
    let test_app = TestApp::open_with(test_db, |settings| {
        settings.desk.second_factor = SecondFactor::Off
    })
    .await;
    add(&test_app, "owner@desk.example", Role::Owner).await;
    test_app
}

on_both! {
    async fn a_refused_sign_in_does_not_tell_who_is_a_user(test_db) {
        let test_app = test_app(test_db).await;
        add(&test_app, "gone@desk.example", Role::Writer).await;
        let gone = test_app.app.user_named(&"gone@desk.example".parse().expect("an address")).await.expect("a user");
        test_app.app.change_account(&Actor::cli(), &gone, AccountChange::Disable).await.expect("disabled");
        test_app.app.add_user(&Actor::cli(), &"invited@desk.example".parse().expect("an address"), None, Role::Writer, None).await.expect("invited");
        let long = "x".repeat(3000);
        let mut pages = Vec::new();
        for (email, password) in [
            ("owner@desk.example", "violet tram eats ledgers"),
            ("nobody@desk.example", PASSWORD),
            ("gone@desk.example", PASSWORD),
            ("invited@desk.example", PASSWORD),
            ("no address", PASSWORD),
            ("owner@desk.example", &long),
            ("", ""),
        ] {
            let answer = Browser::at(&test_app).sign_in(email, password).await;
            assert_eq!((answer.status(), answer.headers().get("set-cookie")), (StatusCode::UNPROCESSABLE_ENTITY, None), "{email}");
            let page = answer.text().await.expect("a page");
            assert!(!page.contains(PASSWORD));
            pages.push(page.replace(&format!("value=\"{email}\""), "value=\"\""));
        }
        assert!(pages.iter().all(|page| *page == pages[0]), "one answer to all");
    }

    async fn attempts_from_one_network_are_counted_over_processes(test_db) {
        let test_app = test_app(test_db).await;
        let other = TestApp::open_with(test_app.test_db.again(), |settings| settings.desk.second_factor = SecondFactor::Off).await;
        // One clock: each began when its process did.
        for test_app in [&other, &test_app] {
            test_app.set_clock("2026-11-24T08:00:00Z");
        }
        let mut answers = Vec::new();
        for n in 0..12 {
            let at = if n % 2 == 0 { &test_app } else { &other };
            answers.push(Browser::at(at).sign_in(&format!("nobody{n}@desk.example"), "wrong").await);
        }
        let statuses: Vec<_> = answers.iter().map(|answer| answer.status().as_u16()).collect();
        assert_eq!(statuses[..10], [422; 10]);
        assert_eq!(statuses[10..], [429; 2]);
        let wait: i64 = answers[11].headers()["retry-after"].to_str().expect("text").parse().expect("seconds");
        assert!((1..=21).contains(&wait), "{wait}");
        // The right password waits as well; after the time that was told there is one attempt more.
        let right = async || Browser::at(&test_app).sign_in("owner@desk.example", PASSWORD).await.status();
        assert_eq!(right().await, StatusCode::TOO_MANY_REQUESTS);
        test_app.wait(TimeDelta::seconds(wait));
        assert_eq!(right().await, StatusCode::SEE_OTHER);
        assert_eq!(right().await, StatusCode::TOO_MANY_REQUESTS);
    }

    async fn attempts_on_one_account_are_counted_wherever_they_come_from(test_db) {
        let test_app = TestApp::open_with(test_db, |settings| {
            settings.desk.second_factor = SecondFactor::Off;
            settings.site.trusted_proxies = vec!["127.0.0.1/32".parse().expect("a network")];
        }).await;
        add(&test_app, "owner@desk.example", Role::Owner).await;
        let from = async |n: usize, password: &str| {
            let fields = [("email", "owner@desk.example"), ("password", password)];
            let request = test_app.request(Method::POST, "/desk/sign-in").header("x-forwarded-for", format!("198.51.100.{n}"));
            request.form(&fields).send().await.expect("an answer").status().as_u16()
        };
        let tries = futures_util::future::join_all((0..25).map(|n| from(n, "wrong"))).await;
        assert_eq!(tries.iter().filter(|status| **status == 422).count(), 20, "{tries:?}");
        assert_eq!(tries.iter().filter(|status| **status == 429).count(), 5);
        test_app.wait(TimeDelta::seconds(61));
        assert_eq!(from(30, PASSWORD).await, 303);
        let again = futures_util::future::join_all((40..50).map(|n| from(n, "wrong"))).await;
        assert_eq!(again, [422; 10], "whoever came in has all attempts again");
    }

    async fn a_session_ends_unused_after_two_weeks_and_in_any_case_after_ninety_days(test_db) {
        let test_app = test_app(test_db).await;
        let browser = Browser::at(&test_app);
        browser.sign_in("owner@desk.example", PASSWORD).await;
        let is_in = async || browser.get("/desk/account").await.status() == StatusCode::OK;
        for _ in 0..6 {
            test_app.wait(TimeDelta::days(13));
            assert!(is_in().await);
        }
        test_app.wait(TimeDelta::days(11));
        assert!(is_in().await, "89 days");
        test_app.wait(TimeDelta::days(2));
        assert!(!is_in().await, "91 days");
        browser.sign_in("owner@desk.example", PASSWORD).await;
        assert!(is_in().await);
        test_app.wait(TimeDelta::days(15));
        assert_eq!(goal(&browser.get("/desk/account").await), "/desk/sign-in?next=%2Fdesk%2Faccount");
        test_app.app.tick().await.expect("a tick");
        let dump = test_app.test_db.dump().await;
        assert!(!dump.iter().any(|row| row.starts_with("sessions:")), "{dump:?}");
    }

    async fn a_sign_in_leads_back_to_the_page_that_was_asked_for(test_db) {
        let test_app = test_app(test_db).await;
        for (next, expected) in [("/desk/users", "/desk/users"), ("https://evil.example/", "/desk"), ("//evil.example", "/desk"), ("/desk\\x", "/desk")] {
            let fields = [("email", "owner@desk.example"), ("password", PASSWORD), ("next", next)];
            let answer = Browser::at(&test_app).post("/desk/sign-in", &fields).await;
            assert_eq!(goal(&answer), expected, "{next}");
        }
    }

    async fn every_sign_in_has_a_token_of_its_own_and_a_password_change_ends_the_others(test_db) {
        let test_app = test_app(test_db).await;
        let (one, other) = (Browser::at(&test_app), Browser::at(&test_app));
        for browser in [&one, &other] {
            browser.sign_in("owner@desk.example", PASSWORD).await;
        }
        let (before, token) = (one.token().expect("a cookie"), other.token().expect("a cookie"));
        assert!(before != token && before.len() == 43);
        let wrong = one.post("/desk/account/password", &[("old", "wrong"), ("new", "seven green boats at noon")]).await;
        assert_eq!(wrong.status(), StatusCode::UNPROCESSABLE_ENTITY);
        let weak = one.post("/desk/account/password", &[("old", PASSWORD), ("new", "owner@desk.example")]).await;
        assert_eq!(weak.status(), StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(other.get("/desk/account").await.status(), StatusCode::OK, "nothing was changed");
        let page = one.press("/desk/account/password", &[("old", PASSWORD), ("new", "seven green boats at noon")]).await;
        assert!(page.contains("Your account"));
        assert!(one.token() != Some(before));
        assert_eq!(other.get("/desk/account").await.status(), StatusCode::SEE_OTHER);
        assert_eq!(Browser::at(&test_app).sign_in("owner@desk.example", PASSWORD).await.status(), StatusCode::UNPROCESSABLE_ENTITY);
    }

    async fn sessions_are_listed_and_can_be_ended(test_db) {
        let test_app = test_app(test_db).await;
        let (one, other, third) = (Browser::at(&test_app), Browser::at(&test_app), Browser::at(&test_app));
        for browser in [&one, &other, &third] {
            browser.sign_in("owner@desk.example", PASSWORD).await;
        }
        let page = one.page("/desk/account").await;
        assert!(page.contains("127.0.0.0/24") && page.contains("this one"), "{page}");
        let names: Vec<&str> = page.split("name=\"session\" value=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        assert_eq!(names.len(), 3, "two others, and all others: {names:?}");
        let said = one.press("/desk/account/sessions/end", &[("session", names[0])]).await;
        assert!(said.contains("That session is over."));
        assert!(!one.page("/desk/account").await.contains("That session is over."), "said once");
        let statuses = [other.get("/desk/account").await.status(), third.get("/desk/account").await.status()];
        assert_eq!(statuses.iter().filter(|status| **status == StatusCode::OK).count(), 1, "{statuses:?}");
        one.press("/desk/account/sessions/end", &[("session", "others")]).await;
        for browser in [&other, &third] {
            assert_eq!(browser.get("/desk/account").await.status(), StatusCode::SEE_OTHER);
        }
        let token = one.token().expect("a cookie");
        assert_eq!(goal(&one.post("/desk/sign-out", &[]).await), "/desk/sign-in");
        assert_eq!(one.token(), None, "the browser forgets its cookie");
        let kept = test_app.request(Method::GET, "/desk/account").header("cookie", format!("desk={token}")).send().await.expect("an answer");
        assert_eq!(kept.status(), StatusCode::SEE_OTHER, "and the cookie is worth nothing");
    }

    async fn a_form_of_another_site_does_nothing(test_db) {
        let test_app = test_app(test_db).await;
        let browser = Browser::at(&test_app);
        browser.sign_in("owner@desk.example", PASSWORD).await;
        let cookie = format!("desk={}", browser.token().expect("a cookie"));
        let fields = [("email", "eve@desk.example"), ("name", "Eve"), ("role", "owner")];
        for headers in [
            vec![("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")],
            vec![("sec-fetch-site", "same-site")],
            vec![("origin", "https://evil.example")],
            vec![("origin", "null")],
        ] {
            let request = test_app.request(Method::POST, "/desk/users").header("cookie", &cookie).form(&fields);
            let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
            let answer = request.send().await.expect("an answer");
            assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{headers:?}");
            assert!(answer.text().await.expect("a page").contains("nothing was done"));
        }
        assert_eq!(test_app.app.storage.users().await.expect("users").len(), 1);
        // A proxy that asks by another name, from the address that the settings name.
        let request = test_app.request(Method::POST, "/desk/users").header("cookie", &cookie).header("host", "inner.example");
        let answer = request.header("origin", &test_app.url).form(&fields).send().await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::OK);
    }

    async fn every_page_of_the_desk_is_kept_by_nobody_and_has_no_style_inline(test_db) {
        let test_app = test_app(test_db).await;
        let browser = Browser::at(&test_app);
        let answers = [browser.get("/desk/sign-in").await, browser.sign_in("owner@desk.example", PASSWORD).await, browser.get("/desk/users").await, browser.get("/desk/account").await];
        for answer in answers {
            let header = |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
            assert_eq!((header("cache-control").as_str(), header("referrer-policy").as_str()), ("no-store", "same-origin"));
            let policy = header("content-security-policy");
            assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"), "{policy}");
            assert!(!answer.text().await.expect("a page").contains("style="));
        }
        let token = browser.token();
        let reload = browser.get("/desk/sign-in").await;
        assert_eq!((goal(&reload).as_str(), browser.token()), ("/desk", token));
    }

    async fn by_https_the_cookie_is_of_this_host_alone(test_db) {
        let test_app = TestApp::open_with(test_db, |settings| {
            settings.desk.second_factor = SecondFactor::Off;
            settings.desk.base_url = Some("https://desk.example".parse().expect("an address"));
        }).await;
        add(&test_app, "owner@desk.example", Role::Owner).await;
        let fields = [("email", "owner@desk.example"), ("password", PASSWORD)];
        let answer = test_app.request(Method::POST, "/desk/sign-in").header("origin", "https://desk.example").form(&fields).send().await.expect("an answer");
        let cookie = answer.headers()["set-cookie"].to_str().expect("text").to_owned();
        assert!(cookie.starts_with("__Host-desk="), "{cookie}");
        for part in ["Secure", "HttpOnly", "SameSite=Lax", "Path=/"] {
            assert!(cookie.contains(part), "{part} in {cookie}");
        }
        assert!(!cookie.contains("Domain"), "{cookie}");
    }

    async fn other_networks_find_no_desk(test_db) {
        let test_app = TestApp::open_with(test_db, |settings| {
            settings.desk.networks = vec!["192.0.2.0/24".parse().expect("a network")];
            settings.site.trusted_proxies = vec!["127.0.0.1/32".parse().expect("a network")];
        }).await;
        add(&test_app, "owner@desk.example", Role::Owner).await;
        let from = async |client: &str| test_app.request(Method::GET, "/desk/sign-in").header("x-forwarded-for", client).send().await.expect("an answer").status();
        assert_eq!((from("192.0.2.7").await, from("198.51.100.7").await), (StatusCode::OK, StatusCode::NOT_FOUND));
        assert_eq!(test_app.get("/desk/sign-in").await.status(), StatusCode::NOT_FOUND);
    }
}
