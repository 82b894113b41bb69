//! The catalogue in lists: every comparison and tool is reached by pages and by words, and nothing that is not published.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use reqwest::StatusCode;
use reqwest::header;

use crate::support::TestApp;
use crate::support::catalogue;
use crate::support::on_both;

/// Addresses of one kind on a page, in order, each once.
fn links(page: &str, prefix: &str) -> Vec<String> {
    let mut seen = BTreeSet::new();
    page.split("href=\"")
        .skip(1)
        .filter_map(|rest| rest.split_once('"').map(|(link, _)| link))
        .filter(|link| link.starts_with(prefix) && seen.insert(link.to_string()))
        .map(str::to_owned)
        .collect()
}

/// Address of the next page, as the page links it.
fn next(page: &str) -> Option<String> {
    let (_, rest) = page.split_once("rel=\"next\" href=\"")?;
    let (link, _) = rest.split_once('"')?;
    Some(link.replace("&amp;", "&").replace("&#38;", "&"))
}

/// Links of a kind on all pages of a list.
async fn walk(test_app: &TestApp, first: &str, prefix: &str) -> Vec<String> {
    let (mut found, mut at) = (Vec::new(), Some(first.to_owned()));
    while let Some(path) = at {
        let page = test_app.page(&path).await;
        found.extend(links(&page, prefix));
        at = next(&page);
        assert!(found.len() < 1_000, "the pages end");
    }
    found
}

