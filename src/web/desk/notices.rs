//! Notices of users, and the kinds that come to them by mail.

use axum::extract::RawQuery;
use axum::extract::State;
use axum::response::Html;
use axum::response::Response;

use super::super::Web;
use super::super::answer::Page;
use super::super::answer::Problem;
use super::access::Me;
use super::answers;
use crate::domain::user_notice::UserMailState;
use crate::domain::user_notice::UserNotice;
use crate::domain::user_notice::UserNoticeKind;
use crate::render::desk;
use crate::render::desk::NoticeLine;
use crate::render::desk::NoticeMailLine;
use crate::render::desk::NoticesView;
use crate::storage::user_notices::UserMail;

/// Path of the list.
pub(super) const NOTICES: &str = "/desk/notices";
/// Notices on a page.
const SHOWN: usize = 30;
/// Mails on a page.
const MAILS: i64 = 10;

pub(super) async fn list(State(web): State<Web>, Me(who): Me, RawQuery(query): RawQuery) -> Page {
    let asked = query
        .as_deref()
        .and_then(|query| query.strip_prefix("before="));
    let before = match asked {
        Some(name) => Some(web.app.notice_named(name).ok_or_else(Problem::not_found)?),
        None => None,
    };
    let (notices, older) = web.app.notices_of(&who.user, before, SHOWN).await?;
    let mails = web.app.storage.user_mails(Some(who.user.id), MAILS).await?;
    let view = NoticesView {
        notices: notices.iter().map(|notice| line(&web, notice)).collect(),
        mails: mails.iter().map(|mail| mail_line(&web, mail)).collect(),
        older: older.map(|id| web.app.notice_name(id)),
        has_reply_to: web.app.settings.mail.reply_to.is_some(),
    };
    let frame = answers::frame(&web, &who, "Notices", NOTICES);
    Ok(Html(desk::notices(frame, view)?))
}

fn line(web: &Web, notice: &UserNotice) -> NoticeLine {
    NoticeLine {
        heading: notice.kind.heading(),
        said: notice.said.clone(),
        path: notice.path.clone(),
        at: answers::format_time(web, notice.at),
    }
}

fn mail_line(web: &Web, mail: &UserMail) -> NoticeMailLine {
    let (state, tone) = match mail.state {
        UserMailState::Queued => ("waits", "wait"),
        UserMailState::Sending => ("on its way", "under-way"),
        UserMailState::Sent => ("sent", "good"),
        UserMailState::Failed => ("failed", "bad"),
        UserMailState::Uncertain => ("uncertain", "bad"),
        UserMailState::Skipped => ("not sent", ""),
    };
    NoticeMailLine {
        heading: mail.kind.heading(),
        state,
        tone,
        at: answers::format_time(web, mail.at),
        reply: mail.reply.clone().unwrap_or_default(),
    }
}

/// Chooses which mails come. Kinds come once for each box that is ticked, so the form is read by hand.
pub(super) async fn choose(
    State(web): State<Web>,
    Me(who): Me,
    body: String,
) -> Result<Response, Problem> {
    let wanted: Vec<UserNoticeKind> = url::form_urlencoded::parse(body.as_bytes())
        .filter(|(key, _)| key == "mail")
        .filter_map(|(_, value)| value.parse().ok())
        .collect();
    web.app
        .choose_mails(&web.app.actor_of(&who), &who.user, &wanted)
        .await?;
    answers::done(&web, &who, "Your mails are chosen.", "/desk/account").await
}
