//! What `render` hands to `mail`: a mail as text, rendered once, with holes where a reader's own links go.

/// The hole that each reader's own token fills: a Unicode noncharacter, which no text from outside can hold
/// (see [`super::address::is_noncharacter`]) and no escaping touches.
pub const TOKEN_HOLE: char = '\u{FDD0}';

/// The hole that a digest's second token fills, the one for what a reader may choose ([`super::token::Purpose::Read`]).
pub const READER_HOLE: char = '\u{FDD1}';

/// A rendered mail. Links that differ from reader to reader end in [`TOKEN_HOLE`] or [`READER_HOLE`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// One line, no holes.
    pub subject: String,
    /// The HTML part.
    pub html: String,
    /// The plain text part.
    pub text: String,
}
