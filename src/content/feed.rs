//! Feeds: RSS, Atom and JSON Feed, each entry a tool. A feed has no verdicts: where its entries' pages have them, the source follows these.
//!
//! feed-rs 3.0 gives up on a document for one thing that is wrong in it (an ampersand by itself, an id in JSON that is a number). So where the
//! whole cannot be read, each entry is read by itself, within the head of its document; what is wrong stays with its entry.

use feed_rs::model::Entry;
use feed_rs::parser;
use serde_json::Value;
use url::Url;

use super::ENTRIES_MAX;
use super::finish;
use super::first_sentence;
use super::plain;
use crate::domain::source::FoundEntry;
use crate::domain::source::FoundTool;
use crate::domain::source::RemarkKind;
use crate::domain::source::SourceMapping;
use crate::domain::source::canonical_url;

/// Reads a feed that lay at `url`, which its relative links begin from.
///
/// # Errors
/// A sentence: it is no feed, or declares entities of its own.
pub fn read(bytes: &[u8], url: &Url, mapping: &SourceMapping) -> Result<Vec<FoundEntry>, String> {
    let start = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
    let parts = match start {
        Some(b'{') => json_parts(bytes, url)?,
        _ => xml_parts(bytes, url)?,
    };
    let mut entries: Vec<FoundEntry> = parts
        .into_iter()
        .take(ENTRIES_MAX)
        .map(|part| match part {
            Ok(entry) => found(&entry, url),
            Err((title, fault)) => unreadable(title, fault),
        })
        .collect();
    for entry in &mut entries {
        finish(entry, mapping);
    }
    Ok(entries)
}

/// An entry, or what its text begins with and why it cannot be read.
type Part = Result<Entry, (String, String)>;

fn parse(bytes: &[u8], url: &Url) -> Result<Vec<Entry>, String> {
    let parser = parser::Builder::new()
        .base_uri(Some(url.as_str()))
        // An id that is made up says nothing about whether two entries are the same.
        .id_generator(|_, _, _| String::new())
        .build();
    parser
        .parse(bytes)
        .map(|feed| feed.entries)
        .map_err(|error| error.to_string())
}

fn xml_parts(bytes: &[u8], url: &Url) -> Result<Vec<Part>, String> {
    if declares_entities(bytes) {
        return Err("The document declares entities or a type of its own, which is not read: a few bytes of it can stand for gigabytes.".into());
    }
    let fault = match parse(bytes, url) {
        Ok(entries) => return Ok(entries.into_iter().map(Ok).collect()),
        Err(fault) => fault,
    };
    let text = String::from_utf8_lossy(bytes);
    let parts = [
        ("<item>", "<item ", "</item>"),
        ("<entry>", "<entry ", "</entry>"),
    ]
    .into_iter()
    .find_map(|names| split(&text, names));
    let Some((head, entries, tail)) = parts else {
        return Err(format!("It cannot be read as a feed: {fault}."));
    };
    // Without its entries it must be a feed.
    parse(format!("{head}{tail}").as_bytes(), url)
        .map_err(|fault| format!("It cannot be read as a feed: {fault}."))?;
    let one = |text: &&str| -> Part {
        let read = parse(format!("{head}{text}{tail}").as_bytes(), url);
        let entry = read.map(|mut entries| entries.pop());
        match entry {
            Ok(Some(entry)) => Ok(entry),
            Ok(None) => Err((beginning(text), "it is empty".into())),
            Err(fault) => Err((beginning(text), fault)),
        }
    };
    Ok(entries.iter().take(ENTRIES_MAX).map(one).collect())
}

/// A document's head, its entries, and what follows the last.
fn split<'t>(
    text: &'t str,
    (open, open_more, close): (&str, &str, &str),
) -> Option<(&'t str, Vec<&'t str>, &'t str)> {
    let begin = |from: usize| {
        let rest = &text[from..];
        let found = [rest.find(open), rest.find(open_more)];
        found.into_iter().flatten().min().map(|at| from + at)
    };
    let first = begin(0)?;
    let (mut entries, mut at) = (Vec::new(), first);
    loop {
        let end = at + text[at..].find(close)? + close.len();
        entries.push(&text[at..end]);
        match begin(end) {
            Some(next) if entries.len() < ENTRIES_MAX => at = next,
            _ => {
                let last = text.rfind(close)? + close.len();
                return Some((&text[..first], entries, &text[last..]));
            }
        }
    }
}

