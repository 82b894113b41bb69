//! HTML as lines: each block is one, and each line says whether it belongs to a quotation, a signature or a link.
//!
//! html5gum splits it into tags as the HTML standard says, entities decoded. No tree is built: of the well-kept builders html5ever's walks up all
//! open elements at each block, and its tokenizer compares each attribute of a tag with all before it, so that a mail made for it (1 MB of
//! `<div>`, or one tag with 80,000 attributes) takes seconds to minutes. Here one region is open at a time, told by its tag's own nesting.

mod tag;

use std::convert::Infallible;

use html5gum::Span;
use html5gum::Tokenizer;
use html5gum::emitters::callback::CallbackEmitter;
use html5gum::emitters::callback::CallbackEvent;

use super::line::LINE_MAX;
use super::line::LINES_MAX;
use super::line::Mark;
use super::line::TextLine;
use tag::Attribute;
use tag::CLASSES;
use tag::NAME;
use tag::Region;
use tag::RegionKind;
use tag::Tag;
use tag::VALUE;

/// Elements that begin and end a line. A cell is a line of its own: of a signature's table, or of a layout.
const BLOCKS: &[&str] = &[
    "address",
    "article",
    "aside",
    "blockquote",
    "body",
    "caption",
    "center",
    "dd",
    "details",
    "dir",
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
    "head",
    "header",
    "hr",
    "html",
    "legend",
    "li",
    "main",
    "menu",
    "nav",
    "ol",
    "p",
    "pre",
    "section",
    "summary",
    "table",
    "tbody",
    "td",
    "tfoot",
    "th",
    "thead",
    "title",
    "tr",
    "ul",
];
/// Elements without an end.
const VOID: &[&str] = &[
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track",
    "wbr",
];
/// Elements whose text is not the mail's.
const UNSEEN: &[&str] = &[
    "style", "script", "title", "noscript", "template", "textarea", "select", "object", "svg",
    "math", "iframe",
];

/// The lines of a text in HTML.
pub fn lines_of(html: &str) -> Vec<TextLine> {
    let mut reader = HtmlReader::default();
    let mut emitter = CallbackEmitter::new(
        |event: CallbackEvent<'_>, _: Span<()>| -> Option<Infallible> {
            reader.take(&event);
            None
        },
    );
    emitter.naively_switch_states(true);
    Tokenizer::new_with_emitter(html, emitter).for_each(drop);
    reader.end_line();
    reader.lines
}

#[derive(Default)]
struct HtmlReader {
    lines: Vec<TextLine>,
    text: String,
    /// Visible characters of the line, and those of them that are a link to the web.
    seen: usize,
    linked: usize,
    paragraph: u32,
    tag: Tag,
    region: Option<Region>,
    in_link: bool,
    /// A quotation has begun that nothing ends.
    is_rest: bool,
    /// Names of classes that were looked at.
    classes: usize,
}

impl HtmlReader {
    fn take(&mut self, event: &CallbackEvent<'_>) {
        match event {
            CallbackEvent::OpenStartTag { name } => {
                self.tag = Tag {
                    name: text_of(name, NAME),
                    ..Tag::default()
                }
            }
            CallbackEvent::AttributeName { name } => {
                self.tag.attribute = Attribute::named(name);
                self.tag.is_hidden |= self.tag.attribute == Attribute::Hidden;
            }
            CallbackEvent::AttributeValue { value } if self.tag.attribute != Attribute::Other => {
                let left = CLASSES.saturating_sub(self.classes);
                self.classes += self.tag.take_value(&text_of(value, VALUE), left);
            }
            CallbackEvent::CloseStartTag { .. } => self.start(),
            CallbackEvent::EndTag { name } => self.end(&text_of(name, NAME)),
            CallbackEvent::String { value } => self.push(&String::from_utf8_lossy(value)),
            _ => {}
        }
    }

    fn start(&mut self) {
        let tag = std::mem::take(&mut self.tag);
        let name = tag.name.as_str();
        let is_block = BLOCKS.contains(&name);
        // A paragraph ends where a block begins, with or without an end tag.
        if is_block && self.region.as_ref().is_some_and(|region| region.tag == "p") {
            self.end_line();
            self.region = None;
        }
        match name {
            "br" => self.end_line(),
            "a" => self.in_link = tag.is_web_link,
            _ if is_block => self.end_block(),
            _ => {}
        }
        self.is_rest |= tag.begins_rest;
        if let Some(region) = &mut self.region {
            region.depth += usize::from(region.tag == name);
        } else if let Some(kind) = tag.region().filter(|_| !VOID.contains(&name)) {
            self.end_line();
            self.region = Some(Region {
                kind,
                tag: tag.name.clone(),
                depth: 1,
            });
        }
        if name == "hr"
            && self
                .region
                .as_ref()
                .is_none_or(|region| region.kind != RegionKind::Unseen)
        {
            self.text.push_str("________________");
            self.end_block();
        }
    }

