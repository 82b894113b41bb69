//! Providers with whom users sign in: their buttons, the way there, and linked accounts.

use askama::Template;

use super::DeskFrame;
use crate::render::RenderError;

/// The button that leads to a provider.
pub struct ProviderButton {
    /// Name in addresses.
    pub slug: String,
    /// Name.
    pub name: String,
    /// Page to go on to.
    pub next: String,
}

/// An account at a provider, in words.
pub struct IdentityView {
    /// Name in addresses.
    pub short_name: String,
    /// The provider.
    pub provider: String,
    /// Name of the person there.
    pub subject: String,
    /// Time when it was linked.
    pub linked: String,
    /// Time when it last signed in.
    pub used: String,
}

#[derive(Template)]
#[template(path = "desk/onward.html", whitespace = "minimize")]
struct OnwardPage<'a> {
    frame: DeskFrame<'a>,
    name: &'a str,
    url: &'a str,
}

/// The page that leads to a provider. A redirect would not do: `form-action` of the page whose button was pressed allows no other host.
pub fn onward(frame: DeskFrame<'_>, name: &str, url: &str) -> Result<String, RenderError> {
    Ok(OnwardPage { frame, name, url }.render()?)
}
