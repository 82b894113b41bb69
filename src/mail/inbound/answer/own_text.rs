//! Lines of a text that its author wrote.

use std::collections::HashSet;
use std::ops::Range;

use super::blocks;
use super::fold::fold;
use super::fold::words;
use super::forms::FORMS;
use super::forms::WORDS;
use super::glob::Glob;
use super::line::Mark;
use super::line::TextLine;
use super::line::is_rule;

/// Lines of one's own that are looked at: nobody writes more to be let go.
const OWN_MAX: usize = 400;
/// A line this long goes on in the next one: programs that wrap do so between 60 and 80 columns.
const WRAPPED: usize = 50;
/// Lines of a signature, and characters of one.
const SIGNATURE_LINES: usize = 16;
const SIGNATURE_WIDTH: usize = 200;
/// Characters that no advertisement of a program has.
const ADVERTISEMENT: usize = 160;

/// Names of a mail's author: words of the display name and of the address.
#[derive(Debug, Default)]
pub struct Names(HashSet<String>);

impl Names {
    /// Takes the field From.
    pub fn of(from: &str) -> Self {
        let (name, rest) = from.rsplit_once('<').unwrap_or((from, from));
        let local = rest.split('@').next().unwrap_or_default();
        let all = words(name)
            .split(' ')
            .chain(words(local).split(' '))
            .filter(|word| word.chars().count() > 1)
            .map(String::from)
            .collect();
        Self(all)
    }

    /// Returns whether a word is one of the author's names.
    pub fn has(&self, word: &str) -> bool {
        self.0.contains(word)
    }

    /// Returns whether a line is the author's name and nothing else.
    pub fn is_name(&self, line: &str) -> bool {
        let line = words(line);
        let mut parts = line
            .split(' ')
            .filter(|word| word.chars().count() > 1)
            .peekable();
        parts.peek().is_some() && line.split(' ').count() <= 4 && parts.all(|word| self.has(word))
    }
}

/// Part of a text that its author wrote.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OwnText {
    /// The author's own lines, above, between and below what is quoted: no signature, advertisement, banner, disclaimer or link. A line that a
    /// program wrapped is one line.
    pub lines: Vec<String>,
    /// All that is not quoted.
    pub unquoted: String,
    /// True if something is quoted.
    pub quotes: bool,
}

impl OwnText {
    /// Separates the author's own lines from all others.
    pub fn of(mut lines: Vec<TextLine>, names: &Names) -> Self {
        blocks::mark_quotations(&mut lines);
        let quotes = lines
            .iter()
            .any(|line| matches!(line.mark, Mark::Quote | Mark::Rest));
        let unquoted: Vec<&TextLine> = lines
            .iter()
            .filter(|line| !matches!(line.mark, Mark::Quote | Mark::Rest))
            .take(OWN_MAX)
            .collect();
        let unquoted = unquoted
            .iter()
            .map(|line| line.text.as_str())
            .collect::<Vec<_>>()
            .join("\n");
        let mut own: Vec<TextLine> = Vec::new();
        for segment in lines
            .chunk_by(|a, b| is_quotation(a) == is_quotation(b))
            .filter(|segment| !segment.first().is_some_and(is_quotation))
        {
            if own.len() < OWN_MAX {
                own.extend(own_of(
                    &segment[..segment.len().min(OWN_MAX)],
                    own.is_empty(),
                    names,
                ));
            }
        }
        Self {
            lines: joined(&own),
            unquoted,
            quotes,
        }
    }
}

fn is_quotation(line: &TextLine) -> bool {
    matches!(line.mark, Mark::Quote | Mark::Rest)
}

/// The author's own of a stretch without quotations.
fn own_of(segment: &[TextLine], is_first: bool, names: &Names) -> Vec<TextLine> {
    let mut own: Vec<TextLine> = Vec::new();
    let mut lines = segment.iter().peekable();
    while let Some(line) = lines.next() {
        let text = line.text.trim();
        // RFC 3676, 4.3; programs lose the space.
        if matches!(text, "--" | "—") && line.is_wrapped
            || line.mark == Mark::Signature && !own.is_empty()
        {
            break;
        }
        if text.is_empty() || line.mark != Mark::Own || is_rule(text) || is_picture(text) {
            continue;
        }
        let folded = fold(&less_links(text));
        if is_advertisement(&folded, text) {
            continue;
        }
        let mut kept = text.to_owned();
        if let Some(rest) = less_banner(&folded, text) {
            let mut width = text.chars().count();
            if rest.is_empty() {
                while let Some(next) = lines.next_if(|next| {
                    line.is_wrapped && width >= WRAPPED && next.paragraph == line.paragraph
                }) {
                    width = next.text.chars().count();
                }
                continue;
            }
            kept = rest.to_owned();
        }
        if is_disclaimer(line, segment) {
            if is_first && own.is_empty() {
                while lines
                    .next_if(|next| next.paragraph == line.paragraph)
                    .is_some()
                {}
                continue;
            }
            break;
        }
        own.push(TextLine {
            text: kept,
            ..line.clone()
        });
    }
    own.truncate(signature_at(&own, names));
    own
}

/// The place at which a signature begins: a closing or the author's name below something else, above lines that nobody writes to say something.
fn signature_at(own: &[TextLine], names: &Names) -> usize {
    let begins = |at: &usize| {
        let text = &own[*at].text;
        // `Rogério Pinho | Analista`, `Ada Flint, Editor`
        let name = text.split(['|', ',', '·', '•', '/', '(', '–', '—']);
        is_closing(text)
            || name.take(1).any(|name| {
                names.is_name(name) && (name.len() == text.len() || name.trim().contains(' '))
            })
    };
    let is_signature = |range: Range<usize>| {
        let lines = &own[range];
        lines.len() <= SIGNATURE_LINES
            && lines.iter().skip(1).all(|line| !says_something(&line.text))
    };
    (1..own.len())
        .filter(begins)
        .find(|at| is_signature(*at..own.len()))
        .unwrap_or(own.len())
}

