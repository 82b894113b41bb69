//! Segments: saved filters of the list.

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::Uri;
use axum::response::Response;
use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use super::super::Web;
use super::super::answer::Problem;
use super::super::answer::ProblemFault;
use super::super::guard::PathSegment;
use super::access::Caller;
use super::answers;
use super::answers::Page;
use super::extract::Body;
use super::extract::NoParameters;
use super::extract::Query;
use super::operation::Need;
use super::operation::Operation;
use super::subscriber_shapes::SubscriberState;
use crate::app::Failure;
use crate::domain::api_token::Scope;
use crate::domain::subscriber_filter::SubscriberFilter;

/// Operations of this file.
pub fn operations() -> Vec<Operation> {
    let read = Need::Scope(Scope::SubscribersRead);
    vec![
        Operation::get("/segments", read, list)
            .named("listSegments", "List saved filters of the list")
            .asks::<NoParameters>()
            .pages::<SegmentShape>("Segments, by name."),
        Operation::get("/segments/{slug}", read, show)
            .named("getSegment", "Show a saved filter")
            .asks::<NoParameters>()
            .answers::<SegmentShape>(200, "The segment."),
        Operation::put("/segments/{slug}", Scope::SubscribersWrite, put)
            .named("putSegment", "Save a filter of the list")
            .asks::<NoParameters>()
            .takes::<SegmentBody>()
            .answers::<SegmentShape>(200, "The segment.")
            .answers::<SegmentShape>(201, "The segment, which is new.")
            .with_header("Location", "Address of the segment.")
            .problems(&[409]),
        Operation::delete("/segments/{slug}", Scope::SubscribersWrite, remove)
            .named("deleteSegment", "Remove a saved filter")
            .explained("Nobody on the list is changed.")
            .asks::<NoParameters>()
            .answers_nothing(204, "It is removed."),
        Operation::get("/segments/{slug}/count", read, count)
            .named("countSegment", "Count whom a saved filter means now")
            .asks::<NoParameters>()
            .answers::<SegmentCount>(200, "The count, up to 10,000."),
    ]
}

/// A saved filter.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Segment)]
struct SegmentShape {
    slug: String,
    name: String,
    /// Conditions, by name: all must hold.
    #[schema(value_type = Object)]
    filter: std::collections::BTreeMap<&'static str, String>,
}

/// A filter that is saved.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SegmentBody {
    #[schema(max_length = 100, pattern = "line")]
    name: String,
    filter: SegmentFilter,
}

/// Conditions on subscribers: all must hold, and there is at least one.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SegmentFilter {
    /// Start of the address or of the name; @example.org for a domain.
    #[schema(nullable = false, max_length = 100, pattern = "line")]
    search: Option<String>,
    #[schema(nullable = false)]
    state: Option<SubscriberState>,
    /// First day on which they joined.
    #[schema(nullable = false, format = Date)]
    joined_from: Option<String>,
    /// Last day on which they joined.
    #[schema(nullable = false, format = Date)]
    joined_until: Option<String>,
    /// Source of one of their consents.
    #[schema(nullable = false, max_length = 100, pattern = "line")]
    source: Option<String>,
    /// Category that they follow.
    #[schema(nullable = false, max_length = 60, pattern = "line")]
    category: Option<String>,
    /// Time zone, as an IANA name.
    #[schema(nullable = false, max_length = 60, pattern = "line")]
    zone: Option<String>,
    /// True: they have a pause.
    #[schema(nullable = false)]
    paused: Option<bool>,
    /// Lower bound on refused mails.
    #[schema(nullable = false, minimum = 1, maximum = 1000)]
    bounced: Option<i64>,
    /// Lower bound on votes.
    #[schema(nullable = false, minimum = 1, maximum = 1000)]
    votes: Option<i64>,
    /// Day before which they gave a consent.
    #[schema(nullable = false, format = Date)]
    consent_before: Option<String>,
    /// An issue.
    #[schema(nullable = false, pattern = "slot")]
    issue: Option<String>,
    /// What became of it for them: any, not-got, or a state of a delivery.
    #[schema(nullable = false, max_length = 60, pattern = "line")]
    result: Option<String>,
}

