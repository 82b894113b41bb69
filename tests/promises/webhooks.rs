//! What providers tell by webhook: real requests, rightly and wrongly signed; kept, answered, and acted on once.

mod bounces;
pub mod newer;
pub mod world;

use chrono::TimeDelta;
use serde_json::Value;
use serde_json::json;
use verdicts::domain::subscriber::SubscriberState;

use crate::support::Program;
use crate::support::TestApp;
use crate::support::TestDb;
use crate::support::on_both;
use world::CERTIFICATE;
use world::MAILGUN;
use world::POSTMARK;
use world::PROVIDERS;
use world::READER;
use world::RESEND;
use world::SIGNED;
use world::Signed;
use world::TOPIC;
use world::World;

on_both! {
    async fn what_was_kept_before_a_crash_is_acted_on_after_the_next_start(test_db) {
        let world = World::new(test_db).await;
        for provider in PROVIDERS {
            assert_eq!(world.post(provider, &world.bounce(provider, READER, provider)).await, 200);
        }
        let again = world.test_app.test_db.again();
        world.test_app.stop.cancel();
        world.test_app.app.storage.close().await;
        let test_app = TestApp::open_with(again, |settings| settings.webhooks_in.set_keys(verdicts::domain::webhook::Provider::Signed, vec![SIGNED.into()])).await;
        let (app, stop) = (test_app.app.clone(), test_app.stop.clone());
        tokio::spawn(async move { app.act_on_webhooks_until(&stop).await });
        crate::support::until("the reader is bounced", async || test_app.state_of(READER).await == Some(SubscriberState::Bounced)).await;
        let rows = || async { test_app.test_db.dump().await.into_iter().filter(|row| row.starts_with("webhook_events")).collect::<Vec<_>>() };
        crate::support::until("all is acted on", async || !rows().await.iter().any(|row| row.contains(READER))).await;
        assert_eq!(rows().await.len(), PROVIDERS.len());
    }

    async fn nothing_is_acknowledged_that_could_not_be_kept(test_db) {
        let world = World::new(test_db).await;
        let bounce = world.bounce("signed", READER, "1");
        world.test_app.app.storage.close().await;
        assert!(world.post("signed", &bounce).await >= 500);
    }

    async fn what_arrived_was_opened_or_clicked_is_not_kept(test_db) {
        let world = World::new(test_db).await;
        let before = world.test_app.test_db.dump().await;
        for (provider, body) in [
            ("ses", json!({ "notificationType": "Delivery", "mail": { "destination": [READER] } })),
            ("postmark", json!({ "RecordType": "Open", "Recipient": READER })),
            ("sendgrid", json!([{ "event": "click", "email": READER }, { "event": "processed", "email": READER }])),
            ("mailgun", json!({ "event-data": { "event": "delivered", "recipient": READER } })),
            ("resend", json!({ "type": "email.delivered", "data": { "to": [READER] } })),
            ("brevo", json!({ "event": "delivered", "email": READER })),
            ("mailjet", json!([{ "event": "sent", "email": READER }, { "event": "open", "email": READER }])),
            ("sparkpost", json!([{ "msys": {} }])),
            ("sparkpost", json!([{ "msys": { "message_event": { "type": "delivery", "rcpt_to": READER } } }])),
            ("mailersend", json!({ "type": "activity.delivered", "data": { "email": { "recipient": { "email": READER } } } })),
            ("azure", json!([{ "eventType": "Microsoft.Communication.EmailDeliveryReportReceived", "data": { "recipient": READER, "status": "Delivered" } }])),
            ("postal", json!({ "event": "MessageSent", "payload": { "message": { "to": READER } } })),
            ("kumomta", json!([{ "type": "Delivery", "recipient": READER }, { "type": "TransientFailure", "recipient": READER }])),
            ("forwardemail", json!({ "recipient": READER, "bounce": { "action": "defer" } })),
            ("signed", json!({ "type": "delivered", "email": READER })),
        ] {
            assert_eq!(world.post(provider, &world.sign(provider, &body, "1")).await, 204, "{provider}");
        }
        assert_eq!(world.test_app.test_db.dump().await, before);
    }

    async fn nobody_leaves_for_somebody_elses_fault_or_for_mail_of_another_sender(test_db) {
        let world = World::new(test_db).await;
        let recipient = json!([{ "emailAddress": READER, "diagnosticCode": "smtp; 550 5.1.1 no such user" }]);
        let from = "shop@another.example";
        let elsewhere = [
            ("ses", json!({ "notificationType": "Bounce", "bounce": { "bounceType": "Permanent", "bouncedRecipients": recipient, "feedbackId": "1" },
                "mail": { "source": from } })),
            ("postmark", json!({ "RecordType": "SpamComplaint", "Email": READER, "From": from, "ID": 1 })),
            ("mailgun", json!({ "event-data": { "event": "complained", "recipient": READER, "id": "1",
                "message": { "headers": { "from": from } } } })),
            ("resend", json!({ "type": "email.complained", "data": { "to": [READER], "from": from, "email_id": "1" } })),
            ("signed", json!({ "type": "complaint", "email": READER, "sender": from, "id": "1" })),
        ];
        for (provider, body) in &elsewhere {
            assert_eq!(world.post(provider, &world.sign(provider, body, "elsewhere")).await, 200, "{provider}");
        }
        let soft = [
            ("postmark", json!({ "RecordType": "Bounce", "TypeCode": 100_006, "Email": READER, "ID": 2 })),
            ("sendgrid", json!([{ "event": "bounce", "type": "blocked", "email": READER, "reason": "554 5.7.1 spam", "sg_event_id": "2" }])),
            ("resend", json!({ "type": "email.bounced", "data": { "to": [READER], "email_id": "2", "bounce": { "type": "Transient" } } })),
            ("signed", json!({ "type": "bounce", "email": READER, "diagnostic": "552 5.2.2 mailbox full", "id": "2" })),
            ("signed", json!({ "type": "complaint", "email": "nobody@example.org", "id": "3" })),
        ];
        for (provider, body) in &soft {
            assert_eq!(world.post(provider, &world.sign(provider, body, "soft")).await, 200, "{provider}");
        }
        world.act().await;
        assert_eq!(world.state().await, Some(SubscriberState::Active));
        assert_eq!(world.test_app.known_people().await, 2);
    }

    async fn a_complaint_is_for_ever_and_who_leaves_by_the_providers_link_has_left(test_db) {
        let world = World::new(test_db).await;
        let left = json!({ "RecordType": "SubscriptionChange", "Recipient": "reader1@example.org", "SuppressSending": true, "Origin": "Recipient",
            "SuppressionReason": "ManualSuppression" });
        let complained = json!({ "event-data": { "event": "complained", "recipient": READER, "id": "1" } });
        world.post("postmark", &world.sign("postmark", &left, "1")).await;
        world.post("mailgun", &world.sign("mailgun", &complained, "1")).await;
        world.act().await;
        assert_eq!(world.state().await, Some(SubscriberState::Complained));
        assert_eq!(world.test_app.state_of("reader1@example.org").await, Some(SubscriberState::Unsubscribed));
        world.test_app.sign_up(READER).await;
        assert_eq!(world.test_app.waiting_confirmations().await, 0, "on the suppression list");
    }

    async fn the_envelopes_sender_tells_whose_mail_it_was_though_it_was_passed_on(test_db) {
        let world = World::new(test_db).await;
        let mails = world.test_app.mails_to(READER);
        let mail = String::from_utf8_lossy(mails.last().expect("a digest")).into_owned();
        let (_, rest) = mail.split_once("<mailto:").expect("an address to write to");
        let sender = rest.split(['?', '>']).next().expect("an address");
        let body = json!({ "id": "1", "type": "bounce", "email": "passed.on@elsewhere.example", "sender": sender, "diagnostic": "550 5.1.1 no such user" });
        world.post("signed", &world.sign("signed", &body, "1")).await;
        world.act().await;
        assert_eq!(world.state().await, Some(SubscriberState::Bounced));
    }

    async fn a_token_of_mailgun_is_good_for_one_body(test_db) {
        let world = World::new(test_db).await;
        let delivered = json!({ "event-data": { "event": "unsubscribed", "recipient": "reader1@example.org", "id": "1" } });
        let seen = world.sign("mailgun", &delivered, "1");
        assert_eq!(world.post("mailgun", &seen).await, 200);
        let mut forged: Value = serde_json::from_str(&seen.body).expect("JSON");
        forged["event-data"]["recipient"] = READER.into();
        assert_eq!(world.post("mailgun", &Signed { body: forged.to_string(), ..seen }).await, 401);
        world.act().await;
        assert_eq!(world.state().await, Some(SubscriberState::Active));
    }

    async fn amazons_certificate_is_fetched_once_and_never_from_elsewhere(test_db) {
        let world = World::new(test_db).await;
        let message = json!({ "notificationType": "Delivery" }).to_string();
        let post = async |with: &[(&str, &str)]| {
            let envelope = world.amazon.envelope(&world.test_app, "1", with);
            world.post("ses", &Signed { headers: Vec::new(), body: envelope.to_string() }).await
        };
        for (name, value) in [
            ("TopicArn", "arn:aws:sns:eu-west-1:123456789012:foreign"),
            ("SigningCertURL", "http://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0123456789abcdef.pem"),
            ("SigningCertURL", "https://sns.eu-west-1.amazonaws.com.evil.example/SimpleNotificationService-0123456789abcdef.pem"),
            ("SigningCertURL", "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-0123456789abcdef.pem"),
            ("SigningCertURL", "https://evil.example/SimpleNotificationService-0123456789abcdef.pem"),
            ("SigningCertURL", "https://sns.eu-west-1.amazonaws.com@evil.example/SimpleNotificationService-0123456789abcdef.pem"),
            ("SigningCertURL", "https://sns.eu-west-1.amazonaws.com:8443/SimpleNotificationService-0123456789abcdef.pem"),
            ("SigningCertURL", "https://sns.eu-west-1.amazonaws.com/?Action=Publish&x=/SimpleNotificationService-1.pem"),
            ("SigningCertURL", "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-../x.pem"),
            ("SigningCertURL", "https://bucket.s3.amazonaws.com/SimpleNotificationService-0123456789abcdef.pem"),
        ] {
            assert_eq!(post(&[("Message", &message), (name, value)]).await, 401, "{name}: {value}");
        }
        assert!(world.amazon.asked().is_empty(), "a stranger cannot make us ask anybody");

        *world.amazon.up.lock().expect("unharmed") = false;
        assert_eq!(post(&[("Message", &message)]).await, 503, "it is sent again");
        assert_eq!(post(&[("Message", &message)]).await, 503, "and not asked for each time");
        *world.amazon.up.lock().expect("unharmed") = true;
        world.test_app.wait(TimeDelta::minutes(2));
        for _ in 0..3 {
            assert_eq!(post(&[("Message", &message)]).await, 204);
        }
        assert_eq!(world.amazon.asked(), [CERTIFICATE, CERTIFICATE]);
        for version in ["1", "3", ""] {
            assert_eq!(post(&[("Message", &message), ("SignatureVersion", version)]).await, 401, "version {version:?}");
        }
    }

    async fn only_the_invitation_of_a_topic_of_the_settings_is_accepted(test_db) {
        let world = World::new(test_db).await;
        let yes = format!("https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn={TOPIC}&Token=2336412f37fb687f5d51e6e2425929f52b8d");
        let invite = async |id: &str, with: &[(&str, &str)]| {
            let mut fields = vec![("Type", "SubscriptionConfirmation"), ("Token", "2336412f37fb687f5d51e6e2425929f52b8d"), ("SubscribeURL", yes.as_str())];
            fields.extend(with);
            let envelope = world.amazon.envelope(&world.test_app, id, &fields);
            world.post("ses", &Signed { headers: Vec::new(), body: envelope.to_string() }).await
        };
        let mine = yes.replace("bounces", "foreign");
        for (name, value) in [
            ("SubscribeURL", "https://evil.example/?Action=ConfirmSubscription"),
            ("SubscribeURL", "https://sns.eu-west-1.amazonaws.com/?Action=DeleteTopic"),
            ("SubscribeURL", "http://127.0.0.1/"),
            ("SubscribeURL", &mine),
            ("TopicArn", "arn:aws:sns:eu-west-1:123456789012:foreign"),
        ] {
            assert_eq!(invite("1", &[(name, value)]).await, 401, "{name}: {value}");
        }
        world.act().await;
        assert_eq!(world.amazon.asked(), [CERTIFICATE]);

        assert_eq!(invite("2", &[]).await, 200);
        *world.amazon.up.lock().expect("unharmed") = false;
        world.act().await;
        *world.amazon.up.lock().expect("unharmed") = true;
        world.act().await;
        world.act().await;
        assert_eq!(world.amazon.asked()[1..], [yes.clone(), yes.clone()], "until it is accepted, and then no more");
        assert_eq!(invite("2", &[]).await, 200);
        world.act().await;
        assert_eq!(world.amazon.asked().len(), 3);
        assert_eq!(invite("3", &[("Type", "UnsubscribeConfirmation")]).await, 204);
        world.act().await;
        assert_eq!(world.amazon.asked().len(), 3, "who ended it is not overruled");
    }

    async fn azure_is_told_its_code_only_by_who_knows_the_secret(test_db) {
        let world = World::new(test_db).await;
        let before = world.test_app.test_db.dump().await;
        let validation = json!([{ "id": "1", "topic": "/subscriptions/1", "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent",
            "data": { "validationCode": "512d38b6-c7b8-40c8-89fe-f46f9e9622b6", "validationUrl": "https://evil.example/" } }]);
        let own = format!("/webhooks/azure/{}", newer::TOKEN);
        let answer = world.test_app.post_json(&own, &validation).await;
        assert_eq!(answer.status().as_u16(), 200);
        let body: Value = answer.json().await.expect("JSON");
        assert_eq!(body, json!({ "validationResponse": "512d38b6-c7b8-40c8-89fe-f46f9e9622b6" }));
        for wrong in ["/webhooks/azure", "/webhooks/azure/0123456789abcdef", "/webhooks/azure/%FF"] {
            let status = world.test_app.post_json(wrong, &validation).await.status().as_u16();
            assert!(matches!(status, 401 | 404), "{wrong}: {status}");
        }
        let ask = async |path: &str| {
            let request = world.test_app.request(reqwest::Method::OPTIONS, path).header("webhook-request-origin", "eventgrid.azure.net");
            request.send().await.expect("an answer")
        };
        let allowed = ask(&own).await;
        assert_eq!((allowed.status().as_u16(), allowed.headers()["webhook-allowed-origin"].to_str().ok()), (200, Some("eventgrid.azure.net")));
        assert_eq!(ask("/webhooks/acme/0123456789abcdef").await.status().as_u16(), 404);
        assert_eq!(world.test_app.test_db.dump().await, before);
    }

    async fn mailersends_test_of_the_address_is_answered_and_nothing_else_that_its_public_secret_signs(test_db) {
        let world = World::new(test_db).await;
        let sign = |body: Value| {
            let body = body.to_string();
            let signature = world::hex(&world::hmac(b"test_Am3L1GuOIc4blLUuHqAPxxwkZaJyEk8G", body.as_bytes()));
            Signed { headers: vec![("signature", signature)], body }
        };
        assert_eq!(world.post("mailersend", &sign(json!({ "type": "webhook.test", "data": {} }))).await, 204);
        let bounce = world::bounce_body("mailersend", READER, "1", "550 5.1.1 no such user");
        assert_eq!(world.post("mailersend", &sign(bounce)).await, 401);
    }

    async fn a_provider_that_is_not_in_the_settings_has_no_door(test_db) {
        let test_app = TestApp::open(test_db).await;
        for provider in PROVIDERS.iter().chain(&["acme", "SES", "ses%2F"]) {
            let answer = test_app.post_json(&format!("/webhooks/{provider}"), &json!({})).await;
            assert_eq!(answer.status().as_u16(), 404, "{provider}");
        }
        let world = World::new(test_app.test_db.again()).await;
        assert_eq!(world.test_app.get("/webhooks/ses").await.status().as_u16(), 405);
        let large = Signed { headers: Vec::new(), body: "x".repeat(3 << 20) };
        assert_eq!(world.post("signed", &large).await, 413);
    }
}

