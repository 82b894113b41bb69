//! Imports and exports of subscribers: jobs, with the files that they take and make.

use axum::body::Body;
use axum::extract::FromRequest;
use axum::extract::Multipart;
use axum::extract::Request;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use axum::response::Response;
use futures_util::StreamExt;
use serde::Deserialize;
use utoipa::ToSchema;

use super::super::Web;
use super::super::answer::Problem;
use super::super::guard::PathSegment;
use super::access::Caller;
use super::answers;
use super::extract;
use super::extract::JsonBody;
use super::extract::NoParameters;
use super::extract::Query;
use super::jobs;
use super::jobs::JobShape;
use super::operation::Need;
use super::operation::Operation;
use super::subscriber_shapes::SubscriberState;
use crate::app::Failure;
use crate::app::export::ExportFormat;
use crate::app::jobs::UploadDraft;
use crate::app::subscribing::columns::Mapping;
use crate::app::subscribing::list::ImportTerms;
use crate::domain::api_token::Scope;
use crate::domain::job::JobKind;
use crate::domain::subscriber_filter::SubscriberFilter;

/// Media types of what is imported.
const TYPES: [&str; 3] = ["multipart/form-data", "text/csv", "application/json"];
/// Largest form around a file, in bytes.
const FORM: usize = 4 << 10;
/// Largest file that the API takes, whatever the settings allow at the desk.
const LARGEST: usize = (1 << 30) + FORM;

/// Operations of this file.
pub fn operations() -> Vec<Operation> {
    let import = Need::Scope(Scope::SubscribersImport);
    let export = Need::Scope(Scope::SubscribersExport);
    vec![
        Operation::post("/subscribers/imports", Scope::SubscribersImport, start_import)
            .named("importSubscribers", "Import a file of subscribers")
            .explained(
                "CSV with a header, as the body or as the file of a form, or a list in JSON. The columns of other services' exports are known by \
                 their headers. Somebody who left or is on the suppression list stays so.",
            )
            .asks::<SubscriberImportQuery>()
            .takes_raw_or::<ImportRows>(&TYPES, LARGEST)
            .starts_job()
            .problems(&[409]),
        Operation::get("/subscribers/imports/{job}", import, show_import)
            .named("getImport", "Show an import")
            .asks::<NoParameters>()
            .answers::<JobShape>(200, "The job; result has the counts, which add up."),
        Operation::get("/subscribers/imports/{job}/refused.csv", import, refused)
            .named("getRefusedRows", "Read the rows that an import refused, each with its reason")
            .asks::<NoParameters>()
            .answers_raw("text/csv; charset=utf-8", "The rows, kept for an hour."),
        Operation::post("/subscribers/exports", Scope::SubscribersExport, start_export)
            .named("exportSubscribers", "Export subscribers into a file")
            .asks::<NoParameters>()
            .takes::<ExportBody>()
            .starts_job()
            .problems(&[404, 409]),
        Operation::get("/subscribers/exports/{job}", export, show_export)
            .named("getExport", "Show an export")
            .asks::<NoParameters>()
            .answers::<JobShape>(200, "The job; file has the address of the file."),
        Operation::get("/subscribers/exports/{job}/file", export, file)
            .named("getExportFile", "Read the file of an export")
            .asks::<NoParameters>()
            .answers_raw("text/csv; charset=utf-8", "The file, kept for an hour.")
            .answers_raw("application/jsonl", "The file, kept for an hour."),
    ]
}

/// How a file is imported.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SubscriberImportQuery {
    /// What the people in the file agreed to, in your words.
    #[schema(max_length = 500, pattern = "line")]
    consent: String,
    /// True: they confirmed elsewhere. Otherwise each gets a confirmation mail.
    #[schema(nullable = false)]
    confirmed: Option<bool>,
    /// Only count, and change nothing.
    #[schema(nullable = false)]
    dry_run: Option<bool>,
}

/// People who are imported.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ImportRows {
    #[schema(min_items = 1, max_items = 1000)]
    subscribers: Vec<ImportedPerson>,
}

