//! Patterns of wordings: `*` stands for any words.

use super::fold::fold;

/// A pattern with `*` for anything, which covers a whole folded text.
#[derive(Debug)]
pub struct Glob {
    pieces: Vec<String>,
}

impl Glob {
    pub fn new(text: &str) -> Self {
        // A space beside a star is the text's own or missing: `Am * schrieb *` also ends with the verb.
        Self {
            pieces: fold(text)
                .split('*')
                .map(|piece| piece.trim().to_owned())
                .collect(),
        }
    }

    /// Returns whether the pattern begins with words and not with a star.
    pub fn is_anchored(&self) -> bool {
        self.pieces.first().is_some_and(|piece| !piece.is_empty())
    }

    /// Returns whether the pattern covers a folded text: each piece is looked for behind the one before, once.
    pub fn covers(&self, text: &str) -> bool {
        let [first, middle @ .., last] = self.pieces.as_slice() else {
            return self.pieces.first().is_some_and(|only| only == text);
        };
        let Some(mut rest) = text.strip_prefix(first.as_str()) else {
            return false;
        };
        // `on` is no beginning of `one`.
        if first.chars().next_back().is_some_and(char::is_alphanumeric) && !is_word_end(first, rest)
        {
            return false;
        }
        for piece in middle {
            let Some(at) = rest.find(piece.as_str()) else {
                return false;
            };
            rest = &rest[at + piece.len()..];
        }
        rest.ends_with(last.as_str())
    }
}

/// Returns whether a word ends between two texts. Scripts without spaces, and patterns that say more with a star, end anywhere.
fn is_word_end(before: &str, rest: &str) -> bool {
    let is_ascii = before
        .chars()
        .next_back()
        .is_some_and(|c| c.is_ascii_alphabetic());
    before.len() > 3 || !is_ascii || rest.chars().next().is_none_or(|c| !c.is_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_glob_covers_a_text_whole() {
        let covers = |glob: &str, text: &str| Glob::new(glob).covers(&fold(text));
        assert!(
            covers("on * wrote", "On 1 May, Ada <a@b.example> wrote")
                && covers("am * schrieb *", "Am 1.5. schrieb Ada")
        );
        assert!(
            covers("* schrieb", "Ada schrieb") && covers("am * schrieb *", "Am 1.5. um 8 schrieb")
        );
        assert!(
            !covers("on * wrote", "One wrote")
                && !covers("on * wrote", "On Monday I wrote it")
                && !covers("a*b", "ab c")
        );
        assert!(
            covers("original message", "Original Message")
                && !covers("original message", "my original message")
        );
    }
}
