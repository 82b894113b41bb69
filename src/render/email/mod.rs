//! The mails, each as HTML and as text with the same links in the same order.
//!
//! `digest` is the weekly one, `plain` its text; `notice` are the short ones about a subscription, `notices` those about its
//! reader's data. What stands around all of them is here.

mod digest;
mod notice;
mod notices;
mod plain;
mod user_notice;

use super::Site;
use super::date::Date;
use super::face::MailColours;
use super::logo::Logo;
use super::text::clean;
use super::text::shorten;
use crate::domain::catalogue::Slug;
use crate::domain::rendered_mail::READER_HOLE;
use crate::domain::rendered_mail::SINCE_HOLE;
pub use digest::FittedDigest;
pub use digest::digest;
pub use digest::digest_within;
pub use notice::already;
pub use notice::confirmation;
pub use notice::confirmation_reminder;
pub use notice::confirmation_subject;
pub use notice::welcome;
pub use notices::account;
pub use notices::choices_changed;
pub use notices::leave_link;
pub use notices::leave_link_by_other;
pub use notices::new_address;
pub use notices::old_address;
pub use user_notice::user_notices;

/// Characters of a subject that a list of mails shows.
const SUBJECT: usize = 90;
/// Characters of the line behind it.
const PREHEADER: usize = 90;
/// Blanks behind the preheader: they stand in answers and forwards too, so there are only enough to keep what comes next out of a list on a phone.
const BLANKS: usize = 20;

/// Frame of every mail.
struct MailFrame<'a> {
    site: &'a Site,
    title: String,
    heading: String,
    preheader: String,
    postal_address: Option<String>,
    colours: &'a MailColours,
    logo: Option<&'a Logo>,
    footer: Option<String>,
    week: Option<Date>,
}

impl<'a> MailFrame<'a> {
    fn new(site: &'a Site, title: &str, heading: &str, preheader: &str) -> Self {
        let postal_address = site
            .postal_address
            .as_deref()
            .map(|address| shorten(address, 200))
            .filter(|address| !address.is_empty());
        let preheader = shorten(preheader, PREHEADER);
        Self {
            site,
            title: clean(title),
            heading: clean(heading),
            preheader,
            postal_address,
            colours: &site.face.colours,
            logo: site.face.logo.as_deref(),
            footer: site.face.footer.as_deref().map(clean),
            week: None,
        }
    }

    /// Blanks that are not folded into one: each is held apart by a joiner that shows nothing. A notice is short, and says nothing else first.
    fn padding(&self) -> String {
        let count = if self.week.is_some() { BLANKS } else { 0 };
        "\u{a0}\u{34f}".repeat(count)
    }

    fn comparison(&self, slug: &Slug) -> String {
        self.site.link(&format!("/comparisons/{slug}"))
    }

    /// Returns where a vote on that tool is shown before it counts.
    fn vote(&self, tool: &Slug, verdict: &str) -> String {
        self.site
            .link(&format!("/vote/{tool}/{verdict}/{READER_HOLE}"))
    }

    /// Returns where a reader votes on both tools of a comparison, or saves them.
    fn choose(&self, comparison: &Slug) -> String {
        self.site
            .link(&format!("/choose/{comparison}/{READER_HOLE}"))
    }

    fn heading_in_capitals(&self) -> String {
        plain::paragraph(&self.heading.to_uppercase())
    }

    fn logo_url(&self) -> String {
        self.logo
            .map(|logo| self.site.link(&logo.path))
            .unwrap_or_default()
    }

    /// Links at the foot, with their words.
    fn links(&self) -> Vec<(&'static str, &str)> {
        self.site.face.links()
    }

    /// The publisher's own words and links at the foot of a text part. Empty when there are none.
    fn footer_in_lines(&self) -> String {
        let footer = self.footer.as_deref().map(plain::paragraph);
        let links = self.links();
        let links = links.iter().map(|(words, url)| format!("{words}:\n{url}"));
        footer
            .into_iter()
            .chain(links)
            .collect::<Vec<_>>()
            .join("\n\n")
    }

    /// Empty when there is none.
    fn postal_address_in_lines(&self) -> String {
        self.postal_address
            .as_deref()
            .map(plain::paragraph)
            .unwrap_or_default()
    }
}

/// The line that a list of mails shows after the subject, as a rendered mail carries it.
pub fn preheader_of(html: &str) -> String {
    let hidden = html
        .split_once("class=\"pre\"")
        .map_or("", |(_, rest)| rest);
    let text = hidden.split_once('>').map_or("", |(_, rest)| rest);
    let text = text.split(['<', '\u{a0}']).next().unwrap_or_default();
    [
        ("&#34;", "\""),
        ("&#39;", "'"),
        ("&#60;", "<"),
        ("&#62;", ">"),
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#38;", "&"),
        ("&amp;", "&"),
    ]
    .iter()
    .fold(text.to_owned(), |text, (code, letter)| {
        text.replace(code, letter)
    })
}

/// Returns why somebody gets a mail, and since when.
fn why(site: &Site) -> String {
    let (name, newsletter) = (clean(&site.name), clean(&site.newsletter));
    format!(
        "You get this mail because you signed up for {newsletter} from {name} and confirmed your address on {SINCE_HOLE}."
    )
}
