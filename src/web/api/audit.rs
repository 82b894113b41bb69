//! The audit log.

use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use super::super::Web;
use super::super::answer::Problem;
use super::answers;
use super::answers::Page;
use super::extract::Query;
use super::extract::invalid_at;
use super::operation::Need;
use super::operation::Operation;
use crate::app::audit_log::AuditRequest;
use crate::domain::Timestamp;
use crate::domain::api_token::Scope;
use crate::storage::audit_log::AuditEntry;

/// Operations of this file.
pub fn operations() -> Vec<Operation> {
    vec![
        Operation::get("/audit", Need::Scope(Scope::AuditRead), list)
            .named("listAudit", "List the audit log, the newest first")
            .explained(
                "What users, tokens, commands, the schedule and the service did, in ids and codes.",
            )
            .asks::<AuditListQuery>()
            .pages::<AuditRowShape>("Rows."),
    ]
}

/// Conditions of the log.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AuditListQuery {
    /// Only this action, like digest.approved.
    #[schema(nullable = false, max_length = 60, pattern = "any_line")]
    what: Option<String>,
    /// Only what was done to this, like digest:2026-W49.
    #[schema(nullable = false, max_length = 300, pattern = "any_line")]
    subject: Option<String>,
    /// Only what this one did, like token:ID or cli.
    #[schema(nullable = false, max_length = 100, pattern = "any_line")]
    actor: Option<String>,
    /// Rows on a page.
    #[schema(nullable = false, minimum = 1, maximum = 200)]
    limit: Option<i64>,
    /// Place behind which the page begins.
    #[schema(nullable = false, max_length = 400)]
    after: Option<String>,
}

/// A row of the log.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditRow)]
struct AuditRowShape {
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// user, token, cli, schedule, inbound or system.
    actor_kind: String,
    actor: String,
    /// Network that the actor acted from.
    network: Option<String>,
    what: String,
    subject_kind: Option<String>,
    subject: Option<String>,
    /// Particulars: numbers and codes.
    #[schema(value_type = Object)]
    detail: serde_json::Value,
    /// Place in the chain; null until it is chained.
    seq: Option<i64>,
    /// Hash of the row before it and this one.
    hash: Option<String>,
}

impl From<&AuditEntry> for AuditRowShape {
    fn from(entry: &AuditEntry) -> Self {
        let AuditEntry { row, link } = entry;
        let detail: serde_json::Value = serde_json::from_str(&row.detail).unwrap_or_default();
        Self {
            at: row.at,
            actor_kind: row.actor_kind.clone(),
            actor: row.actor.clone(),
            network: row.network.clone(),
            what: row.what.clone(),
            subject_kind: row.subject_kind.clone(),
            subject: row.subject.clone(),
            detail: match detail.is_object() {
                true => detail,
                false => serde_json::json!({}),
            },
            seq: link.as_ref().map(|link| link.seq),
            hash: link.as_ref().map(|link| link.hash.clone()),
        }
    }
}

async fn list(
    State(web): State<Web>,
    Query(asked): Query<AuditListQuery>,
    uri: Uri,
) -> Result<Response, Problem> {
    let limit = answers::limit(asked.limit);
    let place = answers::place(asked.after.as_deref())?;
    let before = match place {
        Some(name) => Some(web.app.audit_named(&name).ok_or_else(answers::no_place)?),
        None => None,
    };
    let request = request(asked)?;
    let Some(request) = request else {
        // Something that the log does not know is in none of its rows.
        return Ok(Page::<AuditRowShape>::whole(Vec::new()).answer(&uri));
    };
    let entries = web
        .app
        .audit_log(&request, before, limit as i64 + 1)
        .await?;
    let page = Page::cut(
        entries,
        limit,
        |last| web.app.audit_name(last.row.id),
        |entry| AuditRowShape::from(&entry),
    );
    Ok(page.answer(&uri))
}

/// The request; `None` where it names something that no row can have.
fn request(asked: AuditListQuery) -> Result<Option<AuditRequest>, Problem> {
    let mut request = AuditRequest::default();
    if let Some(what) = asked.what {
        match what.parse() {
            Ok(what) => request.what = Some(what),
            Err(_) => return Ok(None),
        }
    }
    if let Some(actor) = asked.actor {
        match actor.parse() {
            Ok(actor) => request.actor = Some(actor),
            Err(_) => return Ok(None),
        }
    }
    if let Some(subject) = asked.subject {
        // An address would tell who is on the list, which another scope may.
        if subject.contains('@') {
            return Err(invalid_at(
                "?subject",
                "invalid",
                "Name a subscriber by id, as subscriber:ID.",
            ));
        }
        match subject.parse() {
            Ok(subject) => request.subject = Some(subject),
            Err(_) => return Ok(None),
        }
    }
    Ok(Some(request))
}
