//! Clauses of a sentence: one that says that its author leaves, beside others that do not take it back.
//!
//! People give reasons in many words. The other clauses are not understood, but made of words in which people give reasons, and held against lists of
//! what takes a request back: a condition, a question, somebody else, a change of address, words that are reported. A word that is in no list may
//! be anything, and lets nothing be done. A negation is let through where it speaks of a need or an
//! interest ("I don't read it"), and never beside a word of leaving ("I don't want to leave").

use super::fold::is_unspaced;
use super::fold::words;
use super::forms::WORDS;
use super::own_text::is_against;
use super::spelling::spelt;

/// Clauses of a sentence that are looked at.
const CLAUSES: usize = 10;
/// Clauses over which a request goes: "remove me, my address and my name".
const RUN: usize = 4;
/// Words of a name.
const NAME: usize = 3;
/// Bytes of a number: a day, a year, an age.
const NUMBER: usize = 4;
/// Bytes of a conjunction, and of the space behind it, that may be another word in another language.
const SHORT: usize = 3;

/// The sign or word between a clause and the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Connector {
    Comma,
    And,
    But,
    /// A reason: because, since, so.
    Because,
    /// None: "I get too many mails I would like to leave".
    None,
}

/// A clause: the sign or word before it, the places at which it begins without and with that word, and its end.
struct Clause {
    link: Connector,
    start: usize,
    start_with_link: usize,
    end: usize,
}

/// A sentence taken apart.
pub struct Clauses {
    words: String,
    parts: Vec<Clause>,
}

impl Clauses {
    /// Takes a sentence apart at its commas, dashes and conjunctions; none where it has one clause or too many, or words in quotation marks.
    pub fn of(sentence: &str) -> Option<Self> {
        const MARKS: [char; 12] = [
            ',', ';', '(', ')', '、', '，', '،', '؛', '–', '—', '~', '・',
        ];
        if sentence.contains(['"', '“', '”', '„', '«', '»', '「', '」', '『']) {
            return None;
        }
        let mut found = Self {
            words: String::new(),
            parts: Vec::new(),
        };
        for piece in sentence.replace(" - ", ",").split(MARKS) {
            found.append(&spelt(&words(piece)));
        }
        let is_whole = WORDS.wholes.stand_in(&found.words);
        (!is_whole && (2..=CLAUSES).contains(&found.parts.len())).then_some(found)
    }

    /// Adds the clauses of a piece between two commas.
    fn append(&mut self, piece: &str) {
        if !self.words.is_empty() && !piece.is_empty() {
            self.words.push(' ');
        }
        let offset = self.words.len();
        self.words.push_str(piece);
        let (mut at, mut part) = (
            0,
            Clause {
                link: Connector::Comma,
                start: offset,
                start_with_link: offset,
                end: offset,
            },
        );
        // A conjunction of one language is another word in the next: "mais" is "but" in French and "more" in Portuguese.
        let speaks_of_leaving = WORDS
            .leave_stems
            .iter()
            .any(|stem| piece.contains(stem.as_str()));
        let asks = WORDS.leaves.stand_in(piece) || WORDS.leaves_list.stand_in(piece);
        let is_one = !speaks_of_leaving && !asks && is_harmless(piece);
        while at < piece.len() && self.parts.len() <= CLAUSES {
            let begins = piece[..at]
                .chars()
                .next_back()
                .is_none_or(|c| c == ' ' || is_unspaced(c));
            let Some((link, length)) = begins.then(|| link_at(&piece[at..])).flatten() else {
                at += piece[at..].chars().next().map_or(1, char::len_utf8);
                continue;
            };
            let here = offset + at;
            at += length;
            let is_apart = !piece[part.start - offset..here - offset].trim().is_empty();
            if is_apart && is_one {
                continue;
            }
            if link == Connector::None {
                if is_apart {
                    self.parts.push(Clause { end: here, ..part });
                    part = Clause {
                        link,
                        start: here,
                        start_with_link: here,
                        end: here,
                    };
                }
                continue;
            }
            if !is_apart {
                // "and so": the first one counts; a short one may be a pronoun, as `i` is in English and not in Polish.
                part.link = if part.start == part.start_with_link && length > SHORT {
                    link
                } else {
                    part.link
                };
                part.start = offset + at;
                continue;
            }
            self.parts.push(Clause { end: here, ..part });
            part = Clause {
                link,
                start: offset + at,
                start_with_link: here,
                end: here,
            };
        }
        if offset + piece.len() > part.start_with_link {
            self.parts.push(Clause {
                end: offset + piece.len(),
                ..part
            });
        }
    }

