//! Jobs, and the steps of an import.

use askama::Template;

use super::DeskFrame;
use crate::render::RenderError;

/// A job, in words.
pub struct JobView {
    /// Address of its page.
    pub path: String,
    /// Kind.
    pub heading: &'static str,
    /// State in one word,
    pub state: &'static str,
    /// and as a class.
    pub mood: &'static str,
    /// Time when it was started.
    pub started: String,
    /// Progress of 100, if it is known.
    pub percent: Option<u64>,
    /// Progress in numbers.
    pub done: String,
    /// True while it runs.
    pub is_running: bool,
    /// Reason why it failed.
    pub problem: Option<String>,
    /// Counts of its result, each with its words.
    pub counts: Vec<(String, &'static str)>,
    /// Number of those skipped, for each reason.
    pub skipped: Vec<(String, String)>,
    /// Time until which the file that it made is kept.
    pub file_until: Option<String>,
}

#[derive(Template)]
#[template(path = "desk/job.html", whitespace = "minimize")]
struct JobPage<'a> {
    frame: DeskFrame<'a>,
    view: JobView,
}

/// A job's page.
pub fn job(frame: DeskFrame<'_>, view: JobView) -> Result<String, RenderError> {
    Ok(JobPage { frame, view }.render()?)
}

#[derive(Template)]
#[template(path = "desk/jobs.html", whitespace = "minimize")]
struct JobsPage<'a> {
    frame: DeskFrame<'a>,
    jobs: Vec<JobView>,
}

/// The newest jobs.
pub fn jobs(frame: DeskFrame<'_>, jobs: Vec<JobView>) -> Result<String, RenderError> {
    Ok(JobsPage { frame, jobs }.render()?)
}

#[derive(Template)]
#[template(path = "desk/upload.html", whitespace = "minimize")]
struct UploadPage<'a> {
    frame: DeskFrame<'a>,
    largest: &'a str,
    problem: Option<String>,
}

/// First step of an import: the file.
pub fn upload(
    frame: DeskFrame<'_>,
    largest: &str,
    problem: Option<String>,
) -> Result<String, RenderError> {
    Ok(UploadPage {
        frame,
        largest,
        problem,
    }
    .render()?)
}

/// A column of a file.
pub struct ColumnView {
    /// Name in the form.
    pub key: String,
    /// Name in the file.
    pub name: String,
    /// Field that it is taken for.
    pub field: &'static str,
    /// Field that the user chose.
    pub said: String,
}

/// Second step of an import: columns, first rows, terms.
pub struct ImportView {
    /// Address of the page.
    pub path: String,
    /// Name of the file.
    pub file: String,
    /// Service whose export it is.
    pub service: Option<&'static str>,
    /// True if it can be tried.
    pub is_ready: bool,
    /// Fault that must be explained first.
    pub columns_problem: Option<String>,
    /// Columns.
    pub columns: Vec<ColumnView>,
    /// First rows as they will be read.
    pub rows: Vec<Result<[String; 6], (u64, String)>>,
    /// Sentence of consent.
    pub consent: String,
    /// True if they confirmed elsewhere.
    pub is_confirmed: bool,
    /// Fault of what was sent.
    pub problem: Option<String>,
}

/// Fields that a column can be mapped to, with their words.
const FIELDS: [(&str, &str); 9] = [
    ("email", "address"),
    ("name", "name"),
    ("state", "state"),
    ("left", "left: any date or yes"),
    ("subscribed", "subscribed: no means left"),
    ("bounced", "bounced"),
    ("confirmed_at", "confirmed at"),
    ("source", "source"),
    ("timezone", "time zone"),
];

#[derive(Template)]
#[template(path = "desk/import.html", whitespace = "minimize")]
struct ImportPage<'a> {
    frame: DeskFrame<'a>,
    view: ImportView,
    fields: &'static [(&'static str, &'static str)],
}

/// Second step of an import.
pub fn import(frame: DeskFrame<'_>, view: ImportView) -> Result<String, RenderError> {
    Ok(ImportPage {
        frame,
        view,
        fields: &FIELDS,
    }
    .render()?)
}
