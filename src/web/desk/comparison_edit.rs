//! The form of a comparison: two tools, its slug while it is new, its date.

use std::collections::HashMap;

use axum::extract::State;
use axum::http::StatusCode;
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
use super::catalogue_list::COMPARISONS;
use super::catalogue_list::mood;
use super::entry_form;
use super::entry_form::EntryForm;
use crate::app::users::signing_in::SignedIn;
use crate::domain::catalogue::Comparison;
use crate::domain::catalogue::Slug;
use crate::domain::catalogue_change::EntryKind;
use crate::domain::catalogue_change::comparison_changes;
use crate::domain::publication::PublicationState;
use crate::render::desk;
use crate::render::desk::ComparisonFormView;
use crate::render::desk::ConflictView;
use crate::render::desk::EntryField;
use crate::storage::catalogue_edit::ComparisonSaved;
use crate::storage::catalogue_edit::EntrySaved;
use crate::storage::catalogue_edit::Versioned;

/// The page, with what stands in its form.
#[derive(Default)]
struct ComparisonSheet {
    /// The comparison that is changed; none: a new one.
    known: Option<Versioned<Comparison>>,
    left: String,
    right: String,
    slug: String,
    form: EntryForm,
    slug_problem: Option<String>,
    conflict: Option<ConflictView>,
    problem: Option<String>,
    twin: Option<Slug>,
}

impl ComparisonSheet {
    fn of(web: &Web, known: Versioned<Comparison>) -> Self {
        Self {
            left: known.entry.left.to_string(),
            right: known.entry.right.to_string(),
            slug: known.entry.slug.to_string(),
            form: EntryForm::of(web, known.version, known.entry.published_at),
            known: Some(known),
            ..Self::default()
        }
    }

    fn read(known: Option<Versioned<Comparison>>, fields: &HashMap<String, String>) -> Self {
        let text = |name: &str| fields.get(name).map_or("", |text| text.trim()).to_owned();
        Self {
            left: text("left"),
            right: text("right"),
            slug: match &known {
                Some(known) => known.entry.slug.to_string(),
                None => text("slug"),
            },
            form: EntryForm::read(fields),
            known,
            ..Self::default()
        }
    }

    /// The comparison that is meant; `Err`: what is wrong, which the sheet keeps too.
    fn comparison(&mut self, web: &Web) -> Result<Comparison, ()> {
        let tool = |text: &str| text.parse::<Slug>().ok();
        let (Some(left), Some(right)) = (tool(&self.left), tool(&self.right)) else {
            self.problem = Some("Choose two tools.".into());
            return Err(());
        };
        if left == right {
            self.problem = Some("Choose two different tools.".into());
            return Err(());
        }
        if self.slug.is_empty() {
            self.slug = format!("{left}-vs-{right}");
        }
        let slug = self.slug.parse::<Slug>().map_err(|error| {
            self.slug_problem = Some(format!("{error}."));
        })?;
        let known = self.known.as_ref().map(|known| &known.entry);
        let wish = self.form.wish(web).map_err(|problem| {
            self.form.problem = Some(problem);
        })?;
        Ok(Comparison {
            slug,
            left,
            right,
            published_at: wish.date(known.map(|known| known.published_at), web.app.now()),
            sample: known.is_some_and(|known| known.sample),
        })
    }
}

async fn known(web: &Web, slug: &str) -> Result<Versioned<Comparison>, Problem> {
    let slug: Slug = slug.parse().map_err(|_| Problem::not_found())?;
    let known = web.app.storage.stored_comparison(&slug).await?;
    known.ok_or_else(Problem::not_found)
}

pub(super) async fn look_at_new(State(web): State<Web>, Me(who): Me) -> Page {
    let sheet = ComparisonSheet {
        form: EntryForm::new(),
        ..ComparisonSheet::default()
    };
    page(&web, &who, sheet).await
}

