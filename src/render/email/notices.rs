//! The mails beside digest and confirmation: a fresh link to one's data, and a change of address.

use askama::Template;

use super::Frame;
use super::SUBJECT;
use super::paragraph;
use super::tidy;
use crate::domain::delivery::Notice;
use crate::domain::letter::Rendered;
use crate::domain::letter::TOKEN_HOLE;
use crate::render::RenderError;
use crate::render::Site;
use crate::render::text::clean;
use crate::render::text::shorten;

#[derive(Template)]
#[template(path = "email/notice.html", whitespace = "minimize")]
struct NoticeHtml<'a> {
    frame: &'a Frame<'a>,
    request: &'a str,
    /// What the button says, and where it leads.
    button: Option<(&'static str, &'a str)>,
    otherwise: &'a str,
}

#[derive(Template)]
#[template(path = "email/notice.txt", whitespace = "preserve")]
struct NoticeText<'a> {
    frame: &'a Frame<'a>,
    request: String,
    link: Option<&'a str>,
    otherwise: String,
    postal_address: String,
}

/// The mail of that kind.
pub fn notice(site: &Site, notice: Notice) -> Result<Rendered, RenderError> {
    let newsletter = clean(&site.newsletter);
    let (heading, request, button, path, otherwise) = match notice {
        Notice::Account => (
            "Your data",
            format!(
                "Somebody, hopefully you, asked from a digest of {newsletter} to see, change or erase what is known of you. This link leads there:"
            ),
            Some("To my data"),
            "account",
            "It is good for one hour. If it wasn't you, do nothing: a digest of yours may have been forwarded, and its link alone shows none of your data.",
        ),
        Notice::Move => (
            "Is this your new address?",
            format!("A reader of {newsletter} wants it to come to this address from now on. Please confirm that it is yours:"),
            Some("Use this address"),
            "move",
            "If you know nothing of it, do nothing: you hear no more from us.",
        ),
        Notice::Moved => (
            "Your address was changed",
            format!("As you asked, {newsletter} goes to another address from now on, and no longer to this one."),
            None,
            "",
            "If you did not ask for it, answer this mail at once.",
        ),
    };
    let subject = shorten(&format!("{heading}: {newsletter}"), SUBJECT);
    let frame = Frame::new(site, &subject, heading, &request);
    let link = site.link(&format!("/{path}/{TOKEN_HOLE}"));
    let button = button.map(|label| (label, link.as_str()));
    let text = NoticeText {
        frame: &frame,
        request: paragraph(&request),
        link: button.map(|(_, link)| link),
        otherwise: paragraph(otherwise),
        postal_address: frame.postal_address_in_lines(),
    };
    let html = NoticeHtml { frame: &frame, request: &request, button, otherwise };
    Ok(Rendered { html: html.render()?, text: tidy(&text.render()?), subject })
}
