//! Subscribers by the API, and what belongs to them: files, filters, the suppression list, figures, votes, settings, the audit log.

use chrono::TimeDelta;
use reqwest::Method;
use reqwest::StatusCode;
use serde_json::Value;
use serde_json::json;
use verdicts::domain::catalogue::Verdict;
use verdicts::domain::user::Role;

use crate::support::TestApp;
use crate::support::api::ApiClient;
use crate::support::on_both;

async fn app(test_db: crate::support::TestDb) -> TestApp {
    TestApp::open_with(test_db, |settings| {
        settings.api.burst = 10_000;
        settings.signup.per_client = 1_000;
    })
    .await
}

fn person(email: &str) -> Value {
    json!({ "email": email, "consent": "Asked for it at the spring fair" })
}

fn length(list: &Value) -> usize {
    list.as_array().map_or(usize::MAX, Vec::len)
}

on_both! {
    async fn a_subscriber_is_added_changed_and_erased(test_db) {
        let test_app = app(test_db).await;
        let program = ApiClient::full(&test_app).await;
        let made = program.post("/subscribers", &person("ada@example.org")).await;
        assert_eq!((made.status, &made.body["state"]), (StatusCode::CREATED, &json!("pending")), "{made:?}");
        let id = made.body["id"].as_str().expect("an id").to_owned();
        assert_eq!(made.header("location"), format!("/api/v1/subscribers/{id}"));
        assert_eq!(made.body["consents"][0]["source"], "api");
        let twice = program.post("/subscribers", &person("Ada@example.org")).await;
        assert_eq!((twice.status, twice.code()), (StatusCode::CONFLICT, "subscriber_exists"));
        let mut merge = person("ada@example.org");
        merge["on_conflict"] = json!("merge");
        merge["name"] = json!("Ada");
        let merged = program.post("/subscribers", &merge).await;
        assert_eq!((merged.status, &merged.body["id"]), (StatusCode::OK, &json!(id)), "{merged:?}");
        assert_eq!(test_app.waiting_confirmations().await, 1, "one mail");
        let resent = program.post(&format!("/subscribers/{id}/resend-confirmation"), &json!({})).await;
        assert_eq!(resent.code(), "conflict", "one went just now");

        test_app.seed_subscribers("reader", 2).await;
        let by_address = program.get("/subscribers/reader0@example.org").await;
        assert_eq!((by_address.status, &by_address.body["state"]), (StatusCode::OK, &json!("active")));
        let path = format!("/subscribers/{}", by_address.body["id"].as_str().expect("an id"));
        let patched = program.send(program.request(Method::PATCH, &path).header("if-match", by_address.header("etag")).json(&json!({ "name": "Rea" }))).await;
        assert_eq!((patched.status, &patched.body["name"]), (StatusCode::OK, &json!("Rea")), "{patched:?}");
        let stale = program.send(program.request(Method::PATCH, &path).header("if-match", by_address.header("etag")).json(&json!({ "name": "X" }))).await;
        assert_eq!(stale.status, StatusCode::PRECONDITION_FAILED);
        let until = (test_app.app.now() + TimeDelta::days(10)).format("%Y-%m-%dT%H:%M:%SZ").to_string();
        let paused = program.post(&format!("{path}/pause"), &json!({ "until": until })).await;
        assert_eq!(paused.body["paused_until"], json!(until), "{paused:?}");
        assert_eq!(program.post(&format!("{path}/pause"), &json!({ "until": null })).await.body["paused_until"], Value::Null);
        let past = program.post(&format!("{path}/pause"), &json!({ "until": "2020-01-01T00:00:00Z" })).await;
        assert_eq!(past.code(), "conflict");
        let moved = program.patch(&path, &json!({ "email": "rea@example.org" })).await;
        assert_eq!((&moved.body["email"], &moved.body["new_email"]), (&json!("reader0@example.org"), &json!("rea@example.org")), "it counts once confirmed");
        assert!(length(&program.get(&format!("{path}/history")).await.body["data"]) >= 2);
        assert_eq!(program.get(&format!("{path}/export")).await.body["email"], "reader0@example.org");
        let left = program.post(&format!("{path}/unsubscribe"), &json!({})).await;
        assert_eq!(left.body["state"], "unsubscribed");
        assert_eq!(program.post(&format!("{path}/unsubscribe"), &json!({})).await.code(), "conflict");
        let gone = program.post("/subscribers", &person("reader0@example.org")).await;
        assert_eq!((gone.status, gone.code()), (StatusCode::CONFLICT, "subscriber_suppressed"), "who left is not brought back");

        let erased = program.delete("/subscribers/reader1@example.org").await;
        assert_eq!((erased.status, &erased.body["erased"]), (StatusCode::ACCEPTED, &json!(true)));
        assert_eq!(program.get("/subscribers/reader1@example.org").await.status, StatusCode::NOT_FOUND);
        let back = program.post("/subscribers", &person("reader1@example.org")).await;
        assert_eq!((back.status, back.code()), (StatusCode::CONFLICT, "subscriber_suppressed"));
        let dump = test_app.test_db.dump().await.join("\n");
        assert!(!dump.contains("reader1@"), "nothing is left of them");
    }

    async fn an_erasure_takes_kept_answers_along(test_db) {
        let test_app = app(test_db).await;
        let program = ApiClient::full(&test_app).await;
        let post = || program.send(program.request(Method::POST, "/subscribers").header("idempotency-key", "k").json(&person("ada@example.org")));
        let made = post().await;
        assert_eq!(post().await.body, made.body);
        let kept = async || test_app.test_db.dump().await.iter().filter(|row| row.starts_with("idempotency_keys")).count();
        assert_eq!(kept().await, 1);
        program.delete("/subscribers/ada@example.org").await;
        assert_eq!(kept().await, 0);
    }

    async fn many_are_added_at_once_each_with_an_answer(test_db) {
        let test_app = app(test_db).await;
        let program = ApiClient::full(&test_app).await;
        program.post("/suppressions", &json!({ "email": "never@example.org", "note": "Asked by phone" })).await;
        program.post("/subscribers", &person("there@example.org")).await;
        let body = json!({ "subscribers": [person("new@example.org"), person("never@example.org"), person("there@example.org")] });
        let done = program.post("/subscribers/batch", &body).await;
        let results = done.body["results"].as_array().expect("results");
        assert_eq!(results.iter().map(|result| (result["status"].as_str().unwrap_or_default(), result["code"].as_str())).collect::<Vec<_>>(), [
            ("created", None),
            ("refused", Some("subscriber_suppressed")),
            ("refused", Some("subscriber_exists")),
        ]);
        let large = json!({ "subscribers": (0..1001).map(|n| person(&format!("p{n}@example.org"))).collect::<Vec<_>>() });
        let large = program.post("/subscribers/batch", &large).await;
        assert_eq!(large.faults(), [("#/subscribers", "too_long")]);
    }

    async fn the_list_is_filtered_and_read_page_by_page(test_db) {
        let test_app = app(test_db).await;
        let program = ApiClient::full(&test_app).await;
        test_app.seed_subscribers("reader", 5).await;
        test_app.wait(TimeDelta::days(1));
        program.post("/subscribers", &person("ada@other.example")).await;
        let (mut seen, mut path) = (Vec::new(), "/subscribers?limit=2".to_owned());
        loop {
            let page = program.get(&path).await;
            assert_eq!(page.body["count"], json!({ "value": 6, "exact": true }), "{page:?}");
            seen.extend(page.body["data"].as_array().expect("a list").iter().map(|row| row["email"].as_str().expect("an address").to_owned()));
            match page.header("link") {
                "" => break,
                link => path = link[1..].split('>').next().expect("a link").to_owned(),
            }
        }
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), 6);
        let count = async |query: &str| length(&program.get(&format!("/subscribers?{query}")).await.body["data"]);
        assert_eq!((count("state=pending").await, count("q=@example.org").await, count("q=reader3").await), (1, 5, 1));
        let since = (test_app.app.now() - TimeDelta::hours(1)).format("%Y-%m-%dT%H:%M:%SZ").to_string();
        assert_eq!(count(&format!("updated_since={since}")).await, 1);

        let filter = json!({ "name": "At example.org", "filter": { "search": "@example.org", "state": "active" } });
        let made = program.put("/segments/at-example", &filter).await;
        assert_eq!((made.status, made.header("location")), (StatusCode::CREATED, "/api/v1/segments/at-example"), "{made:?}");
        assert_eq!(program.put("/segments/at-example", &filter).await.status, StatusCode::OK);
        assert_eq!(program.get("/segments/at-example").await.body["filter"], json!({ "search": "@example.org", "state": "active" }));
        assert_eq!(program.get("/segments/at-example/count").await.body, json!({ "value": 5, "exact": true }));
        assert_eq!((count("segment=at-example").await, count("segment=at-example&q=reader1").await), (5, 1));
        assert_eq!(program.get("/subscribers?segment=nothing").await.status, StatusCode::NOT_FOUND);
        let wrong = program.put("/segments/wrong", &json!({ "name": "Wrong", "filter": { "zone": "Mars/Olympus" } })).await;
        assert_eq!(wrong.faults(), [("#/filter/zone", "invalid")], "{wrong:?}");
        assert_eq!(length(&program.get("/segments").await.body["data"]), 1);
        assert_eq!(program.delete("/segments/at-example").await.status, StatusCode::NO_CONTENT);
        assert_eq!(program.delete("/segments/at-example").await.status, StatusCode::NOT_FOUND);
    }

    async fn files_go_in_and_out_as_jobs(test_db) {
        let test_app = app(test_db).await;
        let program = ApiClient::full(&test_app).await;
        let csv = "email,name\nada@example.org,Ada\nnot an address,Bob\n";
        let import = |query: &str| program.request(Method::POST, &format!("/subscribers/imports?consent=at%20the%20fair&confirmed=true{query}"));
        let trial = program.send(import("&dry_run=true").header("content-type", "text/csv").body(csv)).await;
        assert_eq!(trial.status, StatusCode::ACCEPTED, "{trial:?}");
        let trial = program.ended(trial.header("location")).await;
        assert_eq!((&trial["state"], &trial["result"]["added"]), (&json!("done"), &json!(1)), "{trial}");
        assert_eq!(test_app.known_people().await, 0);
        let form = reqwest::multipart::Form::new().part("file", reqwest::multipart::Part::bytes(csv.as_bytes()).file_name("people.csv"));
        let started = program.send(import("").multipart(form)).await;
        let done = program.ended(started.header("location")).await;
        assert_eq!((&done["result"]["read"], &done["result"]["added"], &done["result"]["refused"]), (&json!(2), &json!(1), &json!(1)), "{done}");
        let refused = program.get(done["file"].as_str().expect("a file")).await;
        assert!(refused.header("content-type").starts_with("text/csv") && refused.body.as_str().is_some_and(|text| text.contains("not an address")), "{refused:?}");
        let list = json!({ "subscribers": [{ "email": "eve@example.org", "name": "Eve" }, { "email": "gone@example.org", "left": true }] });
        let started = program.send(import("").json(&list)).await;
        let done = program.ended(started.header("location")).await;
        assert_eq!(done["result"]["added"], 2, "{done}");
        assert_eq!(program.get("/subscribers/gone@example.org").await.body["state"], "unsubscribed");
        assert_eq!(program.send(import("").header("content-type", "text/plain").body("x")).await.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
        let without = program.send(program.request(Method::POST, "/subscribers/imports").header("content-type", "text/csv").body(csv)).await;
        assert_eq!(without.faults(), [("?consent", "required")]);

        let started = program.post("/subscribers/exports", &json!({ "state": "active" })).await;
        let done = program.ended(started.header("location")).await;
        let file = program.get(done["file"].as_str().expect("a file")).await;
        let text = file.body.as_str().expect("text");
        assert!(text.contains("ada@example.org") && text.contains("eve@example.org") && !text.contains("gone@"), "{text}");
        let jobs = program.get("/jobs?limit=2").await;
        assert_eq!(length(&jobs.body["data"]), 2);
        let more = program.get(&format!("/jobs?limit=2&after={}", jobs.body["next"].as_str().expect("more"))).await;
        assert_eq!(length(&more.body["data"]), 2);
        let location = started.header("location");
        assert_eq!(program.post(&format!("{location}/cancel"), &json!({})).await.code(), "conflict", "it has ended");
        let narrow = ApiClient::with(&test_app, Role::Owner, "jobs:read").await;
        assert_eq!(narrow.post(&format!("{location}/cancel"), &json!({})).await.code(), "insufficient_scope");
    }

    async fn an_address_is_suppressed_and_taken_off_again(test_db) {
        let test_app = app(test_db).await;
        let program = ApiClient::full(&test_app).await;
        test_app.seed_subscribers("reader", 1).await;
        let new = json!({ "email": "reader0@example.org", "note": "Asked by phone" });
        let made = program.post("/suppressions", &new).await;
        assert_eq!((made.status, &made.body["reason"], &made.body["note"]), (StatusCode::CREATED, &json!("manual"), &json!("Asked by phone")), "{made:?}");
        assert_eq!(program.post("/suppressions", &new).await.status, StatusCode::OK);
        assert_eq!(program.get("/subscribers/reader0@example.org").await.body["state"], "unsubscribed");
        assert_eq!(length(&program.get("/suppressions").await.body["data"]), 1);
        assert_eq!(length(&program.get("/suppressions?email=reader0@example.org").await.body["data"]), 1);
        assert_eq!(length(&program.get("/suppressions?email=other@example.org").await.body["data"]), 0);
        let off = "/suppressions?email=reader0@example.org&note=wrote%20to%20us";
        assert_eq!(program.delete(off).await.status, StatusCode::NO_CONTENT);
        assert_eq!(program.delete(off).await.status, StatusCode::NOT_FOUND);
        let editor = ApiClient::with(&test_app, Role::Editor, "suppressions:read").await;
        assert_eq!(editor.delete(off).await.code(), "insufficient_scope");
    }

    async fn figures_votes_settings_and_the_audit_log_are_read(test_db) {
        let test_app = app(test_db).await;
        let program = ApiClient::full(&test_app).await;
        test_app.stock_small().await;
        test_app.seed_subscribers("reader", 3).await;
        test_app.app.tick().await.expect("a tick");
        let growth = program.get("/stats/growth?by=week").await;
        assert_eq!((growth.status, &growth.body["active"]), (StatusCode::OK, &json!(3)), "{growth:?}");
        assert_eq!(length(&program.get("/stats/growth?source=nothing").await.body["sources"]), 0);
        assert_eq!(program.get("/stats/growth?from=2026-2-1").await.faults(), [("?from", "format")]);
        assert_eq!(program.get("/stats/deliverability?by=reason").await.status, StatusCode::OK);

        let tools = program.get("/tools").await;
        let slug = tools.body["data"][0]["slug"].as_str().expect("a slug").parse().expect("a slug");
        for n in 0..3 {
            let (id, _) = test_app.app.storage.subscriber_at(&format!("reader{n}@example.org").parse().expect("an address")).await.expect("read").expect("there");
            test_app.app.vote(id, &slug, Verdict::Ship).await.expect("voted");
        }
        let votes = program.get("/votes?limit=2").await;
        assert_eq!((length(&votes.body["data"]), &votes.body["data"][0]["verdict"]), (2, &json!("ship")), "{votes:?}");
        let more = program.get(&format!("/votes?limit=2&after={}", votes.body["next"].as_str().expect("more"))).await;
        assert_eq!((length(&more.body["data"]), &more.body["next"]), (1, &Value::Null));
        assert!(more.body["data"][0]["subscriber"].is_string());
        let narrow = ApiClient::with(&test_app, Role::Owner, "votes:read").await;
        assert!(narrow.get("/votes").await.body["data"][0]["subscriber"].is_null());
        assert_eq!(length(&program.get("/votes?since=2027-01-01T00:00:00Z").await.body["data"]), 0);

        let settings = program.get("/settings").await;
        let of = |settings: &Value, key: &str| settings["data"].as_array().expect("a list").iter().find(|setting| setting["key"] == key).cloned();
        assert_eq!(of(&settings.body, "picker.max_items").expect("there")["value"], "5");
        assert!(of(&settings.body, "site.secret").is_none() && of(&settings.body, "database.url").is_none(), "secrets are not shown");
        let set = |key: &str, value: Value| json!({ "settings": [{ "key": "picker.max_items", "value": "4" }, { "key": key, "value": value }] });
        let wrong = program.patch("/settings", &set("picker.min_items", json!("many"))).await;
        assert_eq!((wrong.status, wrong.code()), (StatusCode::UNPROCESSABLE_ENTITY, "invalid"));
        assert_eq!(program.patch("/settings", &set("database.url", json!("sqlite:x"))).await.status, StatusCode::NOT_FOUND);
        assert_eq!(of(&program.get("/settings").await.body, "picker.max_items").expect("there")["value"], "5", "all or none");
        let done = program.patch("/settings", &set("picker.min_items", json!("2"))).await;
        assert_eq!(of(&done.body, "picker.max_items").expect("there")["origin"], "desk", "{done:?}");
        assert_eq!(test_app.app.settings.picker.max_items, 4);

        let log = program.get(&format!("/audit?actor=token:{}&what=setting.changed", program.id)).await;
        assert_eq!(length(&log.body["data"]), 2, "{log:?}");
        assert_eq!((length(&program.get("/audit?what=nothing.done").await.body["data"]), length(&program.get("/audit?limit=1").await.body["data"])), (0, 1));
        assert_eq!(program.get("/audit?subject=ada@example.org").await.faults(), [("?subject", "invalid")]);
    }
}
