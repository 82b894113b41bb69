//! The page with the form of a tool.

use axum::response::Html;

use super::super::Web;
use super::super::answer::Page;
use super::super::answer::Problem;
use super::answers;
use super::catalogue_list::TOOLS;
use super::catalogue_list::mood;
use super::entry_form::EntryForm;
use super::entry_form::plural;
use crate::app::FieldFault;
use crate::app::catalogue::editing::TypedReview;
use crate::app::catalogue::editing::TypedTool;
use crate::app::users::signing_in::SignedIn;
use crate::domain::catalogue::Panel;
use crate::domain::catalogue::Reviewer;
use crate::domain::catalogue::Tool;
use crate::domain::publication::PublicationState;
use crate::render::desk;
use crate::render::desk::EntryField;
use crate::render::desk::ReviewFields;
use crate::render::desk::ToolCardView;
use crate::render::desk::ToolFormView;
use crate::render::desk::VerdictQuestion;
use crate::storage::catalogue_edit::Versioned;
use crate::storage::catalogue_list::ToolUses;

/// The page, with what stands in its form.
#[derive(Default)]
pub(super) struct ToolSheet {
    /// The tool that is changed; none: a new one.
    pub known: Option<Versioned<Tool>>,
    pub typed: TypedTool,
    pub form: EntryForm,
    pub faults: Vec<FieldFault>,
    pub question: Option<VerdictQuestion>,
    pub conflict: Option<desk::ConflictView>,
    pub problem: Option<String>,
}

impl ToolSheet {
    pub fn of(web: &Web, known: Versioned<Tool>) -> Self {
        Self {
            typed: TypedTool::from(&known.entry),
            form: EntryForm::of(web, known.version, known.entry.published_at),
            known: Some(known),
            ..Self::default()
        }
    }

    pub fn new() -> Self {
        let typed = TypedTool {
            reviews: vec![TypedReview::default(); Reviewer::ALL.len()],
            ..TypedTool::default()
        };
        Self {
            typed,
            form: EntryForm::new(),
            ..Self::default()
        }
    }
}

pub(super) async fn page(web: &Web, who: &SignedIn, sheet: ToolSheet) -> Page {
    let now = web.app.now();
    let card = card(&sheet.typed, &[]);
    let tool = sheet.known.as_ref().map(|known| &known.entry);
    let place = match tool {
        Some(tool) => format!("{TOOLS}/{}", tool.slug),
        None => format!("{TOOLS}/new"),
    };
    let state = tool.map(|tool| PublicationState::at(tool.published_at, now));
    let facts = match &sheet.known {
        Some(known) => facts(web, known).await?,
        None => Vec::new(),
    };
    let view = ToolFormView {
        action: match tool {
            Some(_) => format!("{place}/edit"),
            None => place.clone(),
        },
        preview: format!("{place}/preview"),
        name: tool.map(|tool| tool.name.clone()).unwrap_or_default(),
        state: state.map(|state| (state.as_str(), mood(state))),
        page: tool
            .filter(|_| state == Some(PublicationState::Live))
            .map(|tool| format!("/tools/{}", tool.slug)),
        remove: tool.map(|_| format!("{place}/remove")),
        facts,
        version: sheet.form.version.clone(),
        fields: fields(&sheet.typed, tool.is_none(), &sheet.faults),
        categories: web.app.storage.all_categories().await?,
        reviews: reviews(&sheet),
        publish: sheet
            .form
            .publish_fields(web, tool.map(|tool| tool.published_at)),
        question: sheet.question,
        conflict: sheet.conflict,
        problem: sheet.problem,
        card,
    };
    let title = match view.name.as_str() {
        "" => "Add a tool".to_owned(),
        name => name.to_owned(),
    };
    let frame = answers::frame(web, who, &title, TOOLS);
    Ok(Html(desk::tool_form(frame, view)?))
}

