//! The audit log: conditions in the address, a page at a time; its rows as lines of JSON.

use axum::body::Body;
use axum::extract::RawQuery;
use axum::extract::State;
use axum::http::header;
use axum::response::Html;
use axum::response::IntoResponse;
use axum::response::Redirect;
use axum::response::Response;
use futures_util::stream;

use super::super::Web;
use super::super::answer::Problem;
use super::access::Me;
use super::answers;
use super::answers::refusal;
use crate::app::audit_log::AuditActor;
use crate::app::audit_log::AuditRequest;
use crate::app::audit_log::AuditSubject;
use crate::app::audit_log::as_lines;
use crate::app::audit_log::fault_in_words;
use crate::app::users::Authors;
use crate::app::users::signing_in::SignedIn;
use crate::domain::actor::ActorKind;
use crate::domain::audit::AuditAction;
use crate::render::desk;
use crate::render::desk::AuditLine;
use crate::render::desk::AuditPageView;
use crate::storage::audit_log::AuditEntry;

pub(super) const AUDIT: &str = "/desk/audit";

/// Rows on a page.
const ROWS: usize = 50;
/// Rows that an export reads at a time.
const PIECE: i64 = 500;
/// Longest value of a particular that is shown, in characters.
const SHOWN_MAX: usize = 160;

/// Conditions as the address has them.
#[derive(Default)]
struct AuditQuery {
    asked: AuditRequest,
    subject: String,
    problem: Option<String>,
    before: Option<i64>,
    has_empty: bool,
}

impl AuditQuery {
    fn read(web: &Web, query: Option<&str>) -> Self {
        let mut given = Self::default();
        for (key, value) in url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            let value = value.trim();
            match key.as_ref() {
                _ if value.is_empty() => given.has_empty = true,
                "what" => given.asked.what = value.parse().ok(),
                "actor" => given.asked.actor = value.parse().ok(),
                "subject" => {
                    given.subject = value.replace('\0', "");
                    match given.subject.parse::<AuditSubject>() {
                        Ok(subject) => given.asked.subject = Some(subject),
                        Err(error) => given.problem = Some(format!("{error}.")),
                    }
                }
                "before" => given.before = web.app.audit_named(value),
                _ => {}
            }
        }
        given
    }

    fn path(&self, place: &str, before: Option<String>) -> String {
        let what = self.asked.what.map(|what| what.to_string());
        let actor = self.asked.actor.as_ref().map(ToString::to_string);
        let subject = Some(self.subject.clone()).filter(|text| !text.is_empty());
        let pairs = [
            ("actor", actor),
            ("what", what),
            ("subject", subject),
            ("before", before),
        ];
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        for (key, value) in pairs {
            if let Some(value) = value {
                query.append_pair(key, &value);
            }
        }
        match query.finish() {
            query if query.is_empty() => place.to_owned(),
            query => format!("{place}?{query}"),
        }
    }
}

pub(super) async fn list(
    State(web): State<Web>,
    Me(who): Me,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let mut given = AuditQuery::read(&web, query.as_deref());
    if given.has_empty {
        let before = given.before.map(|row| web.app.audit_name(row));
        return Ok(Redirect::to(&given.path(AUDIT, before)).into_response());
    }
    let mut entries = Vec::new();
    if given.problem.is_none() {
        let count = ROWS as i64 + 1;
        match web.app.audit_log(&given.asked, given.before, count).await {
            Ok(found) => entries = found,
            Err(failure) => given.problem = Some(refusal(failure)?),
        }
    }
    let is_refused = given.problem.is_some();
    let page = page(&web, &who, given, entries).await?;
    match is_refused {
        true => Ok(answers::refused(page)),
        false => Ok(Html(page).into_response()),
    }
}

async fn page(
    web: &Web,
    who: &SignedIn,
    given: AuditQuery,
    mut entries: Vec<AuditEntry>,
) -> Result<String, Problem> {
    let has_more = entries.len() > ROWS;
    entries.truncate(ROWS);
    let authors = web.app.authors().await?;
    let chain = web.app.storage.chain_state().await?;
    let next = entries.last().filter(|_| has_more);
    let next = next.map(|last| web.app.audit_name(last.row.id));
    let view = AuditPageView {
        rows: entries
            .iter()
            .map(|entry| line(web, &authors, entry))
            .collect(),
        actions: AuditAction::ALL
            .iter()
            .map(|action| (action.as_str(), given.asked.what == Some(*action)))
            .collect(),
        actors: actors(web, &given.asked).await?,
        chain: format!(
            "Chained: {}, each row by its hash to the one before it. Waiting for the next minute: {}.",
            desk::grouped(chain.chained),
            desk::grouped(chain.waiting)
        ),
        first_page: given.before.is_some().then(|| given.path(AUDIT, None)),
        next_page: next.map(|next| given.path(AUDIT, Some(next))),
        export: given.path("/desk/audit/export", None),
        subject: given.subject,
        problem: given.problem,
    };
    let frame = answers::frame(web, who, "Audit log", AUDIT);
    Ok(desk::audit(frame, view)?)
}

