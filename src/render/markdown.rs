//! Markdown of an issue's text (CommonMark), read into a few plain shapes: paragraphs, headings, quotations, lists and a rule, made of spans.
//!
//! What is not among them never reaches a mail: raw HTML is shown as the text that it is, a picture as its words, a link to anything but
//! http, https or mailto as its words. So templates escape every text, and none is marked safe. [`faults`] says what would be lost.

use pulldown_cmark::Event;
use pulldown_cmark::LinkType;
use pulldown_cmark::Options;
use pulldown_cmark::Parser;
use pulldown_cmark::Tag;
use pulldown_cmark::TagEnd;

use crate::domain::issue_text::lines;
use crate::domain::issue_text::web_link;

/// Piece of text in one style.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Span {
    /// Text; a line feed alone is a line break.
    pub text: String,
    /// Bold.
    pub is_strong: bool,
    /// Italic.
    pub is_emphasis: bool,
    /// Letters of one width.
    pub is_code: bool,
    /// Address of the link that it is a part of.
    link: Option<String>,
    /// Address of the link that begins with it.
    pub opens: Option<String>,
    /// True if a link ends with it.
    pub closes: bool,
}

impl Span {
    /// Returns whether it is a line break.
    pub fn is_break(&self) -> bool {
        self.text == "\n"
    }
}

/// Block of text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Block {
    /// Paragraph.
    Paragraph(Vec<Span>),
    /// Heading of any level.
    Heading(Vec<Span>),
    /// Quotation.
    Quote(Vec<Span>),
    /// List; those inside it are part of it.
    List {
        /// True if its items are numbered.
        is_ordered: bool,
        /// Number of the first item.
        first: u64,
        /// The items.
        items: Vec<Vec<Span>>,
    },
    /// Line across.
    Rule,
}

/// Something that the text holds and a mail cannot show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MarkdownFault {
    /// Raw HTML, shortened.
    Html(String),
    /// A picture, by its address.
    Picture(String),
    /// A link of a scheme that is not allowed.
    Scheme(String),
}

/// Link as the author wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenLink {
    /// Its words.
    pub words: String,
    /// Its address.
    pub address: String,
}

/// Blocks of a text.
pub fn blocks(text: &str) -> Vec<Block> {
    let text = lines(text);
    let mut reading = Reading::default();
    for event in Parser::new_ext(&text, Options::empty()) {
        reading.take(event);
    }
    reading.end_block();
    reading.blocks
}

/// Returns what a mail cannot show of a text.
pub fn faults(text: &str) -> Vec<MarkdownFault> {
    let text = lines(text);
    let start = |text: &str| text.trim().chars().take(40).collect::<String>();
    let fault = |event: Event<'_>| match event {
        Event::Html(html) | Event::InlineHtml(html) => Some(MarkdownFault::Html(start(&html))),
        Event::Start(Tag::Image { dest_url, .. }) => {
            Some(MarkdownFault::Picture(dest_url.to_string()))
        }
        Event::Start(Tag::Link { dest_url, .. }) => (has_scheme(&dest_url)
            && allowed(&dest_url).is_none())
        .then(|| MarkdownFault::Scheme(dest_url.to_string())),
        _ => None,
    };
    Parser::new_ext(&text, Options::empty())
        .filter_map(fault)
        .collect()
}

/// The links of a text, in their order, whether a mail can show them or not.
pub fn links(text: &str) -> Vec<WrittenLink> {
    let text = lines(text);
    let (mut found, mut open): (Vec<WrittenLink>, bool) = (Vec::new(), false);
    for event in Parser::new_ext(&text, Options::empty()) {
        match event {
            Event::Start(Tag::Link {
                link_type,
                dest_url,
                ..
            }) => {
                open = true;
                found.push(WrittenLink {
                    words: String::new(),
                    address: address(link_type, &dest_url),
                });
            }
            Event::End(TagEnd::Link) => open = false,
            Event::Text(words) | Event::Code(words) if open => {
                if let Some(link) = found.last_mut() {
                    link.words.push_str(&words);
                }
            }
            _ => {}
        }
    }
    found
}

fn address(link_type: LinkType, dest: &str) -> String {
    match link_type {
        LinkType::Email => format!("mailto:{dest}"),
        _ => dest.to_owned(),
    }
}

