//! The patterns of `words.tsv`: what a whole sentence says.
//!
//! A pattern is followed through a sentence with all places that it may have got to, as an automaton is: no pattern and no
//! sentence makes it go back, so that its time is bounded by the length of both.

use std::collections::HashMap;
use std::collections::HashSet;

use super::fold::is_unspaced;
use super::fold::words;
use super::phrases::Phrases;
use super::phrases::first_of;

const ENGLISH: &str = "en";
/// Words of `{thing}` one after another.
const THINGS: usize = 24;

/// A part of a pattern.
#[derive(Debug)]
enum PatternPart {
    Words(String),
    OneOf(Vec<Vec<PatternPart>>),
    Things,
}

/// Words of `{thing}` by language. English ones are among those of each: people everywhere say newsletter and mail.
#[derive(Debug, Default)]
pub struct Things(HashMap<String, Phrases>);

impl Things {
    /// Reads phrases with their languages.
    pub fn read(rows: &[(&str, &str)]) -> Self {
        let languages: HashSet<&str> = rows.iter().map(|(language, _)| *language).collect();
        let of = |language: &str| {
            let own = rows
                .iter()
                .filter(|(of, _)| *of == language || *of == ENGLISH)
                .flat_map(|(_, text)| text.split('|'));
            Phrases::read(own)
        };
        Self(
            languages
                .into_iter()
                .map(|language| (language.to_owned(), of(language)))
                .collect(),
        )
    }

    fn of(&self, language: &str) -> Option<&Phrases> {
        self.0.get(language).or_else(|| self.0.get(ENGLISH))
    }
}

/// A pattern of a language, read.
#[derive(Debug)]
struct Pattern {
    language: String,
    parts: Vec<PatternPart>,
}

impl Pattern {
    /// Reads a pattern: `(a|b)`, `[a|b]`, `{thing}`, words.
    fn read(language: &str, text: &str) -> Self {
        let mut rest = text;
        Self {
            language: language.to_owned(),
            parts: sequence(&mut rest),
        }
    }

    /// Returns whether the pattern covers all of a sentence, which is made of [`words`].
    fn covers(&self, sentence: &str, things: &Things) -> bool {
        things.of(&self.language).is_some_and(|things| {
            follow(&self.parts, sentence, vec![0], things).contains(&sentence.len())
        })
    }
}

/// Patterns, found by a word that a sentence needs for them.
#[derive(Debug, Default)]
pub struct Patterns {
    all: Vec<Pattern>,
    by_word: HashMap<String, Vec<usize>>,
    /// Those without such a word.
    others: Vec<usize>,
}

impl Patterns {
    /// Reads patterns with their languages.
    pub fn read(rows: &[(&str, impl AsRef<str>)]) -> Self {
        let mut found = Self::default();
        for (language, text) in rows {
            let pattern = Pattern::read(language, text.as_ref());
            let number = found.all.len();
            match needed(&pattern.parts) {
                Some(needed) => needed.iter().for_each(|word| {
                    found
                        .by_word
                        .entry(first_of(word).to_owned())
                        .or_default()
                        .push(number)
                }),
                None => found.others.push(number),
            }
            found.all.push(pattern);
        }
        found
    }

    /// Returns whether one of them covers all of a sentence.
    pub fn cover(&self, sentence: &str, things: &Things) -> bool {
        // Without spaces a word may begin anywhere.
        if sentence.contains(is_unspaced) {
            return self
                .all
                .iter()
                .any(|pattern| pattern.covers(sentence, things));
        }
        let mut numbers: Vec<usize> = sentence
            .split(' ')
            .filter_map(|word| self.by_word.get(word))
            .flatten()
            .copied()
            .collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers
            .iter()
            .chain(&self.others)
            .any(|number| self.all[*number].covers(sentence, things))
    }

    /// Returns true if there are none.
    #[cfg(test)]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }
}

/// Words of which a sentence needs one for a sequence: of the part with the fewest choices.
fn needed(parts: &[PatternPart]) -> Option<Vec<&str>> {
    parts.iter().filter_map(needed_by).min_by_key(Vec::len)
}

fn needed_by(part: &PatternPart) -> Option<Vec<&str>> {
    match part {
        PatternPart::Words(literal) => Some(vec![literal]),
        PatternPart::OneOf(choices) => choices
            .iter()
            .map(|choice| needed(choice))
            .collect::<Option<Vec<_>>>()
            .map(|all| all.concat()),
        PatternPart::Things => None,
    }
}

