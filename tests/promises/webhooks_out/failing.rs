//! Endpoints that fail: what is tried again, when, and when it ends.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use tokio::sync::Semaphore;
use verdicts::config::SecondFactor;
use verdicts::domain::user::Role;
use verdicts::domain::webhook_endpoint::DisabledReason;

use super::*;
use crate::support::Script;
use crate::support::SmtpSink;
use crate::support::desk::Browser;
use crate::support::hook_sink::HookAnswer;
use crate::support::hook_sink::status;

/// Time for each pause of the table, and its tenth.
const PAUSES: [TimeDelta; 9] = [
    TimeDelta::seconds(6),
    TimeDelta::seconds(331),
    TimeDelta::minutes(34),
    TimeDelta::minutes(133),
    TimeDelta::minutes(331),
    TimeDelta::hours(12),
    TimeDelta::hours(16),
    TimeDelta::hours(23),
    TimeDelta::hours(27),
];

on_both! {
    async fn what_fails_in_any_way_is_sent_again_with_its_id(test_db) {
        let test_app = app_at(test_db).await;
        let (sink, elsewhere) = (HookSink::start().await, HookSink::start().await);
        let (endpoint, _) = add(&test_app, &typed(&sink, &["*"])).await;
        let there: &'static str = Box::leak(format!("location: {}\r\n", elsewhere.url).into_boxed_str());
        sink.answer(move |number, _| match number {
            0 => HookAnswer::Status(500, "", format!("<b>oh</b>\0{}", "x".repeat(5_000))),
            1 => HookAnswer::Status(302, there, String::new()),
            2 => HookAnswer::Silence,
            3 => HookAnswer::Reset,
            _ => status(200),
        });
        happen(&test_app, "main").await;
        for pause in PAUSES.iter().take(5) {
            assert_eq!(send(&test_app).await, 1);
            assert_eq!(send(&test_app).await, 0, "not before its time");
            test_app.wait(*pause);
        }
        assert_eq!(send(&test_app).await, 0, "it was taken");
        let came = sink.received();
        assert_eq!(came.len(), 5);
        assert!(came.iter().all(|hooked| hooked.id() == came[0].id() && hooked.body == came[0].body));
        assert!(came[0].headers["webhook-timestamp"] < came[4].headers["webhook-timestamp"], "of this attempt");
        assert!(elsewhere.received().is_empty(), "a redirect is not followed");
        let kept = test_app.app.webhook_delivery(&endpoint, came[0].id()).await.expect("kept");
        assert_eq!((kept.delivery.state, kept.delivery.attempts), ("sent", 5));
        let results: Vec<String> = kept.attempts.iter().rev().map(|attempt| attempt.result()).collect();
        assert_eq!(results[0], "500");
        assert_eq!(results[1], "302: a redirect, which is not followed");
        assert!(results[2].contains("no answer within 1s"), "{results:?}");
        assert!(kept.attempts[1].status.is_none() && kept.attempts[1].error.is_some(), "{results:?}");
        let answer = kept.attempts[4].answer.clone().expect("an answer");
        assert!(answer.starts_with("<b>oh</b>") && answer.chars().count() == 1_024 && !answer.contains('\0'), "its first KiB");
        assert_eq!(again(&test_app, &endpoint).await.failing_since, None, "a success ends it");
    }

    async fn after_ten_attempts_an_event_is_given_up_and_the_next_goes_on(test_db) {
        let test_app = app_at(test_db).await;
        let sink = HookSink::start().await;
        let (endpoint, _) = add(&test_app, &typed(&sink, &["*"])).await;
        sink.answer(|_, _| status(500));
        happen(&test_app, "main").await;
        send(&test_app).await;
        for pause in PAUSES {
            test_app.wait(pause);
            assert_eq!(send(&test_app).await, 1);
        }
        test_app.wait(TimeDelta::hours(30));
        assert_eq!(send(&test_app).await, 0);
        let id = sink.take()[0].id().to_owned();
        let kept = test_app.app.webhook_delivery(&endpoint, &id).await.expect("kept");
        assert_eq!((kept.delivery.state, kept.delivery.attempts, kept.delivery.next_at), ("failed", 10, None));
        sink.answer(|_, _| status(200));
        happen(&test_app, "main").await;
        assert_eq!(send(&test_app).await, 1);
        assert_eq!(again(&test_app, &endpoint).await.disabled, None);
    }

    async fn an_endpoint_that_answers_410_gets_nothing_more_and_its_owners_hear_of_it(test_db) {
        let smtp = SmtpSink::start(Script::accept_all()).await;
        let url = smtp.url();
        let test_app = TestApp::open_with(test_db, |settings| {
            private(settings);
            settings.desk.second_factor = SecondFactor::Off;
            settings.mail.transport = url.into();
        }).await;
        let _owner = Browser::of(&test_app, Role::Owner).await;
        let _editor = Browser::of(&test_app, Role::Editor).await;
        let (sink, other) = (HookSink::start().await, HookSink::start().await);
        let (endpoint, _) = add(&test_app, &typed(&sink, &["breaker.*"])).await;
        add(&test_app, &typed(&other, &["webhook.*"])).await;
        sink.answer(|_, _| status(410));
        happen(&test_app, "main").await;
        send(&test_app).await;
        happen(&test_app, "main").await;
        send(&test_app).await;
        assert_eq!(sink.received().len(), 1);
        assert_eq!(again(&test_app, &endpoint).await.disabled.map(|(_, why)| why), Some(DisabledReason::Gone));
        let told = other.received();
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].json()["data"], serde_json::json!({ "endpoint": test_app.app.webhook_name(endpoint.id), "reason": "gone" }));
        test_app.app.tick().await.expect("a tick");
        test_app.app.tick().await.expect("a tick");
        test_app.app.mail_users().await.expect("mailed");
        assert_eq!(smtp.received_by("owner@desk.example").len(), 1);
        assert!(smtp.received_by("editor@desk.example").is_empty(), "owners alone can do something");
        let mail = String::from_utf8_lossy(&smtp.received_by("owner@desk.example")[0].data).into_owned();
        assert!(mail.contains("webhook endpoint"), "{mail}");
        // Enabled again, it goes on with what waited; of what happened meanwhile it hears by a replay.
        sink.answer(|_, _| status(200));
        assert!(test_app.app.enable_webhook_endpoint(&Actor::cli(), &again(&test_app, &endpoint).await).await.expect("enabled"));
        test_app.wait(TimeDelta::seconds(6));
        assert_eq!(send(&test_app).await, 1, "what waited; not what happened meanwhile");
    }

    async fn five_days_without_a_success_disable_an_endpoint(test_db) {
        let test_app = app_at(test_db).await;
        let sink = HookSink::start().await;
        let (endpoint, _) = add(&test_app, &typed(&sink, &["breaker.*"])).await;
        sink.answer(|_, _| HookAnswer::Reset);
        for day in 0..6 {
            happen(&test_app, &day.to_string()).await;
            send(&test_app).await;
            let disabled = again(&test_app, &endpoint).await.disabled;
            assert_eq!(disabled.map(|(_, why)| why), (day == 5).then_some(DisabledReason::Failing), "day {day}");
            test_app.wait(TimeDelta::hours(24));
        }
        let sent = sink.take().len();
        send(&test_app).await;
        assert!(sent > 6 && sink.received().is_empty());
    }

    async fn an_endpoint_is_left_alone_for_as_long_as_it_says(test_db) {
        let test_app = app_at(test_db).await;
        let (sink, other) = (HookSink::start().await, HookSink::start().await);
        add(&test_app, &typed(&sink, &["*"])).await;
        add(&test_app, &typed(&other, &["*"])).await;
        sink.answer(|number, _| match number {
            0 => HookAnswer::Status(429, "retry-after: 600\r\n", String::new()),
            _ => status(200),
        });
        // Four under way at once: what the others answer does not take back what one asked for.
        for number in 0..4 {
            happen(&test_app, &number.to_string()).await;
        }
        send(&test_app).await;
        for relay in ["second", "third"] {
            happen(&test_app, relay).await;
        }
        test_app.wait(TimeDelta::seconds(590));
        send(&test_app).await;
        assert_eq!((sink.received().len(), other.received().len()), (4, 6), "one waits, the other does not");
        test_app.wait(TimeDelta::seconds(11));
        send(&test_app).await;
        assert_eq!(sink.received().len(), 7);
    }

    async fn an_ordered_endpoint_gets_events_in_their_order_through_failures(test_db) {
        let test_app = app_at(test_db).await;
        let sink = HookSink::start().await;
        add(&test_app, &TypedEndpoint { ordered: true, ..typed(&sink, &["*"]) }).await;
        // Every third request fails, the first of each event too.
        sink.answer(|number, _| if number % 3 == 0 { status(500) } else { status(200) });
        for number in 0..12 {
            happen(&test_app, &number.to_string()).await;
        }
        for _ in 0..40 {
            send(&test_app).await;
            test_app.wait(TimeDelta::minutes(6));
        }
        let came = sink.received();
        let order: Vec<i64> = came.iter().map(|hooked| hooked.json()["data"]["relay"].as_str().expect("a relay").parse().expect("a number")).collect();
        assert!(order.is_sorted() && order.last() == Some(&11), "{order:?}");
        assert!(order.len() > 12, "{order:?}");
        assert_eq!(sink.at_once.load(std::sync::atomic::Ordering::SeqCst), 1, "one at a time");
    }

    async fn at_most_four_requests_are_under_way_to_one_endpoint(test_db) {
        // None is given up meanwhile, however busy the machine is.
        let test_app = TestApp::open_with(test_db, |settings| {
            private(settings);
            settings.webhooks_out.timeout = Duration::from_secs(30);
        })
        .await;
        let sink = HookSink::start().await;
        add(&test_app, &typed(&sink, &["*"])).await;
        let gate = Arc::new(Semaphore::new(0));
        let held = gate.clone();
        sink.answer(move |number, _| if number < 4 { HookAnswer::Held(held.clone()) } else { status(200) });
        for number in 0..20 {
            happen(&test_app, &number.to_string()).await;
        }
        let watching = async {
            while sink.received().len() < 4 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            tokio::time::sleep(Duration::from_millis(300)).await;
            assert_eq!(sink.received().len(), 4, "the others wait");
            gate.add_permits(4);
        };
        tokio::join!(send(&test_app), watching);
        assert_eq!(sink.received().len(), 20);
        assert_eq!(sink.at_once.load(std::sync::atomic::Ordering::SeqCst), 4);
    }
}
