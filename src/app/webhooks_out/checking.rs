//! Endpoints as they are typed, checked field by field.

use url::Url;

use super::TypedEndpoint;
use crate::app::App;
use crate::app::Failure;
use crate::domain::event::EventPattern;
use crate::domain::webhook_endpoint::EndpointDraft;

/// Longest address of an endpoint.
const URL_MAX: usize = 2_000;
/// Longest name of an endpoint, in characters.
const NAME_MAX: usize = 100;

impl App {
    pub(super) fn checked_endpoint(&self, typed: &TypedEndpoint) -> Result<EndpointDraft, Failure> {
        let name = typed.name.trim();
        if name.is_empty() || name.chars().count() > NAME_MAX || name.chars().any(char::is_control)
        {
            return Err(Failure::invalid_field(
                "name",
                format!("Give the endpoint a name of one line, up to {NAME_MAX} characters."),
            ));
        }
        let mut kinds: Vec<EventPattern> = Vec::new();
        for text in &typed.kinds {
            let kind = text
                .parse()
                .map_err(|words: String| Failure::invalid_field("kinds", words))?;
            if !kinds.contains(&kind) {
                kinds.push(kind);
            }
        }
        if kinds.is_empty() {
            return Err(Failure::invalid_field(
                "kinds",
                "Name at least one kind of events, or * for all.",
            ));
        }
        Ok(EndpointDraft {
            name: name.to_owned(),
            url: self.checked_address(typed.url.trim())?,
            kinds,
            ordered: typed.ordered,
            personal: typed.personal,
            ed25519: typed.ed25519,
        })
    }

    fn checked_address(&self, text: &str) -> Result<String, Failure> {
        let refuse = |words: String| Failure::invalid_field("url", words);
        let url = Url::parse(text)
            .ok()
            .filter(|url| text.len() <= URL_MAX && url.host().is_some())
            .ok_or_else(|| {
                refuse("Expected an address like https://hooks.example.org/verdicts.".into())
            })?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refuse(
                "The address must not hold a user or a password: requests are signed instead."
                    .into(),
            ));
        }
        if url.scheme() != "https" && !(url.scheme() == "http" && self.hooks.guard.allows_http()) {
            return Err(refuse("Expected https; http only at a private host that webhooks_out.allow_private names.".into()));
        }
        let ip = match url.host() {
            Some(url::Host::Ipv4(ip)) => Some(ip.into()),
            Some(url::Host::Ipv6(ip)) => Some(ip.into()),
            _ => None,
        };
        if let (Some(ip), Some(host)) = (ip, url.host_str()) {
            let checked = self.hooks.guard.check(url.scheme(), host, ip);
            checked.map_err(|words| refuse(format!("{words}.")))?;
        }
        Ok(url.into())
    }
}
