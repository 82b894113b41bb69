//! What providers tell by webhook: real requests, rightly and wrongly signed; kept, answered, and acted on once.

use std::sync::Arc;
use std::sync::Mutex;

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::encoding::Pkcs8V1Der;
use aws_lc_rs::encoding::PublicKeyX509Der;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::ECDSA_P256_SHA256_ASN1_SIGNING;
use aws_lc_rs::signature::EcdsaKeyPair;
use aws_lc_rs::signature::KeyPair;
use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use aws_lc_rs::signature::RsaKeyPair;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::TimeDelta;
use hmac::Hmac;
use hmac::KeyInit;
use hmac::Mac;
use reqwest::Method;
use serde_json::Value;
use serde_json::json;
use sha2::Sha256;
use verdicts::app::Fetch;
use verdicts::domain::subscriber::SubscriberState;

use crate::support::House;
use crate::support::Place;
use crate::support::Program;
use crate::support::on_both;

pub const READER: &str = "reader0@example.org";
const TOPIC: &str = "arn:aws:sns:eu-west-1:123456789012:bounces";
const CERTIFICATE: &str =
    "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0123456789abcdef.pem";
const POSTMARK: &str = "postmark:a password of many letters";
const MAILGUN: &str = "mailgun's signing key";
const RESEND: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
pub const SIGNED: &str = "a secret of the plain webhook";
pub const PROVIDERS: [&str; 6] = ["ses", "postmark", "sendgrid", "mailgun", "resend", "signed"];

/// Amazon, as far as a test needs it: a key, its certificate, and who asked for what.
struct Amazon {
    key: RsaKeyPair,
    certificate: String,
    asked: Arc<Mutex<Vec<String>>>,
    /// Whether it answers.
    up: Arc<Mutex<bool>>,
}

impl Amazon {
    fn new() -> Self {
        let key = aws_lc_rs::rsa::KeyPair::generate(KeySize::Rsa2048).expect("a key");
        let der: Pkcs8V1Der = key.as_der().expect("its form");
        let pair = rcgen::KeyPair::try_from(der.as_ref()).expect("a key");
        let certificate = rcgen::CertificateParams::new(vec!["sns.amazonaws.com".into()])
            .expect("names")
            .self_signed(&pair)
            .expect("signed");
        Self {
            key,
            certificate: certificate.pem(),
            asked: Arc::default(),
            up: Arc::new(Mutex::new(true)),
        }
    }

    fn fetch(&self) -> Fetch {
        let (asked, up, certificate) = (
            self.asked.clone(),
            self.up.clone(),
            self.certificate.clone(),
        );
        Fetch::new(move |url| {
            asked.lock().expect("unharmed").push(url.to_string());
            let answer = if *up.lock().expect("unharmed") {
                Ok(certificate.clone().into_bytes())
            } else {
                Err("it is down".to_owned())
            };
            async { answer }
        })
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("unharmed").clone()
    }

    /// An envelope, with some fields as the test wants them, signed.
    fn envelope(&self, house: &House, id: &str, with: &[(&str, &str)]) -> Value {
        let mut envelope = json!({
            "Type": "Notification", "MessageId": id, "TopicArn": TOPIC, "Subject": "Amazon SES", "Message": "", "SignatureVersion": "2",
            "Timestamp": house.app.now().format("%Y-%m-%dT%H:%M:%S.000Z").to_string(), "SigningCertURL": CERTIFICATE,
            "UnsubscribeURL": "https://sns.eu-west-1.amazonaws.com/?Action=Unsubscribe"
        });
        with.iter()
            .for_each(|(name, value)| envelope[*name] = Value::from(*value));
        let names: &[&str] = match envelope["Type"].as_str() {
            Some("Notification") => &[
                "Message",
                "MessageId",
                "Subject",
                "Timestamp",
                "TopicArn",
                "Type",
            ],
            _ => &[
                "Message",
                "MessageId",
                "SubscribeURL",
                "Timestamp",
                "Token",
                "TopicArn",
                "Type",
            ],
        };
        let text: String = names
            .iter()
            .map(|name| format!("{name}\n{}\n", envelope[*name].as_str().unwrap_or_default()))
            .collect();
        let mut signature = vec![0; self.key.public_modulus_len()];
        self.key
            .sign(
                &RSA_PKCS1_SHA256,
                &SystemRandom::new(),
                text.as_bytes(),
                &mut signature,
            )
            .expect("signed");
        envelope["Signature"] = STANDARD.encode(signature).into();
        envelope
    }
}

