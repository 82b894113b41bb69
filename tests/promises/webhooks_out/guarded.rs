//! No request reaches a private address that the settings do not name, whatever a name server says.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;

use chrono::TimeDelta;
use verdicts::dial::Resolver;

use super::*;

fn port_of(sink: &HookSink) -> u16 {
    url::Url::parse(&sink.url)
        .expect("an address")
        .port()
        .expect("a port")
}

/// An endpoint at a name, on the port of a sink.
fn named(sink: &HookSink) -> TypedEndpoint {
    TypedEndpoint {
        url: format!("http://hooks.example:{}/hook", port_of(sink)),
        ..typed(sink, &["*"])
    }
}

on_both! {
    async fn a_name_at_a_private_address_gets_no_connection(test_db) {
        let test_app = TestApp::open_with(test_db, |settings| settings.webhooks_out.allow_private = vec!["10.9.9.9".into()]).await;
        let sink = HookSink::start().await;
        let (endpoint, _) = add(&test_app, &named(&sink)).await;
        test_app.app.resolve_webhooks_by(Resolver::new(|_| vec![IpAddr::from([127, 0, 0, 1]), "::ffff:127.0.0.1".parse().expect("an address")]));
        happen(&test_app, "main").await;
        send(&test_app).await;
        assert_eq!(sink.connections.load(SeqCst), 0, "not as much as a connection");
        let (log, _) = test_app.app.webhook_log(&endpoint, None, None, 10).await.expect("a log");
        let kept = test_app.app.webhook_delivery(&endpoint, &log[0].event).await.expect("kept");
        let error = kept.attempts[0].error.clone().expect("a reason");
        assert!(error.contains("hooks.example is at a private address") && error.contains("allow_private"), "{error}");
        assert_eq!(kept.delivery.state, "queued", "a mistake in the settings may be mended");
    }

    async fn a_name_that_changes_its_address_in_between_gains_nothing(test_db) {
        let test_app = TestApp::open_with(test_db, |settings| settings.webhooks_out.allow_private = vec!["127.0.0.2".into()]).await;
        let inner = HookSink::start().await;
        let (endpoint, _) = add(&test_app, &named(&inner)).await;
        // Good when it is looked at first; private at every later look-up.
        let looks = Arc::new(AtomicUsize::new(0));
        let looked = looks.clone();
        test_app.app.resolve_webhooks_by(Resolver::new(move |_| {
            vec![IpAddr::from([127, 0, 0, if looked.fetch_add(1, SeqCst) == 0 { 2 } else { 1 }])]
        }));
        happen(&test_app, "main").await;
        assert_eq!(send(&test_app).await, 1);
        assert_eq!(looks.load(SeqCst), 1, "looked up once for a request, and that address is asked");
        test_app.wait(TimeDelta::seconds(6));
        assert_eq!(send(&test_app).await, 1);
        assert_eq!((looks.load(SeqCst), inner.connections.load(SeqCst)), (2, 0));
        let (log, _) = test_app.app.webhook_log(&endpoint, None, None, 10).await.expect("a log");
        let kept = test_app.app.webhook_delivery(&endpoint, &log[0].event).await.expect("kept");
        assert!(kept.attempts[0].error.as_deref().is_some_and(|error| error.contains("private address")), "{kept:?}");
        assert!(kept.attempts[1].error.as_deref().is_some_and(|error| error.contains("refused")), "nobody listens there: {kept:?}");
    }

    async fn without_a_private_host_in_the_settings_http_is_refused(test_db) {
        let test_app = TestApp::open(test_db).await;
        let sink = HookSink::start().await;
        for url in [sink.url.clone(), "http://hooks.example/".into()] {
            let refused = test_app.app.add_webhook_endpoint(&Actor::cli(), &TypedEndpoint { url, ..typed(&sink, &["*"]) }).await;
            assert!(refused.expect_err("refused").to_string().contains("https"));
        }
    }
}
