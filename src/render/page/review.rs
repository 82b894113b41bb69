//! An issue before it goes out, for people without an account who have a link to it.

use askama::Template;

use super::PageFrame;
use crate::render::RenderError;
use crate::render::Site;

/// Page of a reviewer.
#[derive(Debug)]
pub struct ReviewView<'a> {
    /// Token of the link.
    pub token: &'a str,
    /// The week.
    pub slot: String,
    /// The subject.
    pub subject: &'a str,
    /// The line after it.
    pub preheader: &'a str,
    /// Its sender.
    pub sender: String,
    /// Time until which the link works.
    pub until: String,
    /// Text that was typed, and not kept.
    pub typed: (&'a str, &'a str),
    /// Reason why it was not kept.
    pub problem: Option<String>,
    /// True if a remark was just kept.
    pub is_kept: bool,
}

#[derive(Template)]
#[template(path = "web/review.html", whitespace = "minimize")]
struct ReviewPage<'a> {
    frame: PageFrame<'a>,
    view: ReviewView<'a>,
}

/// The page of a review link.
pub fn review(site: &Site, view: ReviewView<'_>) -> Result<String, RenderError> {
    let frame = PageFrame::private(
        site,
        format!("For review: {}", view.slot),
        "An issue that is not out yet.",
    );
    Ok(ReviewPage { frame, view }.render()?)
}
