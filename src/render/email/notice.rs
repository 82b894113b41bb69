//! The short mails about a subscription: one button, and the address that it leads to in plain sight.

use askama::Template;

use super::MailFrame;
use super::SUBJECT;
use super::plain::paragraph;
use super::plain::tidy;
use crate::domain::rendered_mail::Rendered;
use crate::domain::rendered_mail::SINCE_HOLE;
use crate::domain::rendered_mail::TOKEN_PLACEHOLDER;
use crate::render::RenderError;
use crate::render::Site;
use crate::render::text::clean;
use crate::render::text::shorten;

/// Words of a notice.
pub(super) struct NoticeWords<'a> {
    pub subject: &'a str,
    pub heading: &'a str,
    pub preheader: &'a str,
    /// Before the button.
    pub paragraphs: &'a [String],
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
    let request = format!(
        "Somebody, hopefully you, entered this address to get {newsletter} from {name}. Please confirm that it was you:"
    );
    let or_answer = if answers {
        "Or answer this mail with the word yes. "
    } else {
        ""
    };
    let otherwise = format!(
        "{or_answer}If it wasn't you, do nothing: your address is forgotten after {}, and you hear no more from us.",
        clean(confirm_within)
    );
    NoticeWords {
        subject: &confirmation_subject(site),
        heading: "Confirm your subscription",
        preheader: &format!("One press, and {newsletter} comes to you about once a week."),
        paragraphs: &[request],
        button: Some((
            "Confirm my subscription",
            &site.link(&format!("/confirm/{TOKEN_PLACEHOLDER}")),
        )),
        footer: &otherwise,
        unsubscribe: None,
    }
    .render(site)
}

/// The mail to somebody who just confirmed.
pub fn welcome(site: &Site) -> Result<Rendered, RenderError> {
    let (name, newsletter) = (clean(&site.name), clean(&site.newsletter));
    let done = format!(
        "Your address is confirmed. {newsletter} from {name} comes to you from now on, about once a week."
    );
    let meanwhile = "The digests so far can be read online:".to_owned();
    NoticeWords {
        subject: &format!("You are in: {newsletter}"),
        heading: "You are in",
        preheader: &format!("Your address is confirmed, and the next {newsletter} comes to you."),
        paragraphs: &[done, meanwhile],
        button: Some(("See the digests so far", &site.link("/digests"))),
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
        button: Some(("See the digests so far", &site.link("/digests"))),
        footer: "If it wasn't you, do nothing: nothing has changed.",
        unsubscribe: Some(&site.link(&format!("/unsubscribe/{TOKEN_PLACEHOLDER}"))),
    }
    .render(site)
}