pub(super) async fn look(
    State(web): State<Web>,
    Me(who): Me,
    PathSegment(slug): PathSegment,
) -> Page {
    let known = known(&web, &slug).await?;
    page(&web, &who, ComparisonSheet::of(&web, known)).await
}

async fn page(web: &Web, who: &SignedIn, sheet: ComparisonSheet) -> Page {
    let tools = web.app.storage.tool_names().await?;
    let comparison = sheet.known.as_ref().map(|known| &known.entry);
    let name = |slug: &Slug| {
        let found = tools.iter().find(|(known, _)| known == slug);
        found.map_or_else(|| slug.to_string(), |(_, name)| name.clone())
    };
    let title = comparison.map(|c| format!("{} vs {}", name(&c.left), name(&c.right)));
    let title = title.unwrap_or_default();
    let state = comparison.map(|c| PublicationState::at(c.published_at, web.app.now()));
    let sent = match comparison {
        Some(comparison) => web.app.storage.last_sent_with(&comparison.slug).await?,
        None => None,
    };
    let facts = comparison.map(|comparison| {
        let sent = sent.map_or_else(
            || "Never sent.".into(),
            |slot| format!("Last sent in {slot}."),
        );
        vec![format!("{}.", comparison.slug), sent]
    });
    let place = comparison.map(|comparison| format!("{COMPARISONS}/{}", comparison.slug));
    let slug = EntryField {
        name: "slug",
        label: "Slug",
        value: sheet.slug.clone(),
        hint: "Its address on the site, which never changes. Empty: left-vs-right.",
        max: Slug::MAX,
        rows: 0,
        is_optional: true,
        list: None,
        problem: sheet.slug_problem,
    };
    let view = ComparisonFormView {
        action: match &place {
            Some(place) => format!("{place}/edit"),
            None => format!("{COMPARISONS}/new"),
        },
        state: state.map(|state| (state.as_str(), mood(state))),
        page: comparison
            .filter(|_| state == Some(PublicationState::Live))
            .map(|comparison| format!("/comparisons/{}", comparison.slug)),
        remove: place.map(|place| format!("{place}/remove")),
        facts: facts.unwrap_or_default(),
        version: sheet.form.version.clone(),
        is_sent: sent.is_some(),
        slug: comparison.is_none().then_some(slug),
        publish: sheet
            .form
            .publish_fields(web, comparison.map(|comparison| comparison.published_at)),
        conflict: sheet.conflict,
        problem: sheet.problem,
        twin: sheet
            .twin
            .map(|twin| (format!("{COMPARISONS}/{twin}/edit"), format!("Open {twin}"))),
        left: sheet.left,
        right: sheet.right,
        tools: tools
            .iter()
            .map(|(slug, name)| (slug.to_string(), name.clone()))
            .collect(),
        title,
    };
    let heading = match view.title.as_str() {
        "" => "Compare two tools".to_owned(),
        title => title.to_owned(),
    };
    let frame = answers::frame(web, who, &heading, COMPARISONS);
    Ok(Html(desk::comparison_form(frame, view)?))
}

