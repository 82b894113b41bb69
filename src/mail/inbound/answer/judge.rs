//! Judgement of somebody's own lines: that they leave, that they agree, that they join.
//!
//! A sentence counts only if a pattern of `words.tsv` covers it whole, less what is polite, or one of its clauses. So nothing is understood that was not said:
//! "please don't unsubscribe me" is no pattern. Where words stand beside it that take it back, or a question, or somebody's address, nothing is done, and a
//! person gets a mail with the link.

mod courtesy;

use super::agreement::affirms;
use super::agreement::is_affirming;
use super::clauses::Clauses;
use super::clauses::is_harmless;
use super::fold::words;
use super::forms::WORDS;
use super::grammar::Patterns;
use super::own_text::Names;
use super::own_text::OwnText;
use super::own_text::is_against;
use super::own_text::is_closing;
use super::spelling::spelt;
use super::subject::AnswerSubject;
use courtesy::is_greeting;
use courtesy::less_polite;
use courtesy::less_signed;
use courtesy::may_be_name;

/// Sentences of an answer that are looked at: who writes more says more than that they leave.
const SENTENCES: usize = 8;
/// Characters of one sentence that a pattern may cover.
pub const LONGEST: usize = 300;
/// Words of other sentences that may follow one that says of itself that it is about its writer.
const MORE: usize = 40;
/// Words of an answer that is one sentence on several lines, or that could be a yes.
pub const SHORT: usize = 16;

/// Meaning of an answer. At most one of the first three holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AnswerMeaning {
    /// It says that its author leaves, and nothing that takes it back.
    pub leaves: bool,
    /// It says yes, and nothing else.
    pub agrees: bool,
    /// It asks to join.
    pub joins: bool,
    /// It speaks of leaving, whatever it says of it.
    pub speaks_of_leaving: bool,
    /// It could be a yes.
    pub may_agree: bool,
}

/// The author whose answer is judged.
pub struct AnswerAuthor<'a> {
    pub names: &'a Names,
    pub address: Option<&'a str>,
}

/// Classes of sentences.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SentenceClass {
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

/// Judges an answer by its author's own lines, and by its subject where they say nothing.
pub fn judge(own: &OwnText, subject: &AnswerSubject, author: &AnswerAuthor<'_>) -> AnswerMeaning {
    let lines = &own.lines;
    let sentences = sentences(lines, author);
    let subject_class = if subject.passes_on {
        SentenceClass::Other
    } else {
        class_of(&subject.rest, author)
    };
    let is_empty = sentences
        .iter()
        .all(|(class, _)| *class == SentenceClass::Nothing);
    let whole = words(&lines.join(" "));
    // The subject of an answer is what we wrote.
    let subject_words = if subject.answers || subject.passes_on {
        String::new()
    } else {
        words(&subject.rest)
    };
    let leaves = match is_empty {
        true => matches!(
            subject_class,
            SentenceClass::Leave | SentenceClass::LeaveSelf | SentenceClass::LeaveWord
        ),
        false => {
            leaves(&sentences)
                || is_one_sentence(
                    lines,
                    author,
                    &[SentenceClass::Leave, SentenceClass::LeaveSelf],
                )
        }
    };
    let agrees = !leaves && says_yes(&sentences, lines, author) && !is_of_machine(own);
    let joins = !leaves
        && !agrees
        && (subject_class == SentenceClass::Join && !subject.answers || joins(&sentences));
    let has = |list: &[String], text: &str| list.iter().any(|part| text.contains(part.as_str()));
    let is_short = whole.split(' ').count() <= SHORT
        && !lines.iter().any(|line| line.contains(['?', '？', '؟']));
    AnswerMeaning {
        leaves,
        agrees,
        joins,
        speaks_of_leaving: leaves
            || has(&WORDS.leave_stems, &whole)
            || has(&WORDS.leave_stems, &subject_words),
        may_agree: agrees
            || is_short && !is_against(&whole) && !is_of_machine(own) && speaks_yes(&whole),
    }
}

/// Sentences with their class, at most [`SENTENCES`] and one more that stands for the rest.
fn sentences(lines: &[String], author: &AnswerAuthor<'_>) -> Vec<(SentenceClass, String)> {
    let mut all = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        let greets = number == 0 && is_greeting(line);
        for sentence in parts_of(line) {
            if all.len() >= SENTENCES {
                all.push((SentenceClass::Blocking, String::new()));
                return all;
            }
            let class = if greets {
                SentenceClass::Nothing
            } else {
                class_of(sentence, author)
            };
            all.push((class, words(sentence)));
        }
    }
    all
}

