//! Who asks, whether the service works, and the document.

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::IntoResponse;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::super::Web;
use super::super::answer::Problem;
use super::super::readiness::readiness_of;
use super::BASE;
use super::access::Caller;
use super::access::VERSION;
use super::answers;
use super::extract::NoParameters;
use super::extract::Query;
use super::operation::Need;
use super::operation::Operation;
use crate::domain::Timestamp;

/// Operations of this file.
pub fn operations() -> Vec<Operation> {
    vec![
        Operation::get("", Need::Token, who)
            .named("whoAmI", "Tell who asks")
            .explained("The name and the scopes of the token, the version, and where to go on.")
            .asks::<NoParameters>()
            .answers::<Welcome>(200, "The token and the service."),
        Operation::get("/health", Need::Token, health)
            .named("getHealth", "Tell whether the service works")
            .explained("As /readyz: the database answers, and the ledger can be written.")
            .asks::<NoParameters>()
            .answers::<Health>(
                200,
                "It works; degraded where mail waits or a digest was missed.",
            ),
        Operation::get("/openapi.json", Need::Nothing, openapi)
            .named("getDocument", "Read this document")
            .asks::<NoParameters>()
            .answers::<DocumentShape>(200, "An OpenAPI document."),
    ]
}

/// The token, and the service.
#[derive(Debug, Serialize, ToSchema)]
struct Welcome {
    token: WelcomeToken,
    /// Version of the API.
    version: &'static str,
    /// Version of the program.
    program: &'static str,
    /// Name of the site.
    site: String,
    links: WelcomeLinks,
}

/// The token that asks.
#[derive(Debug, Serialize, ToSchema)]
struct WelcomeToken {
    /// Its name in lists and in the audit log.
    id: String,
    /// Its name for people.
    name: String,
    /// Scopes that it has now: those it was given, within its maker's role.
    scopes: Vec<String>,
    /// Time from which it no longer works.
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
}

/// Where to go on.
#[derive(Debug, Serialize, ToSchema)]
struct WelcomeLinks {
    /// The document of the API.
    document: String,
    /// A page that shows it.
    reference: String,
}

async fn who(
    State(web): State<Web>,
    Caller(bearer): Caller,
    Query(NoParameters {}): Query<NoParameters>,
) -> Result<Response, Problem> {
    let scopes = bearer.scopes.0.iter();
    answers::ok(&Welcome {
        token: WelcomeToken {
            id: bearer.token.public_id.clone(),
            name: bearer.token.name.clone(),
            scopes: scopes.map(ToString::to_string).collect(),
            expires_at: bearer.token.expires_at,
        },
        version: VERSION,
        program: env!("CARGO_PKG_VERSION"),
        site: web.app.settings.site.name.clone(),
        links: WelcomeLinks {
            document: format!("{BASE}/openapi.json"),
            reference: "/api".to_owned(),
        },
    })
}

/// Health.
#[derive(Debug, Serialize, ToSchema)]
#[allow(dead_code, reason = "the shape of what /readyz answers")]
struct Health {
    /// ready, or degraded.
    status: String,
}

async fn health(
    State(web): State<Web>,
    Caller(_): Caller,
    Query(NoParameters {}): Query<NoParameters>,
) -> Result<Response, Problem> {
    match readiness_of(&web).await {
        Ok(state) => answers::ok(&state),
        Err(words) => {
            let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "Not ready", words);
            Err(problem.with_retry_after(std::time::Duration::from_secs(10)))
        }
    }
}

/// An OpenAPI document.
#[derive(Debug, Serialize, ToSchema)]
#[allow(dead_code, reason = "the shape of the document")]
#[schema(as = Document)]
struct DocumentShape {
    /// Version of the format.
    openapi: String,
}

async fn openapi(Query(NoParameters {}): Query<NoParameters>) -> impl IntoResponse {
    (
        [
            (header::CONTENT_TYPE, "application/json"),
            (header::CACHE_CONTROL, "no-cache"),
        ],
        super::openapi(),
    )
}
