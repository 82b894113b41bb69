//! Jobs: progress, result and file of each.

use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::header;
use axum::response::Html;
use axum::response::IntoResponse;
use axum::response::Redirect;
use axum::response::Response;
use futures_util::stream;

use super::super::Web;
use super::super::answer::Page;
use super::super::answer::Problem;
use super::super::guard::PathSegment;
use super::access::Me;
use super::answers;
use super::subscribers;
use crate::domain::job::JobState;
use crate::render::desk;
use crate::render::desk::JobView;
use crate::storage::jobs::BackgroundJob;

pub(super) const JOBS: &str = "/desk/jobs";

/// Jobs in the list.
const LISTED: i64 = 50;
/// Bytes of a file that are sent at once.
const PIECE: usize = 64 << 10;

/// After a job was started: on to its page.
pub(super) fn to_job(web: &Web, id: i64) -> Response {
    Redirect::to(&format!("{JOBS}/{}", web.app.job_name(id))).into_response()
}

async fn known(web: &Web, name: &str) -> Result<BackgroundJob, Problem> {
    let job = web.app.job_named(name).await?;
    job.ok_or_else(Problem::not_found)
}

fn mood(state: JobState) -> &'static str {
    match state {
        JobState::Running => "under-way",
        JobState::Done => "good",
        JobState::Failed => "bad",
        JobState::Cancelled => "none",
    }
}

fn view(web: &Web, job: &BackgroundJob) -> JobView {
    let name = web.app.job_name(job.id);
    let file = web.app.job_file_until(job.id);
    let count = |key: &str| job.result.get(key).and_then(serde_json::Value::as_u64);
    let words = [
        ("read", "rows read"),
        ("added", "new on the list"),
        ("known", "known before, and left as they are"),
        ("suppressed", "on the suppression list, and left out"),
        ("refused", "could not be read"),
        ("subscribers", "subscribers in the file"),
        ("changed", "changed"),
        ("skipped", "skipped"),
    ];
    let counts = words
        .iter()
        .filter_map(|(key, words)| Some((desk::grouped(count(key)?), *words)));
    let skipped = job
        .result
        .get("skipped_because")
        .and_then(serde_json::Value::as_object);
    let skipped = skipped.into_iter().flatten();
    let is_running = job.state == JobState::Running;
    JobView {
        path: format!("{JOBS}/{name}"),
        heading: job.kind.describe(),
        state: job.state.as_str(),
        mood: mood(job.state),
        started: answers::format_time(web, job.created_at),
        percent: job
            .total
            .filter(|total| *total > 0)
            .map(|total| (job.done.min(total) * 100 / total).min(100)),
        done: desk::grouped(job.done),
        is_running,
        problem: problem(job),
        counts: counts.collect(),
        skipped: skipped
            .map(|(why, count)| {
                (
                    desk::grouped(count.as_u64().unwrap_or_default()),
                    why.clone(),
                )
            })
            .collect(),
        file_until: file.map(|until| answers::format_time(web, until)),
    }
}

fn problem(job: &BackgroundJob) -> Option<String> {
    let error = job.result.get("error").and_then(serde_json::Value::as_str);
    match job.state {
        JobState::Failed if error.is_some() => error.map(str::to_owned),
        JobState::Failed => Some(
            "The process that did it ended in between. An import or export left nothing behind: start it again. A change of many stopped \
             half way: start it again, and whoever was changed already is skipped."
                .into(),
        ),
        _ => None,
    }
}

pub(super) async fn list(State(web): State<Web>, Me(who): Me) -> Page {
    let jobs = web.app.storage.jobs(None, LISTED).await?;
    let views = jobs.iter().map(|job| view(&web, job)).collect();
    let frame = answers::frame(&web, &who, "Jobs", subscribers::HERE);
    Ok(Html(desk::jobs(frame, views)?))
}

pub(super) async fn show(
    State(web): State<Web>,
    Me(who): Me,
    PathSegment(name): PathSegment,
) -> Result<Response, Problem> {
    let job = known(&web, &name).await?;
    let frame = answers::frame(&web, &who, "A job", subscribers::HERE);
    let mut answer = Html(desk::job(frame, view(&web, &job))?).into_response();
    if job.state == JobState::Running {
        // Without a script, and only as long as there is something to see.
        let again = HeaderValue::from_static("2");
        answer.headers_mut().insert(header::REFRESH, again);
    }
    Ok(answer)
}

pub(super) async fn cancel(
    State(web): State<Web>,
    Me(who): Me,
    PathSegment(name): PathSegment,
) -> Result<Response, Problem> {
    let job = known(&web, &name).await?;
    let said = match web.app.cancel_job(job.id).await? {
        true => "It stops within moments.",
        false => "It was over already.",
    };
    answers::done(&web, &who, said, &format!("{JOBS}/{name}")).await
}

pub(super) async fn file(
    State(web): State<Web>,
    PathSegment(name): PathSegment,
) -> Result<Response, Problem> {
    let job = known(&web, &name).await?;
    let Some(download) = web.app.job_file(job.id)? else {
        return Err(Problem::not_found());
    };
    let disposition = format!("attachment; filename=\"{}\"", download.name);
    let headers = [
        (header::CONTENT_TYPE, download.content_type.to_owned()),
        (header::CONTENT_DISPOSITION, disposition),
    ];
    // Piece by piece: a list of any length in little memory.
    let pieces = stream::try_unfold(download.file, |mut file| async move {
        let read = tokio::task::spawn_blocking(move || {
            let mut piece = vec![0; PIECE];
            let length = std::io::Read::read(&mut file, &mut piece)?;
            piece.truncate(length);
            Ok::<_, std::io::Error>((piece, file))
        });
        let (piece, file) = read.await.map_err(std::io::Error::other)??;
        Ok::<_, std::io::Error>((!piece.is_empty()).then_some((piece, file)))
    });
    Ok((headers, Body::from_stream(pieces)).into_response())
}
