//! Errors as answers: a page for people, a problem document (RFC 9457) for programs. The one place where a failure's kind becomes a
//! status, a title and a `Retry-After`.

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

pub use super::problem_fault::ProblemFault;
use super::problem_types;
use crate::app::Failure;
use crate::app::FailureKind;
use crate::app::Outage;
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
    sentence: Box<str>,
    retry_after: Option<Duration>,
    faults: Vec<ProblemFault>,
    /// Word that is narrower than the status's own.
    code: Option<&'static str>,
    /// Id of the request.
    instance: Option<String>,
}

/// Time after which a request that found the database down may be repeated.
const RETRY_UNAVAILABLE: Duration = Duration::from_secs(60);

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
            retry_after: Some(RETRY_UNAVAILABLE),
            ..Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "Back in a minute",
                sentence,
            )
        }
    }

    /// The value of one field is wrong.
    pub fn invalid_field(
        title: &'static str,
        field: &'static str,
        sentence: impl Into<String>,
    ) -> Self {
        let problem = Self::new(StatusCode::UNPROCESSABLE_ENTITY, title, sentence);
        let fault = ProblemFault {
            pointer: format!("#/{field}"),
            code: "invalid",
            detail: problem.sentence.to_string(),
        };
        Self {
            faults: vec![fault],
            ..problem
        }
    }

    /// Something else, with its own status.
    pub fn new(status: StatusCode, title: &'static str, sentence: impl Into<String>) -> Self {
        Self {
            status,
            title,
            sentence: sentence.into().into_boxed_str(),
            retry_after: None,
            faults: Vec::new(),
            code: None,
            instance: None,
        }
    }

    /// Returns true if the fault is on this side.
    pub fn is_ours(&self) -> bool {
        self.status.is_server_error()
    }

    /// Its stable word.
    pub fn word(&self) -> &'static str {
        self.code.unwrap_or(problem_types::code(self.status))
    }

    /// Its sentence.
    pub fn sentence(&self) -> &str {
        &self.sentence
    }

    /// The same, with a code of its own: one of [`problem_types::NARROW`].
    #[must_use]
    pub fn with_code(self, code: &'static str) -> Self {
        Self {
            code: Some(code),
            ..self
        }
    }

    /// The same, with the places that are at fault.
    #[must_use]
    pub fn with_faults(self, faults: Vec<ProblemFault>) -> Self {
        Self { faults, ..self }
    }

    /// The same, for the request with that id.
    #[must_use]
    pub fn with_instance(self, request_id: &str) -> Self {
        Self {
            instance: Some(request_id.to_owned()),
            ..self
        }
    }

    /// The same, worth another attempt after that time.
    #[must_use]
    pub fn with_retry_after(self, wait: Duration) -> Self {
        Self {
            retry_after: Some(wait),
            ..self
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
    /// The answer itself, as a problem document for a program, with the headers that the handler had set.
    pub fn render(self, site: &Site, json: bool, given: HeaderMap) -> Response {
        let mut response = if json {
            let mut response = (self.status, Json(self.document(&site.base_url))).into_response();
            response.headers_mut().insert(
                header::CONTENT_TYPE,
                HeaderValue::from_static("application/problem+json"),
            );
            response
        } else {
            let page = page::problem(site, self.title, &self.sentence)
                .unwrap_or_else(|_| self.sentence.to_string());
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

    /// The problem document of RFC 9457. `error` repeats `detail`: sign-up forms that publishers pasted into their own pages read it.
    fn document(&self, base_url: &str) -> serde_json::Value {
        let code = self.word();
        let mut document = serde_json::json!({
            "type": format!("{base_url}/problems/{code}"),
            "title": self.title,
            "status": self.status.as_u16(),
            "detail": self.sentence,
            "code": code,
            "error": self.sentence,
        });
        if !self.faults.is_empty() {
            let faults = self.faults.iter().map(|fault| {
                let field = fault.pointer.trim_start_matches(['#', '/', '?']);
                serde_json::json!({
                    "field": field,
                    "pointer": fault.pointer,
                    "code": fault.code,
                    "detail": fault.detail,
                })
            });
            document["errors"] = faults.collect();
        }
        if let Some(instance) = &self.instance {
            document["instance"] = instance.as_str().into();
        }
        document
    }
}

/// The one place where a kind becomes an answer. A defect keeps its sentence to the log: it may name what is inside.
impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        if failure.kind().is_ours() {
            tracing::error!(cause = failure.cause(), "a request failed: {failure}");
        }
        let sentence = failure.to_string();
        match failure.kind() {
            FailureKind::NotFound => Self::new(StatusCode::NOT_FOUND, "Not found", sentence),
            FailureKind::Conflict => Self::new(StatusCode::CONFLICT, "Not possible now", sentence),
            FailureKind::Invalid(faults) => Self {
                faults: faults.iter().map(ProblemFault::from).collect(),
                ..Self::new(
                    StatusCode::UNPROCESSABLE_ENTITY,
                    "Please correct this",
                    sentence,
                )
            },
            FailureKind::Unauthorized => {
                Self::new(StatusCode::UNAUTHORIZED, "Sign in first", sentence)
            }
            FailureKind::Forbidden => Self::new(StatusCode::FORBIDDEN, "Not allowed", sentence),
            FailureKind::TooMany(wait) => Self {
                retry_after: Some(*wait),
                ..Self::new(StatusCode::TOO_MANY_REQUESTS, "Too many at once", sentence)
            },
            FailureKind::Unavailable(outage) => Self {
                retry_after: Some(RETRY_UNAVAILABLE),
                ..Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "Back in a minute",
                    match outage {
                        Outage::Outside => sentence,
                        // The advice of the log speaks of settings and servers.
                        _ => "Our database does not answer, or cannot keep anything now. Nothing was changed; try again in a minute.".into(),
                    },
                )
            },
            FailureKind::Internal => Self::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "Something broke",
                "That is our fault, and it is in our log. Try again in a minute.",
            ),
        }
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

/// Returns true if a program asks: it sends JSON, or wants it.
pub fn wants_json(headers: &HeaderMap) -> bool {
    let says = |name| {
        let value = headers.get(name).and_then(|value| value.to_str().ok());
        value.is_some_and(|value| {
            let value = value.to_ascii_lowercase();
            value.contains("application/json") || value.contains("application/problem+json")
        })
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
    Problem::from(Failure::internal(format!(
        "a handler panicked: {}",
        words.unwrap_or("without words")
    )))
    .into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::FieldFault;

    fn problem(failure: Failure) -> (u16, Option<u64>, serde_json::Value) {
        let problem = Problem::from(failure);
        let wait = problem.retry_after.map(|wait| wait.as_secs());
        (
            problem.status.as_u16(),
            wait,
            problem.document("https://example.org"),
        )
    }

    #[test]
    fn each_kind_has_its_status_its_code_and_its_wait() {
        let wait = Duration::from_secs(90);
        let table = [
            (
                Failure::not_found("It is not there."),
                404,
                "not_found",
                None,
            ),
            (Failure::conflict("It was sent."), 409, "conflict", None),
            (Failure::invalid("It is too long."), 422, "invalid", None),
            (Failure::unauthorized("Sign in."), 401, "unauthorized", None),
            (Failure::forbidden("Owners only."), 403, "forbidden", None),
            (Failure::too_many("Later.", wait), 429, "too_many", Some(90)),
            (
                Failure::unavailable("The relay is down."),
                503,
                "unavailable",
                Some(60),
            ),
        ];
        for (failure, status, code, wait) in table {
            let sentence = failure.to_string();
            assert_eq!(
                failure.kind().code(),
                code,
                "the word is the same at every door"
            );
            let (answered, retry_after, document) = problem(failure);
            assert_eq!((answered, retry_after), (status, wait), "{code}");
            assert_eq!(document["status"], status);
            assert_eq!(document["code"], code);
            assert_eq!(document["detail"], sentence);
            assert!(
                document["type"]
                    .as_str()
                    .is_some_and(|kind| kind.ends_with(&format!("/problems/{code}")))
            );
        }
        let (status, _, document) = problem(Failure::internal("/srv/secret.key is gone."));
        assert_eq!((status, &document["code"]), (500, &"internal".into()));
        assert!(
            !document.to_string().contains("secret.key"),
            "a defect keeps to the log: {document}"
        );
    }

    #[test]
    fn wrong_fields_are_named_in_the_document() {
        let fault = |field: &'static str| FieldFault {
            field: field.into(),
            detail: format!("{field} is missing."),
        };
        let (_, _, document) = problem(Failure::invalid_fields(
            "Two fields are missing.",
            vec![fault("subject"), fault("send_at")],
        ));
        let expected = serde_json::json!([
            { "field": "subject", "pointer": "#/subject", "code": "invalid", "detail": "subject is missing." },
            { "field": "send_at", "pointer": "#/send_at", "code": "invalid", "detail": "send_at is missing." },
        ]);
        assert_eq!(document["errors"], expected);
    }
}
