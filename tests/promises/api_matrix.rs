//! Every operation of the API, by its own table: without a token, with a wrong one, with a narrow one; and the document.

use std::path::Path;

use reqwest::Method;
use reqwest::StatusCode;
use serde_json::Value;
use serde_json::json;
use verdicts::domain::api_token::Scope;
use verdicts::domain::user::Role;
use verdicts::web::api::Need;
use verdicts::web::api::demands;

use crate::support::TestApp;
use crate::support::api::Answered;
use crate::support::api::ApiClient;
use crate::support::on_both;

/// A path with something in its open parts.
fn filled(test_app: &TestApp, path: &str) -> String {
    let slot = test_app.slot().to_string();
    let mut filled = String::new();
    for (index, part) in path.split('{').enumerate() {
        if index == 0 {
            filled.push_str(part);
            continue;
        }
        let (name, rest) = part.split_once('}').expect("a name");
        filled.push_str(match name {
            "slot" => &slot,
            "slug" => "nothing",
            "reviewer" => "Builder",
            _ => "abcdefghijklmnopqrstuvwxyz",
        });
        filled.push_str(rest);
    }
    filled
}

/// A limit that no test reaches.
async fn app(test_db: crate::support::TestDb) -> TestApp {
    TestApp::open_with(test_db, |settings| {
        settings.api.burst = 100_000;
        settings.api.requests_per_minute = 100_000;
    })
    .await
}

on_both! {
    async fn each_operation_demands_a_token_that_works_and_has_the_scope(test_db) {
        let test_app = app(test_db).await;
        let full = ApiClient::full(&test_app).await;
        let wrong = format!("vd_{}_{}", full.id, "A".repeat(43));
        let table = demands();
        assert!(table.len() > 10, "{table:?}");
        for (method, path, need) in table {
            let path = filled(&test_app, &path);
            let ask = async |token: Option<&str>| {
                let mut request = test_app.request(method.clone(), &path);
                if let Some(token) = token {
                    request = request.header("authorization", format!("Bearer {token}"));
                }
                Answered::read(request.send().await.expect("an answer")).await
            };
            let here = format!("{method} {path}");
            if need == Need::Nothing {
                assert_eq!(ask(None).await.status, StatusCode::OK, "{here}");
                continue;
            }
            for (token, challenge) in [
                (None, "Bearer realm=\"verdicts\""),
                (Some(&*wrong), "Bearer realm=\"verdicts\", error=\"invalid_token\""),
                (Some("secret"), "Bearer realm=\"verdicts\", error=\"invalid_token\""),
            ] {
                let answer = ask(token).await;
                assert_eq!((answer.status, answer.code()), (StatusCode::UNAUTHORIZED, "unauthorized"), "{here}");
                assert_eq!(answer.header("www-authenticate"), challenge, "{here}");
            }
            if let Need::Scope(scope) = need {
                let other = if scope == Scope::VotesRead { Scope::StatsRead } else { Scope::VotesRead };
                let narrow = ApiClient::with(&test_app, Role::Owner, other.as_str()).await;
                let answer = ask(Some(&narrow.token)).await;
                assert_eq!((answer.status, answer.code()), (StatusCode::FORBIDDEN, "insufficient_scope"), "{here}");
                assert!(answer.header("www-authenticate").contains(&format!("scope=\"{scope}\"")), "{here}");
            }
            let answer = ask(Some(&full.token)).await;
            assert!(![StatusCode::UNAUTHORIZED, StatusCode::METHOD_NOT_ALLOWED].contains(&answer.status), "{here}: {answer:?}");
            assert!(answer.body["code"] != "insufficient_scope" && !answer.status.is_server_error(), "{here}: {answer:?}");
            assert!(!answer.header("ratelimit").is_empty() && !answer.header("x-request-id").is_empty(), "{here}");
        }
    }
}

#[test]
fn the_document_in_the_repository_is_the_one_that_is_served() {
    let file = Path::new("docs/openapi.json");
    let made = verdicts::web::api::openapi();
    if std::env::var_os("INSTA_UPDATE").is_some_and(|wish| wish == "always") {
        std::fs::write(file, &made).expect("written");
    }
    let kept = std::fs::read_to_string(file).unwrap_or_default();
    assert!(
        kept == made,
        "docs/openapi.json differs from the code: run this test with INSTA_UPDATE=always, and read the difference"
    );
}

