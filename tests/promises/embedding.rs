//! Signing up from pages of other sites: which may, what their browsers are told, and that nothing else opens with it.

use crate::joining::between;
use crate::joining::unescaped;
use crate::support::TestApp;
use crate::support::TestDb;
use crate::support::on_both;
use reqwest::Method;
use reqwest::RequestBuilder;
use reqwest::Response;
use reqwest::StatusCode;
use serde_json::json;

const LISTED: &str = "https://blog.example";

async fn app_with_a_listed_site(test_db: TestDb) -> TestApp {
    TestApp::open_with(test_db, |settings| {
        settings.signup.origins = vec![LISTED.into(), "http://other.example:8000".into()]
    })
    .await
}

/// A request as a browser makes it for a page of `origin`.
fn from(test_app: &TestApp, method: Method, path: &str, origin: &str) -> RequestBuilder {
    test_app
        .request(method, path)
        .header("origin", origin)
        .header("sec-fetch-site", "cross-site")
}

async fn answer(request: RequestBuilder) -> Response {
    request.send().await.expect("an answer")
}

/// What a browser is told that a page may do.
fn permissions(answer: &Response) -> Vec<(String, String)> {
    let headers = answer
        .headers()
        .iter()
        .filter(|(name, _)| name.as_str().starts_with("access-control-allow-"));
    headers
        .map(|(name, value)| (name.to_string(), value.to_str().expect("text").to_owned()))
        .collect()
}

async fn source_of(test_app: &TestApp, email: &str) -> String {
    let person = test_app
        .app
        .person(&email.parse().expect("an address"))
        .await
        .expect("somebody known");
    person.consents[0].source.clone()
}

