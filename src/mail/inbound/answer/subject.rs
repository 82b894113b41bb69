//! The subject of an answer: marks of answers, of gateways, and what is left.

use super::fold::fold;
use super::forms::FORMS;

/// Marks that are taken off one after another: programs of two languages put one each, and gateways theirs.
const MARKS: usize = 8;

/// A subject, taken apart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AnswerSubject {
    /// The subject without such marks, as it was written.
    pub rest: String,
    /// True if it is marked as an answer.
    pub answers: bool,
    /// True if it is marked as passed on.
    pub passes_on: bool,
}

impl AnswerSubject {
    /// Takes the marks off a subject.
    pub fn of(subject: &str) -> Self {
        let mut found = Self {
            rest: subject.trim().to_owned(),
            ..Self::default()
        };
        for _ in 0..MARKS {
            let lower = fold(&found.rest);
            if let Some(tag) = FORMS
                .subject_tags
                .iter()
                .find(|tag| lower.starts_with(tag.as_str()))
            {
                found.rest = behind(&found.rest, tag.chars().count());
                continue;
            }
            let Some((mark, length)) = mark_of(&found.rest) else {
                break;
            };
            match () {
                () if FORMS.reply_prefixes.contains(&mark) => found.answers = true,
                () if FORMS.forward_prefixes.contains(&mark) => found.passes_on = true,
                () => break,
            }
            found.rest = behind(&found.rest, length);
        }
        found
    }
}

/// The folded mark before the first colon, and the characters up to behind it: `Re:`, `RE :`, `Re[2]:`, `Odp.:`.
fn mark_of(subject: &str) -> Option<(String, usize)> {
    let head: String = subject.chars().take(24).collect();
    let (mark, _) = head.split_once([':', '：'])?;
    let length = mark.chars().count() + 1;
    let bare = mark
        .split(['[', '(', '^'])
        .next()
        .unwrap_or_default()
        .trim_end_matches(['.', ' ', '\u{a0}'])
        .trim();
    Some((fold(bare), length))
}

fn behind(text: &str, characters: usize) -> String {
    text.chars()
        .skip(characters)
        .collect::<String>()
        .trim_start_matches([' ', '-', '\u{a0}'])
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::AnswerSubject;

    #[test]
    fn marks_of_answers_and_gateways_are_taken_off() {
        for subject in [
            "Re: x",
            "RE : x",
            "AW: x",
            "Re[2]: x",
            "Odp.: x",
            "回复：x",
            "[EXTERNAL] Re: x",
            "Re: [EXT] AW: x",
            "Réf. : x",
            "رد: x",
            "Re: Re: Re: x",
        ] {
            assert_eq!(
                AnswerSubject::of(subject),
                AnswerSubject {
                    rest: "x".into(),
                    answers: true,
                    passes_on: false
                },
                "{subject}"
            );
        }
        for subject in ["x", "Reminder: x", "x: re: y", "", "[4711] Re: x"] {
            assert_eq!(
                AnswerSubject::of(subject),
                AnswerSubject {
                    rest: subject.into(),
                    answers: false,
                    passes_on: false
                },
                "{subject}"
            );
        }
        assert!(AnswerSubject::of("Fwd: Re: x").passes_on && AnswerSubject::of("WG: x").passes_on);
    }
}
