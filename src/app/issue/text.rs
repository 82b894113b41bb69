//! Text that people write of an issue: what may be kept, and what must not go out.

use crate::app::App;
use crate::app::Failure;
use crate::app::check_result::CheckResult;
use crate::app::check_result::advice;
use crate::app::check_result::fault;
use crate::domain::Timestamp;
use crate::domain::digest::DigestContent;
use crate::domain::issue_text::InvalidText;
use crate::domain::issue_text::IssueText;
use crate::domain::issue_text::Sponsor;
use crate::domain::issue_text::web_link;
use crate::domain::slot::Slot;
use crate::render::markdown;
use crate::render::markdown::MarkdownFault;
use crate::render::markdown::WrittenLink;

/// Changes of an issue's text. What is `None` stays; an empty text takes the field away.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TextChanges {
    /// Introduction, in Markdown.
    pub introduction: Option<String>,
    /// Text of the sponsor's block.
    pub sponsor_text: Option<String>,
    /// Link of the sponsor's block.
    pub sponsor_url: Option<String>,
    /// Question to readers.
    pub question: Option<String>,
    /// Sign-off, in Markdown.
    pub sign_off: Option<String>,
    /// Pattern of the preheader.
    pub preheader: Option<String>,
}

impl TextChanges {
    /// The text that they make of none.
    pub fn into_text(self) -> IssueText {
        self.applied(&IssueText::default())
            .unwrap_or_default()
            .normalized()
    }

    /// The text with these changes, if there are any.
    pub(super) fn applied(&self, text: &IssueText) -> Option<IssueText> {
        if *self == Self::default() {
            return None;
        }
        let Self {
            introduction,
            sponsor_text,
            sponsor_url,
            question,
            sign_off,
            preheader,
        } = self.clone();
        let sponsor = text.sponsor.clone().unwrap_or_default();
        let sponsor = Sponsor {
            text: sponsor_text.unwrap_or(sponsor.text),
            url: sponsor_url.unwrap_or(sponsor.url),
        };
        Some(IssueText {
            introduction: introduction.unwrap_or_else(|| text.introduction.clone()),
            sponsor: Some(sponsor),
            question: question.unwrap_or_else(|| text.question.clone()),
            sign_off: sign_off.unwrap_or_else(|| text.sign_off.clone()),
            preheader: preheader.unwrap_or_else(|| text.preheader.clone()),
        })
    }
}

/// Words that stand for something still to be written.
const UNFINISHED: [&str; 6] = ["TK", "TKTK", "XXX", "TODO", "FIXME", "LOREM"];
/// Words of a link that say nothing of where it leads (WCAG 2.4.4).
const EMPTY_WORDS: [&str; 8] = [
    "click here",
    "here",
    "click",
    "link",
    "this link",
    "read more",
    "more",
    "this",
];
/// Hosts that hide where a link leads, which spam filters count against a mail.
const SHORTENERS: [&str; 14] = [
    "bit.ly",
    "t.co",
    "goo.gl",
    "tinyurl.com",
    "ow.ly",
    "is.gd",
    "buff.ly",
    "rebrand.ly",
    "lnkd.in",
    "cutt.ly",
    "rb.gy",
    "t.ly",
    "tiny.cc",
    "shorturl.at",
];
/// Characters of a subject that phones show.
const SHOWN: usize = 60;

/// Checks and normalizes a text.
///
/// # Errors
/// A sentence that names the field.
pub(super) fn checked(text: IssueText) -> Result<IssueText, Failure> {
    let text = text.normalized();
    if let Err(InvalidText { field, problem }) = text.check() {
        let sentence = format!("The {} {problem}.", field.words());
        return Err(Failure::invalid_field(field.as_str(), sentence));
    }
    for (field, name, markdown) in [
        ("introduction", "introduction", &text.introduction),
        ("sign_off", "sign-off", &text.sign_off),
    ] {
        let Some(found) = markdown::faults(markdown).into_iter().next() else {
            continue;
        };
        let sentence = match found {
            MarkdownFault::Html(html) => format!(
                "The {name} has HTML in it ({html}), which mails do not carry. Write Markdown: **bold**, *italic*, [words](https://...)."
            ),
            MarkdownFault::Picture(address) => {
                format!(
                    "The {name} has a picture in it ({address}), which most mail programs hide. Link to it instead."
                )
            }
            MarkdownFault::Scheme(address) => {
                format!(
                    "The {name} links to {address}: only https, http and mailto links are allowed."
                )
            }
        };
        return Err(Failure::invalid_field(field, sentence));
    }
    Ok(text)
}

