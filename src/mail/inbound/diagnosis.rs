//! A refusal in a report, judged as at every door ([`crate::domain::refusal`]).

use crate::domain::inbound::Classification;
use crate::domain::inbound::EnhancedStatus;
use crate::domain::inbound::Reason;
use crate::domain::inbound::SoftClass;
use crate::domain::refusal::Basis;
use crate::domain::refusal::Refusal;
use crate::domain::refusal::judge;

pub use crate::domain::refusal::reply_code;

/// Hard or soft, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Diagnosis {
    /// Hard or soft.
    pub meaning: Classification,
    /// Why.
    pub reason: Reason,
    /// The enhanced status code.
    pub status: Option<EnhancedStatus>,
    /// Evidence for the diagnosis.
    pub basis: Basis,
}

impl Diagnosis {
    /// The class of a soft failure.
    pub fn class(&self) -> Option<SoftClass> {
        (self.meaning == Classification::Soft).then(|| self.reason.soft_class())
    }

    /// True if nothing was learnt, so that other words about the same address are worth a look.
    pub fn says_nothing(&self) -> bool {
        self.basis == Basis::Nothing
    }
}

/// Reads a refusal. `field` is the status that stands beside it in a report.
pub fn diagnose(words: &str, field: Option<EnhancedStatus>) -> Diagnosis {
    let judged = judge(Refusal {
        stage: None,
        text: words,
        field,
    });
    Diagnosis {
        meaning: judged.meaning(),
        reason: judged.reason,
        status: judged.status,
        basis: judged.basis,
    }
}
