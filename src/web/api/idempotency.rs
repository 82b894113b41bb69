//! `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header-07): a POST that is repeated under its key is done once.

use std::io::Read;
use std::io::Seek;
use std::io::Write;

use axum::body::Body;
use axum::extract::Request;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::HeaderName;
use axum::http::HeaderValue;
use axum::http::StatusCode;
use axum::http::header;
use axum::middleware::Next;
use axum::response::IntoResponse;
use axum::response::Response;
use futures_util::StreamExt;
use sha2::Digest;
use sha2::Sha256;

use super::super::Web;
use super::super::answer::Problem;
use super::extract::invalid_at;
use crate::app::Failure;
use crate::app::idempotency::KeyedRequest;
use crate::app::tokens::TokenBearer;
use crate::storage::idempotency::KeptAnswer;
use crate::storage::idempotency::KeyClaim;

/// Operation that takes keys.
#[derive(Clone)]
pub struct Keyed {
    /// State.
    pub web: Web,
    /// Largest body, in bytes.
    pub largest: usize,
}

/// Subscriber whom an answer is about, put beside it so that an erasure takes the kept answer along.
#[derive(Debug, Clone, Copy)]
pub struct AnswerAbout(pub i64);

/// Body to be kept of an answer in the place of its own, which shows a secret: put beside it, so that none is stored or shown twice.
#[derive(Debug, Clone)]
pub struct KeptInstead(pub Vec<u8>);

/// Longest key.
const KEY_MAX: usize = 255;
/// Largest answer that is kept, in bytes: none of ours is larger.
const ANSWER_MAX: usize = 1 << 20;
/// Headers that an answer is given again with.
const KEPT: [HeaderName; 3] = [header::CONTENT_TYPE, header::LOCATION, header::ETAG];
/// Names of the header.
const NAMES: [&str; 2] = ["idempotency-key", "x-idempotency-key"];

/// The key of a request, bare or in quotes.
fn key_of(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = NAMES.iter().find_map(|name| headers.get(*name)) else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default().trim();
    let key = text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'))
        .unwrap_or(text);
    let is_key =
        (1..=KEY_MAX).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic());
    match is_key {
        true => Ok(Some(key.to_owned())),
        false => Err(invalid_at(
            "Idempotency-Key",
            "pattern",
            "Expected 1 to 255 visible characters of ASCII.",
        )),
    }
}

fn conflict(status: StatusCode, code: &'static str, words: &str) -> Response {
    Problem::new(status, "Not with this key", words)
        .with_code(code)
        .into_response()
}

/// Does a request with a key once. The key is claimed before, and the answer kept after; a failure of ours gives the key back.
pub async fn once(State(keyed): State<Keyed>, request: Request, next: Next) -> Response {
    let key = match key_of(request.headers()) {
        Ok(Some(key)) => key,
        Ok(None) => return next.run(request).await,
        Err(problem) => return problem.into_response(),
    };
    let Some(bearer) = request.extensions().get::<TokenBearer>() else {
        return next.run(request).await;
    };
    let token = bearer.token.id;
    let (request, request_sha256) = match hashed(request, keyed.largest).await {
        Ok(hashed) => hashed,
        Err(problem) => return problem.into_response(),
    };
    let asked = KeyedRequest {
        token,
        key,
        request_sha256,
    };
    match keyed.web.app.claim_key(&asked).await {
        Ok(KeyClaim::Claimed) => {}
        Ok(KeyClaim::Answered(answer)) => return again(answer),
        Ok(KeyClaim::InProgress) => {
            let words = "The request with this key is at work. Ask again in a moment.";
            return conflict(StatusCode::CONFLICT, "idempotency_in_progress", words);
        }
        Ok(KeyClaim::OtherRequest) => {
            let words = "This key belongs to another request. Take a fresh key for each request.";
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            return conflict(status, "idempotency_key_reused", words);
        }
        Err(failure) => return Problem::from(failure).into_response(),
    }
    // On a task of its own: a client that breaks off must not leave the key claimed and the answer unkept.
    let work = tokio::spawn(async move {
        let response = next.run(request).await;
        kept(&keyed.web, &asked, response).await
    });
    work.await.unwrap_or_else(|error| {
        Problem::from(Failure::internal(format!("a handler broke off: {error}"))).into_response()
    })
}