    /// Returns whether a run of clauses leaves, and no other clause takes it back. `leaves` judges words;
    /// `lets` says of known words that they let a request stand or not. Each run is judged once, and none that something takes back.
    pub fn leave(
        &self,
        leaves: impl Fn(&str) -> bool,
        lets: impl Fn(&str) -> Option<bool>,
    ) -> bool {
        let own = |part: &Clause| self.words[part.start..part.end].trim();
        let whole = |part: &Clause| self.words[part.start_with_link..part.end].trim();
        let known: Vec<Option<bool>> = self
            .parts
            .iter()
            .map(|part| lets(own(part)).or_else(|| lets(whole(part))))
            .collect();
        let stands: Vec<bool> = self
            .parts
            .iter()
            .zip(&known)
            .map(|(part, known)| known.unwrap_or_else(|| is_harmless(own(part))))
            .collect();
        let stands_behind = |at: usize| {
            let part = &self.parts[at];
            known[at]
                .unwrap_or_else(|| stands[at] && part.link != Connector::But && !goes_on(own(part)))
        };
        let count = self.parts.len();
        let firsts = (0..count).take_while(|first| *first == 0 || stands[*first - 1]);
        let least = (0..count)
            .rev()
            .take_while(|last| *last == count - 1 || stands_behind(*last + 1))
            .last()
            .unwrap_or_default();
        let mut runs = firsts.flat_map(|first| {
            (first.max(least)..count.min(first + RUN)).map(move |last| (first, last))
        });
        runs.any(|(first, last)| {
            if (first, last) == (0, count - 1) {
                return false;
            }
            let (run, end) = (&self.parts[first], self.parts[last].end);
            // "Tools that read my mail and remove me from lists": behind "and", only what says that it is a wish.
            let text = &self.words[run.start_with_link..end];
            let joins = run.link == Connector::And
                && !WORDS.wishes.stand_in(text)
                && !WORDS.polite.stand_in(text);
            if joins && known[..first].iter().any(|known| *known != Some(true)) {
                return false;
            }
            leaves(self.words[run.start..end].trim())
                || run.start != run.start_with_link && leaves(text.trim())
        })
    }
}

fn link_at(rest: &str) -> Option<(Connector, usize)> {
    let lists = [
        (&WORDS.ands, Connector::And),
        (&WORDS.buts, Connector::But),
        (&WORDS.becauses, Connector::Because),
        (&WORDS.begins, Connector::None),
    ];
    lists
        .iter()
        .find_map(|(list, link)| list.ends_at(rest, 0).next().map(|end| (*link, end)))
}

/// Returns true for a clause that goes on with the words before: "unsubscribe me, is what it says".
fn goes_on(text: &str) -> bool {
    WORDS.goes_on.less_at_start(text).is_some()
}