on_both! {
    async fn every_comparison_is_on_one_page_of_their_list(test_db) {
        let test_app = TestApp::open(test_db).await;
        test_app.seed_catalogue(&catalogue::small(60, test_app.app.now())).await;
        let all = walk(&test_app, "/comparisons", "/comparisons/").await;
        let expected: Vec<String> = (0..60).map(|n| format!("/comparisons/t{n}-l-vs-t{n}-r")).collect();
        assert_eq!(all, expected, "newest first, each once");
        let design = walk(&test_app, "/comparisons?category=Design", "/comparisons/").await;
        let expected: Vec<&String> = expected.iter().step_by(3).collect();
        assert_eq!(design.iter().collect::<Vec<_>>(), expected);
        assert_eq!(walk(&test_app, "/comparisons?category=design", "/comparisons/").await, design);
    }

    async fn comparisons_of_one_instant_are_not_lost_between_two_pages(test_db) {
        let test_app = TestApp::open(test_db).await;
        let at = test_app.app.now() - TimeDelta::hours(1);
        let toml: String = (0..40).map(|n| catalogue::comparison(&format!("s{n:02}"), "Design", at)).collect();
        test_app.seed_catalogue(&toml).await;
        let all = walk(&test_app, "/comparisons", "/comparisons/").await;
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), 40);
        assert_eq!(all.len(), 40);
    }

    async fn every_tool_is_on_one_page_of_their_list(test_db) {
        let test_app = TestApp::open(test_db).await;
        test_app.seed_catalogue(&catalogue::small(60, test_app.app.now())).await;
        let all = walk(&test_app, "/tools", "/tools/").await;
        assert_eq!(all.len(), 120);
        assert!(all.is_sorted(), "in the order of the alphabet");
        assert_eq!(walk(&test_app, "/tools?category=Data", "/tools/").await.len(), 40);
    }

    async fn what_is_not_published_yet_is_in_no_list(test_db) {
        let test_app = TestApp::open(test_db).await;
        let now = test_app.app.now();
        test_app.seed_catalogue(&catalogue::comparison("known", "Design", now - TimeDelta::hours(1))).await;
        test_app.seed_catalogue(&catalogue::comparison("secret", "Stealth", now + TimeDelta::days(1))).await;
        for path in ["/comparisons", "/tools", "/search?q=tool", "/search?q=secret", "/sitemap.xml"] {
            assert!(!test_app.page(path).await.contains("secret-"), "{path}");
        }
        assert!(!test_app.page("/tools").await.contains("Stealth"));
        assert_eq!(test_app.get("/tools?category=Stealth").await.status(), StatusCode::NOT_FOUND);
    }

    async fn a_search_finds_tools_by_all_their_words_in_any_case(test_db) {
        let test_app = TestApp::open(test_db).await;
        test_app.seed_catalogue(&catalogue::small(5, test_app.app.now())).await;
        let found = async |asked: &str| links(&test_app.page(&format!("/search?q={asked}")).await, "/tools/");
        assert_eq!(found("tool+T3").await, ["/tools/t3-l", "/tools/t3-r"]);
        assert_eq!(found("t3+writing").await, Vec::<String>::new());
        assert_eq!(found("DATA").await, ["/tools/t2-l", "/tools/t2-r"]);
        let page = test_app.page("/search?q=t3").await;
        assert_eq!(links(&page, "/comparisons/"), ["/comparisons/t3-l-vs-t3-r"]);
        assert!(page.contains("noindex"));
        // Signs that mean something in a pattern mean themselves.
        for asked in ["%25", "_", "!", "%25%25", "t_"] {
            assert_eq!(found(asked).await, Vec::<String>::new(), "{asked}");
        }
    }

    async fn whatever_is_asked_of_a_list_is_answered(test_db) {
        let test_app = TestApp::open(test_db).await;
        test_app.stock_small().await;
        let long = "x".repeat(5_000);
        for (path, status) in [
            ("/search", StatusCode::OK),
            ("/search?q=", StatusCode::OK),
            ("/search?q=%00", StatusCode::OK),
            ("/search?q=%3Cscript%3E", StatusCode::OK),
            (&format!("/search?q={long}"), StatusCode::OK),
            ("/search?q=a&q=b", StatusCode::BAD_REQUEST),
            ("/comparisons?after=never-there", StatusCode::NOT_FOUND),
            ("/comparisons?after=%00", StatusCode::NOT_FOUND),
            ("/comparisons?category=%00", StatusCode::NOT_FOUND),
            ("/tools?after=zzz", StatusCode::OK),
            ("/tools?category=None", StatusCode::NOT_FOUND),
        ] {
            let answer = test_app.get(path).await;
            assert_eq!(answer.status(), status, "{path:.80}");
            assert!(!answer.text().await.expect("a page").contains("<script>"), "{path:.80}");
        }
    }

    async fn the_latest_digest_has_an_address_that_stays(test_db) {
        let test_app = TestApp::open(test_db).await;
        test_app.stock_small().await;
        test_app.seed_subscribers("reader", 1).await;
        let location = async |test_app: &TestApp| {
            let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().expect("a client");
            let answer = client.get(format!("{}/digests/latest", test_app.url)).send().await.expect("an answer");
            assert_eq!(answer.status(), StatusCode::FOUND);
            answer.headers()[header::LOCATION].to_str().expect("text").to_owned()
        };
        assert_eq!(location(&test_app).await, "/digests", "none was sent yet");
        let first = test_app.slot();
        test_app.send_digest().await;
        assert_eq!(location(&test_app).await, format!("/digests/{first}"));
        test_app.wait(TimeDelta::weeks(1));
        test_app.seed_catalogue(&catalogue::comparison("fresh", "Data", test_app.app.now() - TimeDelta::hours(1))).await;
        let second = test_app.slot();
        test_app.send_digest().await;
        assert_eq!(location(&test_app).await, format!("/digests/{second}"));
        let (older, newer) = (test_app.page(&format!("/digests/{first}")).await, test_app.page(&format!("/digests/{second}")).await);
        assert!(older.contains(&format!("rel=\"next\" href=\"/digests/{second}\"")) && !older.contains("rel=\"prev\""));
        assert!(newer.contains(&format!("rel=\"prev\" href=\"/digests/{first}\"")) && !newer.contains("rel=\"next\""));
    }

    async fn the_site_map_lists_every_public_page_and_robots_txt_names_it(test_db) {
        let test_app = TestApp::open(test_db).await;
        test_app.stock_small().await;
        test_app.seed_subscribers("reader", 1).await;
        test_app.send_digest().await;
        let map = test_app.page("/sitemap.xml").await;
        let slot = test_app.slot();
        for path in ["/", "/comparisons", "/tools", "/digests", &format!("/digests/{slot}"), "/comparisons/t0-l-vs-t0-r", "/tools/t4-r"] {
            assert!(map.contains(&format!("{}{path}</loc>", test_app.app.site.base_url)), "{path}");
        }
        for word in ["unsubscribe", "mailbox", "preferences"] {
            assert!(!map.contains(word), "{word}");
        }
        assert!(test_app.page("/robots.txt").await.contains(&format!("Sitemap: {}/sitemap.xml", test_app.app.site.base_url)));
    }

    async fn a_tools_page_has_a_sign_up_form(test_db) {
        let test_app = TestApp::open(test_db).await;
        test_app.stock_small().await;
        assert!(test_app.page("/tools/t0-l").await.contains("action=\"/subscribe\""));
    }
}
