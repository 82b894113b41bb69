//! Pages that are not there, not yet there, or asked for in another way.

use chrono::TimeDelta;
use reqwest::Method;
use reqwest::StatusCode;

use crate::limits::sentence_in_json;
use crate::limits::sentence_on_page;
use crate::support::TestApp;
use crate::support::catalogue;
use crate::support::on_both;

on_both! {
    async fn what_is_not_published_yet_is_not_to_be_found(test_db) {
        let test_app = TestApp::open(test_db).await;
        let now = test_app.app.now();
        test_app
            .seed_catalogue(
                &(catalogue::comparison("old", "Data", now - TimeDelta::hours(1))
                    + &catalogue::comparison("new", "Data", now + TimeDelta::hours(1))),
            )
            .await;
        test_app
            .seed_catalogue(&format!(
                "[[comparisons]]\nleft = \"old-l\"\nright = \"new-r\"\npublished_at = {}\n",
                (now + TimeDelta::hours(1)).to_rfc3339()
            ))
            .await;
        let hidden = ["/comparisons/new-l-vs-new-r", "/comparisons/old-l-vs-new-r", "/tools/new-l", "/tools/new-r"];
        let shown = ["/", "/comparisons/old-l-vs-old-r", "/tools/old-l"];
        for path in hidden {
            assert_eq!(test_app.get(path).await.status(), StatusCode::NOT_FOUND, "{path}");
        }
        for path in shown {
            assert!(!test_app.page(path).await.contains("new-"), "{path} gives nothing away");
        }
        test_app.wait(TimeDelta::hours(2));
        for path in hidden.iter().chain(&shown) {
            assert!(test_app.page(path).await.contains("new-"), "{path}");
        }
    }

    async fn no_page_leads_to_a_tool_that_is_not_published_yet(test_db) {
        let test_app = TestApp::open(test_db).await;
        let now = test_app.app.now();
        test_app.seed_catalogue(&catalogue::comparison("early", "Data", now + TimeDelta::hours(1))).await;
        test_app
            .seed_catalogue(&format!(
                "[[comparisons]]\nleft = \"early-l\"\nright = \"early-r\"\npublished_at = {}\n",
                (now - TimeDelta::hours(1)).to_rfc3339()
            ))
            .await;
        assert_eq!(test_app.get("/tools/early-l").await.status(), StatusCode::NOT_FOUND);
        assert!(!test_app.page("/").await.contains("Tool early l"));
        assert_eq!(test_app.get("/comparisons/early-l-vs-early-r").await.status(), StatusCode::NOT_FOUND);
    }

    async fn what_is_not_there_is_said_in_a_sentence(test_db) {
        let test_app = TestApp::open(test_db).await;
        let lost = [
            "/nowhere",
            "/comparisons/none",
            "/comparisons/Not%20A%20Slug",
            "/tools/none",
            "/digests/2026-W47",
            "/digests/2026-W99",
            "/digests/x",
            "/mailbox/none",
        ];
        for path in lost {
            let answer = test_app.get(path).await;
            assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{path}");
            sentence_on_page(answer).await;
        }
    }

    async fn a_program_that_looks_for_what_is_not_there_gets_json(test_db) {
        let test_app = TestApp::open(test_db).await;
        for path in ["/nowhere", "/comparisons/none", "/tools/none", "/digests/2026-W47", "/confirm/x", "/unsubscribe/x"] {
            let answer = test_app.request(Method::GET, path).header("accept", "application/json").send().await.expect("an answer");
            assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{path}");
            sentence_in_json(answer).await;
        }
    }

    async fn a_method_that_is_not_taken_names_those_that_are(test_db) {
        let test_app = TestApp::open(test_db).await;
        let cases = [
            (Method::POST, "/", "GET,HEAD"),
            (Method::DELETE, "/subscribe", "POST,GET,HEAD,OPTIONS"),
            (Method::DELETE, "/unsubscribe/x", "GET,HEAD,POST"),
            (Method::PUT, "/feed.xml", "GET,HEAD"),
        ];
        for (method, path, allowed) in cases {
            let ask = || test_app.request(method.clone(), path);
            let page = ask().send().await.expect("an answer");
            let json = ask().header("accept", "application/json").send().await.expect("an answer");
            for answer in [&page, &json] {
                assert_eq!(
                    (answer.status(), answer.headers()["allow"].to_str().ok()),
                    (StatusCode::METHOD_NOT_ALLOWED, Some(allowed)),
                    "{method} {path}"
                );
            }
            sentence_on_page(page).await;
            sentence_in_json(json).await;
        }
    }
}
