//! Findings of servers on the way about a mail's author (RFC 8601), unchecked: whoever acts looks at who says so.

use super::addresses;
use super::headers::HeaderFields;
use crate::domain::inbound::Authenticated;

/// Fields that are looked at.
const FIELDS: usize = 10;

/// The results for DMARC (RFC 9989) of each server that reports some, the newest first: servers put their fields on top.
pub fn passes(head: &HeaderFields) -> Vec<Authenticated> {
    let author = head
        .get("from")
        .and_then(addresses::first)
        .and_then(|address| address.rsplit('@').next())
        .unwrap_or_default();
    head.all("authentication-results")
        .take(FIELDS)
        .filter_map(|field| result(field, author))
        .collect()
}

/// `mx.example.org 1; dmarc=pass (p=reject) header.from=example.org; spf=...`
fn result(field: &str, author: &str) -> Option<Authenticated> {
    let bare = less_comments(field);
    let mut parts = bare.split(';');
    let receiver = parts
        .next()?
        .split_whitespace()
        .next()?
        .to_ascii_lowercase();
    let mut passed = None;
    for part in parts {
        let mut words = part.split_whitespace();
        let Some((method, result)) = words.next().and_then(|word| word.split_once('=')) else {
            continue;
        };
        if !method
            .split('/')
            .next()
            .is_some_and(|method| method.eq_ignore_ascii_case("dmarc"))
        {
            continue;
        }
        let from = words
            .find_map(|word| word.strip_prefix("header.from="))
            .unwrap_or(author);
        // A result for another author than the one whom people see proves nothing of them.
        let is_authors = from
            .rsplit('@')
            .next()
            .is_some_and(|domain| domain.trim_matches('"').eq_ignore_ascii_case(author));
        let passes = result.eq_ignore_ascii_case("pass") && is_authors;
        passed = Some(passed.unwrap_or(true) && passes);
    }
    Some(Authenticated { receiver, passed })
}

/// A field without its comments (RFC 5322, 3.2.2), which nest.
fn less_comments(field: &str) -> String {
    let (mut depth, mut bare) = (0_usize, String::new());
    for c in field.chars() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            c if depth == 0 => bare.push(c),
            _ => {}
        }
    }
    bare
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_is_of_the_server_that_reports_it_and_of_the_author_that_people_see() {
        let of = |fields: &str| {
            let head = HeaderFields::read(
                format!("From: Ada <ada@reader.example>\n{fields}\n\n").as_bytes(),
            )
            .0;
            passes(&head)
                .into_iter()
                .map(|found| (found.receiver, found.passed))
                .collect::<Vec<_>>()
        };
        let one = |field: &str| {
            of(&format!("Authentication-Results: {field}"))
                .pop()
                .and_then(|(_, passed)| passed)
        };
        assert_eq!(
            one("mx.a.example; spf=pass; dmarc=pass (p=none; x) header.from=reader.example"),
            Some(true)
        );
        assert_eq!(one("mx.a.example 1; dmarc=pass"), Some(true));
        assert_eq!(
            one("mx.a.example; dmarc=fail header.from=reader.example"),
            Some(false)
        );
        assert_eq!(
            one("mx.a.example; dmarc=pass header.from=other.example"),
            Some(false)
        );
        assert_eq!(one("mx.a.example; (dmarc=pass) spf=pass"), None);
        assert_eq!(one("mx.a.example; dmarc=pass; dmarc=fail"), Some(false));
        assert_eq!(one("mx.a.example; none"), None);
        let two = of(
            "Authentication-Results: B.example; dmarc=fail\nAuthentication-Results: a.example; dmarc=pass",
        );
        assert_eq!(
            two,
            [
                ("b.example".into(), Some(false)),
                ("a.example".into(), Some(true))
            ]
        );
    }
}
