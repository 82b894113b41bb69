//! The form of a tool: its fields, five reviews, its date; with a preview by the site's own code.

use std::collections::HashMap;

use axum::extract::State;
use axum::http::HeaderName;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::Html;
use axum::response::IntoResponse;
use axum::response::Response;

use super::super::Web;
use super::super::answer::Page;
use super::super::answer::Problem;
use super::super::choices::FormFields;
use super::super::guard::PathSegment;
use super::access::Me;
use super::answers;
use super::catalogue_list::TOOLS;
use super::entry_form;
use super::entry_form::EntryForm;
use super::tool_view;
use super::tool_view::ToolSheet;
use super::tool_view::page;
use super::tool_view::uses_in_words;
use super::week::ARCHIVE_POLICY;
use super::write::framed_words;
use crate::app::FieldFault;
use crate::app::catalogue::editing::TypedReview;
use crate::app::catalogue::editing::TypedTool;
use crate::app::users::signing_in::SignedIn;
use crate::domain::catalogue::Reviewer;
use crate::domain::catalogue::Slug;
use crate::domain::catalogue::Tool;
use crate::domain::catalogue_change::EntryKind;
use crate::domain::catalogue_change::tool_changes;
use crate::domain::publication::draft_date;
use crate::render::desk;
use crate::render::desk::VerdictQuestion;
use crate::storage::catalogue_edit::EntrySaved;
use crate::storage::catalogue_edit::ToolSaved;
use crate::storage::catalogue_edit::Versioned;

fn typed(fields: &HashMap<String, String>) -> TypedTool {
    let text = |name: &str| fields.get(name).cloned().unwrap_or_default();
    let review = |row: usize| TypedReview {
        score: text(&format!("r{row}_score")),
        verdict: text(&format!("r{row}_verdict")),
        take: text(&format!("r{row}_take")),
    };
    TypedTool {
        slug: text("slug"),
        name: text("name"),
        category: text("category"),
        tagline: text("tagline"),
        description: text("description"),
        url: text("url"),
        pricing: text("pricing"),
        entry_price: text("entry_price"),
        reviews: (0..Reviewer::ALL.len()).map(review).collect(),
    }
}

async fn known(web: &Web, slug: &str) -> Result<Versioned<Tool>, Problem> {
    let slug: Slug = slug.parse().map_err(|_| Problem::not_found())?;
    let known = web.app.storage.stored_tool(&slug).await?;
    known.ok_or_else(Problem::not_found)
}

pub(super) async fn look_at_new(State(web): State<Web>, Me(who): Me) -> Page {
    page(&web, &who, ToolSheet::new()).await
}

pub(super) async fn look(
    State(web): State<Web>,
    Me(who): Me,
    PathSegment(slug): PathSegment,
) -> Page {
    let known = known(&web, &slug).await?;
    page(&web, &who, ToolSheet::of(&web, known)).await
}

