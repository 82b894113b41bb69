//! Checks of the publisher's own face in `[site]`: logo, colours, footer, the links that the law asks for.

use super::ConfigError;
use super::SiteSettings;
use super::fault;
use crate::domain::colour::Colour;
use crate::domain::colour::TEXT_CONTRAST;

/// Grounds of light mails and pages: what the buttons' words are written in, and the darkest paper that links stand on.
const LIGHT: [(&str, Colour); 2] = [
    ("white, the words on a button", Colour::WHITE),
    (
        "#f3eee4, the ground of a mail",
        Colour::new(0xf3, 0xee, 0xe4),
    ),
];

/// Ground of dark mails and pages that is hardest to read on.
pub const DARK_GROUND: Colour = Colour::new(0x21, 0x1d, 0x19);

/// Contrast of the colour for dark grounds that is made of the other one: the guidelines' better grade (WCAG 2.2, 1.4.6).
const DARK_CONTRAST: f64 = 7.0;

const LOGO_ALT_MAX: usize = 100;
const FOOTER_MAX: usize = 500;

impl SiteSettings {
    pub(super) fn check_face(&self) -> Result<(), ConfigError> {
        if let Some(accent) = self.accent {
            let grounds = LIGHT.map(|(words, ground)| (words, accent.contrast(ground)));
            let worst = grounds.iter().min_by(|a, b| a.1.total_cmp(&b.1));
            refuse_faint("site.accent", accent, worst.copied(), "darker")?;
        }
        if let Some(dark) = self.accent_dark {
            let contrast = dark.contrast(DARK_GROUND);
            let ground = "#211d19, the ground of a dark mail";
            refuse_faint(
                "site.accent_dark",
                dark,
                Some((ground, contrast)),
                "lighter",
            )?;
            if self.accent.is_none() {
                return fault(
                    "site.accent_dark",
                    "needs site.accent: it is that colour's likeness on dark grounds",
                );
            }
        }
        let is_line = |text: &str, max: usize| {
            !text.trim().is_empty()
                && text.chars().count() <= max
                && !text.chars().any(char::is_control)
        };
        if let Some(alt) = &self.logo_alt {
            if !is_line(alt, LOGO_ALT_MAX) {
                return fault(
                    "site.logo_alt",
                    "expected one line of at most 100 characters",
                );
            }
            if self.logo.is_none() {
                return fault(
                    "site.logo_alt",
                    "needs site.logo: it says in words what the logo shows",
                );
            }
        }
        if let Some(footer) = &self.footer
            && !is_line(footer, FOOTER_MAX)
        {
            return fault(
                "site.footer",
                "expected one paragraph of at most 500 characters",
            );
        }
        for (key, url) in [
            ("site.privacy_url", &self.privacy_url),
            ("site.imprint_url", &self.imprint_url),
        ] {
            if let Some(url) = url
                && !is_page(url)
            {
                return fault(
                    key,
                    "expected an http or https address of a page, like https://example.org/privacy",
                );
            }
        }
        Ok(())
    }

    /// The accent colour on dark grounds: as it is set, or else the other one made light enough.
    pub fn accent_on_dark(&self) -> Option<Colour> {
        let made = || Some(self.accent?.lightened(DARK_GROUND, DARK_CONTRAST));
        self.accent_dark.or_else(made)
    }
}

fn refuse_faint(
    key: &str,
    colour: Colour,
    worst: Option<(&str, f64)>,
    remedy: &str,
) -> Result<(), ConfigError> {
    match worst {
        // Cut and not rounded: 4.49 must not be told as 4.5.
        Some((ground, contrast)) if contrast < TEXT_CONTRAST => fault(
            key,
            &format!(
                "{colour} has a contrast of {:.2}:1 with {ground}, and text needs {TEXT_CONTRAST}:1 (WCAG 2.2, 1.4.3); choose a {remedy} colour",
                (contrast * 100.0).floor() / 100.0
            ),
        ),
        _ => Ok(()),
    }
}

/// Returns whether an address is one that anybody can be sent to.
fn is_page(url: &url::Url) -> bool {
    matches!(url.scheme(), "http" | "https")
        && url.host().is_some()
        && url.username().is_empty()
        && url.password().is_none()
        && url.as_str().len() <= 500
}