/// Returns whether words beside a request to be let go leave it as it is: they are words in which people give reasons, all in one language, and
/// none of them takes it back.
pub fn is_harmless(text: &str) -> bool {
    // "as of 30 november", "i am 84"
    let bare: Vec<&str> = text.split(' ').filter(|word| !is_number(word)).collect();
    let text = bare.join(" ");
    // "My name is Erika Vogt", "mfg Erika"
    let gives_name = || {
        let name = [(&WORDS.named, NAME), (&WORDS.closings, NAME - 1)]
            .iter()
            .find_map(|(list, most)| Some((list.less_at_start(&text)?, *most)));
        name.is_some_and(|(name, most)| name.split(' ').count() <= most && !is_against(name))
    };
    (WORDS.plain.iter().any(|list| list.make(&text)) || gives_name()) && lets_stand(&text)
}

/// Returns whether nothing in those words takes a request back, changes it, or asks for something beside it.
fn lets_stand(text: &str) -> bool {
    if WORDS.takes_back.stand_in(text) || WORDS.conditions.less_at_start(text).is_some() {
        return false;
    }
    let rest = WORDS.negations.less_anywhere(text);
    let is_excused = || {
        WORDS.excuses.stand_in(text)
            && !WORDS
                .leave_stems
                .iter()
                .any(|stem| rest.contains(stem.as_str()))
    };
    let is_excusable = match rest != text {
        true => is_excused(),
        false => !WORDS.wants.stand_in(text),
    };
    let rest: Vec<&str> = rest
        .split(' ')
        .filter(|word| !WORDS.mild.contains(*word))
        .collect();
    is_excusable && !is_against(&rest.join(" "))
}

fn is_number(word: &str) -> bool {
    word.len() <= NUMBER && word.starts_with(|c: char| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::cell::RefCell;

    use super::*;

    #[test]
    fn other_clauses_give_reasons_or_take_it_back() {
        let harmless = |text: &str| is_harmless(&words(text));
        for said in [
            "I have retired",
            "I don't read it any more",
            "you are a great team",
            "ich habe keine Zeit",
            "読む時間がない",
        ] {
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
            // One word that no list holds may be anything.
            "the jury has retired",
            "il y a une coquille",
            "I would like to receive the monthly one",
        ] {
            assert!(!harmless(other), "{other}");
        }
    }

    #[test]
    fn each_run_of_clauses_is_judged_once_and_their_number_grows_with_the_sentence_alone() {
        let asked = |clauses: usize| {
            let sentence = vec!["i read and we talk"; clauses / 2].join(", ");
            let (runs, single) = (RefCell::new(Vec::new()), Cell::new(0));
            let leaves = |text: &str| {
                runs.borrow_mut().push(text.to_owned());
                false
            };
            let lets = |_: &str| {
                single.set(single.get() + 1);
                Some(true)
            };
            assert!(!Clauses::of(&sentence).expect("clauses").leave(leaves, lets));
            (runs.take().len(), single.get())
        };
        let ((few, few_alone), (many, many_alone)) = (asked(4), asked(8));
        assert!(many <= 8 * RUN * 2 && many <= 3 * few, "{few}, {many}");
        assert_eq!((few_alone, many_alone), (4, 8));
        // What takes a request back in front of all clauses leaves nothing to judge behind it.
        let calls = Cell::new(0);
        let leaves = |_: &str| {
            calls.set(calls.get() + 1);
            false
        };
        let found = Clauses::of("my wife says so, and i read, and we talk, and remove me")
            .expect("clauses");
        assert!(
            !found.leave(leaves, |_| None) && calls.get() <= RUN * 2,
            "{}",
            calls.get()
        );
    }

    #[test]
    fn a_sentence_is_taken_apart_at_commas_and_conjunctions() {
        let parts = |text: &str| {
            Clauses::of(text).map(|found| {
                found
                    .parts
                    .iter()
                    .map(|part| found.words[part.start..part.end].trim().to_owned())
                    .collect::<Vec<_>>()
            })
        };
        assert_eq!(
            parts("My job has changed, so remove me because it is late").unwrap_or_default(),
            ["my job has changed", "remove me", "it is late"]
        );
        assert_eq!(parts("Remove me"), None);
        assert_eq!(parts("She said, \"remove me\", and left"), None);
    }
}
