//! Sources: the list, one with its form, a test pull before it is saved.

use axum::extract::FromRequestParts;
use axum::extract::Path;
use axum::extract::State;
use axum::http::request::Parts;
use axum::response::Html;
use axum::response::IntoResponse;
use axum::response::Response;
use serde::Deserialize;

use super::super::Web;
use super::super::answer::Page;
use super::super::answer::Problem;
use super::super::choices::FormFields;
use super::super::guard::PathSegment;
use super::access::Demand;
use super::access::Me;
use super::access::Route;
use super::answers;
use super::proposals;
use super::proposals::PROPOSALS;
use super::proposals::remark_line;
use super::source_form::SourceForm;
use super::source_form::fields_of;
use crate::app::sources::EVERY_DEFAULT;
use crate::app::sources::TestPullView;
use crate::app::users::signing_in::SignedIn;
use crate::domain::source::SourceKind;
use crate::domain::source::SourceMode;
use crate::domain::user::AccessLevel;
use crate::domain::user::Area;
use crate::render::desk;
use crate::render::desk::GateForm;
use crate::render::desk::SourceFields;
use crate::render::desk::SourceFormView;
use crate::render::desk::SourceLine;
use crate::render::desk::TriedEntry;
use crate::render::desk::TriedView;
use crate::storage::sources::ContentSource;

pub(super) const SOURCES: &str = "/desk/sources";
/// Entries of a test pull that are shown.
const SHOWN: usize = 20;

/// The routes of sources and what they bring.
pub(super) fn table() -> Vec<Route> {
    let listed = Demand::level(Area::Catalogue, AccessLevel::Read);
    let entry = Demand::level(Area::Catalogue, AccessLevel::Write);
    vec![
        Route::get(SOURCES, listed, list),
        Route::get("/desk/sources/new", entry, look_at_new),
        Route::post("/desk/sources/new", entry, add),
        Route::get("/desk/sources/{name}", entry, look),
        Route::post("/desk/sources/{name}", entry, change),
        Route::get("/desk/sources/{name}/{action}", entry, look_at_removal),
        Route::post("/desk/sources/{name}/{action}", entry, act),
        Route::get(proposals::PROPOSALS, listed, proposals::list),
        Route::post(proposals::PROPOSALS, entry, proposals::accept_all),
        Route::get("/desk/proposals/{name}", listed, proposals::look),
        Route::post("/desk/proposals/{name}", entry, proposals::decide),
    ]
}

/// Something that is done to a known source.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum SourceAction {
    Pull,
    Pause,
    Resume,
    Remove,
}

/// A source's name and an action, in the path.
pub(super) struct SourcePath {
    name: String,
    action: SourceAction,
}

impl FromRequestParts<Web> for SourcePath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, web: &Web) -> Result<Self, Problem> {
        let path = Path::<(String, SourceAction)>::from_request_parts(parts, web).await;
        path.map(|Path((name, action))| Self { name, action })
            .map_err(|_| Problem::not_found())
    }
}

/// State of a source: a word, and its class.
fn state_of(source: &ContentSource) -> (&'static str, &'static str) {
    match (source.failures, source.paused_at, source.last_ok_at) {
        (1.., ..) => ("failing", "bad"),
        (0, Some(_), _) => ("paused", "none"),
        (0, None, Some(_)) => ("good", "good"),
        (0, None, None) => ("not read yet", "under-way"),
    }
}

pub(super) async fn list(State(web): State<Web>, Me(who): Me) -> Page {
    let may_change = who.user.role.may(Area::Catalogue, AccessLevel::Write);
    let open = web.app.storage.open_proposals().await?;
    let sources = web.app.storage.sources().await?;
    let rows = sources.iter().map(|source| {
        let id = web.app.source_name(source.id);
        let waiting = open.iter().find(|(known, _)| *known == source.id);
        let (state, mood) = state_of(source);
        SourceLine {
            href: match may_change {
                true => format!("{SOURCES}/{id}"),
                false => format!("{PROPOSALS}?source={id}"),
            },
            name: source.draft.name.clone(),
            kind: source.draft.kind.as_str(),
            mode: match source.draft.mode {
                SourceMode::Review => "waits for a decision",
                SourceMode::Publish => "is published at once",
            },
            state,
            mood,
            last: source
                .last_ok_at
                .map_or_else(|| "never".into(), |at| answers::format_time(&web, at)),
            waiting: desk::grouped(waiting.map_or(0, |(_, count)| count.unsigned_abs())),
        }
    });
    let frame = answers::frame(&web, &who, "Sources", SOURCES);
    Ok(Html(desk::sources(frame, rows.collect(), may_change)?))
}

