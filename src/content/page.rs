//! A page about a tool or a comparison.

use scraper::Html;
use url::Url;

use super::finish;
use super::json_ld;
use super::plain;
use super::selectors;
use super::text_form;
use crate::domain::source::FoundEntry;
use crate::domain::source::SourceMapping;

/// Reads a page: by its JSON-LD, else by the mapping's selectors, else by the text form of a comparison.
///
/// # Errors
/// A sentence: what was looked for, and not found.
pub fn read(
    text: &str,
    is_html: bool,
    url: &Url,
    mapping: &SourceMapping,
) -> Result<Vec<FoundEntry>, String> {
    let mut entries = match is_html {
        true => read_html(text, url, mapping)?,
        false => text_form::read(text, url).map(|entry| vec![entry])?,
    };
    entries.truncate(super::ENTRIES_MAX);
    for entry in &mut entries {
        finish(entry, mapping);
    }
    Ok(entries)
}

fn read_html(text: &str, url: &Url, mapping: &SourceMapping) -> Result<Vec<FoundEntry>, String> {
    plain::check_depth(text)?;
    let document = Html::parse_document(text);
    let linked = json_ld::read(&document, url, mapping);
    if let Ok(entries) = &linked
        && !entries.is_empty()
    {
        return linked;
    }
    if !mapping.select.is_empty() {
        return selectors::read(&document, url, mapping);
    }
    match text_form::read(&plain::of_document(&document), url) {
        Ok(entry) => Ok(vec![entry]),
        Err(fault) => {
            let linked = linked.err().map(|fault| format!(" ({fault})"));
            Err(format!(
                "The page has no JSON-LD of a tool{}, the source has no selectors, and it is not in the text form of a comparison: {fault}",
                linked.unwrap_or_default()
            ))
        }
    }
}
