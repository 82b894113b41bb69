//! Every page of the site, the feed and the stylesheet. Past digests are in `archive`, captured mails in `captured`.

mod archive;
mod captured;

use std::fmt::Write as _;
use std::sync::LazyLock;

use askama::Template;
use sha2::Digest as _;
use sha2::Sha256;

use super::RenderError;
use super::Site;
use super::text::clean;
use super::text::shorten;
use super::view::Date;
use super::view::Duel;
use super::view::Limits;
use super::view::Opinion;
use super::view::Side;
use crate::domain::catalogue::Contender;
use crate::domain::catalogue::Matchup;
use crate::domain::catalogue::Reviewer;

pub use archive::DigestEntry;
pub use archive::digest;
pub use archive::digests;
pub use archive::feed;
pub use captured::MailRow;
pub use captured::MailView;
pub use captured::mailbox;
pub use captured::mailbox_mail;

/// The sign-up form as it is shown: empty at first; refused, it keeps what was typed and says what is wrong.
#[derive(Debug, Clone, Copy, Default)]
pub struct SignUpForm<'a> {
    /// What was typed.
    pub email: &'a str,
    /// What is wrong with it, as a sentence.
    pub problem: Option<&'a str>,
}

/// The site's icon, an SVG.
pub const ICON: &str = include_str!("../../../templates/web/icon.svg");

/// The stylesheet of all pages.
#[derive(Debug)]
pub struct Stylesheet {
    /// Where it is served: the path changes with the text, so it may be cached for ever.
    pub path: String,
    /// Its text.
    pub text: &'static str,
}

/// The stylesheet of all pages.
pub fn stylesheet() -> &'static Stylesheet {
    static STYLESHEET: LazyLock<Stylesheet> = LazyLock::new(|| {
        let text = include_str!("../../../templates/web/style.css");
        let hash = Sha256::digest(text).iter().take(6).fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        });
        Stylesheet { path: format!("/assets/style-{hash}.css"), text }
    });
    &STYLESHEET
}

/// What a person agrees to by signing up: stands beside the button, and in the record of their consent.
pub fn consent_sentence(site: &Site) -> String {
    format!(
        "By signing up you agree to get {} from {} by email, about once a week, until you unsubscribe with the link in every digest.",
        clean(&site.newsletter),
        clean(&site.name)
    )
}

/// What stands around every page.
struct Frame<'a> {
    site: &'a Site,
    style: &'static str,
    title: String,
    description: String,
    /// The page's own address; `None` for pages that are not to be found by search, like those behind a token.
    canonical: Option<String>,
}

impl<'a> Frame<'a> {
    fn public(site: &'a Site, path: &str, title: String, description: &str) -> Self {
        Self { canonical: Some(site.link(path)), ..Self::private(site, title, description) }
    }

    fn private(site: &'a Site, title: String, description: &str) -> Self {
        Self { site, style: &stylesheet().path, title: clean(&title), description: shorten(description, 160), canonical: None }
    }

    /// The front's title begins with the site's name; the others end in it.
    fn ends_in_name(&self) -> bool {
        !self.title.starts_with(&clean(&self.site.name))
    }
}

/// The form with what stands beside it.
struct FormView<'a> {
    form: SignUpForm<'a>,
    consent: String,
}

impl<'a> FormView<'a> {
    fn new(site: &Site, form: &SignUpForm<'a>) -> Self {
        Self { form: *form, consent: consent_sentence(site) }
    }
}

#[derive(Template)]
#[template(path = "web/front.html", whitespace = "minimize")]
struct Front<'a> {
    frame: Frame<'a>,
    sign_up: FormView<'a>,
    latest: Vec<Duel<'a>>,
    sample: bool,
}

/// The site's front: what it is, the sign-up form, the latest comparisons.
pub fn front(site: &Site, latest: &[Matchup], form: &SignUpForm<'_>) -> Result<String, RenderError> {
    let description = "New AI tools ship daily. A panel of five reviewers puts them side by side and says which one to ship.";
    let frame = Frame::public(site, "/", format!("{}: {}", site.name, site.newsletter), description);
    let sample = latest.iter().any(Matchup::is_sample);
    Ok(Front { frame, sign_up: FormView::new(site, form), latest: duels(site, latest), sample }.render()?)
}

fn duels<'a>(site: &Site, matchups: &'a [Matchup]) -> Vec<Duel<'a>> {
    matchups.iter().map(|matchup| Duel::new(site, matchup, Limits::PAGE)).collect()
}

/// A page that says something and offers at most one thing to do.
#[derive(Template)]
#[template(path = "web/notice.html", whitespace = "minimize")]
struct Notice<'a> {
    frame: Frame<'a>,
    heading: &'a str,
    sentences: Vec<String>,
    button: Option<Button<'a>>,
    sign_up: Option<FormView<'a>>,
    /// Where to go from here: a path and its words.
    link: Option<(&'static str, &'static str)>,
}

/// The one button of a token's page: `POST`s to the token's own address, for a `GET` changes nothing.
struct Button<'a> {
    action: &'static str,
    token: &'a str,
    label: &'static str,
}

