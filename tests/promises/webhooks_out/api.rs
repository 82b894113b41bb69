//! Endpoints and the feed by the API.

use reqwest::Method;
use reqwest::StatusCode;
use serde_json::Value;
use serde_json::json;
use verdicts::domain::user::Role;

use super::*;
use crate::support::api::ApiClient;
use crate::support::hook_sink::status;

on_both! {
    async fn an_endpoint_is_made_watched_and_removed_by_the_api(test_db) {
        let test_app = app_at(test_db).await;
        let sink = HookSink::start().await;
        let program = ApiClient::full(&test_app).await;
        let reader = ApiClient::with(&test_app, Role::Owner, "webhooks:read").await;
        let new = json!({ "name": "CRM", "url": sink.url, "kinds": ["breaker.*"], "ed25519": true });
        assert_eq!(reader.post("/webhook-endpoints", &new).await.status, StatusCode::FORBIDDEN);
        let keyed = || program.request(Method::POST, "/webhook-endpoints").header("idempotency-key", "one").json(&new);
        let made = program.send(keyed()).await;
        assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
        let secret: Secret = made.body["secret"].as_str().expect("a secret").into();
        let place = made.header("location").strip_prefix("/api/v1").expect("a place").to_owned();
        let repeated = program.send(keyed()).await;
        assert_eq!((&repeated.body["endpoint"], &repeated.body["secret"]), (&made.body["endpoint"], &Value::Null), "a repeat makes no other, and shows no secret");
        for client in [&program, &reader] {
            let shown = client.get(&place).await;
            assert_eq!(shown.body, made.body["endpoint"], "{shown:?}");
            assert!(!client.get("/webhook-endpoints").await.body.to_string().contains("whsec_"));
        }
        let wrong = program.post("/webhook-endpoints", &json!({ "name": "x", "url": sink.url, "kinds": ["digest.lost"] })).await;
        assert_eq!((wrong.status, wrong.faults()), (StatusCode::UNPROCESSABLE_ENTITY, vec![("#/kinds/0", "enum")]));
        let inner = program.post("/webhook-endpoints", &json!({ "name": "x", "url": "https://10.0.0.1/", "kinds": ["*"] })).await;
        assert_eq!(inner.status, StatusCode::CONFLICT, "{inner:?}");
        let nothing = |path: &str| program.request(Method::POST, &format!("{place}{path}"));
        sink.answer(|_, _| status(500));
        let test = program.send(nothing("/test")).await;
        assert_eq!((&test.body["taken"], &test.body["attempt"]["status"]), (&json!(false), &json!(500)), "{test:?}");
        sink.answer(|_, _| status(200));
        happen(&test_app, "main").await;
        send(&test_app).await;
        let hooked = sink.take().pop().expect("a request");
        assert_eq!(signed_by(&hooked, &key(&secret)), 1);
        let log = reader.get(&format!("{place}/deliveries?limit=1")).await;
        let next = log.body["next"].as_str().expect("a place").to_owned();
        let older = reader.get(&format!("{place}/deliveries?limit=1&after={next}")).await;
        let rows: Vec<&str> = [&log, &older].iter().map(|page| page.body["data"][0]["type"].as_str().expect("a kind")).collect();
        assert!(rows.contains(&"breaker.opened") && rows.contains(&"webhook.test"), "{rows:?}");
        let sent = reader.get(&format!("{place}/deliveries?state=sent")).await;
        assert_eq!(sent.body["data"].as_array().map(Vec::len), Some(1), "{sent:?}");
        let detail = reader.get(&format!("{place}/deliveries/{}", hooked.id())).await;
        assert_eq!(detail.body["body"].as_str(), std::str::from_utf8(&hooked.body).ok());
        assert_eq!(detail.body["attempts"][0]["status"], 200);
        let replay = program.post(&format!("{place}/replay"), &json!({ "event": hooked.id() })).await;
        assert_eq!((replay.status, &replay.body["queued"]), (StatusCode::ACCEPTED, &json!(1)), "{replay:?}");
        let range = program.post(&format!("{place}/replay"), &json!({ "from": "2026-11-24T00:00:00Z" })).await;
        assert_eq!(range.status, StatusCode::ACCEPTED, "{range:?}");
        assert_eq!(program.post(&format!("{place}/replay"), &json!({})).await.status, StatusCode::CONFLICT);
        let rotated = program.send(nothing("/rotate")).await;
        assert!(rotated.body["secret"].as_str().is_some_and(|other| other != secret.expose()), "{rotated:?}");
        let off = program.patch(&place, &json!({ "enabled": false, "name": "Shop" })).await;
        assert_eq!((&off.body["enabled"], &off.body["disabled_reason"], &off.body["name"]), (&json!(false), &json!("operator"), &json!("Shop")), "{off:?}");
        let stale = program.request(Method::PATCH, &place).header("if-match", "\"other\"").header("content-type", "application/merge-patch+json").body("{}");
        assert_eq!(program.send(stale).await.status, StatusCode::PRECONDITION_FAILED);
        assert_eq!(program.send(nothing("/enable")).await.body["enabled"], true);
        assert_eq!(program.delete(&place).await.status, StatusCode::NO_CONTENT);
        for path in ["", "/deliveries"] {
            assert_eq!(program.get(&format!("{place}{path}")).await.status, StatusCode::NOT_FOUND);
        }
    }

    async fn the_feed_is_read_a_page_at_a_time_and_goes_on_where_it_ended(test_db) {
        let test_app = app_at(test_db).await;
        let reader = ApiClient::with(&test_app, Role::Owner, "webhooks:read").await;
        for number in 0..5 {
            happen(&test_app, &number.to_string()).await;
        }
        test_app.app.fan_out_events().await.expect("numbered");
        let (mut seen, mut path) = (Vec::new(), "/events?kind=breaker.opened,breaker.closed&limit=2".to_owned());
        for _ in 0..3 {
            let page = reader.get(&path).await;
            assert_eq!(page.status, StatusCode::OK, "{page:?}");
            seen.extend(page.body["data"].as_array().expect("a list").iter().map(|event| event["data"]["relay"].as_str().expect("a relay").to_owned()));
            path = format!("/events?kind=breaker.opened&limit=2&after={}", page.body["next"].as_str().expect("a place"));
        }
        assert_eq!(seen, ["0", "1", "2", "3", "4"]);
        assert!(reader.get(&path).await.body["data"].as_array().is_some_and(Vec::is_empty));
        happen(&test_app, "new").await;
        test_app.app.fan_out_events().await.expect("numbered");
        assert_eq!(reader.get(&path).await.body["data"][0]["data"]["relay"], "new");
        assert_eq!(reader.get("/events?kind=digest.lost").await.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(reader.get("/events?after=AAAA").await.status, StatusCode::UNPROCESSABLE_ENTITY);
    }
}
