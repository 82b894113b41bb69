//! Failures of a step of an SMTP conversation.

use crate::domain::delivery::Outcome;
use crate::mail::smtp::reply::RefusalStage;

/// Reason why a mail was not taken.
pub(in crate::mail) enum SendFailure {
    /// The server said so, at that stage. `in_step`: it listens, and what was said since is answered.
    Answer {
        code: u16,
        text: String,
        stage: RefusalStage,
        in_step: bool,
    },
    /// We are out of step with it: the connection is of no more use.
    Broken {
        outcome: Outcome,
        stage: RefusalStage,
    },
}

impl SendFailure {
    pub(in crate::mail) fn broken(outcome: Outcome, stage: RefusalStage) -> Self {
        Self::Broken { outcome, stage }
    }

    /// Returns whether the server had enough of a connection that served others: 421 (RFC 5321 3.8), whatever was asked, for some count
    /// errors over the session; a refusal for now of MAIL (OpenSMTPD says 452 after a hundred mails, and stays); or a hang-up.
    pub(in crate::mail) fn is_farewell(&self) -> bool {
        matches!(
            self,
            Self::Answer { code: 421, .. }
                | Self::Answer {
                    code: 400..=499,
                    stage: RefusalStage::Sender,
                    ..
                }
                | Self::Broken {
                    stage: RefusalStage::Sender,
                    ..
                }
        )
    }

    /// Returns whether the server takes nobody's mail over this connection and may take it over the next: Postfix's postscreen answers each
    /// recipient of a client that it does not know yet with 450 4.3.2 until that client has come back. RFC 3463: x.3.2 is about the system.
    pub(in crate::mail) fn asks_to_come_back(&self) -> bool {
        matches!(self, Self::Answer { code: 400..=499, stage: RefusalStage::Recipient, text, .. } if text.starts_with("4.3.2"))
    }

    /// Returns whether a command came at a moment at which the server does not know it.
    pub(in crate::mail) fn is_out_of_order(&self) -> bool {
        matches!(
            self,
            Self::Answer {
                code: 503,
                stage: RefusalStage::Sender | RefusalStage::Recipient,
                ..
            }
        )
    }

    pub(in crate::mail) fn is_in_step(&self) -> bool {
        matches!(self, Self::Answer { in_step: true, .. })
    }

    /// Returns whether it is about MAIL.
    pub(in crate::mail) fn is_of_sender(&self) -> bool {
        matches!(
            self,
            Self::Answer {
                stage: RefusalStage::Sender,
                ..
            } | Self::Broken {
                stage: RefusalStage::Sender,
                ..
            }
        )
    }

    pub(in crate::mail) fn is_broken(&self) -> bool {
        matches!(self, Self::Broken { .. })
    }

    /// The same refusal, on a connection that is of no more use.
    pub(in crate::mail) fn out_of_step(self) -> Self {
        match self {
            Self::Answer {
                code, text, stage, ..
            } => Self::Answer {
                code,
                text,
                stage,
                in_step: false,
            },
            broken @ Self::Broken { .. } => broken,
        }
    }
}

/// Checks that a reply lets us go on.
pub(in crate::mail) fn good(
    stage: RefusalStage,
    answer: Result<(u16, String), String>,
) -> Result<(), SendFailure> {
    match answer {
        Ok((200..=299, _)) if stage != RefusalStage::Data => Ok(()),
        Ok((354, _)) if stage == RefusalStage::Data => Ok(()),
        Ok((code @ 400.., text)) => Err(SendFailure::Answer {
            code,
            text,
            stage,
            in_step: true,
        }),
        Ok((code, text)) => Err(SendFailure::broken(
            later(format!("{code} {text}: that is no answer at {stage:?}")),
            stage,
        )),
        Err(why) => Err(SendFailure::broken(
            later(format!("at {stage:?}: {why}")),
            stage,
        )),
    }
}

pub(in crate::mail) fn later(reply: impl Into<String>) -> Outcome {
    Outcome::later_for_us(reply)
}
