//! Importing a catalogue in steps: a file, what it would change, the import.

use std::sync::Arc;

use axum::extract::RawQuery;
use axum::extract::Request;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Html;
use axum::response::IntoResponse;
use axum::response::Redirect;
use axum::response::Response;
use serde::Deserialize;

use super::super::Web;
use super::super::answer::Page;
use super::super::answer::Problem;
use super::super::choices::FormFields;
use super::super::guard::PathSegment;
use super::access::Me;
use super::answers;
use super::answers::refusal;
use super::catalogue_list::TOOLS;
use super::import::known;
use super::uploads;
use crate::app::catalogue_upload::Applied;
use crate::app::catalogue_upload::CatalogueDifference;
use crate::app::jobs::Upload;
use crate::app::users::signing_in::SignedIn;
use crate::render::desk;
use crate::render::desk::CatalogueImportView;
use crate::render::desk::ChangedField;
use crate::render::desk::CountLine;
use crate::render::desk::DifferenceLine;
use crate::storage::catalogue_import::Difference;
use crate::storage::catalogue_import::ImportMode;
use crate::storage::catalogue_import::Imported;
use crate::storage::catalogue_import::ImportedCounts;

/// Address that a file is sent to.
pub(super) const IMPORT: &str = "/desk/catalogue/import";

/// Differences that a page shows.
const SHOWN: usize = 200;

/// Form of the last step, and query of the one before.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Terms {
    replace: Option<String>,
    corrections: Option<String>,
    seen: String,
}

impl Terms {
    fn mode(&self) -> ImportMode {
        ImportMode {
            replace: self.replace.is_some(),
            dry_run: false,
            corrections: self.corrections.is_some(),
        }
    }
}

fn upload_page(web: &Web, who: &SignedIn, problem: Option<String>) -> Result<String, Problem> {
    let largest = web.app.settings.desk.largest_upload.to_string();
    let frame = answers::frame(web, who, "Import a catalogue", IMPORT);
    Ok(desk::catalogue_upload(frame, &largest, problem)?)
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
        Ok(key) => Ok(Redirect::to(&format!("{IMPORT}/{key}")).into_response()),
        Err(words) => Ok(answers::refused(upload_page(&web, &who, Some(words))?)),
    }
}

pub(super) async fn compare(
    State(web): State<Web>,
    Me(who): Me,
    PathSegment(key): PathSegment,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let upload = known(&web, &key)?;
    let mut terms = Terms::default();
    for (name, _) in url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        match name.as_ref() {
            "replace" => terms.replace = Some("yes".into()),
            "corrections" => terms.corrections = Some("yes".into()),
            _ => {}
        }
    }
    match web
        .app
        .compare_catalogue(upload.clone(), terms.mode())
        .await
    {
        Ok(difference) => {
            let page = differences(&web, &who, (&key, &upload), &terms, &difference, None)?;
            Ok(Html(page).into_response())
        }
        Err(failure) => {
            let page = upload_page(&web, &who, Some(refusal(failure)?))?;
            Ok(answers::refused(page))
        }
    }
}

pub(super) async fn apply(
    State(web): State<Web>,
    Me(who): Me,
    PathSegment(key): PathSegment,
    FormFields(terms): FormFields<Terms>,
) -> Result<Response, Problem> {
    let upload = known(&web, &key)?;
    let actor = web.app.actor_of(&who);
    let applied = web
        .app
        .apply_catalogue(&actor, upload.clone(), terms.mode(), &terms.seen)
        .await;
    match applied {
        Ok(Applied::Done(done)) => {
            let said = format!("Imported: {}.", words(&done));
            answers::done(&web, &who, &said, TOOLS).await
        }
        Ok(Applied::Changed(difference)) => {
            let problem = "The catalogue changed since you looked. Nothing was imported; this is what the file would change now.";
            let page = differences(
                &web,
                &who,
                (&key, &upload),
                &terms,
                &difference,
                Some(problem),
            )?;
            Ok((StatusCode::CONFLICT, Html(page)).into_response())
        }
        Err(failure) => {
            let page = upload_page(&web, &who, Some(refusal(failure)?))?;
            Ok(answers::refused(page))
        }
    }
}

/// "3 tools and 1 comparison are new, 2 tools and 0 comparisons changed".
fn words(done: &Imported) -> String {
    let count = |of: fn(&ImportedCounts) -> u64| {
        let (tools, comparisons) = (of(&done.tools), of(&done.comparisons));
        let plural = |n: u64, word: &str| match n {
            1 => format!("1 {word}"),
            n => format!("{} {word}s", desk::grouped(n)),
        };
        format!(
            "{} and {}",
            plural(tools, "tool"),
            plural(comparisons, "comparison")
        )
    };
    format!(
        "{} added, {} changed, {} removed",
        count(|counts| counts.added),
        count(|counts| counts.changed),
        count(|counts| counts.removed)
    )
}

fn differences(
    web: &Web,
    who: &SignedIn,
    (key, upload): (&str, &Arc<Upload>),
    terms: &Terms,
    difference: &CatalogueDifference,
    problem: Option<&str>,
) -> Result<String, Problem> {
    let imported = &difference.imported;
    let line = |what, counts: ImportedCounts| CountLine {
        what,
        counts: [
            counts.added,
            counts.changed,
            counts.unchanged,
            counts.removed,
        ]
        .map(desk::grouped),
    };
    let more = imported.differences.len().saturating_sub(SHOWN);
    let view = CatalogueImportView {
        path: format!("{IMPORT}/{key}"),
        file: upload.name.clone(),
        replace: terms.replace.is_some(),
        corrections: terms.corrections.is_some(),
        counts: vec![
            line("Tools", imported.tools),
            line("Reviews", imported.reviews),
            line("Comparisons", imported.comparisons),
        ],
        differences: imported
            .differences
            .iter()
            .take(SHOWN)
            .map(difference_line)
            .collect(),
        more: (more > 0).then(|| format!("And {} more.", desk::grouped(more as u64))),
        seen: difference.seen.clone(),
        problem: problem.map(str::to_owned),
    };
    let frame = answers::frame(web, who, "Import a catalogue", IMPORT);
    Ok(desk::catalogue_import(frame, view)?)
}

pub(super) fn difference_line(difference: &Difference) -> DifferenceLine {
    DifferenceLine {
        change: difference.change,
        mood: match difference.change {
            "added" => "good",
            "removed" => "bad",
            _ => "under-way",
        },
        kind: difference.kind,
        name: difference.name.clone(),
        fields: difference.fields.iter().map(ChangedField::new).collect(),
    }
}
