//! What happens is told in the transaction in which it happens: by the doors through which it comes.

use verdicts::config::Approval;
use verdicts::config::SecondFactor;
use verdicts::domain::user::Role;

use super::*;
use crate::journey::link;
use crate::support::Script;
use crate::support::SmtpSink;
use crate::support::desk::Browser;

async fn stocked(test_db: TestDb, smtp: &SmtpSink) -> TestApp {
    TestApp::stocked(test_db, smtp, |settings| {
        private(settings);
        settings.desk.second_factor = SecondFactor::Off;
        settings.schedule.approval = Approval::Required;
    })
    .await
}

fn told<'a>(came: &'a [Hooked], kind: &str) -> Vec<&'a Hooked> {
    came.iter().filter(|hooked| hooked.kind() == kind).collect()
}

on_both! {
    async fn the_life_of_a_digest_is_told_in_its_order(test_db) {
        let smtp = SmtpSink::start(Script::accept_all()).await;
        let test_app = stocked(test_db, &smtp).await;
        let sink = HookSink::start().await;
        add(&test_app, &TypedEndpoint { ordered: true, ..typed(&sink, &["digest.*", "user.*"]) }).await;
        test_app.seed_subscribers("reader", 40).await;
        let owner = Browser::of(&test_app, Role::Owner).await;
        owner.press("/desk/draft", &[]).await;
        owner.press("/desk/digests/2026-W48/approve", &[]).await;
        test_app.set_clock("2026-11-24T09:01:00Z");
        test_app.app.tick().await.expect("a tick");
        test_app.deliver_while("the digest", async || test_app.app.status(test_app.slot()).await.expect("a status").digest.finished_at.is_some()).await;
        send(&test_app).await;
        let came = sink.received();
        let mut kinds: Vec<String> = came.iter().map(Hooked::kind).collect();
        kinds.dedup();
        let tenths = told(&came, "digest.progress").len();
        assert!(tenths <= 9, "{kinds:?}");
        kinds.retain(|kind| kind != "digest.progress");
        assert_eq!(kinds, ["user.signed_in", "digest.picked", "digest.approved", "digest.published", "digest.sent"]);
        let sent = told(&came, "digest.sent")[0].json();
        let data = &sent["data"];
        assert_eq!((&data["digest"], &data["recipients"], &data["sent"], &data["failed"]), (&"2026-W48".into(), &40.into(), &40.into(), &0.into()), "{sent}");
        assert!(came.iter().all(|hooked| hooked.body.len() < 20_000 && !String::from_utf8_lossy(&hooked.body).contains('@')), "thin");
    }

    async fn what_is_about_one_reader_is_written_only_while_somebody_takes_it(test_db) {
        let test_app = app_at(test_db).await;
        let count = async || test_app.app.event_feed(None, &[], 1_000).await.expect("a page").0.iter().filter(|event| event.kind.is_on_demand()).count();
        test_app.join("first@example.org").await;
        test_app.app.fan_out_events().await.expect("numbered");
        assert_eq!(count().await, 0, "nobody asks");
        let (thin, full) = (HookSink::start().await, HookSink::start().await);
        add(&test_app, &TypedEndpoint { ordered: true, ..typed(&thin, &["subscriber.*"]) }).await;
        test_app.stock_small().await;
        test_app.send_digest().await;
        let goodbye = test_app.goodbye_link("first@example.org");
        test_app.join("ada@example.org").await;
        test_app.post(&goodbye).await;
        send(&test_app).await;
        assert_eq!(thin.kinds(), ["subscriber.pending", "subscriber.confirmed", "subscriber.unsubscribed"].map(str::to_owned), "{:?}", thin.kinds());
        let came = thin.take();
        assert!(came.iter().all(|hooked| !String::from_utf8_lossy(&hooked.body).contains("example.org")), "ids alone");
        let name = came[0].json()["data"]["subscriber"].as_str().expect("a name").to_owned();
        assert_eq!(came[1].json()["data"]["subscriber"], name.as_str());
        add(&test_app, &TypedEndpoint { personal: true, ..typed(&full, &["subscriber.erased", "subscriber.confirmed"]) }).await;
        test_app.join("bob@example.org").await;
        test_app.app.erase_subscriber(&Actor::cli(), &"ada@example.org".parse().expect("an address")).await.expect("erased");
        send(&test_app).await;
        let came = full.take();
        assert_eq!(told(&came, "subscriber.confirmed")[0].json()["data"]["email"], "bob@example.org");
        assert_eq!(told(&came, "subscriber.erased")[0].json()["data"]["subscriber"], name.as_str(), "by the name that it was known by");
        assert!(thin.received().iter().all(|hooked| !String::from_utf8_lossy(&hooked.body).contains("example.org")));
    }

    async fn an_erasure_takes_what_waits_to_be_sent_along(test_db) {
        let test_app = app_at(test_db).await;
        let sink = HookSink::start().await;
        add(&test_app, &TypedEndpoint { personal: true, ..typed(&sink, &["subscriber.confirmed"]) }).await;
        test_app.join("ada@example.org").await;
        test_app.app.fan_out_events().await.expect("numbered");
        test_app.app.erase_subscriber(&Actor::cli(), &"ada@example.org".parse().expect("an address")).await.expect("erased");
        assert_eq!(send(&test_app).await, 0);
        assert!(test_app.test_db.dump().await.iter().all(|row| !row.contains("ada@example.org")));
    }

    async fn a_vote_an_import_and_a_change_of_a_tool_are_told(test_db) {
        let test_app = app_at(test_db).await;
        test_app.stock_small().await;
        let sink = HookSink::start().await;
        add(&test_app, &typed(&sink, &["vote.cast", "import.finished", "export.finished", "tool.*", "comparison.*", "subscriber.*"])).await;
        test_app.seed_subscribers("reader", 2).await;
        test_app.send_digest().await;
        send(&test_app).await;
        let came = sink.take();
        assert_eq!(told(&came, "import.finished").len(), 1);
        assert_eq!(told(&came, "import.finished")[0].json()["data"]["added"], 2);
        assert!(told(&came, "subscriber.pending").is_empty(), "an import is told once");
        let digest = test_app.mails_to("reader0@example.org").pop().expect("a digest");
        test_app.post(&link(&digest, "/vote/t0-l/ship/")).await;
        test_app.seed_catalogue(&crate::support::catalogue::comparison("new", "Data", test_app.app.now())).await;
        send(&test_app).await;
        let came = sink.take();
        let vote = told(&came, "vote.cast")[0].json();
        assert_eq!((&vote["data"]["tool"], &vote["data"]["verdict"]), (&"t0-l".into(), &"ship".into()));
        // Both are of one instant, so that either may come first.
        let tools = told(&came, "tool.created").iter().map(|event| event.json()["data"]["tool"].to_string()).collect::<std::collections::BTreeSet<_>>();
        assert_eq!(tools.into_iter().collect::<Vec<_>>(), ["\"new-l\"", "\"new-r\""]);
        assert_eq!(told(&came, "comparison.created")[0].json()["data"], serde_json::json!({ "comparison": "new-l-vs-new-r" }));
    }
}