async fn facts(web: &Web, known: &Versioned<Tool>) -> Result<Vec<String>, Problem> {
    let uses = web.app.storage.tool_uses(&known.entry.slug).await?;
    let mut facts = vec![format!(
        "{}, with {}.",
        known.entry.slug,
        uses_in_words(&uses)
    )];
    facts.push(match uses.last_sent {
        Some(slot) => format!("Last sent in {slot}."),
        None => "Never sent.".into(),
    });
    if known.entry.sample {
        facts.push("It is part of the sample, and shown as invented.".into());
    }
    Ok(facts)
}

/// "2 comparisons, 1 vote and 3 saves".
pub(super) fn uses_in_words(uses: &ToolUses) -> String {
    format!(
        "{}, {} and {}",
        plural(uses.comparisons, "comparison", "comparisons"),
        plural(uses.votes, "vote", "votes"),
        plural(uses.saves, "save", "saves")
    )
}

fn reviews(sheet: &ToolSheet) -> Vec<ReviewFields> {
    let row = |(row, (reviewer, typed)): (usize, (&Reviewer, &TypedReview))| {
        let prefix = format!("{reviewer} ");
        let faults = sheet.faults.iter();
        let problems = faults.filter_map(|fault| {
            let part = fault.field.strip_prefix(&prefix)?;
            Some(format!("{part}: {}", fault.detail))
        });
        ReviewFields {
            reviewer: *reviewer,
            row,
            score: typed.score.clone(),
            verdict: typed.verdict.clone(),
            take: typed.take.clone(),
            problems: problems.collect(),
        }
    };
    let rows = Reviewer::ALL.iter().zip(&sheet.typed.reviews);
    rows.enumerate().map(row).collect()
}

fn fields(typed: &TypedTool, is_new: bool, faults: &[FieldFault]) -> Vec<EntryField> {
    let line = |name: &'static str, label, value: &String, max| EntryField {
        name,
        label,
        value: value.clone(),
        hint: "",
        max,
        rows: 0,
        is_optional: false,
        list: None,
        problem: faults
            .iter()
            .find(|fault| fault.field == name)
            .map(|fault| fault.detail.clone()),
    };
    let optional = |field: EntryField, hint| EntryField {
        is_optional: true,
        hint,
        ..field
    };
    let mut fields = vec![line("name", "Name", &typed.name, 120)];
    if is_new {
        let hint = "Its address on the site, which never changes. Empty: made from the name.";
        fields.push(optional(line("slug", "Slug", &typed.slug, 200), hint));
    }
    fields.push(EntryField {
        list: Some("categories"),
        ..line("category", "Category", &typed.category, 60)
    });
    fields.push(EntryField {
        hint: "Shown as \u{201c}Best for\u{201d}.",
        ..line("tagline", "Tagline", &typed.tagline, 300)
    });
    fields.push(EntryField {
        rows: 6,
        ..line("description", "Description", &typed.description, 10_000)
    });
    fields.push(optional(
        line("url", "The maker\u{2019}s page", &typed.url, 2_000),
        "",
    ));
    fields.push(optional(
        line("pricing", "Pricing", &typed.pricing, 300),
        "",
    ));
    fields.push(optional(
        line("entry_price", "Entry price", &typed.entry_price, 60),
        "",
    ));
    fields
}

/// The tool in short, as far as it can be read already.
pub(super) fn card(typed: &TypedTool, faults: &[FieldFault]) -> ToolCardView {
    let verdicts = || typed.reviews.iter().map(|review| review.verdict.as_str());
    let count = |verdict: &str| verdicts().filter(|said| *said == verdict).count() as u32;
    let scores = || {
        let scores = typed.reviews.iter();
        scores.filter_map(|review| review.score.trim().parse::<u8>().ok())
    };
    let name = typed.name.trim();
    ToolCardView {
        name: if name.is_empty() {
            "No name yet".into()
        } else {
            name.to_owned()
        },
        lines: [
            typed.category.trim().to_owned(),
            typed.tagline.trim().to_owned(),
        ],
        panel: Panel {
            ships: count("ship"),
            skips: count("skip"),
        },
        spread: scores().min().zip(scores().max()),
        faults: faults
            .iter()
            .map(|fault| format!("{}: {}", fault.field, fault.detail))
            .collect(),
    }
}
