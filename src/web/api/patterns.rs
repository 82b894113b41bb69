//! Patterns of texts, each as the document writes it and as it is checked; and times, which chrono reads more kindly than RFC 3339.

use crate::domain::Timestamp;
use crate::domain::address::is_noncharacter;
use crate::domain::slot::Slot;
use crate::domain::to_millis;

/// A slug: lower-case letters and digits with single hyphens between them.
pub const SLUG: &str = "^[a-z0-9]+(-[a-z0-9]+)*$";
/// A digest's slot.
pub const SLOT: &str = "^20[2-9][0-9]-W(0[1-9]|[1-4][0-9]|5[0-2])$";
/// An opaque id.
pub const ID: &str = "^[a-z0-9]{10,40}$";
/// Text of one line: nothing but printable characters, and no space at its ends.
pub const LINE: &str = r"^[^\s\x00-\x1f\x7f-\x9f\ufdd0-\ufdef\ufffe\uffff]([^\x00-\x1f\x7f-\x9f\u2028\u2029\ufdd0-\ufdef\ufffe\uffff]*[^\s\x00-\x1f\x7f-\x9f\ufdd0-\ufdef\ufffe\uffff])?$";
/// Text of one line that may be empty.
pub const ANY_LINE: &str = r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029\ufdd0-\ufdef\ufffe\uffff]*$";
/// Text that may have line breaks, and is not empty.
pub const TEXT: &str = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufdd0-\ufdef\ufffe\uffff]*[^\s\x00-\x1f\x7f-\x9f\ufdd0-\ufdef\ufffe\uffff][^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufdd0-\ufdef\ufffe\uffff]*$";
/// Text that may have line breaks, or be empty.
pub const ANY_TEXT: &str = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufdd0-\ufdef\ufffe\uffff]*$";
/// An address that every mail server takes: a dot-atom at a name with a dot in it.
pub const EMAIL: &str =
    "^[A-Za-z0-9]+([._+-][A-Za-z0-9]+)*@([a-z0-9]([a-z0-9-]*[a-z0-9])?\\.)+[a-z]{2,}$";
/// An http or https address.
pub const WEB: &str = "^https?://[a-z0-9-]+(\\.[a-z0-9-]+)+(/[!-~]*)?$";

/// The address of a webhook endpoint; whether its host may be asked is judged later.
pub const ENDPOINT: &str = "^https?://[!-~]+$";

/// Name by which shapes say it, the pattern, the check, and words for what is expected.
type NamedPattern = (&'static str, &'static str, fn(&str) -> bool, &'static str);

/// Every pattern that a schema may use.
const PATTERNS: [NamedPattern; 10] = [
    (
        "slug",
        SLUG,
        is_slug,
        "lower-case letters, digits and single hyphens between them",
    ),
    ("slot", SLOT, is_slot, "a week like 2026-W49"),
    ("id", ID, is_id, "an id as the API gave it"),
    (
        "line",
        LINE,
        is_line,
        "one line without control characters, and no spaces at its ends",
    ),
    (
        "any_line",
        ANY_LINE,
        is_any_line,
        "one line without control characters",
    ),
    (
        "text",
        TEXT,
        is_text,
        "a text without control characters but line breaks and tabs, and not empty",
    ),
    (
        "any_text",
        ANY_TEXT,
        has_no_controls,
        "a text without control characters but line breaks and tabs",
    ),
    (
        "email",
        EMAIL,
        is_email,
        "an email address like ada@example.org",
    ),
    (
        "endpoint",
        ENDPOINT,
        is_endpoint,
        "an http or https address of visible characters of ASCII",
    ),
    ("web", WEB, is_web, "an http or https address"),
];

/// Returns what a text should have been; `None` where it is that.
pub fn fault(pattern: &str, text: &str) -> Option<&'static str> {
    let known = PATTERNS.iter().find(|(_, known, ..)| *known == pattern);
    known
        .filter(|(_, _, holds, _)| !holds(text))
        .map(|(.., words)| *words)
}

/// The pattern of a name; any other text stays.
pub fn named(name: &str) -> &str {
    let known = PATTERNS.iter().find(|(known, ..)| *known == name);
    known.map_or(name, |(_, pattern, ..)| pattern)
}

/// Returns whether a pattern has its check.
#[cfg(test)]
pub fn is_known(pattern: &str) -> bool {
    PATTERNS.iter().any(|(_, known, ..)| *known == pattern)
}

fn is_endpoint(text: &str) -> bool {
    let rest = text
        .strip_prefix("https://")
        .or(text.strip_prefix("http://"));
    rest.is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_graphic()))
}

fn is_slug(text: &str) -> bool {
    let is_part = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9'))
    };
    text.split('-').all(is_part)
}

fn is_slot(text: &str) -> bool {
    let year = text.get(..4).and_then(|year| year.parse::<u16>().ok());
    text.len() == 8
        && year.is_some_and(|year| (2020..=2099).contains(&year))
        && !text.ends_with("W53")
        && text.parse::<Slot>().is_ok()
}

fn is_id(text: &str) -> bool {
    (10..=40).contains(&text.len())
        && text
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9'))
}

fn is_line(text: &str) -> bool {
    !text.is_empty() && text == text.trim() && is_any_line(text)
}

