//! The fields of a row as text.

use std::borrow::Cow;

use csv::ByteRecord;

use crate::domain::address::is_noncharacter;

/// The longest field that is read, in bytes.
const LONGEST_FIELD: usize = 4_000;

/// Decoder of bytes beyond ASCII: as UTF-8, or as Windows-1252 in a file where nothing was UTF-8 yet.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Decode {
    has_utf8: bool,
    has_other: bool,
}

impl Decode {
    /// Of a file that says by its mark that it is UTF-8, or was UTF-16.
    pub fn utf8() -> Self {
        Self {
            has_utf8: true,
            has_other: false,
        }
    }

    /// Returns whether Windows-1252 was read.
    pub fn was_windows_1252(self) -> bool {
        self.has_other
    }

    /// A field as text.
    ///
    /// # Errors
    /// Where it is neither.
    pub fn text<'f>(&mut self, field: &'f [u8]) -> Result<Cow<'f, str>, String> {
        match std::str::from_utf8(field) {
            Ok(text) => {
                self.has_utf8 |= !text.is_ascii();
                Ok(text.into())
            }
            Err(_) if self.has_utf8 => Err("expected UTF-8".into()),
            Err(_) => {
                self.has_other = true;
                Ok(encoding_rs::WINDOWS_1252
                    .decode_without_bom_handling(field)
                    .0)
            }
        }
    }
}

/// The fields of one row.
pub(super) struct Cells<'r, 'd> {
    pub record: &'r ByteRecord,
    pub decode: &'d mut Decode,
}

impl<'r> Cells<'r, '_> {
    /// A field as text, trimmed; `None` when it is empty or missing.
    pub fn text(&mut self, at: usize) -> Result<Option<Cow<'r, str>>, String> {
        let field = self.record.get(at).unwrap_or_default();
        if field.len() > LONGEST_FIELD {
            return Err(format!(
                "expected fields of at most {LONGEST_FIELD} bytes, one has {}",
                field.len()
            ));
        }
        let text = match self.decode.text(field)? {
            Cow::Borrowed(text) => Cow::Borrowed(text.trim()),
            Cow::Owned(text) => Cow::Owned(text.trim().to_owned()),
        };
        let is_plain = text.bytes().all(|b| (b' '..0x7f).contains(&b));
        if !is_plain && text.chars().any(|c| c.is_control() || is_noncharacter(c)) {
            return Err("expected no control characters".into());
        }
        if !is_plain && text.contains('\u{fffd}') {
            return Err(
                "expected readable text, it has a character that was lost in a conversion".into(),
            );
        }
        Ok((!text.is_empty()).then_some(text))
    }
}
