//! What is too much, too long or not understood gets a sentence and changes nothing; and what every answer keeps to.

use crate::support::TestApp;
use crate::support::TestDb;
use crate::support::on_both;
use reqwest::Method;
use reqwest::RequestBuilder;
use reqwest::Response;
use reqwest::StatusCode;
use serde_json::json;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

const FORM: &str = "application/x-www-form-urlencoded";

async fn app_that_allows(test_db: TestDb, sign_ups: u32, trusted_proxy: Option<&str>) -> TestApp {
    TestApp::open_with(test_db, |settings| {
        settings.signup.per_client = sign_ups;
        settings.site.trusted_proxies = trusted_proxy
            .iter()
            .map(|net| net.parse().expect("a network"))
            .collect();
    })
    .await
}

fn subscribe(test_app: &TestApp, kind: &str, body: impl Into<reqwest::Body>) -> RequestBuilder {
    test_app
        .request(Method::POST, "/subscribe")
        .header("content-type", kind)
        .body(body)
}

/// Signs up through proxies that say so of where it came from.
async fn sign_up_from(test_app: &TestApp, forwarded_for: &str, email: &str) -> StatusCode {
    let request = test_app
        .request(Method::POST, "/subscribe")
        .header("x-forwarded-for", forwarded_for)
        .form(&[("email", email)]);
    request.send().await.expect("an answer").status()
}

async fn sent(request: RequestBuilder) -> Response {
    request.send().await.expect("an answer")
}

/// Checks that it is a page with a sentence, and gives its text.
pub async fn sentence_on_page(answer: Response) -> String {
    assert_eq!(answer.headers()["content-type"], "text/html; charset=utf-8");
    let page = answer.text().await.expect("a page");
    let sentence = crate::joining::between(&page, "</h1>", "</p>")
        .trim_start()
        .trim_start_matches("<p>");
    assert!(
        sentence.ends_with('.') && sentence.contains(' '),
        "{sentence:?} is a sentence"
    );
    page
}

/// Checks that it is a problem document with a sentence, and gives the sentence.
pub async fn sentence_in_json(answer: Response) -> String {
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
    let status = answer.status().as_u16();
    let body: serde_json::Value = answer.json().await.expect("JSON");
    assert_eq!(body["status"], status, "{body}");
    assert_eq!(body["error"], body["detail"], "{body}");
    let sentence = body["detail"].as_str().expect("a detail").to_owned();
    assert!(
        sentence.ends_with('.') && sentence.contains(' '),
        "{sentence:?} is a sentence"
    );
    sentence
}

async fn assert_nobody_is_known(test_app: &TestApp) {
    assert_eq!(
        (
            test_app.known_people().await,
            test_app.waiting_confirmations().await
        ),
        (0, 0)
    );
}

/// What the server answers to these bytes, up to the end of the head.
async fn raw(test_app: &TestApp, request: &str) -> String {
    let mut stream = TcpStream::connect(test_app.app.settings.site.listen)
        .await
        .expect("connected");
    stream.write_all(request.as_bytes()).await.expect("written");
    let mut answer = Vec::new();
    while !answer.windows(4).any(|end| end == b"\r\n\r\n")
        && stream.read_buf(&mut answer).await.expect("read") > 0
    {}
    String::from_utf8_lossy(&answer).into_owned()
}

/// Where the page's stylesheet is.
fn style_of(page: &str) -> String {
    crate::joining::between(page, "rel=\"stylesheet\" href=\"", "\"").to_owned()
}

fn assert_no_inline_code(page: &str) {
    let page = &page
        .replace("<script src=\"/assets/", "")
        .replace("<script type=\"application/ld+json\">", "");
    for inline in ["<script", "<style", " style=", "javascript:"] {
        assert!(!page.contains(inline), "{inline} in {page}");
    }
    let handler = |word: &str| {
        word.starts_with("on")
            && word
                .split_once('=')
                .is_some_and(|(name, _)| name.bytes().all(|b| b.is_ascii_lowercase()))
    };
    assert_eq!(page.split_whitespace().find(|word| handler(word)), None);
}

