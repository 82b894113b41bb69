//! Sign-up calls of listmonk and Buttondown: the same answer for everybody, and nobody is brought back by them.

use reqwest::StatusCode;
use serde_json::json;
use verdicts::domain::actor::Actor;

use crate::support::TestApp;
use crate::support::api::Answered;
use crate::support::on_both;

on_both! {
    async fn calls_of_other_services_sign_up_and_tell_nothing(test_db) {
        let test_app = TestApp::open(test_db).await;
        test_app.seed_subscribers("gone", 1).await;
        test_app.app.erase_subscriber(&Actor::cli(), &"gone0@example.org".parse().expect("an address")).await.expect("erased");
        let mut answers = Vec::new();
        for email in ["ada@example.org", "ada@example.org", "gone0@example.org"] {
            let body = json!({ "email": email, "name": "Ada", "list_uuids": ["eb420c55-4cfb-4972-92ba-c93c34ba475d"] });
            let listmonk = Answered::read(test_app.post_json("/api/public/subscription", &body).await).await;
            assert_eq!(listmonk.status, StatusCode::OK, "{listmonk:?}");
            answers.push(listmonk.body);
        }
        assert!(answers.iter().all(|answer| *answer == json!({ "data": { "has_optin": true } })), "{answers:?}");
        let form = Answered::read(test_app.post_form("/api/public/subscription", &[("email", "bob@example.org"), ("l", "x")]).await).await;
        assert_eq!(form.status, StatusCode::OK);
        for email in ["eve@example.org", "gone0@example.org"] {
            let answer = Answered::read(test_app.post_json("/v1/subscribers", &json!({ "email_address": email, "type": "regular", "tags": ["x"] })).await).await;
            assert_eq!((answer.status, &answer.body), (StatusCode::CREATED, &json!({ "email_address": email, "type": "unactivated" })));
        }
        assert_eq!(test_app.waiting_confirmations().await, 3, "ada, bob and eve; nobody is brought back");
        assert_eq!(test_app.known_people().await, 3);
        let wrong = Answered::read(test_app.post_json("/v1/subscribers", &json!({ "email_address": "ada@@example" })).await).await;
        assert_eq!((wrong.status, wrong.code(), wrong.faults()), (StatusCode::UNPROCESSABLE_ENTITY, "invalid", vec![("#/email_address", "invalid")]));
        assert_eq!(test_app.post_json("/v1/subscribers", &json!(["ada@example.org"])).await.status(), StatusCode::UNPROCESSABLE_ENTITY);
    }
}
