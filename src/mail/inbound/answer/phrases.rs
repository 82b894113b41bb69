//! Lists of phrases, found by their first or last word: the tables hold thousands, and a sentence a few words.

use std::collections::HashMap;

use super::fold::is_unspaced;
use super::fold::words;
use super::grammar::behind;
use super::grammar::less_at_end;

/// Phrases of a sentence that is made of a list's phrases alone.
const PHRASES: usize = 24;

/// A list of phrases.
#[derive(Debug, Default)]
pub struct Phrases {
    /// By their first word, longest first.
    by_start: HashMap<String, Vec<String>>,
    /// By their last word, longest first.
    by_end: HashMap<String, Vec<String>>,
}

impl Phrases {
    /// Reads phrases, which become [`words`].
    pub fn read<'a>(texts: impl Iterator<Item = &'a str>) -> Self {
        let mut all: Vec<String> = texts.map(words).filter(|text| !text.is_empty()).collect();
        all.sort_by_key(|text| std::cmp::Reverse(text.len()));
        let mut found = Self::default();
        for phrase in all {
            found
                .by_end
                .entry(last_of(&phrase).to_owned())
                .or_default()
                .push(phrase.clone());
            found
                .by_start
                .entry(first_of(&phrase).to_owned())
                .or_default()
                .push(phrase);
        }
        found
    }

    /// The places behind those phrases that stand at a place of a sentence as whole words; behind the longest first.
    pub fn ends_at<'a>(&'a self, sentence: &'a str, at: usize) -> impl Iterator<Item = usize> + 'a {
        let first = sentence.get(at..).map(first_of).unwrap_or_default();
        self.by_start
            .get(first)
            .into_iter()
            .flatten()
            .filter_map(move |phrase| behind(sentence, at, phrase))
    }

    /// Returns whether one of them stands in a sentence as whole words.
    pub fn stand_in(&self, sentence: &str) -> bool {
        starts_of(sentence).any(|at| self.ends_at(sentence, at).next().is_some())
    }

    /// A sentence less the longest of them at its beginning.
    pub fn less_at_start<'a>(&self, sentence: &'a str) -> Option<&'a str> {
        self.ends_at(sentence, 0).next().map(|end| &sentence[end..])
    }

    /// A sentence less the longest of them at its end.
    pub fn less_at_end<'a>(&self, sentence: &'a str) -> Option<&'a str> {
        self.by_end
            .get(last_of(sentence))?
            .iter()
            .find_map(|phrase| less_at_end(sentence, phrase))
    }

    /// A sentence less all of them that stand between spaces.
    pub fn less_within(&self, sentence: &str) -> String {
        let mut kept: Vec<&str> = Vec::new();
        let mut rest = sentence;
        while !rest.is_empty() {
            if let Some(behind) = self.less_at_start(rest) {
                rest = behind;
                continue;
            }
            let (word, behind) = rest.split_once(' ').unwrap_or((rest, ""));
            kept.push(word);
            rest = behind;
        }
        kept.join(" ")
    }

    /// A sentence less all of them, wherever they stand, with a space in their place.
    pub fn less_anywhere(&self, sentence: &str) -> String {
        let mut kept = String::with_capacity(sentence.len());
        let mut end = 0;
        for at in starts_of(sentence) {
            if at < end {
                continue;
            }
            kept.push_str(&sentence[end..at]);
            end = at;
            if let Some(behind) = self.ends_at(sentence, at).next() {
                kept.push(' ');
                end = behind;
            }
        }
        kept.push_str(&sentence[end..]);
        kept.split(' ')
            .filter(|word| !word.is_empty())
            .collect::<Vec<_>>()
            .join(" ")
    }

    /// Returns whether a sentence is made of them alone.
    pub fn make(&self, sentence: &str) -> bool {
        let mut places = vec![0];
        for _ in 0..PHRASES {
            places = places
                .iter()
                .flat_map(|at| self.ends_at(sentence, *at))
                .collect();
            places.sort_unstable();
            places.dedup();
            if places.contains(&sentence.len()) {
                return true;
            }
            if places.is_empty() {
                return false;
            }
        }
        false
    }
}

/// The places of a sentence at which a word may begin: behind a space, and beside letters of scripts that set none.
fn starts_of(sentence: &str) -> impl Iterator<Item = usize> + '_ {
    let mut before = ' ';
    sentence.char_indices().filter_map(move |(at, c)| {
        let begins = before == ' ' || is_unspaced(before);
        before = c;
        begins.then_some(at)
    })
}

/// The word that a sentence begins with, or its first letter in a script that sets no spaces.
pub fn first_of(sentence: &str) -> &str {
    match sentence.chars().next() {
        Some(c) if is_unspaced(c) => &sentence[..c.len_utf8()],
        _ => {
            &sentence[..sentence
                .find(|c| c == ' ' || is_unspaced(c))
                .unwrap_or(sentence.len())]
        }
    }
}

fn last_of(sentence: &str) -> &str {
    match sentence.char_indices().next_back() {
        Some((at, c)) if is_unspaced(c) => &sentence[at..],
        _ => {
            &sentence[sentence
                .char_indices()
                .rfind(|(_, c)| *c == ' ' || is_unspaced(*c))
                .map_or(0, |(at, c)| at + c.len_utf8())..]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Phrases;

    #[test]
    fn phrases_are_found_as_whole_words() {
        let list = Phrases::read(
            [
                "please",
                "thank you",
                "thank you very much",
                "お願いします",
                "ない",
            ]
            .into_iter(),
        );
        assert!(
            list.stand_in("go now please")
                && !list.stand_in("pleased to go")
                && list.stand_in("読まないで")
        );
        assert_eq!(list.less_at_start("thank you very much bob"), Some("bob"));
        assert_eq!(list.less_at_end("bob thank you"), Some("bob"));
        assert_eq!(list.less_at_end("停止お願いします"), Some("停止"));
        assert_eq!(list.less_within("go please now thank you"), "go now");
        assert_eq!(list.less_anywhere("読まないでね please"), "読ま でね");
        assert!(list.make("please thank you please") && !list.make("please go") && !list.make(""));
    }
}
