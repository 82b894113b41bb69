//! Judgement of somebody's own lines: that they leave, that they agree, that they join.
//!
//! A sentence counts only if a pattern of `words.tsv` covers it whole, less what is polite, or one of its clauses. So nothing is understood that was not said:
//! "please don't unsubscribe me" is no pattern. Where words stand beside it that take it back, or a question, or somebody's address, nothing is done, and a
//! person gets a mail with the link.

mod courtesy;
mod request;
mod sentence;

use super::agreement::is_about_link;
use super::clauses::is_harmless;
use super::fold::words;
use super::forms::WORDS;
use super::own_text::Names;
use super::own_text::OwnText;
use super::own_text::is_against;
use super::subject::AnswerSubject;
use courtesy::is_greeting;
use courtesy::less_greeting;
use courtesy::thanks;
use request::is_reason;
use sentence::SentenceClass;
use sentence::class_of;
pub use sentence::is_one_of;
use sentence::parts_of;

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

/// Judges an answer by its author's own lines, and by its subject where they say nothing.
pub fn judge(own: &OwnText, subject: &AnswerSubject, author: &AnswerAuthor<'_>) -> AnswerMeaning {
    let lines = &own.lines;
    let sentences = sentences(lines, author);
    let subject_class = if subject.passes_on {
        SentenceClass::Other
    } else {
        class_of(&subject.rest, author, false)
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
        let line = match number {
            0 | 1 => less_greeting(line),
            _ => line.as_str(),
        };
        let greets = number == 0 && is_greeting(line);
        let parts = parts_of(line);
        let following = lines.get(number + 1).map(|line| parts_of(line));
        let behind = |at: usize| {
            parts
                .get(at + 1)
                .or_else(|| following.as_ref()?.first())
                .is_some_and(|next| thanks(next, author.names))
        };
        for (at, sentence) in parts.iter().enumerate() {
            if all.len() >= SENTENCES {
                all.push((SentenceClass::Blocking, String::new()));
                return all;
            }
            let class = if greets {
                SentenceClass::Nothing
            } else {
                class_of(sentence, author, behind(at))
            };
            all.push((class, words(sentence)));
        }
    }
    all
}

fn leaves(sentences: &[(SentenceClass, String)]) -> bool {
    let mut said: Vec<&(SentenceClass, String)> = sentences
        .iter()
        .filter(|(class, _)| !matches!(class, SentenceClass::Nothing | SentenceClass::Reason))
        .collect();
    // A name below, but never one before.
    while said.len() > 1
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
    let is_beside_reasons = |of: fn(&SentenceClass) -> bool| {
        let wishes = said.iter().filter(|(class, _)| of(class)).count();
        let others: Vec<_> = said.iter().filter(|(class, _)| !of(class)).collect();
        let is_word = said
            .iter()
            .any(|(class, _)| *class == SentenceClass::LeaveWord);
        wishes == 1
            && !others.is_empty()
            && others
                .iter()
                .map(|(_, text)| text.split(' ').count())
                .sum::<usize>()
                <= MORE
            && others.iter().all(|(class, text)| {
                matches!(class, SentenceClass::Other | SentenceClass::Affirms)
                    && is_reason(text)
                    && (!is_word || WORDS.needs.stand_in(text))
            })
    };
    // "Enough newsletters for me. Unsubscribe!", "I do not need it. Please cancel it."
    if is_beside_reasons(|class| matches!(class, SentenceClass::Leave | SentenceClass::LeaveWord)) {
        return true;
    }
    if !classes.contains(&SentenceClass::LeaveSelf) {
        return (1..=4).contains(&classes.len())
            && classes.iter().any(is_leave)
            && classes.iter().all(stops);
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
    all.iter().all(|(class, text)| {
        agrees(*class) || *class != SentenceClass::Blocking && is_about_link(text)
    }) && sentences
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
    is_short && parts_of(&whole).len() == 1 && classes.contains(&class_of(&whole, author, false))
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
