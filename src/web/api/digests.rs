//! Digests: reading them, and writing a draft.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::Uri;
use axum::response::Response;
use serde::Deserialize;
use utoipa::ToSchema;

use super::super::Web;
use super::super::answer::Problem;
use super::super::guard::PathSegment;
use super::access::Caller;
use super::answers;
use super::answers::Page;
use super::digest_shapes::DigestDetails;
use super::digest_shapes::DigestProgress;
use super::digest_shapes::DigestShape;
use super::digest_shapes::LedgerCheck;
use super::digest_shapes::NextDigest;
use super::extract::Body;
use super::extract::NoParameters;
use super::extract::Patch;
use super::extract::Query;
use super::operation::Need;
use super::operation::Operation;
use super::patterns;
use crate::app::Failure;
use crate::app::issue::drafting::Changes;
use crate::app::issue::text::TextChanges;
use crate::domain::Timestamp;
use crate::domain::api_token::Scope;
use crate::domain::catalogue::Slug;
use crate::domain::slot::Slot;

/// Doubts that an audit lists.
const LISTED: i64 = 100;

/// Operations of this file.
pub fn operations() -> Vec<Operation> {
    let read = Need::Scope(Scope::DigestsRead);
    vec![
        Operation::get("/digests", read, list)
            .named("listDigests", "List digests, the newest first")
            .asks::<DigestsQuery>()
            .pages::<DigestShape>("Digests."),
        Operation::get("/digests/next", read, next)
            .named("getNextDigest", "Show the week that is being prepared")
            .explained("What the digest of the present week carries, or would if it were made now, with score and reasons, and what it leaves out.")
            .asks::<NoParameters>()
            .answers::<NextDigest>(200, "The week."),
        Operation::post("/digests", Scope::DigestsWrite, draft)
            .named("draftDigest", "Make this week's draft now")
            .asks::<NoParameters>()
            .answers::<DigestDetails>(201, "The draft.")
            .with_header("Location", "Address of the digest.")
            .with_header("ETag", "Revision of the digest.")
            .problems(&[409]),
        Operation::get("/digests/{slot}", read, show)
            .named("getDigest", "Show a digest with its text and its picks")
            .asks::<NoParameters>()
            .answers::<DigestDetails>(200, "The digest.")
            .with_header("ETag", "Revision of the digest."),
        Operation::patch("/digests/{slot}", Scope::DigestsWrite, change)
            .named("patchDigest", "Change text, subject or time of a digest that is not sent")
            .explained("A merge patch (RFC 7396): null takes a text away. Where approval is required, a changed digest must be approved again.")
            .asks::<NoParameters>()
            .merges::<DigestPatch>()
            .answers::<DigestDetails>(200, "The digest.")
            .with_header("ETag", "Revision of the digest.")
            .matched()
            .problems(&[409]),
        Operation::put("/digests/{slot}/picks", Scope::DigestsWrite, picks)
            .named("putPicks", "Choose the comparisons of a digest that is not sent")
            .explained("Comparisons that are pinned come in the order of their positions, those that the list does not name follow as they are, and those that are left out go.")
            .asks::<NoParameters>()
            .takes::<PicksBody>()
            .answers::<DigestDetails>(200, "The digest.")
            .with_header("ETag", "Revision of the digest.")
            .matched()
            .problems(&[409]),
        Operation::get("/digests/{slot}/progress", read, progress)
            .named("getDigestProgress", "Show how sending a digest goes")
            .asks::<NoParameters>()
            .answers::<DigestProgress>(200, "Counts, rate, time left and troubles."),
        Operation::get("/digests/{slot}/audit", read, audit)
            .named("auditDigest", "Check the promises of a digest's ledger")
            .explained("Each recipient once, the counts add up, and nobody suppressed was sent to.")
            .asks::<NoParameters>()
            .answers::<LedgerCheck>(200, "The sum, faults and doubts."),
    ]
}

/// Conditions of the list.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct DigestsQuery {
    #[schema(nullable = false)]
    state: Option<WantedState>,
    /// Only this week or later.
    #[schema(nullable = false, pattern = "slot")]
    from: Option<String>,
    /// Only this week or earlier.
    #[schema(nullable = false, pattern = "slot")]
    to: Option<String>,
    /// Digests on a page.
    #[schema(nullable = false, minimum = 1, maximum = 200)]
    limit: Option<i64>,
    /// Place behind which the page begins.
    #[schema(nullable = false, max_length = 400)]
    after: Option<String>,
}

/// State of a digest.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum WantedState {
    Draft,
    Approved,
    Sending,
    Paused,
    Sent,
    Cancelled,
    Skipped,
}