/// A page of a form, with what became of it.
struct FormOutcome<'a> {
    known: Option<&'a ContentSource>,
    fields: SourceFields,
    tried: Option<TestPullView>,
    problem: Option<String>,
    may_force: bool,
}

fn page(web: &Web, who: &SignedIn, outcome: FormOutcome<'_>) -> Result<String, Problem> {
    let known = outcome.known;
    let id = known.map(|source| web.app.source_name(source.id));
    let facts = known.map(|source| {
        let next = answers::format_time(web, source.next_at);
        let last = source
            .last_ok_at
            .map(|at| format!("Read well last on {}.", answers::format_time(web, at)));
        let paused = source
            .paused_at
            .map(|_| "Paused: it is read, and what it brings waits.".to_owned());
        [last, Some(format!("Next look: {next}.")), paused]
            .into_iter()
            .flatten()
            .collect()
    });
    let view = SourceFormView {
        action: id
            .as_ref()
            .map_or_else(|| format!("{SOURCES}/new"), |id| format!("{SOURCES}/{id}")),
        known: known.map(|source| source.draft.name.clone()),
        facts: facts.unwrap_or_default(),
        error: known.and_then(|source| {
            let error = source.last_error.as_ref()?;
            Some(format!(
                "It could not be read {} times in a row. {error}",
                source.failures
            ))
        }),
        note: known.and_then(|source| source.last_note.clone()),
        is_paused: known.is_some_and(|source| source.paused_at.is_some()),
        proposals: id.map(|id| format!("{PROPOSALS}?source={id}")),
        fields: outcome.fields,
        tried: outcome.tried.as_ref().map(tried_view),
        problem: outcome.problem,
        may_force: outcome.may_force,
    };
    let title = known.map_or("Add a source", |source| source.draft.name.as_str());
    Ok(desk::source(
        answers::frame(web, who, title, SOURCES),
        view,
    )?)
}

fn tried_view(tried: &TestPullView) -> TriedView {
    let entries = tried.entries.iter().take(SHOWN).map(|entry| TriedEntry {
        title: entry.title.clone(),
        differences: match entry.differences {
            0 => "no difference to the catalogue".into(),
            1 => "1 difference to the catalogue".into(),
            count => format!("{count} differences to the catalogue"),
        },
        remarks: entry.remarks.iter().map(remark_line).collect(),
    });
    TriedView {
        summary: tried.summary(),
        entries: entries.collect(),
    }
}

pub(super) async fn look_at_new(State(web): State<Web>, Me(who): Me) -> Page {
    let outcome = FormOutcome {
        known: None,
        fields: SourceFields {
            kind: SourceKind::Feed.to_string(),
            mode: SourceMode::Review.to_string(),
            minutes: EVERY_DEFAULT.num_minutes().to_string(),
            ..SourceFields::default()
        },
        tried: None,
        problem: None,
        may_force: false,
    };
    Ok(Html(page(&web, &who, outcome)?))
}

pub(super) async fn look(
    State(web): State<Web>,
    Me(who): Me,
    PathSegment(name): PathSegment,
) -> Page {
    let source = web.app.source_called(&name).await?;
    let outcome = FormOutcome {
        known: Some(&source),
        fields: fields_of(&source),
        tried: None,
        problem: None,
        may_force: false,
    };
    Ok(Html(page(&web, &who, outcome)?))
}

pub(super) async fn add(
    State(web): State<Web>,
    Me(who): Me,
    FormFields(form): FormFields<SourceForm>,
) -> Result<Response, Problem> {
    save(&web, &who, None, form).await
}

