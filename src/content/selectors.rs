//! A page by selectors that the source's mapping declares. A selector may end with `@name`: then that attribute is read, not the text.

use scraper::ElementRef;
use scraper::Html;
use scraper::Selector;
use url::Url;

use super::plain;
use super::reviewer;
use super::score;
use super::verdict;
use crate::domain::source::FoundEntry;
use crate::domain::source::FoundReview;
use crate::domain::source::FoundTool;
use crate::domain::source::RemarkKind;
use crate::domain::source::SourceMapping;
use crate::domain::source::canonical_url;

/// A selector, and the attribute that is meant.
pub struct SelectedPlace {
    selector: Selector,
    attribute: Option<String>,
}

/// Reads a selector.
///
/// # Errors
/// A sentence.
pub fn parse(text: &str) -> Result<SelectedPlace, String> {
    let (selector, attribute) = match text.rsplit_once('@') {
        Some((selector, name))
            if !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') =>
        {
            (selector, Some(name.to_ascii_lowercase()))
        }
        _ => (text, None),
    };
    let selector = Selector::parse(selector.trim())
        .map_err(|_| format!("{text:?} is no CSS selector like \".score\" or \"a.home@href\""))?;
    Ok(SelectedPlace {
        selector,
        attribute,
    })
}

/// Selectors of a mapping, by their names.
struct SelectedPlaces<'m>(&'m SourceMapping);

impl SelectedPlaces<'_> {
    fn find<'e>(
        &self,
        name: &str,
        within: ElementRef<'e>,
    ) -> Option<(ElementRef<'e>, Option<String>)> {
        let place = parse(self.0.select.get(name)?).ok()?;
        let element = within.select(&place.selector).next()?;
        Some((element, place.attribute))
    }

    fn text(&self, name: &str, within: ElementRef<'_>) -> String {
        match self.find(name, within) {
            Some((element, Some(attribute))) => element
                .value()
                .attr(&attribute)
                .unwrap_or_default()
                .trim()
                .to_owned(),
            Some((element, None)) => plain::of_node(*element),
            None => String::new(),
        }
    }

    fn line(&self, name: &str, within: ElementRef<'_>) -> String {
        let text = self.text(name, within);
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    fn all<'e>(&self, name: &str, within: ElementRef<'e>) -> Vec<ElementRef<'e>> {
        let place = self.0.select.get(name).and_then(|text| parse(text).ok());
        place
            .map(|place| within.select(&place.selector).collect())
            .unwrap_or_default()
    }
}

/// Reads the tools of a page.
///
/// # Errors
/// A sentence, where no tool is found.
pub fn read(
    document: &Html,
    url: &Url,
    mapping: &SourceMapping,
) -> Result<Vec<FoundEntry>, String> {
    let (places, root) = (SelectedPlaces(mapping), document.root_element());
    let parts = match mapping.select.contains_key("tool") {
        true => places.all("tool", root),
        false => vec![root],
    };
    let is_alone = parts.len() == 1;
    let mut entries = Vec::new();
    for part in parts {
        let mut entry = tool_entry(&places, part, url, mapping);
        if entry.title.is_empty() {
            continue;
        }
        if is_alone {
            entry.guid = canonical_url(url);
        }
        entries.push(entry);
    }
    match entries.is_empty() {
        true => Err("The source's selectors find no tool with a name on the page.".into()),
        false => Ok(entries),
    }
}

fn tool_entry(
    places: &SelectedPlaces<'_>,
    part: ElementRef<'_>,
    url: &Url,
    mapping: &SourceMapping,
) -> FoundEntry {
    let mut entry = FoundEntry {
        url: Some(url.to_string()),
        ..FoundEntry::default()
    };
    let mut tool = FoundTool {
        name: places.line("name", part),
        category: places.line("category", part),
        tagline: places.line("tagline", part),
        description: places.text("description", part),
        url: address(places, part, url),
        pricing: places.line("pricing", part),
        entry_price: places.line("entry_price", part),
        ..FoundTool::default()
    };
    for review in places.all("review", part) {
        let name = places.line("reviewer", review);
        let Some(reviewer) = reviewer(&name, mapping) else {
            let note = format!(
                "The review by \"{name}\" is left out: they are none of the panel, and the mapping does not name them."
            );
            entry.remark(RemarkKind::Note, &tool.name.clone(), note);
            continue;
        };
        if tool.reviews.iter().any(|known| known.reviewer == reviewer) {
            continue;
        }
        tool.reviews.push(FoundReview {
            reviewer,
            score: score(&places.line("score", review)),
            verdict: verdict(&places.line("verdict", review)),
            take: places.text("take", review),
            quote: None,
        });
    }
    entry.title.clone_from(&tool.name);
    entry.guid = format!("{}#{}", canonical_url(url), tool.name.to_lowercase());
    entry.tools.push(tool);
    entry
}

/// The maker's page: where a link leads, or the text of what is selected.
fn address(places: &SelectedPlaces<'_>, part: ElementRef<'_>, page: &Url) -> String {
    let found = match places.find("url", part) {
        Some((element, None)) => element
            .value()
            .attr("href")
            .map_or_else(|| plain::of_node(*element), str::to_owned),
        _ => places.line("url", part),
    };
    match found.trim() {
        "" => String::new(),
        text => page
            .join(text)
            .map(String::from)
            .unwrap_or_else(|_| text.to_owned()),
    }
}
