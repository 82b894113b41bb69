//! The catalogue at the desk: lists, and the forms of a tool and of a comparison.

use askama::Template;

use super::DeskFrame;
use super::write::ConflictView;
use crate::domain::catalogue::Panel;
use crate::domain::catalogue::Reviewer;
use crate::render::RenderError;
use crate::render::view::Badge;

/// Filter of a list, as it was asked for.
pub struct CatalogueFilterView {
    /// Address of the list.
    pub path: &'static str,
    /// Part of a name.
    pub search: String,
    /// Every category, and whether it is chosen.
    pub categories: Vec<(String, bool)>,
    /// Conditions to tick: name, words, whether it holds.
    pub checks: [(&'static str, &'static str, bool); 3],
    /// True if any condition holds.
    pub is_on: bool,
}

/// A tool of the list.
pub struct ToolLine {
    /// Address of its form.
    pub href: String,
    /// Name.
    pub name: String,
    /// Slug.
    pub slug: String,
    /// Category.
    pub category: String,
    /// Votes of the panel.
    pub panel: Panel,
    /// Reviewers who have not spoken, in words.
    pub missing: Option<String>,
    /// Lowest and highest score.
    pub spread: Option<(u8, u8)>,
    /// Votes of readers, in words.
    pub community: String,
    /// Day of its publication.
    pub published: String,
    /// The last issue that it was in.
    pub last: Option<String>,
    /// State in one word,
    pub state: &'static str,
    /// and as a class.
    pub mood: &'static str,
    /// True if it is invented.
    pub is_sample: bool,
}

impl ToolLine {
    fn verdict(&self) -> Badge {
        Badge(self.panel)
    }
}

/// A comparison of the list.
pub struct ComparisonLine {
    /// Address of its form.
    pub href: String,
    /// Both tools.
    pub title: String,
    /// Slug.
    pub slug: String,
    /// Categories.
    pub category: String,
    /// Day of its publication.
    pub published: String,
    /// The last issue that it was in.
    pub last: Option<String>,
    /// State in one word,
    pub state: &'static str,
    /// and as a class.
    pub mood: &'static str,
    /// Reason why it is not on the site although its date has come.
    pub waits: Option<String>,
}

/// A page of a list.
pub struct CatalogueList<T> {
    /// Filter.
    pub filter: CatalogueFilterView,
    /// True if the user may change the catalogue.
    pub may_change: bool,
    /// Rows.
    pub rows: Vec<T>,
    /// Address of the first page, from any other.
    pub first_page: Option<String>,
    /// Address of the next page.
    pub next_page: Option<String>,
}

#[derive(Template)]
#[template(path = "desk/tools.html", whitespace = "minimize")]
struct ToolListPage<'a> {
    frame: DeskFrame<'a>,
    view: CatalogueList<ToolLine>,
}

/// A page of the list of tools.
pub fn catalogue_tools(
    frame: DeskFrame<'_>,
    view: CatalogueList<ToolLine>,
) -> Result<String, RenderError> {
    Ok(ToolListPage { frame, view }.render()?)
}

#[derive(Template)]
#[template(path = "desk/comparisons.html", whitespace = "minimize")]
struct ComparisonListPage<'a> {
    frame: DeskFrame<'a>,
    view: CatalogueList<ComparisonLine>,
}

/// A page of the list of comparisons.
pub fn catalogue_comparisons(
    frame: DeskFrame<'_>,
    view: CatalogueList<ComparisonLine>,
) -> Result<String, RenderError> {
    Ok(ComparisonListPage { frame, view }.render()?)
}

/// A field of a form.
pub struct EntryField {
    /// Its name.
    pub name: &'static str,
    /// Its label.
    pub label: &'static str,
    /// Its value.
    pub value: String,
    /// Hint for filling it in.
    pub hint: &'static str,
    /// Maximum number of characters.
    pub max: usize,
    /// Lines of a field of several; 0: one line.
    pub rows: usize,
    /// True if it may be empty.
    pub is_optional: bool,
    /// Name of a list of values that it offers.
    pub list: Option<&'static str>,
    /// Fault of the value.
    pub problem: Option<String>,
}

/// Review of one reviewer, as the form has it.
pub struct ReviewFields {
    /// Reviewer.
    pub reviewer: Reviewer,
    /// Number of the row, which the names of its fields begin with.
    pub row: usize,
    /// Score.
    pub score: String,
    /// Verdict.
    pub verdict: String,
    /// Take.
    pub take: String,
    /// Faults.
    pub problems: Vec<String>,
}

