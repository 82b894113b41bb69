//! The mail to a user of the desk: what happened, and where something can be done.

use super::notice::NoticeWords;
use crate::domain::rendered_mail::Rendered;
use crate::domain::user_notice::UserNotice;
use crate::domain::user_notice::UserNoticeKind;
use crate::render::RenderError;
use crate::render::Site;
use crate::render::text::clean;
use crate::render::text::shorten;

/// Longest sentence of a notice in a mail, in characters.
const SAID_MAX: usize = 600;

/// The mail that tells notices of one kind, newest first. `desk_url`: the address of the desk, without a slash at its end.
pub fn user_notices(
    site: &Site,
    kind: UserNoticeKind,
    notices: &[UserNotice],
    desk_url: &str,
) -> Result<Rendered, RenderError> {
    let said: Vec<String> = notices
        .iter()
        .map(|notice| shorten(&notice.said, SAID_MAX))
        .collect();
    let path = notices.first().map_or("/desk", |notice| &notice.path);
    let footer = format!(
        "You get this mail because you are a user of the desk of {}. It comes at most once an hour. Which of these mails you get is chosen under Your account: {desk_url}/desk/account",
        clean(&site.name)
    );
    NoticeWords {
        subject: &format!("{}: {}", clean(&site.newsletter), kind.heading()),
        heading: kind.heading(),
        preheader: said.first().map_or("", String::as_str),
        paragraphs: &said,
        answers: Vec::new(),
        button: Some(("Open it in the desk", &format!("{desk_url}{path}"))),
        footer: &footer,
        unsubscribe: None,
    }
    .render(site)
}