/// Count of a segment.
#[derive(Debug, Serialize, ToSchema)]
struct SegmentCount {
    #[schema(value_type = i64, minimum = 0)]
    value: u64,
    /// False if there are more.
    exact: bool,
}

impl From<crate::storage::segments::Segment> for SegmentShape {
    fn from(segment: crate::storage::segments::Segment) -> Self {
        Self {
            filter: segment.filter.pairs().into_iter().collect(),
            slug: segment.slug,
            name: segment.name,
        }
    }
}

impl SegmentFilter {
    fn read(self) -> Result<SubscriberFilter, Problem> {
        let text = |text: &Option<String>| text.clone();
        let number = |number: Option<i64>| number.map(|number| number.to_string());
        let pairs = [
            ("search", text(&self.search)),
            ("state", self.state.map(|state| state.name().to_owned())),
            ("joined_from", text(&self.joined_from)),
            ("joined_until", text(&self.joined_until)),
            ("source", text(&self.source)),
            ("category", text(&self.category)),
            ("zone", text(&self.zone)),
            (
                "paused",
                (self.paused == Some(true)).then(|| "yes".to_owned()),
            ),
            ("bounced", number(self.bounced)),
            ("votes", number(self.votes)),
            ("consent_before", text(&self.consent_before)),
            ("issue", text(&self.issue)),
            ("result", text(&self.result)),
        ];
        let given = pairs
            .iter()
            .filter_map(|(key, value)| Some((*key, value.as_deref()?)));
        SubscriberFilter::of(given).map_err(|faults| {
            let fault = |fault: crate::domain::subscriber_filter::FilterFault| ProblemFault {
                pointer: format!("#/filter/{}", fault.key),
                code: "invalid",
                detail: fault.sentence,
            };
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            let words = "A condition cannot be read.";
            Problem::new(status, "Please correct this", words)
                .with_faults(faults.into_iter().map(fault).collect())
        })
    }
}

async fn list(
    State(web): State<Web>,
    Query(NoParameters {}): Query<NoParameters>,
    uri: Uri,
) -> Result<Response, Problem> {
    let segments = web.app.segments().await?;
    let rows = segments.into_iter().map(SegmentShape::from).collect();
    Ok(Page::whole(rows).answer(&uri))
}

async fn show(
    State(web): State<Web>,
    PathSegment(slug): PathSegment,
    Query(NoParameters {}): Query<NoParameters>,
) -> Result<Response, Problem> {
    answers::ok(&SegmentShape::from(web.app.segment(&slug).await?))
}

async fn put(
    State(web): State<Web>,
    Caller(bearer): Caller,
    PathSegment(slug): PathSegment,
    Query(NoParameters {}): Query<NoParameters>,
    Body(body): Body<SegmentBody>,
) -> Result<Response, Problem> {
    let slug = super::tools::slug(&slug)?;
    let filter = body.filter.read()?;
    let is_known = web.app.segment(slug.as_str()).await.is_ok();
    let segment = web
        .app
        .put_segment(&bearer.actor(), &slug, &body.name, &filter)
        .await?;
    let segment = SegmentShape::from(segment);
    match is_known {
        true => answers::ok(&segment),
        false => answers::created(&format!("/segments/{slug}"), &segment),
    }
}

async fn remove(
    State(web): State<Web>,
    Caller(bearer): Caller,
    PathSegment(slug): PathSegment,
    Query(NoParameters {}): Query<NoParameters>,
) -> Result<Response, Problem> {
    match web.app.remove_segment(&bearer.actor(), &slug).await? {
        true => Ok(answers::nothing()),
        false => Err(Failure::not_found("There is no such segment.").into()),
    }
}

async fn count(
    State(web): State<Web>,
    PathSegment(slug): PathSegment,
    Query(NoParameters {}): Query<NoParameters>,
) -> Result<Response, Problem> {
    let segment = web.app.segment(&slug).await?;
    let counted = web.app.count_page(&segment.filter).await?;
    answers::ok(&SegmentCount {
        value: counted.count,
        exact: !counted.is_cut,
    })
}
