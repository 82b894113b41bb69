//! Clauses of a sentence: one that says that its author leaves, beside others that do not take it back.
//!
//! People give reasons in words that no table holds. So the other clauses are not understood, but held against lists of what takes a request back: a
//! condition, a question, somebody else, a change of address, words that are reported. A negation is let through where it speaks of a need or an
//! interest ("I don't read it"), and never beside a word of leaving ("I don't want to leave").

use super::fold::is_unspaced;
use super::fold::words;
use super::forms::WORDS;
use super::grammar::holds;
use super::grammar::less_at_start;
use super::own_text::is_against;

/// Clauses of a sentence that are looked at.
const CLAUSES: usize = 10;
/// Bytes of a conjunction, and of the space behind it, that may be another word in another language.
const SHORT: usize = 3;

/// The sign or word between a clause and the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Link {
    Comma,
    And,
    But,
    /// A reason: because, since, so.
    Because,
}

/// A clause: the sign or word before it, the places at which it begins without and with that word, and its end.
struct Part {
    link: Link,
    start: usize,
    start_with_link: usize,
    end: usize,
}

/// A sentence taken apart.
pub struct Clauses {
    words: String,
    parts: Vec<Part>,
}

impl Clauses {
    /// Takes a sentence apart at its commas, dashes and conjunctions; none where it has one clause or too many, or words in quotation marks.
    pub fn of(sentence: &str) -> Option<Self> {
        const MARKS: [char; 12] = [',', ';', '(', ')', '、', '，', '،', '؛', '–', '—', '~', '・'];
        if sentence.contains(['"', '“', '”', '„', '«', '»', '「', '」', '『']) {
            return None;
        }
        let mut found = Self { words: String::new(), parts: Vec::new() };
        for piece in sentence.replace(" - ", ",").split(MARKS) {
            found.append(&words(piece));
        }
        (2..=CLAUSES).contains(&found.parts.len()).then_some(found)
    }

    /// Adds the clauses of a piece between two commas.
    fn append(&mut self, piece: &str) {
        if !self.words.is_empty() && !piece.is_empty() {
            self.words.push(' ');
        }
        let offset = self.words.len();
        self.words.push_str(piece);
        let (mut at, mut part) = (0, Part { link: Link::Comma, start: offset, start_with_link: offset, end: offset });
        while at < piece.len() && self.parts.len() <= CLAUSES {
            let begins = piece[..at].chars().next_back().is_none_or(|c| c == ' ' || is_unspaced(c));
            let Some((link, length)) = begins.then(|| link_at(&piece[at..])).flatten() else {
                at += piece[at..].chars().next().map_or(1, char::len_utf8);
                continue;
            };
            let here = offset + at;
            at += length;
            if piece[part.start - offset..here - offset].trim().is_empty() {
                // "and so": the first one counts; a short one may be a pronoun, as `i` is in English and not in Polish.
                part.link = if part.start == part.start_with_link && length > SHORT { link } else { part.link };
                part.start = offset + at;
                continue;
            }
            self.parts.push(Part { end: here, ..part });
            part = Part { link, start: offset + at, start_with_link: here, end: here };
        }
        if offset + piece.len() > part.start_with_link {
            self.parts.push(Part { end: offset + piece.len(), ..part });
        }
    }

    /// Returns whether a run of clauses leaves, and no other clause takes it back. `leaves` judges words;
    /// `lets` says of known words that they let a request stand or not.
    pub fn leave(&self, leaves: impl Fn(&str) -> bool, lets: impl Fn(&str) -> Option<bool>) -> bool {
        let own = |part: &Part| self.words[part.start..part.end].trim();
        let whole = |part: &Part| self.words[part.start_with_link..part.end].trim();
        let known = |part: &Part| lets(own(part)).or_else(|| lets(whole(part)));
        let before = |part: &Part, joins: bool| known(part).unwrap_or_else(|| !joins && is_harmless(own(part)));
        let after = |part: &Part| known(part).unwrap_or_else(|| part.link != Link::But && !goes_on(own(part)) && is_harmless(own(part)));
        let count = self.parts.len();
        let runs = (0..count).flat_map(|first| (first..count).map(move |last| (first, last)));
        runs.filter(|run| *run != (0, count - 1)).any(|(first, last)| {
            let (run, end) = (&self.parts[first], self.parts[last].end);
            // "Tools that read my mail and remove me from lists": behind "and", only what says that it is a wish.
            let text = &self.words[run.start_with_link..end];
            let joins = run.link == Link::And && !WORDS.wishes.iter().chain(&WORDS.polite).any(|word| holds(text, word));
            (leaves(self.words[run.start..end].trim()) || leaves(text.trim()))
                && self.parts[..first].iter().all(|part| before(part, joins))
                && self.parts[last + 1..].iter().all(after)
        })
    }
}

fn link_at(rest: &str) -> Option<(Link, usize)> {
    let lists = [(&WORDS.ands, Link::And), (&WORDS.buts, Link::But), (&WORDS.becauses, Link::Because)];
    lists
        .iter()
        .find_map(|(list, link)| list.iter().find_map(|word| less_at_start(rest, word).map(|behind| (*link, rest.len() - behind.len()))))
}

/// Returns true for a clause that goes on with the words before: "unsubscribe me, is what it says".
fn goes_on(text: &str) -> bool {
    WORDS.goes_on.iter().any(|word| less_at_start(text, word).is_some())
}

/// Returns whether words beside a request to be let go leave it as it is.
pub fn is_harmless(text: &str) -> bool {
    if WORDS.takes_back.iter().any(|word| holds(text, word)) || WORDS.conditions.iter().any(|word| less_at_start(text, word).is_some()) {
        return false;
    }
    let mut rest = format!(" {text} ");
    for word in &WORDS.negations {
        let is_unspaced = word.chars().next_back().is_some_and(is_unspaced);
        let found = if is_unspaced { word.clone() } else { format!(" {word} ") };
        while rest.contains(&found) {
            rest = rest.replacen(&found, " ", 1);
        }
    }
    let is_negated = rest.trim() != text;
    let is_excused =
        || WORDS.excuses.iter().any(|word| holds(text, word)) && !WORDS.leave_stems.iter().any(|stem| text.contains(stem.as_str()));
    let rest: Vec<&str> = rest.split(' ').filter(|word| !WORDS.mild.contains(*word)).collect();
    !is_against(&rest.join(" ")) && (!is_negated || is_excused())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_clauses_give_reasons_or_take_it_back() {
        let harmless = |text: &str| is_harmless(&words(text));
        for said in ["I have retired", "I don't read it any more", "you are a great team", "ich habe keine Zeit", "読む時間がない"] {
            assert!(harmless(said), "{said}");
        }
        for other in [
            "if the price rises",
            "I do not want to unsubscribe",
            "my colleague says so",
            "use my new address",
            "keep the weekly one",
            "not",
            "ich will mich nicht abmelden",
        ] {
            assert!(!harmless(other), "{other}");
        }
    }

    #[test]
    fn a_sentence_is_taken_apart_at_commas_and_conjunctions() {
        let parts = |text: &str| {
            Clauses::of(text)
                .map(|found| found.parts.iter().map(|part| found.words[part.start..part.end].trim().to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(
            parts("My job has changed, so remove me because it is late").unwrap_or_default(),
            ["my job has changed", "remove me", "it is late"]
        );
        assert_eq!(parts("Remove me"), None);
        assert_eq!(parts("She said, \"remove me\", and left"), None);
    }
}