/// Saves what stands in the form. Whatever keeps it from being saved, the page that follows has all that was typed.
async fn save_as(
    web: &Web,
    who: &SignedIn,
    known: Option<Versioned<Tool>>,
    fields: &HashMap<String, String>,
) -> Result<Response, Problem> {
    let form = EntryForm::read(fields);
    let mut sheet = ToolSheet {
        typed: typed(fields),
        known,
        form,
        ..ToolSheet::default()
    };
    if let Some(known) = &sheet.known {
        // The slug of what is there stays: it is an address.
        sheet.typed.slug = known.entry.slug.to_string();
    }
    let tool = sheet.known.as_ref().map(|known| &known.entry);
    let date = match sheet.form.wish(web) {
        Ok(wish) => wish.date(tool.map(|tool| tool.published_at), web.app.now()),
        Err(problem) => {
            sheet.form.problem = Some(problem);
            draft_date()
        }
    };
    let is_sample = tool.is_some_and(|tool| tool.sample);
    let read = sheet.typed.read(date, is_sample);
    let tool = match read {
        Ok(tool) if sheet.form.problem.is_none() => tool,
        read => {
            sheet.faults = read.err().unwrap_or_default();
            sheet.problem = Some("It is not saved yet: look at what is marked below.".into());
            return Ok(answers::refused(page(web, who, sheet).await?.0));
        }
    };
    let over = sheet.form.over(sheet.known.is_some());
    let tells = match fields.get("tell").map(String::as_str) {
        Some("yes") => Some(true),
        Some("no") => Some(false),
        _ => None,
    };
    let actor = web.app.actor_of(who);
    let saved = web.app.save_tool_entry(&actor, &tool, over, tells).await?;
    let here = format!("{TOOLS}/{}/edit", tool.slug);
    match saved {
        ToolSaved::Plain(EntrySaved::Done) => answers::done(web, who, "Saved.", &here).await,
        ToolSaved::Plain(EntrySaved::Unchanged) => {
            answers::done(web, who, "Nothing was changed.", &here).await
        }
        ToolSaved::Plain(EntrySaved::SlugTaken) => {
            sheet.faults.push(FieldFault {
                field: "slug".into(),
                detail: format!(
                    "There is a tool {} already: choose another slug.",
                    tool.slug
                ),
            });
            sheet.typed.slug = tool.slug.to_string();
            sheet.problem = Some("It is not saved yet: look at what is marked below.".into());
            Ok(answers::refused(page(web, who, sheet).await?.0))
        }
        ToolSaved::Plain(EntrySaved::Conflict(theirs)) => {
            conflict(web, who, sheet, &tool, theirs).await
        }
        ToolSaved::VerdictChanges {
            before,
            after,
            savers,
        } => {
            sheet.question = Some(VerdictQuestion {
                before,
                after,
                savers: entry_form::plural(savers, "reader", "readers"),
            });
            sheet.problem =
                Some("It is not saved yet: say whether readers are told of the verdict.".into());
            Ok(answers::refused(page(web, who, sheet).await?.0))
        }
    }
}

async fn conflict(
    web: &Web,
    who: &SignedIn,
    mut sheet: ToolSheet,
    mine: &Tool,
    theirs: Option<Versioned<Tool>>,
) -> Result<Response, Problem> {
    match theirs {
        Some(theirs) => {
            let changes = tool_changes(Some(mine), Some(&theirs.entry));
            sheet.conflict = Some(entry_form::conflict(&changes));
            sheet.form.version = theirs.version.to_string();
            sheet.known = Some(theirs);
        }
        None => {
            sheet.problem = Some(
                "Somebody removed this tool while you wrote. Nothing of yours is lost: add it anew below."
                    .into(),
            );
            sheet.known = None;
            sheet.form.version = String::new();
        }
    }
    let page = page(web, who, sheet).await?;
    Ok((StatusCode::CONFLICT, page).into_response())
}

pub(super) async fn add(
    State(web): State<Web>,
    Me(who): Me,
    FormFields(fields): FormFields<HashMap<String, String>>,
) -> Result<Response, Problem> {
    save_as(&web, &who, None, &fields).await
}

pub(super) async fn save(
    State(web): State<Web>,
    Me(who): Me,
    PathSegment(slug): PathSegment,
    FormFields(fields): FormFields<HashMap<String, String>>,
) -> Result<Response, Problem> {
    let slug: Slug = slug.parse().map_err(|_| Problem::not_found())?;
    match web.app.storage.stored_tool(&slug).await? {
        Some(known) => save_as(&web, &who, Some(known), &fields).await,
        None => {
            let mut sheet = ToolSheet {
                typed: typed(&fields),
                form: EntryForm::read(&fields),
                ..ToolSheet::default()
            };
            sheet.typed.slug = slug.to_string();
            let mine = sheet.typed.read(draft_date(), false);
            match mine {
                Ok(mine) => conflict(&web, &who, sheet, &mine, None).await,
                Err(faults) => {
                    sheet.faults = faults;
                    sheet.form.version = String::new();
                    sheet.problem = Some(
                        "Somebody removed this tool while you wrote. Add it anew below.".into(),
                    );
                    let page = page(&web, &who, sheet).await?;
                    Ok((StatusCode::CONFLICT, page).into_response())
                }
            }
        }
    }
}