fn is_any_line(text: &str) -> bool {
    let is_break = |c| matches!(c, '\u{2028}' | '\u{2029}');
    !text
        .chars()
        .any(|c| c.is_control() || is_noncharacter(c) || is_break(c))
}

fn has_no_controls(text: &str) -> bool {
    let is_break = |c| matches!(c, '\n' | '\r' | '\t');
    !text
        .chars()
        .any(|c| is_noncharacter(c) || c.is_control() && !is_break(c))
}

fn is_text(text: &str) -> bool {
    has_no_controls(text) && !text.trim().is_empty()
}

fn is_email(text: &str) -> bool {
    crate::domain::address::EmailAddress::parse_new(text).is_ok()
}

fn is_web(text: &str) -> bool {
    let host = ["https://", "http://"]
        .iter()
        .find_map(|scheme| text.strip_prefix(scheme));
    host.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
        && url::Url::parse(text).is_ok()
}

fn digits(text: &[u8]) -> Option<u32> {
    text.iter().try_fold(0, |number: u32, byte| {
        byte.is_ascii_digit()
            .then(|| number * 10 + u32::from(byte - b'0'))
    })
}

/// A date of RFC 3339 (`full-date`).
pub fn date(text: &str) -> Option<chrono::NaiveDate> {
    let bytes: &[u8; 10] = text.as_bytes().try_into().ok()?;
    if bytes[4] != b'-' || bytes[7] != b'-' {
        return None;
    }
    let (year, month, day) = (
        digits(&bytes[..4])?,
        digits(&bytes[5..7])?,
        digits(&bytes[8..])?,
    );
    chrono::NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month, day)
}

/// A time of RFC 3339 (`date-time`), cut to milliseconds. chrono alone also reads `2026-12-1`, ` Z`, `UTC`, a second 60 and year 12026.
pub fn timestamp(text: &str) -> Option<Timestamp> {
    let (day, rest) = text.split_at_checked(10)?;
    date(day)?;
    let rest = rest.strip_prefix(['T', 't'])?;
    let (clock, rest) = rest.split_at_checked(8)?;
    let clock: &[u8; 8] = clock.as_bytes().try_into().ok()?;
    let in_range = clock[2] == b':'
        && clock[5] == b':'
        && digits(&clock[..2])? < 24
        && digits(&clock[3..5])? < 60
        && digits(&clock[6..])? < 60;
    let rest = match rest.strip_prefix('.') {
        Some(fraction) => {
            let end = fraction.find(|c: char| !c.is_ascii_digit())?;
            (end > 0).then(|| &fraction[end..])?
        }
        None => rest,
    };
    let is_offset = match rest.as_bytes() {
        [b'Z' | b'z'] => true,
        [b'+' | b'-', offset @ ..] if offset.len() == 5 && offset[2] == b':' => {
            digits(&offset[..2])? < 24 && digits(&offset[3..])? < 60
        }
        _ => false,
    };
    if !in_range || !is_offset {
        return None;
    }
    let moment = chrono::DateTime::parse_from_rfc3339(text).ok()?;
    Some(to_millis(moment.to_utc()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_rfc_3339_and_no_others() {
        for good in [
            "2026-12-01T09:00:00Z",
            "2026-12-01t09:00:00.5z",
            "2026-12-01T09:00:00.123456789+01:00",
            "0001-01-01T00:00:00-23:59",
        ] {
            assert!(timestamp(good).is_some(), "{good}");
        }
        for bad in [
            "2026-12-1T09:00:00Z",
            "2026-12-01 09:00:00Z",
            "2026-12-01T09:00:00 Z",
            "2026-12-01T09:00:00UTC",
            "2026-12-01T09:00:60Z",
            "2026-12-01T24:00:00Z",
            "2026-12-01T09:00Z",
            "2026-12-01T09:00:00.Z",
            "2026-12-01T09:00:00+0100",
            "2026-02-30T09:00:00Z",
            "12026-12-01T09:00:00Z",
            "2026-12-01T09:00:00",
            "\u{662}026-12-01T09:00:00Z",
            "",
        ] {
            assert!(timestamp(bad).is_none(), "{bad}");
        }
        assert!(date("2026-12-01").is_some() && date("2026-2-30").is_none());
    }

    #[test]
    fn texts_are_held_to_their_pattern() {
        for (pattern, good, bad) in [
            (
                SLUG,
                &["a", "a-b2"][..],
                &["", "a--b", "-a", "A", "a_b"][..],
            ),
            (
                SLOT,
                &["2026-W49"],
                &["2026-W00", "2026-W53", "1999-W01", "2026-w49"],
            ),
            (ID, &["abcdefgh23"], &["short", "UPPERCASE1", "with/slash"]),
            (LINE, &["a", "a b"], &["", " a", "a ", "a\nb", "\u{85}"]),
            (
                EMAIL,
                &["ada@example.org"],
                &["ada", "ada@", "ada@@example.org"],
            ),
            (
                WEB,
                &["https://example.org/x"],
                &["ftp://example.org", "https://", "example.org"],
            ),
        ] {
            assert!(is_known(pattern));
            for text in good {
                assert_eq!(fault(pattern, text), None, "{text:?}");
            }
            for text in bad {
                assert!(fault(pattern, text).is_some(), "{text:?}");
            }
        }
    }
}
