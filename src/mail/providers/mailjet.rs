//! Mailjet (dev.mailjet.com/email/guides/webhooks): no signature. Its guide secures a webhook by basic authentication in the address,
//! and by HTTPS.

use serde_json::Value;

use super::each;
use super::text;
use super::verdict::AddressVerdict;
use super::verdict::did;
use super::verdict::event;
use super::verdict::failed;
use crate::domain::inbound::Classification;
use crate::domain::inbound::CorrelationIds;
use crate::domain::inbound::Reason;
use crate::domain::inbound::RecipientReport;
use crate::domain::webhook::WebhookEvent;

/// One event, or a list of them where events are grouped. Mailjet names mails by ids of its own, events not at all, and no sender.
pub fn read(value: &Value) -> Vec<WebhookEvent> {
    let known = |value| {
        let finding = finding(value)?;
        Some(event(
            "",
            value,
            finding,
            CorrelationIds::default(),
            Vec::new(),
        ))
    };
    each(value).filter_map(known).collect()
}

fn finding(value: &Value) -> Option<RecipientReport> {
    let of = |place| text(value, place);
    let (address, error) = (of("/email"), of("/error"));
    let words = match (of("/smtp_reply"), of("/comment")) {
        ("", comment) => comment,
        (reply, _) => reply,
    };
    let said = |class| failed(&format!("mailjet {error}"), address, class, words, "");
    Some(match of("/event") {
        "bounce" => said(bounce(
            value.pointer("/hard_bounce") == Some(&Value::Bool(true)),
            error,
        )),
        // Mailjet did not try, and remembers why.
        "blocked" if error == "spam reporter" => {
            did("mailjet blocked", address, Classification::Complaint, error)
        }
        "blocked" => said(AddressVerdict::Passing(Reason::Other)),
        "spam" => did("mailjet", address, Classification::Complaint, of("/source")),
        "unsub" => did("mailjet", address, Classification::Unsubscribe, "unsub"),
        _ => return None,
    })
}

/// By the guide's table of errors. "invalid domain" and "no mail host" are its reading of DNS at one time; the words decide there.
fn bounce(is_hard: bool, error: &str) -> AddressVerdict {
    match error {
        "user unknown" if is_hard => AddressVerdict::NoMailbox,
        "quota exceeded" => AddressVerdict::Passing(Reason::Full),
        "greylisted" | "mailbox inactive" => AddressVerdict::Passing(Reason::Other),
        "blacklisted" | "relay/access denied" | "sender blocked" => {
            AddressVerdict::Passing(Reason::Blocked)
        }
        "content blocked" | "policy issue" => AddressVerdict::Passing(Reason::Policy),
        "system issue" | "protocol issue" | "connection issue" => {
            AddressVerdict::Passing(Reason::Network)
        }
        _ if is_hard => AddressVerdict::Permanent,
        _ => AddressVerdict::Passing(Reason::Other),
    }
}