/// Somebody who is imported.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ImportedPerson {
    #[schema(max_length = 254, pattern = "any_line")]
    email: String,
    #[schema(max_length = 100, pattern = "any_line")]
    name: Option<String>,
    #[schema(max_length = 100, pattern = "any_line")]
    source: Option<String>,
    /// When they confirmed elsewhere.
    #[schema(format = DateTime)]
    confirmed_at: Option<String>,
    /// True if they left.
    #[schema(nullable = false)]
    left: Option<bool>,
}

/// What is exported.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ExportBody {
    /// Not given: csv.
    #[schema(nullable = false)]
    format: Option<ExportFormatName>,
    /// Only subscribers in that state.
    #[schema(nullable = false)]
    state: Option<SubscriberState>,
    /// Slug of a saved filter.
    #[schema(nullable = false, max_length = 200, pattern = "any_line")]
    segment: Option<String>,
}

/// Form of a file.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum ExportFormatName {
    Csv,
    Json,
}

/// Writes a body into a file as it comes: what is in memory does not grow with it.
async fn spool(web: &Web, body: Body, draft: &mut UploadDraft) -> Result<(), Problem> {
    let largest = web.app.settings.desk.largest_upload.0;
    let (mut stream, mut length) = (body.into_data_stream(), 0);
    while let Some(piece) = stream.next().await {
        let piece = piece.map_err(|_| incomplete())?;
        length += piece.len() as u64;
        if length > largest {
            return Err(too_large(web));
        }
        draft.write(&piece)?;
    }
    Ok(())
}

fn incomplete() -> Problem {
    let status = axum::http::StatusCode::BAD_REQUEST;
    Problem::new(status, "Not understood", "The file did not come whole.")
}

fn too_large(web: &Web) -> Problem {
    let largest = &web.app.settings.desk.largest_upload;
    let words = format!("The file is larger than {largest} (desk.largest_upload).");
    let status = axum::http::StatusCode::PAYLOAD_TOO_LARGE;
    Problem::new(status, "Too large", words)
}

/// The file of a form, named `file`.
async fn spool_form(web: &Web, request: Request, draft: &mut UploadDraft) -> Result<(), Problem> {
    let largest = web.app.settings.desk.largest_upload.0;
    let form = Multipart::from_request(request, web).await;
    let mut form = form.map_err(|_| incomplete())?;
    let mut length = 0;
    loop {
        let mut field = match form.next_field().await {
            Ok(Some(field)) if field.name() == Some("file") => field,
            Ok(Some(_)) => continue,
            Ok(None) => return Ok(()),
            Err(_) => return Err(incomplete()),
        };
        while let Some(piece) = field.chunk().await.map_err(|_| incomplete())? {
            length += piece.len() as u64;
            if length > largest {
                return Err(too_large(web));
            }
            draft.write(&piece)?;
        }
    }
}

/// The same people as CSV.
fn as_csv(rows: &ImportRows) -> Result<Vec<u8>, Failure> {
    let unwritten = |error: csv::Error| Failure::internal(error.to_string());
    let mut csv = csv::Writer::from_writer(Vec::new());
    let header = ["email", "name", "source", "confirmed_at", "left"];
    csv.write_record(header).map_err(unwritten)?;
    for person in &rows.subscribers {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let left = if person.left == Some(true) {
            "true"
        } else {
            ""
        };
        let row = [
            person.email.clone(),
            text(&person.name),
            text(&person.source),
            text(&person.confirmed_at),
            left.to_owned(),
        ];
        csv.write_record(row).map_err(unwritten)?;
    }
    csv.into_inner()
        .map_err(|error| Failure::internal(error.to_string()))
}

