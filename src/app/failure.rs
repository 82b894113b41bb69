//! What went wrong in a use case: one message for the person, one for the log.

use crate::render::RenderError;
use crate::storage::StorageError;

/// A failed use case. `Display` is the sentence for the person: what happened and what to do.
#[derive(Debug)]
pub struct Failure {
    message: String,
    cause: Option<String>,
    unreachable: bool,
    out_of_order: bool,
    crowded: bool,
}

impl Failure {
    /// A fault of what was asked for, or of the settings: nothing to log beyond the sentence.
    pub fn because(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            cause: None,
            unreachable: false,
            out_of_order: false,
            crowded: false,
        }
    }

    /// What the log should know beyond the sentence.
    pub fn cause(&self) -> Option<&str> {
        self.cause.as_deref()
    }

    /// Whether the database does not answer, so that waiting may help.
    pub fn is_unreachable(&self) -> bool {
        self.unreachable
    }

    /// Returns whether the database server has no connection left for the moment.
    pub fn is_crowded(&self) -> bool {
        self.crowded
    }

    /// Returns whether nothing can be kept at the moment: the database does not answer, or answers that it cannot work, or not now.
    pub fn is_unavailable(&self) -> bool {
        self.unreachable || self.out_of_order
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

impl From<StorageError> for Failure {
    fn from(error: StorageError) -> Self {
        Self {
            message: error.advice(),
            cause: Some(error.to_string()),
            unreachable: error.is_unreachable(),
            out_of_order: error.is_out_of_order() || error.is_held_up(),
            crowded: error.is_crowded(),
        }
    }
}

impl From<RenderError> for Failure {
    fn from(error: RenderError) -> Self {
        Self {
            message: "A template could not be rendered; this is a defect of the program.".into(),
            cause: Some(error.to_string()),
            unreachable: false,
            out_of_order: false,
            crowded: false,
        }
    }
}