pub(super) async fn change(
    State(web): State<Web>,
    Me(who): Me,
    PathSegment(name): PathSegment,
    FormFields(form): FormFields<SourceForm>,
) -> Result<Response, Problem> {
    let source = web.app.source_called(&name).await?;
    save(&web, &who, Some(&source), form).await
}

async fn save(
    web: &Web,
    who: &SignedIn,
    known: Option<&ContentSource>,
    form: SourceForm,
) -> Result<Response, Problem> {
    let outcome = |tried, problem, may_force| FormOutcome {
        known,
        fields: form.fields(),
        tried,
        problem,
        may_force,
    };
    let wish = match form.wish() {
        Ok(wish) => wish,
        Err(problem) => {
            let page = page(web, who, outcome(None, Some(problem), false))?;
            return Ok(answers::refused(page));
        }
    };
    if form.what == "try" || form.force.is_none() {
        match web.app.try_source(&wish).await {
            Ok(tried) if form.what == "try" => {
                let page = page(web, who, outcome(Some(tried), None, false))?;
                return Ok(Html(page).into_response());
            }
            Ok(_) => {}
            Err(failure) => {
                let page = page(
                    web,
                    who,
                    outcome(None, Some(answers::refusal(failure)?), true),
                )?;
                return Ok(answers::refused(page));
            }
        }
    }
    let actor = web.app.actor_of(who);
    let saved = match known {
        Some(known) => web.app.change_source(&actor, known.id, &wish).await,
        None => web.app.add_source(&actor, &wish).await,
    };
    match saved {
        Ok(saved) => {
            let to = format!("{SOURCES}/{}", web.app.source_name(saved.id));
            answers::done(web, who, "Saved. It is read within a minute.", &to).await
        }
        Err(failure) => {
            let page = page(
                web,
                who,
                outcome(None, Some(answers::refusal(failure)?), false),
            )?;
            Ok(answers::refused(page))
        }
    }
}

pub(super) async fn look_at_removal(
    State(web): State<Web>,
    Me(who): Me,
    SourcePath { name, action }: SourcePath,
) -> Page {
    if !matches!(action, SourceAction::Remove) {
        return Err(Problem::not_found());
    }
    let source = web.app.source_called(&name).await?;
    let said =
        "Its proposals go with it. What was accepted from it stays in the catalogue.".to_owned();
    let action = format!("{SOURCES}/{name}/remove");
    let form = GateForm {
        heading: format!("Remove {}?", source.draft.name),
        sentences: vec![said],
        action,
        button: "Remove it".into(),
        is_grave: true,
        link: Some((format!("{SOURCES}/{name}"), "No, back to the source")),
        ..GateForm::default()
    };
    let frame = answers::frame(&web, &who, "Remove a source", SOURCES);
    Ok(Html(desk::form(frame, form)?))
}

pub(super) async fn act(
    State(web): State<Web>,
    Me(who): Me,
    SourcePath { name, action }: SourcePath,
) -> Result<Response, Problem> {
    let source = web.app.source_called(&name).await?;
    let (actor, here) = (web.app.actor_of(&who), format!("{SOURCES}/{name}"));
    let said = match action {
        SourceAction::Pull => match web.app.pull_source(source.id).await? {
            None => {
                "It is read by another process at this moment, or its host is asked.".to_owned()
            }
            Some(report) => match report.error {
                Some(error) => format!("It could not be read. {error}"),
                None if report.unchanged => "It is as it was.".to_owned(),
                None => format!(
                    "Read: {} new or changed, {} published.",
                    desk::grouped(report.proposed),
                    desk::grouped(report.published)
                ),
            },
        },
        SourceAction::Pause => {
            web.app.pause_source(&actor, source.id, true).await?;
            "Paused: it is read, and what it brings waits.".to_owned()
        }
        SourceAction::Resume => {
            web.app.pause_source(&actor, source.id, false).await?;
            "The pause is over.".to_owned()
        }
        SourceAction::Remove => {
            web.app.remove_source(&actor, source.id).await?;
            return answers::done(&web, &who, "The source is removed.", SOURCES).await;
        }
    };
    answers::done(&web, &who, &said, &here).await
}
