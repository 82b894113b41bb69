//! Text of an issue that people write: introduction, sponsor, question, sign-off and preheader. Its comparisons are picked.

use serde::Deserialize;
use serde::Serialize;

use super::address::is_noncharacter;
use super::subject::SubjectPattern;

/// Text of one issue. An empty field is left out of the mail.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssueText {
    /// First words, in Markdown.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub introduction: String,
    /// Advertisement, marked as one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sponsor: Option<Sponsor>,
    /// Question that readers are asked to answer.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub question: String,
    /// Last words, in Markdown.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub sign_off: String,
    /// Pattern of the line that a list of mails shows after the subject; empty: it is made from the comparisons.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub preheader: String,
}

/// Advertisement of one sponsor.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sponsor {
    /// One paragraph of plain text.
    pub text: String,
    /// Web address that it leads to.
    pub url: String,
}

/// Field of an [`IssueText`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IssueField {
    /// [`IssueText::introduction`]
    Introduction,
    /// [`Sponsor::text`]
    SponsorText,
    /// [`Sponsor::url`]
    SponsorUrl,
    /// [`IssueText::question`]
    Question,
    /// [`IssueText::sign_off`]
    SignOff,
    /// [`IssueText::preheader`]
    Preheader,
}

impl IssueField {
    /// Name in forms and in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Introduction => "introduction",
            Self::SponsorText => "sponsor_text",
            Self::SponsorUrl => "sponsor_url",
            Self::Question => "question",
            Self::SignOff => "sign_off",
            Self::Preheader => "preheader",
        }
    }

    /// Name in a sentence.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Introduction => "introduction",
            Self::SponsorText => "sponsor's text",
            Self::SponsorUrl => "sponsor's link",
            Self::Question => "question to readers",
            Self::SignOff => "sign-off",
            Self::Preheader => "preheader",
        }
    }

    /// Maximum number of characters.
    pub const fn length_max(self) -> usize {
        match self {
            Self::Introduction => 4_000,
            Self::SponsorText => 600,
            Self::SponsorUrl => 1_000,
            Self::Question => 300,
            Self::SignOff => 1_000,
            Self::Preheader => 200,
        }
    }
}

/// Reason why a field cannot be kept, as a clause: "has 4,012 characters; at most 4,000 fit".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidText {
    /// The field.
    pub field: IssueField,
    /// The clause.
    pub problem: String,
}

impl IssueText {
    /// Returns whether nothing is written.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Folds what browsers and files write differently: line ends, spaces at the end of lines, empty lines around the text. Control characters,
    /// and characters that mark placeholders in a mail, are dropped.
    pub fn normalized(self) -> Self {
        let sponsor = self.sponsor.map(|sponsor| Sponsor {
            text: line(&sponsor.text),
            url: line(&sponsor.url),
        });
        Self {
            introduction: lines(&self.introduction),
            sponsor: sponsor.filter(|sponsor| *sponsor != Sponsor::default()),
            question: line(&self.question),
            sign_off: lines(&self.sign_off),
            preheader: line(&self.preheader),
        }
    }

    /// Checks lengths, the sponsor's link and the preheader's marks.
    ///
    /// # Errors
    /// The first field that cannot be kept.
    pub fn check(&self) -> Result<(), InvalidText> {
        let none = Sponsor::default();
        let sponsor = self.sponsor.as_ref().unwrap_or(&none);
        let fields = [
            (IssueField::Introduction, &self.introduction),
            (IssueField::SponsorText, &sponsor.text),
            (IssueField::SponsorUrl, &sponsor.url),
            (IssueField::Question, &self.question),
            (IssueField::SignOff, &self.sign_off),
            (IssueField::Preheader, &self.preheader),
        ];
        for (field, text) in fields {
            let (length, max) = (text.chars().count(), field.length_max());
            if length > max {
                let problem = format!("has {length} characters; at most {max} fit");
                return Err(InvalidText { field, problem });
            }
        }
        let invalid = |field, problem: &str| {
            let problem = problem.to_owned();
            Err(InvalidText { field, problem })
        };
        if self.sponsor.is_some() {
            if sponsor.text.is_empty() {
                return invalid(
                    IssueField::SponsorText,
                    "is missing: a link alone says nothing",
                );
            }
            if web_link(&sponsor.url).is_none() {
                return invalid(
                    IssueField::SponsorUrl,
                    "must be a whole web address, like https://sponsor.example/offer",
                );
            }
        }
        if !self.preheader.is_empty()
            && let Err(error) = self.preheader.parse::<SubjectPattern>()
        {
            return invalid(
                IssueField::Preheader,
                &format!("cannot be filled in: {error}"),
            );
        }
        Ok(())
    }
}

