//! Leaving by the link in a mail, and by the button that mail programs show for it.

use axum::Router;
use axum::extract::State;
use axum::response::Html;
use axum::routing::get;

use super::Web;
use super::answer::Page;
use super::answer::Problem;
use super::guard::Segment;
use crate::render::page;

pub(super) fn routes() -> Router<Web> {
    Router::new().route("/unsubscribe/{token}", get(look).post(leave))
}

/// Shows the button and changes nothing: scanners follow links.
async fn look(State(web): State<Web>, Segment(token): Segment) -> Page {
    if !web.app.is_unsubscribe_link(&token) {
        return Err(Problem::bad_link());
    }
    Ok(Html(page::unsubscribe(&web.app.site, &token)?))
}

/// Unsubscribes. The same for a person's button and for a mail program's (RFC 8058): whatever the body says, in whatever
/// encoding, the token alone decides, so the body is not even read. No cookie, no redirect.
async fn leave(State(web): State<Web>, Segment(token): Segment) -> Page {
    if !web.app.unsubscribe(&token).await? {
        return Err(Problem::bad_link());
    }
    Ok(Html(page::goodbye(&web.app.site)?))
}