#[test]
fn the_secrets_of_webhooks_are_shown_to_nobody_and_a_bad_one_is_refused_by_name() {
    let test_db = TestDb::sqlite();
    let program = Program::set_up(&test_db)
        .with("VERDICTS_WEBHOOKS_IN__POSTMARK", POSTMARK)
        .with("VERDICTS_WEBHOOKS_IN__MAILGUN", MAILGUN)
        .with("VERDICTS_WEBHOOKS_IN__RESEND", RESEND)
        .with("VERDICTS_WEBHOOKS_IN__SIGNED", SIGNED)
        .with("VERDICTS_WEBHOOKS_IN__SES", TOPIC);
    let shown = program.run(&["config"]).good().out;
    assert!(shown.contains(TOPIC) && shown.contains("***"), "{shown}");
    for secret in ["password of many", MAILGUN, &RESEND[10..], SIGNED] {
        assert!(!shown.contains(secret), "{shown}");
    }
    for (key, value) in [
        ("SES", "bounces"),
        ("POSTMARK", "secret"),
        ("SENDGRID", "-----"),
        ("MAILGUN", "short"),
        ("RESEND", "x"),
        ("BREVO", "a secret with spaces"),
        ("AZURE", "short"),
        ("POSTAL", "-----BEGIN"),
        ("MAILERSEND", "short"),
        ("SIGNED", "x"),
    ] {
        let program =
            Program::set_up(&test_db).with(&format!("VERDICTS_WEBHOOKS_IN__{key}"), value);
        program
            .run(&["config"])
            .refused(&[&format!("webhooks_in.{}", key.to_lowercase())]);
    }
}