/// The providers, each with its key, and a house that knows them.
pub struct World {
    pub house: House,
    amazon: Amazon,
    sendgrid: EcdsaKeyPair,
}

/// A request, ready to be sent or spoilt.
#[derive(Clone)]
pub struct Signed {
    headers: Vec<(&'static str, String)>,
    body: String,
}

impl World {
    pub async fn new(place: Place) -> Self {
        Self::new_with(place, |_| {}).await
    }

    /// The same, with more settings.
    pub async fn new_with(
        place: Place,
        adapt: impl FnOnce(&mut verdicts::config::Settings),
    ) -> Self {
        let amazon = Amazon::new();
        let sendgrid = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).expect("a key");
        let public: PublicKeyX509Der<'_> = sendgrid.public_key().as_der().expect("its form");
        let public = STANDARD.encode(public.as_ref());
        let house = House::open_fetching(place, amazon.fetch(), |settings| {
            settings.mail.return_path = Some("bounces+{verp}@verdicts.example".into());
            let keys = &mut settings.webhooks;
            // Each has a second key: the one that is rotated out, or in.
            keys.ses = vec![
                "arn:aws:sns:eu-west-1:123456789012:other".into(),
                TOPIC.into(),
            ];
            keys.postmark = vec!["old:another password of letters".into(), POSTMARK.into()];
            keys.sendgrid = vec![STANDARD.encode([1; 91]), public];
            keys.mailgun = vec!["an older signing key".into(), MAILGUN.into()];
            keys.resend = vec![format!("whsec_{}", STANDARD.encode([1; 24])), RESEND.into()];
            keys.signed = vec!["an older secret of it".into(), SIGNED.into()];
            adapt(settings);
        })
        .await;
        house.stock_small().await;
        house.enlist("reader", 2).await;
        house.send_digest().await;
        Self {
            house,
            amazon,
            sendgrid,
        }
    }

    /// The provider's event that a mail to `email` bounced for good; `id` names event and request.
    fn bounce(&self, provider: &str, email: &str, id: &str) -> Signed {
        self.sign(
            provider,
            &bounce_body(provider, email, id, "550 5.1.1 no such user"),
            id,
        )
    }

    /// Posts the provider's event that a mail to `email` bounced for good, with those words of the receiving server.
    pub async fn post_bounce(&self, provider: &str, email: &str, id: &str, words: &str) -> u16 {
        self.post(
            provider,
            &self.sign(provider, &bounce_body(provider, email, id, words), id),
        )
        .await
    }

    /// As the provider signs it, now.
    pub fn sign(&self, provider: &str, body: &Value, id: &str) -> Signed {
        let now = self.house.app.now().timestamp().to_string();
        let text = body.to_string();
        let mut headers = vec![("content-type", "application/json".to_owned())];
        let body = match provider {
            "ses" => self
                .amazon
                .envelope(&self.house, id, &[("Message", &text)])
                .to_string(),
            "postmark" => {
                headers.push((
                    "authorization",
                    format!("Basic {}", STANDARD.encode(POSTMARK)),
                ));
                text
            }
            "sendgrid" => {
                let signature = self
                    .sendgrid
                    .sign(&SystemRandom::new(), format!("{now}{text}").as_bytes())
                    .expect("signed");
                headers.push((
                    "x-twilio-email-event-webhook-signature",
                    STANDARD.encode(signature),
                ));
                headers.push(("x-twilio-email-event-webhook-timestamp", now));
                text
            }
            "mailgun" => {
                let token = format!("{id:0>50}");
                let signature = hex(&hmac(
                    MAILGUN.as_bytes(),
                    format!("{now}{token}").as_bytes(),
                ));
                let mut body = body.clone();
                body["signature"] =
                    json!({ "timestamp": now, "token": token, "signature": signature });
                body.to_string()
            }
            "resend" => {
                let key = STANDARD.decode(&RESEND["whsec_".len()..]).expect("a key");
                let signature =
                    STANDARD.encode(hmac(&key, format!("{id}.{now}.{text}").as_bytes()));
                headers.extend([("svix-id", id.to_owned()), ("svix-timestamp", now)]);
                headers.push((
                    "svix-signature",
                    format!("v1,{} v1,{signature}", STANDARD.encode([7; 32])),
                ));
                text
            }
            _ => {
                headers.push((
                    "x-verdicts-signature",
                    hex(&hmac(SIGNED.as_bytes(), format!("{now}.{text}").as_bytes())),
                ));
                headers.push(("x-verdicts-timestamp", now));
                text
            }
        };
        Signed { headers, body }
    }

