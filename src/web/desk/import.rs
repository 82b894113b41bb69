//! Importing in steps: a file, its columns and first rows, a trial, the import.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::RawQuery;
use axum::extract::Request;
use axum::extract::State;
use axum::response::Html;
use axum::response::IntoResponse;
use axum::response::Redirect;
use axum::response::Response;

use super::super::Web;
use super::super::answer::Page;
use super::super::answer::Problem;
use super::super::choices::FormFields;
use super::super::guard::PathSegment;
use super::access::Me;
use super::answers;
use super::jobs;
use super::subscribers::HERE;
use super::uploads;
use crate::app::jobs::Upload;
use crate::app::subscribing::columns::Mapping;
use crate::app::subscribing::list::ImportTerms;
use crate::app::subscribing::preview::ImportPreview;
use crate::app::subscribing::preview::preview;
use crate::app::users::signing_in::SignedIn;
use crate::render::desk;
use crate::render::desk::ColumnView;
use crate::render::desk::ImportView;

/// Longest sentence of consent, in characters.
const CONSENT_MAX: usize = 500;
/// Columns that can be mapped by hand.
const COLUMNS_MAX: usize = 200;

fn upload_page(web: &Web, who: &SignedIn, problem: Option<String>) -> Result<String, Problem> {
    let largest = web.app.settings.desk.largest_upload.to_string();
    let frame = answers::frame(web, who, "Import subscribers", HERE);
    Ok(desk::upload(frame, &largest, problem)?)
}

pub(super) async fn look(State(web): State<Web>, Me(who): Me) -> Page {
    Ok(Html(upload_page(&web, &who, None)?))
}

pub(super) async fn upload(
    State(web): State<Web>,
    Me(who): Me,
    request: Request,
) -> Result<Response, Problem> {
    match uploads::keep(&web, request).await? {
        Ok(key) => Ok(Redirect::to(&format!("{HERE}/import/{key}")).into_response()),
        Err(words) => Ok(answers::refused(upload_page(&web, &who, Some(words))?)),
    }
}

/// A file that came and is still kept.
pub(super) fn known(web: &Web, key: &str) -> Result<Arc<Upload>, Problem> {
    web.app.upload(key).ok_or_else(|| {
        let sentence = "That file is kept no more: it is for an hour, and only by the process that got it. Choose it again.";
        Problem::new(axum::http::StatusCode::GONE, "The file is gone", sentence)
    })
}

/// Mapping of the columns: `c3=email` of the third, `c3=-` leaves it out.
fn mapping_of<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Result<Mapping, String> {
    let mut mapping = Mapping::default();
    for (key, value) in pairs {
        let number = key.strip_prefix('c').and_then(|n| n.parse::<usize>().ok());
        let Some(number) = number.filter(|n| (1..=COLUMNS_MAX).contains(n)) else {
            continue;
        };
        match value {
            "" => {}
            "-" => mapping.ignored.push(number.to_string()),
            field => mapping.assigned.push(format!("{field}={number}").parse()?),
        }
    }
    Ok(mapping)
}

async fn preview_of(upload: Arc<Upload>, mapping: Mapping) -> Result<ImportPreview, String> {
    let read = move || {
        let open = || upload.open().map_err(|failure| failure.to_string());
        preview(open, &mapping)
    };
    let done = tokio::task::spawn_blocking(read).await;
    done.unwrap_or_else(|error| Err(error.to_string()))
}

/// Input of the page of a file.
#[derive(Default)]
struct Typed<'a> {
    consent: &'a str,
    is_confirmed: bool,
    problem: Option<String>,
}

async fn columns_page(
    web: &Web,
    who: &SignedIn,
    key: &str,
    pairs: &[(String, String)],
    typed: Typed<'_>,
) -> Result<String, Problem> {
    let upload = known(web, key)?;
    let texts = || {
        pairs
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
    };
    let (mapping, bad_mapping) = match mapping_of(texts()) {
        Ok(mapping) => (mapping, None),
        Err(error) => (Mapping::default(), Some(error)),
    };
    let name = upload.name.clone();
    let preview = match preview_of(upload, mapping).await {
        Ok(preview) => preview,
        Err(error) => {
            return upload_page(
                web,
                who,
                Some(format!("The file cannot be imported: {error}.")),
            );
        }
    };
    let said = |at: usize| {
        let wanted = format!("c{}", at + 1);
        let found = texts().find(|(key, _)| *key == wanted);
        found.map(|(_, value)| value.to_owned()).unwrap_or_default()
    };
    let columns = preview
        .columns
        .iter()
        .enumerate()
        .map(|(at, column)| ColumnView {
            key: format!("c{}", at + 1),
            name: column.name.clone(),
            field: column.field.unwrap_or("not read"),
            said: said(at),
        });
    let view = ImportView {
        path: format!("{HERE}/import/{key}"),
        file: name,
        service: preview.service,
        is_ready: preview.problem.is_none() && bad_mapping.is_none(),
        columns_problem: bad_mapping.or(preview.problem),
        columns: columns.collect(),
        rows: preview.rows,
        consent: typed.consent.to_owned(),
        is_confirmed: typed.is_confirmed,
        problem: typed.problem,
    };
    let frame = answers::frame(web, who, "Import subscribers", HERE);
    Ok(desk::import(frame, view)?)
}

pub(super) async fn look_at_columns(
    State(web): State<Web>,
    Me(who): Me,
    PathSegment(key): PathSegment,
    RawQuery(query): RawQuery,
) -> Page {
    let pairs: Vec<(String, String)> =
        url::form_urlencoded::parse(query.unwrap_or_default().as_bytes())
            .into_owned()
            .collect();
    Ok(Html(
        columns_page(&web, &who, &key, &pairs, Typed::default()).await?,
    ))
}

/// Starts the trial or the import, as the button says.
pub(super) async fn start(
    State(web): State<Web>,
    Me(who): Me,
    PathSegment(key): PathSegment,
    FormFields(fields): FormFields<HashMap<String, String>>,
) -> Result<Response, Problem> {
    let upload = known(&web, &key)?;
    let text = |name: &str| fields.get(name).map_or("", |value| value.trim());
    let is_confirmed = text("confirmed") == "yes";
    let dry_run = text("what") != "import";
    let pairs: Vec<(String, String)> = fields
        .iter()
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    let consent = text("consent");
    let refused = async |problem: String| -> Result<Response, Problem> {
        let typed = Typed {
            consent,
            is_confirmed,
            problem: Some(problem),
        };
        Ok(answers::refused(
            columns_page(&web, &who, &key, &pairs, typed).await?,
        ))
    };
    if (consent.is_empty() && !dry_run) || consent.chars().count() > CONSENT_MAX {
        return refused(format!("Say in 1 to {CONSENT_MAX} characters what these people agreed to: it is kept with each of them.")).await;
    }
    let mapping = match mapping_of(
        pairs
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str())),
    ) {
        Ok(mapping) => mapping,
        Err(error) => return refused(error).await,
    };
    let terms = ImportTerms {
        consent,
        confirmed: is_confirmed,
        dry_run,
    };
    match web
        .app
        .start_import(&web.app.actor_of(&who), upload, mapping, terms)
        .await
    {
        Ok(id) => Ok(jobs::to_job(&web, id)),
        Err(failure) => refused(answers::refusal(failure)?).await,
    }
}
