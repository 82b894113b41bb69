//! Votes and saved tools: from a digest, from a page, by readers and by visitors, and what they do to a ranking.

use crate::journey::link;
use crate::support::House;
use crate::support::Place;
use crate::support::catalogue;
use crate::support::on_both;
use chrono::TimeDelta;
use reqwest::Method;
use reqwest::StatusCode;
use std::collections::BTreeSet;
use verdicts::domain::catalogue::Verdict;

/// A house whose readers `reader0@example.org`, ... have got this week's digest.
async fn house_with_readers(place: Place, count: usize) -> House {
    let house = House::open(place).await;
    house.stock_small().await;
    house.enlist("reader", count).await;
    house.send_digest().await;
    house
}

/// A link in the digest of the `n`th reader.
fn link_of(house: &House, n: usize, path: &str) -> String {
    link(
        &house
            .mails_to(&format!("reader{n}@example.org"))
            .pop()
            .expect("a digest"),
        path,
    )
}

/// Every link in the digest of the first reader: in its HTML, its text, and the headers that mail programs make buttons of.
fn all_links(house: &House) -> BTreeSet<String> {
    let mail = house
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

async fn picked(house: &House) -> Vec<String> {
    let picks = house.app.picks_at(house.app.now()).await.expect("picks");
    picks
        .into_iter()
        .map(|pick| pick.comparison.to_string())
        .collect()
}

/// A visitor's button on a page, with the cookie that they came with; gives the answer.
async fn press(
    house: &House,
    tool: &str,
    verdict: &str,
    cookie: Option<&str>,
) -> reqwest::Response {
    let request = house
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
    async fn a_vote_from_a_mail_shows_the_choice_first_and_counts_when_its_button_is_pressed(place) {
        let house = house_with_readers(place, 2).await;
        assert!(house.page("/comparisons/t0-l-vs-t0-r").await.contains("No community votes yet"));
        let ship = link_of(&house, 0, "/vote/t0-l/ship/");
        let page = house.page(&ship).await;
        assert!(page.contains("Ship Tool t0 l?") && page.contains("Count my vote: ship") && page.matches("<button").count() == 1, "{page}");
        assert!(house.page("/tools/t0-l").await.contains("No community votes yet"), "looking counts nothing");
        let answer = house.post(&ship).await;
        assert_eq!(answer.status(), StatusCode::OK);
        let cookie = cookie_of(&answer);
        assert!(house.page("/tools/t0-l").await.contains("1 reader voted"));
        house.post(&ship).await;
        house.post(&link_of(&house, 0, "/vote/t0-l/skip/")).await;
        assert!(house.page("/comparisons/t0-l-vs-t0-r").await.contains("1 reader voted"), "one reader, one vote, the last one");
        let mine = house.request(Method::GET, "/tools/t0-l").header("cookie", &cookie).send().await.expect("a page").text().await.expect("text");
        assert!(mine.contains("value=\"skip\" aria-pressed=\"true\"") && mine.contains("value=\"ship\" aria-pressed=\"false\""), "{mine}");
        // The same reader on the page is the same reader.
        assert_eq!(press(&house, "t0-l", "ship", Some(&cookie)).await.status(), StatusCode::SEE_OTHER);
        assert!(house.page("/tools/t0-l").await.contains("1 reader voted"));
    }

    async fn every_link_of_a_digest_ten_times_over_changes_no_row(place) {
        let house = house_with_readers(place, 1).await;
        let links = all_links(&house);
        let to = |path: &str| links.iter().filter(|link| link.starts_with(&format!("{}{path}", house.url))).count();
        assert_eq!((to("/vote/"), to("/save/"), to("/comparisons/")), (20, 10, 5), "{links:?}");
        assert!(["/saved/", "/preferences/", "/unsubscribe/"].iter().all(|path| to(path) >= 1) && to("/") == links.len(), "{links:?}");
        let before = house.place.dump().await;
        for _ in 0..10 {
            for link in &links {
                for method in [Method::GET, Method::HEAD, Method::OPTIONS] {
                    let answer = house.request(method.clone(), link).send().await.expect("an answer");
                    assert!(answer.headers().get("set-cookie").is_none(), "{link}");
                    assert!(method == Method::OPTIONS || answer.status().is_success(), "{method} {link}: {}", answer.status());
                }
            }
        }
        assert_eq!(house.place.dump().await, before);
    }

    async fn a_link_votes_for_nobody_else_and_leads_to_nothing_else(place) {
        let house = house_with_readers(place, 1).await;
        let vote = link_of(&house, 0, "/vote/t0-l/ship/");
        let token = vote.rsplit_once('/').expect("a token").1;
        let goodbye = house.goodbye_link("reader0@example.org");
        let leave = goodbye.rsplit_once('/').expect("a token").1;
        for path in [format!("/unsubscribe/{token}"), format!("/confirm/{token}"), format!("/vote/t0-l/ship/{leave}"), format!("/saved/{leave}"),
            format!("/save/t0-l/{leave}"), format!("/vote/t0-l/perhaps/{token}"), format!("/vote/nothing/ship/{token}")] {
            let before = house.place.dump().await;
            assert_eq!(house.get(&path).await.status(), StatusCode::NOT_FOUND, "{path}");
            assert_eq!(house.post_form(&path, &[("remove", "t0-l")]).await.status(), StatusCode::NOT_FOUND, "{path}");
            assert_eq!(house.place.dump().await, before, "{path}");
        }
        house.post(&goodbye).await;
        assert_eq!(house.post(&vote).await.status(), StatusCode::GONE, "who left votes no more");
        assert!(house.page("/tools/t0-l").await.contains("No community votes yet"));
    }

    async fn a_visitor_has_one_vote_by_a_cookie_and_counts_apart(place) {
        let house = house_with_readers(place, 1).await;
        let first = press(&house, "t0-l", "ship", None).await;
        assert_eq!(first.headers()["location"], "/comparisons/t0-l-vs-t0-r#choices-t0-l");
        let cookie = cookie_of(&first);
        press(&house, "t0-l", "skip", Some(&cookie)).await;
        assert!(house.page("/tools/t0-l").await.contains("1 visitor voted"));
        house.post(&link_of(&house, 0, "/vote/t0-l/ship/")).await;
        assert!(house.page("/tools/t0-l").await.contains("1 reader voted, 1 visitor voted"));
        assert!(house.get("/tools/t0-l").await.headers().get("set-cookie").is_none(), "looking sets no cookie");
        let answer = house.request(Method::POST, "/tools/t0-l/vote").header("cookie", &cookie).header("accept", "application/json")
            .form(&[("verdict", "ship")]).send().await.expect("an answer");
        let news: serde_json::Value = answer.json().await.expect("JSON");
        assert_eq!((&news["vote"], &news["said"]), (&"ship".into(), &"Your vote counts: ship.".into()));
    }

    async fn a_page_of_another_site_presses_no_button_here(place) {
        let house = house_with_readers(place, 1).await;
        let cookie = cookie_of(&house.post(&link_of(&house, 0, "/save/t1-l/")).await);
        let before = house.place.dump().await;
        for (name, value) in [("sec-fetch-site", "cross-site"), ("sec-fetch-site", "same-site"), ("origin", "https://evil.example"), ("origin", "null")] {
            for (path, field) in [("/tools/t0-l/vote", ("verdict", "ship")), ("/tools/t1-l/save", ("save", "no"))] {
                let request = house.request(Method::POST, path).header("cookie", &cookie).header(name, value).form(&[field]);
                assert_eq!(request.send().await.expect("an answer").status(), StatusCode::FORBIDDEN, "{name}: {value}");
            }
        }
        assert_eq!(house.place.dump().await, before);
    }

    async fn votes_turn_a_ranking_only_within_the_weight_that_the_setting_holds(place) {
        let weights = [(0, false), (20, true)];
        for (weight, turned) in weights {
            let place = if place.is_postgres() { Place::postgres().expect("a database") } else { Place::sqlite() };
            let house = House::open_with(place, |settings| settings.picker.votes_weight = weight).await;
            let now = house.app.now();
            house.stock(&catalogue::comparison("new", "Design", now - TimeDelta::hours(1))).await;
            house.stock(&catalogue::comparison("old", "Data", now - TimeDelta::hours(20))).await;
            house.enlist("reader", 20).await;
            for n in 0..20 {
                let reader = house.app.person(&format!("reader{n}@example.org").parse().expect("an address")).await.expect("known").subscriber.id;
                let verdict = if n % 2 == 0 { Verdict::Ship } else { Verdict::Skip };
                house.app.vote(reader, &"old-l".parse().expect("a slug"), verdict).await.expect("counted");
            }
            assert_eq!(picked(&house).await[0] == "old-l-vs-old-r", turned, "weight {weight}");
        }
    }

    async fn a_thousand_votes_from_one_network_turn_nothing(place) {
        let house = House::open_with(place, |settings| settings.votes.per_client = 100_000).await;
        let now = house.app.now();
        house.stock(&catalogue::comparison("new", "Design", now - TimeDelta::hours(1))).await;
        house.stock(&catalogue::comparison("old", "Data", now - TimeDelta::hours(20))).await;
        let mut counted = 0;
        for n in 0..1000 {
            let answer = press(&house, "old-l", if n % 2 == 0 { "ship" } else { "skip" }, None).await;
            counted += usize::from(answer.status() == StatusCode::SEE_OTHER);
            assert!(answer.status() == StatusCode::SEE_OTHER || answer.status() == StatusCode::TOO_MANY_REQUESTS);
        }
        assert_eq!(counted, 5, "what votes.per_network says");
        assert!(house.page("/tools/old-l").await.contains("of 5 visitors say ship"));
        assert_eq!(picked(&house).await, ["new-l-vs-new-r", "old-l-vs-old-r"]);
    }

    async fn too_many_votes_in_an_hour_are_refused_whoever_asks(place) {
        let house = House::open_with(place, |settings| settings.votes.per_client = 3).await;
        house.stock_small().await;
        for n in 0..5 {
            let answer = press(&house, "t0-l", "ship", None).await;
            assert_eq!(answer.status() == StatusCode::TOO_MANY_REQUESTS, n >= 3);
            assert_eq!(answer.headers().contains_key("retry-after"), n >= 3);
        }
    }

    async fn a_saved_tool_waits_with_its_verdict_then_and_now_until_it_is_removed(place) {
        let house = house_with_readers(place, 1).await;
        let save = link_of(&house, 0, "/save/t0-l/");
        assert!(house.page(&save).await.contains("Save Tool t0 l for later?"));
        let saved = link_of(&house, 0, "/saved/");
        assert!(house.page(&saved).await.contains("No bookmarks yet"));
        let cookie = cookie_of(&house.post(&save).await);
        let page = house.page(&saved).await;
        assert!(page.contains("Tool t0 l") && page.contains("SPLIT 1 to 1"), "{page}");

        house.wait(TimeDelta::days(2));
        let turned = catalogue::comparison("t0", "Design", house.app.now() - TimeDelta::days(2)).replace("verdict = \"skip\"", "verdict = \"ship\"");
        house.stock(&turned).await;
        let page = house.page(&saved).await;
        assert!(page.contains("SHIP 2 to 0") && page.contains("Split became Ship on 26 November 2026"), "{page}");
        assert!(house.page("/tools/t0-l").await.contains("Split became Ship on 26 November 2026"), "the tool's page has its history");

        let own = house.request(Method::GET, "/comparisons/t0-l-vs-t0-r").header("cookie", &cookie).send().await.expect("a page").text().await.expect("text");
        assert!(!own.contains("No bookmarks yet") && own.contains("All your saved tools"));
        assert!(house.page("/comparisons/t0-l-vs-t0-r").await.contains("No bookmarks yet"), "a visitor sees nobody's");
        let remove = house.post_form(&saved, &[("remove", "t0-l")]).await;
        assert_eq!(remove.status(), StatusCode::SEE_OTHER);
        assert!(house.page(&saved).await.contains("No bookmarks yet"));
        assert_eq!(house.post_form("/tools/t0-l/save", &[("save", "yes")]).await.status(), StatusCode::FORBIDDEN, "a visitor has no list");
    }
}