    pub async fn post(&self, provider: &str, signed: &Signed) -> u16 {
        post_to(&self.house, provider, signed).await
    }

    pub async fn act(&self) {
        self.house.app.act_on_webhooks().await.expect("acted on");
    }

    async fn state(&self) -> Option<SubscriberState> {
        self.house.state_of(READER).await
    }
}

/// The provider's event that a mail to `email` bounced for good.
pub fn bounce_body(provider: &str, email: &str, id: &str, words: &str) -> Value {
    let from = "Ship or Skip <news@verdicts.example>";
    let number = id.bytes().fold(0_u64, |number, byte| {
        number * 131 % 1_000_000_007 + u64::from(byte)
    });
    let code = words
        .get(..3)
        .and_then(|code| code.parse::<u64>().ok())
        .unwrap_or_default();
    match provider {
        "ses" => {
            let bounce = json!({ "bounceType": "Permanent", "bounceSubType": "General", "feedbackId": id,
                "bouncedRecipients": [{ "emailAddress": email, "diagnosticCode": format!("smtp; {words}") }] });
            json!({ "notificationType": "Bounce", "bounce": bounce, "mail": { "source": "news@verdicts.example", "destination": [email] } })
        }
        "postmark" => {
            json!({ "RecordType": "Bounce", "ID": number, "TypeCode": 1, "Type": "HardBounce", "Email": email, "From": from,
            "Details": words, "Tag": id })
        }
        "sendgrid" => {
            json!([{ "email": "other@example.org", "event": "delivered", "sg_event_id": "0" },
            { "email": email, "event": "bounce", "type": "bounce", "reason": words, "sg_event_id": id }])
        }
        "mailgun" => {
            json!({ "event-data": { "event": "failed", "severity": "permanent", "reason": "bounce", "recipient": email, "id": id,
            "delivery-status": { "code": code, "message": words }, "message": { "headers": { "from": from } } } })
        }
        "resend" => {
            json!({ "type": "email.bounced", "data": { "email_id": id, "to": [email], "from": from,
            "bounce": { "type": "Permanent", "subType": "General", "message": words } } })
        }
        _ => json!({ "id": id, "type": "bounce", "email": email, "diagnostic": words }),
    }
}

async fn post_to(house: &House, provider: &str, signed: &Signed) -> u16 {
    let mut request = house
        .request(Method::POST, &format!("/webhooks/{provider}"))
        .body(signed.body.clone());
    for (name, value) in &signed.headers {
        request = request.header(*name, value);
    }
    request.send().await.expect("an answer").status().as_u16()
}

/// Tells by the plain webhook that a mail to `email` came back, and has it acted on.
pub async fn tell_signed(house: &House, id: &str, kind: &str, email: &str, diagnostic: &str) {
    let now = house.app.now().timestamp().to_string();
    let body =
        json!({ "id": id, "type": kind, "email": email, "diagnostic": diagnostic }).to_string();
    let signature = hex(&hmac(SIGNED.as_bytes(), format!("{now}.{body}").as_bytes()));
    let headers = vec![
        ("x-verdicts-signature", signature),
        ("x-verdicts-timestamp", now),
    ];
    assert_eq!(
        post_to(house, "signed", &Signed { headers, body }).await,
        200
    );
    house.app.act_on_webhooks().await.expect("acted on");
}

fn hmac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any length");
    mac.update(text);
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Where a request carries its proof: what a test takes from it or changes in it.
fn spoil(provider: &str, signed: &Signed, how: impl Fn(&str) -> String) -> Signed {
    let mut spoilt = signed.clone();
    let header = match provider {
        "postmark" => "authorization",
        "sendgrid" => "x-twilio-email-event-webhook-signature",
        "resend" => "svix-signature",
        "signed" => "x-verdicts-signature",
        _ => {
            let mut body: Value = serde_json::from_str(&signed.body).expect("JSON");
            let place = if provider == "ses" {
                &mut body["Signature"]
            } else {
                &mut body["signature"]["signature"]
            };
            *place = how(place.as_str().expect("a signature")).into();
            spoilt.body = body.to_string();
            return spoilt;
        }
    };
    for (_, value) in spoilt
        .headers
        .iter_mut()
        .filter(|(name, _)| *name == header)
    {
        *value = how(value);
    }
    spoilt
}

