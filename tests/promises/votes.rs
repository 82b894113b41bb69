//! Votes and saved tools: from a digest, from a page, by readers and by visitors, and what they do to a ranking.

use crate::journey::link;
use crate::support::TestApp;
use crate::support::TestDb;
use crate::support::catalogue;
use crate::support::on_both;
use chrono::TimeDelta;
use reqwest::Method;
use reqwest::StatusCode;
use std::collections::BTreeSet;
use verdicts::domain::catalogue::Verdict;

/// A service whose readers `reader0@example.org`, ... have got this week's digest.
async fn app_with_readers(test_db: TestDb, count: usize) -> TestApp {
    let test_app = TestApp::open(test_db).await;
    test_app.stock_small().await;
    test_app.seed_subscribers("reader", count).await;
    test_app.send_digest().await;
    test_app
}

/// A link in the digest of the `n`th reader.
fn link_of(test_app: &TestApp, n: usize, path: &str) -> String {
    link(
        &test_app
            .mails_to(&format!("reader{n}@example.org"))
            .pop()
            .expect("a digest"),
        path,
    )
}

/// Every link in the digest of the first reader: in its HTML, its text, and the headers that mail programs make buttons of.
fn all_links(test_app: &TestApp) -> BTreeSet<String> {
    let mail = test_app
        .mails_to("reader0@example.org")
        .pop()
        .expect("a digest");
    let mail = mail_parser::MessageParser::default()
        .parse(&mail)
        .expect("a mail");
    let (html, text) = (
        mail.body_html(0).expect("HTML").into_owned(),
        mail.body_text(0).expect("text").into_owned(),
    );
    let headers: String = mail
        .headers_raw()
        .filter(|(name, _)| name.starts_with("List-"))
        .map(|(_, value)| value)
        .collect();
    let in_html = html
        .split("href=\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .map(crate::joining::unescaped);
    let in_text = text
        .split_whitespace()
        .map(|word| word.trim_matches(['(', ')', '<', '>', ',', '.']).to_owned());
    let in_headers = headers.split(['<', '>']).map(str::to_owned);
    in_html
        .chain(in_text)
        .chain(in_headers)
        .filter(|link| link.starts_with("http"))
        .collect()
}

async fn picked(test_app: &TestApp) -> Vec<String> {
    let picks = test_app
        .app
        .picks_at(test_app.app.now())
        .await
        .expect("picks");
    picks
        .into_iter()
        .map(|pick| pick.comparison.to_string())
        .collect()
}

/// A visitor's button on a page, with the cookie that they came with; gives the answer.
async fn press(
    test_app: &TestApp,
    tool: &str,
    verdict: &str,
    cookie: Option<&str>,
) -> reqwest::Response {
    let request = test_app
        .request(Method::POST, &format!("/tools/{tool}/vote"))
        .form(&[("verdict", verdict), ("back", "/comparisons/t0-l-vs-t0-r")]);
    let request = match cookie {
        Some(cookie) => request.header("cookie", cookie),
        None => request,
    };
    request.send().await.expect("an answer")
}

fn cookie_of(answer: &reqwest::Response) -> String {
    let cookie = answer.headers()["set-cookie"].to_str().expect("text");
    assert!(
        cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"),
        "{cookie}"
    );
    cookie.split(';').next().expect("a pair").to_owned()
}

on_both! {
    async fn a_vote_from_a_mail_shows_the_choice_first_and_counts_when_its_button_is_pressed(test_db) {
        let test_app = app_with_readers(test_db, 2).await;
        assert!(test_app.page("/comparisons/t0-l-vs-t0-r").await.contains("No community votes yet"));
        let ship = link_of(&test_app, 0, "/vote/t0-l/ship/");
        let page = test_app.page(&ship).await;
        assert!(page.contains("Ship Tool t0 l?") && page.contains("Count my vote: ship") && page.matches("<button").count() == 1, "{page}");
        assert!(test_app.page("/tools/t0-l").await.contains("No community votes yet"), "looking counts nothing");
        let answer = test_app.post(&ship).await;
        assert_eq!(answer.status(), StatusCode::OK);
        let cookie = cookie_of(&answer);
        assert!(test_app.page("/tools/t0-l").await.contains("1 reader voted"));
        test_app.post(&ship).await;
        test_app.post(&link_of(&test_app, 0, "/vote/t0-l/skip/")).await;
        assert!(test_app.page("/comparisons/t0-l-vs-t0-r").await.contains("1 reader voted"), "one reader, one vote, the last one");
        let mine = test_app.request(Method::GET, "/tools/t0-l").header("cookie", &cookie).send().await.expect("a page").text().await.expect("text");
        assert!(mine.contains("value=\"skip\" aria-pressed=\"true\"") && mine.contains("value=\"ship\" aria-pressed=\"false\""), "{mine}");
        // The same reader on the page is the same reader.
        assert_eq!(press(&test_app, "t0-l", "ship", Some(&cookie)).await.status(), StatusCode::SEE_OTHER);
        assert!(test_app.page("/tools/t0-l").await.contains("1 reader voted"));
    }

    async fn every_link_of_a_digest_ten_times_over_changes_no_row(test_db) {
        let test_app = app_with_readers(test_db, 1).await;
        let links = all_links(&test_app);
        let to = |path: &str| links.iter().filter(|link| link.starts_with(&format!("{}{path}", test_app.url))).count();
        assert_eq!((to("/vote/"), to("/choose/"), to("/comparisons/")), (2, 5, 5), "{links:?}");
        assert!(["/saved/", "/preferences/", "/unsubscribe/"].iter().all(|path| to(path) >= 1) && to("/") == links.len(), "{links:?}");
        let before = test_app.test_db.dump().await;
        for _ in 0..10 {
            for link in &links {
                for method in [Method::GET, Method::HEAD, Method::OPTIONS] {
                    let answer = test_app.request(method.clone(), link).send().await.expect("an answer");
                    assert!(answer.headers().get("set-cookie").is_none(), "{link}");
                    assert!(method == Method::OPTIONS || answer.status().is_success(), "{method} {link}: {}", answer.status());
                }
            }
        }
        assert_eq!(test_app.test_db.dump().await, before);
    }

    async fn a_link_votes_for_nobody_else_and_leads_to_nothing_else(test_db) {
        let test_app = app_with_readers(test_db, 1).await;
        let vote = link_of(&test_app, 0, "/vote/t0-l/ship/");
        let token = vote.rsplit_once('/').expect("a token").1;
        let goodbye = test_app.goodbye_link("reader0@example.org");
        let leave = goodbye.rsplit_once('/').expect("a token").1;
        for path in [format!("/unsubscribe/{token}"), format!("/confirm/{token}"), format!("/vote/t0-l/ship/{leave}"), format!("/saved/{leave}"),
            format!("/save/t0-l/{leave}"), format!("/vote/t0-l/perhaps/{token}"), format!("/vote/nothing/ship/{token}")] {
            let before = test_app.test_db.dump().await;
            assert_eq!(test_app.get(&path).await.status(), StatusCode::NOT_FOUND, "{path}");
            assert_eq!(test_app.post_form(&path, &[("remove", "t0-l")]).await.status(), StatusCode::NOT_FOUND, "{path}");
            assert_eq!(test_app.test_db.dump().await, before, "{path}");
        }
        test_app.post(&goodbye).await;
        assert_eq!(test_app.post(&vote).await.status(), StatusCode::GONE, "who left votes no more");
        assert!(test_app.page("/tools/t0-l").await.contains("No community votes yet"));
    }

    async fn a_visitor_has_one_vote_by_a_cookie_and_counts_apart(test_db) {
        let test_app = app_with_readers(test_db, 1).await;
        let first = press(&test_app, "t0-l", "ship", None).await;
        assert_eq!(first.headers()["location"], "/comparisons/t0-l-vs-t0-r#choices-t0-l");
        let cookie = cookie_of(&first);
        press(&test_app, "t0-l", "skip", Some(&cookie)).await;
        assert!(test_app.page("/tools/t0-l").await.contains("1 visitor voted"));
        test_app.post(&link_of(&test_app, 0, "/vote/t0-l/ship/")).await;
        assert!(test_app.page("/tools/t0-l").await.contains("1 reader voted, 1 visitor voted"));
        assert!(test_app.get("/tools/t0-l").await.headers().get("set-cookie").is_none(), "looking sets no cookie");
        let answer = test_app.request(Method::POST, "/tools/t0-l/vote").header("cookie", &cookie).header("accept", "application/json")
            .form(&[("verdict", "ship")]).send().await.expect("an answer");
        let news: serde_json::Value = answer.json().await.expect("JSON");
        assert_eq!((&news["vote"], &news["said"]), (&"ship".into(), &"Your vote counts: ship.".into()));
    }

    async fn a_page_of_another_site_presses_no_button_here(test_db) {
        let test_app = app_with_readers(test_db, 1).await;
        let cookie = cookie_of(&test_app.post(&link_of(&test_app, 0, "/save/t1-l/")).await);
        let before = test_app.test_db.dump().await;
        for (name, value) in [("sec-fetch-site", "cross-site"), ("sec-fetch-site", "same-site"), ("origin", "https://evil.example"), ("origin", "null")] {
            for (path, field) in [("/tools/t0-l/vote", ("verdict", "ship")), ("/tools/t1-l/save", ("save", "no"))] {
                let request = test_app.request(Method::POST, path).header("cookie", &cookie).header(name, value).form(&[field]);
                assert_eq!(request.send().await.expect("an answer").status(), StatusCode::FORBIDDEN, "{name}: {value}");
            }
        }
        assert_eq!(test_app.test_db.dump().await, before);
    }

    async fn votes_turn_a_ranking_only_within_the_weight_that_the_setting_holds(test_db) {
        let weights = [(0, false), (20, true)];
        for (weight, turned) in weights {
            let test_db = if test_db.is_postgres() { TestDb::postgres().expect("a database") } else { TestDb::sqlite() };
            let test_app = TestApp::open_with(test_db, |settings| settings.picker.votes_weight = weight).await;
            let now = test_app.app.now();
            test_app.seed_catalogue(&catalogue::comparison("new", "Design", now - TimeDelta::hours(1))).await;
            test_app.seed_catalogue(&catalogue::comparison("old", "Data", now - TimeDelta::hours(20))).await;
            test_app.seed_subscribers("reader", 20).await;
            for n in 0..20 {
                let reader = test_app.app.person(&format!("reader{n}@example.org").parse().expect("an address")).await.expect("known").subscriber.id;
                let verdict = if n % 2 == 0 { Verdict::Ship } else { Verdict::Skip };
                test_app.app.vote(reader, &"old-l".parse().expect("a slug"), verdict).await.expect("counted");
            }
            assert_eq!(picked(&test_app).await[0] == "old-l-vs-old-r", turned, "weight {weight}");
        }
    }

    async fn a_thousand_votes_from_one_network_turn_nothing(test_db) {
        let test_app = TestApp::open_with(test_db, |settings| settings.votes.per_client = 100_000).await;
        let now = test_app.app.now();
        test_app.seed_catalogue(&catalogue::comparison("new", "Design", now - TimeDelta::hours(1))).await;
        test_app.seed_catalogue(&catalogue::comparison("old", "Data", now - TimeDelta::hours(20))).await;
        let mut counted = 0;
        for n in 0..1000 {
            let answer = press(&test_app, "old-l", if n % 2 == 0 { "ship" } else { "skip" }, None).await;
            counted += usize::from(answer.status() == StatusCode::SEE_OTHER);
            assert!(answer.status() == StatusCode::SEE_OTHER || answer.status() == StatusCode::TOO_MANY_REQUESTS);
        }
        assert_eq!(counted, 5, "what votes.per_network says");
        assert!(test_app.page("/tools/old-l").await.contains("of 5 visitors say ship"));
        assert_eq!(picked(&test_app).await, ["new-l-vs-new-r", "old-l-vs-old-r"]);
    }

    async fn too_many_votes_in_an_hour_are_refused_whoever_asks(test_db) {
        let test_app = TestApp::open_with(test_db, |settings| settings.votes.per_client = 3).await;
        test_app.stock_small().await;
        for n in 0..5 {
            let answer = press(&test_app, "t0-l", "ship", None).await;
            assert_eq!(answer.status() == StatusCode::TOO_MANY_REQUESTS, n >= 3);
            assert_eq!(answer.headers().contains_key("retry-after"), n >= 3);
        }
    }

    async fn a_saved_tool_waits_with_its_verdict_then_and_now_until_it_is_removed(test_db) {
        let test_app = app_with_readers(test_db, 1).await;
        let save = link_of(&test_app, 0, "/save/t0-l/");
        assert!(test_app.page(&save).await.contains("Save Tool t0 l for later?"));
        let saved = link_of(&test_app, 0, "/saved/");
        assert!(test_app.page(&saved).await.contains("No bookmarks yet"));
        let cookie = cookie_of(&test_app.post(&save).await);
        let page = test_app.page(&saved).await;
        assert!(page.contains("Tool t0 l") && page.contains("SPLIT 1 to 1"), "{page}");

        test_app.wait(TimeDelta::days(2));
        let turned = catalogue::comparison("t0", "Design", test_app.app.now() - TimeDelta::days(2)).replace("verdict = \"skip\"", "verdict = \"ship\"");
        test_app.seed_catalogue(&turned).await;
        let page = test_app.page(&saved).await;
        assert!(page.contains("SHIP 2 to 0") && page.contains("Split became Ship on 26 November 2026"), "{page}");
        assert!(test_app.page("/tools/t0-l").await.contains("Split became Ship on 26 November 2026"), "the tool's page has its history");

        let own = test_app.request(Method::GET, "/comparisons/t0-l-vs-t0-r").header("cookie", &cookie).send().await.expect("a page").text().await.expect("text");
        assert!(!own.contains("No bookmarks yet") && own.contains("All your saved tools"));
        assert!(test_app.page("/comparisons/t0-l-vs-t0-r").await.contains("No bookmarks yet"), "a visitor sees nobody's");
        let remove = test_app.post_form(&saved, &[("remove", "t0-l")]).await;
        assert_eq!(remove.status(), StatusCode::SEE_OTHER);
        assert!(test_app.page(&saved).await.contains("No bookmarks yet"));
        assert_eq!(test_app.post_form("/tools/t0-l/save", &[("save", "yes")]).await.status(), StatusCode::FORBIDDEN, "a visitor has no list");
    }
}

on_both! {
    async fn both_tools_of_a_comparison_are_voted_on_behind_one_link_and_a_month_is_chosen_behind_another(test_db) {
        let test_app = app_with_readers(test_db, 1).await;
        let choose = link_of(&test_app, 0, "/choose/t1-l-vs-t1-r/");
        let page = test_app.page(&choose).await;
        let token = choose.rsplit('/').next().expect("a token");
        assert!(page.contains("Ship <bdi>Tool t1 r</bdi>"), "the panel's answer stands above: {page}");
        for tool in ["t1-l", "t1-r"] {
            for action in [format!("/vote/{tool}/ship/{token}"), format!("/vote/{tool}/skip/{token}"), format!("/save/{tool}/{token}")] {
                assert!(page.contains(&format!("action=\"{action}\"")), "{action} in {page}");
            }
        }
        test_app.post(&format!("/vote/t1-r/skip/{token}")).await;
        let page = test_app.page(&choose).await;
        assert_eq!(page.matches("aria-pressed=\"true\"").count(), 1, "{page}");
        assert!(page.contains("1 reader voted"));
        for bad in [format!("/choose/nothing/{token}"), "/choose/t1-l-vs-t1-r/forged".into(), "/monthly/forged".into()] {
            assert_eq!(test_app.get(&bad).await.status(), StatusCode::NOT_FOUND, "{bad}");
        }

        let reader = test_app.app.person(&"reader0@example.org".parse().expect("an address")).await.expect("known").subscriber.id;
        let followed = verdicts::domain::reader::Preferences { categories: vec!["Design".into()], ..Default::default() };
        assert!(test_app.app.set_preferences(reader, &followed).await.expect("set"));
        let monthly = link_of(&test_app, 0, "/monthly/");
        assert!(test_app.page(&monthly).await.contains("<button"));
        assert!(!test_app.app.preferences(reader).await.expect("preferences").monthly, "looking changes nothing");
        assert!(test_app.post(&monthly).await.status().is_success());
        let wanted = test_app.app.preferences(reader).await.expect("preferences");
        assert!(wanted.monthly && wanted.categories == ["Design"], "what is followed stays: {wanted:?}");
        assert!(test_app.page(&monthly).await.contains("once a month already"));
    }
}
