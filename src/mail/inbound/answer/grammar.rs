//! The patterns of `words.tsv`: what a whole sentence says.
//!
//! A pattern is followed through a sentence with all places that it may have got to, as an automaton is: no pattern and no
//! sentence makes it go back, so that its time is bounded by the length of both.

use super::fold::is_unspaced;
use super::fold::words;

/// Words of `{thing}` one after another, and of a sentence that is made of known words alone.
const THINGS: usize = 24;

/// A part of a pattern.
#[derive(Debug)]
enum Part {
    Words(String),
    OneOf(Vec<Vec<Part>>),
    Things,
}

/// A pattern, read.
#[derive(Debug)]
pub struct Pattern(Vec<Part>);

impl Pattern {
    /// Reads a pattern: `(a|b)`, `[a|b]`, `{thing}`, words.
    pub fn read(text: &str) -> Self {
        let mut rest = text;
        Self(sequence(&mut rest))
    }

    /// Returns whether the pattern covers all of a sentence, which is made of [`words`].
    pub fn covers(&self, sentence: &str, things: &[String]) -> bool {
        follow(&self.0, sentence, vec![0], things).contains(&sentence.len())
    }
}

fn sequence(rest: &mut &str) -> Vec<Part> {
    let mut parts = Vec::new();
    loop {
        let end = rest.find(['(', '[', '{', '|', ')', ']']).unwrap_or(rest.len());
        let literal = words(&rest[..end]);
        if !literal.is_empty() {
            parts.push(Part::Words(literal));
        }
        *rest = &rest[end..];
        let Some(mark) = rest.chars().next().filter(|c| matches!(c, '(' | '[' | '{')) else { return parts };
        *rest = &rest[1..];
        if mark == '{' {
            *rest = rest.split_once('}').map_or("", |(_, behind)| behind);
            parts.push(Part::Things);
            continue;
        }
        let mut choices = vec![sequence(rest)];
        while let Some(behind) = rest.strip_prefix('|') {
            *rest = behind;
            choices.push(sequence(rest));
        }
        *rest = rest.strip_prefix([')', ']']).unwrap_or(rest);
        let is_optional = mark == '[' || rest.strip_prefix('?').map(|behind| *rest = behind).is_some();
        if is_optional {
            choices.push(Vec::new());
        }
        parts.push(Part::OneOf(choices));
    }
}

/// The places to which a sequence leads from any of those.
fn follow(parts: &[Part], sentence: &str, from: Vec<usize>, things: &[String]) -> Vec<usize> {
    let mut places = from;
    for part in parts {
        if places.is_empty() {
            break;
        }
        places = match part {
            Part::Words(literal) => places.iter().filter_map(|at| behind(sentence, *at, literal)).collect(),
            Part::OneOf(choices) => choices.iter().flat_map(|choice| follow(choice, sentence, places.clone(), things)).collect(),
            Part::Things => behind_things(sentence, places, things),
        };
        places.sort_unstable();
        places.dedup();
    }
    places
}

fn behind_things(sentence: &str, from: Vec<usize>, things: &[String]) -> Vec<usize> {
    let (mut all, mut places) = (Vec::new(), from);
    for _ in 0..THINGS {
        let mut next: Vec<usize> = places.iter().flat_map(|at| things.iter().filter_map(|thing| behind(sentence, *at, thing))).collect();
        next.sort_unstable();
        next.dedup();
        if next.is_empty() {
            break;
        }
        all.extend(&next);
        places = next;
    }
    all
}

/// Returns whether a sentence is made of those words alone.
pub fn is_made_of<'a>(sentence: &str, lists: impl Fn() -> Box<dyn Iterator<Item = &'a String>>) -> bool {
    let mut places = vec![0];
    for _ in 0..THINGS {
        let mut next: Vec<usize> = places.iter().flat_map(|at| lists().filter_map(|word| behind(sentence, *at, word))).collect();
        next.sort_unstable();
        next.dedup();
        if next.contains(&sentence.len()) {
            return true;
        }
        if next.is_empty() {
            return false;
        }
        places = next;
    }
    false
}

/// Returns whether words stand in a sentence as whole words.
pub fn holds(sentence: &str, literal: &str) -> bool {
    sentence.match_indices(literal).any(|(at, _)| {
        let begins = at == 0 || sentence[..at].ends_with(' ') || sentence[..at].chars().next_back().is_some_and(is_unspaced);
        begins && behind(sentence, at, literal).is_some()
    })
}

/// The place behind words that stand there as whole words.
fn behind(sentence: &str, at: usize, literal: &str) -> Option<usize> {
    let rest = sentence.get(at..)?.strip_prefix(literal)?;
    let end = at + literal.len();
    match rest.chars().next() {
        None => Some(end),
        Some(' ') => Some(end + 1),
        Some(next) => (is_unspaced(next) || literal.chars().next_back().is_some_and(is_unspaced)).then_some(end),
    }
}

/// A text less those words at its beginning.
pub fn less_at_start<'a>(text: &'a str, literal: &str) -> Option<&'a str> {
    behind(text, 0, literal).map(|end| &text[end..])
}

/// A text less those words at its end.
pub fn less_at_end<'a>(text: &'a str, literal: &str) -> Option<&'a str> {
    let rest = text.strip_suffix(literal)?;
    match rest.chars().next_back() {
        None => Some(rest),
        Some(' ') => Some(rest.trim_end()),
        Some(before) => (is_unspaced(before) || literal.chars().next().is_some_and(is_unspaced)).then_some(rest),
    }
}

#[cfg(test)]
mod tests {
    use super::Pattern;
    use super::words;

    #[test]
    fn a_pattern_covers_a_sentence_whole_or_not_at_all() {
        let things = ["this", "list", "mailing list"].map(String::from);
        let covers = |pattern: &str, text: &str| Pattern::read(pattern).covers(&words(text), &things);
        let pattern = "[i] (want|would like) to (leave|be taken off) [{thing}]";
        for said in ["I want to leave", "would like to be taken off this mailing list", "I want to leave this list!"] {
            assert!(covers(pattern, said), "{said}");
        }
        for other in
            ["I want to leaves", "I do not want to leave", "I want to leave Berlin", "I want to leave this list to Bob", "", "I want to"]
        {
            assert!(!covers(pattern, other), "{other}");
        }
        assert!(
            covers("配信[を|の](停止|中止)", "配信を停止") && covers("配信[を|の](停止|中止)", "配信停止") && !covers("配信", "配信停止")
        );
        assert!(covers("a (b)? c", "a c") && covers("a (b)? c", "a b c"));
    }
}