on_both! {
    async fn the_document_is_served_to_everybody(test_db) {
        let test_app = app(test_db).await;
        let answer = Answered::read(test_app.get("/api/v1/openapi.json").await).await;
        assert_eq!((answer.status, answer.header("content-type")), (StatusCode::OK, "application/json"));
        assert_eq!(answer.body["openapi"], "3.1.0");
        assert_eq!((&answer.body["servers"][0]["url"], &answer.body["paths"]["/v1/tools"]["get"]["operationId"]), (&json!("/api"), &json!("listTools")));
        let paths = answer.body["paths"].as_object().expect("paths");
        let described: usize = paths.values().map(|path| path.as_object().expect("methods").keys().filter(|key| *key != "parameters").count()).sum();
        assert_eq!(described, demands().len());
    }

    async fn whatever_goes_wrong_is_a_problem_document(test_db) {
        let test_app = app(test_db).await;
        let program = ApiClient::full(&test_app).await;
        let missing = program.get("/nothing-here").await;
        assert_eq!((missing.status, missing.code()), (StatusCode::NOT_FOUND, "not_found"));
        assert_eq!(program.get("/tools/").await.status, StatusCode::NOT_FOUND, "a slash at the end is another address");
        let method = program.send(program.request(Method::DELETE, "/jobs")).await;
        assert_eq!((method.status, method.code()), (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed"));
        assert_eq!(method.header("allow"), "GET,HEAD");
        let form = program.send(program.request(Method::POST, "/tools").form(&[("slug", "a")])).await;
        assert_eq!((form.status, form.code()), (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type"));
        let large = json!({ "slug": "a".repeat(300 << 10) });
        let large = program.post("/tools", &large).await;
        assert_eq!((large.status, large.code()), (StatusCode::PAYLOAD_TOO_LARGE, "too_large"));
        let accept = program.send(program.request(Method::GET, "/tools").header("accept", "text/html")).await;
        assert_eq!((accept.status, accept.code()), (StatusCode::NOT_ACCEPTABLE, "not_acceptable"));
        let version = program.send(program.request(Method::GET, "/tools").header("x-api-version", "2020-01-01")).await;
        assert_eq!((version.status, version.code()), (StatusCode::BAD_REQUEST, "unsupported_version"));
        let named = program.send(program.request(Method::GET, "").header("x-request-id", "my-id.7").header("x-api-version", "2026-12-01")).await;
        assert_eq!((named.status, named.header("x-request-id"), named.header("x-api-version")), (StatusCode::OK, "my-id.7", "2026-12-01"));
        let strange = program.send(program.request(Method::GET, "").header("x-request-id", "a b")).await;
        assert_ne!(strange.header("x-request-id"), "a b");
        for (query, pointer, code) in [
            ("?limit=0", "?limit", "minimum"),
            ("?limit=x", "?limit", "type"),
            ("?limit=1&limit=2", "?limit", "twice"),
            ("?limit=99999999999999999999", "?limit", "type"),
            ("?nothing=1", "?nothing", "unknown_field"),
            ("?q=%ff", "?q", "invalid_text"),
            ("?q=%00", "?q", "invalid_text"),
            ("?after=x", "?after", "invalid"),
            ("?updated_since=2026-12-1T00:00:00Z", "?updated_since", "format"),
        ] {
            let answer = program.get(&format!("/tools{query}")).await;
            assert_eq!((answer.status, answer.code()), (StatusCode::UNPROCESSABLE_ENTITY, "invalid"), "{query}");
            assert_eq!(answer.faults(), [(pointer, code)], "{query}");
        }
    }

    async fn a_body_is_held_to_the_document(test_db) {
        let test_app = app(test_db).await;
        let program = ApiClient::full(&test_app).await;
        let tool = || json!({ "slug": "a", "name": "A", "category": "Data", "tagline": "It counts", "description": "It counts well." });
        let send = async |text: &str| {
            let request = program.request(Method::POST, "/tools?dry_run=true").header("content-type", "application/json ;charset=utf-8");
            program.send(request.body(text.to_owned())).await
        };
        let with = |field: &str, value: Value| {
            let mut tool = tool();
            tool[field] = value;
            tool.to_string()
        };
        assert_eq!(send(&tool().to_string()).await.status, StatusCode::OK);
        let review = |score: &str| format!("[{{\"reviewer\":\"Builder\",\"score\":{score},\"verdict\":\"ship\",\"take\":\"Good.\"}}]");
        let text = |score: &str| tool().to_string().replace("\"slug\"", &format!("\"reviews\":{},\"slug\"", review(score)));
        assert_eq!(send(&text("82.0")).await.status, StatusCode::OK, "a whole float is an integer");
        for (body, expected) in [
            ("[\"a\"]".to_owned(), ("#", "type")),
            ("[]".to_owned(), ("#", "type")),
            ("null".to_owned(), ("#", "type")),
            (with("name", json!("A\u{0}")), ("#/name", "invalid_text")),
            (tool().to_string().replace("It counts well.", "\\ud800"), ("#", "invalid_text")),
            (text("9223372036854775808"), ("#/reviews/0/score", "maximum")),
            (text("101"), ("#/reviews/0/score", "maximum")),
            (text("8.5"), ("#/reviews/0/score", "type")),
            (with("name", Value::Null), ("#/name", "type")),
            (with("published_at", json!("2026-12-1T09:00:00Z")), ("#/published_at", "format")),
            (with("slug", json!("A B")), ("#/slug", "pattern")),
            (with("more", json!(1)), ("#/more", "unknown_field")),
        ] {
            let answer = send(&body).await;
            assert_eq!((answer.status, answer.code()), (StatusCode::UNPROCESSABLE_ENTITY, "invalid"), "{body}: {answer:?}");
            assert_eq!(answer.faults(), [expected], "{body}");
        }
        for bad in ["{", "", "\u{feff}{}"] {
            let answer = send(bad).await;
            assert_eq!((answer.status, answer.code()), (StatusCode::BAD_REQUEST, "bad_request"), "{bad:?}");
        }
        assert_eq!(program.get("/tools").await.body["data"], json!([]), "nothing was written");
    }
}

/// An example of the documentation: the status that it answers with, method, path, headers and body.
type Example = (u16, Method, String, Vec<(String, String)>, String);

fn examples() -> Vec<Example> {
    let text = std::fs::read_to_string("docs/api.md").expect("the documentation");
    let blocks = text.split("\n```http ").skip(1);
    let read = |block: &str| {
        let block = block.split("\n```").next().expect("an end");
        let (status, request) = block.split_once('\n').expect("a request");
        let (head, body) = request.split_once("\n\n").unwrap_or((request, ""));
        let mut lines = head.lines();
        let (method, path) = lines
            .next()
            .and_then(|line| line.split_once(' '))
            .expect("a method");
        let headers = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        (
            status.trim().parse().expect("a status"),
            method.parse().expect("a method"),
            path.to_owned(),
            headers.collect(),
            body.to_owned(),
        )
    };
    blocks.map(read).collect()
}

on_both! {
    async fn every_example_of_the_documentation_answers_as_it_says(test_db) {
        let test_app = app(test_db).await;
        test_app.stock_small().await;
        let program = ApiClient::full(&test_app).await;
        let examples = examples();
        assert!(examples.len() > 8, "{examples:?}");
        for (status, method, path, headers, body) in examples {
            let mut request = program.request(method.clone(), &path);
            for (name, value) in headers {
                request = request.header(name, value);
            }
            let answer = program.send(request.body(body)).await;
            assert_eq!(answer.status.as_u16(), status, "{method} {path}: {answer:?}");
        }
    }

    async fn the_reference_page_shows_every_operation_and_needs_no_other_host(test_db) {
        let test_app = app(test_db).await;
        let page = test_app.page("/api").await;
        for (method, path, _) in demands() {
            assert!(page.contains(&format!("{method} {path}</code>")), "{method} {path}");
        }
        let hosts: Vec<&str> = page.split(['"', ' ']).filter(|text| text.starts_with("http") && !text.starts_with(&test_app.url)).collect();
        assert!(hosts.is_empty(), "{hosts:?}");
    }
}
