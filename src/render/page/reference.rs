//! The reference page of the API: every operation, as its document describes it. No script, and nothing from another host.

use askama::Template;

use super::PageFrame;
use crate::render::RenderError;
use crate::render::Site;

/// Operations of one group.
#[derive(Debug)]
pub struct OperationGroup {
    /// Name.
    pub name: String,
    /// A sentence.
    pub words: String,
    /// Its operations.
    pub operations: Vec<OperationView>,
}

/// An operation.
#[derive(Debug)]
pub struct OperationView {
    /// Name for generated clients.
    pub id: String,
    /// Method.
    pub method: String,
    /// Path, from the root of the site.
    pub path: String,
    /// What it does.
    pub summary: String,
    /// More words, and the scope.
    pub description: String,
    /// Parameters and fields of the body.
    pub fields: Vec<OperationField>,
    /// Statuses that are no problem, each with its sentence.
    pub answers: String,
}

/// A parameter, or a field of a body.
#[derive(Debug)]
pub struct OperationField {
    /// Name.
    pub name: String,
    /// Where it stands.
    pub place: &'static str,
    /// A sentence.
    pub words: String,
    /// True if it must be there.
    pub is_required: bool,
}

#[derive(Template)]
#[template(path = "web/api.html", whitespace = "minimize")]
struct ReferencePage<'a> {
    frame: PageFrame<'a>,
    base: &'a str,
    groups: Vec<OperationGroup>,
}

/// The reference page. `base`: where the API begins.
pub fn reference(
    site: &Site,
    base: &str,
    groups: Vec<OperationGroup>,
) -> Result<String, RenderError> {
    let words = "Every operation of the API: what it needs, what it takes and what it answers.";
    let frame = PageFrame::private(site, "The API".to_owned(), words);
    let page = ReferencePage {
        frame,
        base,
        groups,
    };
    Ok(page.render()?)
}
