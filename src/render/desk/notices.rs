//! Notices of users as a list, and the mails that told them.

use askama::Template;

use super::DeskFrame;
use crate::render::RenderError;

/// A notice in the list.
pub struct NoticeLine {
    /// Kind of the event, in words.
    pub heading: &'static str,
    /// Sentences.
    pub said: String,
    /// Path of the page where something can be done.
    pub path: String,
    /// Time.
    pub at: String,
}

/// A mail to the user who looks.
pub struct NoticeMailLine {
    /// Kind of what it told.
    pub heading: &'static str,
    /// State in words.
    pub state: &'static str,
    /// Colour of the state.
    pub tone: &'static str,
    /// Time.
    pub at: String,
    /// Words of the relay.
    pub reply: String,
}

/// Content of the page.
pub struct NoticesView {
    /// Notices, newest first.
    pub notices: Vec<NoticeLine>,
    /// Mails to this user, newest first.
    pub mails: Vec<NoticeMailLine>,
    /// Name of the last notice, where there are older ones.
    pub older: Option<String>,
    /// True if answers to these mails and to digests go to an address that somebody chose.
    pub has_reply_to: bool,
}

#[derive(Template)]
#[template(path = "desk/notices.html", whitespace = "minimize")]
struct NoticesPage<'a> {
    frame: DeskFrame<'a>,
    view: NoticesView,
}

/// The page of notices.
pub fn notices(frame: DeskFrame<'_>, view: NoticesView) -> Result<String, RenderError> {
    Ok(NoticesPage { frame, view }.render()?)
}
