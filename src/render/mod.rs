//! Floor 3: a mail or a page as text, from the domain's types and the templates in `templates/`.
//!
//! Everything is escaped by default; no catalogue text is ever marked safe. Reading order: [`page`], [`desk`], [`email`], [`picture`],
//! and below them `lead` (how a digest begins), `view` (what all show of a comparison) with `quotes`, `issue_text` with
//! [`markdown`] (what people write of an issue), [`face`] with [`logo`] (what is the publisher's own), `date` and `text` (cutting and wrapping).

mod date;
pub mod desk;
pub mod email;
pub mod face;
mod issue_text;
mod lead;
pub mod logo;
pub mod markdown;
pub mod page;
pub mod picture;
mod quotes;
mod text;
mod view;

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod hostile_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod wellformed;

use crate::domain::Timestamp;
use crate::domain::subject::SubjectPattern;
use crate::domain::zone::Zone;
use face::Face;

/// Facts about the site that every page and mail shows.
#[derive(Debug, Clone)]
pub struct Site {
    /// Address of the site, without a slash at the end; every link in a mail starts with it.
    pub base_url: String,
    /// The site's name, like "Ship or Skip".
    pub name: String,
    /// The newsletter's name, like "Weekly AI Tool Verdicts".
    pub newsletter: String,
    /// Pattern of a digest's subject.
    pub subject: SubjectPattern,
    /// The calendar by which dates are shown.
    pub timezone: Zone,
    /// Postal address of the sender; shown under every mail when known.
    pub postal_address: Option<String>,
    /// True if mail is captured at `/mailbox`, so that pages link to it.
    pub has_mailbox: bool,
    /// The publisher's own face.
    pub face: Face,
}

impl Site {
    /// A day as people read it: "17 November 2026", at most [`crate::domain::rendered_mail::SINCE_LENGTH`] characters of ASCII.
    pub fn day(&self, moment: Timestamp) -> String {
        date::Date::new(self, moment).words
    }

    /// Puts the logo itself in the place of its address: frames that show a mail load nothing from anywhere.
    pub fn with_logo_inside(&self, html: &str) -> String {
        match &self.face.logo {
            Some(logo) => html.replace(&self.link(&logo.path), &logo.data_url()),
            None => html.to_owned(),
        }
    }

    /// The absolute address of `path`, which starts with a slash.
    fn link(&self, path: &str) -> String {
        format!("{}{path}", self.base_url)
    }
}

/// A template or a drawing failed. None of ours can by what it shows, so this is a defect of the program.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// A page or a mail.
    #[error("a template could not be rendered")]
    Template(#[from] askama::Error),
    /// A picture, and why.
    #[error("a picture could not be drawn: {0}")]
    Picture(String),
}
