//! Marks of ours that a mail carries: addresses, tokens and ids. None of it is believed here; whoever acts checks it.

use std::collections::HashSet;

use crate::domain::inbound::CorrelationIds;
use crate::domain::token::TOKEN_LENGTH;
use crate::mail::inbound::addresses;
use crate::mail::inbound::authentication;
use crate::mail::inbound::free_text::FreeText;
use crate::mail::inbound::headers::HeaderFields;
use crate::mail::inbound::mime::MimeParts;
use crate::mail::inbound::report;
use crate::mail::inbound::sender_kind;

/// Of each kind that are kept.
const MANY: usize = 30;
/// Texts that may be tokens: a digest that is quoted whole has many links, and the last one may be the one that tells.
const TOKENS: usize = 1_000;

/// Gathers the clues of a mail; `own` are its author's own lines.
pub fn of(
    mail: &MimeParts,
    prose: &FreeText,
    own: &[String],
    author: Option<String>,
) -> CorrelationIds {
    let mut clues = CorrelationIds {
        author,
        subject: crate::mail::inbound::short(mail.headers.get("subject").unwrap_or_default()),
        ..CorrelationIds::default()
    };
    clues.addressed = sender_kind::addressed(&mail.headers);
    let sent_from = prose.originals.iter().flat_map(|head| {
        ["return-path", "x-return-path", "sender"]
            .into_iter()
            .flat_map(|name| head.all(name))
    });
    let reported = mail
        .parts
        .iter()
        .filter(|part| part.kind == "message/feedback-report")
        .map(|part| HeaderFields::read(part.text.trim_start().as_bytes()).0);
    let reported: Vec<String> = reported
        .flat_map(|fields| {
            fields
                .all("original-mail-from")
                .map(String::from)
                .collect::<Vec<_>>()
        })
        .collect();
    let found = sent_from
        .chain(reported.iter().map(String::as_str))
        .flat_map(addresses::find)
        .map(|found| found.address.to_owned());
    clues.addressed.extend(found);
    clues.addressed.extend(report::sender(mail));
    clues.addressed.truncate(2 * MANY);

    let ids = |head: &HeaderFields, names: &[&str]| {
        names
            .iter()
            .flat_map(|name| head.all(name))
            .flat_map(message_ids)
            .collect::<Vec<_>>()
    };
    clues.message_ids = ids(&mail.headers, &["in-reply-to", "references"]);
    for head in &prose.originals {
        clues
            .message_ids
            .extend(ids(head, &["message-id", "x-original-message-id"]));
    }
    let in_reports = mail
        .parts
        .iter()
        .filter(|part| part.kind.starts_with("message/"))
        .flat_map(|part| part.text.lines());
    let named = in_reports.filter(|line| {
        line.to_ascii_lowercase()
            .starts_with("original-message-id:")
    });
    clues.message_ids.extend(named.flat_map(message_ids));
    clues.message_ids.truncate(MANY);

    let texts = mail
        .parts
        .iter()
        .flat_map(|part| [Some(part.text.as_str()), part.html.as_deref()])
        .flatten();
    let fields = ["subject", "to", "delivered-to", "x-original-to"]
        .into_iter()
        .filter_map(|name| mail.headers.get(name));
    clues.tokens = distinct(fields.chain(texts).flat_map(tokens));
    let written = mail
        .headers
        .get("subject")
        .into_iter()
        .chain(own.iter().map(String::as_str));
    clues.own_tokens = distinct(written.flat_map(tokens));
    clues.authenticated = authentication::passes(&mail.headers);
    clues
}

/// Each text once, in order.
fn distinct<'a>(texts: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut seen = HashSet::new();
    texts
        .filter(|text| seen.insert(*text))
        .take(TOKENS)
        .map(String::from)
        .collect()
}

/// Text in angle brackets that has an `@`.
fn message_ids(text: &str) -> Vec<String> {
    text.split('<')
        .skip(1)
        .filter_map(|rest| rest.split_once('>'))
        .map(|(id, _)| id.trim())
        .filter(|id| id.contains('@') && id.len() < 300)
        .map(String::from)
        .take(MANY)
        .collect()
}

/// Runs of letters of as many as a token of ours has.
fn tokens(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_'))
        .filter(|run| run.len() == TOKEN_LENGTH)
}