/// The page that the site shows, in a frame.
async fn framed(web: &Web, tool: Tool) -> Result<Response, Problem> {
    let page = web.app.preview_tool(tool).await?;
    let page = page.replacen("<head>", "<head><base target=\"_blank\">", 1);
    let headers = [
        (header::CONTENT_SECURITY_POLICY, ARCHIVE_POLICY),
        (HeaderName::from_static("x-frame-options"), "SAMEORIGIN"),
    ];
    Ok((headers, Html(page)).into_response())
}

pub(super) async fn preview_saved(
    State(web): State<Web>,
    PathSegment(slug): PathSegment,
) -> Result<Response, Problem> {
    match known(&web, &slug).await {
        Ok(known) => framed(&web, known.entry).await,
        Err(_) => Ok(framed_words(
            "Its page shows here once the form is filled in.",
        )),
    }
}

/// The tool as the form has it, for a preview. Its address stays that of what is there.
async fn previewed(
    web: &Web,
    slug: &str,
    fields: &HashMap<String, String>,
) -> Result<(TypedTool, Result<Tool, Vec<FieldFault>>), Problem> {
    let mut typed = typed(fields);
    let slug: Option<Slug> = slug.parse().ok();
    let known = match &slug {
        Some(slug) => web.app.storage.stored_tool(slug).await?,
        None => None,
    };
    if let Some(known) = &known {
        typed.slug = known.entry.slug.to_string();
    }
    let sample = known.is_some_and(|known| known.entry.sample);
    let read = typed.read(web.app.now(), sample);
    Ok((typed, read))
}

pub(super) async fn preview(
    State(web): State<Web>,
    PathSegment(slug): PathSegment,
    FormFields(fields): FormFields<HashMap<String, String>>,
) -> Result<Response, Problem> {
    match previewed(&web, &slug, &fields).await?.1 {
        Ok(tool) => framed(&web, tool).await,
        Err(faults) => Ok(framed_words(&entry_form::faults_in_words(&faults))),
    }
}

/// The card with what is written and not saved.
pub(super) async fn card(
    State(web): State<Web>,
    PathSegment(slug): PathSegment,
    FormFields(fields): FormFields<HashMap<String, String>>,
) -> Page {
    let (typed, read) = previewed(&web, &slug, &fields).await?;
    let faults = read.err().unwrap_or_default();
    let card = tool_view::card(&typed, &faults);
    Ok(Html(desk::tool_card(&card)?))
}

pub(super) async fn look_at_removal(
    State(web): State<Web>,
    Me(who): Me,
    PathSegment(slug): PathSegment,
) -> Page {
    let known = known(&web, &slug).await?;
    let uses = web.app.storage.tool_uses(&known.entry.slug).await?;
    let mut sentences = vec![format!("With it go {}.", uses_in_words(&uses))];
    if let Some(slot) = uses.last_sent {
        sentences.push(format!(
            "It was sent, last in {slot}. Issues that were sent stay readable, and so do the comparisons in them; the tool\u{2019}s own page does not."
        ));
    }
    let question = entry_form::removal(
        format!("Remove {}?", known.entry.name),
        sentences,
        format!("{TOOLS}/{}", known.entry.slug),
    );
    let frame = answers::frame(&web, &who, "Remove a tool", TOOLS);
    Ok(Html(desk::form(frame, question)?))
}

pub(super) async fn remove(
    State(web): State<Web>,
    Me(who): Me,
    PathSegment(slug): PathSegment,
) -> Result<Response, Problem> {
    let known = known(&web, &slug).await?;
    entry_form::remove(&web, &who, EntryKind::Tool, &known.entry.slug, TOOLS).await
}
