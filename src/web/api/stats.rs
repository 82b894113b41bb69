//! Growth of the list, and what comes back.

use axum::extract::State;
use axum::response::Response;
use chrono::NaiveDate;
use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use super::super::Web;
use super::super::answer::Problem;
use super::answers;
use super::extract::Query;
use super::operation::Need;
use super::operation::Operation;
use super::patterns;
use crate::app::deliverability::ReturnedCount;
use crate::app::deliverability::ReturnedSend;
use crate::app::growth::GrowthChange;
use crate::app::growth::GrowthSpan;
use crate::domain::api_token::Scope;

/// Operations of this file.
pub fn operations() -> Vec<Operation> {
    let read = Need::Scope(Scope::StatsRead);
    vec![
        Operation::get("/stats/growth", read, growth)
            .named("getGrowth", "Show who joined and who left, by day or week")
            .explained("With source: the changes of that source alone, of the whole span.")
            .asks::<GrowthQuery>()
            .answers::<Growth>(200, "Changes, the oldest first."),
        Operation::get("/stats/deliverability", read, deliverability)
            .named(
                "getDeliverability",
                "Show what mail servers refused, by domain or reason",
            )
            .asks::<DeliverabilityQuery>()
            .answers::<Deliverability>(
                200,
                "Refusals of an issue, and complaints of the last issues.",
            ),
    ]
}

/// Span of growth.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct GrowthQuery {
    /// First day; not given: 90 days ago.
    #[schema(nullable = false, format = Date)]
    from: Option<String>,
    /// Last day; not given: today.
    #[schema(nullable = false, format = Date)]
    to: Option<String>,
    /// Not given: day.
    #[schema(nullable = false)]
    by: Option<GrowthStepName>,
    /// Source of subscriptions, as consents name it.
    #[schema(nullable = false, max_length = 100, pattern = "any_line")]
    source: Option<String>,
}

/// Length of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum GrowthStepName {
    Day,
    Week,
}

/// Growth of the list.
#[derive(Debug, Serialize, ToSchema)]
struct Growth {
    /// False as long as histories of before growth was counted are being read.
    complete: bool,
    /// Readers on the list now.
    #[schema(minimum = 0)]
    active: i64,
    /// Share of those who asked to join that confirmed, of 1.
    confirmation_rate: Option<f64>,
    /// Half of those who confirmed took no longer.
    median_seconds_to_confirm: Option<i64>,
    steps: Vec<GrowthStepShape>,
    sources: Vec<GrowthSourceShape>,
}

/// Changes of a day or a week.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = GrowthStep)]
struct GrowthStepShape {
    /// The day, or the Monday of the week.
    #[schema(value_type = String, format = Date)]
    from: NaiveDate,
    /// Readers on the list at its end.
    active: i64,
    change: GrowthCountsShape,
}

/// Changes of one source's readers.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = GrowthSource)]
struct GrowthSourceShape {
    source: String,
    change: GrowthCountsShape,
}

/// Changes of the list.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Changes)]
struct GrowthCountsShape {
    joined: i64,
    confirmed: i64,
    imported: i64,
    left_by_link: i64,
    left_by_mail: i64,
    left_by_operator: i64,
    bounced: i64,
    complained: i64,
    erased: i64,
}

impl From<GrowthChange> for GrowthCountsShape {
    fn from(change: GrowthChange) -> Self {
        Self {
            joined: change.joined,
            confirmed: change.confirmed,
            imported: change.imported,
            left_by_link: change.left_by_link,
            left_by_mail: change.left_by_mail,
            left_by_operator: change.left_by_operator,
            bounced: change.bounced,
            complained: change.complained,
            erased: change.erased,
        }
    }
}

/// What is asked of deliverability.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct DeliverabilityQuery {
    /// Not given: domain.
    #[schema(nullable = false)]
    by: Option<RefusalGrouping>,
    /// Week of the issue; not given: the newest that was sent.
    #[schema(nullable = false, pattern = "slot")]
    issue: Option<String>,
}

/// What refusals are counted by.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = RefusalGroup)]
enum RefusalGrouping {
    Domain,
    Reason,
}