/// An internal subset of a document type, or an entity: neither belongs into a feed.
fn declares_entities(bytes: &[u8]) -> bool {
    let lower: Vec<u8> = bytes
        .iter()
        .filter(|byte| **byte != 0)
        .map(u8::to_ascii_lowercase)
        .collect();
    if memchr::memmem::find(&lower, b"<!entity").is_some() {
        return true;
    }
    memchr::memmem::find_iter(&lower, b"<!doctype").any(|at| {
        let rest = lower[at..].split(|byte| *byte == b'>').next();
        rest.is_some_and(|declaration| declaration.contains(&b'['))
    })
}

/// JSON Feed, item by item; ids that are numbers become texts.
fn json_parts(bytes: &[u8], url: &Url) -> Result<Vec<Part>, String> {
    let mut document: Value = serde_json::from_slice(bytes)
        .map_err(|error| format!("It cannot be read as a feed: {error}."))?;
    let items = document.get_mut("items").map(Value::take);
    let Some(Value::Array(items)) = items else {
        return Err("It cannot be read as a feed: it has no list \"items\".".into());
    };
    let parts = items.into_iter().take(ENTRIES_MAX).map(|mut item| {
        if let Some(id) = item.get_mut("id")
            && !id.is_string()
        {
            *id = Value::String(id.to_string());
        }
        let title = beginning(item["title"].as_str().unwrap_or_default());
        document["items"] = Value::Array(vec![item]);
        let read = parse(document.to_string().as_bytes(), url);
        match read.map(|mut entries| entries.pop()) {
            Ok(Some(entry)) => Ok(entry),
            Ok(None) => Err((title, "it is empty".into())),
            Err(fault) => Err((title, fault)),
        }
    });
    Ok(parts.collect())
}

fn beginning(text: &str) -> String {
    let text = text.split_once("<title>").map_or(text, |(_, rest)| rest);
    let words: String = text.chars().filter(|c| !c.is_control()).take(80).collect();
    let words = words.split('<').next().unwrap_or_default().trim();
    match words {
        "" => "An entry without a title".to_owned(),
        words => words.to_owned(),
    }
}

fn unreadable(title: String, fault: String) -> FoundEntry {
    let mut entry = FoundEntry {
        guid: format!("unreadable {title}"),
        title,
        ..FoundEntry::default()
    };
    let detail = format!("This entry of the feed cannot be read: {fault}.");
    entry.remark(RemarkKind::Fault, "", detail);
    entry
}

fn found(entry: &Entry, base: &Url) -> FoundEntry {
    let text = |text: &feed_rs::model::Text| text.content.clone();
    let title = entry.title.as_ref().map(text).unwrap_or_default();
    let title = plain::line(&title);
    let summary = entry.summary.as_ref().map(text).unwrap_or_default();
    let summary = plain::of_html(&summary);
    let content = entry
        .content
        .as_ref()
        .and_then(|content| content.body.as_deref());
    // feed-rs writes an empty element of XHTML so, which is two breaks in HTML.
    let content = content.unwrap_or_default().replace("<br></br>", "<br>");
    let content = plain::of_html(&content);
    let link = entry
        .links
        .iter()
        .find(|link| link.rel.as_deref().is_none_or(|rel| rel == "alternate"))
        .or(entry.links.first())
        .and_then(|link| base.join(&link.href).ok())
        .filter(|url| matches!(url.scheme(), "http" | "https"));
    let description = if content.is_empty() {
        summary.clone()
    } else {
        content
    };
    // Many feeds print the same text twice.
    let tagline = match summary.as_str() {
        "" => first_sentence(&description),
        summary => first_sentence(summary),
    };
    let category = entry.categories.first().map(|category| {
        let label = category.label.as_deref().unwrap_or(&category.term);
        plain::line(label)
    });
    let tool = FoundTool {
        name: title.clone(),
        category: category.unwrap_or_default(),
        tagline,
        description,
        url: link.as_ref().map(Url::to_string).unwrap_or_default(),
        published_at: entry.published.or(entry.updated),
        ..FoundTool::default()
    };
    let mut found = FoundEntry {
        guid: entry.id.trim().to_owned(),
        url: link.as_ref().map(canonical_url),
        title,
        tools: vec![tool],
        ..FoundEntry::default()
    };
    if found.title.is_empty() {
        found.title = "An entry without a title".into();
        found.remark(RemarkKind::Fault, "name", "The entry has no title.");
    }
    found
}
