//! Notes on an issue: what people decided and said about it before it went out.

use super::Timestamp;

super::named! {
    /// Kind of a note.
    NoteKind {
        /// It may go out as it is.
        Approved => "approved",
        /// It may not, and why.
        SentBack => "sent_back",
        /// Its approval ended because it shows something else now.
        ApprovalEnded => "approval_ended",
        /// The week gets no digest, and why.
        Skipped => "skipped",
        /// A remark.
        Comment => "comment",
        /// It was corrected after it was published, and what was wrong.
        Corrected => "corrected",
    }
}

impl NoteKind {
    /// For a list: "approved revision 3".
    pub const fn words(self) -> &'static str {
        match self {
            Self::Approved => "approved it",
            Self::SentBack => "sent it back",
            Self::ApprovalEnded => "took the approval back",
            Self::Skipped => "skipped the week",
            Self::Comment => "wrote",
            Self::Corrected => "corrected it",
        }
    }
}

/// Maximum number of characters of a note.
pub const NOTE_MAX: usize = 2_000;

/// A note.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DigestNote {
    /// Kind.
    pub kind: NoteKind,
    /// Revision of the digest that it is about.
    pub revision: i64,
    /// Author: the key of an actor, or "review".
    pub author: String,
    /// Name that somebody without an account gave.
    pub name: Option<String>,
    /// Text; may be empty where the kind says it all.
    pub said: String,
    /// Time.
    pub at: Timestamp,
}