/// Date of publication, as the form has it.
pub struct PublishFields {
    /// Choices: value, words, whether it is chosen.
    pub choices: Vec<(&'static str, String, bool)>,
    /// Time of the last choice, on the site's clocks.
    pub at: String,
    /// The site's time zone.
    pub zone: String,
    /// Fault of the time.
    pub problem: Option<String>,
}

/// A verdict that changes: readers who saved the tool may be told.
pub struct VerdictQuestion {
    /// Label before.
    pub before: &'static str,
    /// Label after.
    pub after: &'static str,
    /// Number of readers, in words.
    pub savers: String,
}

/// The form of a tool.
pub struct ToolFormView {
    /// Address of the form.
    pub action: String,
    /// Address of what the form previews.
    pub preview: String,
    /// Name of the tool; empty for a new one.
    pub name: String,
    /// State in one word and as a class, of one that is there.
    pub state: Option<(&'static str, &'static str)>,
    /// Page on the site, if it is there.
    pub page: Option<String>,
    /// Address of the question before it is removed.
    pub remove: Option<String>,
    /// Facts about it.
    pub facts: Vec<String>,
    /// Version that a save is made from.
    pub version: String,
    /// Fields.
    pub fields: Vec<EntryField>,
    /// Categories that are in use.
    pub categories: Vec<String>,
    /// Reviews.
    pub reviews: Vec<ReviewFields>,
    /// Date of publication.
    pub publish: PublishFields,
    /// Verdict that changes.
    pub question: Option<VerdictQuestion>,
    /// Another editor's save in between.
    pub conflict: Option<ConflictView>,
    /// Reason why it was not saved.
    pub problem: Option<String>,
    /// The card as it would stand in a list.
    pub card: ToolCardView,
}

/// The tool in short, as lists of the site show it.
pub struct ToolCardView {
    /// Name.
    pub name: String,
    /// Category and tagline.
    pub lines: [String; 2],
    /// Votes of the panel.
    pub panel: Panel,
    /// Lowest and highest score.
    pub spread: Option<(u8, u8)>,
    /// Fields that are not right yet.
    pub faults: Vec<String>,
}

impl ToolCardView {
    fn verdict(&self) -> Badge {
        Badge(self.panel)
    }
}

#[derive(Template)]
#[template(path = "desk/tool.html", whitespace = "minimize")]
struct ToolFormPage<'a> {
    frame: DeskFrame<'a>,
    view: ToolFormView,
}

/// The page with the form of a tool.
pub fn tool_form(frame: DeskFrame<'_>, view: ToolFormView) -> Result<String, RenderError> {
    Ok(ToolFormPage { frame, view }.render()?)
}

#[derive(Template)]
#[template(path = "desk/tool_card.html", whitespace = "minimize")]
struct ToolCardPart<'a> {
    card: &'a ToolCardView,
}

/// The card alone: a part of the page that is fetched while somebody writes.
pub fn tool_card(card: &ToolCardView) -> Result<String, RenderError> {
    Ok(ToolCardPart { card }.render()?)
}

/// The form of a comparison.
pub struct ComparisonFormView {
    /// Address of the form.
    pub action: String,
    /// Names of both tools; empty for a new one.
    pub title: String,
    /// State in one word and as a class, of one that is there.
    pub state: Option<(&'static str, &'static str)>,
    /// Page on the site, if it is there.
    pub page: Option<String>,
    /// Address of the question before it is removed.
    pub remove: Option<String>,
    /// Facts about it.
    pub facts: Vec<String>,
    /// Version that a save is made from.
    pub version: String,
    /// Tools to choose from: slug, name.
    pub tools: Vec<(String, String)>,
    /// Slug of the tool on the left.
    pub left: String,
    /// Slug of the tool on the right.
    pub right: String,
    /// True if the tools can no longer be changed.
    pub is_sent: bool,
    /// Slug, of a new one.
    pub slug: Option<EntryField>,
    /// Date of publication.
    pub publish: PublishFields,
    /// Another editor's save in between.
    pub conflict: Option<ConflictView>,
    /// Reason why it was not saved,
    pub problem: Option<String>,
    /// and an entry to look at because of it: address, words.
    pub twin: Option<(String, String)>,
}

#[derive(Template)]
#[template(path = "desk/comparison.html", whitespace = "minimize")]
struct ComparisonFormPage<'a> {
    frame: DeskFrame<'a>,
    view: ComparisonFormView,
}

/// The page with the form of a comparison.
pub fn comparison_form(
    frame: DeskFrame<'_>,
    view: ComparisonFormView,
) -> Result<String, RenderError> {
    Ok(ComparisonFormPage { frame, view }.render()?)
}
