//! Genuine events and others: the providers' own examples, and everything else.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use serde_json::json;

use super::super::*;
use super::at;

#[test]
fn sendgrids_own_example_is_genuine() {
    // github.com/sendgrid/sendgrid-python, test/unit/test_eventwebhook.py; the body ends with CR and LF.
    let key = [
        "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE83T4O/n84iotIvIW4mdBgQ/7dAfSmpqIM8kF9mN1flpVKS3GRqe62gw+2fNNRaINXvVpiglSI8eNEc6wEA3F+g==",
    ];
    let body = concat!(
        r#"[{"email":"hello@world.com","event":"dropped","reason":"Bounced Address","#,
        r#""sg_event_id":"ZHJvcC0xMDk5NDkxOS1MUnpYbF9OSFN0T0doUTRrb2ZTbV9BLTA","#,
        r#""sg_message_id":"LRzXl_NHStOGhQ4kofSm_A.filterdrecv-p3mdw1-756b745b58-kmzbl-18-5F5FC76C-9.0","#,
        r#""smtp-id":"<LRzXl_NHStOGhQ4kofSm_A@ismtpd0039p1iad1.sendgrid.net>","timestamp":1600112492}]"#,
        "\r\n"
    );
    let signature = "MEUCIGHQVtGj+Y3LkG9fLcxf3qfI10QysgDWmMOVmxG0u6ZUAiEAyBiXDWzM+uOe5W0JuG+luQAbPIqHh89M15TluLtEZtM=";
    let headers = [
        ("x-twilio-email-event-webhook-signature", signature),
        ("x-twilio-email-event-webhook-timestamp", "1600112502"),
    ];
    let keys = key.map(Into::into);
    let check = |headers: &[(&str, &str)], body: &str, now| {
        identify(
            Provider::SendGrid,
            &keys,
            Posted {
                headers,
                path_secret: None,
                body: body.as_bytes(),
            },
            at(now),
        )
        .map(|_| ())
    };
    assert_eq!(check(&headers, body, 1_600_112_502), Ok(()));
    assert_eq!(
        check(&headers, body.trim_end(), 1_600_112_502),
        Err(Untrusted::Forged)
    );
    assert_eq!(
        check(
            &[headers[0], (headers[1].0, "1600112503")],
            body,
            1_600_112_502
        ),
        Err(Untrusted::Forged)
    );
    assert_eq!(
        check(&headers, body, 1_600_112_502 + 2 * 86_400),
        Err(Untrusted::Stale)
    );
    assert_eq!(
        check(&headers[..1], body, 1_600_112_502),
        Err(Untrusted::Unsigned)
    );
    assert_eq!(
        check(&[headers[0], headers[0], headers[1]], body, 1_600_112_502),
        Err(Untrusted::Unsigned)
    );
    let event = &read(Provider::SendGrid, body)[0];
    assert_eq!(
        (event.domains.len(), event.finding.meaning.as_str()),
        (0, "soft"),
        "SendGrid's own id says nothing of the sender"
    );
}

