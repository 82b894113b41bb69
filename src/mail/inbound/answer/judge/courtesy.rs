//! Greetings, politeness and signatures, which are taken off before a sentence is judged.

use super::super::fold::words;
use super::super::forms::WORDS;
use super::super::own_text::Names;
use super::super::own_text::is_against;
use super::sentence::class_of_words;
use super::speaks_yes;

/// A sentence less greetings before it, names behind it, and polite words on both sides.
pub(super) fn less_polite(text: &str, names: &Names) -> String {
    let mut rest = text;
    loop {
        let before = rest.len();
        if let Some(behind) = WORDS.greetings.less_at_start(rest) {
            rest = WORDS.addressees.less_at_start(behind).unwrap_or(behind);
        }
        rest = WORDS.polite.less_at_start(rest).unwrap_or(rest);
        rest = WORDS.polite.less_at_end(rest).unwrap_or(rest);
        rest = WORDS.closings.less_at_end(rest).unwrap_or(rest);
        let last = rest.rsplit(' ').next().unwrap_or_default();
        if names.has(last) {
            rest = rest[..rest.len() - last.len()].trim_end();
        }
        if rest.len() == before {
            return rest.to_owned();
        }
    }
}

/// A sentence less a closing with a name or two behind it: `Ja graag, groeten Sanne`.
pub(super) fn less_signed(sentence: &str) -> String {
    let all: Vec<&str> = sentence.split_whitespace().collect();
    let is_name = |word: &&str| word.chars().next().is_some_and(char::is_uppercase);
    for count in 1..=2.min(all.len().saturating_sub(1)) {
        let (before, names) = all.split_at(all.len() - count);
        let said = words(&before.join(" "));
        let is_signed = WORDS
            .closings
            .less_at_end(&said)
            .is_some_and(|rest| !rest.is_empty());
        if names.iter().all(is_name) && is_signed && !is_against(&words(&names.join(" "))) {
            return before.join(" ");
        }
    }
    sentence.to_owned()
}

/// Returns whether a first line greets: a greeting with a few words behind it that say nothing.
pub(super) fn is_greeting(line: &str) -> bool {
    let text = words(line);
    let rest = WORDS.greetings.less_at_start(&text);
    let ends = line.trim_end().ends_with([',', '!', ':', '،', '、', '，']);
    rest.is_some_and(|rest| {
        (rest.is_empty() || ends && rest.split(' ').count() <= 6)
            && !line.contains('?')
            && !is_against(rest)
            && !speaks_yes(rest)
            && !WORDS
                .leave_stems
                .iter()
                .any(|stem| rest.contains(stem.as_str()))
    })
}

/// A first line less a greeting with those who are greeted, up to its comma: "Dear Ship or Skip team, please remove me".
pub(super) fn less_greeting(line: &str) -> &str {
    let greeting = line.find([',', '،', '，']).map(|at| {
        let comma = line[at..].chars().next().map_or(0, char::len_utf8);
        line.split_at(at + comma)
    });
    match greeting {
        Some((greeting, rest))
            if !rest.trim().is_empty()
                && is_greeting(greeting)
                && class_of_words(&words(greeting)).is_none() =>
        {
            rest.trim()
        }
        _ => line,
    }
}

/// Returns whether a sentence is one to three words that each begin with a capital, without a mark behind them, or two to four Chinese characters.
pub(super) fn may_be_name(sentence: &str, text: &str) -> bool {
    let is_han = |c: char| ('\u{4e00}'..='\u{9fff}').contains(&c);
    if (2..=4).contains(&text.chars().count()) && text.chars().all(is_han) {
        return !is_against(text) && !speaks_yes(text);
    }
    let capital = |word: &str| {
        word.chars()
            .find(|c| c.is_alphanumeric())
            .is_some_and(char::is_uppercase)
    };
    !sentence.trim_end().ends_with(['.', '!', '…'])
        && (1..=3).contains(&sentence.split_whitespace().count())
        && sentence.split_whitespace().all(capital)
        && !is_against(text)
        && !speaks_yes(text)
}

/// Returns whether a sentence is polite and says nothing else: "thanks".
pub(super) fn thanks(sentence: &str, names: &Names) -> bool {
    !sentence.contains(['?', '？', '؟']) && {
        let text = words(sentence);
        WORDS.polite.stand_in(&text) && less_polite(&text, names).is_empty()
    }
}
