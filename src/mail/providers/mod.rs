//! Webhooks of providers, read: whether it is the provider who tells, and what it says. No I/O; bounded by the size of
//! what was posted.
//!
//! A file for each provider holds how its requests are proven ([`identify`]) and what its events mean ([`read`]), with the page of
//! its documentation that says so; one line of a table names the two functions. `verdict` is what they share: the receiving server's words count for more than
//! the provider's class of them, and *hard* is only what is certain. `presented` proves those that sign nothing. `sns` is the envelope
//! that SES's events come in.

mod azure;
mod brevo;
mod forwardemail;
mod kumomta;
mod mailersend;
mod mailgun;
mod mailjet;
mod postal;
mod postmark;
mod presented;
mod resend;
mod sendgrid;
mod ses;
mod signature;
mod signed;
pub mod sns;
mod sparkpost;
mod verdict;

use serde_json::Value;

use crate::domain::Timestamp;
use crate::domain::secret::Secret;
use crate::domain::webhook::Provider;
use crate::domain::webhook::WebhookEvent;

pub use signature::hex_digest;

/// Events of one request that are read; providers send up to a thousand.
const MOST: usize = 10_000;

/// A request, as far as it matters here.
#[derive(Debug, Clone, Copy)]
pub struct Posted<'a> {
    /// Names in lower case, with their values.
    pub headers: &'a [(&'a str, &'a str)],
    /// The last part of the address, behind the provider's name: the secret of a provider that signs nothing.
    pub path_secret: Option<&'a str>,
    /// The body as it came: signatures are over its bytes.
    pub body: &'a [u8],
}

impl<'a> Posted<'a> {
    /// The value of a header that is there once; of one that is there twice nobody knows which is meant.
    fn header(&self, name: &str) -> Result<&'a str, Untrusted> {
        let mut found = self.headers.iter().filter(|(known, _)| *known == name);
        match (found.next(), found.next()) {
            (Some((_, value)), None) => Ok(value),
            _ => Err(Untrusted::Unsigned),
        }
    }
}

/// Reason why a request is not believed. Whoever sent it is told no more than that it is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Untrusted {
    /// Nothing in it proves anything.
    #[error("it carries no signature")]
    Unsigned,
    /// No key of ours made it.
    #[error("its signature is not made with the key of the settings")]
    Forged,
    /// It was signed too long ago, or in the future.
    #[error("it was signed too long ago, or in the future")]
    Stale,
    /// It is about a topic that the settings do not name, or wants something of another host than Amazon's.
    #[error("it is not of a topic that the settings name")]
    Elsewhere,
}

/// Proves a request, see [`identify`].
type Identify = fn(&[Secret], Posted<'_>, Timestamp) -> Result<String, Untrusted>;
/// Reads the events of a body, see [`read`].
type ReadEvents = fn(&Value) -> Vec<WebhookEvent>;

/// The table of providers: the two functions that each one's file has.
fn reader(provider: Provider) -> (Identify, ReadEvents) {
    match provider {
        Provider::Ses => (|_, _, _| Err(Untrusted::Unsigned), ses::read),
        Provider::Postmark => (presented::identify, postmark::read),
        Provider::SendGrid => (sendgrid::identify, sendgrid::read),
        Provider::Mailgun => (mailgun::identify, mailgun::read),
        Provider::Resend => (resend::identify, resend::read),
        Provider::Brevo => (presented::identify, brevo::read),
        Provider::Mailjet => (presented::identify, mailjet::read),
        Provider::SparkPost => (presented::identify, sparkpost::read),
        Provider::MailerSend => (mailersend::identify, mailersend::read),
        Provider::Azure => (presented::identify, azure::read),
        Provider::Postal => (postal::identify, postal::read),
        Provider::KumoMta => (presented::identify, kumomta::read),
        Provider::ForwardEmail => (forwardemail::identify, forwardemail::read),
        Provider::Signed => (signed::identify, signed::read),
    }
}

/// Checks with the configured keys that the provider sent the request; returns an id that stays the same when the provider sends it
/// again. Refuses everything of [`Provider::Ses`], whose key is fetched: see [`sns`].
pub fn identify(
    provider: Provider,
    keys: &[Secret],
    posted: Posted<'_>,
    now: Timestamp,
) -> Result<String, Untrusted> {
    let (identify, _) = reader(provider);
    identify(keys, posted, now)
}

/// Returns the code that a provider wants to see again before it sends events to the address. `body`: of a request that was proven.
pub fn validation_code(provider: Provider, body: &str) -> Option<String> {
    match provider {
        Provider::Azure => azure::validation_code(&serde_json::from_str(body).ok()?),
        _ => None,
    }
}

/// Returns what it says that is worth acting on: nothing of mails that arrived, were opened or clicked, and nothing where it is not
/// the provider's form. `body` is what was proven; of SES the message within the envelope.
pub fn read(provider: Provider, body: &str) -> Vec<WebhookEvent> {
    let Ok(value) = serde_json::from_str::<Value>(body) else {
        return Vec::new();
    };
    let (_, read) = reader(provider);
    let mut events = read(&value);
    events.truncate(MOST);
    events
}

/// The text at a place like `/mail/source`; empty where there is none.
fn text<'v>(value: &'v Value, place: &str) -> &'v str {
    value
        .pointer(place)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// The entries of a list, or the one that stands alone.
fn each(value: &Value) -> impl Iterator<Item = &Value> {
    let alone = std::slice::from_ref(value);
    value.as_array().map_or(alone, Vec::as_slice).iter()
}

/// The list at a place.
fn list<'v>(value: &'v Value, place: &str) -> &'v [Value] {
    value
        .pointer(place)
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests;
