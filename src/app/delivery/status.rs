//! State of a process's sender, for pages, commands and metrics.
//!
//! The send run writes it down a few times a second and whenever a relay's state changes; nobody waits for it.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use crate::domain::Timestamp;

/// The latest snapshot; `None` while nothing is being sent.
#[derive(Debug, Default)]
pub struct SendStatus(Mutex<Option<Arc<SendSnapshot>>>);

/// One moment of a send run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendSnapshot {
    /// Time when it was taken.
    pub at: Timestamp,
    /// Each relay, in the order of the settings.
    pub relays: Vec<RelaySnapshot>,
    /// Claimed mails that could go now.
    pub ready: usize,
    /// Claimed mails that wait for their domain's turn (`mail.per_domain`), those out of memory not counted.
    pub held_by_domain: usize,
    /// Transactional mails among the claimed ones.
    pub transactional: usize,
    /// The mail that a worker has longest.
    pub oldest: Option<OpenMail>,
    /// Last time when a relay took a mail, in this run.
    pub last_sent_at: Option<Timestamp>,
}

/// A relay at that moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelaySnapshot {
    /// Its name in the ledger.
    pub name: String,
    /// Its state.
    pub state: RelayState,
    /// Reason why nothing goes out over it, in plain words, if so.
    pub reason: Option<String>,
    /// Time until which that holds at least, where it is known.
    pub until: Option<Timestamp>,
    /// Connections that are being made.
    pub connecting: usize,
    /// Connections that are made.
    pub connected: usize,
    /// Those of them that have a mail out.
    pub sending: usize,
}

/// States of a relay, as a send run sees them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RelayState {
    /// There is nothing for it.
    Idle,
    /// Mail goes out, or could.
    Sending,
    /// No connection has got through its greeting yet.
    Connecting,
    /// It has mails and answers none of them.
    Silent,
    /// It waits for its rate (`rate_per_second`).
    Paced,
    /// Its day's allowance is spent.
    DaySpent,
    /// It takes no mail as large as the digest's (`SIZE`).
    MailTooLarge,
    /// Its breaker is open.
    Paused,
    /// One connection tries whether it takes mail again.
    Probing,
}

/// A mail that is with a relay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenMail {
    /// Relay that has it.
    pub relay: String,
    /// Its progress.
    pub stage: MailStage,
    /// Time since which it is out.
    pub since: Timestamp,
}

/// Progress of a worker's mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailStage {
    /// The connection is being made.
    Connecting,
    /// Nothing is out.
    Waiting,
    /// Sender, recipient or text: the relay has not taken it for sure, and it can be taken back.
    Envelope,
    /// The final dot is out, or about to be: only the relay's answer tells.
    FinalDot,
}

impl MailStage {
    /// For people: what is waited for.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Connecting => "a connection",
            Self::Waiting => "a mail",
            Self::Envelope => "the answer to a mail's envelope",
            Self::FinalDot => "the answer to a mail's final dot",
        }
    }
}

impl SendStatus {
    /// The latest snapshot.
    pub fn get(&self) -> Option<Arc<SendSnapshot>> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Nothing is being sent.
    pub(super) fn clear(&self) {
        self.set(None);
    }

    pub(super) fn set(&self, snapshot: Option<SendSnapshot>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = snapshot.map(Arc::new);
    }
}
