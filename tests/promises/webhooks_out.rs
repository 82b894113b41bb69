//! Events reach other programs by signed requests, each with one id, however often it is tried.

mod api;
mod doors;
mod events;
mod failing;
mod guarded;
mod killed;
mod page;
mod replaying;
mod volume;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::Hmac;
use hmac::KeyInit;
use hmac::Mac;
use sha2::Sha256;
use verdicts::app::webhooks_out::TypedEndpoint;
use verdicts::config::Settings;
use verdicts::domain::actor::Actor;
use verdicts::domain::event::EventKind;
use verdicts::domain::secret::Secret;
use verdicts::domain::webhook_endpoint::WebhookEndpoint;

use crate::support::TestApp;
use crate::support::TestDb;
use crate::support::hook_sink::HookSink;
use crate::support::hook_sink::Hooked;
use crate::support::on_both;

pub fn private(settings: &mut Settings) {
    settings.webhooks_out.allow_private = vec!["127.0.0.1".into()];
    settings.webhooks_out.timeout = std::time::Duration::from_secs(1);
}

/// A service that may send to this machine.
pub async fn app_at(test_db: TestDb) -> TestApp {
    TestApp::open_with(test_db, private).await
}

pub fn typed(sink: &HookSink, kinds: &[&str]) -> TypedEndpoint {
    TypedEndpoint {
        name: format!("sink {}", sink.url),
        url: sink.url.clone(),
        kinds: kinds.iter().map(|kind| (*kind).to_owned()).collect(),
        ..TypedEndpoint::default()
    }
}

pub async fn add(test_app: &TestApp, endpoint: &TypedEndpoint) -> (WebhookEndpoint, Secret) {
    let by = Actor::cli();
    let added = test_app.app.add_webhook_endpoint(&by, endpoint).await;
    added.expect("added")
}

/// Something happens: a relay's breaker opens.
pub async fn happen(test_app: &TestApp, relay: &str) {
    let data = serde_json::json!({ "relay": relay });
    let now = test_app.app.now();
    let written = test_app
        .app
        .storage
        .record_event(EventKind::BreakerOpened, &data, now);
    written.await.expect("written");
}

pub async fn send(test_app: &TestApp) -> usize {
    test_app.app.send_webhooks().await.expect("sent")
}

pub async fn again(test_app: &TestApp, endpoint: &WebhookEndpoint) -> WebhookEndpoint {
    let found = test_app.app.storage.webhook_endpoint(endpoint.id).await;
    found.expect("read").expect("an endpoint")
}

/// The key of a secret as receivers have it: decoded.
pub fn key(secret: &Secret) -> Vec<u8> {
    let text = secret.expose().strip_prefix("whsec_").expect("a secret");
    STANDARD.decode(text).expect("base64")
}

/// How many of a request's signatures are of that key.
pub fn signed_by(hooked: &Hooked, key: &[u8]) -> usize {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key");
    mac.update(format!("{}.{}.", hooked.id(), hooked.headers["webhook-timestamp"]).as_bytes());
    mac.update(&hooked.body);
    let wanted = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
    let signatures = hooked.headers["webhook-signature"].split(' ');
    signatures.filter(|signature| *signature == wanted).count()
}

