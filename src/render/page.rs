//! Every page of the site, the feed and the stylesheet.

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
use super::view::Lead;
use super::view::Limits;
use super::view::Opinion;
use super::view::Side;
use crate::domain::Timestamp;
use crate::domain::catalogue::Contender;
use crate::domain::catalogue::Matchup;
use crate::domain::catalogue::Reviewer;
use crate::domain::digest::Content;
use crate::domain::slot::Slot;

/// The sign-up form as it is shown: empty at first; refused, it keeps what was typed and says what is wrong.
#[derive(Debug, Clone, Copy, Default)]
pub struct SignUpForm<'a> {
    /// What was typed.
    pub email: &'a str,
    /// What is wrong with it, as a sentence.
    pub problem: Option<&'a str>,
}

/// A digest in a list.
#[derive(Debug, Clone)]
pub struct DigestEntry {
    /// Its week.
    pub slot: Slot,
    /// When it was published.
    pub published_at: Timestamp,
    /// The titles of its comparisons.
    pub titles: Vec<String>,
}

/// A captured mail in a list.
#[derive(Debug, Clone)]
pub struct MailRow {
    /// Its file's name, which is its address below `/mailbox/`.
    pub name: String,
    /// Whom it is for.
    pub to: String,
    /// Its subject.
    pub subject: String,
    /// Its date, if it has one that can be read.
    pub date: Option<Timestamp>,
    /// Its size in bytes.
    pub size: u64,
}

/// A captured mail.
#[derive(Debug, Clone)]
pub struct MailView {
    /// What the list says of it.
    pub row: MailRow,
    /// Whom it is from.
    pub from: String,
    /// All its headers, as they stand.
    pub headers: String,
    /// Its text part, decoded.
    pub text: Option<String>,
    /// Whether it has an HTML part, shown in a frame from `/mailbox/{name}/html`.
    pub has_html: bool,
}

/// The site's icon, an SVG.
pub const ICON: &str = include_str!("../../templates/web/icon.svg");

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
        let text = include_str!("../../templates/web/style.css");
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

/// A digest in a list, with its days in words.
struct EntryView<'a> {
    slot: Slot,
    monday: Date,
    published: Date,
    published_at: String,
    titles: &'a [String],
}

impl<'a> EntryView<'a> {
    fn new(site: &Site, entry: &'a DigestEntry) -> Self {
        Self {
            slot: entry.slot,
            monday: Date::monday(site, entry.slot),
            published: Date::new(site, entry.published_at),
            published_at: rfc3339(entry.published_at),
            titles: &entry.titles,
        }
    }
}

fn rfc3339(moment: Timestamp) -> String {
    moment.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

#[derive(Template)]
#[template(path = "web/digests.html", whitespace = "minimize")]
struct Digests<'a> {
    frame: Frame<'a>,
    entries: Vec<EntryView<'a>>,
}

/// The past digests, as a list.
pub fn digests(site: &Site, entries: &[DigestEntry]) -> Result<String, RenderError> {
    let frame =
        Frame::public(site, "/digests", format!("Past digests of {}", site.newsletter), "Every digest that was sent, to read online.");
    Ok(Digests { frame, entries: entries.iter().map(|entry| EntryView::new(site, entry)).collect() }.render()?)
}

#[derive(Template)]
#[template(path = "web/digest.html", whitespace = "minimize")]
struct DigestPage<'a> {
    frame: Frame<'a>,
    monday: Date,
    published: Date,
    lead: Lead,
    duels: Vec<Duel<'a>>,
    sample: bool,
    sign_up: FormView<'a>,
}

/// A past digest as a web page.
pub fn digest(site: &Site, content: &Content, published_at: Timestamp, form: &SignUpForm<'_>) -> Result<String, RenderError> {
    let duels: Vec<Duel<'_>> = content.items.iter().map(|item| Duel::picked(site, item, Limits::PAGE)).collect();
    let lead = Lead::new(content, &duels);
    let monday = Date::monday(site, content.slot);
    let title = format!("{}, week of {}", site.newsletter, monday.words);
    let page = DigestPage {
        frame: Frame::public(site, &format!("/digests/{}", content.slot), title, &format!("{} {}", lead.count, lead.contest)),
        monday,
        published: Date::new(site, published_at),
        lead,
        duels,
        sample: content.is_sample(),
        sign_up: FormView::new(site, form),
    };
    Ok(page.render()?)
}

/// A mail in a list, with its date and size in words.
struct RowView<'a> {
    name: &'a str,
    to: String,
    subject: String,
    date: String,
    size: String,
}

