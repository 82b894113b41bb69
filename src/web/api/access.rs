//! Who asks: the token in `Authorization`, its scope, and how often it may ask.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::extract::Request;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::HeaderValue;
use axum::http::StatusCode;
use axum::http::header;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::IntoResponse;
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::time::Instant;

use super::super::Web;
use super::super::answer::Problem;
use super::super::guard::Client;
use super::operation::Need;
use crate::app::tokens::TokenBearer;
use crate::config::ApiSettings;

/// The version of the API that a program may name.
pub const VERSION: &str = "2026-12-01";
/// Header that names it.
pub const VERSION_HEADER: &str = "x-api-version";

/// Demands of an operation, for the layer that holds them.
#[derive(Clone)]
pub struct Gate {
    /// State.
    pub web: Web,
    /// Demand.
    pub need: Need,
    /// Media types of its answers.
    pub media_types: Vec<&'static str>,
}

/// Program that asks, of a handler that stands behind a token.
pub struct ApiCaller(pub TokenBearer);

/// The name under which most handlers take it.
pub use ApiCaller as Caller;

impl FromRequestParts<Web> for ApiCaller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Web) -> Result<Self, Problem> {
        let bearer = parts.extensions.get::<TokenBearer>().cloned();
        bearer.map(Self).ok_or_else(Problem::not_found)
    }
}

/// The token of a request: `Bearer TOKEN` (RFC 6750), `Token TOKEN` and `token NAME:TOKEN` as programs written for other services send it,
/// or the password of `Basic` (RFC 7617).
pub fn token_of(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, rest) = text.trim().split_once(' ')?;
    let rest = rest.trim();
    match scheme.to_ascii_lowercase().as_str() {
        "bearer" => Some(rest.to_owned()),
        "token" => Some(rest.rsplit(':').next().unwrap_or(rest).to_owned()),
        "basic" => {
            let pair = String::from_utf8(STANDARD.decode(rest).ok()?).ok()?;
            pair.split_once(':').map(|(_, token)| token.to_owned())
        }
        _ => None,
    }
}

/// The bearer of a request's token.
///
/// # Errors
/// The answer of 401, which names no reason.
pub async fn bearer(web: &Web, parts: &mut Parts) -> Result<TokenBearer, Response> {
    let client = match Client::from_request_parts(parts, web).await {
        Ok(Client(client)) => client,
        Err(problem) => return Err(problem.into_response()),
    };
    let given = token_of(&parts.headers);
    let found = match &given {
        Some(token) => web.app.token_bearer(token, client).await,
        None => Ok(None),
    };
    match found {
        Ok(Some(bearer)) => Ok(bearer),
        Ok(None) => Err(unauthorized(given.is_some())),
        Err(failure) => Err(Problem::from(failure).into_response()),
    }
}

fn challenged(problem: Problem, challenge: &str) -> Response {
    let mut response = problem.into_response();
    if let Ok(challenge) = HeaderValue::from_str(challenge) {
        let headers = response.headers_mut();
        headers.insert(header::WWW_AUTHENTICATE, challenge);
    }
    response
}

fn unauthorized(has_token: bool) -> Response {
    let (words, challenge) = match has_token {
        true => (
            "The token does not work: it is wrong, expired or revoked, or may not be used from here.",
            "Bearer realm=\"verdicts\", error=\"invalid_token\"",
        ),
        false => (
            "Send a token in the header Authorization: Bearer vd_...; `verdicts tokens add` makes one.",
            "Bearer realm=\"verdicts\"",
        ),
    };
    let problem = Problem::new(StatusCode::UNAUTHORIZED, "No token", words);
    challenged(problem, challenge)
}

fn forbidden(need: Need) -> Response {
    let scope = match need {
        Need::Scope(scope) => scope.as_str(),
        _ => "",
    };
    let words = format!("This needs the scope {scope}, which the token does not have.");
    let challenge =
        format!("Bearer realm=\"verdicts\", error=\"insufficient_scope\", scope=\"{scope}\"");
    let problem = Problem::new(StatusCode::FORBIDDEN, "Not allowed", words);
    challenged(problem.with_code("insufficient_scope"), &challenge)
}

