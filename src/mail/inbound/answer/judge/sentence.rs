//! A sentence, and what it says alone.

use super::AnswerAuthor;
use super::LONGEST;
use super::courtesy::less_polite;
use super::courtesy::less_signed;
use super::courtesy::may_be_name;
use super::request::is_about_oneself;
use super::request::is_reason;
use super::request::is_request;
use super::request::leaves_in_clause;
use super::request::leaves_with_more;
use super::request::may_be_wish;
use super::request::wishes;
use crate::mail::inbound::answer::agreement::affirms;
use crate::mail::inbound::answer::agreement::is_about_link;
use crate::mail::inbound::answer::agreement::is_affirming;
use crate::mail::inbound::answer::fold::words;
use crate::mail::inbound::answer::forms::WORDS;
use crate::mail::inbound::answer::grammar::Patterns;
use crate::mail::inbound::answer::own_text::Names;
use crate::mail::inbound::answer::own_text::is_closing;
use crate::mail::inbound::answer::spelling::spelt;

/// Classes of sentences.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SentenceClass {
    /// Polite words, a greeting, the author's name: says nothing.
    Nothing,
    Leave,
    LeaveSelf,
    LeaveWord,
    Yes,
    /// Words that affirm, beside a yes.
    Affirms,
    Join,
    Reason,
    /// A few words in capitals that may be a name.
    Name,
    /// Anything else; a question, somebody's address or a link in it.
    Other,
    Blocking,
}

/// The sentences of a line, each with the mark that ends it. A full stop ends one only before a space: not in `example.org`.
pub(super) fn parts_of(line: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut start = 0;
    let mut chars = line.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let ends = match c {
            '!' | '?' | '。' | '！' | '？' | '…' | '؟' | '|' => true,
            '.' => chars
                .peek()
                .is_none_or(|(_, next)| next.is_whitespace() || *next == '.' || *next == '"'),
            _ => false,
        };
        if ends {
            parts.push(&line[start..at + c.len_utf8()]);
            start = at + c.len_utf8();
        }
    }
    parts.push(&line[start..]);
    // The marks of `...` or `!!!` belong to the sentence before; a text that says nothing is none.
    parts.retain(|part| {
        part.contains(|c: char| c.is_alphanumeric() || matches!(c, '?' | '？' | '؟'))
    });
    parts
}

/// The class of a sentence; what is asked before thanks is a request.
pub(super) fn class_of(
    sentence: &str,
    author: &AnswerAuthor<'_>,
    is_thanked: bool,
) -> SentenceClass {
    let asks = sentence.contains(['?', '？', '؟']);
    let is_wish = asks && wishes(sentence, is_thanked, author.names);
    let may_be_wish = asks && !is_wish && may_be_wish(sentence);
    let is_question = asks && !is_wish && !may_be_wish;
    let lower = sentence.to_lowercase();
    let sentence = match author
        .address
        .map(str::to_lowercase)
        .filter(|address| lower.contains(address.as_str()))
    {
        Some(address) => lower
            .replace(&format!("<{address}>"), &address)
            .replace(&address, " this address "),
        None => sentence.to_owned(),
    };
    if is_question
        || sentence.contains('@')
        || sentence.contains("://")
        || lower.contains("www.")
        || sentence.len() > 2 * LONGEST
    {
        return SentenceClass::Blocking;
    }
    let text = spelt(&words(&sentence));
    let bare = less_polite(&text, author.names);
    if [&text, &bare]
        .iter()
        .any(|way| is_one_of(&WORDS.neither, way) || is_one_of(&WORDS.machine_sentence, way))
    {
        return SentenceClass::Blocking;
    }
    // "Danke, Jo": a name that is a word, too.
    if sentence.contains([',', '،', '、']) && is_closing(&sentence) {
        return SentenceClass::Nothing;
    }
    let unsigned = less_polite(&words(&less_signed(&sentence)), author.names);
    let mut ways = vec![
        text.clone(),
        bare.clone(),
        WORDS.polite.less_within(&bare),
        unsigned,
    ];
    ways.dedup();
    let class = ways.iter().find_map(|way| class_of_words(way));
    let class = class
        .or_else(|| affirms(&bare).then_some(SentenceClass::Yes))
        .or_else(|| {
            ways.iter()
                .any(|way| is_request(way))
                .then_some(SentenceClass::Leave)
        })
        .or_else(|| {
            [&text, &bare]
                .iter()
                .any(|way| leaves_with_more(way, &text))
                .then_some(SentenceClass::LeaveSelf)
        })
        .or_else(|| class_of_clauses(&sentence, author.names))
        .or_else(|| leaves_in_clause(&sentence, author.names).then_some(SentenceClass::LeaveSelf));
    match class {
        Some(SentenceClass::Reason) if bare.is_empty() => return SentenceClass::Nothing,
        // Who asks politely, or says "me", asks for themselves.
        Some(SentenceClass::Leave) if is_about_oneself(&text) && !may_be_wish => {
            return SentenceClass::LeaveSelf;
        }
        // "Remove the ads" is about the ads.
        Some(SentenceClass::Leave | SentenceClass::LeaveSelf)
            if WORDS.contents.stand_in(&text)
                && !WORDS.selves.stand_in(&text)
                && !WORDS.links.stand_in(&text) =>
        {
            return SentenceClass::Other;
        }
        Some(class) if may_be_wish && class != SentenceClass::LeaveSelf => {
            return SentenceClass::Blocking;
        }
        Some(class)
            if asks
                && !matches!(
                    class,
                    SentenceClass::Leave | SentenceClass::LeaveSelf | SentenceClass::Reason
                ) =>
        {
            return SentenceClass::Blocking;
        }
        None if asks => return SentenceClass::Blocking,
        _ => {}
    }
    class.unwrap_or_else(|| match () {
        () if bare.is_empty() || is_closing(&sentence) => SentenceClass::Nothing,
        () if is_affirming(&bare) => SentenceClass::Affirms,
        () if may_be_name(&sentence, &text) => SentenceClass::Name,
        () => SentenceClass::Other,
    })
}

