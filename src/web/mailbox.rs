//! `/mailbox`: the mails that the local transport kept, for whoever tries the service on their own machine.

use axum::Router;
use axum::extract::State;
use axum::http::HeaderName;
use axum::http::header;
use axum::response::Html;
use axum::response::IntoResponse;
use axum::routing::get;

use super::Web;
use super::answer::Page;
use super::answer::Problem;
use super::guard::LocalMailbox;
use super::guard::PathSegment;
use crate::mail::Stored;
use crate::render::page;
use crate::render::page::CapturedRow;
use crate::render::page::MailView;

/// Mails shown, newest first.
const SHOWN: usize = 100;

/// A mail's own HTML has its styles inline, as mail must: here, and here alone, they are allowed. `sandbox` takes
/// everything else away: no script, no form, no origin.
pub(super) const MAIL_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'; \
                           sandbox allow-popups allow-top-navigation-by-user-activation";

pub(super) fn routes() -> Router<Web> {
    Router::new()
        .route("/mailbox", get(list))
        .route("/mailbox/{name}", get(one))
        .route("/mailbox/{name}/html", get(html))
}

async fn list(State(web): State<Web>, _: LocalMailbox) -> Page {
    let Some(mailbox) = web.app.mailbox() else {
        return Err(Problem::not_found());
    };
    let rows: Vec<CapturedRow> = mailbox
        .list(SHOWN)
        .await
        .map_err(unreadable)?
        .iter()
        .map(row)
        .collect();
    Ok(Html(page::mailbox(&web.app.site, &rows)?))
}

async fn one(State(web): State<Web>, _: LocalMailbox, PathSegment(name): PathSegment) -> Page {
    let mail = find(&web, &name).await?;
    let view = MailView {
        row: row(&mail),
        from: mail.from,
        headers: mail.headers,
        text: mail.text,
        has_html: mail.html.is_some(),
    };
    Ok(Html(page::mailbox_mail(&web.app.site, &view)?))
}

async fn html(
    State(web): State<Web>,
    _: LocalMailbox,
    PathSegment(name): PathSegment,
) -> Result<impl IntoResponse, Problem> {
    let html = find(&web, &name)
        .await?
        .html
        .ok_or_else(Problem::not_found)?;
    // Links in the frame open in the window: our own pages refuse to be framed.
    let html = web.app.site.with_logo_inside(&html);
    let html = html.replacen("<head>", "<head><base target=\"_top\">", 1);
    let headers = [
        (header::CONTENT_SECURITY_POLICY, MAIL_POLICY),
        (HeaderName::from_static("x-frame-options"), "SAMEORIGIN"),
    ];
    Ok((headers, Html(html)))
}

async fn find(web: &Web, name: &str) -> Result<Stored, Problem> {
    let Some(mailbox) = web.app.mailbox() else {
        return Err(Problem::not_found());
    };
    mailbox
        .read(name)
        .await
        .map_err(unreadable)?
        .ok_or_else(Problem::not_found)
}

fn unreadable(error: std::io::Error) -> Problem {
    crate::app::Failure::internal(format!("the folder of mails cannot be read: {error}")).into()
}

fn row(mail: &Stored) -> CapturedRow {
    CapturedRow {
        name: mail.name.clone(),
        to: mail.to.clone(),
        subject: mail.subject.clone(),
        date: mail.date,
        size: mail.size,
    }
}
