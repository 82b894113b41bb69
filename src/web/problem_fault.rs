//! Places of the input that a problem document names.

use crate::app::FieldFault;

/// A place of the input that is at fault.
#[derive(Debug, Clone)]
pub struct ProblemFault {
    /// JSON pointer into the body as a URI fragment (RFC 6901, 6), or `?name` for a parameter of the query.
    pub pointer: String,
    /// Stable word.
    pub code: &'static str,
    /// One sentence.
    pub detail: String,
}

impl From<&FieldFault> for ProblemFault {
    fn from(fault: &FieldFault) -> Self {
        Self {
            pointer: format!("#/{}", fault.field),
            code: "invalid",
            detail: fault.detail.clone(),
        }
    }
}
