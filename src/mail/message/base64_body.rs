//! Bodies as base64 (RFC 2045 6.8), for alphabets in which quoted-printable takes three bytes for one: Chinese, Japanese, Arabic, Cyrillic.
//!
//! A hole stands on a line of its own, filled with the base64 of what goes there. Before it the text has a length that three divides, for which a
//! space or two are added where a line ends: nobody sees them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::mail::message::template_builder::Placeholder;
use crate::mail::message::template_builder::TemplateBuilder;

/// Longest line (RFC 2045 6.8).
const LINE: usize = 76;

/// Text before a hole, and the hole; the last has none.
type TextSegment = (String, Option<Placeholder>);

/// A text made ready for base64.
pub(in crate::mail) struct Base64Body(Vec<TextSegment>);

impl Base64Body {
    /// The text in base64, if that is shorter than in quoted-printable, and each hole can be put in.
    pub(in crate::mail) fn of(text: &str) -> Option<Self> {
        let letters = || text.chars().filter(|c| Placeholder::of(*c).is_none());
        let bytes: usize = letters().map(char::len_utf8).sum();
        let printable: usize = letters()
            .map(|c| {
                if c.is_ascii() && c != '=' {
                    1
                } else {
                    3 * c.len_utf8()
                }
            })
            .sum();
        if bytes * 4 / 3 * (LINE + 2) / LINE >= printable {
            return None;
        }
        segments(text).map(Self)
    }

    pub(in crate::mail) fn write(&self, draft: &mut TemplateBuilder) {
        for (text, hole) in &self.0 {
            let encoded = STANDARD.encode(text);
            // It is ASCII throughout.
            for line in encoded.as_bytes().chunks(LINE) {
                draft
                    .push(std::str::from_utf8(line).unwrap_or_default())
                    .push("\r\n");
            }
            if let Some(hole) = hole {
                draft.hole(*hole).push("\r\n");
            }
        }
    }
}

fn segments(text: &str) -> Option<Vec<TextSegment>> {
    let lines = text.replace("\r\n", "\n").replace('\r', "\n");
    let text = lines.replace('\n', "\r\n");
    let mut segments = Vec::new();
    let mut current = String::new();
    for c in text.chars() {
        match Placeholder::of(c) {
            None => current.push(c),
            Some(hole) => {
                let aligned = aligned(std::mem::take(&mut current))?;
                segments.push((aligned, Some(hole.in_base64()?)));
            }
        }
    }
    segments.push((current, None));
    Some(segments)
}

/// The text with spaces at the end of its last whole line, or beside its last space, so that three divides its length.
fn aligned(mut text: String) -> Option<String> {
    let missing = (3 - text.len() % 3) % 3;
    if missing > 0 {
        let at = text.rfind("\r\n").or_else(|| text.rfind(' '))?;
        text.insert_str(at, &"  "[..missing]);
    }
    Some(text)
}
