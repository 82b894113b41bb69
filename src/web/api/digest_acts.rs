//! What is done with a digest: looked at, tested, approved, sent and stopped.

use axum::extract::FromRequestParts;
use axum::extract::State;
use axum::http::header;
use axum::http::request::Parts;
use axum::response::IntoResponse;
use axum::response::Response;
use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use super::super::Web;
use super::super::answer::Problem;
use super::super::guard::PathSegment;
use super::access::Caller;
use super::answers;
use super::digest_shapes::DigestShape;
use super::digests::known;
use super::digests::slot;
use super::extract::Body;
use super::extract::NoParameters;
use super::extract::Query;
use super::extract::invalid_at;
use super::jobs;
use super::operation::Need;
use super::operation::Operation;
use crate::app::Failure;
use crate::app::issue::approving::ApprovalOrder;
use crate::app::issue::digests::DigestStatus;
use crate::app::issue::preflight::Preflight;
use crate::app::issue::sending::SendOrder;
use crate::domain::actor::Actor;
use crate::domain::address::EmailAddress;
use crate::domain::api_token::Scope;
use crate::domain::slot::Slot;

/// Operations of this file.
pub fn operations() -> Vec<Operation> {
    let mut operations = vec![
        Operation::get(
            "/digests/{slot}/preview",
            Need::Scope(Scope::DigestsRead),
            preview,
        )
        .named("previewDigest", "Render a digest as one reader would get it")
        .explained("reader needs the scope subscribers:read too.")
        .asks::<PreviewQuery>()
        .answers_raw("text/html; charset=utf-8", "The mail.")
        .answers_raw("text/plain; charset=utf-8", "Its text part.")
        .answers_raw("message/rfc822", "The whole message.")
        .problems(&[409]),
        Operation::post("/digests/{slot}/test", Scope::DigestsWrite, test)
            .named("testDigest", "Send a test copy of a digest")
            .explained("To the address of the token's maker; to another one with the scope digests:send too.")
            .asks::<NoParameters>()
            .takes::<TestBody>()
            .starts_job()
            .problems(&[409]),
    ];
    operations.extend(acts());
    operations
}

/// What moves a digest from one state to another.
fn acts() -> Vec<Operation> {
    let act = |operation: Operation| {
        operation
            .answers::<DigestShape>(200, "The digest.")
            .problems(&[409])
    };
    vec![
        act(Operation::post("/digests/{slot}/approve", Scope::DigestsApprove, approve)
            .named("approveDigest", "Approve a revision of a draft")
            .explained("The token counts as its maker: where two people are asked for, whoever changed it last does not approve it.")
            .asks::<NoParameters>()
            .takes::<ApproveBody>()),
        act(Operation::post("/digests/{slot}/send-back", Scope::DigestsApprove, send_back)
            .named("sendBackDigest", "Make a digest a draft again, with a note on what to change")
            .asks::<NoParameters>()
            .takes::<NoteBody>()),
        act(Operation::post("/digests/{slot}/publish", Scope::DigestsSend, publish)
            .named("publishDigest", "Send a digest now")
            .explained("It goes out after the time in which it can be stopped (desk.undo); withdraw stops it.")
            .asks::<PublishQuery>()
            .answers::<PublishPlan>(200, "With dry_run: who would get it.")),
        act(Operation::post("/digests/{slot}/withdraw", Scope::DigestsSend, withdraw)
            .named("withdrawDigest", "Take an approval back, before it goes out")
            .asks::<NoParameters>()),
        act(Operation::post("/digests/{slot}/pause", Scope::DigestsSend, pause)
            .named("pauseDigest", "Pause sending a digest")
            .asks::<NoParameters>()),
        act(Operation::post("/digests/{slot}/resume", Scope::DigestsSend, resume)
            .named("resumeDigest", "Resume sending a digest")
            .asks::<NoParameters>()),
        act(Operation::post("/digests/{slot}/cancel", Scope::DigestsSend, cancel)
            .named("cancelDigest", "Cancel a digest; undelivered mails are not sent")
            .asks::<NoParameters>()),
        act(Operation::post("/digests/{slot}/skip", Scope::DigestsSend, skip)
            .named("skipDigest", "Leave a week without a digest, for a reason that its page shows")
            .asks::<NoParameters>()
            .takes::<SkipBody>()),
    ]
}

/// Form of a preview.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PreviewQuery {
    /// Not given: html.
    #[schema(nullable = false)]
    format: Option<PreviewFormat>,
    /// Address of the reader whose variant and links it has; not given: nobody's.
    #[schema(nullable = false, max_length = 254)]
    reader: Option<String>,
}

/// Form of a mail.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum PreviewFormat {
    Html,
    Text,
    Eml,
}

/// A test copy.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TestBody {
    /// Address; not given: that of the token's maker.
    #[schema(nullable = false, max_length = 254, pattern = "email")]
    to: Option<String>,
    /// False: without [Test] before the subject.
    #[schema(nullable = false)]
    marked: Option<bool>,
}

/// What is approved.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ApproveBody {
    /// Revision that was looked at.
    #[schema(minimum = 0)]
    revision: i64,
}

/// A note.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NoteBody {
    /// What to change.
    #[schema(max_length = 1000, pattern = "text")]
    note: String,
}

/// A reason.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SkipBody {
    /// Reason, which the week's page shows.
    #[schema(max_length = 1000, pattern = "text")]
    reason: String,
}

/// Whether anything is sent.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PublishQuery {
    /// Only tell who would get it.
    #[schema(nullable = false)]
    dry_run: Option<bool>,
}