on_both! {
    async fn who_signs_up_too_often_is_told_when_to_come_back(test_db) {
        let test_app = app_that_allows(test_db, 3, None).await;
        for n in 0..3 {
            assert_eq!(test_app.sign_up(&format!("ada{n}@example.org")).await.status(), StatusCode::SEE_OTHER);
        }
        let page = test_app.sign_up("late@example.org").await;
        let json = test_app.post_json("/subscribe", &json!({ "email": "late@example.org" })).await;
        for answer in [&page, &json] {
            assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
            let wait: u64 = answer.headers()["retry-after"].to_str().expect("text").parse().expect("seconds");
            assert!((1..=3600).contains(&wait), "{wait} s");
        }
        assert!(sentence_on_page(page).await.contains("Try again in"));
        assert!(sentence_in_json(json).await.contains("Try again in"));
        assert_eq!((test_app.known_people().await, test_app.waiting_confirmations().await), (3, 3));

        test_app.deliver_confirmations().await;
        let link = crate::journey::link(&test_app.mails_to("ada0@example.org")[0], "/confirm/");
        assert_eq!(test_app.post(&link).await.status(), StatusCode::OK, "the rest of the site is still there for them");
    }

    async fn nobody_gets_around_the_limit_by_a_header_of_their_own(test_db) {
        let test_app = app_that_allows(test_db, 1, None).await;
        assert_eq!(sign_up_from(&test_app, "203.0.113.1", "ada@example.org").await, StatusCode::SEE_OTHER);
        assert_eq!(sign_up_from(&test_app, "203.0.113.2", "bob@example.org").await, StatusCode::TOO_MANY_REQUESTS);
        let ada = test_app.app.person(&"ada@example.org".parse().expect("an address")).await.expect("known");
        assert_eq!(ada.consents[0].network.as_deref(), Some("127.0.0.0/24"));
    }

    async fn a_trusted_proxy_says_who_asks_and_its_client_cannot_make_others_up(test_db) {
        let test_app = app_that_allows(test_db, 1, Some("127.0.0.0/8")).await;
        assert_eq!(sign_up_from(&test_app, "203.0.113.1", "ada@example.org").await, StatusCode::SEE_OTHER);
        assert_eq!(sign_up_from(&test_app, "203.0.113.2", "bob@example.org").await, StatusCode::SEE_OTHER);
        for spoofed in ["203.0.113.2", "198.51.100.9, 203.0.113.2", "198.51.100.9,203.0.113.2,127.0.0.2", "x, 203.0.113.2"] {
            assert_eq!(sign_up_from(&test_app, spoofed, "eve@example.org").await, StatusCode::TOO_MANY_REQUESTS, "{spoofed}");
        }
        assert_eq!(sign_up_from(&test_app, "2001:db8::1", "cy@example.org").await, StatusCode::SEE_OTHER);
        assert_eq!(sign_up_from(&test_app, "2001:db8::2", "eve@example.org").await, StatusCode::TOO_MANY_REQUESTS, "a /64 is one client");
        assert_eq!(test_app.known_people().await, 3);
    }

    async fn a_body_over_sixteen_kilobytes_is_refused_and_nothing_is_kept(test_db) {
        let test_app = app_that_allows(test_db, 100, None).await;
        let form = |size: usize| format!("email=ada@example.org&filler={}", "x".repeat(size - 29));
        let page = sent(subscribe(&test_app, FORM, form(16 * 1024 + 1))).await;
        assert_eq!(page.status(), StatusCode::PAYLOAD_TOO_LARGE);
        sentence_on_page(page).await;
        let body = json!({ "email": "ada@example.org", "name": "x".repeat(17_000) });
        let json = test_app.post_json("/subscribe", &body).await;
        assert_eq!(json.status(), StatusCode::PAYLOAD_TOO_LARGE);
        sentence_in_json(json).await;
        let chunk = format!("{:x}\r\n{}\r\n0\r\n\r\n", 17_000, form(17_000));
        let head = format!("POST /subscribe HTTP/1.1\r\nHost: localhost\r\nContent-Type: {FORM}\r\nTransfer-Encoding: chunked\r\n\r\n");
        assert!(raw(&test_app, &format!("{head}{chunk}")).await.starts_with("HTTP/1.1 413 "), "also when its length was not said");
        assert_nobody_is_known(&test_app).await;
        assert_eq!(form(16 * 1024).len(), 16 * 1024);
        assert_eq!(sent(subscribe(&test_app, FORM, form(16 * 1024))).await.status(), StatusCode::SEE_OTHER, "sixteen are none too many");
    }

    async fn a_kind_of_body_that_nobody_asked_for_is_refused(test_db) {
        let test_app = app_that_allows(test_db, 100, None).await;
        for kind in ["text/plain", "application/xml", "application/octet-stream", "multipart/form-data; boundary=x", "nonsense", "\u{fc}"] {
            let page = sent(subscribe(&test_app, kind, "email=ada@example.org")).await;
            assert_eq!(page.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE, "{kind}");
            sentence_on_page(page).await;
            let json = sent(subscribe(&test_app, kind, "email=ada@example.org").header("accept", "application/json")).await;
            assert_eq!(json.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE, "{kind}");
            sentence_in_json(json).await;
        }
        assert_nobody_is_known(&test_app).await;
    }

    async fn a_media_type_is_known_in_any_case(test_db) {
        let test_app = app_that_allows(test_db, 100, None).await;
        let json = sent(subscribe(&test_app, "Application/JSON; charset=UTF-8", r#"{"email":"ada@example.org"}"#)).await;
        assert_eq!(json.status(), StatusCode::ACCEPTED);
        let form = sent(subscribe(&test_app, "Application/X-WWW-Form-Urlencoded;charset=utf-8", "email=bob%40example.org")).await;
        assert_eq!(form.status(), StatusCode::SEE_OTHER);
        assert_eq!(test_app.known_people().await, 2);
    }

    async fn json_that_is_not_what_was_expected_gets_a_sentence(test_db) {
        let test_app = app_that_allows(test_db, 1_000, None).await;
        let deep = format!("{}1{}", "[".repeat(8_000), "]".repeat(8_000));
        let bodies: [&[u8]; 11] = [
            b"",
            b"{",
            b"{}",
            b"[]",
            b"null",
            b"\"ada@example.org\"",
            br#"{"email":5}"#,
            br#"{"email":null}"#,
            br#"{"email":["ada@example.org"]}"#,
            b"{\"email\":\"\xff@example.org\"}",
            deep.as_bytes(),
        ];
        for body in bodies {
            let answer = sent(subscribe(&test_app, "application/json", body.to_vec())).await;
            assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY, "{}", String::from_utf8_lossy(body));
            let sentence = sentence_in_json(answer).await;
            assert!(!sentence.contains("struct") && !sentence.contains("expected expected"), "in words that are not ours alone: {sentence}");
        }
        assert_nobody_is_known(&test_app).await;
    }

    async fn a_form_that_is_not_utf8_makes_up_no_address(test_db) {
        let test_app = app_that_allows(test_db, 1_000, None).await;
        let bodies: [&[u8]; 5] = [
            b"email=%FF@example.org",
            b"email=\xff@example.org",
            b"email=ada@ex%E4mple.org",
            b"email=%C3@example.org",
            b"\xff=\xfe&email=%",
        ];
        for body in bodies {
            let answer = sent(subscribe(&test_app, FORM, body.to_vec())).await;
            assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY, "{}", String::from_utf8_lossy(body));
            assert!(answer.text().await.expect("a page").contains("role=\"alert\""));
        }
        assert_nobody_is_known(&test_app).await;
    }

    async fn an_address_that_goes_on_for_ever_is_not_found_and_the_house_still_stands(test_db) {
        let test_app = TestApp::open(test_db).await;
        for test_db in ["/confirm/", "/unsubscribe/", "/comparisons/", "/tools/", "/digests/", "/mailbox/", "/"] {
            for long in ["A".repeat(8_000), "%F0%9F%92%8C".repeat(600), "a-".repeat(4_000)] {
                let answer = test_app.get(&format!("{test_db}{long}")).await;
                assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{test_db}");
                sentence_on_page(answer).await;
            }
        }
        assert_eq!(test_app.post(&format!("/confirm/{}", "A".repeat(8_000))).await.status(), StatusCode::NOT_FOUND);
        let line = |length: usize| format!("GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "x".repeat(length));
        assert!(raw(&test_app, &line(70_000)).await.starts_with("HTTP/1.1 4"), "one that is no address any more");
        assert_eq!(test_app.get("/healthz").await.status(), StatusCode::OK);
    }

    async fn an_address_that_is_not_utf8_gets_a_page_with_a_sentence(test_db) {
        let test_app = TestApp::open(test_db).await;
        for path in
            ["/confirm/%FF", "/unsubscribe/%FF", "/comparisons/%FF", "/tools/%C3%28", "/digests/%FF", "/mailbox/%FF", "/mailbox/%FF/html"]
        {
            let answer = test_app.get(path).await;
            assert!(answer.status().is_client_error(), "{path}: {}", answer.status());
            sentence_on_page(answer).await;
        }
    }

    async fn every_answer_forbids_what_a_page_does_not_need(test_db) {
        let test_app = app_that_allows(test_db, 2, None).await;
        test_app.stock_small().await;
        let style = style_of(&test_app.page("/").await);
        let mut answers = vec![test_app.sign_up("ada@example.org").await, test_app.sign_up("bad").await];
        for email in ["bob@example.org", "eve@example.org"] {
            answers.push(test_app.post_json("/subscribe", &json!({ "email": email })).await);
        }
        for path in [
            "/",
            &style,
            "/comparisons/t0-l-vs-t0-r",
            "/nowhere",
            "/confirm/x",
            "/feed.xml",
            "/healthz",
            "/readyz",
            "/metrics",
            "/mailbox",
            "/robots.txt",
        ] {
            answers.push(test_app.get(path).await);
            answers.push(sent(test_app.request(Method::DELETE, path)).await);
        }
        let statuses: std::collections::BTreeSet<u16> = answers.iter().map(|answer| answer.status().as_u16()).collect();
        assert_eq!(statuses.into_iter().collect::<Vec<_>>(), [200, 202, 303, 404, 405, 422, 429], "all kinds are among them");
        for answer in answers {
            let header = |name| answer.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
            let policy = header("content-security-policy");
            assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{}: {policy}", answer.url());
            assert!(
                policy.contains("frame-ancestors 'none'") && policy.contains("base-uri 'none'") && policy.contains("form-action 'self'")
            );
            assert_eq!((header("x-content-type-options"), header("x-frame-options")), ("nosniff", "DENY"), "{}", answer.url());
            assert!(!header("referrer-policy").is_empty() && !header("cache-control").is_empty(), "{}", answer.url());
            assert!(!answer.headers().contains_key("set-cookie"));
            if header("content-type").starts_with("text/html") {
                assert_no_inline_code(&answer.text().await.expect("a page"));
            }
        }
    }

    async fn the_stylesheet_may_be_kept_for_ever_for_its_address_changes_with_it(test_db) {
        let test_app = TestApp::open(test_db).await;
        let page = test_app.page("/").await;
        assert_eq!(page.matches("rel=\"stylesheet\"").count(), 1);
        let path = style_of(&page);
        let answer = test_app.get(&path).await;
        assert_eq!(answer.headers()["content-type"], "text/css; charset=utf-8");
        let kept = answer.headers()["cache-control"].to_str().expect("text").to_owned();
        let age: u64 = kept.split("max-age=").nth(1).and_then(|rest| rest.split(',').next()?.parse().ok()).expect("an age");
        assert!(kept.contains("public") && kept.contains("immutable") && age >= 31_536_000, "{kept}");
        assert!(answer.text().await.expect("a text").len() > 500);
        assert_eq!(
            test_app.get(&path.replace(".css", "0.css")).await.status(),
            StatusCode::NOT_FOUND,
            "another text would have another address"
        );
    }

    async fn the_operators_machines_learn_how_it_is(test_db) {
        let test_app = TestApp::open(test_db).await;
        test_app.sign_up("ada@example.org").await;
        assert_eq!(test_app.get("/healthz").await.json::<serde_json::Value>().await.expect("JSON"), json!({ "status": "up" }));
        let ready: serde_json::Value = test_app.get("/readyz").await.json().await.expect("JSON");
        assert_eq!(ready, json!({ "status": "ready" }));
        let before = test_app.get("/metrics").await;
        assert!(before.headers()["content-type"].to_str().expect("text").starts_with("text/plain; version=0.0.4"));
        test_app.sign_up("bob@example.org").await;
        let counted = test_app.page("/metrics").await;
        for name in ["verdicts_sign_ups_total", "verdicts_requests_total{status=\"3xx\"}"] {
            assert!(counted.lines().any(|line| line.starts_with(name)), "{name} in {counted}");
        }
        assert!(!counted.contains("example.org"), "no address stands in the figures");
    }

    async fn without_its_database_the_house_is_up_but_not_ready_and_says_so(test_db) {
        let test_app = TestApp::open(test_db).await;
        test_app.app.storage.close().await;
        assert_eq!(test_app.get("/healthz").await.status(), StatusCode::OK);
        let ready = test_app.get("/readyz").await;
        assert_eq!(ready.status(), StatusCode::SERVICE_UNAVAILABLE);
        let ready: serde_json::Value = ready.json().await.expect("JSON");
        assert!(ready["error"].as_str().is_some_and(|sentence| sentence.ends_with('.')), "{ready}");
        let (front, sign_up) = (test_app.get("/").await, test_app.sign_up("ada@example.org").await);
        let json = test_app.post_json("/subscribe", &json!({ "email": "ada@example.org" })).await;
        for answer in [&front, &sign_up, &json] {
            assert_eq!((answer.status(), answer.headers()["retry-after"].to_str().ok()), (StatusCode::SERVICE_UNAVAILABLE, Some("60")));
        }
        sentence_on_page(front).await;
        sentence_on_page(sign_up).await;
        sentence_in_json(json).await;
    }
}
