//! The text of an issue that people wrote, as mails and pages show it.

use super::markdown::Block;
use super::markdown::Span;
use super::markdown::blocks;
use super::text::clean;
use super::text::wrap;
use crate::domain::issue_text::IssueText;
use crate::domain::issue_text::Sponsor;
use crate::domain::issue_text::web_link;

/// Label of a sponsor's block, in every part.
pub const ADVERTISEMENT: &str = "Advertisement";

/// Text of an issue in blocks.
#[derive(Debug, Clone, Default)]
pub struct TextView {
    pub introduction: Vec<Block>,
    pub sponsor: Option<SponsorView>,
    pub question: String,
    pub sign_off: Vec<Block>,
}

/// A sponsor's block.
#[derive(Debug, Clone)]
pub struct SponsorView {
    pub text: String,
    pub url: String,
    /// Host of the link: its words.
    pub host: String,
}

impl TextView {
    pub fn new(text: &IssueText) -> Self {
        Self {
            introduction: blocks(&text.introduction),
            sponsor: text.sponsor.as_ref().and_then(SponsorView::new),
            question: clean(&text.question),
            sign_off: blocks(&text.sign_off),
        }
    }

    /// Returns whether anything stands after the comparisons.
    pub fn has_closing(&self) -> bool {
        !self.question.is_empty() || !self.sign_off.is_empty()
    }
}

impl SponsorView {
    fn new(sponsor: &Sponsor) -> Option<Self> {
        let url = web_link(&sponsor.url)?;
        Some(Self {
            text: clean(&sponsor.text),
            host: url
                .host_str()
                .unwrap_or_default()
                .trim_start_matches("www.")
                .to_owned(),
            url: url.to_string(),
        })
    }

    pub fn label(&self) -> &'static str {
        ADVERTISEMENT
    }
}

/// Blocks as plain text in lines of `width` columns. Links are numbered, and stand on lines of their own after their block.
pub fn plain(blocks: &[Block], width: usize) -> String {
    let mut links = 0;
    let parts: Vec<String> = blocks
        .iter()
        .map(|block| {
            let mut urls = Vec::new();
            let mut of = |spans: &[Span]| plain_spans(spans, &mut links, &mut urls);
            let text = match block {
                Block::Paragraph(spans) => indented(&of(spans), "", "", width),
                Block::Heading(spans) => indented(&of(spans).to_uppercase(), "", "", width),
                Block::Quote(spans) => indented(&of(spans), "> ", "> ", width),
                Block::Rule => "* * *".into(),
                Block::List {
                    is_ordered,
                    first,
                    items,
                } => {
                    let lines = items.iter().enumerate().map(|(at, item)| {
                        let mark = match is_ordered {
                            true => format!("{}. ", first.saturating_add(at as u64)),
                            false => "- ".into(),
                        };
                        let blank = " ".repeat(mark.len());
                        indented(&of(item), &mark, &blank, width)
                    });
                    lines.collect::<Vec<_>>().join("\n")
                }
            };
            std::iter::once(text)
                .chain(urls)
                .collect::<Vec<_>>()
                .join("\n")
        })
        .collect();
    parts.join("\n\n")
}

fn plain_spans(spans: &[Span], links: &mut usize, urls: &mut Vec<String>) -> String {
    let mut text = String::new();
    for span in spans {
        text.push_str(&span.text);
        if let Some(url) = &span.opens {
            urls.push(url.clone());
        }
        // An address that is its own words stands there already.
        if span.closes && span.opens.is_some() && span.text.contains("://") {
            urls.pop();
        } else if span.closes {
            *links += 1;
            text.push_str(&format!(" [{links}]"));
            if let Some(url) = urls.last_mut() {
                *url = format!("[{links}]\n{url}");
            }
        }
    }
    text
}

/// Text in lines, the first of which begins with `mark` and the others with `blank`.
fn indented(text: &str, mark: &str, blank: &str, width: usize) -> String {
    let lines = text
        .split('\n')
        .flat_map(|line| wrap(line, width.saturating_sub(mark.len())));
    let lines = lines.enumerate().map(|(at, line)| {
        let start = if at == 0 { mark } else { blank };
        format!("{start}{line}")
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_written_to_be_read_and_links_stand_on_their_own_lines() {
        let markdown = "## News\n\nSee [the docs](https://docs.example/a) and [more](https://more.example).\n\n- one that is so long that it needs a second line here\n- two\n\n> quoted";
        let text = plain(&blocks(markdown), 40);
        assert_eq!(
            text,
            "NEWS\n\nSee the docs [1] and more [2].\n[1]\nhttps://docs.example/a\n[2]\nhttps://more.example/\n\n- one that is so long that it needs a\n  second line here\n- two\n\n> quoted"
        );
    }
}
