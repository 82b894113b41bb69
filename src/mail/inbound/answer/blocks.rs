//! Beginning of a quotation that no `>` marks: the line above it, or a block of fields.

use std::collections::HashSet;
use std::ops::Range;

use super::fold::fold;
use super::forms::FORMS;
use super::forms::QuoteField;
use super::line::Mark;
use super::line::TextLine;
use super::line::is_of_rule;
use super::line::is_rule;

/// Lines of a block of fields, and of the line above a quotation as programs wrap it.
const BLOCK: usize = 24;
const ATTRIBUTION: usize = 4;
/// Characters of either.
const LONGEST: usize = 600;
/// Digits of a date with a time.
const DATED: usize = 7;
/// Lines without a `>` that are looked at.
const UNMARKED_MAX: usize = 500;

/// Marks quotations by the forms of `forms.tsv`. What follows such a line is quoted up to the end, or where it is marked with `>`, as far as that goes.
pub fn mark_quotations(lines: &mut [TextLine]) {
    let mut at = 0;
    let mut unmarked = 0;
    while at < lines.len() {
        let line = &lines[at];
        if line.mark == Mark::Rest || unmarked > UNMARKED_MAX {
            lines[at..]
                .iter_mut()
                .for_each(|line| line.mark = Mark::Rest);
            return;
        }
        if line.text.is_empty() || line.mark != Mark::Own {
            at += 1;
            continue;
        }
        unmarked += 1;
        let Some(begins) = fields(lines, at)
            .or_else(|| separator(lines, at))
            .or_else(|| attribution(lines, at))
        else {
            at += 1;
            continue;
        };
        lines[begins.clone()]
            .iter_mut()
            .for_each(|line| line.mark = Mark::Quote);
        at = begins.end;
        let next = lines[at..]
            .iter()
            .find(|line| !line.text.is_empty() && !is_rule(&line.text));
        if next.is_some_and(|line| line.mark != Mark::Quote)
            && fields(lines, next_at(lines, at)).is_none()
        {
            lines[at..]
                .iter_mut()
                .for_each(|line| line.mark = Mark::Rest);
            return;
        }
    }
}

/// The next line that says something.
fn next_at(lines: &[TextLine], at: usize) -> usize {
    (at..lines.len())
        .find(|at| !lines[*at].text.is_empty() && !is_rule(&lines[*at].text))
        .unwrap_or(lines.len())
}

/// A block of From, Sent, To, Subject that begins at a line: at least three fields, of the sender and of the rest.
fn fields(lines: &[TextLine], at: usize) -> Option<Range<usize>> {
    let mut found: HashSet<QuoteField> = HashSet::new();
    let mut end = at;
    // Some programs set no colon: then each line is a field, and one names an address.
    let (mut colons, mut gap, mut is_addressed) = (0, 0, false);
    for (place, line) in lines.iter().enumerate().skip(at).take(BLOCK) {
        let label = label_of(&line.text);
        let known: Vec<QuoteField> = label
            .iter()
            .flat_map(|(label, _)| FORMS.fields(label))
            .collect();
        if line.mark != Mark::Own && line.mark != Mark::Link || known.is_empty() {
            gap += 1;
            if end == at || gap > 3 {
                break;
            }
            continue;
        }
        let has_colon = label.is_some_and(|(_, has_colon)| has_colon);
        // A block is of one kind: "Da" above `Da: ...` is somebody's yes.
        if end != at && has_colon != (colons > 0) || !has_colon && gap > 1 {
            break;
        }
        colons += usize::from(has_colon);
        is_addressed |= line.text.contains('@');
        gap = 0;
        end = place + 1;
        found.extend(known);
    }
    let has = |field| found.contains(&field);
    let whole = found.len() >= 3
        && (has(QuoteField::From) || has(QuoteField::Sent))
        && (has(QuoteField::Subject) || has(QuoteField::To));
    (whole && (colons >= 3 || is_addressed && end - at >= 3)).then_some(at..end)
}

