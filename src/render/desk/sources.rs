//! Sources and proposals.

use askama::Template;

use super::DeskFrame;
use super::catalogue_import::DifferenceLine;
use crate::render::RenderError;

/// A source in the list.
pub struct SourceLine {
    /// Address of its page.
    pub href: String,
    /// Name.
    pub name: String,
    /// Kind.
    pub kind: &'static str,
    /// Treatment of what it brings, in words.
    pub mode: &'static str,
    /// State in a word,
    pub state: &'static str,
    /// and as a class.
    pub mood: &'static str,
    /// Time of the last look that did not fail.
    pub last: String,
    /// Proposals that wait.
    pub waiting: String,
}

/// A remark.
pub struct RemarkLine {
    /// Kind,
    pub kind: &'static str,
    /// and as a class.
    pub mood: &'static str,
    /// Sentence.
    pub detail: String,
}

/// An entry that a test pull found.
pub struct TriedEntry {
    /// Title.
    pub title: String,
    /// Differences, in words.
    pub differences: String,
    /// Remarks.
    pub remarks: Vec<RemarkLine>,
}

/// Result of a test pull.
pub struct TriedView {
    /// Sentence.
    pub summary: String,
    /// The first entries.
    pub entries: Vec<TriedEntry>,
}

/// The form of a source as it was typed.
#[derive(Debug, Clone, Default)]
pub struct SourceFields {
    /// Name.
    pub name: String,
    /// Kind.
    pub kind: String,
    /// Address.
    pub url: String,
    /// Treatment.
    pub mode: String,
    /// Interval in minutes.
    pub minutes: String,
    /// Category.
    pub category: String,
    /// Lowest score that means ship.
    pub ship_from: String,
    /// Reviewers by other names, a line each.
    pub reviewers: String,
    /// Selectors, a line each.
    pub select: String,
    /// True if pages of entries are followed.
    pub follow: bool,
}

/// The page of a source, new or known.
pub struct SourceFormView {
    /// Address that the form goes to.
    pub action: String,
    /// Name of the known source.
    pub known: Option<String>,
    /// State, in sentences.
    pub facts: Vec<String>,
    /// Reason of the last failure.
    pub error: Option<String>,
    /// Something to know of the last look.
    pub note: Option<String>,
    /// True if it is paused.
    pub is_paused: bool,
    /// Address of its proposals.
    pub proposals: Option<String>,
    /// Fields.
    pub fields: SourceFields,
    /// Result of a test pull.
    pub tried: Option<TriedView>,
    /// What is wrong.
    pub problem: Option<String>,
    /// True if it may be saved although it cannot be read.
    pub may_force: bool,
}

/// A proposal in the list.
pub struct ProposalLine {
    /// Address of its page.
    pub href: String,
    /// Title.
    pub title: String,
    /// Name of its source.
    pub source: String,
    /// State.
    pub state: &'static str,
    /// As a class.
    pub mood: &'static str,
    /// Time when it was new or changed.
    pub at: String,
    /// Remarks, in words.
    pub remarks: String,
}

/// The list of proposals.
pub struct ProposalsView {
    /// Rows.
    pub rows: Vec<ProposalLine>,
    /// States to choose from: value, words, and whether it is chosen.
    pub states: Vec<(&'static str, &'static str, bool)>,
    /// Name of the source that it is about.
    pub source: Option<String>,
    /// Source in the address.
    pub source_id: String,
    /// Address of the next page.
    pub next: Option<String>,
    /// True if the user may decide.
    pub may_decide: bool,
    /// True if those that wait are listed.
    pub is_open: bool,
}

/// A verdict to choose.
pub struct QuestionField {
    /// Name of the field.
    pub key: String,
    /// Words.
    pub label: String,
}

/// A proposal.
pub struct ProposalPageView {
    /// Address of the page.
    pub path: String,
    /// Title.
    pub title: String,
    /// Name of its source.
    pub source: String,
    /// Address of its source.
    pub source_path: String,
    /// Address of its page elsewhere.
    pub url: Option<String>,
    /// State,
    pub state: &'static str,
    /// and as a class.
    pub mood: &'static str,
    /// Sentences.
    pub facts: Vec<String>,
    /// Remarks.
    pub remarks: Vec<RemarkLine>,
    /// Differences.
    pub differences: Vec<DifferenceLine>,
    /// Number of differences that are not shown, in words.
    pub more: Option<String>,
    /// Verdicts to choose.
    pub questions: Vec<QuestionField>,
    /// Version that is shown.
    pub version: i64,
    /// True if it waits for a decision and the user may decide.
    pub is_open: bool,
    /// True if it cannot be accepted.
    pub has_fault: bool,
    /// What is wrong with what was sent.
    pub problem: Option<String>,
}

#[derive(Template)]
#[template(path = "desk/sources.html", whitespace = "minimize")]
struct SourcesPage<'a> {
    frame: DeskFrame<'a>,
    rows: Vec<SourceLine>,
    may_change: bool,
}

/// The list of sources.
pub fn sources(
    frame: DeskFrame<'_>,
    rows: Vec<SourceLine>,
    may_change: bool,
) -> Result<String, RenderError> {
    Ok(SourcesPage {
        frame,
        rows,
        may_change,
    }
    .render()?)
}

#[derive(Template)]
#[template(path = "desk/source.html", whitespace = "minimize")]
struct SourcePage<'a> {
    frame: DeskFrame<'a>,
    view: SourceFormView,
}

/// A source and its form.
pub fn source(frame: DeskFrame<'_>, view: SourceFormView) -> Result<String, RenderError> {
    Ok(SourcePage { frame, view }.render()?)
}

#[derive(Template)]
#[template(path = "desk/proposals.html", whitespace = "minimize")]
struct ProposalsPage<'a> {
    frame: DeskFrame<'a>,
    view: ProposalsView,
}

/// The list of proposals.
pub fn proposals(frame: DeskFrame<'_>, view: ProposalsView) -> Result<String, RenderError> {
    Ok(ProposalsPage { frame, view }.render()?)
}

#[derive(Template)]
#[template(path = "desk/proposal.html", whitespace = "minimize")]
struct ProposalPage<'a> {
    frame: DeskFrame<'a>,
    view: ProposalPageView,
}

/// One proposal beside the catalogue.
pub fn proposal(frame: DeskFrame<'_>, view: ProposalPageView) -> Result<String, RenderError> {
    Ok(ProposalPage { frame, view }.render()?)
}