/// Reads the body into a temporary file, for it may be large, and gives the request again with its hash.
async fn hashed(request: Request, largest: usize) -> Result<(Request, String), Problem> {
    let (parts, body) = request.into_parts();
    let mut hash = Sha256::new();
    let target = parts
        .uri
        .path_and_query()
        .map_or("", |target| target.as_str());
    hash.update(format!("{}\0{target}\0", parts.method));
    let unusable = |error: std::io::Error| {
        Problem::from(Failure::internal(format!(
            "A temporary file cannot be used: {error}."
        )))
    };
    let mut file = tempfile::spooled_tempfile(super::operation::LARGEST);
    let (mut stream, mut length) = (body.into_data_stream(), 0);
    while let Some(piece) = stream.next().await {
        let piece = piece.map_err(|_| {
            let words = "The body did not come whole.";
            Problem::new(StatusCode::BAD_REQUEST, "Not understood", words)
        })?;
        length += piece.len();
        if length > largest {
            let words = "The body is larger than this address takes.";
            return Err(Problem::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "Too large",
                words,
            ));
        }
        hash.update(&piece);
        file.write_all(&piece).map_err(unusable)?;
    }
    file.rewind().map_err(unusable)?;
    let pieces = futures_util::stream::unfold(file, |mut file| async move {
        let mut piece = vec![0; 64 << 10];
        match file.read(&mut piece) {
            Ok(0) => None,
            Ok(count) => {
                piece.truncate(count);
                Some((Ok::<_, std::io::Error>(piece), file))
            }
            Err(error) => Some((Err(error), file)),
        }
    });
    let request = Request::from_parts(parts, Body::from_stream(pieces));
    Ok((request, data_encoding::HEXLOWER.encode(&hash.finalize())))
}

/// Keeps an answer, problems included: they are answers too. One of a failure on our side is not kept, so that the request can be repeated.
async fn kept(web: &Web, asked: &KeyedRequest, response: Response) -> Response {
    let status = response.status();
    let released = async || {
        if let Err(failure) = web.app.release_key(asked).await {
            tracing::warn!("an idempotency key could not be given back: {failure}");
        }
    };
    let problem = response.extensions().get::<Problem>().cloned();
    if status.is_server_error() {
        released().await;
        return response;
    }
    // A problem gets its words further out, and does so again: nothing was changed by what it refused.
    if problem.is_some() {
        released().await;
        return response;
    }
    let about = response
        .extensions()
        .get::<AnswerAbout>()
        .map(|about| about.0);
    let instead = response.extensions().get::<KeptInstead>().cloned();
    let (parts, body) = response.into_parts();
    let Ok(body) = axum::body::to_bytes(body, ANSWER_MAX).await else {
        released().await;
        let failure = Failure::internal("an answer is too large to be kept");
        return Problem::from(failure).into_response();
    };
    let header = |name: &HeaderName| {
        let value = parts.headers.get(name)?.to_str().ok()?;
        Some((name.as_str().to_owned(), value.to_owned()))
    };
    let headers: std::collections::BTreeMap<String, String> =
        KEPT.iter().filter_map(header).collect();
    let answer = KeptAnswer {
        status: status.as_u16(),
        headers: serde_json::to_string(&headers).unwrap_or_default(),
        body: match &instead {
            Some(KeptInstead(instead)) => String::from_utf8_lossy(instead).into_owned(),
            None => String::from_utf8_lossy(&body).into_owned(),
        },
    };
    if let Err(failure) = web.app.keep_answer(asked, answer, about).await {
        tracing::warn!(
            cause = failure.cause(),
            "an answer could not be kept: {failure}"
        );
    }
    Response::from_parts(parts, Body::from(body))
}

/// An answer that was given before, byte for byte.
fn again(answer: KeptAnswer) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    let mut response = (status, answer.body).into_response();
    let headers = response.headers_mut();
    headers.remove(header::CONTENT_TYPE);
    let kept: std::collections::BTreeMap<String, String> =
        serde_json::from_str(&answer.headers).unwrap_or_default();
    for (name, value) in kept {
        let name = HeaderName::from_bytes(name.as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(&value)) {
            headers.insert(name, value);
        }
    }
    headers.insert("idempotency-replayed", HeaderValue::from_static("true"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_comes_bare_or_quoted() {
        let of = |name: &'static str, value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().expect("a header"));
            key_of(&headers).ok().flatten()
        };
        assert_eq!(of("idempotency-key", "\"abc\""), Some("abc".into()));
        assert_eq!(of("x-idempotency-key", "abc"), Some("abc".into()));
        assert_eq!(of("idempotency-key", "a b"), None);
        assert_eq!(of("idempotency-key", &"x".repeat(256)), None);
        assert_eq!(of("idempotency-key", "\"\""), None);
    }
}
