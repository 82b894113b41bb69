//! `[site]`: the site, its address, its secret.

use std::net::SocketAddr;
use std::path::PathBuf;

use ipnet::IpNet;
use serde::Deserialize;
use serde::Serialize;

use super::ConfigError;
use super::fault;
use super::one_or_many;
use crate::domain::colour::Colour;
use crate::domain::secret::Secret;

/// `[site]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SiteSettings {
    /// Links in mails begin with it; no slash at the end.
    pub base_url: url::Url,
    /// Address on which the service listens.
    pub listen: SocketAddr,
    /// The site's name.
    pub name: String,
    /// The newsletter's name.
    pub newsletter: String,
    /// File with the publisher's logo, PNG or JPEG.
    pub logo: Option<PathBuf>,
    /// Words that stand in for the logo where it is not shown; by default the site's name.
    pub logo_alt: Option<String>,
    /// Colour of buttons and links on light grounds.
    pub accent: Option<Colour>,
    /// The same on dark grounds; by default `accent`, made light enough.
    pub accent_dark: Option<Colour>,
    /// Paragraph at the foot of mails and pages.
    pub footer: Option<String>,
    /// The publisher's page about privacy.
    pub privacy_url: Option<url::Url>,
    /// The publisher's imprint.
    pub imprint_url: Option<url::Url>,
    /// Slots and the times that people read follow this zone.
    pub timezone: String,
    /// Folder of compiled time zone data to use, whatever its age; by default the newer of the system's and the bundled.
    pub zoneinfo: Option<PathBuf>,
    /// Sign links; the first signs, all check. Empty: made on first start and kept beside the database.
    #[serde(deserialize_with = "one_or_many")]
    pub secret: Vec<Secret>,
    /// Proxies whose `X-Forwarded-For` is believed.
    #[serde(deserialize_with = "one_or_many")]
    pub trusted_proxies: Vec<IpNet>,
}

impl Default for SiteSettings {
    fn default() -> Self {
        Self {
            base_url: url::Url::parse("http://127.0.0.1:8080").expect("a literal"),
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            name: "Ship or Skip".into(),
            newsletter: "Weekly AI Tool Verdicts".into(),
            logo: None,
            logo_alt: None,
            accent: None,
            accent_dark: None,
            footer: None,
            privacy_url: None,
            imprint_url: None,
            timezone: "UTC".into(),
            zoneinfo: None,
            secret: Vec::new(),
            trusted_proxies: Vec::new(),
        }
    }
}

impl SiteSettings {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let base = &self.base_url;
        if !has_no_path(base) {
            return fault(
                "site.base_url",
                "expected an http or https address without a path, like https://news.example.org",
            );
        }
        if !base.username().is_empty() || base.password().is_some() {
            // Not quoted: the password would be shown.
            return fault(
                "site.base_url",
                "expected an address without a user or a password: it begins every link in every mail",
            );
        }
        if self.secret.iter().any(|secret| secret.expose().len() < 16) {
            return fault(
                "site.secret",
                "each secret needs at least 16 characters; `openssl rand -hex 32` makes one",
            );
        }
        if self.name.trim().is_empty() || self.newsletter.trim().is_empty() {
            return fault("site.name, site.newsletter", "expected a name");
        }
        for (key, text) in [
            ("site.name", &self.name),
            ("site.newsletter", &self.newsletter),
        ] {
            if text.chars().any(|c| c.is_control()) || text.chars().count() > 200 {
                return fault(key, "expected one line of at most 200 characters");
            }
        }
        self.check_face()
    }
}

/// Returns whether an address is http or https, and a host alone.
fn has_no_path(url: &url::Url) -> bool {
    matches!(url.scheme(), "http" | "https")
        && url.host().is_some()
        && url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none()
}

/// Returns whether the pages of a service can begin with that address.
pub(super) fn is_base_url(url: &url::Url) -> bool {
    has_no_path(url) && url.username().is_empty() && url.password().is_none()
}
