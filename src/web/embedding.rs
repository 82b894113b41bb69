//! Signing up from pages of other sites: a form for their HTML, and for their scripts the same door as JSON.
//!
//! Open to the sites in `signup.origins` alone. Whoever has a page that many visit could otherwise let each visitor's browser
//! sign somebody up, past any limit on one client; and the record of consent says what was shown, which nobody knows of a page
//! that nobody looked at. No cookie plays a part in it.

use std::time::Duration;

use axum::Router;
use axum::extract::FromRequestParts;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::Method;
use axum::http::header;
use axum::http::request::Parts;
use axum::response::Html;
use axum::routing::get;
use tower_http::cors::AllowOrigin;
use tower_http::cors::CorsLayer;

use super::Web;
use super::answer::Page;
use super::answer::Problem;
use super::cookies::is_foreign;
use crate::render::page;

/// Time that a browser may remember what it was allowed.
const REMEMBERED: Duration = Duration::from_secs(3_600);

pub(super) fn routes() -> Router<Web> {
    Router::new().route("/embed", get(embed))
}

async fn embed(State(web): State<Web>) -> Page {
    Ok(Html(page::embed(
        &web.app.site,
        !web.app.settings.signup.origins.is_empty(),
    )?))
}

/// Returns what browsers are told that scripts of listed sites may do (the Fetch standard's CORS): send a sign-up and read its answer,
/// without cookies. To others nothing is allowed.
pub(super) fn permissions(origins: &[String]) -> CorsLayer {
    CorsLayer::new()
        .allow_origin(AllowOrigin::list(
            origins
                .iter()
                .filter_map(|origin| HeaderValue::from_str(origin).ok()),
        ))
        .allow_methods([Method::POST])
        .allow_headers([header::CONTENT_TYPE, header::ACCEPT])
        .expose_headers([header::RETRY_AFTER])
        .max_age(REMEMBERED)
}

/// Site whose page a sign-up comes from, as far as the browser says.
#[derive(Debug, PartialEq, Eq)]
pub enum FormOrigin {
    /// Ours, or no page at all.
    Own,
    /// A site that is listed: its origin.
    Listed(String),
    /// Any other.
    Unknown,
}

impl FormOrigin {
    /// For the record of consent: `how` somebody signed up, and on which other site.
    pub fn source(&self, how: &str) -> String {
        match self {
            Self::Listed(origin) => format!("{how} on {origin}"),
            Self::Own | Self::Unknown => how.into(),
        }
    }
}

impl FromRequestParts<Web> for FormOrigin {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, web: &Web) -> Result<Self, Problem> {
        if !is_foreign(&parts.headers, web) {
            return Ok(Self::Own);
        }
        let origin = parts
            .headers
            .get(header::ORIGIN)
            .and_then(|value| value.to_str().ok());
        let listed = web
            .app
            .settings
            .signup
            .origins
            .iter()
            .find(|listed| Some(listed.as_str()) == origin);
        Ok(listed.cloned().map_or(Self::Unknown, Self::Listed))
    }
}
