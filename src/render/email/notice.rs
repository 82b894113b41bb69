//! The short mails about a subscription: one button, and the address that it leads to in plain sight.

use askama::Template;

use super::MailFrame;
use super::SUBJECT;
use super::plain::numbered;
use super::plain::paragraph;
use super::plain::tidy;
use crate::domain::Timestamp;
use crate::domain::answer::Answer;
use crate::domain::digest::DigestContent;
use crate::domain::rendered_mail::Rendered;
use crate::domain::rendered_mail::SINCE_HOLE;
use crate::domain::rendered_mail::TOKEN_PLACEHOLDER;
use crate::render::RenderError;
use crate::render::Site;
use crate::render::date::Date;
use crate::render::text::clean;
use crate::render::text::shorten;
use crate::render::view::TextLimits;
use crate::render::view::answer_of;

/// Answers of the latest digest that a welcome shows at most.
const ANSWERS_MAX: usize = 8;

/// Words of a notice.
pub(super) struct NoticeWords<'a> {
    pub subject: &'a str,
    pub heading: &'a str,
    pub preheader: &'a str,
    /// Before the button.
    pub paragraphs: &'a [String],
    /// Answers of a digest, after the paragraphs.
    pub answers: Vec<Answer>,
    /// Words of the button, and where it leads.
    pub button: Option<(&'static str, &'a str)>,
    /// At its foot.
    pub footer: &'a str,
    /// Link by which a subscriber leaves.
    pub unsubscribe: Option<&'a str>,
}

#[derive(Template)]
#[template(path = "email/notice.html", whitespace = "minimize")]
struct NoticeHtml<'a> {
    frame: &'a MailFrame<'a>,
    words: &'a NoticeWords<'a>,
}

#[derive(Template)]
#[template(path = "email/notice.txt", whitespace = "preserve")]
struct NoticeText<'a> {
    frame: &'a MailFrame<'a>,
    paragraphs: Vec<String>,
    answers: Vec<String>,
    words: &'a NoticeWords<'a>,
    footer: String,
    postal_address: String,
}

impl NoticeWords<'_> {
    pub(super) fn render(&self, site: &Site) -> Result<Rendered, RenderError> {
        let subject = shorten(self.subject, SUBJECT);
        let frame = MailFrame::new(site, &subject, self.heading, self.preheader);
        let text = NoticeText {
            frame: &frame,
            paragraphs: self.paragraphs.iter().map(|text| paragraph(text)).collect(),
            answers: numbered(self.answers.iter()),
            words: self,
            footer: paragraph(self.footer),
            postal_address: frame.postal_address_in_lines(),
        };
        let html = NoticeHtml {
            frame: &frame,
            words: self,
        };
        Ok(Rendered {
            html: html.render()?,
            text: tidy(&text.render()?),
            subject,
        })
    }
}

/// The subject of the mail that asks for confirmation: an answer to it begins with `Re:` and goes on with this.
pub fn confirmation_subject(site: &Site) -> String {
    format!("Please confirm: {}", clean(&site.newsletter))
}

/// The mail that asks whether an address wants the newsletter. `confirm_within` is a length of time in words; `answers`: somebody
/// reads what is answered to it.
pub fn confirmation(
    site: &Site,
    confirm_within: &str,
    answers: bool,
) -> Result<Rendered, RenderError> {
    let (name, newsletter) = (clean(&site.name), clean(&site.newsletter));
    ConfirmationWords {
        heading: "Confirm your subscription",
        preheader: format!("One press, and {newsletter} comes to you about once a week."),
        request: format!(
            "Somebody, hopefully you, entered this address to get {newsletter} from {name}. Please confirm that it was you:"
        ),
        otherwise: format!(
            "If it wasn't you, do nothing: your address is forgotten after {}, and you hear no more from us.",
            clean(confirm_within)
        ),
    }
    .render(site, answers)
}

/// The one mail that reminds of a sign-up that was not confirmed.
pub fn confirmation_reminder(
    site: &Site,
    confirm_within: &str,
    answers: bool,
) -> Result<Rendered, RenderError> {
    let (name, newsletter) = (clean(&site.name), clean(&site.newsletter));
    ConfirmationWords {
        heading: "Do you still want it?",
        preheader: format!(
            "One press, and {newsletter} comes to you about once a week. Or ignore this."
        ),
        request: format!(
            "This address was entered to get {newsletter} from {name}, and nobody confirmed it yet. If you want it, press the button:"
        ),
        otherwise: format!(
            "If you do not want it, ignore this: there is no other reminder, and your address is forgotten after {}.",
            clean(confirm_within)
        ),
    }
    .render(site, answers)
}

