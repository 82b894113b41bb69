//! KumoMTA's log records, as its `log_hooks` helper posts them (docs.kumomta.com/userguide/operation/webhooks,
//! docs.kumomta.com/reference/log_record): no signature. The request is made by one's own Lua, which sets basic authentication or a
//! bearer token.

use serde_json::Value;

use super::each;
use super::list;
use super::text;
use super::verdict::AddressVerdict;
use super::verdict::did;
use super::verdict::domains;
use super::verdict::event;
use super::verdict::failed;
use super::verdict::message_id;
use crate::domain::inbound::Classification;
use crate::domain::inbound::CorrelationIds;
use crate::domain::inbound::Reason;
use crate::domain::inbound::RecipientReport;
use crate::domain::webhook::WebhookEvent;

/// One record, or a list of them where `batch_size` is set.
pub fn read(value: &Value) -> Vec<WebhookEvent> {
    each(value).filter_map(one).collect()
}

fn one(value: &Value) -> Option<WebhookEvent> {
    let of = |place| text(value, place);
    let (kind, id) = (of("/type"), of("/id"));
    let address = recipient(value);
    let (finding, sender) = match kind {
        "Bounce" | "OOB" => (bounce(value, kind, address), of("/sender")),
        // KumoMTA gave up after its own time.
        "Expiration" => {
            let class = AddressVerdict::Passing(Reason::Expired);
            (
                failed("kumomta Expiration", address, class, &words(value), ""),
                of("/sender"),
            )
        }
        "Feedback" => feedback(value)?,
        // Reception, Delivery; TransientFailure, which is tried again; AdminBounce, an operator's own act.
        _ => return None,
    };
    let ids = ["/headers/Message-ID", "/headers/Message-Id"];
    let clues = CorrelationIds {
        message_ids: ids
            .into_iter()
            .filter_map(|at| message_id(of(at)))
            .collect(),
        addressed: Some(sender.to_owned())
            .filter(|sender| !sender.is_empty())
            .into_iter()
            .collect(),
        ..CorrelationIds::default()
    };
    let id = match id {
        "" => String::new(),
        // One message may have several recipients, each with a record.
        id => format!("{kind} {id} {address}"),
    };
    Some(event(&id, value, finding, clues, domains([sender])))
}

/// The recipient; a list of one since 2025.
fn recipient(value: &Value) -> &str {
    match list(value, "/recipient") {
        [one] => one.as_str().unwrap_or_default(),
        _ => text(value, "/recipient"),
    }
}

fn bounce(value: &Value, kind: &str, address: &str) -> RecipientReport {
    let class = text(value, "/bounce_classification");
    let verdict = match class {
        "InvalidRecipient" => AddressVerdict::NoMailbox,
        "InactiveMailbox" => AddressVerdict::Passing(Reason::Other),
        "QuotaIssues" => AddressVerdict::Passing(Reason::Full),
        "MessageSize" => AddressVerdict::Passing(Reason::TooBig),
        "SpamContent" | "ProhibitedAttachment" | "PolicyRelated" | "AuthenticationFailure" => {
            AddressVerdict::Passing(Reason::Policy)
        }
        "SpamBlock" | "RelayDenied" | "Suspend" => AddressVerdict::Passing(Reason::Blocked),
        "DNSFailure" | "BadConnection" | "RoutingErrors" | "ProtocolErrors" => {
            AddressVerdict::Passing(Reason::Network)
        }
        // BadDomain, InvalidSender, Uncategorized: the server's words decide.
        _ => AddressVerdict::Permanent,
    };
    let name = format!("kumomta {kind} {class}");
    failed(name.trim_end(), address, verdict, &words(value), "")
}

/// The peer's reply as it came: KumoMTA logs its parts.
fn words(value: &Value) -> String {
    let number = |at: &str| value.pointer(at).and_then(Value::as_u64);
    let code = number("/response/code").map(|code| code.to_string());
    let parts = ["class", "subject", "detail"]
        .map(|part| number(&format!("/response/enhanced_code/{part}")).map(|it| it.to_string()));
    let enhanced = match parts {
        [Some(class), Some(subject), Some(detail)] => Some(format!("{class}.{subject}.{detail}")),
        _ => None,
    };
    let content = text(value, "/response/content");
    let content = Some(content.to_owned()).filter(|content| !content.is_empty());
    let parts: Vec<String> = [code, enhanced, content].into_iter().flatten().collect();
    parts.join(" ")
}

/// A report of RFC 5965. Its own recipient is where complaints come in; the reader stands inside.
fn feedback(value: &Value) -> Option<(RecipientReport, &str)> {
    let of = |place| text(value, place);
    let traced = of("/feedback_report/supplemental_trace/recipient");
    let address = match (traced, list(value, "/feedback_report/original_rcpt_to")) {
        ("", [one]) => one.as_str().unwrap_or_default(),
        (traced, _) => traced,
    };
    let kind = of("/feedback_report/feedback_type");
    let meaning = match kind {
        "not-spam" | "auth-failure" => return None,
        "opt-out" | "opt-out-list" => Classification::Unsubscribe,
        _ => Classification::Complaint,
    };
    let sender = of("/feedback_report/original_mail_from");
    Some((did("kumomta Feedback", address, meaning, kind), sender))
}
