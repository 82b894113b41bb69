//! One finding of `doctor`: what was looked at, how it is, and what to do.

/// Severity of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// As it should be.
    Good,
    /// Works, and could be better.
    Advice,
    /// Must be mended before a real send.
    Fault,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct CheckResult {
    /// Subject of the check.
    pub what: &'static str,
    /// Severity.
    pub level: Severity,
    /// Sentence that says what was found and, if it is not good, what to do.
    pub words: String,
    /// True if it may be over by itself before anybody mends it.
    #[serde(skip)]
    pub may_pass: bool,
}

impl CheckResult {
    /// One that stays until somebody mends it.
    pub fn new(what: &'static str, level: Severity, words: impl Into<String>) -> Self {
        Self {
            what,
            level,
            words: words.into(),
            may_pass: false,
        }
    }
}

pub(in crate::app) fn good(what: &'static str, words: impl Into<String>) -> CheckResult {
    CheckResult::new(what, Severity::Good, words)
}

pub(in crate::app) fn advice(what: &'static str, words: impl Into<String>) -> CheckResult {
    CheckResult::new(what, Severity::Advice, words)
}

pub(in crate::app) fn fault(what: &'static str, words: impl Into<String>) -> CheckResult {
    CheckResult::new(what, Severity::Fault, words)
}
