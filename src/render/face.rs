//! The publisher's own face: logo, colours, the words and links at the foot of mails and pages.

use std::fmt::Write as _;
use std::sync::Arc;

use sha2::Digest as _;
use sha2::Sha256;

use super::logo::Logo;
use crate::domain::colour::Colour;

/// Words on a button of the dark scheme's accent.
const ON_DARK_ACCENT: Colour = Colour::new(0x16, 0x13, 0x10);

/// The publisher's own face. By default there is none, and mails and pages look as they always did.
#[derive(Debug, Clone, Default)]
pub struct Face {
    /// Their logo.
    pub logo: Option<Arc<Logo>>,
    /// Stylesheet that pages load after the common one.
    pub style: Option<FaceStyle>,
    /// A paragraph at the foot.
    pub footer: Option<String>,
    /// Page about privacy.
    pub privacy_url: Option<String>,
    /// Imprint.
    pub imprint_url: Option<String>,
    /// Colours of mails.
    pub(super) colours: MailColours,
}

/// A stylesheet that follows from the settings.
#[derive(Debug, Clone)]
pub struct FaceStyle {
    /// Path at which it is served. It changes with the text, so it may be cached for ever.
    pub path: String,
    /// Its text.
    pub text: String,
}

/// Colours of mails that a publisher may change; the rest stand in the templates.
#[derive(Debug, Clone)]
pub(super) struct MailColours {
    /// Links and buttons on light grounds.
    pub accent: String,
    /// The head of a mail, and small words in it.
    pub top: String,
    pub on_top: String,
    /// On dark grounds: links, buttons, words on them, the head.
    pub dark_link: String,
    pub dark_accent: String,
    pub dark_on_accent: String,
    pub dark_top: String,
}

impl Default for MailColours {
    fn default() -> Self {
        Self {
            accent: "#14573a".into(),
            top: "#14452f".into(),
            on_top: "#d4e8db".into(),
            dark_link: "#8fdcb2".into(),
            dark_accent: "#8fd9ae".into(),
            dark_on_accent: "#0f2a1c".into(),
            dark_top: "#143a2a".into(),
        }
    }
}

impl MailColours {
    /// Colours made of an accent. White on it is checked when the settings are read, so the head needs nothing else.
    fn of((light, dark): (Colour, Colour)) -> Self {
        Self {
            accent: light.to_string(),
            top: light.to_string(),
            on_top: Colour::WHITE.to_string(),
            dark_link: dark.to_string(),
            dark_accent: dark.to_string(),
            dark_on_accent: ON_DARK_ACCENT.to_string(),
            dark_top: light.mixed(Colour::BLACK, 35).to_string(),
        }
    }
}

impl Face {
    /// A face with that logo, and the accent on light and on dark grounds.
    pub fn new(logo: Option<Logo>, accent: Option<(Colour, Colour)>) -> Self {
        let text = stylesheet(logo.is_some(), accent);
        let style = (!text.is_empty()).then(|| FaceStyle {
            path: format!(
                "/assets/face-{}.css",
                data_encoding::HEXLOWER.encode(&Sha256::digest(&text)[..6])
            ),
            text,
        });
        Self {
            colours: accent.map(MailColours::of).unwrap_or_default(),
            logo: logo.map(Arc::new),
            style,
            ..Self::default()
        }
    }

    /// Links at the foot, with their words.
    pub(super) fn links(&self) -> Vec<(&'static str, &str)> {
        let links = [
            ("Privacy", &self.privacy_url),
            ("Imprint", &self.imprint_url),
        ];
        links
            .into_iter()
            .filter_map(|(words, url)| Some((words, url.as_deref()?)))
            .collect()
    }
}

/// Rules that go before those of the common stylesheet.
fn stylesheet(has_logo: bool, accent: Option<(Colour, Colour)>) -> String {
    let mut text = String::new();
    if let Some((light, dark)) = accent {
        let hover = (
            light.mixed(Colour::BLACK, 25),
            dark.mixed(Colour::WHITE, 35),
        );
        let _ = write!(
            text,
            ":root{{--accent:{light};--accent-hover:{}}}\n.wordmark::after{{background:var(--accent)}}\n\
             @media (prefers-color-scheme:dark){{:root{{--accent:{dark};--on-accent:{ON_DARK_ACCENT};--accent-hover:{}}}}}\n",
            hover.0, hover.1
        );
    }
    if has_logo {
        // A logo may be dark and stand on nothing: on dark pages it gets a ground.
        text.push_str(
            ".wordmark::after{content:none}\n.wordmark img{display:block;max-width:100%}\n\
             @media (prefers-color-scheme:dark){.wordmark img{box-sizing:content-box;padding:.35rem .55rem;background:#fff;border-radius:5px}}\n",
        );
    }
    text
}
