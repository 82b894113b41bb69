//! Sentences that agree: a yes, and what people put behind it.

use super::fold::is_unspaced;
use super::forms::WORDS;
use super::judge::LONGEST;
use super::judge::SHORT;
use super::judge::is_one_of;
use super::own_text::is_against;

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
    let mut ends = text
        .char_indices()
        .take(OPENING)
        .map(|(at, _)| at)
        .skip(1)
        .filter(ends_word);
    let begins = ends.any(|at| is_one_of(&WORDS.yes, &text[..at]));
    begins && is_affirming(text) || has_agreement(text) && is_of_affirming_words(text)
}

/// Returns whether a sentence agrees beside a yes: with words that affirm alone, all in one language, or with a phrase that agrees in a few others.
pub fn is_affirming(text: &str) -> bool {
    let agrees = || {
        let rest = WORDS.agrees.less_anywhere(text);
        let others = [&WORDS.takes_back, &WORDS.doubts, &WORDS.conditions]
            .iter()
            .any(|list| list.stand_in(&rest));
        let leaves = WORDS.leaves.stand_in(text) || WORDS.leaves_list.stand_in(text);
        has_agreement(text) && !is_against(text) && !others && !leaves
    };
    is_of_affirming_words(text)
        || text.len() <= LONGEST && text.split(' ').count() <= SHORT && agrees()
}

/// Returns whether words say that a link or button does not work: why somebody answers who was asked to press it.
pub fn is_about_link(text: &str) -> bool {
    text.len() <= LONGEST
        && WORDS.links.stand_in(text)
        && WORDS.troubles.iter().any(|list| list.make(text))
}

/// Returns whether words affirm alone, without a "not" but in what agrees ("can't wait").
fn is_of_affirming_words(text: &str) -> bool {
    text.len() <= LONGEST
        && !WORDS.negations.stand_in(&WORDS.agrees.less_anywhere(text))
        && WORDS.affirms.iter().any(|list| list.make(text))
}

fn has_agreement(text: &str) -> bool {
    WORDS.agrees.stand_in(text)
}
