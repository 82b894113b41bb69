//! A finished mail as its receiver sees it: what a server counts against it, and what a reader misses.

use mail_parser::HeaderValue;
use mail_parser::MessageParser;
use mail_parser::MimeHeaders;
use mail_parser::PartType;

/// Gmail shows so much of a mail, 102 KB, and a link to the rest.
const CLIPPED_AT: usize = 102 * 1024;

/// Findings in a mail.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inspection {
    /// The whole mail, in bytes.
    pub size: usize,
    /// Faults for which servers refuse or hide a mail, in words.
    pub faults: Vec<String>,
    /// Possible improvements, in words.
    pub advice: Vec<String>,
}

/// Looks at a digest as it goes out. `https`: links begin so, and then one click must do (RFC 8058).
pub fn inspect(message: &[u8], https: bool) -> Inspection {
    let mut found = Inspection {
        size: message.len(),
        ..Inspection::default()
    };
    let Some(mail) = MessageParser::default().parse(message) else {
        found.faults.push("it cannot be read as a mail".into());
        return found;
    };
    let header = |name: &str| match mail.header(name) {
        Some(HeaderValue::Empty) | None => None,
        Some(_) => mail
            .header_raw(name)
            .map(|value| value.split_whitespace().collect::<String>()),
    };
    let one_click = header("List-Unsubscribe").is_some_and(|targets| targets.contains("<https://"))
        && header("List-Unsubscribe-Post").as_deref() == Some("List-Unsubscribe=One-Click");
    if https && !one_click {
        found.faults.push(
            "it cannot be left by one click (List-Unsubscribe, List-Unsubscribe-Post)".into(),
        );
    }
    let html = mail.html_bodies().find_map(|part| match &part.body {
        PartType::Html(html) => Some(html.as_ref()),
        _ => None,
    });
    let is_text = |part: &mail_parser::MessagePart<'_>| matches!(&part.body, PartType::Text(text) if !text.trim().is_empty());
    if !mail.text_bodies().any(|part| {
        is_text(part)
            && part
                .content_type()
                .is_none_or(|kind| kind.subtype() == Some("plain"))
    }) {
        found.faults.push("it has no text part".into());
    }
    if let Some(link) = html.and_then(|html| links(html).find(|link| !is_absolute(link))) {
        let shown: String = link.chars().take(60).collect();
        found.faults.push(format!(
            "it has a link that leads nowhere from a mail ({shown:?})"
        ));
    }
    if found.size > CLIPPED_AT {
        found.advice.push(format!(
            "it has {} KB, and Gmail shows no more than 102",
            found.size / 1024
        ));
    }
    found
}

/// Returns what `href` and `src` say. The HTML is our own, which writes them in double quotes.
fn links(html: &str) -> impl Iterator<Item = &str> {
    [" href=\"", " src=\""].into_iter().flat_map(move |name| {
        html.split(name)
            .skip(1)
            .filter_map(|rest| rest.split('"').next())
    })
}

fn is_absolute(link: &str) -> bool {
    ["https://", "http://", "mailto:", "cid:", "#"]
        .iter()
        .any(|start| link.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::inspect;

    fn mail(headers: &str, text: &str, html: &str) -> Vec<u8> {
        format!(
            "From: a@example.org\r\n{headers}MIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary=\"x\"\r\n\r\n\
             --x\r\nContent-Type: text/plain\r\n\r\n{text}\r\n--x\r\nContent-Type: text/html\r\n\r\n{html}\r\n--x--\r\n"
        )
        .into_bytes()
    }

    const ONE_CLICK: &str = "List-Unsubscribe: <https://example.org/u>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n";

    #[test]
    fn a_digest_is_looked_at_with_the_eyes_of_its_receiver() {
        let faults = |headers, text, html, https| {
            inspect(&mail(headers, text, html), https).faults.join("; ")
        };
        let link = "<a href=\"https://example.org/\">x</a>";
        assert_eq!(faults(ONE_CLICK, "text", link, true), "");
        assert_eq!(faults("", "text", link, false), "");
        assert!(faults("", "text", link, true).contains("one click"));
        assert!(
            faults(
                "List-Unsubscribe: <https://example.org/u>\r\n",
                "text",
                link,
                true
            )
            .contains("one click")
        );
        assert!(faults(ONE_CLICK, " ", link, true).contains("no text part"));
        assert!(faults(ONE_CLICK, "text", "<a href=\"/u\">x</a>", true).contains("\"/u\""));
        assert!(faults(ONE_CLICK, "text", "<img src=\"x.png\">", true).contains("x.png"));
        let long = inspect(&mail(ONE_CLICK, "text", &"x".repeat(110_000)), true);
        assert!(
            long.faults.is_empty() && long.advice[0].contains("107 KB"),
            "{long:?}"
        );
        assert!(!inspect(b"", true).faults.is_empty());
    }
}
