//! Pages that are not there, not yet there, or asked for in another way.

use chrono::TimeDelta;
use reqwest::Method;
use reqwest::StatusCode;

use crate::limits::sentence_in_json;
use crate::limits::sentence_on_page;
use crate::support::House;
use crate::support::catalogue;
use crate::support::on_both;

on_both! {
    async fn what_is_not_published_yet_is_not_to_be_found(place) {
        let house = House::open(place).await;
        let now = house.app.now();
        house
            .stock(
                &(catalogue::comparison("old", "Data", now - TimeDelta::hours(1))
                    + &catalogue::comparison("new", "Data", now + TimeDelta::hours(1))),
            )
            .await;
        house
            .stock(&format!(
                "[[comparisons]]\nleft = \"old-l\"\nright = \"new-r\"\npublished_at = {}\n",
                (now + TimeDelta::hours(1)).to_rfc3339()
            ))
            .await;
        let hidden = ["/comparisons/new-l-vs-new-r", "/comparisons/old-l-vs-new-r", "/tools/new-l", "/tools/new-r"];
        let shown = ["/", "/comparisons/old-l-vs-old-r", "/tools/old-l"];
        for path in hidden {
            assert_eq!(house.get(path).await.status(), StatusCode::NOT_FOUND, "{path}");
        }
        for path in shown {
            assert!(!house.page(path).await.contains("new-"), "{path} gives nothing away");
        }
        house.wait(TimeDelta::hours(2));
        for path in hidden.iter().chain(&shown) {
            assert!(house.page(path).await.contains("new-"), "{path}");
        }
    }

    async fn no_page_leads_to_a_tool_that_is_not_published_yet(place) {
        let house = House::open(place).await;
        let now = house.app.now();
        house.stock(&catalogue::comparison("early", "Data", now + TimeDelta::hours(1))).await;
        house
            .stock(&format!(
                "[[comparisons]]\nleft = \"early-l\"\nright = \"early-r\"\npublished_at = {}\n",
                (now - TimeDelta::hours(1)).to_rfc3339()
            ))
            .await;
        assert_eq!(house.get("/tools/early-l").await.status(), StatusCode::NOT_FOUND);
        assert!(!house.page("/").await.contains("Tool early l"));
        assert_eq!(house.get("/comparisons/early-l-vs-early-r").await.status(), StatusCode::NOT_FOUND);
    }

    async fn what_is_not_there_is_said_in_a_sentence(place) {
        let house = House::open(place).await;
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
            let answer = house.get(path).await;
            assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{path}");
            sentence_on_page(answer).await;
        }
    }

    async fn a_program_that_looks_for_what_is_not_there_gets_json(place) {
        let house = House::open(place).await;
        for path in ["/nowhere", "/comparisons/none", "/tools/none", "/digests/2026-W47", "/confirm/x", "/unsubscribe/x"] {
            let answer = house.request(Method::GET, path).header("accept", "application/json").send().await.expect("an answer");
            assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{path}");
            sentence_in_json(answer).await;
        }
    }

    async fn a_method_that_is_not_taken_names_those_that_are(place) {
        let house = House::open(place).await;
        let cases = [
            (Method::POST, "/", "GET,HEAD"),
            (Method::DELETE, "/subscribe", "POST,GET,HEAD,OPTIONS"),
            (Method::DELETE, "/unsubscribe/x", "GET,HEAD,POST"),
            (Method::PUT, "/feed.xml", "GET,HEAD"),
        ];
        for (method, path, allowed) in cases {
            let ask = || house.request(method.clone(), path);
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
