//! Two cookies, set only when somebody presses a button: a reader's, which is the token of their digest's links, and a
//! visitor's, which makes one vote theirs. Neither is read by a script, nor sent along from another site.

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::http::header;
use axum::http::request::Parts;
use axum_extra::extract::cookie::Cookie;
use axum_extra::extract::cookie::CookieJar;
use axum_extra::extract::cookie::SameSite;

use super::Web;
use super::answer::Problem;

const READER: &str = "reader";
const VISITOR: &str = "visitor";
/// Upper bound on the days for which browsers keep a cookie.
const DAYS: i64 = 400;

/// Visitor, as far as their cookies tell.
#[derive(Debug, Default)]
pub struct Holder {
    /// The reader's number, and the token that says so.
    pub reader: Option<(i64, String)>,
    /// A visitor's cookie.
    pub visitor: Option<String>,
}

impl FromRequestParts<Web> for Holder {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, web: &Web) -> Result<Self, Problem> {
        if !parts.headers.contains_key(header::COOKIE) {
            return Ok(Self::default());
        }
        let jar = CookieJar::from_headers(&parts.headers);
        let reader = jar.get(READER).and_then(|cookie| {
            Some((
                web.app.reader_of(cookie.value())?,
                cookie.value().to_owned(),
            ))
        });
        let is_ours = |text: &&str| text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
        Ok(Self {
            reader,
            visitor: jar
                .get(VISITOR)
                .map(Cookie::value)
                .filter(is_ours)
                .map(String::from),
        })
    }
}

/// A cookie that makes this browser the reader's.
pub fn reader(web: &Web, token: &str) -> CookieJar {
    CookieJar::new().add(cookie(web, READER, token.to_owned()))
}

/// A new visitor's cookie, and its value: 128 bits of the system's randomness.
pub fn visitor(web: &Web) -> (CookieJar, String) {
    let value = format!("{:032x}", rand::random::<u128>());
    (
        CookieJar::new().add(cookie(web, VISITOR, value.clone())),
        value,
    )
}

/// A button of one of our own pages: a page of another site cannot press it with this browser's cookies. The cookies are
/// `SameSite` too; this also keeps out browsers that do not know that, and sites beside ours on the same domain.
pub struct OwnPage;

impl FromRequestParts<Web> for OwnPage {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, web: &Web) -> Result<Self, Problem> {
        if is_foreign(&parts.headers, web) {
            let sentence = "That button was on a page of another site. Open the tool's page here and press it there.";
            return Err(Problem::new(
                StatusCode::FORBIDDEN,
                "Not from there",
                sentence,
            ));
        }
        Ok(Self)
    }
}

/// Returns whether a browser says that a page of another site asks. What is no browser says nothing.
pub fn is_foreign(headers: &HeaderMap, web: &Web) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    match (text("sec-fetch-site"), text("origin")) {
        (Some(site), _) => !matches!(site, "same-origin" | "none"),
        // A page that this service itself gave, by whatever name it was asked: the browser's cookies are of that name too.
        (None, Some(origin)) => {
            let host = origin.split_once("://").map(|(_, host)| host);
            origin != web.app.settings.base_url() && (host.is_none() || host != text("host"))
        }
        (None, None) => false,
    }
}

fn cookie(web: &Web, name: &'static str, value: String) -> Cookie<'static> {
    Cookie::build((name, value))
        .path("/")
        .http_only(true)
        .same_site(SameSite::Lax)
        .secure(web.app.settings.site.base_url.scheme() == "https")
        .max_age(time::Duration::days(DAYS))
        .build()
}
