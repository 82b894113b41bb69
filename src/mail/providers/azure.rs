//! Azure Communication Services, by way of Event Grid (learn.microsoft.com/azure/event-grid/communication-services-email-events): no
//! signature. Its page on securing webhook delivery puts a secret into the address, and asks for a handshake before it sends events
//! (learn.microsoft.com/azure/event-grid/end-point-validation-event-grid-events-schema).

use serde_json::Value;

use super::each;
use super::text;
use super::verdict::AddressVerdict;
use super::verdict::domains;
use super::verdict::event;
use super::verdict::failed;
use super::verdict::message_id;
use crate::domain::inbound::CorrelationIds;
use crate::domain::inbound::Reason;
use crate::domain::webhook::WebhookEvent;

const REPORT: &str = "Microsoft.Communication.EmailDeliveryReportReceived";
const VALIDATION: &str = "Microsoft.EventGrid.SubscriptionValidationEvent";
/// Characters of a validation code that is answered; Event Grid's are UUIDs.
const CODE_MAX: usize = 200;

/// The code that Event Grid wants to see again before it sends anything to the address.
pub fn validation_code(value: &Value) -> Option<String> {
    let asked = each(value).find(|value| text(value, "/eventType") == VALIDATION)?;
    let code = text(asked, "/data/validationCode");
    (!code.is_empty() && code.len() <= CODE_MAX).then(|| code.to_owned())
}

/// A list of events in Event Grid's own schema (`eventType`) or as CloudEvents (`type`). It has none of complaints or of leaving.
pub fn read(value: &Value) -> Vec<WebhookEvent> {
    each(value).filter_map(one).collect()
}

fn one(value: &Value) -> Option<WebhookEvent> {
    let of = |place| text(value, place);
    if of("/eventType") != REPORT && of("/type") != REPORT {
        return None;
    }
    let status = of("/data/status");
    let class = match status {
        "Bounced" => AddressVerdict::Permanent,
        "Failed" => AddressVerdict::Passing(Reason::Other),
        "FilteredSpam" | "Quarantined" => AddressVerdict::Passing(Reason::Policy),
        // Azure did not try: the address bounced before, for whatever reason.
        "Suppressed" => AddressVerdict::Passing(Reason::Other),
        // Delivered; Expanded, a group whose members are told of by themselves.
        _ => return None,
    };
    let finding = failed(
        &format!("azure {status}"),
        of("/data/recipient"),
        class,
        of("/data/deliveryStatusDetails/statusMessage"),
        "",
    );
    let clues = CorrelationIds {
        message_ids: message_id(of("/data/internetMessageId"))
            .into_iter()
            .collect(),
        ..CorrelationIds::default()
    };
    let domains = domains([of("/data/sender")]);
    Some(event(of("/id"), value, finding, clues, domains))
}