impl WantedState {
    fn name(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Approved => "approved",
            Self::Sending => "sending",
            Self::Paused => "paused",
            Self::Sent => "sent",
            Self::Cancelled => "cancelled",
            Self::Skipped => "skipped",
        }
    }
}

/// A part of a digest that is changed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(
    dead_code,
    reason = "the shape of a merge patch, which is read field by field"
)]
struct DigestPatch {
    /// Pattern of the subject; null: that of the settings.
    #[schema(max_length = 150, pattern = "any_line")]
    subject: Option<String>,
    /// Line that lists of mails show after the subject; null: made from the comparisons.
    #[schema(max_length = 150, pattern = "any_line")]
    preheader: Option<String>,
    /// Introduction, in Markdown.
    #[schema(max_length = 4000, pattern = "any_text")]
    introduction: Option<String>,
    /// Sign-off, in Markdown.
    #[schema(max_length = 1000, pattern = "any_text")]
    sign_off: Option<String>,
    /// Question to readers.
    #[schema(max_length = 300, pattern = "any_line")]
    question: Option<String>,
    /// Time to send it.
    #[schema(nullable = false, format = DateTime)]
    send_at: Option<String>,
}

/// Comparisons of a digest.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PicksBody {
    #[schema(min_items = 1, max_items = 50)]
    picks: Vec<PickOpinion>,
}

/// Opinion on a comparison.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PickOpinion {
    /// Slug.
    #[schema(max_length = 100, pattern = "slug")]
    comparison: String,
    opinion: PickOpinionKind,
    /// Place among the pinned ones, from 1 on; not given: in the order of the list.
    #[schema(nullable = false, minimum = 1, maximum = 50)]
    position: Option<i64>,
}

/// Opinion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = Opinion)]
enum PickOpinionKind {
    Pinned,
    LeftOut,
}

/// The slot of a path.
pub fn slot(text: &str) -> Result<Slot, Problem> {
    text.parse().map_err(|_| Problem::not_found())
}

/// A slot of which there is a digest.
pub async fn known(web: &Web, text: &str) -> Result<crate::domain::digest::Digest, Problem> {
    let slot = slot(text)?;
    let digest = web.app.storage.digest(slot).await?;
    digest.ok_or_else(|| Failure::not_found(format!("There is no digest {slot}.")).into())
}

/// Entity tag of a digest.
pub fn tag(digest: &crate::domain::digest::Digest) -> String {
    format!("\"r{}-{}\"", digest.revision, digest.state)
}

async fn list(
    State(web): State<Web>,
    Query(asked): Query<DigestsQuery>,
    uri: Uri,
) -> Result<Response, Problem> {
    let limit = answers::limit(asked.limit);
    let bound = |text: Option<String>| text.and_then(|text| text.parse::<Slot>().ok());
    let (from, to) = (bound(asked.from), bound(asked.to));
    let mut before = answers::place(asked.after.as_deref())?
        .map(|place| place.parse::<Slot>().map_err(|_| answers::no_place()))
        .transpose()?;
    let (mut rows, mut next) = (Vec::new(), None);
    // Digests are one a week: those that do not fit are passed over.
    'pages: loop {
        let digests = web.app.storage.digests_before(before, 100).await?;
        let Some(last) = digests.last().map(|digest| digest.slot) else {
            break;
        };
        for digest in &digests {
            if from.is_some_and(|from| digest.slot < from) {
                break 'pages;
            }
            let fits = to.is_none_or(|to| digest.slot <= to)
                && asked
                    .state
                    .is_none_or(|state| digest.state.as_str() == state.name());
            if !fits {
                continue;
            }
            if rows.len() == limit {
                next = rows.last().map(|row: &DigestShape| row.slot().to_owned());
                break 'pages;
            }
            rows.push(DigestShape::from(digest));
        }
        before = Some(last);
    }
    Ok(Page {
        rows,
        next,
        count: None,
    }
    .answer(&uri))
}

async fn next(
    State(web): State<Web>,
    Query(NoParameters {}): Query<NoParameters>,
) -> Result<Response, Problem> {
    let now = web.app.now();
    let edition = web.app.edition(web.app.slot_at(now), now).await?;
    answers::ok(&NextDigest::new(&edition))
}

/// The answer that shows a digest.
pub async fn shown(web: &Web, slot: Slot) -> Result<Response, Problem> {
    let outlook = web.app.outlook(slot).await?;
    let digest = outlook.edition.digest.as_ref();
    let digest = digest.ok_or_else(|| Failure::not_found(format!("There is no digest {slot}.")))?;
    let view = DigestDetails::new(digest, &outlook);
    Ok(answers::with_etag(&tag(digest), answers::ok(&view)?))
}

