//! Postmark (postmarkapp.com/developer/webhooks): no signature. Its documentation protects a webhook by basic authentication
//! in its address, `https://user:password@...`, and by HTTPS; the addresses that it sends from change without notice, so they
//! are left to the firewall of who wants them.

use serde_json::Value;

use super::text;
use super::verdict::AddressVerdict;
use super::verdict::did;
use super::verdict::domains;
use super::verdict::event;
use super::verdict::failed;
use crate::domain::inbound::Classification;
use crate::domain::inbound::CorrelationIds;
use crate::domain::inbound::Reason;
use crate::domain::webhook::WebhookEvent;
use crate::mail::inbound;

/// `RecordType` `Bounce`, `SpamComplaint`, `SubscriptionChange`.
pub fn read(value: &Value) -> Vec<WebhookEvent> {
    let of = |place| text(value, place);
    let (address, kind) = (of("/Email"), of("/Type"));
    let words = match of("/Details") {
        "" => of("/Description"),
        details => details,
    };
    let finding = match of("/RecordType") {
        "Bounce" => match bounce(
            value
                .pointer("/TypeCode")
                .and_then(Value::as_u64)
                .unwrap_or_default(),
        ) {
            Some(PostmarkType::Failed(class)) => {
                failed(&format!("postmark {kind}"), address, class, words, "")
            }
            Some(PostmarkType::Did(meaning)) => did("postmark", address, meaning, kind),
            None => return Vec::new(),
        },
        "SpamComplaint" => did(
            "postmark",
            address,
            Classification::Complaint,
            "SpamComplaint",
        ),
        // A bounce and a complaint change it too, and are told by themselves; what was changed by hand is no reader's wish.
        "SubscriptionChange"
            if value.pointer("/SuppressSending") == Some(&Value::Bool(true))
                && of("/Origin") == "Recipient" =>
        {
            match of("/SuppressionReason") {
                "ManualSuppression" => did(
                    "postmark",
                    of("/Recipient"),
                    Classification::Unsubscribe,
                    "ManualSuppression by the recipient",
                ),
                _ => return Vec::new(),
            }
        }
        _ => return Vec::new(),
    };
    let id = match value.pointer("/ID").and_then(Value::as_u64) {
        Some(id) => format!("{} {id}", of("/RecordType")),
        None => format!(
            "{} {} {}",
            of("/RecordType"),
            of("/MessageID"),
            of("/ChangedAt")
        ),
    };
    // The mail that came back, where the webhook is set to include it, with all that it carries of ours.
    let clues = match of("/Content") {
        "" => CorrelationIds::default(),
        content => inbound::read(content.as_bytes()).clues,
    };
    vec![event(&id, value, finding, clues, domains([of("/From")]))]
}

enum PostmarkType {
    Failed(AddressVerdict),
    Did(Classification),
}

/// By `TypeCode` (postmarkapp.com/developer/api/bounce-api#bounce-types); automatic answers and the like are none.
fn bounce(code: u64) -> Option<PostmarkType> {
    Some(match code {
        // HardBounce: told apart from Blocked, SpamNotification and DnsError below, "unknown user" only an example of it.
        1 => PostmarkType::Failed(AddressVerdict::Permanent),
        // BadEmailAddress.
        100_000 => PostmarkType::Failed(AddressVerdict::NoMailbox),
        // Transient (a delay that goes on), DnsError, Unknown, SoftBounce, Undeliverable.
        2 | 2_048 | 4_096 | 100_003 => PostmarkType::Failed(AddressVerdict::Passing(Reason::Other)),
        256 => PostmarkType::Failed(AddressVerdict::Passing(Reason::Network)),
        // SpamNotification, VirusNotification, DMARCPolicy: what was refused is the mail.
        512 | 8_192 | 100_009 => PostmarkType::Failed(AddressVerdict::Passing(Reason::Policy)),
        // Blocked: what was refused is us.
        100_006 => PostmarkType::Failed(AddressVerdict::Passing(Reason::Blocked)),
        16 => PostmarkType::Did(Classification::Unsubscribe),
        100_001 => PostmarkType::Did(Classification::Complaint),
        // Subscribe, AutoResponder, AddressChange, OpenRelayTest, ChallengeVerification, ManuallyDeactivated, Unconfirmed,
        // SMTPApiError, InboundError, TemplateRenderingFailed: a machine's answer, or something between Postmark and us.
        _ => return None,
    })
}