#[test]
fn svixs_own_example_is_genuine() {
    // docs.svix.com, and every library of theirs.
    let keys = ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".into()];
    let right = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    let check = |signature: &str, body: &str, now| {
        let headers = [
            ("svix-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
            ("svix-timestamp", "1614265330"),
            ("svix-signature", signature),
        ];
        identify(
            Provider::Resend,
            &keys,
            Posted {
                headers: &headers,
                path_secret: None,
                body: body.as_bytes(),
            },
            at(now),
        )
    };
    let body = r#"{"test": 2432232314}"#;
    assert_eq!(
        check(right, body, 1_614_265_330).as_deref(),
        Ok("msg_p5jXN8AQM9LWM0D4loKWxJek")
    );
    assert!(
        check(
            &format!("v1,{} v1a,x {right} v2,y", STANDARD.encode([0; 32])),
            body,
            1_614_265_330
        )
        .is_ok(),
        "one of several"
    );
    for wrong in [
        "",
        "v1,",
        "v1",
        "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        &right[..20],
        &right.replace("v1", "v2"),
    ] {
        assert_eq!(
            check(wrong, body, 1_614_265_330),
            Err(Untrusted::Forged),
            "{wrong}"
        );
    }
    assert_eq!(
        check(right, r#"{"test": 2432232315}"#, 1_614_265_330),
        Err(Untrusted::Forged)
    );
    assert_eq!(
        check(right, body, 1_614_265_330 + 301),
        Err(Untrusted::Stale)
    );
    assert_eq!(
        check(right, body, 1_614_265_330 - 301),
        Err(Untrusted::Stale)
    );
}

#[test]
fn a_topic_has_one_host() {
    let host = |topic| sns::host_of(topic).unwrap_or_default();
    assert_eq!(
        host("arn:aws:sns:eu-west-1:123456789012:bounces"),
        "sns.eu-west-1.amazonaws.com"
    );
    assert_eq!(
        host("arn:aws-cn:sns:cn-north-1:123456789012:b:c"),
        "sns.cn-north-1.amazonaws.com.cn"
    );
    for bad in [
        "",
        "arn:aws:sns:x.evil.example/:1:b",
        "arn:aws:sqs:eu-west-1:1:b",
        "arn:aws:sns:eu-west-1:1:",
        "arn:aws:sns::1:b",
    ] {
        assert_eq!(host(bad), "", "{bad}");
    }
}

#[test]
fn an_envelope_of_the_older_version_is_genuine_too() {
    // Signed with `openssl dgst -sha1 -sign`, over the text that Amazon's documentation asks for, without a subject.
    let (certificate, body) = (
        include_bytes!("../../../../tests/fixtures/sns/certificate.pem"),
        include_str!("../../../../tests/fixtures/sns/version-1.json"),
    );
    let now: Timestamp = "2026-11-24T07:31:00Z".parse().expect("a moment");
    let open = |body: &str, now| {
        sns::SnsEnvelope::parse(body.as_bytes())
            .expect("an envelope")
            .open(certificate, now)
    };
    assert!(
        matches!(open(body, now), Ok(sns::SnsMessage::Message(message)) if message.contains("\"Bounce\",\n"))
    );
    for (from, to) in [
        ("Bounce", "Bounced"),
        ("\"SignatureVersion\": \"1\"", "\"SignatureVersion\": \"2\""),
        ("\"Type\"", "\"Subject\": \"new\", \"Type\""),
        ("22b80b92", "22b80b93"),
        ("Notification\"", "SubscriptionConfirmation\""),
    ] {
        assert!(
            body.contains(from) && open(&body.replacen(from, to, 1), now).is_err(),
            "{from}"
        );
    }
    assert_eq!(
        open(body, now + chrono::TimeDelta::minutes(70)),
        Err(Untrusted::Stale)
    );
    assert_eq!(
        sns::SnsEnvelope::parse(body.as_bytes())
            .expect("an envelope")
            .open(b"no certificate", now),
        Err(Untrusted::Forged)
    );
}

fn cases() -> ProptestConfig {
    let many = std::env::var("VERDICTS_PROPTEST_CASES")
        .ok()
        .and_then(|text| text.parse().ok());
    ProptestConfig {
        cases: many.unwrap_or(256),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// Bodies of the form that providers send, with anything in their places.
fn like_an_event() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        "\\PC{0,20}".prop_map(Value::from),
        prop::sample::select(vec![
            "Bounce",
            "bounce",
            "failed",
            "permanent",
            "email.bounced",
            "Complaint",
            "dropped",
            "a@b.example",
            "550 5.1.1 no"
        ])
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        let names = vec![
            "event-data",
            "event",
            "RecordType",
            "Email",
            "email",
            "bounce",
            "bouncedRecipients",
            "emailAddress",
            "mail",
            "data",
            "to",
            "type",
            "notificationType",
            "delivery-status",
            "message",
            "headers",
            "recipient",
            "severity",
            "TypeCode",
            "Content",
            "smtp-id",
            "from",
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((prop::sample::select(names), inner), 0..6)
                .prop_map(|pairs| Value::from_iter(pairs.into_iter())),
        ]
    })
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn whatever_has_the_form_of_an_event_is_read(body in like_an_event()) {
        for provider in Provider::ALL {
            for event in read(*provider, &body.to_string()) {
                let clean = event.finding.address.iter().all(|address| !address.chars().any(|c| c.is_whitespace() || c.is_control()));
                prop_assert!(clean && !event.finding.line.chars().any(char::is_control) && !event.id.is_empty(), "{:?}", event);
            }
        }
    }

    #[test]
    fn no_envelope_is_genuine_whatever_stands_in_it(
        kind in prop::sample::select(vec!["Notification", "SubscriptionConfirmation", "UnsubscribeConfirmation", ""]),
        url in "(https|http|ftp)://(sns\\.eu-west-1\\.amazonaws\\.com|\\PC{0,20})(:443|@x|)/(SimpleNotificationService-[a-z0-9/.]{0,9}\\.pem|\\PC{0,20})",
        texts in prop::collection::vec("\\PC{0,30}", 6),
        version in "[12]",
    ) {
        let topic = "arn:aws:sns:eu-west-1:123456789012:bounces".to_owned();
        let body = json!({ "Type": kind, "MessageId": texts[0], "TopicArn": topic, "Message": texts[1], "Timestamp": texts[2],
            "SignatureVersion": version, "Signature": STANDARD.encode(&texts[3]), "SigningCertURL": url, "SubscribeURL": texts[4],
            "Token": texts[5] });
        let envelope = sns::SnsEnvelope::parse(body.to_string().as_bytes()).expect("an envelope");
        if let Ok(url) = envelope.certificate(&[topic.as_str()]) {
            prop_assert_eq!((url.scheme(), url.host_str(), url.port()), ("https", Some("sns.eu-west-1.amazonaws.com"), None));
            prop_assert!(url.username().is_empty() && url.path().starts_with("/SimpleNotificationService-"));
        }
        let certificate = include_bytes!("../../../../tests/fixtures/sns/certificate.pem");
        prop_assert!(envelope.open(certificate, at(1_764_000_000)).is_err());
    }

    #[test]
    fn no_bytes_are_genuine(body in prop::collection::vec(any::<u8>(), 0..500), value in "\\PC{0,80}", name in 0usize..13) {
        let names = ["authorization", "signature", "x-webhook-signature", "x-postal-signature", "x-postal-signature-256", "svix-id", "svix-timestamp", "svix-signature", "x-verdicts-timestamp", "x-verdicts-signature",
            "x-twilio-email-event-webhook-signature", "x-twilio-email-event-webhook-timestamp", "x"];
        let headers: Vec<(&str, &str)> = names.iter().cycle().skip(name).take(13).map(|name| (*name, value.as_str())).collect();
        let topics = ["0123456789abcdef0123456789abcdef"];
        let keys = [topics[0].into()];
        for provider in Provider::ALL {
            let posted = Posted { headers: &headers, path_secret: Some(&value).filter(|_| name % 2 == 0).map(String::as_str), body: &body };
            prop_assert!(identify(*provider, &keys, posted, at(1_764_000_000)).is_err());
        }
        if let Some(envelope) = sns::SnsEnvelope::parse(&body) {
            prop_assert!(envelope.certificate(&topics).is_err());
        }
    }
}