async fn show(
    State(web): State<Web>,
    PathSegment(name): PathSegment,
    Query(NoParameters {}): Query<NoParameters>,
) -> Result<Response, Problem> {
    shown(&web, slot(&name)?).await
}

async fn draft(
    State(web): State<Web>,
    Caller(bearer): Caller,
    Query(NoParameters {}): Query<NoParameters>,
) -> Result<Response, Problem> {
    let slot = web.app.draft_digest(&bearer.actor()).await?;
    let mut response = shown(&web, slot).await?;
    *response.status_mut() = axum::http::StatusCode::CREATED;
    answers::with_location(&format!("/digests/{slot}"), response)
}

/// A time that is far enough from both ends of the calendar.
fn send_time(text: &str) -> Option<Timestamp> {
    let moment = patterns::timestamp(text)?;
    (1971..=9997)
        .contains(&chrono::Datelike::year(&moment))
        .then_some(moment)
}

async fn change(
    State(web): State<Web>,
    Caller(bearer): Caller,
    PathSegment(name): PathSegment,
    Query(NoParameters {}): Query<NoParameters>,
    headers: HeaderMap,
    patch: Patch<DigestPatch>,
) -> Result<Response, Problem> {
    let digest = known(&web, &name).await?;
    answers::check_match(&headers, &tag(&digest), true)?;
    // Null and an empty text are the same: nothing.
    let text = |name: &str| {
        let value = patch.fields.get(name)?;
        Some(value.as_str().unwrap_or_default().to_owned())
    };
    let send_at = match text("send_at") {
        Some(at) => Some(
            send_time(&at)
                .ok_or_else(|| Failure::conflict("The time to send it is too far away."))?,
        ),
        None => None,
    };
    // A time of sending is the business of those who send, as at the desk.
    if send_at.is_some() {
        super::jobs::demand(&bearer, Scope::DigestsSend)?;
    }
    let changes = Changes {
        subject: text("subject"),
        send_at,
        text: TextChanges {
            introduction: text("introduction"),
            question: text("question"),
            sign_off: text("sign_off"),
            preheader: text("preheader"),
            ..TextChanges::default()
        },
        revision: Some(digest.revision),
        ..Changes::default()
    };
    if !patch.fields.is_empty() {
        web.app
            .edit_digest(&bearer.actor(), digest.slot, &changes)
            .await?;
    }
    shown(&web, digest.slot).await
}

async fn picks(
    State(web): State<Web>,
    Caller(bearer): Caller,
    PathSegment(name): PathSegment,
    Query(NoParameters {}): Query<NoParameters>,
    headers: HeaderMap,
    Body(body): Body<PicksBody>,
) -> Result<Response, Problem> {
    let digest = known(&web, &name).await?;
    answers::check_match(&headers, &tag(&digest), true)?;
    let present = web.app.storage.picks(digest.slot).await?;
    let slug = |text: &str| {
        let slug: Result<Slug, _> = text.parse();
        slug.map_err(|error| Problem::from(Failure::invalid_field("picks", format!("{error}."))))
    };
    let mut pinned = Vec::new();
    let mut changes = Changes {
        revision: Some(digest.revision),
        ..Changes::default()
    };
    for pick in &body.picks {
        let slug = slug(&pick.comparison)?;
        let is_present = present.iter().any(|known| known.comparison == slug);
        match pick.opinion {
            PickOpinionKind::LeftOut if is_present => changes.leave_out.push(slug),
            PickOpinionKind::LeftOut => {}
            PickOpinionKind::Pinned => {
                if !is_present {
                    changes.add.push(slug.clone());
                }
                pinned.push((pick.position, slug));
            }
        }
    }
    // Those without a position keep their place in the list, behind those with one.
    pinned.sort_by_key(|(position, _)| position.unwrap_or(i64::MAX));
    changes.order = pinned.into_iter().map(|(_, slug)| slug).collect();
    web.app
        .edit_digest(&bearer.actor(), digest.slot, &changes)
        .await?;
    shown(&web, digest.slot).await
}

async fn progress(
    State(web): State<Web>,
    PathSegment(name): PathSegment,
    Query(NoParameters {}): Query<NoParameters>,
) -> Result<Response, Problem> {
    let digest = known(&web, &name).await?;
    let status = web.app.status(digest.slot).await?;
    answers::ok(&DigestProgress::new(&status))
}

async fn audit(
    State(web): State<Web>,
    PathSegment(name): PathSegment,
    Query(NoParameters {}): Query<NoParameters>,
) -> Result<Response, Problem> {
    let digest = known(&web, &name).await?;
    let audit = web.app.storage.audit(digest.slot, LISTED).await?;
    let audit = audit.ok_or_else(|| Failure::not_found("It is not published yet."))?;
    answers::ok(&LedgerCheck::new(&web.app, &audit))
}
