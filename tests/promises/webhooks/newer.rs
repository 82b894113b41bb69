//! What the providers write that were added later: their bodies, after the examples in their documentation, and their proofs.

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::encoding::PublicKeyX509Der;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::KeyPair;
use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use aws_lc_rs::signature::RsaKeyPair;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use serde_json::json;
use verdicts::config::WebhookSettings;
use verdicts::domain::webhook::Provider;

use super::world::hex;
use super::world::hmac;

pub(super) const PRESENTED: &str = "hook:a password of many letters";

pub(super) const TOKEN: &str = "0123456789abcdef0123456789abcdef";

const KEYED: &str = "a signing secret of letters";

/// Postal's key, and what the settings hold of it.
pub(super) struct Postal {
    key: RsaKeyPair,
    public: String,
}

impl Postal {
    pub(super) fn new() -> Self {
        let key = RsaKeyPair::generate(KeySize::Rsa2048).expect("a key");
        let public: PublicKeyX509Der<'_> = key.public_key().as_der().expect("its form");
        let public = STANDARD.encode(public.as_ref());
        Self { key, public }
    }

    /// Gives each provider an older key and its own.
    pub(super) fn configure(&self, keys: &mut WebhookSettings) {
        for provider in [Provider::Brevo, Provider::Mailjet, Provider::SparkPost] {
            let own = vec!["old:another password of letters".into(), PRESENTED.into()];
            keys.set_keys(provider, own);
        }
        for provider in [Provider::Azure, Provider::KumoMta] {
            keys.set_keys(provider, vec!["an-older-secret-of-it".into(), TOKEN.into()]);
        }
        for provider in [Provider::MailerSend, Provider::ForwardEmail] {
            keys.set_keys(provider, vec!["an older secret of it".into(), KEYED.into()]);
        }
        let older = STANDARD.encode([1; 91]).into();
        keys.set_keys(Provider::Postal, vec![older, self.public.clone().into()]);
    }

    /// The field that proves a body; `path` stands for the last part of the address.
    pub(super) fn proof(&self, provider: &str, body: &str) -> Option<(&'static str, String)> {
        Some(match provider {
            "brevo" | "mailjet" | "sparkpost" => (
                "authorization",
                format!("Basic {}", STANDARD.encode(PRESENTED)),
            ),
            "kumomta" => ("authorization", format!("Bearer {TOKEN}")),
            "azure" => ("path", TOKEN.to_owned()),
            "mailersend" => ("signature", hex(&hmac(KEYED.as_bytes(), body.as_bytes()))),
            "forwardemail" => (
                "x-webhook-signature",
                hex(&hmac(KEYED.as_bytes(), body.as_bytes())),
            ),
            "postal" => {
                let mut signature = vec![0; self.key.public_modulus_len()];
                let random = SystemRandom::new();
                self.key
                    .sign(&RSA_PKCS1_SHA256, &random, body.as_bytes(), &mut signature)
                    .expect("signed");
                ("x-postal-signature-256", STANDARD.encode(signature))
            }
            _ => return None,
        })
    }
}

/// The field that carries the proof of a provider in this file.
pub(super) fn proof_field(provider: &str) -> Option<&'static str> {
    Some(match provider {
        "brevo" | "mailjet" | "sparkpost" | "kumomta" => "authorization",
        "azure" => "path",
        "mailersend" => "signature",
        "forwardemail" => "x-webhook-signature",
        "postal" => "x-postal-signature-256",
        _ => return None,
    })
}