/// Users, and the kinds of which there is one.
async fn actors(web: &Web, asked: &AuditRequest) -> Result<Vec<(String, String, bool)>, Problem> {
    let users = web.app.storage.users().await?.into_iter();
    let users = users.map(|user| (format!("user:{}", web.app.user_name(user.id)), user.name));
    let alone = [ActorKind::Cli, ActorKind::Schedule, ActorKind::System];
    let alone = alone.map(|kind| (format!("{kind}:{kind}"), words_of(kind).to_owned()));
    let chosen = asked.actor.as_ref().map(ToString::to_string);
    let mut all: Vec<(String, String, bool)> = users
        .chain(alone)
        .map(|(value, words)| {
            let is_chosen = chosen.as_ref() == Some(&value);
            (value, words, is_chosen)
        })
        .collect();
    // A token, or a user who is gone: what holds must be seen.
    if let Some(chosen) = chosen
        && !all.iter().any(|(.., is_chosen)| *is_chosen)
    {
        all.push((chosen.clone(), chosen, true));
    }
    Ok(all)
}

fn words_of(kind: ActorKind) -> &'static str {
    match kind {
        ActorKind::Cli => "the command line",
        ActorKind::Schedule => "the schedule",
        ActorKind::System => "the program itself",
        ActorKind::Reader => "a reader",
        ActorKind::User => "a user",
        ActorKind::Token => "a token",
        ActorKind::Inbound => "mail that came back",
    }
}

fn line(web: &Web, authors: &Authors, entry: &AuditEntry) -> AuditLine {
    let row = &entry.row;
    let key = format!("{}:{}", row.actor_kind, row.actor);
    let kind: Option<ActorKind> = row.actor_kind.parse().ok();
    let actor = match kind {
        Some(ActorKind::User) => authors.name(&key).to_string(),
        Some(kind) if row.actor == row.actor_kind => words_of(kind).to_owned(),
        _ => key.clone(),
    };
    let only = |asked: AuditRequest, subject: String| {
        let given = AuditQuery {
            asked,
            subject,
            ..AuditQuery::default()
        };
        given.path(AUDIT, None)
    };
    let asked = AuditRequest {
        actor: key.parse::<AuditActor>().ok(),
        ..AuditRequest::default()
    };
    let subject = row.subject_kind.as_ref().zip(row.subject.as_ref());
    let subject = subject.map(|(kind, name)| {
        let text = format!("{kind}:{name}");
        let words = match kind.as_str() {
            "user" => format!("user: {}", authors.name(&text)),
            _ => text.clone(),
        };
        (words, only(AuditRequest::default(), text))
    });
    AuditLine {
        at: answers::format_time(web, row.at),
        actor,
        actor_href: only(asked, String::new()),
        network: row.network.clone().unwrap_or_default(),
        what: row.what.clone(),
        subject,
        detail: detail(&row.detail),
        seq: entry.link.as_ref().map(|link| link.seq),
    }
}

/// Particulars as names and values: a change of one field as "before → after", everything else as it is.
fn detail(text: &str) -> Vec<(String, String)> {
    let Ok(serde_json::Value::Object(mut members)) = serde_json::from_str(text) else {
        return Vec::new();
    };
    // The fields of one entry stand by themselves.
    if let Some(serde_json::Value::Object(fields)) = members.remove("fields") {
        members.extend(fields);
    }
    let mut all = Vec::new();
    for (name, value) in members {
        let words = match &value {
            serde_json::Value::Null => continue,
            serde_json::Value::String(text) => text.clone(),
            serde_json::Value::Array(pair)
                if pair.len() == 2 && pair.iter().all(|v| v.is_string()) =>
            {
                let text = |at: usize| match pair[at].as_str().unwrap_or_default() {
                    "" => "(empty)",
                    text => text,
                };
                format!("{} → {}", text(0), text(1))
            }
            other => other.to_string(),
        };
        let shown: String = words.chars().take(SHOWN_MAX).collect();
        let cut = if shown.len() < words.len() { "…" } else { "" };
        all.push((name, format!("{shown}{cut}")));
    }
    all
}

/// Checks the whole chain.
pub(super) async fn verify(State(web): State<Web>, Me(who): Me) -> Result<Response, Problem> {
    let check = web.app.check_audit().await?;
    let said = match check.fault {
        None => format!(
            "The audit log is whole: {} rows hold.",
            desk::grouped(check.rows)
        ),
        Some(fault) => format!(
            "The chain is broken: {}. The {} rows before it hold.",
            fault_in_words(fault),
            desk::grouped(check.rows)
        ),
    };
    answers::done(&web, &who, &said, AUDIT).await
}

/// The rows as lines of JSON, some at a time: a log of any length in little memory.
pub(super) async fn export(
    State(web): State<Web>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let given = AuditQuery::read(&web, query.as_deref());
    if let Some(problem) = given.problem {
        return Err(Problem::new(
            axum::http::StatusCode::UNPROCESSABLE_ENTITY,
            "Not understood",
            problem,
        ));
    }
    let (app, asked) = (web.app.clone(), given.asked);
    let pieces = stream::try_unfold(Some(None), move |place: Option<Option<i64>>| {
        let (app, asked) = (app.clone(), asked.clone());
        async move {
            let Some(before) = place else { return Ok(None) };
            let entries = app.audit_log(&asked, before, PIECE).await;
            let entries = entries.map_err(std::io::Error::other)?;
            let next = entries.last().map(|last| Some(last.row.id));
            let is_empty = entries.is_empty();
            Ok::<_, std::io::Error>((!is_empty).then(|| (as_lines(&entries), next)))
        }
    });
    let headers = [
        (header::CONTENT_TYPE, "application/jsonl"),
        (
            header::CONTENT_DISPOSITION,
            "attachment; filename=\"audit.jsonl\"",
        ),
    ];
    Ok((headers, Body::from_stream(pieces)).into_response())
}
