//! Growth: the list over time, where readers come from, and how long they stay.

use askama::Template;

use super::DeskFrame;
use super::chart::Chart;
use crate::render::RenderError;

/// A figure beside others.
pub struct FigureView {
    /// The number.
    pub number: String,
    /// Its meaning.
    pub words: &'static str,
}

/// A row of a table of changes.
pub struct GrowthRow {
    /// Day, week, source or issue.
    pub name: String,
    /// Address that it leads to.
    pub href: Option<String>,
    /// Numbers, in the order of the table's heads.
    pub cells: Vec<String>,
}

/// Readers who came in one week.
pub struct CohortRow {
    /// The week.
    pub week: String,
    /// Readers who came.
    pub gained: String,
    /// Share that is left after each week, with its shade from 0 to 9; none where nobody came.
    pub cells: Vec<Option<(String, u8)>>,
}

/// Content of the page.
pub struct GrowthView {
    /// Spans that can be chosen: words, address, and whether it is this one.
    pub spans: Vec<(&'static str, String, bool)>,
    /// Sentence as long as the history of before is being read.
    pub reading: Option<&'static str>,
    /// The main figures.
    pub figures: Vec<FigureView>,
    /// Readers on the list.
    pub active: Chart,
    /// Readers who came and who left.
    pub changes: Chart,
    /// Sources.
    pub sources: Vec<GrowthRow>,
    /// Share that is still there, over all cohorts.
    pub survival: Chart,
    /// Cohorts, newest first.
    pub cohorts: Vec<CohortRow>,
    /// Number of columns of the cohorts.
    pub weeks: Vec<usize>,
    /// Changes from issue to issue.
    pub issues: Vec<GrowthRow>,
}

#[derive(Template)]
#[template(path = "desk/growth.html", whitespace = "minimize")]
struct GrowthPage<'a> {
    frame: DeskFrame<'a>,
    view: GrowthView,
}

/// The page of growth.
pub fn growth(frame: DeskFrame<'_>, view: GrowthView) -> Result<String, RenderError> {
    Ok(GrowthPage { frame, view }.render()?)
}