/// Another last letter that counts.
fn altered(text: &str) -> String {
    let at = text.trim_end_matches('=').len() - 3;
    let other = if &text[at..=at] == "a" { "b" } else { "a" };
    format!("{}{other}{}", &text[..at], &text[at + 1..])
}

async fn a_bounce_by(provider: &str, place: Place) {
    let world = World::new(place).await;
    let bounce = world.bounce(provider, READER, "event-1");
    let untouched = world.house.place.dump().await;
    let without = Signed {
        headers: vec![("content-type", "application/json".into())],
        body: bounce.body.clone(),
    };
    let spoilt = [
        ("altered", spoil(provider, &bounce, altered)),
        (
            "cut off",
            spoil(provider, &bounce, |text| text[..text.len() / 2].to_owned()),
        ),
        ("empty", spoil(provider, &bounce, |_| String::new())),
        (
            "lengthened",
            spoil(provider, &bounce, |text| format!("{text}00")),
        ),
    ];
    for (what, spoilt) in &spoilt {
        assert_eq!(
            world.post(provider, spoilt).await,
            401,
            "{provider}: {what}"
        );
    }
    if !matches!(provider, "ses" | "mailgun") {
        assert_eq!(
            world.post(provider, &without).await,
            401,
            "{provider}: no signature at all"
        );
    }
    if !matches!(provider, "postmark" | "mailgun") {
        let other = Signed {
            body: bounce.body.replace("reader0", "reader1"),
            ..bounce.clone()
        };
        assert_eq!(
            world.post(provider, &other).await,
            401,
            "{provider}: another body"
        );
    }
    let half = Signed {
        body: bounce.body[..bounce.body.len() / 2].to_owned(),
        ..bounce.clone()
    };
    assert_eq!(
        world.post(provider, &half).await,
        if provider == "postmark" { 204 } else { 401 },
        "{provider}: half a body"
    );
    assert_eq!(
        world.house.place.dump().await,
        untouched,
        "{provider}: nothing is kept of what is not proven"
    );

    assert_eq!(world.post(provider, &bounce).await, 200, "{provider}");
    assert_eq!(
        world.state().await,
        Some(SubscriberState::Active),
        "kept before it is acted on"
    );
    world.act().await;
    let record = world.house.record_of(READER).await;
    assert!(
        record.contains("state: Bounced") && record.contains("550 5.1.1 no such user"),
        "{provider}: {record}"
    );
    assert_eq!(
        world.house.state_of("reader1@example.org").await,
        Some(SubscriberState::Active)
    );

    let acted = world.house.place.dump().await;
    assert!(
        !acted
            .iter()
            .any(|row| row.starts_with("webhook_events") && row.contains(READER)),
        "what it said is forgotten"
    );
    assert_eq!(
        world.post(provider, &bounce).await,
        200,
        "{provider}: sent again"
    );
    world.act().await;
    assert_eq!(
        world.house.place.dump().await,
        acted,
        "{provider}: sent again, it changes nothing"
    );

    // The same event in another request: the reader came back in between, and is not bounced again.
    world
        .house
        .app
        .lift_suppression(&READER.parse().expect("an address"), "a new mailbox")
        .await
        .expect("lifted");
    world.house.join(READER).await;
    let again = Signed {
        body: bounce.body.replace("\"Tag\"", "\"Other\""),
        ..world.bounce(provider, READER, "event-1")
    };
    let again = if provider == "ses" || provider == "mailgun" {
        world.bounce_again(provider)
    } else {
        again
    };
    world.post(provider, &again).await;
    world.act().await;
    assert_eq!(
        world.state().await,
        Some(SubscriberState::Active),
        "{provider}: an event acts once"
    );

    let stale = world.bounce(provider, READER, "event-number-2");
    world.house.wait(TimeDelta::hours(26));
    let expected = if provider == "postmark" { 200 } else { 401 };
    assert_eq!(
        world.post(provider, &stale).await,
        expected,
        "{provider}: signed long ago"
    );
    world.house.wait(TimeDelta::hours(-52));
    let early = world.bounce(provider, READER, "event-the-third");
    world.house.wait(TimeDelta::hours(-1));
    assert_eq!(
        world.post(provider, &early).await,
        expected,
        "{provider}: signed in the future"
    );
}

impl World {
    /// The first event, in a request of another name.
    fn bounce_again(&self, provider: &str) -> Signed {
        let first = self.bounce(provider, READER, "event-1");
        let body: Value = serde_json::from_str(&first.body).expect("JSON");
        match provider {
            "ses" => self.sign(
                provider,
                &serde_json::from_str(body["Message"].as_str().expect("a message")).expect("JSON"),
                "request-2",
            ),
            _ => self.sign(provider, &body, "request-2"),
        }
    }
}

