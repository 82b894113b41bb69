//! Requests to be let go within a sentence: beside other clauses, before other words, as a question, and the reasons that people give.

use super::LONGEST;
use super::courtesy::less_polite;
use super::sentence::SentenceClass;
use super::sentence::class_of_words;
use super::sentence::is_one_of;
use crate::mail::inbound::answer::agreement::is_about_link;
use crate::mail::inbound::answer::clauses::Clauses;
use crate::mail::inbound::answer::clauses::is_harmless;
use crate::mail::inbound::answer::fold::words;
use crate::mail::inbound::answer::forms::WORDS;
use crate::mail::inbound::answer::own_text::Names;

/// Returns whether a request is polite, or speaks of who asks: a title or a headline does neither.
pub(super) fn is_about_oneself(text: &str) -> bool {
    [&WORDS.selves, &WORDS.wishes, &WORDS.polite]
        .iter()
        .any(|list| list.stand_in(text))
}

/// Words that may follow a whole request.
const MORE: usize = 14;

/// Returns whether a request is whole and words for where, when or why follow, which do not take it back: "cancel my subscription as I leave
/// the bank". Any others may say what is to be removed: "remove me from the jury". `whole` holds what was polite, too.
pub(super) fn leaves_with_more(text: &str, whole: &str) -> bool {
    let is_whole = |request: &str| match class_of_words(request) {
        Some(SentenceClass::LeaveSelf) => true,
        Some(SentenceClass::Leave) => is_about_oneself(whole),
        _ => false,
    };
    let lets = |more: &str| {
        WORDS.adjuncts.ends_at(more, 0).next().is_some()
            && more.split(' ').count() <= MORE
            && !WORDS.onlys.stand_in(more)
            && !WORDS.contents.stand_in(more)
            && is_harmless(more)
    };
    text.len() <= LONGEST
        && text
            .match_indices(' ')
            .any(|(at, _)| lets(&text[at + 1..]) && is_whole(&text[..at]))
}

/// Returns whether a clause of a sentence leaves, and the others do not take that back.
pub(super) fn leaves_in_clause(sentence: &str, names: &Names) -> bool {
    let class = |text: &str| {
        let bare = less_polite(text, names);
        let class = class_of_words(text)
            .or_else(|| class_of_words(&bare))
            .or_else(|| is_request(&bare).then_some(SentenceClass::Leave));
        class.or_else(|| bare.is_empty().then_some(SentenceClass::Nothing))
    };
    // "Not useful to me, unsubscribe".
    let complains = complains(sentence);
    let leaves = |text: &str| match class(text) {
        Some(SentenceClass::LeaveSelf) => true,
        None => leaves_with_more(&less_polite(text, names), text),
        // An infinitive may belong to the clause before: "I was about to".
        Some(SentenceClass::Leave) => {
            (is_about_oneself(text) || complains)
                && (WORDS.polite.stand_in(text) || !WORDS.infinitives.stand_in(text))
        }
        _ => false,
    };
    let lets = |text: &str| {
        class(text).map(|class| !matches!(class, SentenceClass::Yes | SentenceClass::Join))
    };
    sentence.len() <= LONGEST
        && Clauses::of(sentence).is_some_and(|clauses| clauses.leave(leaves, lets))
}

/// Returns whether all clauses of a sentence but one give reasons.
fn complains(sentence: &str) -> bool {
    let (reasons, other): (Vec<String>, Vec<String>) = sentence
        .split([',', ';', ':', '(', ')', '–', '—', '،'])
        .map(words)
        .filter(|text| !text.is_empty())
        .partition(|text| is_reason(text));
    !reasons.is_empty() && other.len() == 1
}

/// Returns whether words give a reason to leave: they deny a need or an interest, or speak of what changes in a life.
pub(super) fn is_reason(text: &str) -> bool {
    is_one_of(&WORDS.reason, text)
        || is_about_link(text)
        || is_harmless(text)
            && !WORDS.contents.stand_in(text)
            && (WORDS.negations.less_anywhere(text) != text || WORDS.lives.stand_in(text))
}

/// Returns whether a question is a request: "could you", "may I please", or a complaint that asks for no answer. What is asked before
/// thanks is one, too.
pub(super) fn wishes(sentence: &str, is_thanked: bool, names: &Names) -> bool {
    let text = words(sentence);
    WORDS.requests.stand_in(&text)
        || WORDS.permissions.stand_in(&text)
            && (is_thanked && WORDS.selves.stand_in(&text) || WORDS.polite.stand_in(&text))
        || is_one_of(&WORDS.reason, &text)
        || is_one_of(&WORDS.reason, &less_polite(&text, names))
}

/// Returns whether a question is a request if it is about its writer: "Can you unsubscribe me?" asks for it, "Can you unsubscribe?" whether it
/// is possible.
pub(super) fn may_be_wish(sentence: &str) -> bool {
    let text = words(sentence);
    [&WORDS.requests_me, &WORDS.polite]
        .iter()
        .any(|list| list.stand_in(&text))
}

/// Returns whether a sentence asks to be let go and is made of words of such requests in one language: there is no word in it for anything else.
pub(super) fn is_request(text: &str) -> bool {
    let asks = WORDS.leaves.stand_in(text)
        || WORDS.leaves_list.stand_in(text) && WORDS.lists.stand_in(text);
    // "Remove the ads from the letter" is about the ads.
    // "Unsubscribe me from the daily, I want the weekly": a wish behind the request is another one.
    let wants_more = !WORDS.negations.stand_in(text)
        && text.match_indices(' ').any(|(at, _)| {
            let (before, behind) = text.split_at(at);
            WORDS.wants.stand_in(behind.trim_start())
                && (WORDS.leaves.stand_in(before) || WORDS.leaves_list.stand_in(before))
        });
    let is_content =
        WORDS.onlys.stand_in(text) || WORDS.contents.stand_in(text) && !WORDS.selves.stand_in(text);
    asks && !is_content
        && !wants_more
        && !text
            .split(' ')
            .any(|word| WORDS.against.contains(word) && !WORDS.mild.contains(word))
        && text.len() <= LONGEST
        && WORDS.asks.iter().any(|list| list.make(text))
}
