//! Pattern of a digest's subject: `mail.subject`.

use std::str::FromStr;

/// Text of the pattern that makes a subject from what the digest holds ([`crate::domain::answer::Answer::subject`]).
pub const AUTO: &str = "auto";

/// A line with marks in it, each a word in braces that is known; or [`AUTO`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubjectPattern(String);

/// Values for the marks of a [`SubjectPattern`].
#[derive(Debug, Clone, Copy, Default)]
pub struct Marks<'a> {
    /// [`AUTO`]: the whole line.
    pub auto: &'a str,
    /// `{answer}`: the answer of the first comparison, without votes: "Ship A, skip B".
    pub answer: &'a str,
    /// `{pair}`: the first comparison, as a question.
    pub pair: &'a str,
    /// `{more}`: how many more there are, as a sentence; nothing if there are none.
    pub more: &'a str,
    /// `{count}`: how many there are.
    pub count: &'a str,
    /// `{week}`: like 2026-W47.
    pub week: &'a str,
    /// `{site}`: the site's name.
    pub site: &'a str,
    /// `{newsletter}`: the newsletter's name.
    pub newsletter: &'a str,
}

impl Marks<'_> {
    fn of(&self, name: &str) -> Option<&str> {
        Some(match name {
            "answer" => self.answer,
            "pair" => self.pair,
            "more" => self.more,
            "count" => self.count,
            "week" => self.week,
            "site" => self.site,
            "newsletter" => self.newsletter,
            _ => return None,
        })
    }
}

impl Default for SubjectPattern {
    fn default() -> Self {
        Self(AUTO.into())
    }
}

impl FromStr for SubjectPattern {
    type Err = InvalidSubject;

    fn from_str(text: &str) -> Result<Self, InvalidSubject> {
        if text.trim().is_empty()
            || text.chars().count() > 200
            || text.chars().any(char::is_control)
        {
            return Err(InvalidSubject(
                "expected one line of 1 to 200 characters".into(),
            ));
        }
        for part in text.split('{').skip(1) {
            let name = part.split_once('}').map(|(name, _)| name);
            if name.is_none_or(|name| Marks::default().of(name).is_none()) {
                let mark = format!(
                    "{{{}",
                    name.map_or_else(|| part.to_owned(), |name| format!("{name}}}"))
                );
                return Err(InvalidSubject(format!(
                    "{mark} is not one of: {{answer}}, {{pair}}, {{more}}, {{count}}, {{week}}, {{site}}, {{newsletter}}"
                )));
            }
        }
        let text = if text.trim() == AUTO { AUTO } else { text };
        Ok(Self(text.into()))
    }
}

impl SubjectPattern {
    /// Returns whether the line is made from what the digest holds.
    pub fn is_auto(&self) -> bool {
        self.0 == AUTO
    }

    /// The pattern with its marks filled. What fills one is not looked through for marks.
    pub fn fill(&self, marks: &Marks<'_>) -> String {
        if self.is_auto() {
            return marks.auto.to_owned();
        }
        let mut parts = self.0.split('{');
        let mut filled = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let (name, rest) = part.split_once('}').unwrap_or((part, ""));
            filled += marks.of(name).unwrap_or_default();
            filled += rest;
        }
        filled
    }
}

/// Reason why a text is no pattern, as words for the operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidSubject(String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_filled_once() {
        let marks = Marks {
            auto: "Ship A, skip B, and 1 more",
            answer: "Ship A, skip B",
            pair: "{more} or B?",
            more: "And 1 more",
            count: "2",
            ..Marks::default()
        };
        let filled = |text: &str| {
            text.parse::<SubjectPattern>()
                .map(|pattern| pattern.fill(&marks))
                .map_err(|error| error.to_string())
        };
        assert_eq!(
            filled("{pair} {more}"),
            Ok("{more} or B? And 1 more".into())
        );
        assert_eq!(filled("{answer}!"), Ok("Ship A, skip B!".into()));
        assert_eq!(filled(" auto "), Ok("Ship A, skip B, and 1 more".into()));
        assert_eq!(filled("auto {count}"), Ok("auto 2".into()));
        assert_eq!(filled("Verdicts} ({count})"), Ok("Verdicts} (2)".into()));
        assert!(
            filled("{pair} {mor}")
                .is_err_and(|error| error.starts_with("{mor} is not one of: {answer}, {pair}, "))
        );
        for bad in ["", " ", "{pair", "a\r\nBcc: b", &"x".repeat(201)] {
            assert!(filled(bad).is_err(), "{bad:?}");
        }
    }
}