/// RFC 3986, 3.1.
fn has_scheme(address: &str) -> bool {
    address.split_once(':').is_some_and(|(scheme, _)| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
    })
}

/// The address that a mail links to; none where it may not.
fn allowed(address: &str) -> Option<String> {
    if let Some(url) = web_link(address) {
        return Some(url.to_string());
    }
    let url = url::Url::parse(address).ok()?;
    let is_mail = url.scheme() == "mailto" && url.path().contains('@');
    is_mail.then(|| url.to_string())
}

/// State of reading a text.
#[derive(Default)]
struct Reading {
    blocks: Vec<Block>,
    spans: Vec<Span>,
    style: Span,
    is_heading: bool,
    quotes: usize,
    lists: usize,
}

impl Reading {
    fn take(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text) | Event::Html(text) | Event::InlineHtml(text) => self.text(&text),
            Event::Code(text) => {
                self.style.is_code = true;
                self.text(&text);
                self.style.is_code = false;
            }
            Event::SoftBreak => self.push(" "),
            Event::HardBreak => self.push("\n"),
            Event::Rule => self.blocks.push(Block::Rule),
            // Of extensions that are off.
            _ => {}
        }
    }

    fn start(&mut self, tag: Tag<'_>) {
        match tag {
            Tag::Heading { .. } => self.is_heading = true,
            Tag::BlockQuote(_) => self.quotes += 1,
            Tag::CodeBlock(_) => self.style.is_code = true,
            Tag::List(first) => {
                self.end_item();
                if self.lists == 0 {
                    self.blocks.push(Block::List {
                        is_ordered: first.is_some(),
                        first: first.unwrap_or(1),
                        items: Vec::new(),
                    });
                }
                self.lists += 1;
            }
            Tag::Paragraph if self.lists > 0 && !self.spans.is_empty() => self.push("\n"),
            Tag::Emphasis => self.style.is_emphasis = true,
            Tag::Strong => self.style.is_strong = true,
            Tag::Link {
                link_type,
                dest_url,
                ..
            } => self.style.link = allowed(&address(link_type, &dest_url)),
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Heading(_) => {
                self.end_block();
                self.is_heading = false;
            }
            TagEnd::BlockQuote(_) => {
                self.end_block();
                self.quotes = self.quotes.saturating_sub(1);
            }
            TagEnd::CodeBlock => {
                self.style.is_code = false;
                self.end_block();
            }
            TagEnd::Paragraph | TagEnd::HtmlBlock => self.end_block(),
            TagEnd::Item => self.end_item(),
            TagEnd::List(_) => {
                self.end_item();
                self.lists = self.lists.saturating_sub(1);
            }
            TagEnd::Emphasis => self.style.is_emphasis = false,
            TagEnd::Strong => self.style.is_strong = false,
            TagEnd::Link => self.style.link = None,
            _ => {}
        }
    }

    fn text(&mut self, text: &str) {
        for (number, line) in text.trim_end_matches('\n').split('\n').enumerate() {
            if number > 0 {
                self.push("\n");
            }
            self.push(line);
        }
    }

    fn push(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        match self.spans.last_mut() {
            Some(last) if !last.is_break() && text != "\n" && last.has_style_of(&self.style) => {
                last.text.push_str(text);
            }
            _ => self.spans.push(Span {
                text: text.to_owned(),
                ..self.style.clone()
            }),
        }
    }

    fn end_block(&mut self) {
        // A paragraph of an item ends with its item.
        if self.lists > 0 {
            return;
        }
        let spans = joined(std::mem::take(&mut self.spans));
        if spans.is_empty() {
            return;
        }
        self.blocks.push(match (self.is_heading, self.quotes) {
            (true, _) => Block::Heading(spans),
            (false, 0) => Block::Paragraph(spans),
            _ => Block::Quote(spans),
        });
    }

    fn end_item(&mut self) {
        let spans = joined(std::mem::take(&mut self.spans));
        if let Some(Block::List { items, .. }) = self.blocks.last_mut()
            && self.lists > 0
            && !spans.is_empty()
        {
            items.push(spans);
        }
    }
}