on_both! {
    async fn an_event_reaches_each_endpoint_that_takes_it_once_and_signed(test_db) {
        let test_app = app_at(test_db).await;
        let (all, digests) = (HookSink::start().await, HookSink::start().await);
        let (endpoint, secret) = add(&test_app, &typed(&all, &["*"])).await;
        add(&test_app, &typed(&digests, &["digest.*", "vote.cast"])).await;
        happen(&test_app, "main").await;
        assert_eq!(send(&test_app).await, 1);
        assert_eq!(send(&test_app).await, 0, "once");
        let came = all.received();
        assert!(came.len() == 1 && digests.received().is_empty());
        let hooked = &came[0];
        assert!(hooked.head.starts_with("POST /hook HTTP/1.1\r\n"), "{}", hooked.head);
        assert_eq!(hooked.headers["content-type"], "application/json");
        assert_eq!(hooked.headers["user-agent"], format!("verdicts/{}", env!("CARGO_PKG_VERSION")));
        assert!(hooked.id().starts_with("evt_") && !hooked.id().contains('.'));
        assert_eq!(hooked.headers["webhook-timestamp"], test_app.app.now().timestamp().to_string());
        assert_eq!(key(&secret).len(), 32);
        assert_eq!(signed_by(hooked, &key(&secret)), 1);
        assert_eq!(signed_by(hooked, secret.expose().as_bytes()), 0, "the text of a secret is no key");
        let body = hooked.json();
        assert_eq!(body["id"], hooked.id());
        assert_eq!((&body["type"], &body["data"]), (&"breaker.opened".into(), &serde_json::json!({ "relay": "main" })));
        let text = String::from_utf8(hooked.body.clone()).expect("UTF-8");
        assert!(text.starts_with("{\"type\":\"breaker.opened\",\"timestamp\":\"2026-11-24T"), "{text}");
        let kept = test_app.app.webhook_delivery(&endpoint, hooked.id()).await.expect("kept");
        assert_eq!((kept.body, kept.delivery.state), (text, "sent"), "the body byte for byte");
        assert!(kept.attempts.len() == 1 && kept.attempts[0].status == Some(204));
    }

    async fn a_secret_that_is_rotated_signs_beside_the_new_one_for_a_day(test_db) {
        let test_app = app_at(test_db).await;
        let sink = HookSink::start().await;
        let wish = TypedEndpoint { ed25519: true, ..typed(&sink, &["*"]) };
        let (endpoint, old) = add(&test_app, &wish).await;
        let (endpoint, new) = test_app.app.rotate_webhook_secret(&Actor::cli(), &endpoint).await.expect("rotated");
        happen(&test_app, "main").await;
        send(&test_app).await;
        let hooked = &sink.take()[0];
        assert_eq!((signed_by(hooked, &key(&new)), signed_by(hooked, &key(&old))), (1, 1));
        let signatures = &hooked.headers["webhook-signature"];
        assert_eq!(signatures.matches("v1a,").count(), 2, "{signatures}");
        assert_eq!(signatures.split(' ').count(), 4, "{signatures}");
        test_app.wait(chrono::TimeDelta::hours(25));
        happen(&test_app, "main").await;
        send(&test_app).await;
        let hooked = &sink.take()[0];
        assert_eq!((signed_by(hooked, &key(&new)), signed_by(hooked, &key(&old))), (1, 0));
        let public = test_app.app.webhook_view(&endpoint).public_key.expect("a key");
        let public = STANDARD.decode(public.strip_prefix("whpk_").expect("a key")).expect("base64");
        let signature = hooked.headers["webhook-signature"].split_once("v1a,").expect("a signature").1;
        let mut signed = format!("{}.{}.", hooked.id(), hooked.headers["webhook-timestamp"]).into_bytes();
        signed.extend(&hooked.body);
        let by = aws_lc_rs::signature::UnparsedPublicKey::new(&aws_lc_rs::signature::ED25519, public);
        by.verify(&signed, &STANDARD.decode(signature).expect("base64")).expect("the key's signature");
    }

    async fn what_is_wrong_with_an_endpoint_is_said_by_its_field(test_db) {
        let test_app = app_at(test_db).await;
        let good = TypedEndpoint { name: "CRM".into(), url: "https://crm.example/hook".into(), kinds: vec!["*".into()], ..TypedEndpoint::default() };
        let wrong = [
            ("name", TypedEndpoint { name: " ".into(), ..good.clone() }),
            ("name", TypedEndpoint { name: "a\nb".into(), ..good.clone() }),
            ("kinds", TypedEndpoint { kinds: Vec::new(), ..good.clone() }),
            ("kinds", TypedEndpoint { kinds: vec!["digest.lost".into()], ..good.clone() }),
            ("url", TypedEndpoint { url: "crm.example".into(), ..good.clone() }),
            ("url", TypedEndpoint { url: "ftp://crm.example/".into(), ..good.clone() }),
            ("url", TypedEndpoint { url: "https://user:password@crm.example/".into(), ..good.clone() }),
            ("url", TypedEndpoint { url: "https://10.0.0.1/".into(), ..good.clone() }),
            ("url", TypedEndpoint { url: "https://[::1]/".into(), ..good.clone() }),
            ("url", TypedEndpoint { url: "http://1.1.1.1/".into(), ..good.clone() }),
        ];
        for (field, endpoint) in wrong {
            let refused = test_app.app.add_webhook_endpoint(&Actor::cli(), &endpoint).await;
            let failure = refused.expect_err("refused");
            let verdicts::app::FailureKind::Invalid(faults) = failure.kind() else { panic!("{failure:?}") };
            assert_eq!(faults[0].field, field, "{endpoint:?}: {failure}");
        }
        add(&test_app, &good).await;
        assert_eq!(test_app.app.webhook_views().await.expect("read").len(), 1);
    }
}
