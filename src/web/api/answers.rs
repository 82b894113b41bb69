//! Answers: JSON, pages of lists, entity tags.

use axum::Json;
use axum::http::HeaderMap;
use axum::http::HeaderValue;
use axum::http::StatusCode;
use axum::http::Uri;
use axum::http::header;
use axum::response::IntoResponse;
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use sha2::Digest;
use sha2::Sha256;
use utoipa::ToSchema;

use super::super::answer::Problem;
use super::BASE;
use super::extract::invalid_at;

/// Rows of a page where nothing else is asked for.
const PAGE: i64 = 50;
/// Most rows of a page, as the shapes of queries say it.
pub const PAGE_MAX: i64 = 200;

/// Count of what a list holds.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub struct Count {
    /// Number of entries.
    #[schema(minimum = 0)]
    pub value: i64,
    /// False if counting was broken off there, and there are more.
    pub exact: bool,
}

impl Count {
    /// An exact count.
    pub fn exact(value: usize) -> Self {
        Self {
            value: i64::try_from(value).unwrap_or(i64::MAX),
            exact: true,
        }
    }
}

/// A page of a list.
#[derive(Debug)]
pub struct AnswerPage<T> {
    /// Entries.
    pub rows: Vec<T>,
    /// Place behind the last one, if there is more.
    pub next: Option<String>,
    /// Count of the whole list, where it is known.
    pub count: Option<Count>,
}

/// The name under which most handlers give it.
pub use AnswerPage as Page;

impl<T: Serialize> AnswerPage<T> {
    /// A list that is whole.
    pub fn whole(rows: Vec<T>) -> Self {
        let count = Some(Count::exact(rows.len()));
        Self {
            rows,
            next: None,
            count,
        }
    }

    /// The first `limit` of what was found, one more of which says that there is another page. `place`: the name of the place behind an
    /// entry; `row`: how it is shown.
    pub fn cut<F>(
        mut found: Vec<F>,
        limit: usize,
        place: impl FnOnce(&F) -> String,
        row: impl FnMut(F) -> T,
    ) -> Self {
        let has_more = found.len() > limit;
        found.truncate(limit);
        Self {
            next: found.last().filter(|_| has_more).map(place),
            rows: found.into_iter().map(row).collect(),
            count: None,
        }
    }

    /// The answer to a request for `uri`.
    pub fn answer(self, uri: &Uri) -> Response {
        let next = self.next.map(|place| URL_SAFE_NO_PAD.encode(place));
        let link = next.as_deref().map(|next| link_to(uri, next));
        let body = serde_json::json!({ "data": self.rows, "next": next, "count": self.count });
        let mut response = Json(body).into_response();
        if let Some(link) = link.and_then(|link| HeaderValue::from_str(&link).ok()) {
            response.headers_mut().insert(header::LINK, link);
        }
        response
    }
}

fn link_to(uri: &Uri, next: &str) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    let pairs = url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    query.extend_pairs(pairs.filter(|(name, _)| name != "after"));
    query.append_pair("after", next);
    // Within the router the prefix is cut off.
    let path = uri.path().trim_start_matches(BASE);
    format!("<{BASE}{path}?{}>; rel=\"next\"", query.finish())
}

/// Rows that a page shall have.
pub fn limit(asked: Option<i64>) -> usize {
    usize::try_from(asked.unwrap_or(PAGE).clamp(1, PAGE_MAX)).unwrap_or(1)
}

/// Place behind which a page begins, as [`Page::answer`] wrote it.
///
/// # Errors
/// A problem where it is not one of ours.
pub fn place(after: Option<&str>) -> Result<Option<String>, Problem> {
    let Some(after) = after else { return Ok(None) };
    let place = URL_SAFE_NO_PAD.decode(after).ok();
    let place = place.and_then(|bytes| String::from_utf8(bytes).ok());
    match place.filter(|place| !place.contains('\0')) {
        Some(place) => Ok(Some(place)),
        None => Err(no_place()),
    }
}

/// Problem of a place that is not one of ours.
pub fn no_place() -> Problem {
    invalid_at(
        "?after",
        "invalid",
        "That is not a place of this list. Take what \"next\" said, or begin anew without it.",
    )
}

/// JSON with a status.
pub fn json(status: StatusCode, body: &impl Serialize) -> Result<Response, Problem> {
    let value = serde_json::to_value(body)
        .map_err(|error| crate::app::Failure::internal(error.to_string()))?;
    Ok((status, Json(value)).into_response())
}

