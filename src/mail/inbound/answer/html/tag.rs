//! A tag of HTML, and what its attributes say of the text inside.

use super::super::fold::fold;
use super::super::forms::FORMS;
use super::UNSEEN;
use crate::mail::inbound::answer::glob::Glob;

/// Bytes of one attribute's value and of a tag's name that are looked at, and names of classes in all.
pub(super) const VALUE: usize = 500;

pub(super) const NAME: usize = 20;

pub(super) const CLASSES: usize = 4_000;

/// An element whose text is treated apart, until its end.
pub(super) struct Region {
    pub(super) kind: RegionKind,
    pub(super) tag: String,
    /// Elements of the same name that are open in it.
    pub(super) depth: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum RegionKind {
    Unseen,
    Quote,
    Signature,
}

/// Attributes that tell something.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Attribute {
    Class,
    Style,
    Href,
    Hidden,
    #[default]
    Other,
}

impl Attribute {
    pub(super) fn named(name: &[u8]) -> Self {
        match name {
            b"class" | b"id" | b"name" => Self::Class,
            b"style" => Self::Style,
            b"href" => Self::Href,
            b"hidden" => Self::Hidden,
            _ => Self::Other,
        }
    }
}

/// A start tag while it is read.
#[derive(Default)]
pub(super) struct Tag {
    pub(super) name: String,
    pub(super) attribute: Attribute,
    pub(super) is_hidden: bool,
    pub(super) is_web_link: bool,
    pub(super) has_bar: bool,
    pub(super) region: Option<RegionKind>,
    pub(super) begins_rest: bool,
}

impl Tag {
    /// Takes the value of an attribute, at most so many names of classes; returns how many those were.
    pub(super) fn take_value(&mut self, value: &str, classes: usize) -> usize {
        let mut taken = 0;
        match self.attribute {
            Attribute::Class => {
                for word in value.split_whitespace().map(fold).take(classes) {
                    taken += 1;
                    let has = |globs: &[Glob]| globs.iter().any(|glob| glob.covers(&word));
                    self.begins_rest |= has(&FORMS.html_rests);
                    if has(&FORMS.html_quotes) {
                        self.region = Some(RegionKind::Quote);
                    } else if has(&FORMS.html_signatures) {
                        self.region = Some(RegionKind::Signature);
                    }
                }
            }
            Attribute::Style => {
                let style: String = value
                    .chars()
                    .filter(|c| !c.is_whitespace())
                    .flat_map(char::to_lowercase)
                    .collect();
                let of = |name: &str| {
                    style.split(';').rev().find_map(|rule| {
                        rule.strip_prefix(name)?.strip_prefix(':').map(String::from)
                    })
                };
                let is_nothing = |value: Option<String>| {
                    value.is_some_and(|value| matches!(value.as_str(), "0" | "0px" | "0pt" | "0em"))
                };
                self.is_hidden |= of("display").is_some_and(|value| value.starts_with("none"))
                    || of("visibility").is_some_and(|value| value.starts_with("hidden"))
                    || of("mso-hide").is_some_and(|value| value.starts_with("all"))
                    || is_nothing(of("max-height"))
                    || is_nothing(of("font-size"));
                // GMX, web.de and Outlook set a bar left of what they quote.
                self.has_bar |= of("border-left").is_some_and(|value| value.contains("solid"));
            }
            Attribute::Href => {
                self.is_web_link = value.trim_start().to_ascii_lowercase().starts_with("http")
            }
            Attribute::Hidden | Attribute::Other => {}
        }
        taken
    }

    /// The region that the element opens.
    pub(super) fn region(&self) -> Option<RegionKind> {
        match () {
            () if self.is_hidden || UNSEEN.contains(&self.name.as_str()) => {
                Some(RegionKind::Unseen)
            }
            () if self.name == "blockquote" || self.has_bar && self.name == "div" => {
                Some(RegionKind::Quote)
            }
            () => self
                .region
                .filter(|_| !matches!(self.name.as_str(), "html" | "body" | "a" | "p" | "span")),
        }
    }
}
