//! Knowledge of a relay: may an envelope go ahead of its answer to the final dot of the mail before?
//!
//! RFC 2920 3.1 allows it, and four of fourteen servers that offer PIPELINING do not bear it: Haraka answers 503 to each such command,
//! courier-mta and chasquid 1.11 throw them away unanswered. So one connection tries it, with an envelope whose mail can be sent again
//! without doubt, for not one byte of its text is out.
//!
//! | state | an envelope goes ahead | leaves it for |
//! | --- | --- | --- |
//! | unknown | on the first connection that has one | trying |
//! | trying | on that connection alone | proven: the dot's mail was taken and the envelope's MAIL as well; not borne: 503, silence, or a hang-up; unknown: nothing was shown |
//! | proven | always | not borne, at the first sign to the contrary |
//! | not borne | never again in this process | |

use std::sync::Arc;
use std::sync::atomic::AtomicU8;
use std::sync::atomic::Ordering::AcqRel;
use std::sync::atomic::Ordering::Acquire;
use std::sync::atomic::Ordering::Release;

const UNKNOWN: u8 = 0;
const TRYING: u8 = 1;
const PROVEN: u8 = 2;
const NOT_BORNE: u8 = 3;

/// State of one relay. Clones are one.
#[derive(Debug, Clone, Default)]
pub(in crate::mail) struct Ahead(Arc<AtomicU8>);

/// Leave for one envelope to go ahead. Dropped without a verdict, a trial leaves room for another.
#[derive(Debug)]
pub(in crate::mail) struct Leave {
    ahead: Ahead,
    is_trial: bool,
}

impl Ahead {
    /// Returns whether [`Ahead::leave`] may give leave.
    pub(in crate::mail) fn may_go(&self) -> bool {
        matches!(self.0.load(Acquire), UNKNOWN | PROVEN)
    }

    /// Gives leave for one envelope, at most once at a time until the relay has shown that it bears it.
    pub(in crate::mail) fn leave(&self) -> Option<Leave> {
        let is_trial = match self.0.compare_exchange(UNKNOWN, TRYING, AcqRel, Acquire) {
            Ok(_) => true,
            Err(PROVEN) => false,
            Err(_) => return None,
        };
        Some(Leave {
            ahead: self.clone(),
            is_trial,
        })
    }
}

impl Leave {
    pub(in crate::mail) fn is_trial(&self) -> bool {
        self.is_trial
    }

    /// The relay took the mail before, and answered the envelope as it should.
    pub(in crate::mail) fn proven(self) {
        if self.is_trial {
            let _ = self
                .ahead
                .0
                .compare_exchange(TRYING, PROVEN, AcqRel, Acquire);
        }
    }

    /// The relay does not bear it.
    pub(in crate::mail) fn not_borne(self) {
        if self.ahead.0.swap(NOT_BORNE, AcqRel) != NOT_BORNE {
            tracing::info!(
                "relay does not support pipelined envelopes; each command waits for the reply to the final dot from now on"
            );
        }
    }
}

impl Drop for Leave {
    fn drop(&mut self) {
        if self.is_trial {
            let _ = self
                .ahead
                .0
                .compare_exchange(TRYING, UNKNOWN, Release, Acquire);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_connection_tries_and_all_follow_once_it_is_proven() {
        let ahead = Ahead::default();
        let trial = ahead.leave().expect("leave to try");
        assert!(trial.is_trial() && ahead.leave().is_none() && !ahead.may_go());
        drop(trial);
        ahead.leave().expect("another trial").proven();
        let (first, second) = (ahead.leave().expect("leave"), ahead.leave().expect("leave"));
        assert!(!first.is_trial() && !second.is_trial());
        first.not_borne();
        second.proven();
        assert!(
            ahead.leave().is_none(),
            "one sign to the contrary is enough"
        );
    }
}