async fn start_import(
    State(web): State<Web>,
    Caller(bearer): Caller,
    Query(asked): Query<SubscriberImportQuery>,
    request: Request,
) -> Result<Response, Problem> {
    let mut draft = web.app.begin_upload()?;
    match extract::media_type(request.headers()).as_deref() {
        Some("multipart/form-data") => spool_form(&web, request, &mut draft).await?,
        Some("text/csv") => spool(&web, request.into_body(), &mut draft).await?,
        Some("application/json") => {
            let JsonBody(rows) = JsonBody::<ImportRows>::from_request(request, &web).await?;
            draft.write(&as_csv(&rows)?)?;
        }
        _ => {
            let expected = "text/csv, multipart/form-data or application/json";
            return Err(extract::unsupported(expected));
        }
    }
    let key = web.app.keep_upload(draft, "subscribers.csv")?;
    let upload = web.app.upload(&key).ok_or_else(incomplete)?;
    let terms = ImportTerms {
        consent: &asked.consent,
        confirmed: asked.confirmed == Some(true),
        dry_run: asked.dry_run == Some(true),
    };
    let actor = bearer.actor();
    let job = web
        .app
        .start_import(&actor, upload, Mapping::default(), terms)
        .await?;
    jobs::started(&web, job).await
}

/// A job of one of these kinds.
async fn of_kind(
    web: &Web,
    name: &str,
    kinds: &[JobKind],
) -> Result<crate::storage::jobs::BackgroundJob, Problem> {
    let job = jobs::named(web, name).await?;
    match kinds.contains(&job.kind) {
        true => Ok(job),
        false => Err(Failure::not_found("There is no such job here.").into()),
    }
}

const IMPORTS: [JobKind; 2] = [JobKind::Import, JobKind::ImportTrial];

async fn show_import(
    State(web): State<Web>,
    PathSegment(name): PathSegment,
    Query(NoParameters {}): Query<NoParameters>,
) -> Result<Response, Problem> {
    let job = of_kind(&web, &name, &IMPORTS).await?;
    answers::ok(&JobShape::new(&web, job))
}

async fn show_export(
    State(web): State<Web>,
    PathSegment(name): PathSegment,
    Query(NoParameters {}): Query<NoParameters>,
) -> Result<Response, Problem> {
    let job = of_kind(&web, &name, &[JobKind::Export]).await?;
    answers::ok(&JobShape::new(&web, job))
}

/// The file that a job made, as it stands on the disk.
fn download(web: &Web, job: i64) -> Result<Response, Problem> {
    let none = || Failure::not_found("There is no file: the job made none, or its hour is over.");
    let download = web.app.job_file(job)?.ok_or_else(none)?;
    let pieces = futures_util::stream::unfold(download.file, |mut file| async move {
        let mut piece = vec![0; 64 << 10];
        match std::io::Read::read(&mut file, &mut piece) {
            Ok(0) => None,
            Ok(count) => {
                piece.truncate(count);
                Some((Ok::<_, std::io::Error>(piece), file))
            }
            Err(error) => Some((Err(error), file)),
        }
    });
    let disposition = format!("attachment; filename=\"{}\"", download.name);
    let headers = [
        (header::CONTENT_TYPE, download.content_type.to_owned()),
        (header::CONTENT_DISPOSITION, disposition),
    ];
    Ok((headers, Body::from_stream(pieces)).into_response())
}

async fn refused(
    State(web): State<Web>,
    PathSegment(name): PathSegment,
    Query(NoParameters {}): Query<NoParameters>,
) -> Result<Response, Problem> {
    let job = of_kind(&web, &name, &IMPORTS).await?;
    download(&web, job.id)
}

async fn file(
    State(web): State<Web>,
    PathSegment(name): PathSegment,
    Query(NoParameters {}): Query<NoParameters>,
) -> Result<Response, Problem> {
    let job = of_kind(&web, &name, &[JobKind::Export]).await?;
    download(&web, job.id)
}

async fn start_export(
    State(web): State<Web>,
    Caller(bearer): Caller,
    Query(NoParameters {}): Query<NoParameters>,
    JsonBody(body): JsonBody<ExportBody>,
) -> Result<Response, Problem> {
    let mut filter = match &body.segment {
        Some(slug) => web.app.segment(slug).await?.filter,
        None => SubscriberFilter::default(),
    };
    if let Some(state) = body.state {
        filter.state = state.name().parse().ok();
    }
    let format = match body.format {
        Some(ExportFormatName::Json) => ExportFormat::Json,
        _ => ExportFormat::Csv,
    };
    let job = web
        .app
        .start_export(&bearer.actor(), &filter, format)
        .await?;
    jobs::started(&web, job).await
}
