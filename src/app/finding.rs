//! One finding of `doctor`: what was looked at, how it is, and what to do.

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be.
    Good,
    /// Works, and could be better.
    Advice,
    /// Must be mended before a real send.
    Fault,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Finding {
    /// What was looked at.
    pub what: &'static str,
    /// How much it matters.
    pub level: Level,
    /// What was found and, if it is not good, what to do.
    pub words: String,
    /// Whether it may be over by itself before anybody mends it.
    #[serde(skip)]
    pub may_pass: bool,
}

impl Finding {
    /// One that stays until somebody mends it.
    pub fn new(what: &'static str, level: Level, words: impl Into<String>) -> Self {
        Self {
            what,
            level,
            words: words.into(),
            may_pass: false,
        }
    }
}

pub(super) fn good(what: &'static str, words: impl Into<String>) -> Finding {
    Finding::new(what, Level::Good, words)
}

pub(super) fn advice(what: &'static str, words: impl Into<String>) -> Finding {
    Finding::new(what, Level::Advice, words)
}

pub(super) fn fault(what: &'static str, words: impl Into<String>) -> Finding {
    Finding::new(what, Level::Fault, words)
}