fn sequence(rest: &mut &str) -> Vec<PatternPart> {
    let mut parts = Vec::new();
    loop {
        let end = rest
            .find(['(', '[', '{', '|', ')', ']'])
            .unwrap_or(rest.len());
        let literal = words(&rest[..end]);
        if !literal.is_empty() {
            parts.push(PatternPart::Words(literal));
        }
        *rest = &rest[end..];
        let Some(mark) = rest.chars().next().filter(|c| matches!(c, '(' | '[' | '{')) else {
            return parts;
        };
        *rest = &rest[1..];
        if mark == '{' {
            *rest = rest.split_once('}').map_or("", |(_, behind)| behind);
            parts.push(PatternPart::Things);
            continue;
        }
        let mut choices = vec![sequence(rest)];
        while let Some(behind) = rest.strip_prefix('|') {
            *rest = behind;
            choices.push(sequence(rest));
        }
        *rest = rest.strip_prefix([')', ']']).unwrap_or(rest);
        let is_optional = mark == '['
            || rest
                .strip_prefix('?')
                .map(|behind| *rest = behind)
                .is_some();
        if is_optional {
            choices.push(Vec::new());
        }
        parts.push(PatternPart::OneOf(choices));
    }
}

/// The places to which a sequence leads from any of those.
fn follow(parts: &[PatternPart], sentence: &str, from: Vec<usize>, things: &Phrases) -> Vec<usize> {
    let mut places = from;
    for part in parts {
        if places.is_empty() {
            break;
        }
        places = match part {
            PatternPart::Words(literal) => places
                .iter()
                .filter_map(|at| behind(sentence, *at, literal))
                .collect(),
            PatternPart::OneOf(choices) => choices
                .iter()
                .flat_map(|choice| follow(choice, sentence, places.clone(), things))
                .collect(),
            PatternPart::Things => behind_things(sentence, places, things),
        };
        places.sort_unstable();
        places.dedup();
    }
    places
}

fn behind_things(sentence: &str, from: Vec<usize>, things: &Phrases) -> Vec<usize> {
    let (mut all, mut places) = (Vec::new(), from);
    for _ in 0..THINGS {
        let mut next: Vec<usize> = places
            .iter()
            .flat_map(|at| things.ends_at(sentence, *at))
            .collect();
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

/// The place behind words that stand there as whole words.
pub fn behind(sentence: &str, at: usize, literal: &str) -> Option<usize> {
    let rest = sentence.get(at..)?.strip_prefix(literal)?;
    let end = at + literal.len();
    match rest.chars().next() {
        None => Some(end),
        Some(' ') => Some(end + 1),
        Some(next) => (is_unspaced(next) || literal.chars().next_back().is_some_and(is_unspaced))
            .then_some(end),
    }
}

/// A text less those words at its end.
pub fn less_at_end<'a>(text: &'a str, literal: &str) -> Option<&'a str> {
    let rest = text.strip_suffix(literal)?;
    match rest.chars().next_back() {
        None => Some(rest),
        Some(' ') => Some(rest.trim_end()),
        Some(before) => {
            (is_unspaced(before) || literal.chars().next().is_some_and(is_unspaced)).then_some(rest)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Pattern;
    use super::Patterns;
    use super::Things;
    use super::words;

    #[test]
    fn a_pattern_covers_a_sentence_whole_or_not_at_all() {
        let things = Things::read(&[("en", "this|list|mailing list")]);
        let covers =
            |pattern: &str, text: &str| Pattern::read("en", pattern).covers(&words(text), &things);
        let pattern = "[i] (want|would like) to (leave|be taken off) [{thing}]";
        for said in [
            "I want to leave",
            "would like to be taken off this mailing list",
            "I want to leave this list!",
        ] {
            assert!(covers(pattern, said), "{said}");
        }
        for other in [
            "I want to leaves",
            "I do not want to leave",
            "I want to leave Berlin",
            "I want to leave this list to Bob",
            "",
            "I want to",
        ] {
            assert!(!covers(pattern, other), "{other}");
        }
        assert!(
            covers("配信[を|の](停止|中止)", "配信を停止")
                && covers("配信[を|の](停止|中止)", "配信停止")
                && !covers("配信", "配信停止")
        );
        assert!(covers("a (b)? c", "a c") && covers("a (b)? c", "a b c"));
    }

    #[test]
    fn patterns_are_found_by_a_word_that_they_need() {
        let things = Things::read(&[("en", "this|list"), ("fr", "la|liste")]);
        let all = Patterns::read(&[
            ("en", "[i] (leave|quit) {thing}"),
            ("en", "{thing}"),
            ("en", "[please]"),
            ("ja", "配信停止"),
            ("fr", "quitter {thing}"),
        ]);
        for said in [
            "i leave this list",
            "quit list",
            "this list",
            "please",
            "配信停止",
        ] {
            assert!(all.cover(said, &things), "{said}");
        }
        assert!(!all.cover("i leave you", &things) && !all.cover("i this list", &things));
        assert_eq!((all.by_word.len(), all.others.len()), (4, 2));
        assert!(all.cover("quitter la list", &things));
        assert!(
            !all.cover("leave la liste", &things),
            "each language has its own things, and English ones"
        );
    }
}