impl App {
    /// Returns what people wrote of an issue, with the eyes of those who get it. Faults stop a send.
    pub(in crate::app) async fn examine_text(
        &self,
        content: &DigestContent,
        subject: &str,
    ) -> Vec<CheckResult> {
        let text = &content.text;
        let (now, mut findings) = (self.now(), Vec::new());
        let sponsor = text.sponsor.clone().unwrap_or_default();
        let fields: [(&'static str, &str); 6] = [
            ("subject", subject),
            ("preheader", &text.preheader),
            ("introduction", &text.introduction),
            ("sponsor", &sponsor.text),
            ("question", &text.question),
            ("sign_off", &text.sign_off),
        ];
        for (what, text) in fields {
            // A subject that nobody wrote holds names of the catalogue.
            if let Some(word) = unfinished(text).filter(|_| what != "subject") {
                findings.push(fault(
                    what,
                    format!("{word} is left in it: something is still to be written"),
                ));
            }
            if let Some(year) = outdated(text, self.site.day(now).as_str()) {
                findings.push(advice(what, format!("names the year {year}")));
            }
        }
        let length = subject.chars().count();
        if length > SHOWN {
            findings.push(advice(
                "subject",
                format!("has {length} characters; phones show about {SHOWN}"),
            ));
        }
        for (what, markdown) in [
            ("introduction", &text.introduction),
            ("sign_off", &text.sign_off),
        ] {
            for link in markdown::links(markdown) {
                findings.extend(self.examine_link(what, &link, now).await);
            }
        }
        if text.sponsor.is_some() {
            let link = WrittenLink {
                words: sponsor.text,
                address: sponsor.url,
            };
            findings.extend(self.examine_link("sponsor", &link, now).await);
        }
        if !text.question.is_empty() && self.reply_to.is_none() {
            let words = format!(
                "answers go to {}; set mail.reply_to to an address that somebody reads",
                self.from.address()
            );
            findings.push(advice("question", words));
        }
        findings
    }

    async fn examine_link(
        &self,
        what: &'static str,
        link: &WrittenLink,
        now: Timestamp,
    ) -> Option<CheckResult> {
        let WrittenLink { words, address } = link;
        if address.starts_with("mailto:") {
            return None;
        }
        let Some(url) = web_link(address) else {
            return Some(fault(
                what,
                format!("the link {address} is not whole: begin it with https://"),
            ));
        };
        let host = url
            .host_str()
            .unwrap_or_default()
            .trim_start_matches("www.");
        if SHORTENERS.contains(&host) {
            return Some(advice(
                what,
                format!(
                    "{host} hides where the link leads, which spam filters dislike: link to the page itself"
                ),
            ));
        }
        let said = words.trim().to_lowercase();
        if EMPTY_WORDS.contains(&said.as_str()) {
            return Some(advice(
                what,
                format!(
                    "a link says only \"{}\": name what it leads to",
                    words.trim()
                ),
            ));
        }
        if let Some(shown) = web_link(words.trim())
            && shown.host_str() != url.host_str()
        {
            return Some(advice(
                what,
                format!(
                    "a link shows {} and leads to {host}, as fraud does",
                    words.trim()
                ),
            ));
        }
        match self.is_dead(&url, now).await {
            Ok(false) => None,
            Ok(true) => Some(fault(
                what,
                format!("{address} does not open: there is no such page here"),
            )),
            Err(failure) => Some(fault(what, failure.to_string())),
        }
    }

    /// Returns whether a link to a page of ours leads nowhere. Pages of others are not fetched: a digest must not wait for them.
    async fn is_dead(&self, url: &url::Url, now: Timestamp) -> Result<bool, Failure> {
        let base = self.settings.base_url();
        let Some(path) = url.as_str().strip_prefix(base.trim_end_matches('/')) else {
            return Ok(false);
        };
        let path = path.split(['?', '#']).next().unwrap_or_default();
        let Some((kind, name)) = path.trim_matches('/').split_once('/') else {
            return Ok(false);
        };
        Ok(match kind {
            "comparisons" => match name.parse() {
                Ok(slug) => self.open_comparison(&slug, now).await?.is_err(),
                Err(_) => true,
            },
            "tools" => match name.parse() {
                Ok(slug) => self.storage.contender(&slug, now).await?.is_none(),
                Err(_) => true,
            },
            "digests" if name != "latest" => match name.parse::<Slot>() {
                Ok(slot) => self.storage.frozen_content(slot).await?.is_none(),
                Err(_) => true,
            },
            _ => false,
        })
    }
}

fn unfinished(text: &str) -> Option<&'static str> {
    let words = text.split(|c: char| !c.is_alphanumeric());
    words
        .filter_map(|word| {
            UNFINISHED
                .into_iter()
                .find(|mark| *mark == word || (*mark == "LOREM" && word.eq_ignore_ascii_case(mark)))
        })
        .next()
}

/// A year of the last ten that is over, where a text names one and not the present one.
fn outdated(text: &str, today: &str) -> Option<i32> {
    let year: i32 = today.rsplit(' ').next()?.parse().ok()?;
    let years = text.split(|c: char| !c.is_alphanumeric());
    let named: Vec<i32> = years
        .filter(|word| word.len() == 4)
        .filter_map(|word| word.parse().ok())
        .filter(|named| (year - 10..=year).contains(named))
        .collect();
    if named.contains(&year) {
        return None;
    }
    named.into_iter().max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unfinished_words_and_old_years_are_seen() {
        assert_eq!(unfinished("The price is TK, they say"), Some("TK"));
        assert_eq!(unfinished("lorem ipsum"), Some("LOREM"));
        assert_eq!(unfinished("A stack of TKs and xxx"), None);
        let today = "30 November 2026";
        assert_eq!(outdated("The best of 2024 and 2025", today), Some(2025));
        assert_eq!(outdated("From 2025 to 2026", today), None);
        assert_eq!(outdated("It costs 2000 a year, 20250 users", today), None);
    }

    #[test]
    fn a_text_that_no_mail_can_carry_is_refused_with_a_sentence() {
        let of = |introduction: &str| {
            let text = IssueText {
                introduction: introduction.into(),
                ..IssueText::default()
            };
            checked(text).map_err(|failure| failure.to_string())
        };
        assert!(of("**Fine** [x](https://a.example) <3").is_ok());
        for (text, words) in [
            ("<b>x</b>", "HTML"),
            ("![x](https://a.example/x.png)", "picture"),
            ("[x](javascript:alert)", "only https"),
        ] {
            assert!(of(text).is_err_and(|said| said.contains(words)), "{text}");
        }
    }
}
