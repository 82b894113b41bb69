//! The API, version 1, under `/api/v1`: what the desk and the commands do, for programs.
//!
//! Reading order: this file (the table of operations, and what holds for all answers), [`operation`] (what an operation says of itself),
//! [`access`] (tokens, scopes, pace), [`extract`] with [`schema`] and [`patterns`] (bodies and queries, held to the document),
//! [`answers`] (pages, entity tags), [`idempotency`], [`document`] (OpenAPI) with [`document_parts`], [`tags`] and [`reference`], then a file per resource: [`root`], [`jobs`], [`tools`] and [`comparisons`] with [`catalogue_shapes`] and [`catalogue_bodies`], [`catalogue`],
//! [`digests`] and [`digest_acts`] with [`digest_shapes`], [`deliveries`], [`subscribers`] and [`subscriber_new`] with [`subscriber_shapes`], [`subscriber_records`]
//! and [`subscriber_files`], [`segments`], [`suppressions`], [`stats`], [`votes`], [`audit`], [`settings`], [`sources`] and [`proposals`],
//! [`webhook_endpoints`] with [`webhook_shapes`], [`events`].
//!
//! # Adding a resource
//! A file `NAME.rs` with `pub fn operations() -> Vec<Operation>`, its shapes and its handlers, in that order; a line in [`operations`]; a tag.
//! - A shape of a query or a body derives `Deserialize` and `ToSchema` with `#[serde(deny_unknown_fields)]`; what its schema says
//!   (`min_length`, `pattern = "slug"` by the names in [`patterns`], `minimum`, ...) is checked before the handler runs. Its doc comments become descriptions.
//!   An optional field that must not be null: `#[schema(nullable = false)]`. A shape of an answer derives `Serialize` and `ToSchema`,
//!   and is another type: answers always have every field.
//! - A handler takes `Caller(bearer)`, [`extract::Query`], [`extract::Body`] or [`extract::Patch`], [`super::guard::PathSegment`], gives
//!   `bearer.actor()` to the use case, and answers by [`answers`]. A GET without parameters asks for [`extract::NoParameters`].
//!   A [`crate::app::Failure`] becomes a problem by `?`.
//! - What takes longer than a request starts a job: `.starts_job()` and [`jobs::started`]. What is created answers [`answers::created`].
//! - `tests/promises/api_matrix.rs` asks each operation without, with a wrong and with a narrow token, by the table; `docs/openapi.json`
//!   is held against the code by a test there.

mod access;
mod answers;
mod audit;
mod catalogue;
mod catalogue_bodies;
mod catalogue_shapes;
mod comparisons;
mod deliveries;
mod digest_acts;
mod digest_shapes;
mod digests;
mod document;
mod document_parts;
mod events;
mod extract;
mod idempotency;
mod jobs;
mod operation;
mod patterns;
mod proposals;
mod reference;
mod root;
mod schema;
mod segments;
mod settings;
mod sources;
mod stats;
mod subscriber_files;
mod subscriber_new;
mod subscriber_records;
mod subscriber_shapes;
mod subscribers;
mod suppressions;
mod tags;
mod tools;
mod votes;
mod webhook_endpoints;
mod webhook_shapes;

use axum::Router;
use axum::extract::Request;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::Method;
use axum::http::StatusCode;
use axum::http::header;
use axum::middleware::Next;
use axum::response::Response;
use axum::routing::get;
use tracing::Instrument;

use super::Web;
use super::answer::Problem;
use crate::domain::api_token::Scope;
pub(super) use access::Rates;
pub(super) use access::bearer;
pub(super) use extract::media_type;
pub(super) use extract::parse_object;
pub use operation::Need;
use operation::Operation;

/// Where the API begins.
pub const BASE: &str = "/api/v1";

/// Addresses that a file is sent to.
pub(super) const UPLOADS: [&str; 2] = ["/api/v1/subscribers/imports", "/api/v1/catalogue/import"];

