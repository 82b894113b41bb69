//! Events are sent once more on demand, and an endpoint is tested.

use chrono::TimeDelta;
use verdicts::app::webhooks_out::ReplayRange;

use super::*;
use crate::support::hook_sink::status;

on_both! {
    async fn an_event_is_replayed_with_its_id_also_to_an_endpoint_that_is_disabled(test_db) {
        let test_app = app_at(test_db).await;
        let sink = HookSink::start().await;
        let (endpoint, _) = add(&test_app, &typed(&sink, &["breaker.*"])).await;
        let began = test_app.app.now();
        for relay in ["first", "second"] {
            happen(&test_app, relay).await;
        }
        send(&test_app).await;
        let came = sink.take();
        test_app.app.disable_webhook_endpoint(&Actor::cli(), &endpoint).await.expect("disabled");
        happen(&test_app, "third").await;
        send(&test_app).await;
        assert!(sink.received().is_empty(), "disabled");
        let endpoint = again(&test_app, &endpoint).await;
        let (_, secret) = test_app.app.rotate_webhook_secret(&Actor::cli(), &endpoint).await.expect("rotated");
        let by = Actor::user("u1", None);
        sink.answer(|_, _| status(500));
        let one = ReplayRange::One(came[0].id().into());
        assert_eq!(test_app.app.replay_webhooks(&by, &endpoint, &one).await.expect("queued"), 1);
        assert_eq!(send(&test_app).await, 1, "one attempt, whatever comes of it");
        let again_came = sink.take();
        assert_eq!((again_came[0].id(), &again_came[0].body), (came[0].id(), &came[0].body));
        assert_eq!(signed_by(&again_came[0], &key(&secret)), 1, "by the present secret");
        let kept = test_app.app.webhook_delivery(&endpoint, came[0].id()).await.expect("kept");
        assert_eq!((kept.delivery.state, kept.attempts.len()), ("sent", 2));
        assert_eq!(kept.attempts[0].replayed_by.as_deref(), Some("user:u1"));
        assert_eq!(again(&test_app, &endpoint).await.failing_since, None, "it says nothing of the endpoint");
        sink.answer(|_, _| status(200));
        test_app.wait(TimeDelta::seconds(1));
        let all = ReplayRange::Between(began, test_app.app.now());
        assert_eq!(test_app.app.replay_webhooks(&by, &endpoint, &all).await.expect("queued"), 3, "what happened meanwhile too");
        assert_eq!(send(&test_app).await, 3);
        let relays: Vec<String> = sink.take().iter().map(|hooked| hooked.json()["data"]["relay"].as_str().expect("a relay").into()).collect();
        assert!(["first", "second", "third"].iter().all(|relay| relays.contains(&(*relay).to_owned())), "{relays:?}");
        let unknown = ReplayRange::One("evt_none".into());
        assert!(test_app.app.replay_webhooks(&by, &endpoint, &unknown).await.is_err());
        let backwards = ReplayRange::Between(test_app.app.now(), began);
        assert!(test_app.app.replay_webhooks(&by, &endpoint, &backwards).await.is_err());
    }

    async fn a_test_is_a_real_request_to_that_endpoint_alone(test_db) {
        let test_app = app_at(test_db).await;
        let (sink, other) = (HookSink::start().await, HookSink::start().await);
        let (endpoint, secret) = add(&test_app, &typed(&sink, &["digest.*"])).await;
        add(&test_app, &typed(&other, &["*"])).await;
        sink.answer(|_, _| status(418));
        let attempt = test_app.app.test_webhook(&Actor::cli(), &endpoint).await.expect("sent");
        assert_eq!(attempt.status, Some(418));
        send(&test_app).await;
        let came = sink.received();
        assert_eq!((came.len(), came[0].kind().as_str(), signed_by(&came[0], &key(&secret))), (1, "webhook.test", 1));
        assert!(other.received().is_empty());
        assert_eq!(again(&test_app, &endpoint).await.failing_since, None);
    }

    async fn the_feed_has_every_event_in_order_a_page_at_a_time(test_db) {
        let test_app = app_at(test_db).await;


        for number in 0..7 {
            happen(&test_app, &number.to_string()).await;
        }
        test_app.app.fan_out_events().await.expect("numbered");
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let (page, last) = test_app.app.event_feed(after, &[], 3).await.expect("a page");
            let Some(last) = last else { break };
            assert_eq!(test_app.app.event_placed(&test_app.app.event_place(last)), Some(last));
            seen.extend(page.iter().map(|event| event.data["relay"].as_str().expect("a relay").to_owned()));
            after = Some(last);
        }
        assert_eq!(seen, (0..7).map(|number| number.to_string()).collect::<Vec<_>>());
        let (digests, _) = test_app.app.event_feed(None, &[EventKind::DigestSent, EventKind::DigestPaused], 3).await.expect("a page");
        assert!(digests.is_empty());
        let (breakers, _) = test_app.app.event_feed(None, &[EventKind::DigestSent, EventKind::BreakerOpened], 5).await.expect("a page");
        assert_eq!(breakers.len(), 5);
        // They go with their time.
        test_app.wait(TimeDelta::days(31));
        test_app.app.tick().await.expect("a tick");
        let (left, _) = test_app.app.event_feed(None, &[EventKind::BreakerOpened], 5).await.expect("a page");
        assert!(left.is_empty());
    }
}
