//! Review links: an issue before it goes out, for people without an account.

use axum::Router;
use axum::extract::State;
use axum::http::HeaderName;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::Html;
use axum::response::IntoResponse;
use axum::response::Redirect;
use axum::response::Response;
use axum::routing::get;
use serde::Deserialize;

use super::Web;
use super::answer::Page;
use super::answer::Problem;
use super::choices::FormFields;
use super::guard::PathSegment;
use super::mailbox::MAIL_POLICY;
use crate::app::FailureKind;
use crate::app::issue::reviewing::Reviewed;
use crate::render::page;
use crate::render::page::ReviewView;

pub(super) fn routes() -> Router<Web> {
    Router::new()
        .route("/review/{token}", get(show).post(remark))
        .route("/review/{token}/mail", get(mail))
        .route("/review/{token}/thanks", get(thanks))
}

/// A remark, as the form sends it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Remark {
    name: String,
    said: String,
}

fn reviewed(web: &Web, token: &str) -> Result<Reviewed, Problem> {
    web.app.reviewed(token).ok_or_else(|| {
        Problem::new(
            StatusCode::NOT_FOUND,
            "This link does not work",
            "It is not complete, or its seven days are over. Ask whoever sent it for a new one.",
        )
    })
}

async fn show(State(web): State<Web>, PathSegment(token): PathSegment) -> Page {
    page_of(&web, &token, &Remark::default(), None, false).await
}

async fn thanks(State(web): State<Web>, PathSegment(token): PathSegment) -> Page {
    page_of(&web, &token, &Remark::default(), None, true).await
}

async fn page_of(
    web: &Web,
    token: &str,
    typed: &Remark,
    problem: Option<String>,
    is_kept: bool,
) -> Page {
    let reviewed = reviewed(web, token)?;
    let preview = web.app.review(reviewed).await?;
    let local = reviewed.expires_at.with_timezone(&web.app.site.timezone);
    let view = ReviewView {
        token,
        slot: reviewed.slot.to_string(),
        subject: &preview.rendered.subject,
        preheader: &preview.preheader,
        sender: web.app.sender_name(),
        until: format!(
            "{}, {}",
            web.app.site.day(reviewed.expires_at),
            local.format("%H:%M")
        ),
        typed: (&typed.name, &typed.said),
        problem,
        is_kept,
    };
    Ok(Html(page::review(&web.app.site, view)?))
}

async fn mail(
    State(web): State<Web>,
    PathSegment(token): PathSegment,
) -> Result<Response, Problem> {
    let preview = web.app.review(reviewed(&web, &token)?).await?;
    let html = web
        .app
        .site
        .with_logo_inside(&preview.rendered.html)
        .replacen("<head>", "<head><base target=\"_blank\">", 1);
    let headers = [
        (header::CONTENT_SECURITY_POLICY, MAIL_POLICY),
        (HeaderName::from_static("x-frame-options"), "SAMEORIGIN"),
    ];
    Ok((headers, Html(html)).into_response())
}

async fn remark(
    State(web): State<Web>,
    PathSegment(token): PathSegment,
    FormFields(form): FormFields<Remark>,
) -> Result<Response, Problem> {
    let reviewed = reviewed(&web, &token)?;
    match web.app.remark(reviewed, &form.name, &form.said).await {
        Ok(()) => Ok(Redirect::to(&format!("/review/{token}/thanks")).into_response()),
        // What was typed is not lost: it stands in the form, below the sentence.
        Err(failure) if matches!(failure.kind(), FailureKind::Invalid(_)) => {
            let page = page_of(&web, &token, &form, Some(failure.to_string()), false).await?;
            Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response())
        }
        Err(failure) => Err(failure.into()),
    }
}
