//! Who left in the span that a restoration does not know: unsubscribe links from a proxy's access log.

use std::io::BufRead;

use chrono::DateTime;

use crate::app::App;
use crate::app::Failure;
use crate::domain::Timestamp;

/// Path before the token of an unsubscribe link.
const PATH: &str = "/unsubscribe/";

/// Counts of a file of links.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct LinkCounts {
    /// Links whose reader is off the list now, or was before.
    pub unsubscribed: u64,
    /// Links that were only looked at (GET, HEAD, OPTIONS), which ends nothing.
    pub only_opened: u64,
    /// Lines of before the backup: what they did is in it.
    pub before_backup: u64,
    /// Links that are not ours.
    pub invalid: u64,
    /// Lines without a link.
    pub other: u64,
}

/// Meaning of a line.
#[derive(Debug, PartialEq, Eq)]
enum LinkLine<'a> {
    Pressed(&'a str),
    Opened,
    Other,
}

impl App {
    /// Unsubscribes whoever pressed an unsubscribe button, by the lines of an access log or by links, one a line.
    ///
    /// # Errors
    /// When the file cannot be read to its end, or the database does not take it.
    pub async fn unsubscribe_by_links(&self, lines: impl BufRead) -> Result<LinkCounts, Failure> {
        let since = self.storage.gap().await?.map(|gap| gap.since);
        let mut counts = LinkCounts::default();
        for line in lines.split(b'\n') {
            let line = line.map_err(|error| {
                Failure::invalid(format!("The file cannot be read to its end: {error}."))
            })?;
            let line = String::from_utf8_lossy(&line);
            match read(&line) {
                LinkLine::Other => counts.other += 1,
                LinkLine::Opened => counts.only_opened += 1,
                LinkLine::Pressed(_)
                    if time_of(&line)
                        .zip(since)
                        .is_some_and(|(at, since)| at < since) =>
                {
                    counts.before_backup += 1;
                }
                LinkLine::Pressed(token) => match self.unsubscribe(token).await? {
                    true => counts.unsubscribed += 1,
                    false => counts.invalid += 1,
                },
            }
        }
        Ok(counts)
    }
}

/// Reads a line: of a log, only a POST acts, for scanners open links; a line that is nothing but a link is what somebody chose.
fn read(line: &str) -> LinkLine<'_> {
    let line = line.trim();
    let Some((before, rest)) = line.split_once(PATH) else {
        return LinkLine::Other;
    };
    let end = rest
        .find(|c: char| !(c.is_ascii_alphanumeric() || "-_.~".contains(c)))
        .unwrap_or(rest.len());
    let token = &rest[..end];
    if token.is_empty() {
        return LinkLine::Other;
    }
    let is_bare = !line.contains(char::is_whitespace);
    let method = before
        .split(|c: char| !c.is_ascii_uppercase())
        .rfind(|word| ["POST", "GET", "HEAD", "OPTIONS"].contains(word));
    match method {
        Some("POST") => LinkLine::Pressed(token),
        None if is_bare => LinkLine::Pressed(token),
        // JSON logs may have the method behind the address.
        None if rest[end..].contains("\"POST\"") => LinkLine::Pressed(token),
        _ => LinkLine::Opened,
    }
}

/// The time of a line in the common log format: `[01/Dec/2026:09:30:00 +0100]`.
fn time_of(line: &str) -> Option<Timestamp> {
    let text = line.split_once('[')?.1.split_once(']')?.0;
    let time = DateTime::parse_from_str(text, "%d/%b/%Y:%H:%M:%S %z").ok()?;
    Some(time.to_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_post_counts_and_a_look_does_not() {
        let nginx = |method: &str| {
            format!(
                "203.0.113.7 - - [01/Dec/2026:09:30:00 +0100] \"{method} /unsubscribe/ab-c_D.1 HTTP/1.1\" 200 512 \"-\" \"Mail\""
            )
        };
        assert_eq!(read(&nginx("POST")), LinkLine::Pressed("ab-c_D.1"));
        assert_eq!(read(&nginx("GET")), LinkLine::Opened);
        assert_eq!(
            read("https://news.example/unsubscribe/abc"),
            LinkLine::Pressed("abc")
        );
        assert_eq!(
            read(r#"{"request":{"method":"POST","uri":"/unsubscribe/abc"}}"#),
            LinkLine::Pressed("abc")
        );
        assert_eq!(
            read(r#"{"uri":"/unsubscribe/abc","method":"POST"}"#),
            LinkLine::Pressed("abc")
        );
        assert_eq!(read("POST /unsubscribe/ HTTP/1.1"), LinkLine::Other);
        assert_eq!(read("GET / HTTP/1.1"), LinkLine::Other);
        assert_eq!(
            time_of(&nginx("POST")),
            Some("2026-12-01T08:30:00Z".parse().expect("a time"))
        );
    }
}
