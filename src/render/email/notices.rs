//! The mails about a reader's own data: a fresh link to it, and the change of an address, and the answer to words of leaving.

use super::notice::NoticeWords;
use crate::domain::rendered_mail::Rendered;
use crate::domain::rendered_mail::TOKEN_PLACEHOLDER;
use crate::render::RenderError;
use crate::render::Site;
use crate::render::text::clean;

/// The mail with the link to what is known of a reader. `good_for` is a length of time in words.
pub fn account(site: &Site, good_for: &str) -> Result<Rendered, RenderError> {
    let (name, newsletter) = (clean(&site.name), clean(&site.newsletter));
    let request = format!(
        "Somebody, hopefully you, asked from a digest of {newsletter} to see, change or erase what {name} knows of you."
    );
    let lifetime = format!(
        "This link leads there and works for {good_for}. Whoever has it can use it, so keep this mail to yourself:"
    );
    NoticeWords {
        subject: &format!("The link to your data: {newsletter}"),
        heading: "The link to your data",
        preheader: &format!("See, change or erase what is known of you. The link works for {good_for}."),
        paragraphs: &[request, lifetime],
        answers: Vec::new(),
        button: Some(("Go to my data", &site.link(&format!("/account/{TOKEN_PLACEHOLDER}")))),
        footer: "If it wasn't you, do nothing: somebody may have got a digest of yours forwarded, and from that alone nobody sees your data.",
        unsubscribe: None,
    }
    .render(site)
}

/// The mail that asks at a new address whether it is theirs. `good_for` is a length of time in words.
pub fn new_address(site: &Site, good_for: &str) -> Result<Rendered, RenderError> {
    let (name, newsletter) = (clean(&site.name), clean(&site.newsletter));
    let request = format!(
        "A reader of {newsletter} from {name}, hopefully you, wants it to come to this address from now on."
    );
    let lifetime = format!("Please confirm within {good_for} that the address is yours:");
    NoticeWords {
        subject: &format!("Please confirm your new address: {newsletter}"),
        heading: "Confirm your new address",
        preheader: &format!("One press, and {newsletter} comes to this address from now on."),
        paragraphs: &[request, lifetime],
        answers: Vec::new(),
        button: Some(("Use this address", &site.link(&format!("/move/{TOKEN_PLACEHOLDER}")))),
        footer: "If it wasn't you, do nothing: no digest comes to this address, and you hear no more from us.",
        unsubscribe: None,
    }
    .render(site)
}

/// The mail that tells the old address that there is a new one.
pub fn old_address(site: &Site) -> Result<Rendered, RenderError> {
    let (name, newsletter) = (clean(&site.name), clean(&site.newsletter));
    let done = format!(
        "As you asked, {newsletter} from {name} goes to another address from now on, and no longer to this one."
    );
    let otherwise = "There is nothing to do if it was you. If it wasn't, answer this mail, and we put it right.".to_owned();
    NoticeWords {
        subject: &format!("Your address was changed: {newsletter}"),
        heading: "Your address was changed",
        preheader: "It goes to another address from now on. If you did not ask for that, tell us.",
        paragraphs: &[done, otherwise],
        answers: Vec::new(),
        button: None,
        footer: &format!("You get this mail because {newsletter} came to this address until now. It is the last one."),
        unsubscribe: None,
    }
    .render(site)
}

/// The mail that tells a reader that what they get was changed: by a link of a digest, which may have been forwarded.
pub fn choices_changed(site: &Site) -> Result<Rendered, RenderError> {
    let (name, newsletter) = (clean(&site.name), clean(&site.newsletter));
    let done = format!(
        "Somebody, hopefully you, changed what you get of {newsletter} from {name}: the categories, how often, or a pause. It was done by the link in one of your digests."
    );
    let see = "This page shows what holds now, and how long a pause lasts; there you can change it back or end the pause:".to_owned();
    NoticeWords {
        subject: &format!("Your choices were changed: {newsletter}"),
        heading: "Your choices were changed",
        preheader: "See what holds now. If it wasn't you, change it back.",
        paragraphs: &[done, see],
        answers: Vec::new(),
        button: Some(("See my preferences", &site.link(&format!("/preferences/{TOKEN_PLACEHOLDER}")))),
        footer: "If it wasn't you, somebody you forwarded a digest to did it; they can do no more than that. You get at most one such mail a day.",
        unsubscribe: None,
    }
    .render(site)
}

/// The answer to a reader whose mail speaks of leaving, and does not say it so that a machine may act on it.
pub fn leave_link(site: &Site) -> Result<Rendered, RenderError> {
    let (name, newsletter) = (clean(&site.name), clean(&site.newsletter));
    let heard = format!(
        "A mail from your address speaks of leaving {newsletter} from {name}. No person has read it yet, and nothing was changed."
    );
    let press =
        "If you want to leave, press this button. One press on the page that opens is enough:"
            .to_owned();
    NoticeWords {
        subject: &format!("Do you want to leave {newsletter}?"),
        heading: "Do you want to leave?",
        preheader: "Nothing was changed. The button unsubscribes you.",
        paragraphs: &[heard, press],
        answers: Vec::new(),
        button: Some((
            "Unsubscribe me",
            &site.link(&format!("/unsubscribe/{TOKEN_PLACEHOLDER}")),
        )),
        footer: "If you want to stay, do nothing. You get at most one such mail a day.",
        unsubscribe: None,
    }
    .render(site)
}

/// The mail to a reader whose digest somebody else answered with the wish to leave.
pub fn leave_link_by_other(site: &Site) -> Result<Rendered, RenderError> {
    let (name, newsletter) = (clean(&site.name), clean(&site.newsletter));
    let heard = format!(
        "Somebody answered a mail of {newsletter} from {name} that went to you, and asked to leave. They wrote from another address than yours, so nothing was changed."
    );
    let press = "If that was you, or if you want to leave, press this button. One press on the page that opens is enough:".to_owned();
    NoticeWords {
        subject: &format!("Somebody asked to leave {newsletter} in your place"),
        heading: "Do you want to leave?",
        preheader: "It came from another address, so nothing was changed. The button unsubscribes you.",
        paragraphs: &[heard, press],
        answers: Vec::new(),
        button: Some(("Unsubscribe me", &site.link(&format!("/unsubscribe/{TOKEN_PLACEHOLDER}")))),
        footer: "If you forwarded that mail to somebody who does not want it, there is nothing to do: they get no mail from us. You get at most one such mail a day.",
        unsubscribe: None,
    }
    .render(site)
}