    fn end(&mut self, name: &str) {
        if BLOCKS.contains(&name) {
            self.end_block();
        }
        match name {
            "a" => self.in_link = false,
            "br" => self.end_line(),
            _ => {}
        }
        if let Some(region) = &mut self.region
            && region.tag == name
        {
            region.depth -= 1;
            if region.depth == 0 {
                self.end_line();
                self.region = None;
            }
        }
    }

    fn push(&mut self, text: &str) {
        if self
            .region
            .as_ref()
            .is_some_and(|region| region.kind == RegionKind::Unseen)
            || self.text.len() > LINE_MAX
        {
            return;
        }
        for c in text.chars() {
            if c.is_whitespace() {
                if !self.text.is_empty() && !self.text.ends_with(' ') {
                    self.text.push(' ');
                }
                continue;
            }
            self.text.push(c);
            self.seen += 1;
            self.linked += usize::from(self.in_link);
        }
    }

    fn end_block(&mut self) {
        self.end_line();
        self.paragraph += 1;
    }

    fn end_line(&mut self) {
        let text = std::mem::take(&mut self.text);
        let (seen, linked) = (
            std::mem::take(&mut self.seen),
            std::mem::take(&mut self.linked),
        );
        if text.trim().is_empty() || self.lines.len() >= LINES_MAX {
            return;
        }
        let mark = match self.region.as_ref().map(|region| region.kind) {
            _ if self.is_rest => Mark::Rest,
            Some(RegionKind::Quote) => Mark::Quote,
            Some(RegionKind::Signature) => Mark::Signature,
            _ if seen > 0 && linked == seen => Mark::Link,
            _ => Mark::Own,
        };
        self.lines.push(TextLine {
            text: text.trim().to_owned(),
            paragraph: self.paragraph,
            mark,
            is_wrapped: false,
        });
    }
}

fn text_of(bytes: &[u8], max: usize) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(max)]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(html: &str) -> Vec<String> {
        lines_of(html)
            .into_iter()
            .filter(|line| line.mark == Mark::Own)
            .map(|line| line.text)
            .collect()
    }

    #[test]
    fn each_block_is_a_line() {
        for html in [
            "<div>a</div><div>b</div>",
            "<p>a<p>b",
            "a<br>b",
            "<ul><li>a<li>b</ul>",
            "<table><tr><td>a<td>b</table>",
            "<h1>a</h1>b",
            "a<blockquote></blockquote>b",
            "<pre>a</pre>b",
            "<div>a<div>b</div></div>",
            "<html><body>a<p></p>b</body></html>",
            "a</div>b",
        ] {
            assert_eq!(own(html), ["a", "b"], "{html}");
        }
        assert_eq!(
            own("<p>a&nbsp;&amp;\n <b>b</b></p><p>&nbsp;</p>"),
            ["a & b"]
        );
        assert_eq!(
            own("<p class=MsoNormal>a<o:p></o:p></p><!--[if mso]><p>b</p><![endif]-->"),
            ["a"]
        );
    }

    #[test]
    fn what_nobody_sees_is_left_out() {
        for html in [
            "<div style='display:none'>x</div>a",
            "<div style=\"color:red; DISPLAY : none !important\"><p>x<div>y</div></p></div>a",
            "<style>x</style><script>x</script><title>x</title>a",
            "<p hidden>x<p>a",
            "<span style='font-size:0'>x</span>a",
            "<div style='max-height:0px;overflow:hidden'>x</div>a",
            "<p style='display:none'>x<div>a</div>",
        ] {
            assert_eq!(own(html), ["a"], "{html}");
        }
        assert_eq!(own("<span style='font-size:0.9em'>a</span>"), ["a"]);
    }

    #[test]
    fn quotations_signatures_and_links_are_marked() {
        let marks = |html: &str| {
            lines_of(html)
                .into_iter()
                .map(|line| line.mark)
                .collect::<Vec<_>>()
        };
        assert_eq!(
            marks("a<div class='gmail_quote x'>q<div>q</div></div>b"),
            [Mark::Own, Mark::Quote, Mark::Quote, Mark::Own]
        );
        assert_eq!(
            marks("a<div id=divRplyFwdMsg>q</div>q"),
            [Mark::Own, Mark::Rest, Mark::Rest]
        );
        assert_eq!(marks("<div class=moz-signature>s</div>"), [Mark::Signature]);
        assert_eq!(
            marks("<a href='https://a.example'>l</a><p>a <a href='http://a.example'>l</a>"),
            [Mark::Link, Mark::Own]
        );
        assert_eq!(
            marks("a<div style='border-left: 2px solid red'>q</div>"),
            [Mark::Own, Mark::Quote]
        );
    }
}