/// The class of a sentence that says the same, or gives a reason, in parts between commas.
fn class_of_clauses(sentence: &str, names: &Names) -> Option<SentenceClass> {
    // "Unsubscribe - no interest": a dash between spaces is one between clauses.
    let sentence = sentence.replace(" - ", ",");
    let clauses = sentence
        .split([',', ';', ':', '、', '，', '،', '–', '—'])
        .map(|text| spelt(&words(text)))
        .filter(|text| !text.is_empty());
    let is_polite = WORDS.polite.stand_in(&words(&sentence));
    let (mut whole, mut denies, mut is_guessed) = (SentenceClass::Nothing, false, false);
    let mut speaks_of_none = false;
    for clause in clauses {
        let bare = less_polite(&clause, names);
        if is_about_link(&bare) {
            continue;
        }
        let class = class_of_words(&clause)
            .or_else(|| class_of_words(&bare))
            .or_else(|| affirms(&bare).then_some(SentenceClass::Yes))
            .or_else(|| is_request(&bare).then_some(SentenceClass::Leave));
        let class = class
            .or_else(|| bare.is_empty().then_some(SentenceClass::Nothing))
            .or_else(|| {
                is_guessed = is_reason(&bare);
                speaks_of_none |= is_guessed && !WORDS.needs.stand_in(&bare);
                is_guessed.then_some(SentenceClass::Reason)
            })?;
        denies |=
            class == SentenceClass::Reason && WORDS.negations.less_anywhere(&clause) != clause;
        whole = match (whole, class) {
            (known, SentenceClass::Nothing) => known,
            (SentenceClass::Nothing, new) => new,
            (known, new) if known == new => known,
            (
                SentenceClass::Reason | SentenceClass::Leave | SentenceClass::LeaveSelf,
                SentenceClass::Reason | SentenceClass::Leave | SentenceClass::LeaveSelf,
            ) => SentenceClass::Leave,
            // "Please remove, wrong person".
            (SentenceClass::LeaveWord, SentenceClass::Reason)
            | (SentenceClass::Reason, SentenceClass::LeaveWord)
                if (is_polite || denies) && !speaks_of_none =>
            {
                SentenceClass::Leave
            }
            _ => return None,
        };
    }
    let is_said = match whole {
        SentenceClass::Nothing | SentenceClass::LeaveWord => false,
        SentenceClass::Reason => !is_guessed,
        _ => true,
    };
    is_said.then_some(whole)
}

pub(super) fn class_of_words(text: &str) -> Option<SentenceClass> {
    if text.is_empty() || text.len() > LONGEST {
        return None;
    }
    let lists: [(&Patterns, SentenceClass); 6] = [
        (&WORDS.yes, SentenceClass::Yes),
        (&WORDS.leave_word, SentenceClass::LeaveWord),
        (&WORDS.leave_self, SentenceClass::LeaveSelf),
        (&WORDS.leave, SentenceClass::Leave),
        (&WORDS.join, SentenceClass::Join),
        (&WORDS.reason, SentenceClass::Reason),
    ];
    let found = lists.iter().find(|(patterns, _)| is_one_of(patterns, text));
    found.map(|(_, class)| *class)
}

pub fn is_one_of(patterns: &Patterns, text: &str) -> bool {
    patterns.cover(text, &WORDS.things)
}