on_both! {
    async fn a_bounce_told_by_ses_ends_a_subscription_once(place) {
        a_bounce_by("ses", place).await;
    }

    async fn a_bounce_told_by_postmark_ends_a_subscription_once(place) {
        a_bounce_by("postmark", place).await;
    }

    async fn a_bounce_told_by_sendgrid_ends_a_subscription_once(place) {
        a_bounce_by("sendgrid", place).await;
    }

    async fn a_bounce_told_by_mailgun_ends_a_subscription_once(place) {
        a_bounce_by("mailgun", place).await;
    }

    async fn a_bounce_told_by_resend_ends_a_subscription_once(place) {
        a_bounce_by("resend", place).await;
    }

    async fn a_bounce_told_by_ones_own_script_ends_a_subscription_once(place) {
        a_bounce_by("signed", place).await;
    }

    async fn what_was_kept_before_a_crash_is_acted_on_after_the_next_start(place) {
        let world = World::new(place).await;
        for provider in PROVIDERS {
            assert_eq!(world.post(provider, &world.bounce(provider, READER, provider)).await, 200);
        }
        let again = world.house.place.again();
        world.house.stop.cancel();
        world.house.app.storage.close().await;
        let house = House::open_with(again, |settings| settings.webhooks.signed = vec![SIGNED.into()]).await;
        let (app, stop) = (house.app.clone(), house.stop.clone());
        tokio::spawn(async move { app.act_on_webhooks_until(&stop).await });
        crate::support::until("the reader is bounced", async || house.state_of(READER).await == Some(SubscriberState::Bounced)).await;
        let rows = || async { house.place.dump().await.into_iter().filter(|row| row.starts_with("webhook_events")).collect::<Vec<_>>() };
        crate::support::until("all is acted on", async || !rows().await.iter().any(|row| row.contains(READER))).await;
        assert_eq!(rows().await.len(), PROVIDERS.len());
    }

    async fn nothing_is_acknowledged_that_could_not_be_kept(place) {
        let world = World::new(place).await;
        let bounce = world.bounce("signed", READER, "1");
        world.house.app.storage.close().await;
        assert!(world.post("signed", &bounce).await >= 500);
    }

    async fn what_arrived_was_opened_or_clicked_is_not_kept(place) {
        let world = World::new(place).await;
        let before = world.house.place.dump().await;
        for (provider, body) in [
            ("ses", json!({ "notificationType": "Delivery", "mail": { "destination": [READER] } })),
            ("postmark", json!({ "RecordType": "Open", "Recipient": READER })),
            ("sendgrid", json!([{ "event": "click", "email": READER }, { "event": "processed", "email": READER }])),
            ("mailgun", json!({ "event-data": { "event": "delivered", "recipient": READER } })),
            ("resend", json!({ "type": "email.delivered", "data": { "to": [READER] } })),
            ("signed", json!({ "type": "delivered", "email": READER })),
        ] {
            assert_eq!(world.post(provider, &world.sign(provider, &body, "1")).await, 204, "{provider}");
        }
        assert_eq!(world.house.place.dump().await, before);
    }

    async fn nobody_leaves_for_somebody_elses_fault_or_for_mail_of_another_sender(place) {
        let world = World::new(place).await;
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
        assert_eq!(world.house.known_people().await, 2);
    }

    async fn a_complaint_is_for_ever_and_who_leaves_by_the_providers_link_has_left(place) {
        let world = World::new(place).await;
        let left = json!({ "RecordType": "SubscriptionChange", "Recipient": "reader1@example.org", "SuppressSending": true, "Origin": "Recipient",
            "SuppressionReason": "ManualSuppression" });
        let complained = json!({ "event-data": { "event": "complained", "recipient": READER, "id": "1" } });
        world.post("postmark", &world.sign("postmark", &left, "1")).await;
        world.post("mailgun", &world.sign("mailgun", &complained, "1")).await;
        world.act().await;
        assert_eq!(world.state().await, Some(SubscriberState::Complained));
        assert_eq!(world.house.state_of("reader1@example.org").await, Some(SubscriberState::Unsubscribed));
        world.house.sign_up(READER).await;
        assert_eq!(world.house.waiting_confirmations().await, 0, "on the suppression list");
    }

    async fn the_envelopes_sender_tells_whose_mail_it_was_though_it_was_passed_on(place) {
        let world = World::new(place).await;
        let mails = world.house.mails_to(READER);
        let mail = String::from_utf8_lossy(mails.last().expect("a digest")).into_owned();
        let (_, rest) = mail.split_once("<mailto:").expect("an address to write to");
        let sender = rest.split(['?', '>']).next().expect("an address");
        let body = json!({ "id": "1", "type": "bounce", "email": "passed.on@elsewhere.example", "sender": sender, "diagnostic": "550 5.1.1 no such user" });
        world.post("signed", &world.sign("signed", &body, "1")).await;
        world.act().await;
        assert_eq!(world.state().await, Some(SubscriberState::Bounced));
    }

    async fn a_token_of_mailgun_is_good_for_one_body(place) {
        let world = World::new(place).await;
        let delivered = json!({ "event-data": { "event": "unsubscribed", "recipient": "reader1@example.org", "id": "1" } });
        let seen = world.sign("mailgun", &delivered, "1");
        assert_eq!(world.post("mailgun", &seen).await, 200);
        let mut forged: Value = serde_json::from_str(&seen.body).expect("JSON");
        forged["event-data"]["recipient"] = READER.into();
        assert_eq!(world.post("mailgun", &Signed { body: forged.to_string(), ..seen }).await, 401);
        world.act().await;
        assert_eq!(world.state().await, Some(SubscriberState::Active));
    }

    async fn amazons_certificate_is_fetched_once_and_never_from_elsewhere(place) {
        let world = World::new(place).await;
        let message = json!({ "notificationType": "Delivery" }).to_string();
        let post = async |with: &[(&str, &str)]| {
            let envelope = world.amazon.envelope(&world.house, "1", with);
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
        assert_eq!(post(&[("Message", &message)]).await, 500, "it is sent again");
        assert_eq!(post(&[("Message", &message)]).await, 500, "and not asked for each time");
        *world.amazon.up.lock().expect("unharmed") = true;
        world.house.wait(TimeDelta::minutes(2));
        for _ in 0..3 {
            assert_eq!(post(&[("Message", &message)]).await, 204);
        }
        assert_eq!(world.amazon.asked(), [CERTIFICATE, CERTIFICATE]);
        for version in ["1", "3", ""] {
            assert_eq!(post(&[("Message", &message), ("SignatureVersion", version)]).await, 401, "version {version:?}");
        }
    }

    async fn only_the_invitation_of_a_topic_of_the_settings_is_accepted(place) {
        let world = World::new(place).await;
        let yes = format!("https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn={TOPIC}&Token=2336412f37fb687f5d51e6e2425929f52b8d");
        let invite = async |id: &str, with: &[(&str, &str)]| {
            let mut fields = vec![("Type", "SubscriptionConfirmation"), ("Token", "2336412f37fb687f5d51e6e2425929f52b8d"), ("SubscribeURL", yes.as_str())];
            fields.extend(with);
            let envelope = world.amazon.envelope(&world.house, id, &fields);
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

    async fn a_provider_that_is_not_in_the_settings_has_no_door(place) {
        let house = House::open(place).await;
        for provider in PROVIDERS.iter().chain(&["acme", "SES", "ses%2F"]) {
            let answer = house.post_json(&format!("/webhooks/{provider}"), &json!({})).await;
            assert_eq!(answer.status().as_u16(), 404, "{provider}");
        }
        let world = World::new(house.place.again()).await;
        assert_eq!(world.house.get("/webhooks/ses").await.status().as_u16(), 405);
        let large = Signed { headers: Vec::new(), body: "x".repeat(3 << 20) };
        assert_eq!(world.post("signed", &large).await, 413);
    }
}

#[test]
fn the_secrets_of_webhooks_are_shown_to_nobody_and_a_bad_one_is_refused_by_name() {
    let place = Place::sqlite();
    let program = Program::set_up(&place)
        .with("VERDICTS_WEBHOOKS__POSTMARK", POSTMARK)
        .with("VERDICTS_WEBHOOKS__MAILGUN", MAILGUN)
        .with("VERDICTS_WEBHOOKS__RESEND", RESEND)
        .with("VERDICTS_WEBHOOKS__SIGNED", SIGNED)
        .with("VERDICTS_WEBHOOKS__SES", TOPIC);
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
        ("SIGNED", "x"),
    ] {
        let program = Program::set_up(&place).with(&format!("VERDICTS_WEBHOOKS__{key}"), value);
        program
            .run(&["config"])
            .refused(&[&format!("webhooks.{}", key.to_lowercase())]);
    }
}