/// Returns the address of a link as browsers read it, if it is http or https and names a host.
pub fn web_link(text: &str) -> Option<url::Url> {
    let url = url::Url::parse(text).ok()?;
    let is_web = matches!(url.scheme(), "http" | "https");
    (is_web && url.has_host() && url.password().is_none()).then_some(url)
}

fn kept(c: char) -> bool {
    let turns =
        matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}');
    !turns && !c.is_control() && !is_noncharacter(c)
}

/// Several lines, without what could break out of them.
pub fn lines(text: &str) -> String {
    let text = text
        .replace("\r\n", "\n")
        .replace(['\r', '\u{2028}', '\u{2029}'], "\n");
    let cleaned = text.lines().map(|line| {
        // Two spaces at the end of a line are a break in Markdown.
        let breaks = line.ends_with("  ") && !line.trim().is_empty();
        let line: String = line
            .replace('\t', "    ")
            .chars()
            .filter(|c| kept(*c))
            .collect();
        format!("{}{}", line.trim_end(), if breaks { "  " } else { "" })
    });
    let joined = cleaned.collect::<Vec<_>>().join("\n");
    joined.trim_matches('\n').trim_end().to_owned()
}

/// One line: white space is folded.
fn line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").chars().filter(|c| kept(*c)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written() -> IssueText {
        IssueText {
            introduction: "Hello,\r\nreaders.  \r\nBye\u{FDD0}\u{0}\u{202E}".into(),
            sponsor: Some(Sponsor {
                text: " Acme \n makes it ".into(),
                url: "https://acme.example/a?b=c".into(),
            }),
            question: "  Which\tone? ".into(),
            sign_off: "\n\nAda\n".into(),
            preheader: "{pair} and {count}".into(),
        }
    }

    #[test]
    fn texts_of_browsers_and_files_are_the_same_text() {
        let text = written().normalized();
        assert_eq!(text.introduction, "Hello,\nreaders.  \nBye");
        assert_eq!(text.question, "Which one?");
        assert_eq!(text.sign_off, "Ada");
        assert_eq!(text.clone().normalized(), text);
        assert_eq!(text.check(), Ok(()));
        let blank = IssueText {
            sponsor: Some(Sponsor {
                text: " ".into(),
                url: String::new(),
            }),
            ..IssueText::default()
        };
        assert!(blank.normalized().is_empty());
    }

    #[test]
    fn each_field_that_cannot_be_kept_is_named() {
        let long = |field: IssueField| "ä".repeat(field.length_max() + 1);
        let of = |change: &dyn Fn(&mut IssueText)| {
            let mut text = written().normalized();
            change(&mut text);
            text.check().map_err(|invalid| invalid.field)
        };
        assert_eq!(of(&|t| t.introduction = "ä".repeat(4_000)), Ok(()));
        assert_eq!(
            of(&|t| t.introduction = long(IssueField::Introduction)),
            Err(IssueField::Introduction)
        );
        assert_eq!(
            of(&|t| t.question = long(IssueField::Question)),
            Err(IssueField::Question)
        );
        assert_eq!(
            of(&|t| t.sign_off = long(IssueField::SignOff)),
            Err(IssueField::SignOff)
        );
        assert_eq!(
            of(&|t| t.preheader = "{nothing}".into()),
            Err(IssueField::Preheader)
        );
        for url in [
            "",
            "acme.example",
            "/offer",
            "javascript:alert(1)",
            "ftp://acme.example",
            "https://",
            "https://a:b@acme.example",
        ] {
            let change = |t: &mut IssueText| {
                t.sponsor = Some(Sponsor {
                    text: "Acme".into(),
                    url: url.into(),
                })
            };
            assert_eq!(of(&change), Err(IssueField::SponsorUrl), "{url}");
        }
    }
}
