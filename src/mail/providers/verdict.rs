//! Meaning of events, as far as it is the same with all providers.

use serde_json::Value;

use super::signature::hex_digest;
use crate::domain::inbound::Classification;
use crate::domain::inbound::CorrelationIds;
use crate::domain::inbound::EnhancedStatus;
use crate::domain::inbound::Reason;
use crate::domain::inbound::RecipientReport;
use crate::domain::webhook::WebhookEvent;
use crate::mail::inbound::addresses;
use crate::mail::inbound::diagnosis::Diagnosis;
use crate::mail::inbound::diagnosis::diagnose;
use crate::mail::inbound::short;

/// Certainty of the provider that mail to the address never arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressVerdict {
    /// It tells "no such mailbox" from every other refusal, and this is one: hard, unless the server's words say otherwise.
    NoMailbox,
    /// A refusal for good, whatever for: the server's words decide, as at every other door. Where there are none, it is hard.
    Permanent,
    /// Another mail may arrive: never hard, whatever the words say.
    Passing(Reason),
}

/// A failure: the receiving server's words and the provider's class of them, weighed.
pub fn failed(
    provider: &str,
    address: &str,
    class: AddressVerdict,
    words: &str,
    status: &str,
) -> RecipientReport {
    let said = diagnose(words, EnhancedStatus::parse(status));
    let hard = Diagnosis {
        meaning: Classification::Hard,
        reason: Reason::NoMailbox,
        ..said
    };
    let soft = |reason| Diagnosis {
        meaning: Classification::Soft,
        reason,
        ..said
    };
    let found = match class {
        AddressVerdict::NoMailbox if said.says_nothing() => hard,
        AddressVerdict::Permanent if words.trim().is_empty() && said.says_nothing() => hard,
        AddressVerdict::NoMailbox | AddressVerdict::Permanent => said,
        AddressVerdict::Passing(reason)
            if said.says_nothing()
                || said.meaning == Classification::Hard
                || said.reason == Reason::Other =>
        {
            soft(reason)
        }
        AddressVerdict::Passing(_) => said,
    };
    let line = format!("{provider}: {words}");
    let Diagnosis {
        meaning,
        reason,
        status,
        ..
    } = found;
    RecipientReport {
        address: address_of(address),
        meaning,
        class: found.class(),
        reason: Some(reason),
        status,
        line: short(&line),
    }
}

/// Returns whether words say why a mail was refused.
pub fn is_telling(words: &str) -> bool {
    !diagnose(words, None).says_nothing()
}

/// Returns what the reader did: a complaint, or leaving by the provider's own link.
pub fn did(provider: &str, address: &str, meaning: Classification, words: &str) -> RecipientReport {
    let line = short(&format!("{provider}: {words}"));
    RecipientReport {
        address: address_of(address),
        meaning,
        class: None,
        reason: None,
        status: None,
        line,
    }
}

/// The address alone, in a field that may say `Ada <ada@example.org>`.
fn address_of(text: &str) -> Option<String> {
    addresses::of_field(text)
}

/// An event of that name; where the provider gives it none, it is known by what it says.
pub fn event(
    id: &str,
    said: &Value,
    finding: RecipientReport,
    clues: CorrelationIds,
    domains: Vec<String>,
) -> WebhookEvent {
    let id = match id {
        "" => hex_digest(&[said.to_string().as_bytes()]),
        id => id.to_owned(),
    };
    WebhookEvent {
        id,
        finding,
        clues,
        domains,
    }
}

/// The domains of the addresses in some texts. Not of message ids: providers and relays give a mail an id of their own, so that a
/// foreign one says nothing.
pub fn domains<'t>(texts: impl IntoIterator<Item = &'t str>) -> Vec<String> {
    let domain = |text: &str| {
        let (_, domain) = text.rsplit_once('@')?;
        let domain = domain
            .split(|c: char| c == '>' || c.is_whitespace())
            .next()?;
        (!domain.is_empty()).then(|| domain.to_ascii_lowercase())
    };
    texts.into_iter().filter_map(domain).collect()
}

/// A message id as the clues hold it: without its angle brackets.
pub fn message_id(text: &str) -> Option<String> {
    let id = text.trim().trim_start_matches('<').trim_end_matches('>');
    (id.contains('@') && id.len() < 300).then(|| id.to_owned())
}