/// What came back.
#[derive(Debug, Serialize, ToSchema)]
struct Deliverability {
    /// Week of the issue; null where none was sent.
    issue: Option<String>,
    /// Refusals, the most frequent first.
    refusals: Vec<RefusalCount>,
    /// The last issues, the newest first.
    issues: Vec<IssueComplaints>,
}

/// Refusals of one domain, or for one reason.
#[derive(Debug, Serialize, ToSchema)]
struct RefusalCount {
    name: String,
    #[schema(value_type = i64, minimum = 0)]
    count: u64,
    /// One of the replies, without addresses.
    example: String,
}

/// Complaints about an issue.
#[derive(Debug, Serialize, ToSchema)]
struct IssueComplaints {
    slot: String,
    #[schema(value_type = i64, minimum = 0)]
    sent: u64,
    #[schema(value_type = i64, minimum = 0)]
    complaints: u64,
}

async fn growth(
    State(web): State<Web>,
    Query(asked): Query<GrowthQuery>,
) -> Result<Response, Problem> {
    let today = web
        .app
        .now()
        .with_timezone(&web.app.site.timezone)
        .date_naive();
    let day = |text: &Option<String>| text.as_deref().and_then(patterns::date);
    let from = day(&asked.from);
    let to = day(&asked.to).unwrap_or(NaiveDate::MAX);
    let span = GrowthSpan {
        days: from.map_or_else(
            || GrowthSpan::default().days,
            |from| (today - from).num_days() + 1,
        ),
        by_week: asked.by == Some(GrowthStepName::Week),
    };
    let report = web.app.growth(span).await?;
    let is_within = |step: &&crate::app::growth::GrowthStep| {
        step.from <= to && from.is_none_or(|from| span.by_week || step.from >= from)
    };
    let of_source = |known: &&crate::app::growth::GrowthSource| {
        asked
            .source
            .as_ref()
            .is_none_or(|source| known.source == *source)
    };
    let steps = report.steps.iter().filter(is_within);
    let sources = report.sources.iter().filter(of_source);
    answers::ok(&Growth {
        complete: report.is_complete,
        active: report.active.max(0),
        confirmation_rate: report.confirmation_rate,
        median_seconds_to_confirm: report.median_seconds_to_confirm,
        steps: match asked.source {
            Some(_) => Vec::new(),
            None => steps
                .map(|step| GrowthStepShape {
                    from: step.from,
                    active: step.active,
                    change: step.change.into(),
                })
                .collect(),
        },
        sources: sources
            .map(|known| GrowthSourceShape {
                source: known.source.clone(),
                change: known.change.into(),
            })
            .collect(),
    })
}

fn grouped(counts: Vec<ReturnedCount>, by: RefusalGrouping) -> Vec<RefusalCount> {
    let mut groups: Vec<RefusalCount> = Vec::new();
    for count in counts {
        let name = match by {
            RefusalGrouping::Domain => count.domain,
            RefusalGrouping::Reason => count.reason.to_string(),
        };
        match groups.iter_mut().find(|group| group.name == name) {
            Some(group) => group.count += count.count,
            None => groups.push(RefusalCount {
                name,
                count: count.count,
                example: count.example,
            }),
        }
    }
    groups.sort_by_key(|group| std::cmp::Reverse(group.count));
    groups
}

async fn deliverability(
    State(web): State<Web>,
    Query(asked): Query<DeliverabilityQuery>,
) -> Result<Response, Problem> {
    let figures = web.app.newest_issues().await?;
    let newest = figures.first().map(|issue| issue.slot);
    let issue = asked.issue.and_then(|slot| slot.parse().ok()).or(newest);
    let refusals = match issue {
        Some(slot) => web.app.returned_counts(ReturnedSend::Issue(slot)).await?,
        None => Vec::new(),
    };
    answers::ok(&Deliverability {
        issue: issue.map(|slot| slot.to_string()),
        refusals: grouped(refusals, asked.by.unwrap_or(RefusalGrouping::Domain)),
        issues: figures
            .iter()
            .map(|issue| IssueComplaints {
                slot: issue.slot.to_string(),
                sent: issue.deliveries.sent,
                complaints: issue.reactions.complained,
            })
            .collect(),
    })
}
