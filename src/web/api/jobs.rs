//! Jobs: work that goes on after the answer.

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::Uri;
use axum::response::Response;
use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use super::super::Web;
use super::super::answer::Problem;
use super::super::guard::PathSegment;
use super::BASE;
use super::access::Caller;
use super::answers;
use super::answers::Page;
use super::extract::NoParameters;
use super::extract::Query;
use super::operation::Need;
use super::operation::Operation;
use crate::app::Failure;
use crate::app::tokens::TokenBearer;
use crate::domain::Timestamp;
use crate::domain::api_token::Scope;
use crate::domain::job::JobKind;
use crate::storage::jobs::BackgroundJob;

/// Operations of this file.
pub fn operations() -> Vec<Operation> {
    vec![
        Operation::get("/jobs", Need::Scope(Scope::JobsRead), list)
            .named("listJobs", "List jobs, newest first")
            .explained("Jobs are remembered for 30 days.")
            .asks::<JobsQuery>()
            .pages::<JobShape>("Jobs."),
        Operation::get("/jobs/{job}", Need::Scope(Scope::JobsRead), show)
            .named("getJob", "Show a job")
            .asks::<NoParameters>()
            .answers::<JobShape>(200, "The job, with how far it is."),
        Operation::post("/jobs/{job}/cancel", Scope::JobsRead, cancel)
            .named("cancelJob", "Cancel a job")
            .explained("The token must also have the scope that starts a job of that kind. What was done already stays.")
            .answers::<JobShape>(200, "The job, which stops in a moment.")
            .problems(&[409]),
    ]
}

/// Conditions of the list.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct JobsQuery {
    /// Jobs on a page.
    #[schema(nullable = false, minimum = 1, maximum = 200)]
    limit: Option<i64>,
    /// Place behind which the page begins.
    #[schema(nullable = false, max_length = 400)]
    after: Option<String>,
}

/// A job.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Job)]
pub struct JobShape {
    id: String,
    /// Kind of work.
    kind: String,
    /// running, done, failed or cancelled.
    state: String,
    /// Steps that are done.
    #[schema(value_type = i64, minimum = 0)]
    done: u64,
    /// Steps in all, where that is known.
    #[schema(value_type = Option<i64>, minimum = 0)]
    total: Option<u64>,
    /// Result, once it ended: counts and codes.
    #[schema(value_type = Option<Object>)]
    result: Option<serde_json::Value>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    finished_at: Option<Timestamp>,
    /// Address of the file that it made, for an hour; null where there is none.
    file: Option<String>,
}

impl JobShape {
    /// A job, with the address of its file.
    pub fn new(web: &Web, job: BackgroundJob) -> Self {
        let name = web.app.job_name(job.id);
        let has_file = web.app.job_file_until(job.id).is_some();
        Self {
            file: has_file.then(|| file_of(job.kind, &name)).flatten(),
            id: name,
            kind: job.kind.as_str().to_owned(),
            state: job.state.as_str().to_owned(),
            done: job.done,
            total: job.total,
            result: Some(job.result).filter(serde_json::Value::is_object),
            created_at: job.created_at,
            finished_at: job.finished_at,
        }
    }
}

/// Address of the file of a job, below `/api/v1`.
fn file_of(kind: JobKind, name: &str) -> Option<String> {
    match kind {
        JobKind::Export => Some(format!("{BASE}/subscribers/exports/{name}/file")),
        JobKind::Import | JobKind::ImportTrial => {
            Some(format!("{BASE}/subscribers/imports/{name}/refused.csv"))
        }
        _ => None,
    }
}

/// Scope that starts jobs of a kind, and so stops them.
fn scope_of(kind: JobKind) -> Scope {
    match kind {
        JobKind::ImportTrial | JobKind::Import => Scope::SubscribersImport,
        JobKind::Export => Scope::SubscribersExport,
        JobKind::Pause | JobKind::Unsubscribe => Scope::SubscribersWrite,
        JobKind::Erase => Scope::SubscribersErase,
        JobKind::TestCopy => Scope::DigestsWrite,
    }
}

/// The answer of an operation that started a job.
pub async fn started(web: &Web, id: i64) -> Result<Response, Problem> {
    let name = web.app.job_name(id);
    let job = named(web, &name).await?;
    let response = answers::json(StatusCode::ACCEPTED, &JobShape::new(web, job))?;
    answers::with_location(&format!("/jobs/{name}"), response)
}

/// The job with that name.
pub async fn named(web: &Web, name: &str) -> Result<BackgroundJob, Problem> {
    let job = web.app.job_named(name).await?;
    job.ok_or_else(|| {
        Failure::not_found("There is no such job; jobs are remembered for 30 days.").into()
    })
}

async fn list(
    State(web): State<Web>,
    Query(asked): Query<JobsQuery>,
    uri: Uri,
) -> Result<Response, Problem> {
    let limit = answers::limit(asked.limit);
    let place = answers::place(asked.after.as_deref())?;
    let before = match place {
        Some(name) => Some(web.app.job_id(&name).ok_or_else(answers::no_place)?),
        None => None,
    };
    let jobs = web.app.jobs(before, limit as i64 + 1).await?;
    let page = Page::cut(
        jobs,
        limit,
        |last| web.app.job_name(last.id),
        |job| JobShape::new(&web, job),
    );
    Ok(page.answer(&uri))
}

async fn show(
    State(web): State<Web>,
    PathSegment(name): PathSegment,
    Query(NoParameters {}): Query<NoParameters>,
) -> Result<Response, Problem> {
    answers::ok(&JobShape::new(&web, named(&web, &name).await?))
}

async fn cancel(
    State(web): State<Web>,
    Caller(bearer): Caller,
    PathSegment(name): PathSegment,
) -> Result<Response, Problem> {
    let job = named(&web, &name).await?;
    demand(&bearer, scope_of(job.kind))?;
    if !web.app.cancel_job(job.id).await? {
        return Err(Failure::conflict("The job has ended already.").into());
    }
    answers::ok(&JobShape::new(&web, named(&web, &name).await?))
}

/// Demands a scope beyond the operation's own.
pub fn demand(bearer: &TokenBearer, scope: Scope) -> Result<(), Problem> {
    match bearer.may(scope) {
        true => Ok(()),
        false => {
            let words = format!("This needs the scope {scope} too, which the token does not have.");
            let problem = Problem::new(StatusCode::FORBIDDEN, "Not allowed", words);
            Err(problem.with_code("insufficient_scope"))
        }
    }
}