/// Words of a mail that asks for confirmation. All have one subject: an answer to any is known by it, and mail programs show them together.
struct ConfirmationWords {
    heading: &'static str,
    preheader: String,
    /// Above the button.
    request: String,
    /// At its foot: how to let it be.
    otherwise: String,
}

impl ConfirmationWords {
    fn render(self, site: &Site, answers: bool) -> Result<Rendered, RenderError> {
        let or_answer = if answers {
            "Or answer this mail with the word yes. "
        } else {
            ""
        };
        NoticeWords {
            subject: &confirmation_subject(site),
            heading: self.heading,
            preheader: &self.preheader,
            paragraphs: &[self.request],
            answers: Vec::new(),
            button: Some((
                "Confirm my subscription",
                &site.link(&format!("/confirm/{TOKEN_PLACEHOLDER}")),
            )),
            footer: &format!("{or_answer}{}", self.otherwise),
            unsubscribe: None,
        }
        .render(site)
    }
}

/// The mail to somebody who just confirmed. `latest`: the digest that went out last; `next`: when the next is sent.
pub fn welcome(
    site: &Site,
    latest: Option<&DigestContent>,
    next: Option<Timestamp>,
) -> Result<Rendered, RenderError> {
    let (name, newsletter) = (clean(&site.name), clean(&site.newsletter));
    let done = format!(
        "Your address is confirmed. {newsletter} from {name} comes to you from now on, about once a week."
    );
    let next = next.map(|at| {
        let day = Date::new(site, at);
        format!("The next one comes on {}, {}.", day.weekday, day.words)
    });
    let latest = latest.filter(|content| !content.items.is_empty());
    let meanwhile = match latest {
        Some(content) => format!(
            "Until then, the answers of the last one, of the week of {}:",
            Date::monday(site, content.slot).words
        ),
        None => "The digests so far can be read online:".to_owned(),
    };
    let answers = latest.map(|content| {
        let items = content.items.iter().take(ANSWERS_MAX);
        items
            .map(|item| answer_of(&item.matchup, TextLimits::MAIL))
            .collect()
    });
    let (label, path) = match latest {
        Some(content) => ("Read them in full", format!("/digests/{}", content.slot)),
        None => ("See the digests so far", "/digests".to_owned()),
    };
    let paragraphs: Vec<String> = std::iter::once(done)
        .chain(next)
        .chain([meanwhile])
        .collect();
    NoticeWords {
        subject: &format!("You are in: {newsletter}"),
        heading: "You are in",
        preheader: &format!("Your address is confirmed, and the next {newsletter} comes to you."),
        paragraphs: &paragraphs,
        answers: answers.unwrap_or_default(),
        button: Some((label, &site.link(&path))),
        footer: &super::why(site),
        unsubscribe: Some(&site.link(&format!("/unsubscribe/{TOKEN_PLACEHOLDER}"))),
    }
    .render(site)
}

/// The mail to somebody on the list whose address was entered once more.
pub fn already(site: &Site) -> Result<Rendered, RenderError> {
    let (name, newsletter) = (clean(&site.name), clean(&site.newsletter));
    let request =
        format!("Somebody, hopefully you, entered this address to get {newsletter} from {name}.");
    let nothing = format!(
        "There is nothing to do: it is on the list since {SINCE_HOLE}. If our mails do not arrive, look among the spam."
    );
    let meanwhile = "The digests so far can be read online:".to_owned();
    NoticeWords {
        subject: &format!("You get it already: {newsletter}"),
        heading: "You are on the list already",
        preheader: &format!("There is nothing to do: the next {newsletter} comes to you."),
        paragraphs: &[request, nothing, meanwhile],
        answers: Vec::new(),
        button: Some(("See the digests so far", &site.link("/digests"))),
        footer: "If it wasn't you, do nothing: nothing has changed.",
        unsubscribe: Some(&site.link(&format!("/unsubscribe/{TOKEN_PLACEHOLDER}"))),
    }
    .render(site)
}
