//! The mails beside digest and confirmation: a fresh link to one's data, and a change of address.

use super::notice::Words;
use crate::domain::delivery::Notice;
use crate::domain::letter::Rendered;
use crate::domain::letter::TOKEN_HOLE;
use crate::render::RenderError;
use crate::render::Site;
use crate::render::text::clean;

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
    let link = site.link(&format!("/{path}/{TOKEN_HOLE}"));
    Words {
        subject: &format!("{heading}{} {newsletter}", if heading.ends_with('?') { "" } else { ":" }),
        heading,
        preheader: &request,
        paragraphs: std::slice::from_ref(&request),
        button: button.map(|label| (label, link.as_str())),
        footer: otherwise,
        unsubscribe: None,
    }
    .render(site)
}