/// The folded label that a line begins with, and whether a colon follows it.
fn label_of(line: &str) -> Option<(String, bool)> {
    let line = line.trim_start_matches(['*', '|', ' ', '\t']);
    let head: String = line.chars().take(40).collect();
    if let Some((label, _)) = head.split_once([':', '：']) {
        return Some((
            fold(label.trim_matches(['*', ' ', '\u{a0}', '\t', '_'])),
            true,
        ));
    }
    // Notes sets a label alone on its line; eM Client sets the value behind a space.
    let word = head.split_whitespace().next()?;
    Some((fold(word), false))
}

/// `-----Original Message-----`, `Begin forwarded message:`.
fn separator(lines: &[TextLine], at: usize) -> Option<Range<usize>> {
    let text = lines[at].text.as_str();
    if text.len() > LONGEST || !text.starts_with(is_of_rule) && !text.ends_with([':', '：']) {
        return None;
    }
    let bare = text.trim_matches(|c: char| {
        is_of_rule(c) || c.is_whitespace() || matches!(c, ':' | '：' | '>' | '<')
    });
    // Words that no table knows divide too, where what follows is a quotation: `----- Mail original -----`.
    let divides = || {
        is_in_rules(text)
            && (fields(lines, next_at(lines, at + 1)).is_some()
                || lines[at + 1..]
                    .iter()
                    .find(|line| !line.text.is_empty())
                    .is_some_and(|line| line.mark == Mark::Quote))
    };
    (FORMS.is_separator(&fold(bare)) || divides()).then_some(at..at + 1)
}

/// Returns whether words stand between two rules of dashes.
fn is_in_rules(text: &str) -> bool {
    text.starts_with("---") && text.ends_with("---")
}

/// The line `On 24 May, Ada wrote:`, on up to four lines.
fn attribution(lines: &[TextLine], at: usize) -> Option<Range<usize>> {
    let mut whole = String::new();
    for end in at..lines.len().min(at + ATTRIBUTION) {
        let line = &lines[end];
        if line.text.is_empty() || line.mark != Mark::Own || whole.len() + line.text.len() > LONGEST
        {
            return None;
        }
        if !whole.is_empty() {
            whole.push(' ');
        }
        whole.push_str(&line.text);
        let next = lines[end + 1..].iter().find(|line| !line.text.is_empty());
        let is_above_quote = next.is_some_and(|line| line.mark == Mark::Quote);
        if end == at && is_within(&line.text) {
            return Some(at..at + 1);
        }
        if is_attribution(
            &whole,
            is_above_quote,
            end == at || lines[at].text.contains(|c: char| c.is_ascii_digit()),
        ) {
            return Some(at..end + 1);
        }
    }
    None
}

/// Returns whether a text is the line above a quotation. A form that begins with a star is looked for only where the first line may be a date, or
/// it would take the writer's last words with it.
fn is_attribution(text: &str, is_above_quote: bool, may_begin: bool) -> bool {
    let has_colon = text.ends_with([':', '：']);
    let ends = is_in_rules(text) || is_above_quote || has_colon;
    // GMX' telephone program leaves the colon out; a date and a time are there all the same.
    let is_dated = text.chars().filter(char::is_ascii_digit).count() >= DATED;
    if !ends && !is_dated {
        return false;
    }
    let bare = text.trim_matches(|c: char| {
        is_of_rule(c) || c.is_whitespace() || matches!(c, ':' | '：' | '>' | '<')
    });
    let says_when = bare.chars().any(char::is_numeric) || bare.contains('@');
    if !says_when && !is_above_quote {
        return false;
    }
    // In a language or of a program that no form knows: a date with a time and an address before a colon, or either of them above `>`.
    let is_addressed = bare.contains('@');
    if may_begin
        && has_colon
        && (is_dated && is_addressed || is_above_quote && (is_dated || is_addressed))
    {
        return true;
    }
    let folded = fold(bare);
    FORMS
        .attributions
        .iter()
        .any(|glob| (ends && may_begin || glob.is_anchored()) && glob.covers(&folded))
}

/// Returns whether a line begins with the line above a quotation, and goes on with the quotation: Yahoo's telephone program sets no line between.
fn is_within(text: &str) -> bool {
    let colons = text.match_indices(": ").map(|(at, _)| at).take(8);
    colons
        .into_iter()
        .any(|at| text[..at].contains('@') && is_attribution(&text[..=at], false, false))
}