/// Returns whether `Accept` admits one of these media types, or of problem documents (RFC 9110, 12.5.1).
fn is_acceptable(headers: &HeaderMap, media_types: &[&str]) -> bool {
    let mut given = headers.get_all(header::ACCEPT).iter().peekable();
    if given.peek().is_none() {
        return true;
    }
    let admits = |range: &str| {
        let mut parts = range.split(';').map(str::trim);
        let range = parts.next().unwrap_or_default().to_ascii_lowercase();
        let is_refused = parts.any(|part| {
            let quality = part.strip_prefix("q=").and_then(|q| q.parse::<f32>().ok());
            quality == Some(0.0)
        });
        let is_known = |media_type: &str| {
            let essence = media_type.split(';').next().unwrap_or_default();
            range == "*/*"
                || range == essence
                || essence
                    .split_once('/')
                    .is_some_and(|(kind, _)| range == format!("{kind}/*"))
        };
        !is_refused
            && (media_types.iter().any(|known| is_known(known))
                || is_known("application/problem+json"))
    };
    given
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.split(',').map(str::trim).any(admits))
}

/// Holds what an operation demands: the version, the token, its scope, its pace, and a form of answer that the program takes.
pub async fn hold(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let bearer = match gate.need {
        Need::Nothing => None,
        Need::Token | Need::Scope(_) => match bearer(&gate.web, &mut parts).await {
            Ok(bearer) => Some(bearer),
            Err(refused) => return refused,
        },
    };
    let pace = match &bearer {
        Some(bearer) => {
            let limits = gate.web.app.settings.api;
            Some(
                gate.web
                    .api_rates
                    .take(bearer.token.id, &limits, Instant::now()),
            )
        }
        None => None,
    };
    let refused = refusal(&gate, &parts.headers, bearer.as_ref(), pace.as_ref());
    let mut response = match refused {
        Some(refused) => refused,
        None => {
            parts
                .extensions
                .extend(bearer.map(with_extension).unwrap_or_default());
            next.run(Request::from_parts(parts, body)).await
        }
    };
    if let Some(pace) = pace {
        pace.tell(response.headers_mut(), &gate.web.app.settings.api);
    }
    response
}

fn with_extension(bearer: TokenBearer) -> axum::http::Extensions {
    let mut extensions = axum::http::Extensions::new();
    extensions.insert(bearer);
    extensions
}

fn refusal(
    gate: &Gate,
    headers: &HeaderMap,
    bearer: Option<&TokenBearer>,
    pace: Option<&Pace>,
) -> Option<Response> {
    if let Some(pace) = pace
        && let Some(wait) = pace.wait
    {
        let words =
            "There were too many requests with this token. Wait as long as Retry-After says.";
        let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "Too many at once", words);
        return Some(problem.with_retry_after(wait).into_response());
    }
    if let (Need::Scope(scope), Some(bearer)) = (gate.need, bearer)
        && !bearer.may(scope)
    {
        return Some(forbidden(gate.need));
    }
    let version = headers.get(VERSION_HEADER);
    if version.is_some_and(|version| version.as_bytes() != VERSION.as_bytes()) {
        let words = format!("X-API-Version: this installation has version {VERSION} alone.");
        let problem = Problem::new(StatusCode::BAD_REQUEST, "Another version", words);
        return Some(problem.with_code("unsupported_version").into_response());
    }
    if !is_acceptable(headers, &gate.media_types) {
        let words = format!("The answer is {}.", gate.media_types.join(" or "));
        let problem = Problem::new(StatusCode::NOT_ACCEPTABLE, "Another form", words);
        return Some(problem.into_response());
    }
    None
}

/// Requests of each token in this process.
#[derive(Debug, Default)]
pub struct Rates(Mutex<HashMap<i64, Rate>>);

/// Requests of one token: a window of a minute, and a bucket for what comes at once.
#[derive(Debug)]
struct Rate {
    window_at: Instant,
    used: u32,
    bucket: f64,
    bucket_at: Instant,
}

/// State of a token's allowance after a request.
#[derive(Debug, Clone, PartialEq)]
pub struct Pace {
    /// Requests left.
    left: u32,
    /// Time until the whole allowance is back.
    resets_in: Duration,
    /// Time to wait, where the request is refused.
    wait: Option<Duration>,
}

/// Length of a window.
const WINDOW: Duration = Duration::from_secs(60);

impl Rates {
    fn take(&self, token: i64, limits: &ApiSettings, now: Instant) -> Pace {
        let mut rates = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // There are at most as many as there are tokens that work.
        let rate = rates.entry(token).or_insert_with(|| Rate {
            window_at: now,
            used: 0,
            bucket: f64::from(limits.burst),
            bucket_at: now,
        });
        rate.take(limits, now)
    }
}

