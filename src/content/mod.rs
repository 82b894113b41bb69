//! Floor 3: content that comes in. Reads feeds and pages into entries of the catalogue; no I/O, and bounded by the size of what was given.
//!
//! [`feed`] reads RSS, Atom and JSON Feed. [`page`] reads a page in three ways, in this order: `json_ld` (over the objects of `graph`), `selectors`, `text_form`. Nothing is
//! guessed: what a source does not say is left empty, asked, or named as a fault. [`plain`] makes text of HTML.

pub mod feed;
mod graph;
mod json_ld;
pub mod page;
pub mod plain;
mod selectors;
mod text_form;

use crate::domain::Timestamp;
use crate::domain::catalogue::Reviewer;
use crate::domain::catalogue::Verdict;
use crate::domain::source::FoundEntry;
use crate::domain::source::RemarkKind;
use crate::domain::source::SELECTABLE;
use crate::domain::source::SourceMapping;

/// Entries that one look takes; feeds have some tens.
pub const ENTRIES_MAX: usize = 500;
/// Longest tagline that is made from a longer text, in characters.
const TAGLINE_MAX: usize = 200;

/// Checks a mapping: the names and the form of its selectors, and its threshold.
///
/// # Errors
/// A sentence that names what is wrong.
pub fn check_mapping(mapping: &SourceMapping) -> Result<(), String> {
    if mapping.ship_from.is_some_and(|score| score > 100) {
        return Err("ship_from: expected a score from 0 to 100".into());
    }
    if mapping.category.chars().count() > 60 {
        return Err("category: expected at most 60 characters".into());
    }
    for (name, selector) in &mapping.select {
        if !SELECTABLE.contains(&name.as_str()) {
            return Err(format!(
                "select.{name}: expected one of {}",
                SELECTABLE.join(", ")
            ));
        }
        selectors::parse(selector).map_err(|fault| format!("select.{name}: {fault}"))?;
    }
    Ok(())
}

/// The reviewer that a source means by a name.
fn reviewer(name: &str, mapping: &SourceMapping) -> Option<Reviewer> {
    let name = name.trim();
    let mapped = mapping
        .reviewers
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(name));
    let of_panel = || {
        let mut panel = Reviewer::ALL.iter();
        panel.find(|known| known.as_str().eq_ignore_ascii_case(name))
    };
    mapped
        .map(|(_, reviewer)| *reviewer)
        .or_else(|| of_panel().copied())
}

/// A score as a source writes it, out of 100: `82`, `82/100 · ship`, `4.1/5`. A text that is none stays as it is, and is refused where it
/// is read.
fn score(text: &str) -> String {
    let is_number = |c: char| c.is_ascii_digit() || matches!(c, '.' | '/' | '%' | ' ');
    let end = text.trim().find(|c| !is_number(c));
    let number = end.map_or(text.trim(), |end| text.trim()[..end].trim());
    let (value, best) = match number.split_once('/') {
        Some((value, best)) => (value.trim(), best.trim()),
        None => (number.trim_end_matches('%').trim(), "100"),
    };
    match (value.parse::<f64>(), best.parse::<f64>()) {
        (Ok(value), Ok(best)) if best > 0.0 => format!("{:.0}", value / best * 100.0),
        _ => text.trim().to_owned(),
    }
}

/// The verdict in a text: the word alone, whatever stands around it.
fn verdict(text: &str) -> Option<Verdict> {
    let lower = text.to_lowercase();
    let mut words = lower.split(|c: char| !c.is_alphanumeric());
    let mut found = words.by_ref().filter_map(|word| match word {
        "ship" => Some(Verdict::Ship),
        "skip" => Some(Verdict::Skip),
        _ => None,
    });
    match (found.next(), found.next()) {
        (Some(verdict), None) => Some(verdict),
        // Both words, or none: it says nothing.
        _ => None,
    }
}

/// A time of publication: RFC 3339, or a day.
fn time(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    let day = || format!("{text}T00:00:00Z").parse().ok();
    let at: Timestamp = text.parse().ok().or_else(day)?;
    (0..=253_402_300_799)
        .contains(&at.timestamp())
        .then_some(at)
}

/// The first sentence of a text, or its beginning.
fn first_sentence(text: &str) -> String {
    let line = text.lines().find(|line| !line.trim().is_empty());
    let line = line.unwrap_or_default().trim();
    let end = line
        .char_indices()
        .find(|(at, c)| matches!(c, '.' | '!' | '?') && line[at + 1..].starts_with(' '))
        .map_or(line.len(), |(at, _)| at + 1);
    let sentence = &line[..end];
    match sentence.char_indices().nth(TAGLINE_MAX) {
        Some((cut, _)) => {
            let words = &sentence[..cut];
            let at = words.rfind(' ').unwrap_or(cut);
            format!("{}…", &words[..at])
        }
        None => sentence.to_owned(),
    }
}

/// Fills in what the mapping decides, and asks for what nobody says.
fn finish(entry: &mut FoundEntry, mapping: &SourceMapping) {
    let mut questions = Vec::new();
    for tool in &mut entry.tools {
        if tool.category.is_empty() {
            tool.category.clone_from(&mapping.category);
        }
        if tool.tagline.is_empty() {
            tool.tagline = first_sentence(&tool.description);
        }
        if tool.description.is_empty() {
            tool.description.clone_from(&tool.tagline);
        }
        for review in &mut tool.reviews {
            let points = review.score.parse::<u8>().ok();
            let decided =
                mapping
                    .ship_from
                    .zip(points)
                    .map(|(from, points)| match points >= from {
                        true => Verdict::Ship,
                        false => Verdict::Skip,
                    });
            review.verdict = review.verdict.or(decided);
            if review.verdict.is_none() {
                questions.push((
                    format!("{} {} verdict", tool.name, review.reviewer),
                    review.score.clone(),
                ));
            }
        }
    }
    for (field, score) in questions {
        let detail = format!(
            "The source gives {score} of 100 and says neither ship nor skip. Choose one, or set ship_from in the source's mapping."
        );
        entry.remark(RemarkKind::Question, &field, detail);
    }
}

#[cfg(test)]
mod tests;
