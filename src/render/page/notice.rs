//! Pages that say one thing and offer at most one thing to do.

use std::borrow::Cow;

use askama::Template;

use super::FormView;
use super::PageFrame;
use super::SignUpForm;
use crate::domain::reader::UnsubscribeReason;
use crate::render::RenderError;
use crate::render::Site;
use crate::render::text::clean;

/// A page that says something and offers at most one thing to do.
#[derive(Template)]
#[template(path = "web/notice.html", whitespace = "minimize")]
pub(super) struct NoticePage<'a> {
    pub(super) frame: PageFrame<'a>,
    pub(super) heading: &'a str,
    pub(super) sentences: Vec<String>,
    pub(super) button: Option<Button<'a>>,
    pub(super) sign_up: Option<FormView<'a>>,
    /// Next place: a path and its words.
    pub(super) link: Option<(Cow<'static, str>, &'static str)>,
}

/// The one button of a token's page: `POST`s to the token's own address, for a `GET` changes nothing.
pub(super) struct Button<'a> {
    pub(super) action: String,
    pub(super) token: &'a str,
    pub(super) label: String,
}

impl<'a> NoticePage<'a> {
    pub(super) fn new(site: &'a Site, heading: &'a str, sentences: &[&str]) -> Self {
        let frame = PageFrame::private(
            site,
            heading.to_owned(),
            sentences.first().copied().unwrap_or_default(),
        );
        Self {
            frame,
            heading,
            sentences: sentences.iter().map(|s| clean(s)).collect(),
            button: None,
            sign_up: None,
            link: Some(("/".into(), "To the front page")),
        }
    }
}

/// After signing up: the same words for everybody, whether the address was known or not. `quiet`: the time in words in which an address
/// gets one such mail. `later`: when the mail is sent, if not now.
pub fn check_inbox(site: &Site, quiet: &str, later: Option<&str>) -> Result<String, RenderError> {
    let arrival = arrival(later, "to it");
    let asked = format!(
        "If that address can get our mail, a message with a link {arrival}. Open the link and press the button to finish."
    );
    let again = format!(
        "Nothing there? Look in the spam folder. An address gets one such mail in {quiet}: sign up once more after that, not before."
    );
    Ok(NoticePage::new(site, "Look in your inbox", &[&asked, &again]).render()?)
}

/// Says of a message that it comes: `is on its way to it`, or `will be sent to it` at the time that `later` says.
pub fn arrival(later: Option<&str>, to: &str) -> String {
    later.map_or_else(
        || format!("is on its way {to}"),
        |later| format!("will be sent {to} {later}"),
    )
}

/// Behind the link of a confirmation mail: one button.
pub fn confirm(site: &Site, token: &str) -> Result<String, RenderError> {
    let sentence = format!(
        "One press, and {} comes to your inbox about once a week.",
        site.newsletter
    );
    let button = Some(Button {
        action: "confirm".into(),
        token,
        label: "Confirm my subscription".into(),
    });
    Ok(NoticePage {
        button,
        link: None,
        ..NoticePage::new(site, "Almost there", &[&sentence])
    }
    .render()?)
}

/// After that button.
pub fn confirmed(site: &Site) -> Result<String, RenderError> {
    let sentence = format!(
        "Your subscription to {} is confirmed. The next digest comes to your inbox.",
        site.newsletter
    );
    let notice = NoticePage::new(
        site,
        "You are in",
        &[&sentence, "Until then, the past ones are here to read."],
    );
    Ok(NoticePage {
        link: Some(("/digests".into(), "To the past digests")),
        ..notice
    }
    .render()?)
}

/// Behind the link of a confirmation mail that is too old: a form to get a new one.
pub fn link_expired(site: &Site, form: &SignUpForm<'_>) -> Result<String, RenderError> {
    let sentence = "A confirmation link is good for a limited time only, and this one's is over. Enter your address to get a new one.";
    let notice = NoticePage::new(site, "This link has expired", &[sentence]);
    Ok(NoticePage {
        sign_up: Some(FormView::new(site, form)),
        ..notice
    }
    .render()?)
}

/// Behind the unsubscribe link of a mail: one button, and beside it a link to `preferences`, where the mail can be paused or come once a
/// month instead.
pub fn unsubscribe(site: &Site, token: &str, preferences: String) -> Result<String, RenderError> {
    let sentence = format!(
        "Press the button, and {} no longer comes to your inbox.",
        site.newsletter
    );
    let button = Some(Button {
        action: "unsubscribe".into(),
        token,
        label: "Unsubscribe".into(),
    });
    Ok(NoticePage {
        button,
        link: Some((
            preferences.into(),
            "Pause it, or get it once a month instead",
        )),
        ..NoticePage::new(site, "Unsubscribe?", &[&sentence])
    }
    .render()?)
}

#[derive(Template)]
#[template(path = "web/goodbye.html", whitespace = "minimize")]
struct Goodbye<'a> {
    frame: PageFrame<'a>,
    newsletter: String,
    token: &'a str,
    reasons: [UnsubscribeReason; 4],
}

/// After that button: asks for a reason, which nobody has to give.
pub fn goodbye(site: &Site, token: &str) -> Result<String, RenderError> {
    let title = "You are unsubscribed";
    Ok(Goodbye {
        frame: PageFrame::private(site, title.into(), title),
        newsletter: clean(&site.newsletter),
        token,
        reasons: UnsubscribeReason::ALL,
    }
    .render()?)
}

/// Any other page that says something.
pub fn notice_page(site: &Site, heading: &str, sentences: &[&str]) -> Result<String, RenderError> {
    Ok(NoticePage::new(site, heading, sentences).render()?)
}

/// Every page that says what went wrong.
pub fn problem(site: &Site, title: &str, sentence: &str) -> Result<String, RenderError> {
    Ok(NoticePage::new(site, title, &[sentence]).render()?)
}

/// Behind the link that asks for a digest a month: one button. `is_monthly`: it is so already.
pub fn monthly(site: &Site, is_monthly: bool, token: &str) -> Result<String, RenderError> {
    let now = if is_monthly {
        "You get it once a month already: the first digest of a month, with the best of the last 31 days."
    } else {
        "You then get the first digest of a month, with the best of the last 31 days. The preferences in any digest change it back."
    };
    let button = Button {
        action: "monthly".into(),
        token,
        label: "Once a month".into(),
    };
    Ok(NoticePage {
        button: (!is_monthly).then_some(button),
        link: Some((
            format!("/preferences/{token}").into(),
            "To your preferences",
        )),
        ..NoticePage::new(site, "Once a month instead of every week?", &[now])
    }
    .render()?)
}
