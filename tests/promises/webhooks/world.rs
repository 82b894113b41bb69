//! The providers: their keys, their signatures and the bodies that they send.

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
use hmac::Hmac;
use hmac::KeyInit;
use hmac::Mac;
use reqwest::Method;
use serde_json::Value;
use serde_json::json;
use sha2::Sha256;
use verdicts::app::Fetch;
use verdicts::domain::subscriber::SubscriberState;
use verdicts::domain::webhook::Provider;

use super::newer;
use super::newer::Postal;
use crate::support::TestApp;
use crate::support::TestDb;

pub const READER: &str = "reader0@example.org";

pub(super) const TOPIC: &str = "arn:aws:sns:eu-west-1:123456789012:bounces";

pub(super) const CERTIFICATE: &str =
    "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0123456789abcdef.pem";

pub(super) const POSTMARK: &str = "postmark:a password of many letters";

pub(super) const MAILGUN: &str = "mailgun's signing key";

pub(super) const RESEND: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

pub const SIGNED: &str = "a secret of the plain webhook";

pub const PROVIDERS: [&str; 14] = [
    "ses",
    "postmark",
    "sendgrid",
    "mailgun",
    "resend",
    "brevo",
    "mailjet",
    "sparkpost",
    "mailersend",
    "azure",
    "postal",
    "kumomta",
    "forwardemail",
    "signed",
];

/// Amazon, as far as a test needs it: a key, its certificate, and who asked for what.
pub(super) struct Amazon {
    key: RsaKeyPair,
    certificate: String,
    asked: Arc<Mutex<Vec<String>>>,
    /// True if it answers.
    pub(super) up: Arc<Mutex<bool>>,
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

    pub(super) fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("unharmed").clone()
    }

    /// An envelope, with some fields as the test wants them, signed.
    pub(super) fn envelope(&self, test_app: &TestApp, id: &str, with: &[(&str, &str)]) -> Value {
        let mut envelope = json!({
            "Type": "Notification", "MessageId": id, "TopicArn": TOPIC, "Subject": "Amazon SES", "Message": "", "SignatureVersion": "2",
            "Timestamp": test_app.app.now().format("%Y-%m-%dT%H:%M:%S.000Z").to_string(), "SigningCertURL": CERTIFICATE,
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

/// The providers, each with its key, and a service that knows them.
pub struct World {
    pub test_app: TestApp,
    pub(super) amazon: Amazon,
    sendgrid: EcdsaKeyPair,
    postal: Postal,
}

/// A request, ready to be sent or spoilt.
#[derive(Clone)]
pub struct Signed {
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: String,
}

impl World {
    pub async fn new(test_db: TestDb) -> Self {
        Self::new_with(test_db, |_| {}).await
    }

    /// The same, with more settings.
    pub async fn new_with(
        test_db: TestDb,
        adapt: impl FnOnce(&mut verdicts::config::Settings),
    ) -> Self {
        let amazon = Amazon::new();
        let sendgrid = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).expect("a key");
        let public: PublicKeyX509Der<'_> = sendgrid.public_key().as_der().expect("its form");
        let public = STANDARD.encode(public.as_ref());
        let postal = Postal::new();
        let test_app = TestApp::open_fetching(test_db, amazon.fetch(), |settings| {
            settings.mail.return_path = Some("bounces+{verp}@verdicts.example".into());
            let keys = &mut settings.webhooks_in;
            // Each has a second key: the one that is rotated out, or in.
            keys.set_keys(
                Provider::Ses,
                vec![
                    "arn:aws:sns:eu-west-1:123456789012:other".into(),
                    TOPIC.into(),
                ],
            );
            keys.set_keys(
                Provider::Postmark,
                vec!["old:another password of letters".into(), POSTMARK.into()],
            );
            keys.set_keys(
                Provider::SendGrid,
                vec![STANDARD.encode([1; 91]).into(), public.into()],
            );
            keys.set_keys(
                Provider::Mailgun,
                vec!["an older signing key".into(), MAILGUN.into()],
            );
            keys.set_keys(
                Provider::Resend,
                vec![
                    format!("whsec_{}", STANDARD.encode([1; 24])).into(),
                    RESEND.into(),
                ],
            );
            keys.set_keys(
                Provider::Signed,
                vec!["an older secret of it".into(), SIGNED.into()],
            );
            postal.configure(keys);
            adapt(settings);
        })
        .await;
        test_app.stock_small().await;
        test_app.seed_subscribers("reader", 2).await;
        test_app.send_digest().await;
        Self {
            test_app,
            amazon,
            sendgrid,
            postal,
        }
    }

    /// The provider's event that a mail to `email` bounced for good; `id` names event and request.
    pub(super) fn bounce(&self, provider: &str, email: &str, id: &str) -> Signed {
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
        let now = self.test_app.app.now().timestamp().to_string();
        let text = body.to_string();
        let mut headers = vec![("content-type", "application/json".to_owned())];
        if let Some(proof) = self.postal.proof(provider, &text) {
            headers.push(proof);
            return Signed {
                headers,
                body: text,
            };
        }
        let body = match provider {
            "ses" => self
                .amazon
                .envelope(&self.test_app, id, &[("Message", &text)])
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
        post_to(&self.test_app, provider, signed).await
    }

    pub async fn act(&self) {
        self.test_app.app.act_on_webhooks().await.expect("acted on");
    }

    pub(super) async fn state(&self) -> Option<SubscriberState> {
        self.test_app.state_of(READER).await
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
    if let Some(body) = newer::body(provider, "bounce", email, "", "", id, words) {
        return body;
    }
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

async fn post_to(test_app: &TestApp, provider: &str, signed: &Signed) -> u16 {
    let (paths, headers): (Vec<_>, Vec<_>) =
        signed.headers.iter().partition(|(name, _)| *name == "path");
    let path = match paths.first() {
        Some((_, secret)) if !secret.is_empty() => format!("/webhooks/{provider}/{secret}"),
        _ => format!("/webhooks/{provider}"),
    };
    let mut request = test_app
        .request(Method::POST, &path)
        .body(signed.body.clone());
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    request.send().await.expect("an answer").status().as_u16()
}

/// Tells by the plain webhook that a mail to `email` came back, and has it acted on.
pub async fn tell_signed(test_app: &TestApp, id: &str, kind: &str, email: &str, diagnostic: &str) {
    let now = test_app.app.now().timestamp().to_string();
    let body =
        json!({ "id": id, "type": kind, "email": email, "diagnostic": diagnostic }).to_string();
    let signature = hex(&hmac(SIGNED.as_bytes(), format!("{now}.{body}").as_bytes()));
    let headers = vec![
        ("x-verdicts-signature", signature),
        ("x-verdicts-timestamp", now),
    ];
    assert_eq!(
        post_to(test_app, "signed", &Signed { headers, body }).await,
        200
    );
    test_app.app.act_on_webhooks().await.expect("acted on");
}

pub(super) fn hmac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any length");
    mac.update(text);
    mac.finalize().into_bytes().to_vec()
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
