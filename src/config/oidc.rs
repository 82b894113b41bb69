//! `[[desk.oidc]]`: providers with whom users of the desk sign in (OpenID Connect).

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;
use serde::Serialize;
use url::Url;

use super::ConfigError;
use super::fault;
use super::one_or_many;
use crate::domain::address::EmailAddress;
use crate::domain::secret::Secret;
use crate::domain::user::Role;

/// Most providers: a page lists them all.
const PROVIDERS_MAX: usize = 10;
/// Longest name, in characters.
const NAME_MAX: usize = 40;

/// An entry of `[[desk.oidc]]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OidcSettings {
    /// Name on the button, and in the redirect address ([`OidcSettings::slug`]).
    pub name: String,
    /// Issuer, letter for letter as its discovery document names itself.
    pub issuer: String,
    /// Client id that the provider gave.
    pub client_id: String,
    /// Secret that goes with it; without one the client is public and PKCE alone protects the code.
    pub client_secret: Option<Secret>,
    /// A file with that secret in it.
    pub client_secret_file: Option<PathBuf>,
    /// Way in which the secret is sent.
    #[serde(default)]
    pub client_auth: ClientAuth,
    /// Scopes besides `openid`.
    #[serde(default = "scopes", deserialize_with = "one_or_many")]
    pub scopes: Vec<String>,
    /// Verified addresses for which `create` makes a user: `@domain` or a whole address.
    #[serde(default, deserialize_with = "one_or_many")]
    pub allow: Vec<String>,
    /// Claim that holds groups or roles; dots lead into objects, as in `realm_access.roles`.
    pub role_claim: Option<String>,
    /// Role in the desk for a value of that claim.
    #[serde(default)]
    pub roles: BTreeMap<String, Role>,
    /// True if somebody new gets a user of their own.
    #[serde(default)]
    pub create: bool,
    /// A PEM file of certificates to trust besides the usual ones.
    pub tls_ca: Option<PathBuf>,
}

/// Way in which a client proves itself at the token endpoint.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientAuth {
    /// `client_secret_basic`: in the header, form-encoded (RFC 6749, 2.3.1).
    #[default]
    Basic,
    /// `client_secret_post`: in the form.
    Post,
}

fn scopes() -> Vec<String> {
    vec!["profile".into(), "email".into()]
}

impl OidcSettings {
    /// The name in addresses: "Example ID" is at `/desk/oidc/example-id`.
    pub fn slug(&self) -> String {
        self.name.to_ascii_lowercase().replace(' ', "-")
    }

    /// The issuer's host.
    pub fn host(&self) -> Option<String> {
        let url = Url::parse(&self.issuer).ok()?;
        url.host_str().map(String::from)
    }

    /// Returns whether a verified address may have a user made for it.
    pub fn allows(&self, email: &EmailAddress) -> bool {
        let key = email.key();
        self.allow
            .iter()
            .any(|entry| match entry.strip_prefix('@') {
                Some(domain) => key
                    .rsplit_once('@')
                    .is_some_and(|(_, own)| own.eq_ignore_ascii_case(domain)),
                None => EmailAddress::parse(entry).is_ok_and(|entry| entry.key() == key),
            })
    }

    /// The highest role that values of `role_claim` stand for.
    pub fn role_for(&self, values: &[String]) -> Option<Role> {
        let roles = values.iter().filter_map(|value| self.roles.get(value));
        roles.copied().min_by_key(|role| *role as usize)
    }

    fn check(&self) -> Result<(), ConfigError> {
        let key = |key: &str| format!("desk.oidc ({}): {key}", self.name);
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == ' ' || c == '-';
        if self.name.is_empty()
            || self.name.len() > NAME_MAX
            || self.name != self.name.trim()
            || !self.name.chars().all(is_name)
        {
            return fault(
                "desk.oidc.name",
                "expected 1 to 40 letters, digits, spaces and \"-\"",
            );
        }
        let issuer = Url::parse(&self.issuer).ok();
        let is_issuer = issuer.is_some_and(|url| {
            matches!(url.scheme(), "https" | "http")
                && url.has_host()
                && url.username().is_empty()
                && url.password().is_none()
                && url.query().is_none()
                && url.fragment().is_none()
        });
        if !is_issuer {
            return fault(
                &key("issuer"),
                "expected an https address without a query, like https://id.example.org",
            );
        }
        if self.client_id.is_empty() {
            return fault(&key("client_id"), "expected the id that the provider gave");
        }
        if self.client_secret.is_some() && self.client_secret_file.is_some() {
            return fault(
                &key("client_secret"),
                "expected it, or client_secret_file, not both",
            );
        }
        let is_scope = |scope: &String| {
            !scope.is_empty()
                && scope
                    .bytes()
                    .all(|c| c.is_ascii_graphic() && c != b'"' && c != b'\\')
        };
        if !self.scopes.iter().all(is_scope) {
            return fault(
                &key("scopes"),
                "expected words, like [\"profile\", \"email\"]",
            );
        }
        let is_allowed = |entry: &String| match entry.strip_prefix('@') {
            Some(domain) => EmailAddress::parse(&format!("a@{domain}")).is_ok(),
            None => EmailAddress::parse(entry).is_ok(),
        };
        if !self.allow.iter().all(is_allowed) {
            return fault(
                &key("allow"),
                "expected addresses, or domains like \"@example.org\"",
            );
        }
        if self.create && self.allow.is_empty() {
            return fault(
                &key("create"),
                "needs allow: the addresses or domains for which users are made",
            );
        }
        if self.role_claim.is_some() == self.roles.is_empty() {
            return fault(
                &key("role_claim, roles"),
                "each needs the other: the claim, and a role for each of its values, like roles = { editors = \"editor\" }",
            );
        }
        Ok(())
    }
}

pub(super) fn check(providers: &[OidcSettings]) -> Result<(), ConfigError> {
    if providers.len() > PROVIDERS_MAX {
        return fault("desk.oidc", &format!("expected at most {PROVIDERS_MAX}"));
    }
    for (at, provider) in providers.iter().enumerate() {
        provider.check()?;
        let others = &providers[..at];
        if others.iter().any(|other| other.slug() == provider.slug()) {
            return fault(
                "desk.oidc.name",
                "expected a name of its own for each provider",
            );
        }
        if others.iter().any(|other| other.issuer == provider.issuer) {
            return fault("desk.oidc.issuer", "expected each issuer once");
        }
    }
    Ok(())
}
