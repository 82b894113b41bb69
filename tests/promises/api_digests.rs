//! Digests by the API: draft, text, picks, approval, sending, and their ledger.

use chrono::TimeDelta;
use reqwest::Method;
use reqwest::StatusCode;
use serde_json::Value;
use serde_json::json;
use verdicts::domain::user::Role;

use crate::support::Script;
use crate::support::SmtpSink;
use crate::support::TestApp;
use crate::support::api::Answered;
use crate::support::api::ApiClient;
use crate::support::on_both;

impl ApiClient<'_> {
    async fn matched(&self, method: Method, path: &str, etag: &str, body: &Value) -> Answered {
        self.send(
            self.request(method, path)
                .header("if-match", etag)
                .json(body),
        )
        .await
    }
}

async fn app(test_db: crate::support::TestDb, sink: &SmtpSink) -> TestApp {
    TestApp::stocked(test_db, sink, |settings| {
        settings.schedule.approval = verdicts::config::Approval::Required;
        settings.api.burst = 10_000;
    })
    .await
}

on_both! {
    async fn a_digest_is_drafted_written_approved_and_sent(test_db) {
        let sink = SmtpSink::start(Script::accept_all()).await;
        let test_app = app(test_db, &sink).await;
        test_app.seed_subscribers("reader", 3).await;
        let program = ApiClient::full(&test_app).await;
        let next = program.get("/digests/next").await;
        let slot = next.body["slot"].as_str().expect("a slot").to_owned();
        assert!(next.body["state"].is_null() && next.body["picks"].as_array().is_some_and(|picks| !picks.is_empty()), "{next:?}");
        let made = program.post("/digests", &json!({})).await;
        assert_eq!((made.status, made.header("location").to_owned()), (StatusCode::CREATED, format!("/api/v1/digests/{slot}")), "{made:?}");
        assert_eq!(made.body["state"], "draft");
        assert_eq!(program.post("/digests", &json!({})).await.code(), "conflict");
        let path = format!("/digests/{slot}");

        let without = program.patch(&path, &json!({ "introduction": "Hello." })).await;
        assert_eq!((without.status, without.code()), (StatusCode::PRECONDITION_REQUIRED, "precondition_required"));
        let patched = program.matched(Method::PATCH, &path, made.header("etag"), &json!({ "introduction": "Hello **readers**.", "subject": "The week: {pair}" })).await;
        assert_eq!((patched.status, &patched.body["introduction"]), (StatusCode::OK, &json!("Hello **readers**.")), "{patched:?}");
        assert!(patched.body["subject_line"].as_str().is_some_and(|line| line.starts_with("The week: ")), "{patched:?}");
        let stale = program.matched(Method::PATCH, &path, made.header("etag"), &json!({ "introduction": "Mine." })).await;
        assert_eq!((stale.status, stale.code()), (StatusCode::PRECONDITION_FAILED, "precondition_failed"));
        let nulled = program.matched(Method::PATCH, &path, patched.header("etag"), &json!({ "subject": null })).await;
        assert_eq!((&nulled.body["subject"], &nulled.body["introduction"]), (&Value::Null, &json!("Hello **readers**.")));

        let picks: Vec<String> = nulled.body["picks"].as_array().expect("picks").iter().map(|pick| pick["comparison"].as_str().expect("a slug").to_owned()).collect();
        let (last, first) = (picks.last().expect("one").clone(), picks[0].clone());
        let body = json!({ "picks": [{ "comparison": last, "opinion": "pinned", "position": 1 }] });
        let pinned = program.matched(Method::PUT, &format!("{path}/picks"), nulled.header("etag"), &body).await;
        assert_eq!((pinned.status, &pinned.body["picks"][0]["comparison"]), (StatusCode::OK, &json!(last)), "{pinned:?}");
        if picks.len() > 1 {
            let body = json!({ "picks": [{ "comparison": first, "opinion": "left_out" }] });
            let left = program.matched(Method::PUT, &format!("{path}/picks"), pinned.header("etag"), &body).await;
            assert_eq!(left.body["picks"].as_array().map(Vec::len), Some(picks.len() - 1), "{left:?}");
        }

        for (format, kind) in [("html", "text/html"), ("text", "text/plain"), ("eml", "message/rfc822")] {
            let preview = program.get(&format!("{path}/preview?format={format}")).await;
            assert!(preview.status == StatusCode::OK && preview.header("content-type").starts_with(kind), "{preview:?}");
            assert!(preview.body.as_str().is_some_and(|text| text.contains("readers")), "{format}");
        }
        let job = program.post(&format!("{path}/test"), &json!({})).await;
        assert_eq!(job.status, StatusCode::ACCEPTED, "{job:?}");
        let job = program.ended(job.header("location")).await;
        assert_eq!((&job["state"], &job["result"]["copies"]), (&json!("done"), &json!(1)), "{job}");

        let plan = program.post(&format!("{path}/publish?dry_run=true"), &json!({})).await;
        assert_eq!(plan.code(), "conflict", "a draft waits for approval: {plan:?}");
        let revision = program.get(&path).await.body["revision"].as_i64().expect("a revision");
        let old = program.post(&format!("{path}/approve"), &json!({ "revision": revision - 1 })).await;
        assert_eq!((old.status, old.code()), (StatusCode::CONFLICT, "conflict"));
        let approved = program.post(&format!("{path}/approve"), &json!({ "revision": revision })).await;
        assert_eq!((approved.status, &approved.body["state"]), (StatusCode::OK, &json!("approved")), "{approved:?}");
        let back = program.post(&format!("{path}/send-back"), &json!({ "note": "Shorter, please." })).await;
        assert_eq!(back.body["state"], "draft");
        program.post(&format!("{path}/approve"), &json!({ "revision": revision })).await;
        let plan = program.post(&format!("{path}/publish?dry_run=true"), &json!({})).await;
        assert_eq!((&plan.body["dry_run"], &plan.body["readers"]), (&json!(true), &json!(3)), "{plan:?}");
        assert_eq!(program.post(&format!("{path}/withdraw"), &json!({})).await.body["state"], "draft");
        program.post(&format!("{path}/approve"), &json!({ "revision": revision })).await;
        let published = program.post(&format!("{path}/publish"), &json!({})).await;
        assert_eq!((published.status, &published.body["state"]), (StatusCode::OK, &json!("approved")), "it can be stopped for a while: {published:?}");
        test_app.wait(TimeDelta::minutes(10));
        test_app.app.tick().await.expect("a tick");
        let is_sent = async || program.get(&path).await.body["state"] == "sent";
        test_app.deliver_while("three mails", is_sent).await;

        let progress = program.get(&format!("{path}/progress")).await;
        assert_eq!((&progress.body["recipients"], &progress.body["deliveries"]["sent"]), (&json!(3), &json!(3)), "{progress:?}");
        let check = program.get(&format!("{path}/audit")).await;
        assert_eq!((&check.body["holds"], &check.body["recipients"]), (&json!(true), &json!(3)), "{check:?}");
        let ledger = program.get(&format!("{path}/deliveries?state=sent&limit=2")).await;
        assert_eq!(ledger.body["data"].as_array().map(Vec::len), Some(2));
        let more = program.get(&format!("{path}/deliveries?state=sent&limit=2&after={}", ledger.body["next"].as_str().expect("more"))).await;
        assert_eq!((more.body["data"].as_array().map(Vec::len), &more.body["next"]), (Some(1), &Value::Null));
        assert!(more.body["data"][0]["email"].is_string());
        let narrow = ApiClient::with(&test_app, Role::Owner, "digests:read").await;
        let masked = narrow.get(&format!("{path}/deliveries")).await;
        assert!(masked.body["data"][0]["email"].is_null() && masked.body["data"][0]["subscriber"].is_string(), "{masked:?}");
        assert_eq!(narrow.get(&format!("{path}/deliveries?domain=example.org")).await.code(), "insufficient_scope");
        assert_eq!(program.get("/digests?state=sent").await.body["data"].as_array().map(Vec::len), Some(1));
        assert_eq!(program.get("/digests?state=draft").await.body["data"], json!([]));
    }

    async fn a_token_counts_as_its_maker_where_two_people_are_asked_for(test_db) {
        let sink = SmtpSink::start(Script::accept_all()).await;
        let test_app = TestApp::stocked(test_db, &sink, |settings| {
            settings.schedule.approval = verdicts::config::Approval::Required;
            settings.desk.two_people = true;
        }).await;
        let (one, same, other) = (
            ApiClient::with(&test_app, Role::Owner, "all").await,
            ApiClient::with(&test_app, Role::Owner, "all").await,
            ApiClient::with(&test_app, Role::Editor, "digests:read digests:approve").await,
        );
        let made = one.post("/digests", &json!({})).await;
        let path = format!("/digests/{}", made.body["slot"].as_str().expect("a slot"));
        let patched = one.matched(Method::PATCH, &path, made.header("etag"), &json!({ "question": "Well?" })).await;
        let body = json!({ "revision": patched.body["revision"] });
        for token in [&one, &same] {
            let refused = token.post(&format!("{path}/approve"), &body).await;
            assert_eq!((refused.status, refused.code()), (StatusCode::FORBIDDEN, "forbidden"), "the same person, by whichever token");
        }
        let owner = crate::support::api::user(&test_app, Role::Owner).await;
        let at_the_desk = verdicts::domain::actor::Actor::user(test_app.app.user_name(owner.id), None);
        let slot = path.rsplit('/').next().expect("a slot").parse().expect("a slot");
        assert!(test_app.app.approve_digest(&at_the_desk, slot).await.is_err(), "nor at the desk");
        assert_eq!(other.post(&format!("{path}/approve"), &body).await.body["state"], "approved");
    }

    async fn a_writers_token_sends_test_copies_to_its_maker_alone(test_db) {
        let sink = SmtpSink::start(Script::accept_all()).await;
        let test_app = app(test_db, &sink).await;
        let writer = ApiClient::with(&test_app, Role::Writer, "digests:read digests:write jobs:read").await;
        let made = writer.post("/digests", &json!({})).await;
        let path = format!("/digests/{}", made.body["slot"].as_str().expect("a slot"));
        let elsewhere = writer.post(&format!("{path}/test"), &json!({ "to": "eve@example.org" })).await;
        assert_eq!((elsewhere.status, elsewhere.code()), (StatusCode::FORBIDDEN, "insufficient_scope"));
        let own = writer.post(&format!("{path}/test"), &json!({ "to": "writer@desk.example" })).await;
        assert_eq!(own.status, StatusCode::ACCEPTED);
        assert_eq!(writer.ended(own.header("location")).await["state"], "done");
        let time = writer.matched(Method::PATCH, &path, made.header("etag"), &json!({ "send_at": "2026-12-24T09:00:00Z" })).await;
        assert_eq!(time.code(), "insufficient_scope", "the time is for those who send");
        let skipped = ApiClient::full(&test_app).await.post(&format!("{path}/skip"), &json!({ "reason": "Nothing new." })).await;
        assert_eq!(skipped.body["state"], "skipped");
    }
}
