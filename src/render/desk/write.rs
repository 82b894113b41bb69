//! The page on which an issue is written, and the line of an inbox beside it.

use askama::Template;

use super::DeskFrame;
use crate::domain::issue_text::IssueField;
use crate::render::RenderError;

/// A field of the form.
pub struct TextFieldView {
    /// Name in the form.
    pub name: &'static str,
    /// Its label.
    pub label: &'static str,
    /// Its value.
    pub value: String,
    /// Hint for filling it in.
    pub hint: String,
    /// Maximum number of characters.
    pub max: usize,
    /// Lines of a field of several; 0: one line.
    pub rows: usize,
    /// True if marks like `{pair}` are filled in.
    pub has_marks: bool,
    /// Said while it is empty.
    pub placeholder: String,
}

impl TextFieldView {
    /// A field of one line.
    pub fn line(field: IssueField, label: &'static str, value: &str, hint: &str) -> Self {
        Self {
            name: field.as_str(),
            label,
            value: value.to_owned(),
            hint: hint.to_owned(),
            max: field.length_max(),
            rows: 0,
            has_marks: false,
            placeholder: String::new(),
        }
    }

    /// A field of several lines.
    pub fn lines(
        field: IssueField,
        label: &'static str,
        value: &str,
        (rows, hint): (usize, &str),
    ) -> Self {
        Self {
            rows,
            ..Self::line(field, label, value, hint)
        }
    }

    fn length(&self) -> usize {
        self.value.chars().count()
    }
}

/// A finding about the issue.
pub struct CheckView {
    /// "bad", "warn" or "good".
    pub mood: &'static str,
    /// The mood in a word.
    pub word: &'static str,
    /// Subject of the check.
    pub what: &'static str,
    /// Result of the check.
    pub words: String,
    /// Path at which it can be mended.
    pub href: String,
}

/// The issue as a list of mails shows it.
pub struct LineView {
    /// Its sender.
    pub sender: String,
    /// The subject.
    pub subject: String,
    /// The preheader.
    pub preheader: String,
    /// Characters of both.
    pub lengths: (usize, usize),
    /// Findings.
    pub checks: Vec<CheckView>,
    /// Reason why there is nothing to show.
    pub problem: Option<String>,
}

/// A field that two editors changed.
pub struct ClashView {
    /// Its label.
    pub label: String,
    /// As this editor wrote it,
    pub mine: String,
    /// and as the other did.
    pub theirs: String,
}

/// Another editor's save in between.
pub struct ConflictView {
    /// Author and time of the save.
    pub sentence: String,
    /// The fields that differ.
    pub fields: Vec<ClashView>,
}

/// Content of the page.
pub struct WriteView {
    /// The week.
    pub slot: String,
    /// Revision that a save is made from.
    pub revision: i64,
    /// Author and time of the last save.
    pub saved: String,
    /// The form.
    pub fields: Vec<TextFieldView>,
    /// The issue in an inbox, with findings.
    pub line: LineView,
    /// Another editor's save in between.
    pub conflict: Option<ConflictView>,
    /// Reason why it was not saved.
    pub problem: Option<String>,
}

#[derive(Template)]
#[template(path = "desk/write.html", whitespace = "minimize")]
struct WritePage<'a> {
    frame: DeskFrame<'a>,
    view: WriteView,
}

/// The page on which an issue is written.
pub fn write(frame: DeskFrame<'_>, view: WriteView) -> Result<String, RenderError> {
    Ok(WritePage { frame, view }.render()?)
}

/// Content of the page on which a digest that went out is corrected.
pub struct CorrectView {
    /// The week.
    pub slot: String,
    /// Effect of a correction, and for how many.
    pub sentence: String,
    /// The form.
    pub fields: Vec<TextFieldView>,
    /// True if the comparisons are to be taken anew.
    pub with_catalogue: bool,
    /// Reason why it was not corrected.
    pub problem: Option<String>,
    /// Words of the button.
    pub button: String,
}

#[derive(Template)]
#[template(path = "desk/correct.html", whitespace = "minimize")]
struct CorrectPage<'a> {
    frame: DeskFrame<'a>,
    view: CorrectView,
}

/// The page on which a digest that went out is corrected.
pub fn correct(frame: DeskFrame<'_>, view: CorrectView) -> Result<String, RenderError> {
    Ok(CorrectPage { frame, view }.render()?)
}

#[derive(Template)]
#[template(path = "desk/line.html", whitespace = "minimize")]
struct LinePart<'a> {
    line: &'a LineView,
}

/// The line of an inbox and the findings, alone: a part of the page that is fetched while somebody writes.
pub fn line(line: &LineView) -> Result<String, RenderError> {
    Ok(LinePart { line }.render()?)
}
