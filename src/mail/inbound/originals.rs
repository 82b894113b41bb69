//! The mail that a report gives back as part of its text.

use super::headers::HeaderFields;
use crate::mail::inbound::free_text::LINES;
use crate::mail::inbound::free_text::LONGEST_LINE;
use crate::mail::inbound::free_text::floor;

/// Returns where the given-back mail begins in a text: what is said before, and the rest.
pub fn original_in(text: &str) -> Option<(&str, &str)> {
    let mut at = 0;
    for line in text.split_inclusive('\n').take(LINES) {
        let lower = unquoted(&line[..floor(line, LONGEST_LINE)])
            .trim()
            .to_lowercase();
        let is_head = [
            "received: from",
            "received: by",
            "return-path:",
            "received: (qmail",
        ]
        .iter()
        .any(|start| lower.starts_with(start));
        let is_line = lower.len() < 200 && BEGINS.iter().any(|words| lower.contains(words));
        if (is_head || is_line) && text[..at].trim().len() > 20 {
            let rest = if is_head {
                &text[at..]
            } else {
                &text[at + line.len()..]
            };
            // A transcript can be announced in the same words, but a mail has a header, and the report has said whom it failed on.
            if is_head || text[..at].contains('@') || head_in(rest).is_some() {
                return Some((&text[..at], rest));
            }
        }
        at += line.len();
    }
    None
}

const BEGINS: &[&str] = &[
    "below this line is a copy",
    "is a copy of the message",
    "copy of the original message",
    "undelivered message follows",
    "original message follows",
    "original message headers",
    "original message header",
    "original message as received",
    "--- original message",
    "---original message",
    "-- original message --",
    "unsent message follows",
    "unsent message below",
    "message header follows",
    "message headers follow",
    "message body follows",
    "header of the original message",
    "headers of the original message",
    "--- returned message",
    "---returned message",
    "start of original",
    "begin original",
    "--- forwarded message",
    "---forwarded message",
    "original mail header",
    "message contents follow",
    "included is a copy",
    "first lines of the message",
    "your message follows",
    "the message follows",
    "message text follows",
    "text of your message",
    "original message text",
    "---- header",
    "message header:",
    "message headers:",
    "received headers",
    "kopfzeilen der",
    "ursprüngliche nachricht",
    "ursprünglichen nachricht:",
    "originalnachricht",
    "kopie der nachricht",
    "es folgt der kopf",
    "message d'origine",
    "message original",
    "en-têtes d",
    "mensaje original",
    "encabezados de",
    "mensagem original",
    "cabeçalhos da",
    "messaggio originale",
    "intestazioni",
    "oorspronkelijk bericht",
    "oorspronkelijke bericht",
    "исходное сообщение",
    "оригинал сообщения",
    "заголовки",
    "元のメッセージ",
    "原文",
    "原始邮件",
    "原邮件",
    "邮件原文",
    "原始郵件",
    "원본 메일",
    "원본 메시지",
];

/// The first header within a text that was given back as text, quoted or not.
pub fn head_in(text: &str) -> Option<HeaderFields> {
    let mut at = 0;
    for line in text.split_inclusive('\n').take(60) {
        let plain = unquoted(line);
        let named = plain.split_once(':').is_some_and(|(name, _)| {
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        });
        if named && !plain.to_ascii_lowercase().starts_with("http") {
            let head = match plain.len() == line.len() {
                true => HeaderFields::read(&text.as_bytes()[at..]).0,
                false => {
                    HeaderFields::read(
                        text[at..]
                            .lines()
                            .take(LINES)
                            .map(unquoted)
                            .collect::<Vec<_>>()
                            .join("\n")
                            .as_bytes(),
                    )
                    .0
                }
            };
            return (head.has("to")
                || head.has("message-id")
                || head.has("from")
                || head.has("received"))
            .then_some(head);
        }
        at += line.len();
    }
    None
}

fn unquoted(line: &str) -> &str {
    line.strip_prefix("> ")
        .or_else(|| line.strip_prefix('>'))
        .unwrap_or(line)
}
