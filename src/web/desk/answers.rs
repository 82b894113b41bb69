//! Answers of the desk's pages and writes.

use std::time::Duration;

use axum::http::StatusCode;
use axum::response::Html;
use axum::response::IntoResponse;
use axum::response::Redirect;
use axum::response::Response;
use axum_extra::extract::cookie::Cookie;
use axum_extra::extract::cookie::CookieJar;
use axum_extra::extract::cookie::SameSite;
use chrono::TimeDelta;
use tower_http::csrf::ProtectionError;

use super::super::Web;
use super::super::answer::Problem;
use super::access;
use crate::app::Failure;
use crate::app::users::ABSOLUTE;
use crate::app::users::signing_in::PendingSignIn;
use crate::app::users::signing_in::SignedIn;
use crate::domain::Timestamp;
use crate::domain::user::Stage;
use crate::render::desk::DeskFrame;

/// Longest address of a page that somebody is led back to.
const PLACE_MAX: usize = 4_000;

/// Returns whether browsers ask the desk by https.
pub fn is_https(web: &Web) -> bool {
    web.app.settings.desk_url().starts_with("https:")
}

/// A cookie of the desk. `SameSite=Lax` and not `Strict`: a link to the desk in a mail must not ask for another sign-in.
pub fn cookie(web: &Web, name: &'static str, value: String) -> CookieJar {
    let is_over = value.is_empty();
    let mut cookie = Cookie::build((name, value))
        .path("/")
        .http_only(true)
        .same_site(SameSite::Lax)
        .secure(is_https(web))
        .max_age(time::Duration::seconds(ABSOLUTE.num_seconds()))
        .build();
    if is_over {
        cookie.set_max_age(time::Duration::ZERO);
    }
    CookieJar::new().add(cookie)
}

/// Frame of a page of somebody who is signed in.
pub fn frame<'a>(web: &'a Web, who: &'a SignedIn, title: &str, here: &str) -> DeskFrame<'a> {
    // Whoever is half-way in has no pages to go to.
    if who.session.stage != Stage::Full {
        return DeskFrame::gate(&web.app.site, title);
    }
    DeskFrame::of(
        &web.app.site,
        title,
        &who.user,
        here,
        who.session.notice.as_deref(),
    )
}

/// After a write: on to a page, which says once what was done. A reload repeats nothing.
pub async fn done(web: &Web, who: &SignedIn, said: &str, to: &str) -> Result<Response, Problem> {
    web.app
        .storage
        .set_notice(&who.session.token_sha256, Some(said))
        .await?;
    Ok(Redirect::to(to).into_response())
}

/// The sentence of a failure that lies with the input; any other failure is a problem.
pub fn refusal(failure: Failure) -> Result<String, Problem> {
    if failure.kind().is_ours() {
        return Err(failure.into());
    }
    Ok(failure.to_string())
}

/// After a sign-in has come further: its cookie, and on to the next page.
pub fn signed_in(web: &Web, begun: PendingSignIn, next: Option<&str>) -> Response {
    let place = match begun.stage {
        Stage::Full => next
            .filter(|next| is_place(next))
            .unwrap_or("/desk")
            .to_owned(),
        stage => match next.filter(|next| is_place(next)) {
            Some(next) if stage == Stage::Code => {
                format!("{}?{}", access::place_after(stage), next_query(next))
            }
            _ => access::place_after(stage).to_owned(),
        },
    };
    (access::cookie(web, begun.token), Redirect::to(&place)).into_response()
}

/// A page that says what is wrong with what was sent.
pub fn refused(page: String) -> Response {
    (StatusCode::UNPROCESSABLE_ENTITY, Html(page)).into_response()
}

/// Too many attempts to sign in: the same words for everybody, whether the account is known or not.
pub fn too_many(wait: TimeDelta) -> Problem {
    let wait = wait.to_std().unwrap_or(Duration::from_secs(1));
    // Rounded up: whoever comes back after that gets in.
    Problem::too_many(
        "attempts to sign in",
        Duration::from_secs(wait.as_secs() + 1),
    )
}

/// Returns whether a text is the address of a page of the desk: nobody is led elsewhere.
pub fn is_place(text: &str) -> bool {
    let rest = text.strip_prefix("/desk");
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']))
        && text.len() <= PLACE_MAX
        && text
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'\\')
}

/// `next=...` of a page's address.
pub fn next_query(page: &str) -> String {
    url::form_urlencoded::Serializer::new(String::new())
        .append_pair("next", page)
        .finish()
}

/// The page that `next` in a query names.
pub fn next_of(query: Option<&str>) -> Option<String> {
    let query = query.unwrap_or_default();
    let mut pairs = url::form_urlencoded::parse(query.as_bytes());
    pairs
        .find(|(key, _)| key == "next")
        .map(|(_, value)| value.into_owned())
        .filter(|value| is_place(value))
}

/// A moment as people read it: "24 November 2026, 08:30".
pub fn format_time(web: &Web, moment: Timestamp) -> String {
    let local = moment.with_timezone(&web.app.site.timezone);
    format!("{}, {}", web.app.site.day(moment), local.format("%H:%M"))
}

/// A form that another site's page sent with this browser's cookies.
pub fn refuse_foreign(_: ProtectionError) -> Response {
    let sentence = "That did not come from a page of the desk, so nothing was done. Open the desk and press the button there. If you did just \
                    that: the desk is asked by another address than desk.base_url (or site.base_url) says, or a proxy changes the Host header.";
    Problem::new(StatusCode::FORBIDDEN, "Not from there", sentence).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_led_away_from_the_desk() {
        for good in [
            "/desk",
            "/desk/users",
            "/desk?x=1",
            "/desk/digests/2026-W48?a=b%20c",
        ] {
            assert!(is_place(good), "{good}");
            assert_eq!(next_of(Some(&next_query(good))).as_deref(), Some(good));
        }
        for bad in [
            "",
            "//evil.example",
            "https://evil.example",
            "/desk.evil.example",
            "/deskx",
            "/desk/\r\nX: y",
            "/desk\\evil",
            "/desk/ü",
            &format!("/desk/{}", "a".repeat(4_000)),
        ] {
            assert!(!is_place(bad), "{bad}");
        }
    }
}
