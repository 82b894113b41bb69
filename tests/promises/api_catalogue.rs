//! The catalogue by the API: tools, reviews, comparisons, and the whole of it.

use reqwest::Method;
use reqwest::StatusCode;
use serde_json::Value;
use serde_json::json;

use crate::support::TestApp;
use crate::support::api::ApiClient;
use crate::support::on_both;

fn tool(slug: &str) -> Value {
    json!({
        "slug": slug,
        "name": format!("Tool {slug}"),
        "category": "Data",
        "tagline": "It counts",
        "description": "It counts\nand counts.",
        "url": "https://tool.example.org/",
        "published_at": "2026-11-20T09:00:00+01:00",
        "reviews": [
            { "reviewer": "Skeptic", "score": 40, "verdict": "skip", "take": "Slow." },
            { "reviewer": "Builder", "score": 90, "verdict": "ship", "take": "Fast." },
        ],
    })
}

on_both! {
    async fn a_tool_is_written_read_and_removed(test_db) {
        let test_app = TestApp::open(test_db).await;
        let program = ApiClient::full(&test_app).await;
        let dry = program.post("/tools?dry_run=true", &tool("alpha")).await;
        assert_eq!((dry.status, &dry.body["change"]), (StatusCode::OK, &json!("added")), "{dry:?}");
        assert_eq!(program.get("/tools/alpha").await.status, StatusCode::NOT_FOUND);
        let made = program.post("/tools", &tool("alpha")).await;
        assert_eq!((made.status, made.header("location")), (StatusCode::CREATED, "/api/v1/tools/alpha"), "{made:?}");
        assert_eq!(made.body["published_at"], "2026-11-20T08:00:00Z");
        assert_eq!(made.body["reviews"][0]["reviewer"], "Builder", "in the panel's order");
        assert_eq!(made.body["state"], "live");
        assert_eq!(program.post("/tools", &tool("alpha")).await.code(), "conflict");

        let read = program.get("/tools/alpha").await;
        assert_eq!((&read.body, read.header("etag")), (&made.body, made.header("etag")));
        let patch = |etag: &str, body: Value| program.request(Method::PATCH, "/tools/alpha").header("if-match", etag).header("content-type", "application/merge-patch+json").body(body.to_string());
        let patched = program.send(patch(read.header("etag"), json!({ "tagline": "It counts more", "url": null }))).await;
        assert_eq!(patched.status, StatusCode::OK, "{patched:?}");
        assert_eq!((&patched.body["tagline"], &patched.body["url"], &patched.body["name"]), (&json!("It counts more"), &Value::Null, &json!("Tool alpha")));
        assert_eq!((&patched.body["published_at"], &patched.body["reviews"]), (&read.body["published_at"], &read.body["reviews"]));
        let stale = program.send(patch(read.header("etag"), json!({ "tagline": "Mine" }))).await;
        assert_eq!((stale.status, stale.code()), (StatusCode::PRECONDITION_FAILED, "precondition_failed"));
        let null = program.patch("/tools/alpha", &json!({ "name": null })).await;
        assert_eq!((null.status, null.faults()), (StatusCode::UNPROCESSABLE_ENTITY, vec![("#/name", "type")]));
        let draft = program.patch("/tools/alpha", &json!({ "published_at": null })).await;
        assert_eq!((&draft.body["state"], &draft.body["published_at"]), (&json!("draft"), &Value::Null));
        let same = program.patch("/tools/alpha", &json!({})).await;
        assert_eq!((same.status, same.header("etag")), (StatusCode::OK, draft.header("etag")), "nothing was changed");

        let mut fields = tool("alpha");
        fields.as_object_mut().expect("an object").remove("slug");
        let put = program.put("/tools/alpha", &fields).await;
        assert_eq!((put.status, &put.body["state"]), (StatusCode::OK, &json!("live")), "{put:?}");
        let new = program.put("/tools/beta", &fields).await;
        assert_eq!((new.status, new.header("location")), (StatusCode::CREATED, "/api/v1/tools/beta"));
        let missing = program.send(program.request(Method::PUT, "/tools/gamma").header("if-match", "*").json(&fields)).await;
        assert!([StatusCode::CREATED, StatusCode::PRECONDITION_FAILED].contains(&missing.status), "{missing:?}");

        let page = program.get("/tools?limit=1&category=Data").await;
        assert_eq!(page.body["data"].as_array().map(Vec::len), Some(1));
        let next = page.header("link").strip_prefix('<').and_then(|link| link.split('>').next()).expect("a link").to_owned();
        assert!(next.contains(page.body["next"].as_str().expect("a place")) && next.contains("category=Data"), "{next}");
        let second = program.get(&next).await;
        assert_ne!(second.body["data"][0]["slug"], page.body["data"][0]["slug"]);
        assert_eq!(program.get("/tools?q=TOOL").await.body["data"].as_array().map(Vec::len), program.get("/tools").await.body["data"].as_array().map(Vec::len));
        let since = test_app.app.now() + chrono::TimeDelta::days(1);
        assert_eq!(program.get(&format!("/tools?updated_since={}", since.format("%Y-%m-%dT%H:%M:%SZ"))).await.body["data"], json!([]));

        assert_eq!(program.delete("/tools/beta").await.status, StatusCode::NO_CONTENT);
        assert_eq!(program.delete("/tools/beta").await.status, StatusCode::NOT_FOUND);
        let log = test_app.test_db.dump().await.join("\n");
        assert!(log.contains("catalogue.added") && log.contains("catalogue.removed") && log.contains(&program.id), "the token stands in the audit log");
    }

    async fn a_review_is_written_and_the_panel_has_a_history(test_db) {
        let test_app = TestApp::open(test_db).await;
        let program = ApiClient::full(&test_app).await;
        program.post("/tools", &tool("alpha")).await;
        let review = json!({ "score": 20, "verdict": "skip", "take": "It lost my data." });
        let put = program.put("/tools/alpha/reviews/Builder", &review).await;
        assert_eq!((put.status, &put.body["reviews"][0]["score"]), (StatusCode::OK, &json!(20)), "{put:?}");
        let founder = program.put("/tools/alpha/reviews/Founder", &review).await;
        assert_eq!(founder.body["reviews"].as_array().map(Vec::len), Some(3));
        assert_eq!(program.put("/tools/alpha/reviews/Nobody", &review).await.status, StatusCode::NOT_FOUND);
        let history = program.get("/tools/alpha/panel-history").await;
        let skips: Vec<i64> = history.body["data"].as_array().expect("entries").iter().filter_map(|entry| entry["skips"].as_i64()).collect();
        assert_eq!(skips.last(), Some(&3), "{history:?}");
    }

    async fn a_comparison_is_of_two_tools_that_are_there(test_db) {
        let test_app = TestApp::open(test_db).await;
        let program = ApiClient::full(&test_app).await;
        let comparison = json!({ "left": "alpha", "right": "beta", "published_at": "2026-11-21T09:00:00Z" });
        assert_eq!(program.post("/comparisons", &comparison).await.code(), "conflict");
        for slug in ["alpha", "beta", "gamma"] {
            program.post("/tools", &tool(slug)).await;
        }
        let made = program.post("/comparisons", &comparison).await;
        assert_eq!((made.status, made.header("location")), (StatusCode::CREATED, "/api/v1/comparisons/alpha-vs-beta"), "{made:?}");
        let twin = program.post("/comparisons", &json!({ "left": "beta", "right": "alpha" })).await;
        assert!(twin.code() == "conflict" && twin.body["detail"].as_str().is_some_and(|words| words.contains("alpha-vs-beta")), "{twin:?}");
        let removal = program.delete("/tools/alpha").await;
        assert_eq!((removal.status, removal.code()), (StatusCode::CONFLICT, "conflict"), "a comparison names it");
        let moved = program.patch("/comparisons/alpha-vs-beta", &json!({ "right": "gamma" })).await;
        assert_eq!((moved.status, &moved.body["right"]), (StatusCode::OK, &json!("gamma")), "{moved:?}");
        let stale = program.send(program.request(Method::DELETE, "/comparisons/alpha-vs-beta").header("if-match", made.header("etag"))).await;
        assert_eq!(stale.status, StatusCode::PRECONDITION_FAILED);
        assert_eq!(program.get("/comparisons").await.body["data"].as_array().map(Vec::len), Some(1));
        assert_eq!(program.delete("/comparisons/alpha-vs-beta").await.status, StatusCode::NO_CONTENT);
        assert_eq!(program.get("/comparisons/alpha-vs-beta").await.status, StatusCode::NOT_FOUND);
    }

    async fn a_catalogue_goes_out_and_in_again(test_db) {
        let test_app = TestApp::open(test_db).await;
        let program = ApiClient::full(&test_app).await;
        for slug in ["alpha", "beta"] {
            program.post("/tools", &tool(slug)).await;
        }
        program.post("/comparisons", &json!({ "left": "alpha", "right": "beta" })).await;
        let json = program.get("/catalogue/export").await;
        assert_eq!(json.body["tools"].as_array().map(Vec::len), Some(2));
        let toml = program.send(program.request(Method::GET, "/catalogue/export").header("accept", "application/toml")).await;
        assert_eq!(toml.header("content-type"), "application/toml");
        let text = toml.body.as_str().expect("text").replace("It counts\"", "It counts more\"");
        let import = |query: &str| program.request(Method::POST, &format!("/catalogue/import{query}")).header("content-type", "application/toml").body(text.clone());
        let dry = program.send(import("?dry_run=true")).await;
        assert_eq!((&dry.body["dry_run"], &dry.body["tools"]["changed"]), (&json!(true), &json!(2)), "{dry:?}");
        assert_eq!(program.get("/tools/alpha").await.body["tagline"], "It counts");
        let done = program.send(import("")).await;
        assert_eq!((&done.body["tools"]["changed"], &done.body["comparisons"]["unchanged"]), (&json!(2), &json!(1)));
        assert_eq!(program.get("/tools/alpha").await.body["tagline"], "It counts more");
        let wrong = program.send(program.request(Method::POST, "/catalogue/import").json(&json!({ "tools": [{ "slug": "x" }] }))).await;
        assert_eq!((wrong.status, wrong.code()), (StatusCode::UNPROCESSABLE_ENTITY, "invalid"));
        let form = program.send(program.request(Method::POST, "/catalogue/import").header("content-type", "text/plain").body("x")).await;
        assert_eq!(form.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
}
