//! Brevo (developers.brevo.com/docs/transactional-webhooks): no signature. Its page on securing webhooks
//! (developers.brevo.com/docs/username-and-password-authentication) offers a user and password in the address, or a bearer token.

use serde_json::Value;

use super::each;
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
use crate::domain::webhook::WebhookEvent;

/// One event, or a list of them where the webhook is set to batches. Events have no number of their own.
pub fn read(value: &Value) -> Vec<WebhookEvent> {
    each(value).filter_map(one).collect()
}

fn one(value: &Value) -> Option<WebhookEvent> {
    let of = |place| text(value, place);
    let (kind, address, reason) = (of("/event"), of("/email"), of("/reason"));
    let failed = |class| failed(&format!("brevo {kind}"), address, class, reason, "");
    let finding = match kind {
        "hard_bounce" => failed(AddressVerdict::Permanent),
        // An address that Brevo cannot parse; it asked no server.
        "invalid_email" => failed(AddressVerdict::NoMailbox),
        "soft_bounce" => failed(AddressVerdict::Passing(Reason::Other)),
        // Brevo did not try: the address is on its blocklist, for whatever reason.
        "blocked" => failed(AddressVerdict::Passing(Reason::Blocked)),
        "spam" | "complaint" => did("brevo", address, Classification::Complaint, kind),
        "unsubscribed" | "unsubscribe" => did("brevo", address, Classification::Unsubscribe, kind),
        // Requests, deferrals, errors of Brevo itself; what arrived, was opened or clicked.
        _ => return None,
    };
    let clues = CorrelationIds {
        message_ids: message_id(of("/message-id")).into_iter().collect(),
        ..CorrelationIds::default()
    };
    Some(event(
        "",
        value,
        finding,
        clues,
        domains([of("/sender_email")]),
    ))
}
