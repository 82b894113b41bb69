//! Mail as `render` hands it to `mail`: as text, rendered once, with holes where what is a reader's own goes.
//!
//! A hole is a Unicode noncharacter, which no text from outside can hold (see [`crate::domain::address::is_noncharacter`]) and no
//! escaping touches. What fills one has a bounded width, so that lines are laid out once for all readers.

/// The hole that each reader's own token fills.
pub const TOKEN_PLACEHOLDER: char = '\u{FDD0}';
/// The hole that a digest's second token fills, the one for what a reader may choose ([`crate::domain::token::Purpose::Read`]).
pub const READER_HOLE: char = '\u{FDD1}';
/// The hole for the day since when this reader gets the newsletter.
pub const SINCE_HOLE: char = '\u{FDD2}';
/// The hole for the delivery's own part of an address of ours ([`crate::domain::verp`]): of the one to which a confirmation is answered, else of
/// the one to which a reader writes to leave.
pub const VERP_HOLE: char = '\u{FDD3}';

/// The columns kept for that day: "30 September 2026" is as long as one gets.
pub const SINCE_LENGTH: usize = 17;

/// A rendered mail. Links that differ from reader to reader end in [`TOKEN_PLACEHOLDER`] or [`READER_HOLE`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// One line, no holes.
    pub subject: String,
    /// The HTML part.
    pub html: String,
    /// The plain text part.
    pub text: String,
}