/// JSON of what is there.
pub fn ok(body: &impl Serialize) -> Result<Response, Problem> {
    json(StatusCode::OK, body)
}

/// JSON of what was made, with its address below `/api/v1`.
pub fn created(path: &str, body: &impl Serialize) -> Result<Response, Problem> {
    with_location(path, json(StatusCode::CREATED, body)?)
}

/// Adds an address below `/api/v1`, path-absolute: programs that follow it stay at the host that they asked.
pub fn with_location(path: &str, mut response: Response) -> Result<Response, Problem> {
    let location = HeaderValue::from_str(&format!("{BASE}{path}"))
        .map_err(|error| crate::app::Failure::internal(error.to_string()))?;
    response.headers_mut().insert(header::LOCATION, location);
    Ok(response)
}

/// Done, and nothing to say.
pub fn nothing() -> Response {
    StatusCode::NO_CONTENT.into_response()
}

/// Entity tag of something by its JSON form.
pub fn etag(body: &impl Serialize) -> String {
    let text = serde_json::to_string(body).unwrap_or_default();
    let hash = data_encoding::HEXLOWER.encode(&Sha256::digest(text.as_bytes())[..8]);
    format!("\"{hash}\"")
}

/// Adds an entity tag.
pub fn with_etag(etag: &str, mut response: Response) -> Response {
    if let Ok(etag) = HeaderValue::from_str(etag) {
        response.headers_mut().insert(header::ETAG, etag);
    }
    response
}

/// Holds `If-Match` (RFC 9110, 13.1.1): `*`, or a list with the present tag.
///
/// # Errors
/// 400 where it is empty; 412 where it names another; 428 where it is demanded and missing.
pub fn check_match(headers: &HeaderMap, present: &str, is_demanded: bool) -> Result<(), Problem> {
    let mut given = headers.get_all(header::IF_MATCH).iter().peekable();
    if given.peek().is_none() {
        return match is_demanded {
            true => Err(Problem::new(
                StatusCode::PRECONDITION_REQUIRED,
                "Say what you read",
                "Send the ETag of what you read in If-Match, so that no change of somebody else is lost.",
            )),
            false => Ok(()),
        };
    }
    let mut values = headers.get_all(header::IF_MATCH).iter();
    if values.all(|value| value.as_bytes().trim_ascii().is_empty()) {
        return Err(Problem::new(
            StatusCode::BAD_REQUEST,
            "No tag",
            "If-Match is empty. Send the ETag of what you read, or leave the header out.",
        ));
    }
    let holds = given.filter_map(|value| value.to_str().ok()).any(|value| {
        let mut tags = value.split(',').map(str::trim);
        tags.any(|tag| tag == "*" || tag == present)
    });
    match holds {
        true => Ok(()),
        false => Err(Problem::new(
            StatusCode::PRECONDITION_FAILED,
            "Changed meanwhile",
            "It was changed since you read it. Read it anew, and decide again.",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_linked_with_the_same_conditions() {
        let uri: Uri = "/tools?q=a%20b&after=old&limit=2".parse().expect("a URI");
        assert_eq!(
            link_to(&uri, "bmV3"),
            "</api/v1/tools?q=a+b&limit=2&after=bmV3>; rel=\"next\""
        );
        assert_eq!(place(Some("bmV3")).ok().flatten().as_deref(), Some("new"));
        assert!(place(Some("***")).is_err() && place(Some("AA")).is_err());
    }

    #[test]
    fn if_match_holds_for_the_present_tag_and_a_star() {
        let with = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::IF_MATCH, value.parse().expect("a header"));
            headers
        };
        for good in ["\"r1\"", "*", "\"r0\", \"r1\""] {
            assert!(check_match(&with(good), "\"r1\"", true).is_ok(), "{good}");
        }
        for bad in ["\"r2\"", "r1", "W/\"r1\""] {
            assert!(check_match(&with(bad), "\"r1\"", true).is_err(), "{bad}");
        }
        for empty in ["", " "] {
            assert!(check_match(&with(empty), "\"r1\"", false).is_err());
        }
        assert!(check_match(&HeaderMap::new(), "\"r1\"", false).is_ok());
        assert!(check_match(&HeaderMap::new(), "\"r1\"", true).is_err());
    }
}
