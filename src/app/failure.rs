//! Errors of the use cases: a kind for the doors, a sentence for the person, a cause for the log.
//!
//! A use case chooses the kind. Each door translates it in one place: the command line into an exit code (`cli::exit_code`), the
//! pages into a status and a page, JSON requests into a problem document (RFC 9457; both in `web::answer`).

use std::borrow::Cow;
use std::time::Duration;

use crate::render::RenderError;
use crate::storage::StorageError;

/// Class of a failure. A door decides from it alone how to answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FailureKind {
    /// The thing that was named does not exist.
    NotFound,
    /// The present state does not allow it: sent already, changed meanwhile, not approved.
    Conflict,
    /// The input is wrong: one entry for each field that is known to be at fault.
    Invalid(Vec<FieldFault>),
    /// Nobody is signed in, or the token is not valid.
    Unauthorized,
    /// The caller is known, and may not do this.
    Forbidden,
    /// Asked too often; allowed again after this time.
    TooMany(Duration),
    /// Something that this needs does not work for the moment; the same request may succeed later.
    Unavailable(Outage),
    /// A defect of the program, or a fault of the machine that it runs on.
    Internal,
}

/// A field of the input, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldFault {
    /// Name of the field as the caller gave it: a form field, a JSON key, an option or a setting.
    pub field: Cow<'static, str>,
    /// One sentence.
    pub detail: String,
}

/// Cause of an unavailability.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outage {
    /// The database does not answer.
    DatabaseUnreachable,
    /// Every connection of this process's pool stayed in use, or none could be opened.
    NoConnection,
    /// The server has no connection left, or another writer holds the SQLite file.
    DatabaseCrowded,
    /// The database answers that it cannot work until somebody repairs it.
    DatabaseOutOfOrder,
    /// A lock or a slow statement kept the database from doing this in its time.
    DatabaseHeldUp,
    /// A service outside this program and its database.
    Outside,
}

impl FailureKind {
    /// Stable word for programs: the `code` of a problem document.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::Invalid(_) => "invalid",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::TooMany(_) => "too_many",
            Self::Unavailable(_) => "unavailable",
            Self::Internal => "internal",
        }
    }

    /// Returns true if the fault is on this side, so that the log needs it.
    pub fn is_ours(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Internal)
    }
}

/// A failed use case. `Display` is the sentence for the person: what happened and what to do.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    kind: FailureKind,
    message: String,
    cause: Option<String>,
}

impl Failure {
    fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            cause: None,
        }
    }

    /// Makes a failure for a thing that was named and does not exist.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(FailureKind::NotFound, message)
    }

    /// The present state does not allow it.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(FailureKind::Conflict, message)
    }

    /// The input is wrong as a whole, or in a place that the sentence names.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(FailureKind::Invalid(Vec::new()), message)
    }

    /// The value of one field is wrong; the sentence says how.
    pub fn invalid_field(field: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        let message = message.into();
        let fault = FieldFault {
            field: field.into(),
            detail: message.clone(),
        };
        Self::new(FailureKind::Invalid(vec![fault]), message)
    }

    /// Several fields are wrong.
    pub fn invalid_fields(message: impl Into<String>, faults: Vec<FieldFault>) -> Self {
        Self::new(FailureKind::Invalid(faults), message)
    }

    /// Nobody is signed in, or the token is not valid.
    pub fn unauthorized(message: impl Into<String>) -> Self {
        Self::new(FailureKind::Unauthorized, message)
    }

    /// Makes a failure for a caller who is known and may not do this.
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(FailureKind::Forbidden, message)
    }

    /// Asked too often; allowed again after `wait`.
    pub fn too_many(message: impl Into<String>, wait: Duration) -> Self {
        Self::new(FailureKind::TooMany(wait), message)
    }

    /// A service outside does not work for the moment.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(FailureKind::Unavailable(Outage::Outside), message)
    }

    /// A defect of the program, or a fault of its machine: a file that cannot be written, a task that ended.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(FailureKind::Internal, message)
    }

    /// Adds what only the log should know.
    #[must_use]
    pub fn with_cause(mut self, cause: impl std::fmt::Display) -> Self {
        self.cause = Some(cause.to_string());
        self
    }

    /// Class of the failure.
    pub fn kind(&self) -> &FailureKind {
        &self.kind
    }

    /// Detail for the log beyond the sentence.
    pub fn cause(&self) -> Option<&str> {
        self.cause.as_deref()
    }

    /// Returns true if the database does not answer, so that waiting may help.
    pub fn is_unreachable(&self) -> bool {
        self.has_outage(&[Outage::DatabaseUnreachable, Outage::NoConnection])
    }

    /// Returns true if the database has no connection left for the moment.
    pub fn is_crowded(&self) -> bool {
        self.has_outage(&[Outage::DatabaseCrowded, Outage::NoConnection])
    }

    /// Returns true if nothing can be kept for the moment: the database does not answer, or answers that it cannot work, or not now.
    pub fn is_unavailable(&self) -> bool {
        matches!(self.kind, FailureKind::Unavailable(outage) if outage != Outage::Outside)
    }

    fn has_outage(&self, outages: &[Outage]) -> bool {
        matches!(self.kind, FailureKind::Unavailable(outage) if outages.contains(&outage))
    }
}

/// The one place where a database's error gets its kind.
impl From<StorageError> for Failure {
    fn from(error: StorageError) -> Self {
        let outage = match (error.is_unreachable(), error.is_crowded()) {
            (true, true) => Some(Outage::NoConnection),
            (true, false) => Some(Outage::DatabaseUnreachable),
            (false, true) => Some(Outage::DatabaseCrowded),
            (false, false) if error.is_out_of_order() => Some(Outage::DatabaseOutOfOrder),
            (false, false) if error.is_held_up() => Some(Outage::DatabaseHeldUp),
            (false, false) => None,
        };
        let kind = outage.map_or(FailureKind::Internal, FailureKind::Unavailable);
        Self::new(kind, error.advice()).with_cause(error)
    }
}

impl From<RenderError> for Failure {
    fn from(error: RenderError) -> Self {
        Self::internal("A template could not be rendered; this is a defect of the program.")
            .with_cause(error)
    }
}
