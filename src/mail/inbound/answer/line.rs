//! A line of a text, and what its form alone tells of it.

/// Lines that are looked at, and bytes of one: a longer one says more than that its writer leaves.
pub const LINES_MAX: usize = 20_000;
pub const LINE_MAX: usize = 4_000;

/// Kind of a line, by its form alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    Own,
    Quote,
    /// Belongs to a quotation that reaches to the end.
    Rest,
    Signature,
    /// Nothing but a link to the web: whatever it says, its writer did not type it as a wish.
    Link,
}

/// A line of a text; empty where the text has an empty one.
#[derive(Debug, Clone)]
pub struct TextLine {
    pub text: String,
    /// The block or paragraph that it belongs to.
    pub paragraph: u32,
    pub mark: Mark,
    /// True if it may be a part of a longer line that a program wrapped.
    pub is_wrapped: bool,
}

/// The lines of a plain text.
pub fn lines_of(text: &str) -> Vec<TextLine> {
    let mut paragraph = 0;
    let mut lines = Vec::new();
    for line in less_pgp(text).take(LINES_MAX) {
        // QQ writes its spaces as HTML does, into the text too.
        let line = line[..line.floor_char_boundary(LINE_MAX)].replace("&nbsp;", " ");
        let line = line.trim();
        paragraph += u32::from(line.is_empty());
        let mark = if is_quoted(line) {
            Mark::Quote
        } else {
            Mark::Own
        };
        lines.push(TextLine {
            text: line.to_owned(),
            paragraph,
            mark,
            is_wrapped: true,
        });
    }
    lines
}

/// Returns whether a line is quoted: `>`, or Gnus' `Ada> `.
fn is_quoted(line: &str) -> bool {
    let behind = line.trim_start_matches(|c: char| c.is_ascii_alphabetic());
    (line.len() - behind.len() <= 8 && behind.starts_with('>')) || line.starts_with(['＞', '»'])
}

/// A line of dashes or the like.
pub fn is_rule(text: &str) -> bool {
    text.chars().count() >= 3 && text.chars().all(|c| is_of_rule(c) || c == ' ')
}

/// A character of which such lines are made.
pub fn is_of_rule(c: char) -> bool {
    matches!(
        c,
        '-' | '_'
            | '='
            | '*'
            | '~'
            | '#'
            | '+'
            | '.'
            | '\u{2013}'
            | '\u{2014}'
            | '\u{2500}'
            | '\u{2501}'
            | '\u{2015}'
    )
}

/// The lines of a text without what inline OpenPGP sets around them (RFC 9580, 7).
fn less_pgp(text: &str) -> impl Iterator<Item = &str> {
    let mut place = Pgp::Outside;
    text.lines().filter_map(move |line| {
        let bare = line.trim();
        let (next, kept) = match place {
            Pgp::Outside if bare == "-----BEGIN PGP SIGNED MESSAGE-----" => (Pgp::Head, None),
            Pgp::Outside => (Pgp::Outside, Some(line)),
            Pgp::Head if bare.is_empty() => (Pgp::Signed, None),
            Pgp::Head => (Pgp::Head, None),
            Pgp::Signed if bare == "-----BEGIN PGP SIGNATURE-----" => (Pgp::Signature, None),
            Pgp::Signed => (Pgp::Signed, Some(line.strip_prefix("- ").unwrap_or(line))),
            Pgp::Signature if bare == "-----END PGP SIGNATURE-----" => (Pgp::Outside, None),
            Pgp::Signature => (Pgp::Signature, None),
        };
        place = next;
        kept
    })
}

#[derive(Clone, Copy)]
enum Pgp {
    Outside,
    Head,
    Signed,
    Signature,
}
