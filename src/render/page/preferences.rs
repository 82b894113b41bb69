//! Page of a reader's preferences, and the page behind the fresh link to what is known of them.

use askama::Template;

use super::PageFrame;
use super::notice::Button;
use super::notice::NoticePage;
use crate::domain::Timestamp;
use crate::domain::catalogue::category_key;
use crate::domain::reader::Preferences;
use crate::domain::zone::ZoneName;
use crate::render::RenderError;
use crate::render::Site;
use crate::render::date::Date;

/// A field of the account page that was refused: it keeps what was typed and says what is wrong.
#[derive(Debug, Clone, Copy)]
pub struct RefusedField<'a> {
    /// `name` or `email`.
    pub field: &'static str,
    /// Text as it was typed.
    pub typed: &'a str,
    /// Fault in it, as a sentence.
    pub sentence: &'a str,
}

#[derive(Template)]
#[template(path = "web/preferences.html", whitespace = "minimize")]
struct PreferencesPage<'a> {
    frame: PageFrame<'a>,
    /// Each category, and whether it is followed.
    categories: Vec<(&'a str, bool)>,
    monthly: bool,
    paused: Option<Date>,
    said: &'a str,
    zones: ZoneField<'a>,
    token: &'a str,
    unsubscribe: &'a str,
}

/// The field for a time zone. Which one is set is not shown: whoever holds a digest sees this page.
#[derive(Debug, Clone, Copy, Default)]
pub struct ZoneField<'a> {
    /// Names to choose from; none where digests go out at one time for all.
    pub names: &'a [ZoneName],
    /// Text that was typed and is no such name.
    pub refused: Option<&'a str>,
}

/// Categories, rhythm and a pause, as they are; nothing that tells whose they are. `said` is what the last press did, `unsubscribe` the
/// path of the page that ends the subscription.
pub fn preferences(
    site: &Site,
    wanted: &Preferences,
    categories: &[String],
    now: Timestamp,
    said: &str,
    (token, unsubscribe): (&str, &str),
    zones: ZoneField<'_>,
) -> Result<String, RenderError> {
    let frame = PageFrame::private(
        site,
        "Your preferences".into(),
        "What comes to your inbox, and how often.",
    );
    let page = PreferencesPage {
        frame,
        categories: categories
            .iter()
            .map(|category| {
                (
                    category.as_str(),
                    wanted
                        .categories
                        .iter()
                        .any(|followed| category_key(followed) == category_key(category)),
                )
            })
            .collect(),
        monthly: wanted.monthly,
        paused: wanted
            .paused_until
            .filter(|until| *until > now)
            .map(|until| Date::new(site, until)),
        said,
        zones,
        token,
        unsubscribe,
    };
    Ok(page.render()?)
}

#[derive(Template)]
#[template(path = "web/account.html", whitespace = "minimize")]
struct AccountPage<'a> {
    frame: PageFrame<'a>,
    refused: Option<RefusedField<'a>>,
    token: &'a str,
}

impl AccountPage<'_> {
    fn typed(&self, field: &str) -> &str {
        self.refused
            .filter(|refused| refused.field == field)
            .map_or("", |refused| refused.typed)
    }

    fn problem(&self, field: &str) -> Option<&str> {
        self.refused
            .filter(|refused| refused.field == field)
            .map(|refused| refused.sentence)
    }
}

/// Returns what can be done with one's data; it shows none of it.
pub fn account(
    site: &Site,
    token: &str,
    refused: Option<RefusedField<'_>>,
) -> Result<String, RenderError> {
    Ok(AccountPage {
        frame: PageFrame::private(
            site,
            "Your data".into(),
            "See, change or erase what is known of you.",
        ),
        refused,
        token,
    }
    .render()?)
}

#[derive(Template)]
#[template(path = "web/erase.html", whitespace = "minimize")]
struct ErasePage<'a> {
    frame: PageFrame<'a>,
    token: &'a str,
}

/// The second step of an erasure: what goes, and the button that does it.
pub fn confirm_erasure(site: &Site, token: &str) -> Result<String, RenderError> {
    let frame = PageFrame::private(
        site,
        "Erase everything?".into(),
        "Your subscription, votes, saved tools and history go at once.",
    );
    Ok(ErasePage { frame, token }.render()?)
}

/// Behind the link in the mail to a new address: one button.
pub fn confirm_move(site: &Site, token: &str) -> Result<String, RenderError> {
    let sentence = format!(
        "One press, and {} comes to this address instead of the old one, which is told.",
        site.newsletter
    );
    let button = Button {
        action: "move".into(),
        token,
        label: "Use this address".into(),
    };
    Ok(NoticePage {
        button: Some(button),
        link: None,
        ..NoticePage::new(site, "Your new address?", &[&sentence])
    }
    .render()?)
}
