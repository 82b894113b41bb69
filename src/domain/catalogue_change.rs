//! Differences between two versions of a tool, a review or a comparison, field by field: what an import shows before it is applied, and
//! what the audit log keeps of a change.

use serde::Serialize;

use super::catalogue::Comparison;
use super::catalogue::Review;
use super::catalogue::Reviewer;
use super::catalogue::Tool;
use super::publication::is_draft;

super::named! {
    /// Kind of an entry of the catalogue.
    EntryKind {
        /// A tool.
        Tool => "tool",
        /// A comparison.
        Comparison => "comparison",
    }
}

/// A field that differs. A field that is not there is empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldChange {
    /// Its name in the catalogue document; of a review with the reviewer before it.
    pub field: String,
    /// Value before.
    pub before: String,
    /// Value after.
    pub after: String,
}

/// Longest text that the audit log keeps of a value, in characters.
const LOGGED_MAX: usize = 300;

impl FieldChange {
    /// The change as the audit log keeps it: long texts are cut.
    pub fn logged(&self) -> serde_json::Value {
        serde_json::json!([cut(&self.before), cut(&self.after)])
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(LOGGED_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Values of a thing, by their names; a missing thing has none.
type Fields = Vec<(String, String)>;

/// The fields in which two versions of a tool differ, its reviews among them; either may be missing.
pub fn tool_changes(before: Option<&Tool>, after: Option<&Tool>) -> Vec<FieldChange> {
    let mut changes = own_changes(before, after);
    for reviewer in Reviewer::ALL {
        let review = |tool: Option<&Tool>| {
            let review = tool.and_then(|tool| tool.review_by(*reviewer));
            review.map(review_fields).unwrap_or_default()
        };
        let named = |fields: Fields| -> Fields {
            let fields = fields.into_iter();
            fields
                .map(|(name, value)| (format!("{reviewer} {name}"), value))
                .collect()
        };
        changes.extend(differences(named(review(before)), named(review(after))));
    }
    changes
}

/// The same without the reviews.
pub fn own_changes(before: Option<&Tool>, after: Option<&Tool>) -> Vec<FieldChange> {
    let fields = |tool: Option<&Tool>| tool.map(tool_fields).unwrap_or_default();
    differences(fields(before), fields(after))
}

/// The fields in which two versions of a review differ.
pub fn review_changes(before: &Review, after: &Review) -> Vec<FieldChange> {
    differences(review_fields(before), review_fields(after))
}

/// The fields in which two versions of a comparison differ; either may be missing.
pub fn comparison_changes(
    before: Option<&Comparison>,
    after: Option<&Comparison>,
) -> Vec<FieldChange> {
    let fields =
        |comparison: Option<&Comparison>| comparison.map(comparison_fields).unwrap_or_default();
    differences(fields(before), fields(after))
}

fn tool_fields(tool: &Tool) -> Fields {
    named([
        ("name", tool.name.clone()),
        ("category", tool.category.clone()),
        ("tagline", tool.tagline.clone()),
        ("description", tool.description.clone()),
        ("url", tool.url.clone().unwrap_or_default()),
        ("pricing", tool.pricing.clone()),
        ("entry_price", tool.entry_price.clone()),
        ("published_at", date(tool.published_at)),
        ("sample", yes(tool.sample)),
    ])
}

fn review_fields(review: &Review) -> Fields {
    named([
        ("score", review.score.points().to_string()),
        ("verdict", review.verdict.to_string()),
        ("take", review.take.clone()),
    ])
}

fn comparison_fields(comparison: &Comparison) -> Fields {
    named([
        ("left", comparison.left.to_string()),
        ("right", comparison.right.to_string()),
        ("published_at", date(comparison.published_at)),
        ("sample", yes(comparison.sample)),
    ])
}

fn named<const N: usize>(fields: [(&str, String); N]) -> Fields {
    fields
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

fn date(at: super::Timestamp) -> String {
    match is_draft(at) {
        true => "draft".into(),
        false => at.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true),
    }
}

fn yes(is_so: bool) -> String {
    if is_so { "true".into() } else { String::new() }
}

/// The fields that differ, in the order of whichever version has them.
fn differences(before: Fields, after: Fields) -> Vec<FieldChange> {
    let names = if after.is_empty() { &before } else { &after };
    let value = |fields: &Fields, name: &str| {
        let found = fields.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.clone()).unwrap_or_default()
    };
    let changes = names.iter().map(|(field, _)| FieldChange {
        field: field.clone(),
        before: value(&before, field),
        after: value(&after, field),
    });
    changes
        .filter(|change| change.before != change.after)
        .collect()
}