impl<'a> Notice<'a> {
    fn new(site: &'a Site, heading: &'a str, sentences: &[&str]) -> Self {
        let frame = Frame::private(site, heading.to_owned(), sentences.first().copied().unwrap_or_default());
        Self {
            frame,
            heading,
            sentences: sentences.iter().map(|s| clean(s)).collect(),
            button: None,
            sign_up: None,
            link: Some(("/", "To the front page")),
        }
    }
}

/// After signing up: the same words for everybody, whether the address was known or not.
pub fn check_inbox(site: &Site) -> Result<String, RenderError> {
    let sentences = [
        "If that address can get our mail, a message with a link is on its way to it. Open the link and press the button to finish.",
        "Nothing there after some minutes? Look in the spam folder, or sign up once more.",
    ];
    Ok(Notice::new(site, "Look in your inbox", &sentences).render()?)
}

/// Behind the link of a confirmation mail: one button.
pub fn confirm(site: &Site, token: &str) -> Result<String, RenderError> {
    let sentence = format!("One press, and {} comes to your inbox about once a week.", site.newsletter);
    let button = Some(Button { action: "confirm", token, label: "Confirm my subscription" });
    Ok(Notice { button, link: None, ..Notice::new(site, "Almost there", &[&sentence]) }.render()?)
}

/// After that button.
pub fn confirmed(site: &Site) -> Result<String, RenderError> {
    let sentence = format!("Your subscription to {} is confirmed. The next digest comes to your inbox.", site.newsletter);
    let notice = Notice::new(site, "You are in", &[&sentence, "Until then, the past ones are here to read."]);
    Ok(Notice { link: Some(("/digests", "To the past digests")), ..notice }.render()?)
}

/// Behind the link of a confirmation mail that is too old: a form to get a new one.
pub fn link_expired(site: &Site, form: &SignUpForm<'_>) -> Result<String, RenderError> {
    let sentence = "A confirmation link is good for a limited time only, and this one's is over. Enter your address to get a new one.";
    let notice = Notice::new(site, "This link has expired", &[sentence]);
    Ok(Notice { sign_up: Some(FormView::new(site, form)), ..notice }.render()?)
}

/// Behind the unsubscribe link of a mail: one button.
pub fn unsubscribe(site: &Site, token: &str) -> Result<String, RenderError> {
    let sentence = format!("Press the button, and {} no longer comes to your inbox.", site.newsletter);
    let button = Some(Button { action: "unsubscribe", token, label: "Unsubscribe" });
    Ok(Notice { button, link: None, ..Notice::new(site, "Unsubscribe?", &[&sentence]) }.render()?)
}

/// After that button.
pub fn goodbye(site: &Site) -> Result<String, RenderError> {
    let sentence = format!("{} no longer comes to your inbox.", site.newsletter);
    let back = "Changed your mind? Sign up again on the front page, whenever you like.";
    Ok(Notice::new(site, "You are unsubscribed", &[&sentence, back]).render()?)
}

/// Every page that says what went wrong.
pub fn problem(site: &Site, title: &str, sentence: &str) -> Result<String, RenderError> {
    Ok(Notice::new(site, title, &[sentence]).render()?)
}

#[derive(Template)]
#[template(path = "web/comparison.html", whitespace = "minimize")]
struct Comparison<'a> {
    frame: Frame<'a>,
    duel: Duel<'a>,
    related: Vec<Duel<'a>>,
    sign_up: FormView<'a>,
}

/// One comparison, with everything that is known of both tools.
pub fn comparison(site: &Site, matchup: &Matchup, related: &[Matchup], form: &SignUpForm<'_>) -> Result<String, RenderError> {
    let duel = Duel::new(site, matchup, Limits::PAGE);
    let [left, right] = &duel.sides;
    let title = format!("{} or {}: which one should you ship?", left.name, right.name);
    let description = format!(
        "{}: {}. {}: {}. Panel verdicts, scores, pricing and the community's vote side by side.",
        left.name,
        left.panel.0.label(),
        right.name,
        right.panel.0.label()
    );
    let frame = Frame::public(site, &format!("/comparisons/{}", duel.slug), title, &description);
    Ok(Comparison { frame, related: duels(site, related), sign_up: FormView::new(site, form), duel }.render()?)
}

#[derive(Template)]
#[template(path = "web/tool.html", whitespace = "minimize")]
struct ToolPage<'a> {
    frame: Frame<'a>,
    side: Side<'a>,
    reviews: Vec<(Reviewer, Option<Opinion>)>,
    comparisons: Vec<Duel<'a>>,
    first_verdict: Date,
}

/// One tool: its reviews and its comparisons.
pub fn tool(site: &Site, contender: &Contender, comparisons: &[Matchup]) -> Result<String, RenderError> {
    let side = Side::new(contender, Limits::PAGE);
    let review = |reviewer: &Reviewer| (*reviewer, contender.tool.review_by(*reviewer).map(|review| Opinion::new(review, Limits::PAGE)));
    let description = format!("{}: {}", side.panel.count(), side.best_for);
    let frame = Frame::public(site, &format!("/tools/{}", side.slug), format!("{}: ship or skip?", side.name), &description);
    let page = ToolPage {
        frame,
        reviews: Reviewer::ALL.iter().map(review).collect(),
        comparisons: duels(site, comparisons),
        first_verdict: Date::new(site, contender.tool.published_at),
        side,
    };
    Ok(page.render()?)
}
