//! A letter while it is written: bytes with holes, which `header` and `quoted` write into.

use crate::domain::rendered_mail::READER_HOLE;
use crate::domain::rendered_mail::SINCE_HOLE;
use crate::domain::rendered_mail::SINCE_LENGTH;
use crate::domain::rendered_mail::TOKEN_PLACEHOLDER;
use crate::domain::rendered_mail::VERP_HOLE;
use crate::domain::verp::VERP_LENGTH;

/// The room a line keeps for a token: what [`crate::domain::token::Secrets::sign`] makes.
pub use crate::domain::token::TOKEN_LENGTH;

/// Value that fills a placeholder.
#[derive(Clone, Copy)]
pub(in crate::mail) enum Placeholder {
    To,
    Date,
    MessageId,
    Token,
    Reader,
    Since,
    Verp,
    TokenBase64,
    ReaderBase64,
    SinceBase64,
}

impl Placeholder {
    /// The hole that a character of a text stands for, if it is one.
    pub(in crate::mail) fn of(c: char) -> Option<Self> {
        match c {
            TOKEN_PLACEHOLDER => Some(Self::Token),
            READER_HOLE => Some(Self::Reader),
            SINCE_HOLE => Some(Self::Since),
            VERP_HOLE => Some(Self::Verp),
            _ => None,
        }
    }

    /// The same in a body that is base64, which no address stands in.
    pub(in crate::mail) fn in_base64(self) -> Option<Self> {
        match self {
            Self::Token => Some(Self::TokenBase64),
            Self::Reader => Some(Self::ReaderBase64),
            Self::Since => Some(Self::SinceBase64),
            _ => None,
        }
    }
}

/// A letter while it is written: bytes, and the places in them where something is put in later, in order.
#[derive(Default)]
pub(in crate::mail) struct TemplateBuilder {
    bytes: Vec<u8>,
    holes: Vec<(usize, Placeholder)>,
}

impl TemplateBuilder {
    /// Returns what is written as it goes out.
    pub(in crate::mail) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns where something is put in, in order.
    pub(in crate::mail) fn holes(&self) -> &[(usize, Placeholder)] {
        &self.holes
    }

    pub(in crate::mail) fn push(&mut self, text: &str) -> &mut Self {
        self.bytes.extend_from_slice(text.as_bytes());
        self
    }

    pub(in crate::mail) fn hole(&mut self, hole: Placeholder) -> &mut Self {
        self.holes.push((self.bytes.len(), hole));
        self
    }

    /// One character of a text with holes, which the caller knows to be a hole or ASCII; anything else would be raw 8bit.
    pub(in crate::mail) fn push_char(&mut self, c: char) {
        match Placeholder::of(c) {
            Some(hole) => self.holes.push((self.bytes.len(), hole)),
            None => self
                .bytes
                .push(u8::try_from(c).ok().filter(u8::is_ascii).unwrap_or(b'?')),
        }
    }
}

/// The columns that a character of a text with holes takes, written as it is.
pub(in crate::mail) fn width(c: char) -> usize {
    match c {
        TOKEN_PLACEHOLDER | READER_HOLE => TOKEN_LENGTH,
        SINCE_HOLE => SINCE_LENGTH,
        VERP_HOLE => VERP_LENGTH,
        _ => 1,
    }
}
