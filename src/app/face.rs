//! Facts about the site that pages and mails show, from the settings and the file of the logo.

use std::path::Path;
use std::sync::Arc;

use super::Failure;
use super::delivery::relay::Relay;
use crate::config::Settings;
use crate::config::SiteSettings;
use crate::domain::zone::Zone;
use crate::render::Site;
use crate::render::face::Face;
use crate::render::logo::Logo;

/// Reads what pages and mails show of the site.
pub(super) fn site(
    settings: &Settings,
    relays: &[Arc<Relay>],
    timezone: Zone,
) -> Result<Site, Failure> {
    Ok(Site {
        base_url: settings.base_url().into(),
        name: settings.site.name.clone(),
        newsletter: settings.site.newsletter.clone(),
        // Checked when the settings were read.
        subject: settings.mail.subject.parse().unwrap_or_default(),
        timezone,
        postal_address: settings.mail.postal_address.clone(),
        has_mailbox: relays
            .iter()
            .any(|relay| relay.transport.mailbox().is_some())
            && settings.mail.shows_mailbox(settings.site.listen.ip()),
        face: face(&settings.site)?,
    })
}

fn face(site: &SiteSettings) -> Result<Face, Failure> {
    let alt = site.logo_alt.as_deref().unwrap_or(&site.name);
    let logo = site
        .logo
        .as_deref()
        .map(|path| logo(path, alt))
        .transpose()?;
    let url = |url: &Option<url::Url>| url.as_ref().map(ToString::to_string);
    let mut face = Face::new(logo, site.accent.zip(site.accent_on_dark()));
    face.footer = site.footer.clone();
    face.privacy_url = url(&site.privacy_url);
    face.imprint_url = url(&site.imprint_url);
    Ok(face)
}

fn logo(path: &Path, alt: &str) -> Result<Logo, Failure> {
    let fault = |error: &dyn std::fmt::Display| {
        let words = format!("site.logo ({}): {error}.", path.display());
        Failure::invalid_field("site.logo".to_owned(), words)
    };
    let bytes =
        std::fs::read(path).map_err(|error| fault(&format_args!("it cannot be read ({error})")))?;
    Logo::read(&bytes, alt).map_err(|error| fault(&error))
}