impl<'a> RowView<'a> {
    fn new(site: &Site, row: &'a MailRow) -> Self {
        let date = row.date.map(|date| date.with_timezone(&site.timezone).format("%Y-%m-%d %H:%M %Z").to_string());
        Self {
            name: &row.name,
            to: shorten(&row.to, 200),
            subject: Some(shorten(&row.subject, 200)).filter(|subject| !subject.is_empty()).unwrap_or_else(|| "(no subject)".into()),
            date: date.unwrap_or_else(|| "no date".into()),
            size: format!("{}.{} KB", row.size / 1024, row.size % 1024 * 10 / 1024),
        }
    }
}

#[derive(Template)]
#[template(path = "web/mailbox.html", whitespace = "minimize")]
struct Mailbox<'a> {
    frame: Frame<'a>,
    rows: Vec<RowView<'a>>,
}

/// The captured mails, as a list.
pub fn mailbox(site: &Site, rows: &[MailRow]) -> Result<String, RenderError> {
    let frame = Frame::private(site, "Mailbox".into(), "Mail that was captured instead of sent.");
    Ok(Mailbox { frame, rows: rows.iter().map(|row| RowView::new(site, row)).collect() }.render()?)
}

/// A stretch of a mail's text: words, or one of the site's own links.
struct Piece<'a> {
    text: &'a str,
    is_link: bool,
}

#[derive(Template)]
#[template(path = "web/mailbox_mail.html", whitespace = "minimize")]
struct MailboxMail<'a> {
    frame: Frame<'a>,
    row: RowView<'a>,
    from: String,
    headers: &'a str,
    text: Option<Vec<Piece<'a>>>,
    has_html: bool,
}

/// One captured mail. Links of its text part that lead to this site can be followed.
pub fn mailbox_mail(site: &Site, mail: &MailView) -> Result<String, RenderError> {
    let row = RowView::new(site, &mail.row);
    let page = MailboxMail {
        frame: Frame::private(site, row.subject.clone(), "A mail that was captured instead of sent."),
        row,
        from: shorten(&mail.from, 200),
        headers: &mail.headers,
        text: mail.text.as_deref().map(|text| pieces(site, text)),
        has_html: mail.has_html,
    };
    Ok(page.render()?)
}

fn pieces<'a>(site: &Site, text: &'a str) -> Vec<Piece<'a>> {
    let start = site.link("/");
    let words = text.split_inclusive(char::is_whitespace).flat_map(|word| {
        let (bare, space) = word.split_at(word.trim_end().len());
        [Piece { text: bare, is_link: bare.starts_with(&start) }, Piece { text: space, is_link: false }]
    });
    words.filter(|piece| !piece.text.is_empty()).collect()
}

#[derive(Template)]
#[template(path = "web/feed.xml", whitespace = "minimize")]
struct Feed<'a> {
    site: &'a Site,
    name: String,
    updated: String,
    entries: Vec<FeedEntry>,
}

struct FeedEntry {
    url: String,
    title: String,
    updated: String,
    html: String,
}

#[derive(Template)]
#[template(path = "web/feed_entry.html", whitespace = "minimize")]
struct FeedEntryHtml<'a> {
    site: &'a Site,
    lead: Lead,
    duels: Vec<Duel<'a>>,
    sample: bool,
}

/// The past digests as an Atom feed (RFC 4287).
pub fn feed(site: &Site, entries: &[(DigestEntry, Content)], updated: Timestamp) -> Result<String, RenderError> {
    let entries: Result<Vec<FeedEntry>, RenderError> = entries.iter().map(|(entry, content)| feed_entry(site, entry, content)).collect();
    Ok(Feed { site, name: clean(&site.newsletter), updated: rfc3339(updated), entries: entries? }.render()?)
}

fn feed_entry(site: &Site, entry: &DigestEntry, content: &Content) -> Result<FeedEntry, RenderError> {
    let duels: Vec<Duel<'_>> = content.items.iter().map(|item| Duel::picked(site, item, Limits::MAIL)).collect();
    let html = FeedEntryHtml { site, lead: Lead::new(content, &duels), duels, sample: content.is_sample() };
    Ok(FeedEntry {
        url: site.link(&format!("/digests/{}", entry.slot)),
        title: format!("{}, week of {}", clean(&site.newsletter), Date::monday(site, entry.slot).words),
        updated: rfc3339(entry.published_at),
        html: html.render()?,
    })
}
