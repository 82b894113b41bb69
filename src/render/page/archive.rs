//! Past digests: the list, each as a page, and the feed.

use askama::Template;

use super::FormView;
use super::PageFrame;
use super::SignUpForm;
use super::rfc3339;
use crate::domain::Timestamp;
use crate::domain::digest::DigestContent;
use crate::domain::slot::Slot;
use crate::render::RenderError;
use crate::render::Site;
use crate::render::date::Date;
use crate::render::issue_text::TextView;
use crate::render::lead::Lead;
use crate::render::markdown::Block;
use crate::render::text::clean;
use crate::render::view::ComparisonView;
use crate::render::view::TextLimits;

/// A digest in a list.
#[derive(Debug, Clone)]
pub struct DigestEntry {
    /// Its week.
    pub slot: Slot,
    /// Time at which it was published.
    pub published_at: Timestamp,
    /// The titles of its comparisons.
    pub titles: Vec<String>,
    /// True if any of them is invented.
    pub sample: bool,
}

/// A digest in a list, with its days in words.
struct EntryView<'a> {
    slot: Slot,
    monday: Date,
    published: Date,
    published_at: String,
    titles: &'a [String],
    sample: bool,
}

impl<'a> EntryView<'a> {
    fn new(site: &Site, entry: &'a DigestEntry) -> Self {
        Self {
            slot: entry.slot,
            monday: Date::monday(site, entry.slot),
            published: Date::new(site, entry.published_at),
            published_at: rfc3339(entry.published_at),
            titles: &entry.titles,
            sample: entry.sample,
        }
    }
}

#[derive(Template)]
#[template(path = "web/digests.html", whitespace = "minimize")]
struct DigestsPage<'a> {
    frame: PageFrame<'a>,
    entries: Vec<EntryView<'a>>,
    older: Option<Slot>,
}

/// A page of past digests; `older`: the next page has those before that slot.
pub fn digests(
    site: &Site,
    entries: &[DigestEntry],
    older: Option<Slot>,
) -> Result<String, RenderError> {
    let frame = PageFrame::public(
        site,
        "/digests",
        format!("Past digests of {}", site.newsletter),
        "Every digest that was sent, to read online.",
    );
    Ok(DigestsPage {
        frame,
        entries: entries
            .iter()
            .map(|entry| EntryView::new(site, entry))
            .collect(),
        older,
    }
    .render()?)
}

#[derive(Template)]
#[template(path = "web/digest.html", whitespace = "minimize")]
struct DigestPage<'a> {
    frame: PageFrame<'a>,
    monday: Date,
    published: Date,
    lead: Lead,
    text: TextView,
    /// Day and words of each correction.
    corrections: Vec<(Date, String)>,
    duels: Vec<ComparisonView<'a>>,
    sample: bool,
    earlier: Option<Slot>,
    later: Option<Slot>,
    sign_up: FormView<'a>,
}

/// A past digest as a web page, with links to the digests before and after it.
pub fn digest(
    site: &Site,
    content: &DigestContent,
    published_at: Timestamp,
    (earlier, later): (Option<Slot>, Option<Slot>),
    form: &SignUpForm<'_>,
) -> Result<String, RenderError> {
    let duels: Vec<ComparisonView<'_>> = content
        .items
        .iter()
        .map(|item| ComparisonView::picked(site, item, TextLimits::PAGE))
        .collect();
    let lead = Lead::new(content, &duels);
    let monday = Date::monday(site, content.slot);
    let title = format!("{}, week of {}", site.newsletter, monday.words);
    let (path, description) = (
        format!("/digests/{}", content.slot),
        format!("{} {}", lead.line, lead.count),
    );
    let page = DigestPage {
        frame: PageFrame {
            published: Some(rfc3339(published_at)),
            ..PageFrame::public(site, &path, title, &description)
        },
        monday,
        published: Date::new(site, published_at),
        lead,
        text: TextView::new(&content.text),
        corrections: content
            .corrections
            .iter()
            .map(|correction| (Date::new(site, correction.at), clean(&correction.note)))
            .collect(),
        duels,
        sample: content.is_sample(),
        earlier,
        later,
        sign_up: FormView::new(site, form),
    };
    Ok(page.render()?)
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
    text: TextView,
    duels: Vec<ComparisonView<'a>>,
    sample: bool,
}

/// The past digests as an Atom feed (RFC 4287).
pub fn feed(
    site: &Site,
    entries: &[(DigestEntry, DigestContent)],
    updated: Timestamp,
) -> Result<String, RenderError> {
    let entries: Result<Vec<FeedEntry>, RenderError> = entries
        .iter()
        .map(|(entry, content)| feed_entry(site, entry, content))
        .collect();
    Ok(Feed {
        site,
        name: clean(&site.newsletter),
        updated: rfc3339(updated),
        entries: entries?,
    }
    .render()?)
}

fn feed_entry(
    site: &Site,
    entry: &DigestEntry,
    content: &DigestContent,
) -> Result<FeedEntry, RenderError> {
    let duels: Vec<ComparisonView<'_>> = content
        .items
        .iter()
        .map(|item| ComparisonView::picked(site, item, TextLimits::MAIL))
        .collect();
    let html = FeedEntryHtml {
        site,
        lead: Lead::new(content, &duels),
        text: TextView::new(&content.text),
        duels,
        sample: content.is_sample(),
    };
    Ok(FeedEntry {
        url: site.link(&format!("/digests/{}", entry.slot)),
        title: format!(
            "{}, week of {}",
            clean(&site.newsletter),
            Date::monday(site, entry.slot).words
        ),
        updated: rfc3339(entry.published_at),
        html: html.render()?,
    })
}