impl Rate {
    fn take(&mut self, limits: &ApiSettings, now: Instant) -> Pace {
        if now.duration_since(self.window_at) >= WINDOW {
            (self.window_at, self.used) = (now, 0);
        }
        let per_second = f64::from(limits.requests_per_minute) / WINDOW.as_secs_f64();
        let gained = now.duration_since(self.bucket_at).as_secs_f64() * per_second;
        self.bucket = (self.bucket + gained).min(f64::from(limits.burst));
        self.bucket_at = now;
        let resets_in = WINDOW.saturating_sub(now.duration_since(self.window_at));
        let wait = if self.used >= limits.requests_per_minute {
            Some(resets_in)
        } else if self.bucket < 1.0 {
            Some(Duration::from_secs_f64((1.0 - self.bucket) / per_second))
        } else {
            self.used += 1;
            self.bucket -= 1.0;
            None
        };
        Pace {
            left: limits.requests_per_minute.saturating_sub(self.used),
            resets_in,
            // Whole seconds, rounded up: clients obey nothing finer.
            wait: wait.map(|wait| Duration::from_secs(wait.as_secs_f64().ceil().max(1.0) as u64)),
        }
    }
}

impl Pace {
    /// Writes the fields of draft-ietf-httpapi-ratelimit-headers-11. Nothing stands beside them: `X-RateLimit-*` would blind parsers.
    fn tell(&self, headers: &mut HeaderMap, limits: &ApiSettings) {
        let policy = format!(
            "\"default\";q={};w={}",
            limits.requests_per_minute,
            WINDOW.as_secs()
        );
        let seconds = self.resets_in.as_secs_f64().ceil();
        let left = format!("\"default\";r={};t={seconds}", self.left);
        for (name, value) in [("ratelimit-policy", policy), ("ratelimit", left)] {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(name, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: header::HeaderName, value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().expect("a header"));
        headers
    }

    #[test]
    fn a_token_comes_in_each_form_that_clients_send() {
        for text in [
            "Bearer vd_x",
            "bearer  vd_x ",
            "Token vd_x",
            "token user:vd_x",
            "Basic dXNlcjp2ZF94",
        ] {
            let found = token_of(&headers(header::AUTHORIZATION, text));
            assert_eq!(found.as_deref(), Some("vd_x"), "{text}");
        }
        for text in ["vd_x", "Digest vd_x", "Basic !!", "Bearer"] {
            assert_eq!(
                token_of(&headers(header::AUTHORIZATION, text)),
                None,
                "{text}"
            );
        }
    }

    #[test]
    fn an_answer_is_given_in_a_form_that_is_accepted() {
        let json = ["application/json"];
        for good in [
            "*/*",
            "application/*",
            "text/html, application/json;q=0.1",
            "application/problem+json",
        ] {
            assert!(
                is_acceptable(&headers(header::ACCEPT, good), &json),
                "{good}"
            );
        }
        for bad in ["text/html", "application/json;q=0", "image/*"] {
            assert!(
                !is_acceptable(&headers(header::ACCEPT, bad), &json),
                "{bad}"
            );
        }
        assert!(is_acceptable(&HeaderMap::new(), &json));
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_has_its_burst_and_its_minute() {
        let (rates, limits) = (
            Rates::default(),
            ApiSettings {
                requests_per_minute: 120,
                burst: 3,
            },
        );
        let take = |token| rates.take(token, &limits, Instant::now());
        for left in [119, 118, 117] {
            assert_eq!((take(1).left, take(2).wait), (left, None));
        }
        let refused = take(1);
        assert_eq!(
            (refused.left, refused.wait),
            (117, Some(Duration::from_secs(1)))
        );
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(
            (take(1).wait, take(1).wait),
            (None, None),
            "two a second come back"
        );
        for _ in 0..115 {
            tokio::time::advance(Duration::from_millis(505)).await;
            assert_eq!(take(1).wait, None);
        }
        tokio::time::advance(Duration::from_secs(1)).await;
        let spent = take(1);
        assert_eq!(spent.wait.is_some(), spent.left == 0, "{spent:?}");
        tokio::time::advance(WINDOW).await;
        assert_eq!((take(1).left, take(1).wait), (119, None));
    }
}
