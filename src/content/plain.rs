//! Text of HTML: what a reader would read, with a blank line between blocks. Scripts, styles and the like are left out, so that nothing of a
//! source is ever shown as markup.

use scraper::Html;
use scraper::Node;

/// Deepest nesting of a page that is read: a parser's time grows with the square of it.
const DEPTH_MAX: i64 = 2_000;

const SKIPPED: [&str; 9] = [
    "script", "style", "template", "noscript", "head", "svg", "iframe", "object", "select",
];

const BLOCKS: [&str; 34] = [
    "address",
    "article",
    "aside",
    "blockquote",
    "body",
    "dd",
    "details",
    "dialog",
    "div",
    "dl",
    "dt",
    "fieldset",
    "figcaption",
    "figure",
    "footer",
    "form",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "header",
    "hr",
    "li",
    "main",
    "nav",
    "ol",
    "p",
    "pre",
    "section",
    "table",
    "tr",
    "ul",
];

/// Elements that have no end, or whose end may be missing.
const UNCLOSED: [&str; 27] = [
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source",
    "track", "wbr", "p", "li", "td", "th", "tr", "dd", "dt", "option", "thead", "tbody", "tfoot",
    "colgroup", "rp",
];

/// Checks that a page is not nested deeper than pages are.
///
/// # Errors
/// A sentence.
pub fn check_depth(html: &str) -> Result<(), String> {
    let mut depth = 0_i64;
    for part in html.split('<').skip(1) {
        let name: String = part
            .trim_start_matches('/')
            .chars()
            .take_while(char::is_ascii_alphanumeric)
            .take(12)
            .collect();
        let name = name.to_ascii_lowercase();
        if name.is_empty() || UNCLOSED.contains(&name.as_str()) {
            continue;
        }
        depth += if part.starts_with('/') { -1 } else { 1 };
        depth = depth.max(0);
        if depth > DEPTH_MAX {
            return Err(format!(
                "its elements are nested deeper than {DEPTH_MAX} levels"
            ));
        }
    }
    Ok(())
}

/// Text of a piece of HTML, or of a text that has none.
pub fn of_html(html: &str) -> String {
    if !is_html(html) {
        return tidy(html);
    }
    if check_depth(html).is_err() {
        return String::new();
    }
    of_document(&Html::parse_fragment(html))
}

/// Returns whether a text has a tag or an entity in it: "a < b & c" has neither.
fn is_html(text: &str) -> bool {
    let bytes = text.as_bytes();
    let has_tag = memchr::memchr_iter(b'<', bytes).any(|at| {
        bytes
            .get(at + 1)
            .is_some_and(|next| next.is_ascii_alphabetic() || matches!(next, b'/' | b'!'))
    });
    let has_entity = || {
        memchr::memchr_iter(b'&', bytes).any(|at| {
            let name = bytes[at + 1..].iter().take(32);
            let length = name
                .take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'#')
                .count();
            length > 0 && bytes.get(at + 1 + length) == Some(&b';')
        })
    };
    has_tag || has_entity()
}

/// The same on one line.
pub fn line(html: &str) -> String {
    let text = of_html(html);
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Text of a page.
pub fn of_document(document: &Html) -> String {
    of_node(*document.root_element())
}

/// Text of a part of a page.
pub fn of_node(node: ego_tree::NodeRef<'_, Node>) -> String {
    let mut text = String::new();
    let mut skipped = 0_u32;
    for edge in node.traverse() {
        let (node, is_open) = match edge {
            ego_tree::iter::Edge::Open(node) => (node, true),
            ego_tree::iter::Edge::Close(node) => (node, false),
        };
        match node.value() {
            Node::Element(element) => {
                let name = element.name();
                if SKIPPED.contains(&name) {
                    skipped = if is_open {
                        skipped + 1
                    } else {
                        skipped.saturating_sub(1)
                    };
                } else if BLOCKS.contains(&name) {
                    text.push_str("\n\n");
                } else if (name == "br" && is_open) || matches!(name, "td" | "th") {
                    text.push('\n');
                }
            }
            Node::Text(found) if is_open && skipped == 0 => {
                // Line breaks of the source are spaces to a reader.
                let mut space = found.starts_with(char::is_whitespace);
                for word in found.split_whitespace() {
                    if space && !text.ends_with(char::is_whitespace) {
                        text.push(' ');
                    }
                    text.push_str(word);
                    space = true;
                }
                if found.ends_with(char::is_whitespace) && !text.ends_with(char::is_whitespace) {
                    text.push(' ');
                }
            }
            _ => {}
        }
    }
    tidy(&text)
}

/// Lines without spaces around them, at most one blank line in a row, no control characters.
fn tidy(text: &str) -> String {
    let mut tidied = String::with_capacity(text.len());
    let mut blank = false;
    for line in text.lines() {
        let line: String = line.chars().filter(|c| !c.is_control()).collect();
        let line = line.trim();
        if line.is_empty() {
            blank = true;
            continue;
        }
        if !tidied.is_empty() {
            tidied.push_str(if blank { "\n\n" } else { "\n" });
        }
        blank = false;
        tidied.push_str(line);
    }
    tidied
}