/// The sentences of a line, each with the mark that ends it. A full stop ends one only before a space: not in `example.org`.
fn parts_of(line: &str) -> Vec<&str> {
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

fn class_of(sentence: &str, author: &AnswerAuthor<'_>) -> SentenceClass {
    let asks = sentence.contains(['?', '？', '؟']);
    let is_question = asks && !requests(&words(sentence));
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
        .any(|way| is_one_of(&WORDS.not_yes, way))
    {
        return SentenceClass::Blocking;
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
        .or_else(|| class_of_clauses(&sentence, author.names))
        .or_else(|| leaves_in_clause(&sentence, author.names).then_some(SentenceClass::LeaveSelf));
    match class {
        Some(SentenceClass::Reason) if bare.is_empty() => return SentenceClass::Nothing,
        // Who asks politely, or says "me", asks for themselves.
        Some(SentenceClass::Leave) if is_about_oneself(&text) => return SentenceClass::LeaveSelf,
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
    let mut whole = SentenceClass::Nothing;
    for clause in clauses {
        let bare = less_polite(&clause, names);
        let class = class_of_words(&clause)
            .or_else(|| class_of_words(&bare))
            .or_else(|| affirms(&bare).then_some(SentenceClass::Yes))
            .or_else(|| is_request(&bare).then_some(SentenceClass::Leave));
        let class = class.or_else(|| bare.is_empty().then_some(SentenceClass::Nothing))?;
        whole = match (whole, class) {
            (known, SentenceClass::Nothing) => known,
            (SentenceClass::Nothing, new) => new,
            (known, new) if known == new => known,
            (
                SentenceClass::Reason | SentenceClass::Leave | SentenceClass::LeaveSelf,
                SentenceClass::Reason | SentenceClass::Leave | SentenceClass::LeaveSelf,
            ) => SentenceClass::Leave,
            _ => return None,
        };
    }
    (whole != SentenceClass::Nothing && whole != SentenceClass::LeaveWord).then_some(whole)
}

/// Returns whether a request is polite, or speaks of who asks: a title or a headline does neither.
fn is_about_oneself(text: &str) -> bool {
    [&WORDS.selves, &WORDS.wishes, &WORDS.polite]
        .iter()
        .any(|list| list.stand_in(text))
}

/// Returns whether a clause of a sentence leaves, and the others do not take that back.
fn leaves_in_clause(sentence: &str, names: &Names) -> bool {
    let class = |text: &str| {
        let bare = less_polite(text, names);
        let class = class_of_words(text)
            .or_else(|| class_of_words(&bare))
            .or_else(|| is_request(&bare).then_some(SentenceClass::Leave));
        class.or_else(|| bare.is_empty().then_some(SentenceClass::Nothing))
    };
    let leaves = |text: &str| match class(text) {
        Some(SentenceClass::LeaveSelf) => true,
        // An infinitive may belong to the clause before: "I was about to".
        Some(SentenceClass::Leave) => {
            is_about_oneself(text)
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

fn class_of_words(text: &str) -> Option<SentenceClass> {
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

/// Returns whether a question is a request: "could you", "may I please", or a complaint that asks for no answer.
fn requests(text: &str) -> bool {
    WORDS.requests.stand_in(text)
        || WORDS.permissions.stand_in(text) && WORDS.polite.stand_in(text)
        || is_one_of(&WORDS.reason, text)
}

pub fn is_one_of(patterns: &Patterns, text: &str) -> bool {
    patterns.cover(text, &WORDS.things)
}

/// Returns whether a sentence asks to be let go and is made of words of such requests in one language: there is no word in it for anything else.
fn is_request(text: &str) -> bool {
    let asks = WORDS.leaves.stand_in(text)
        || WORDS.leaves_list.stand_in(text) && WORDS.lists.stand_in(text);
    // "Remove the ads from the letter" is about the ads.
    let is_content =
        WORDS.onlys.stand_in(text) || WORDS.contents.stand_in(text) && !WORDS.selves.stand_in(text);
    asks && !is_content
        && !text
            .split(' ')
            .any(|word| WORDS.against.contains(word) && !WORDS.mild.contains(word))
        && text.len() <= LONGEST
        && WORDS.asks.iter().any(|list| list.make(text))
}

fn leaves(sentences: &[(SentenceClass, String)]) -> bool {
    let mut said: Vec<&(SentenceClass, String)> = sentences
        .iter()
        .filter(|(class, _)| !matches!(class, SentenceClass::Nothing | SentenceClass::Reason))
        .collect();
    // A name below, but never one before.
    while said.len() > 1
        && said.len() <= 4
        && said
            .last()
            .is_some_and(|(class, _)| *class == SentenceClass::Name)
    {
        said.pop();
    }
    let classes: Vec<SentenceClass> = said.iter().map(|(class, _)| *class).collect();
    let is_leave =
        |class: &SentenceClass| matches!(class, SentenceClass::Leave | SentenceClass::LeaveSelf);
    let stops = |class: &SentenceClass| {
        matches!(
            class,
            SentenceClass::Leave | SentenceClass::LeaveSelf | SentenceClass::LeaveWord
        )
    };
    if classes == [SentenceClass::LeaveWord] {
        // "Not interested. Remove.", "I have unsubscribed before. Stop.", but not "Great work. Stop."
        let complains = |text: &String| {
            WORDS
                .leave_stems
                .iter()
                .any(|stem| text.contains(stem.as_str()))
        };
        let denies =
            |text: &String| WORDS.negations.less_anywhere(text) != *text || complains(text);
        return sentences
            .iter()
            .all(|(class, text)| *class != SentenceClass::Reason || denies(text));
    }
    if !classes.contains(&SentenceClass::LeaveSelf) {
        return (1..=4).contains(&classes.len()) && classes.iter().all(is_leave);
    }
    let others = || said.iter().filter(|(class, _)| !stops(class));
    let count: usize = others().map(|(_, text)| text.split(' ').count()).sum();
    count <= MORE
        && others().all(|(class, text)| {
            matches!(
                class,
                SentenceClass::Other | SentenceClass::Name | SentenceClass::Affirms
            ) && is_harmless(text)
        })
}

fn says_yes(
    sentences: &[(SentenceClass, String)],
    lines: &[String],
    author: &AnswerAuthor<'_>,
) -> bool {
    // A name, but only as the last word: "Yes, thanks. Kit".
    let all = match sentences {
        [said @ .., (SentenceClass::Name, _)] => said,
        said => said,
    };
    let agrees = |class: SentenceClass| {
        matches!(
            class,
            SentenceClass::Nothing
                | SentenceClass::Yes
                | SentenceClass::Affirms
                | SentenceClass::Join
        )
    };
    all.iter().all(|(class, _)| agrees(*class))
        && sentences
            .iter()
            .any(|(class, _)| *class == SentenceClass::Yes)
        || is_one_sentence(lines, author, &[SentenceClass::Yes])
}

fn joins(sentences: &[(SentenceClass, String)]) -> bool {
    let mut said = sentences
        .iter()
        .map(|(class, _)| *class)
        .filter(|class| !matches!(class, SentenceClass::Nothing | SentenceClass::Name))
        .peekable();
    said.peek().is_some() && said.all(|class| class == SentenceClass::Join)
}

/// Returns whether few lines are one sentence of those classes: telephones and some people break them anywhere.
fn is_one_sentence(lines: &[String], author: &AnswerAuthor<'_>, classes: &[SentenceClass]) -> bool {
    let whole = lines.join(" ");
    let is_short = (2..=5).contains(&lines.len()) && whole.split_whitespace().count() <= SHORT;
    is_short && parts_of(&whole).len() == 1 && classes.contains(&class_of(&whole, author))
}

fn speaks_yes(text: &str) -> bool {
    let padded = format!(" {text} ");
    WORDS.yes_stems.iter().any(|stem| {
        match stem
            .chars()
            .next_back()
            .is_some_and(super::fold::is_unspaced)
        {
            true => text.contains(stem.as_str()),
            false => padded.contains(&format!(" {stem} ")),
        }
    })
}

/// Returns true if words of ticket systems, challenges and the like stand outside quotations, signature and all.
fn is_of_machine(own: &OwnText) -> bool {
    let text = words(&own.unquoted);
    WORDS
        .machine
        .iter()
        .any(|part| text.contains(part.as_str()))
        || own.unquoted.contains("[#")
}
