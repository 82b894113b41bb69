//! Header lines: folding (RFC 5322 2.2.3) and encoded-words (RFC 2047).
//!
//! Own code, because lettre's encoder does not know our holes and leaves a subject that only looks like an encoded-word as
//! it is, so that readers see another one. A value is split into words at spaces and control characters, so no value can
//! end its line: header injection has no way to be written.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::mail::message::mailbox::Mailbox;
use crate::mail::message::template_builder::Placeholder;
use crate::mail::message::template_builder::TemplateBuilder;
use crate::mail::message::template_builder::width;

/// A line with an encoded-word in it ends here at the latest (RFC 2047 section 2), and others try to.
const FOLD_AT: usize = 76;
/// The longest encoded-word (RFC 2047 section 2).
const LONGEST_ENCODED: usize = 75;
/// A longer word might not fit a line of 998 octets (RFC 5322 2.1.1) with its header's name.
const LONGEST_WORD: usize = 900;

/// A line for people. Runs of spaces become one.
pub(in crate::mail) fn text(draft: &mut TemplateBuilder, name: &str, value: &str) {
    // Many readers also decode what stands in the middle of a word, so any "=?" has to be encoded to stay what it is.
    write_words(draft, name, value, |word| {
        is_short_ascii(word) && !word.contains("=?")
    });
}

/// A line for programs: its words are URLs, addresses and numbers, and "=?" in one of them must stay as it is.
pub(in crate::mail) fn value(draft: &mut TemplateBuilder, name: &str, value: &str) {
    write_words(draft, name, value, is_short_ascii);
}

/// A line with a display name and an address (RFC 5322 3.4).
pub(in crate::mail) fn mailbox(draft: &mut TemplateBuilder, name: &str, mailbox: &Mailbox) {
    let mut line = HeaderLine::new(draft, name);
    let display = mailbox.name();
    if is_short_ascii(display)
        && display.len() <= LONGEST_ENCODED - "\"\"".len()
        && !display.contains("=?")
    {
        if !display.is_empty() {
            line.word(&format!(
                "\"{}\"",
                display.replace('\\', "\\\\").replace('"', "\\\"")
            ));
        }
    } else {
        line.encoded(display);
    }
    line.word(&format!("<{}>", mailbox.address()));
    line.end();
}

fn write_words(draft: &mut TemplateBuilder, name: &str, value: &str, is_plain: fn(&str) -> bool) {
    let words: Vec<&str> = value
        .split(|c: char| c == ' ' || c.is_control())
        .filter(|word| !word.is_empty())
        .collect();
    let mut line = HeaderLine::new(draft, name);
    // A space between two encoded-words is not shown, so neighbours are encoded together.
    for run in words.chunk_by(|one, next| is_plain(one) == is_plain(next)) {
        if is_plain(run[0]) {
            run.iter().for_each(|word| line.word(word));
        } else {
            line.encoded(&run.join(" "));
        }
    }
    line.end();
}

fn is_short_ascii(word: &str) -> bool {
    // A word with a hole is never encoded, for nothing could be put into it then.
    word.contains(|c| Placeholder::of(c).is_some())
        || word.len() <= LONGEST_WORD && word.bytes().all(|b| (b' '..=b'~').contains(&b))
}

struct HeaderLine<'a> {
    draft: &'a mut TemplateBuilder,
    column: usize,
    is_empty: bool,
}

impl<'a> HeaderLine<'a> {
    fn new(draft: &'a mut TemplateBuilder, name: &str) -> Self {
        draft.push(name).push(":");
        Self {
            draft,
            column: name.len() + 1,
            is_empty: true,
        }
    }

    /// A word that is never cut.
    fn word(&mut self, word: &str) {
        let width = word.chars().map(width).sum();
        self.separate(width);
        word.chars().for_each(|c| self.draft.push_char(c));
        self.column += width;
    }

    /// A text as encoded-words, as many as it takes; none of them cuts a character (RFC 2047 section 5).
    fn encoded(&mut self, mut text: &str) {
        const AROUND: usize = "=?utf-8?B??=".len();
        while !text.is_empty() {
            let room = FOLD_AT
                .saturating_sub(self.column + 1)
                .min(LONGEST_ENCODED)
                .saturating_sub(AROUND)
                / 4
                * 3;
            let (part, rest) = text.split_at(text.floor_char_boundary(room));
            if part.is_empty() {
                self.fold();
                continue;
            }
            let encoded = STANDARD.encode(part);
            self.separate(AROUND + encoded.len());
            self.draft.push("=?utf-8?B?").push(&encoded).push("?=");
            self.column += AROUND + encoded.len();
            text = rest;
        }
    }

    /// The space before a word of `width` columns, or the fold. None before the first word: RFC 5322 allows it, but
    /// programs have been seen to take such a line for an empty one.
    fn separate(&mut self, width: usize) {
        if !self.is_empty && self.column + 1 + width > FOLD_AT {
            self.fold();
        }
        self.draft.push(" ");
        self.column += 1;
        self.is_empty = false;
    }

    fn fold(&mut self) {
        self.draft.push("\r\n");
        self.column = 0;
    }

    fn end(self) {
        self.draft.push("\r\n");
    }
}
