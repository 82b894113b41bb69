//! The sign-up form for pages of other sites.

use askama::Template;

use super::PageFrame;
use super::consent_sentence;
use crate::render::RenderError;
use crate::render::Site;

#[derive(Template)]
#[template(path = "web/embed.html", whitespace = "minimize")]
struct Embed<'a> {
    frame: PageFrame<'a>,
    /// True if any site is listed.
    is_open: bool,
    form: String,
    script: String,
}

/// The form as it goes into another site's page: nothing of ours around it, so it looks as that page does.
#[derive(Template)]
#[template(path = "web/embed_form.html", whitespace = "preserve")]
struct EmbeddedForm<'a> {
    site: &'a Site,
    consent: String,
}

/// The same for a page that signs people up by a script of its own.
#[derive(Template)]
#[template(path = "web/embed_script.txt", whitespace = "preserve")]
struct Script<'a> {
    site: &'a Site,
}

/// Returns how to have the sign-up form on another site.
pub fn embed(site: &Site, is_open: bool) -> Result<String, RenderError> {
    let description = "A form for your own pages: whoever fills it in gets a mail with a link, and nothing else until they press it.";
    let page = Embed {
        frame: PageFrame::public(
            site,
            "/embed",
            "The sign-up form for your site".into(),
            description,
        ),
        is_open,
        form: EmbeddedForm {
            site,
            consent: consent_sentence(site),
        }
        .render()?,
        script: Script { site }.render()?,
    };
    Ok(page.render()?)
}
