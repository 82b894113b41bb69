//! How things go wrong: one page, or one line of JSON, with a sentence that says what and what to do.

use std::any::Any;
use std::time::Duration;

use axum::Json;
use axum::http::HeaderMap;
use axum::http::HeaderValue;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::Html;
use axum::response::IntoResponse;
use axum::response::Response;

use crate::app::Failure;
use crate::render::RenderError;
use crate::render::Site;
use crate::render::page;
use crate::storage::StorageError;

/// A page, or why there is none.
pub type Page = Result<Html<String>, Problem>;

/// Something that went wrong, for the person who asked.
#[derive(Debug, Clone)]
pub struct Problem {
    status: StatusCode,
    title: &'static str,
    sentence: String,
    retry_after: Option<Duration>,
}

impl Problem {
    /// There is nothing at this address.
    pub fn not_found() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "Not found",
            "There is nothing at this address. The front page shows what there is.",
        )
    }

    /// A link with a token that is not ours.
    pub fn bad_link() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "This link does not work",
            "It is not complete, or not one of ours. Copy the whole link from the mail and try again.",
        )
    }

    /// The client asked too often.
    pub fn too_many(what: &'static str, wait: Duration) -> Self {
        let minutes = wait.as_secs().div_ceil(60).max(1);
        let plural = if minutes == 1 { "" } else { "s" };
        let sentence = format!(
            "There were too many {what} from your network. Try again in {minutes} minute{plural}."
        );
        Self {
            retry_after: Some(wait),
            ..Self::new(StatusCode::TOO_MANY_REQUESTS, "Too many at once", sentence)
        }
    }

    /// There is more to do than can be done at once.
    pub fn busy(what: &'static str, wait: Duration) -> Self {
        let sentence = format!("{what} Try again in a moment.");
        Self {
            retry_after: Some(wait),
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE, "Busy", sentence)
        }
    }

    /// The work behind the request did not end in time: the database is locked or slow, or the request never became whole.
    pub fn out_of_time(limit: Duration) -> Self {
        let seconds = limit.as_secs();
        let sentence = format!(
            "Our database is busy, and there was no answer within {seconds} seconds. Try again in a minute: whatever you asked for, doing it \
             twice is doing it once."
        );
        Self {
            retry_after: Some(Duration::from_secs(60)),
            ..Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "Back in a minute",
                sentence,
            )
        }
    }

    /// Something else, with its own status.
    pub fn new(status: StatusCode, title: &'static str, sentence: impl Into<String>) -> Self {
        Self {
            status,
            title,
            sentence: sentence.into(),
            retry_after: None,
        }
    }
}

/// Travels as an extension of an empty response until [`Problem::render`] gives it words: only the router's outermost
/// layer knows the site.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl Problem {
    /// The answer itself, as JSON for a program, with the headers that the handler had set.
    pub fn render(self, site: &Site, json: bool, given: HeaderMap) -> Response {
        let mut response = if json {
            (
                self.status,
                Json(serde_json::json!({ "error": self.sentence })),
            )
                .into_response()
        } else {
            let page = page::problem(site, self.title, &self.sentence)
                .unwrap_or_else(|_| self.sentence.clone());
            (self.status, Html(page)).into_response()
        };
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        // What was asked for may have held a token.
        headers.insert(
            header::REFERRER_POLICY,
            HeaderValue::from_static("no-referrer"),
        );
        if let Some(wait) = self.retry_after {
            headers.insert(
                header::RETRY_AFTER,
                HeaderValue::from(wait.as_secs().max(1)),
            );
        }
        for (name, value) in given
            .into_iter()
            .filter_map(|(name, value)| Some((name?, value)))
        {
            if name != header::CONTENT_LENGTH && name != header::CONTENT_TYPE {
                headers.insert(name, value);
            }
        }
        response
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        tracing::error!(cause = failure.cause(), "a request failed: {failure}");
        if failure.is_unavailable() {
            let sentence = "Our database does not answer, or cannot keep anything now. Nothing was changed; try again in a minute.";
            return Self {
                retry_after: Some(Duration::from_secs(60)),
                ..Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "Back in a minute",
                    sentence,
                )
            };
        }
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "Something broke",
            "That is our fault, and it is in our log. Try again in a minute.",
        )
    }
}

impl From<StorageError> for Problem {
    fn from(error: StorageError) -> Self {
        Failure::from(error).into()
    }
}

impl From<RenderError> for Problem {
    fn from(error: RenderError) -> Self {
        Failure::from(error).into()
    }
}

/// Whether a program asks: it sends JSON, or wants it.
pub fn wants_json(headers: &HeaderMap) -> bool {
    let says = |name| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .is_some_and(|value| value.to_ascii_lowercase().contains("application/json"))
    };
    says(header::CONTENT_TYPE) || says(header::ACCEPT)
}

/// No route fits.
pub async fn not_found() -> Problem {
    Problem::not_found()
}

/// A route fits, its method does not.
pub async fn method_not_allowed() -> Problem {
    let sentence = "This address does not take that kind of request. Follow a link or press a button on the page instead.";
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "Not like this", sentence)
}

/// A handler panicked: a defect, which must not take the connection with it.
pub fn panicked(panic: Box<dyn Any + Send + 'static>) -> Response {
    let words = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied());
    Problem::from(Failure::because(format!(
        "a handler panicked: {}",
        words.unwrap_or("without words")
    )))
    .into_response()
}
