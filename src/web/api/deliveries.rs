//! The ledger of a digest: its deliveries one by one.

use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use super::super::Web;
use super::super::answer::Problem;
use super::super::guard::PathSegment;
use super::access::Caller;
use super::answers;
use super::answers::Page;
use super::digests::known;
use super::extract::Query;
use super::jobs;
use super::operation::Need;
use super::operation::Operation;
use crate::domain::Timestamp;
use crate::domain::api_token::Scope;
use crate::storage::failed_deliveries::LedgerRow;

/// Rows of a ledger that are read at once,
const READ: i64 = 500;
/// and that one page looks at when a condition is rare.
const LOOKED_MAX: usize = 10_000;

/// Operations of this file.
pub fn operations() -> Vec<Operation> {
    vec![
        Operation::get(
            "/digests/{slot}/deliveries",
            Need::Scope(Scope::DigestsRead),
            deliveries,
        )
        .named("listDeliveries", "List the deliveries of a digest: the ledger")
        .explained("Addresses are there with the scope subscribers:read alone. A page may hold fewer entries than asked for, and still have a next one.")
        .asks::<LedgerQuery>()
        .pages::<Delivery>("Deliveries."),
    ]
}

/// Conditions of the ledger.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct LedgerQuery {
    #[schema(nullable = false)]
    state: Option<DeliveryStateName>,
    /// Domain of the recipient; needs the scope subscribers:read too.
    #[schema(nullable = false, max_length = 253, pattern = "any_line")]
    domain: Option<String>,
    /// Deliveries on a page.
    #[schema(nullable = false, minimum = 1, maximum = 200)]
    limit: Option<i64>,
    /// Place behind which the page begins.
    #[schema(nullable = false, max_length = 400)]
    after: Option<String>,
}

/// State of a delivery.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum DeliveryStateName {
    Queued,
    Sending,
    Sent,
    Failed,
    Uncertain,
    Skipped,
}

impl DeliveryStateName {
    fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Sending => "sending",
            Self::Sent => "sent",
            Self::Failed => "failed",
            Self::Uncertain => "uncertain",
            Self::Skipped => "skipped",
        }
    }
}

/// A delivery.
#[derive(Debug, Serialize, ToSchema)]
struct Delivery {
    /// Id of the subscriber.
    subscriber: String,
    /// Their address; null without the scope subscribers:read, and once they are erased.
    email: Option<String>,
    state: String,
    /// Reason why it was skipped.
    skip_reason: Option<String>,
    #[schema(minimum = 0)]
    attempts: i64,
    #[schema(value_type = String, format = DateTime)]
    queued_at: Timestamp,
    /// Start of the last attempt.
    #[schema(value_type = Option<String>, format = DateTime)]
    started_at: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    finished_at: Option<Timestamp>,
    relay: Option<String>,
    /// The mail server's reply, which may name the address: null without the scope subscribers:read.
    reply: Option<String>,
}

async fn deliveries(
    State(web): State<Web>,
    Caller(bearer): Caller,
    PathSegment(name): PathSegment,
    Query(asked): Query<LedgerQuery>,
    uri: Uri,
) -> Result<Response, Problem> {
    let digest = known(&web, &name).await?;
    let shows_addresses = bearer.may(Scope::SubscribersRead);
    if asked.domain.is_some() {
        jobs::demand(&bearer, Scope::SubscribersRead)?;
    }
    let domain = asked
        .domain
        .map(|domain| format!("@{}", domain.to_lowercase()));
    let fits = |row: &LedgerRow| {
        asked.state.is_none_or(|state| row.state == state.name())
            && domain.as_ref().is_none_or(|domain| {
                let email = row.email.as_ref();
                email.is_some_and(|email| email.to_lowercase().ends_with(domain))
            })
    };
    let limit = answers::limit(asked.limit);
    let mut after = match answers::place(asked.after.as_deref())? {
        Some(name) => web
            .app
            .subscriber_named(&name)
            .ok_or_else(answers::no_place)?,
        None => i64::MIN,
    };
    let (mut rows, mut looked, mut has_more) = (Vec::new(), 0, true);
    'pages: while has_more && looked < LOOKED_MAX {
        let read = web
            .app
            .storage
            .ledger_rows(digest.slot, after, READ)
            .await?;
        has_more = read.len() as i64 == READ;
        for row in read {
            if rows.len() == limit {
                has_more = true;
                break 'pages;
            }
            (after, looked) = (row.subscriber, looked + 1);
            if fits(&row) {
                rows.push(delivery(&web, row, shows_addresses));
            }
        }
    }
    Ok(Page {
        rows,
        next: has_more.then(|| web.app.subscriber_name(after)),
        count: None,
    }
    .answer(&uri))
}

fn delivery(web: &Web, row: LedgerRow, shows_addresses: bool) -> Delivery {
    Delivery {
        subscriber: web.app.subscriber_name(row.subscriber),
        email: row.email.filter(|_| shows_addresses),
        state: row.state,
        skip_reason: row.skip_reason,
        attempts: row.attempts,
        queued_at: row.queued_at,
        started_at: row.started_at,
        finished_at: row.finished_at,
        relay: row.relay,
        reply: row.reply.filter(|_| shows_addresses),
    }
}