/// Every operation: the one table, from which router, document and tests are made.
fn operations() -> Vec<Operation> {
    [
        root::operations(),
        tools::operations(),
        comparisons::operations(),
        catalogue::operations(),
        digests::operations(),
        digest_acts::operations(),
        deliveries::operations(),
        subscribers::operations(),
        subscriber_new::operations(),
        subscriber_records::operations(),
        subscriber_files::operations(),
        segments::operations(),
        suppressions::operations(),
        stats::operations(),
        votes::operations(),
        audit::operations(),
        settings::operations(),
        sources::operations(),
        proposals::operations(),
        jobs::operations(),
        webhook_endpoints::operations(),
        events::operations(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Every operation with what it demands, for whoever wants to ask them all.
pub fn demands() -> Vec<(Method, String, Need)> {
    let demand = |operation: Operation| {
        let path = format!("{BASE}{}", operation.path);
        (operation.method, path, operation.need)
    };
    operations().into_iter().map(demand).collect()
}

/// The document, as it is served.
pub fn openapi() -> String {
    format!("{:#}\n", document::document())
}

/// Its routes.
pub(super) fn routes(web: &Web) -> Router<Web> {
    let page = Router::new().route("/api", get(reference::show));
    operations()
        .into_iter()
        .fold(page, |router, operation| operation.add_to(router, web))
}

/// Returns whether a path belongs to programs, who get problem documents whatever they say they accept.
pub(super) fn is_for_programs(path: &str) -> bool {
    let is_api = path
        .strip_prefix(BASE)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    is_api || COMPATIBLE.contains(&path)
}

/// Addresses of other services' sign-up calls.
const COMPATIBLE: [&str; 2] = ["/api/public/subscription", "/v1/subscribers"];

/// Header with the id of a request.
const REQUEST_ID: &str = "x-request-id";
/// Longest id that is taken from a caller.
const REQUEST_ID_MAX: usize = 100;

/// Id of a request: the caller's own, or a fresh one.
fn request_id(request: &Request) -> String {
    let given = request.headers().get(REQUEST_ID);
    let given = given.and_then(|value| value.to_str().ok()).filter(|id| {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
        (1..=REQUEST_ID_MAX).contains(&id.len()) && id.bytes().all(is_plain)
    });
    match given {
        Some(id) => id.to_owned(),
        None => data_encoding::BASE32_NOPAD
            .encode(&rand::random::<[u8; 10]>())
            .to_ascii_lowercase(),
    }
}

/// Gives every answer of the API its id and its version, and every error the form of a problem document, whoever made it.
pub(super) async fn finish(State(web): State<Web>, request: Request, next: Next) -> Response {
    if !is_for_programs(request.uri().path()) {
        return next.run(request).await;
    }
    let (id, method) = (request_id(&request), request.method().clone());
    let span = tracing::info_span!("api", request_id = %id);
    let mut response = next.run(request).instrument(span).await;
    let status = response.status();
    tracing::debug!(request_id = %id, %method, status = status.as_u16(), "API request");
    if status.is_client_error() || status.is_server_error() {
        let known = response.extensions_mut().remove::<Problem>();
        let problem = match known {
            Some(problem) if status != StatusCode::METHOD_NOT_ALLOWED => problem,
            _ => plain_problem(status),
        };
        let given = std::mem::take(response.headers_mut());
        let site = &web.app.site;
        response = problem.with_instance(&id).render(site, true, given);
    }
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(&id) {
        headers.insert(REQUEST_ID, id);
    }
    headers.insert(
        access::VERSION_HEADER,
        HeaderValue::from_static(access::VERSION),
    );
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Problem for an error that the framework answered by itself.
fn plain_problem(status: StatusCode) -> Problem {
    let (title, words) = match status {
        StatusCode::NOT_FOUND => (
            "Not found",
            "There is nothing at this address; /api/v1/openapi.json lists all.",
        ),
        StatusCode::METHOD_NOT_ALLOWED => (
            "Another method",
            "This address does not take that method; the header Allow lists those that it takes.",
        ),
        StatusCode::PAYLOAD_TOO_LARGE => {
            ("Too large", "The body is larger than this address takes.")
        }
        _ => ("Not understood", "The request is not understood."),
    };
    Problem::new(status, title, words)
}

/// Scopes of which an operation is made, each with the operations that need it.
pub fn scopes() -> Vec<(Scope, Vec<String>)> {
    let with_operations = |scope: &Scope| (*scope, document::operations_of(*scope));
    Scope::ALL.iter().map(with_operations).collect()
}