/// An event of one of these providers: `meaning` is `bounce`, `complaint` or `unsubscribe`. `None` where the provider has none such.
pub fn body(
    provider: &str,
    meaning: &str,
    email: &str,
    id: &str,
    sender: &str,
    name: &str,
    words: &str,
) -> Option<Value> {
    let from = match sender {
        "" => "news@verdicts.example",
        sender => sender,
    };
    let bare = id.trim_matches(['<', '>']);
    let value = match (provider, meaning) {
        ("brevo", _) => {
            let event = pick(meaning, "hard_bounce", "spam", "unsubscribed");
            json!({ "event": event, "email": email, "id": 26_224, "date": "2026-11-24 09:00:00", "ts": 1_764_000_000, "message-id": id,
                "ts_event": 1_764_000_000, "subject": "Weekly AI Tool Verdicts", "tag": name, "reason": words, "sender_email": from })
        }
        ("mailjet", "bounce") => {
            json!([{ "event": "bounce", "time": 1_764_000_000, "MessageID": 19_421_777_835_146_490_u64, "Message_GUID": name, "email": email,
                "blocked": false, "hard_bounce": true, "error_related_to": "", "error": "", "comment": words }])
        }
        ("mailjet", _) => {
            let event = pick(meaning, "", "spam", "unsub");
            json!({ "event": event, "time": 1_764_000_000, "Message_GUID": name, "email": email, "source": "JMRPP" })
        }
        ("sparkpost", "bounce") => {
            json!([{ "msys": { "message_event": { "type": "bounce", "bounce_class": "40", "event_id": name, "error_code": "550",
                "raw_reason": words, "reason": "550 ...", "rcpt_to": email, "raw_rcpt_to": email, "msg_from": from } }, "cust": { "id": "1" } }])
        }
        ("sparkpost", "complaint") => {
            json!([{ "msys": { "message_event": { "type": "spam_complaint", "event_id": name, "fbtype": "abuse", "rcpt_to": email,
                "friendly_from": from } } }])
        }
        ("sparkpost", _) => {
            json!([{ "msys": { "unsubscribe_event": { "type": "list_unsubscribe", "event_id": name, "rcpt_to": email, "mailfrom": from } } }])
        }
        ("mailersend", _) => {
            let kind = pick(meaning, "hard_bounced", "spam_complaint", "unsubscribed");
            json!({ "type": format!("activity.{kind}"), "domain_id": "yv69oxl5kl785kw2", "data": { "object": "activity", "id": name,
                "type": kind, "email": { "from": from, "status": "rejected", "recipient": { "email": email } },
                "morph": { "object": "recipient_bounce", "reason": words } } })
        }
        ("azure", "bounce") => {
            json!([{ "id": name, "topic": "/subscriptions/1", "eventType": "Microsoft.Communication.EmailDeliveryReportReceived",
                "dataVersion": "1.0", "data": { "sender": from, "recipient": email, "messageId": name, "internetMessageId": id,
                "status": "Bounced", "deliveryStatusDetails": { "statusMessage": words } } }])
        }
        ("postal", "bounce") => {
            json!({ "event": "MessageDeliveryFailed", "timestamp": 1_764_000_000.5, "uuid": name, "payload": { "status": "HardFail",
                "details": "Permanent SMTP delivery error", "output": words,
                "message": { "id": 12_345, "to": email, "from": from, "message_id": bare } } })
        }
        ("kumomta", "complaint" | "unsubscribe") => {
            let kind = pick(meaning, "", "abuse", "opt-out");
            json!({ "type": "Feedback", "id": name, "sender": "", "recipient": "fbl@verdicts.example", "feedback_report": {
                "feedback_type": kind, "original_mail_from": from, "original_rcpt_to": [email] } })
        }
        ("kumomta", _) => {
            json!({ "type": "Bounce", "id": name, "sender": from, "recipient": email, "queue": "verdicts.example", "headers": { "Message-ID": id },
                "response": reply(words), "bounce_classification": "Uncategorized" })
        }
        ("forwardemail", "bounce") => {
            json!({ "email_id": name, "recipient": email, "response": words, "message": words, "headers": { "Message-ID": id, "From": from },
                "bounce": { "action": "reject", "category": "recipient", "code": 550, "message": words } })
        }
        _ => return None,
    };
    Some(value)
}

fn pick<'t>(meaning: &str, bounce: &'t str, complaint: &'t str, unsubscribe: &'t str) -> &'t str {
    match meaning {
        "bounce" => bounce,
        "complaint" => complaint,
        _ => unsubscribe,
    }
}

/// A reply in its parts, as KumoMTA logs it.
fn reply(words: &str) -> Value {
    let code = words
        .get(..3)
        .and_then(|code| code.parse::<u64>().ok())
        .filter(|_| words.as_bytes().get(3) == Some(&b' '));
    let rest = code.map_or(words, |_| &words[4..]);
    let (first, more) = rest.split_once(' ').unwrap_or((rest, ""));
    let parts: Vec<u64> = first
        .split('.')
        .filter_map(|part| part.parse().ok())
        .collect();
    match parts.as_slice() {
        [class, subject, detail] if first.split('.').count() == 3 => {
            json!({ "code": code, "content": more, "command": "RCPT TO",
                "enhanced_code": { "class": class, "subject": subject, "detail": detail } })
        }
        _ => json!({ "code": code, "content": rest, "enhanced_code": null }),
    }
}
