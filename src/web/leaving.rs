//! Leaving by the link in a mail, and by the button that mail programs show for it.

use axum::Router;
use axum::extract::State;
use axum::response::Html;
use axum::response::Redirect;
use axum::routing::get;
use axum::routing::post;
use serde::Deserialize;

use super::Web;
use super::answer::Page;
use super::answer::Problem;
use super::choices::FormFields;
use super::guard::MayChoose;
use super::guard::PathSegment;
use crate::domain::reader::UnsubscribeReason;
use crate::render::page;

pub(super) fn routes() -> Router<Web> {
    Router::new()
        .route("/unsubscribe/{token}", get(show_unsubscribe).post(leave))
        .route("/unsubscribe/{token}/reason", post(reason).get(to_link))
}

/// Shows the button and changes nothing: scanners follow links.
async fn show_unsubscribe(State(web): State<Web>, PathSegment(token): PathSegment) -> Page {
    let subscriber = web.app.subscriber_of_unsubscribe_link(&token);
    let subscriber = subscriber.ok_or_else(Problem::bad_link)?;
    // Both links stand in the same digest, so this one tells nothing that its bearer does not have.
    let preferences = format!("/preferences/{}", web.app.reader_token(subscriber));
    Ok(Html(page::unsubscribe(&web.app.site, &token, preferences)?))
}

/// Unsubscribes. The same for a person's button and for a mail program's (RFC 8058): whatever the body says, in whatever
/// encoding, the token alone decides, so the body is not even read. No cookie, no redirect.
async fn leave(State(web): State<Web>, PathSegment(token): PathSegment) -> Page {
    if !web.app.unsubscribe(&token).await? {
        return Err(Problem::bad_link());
    }
    Ok(Html(page::goodbye(&web.app.site, &token)?))
}

#[derive(Debug, Deserialize)]
struct ReasonForm {
    reason: String,
}

/// Keeps why somebody left. The same answer for everybody whose link is ours, so that it tells nobody's state.
async fn reason(
    State(web): State<Web>,
    _: MayChoose,
    PathSegment(token): PathSegment,
    FormFields(answer): FormFields<ReasonForm>,
) -> Page {
    if web.app.subscriber_of_unsubscribe_link(&token).is_none() {
        return Err(Problem::bad_link());
    }
    let Some(reason) = UnsubscribeReason::from_code(&answer.reason) else {
        return Err(Problem::invalid_field(
            "No such reason",
            "reason",
            "The reason is not one of those on the page. Go back and press one of its buttons.",
        ));
    };
    web.app.give_unsubscribe_reason(&token, reason).await?;
    let thanks = "Thank you. You are unsubscribed, and no other mail comes of this.";
    Ok(Html(page::notice_page(&web.app.site, "Noted", &[thanks])?))
}

/// The address of the answer stays in the address bar, and is asked for again by a reload or a bookmark.
async fn to_link(
    State(web): State<Web>,
    PathSegment(token): PathSegment,
) -> Result<Redirect, Problem> {
    let subscriber = web.app.subscriber_of_unsubscribe_link(&token);
    subscriber.ok_or_else(Problem::bad_link)?;
    Ok(Redirect::to(&format!("/unsubscribe/{token}")))
}