impl Span {
    fn has_style_of(&self, other: &Self) -> bool {
        (self.is_strong, self.is_emphasis, self.is_code, &self.link)
            == (
                other.is_strong,
                other.is_emphasis,
                other.is_code,
                &other.link,
            )
    }
}

/// Marks where links begin and end, and drops breaks and blanks at both ends.
fn joined(mut spans: Vec<Span>) -> Vec<Span> {
    let is_blank = |span: &Span| span.text.trim().is_empty();
    while spans.last().is_some_and(is_blank) {
        spans.pop();
    }
    let blanks = spans.iter().take_while(|span| is_blank(span)).count();
    spans.drain(..blanks);
    let links: Vec<Option<String>> = spans.iter().map(|span| span.link.clone()).collect();
    for (at, span) in spans.iter_mut().enumerate() {
        let before = at.checked_sub(1).and_then(|at| links[at].as_ref());
        let after = links.get(at + 1).and_then(Option::as_ref);
        span.opens = span.link.clone().filter(|link| before != Some(link));
        span.closes = span.link.is_some() && after != span.link.as_ref();
    }
    spans
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_of(spans: &[Span]) -> String {
        spans.iter().map(|span| span.text.as_str()).collect()
    }

    #[test]
    fn markdown_is_read_into_a_few_shapes() {
        let text = "# Hello\n\nSome *fine* and **strong** `code`\nin [a **link**](https://a.example/x?y=1&z=2).\n\n> said\n\n- one\n- two\n\n  more\n\n3. three\n\n---\n\nline  \nbreak <https://b.example>";
        let blocks = blocks(text);
        let shapes: Vec<String> = blocks
            .iter()
            .map(|block| match block {
                Block::Paragraph(spans) => format!("p {}", text_of(spans)),
                Block::Heading(spans) => format!("h {}", text_of(spans)),
                Block::Quote(spans) => format!("q {}", text_of(spans)),
                Block::List {
                    is_ordered,
                    first,
                    items,
                } => {
                    let items: Vec<String> = items.iter().map(|spans| text_of(spans)).collect();
                    format!("{is_ordered} {first} {items:?}")
                }
                Block::Rule => "-".into(),
            })
            .collect();
        assert_eq!(
            shapes,
            [
                "h Hello",
                "p Some fine and strong code in a link.",
                "q said",
                "false 1 [\"one\", \"two\\nmore\"]",
                "true 3 [\"three\"]",
                "-",
                "p line\nbreak https://b.example"
            ]
        );
        let Block::Paragraph(spans) = &blocks[1] else {
            panic!("a paragraph")
        };
        let opened: Vec<&str> = spans
            .iter()
            .filter_map(|span| span.opens.as_deref())
            .collect();
        assert_eq!(opened, ["https://a.example/x?y=1&z=2"]);
        assert_eq!(spans.iter().filter(|span| span.closes).count(), 1);
    }

    #[test]
    fn what_no_mail_shows_is_text_and_is_named() {
        let text = "<script>alert(1)</script>\n\na <b>x</b> ![pic](https://a.example/p.png) [j](javascript:alert(1)) [d](data:text/html,x) [r](/tools/x) [m](mailto:a@b.example)";
        let blocks = blocks(text);
        let all: Vec<Span> = blocks
            .iter()
            .flat_map(|block| match block {
                Block::Paragraph(spans) => spans.clone(),
                _ => Vec::new(),
            })
            .collect();
        assert!(text_of(&all).contains("<script>") && text_of(&all).contains("<b>x</b>"));
        let opened: Vec<&str> = all
            .iter()
            .filter_map(|span| span.opens.as_deref())
            .collect();
        assert_eq!(opened, ["mailto:a@b.example"]);
        let faults = faults(text);
        assert!(faults.contains(&MarkdownFault::Picture("https://a.example/p.png".into())));
        assert!(faults.contains(&MarkdownFault::Scheme("javascript:alert(1)".into())));
        assert!(faults.contains(&MarkdownFault::Scheme("data:text/html,x".into())));
        assert!(faults.iter().any(
            |fault| matches!(fault, MarkdownFault::Html(html) if html.starts_with("<script>"))
        ));
        assert_eq!(links(text).len(), 4);
        assert!(super::faults("a < b, 3 > 2, <3 & [x](https://a.example)").is_empty());
    }
}
