//! Errors as programs and people meet them: problem documents, pages, exit codes.

use reqwest::Method;
use reqwest::Response;
use reqwest::StatusCode;
use serde_json::Value;
use serde_json::json;

use crate::support::Program;
use crate::support::TestApp;
use crate::support::on_both;

/// What a problem document and its headers say: status, `code`, `Retry-After` and the document.
async fn problem(answer: Response) -> (StatusCode, String, Option<u64>, Value) {
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
    let status = answer.status();
    let wait = answer.headers().get("retry-after").map(|wait| {
        let wait = wait.to_str().expect("text");
        wait.parse().expect("seconds")
    });
    let document: Value = answer.json().await.expect("JSON");
    assert_eq!(document["status"], status.as_u16(), "{document}");
    assert!(document["title"].is_string(), "{document}");
    assert!(
        document["detail"]
            .as_str()
            .is_some_and(|detail| detail.ends_with('.')),
        "{document}"
    );
    let code = document["code"].as_str().expect("a code").to_owned();
    (status, code, wait, document)
}

on_both! {
    async fn a_program_gets_a_problem_document_and_its_type_is_a_page(test_db) {
        let test_app = TestApp::open_with(test_db, |settings| settings.signup.per_client = 1).await;
        let ask = |path| test_app.request(Method::GET, path).header("accept", "application/problem+json, text/html;q=0.5").send();
        let (status, code, wait, missing) = problem(ask("/nothing-here").await.expect("an answer")).await;
        assert_eq!((status, &*code, wait), (StatusCode::NOT_FOUND, "not_found", None));
        assert!(missing.get("errors").is_none(), "no field is at fault: {missing}");
        let page = missing["type"].as_str().and_then(|url| url.find("/problems/").map(|at| url[at..].to_owned())).expect("a page of ours");
        assert!(test_app.page(&page).await.contains("not_found"));
        assert_eq!(test_app.get("/problems/made_up").await.status(), StatusCode::NOT_FOUND);

        let (status, code, _, invalid) = problem(test_app.post_json("/subscribe", &json!({ "email": "ada@@example" })).await).await;
        assert_eq!((status, &*code), (StatusCode::UNPROCESSABLE_ENTITY, "invalid"));
        assert_eq!((&invalid["errors"][0]["field"], &invalid["errors"][0]["pointer"]), (&"email".into(), &"#/email".into()));
        assert_eq!(invalid["errors"][0]["detail"], invalid["detail"]);

        test_app.post_json("/subscribe", &json!({ "email": "ada@example.org" })).await;
        let (status, code, wait, _) = problem(test_app.post_json("/subscribe", &json!({ "email": "bob@example.org" })).await).await;
        assert_eq!((status, &*code), (StatusCode::TOO_MANY_REQUESTS, "too_many"));
        assert!(wait.is_some_and(|wait| (1..=3600).contains(&wait)), "{wait:?}");

        test_app.app.storage.close().await;
        let (status, code, wait, _) = problem(test_app.post_json("/subscribe", &json!({ "email": "eve@example.org" })).await).await;
        assert_eq!((status, &*code, wait), (StatusCode::SERVICE_UNAVAILABLE, "unavailable", Some(60)));
    }

    async fn a_command_fails_with_one_wrong_usage_with_two(test_db) {
        let program = Program::set_up(&test_db);
        for failing in [
            &["digest", "show", "2020-W01"][..],
            &["digest", "approve", "2020-W01"],
            &["subscribers", "show", "nobody@example.org"],
            &["subscribers", "lift", "nobody@example.org", "--note", "asked for it"],
            &["catalog", "remove", "nothing-here"],
            &["catalog", "import", "not-there.toml"],
            &["bounces", "accept", "nothing.example"],
        ] {
            let said = program.run(failing);
            assert!(said.code == 1 && said.out.is_empty() && said.err.trim_end().ends_with('.'), "{failing:?}: {said:?}");
        }
        for wrong in [&["digest", "shwo"][..], &["digest", "show", "last week"], &["subscribers", "add", "ada@example.org"]] {
            assert_eq!(program.run(wrong).code, 2, "{wrong:?}");
        }
    }
}
