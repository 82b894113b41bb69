//! Fields of a catalogue document: each is checked where it is read.

use serde::Deserialize;
use serde::Serialize;

use crate::domain::Timestamp;
use crate::domain::address::is_noncharacter;
use crate::domain::publication::draft_date;
use crate::domain::publication::is_draft;
use crate::domain::to_millis;

/// Date of publication of what has none.
const DRAFT: &str = "draft";

/// One line of 1 to `MAX` characters.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SingleLine<const MAX: usize>(pub String);

/// A line that may be missing.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct OptionalLine<const MAX: usize>(pub String);

/// Text of 1 to `MAX` characters that may have line breaks.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Paragraphs<const MAX: usize>(pub String);

/// An http or https address.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct WebAddress(pub String);

fn checked(text: &str, max: usize, breaks: bool) -> Result<String, String> {
    let text = text.trim();
    let is_break = |c: char| matches!(c, '\n' | '\r' | '\t');
    if text
        .chars()
        .any(|c| is_noncharacter(c) || (c.is_control() && !(breaks && is_break(c))))
    {
        return Err(format!(
            "expected {} without control characters",
            if breaks { "text" } else { "one line" }
        ));
    }
    match text.chars().count() {
        length if length > max => Err(format!(
            "expected at most {max} characters, it has {length}"
        )),
        _ => Ok(text.into()),
    }
}

fn not_empty(text: String) -> Result<String, String> {
    if text.is_empty() {
        Err("expected some text, it is empty".into())
    } else {
        Ok(text)
    }
}

impl<const MAX: usize> TryFrom<String> for SingleLine<MAX> {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        checked(&text, MAX, false).and_then(not_empty).map(Self)
    }
}

impl<const MAX: usize> TryFrom<String> for OptionalLine<MAX> {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        checked(&text, MAX, false).map(Self)
    }
}

impl<const MAX: usize> TryFrom<String> for Paragraphs<MAX> {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        checked(&text, MAX, true).and_then(not_empty).map(Self)
    }
}

impl TryFrom<String> for WebAddress {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let url = url::Url::parse(text.trim())
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        url.filter(|url| url.as_str().len() <= 2000)
            .map(|url| Self(url.into()))
            .ok_or_else(|| format!("{text:?} is not a web address: expected https://..."))
    }
}

impl<const MAX: usize> From<SingleLine<MAX>> for String {
    fn from(line: SingleLine<MAX>) -> Self {
        line.0
    }
}

impl<const MAX: usize> From<OptionalLine<MAX>> for String {
    fn from(line: OptionalLine<MAX>) -> Self {
        line.0
    }
}

impl<const MAX: usize> From<Paragraphs<MAX>> for String {
    fn from(text: Paragraphs<MAX>) -> Self {
        text.0
    }
}

impl From<WebAddress> for String {
    fn from(address: WebAddress) -> Self {
        address.0
    }
}

/// RFC 3339 with an offset, as TOML's own date or as a text, cut to milliseconds; or `draft`.
#[derive(Debug, Clone, Copy)]
pub struct DocumentTime(pub Timestamp);

impl<'de> Deserialize<'de> for DocumentTime {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "expected a moment like 2026-11-16T09:00:00Z")]
        enum Either {
            Date(toml::value::Datetime),
            Text(String),
        }
        let text = match Either::deserialize(deserializer)? {
            Either::Date(date) => date.to_string(),
            Either::Text(text) => text,
        };
        if text == DRAFT {
            return Ok(Self(draft_date()));
        }
        let moment: Timestamp = text.parse().map_err(|_| {
            serde::de::Error::custom(format!(
                "{text:?} is not a moment: expected one like 2026-11-16T09:00:00Z, or \"draft\""
            ))
        })?;
        if !(0..=253_402_300_799).contains(&moment.timestamp()) {
            return Err(serde::de::Error::custom(format!(
                "{text:?}: expected a moment from 1970 to 9999"
            )));
        }
        Ok(Self(to_millis(moment)))
    }
}

impl Serialize for DocumentTime {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if is_draft(self.0) {
            return serializer.serialize_str(DRAFT);
        }
        serializer.serialize_str(&self.0.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true))
    }
}