/// A send that was not begun.
#[derive(Debug, Serialize, ToSchema)]
struct PublishPlan {
    /// Always true: nothing was sent.
    dry_run: bool,
    slot: String,
    /// Readers who would get mail.
    #[schema(value_type = i64, minimum = 0)]
    readers: u64,
}

async fn preview(
    State(web): State<Web>,
    Caller(bearer): Caller,
    PathSegment(name): PathSegment,
    Query(asked): Query<PreviewQuery>,
) -> Result<Response, Problem> {
    let digest = known(&web, &name).await?;
    let preview = match &asked.reader {
        Some(reader) => {
            jobs::demand(&bearer, Scope::SubscribersRead)?;
            let email = EmailAddress::parse(reader)
                .map_err(|_| Failure::not_found("There is no reader with that address."))?;
            web.app.preview_as(digest.slot, &email).await?
        }
        None => web.app.preview(digest.slot, web.app.now()).await?,
    };
    let (media_type, body) = match asked.format.unwrap_or(PreviewFormat::Html) {
        PreviewFormat::Html => (
            "text/html; charset=utf-8",
            preview.rendered.html.into_bytes(),
        ),
        PreviewFormat::Text => (
            "text/plain; charset=utf-8",
            preview.rendered.text.into_bytes(),
        ),
        PreviewFormat::Eml => ("message/rfc822", preview.message),
    };
    Ok(([(header::CONTENT_TYPE, media_type)], body).into_response())
}

async fn test(
    State(web): State<Web>,
    Caller(bearer): Caller,
    PathSegment(name): PathSegment,
    Query(NoParameters {}): Query<NoParameters>,
    Body(body): Body<TestBody>,
) -> Result<Response, Problem> {
    let digest = known(&web, &name).await?;
    let to = match &body.to {
        Some(text) => EmailAddress::parse_new(text)
            .map_err(|error| invalid_at("#/to", "pattern", error.to_string()))?,
        None => bearer.user.email.clone(),
    };
    // A writer sees no address, so mails go to none but their own.
    if to.key() != bearer.user.email.key() {
        jobs::demand(&bearer, Scope::DigestsSend)?;
    }
    let is_marked = body.marked.unwrap_or(true);
    let job = web
        .app
        .start_test_copy(&bearer.actor(), digest.slot, to, is_marked)
        .await?;
    jobs::started(&web, job).await
}

/// A digest that exists, and who acts on it: a request without a query.
struct DigestAct {
    actor: Actor,
    slot: Slot,
}

impl FromRequestParts<Web> for DigestAct {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, web: &Web) -> Result<Self, Problem> {
        let Caller(bearer) = Caller::from_request_parts(parts, web).await?;
        let PathSegment(name) = PathSegment::from_request_parts(parts, web).await?;
        let Query(NoParameters {}) = Query::from_request_parts(parts, web).await?;
        Ok(Self {
            actor: bearer.actor(),
            slot: known(web, &name).await?.slot,
        })
    }
}

fn moved(status: &DigestStatus) -> Result<Response, Problem> {
    answers::ok(&DigestShape::from(&status.digest))
}

async fn approve(
    State(web): State<Web>,
    act: DigestAct,
    Body(body): Body<ApproveBody>,
) -> Result<Response, Problem> {
    let order = ApprovalOrder {
        revision: Some(body.revision),
        overrides: None,
    };
    moved(
        &web.app
            .approve_revision(&act.actor, act.slot, &order)
            .await?,
    )
}

async fn send_back(
    State(web): State<Web>,
    act: DigestAct,
    Body(body): Body<NoteBody>,
) -> Result<Response, Problem> {
    moved(&web.app.send_back(&act.actor, act.slot, &body.note).await?)
}

async fn publish(
    State(web): State<Web>,
    Caller(bearer): Caller,
    PathSegment(name): PathSegment,
    Query(asked): Query<PublishQuery>,
) -> Result<Response, Problem> {
    let slot = known(&web, &name).await?.slot;
    if asked.dry_run == Some(true) {
        let order = SendOrder {
            slot: Some(slot),
            other_week: true,
            preflight: Preflight::Heeded,
        };
        let plan = web.app.plan_send(&order).await?;
        return answers::ok(&PublishPlan {
            dry_run: true,
            slot: slot.to_string(),
            readers: web.app.count_audience(&plan).await?,
        });
    }
    web.app.send_soon(&bearer.actor(), slot).await?;
    moved(&web.app.status(slot).await?)
}

async fn withdraw(State(web): State<Web>, act: DigestAct) -> Result<Response, Problem> {
    moved(&web.app.withdraw_digest(&act.actor, act.slot).await?)
}

async fn pause(State(web): State<Web>, act: DigestAct) -> Result<Response, Problem> {
    moved(&web.app.pause_digest(&act.actor, act.slot).await?)
}

async fn resume(State(web): State<Web>, act: DigestAct) -> Result<Response, Problem> {
    moved(
        &web.app
            .resume_digest(&act.actor, act.slot, Preflight::Heeded)
            .await?,
    )
}

async fn cancel(State(web): State<Web>, act: DigestAct) -> Result<Response, Problem> {
    moved(&web.app.cancel_digest(&act.actor, act.slot).await?)
}

async fn skip(
    State(web): State<Web>,
    Caller(bearer): Caller,
    PathSegment(name): PathSegment,
    Query(NoParameters {}): Query<NoParameters>,
    Body(body): Body<SkipBody>,
) -> Result<Response, Problem> {
    // The present week may be skipped before it has a digest.
    let (actor, slot) = (bearer.actor(), slot(&name)?);
    moved(&web.app.skip_week(&actor, slot, &body.reason).await?)
}