on_both! {
    async fn the_form_for_other_sites_signs_up_without_a_script_or_a_cookie(test_db) {
        let test_app = app_with_a_listed_site(test_db).await;
        let page = test_app.page("/embed").await;
        let form = unescaped(between(&page, "<code>", "</code>"));
        assert_eq!(between(&form, "action=\"", "\""), format!("{}/subscribe", test_app.url));
        let consent = between(&form, "<small>", "</small>").to_owned();
        assert!(form.contains("method=\"post\"") && form.contains("name=\"email\"") && !form.contains("<script"), "{form}");
        for email in ["ada@example.org", "ada@example.org", "bob@example.org"] {
            let answer = answer(from(&test_app, Method::POST, "/subscribe", LISTED).form(&[("email", email), ("website", "")])).await;
            assert_eq!((answer.status(), answer.headers()["location"].to_str().ok()), (StatusCode::SEE_OTHER, Some("/check-inbox")));
            assert!(answer.headers().get("set-cookie").is_none());
        }
        assert!(test_app.page("/check-inbox").await.contains("Look in your inbox"));
        assert_eq!((test_app.known_people().await, test_app.waiting_confirmations().await), (2, 2));
        assert_eq!(source_of(&test_app, "ada@example.org").await, format!("web form on {LISTED}"), "the record of consent says where");
        let shown = test_app.app.person(&"ada@example.org".parse().expect("an address")).await.expect("known").consents[0].shown.clone();
        assert_eq!(unescaped(&consent), shown, "and what stood there");
    }

    async fn a_form_on_an_unknown_site_leads_to_ours_with_what_was_typed(test_db) {
        let test_app = app_with_a_listed_site(test_db).await;
        let closed = ["https://evil.example", "http://blog.example", "https://blog.example:444", "https://blog.example.evil.example", "https://sub.blog.example", "null"];
        for origin in closed {
            let refused = answer(from(&test_app, Method::POST, "/subscribe", origin).form(&[("email", "ada@example.org")])).await;
            assert_eq!((refused.status(), permissions(&refused)), (StatusCode::FORBIDDEN, vec![]), "{origin}");
            let page = refused.text().await.expect("a page");
            assert!(page.contains("action=\"/subscribe\"") && page.contains("required value=\"ada@example.org\""), "{page}");
            assert!(between(&page, "role=\"alert\">", "</p>").ends_with('.'));
            let refused = answer(from(&test_app, Method::POST, "/subscribe", origin).json(&json!({ "email": "ada@example.org" }))).await;
            assert_eq!((refused.status(), permissions(&refused)), (StatusCode::FORBIDDEN, vec![]), "{origin}");
        }
        let old_browser = test_app.request(Method::POST, "/subscribe").header("origin", "https://evil.example").form(&[("email", "ada@example.org")]);
        assert_eq!(answer(old_browser).await.status(), StatusCode::FORBIDDEN, "one that says no more than the origin");
        assert_eq!(test_app.known_people().await, 0);
        let own = [("sec-fetch-site", "same-origin".to_owned()), ("origin", test_app.url.clone()), ("origin", "http://news.internal".into())];
        for (n, (name, value)) in own.into_iter().enumerate() {
            let host = value.split_once("://").map_or("localhost", |(_, host)| host).to_owned();
            let request = test_app.request(Method::POST, "/subscribe").header(name, value).header("host", host);
            assert_eq!(answer(request.form(&[("email", format!("own{n}@example.org"))])).await.status(), StatusCode::SEE_OTHER, "{name}");
        }
    }

    async fn scripts_of_listed_sites_alone_may_send_json_and_read_the_answer(test_db) {
        let test_app = app_with_a_listed_site(test_db).await;
        let ask_first = |origin: &str, method: &str| {
            let request = from(&test_app, Method::OPTIONS, "/subscribe", origin);
            request.header("access-control-request-method", method.to_owned()).header("access-control-request-headers", "content-type")
        };
        let before = test_app.test_db.dump().await;
        for origin in [LISTED, "http://other.example:8000"] {
            let allowed = answer(ask_first(origin, "POST")).await;
            assert!(allowed.status().is_success());
            let expected = [
                ("access-control-allow-headers", "content-type,accept"),
                ("access-control-allow-methods", "POST"),
                ("access-control-allow-origin", origin),
            ];
            let mut told = permissions(&allowed);
            told.sort();
            assert_eq!(told, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
            assert!(varies_by_origin(&allowed));
        }
        let refused = answer(ask_first("https://evil.example", "POST")).await;
        assert!(refused.headers().get("access-control-allow-origin").is_none() && varies_by_origin(&refused));
        assert_eq!(test_app.test_db.dump().await, before, "asking first signs nobody up");

        let send = async |email: &str| answer(from(&test_app, Method::POST, "/subscribe", LISTED).json(&json!({ "email": email }))).await;
        test_app.seed_subscribers("known", 1).await;
        for email in ["ada@example.org", "known0@example.org"] {
            let sent = send(email).await;
            assert_eq!((sent.status(), sent.headers()["access-control-allow-origin"].to_str().ok()), (StatusCode::ACCEPTED, Some(LISTED)));
            assert!(varies_by_origin(&sent) && sent.headers().get("access-control-allow-credentials").is_none());
            assert_eq!(sent.text().await.expect("text"), r#"{"status":"check_inbox"}"#);
        }
        assert_eq!(source_of(&test_app, "ada@example.org").await, format!("api on {LISTED}"));
        let refused = send("ada").await;
        assert_eq!((refused.status(), refused.headers()["access-control-allow-origin"].to_str().ok()), (StatusCode::UNPROCESSABLE_ENTITY, Some(LISTED)));
        assert!(refused.json::<serde_json::Value>().await.expect("JSON")["error"].as_str().is_some_and(|sentence| sentence.ends_with('.')));
        let plain = test_app.post_json("/subscribe", &json!({ "email": "program@example.org" })).await;
        assert!(plain.status() == StatusCode::ACCEPTED && plain.headers().get("access-control-allow-origin").is_none(), "what is no browser");
    }

    async fn other_sites_share_the_limits_of_our_own_form(test_db) {
        let test_app = TestApp::open_with(test_db, |settings| {
            settings.signup.origins = vec![LISTED.into()];
            settings.signup.per_client = 2;
        })
        .await;
        test_app.sign_up("one@example.org").await;
        answer(from(&test_app, Method::POST, "/subscribe", LISTED).form(&[("email", "two@example.org")])).await;
        answer(from(&test_app, Method::POST, "/subscribe", "https://evil.example").form(&[("email", "three@example.org")])).await;
        let refused = answer(from(&test_app, Method::POST, "/subscribe", LISTED).json(&json!({ "email": "four@example.org" }))).await;
        assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
        let header = |name: &str| refused.headers()[name].to_str().expect("text");
        assert_eq!((header("access-control-allow-origin"), header("access-control-expose-headers")), (LISTED, "retry-after"));
        assert!(header("retry-after").parse::<u64>().is_ok_and(|seconds| seconds > 0));
        assert_eq!(test_app.known_people().await, 2);
    }

    async fn a_listed_site_may_do_nothing_but_sign_up(test_db) {
        let test_app = app_with_a_listed_site(test_db).await;
        test_app.stock_small().await;
        test_app.seed_subscribers("reader", 1).await;
        test_app.send_digest().await;
        let digest = test_app.mails_to("reader0@example.org").pop().expect("a digest");
        let save = crate::journey::link(&digest, "/save/t1-l/");
        let cookie = test_app.post(&save).await.headers()["set-cookie"].to_str().expect("text").split(';').next().expect("a pair").to_owned();
        let before = test_app.test_db.dump().await;
        for (path, field) in [("/tools/t0-l/vote", ("verdict", "ship")), ("/tools/t1-l/save", ("save", "no"))] {
            let pressed = answer(from(&test_app, Method::POST, path, LISTED).header("cookie", &cookie).form(&[field])).await;
            assert_eq!((pressed.status(), permissions(&pressed)), (StatusCode::FORBIDDEN, vec![]), "{path}");
        }
        for path in ["/", "/saved", "/comparisons/t0-l-vs-t0-r", "/feed.xml", "/mailbox", &save] {
            let seen = answer(from(&test_app, Method::GET, path, LISTED).header("cookie", &cookie)).await;
            assert_eq!(permissions(&seen), vec![], "{path} is not for scripts of others to read");
        }
        assert_eq!(test_app.test_db.dump().await, before);
    }

    async fn where_no_site_is_listed_none_may(test_db) {
        let test_app = TestApp::open(test_db).await;
        assert!(test_app.page("/embed").await.contains("of which there are none yet"));
        let refused = answer(from(&test_app, Method::POST, "/subscribe", LISTED).form(&[("email", "ada@example.org")])).await;
        assert_eq!((refused.status(), test_app.known_people().await), (StatusCode::FORBIDDEN, 0));
    }
}

fn varies_by_origin(answer: &Response) -> bool {
    let values = answer
        .headers()
        .get_all("vary")
        .iter()
        .filter_map(|value| value.to_str().ok());
    values
        .flat_map(|value| value.split(','))
        .any(|name| name.trim().eq_ignore_ascii_case("origin"))
}