async fn save_as(
    web: &Web,
    who: &SignedIn,
    mut sheet: ComparisonSheet,
) -> Result<Response, Problem> {
    let Ok(comparison) = sheet.comparison(web) else {
        if sheet.problem.is_none() {
            sheet.problem = Some("It is not saved yet: look at what is marked below.".into());
        }
        return Ok(answers::refused(page(web, who, sheet).await?.0));
    };
    let over = sheet.form.over(sheet.known.is_some());
    let actor = web.app.actor_of(who);
    let saved = web
        .app
        .save_comparison_entry(&actor, &comparison, over)
        .await?;
    let here = format!("{COMPARISONS}/{}/edit", comparison.slug);
    match saved {
        ComparisonSaved::Plain(EntrySaved::Done) => answers::done(web, who, "Saved.", &here).await,
        ComparisonSaved::Plain(EntrySaved::Unchanged) => {
            answers::done(web, who, "Nothing was changed.", &here).await
        }
        ComparisonSaved::Plain(EntrySaved::Conflict(theirs)) => {
            conflict(web, who, sheet, &comparison, theirs).await
        }
        ComparisonSaved::Plain(EntrySaved::SlugTaken) => {
            let slug = &comparison.slug;
            sheet.slug_problem = Some(format!(
                "There is a comparison {slug} already: choose another slug."
            ));
            sheet.problem = Some("It is not saved yet: look at what is marked below.".into());
            Ok(answers::refused(page(web, who, sheet).await?.0))
        }
        ComparisonSaved::SamePair(twin) => {
            sheet.problem = Some(format!("These two tools are compared already, in {twin}."));
            sheet.twin = Some(twin);
            Ok(answers::refused(page(web, who, sheet).await?.0))
        }
        ComparisonSaved::NoTool => {
            sheet.problem = Some("One of these tools is not in the catalogue.".into());
            Ok(answers::refused(page(web, who, sheet).await?.0))
        }
        ComparisonSaved::WasSent(slot) => {
            sheet.problem = Some(format!(
                "It was sent in {slot}, so its two tools stay as they are: add another comparison."
            ));
            Ok(answers::refused(page(web, who, sheet).await?.0))
        }
    }
}

async fn conflict(
    web: &Web,
    who: &SignedIn,
    mut sheet: ComparisonSheet,
    mine: &Comparison,
    theirs: Option<Versioned<Comparison>>,
) -> Result<Response, Problem> {
    match theirs {
        Some(theirs) => {
            let changes = comparison_changes(Some(mine), Some(&theirs.entry));
            sheet.conflict = Some(entry_form::conflict(&changes));
            sheet.form.version = theirs.version.to_string();
            sheet.known = Some(theirs);
        }
        None => {
            sheet.problem =
                Some("Somebody removed this comparison while you wrote. Add it anew below.".into());
            sheet.known = None;
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
    save_as(&web, &who, ComparisonSheet::read(None, &fields)).await
}

pub(super) async fn save(
    State(web): State<Web>,
    Me(who): Me,
    PathSegment(slug): PathSegment,
    FormFields(fields): FormFields<HashMap<String, String>>,
) -> Result<Response, Problem> {
    let slug: Slug = slug.parse().map_err(|_| Problem::not_found())?;
    let known = web.app.storage.stored_comparison(&slug).await?;
    let is_gone = known.is_none();
    let mut sheet = ComparisonSheet::read(known, &fields);
    if !is_gone {
        return save_as(&web, &who, sheet).await;
    }
    sheet.slug = slug.to_string();
    match sheet.comparison(&web) {
        Ok(mine) => conflict(&web, &who, sheet, &mine, None).await,
        Err(()) => {
            let page = page(&web, &who, sheet).await?;
            Ok((StatusCode::CONFLICT, page).into_response())
        }
    }
}

pub(super) async fn look_at_removal(
    State(web): State<Web>,
    Me(who): Me,
    PathSegment(slug): PathSegment,
) -> Page {
    let known = known(&web, &slug).await?;
    let slug = &known.entry.slug;
    let sentence = match web.app.storage.last_sent_with(slug).await? {
        Some(slot) => format!(
            "It was sent, last in {slot}. Links in that mail go on showing it as it was sent; the site no longer lists it."
        ),
        None => "It was never sent. Its address on the site answers nothing any more.".into(),
    };
    let question = entry_form::removal(
        format!("Remove {slug}?"),
        vec!["The two tools stay.".into(), sentence],
        format!("{COMPARISONS}/{slug}"),
    );
    let frame = answers::frame(&web, &who, "Remove a comparison", COMPARISONS);
    Ok(Html(desk::form(frame, question)?))
}

pub(super) async fn remove(
    State(web): State<Web>,
    Me(who): Me,
    PathSegment(slug): PathSegment,
) -> Result<Response, Problem> {
    let known = known(&web, &slug).await?;
    let kind = EntryKind::Comparison;
    entry_form::remove(&web, &who, kind, &known.entry.slug, COMPARISONS).await
}
