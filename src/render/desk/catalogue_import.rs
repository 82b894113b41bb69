//! Importing a catalogue at the desk: the file, and what it would change.

use askama::Template;

use super::DeskFrame;
use crate::domain::catalogue_change::FieldChange;
use crate::render::RenderError;

/// Characters of a text that stand before and after what differs.
const CONTEXT: usize = 60;
/// Characters of a text that are shown at most.
const SHOWN_MAX: usize = 600;

/// Counts of one kind.
pub struct CountLine {
    /// Kind, in words.
    pub what: &'static str,
    /// Numbers: added, changed, unchanged, removed.
    pub counts: [String; 4],
}

/// A value before and after.
pub struct ChangedField {
    pub(super) field: String,
    pub(super) before: String,
    pub(super) after: String,
}

impl ChangedField {
    /// The change, cut to what differs.
    pub fn new(change: &FieldChange) -> Self {
        let (before, after) = around(&change.before, &change.after);
        Self {
            field: change.field.clone(),
            before,
            after,
        }
    }
}

/// Something that an import adds, changes or removes.
pub struct DifferenceLine {
    /// `added`, `changed` or `removed`,
    pub change: &'static str,
    /// and as a class.
    pub mood: &'static str,
    /// Kind.
    pub kind: &'static str,
    /// Name.
    pub name: String,
    /// Fields that differ.
    pub fields: Vec<ChangedField>,
}

/// Changes that a file would make.
pub struct CatalogueImportView {
    /// Address of the page.
    pub path: String,
    /// Name of the file.
    pub file: String,
    /// True if the file is to be the whole catalogue.
    pub replace: bool,
    /// True if changed verdicts are corrections.
    pub corrections: bool,
    /// Numbers.
    pub counts: Vec<CountLine>,
    /// Differences.
    pub differences: Vec<DifferenceLine>,
    /// Number of differences that are not shown, in words.
    pub more: Option<String>,
    /// Hash of what differs.
    pub seen: String,
    /// Warning before it is applied.
    pub problem: Option<String>,
}

#[derive(Template)]
#[template(path = "desk/catalogue_upload.html", whitespace = "minimize")]
struct CatalogueUploadPage<'a> {
    frame: DeskFrame<'a>,
    largest: &'a str,
    problem: Option<String>,
}

/// First step: the file.
pub fn catalogue_upload(
    frame: DeskFrame<'_>,
    largest: &str,
    problem: Option<String>,
) -> Result<String, RenderError> {
    Ok(CatalogueUploadPage {
        frame,
        largest,
        problem,
    }
    .render()?)
}

#[derive(Template)]
#[template(path = "desk/catalogue_import.html", whitespace = "minimize")]
struct CatalogueImportPage<'a> {
    frame: DeskFrame<'a>,
    view: CatalogueImportView,
}

/// Second step: what the file would change.
pub fn catalogue_import(
    frame: DeskFrame<'_>,
    view: CatalogueImportView,
) -> Result<String, RenderError> {
    Ok(CatalogueImportPage { frame, view }.render()?)
}

/// Two texts, cut to the part in which they differ with some characters around it.
fn around(before: &str, after: &str) -> (String, String) {
    let (old, new): (Vec<char>, Vec<char>) = (before.chars().collect(), after.chars().collect());
    let same = |pair: &(&char, &char)| pair.0 == pair.1;
    let head = old.iter().zip(&new).take_while(same).count();
    let rest = old.len().min(new.len()) - head;
    let tail = old.iter().rev().zip(new.iter().rev()).take_while(same);
    let tail = tail.count().min(rest);
    let cut = |text: &[char]| {
        let from = head.saturating_sub(CONTEXT);
        let to = (text.len() - tail + CONTEXT).min(text.len());
        let to = to.min(from + SHOWN_MAX);
        let middle: String = text[from..to].iter().collect();
        let (before, after) = (from > 0, to < text.len());
        format!(
            "{}{middle}{}",
            if before { "…" } else { "" },
            if after { "…" } else { "" }
        )
    };
    (cut(&old), cut(&new))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_to_what_differs() {
        let text = |middle: &str| format!("{}{middle}{}", "a".repeat(500), "z".repeat(500));
        let (before, after) = around(&text("old"), &text("new words"));
        assert!(before.starts_with('…') && before.ends_with('…'));
        assert!(before.contains("aoldz") && after.contains("anew wordsz"));
        assert!(before.chars().count() < 140);
        assert_eq!(around("Free", "Free"), ("Free".into(), "Free".into()));
        assert_eq!(around("", "aa"), (String::new(), "aa".into()));
        assert_eq!(around("aaa", "aa"), ("aaa".into(), "aa".into()));
    }
}
