//! Sentences that agree: a yes, and what people put behind it.

use super::fold::is_unspaced;
use super::forms::WORDS;
use super::judge::LONGEST;
use super::judge::is_one_of;

/// Characters of the yes that begins a sentence.
const OPENING: usize = 18;

/// Returns whether a sentence begins with a yes, and goes on with words that affirm alone, all in one language.
pub fn affirms(text: &str) -> bool {
    // "Oui c'est qui"
    if WORDS.question_ends.less_at_end(text).is_some() {
        return false;
    }
    // A word is a yes whole: "bitte bestätigen" does not begin with "bestätige".
    let ends_word =
        |at: &usize| text[*at..].starts_with(' ') || text[*at..].starts_with(is_unspaced);
    let ends = text
        .char_indices()
        .take(OPENING)
        .map(|(at, _)| at)
        .skip(1)
        .filter(ends_word);
    let mut begins = ends.filter(|at| is_one_of(&WORDS.yes, &text[..*at]));
    is_affirming(text) || begins.any(|at| is_assent(text[at..].trim()))
}

/// Returns whether a sentence agrees beside a yes: a phrase that agrees, and words that affirm about it, all in one language. A word that nobody
/// put in the table makes it say something else ("yes, received", "I confirm that I will attend").
pub fn is_affirming(text: &str) -> bool {
    let rest = WORDS.agrees.less_anywhere(text);
    let leaves = WORDS.leaves.stand_in(text) || WORDS.leaves_list.stand_in(text);
    rest != text
        && !leaves
        && is_of_affirming_words(text)
        && ![&WORDS.takes_back, &WORDS.doubts]
            .iter()
            .any(|list| list.stand_in(&rest))
}

/// Returns whether words say that a link or button does not work: why somebody answers who was asked to press it.
pub fn is_about_link(text: &str) -> bool {
    text.len() <= LONGEST
        && WORDS.links.stand_in(text)
        && WORDS.troubles.iter().any(|list| list.make(text))
}

/// Returns whether words behind a yes are another one, or polite.
fn is_assent(text: &str) -> bool {
    is_one_of(&WORDS.yes, text) || WORDS.polite.less_within(text).is_empty()
}

/// Returns whether words affirm alone, without a "not" but in what agrees ("can't wait").
fn is_of_affirming_words(text: &str) -> bool {
    text.len() <= LONGEST
        && !WORDS.negations.stand_in(&WORDS.agrees.less_anywhere(text))
        && WORDS.affirms.iter().any(|list| list.make(text))
}