/// Returns whether a line below a closing is no line of a signature: a question, or words that take something back.
fn says_something(line: &str) -> bool {
    let words = words(line);
    let many = words.split(' ').count() >= 3;
    line.contains('?')
        || line.chars().count() > SIGNATURE_WIDTH
        || ["ps ", "p s "].iter().any(|start| words.starts_with(start))
        || many && is_against(&words)
        || WORDS
            .against_parts
            .iter()
            .any(|part| words.contains(part.as_str()))
}

/// Returns whether words take back, doubt, or speak of something else.
pub fn is_against(words: &str) -> bool {
    words.split(' ').any(|word| WORDS.against.contains(word))
        || WORDS
            .against_parts
            .iter()
            .any(|part| words.contains(part.as_str()))
}

/// Returns whether a line closes an answer: a closing, with at most a name behind it.
pub fn is_closing(line: &str) -> bool {
    let text = words(line);
    let rest = WORDS.closings.less_at_start(&text);
    // With a name behind it, and nothing that says more.
    rest.is_some_and(|rest| {
        rest.is_empty()
            || rest.split(' ').count() <= 4
                && !is_against(rest)
                && !line.contains('?')
                && is_in_capitals(line)
    })
}

/// Returns whether the last word begins with a capital, as a name does.
fn is_in_capitals(line: &str) -> bool {
    let last = line.split_whitespace().next_back().unwrap_or_default();
    last.chars()
        .find(|c| c.is_alphanumeric())
        .is_some_and(|c| !c.is_lowercase())
}

fn is_one(globs: &[Glob], folded: &str) -> bool {
    globs.iter().any(|glob| glob.covers(folded))
}

/// The rest of a line that begins with a banner; none if there is no banner.
fn less_banner<'a>(folded: &str, text: &'a str) -> Option<&'a str> {
    let bare =
        folded.trim_start_matches(|c: char| !c.is_alphanumeric() && !matches!(c, '[' | '【'));
    if !is_one(&FORMS.banners, bare) && !is_one(&FORMS.banners, folded) {
        return None;
    }
    // `[EXTERNAL] Please unsubscribe me`
    let behind = text
        .trim_start()
        .strip_prefix(['[', '【'])
        .and_then(|rest| rest.split_once([']', '】']))
        .map(|(_, behind)| behind.trim());
    Some(behind.unwrap_or(""))
}

/// Returns whether a line advertises the program or telephone that sent a mail: by a form, or by a program's name beside a word for sending or getting.
fn is_advertisement(folded: &str, text: &str) -> bool {
    if text.chars().count() >= ADVERTISEMENT {
        return false;
    }
    let bare = folded.trim_matches(|c: char| !c.is_alphanumeric());
    let text = words(bare);
    let says = |list: &[String]| list.iter().any(|part| text.contains(part.as_str()));
    is_one(&FORMS.sent_from, bare)
        || FORMS.programs.stand_in(&text)
            && FORMS.sends.stand_in(&text)
            && !says(&WORDS.leave_stems)
}

fn is_disclaimer(line: &TextLine, segment: &[TextLine]) -> bool {
    let folded = fold(&line.text);
    if is_one(&FORMS.disclaimers, &folded) {
        return true;
    }
    // Wrapped, its words may stand on two lines.
    if !line.is_wrapped || line.text.chars().count() < WRAPPED {
        return false;
    }
    let whole: Vec<String> = segment
        .iter()
        .filter(|other| other.paragraph == line.paragraph)
        .take(12)
        .map(|line| fold(&line.text))
        .collect();
    whole.first().is_some_and(|first| *first == folded)
        && is_one(&FORMS.disclaimers, &whole.join(" "))
}

/// A place where the text part of a mail has no picture.
fn is_picture(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    [
        "[cid:", "[image:", "<image", "[inline", "[bild:", "[logo", "[http", "[data:",
    ]
    .iter()
    .any(|start| lower.starts_with(start))
}

/// A text without the addresses behind its links: `Get Outlook for iOS<https://...>`.
fn less_links(text: &str) -> String {
    let mut rest = text;
    let mut kept = String::new();
    while let Some(at) = ["<http", "(http"]
        .iter()
        .filter_map(|start| rest.find(start))
        .min()
    {
        kept.push_str(&rest[..at]);
        let Some(end) = rest[at..].find(['>', ')']) else {
            return kept;
        };
        rest = &rest[at + end + 1..];
    }
    kept + rest
}

/// Lines as they were before a program wrapped them.
fn joined(own: &[TextLine]) -> Vec<String> {
    let mut lines: Vec<(String, &TextLine)> = Vec::new();
    for line in own {
        let continues = |(text, last): &(String, &TextLine)| {
            last.is_wrapped
                && last.paragraph == line.paragraph
                && last.text.chars().count() >= WRAPPED
                && !text.ends_with(['.', '!', '?', ':', '。', '！', '？', ','])
        };
        match lines.last_mut().filter(|last| continues(last)) {
            Some((text, last)) => {
                text.push(' ');
                text.push_str(&line.text);
                *last = line;
            }
            None => lines.push((line.text.clone(), line)),
        }
    }
    lines.into_iter().map(|(text, _)| text).collect()
}
